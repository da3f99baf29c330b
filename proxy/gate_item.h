/* gate_item.h: what an item is to the gate. Pure, any thread.
 */
#ifndef XMPPTAP_GATE_ITEM_H
#define XMPPTAP_GATE_ITEM_H

#include "../decoder/reader.h"

enum item_kind {
    ITEM_OTHER,
    ITEM_HEADER,
    ITEM_FEATURES,
    ITEM_STARTTLS,
    ITEM_PROCEED,
    ITEM_TLS_FAILURE,
    ITEM_SASL_SAYS,  /* the client's turn in SASL: the server owes an answer */
    ITEM_SASL_ASKS,  /* the server's, with more to come */
    ITEM_SASL_FAILURE,
    ITEM_SUCCESS,    /* a new stream follows */
    ITEM_SUCCESS2,   /* XEP-0388: none does */
    ITEM_STANZA,     /* only who is logged in sends one */
    ITEM_LEGACY_LOGIN, /* XEP-0078 */
    ITEM_COMPRESSED
};

/* Never ITEM_HEADER, which is no item of a stream. */
enum item_kind gate_item_kind(const struct item *it);

/* Features that something is still to be negotiated with, so the gate must stay. */
bool gate_item_negotiable(const struct item *features);

#endif

/* bridge_offer.h: the ways to log in that a server's features offer, and the same features as a
 * bridged client is to see them.
 *
 * Pure functions, the loop's thread; only the bridge uses them. RFC 6120 §6.4.1, XEP-0440, XEP-0388.
 */
#ifndef XMPPTAP_BRIDGE_OFFER_H
#define XMPPTAP_BRIDGE_OFFER_H

#include "../decoder/reader.h"
#include "channel_binding.h"

/* The ones that the bridge speaks, the strongest first. */
enum mechanism {
    MECHANISM_SHA_512_PLUS,
    MECHANISM_SHA_256_PLUS,
    MECHANISM_SHA_1_PLUS,
    MECHANISM_SHA_512,
    MECHANISM_SHA_256,
    MECHANISM_SHA_1,
    MECHANISM_PLAIN,
    MECHANISMS
};

const char *mechanism_name(enum mechanism m);
enum mechanism mechanism_by_name(const char *name); /* MECHANISMS: none of these */
bool mechanism_is_plus(enum mechanism m);
bool mechanism_hash(enum mechanism m, enum scram_hash *hash); /* false: no SCRAM */

struct offer {
    enum mechanism list[MECHANISMS]; /* in the server's order */
    unsigned count;
    bool any;            /* there is a list of mechanisms, whatever is in it */
    bool types_told;     /* XEP-0440 */
    bool types[CB_TYPES];
};

bool offer_has(const struct offer *o, enum mechanism m);
bool offer_has_plus(const struct offer *o);

/* What the features in `p` offer; `st` is their stream. ERR_NOMEM, or what is wrong with them. */
int offer_read(struct offer *o, struct reader *reader, struct reader_stream *st, const char *p,
               size_t n) MUST_CHECK;

/* Appends them as the client is to see them: `o` in place of the list of mechanisms and of XEP-0440
 * (empty ones are left out), without SASL2. Same errors. */
int offer_write(const struct offer *o, struct reader *reader, struct reader_stream *st,
                const char *p, size_t n, struct buf *out) MUST_CHECK;

#endif

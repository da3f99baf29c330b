/* features.h: stream features as the client gets them, where they cannot pass as they came.
 *
 * Pure. What is taken out goes to the byte, every other byte stays as it was: prefixes, quotes,
 * white space between elements. Any thread. RFC 6120 §4.3.2, XEP-0388, XEP-0440, XEP-0484.
 */
#ifndef XMPPTAP_FEATURES_H
#define XMPPTAP_FEATURES_H

#include "../decoder/reader.h"

/* What is asked for; joined with |. */
enum features_wish {
    FEATURES_NO_BINDING = 1,      /* -PLUS, FAST's tokens that are bound, XEP-0440's list */
    FEATURES_END_POINT = 2,       /* with it: but for tls-server-end-point, where that is listed */
    FEATURES_NO_STARTTLS = 4,
    FEATURES_REQUIRE_STARTTLS = 8,
    FEATURES_NO_COMPRESSION = 16, /* XEP-0138 */
};

struct features_edit {
    struct buf bytes;   /* owned: the features as edited */
    bool changed;       /* else `bytes` is empty: the features pass as they came */
    char reason[768];   /* what was taken out or put in, and why; whether all mechanisms are gone */
};

void features_edit_init(struct features_edit *fe);
void features_edit_free(struct features_edit *fe);

/* Edits `it`, which reader_item_deep() read, as `wishes` say. ERR_NOMEM, ERR_CAP; with ERR_CAP too
 * where there is more in the features than was described: then nothing can be said of it. */
int features_edit(struct features_edit *fe, const struct item *it, unsigned wishes) MUST_CHECK;

#endif

/* rewrite.h: a captured item as it is sent in another session.
 *
 * Values of attributes and texts that are a whole JID of the captured account or domain become the
 * live one's; every other byte stays as it was. Pure, any thread.
 */
#ifndef XMPPTAP_REPLAY_REWRITE_H
#define XMPPTAP_REPLAY_REWRITE_H

#include "names.h"

struct rewrite {
    const struct names *from, *to;
    const char *id;      /* the item's own id instead of its; NULL: it keeps it */
    const char *address; /* the same of its `to` */
};

/* Appends the item, which is well-formed. Errors: ERR_NOMEM, ERR_CAP. */
int rewrite_item(const struct rewrite *w, const char *p, size_t n, struct buf *out) MUST_CHECK;

#endif

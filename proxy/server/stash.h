/* stash.h: what one client stored with the embedded server: private XML (XEP-0049), its vCard.
 *
 * In memory, for the connection's life. Embedded by its owner; one thread.
 */
#ifndef XMPPTAP_STASH_H
#define XMPPTAP_STASH_H

#include "../../decoder/buf.h"
#include "../../decoder/reader.h"

#define STASH_ENTRIES 32
#define STASH_BYTES   (64u << 10) /* all entries together, their names included */

struct stash {
    struct stash_entry {
        char *key;      /* owned: namespace, newline, name; NULL: free */
        struct buf xml; /* the element as the client wrote it */
    } entry[STASH_ENTRIES];
};

/* A zeroed one is empty; a freed one can be used again. */
void stash_free(struct stash *s);

/* Stores element `node` under its namespace and name, in place of what was there. Errors:
 * ERR_NOMEM, ERR_CAP (it does not fit); on error nothing is changed. `root` as in markup_rest(). */
int stash_put(struct stash *s, const struct item *it, unsigned node,
              const struct buf *root) MUST_CHECK;

/* What is stored for the namespace and name of `node`, or NULL. Borrowed until the next put. */
const struct buf *stash_get(const struct stash *s, const struct item *it, unsigned node);

#endif

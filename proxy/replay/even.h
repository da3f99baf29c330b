/* even.h: what an item is compared as: without what differs between any two sessions.
 *
 * Ids, times, the session's own addresses, hashes of versions, counts of stream management; the
 * table is in even.c. One thread; the tree's owner's.
 */
#ifndef XMPPTAP_REPLAY_EVEN_H
#define XMPPTAP_REPLAY_EVEN_H

#include "names.h"
#include "tree.h"

/* Fills in `even`, `ignored` and `hash`; `whose` session it is from. Without memory for a value, it
 * is compared as it stands. */
void even_tree(struct tree *t, const struct names *whose);

#endif

/* roster_iq.h: the roster as its account's clients see it change (RFC 6121 §2.1.6). One thread. */
#ifndef XMPPTAP_ROSTER_IQ_H
#define XMPPTAP_ROSTER_IQ_H

#include "ask.h"

/* Tells all clients that have asked for the roster that the item has changed, or is removed: it is
 * of the next version. */
void roster_push(struct user *u, struct world *w, struct roster_item *i, bool removed);

#endif

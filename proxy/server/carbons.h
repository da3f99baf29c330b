/* carbons.h: an account's other clients get copies of what one of them sends and gets (XEP-0280).
 * A profile that says the feature of the domain has it. One thread.
 */
#ifndef XMPPTAP_CARBONS_H
#define XMPPTAP_CARBONS_H

#include "ask.h"

/* The message has been routed; who got it itself has `got`, which is taken back here. */
void carbons_copy(struct ask *q);

#endif

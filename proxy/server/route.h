/* route.h: messages and iqs from one client to others of the server (RFC 6121 §8). One thread. */
#ifndef XMPPTAP_ROUTE_H
#define XMPPTAP_ROUTE_H

#include "ask.h"

/* An iq to a full JID. */
void route_iq(struct ask *q);

/* A message to anybody. */
void route_message(struct ask *q);

/* What was kept for the account while nobody was there goes to its client (XEP-0160). */
void route_offline(struct client *c);

/* A stanza that `lost`, which is in its account's list no more, did not get: a message goes to another
 * client or is kept, who asked something is told (XEP-0198 §5). */
void route_again(struct client *lost, const char *p, size_t n);

#endif

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

#endif

/* presence.h: who is told who is there, and the subscriptions (RFC 6121 §3, §4).
 *
 * All contacts are accounts of the same world, or the profile's, which are always there. One thread.
 */
#ifndef XMPPTAP_PRESENCE_H
#define XMPPTAP_PRESENCE_H

#include "ask.h"

/* A presence of the client's, of any type. */
void presence_take(struct ask *q);

/* The client's connection is over: who had its presence learns that it is no longer there. */
void presence_gone(struct client *c);

/* The profile's contacts answer the client's presence: what was due. */
void presence_contacts(struct client *c);

/* Sends presence of `type` ("subscribed") from the account to a bare JID, and all that follows from
 * it on both sides. */
void presence_subscription(struct client *c, const char *to, const char *type);

/* Tells one client of another account of the client's presence, or, `gone`, that it is unavailable,
 * whatever the lists say. */
void presence_tell(const struct client *from, struct client *to, bool gone);

/* Sends each available resource's presence of `from` to `to`; or, `gone`, that they are unavailable. */
void presence_show(struct user *from, struct user *to, bool gone);

#endif

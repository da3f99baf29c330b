/* session.h: a client becomes a resource (RFC 6120 §7), however it asked. One thread. */
#ifndef XMPPTAP_SERVER_SESSION_H
#define XMPPTAP_SERVER_SESSION_H

#include "ask.h"
#include "profile.h"

/* Binds `resource`, prepared; where the account has it already the profile says what becomes of it
 * (§7.7.2.2), and another may stand there then. NULL, or the error's condition. `*err`: ERR_IO
 * where there are no random bytes, else left alone. */
const char *session_bind(struct client *c, char resource[JID_PART_MAX + 1], int *err);

/* Is what the ask wants not to be had here, as the profile lacks the feature, or TLS must come first?
 * Then that is its answer. */
bool session_refuses(struct ask *q, enum feature f);

#endif

/* reach.h: a session's way to its server: dialled, connected, or the client told that it is not.
 *
 * Loop thread. Each may end the session.
 */
#ifndef XMPPTAP_REACH_H
#define XMPPTAP_REACH_H

#include "session.h"

/* RFC 6120 §4.9.3: what the client is told. */
#define REACH_FAILED    "remote-connection-failed"
#define REACH_NO_DOMAIN "improper-addressing"

#define REACH_ASKED 1024

/* For the session's record: UPSTREAM, and where there is none the domain that the client's first
 * bytes ask for, "" if they do not say. `asked` may hold it. */
const char *reach_upstream(const struct session *s, const char *p, size_t n,
                           char asked[REACH_ASKED]);

/* The session has begun, or more of the client was read: the server's leg begins as soon as it is
 * known where to. As often as you like. */
void reach_server(struct session *s);

/* The server's leg is up: says where to. */
void reach_up(struct session *s);

/* The login is over, or nobody knows: no other server will be tried. What is needed to say where it
 * went is kept, the dial goes. */
void reach_settle(struct session *s);

/* Says in the session's end where it was. Its strings live as long as the leg. */
void reach_end(const struct session *s, struct event_end *end);

/* It will not be: the client gets a stream with this error condition, and the end. The error's
 * detail ends with what to do. */
void reach_failed(struct session *s, const char *condition, const struct error *e);

/* The client is told so at once, whatever its TLS: for entry.h. */
void reach_tell(struct session *s, const char *condition, const struct error *e);

/* The same when the time is over. */
void reach_timeout(struct session *s);

#endif

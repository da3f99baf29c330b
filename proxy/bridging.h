/* bridging.h: a session's bridge: what it asks of TLS, and the salting of passwords, which runs in
 * libuv's pool so that no server can hold the loop up. Loop thread.
 */
#ifndef XMPPTAP_BRIDGING_H
#define XMPPTAP_BRIDGING_H

#include "session.h"

/* Makes the session's bridge. ERR_NOMEM. */
int bridging_begin(struct session *s) MUST_CHECK;

/* The session is about to be freed. A password being salted holds one of its handles, so there is
 * none any more. */
void bridging_end(struct session *s);

/* New streams begin. */
void bridging_restart(struct session *s);

/* For the gate's user. */
enum gate_phase bridging_item(void *arg, enum dir dir, struct reader_stream *st,
                              const struct features_edit *wished, const char *p, size_t n);
void bridging_refused(void *arg, enum dir dir, const char *p, size_t n, const struct error *e);

#endif

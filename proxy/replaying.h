/* replaying.h: a replayer with a connection, a clock and TLS under it: what `xmpptap replay` runs.
 *
 * One session in a loop of its own; the calling thread's until it returns.
 */
#ifndef XMPPTAP_REPLAYING_H
#define XMPPTAP_REPLAYING_H

#include "replay/replayer.h"
#include "upstream.h"

struct replaying_options {
    struct upstream upstream; /* not UPSTREAM_BUILTIN */
    const char *resolver;     /* a DNS server's ADDR:PORT, or NULL */
    const char *upstream_ca;  /* PEM, or NULL for the system's */
    bool insecure;
    unsigned connect_s;
    struct replayer_options replay; /* all but user and arg */
};

/* Plays until the session is over; `r->error` says whether it came so far. `r` is to be freed by
 * replayer_free(), its user must not be called any more. Errors with `e` filled where it could not
 * even begin, and `r` is not to be freed: ERR_CA, ERR_IO, ERR_NOMEM, ERR_USAGE. */
int replaying_run(struct replaying_options *o, struct replayer *r, struct error *e) MUST_CHECK;

#endif

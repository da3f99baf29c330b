/* upstream.h: where sessions go, as the user gave it. Pure functions, any thread.
 */
#ifndef XMPPTAP_UPSTREAM_H
#define XMPPTAP_UPSTREAM_H

#include <stdint.h>
#include <sys/socket.h>

#include "../decoder/errors.h"
#include "srv.h"

#define UPSTREAM_PORT     5222 /* where a domain has no SRV records (RFC 6120 §3.2.2) */
#define UPSTREAM_TLS_PORT 5223 /* the same for direct TLS: by custom, no standard names one */

enum upstream_kind {
    UPSTREAM_ASKED,   /* none was given: the domain the client asks for */
    UPSTREAM_DOMAIN,  /* by SRV, else its addresses */
    UPSTREAM_TCP,     /* host and port */
    UPSTREAM_TLS,     /* host and port, TLS from the first byte (XEP-0368) */
    UPSTREAM_BUILTIN, /* the embedded server */
    UPSTREAM_ADDRESS  /* a socket's address: where a redirected client wanted to go */
};

struct upstream {
    const char *text;              /* as the user gave it; "": none. Borrowed for ever */
    enum upstream_kind kind;
    char host[SRV_NAME];           /* domain or host; "" for ASKED */
    uint16_t port;                 /* TCP, TLS */
    struct sockaddr_storage address;
};

/* "DOMAIN", "tcp://HOST:PORT", "tls://HOST:PORT", "builtin:", or NULL for ASKED. ERR_USAGE with
 * `e` filled. */
int upstream_parse(const char *text, struct upstream *u, struct error *e) MUST_CHECK;

#endif

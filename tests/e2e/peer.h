/* peer.h: a client or a server as the tests play it: exact bytes over real sockets and TLS.
 *
 * Operations block, each at most `timeout_ms`; they return 0, or -1 with `error` in words. They
 * call no cmocka function, so a peer may live in any one thread; PEER_OK() is for the main one.
 * Nothing here reads XML: what is expected is given byte for byte.
 */
#ifndef XMPPTAP_E2E_PEER_H
#define XMPPTAP_E2E_PEER_H

#include <openssl/ssl.h>

#include "bytes.h"

struct peer {
    const char *name; /* for messages; borrowed */
    int fd;           /* -1: closed */
    SSL *ssl;         /* owned; NULL before TLS */
    SSL_SESSION *session; /* borrowed: a client offers to go on with it; or NULL */
    int timeout_ms;   /* limit of each operation */
    size_t write_max; /* most bytes one peer_send() hands to the socket or to TLS; 0: all */
    size_t wire_max;  /* most bytes of TLS records in one write(2); 0: all */
    bool reset;       /* the end came as a TCP reset */
    struct bytes in;  /* read, not yet asked for */
    char sni[256];    /* name the client sent in TLS, "" if none */
    char error[400];
};

#define PEER_TIMEOUT_MS 20000

void peer_init(struct peer *p, const char *name);
/* Closes the connection without a word of TLS or XMPP. As often as you like. */
void peer_close(struct peer *p);
/* The same with a TCP reset. */
void peer_abort(struct peer *p);
/* Closes our direction only (TCP FIN). */
int peer_shutdown(struct peer *p);

/* A listening socket on 127.0.0.1 and a free port, or -1. */
int peer_listen(int *port);
int peer_accept(struct peer *p, int listener);
int peer_connect(struct peer *p, int port);
/* The same on [::1]. */
int peer_listen6(int *port);
int peer_connect6(struct peer *p, int port);

/* TLS from here on. `host`: name sent as SNI and checked if the context verifies; NULL: none. */
int peer_tls_connect(struct peer *p, SSL_CTX *ctx, const char *host);
int peer_tls_accept(struct peer *p, SSL_CTX *ctx);

int peer_send(struct peer *p, const void *bytes, size_t n);
int peer_sends(struct peer *p, const char *s);

/* The next bytes are these. */
int peer_expect(struct peer *p, const void *bytes, size_t n);
int peer_expects(struct peer *p, const char *s);
/* Nothing but the end of the connection comes (orderly or by a reset). */
int peer_expect_end(struct peer *p);
/* All that comes up to the end of the connection, appended to `all`. */
int peer_rest(struct peer *p, struct bytes *all);
/* What has come or comes next: appends at least a byte to `some`; 1 at the end. */
int peer_some(struct peer *p, struct bytes *some);
/* 0 if nothing comes for `ms`. */
int peer_quiet(struct peer *p, int ms);

/* Fails the running test with the peer's own words. Main thread only. */
#define PEER_OK(p, call)                                                                           \
    do {                                                                                           \
        if ((call) != 0)                                                                           \
            fail_msg("%s: %s: %s", (p)->name, #call, (p)->error);                                  \
    } while (0)

#endif

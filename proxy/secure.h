/* secure.h: STARTTLS of a session: the server's leg first, then the client's (RFC 6120 §5.4).
 *
 * Loop thread. The server's certificate is checked before the client is told to proceed; the
 * client is shown a leaf for the domain it asked for. Each may end the session.
 */
#ifndef XMPPTAP_SECURE_H
#define XMPPTAP_SECURE_H

#include "session.h"

/* The server said <proceed/>: its leg gets TLS; `p` came behind it. */
void secure_server(struct session *s, const char *p, size_t n);
/* Its handshake is over: is it who it should be? */
void secure_server_done(struct session *s);
/* It cannot be secured: the client gets <failure/> for the <proceed/>, and the end. */
void secure_refused(struct session *s, enum side by, const struct error *e);

/* For each context that clients are shown, before it is used: no worker changes it later. `keylog`:
 * a `struct keylog`, or NULL. */
void secure_prepare(SSL_CTX *client, void *keylog);

/* The domain is known only now: is the server the one it should be? For gate_user. */
bool secure_named(void *arg);
void secure_misnamed(void *arg, const char *p, size_t n);

/* The client's TLS begins with these bytes. */
void secure_client(struct session *s, const char *p, size_t n);
void secure_client_done(struct session *s);

/* The `tls` event of one side: `verify` and `error` in words, "" where there is nothing to say;
 * `kind`: the failure's stable name, or NULL. */
void secure_record(struct session *s, enum side side, const char *verify, const char *error,
                   const char *kind);

#endif

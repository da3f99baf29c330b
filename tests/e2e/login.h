/* login.h: one login as the tests play it at both ends, and a server that plays it for many.
 *
 * Both ends follow the same list of steps: one sends a step, the other expects exactly its bytes.
 * With a TLS context the login goes through STARTTLS, without one it stays plaintext. Returns are
 * those of peer.h; any thread.
 */
#ifndef XMPPTAP_E2E_LOGIN_H
#define XMPPTAP_E2E_LOGIN_H

#include <pthread.h>
#include <stdatomic.h>

#include "peer.h"
#include "pki.h"
#include "run.h"

#define STREAM_HEADER                                                                              \
    "<?xml version='1.0'?><stream:stream to='" DOMAIN "' version='1.0' xmlns='jabber:client' "     \
    "xmlns:stream='http://etherx.jabber.org/streams'>"
#define SERVER_HEADER                                                                              \
    "<?xml version='1.0'?><stream:stream from='" DOMAIN "' id='s1' version='1.0' "                 \
    "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
#define FEATURES_TLS                                                                               \
    "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"    \
    "</stream:features>"
#define FEATURES_SASL                                                                              \
    "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"                       \
    "<mechanism>PLAIN</mechanism></mechanisms></stream:features>"
#define STARTTLS     "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define PROCEED      "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define STREAM_CLOSE "</stream:stream>"

/* What xmpptap says first to a server where it negotiates STARTTLS itself. */
#define OUR_HELLO                                                                                  \
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "                                   \
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='" DOMAIN "'>"

/* Up to and with the bind result. */
int login_client(struct peer *p, SSL_CTX *ctx);
int login_server(struct peer *p, SSL_CTX *ctx);

/* The parts of it: as far as the features that offer STARTTLS; and all behind <proceed/>, TLS
 * included. `ctx` of the former is not used. */
int login_open_client(struct peer *p, SSL_CTX *ctx);
int login_open_server(struct peer *p, SSL_CTX *ctx);
int login_secure_client(struct peer *p, SSL_CTX *ctx);
int login_secure_server(struct peer *p, SSL_CTX *ctx);

/* Both ends of one of these at once: the server's in a thread of its own, which accepts from
 * `listener` first where the peer is not connected yet. */
typedef int login_part(struct peer *p, SSL_CTX *ctx);

struct login_end {
    struct peer *peer;
    login_part *part;
    SSL_CTX *ctx;
};
int login_pair(const struct login_end *client, const struct login_end *server, int listener);

/* </stream:stream> both ways and the end of the connection: what a client does. */
int login_leave(struct peer *p);

/* Sends back what comes, until the client closes its stream (which is answered) or has gone. */
void login_echo(struct peer *p);

/* A server of several threads: logs each client in, then login_echo(). */
#define SERVER_THREADS 16

struct server {
    int listener, port;
    SSL_CTX *ctx; /* borrowed; NULL: plaintext */
    pthread_t thread[SERVER_THREADS];
    int threads;
    atomic_bool stop;
    atomic_int failed; /* logins that did not go as written */
    pthread_mutex_t lock;
    char error[400]; /* the first one's reason, under `lock` */
};

/* The box owns it. Fails the running test if it cannot: main thread only. */
struct server *server_start(struct box *b, int threads, SSL_CTX *ctx);
/* No more clients; as often as you like. What it counted can still be read. */
void server_stop(struct server *s);

#endif

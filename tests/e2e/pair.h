/* pair.h: a client and a server as the tests play them, and between them the program under test.
 *
 * Functions fail the running test with the peers' own words: main thread only.
 */
#ifndef XMPPTAP_E2E_PAIR_H
#define XMPPTAP_E2E_PAIR_H

#include "login.h"

struct pair {
    struct peer client, server;
    SSL_CTX *client_ctx, *server_ctx; /* owned; NULL: plaintext */
    int listener, port;               /* the server's */
};

/* Nobody is connected yet, and the server listens. Without TLS. */
void pair_init(struct pair *p);
/* The same with TLS; arguments as in pki.h: whom the client trusts, what the server shows. */
void pair_init_tls(struct pair *p, struct box *b, const char *pem, enum pki_leaf leaf, int version);
/* Closes both connections: for the next ones. */
void pair_again(struct pair *p);
void pair_free(struct pair *p);

/* The client connects to the program under test, and both play their parts; pair_login() is a
 * whole login. */
void pair_play(struct pair *p, int proxy_port, login_part *client, login_part *server);
void pair_login(struct pair *p, int proxy_port);

/* A connected client's first words: the server accepts, and gets this. */
void pair_meet(struct pair *p, const char *says, const char *gets);
/* What one says the other gets, byte for byte. */
void pair_says(struct peer *from, struct peer *to, const char *bytes);
/* </stream:stream> there and back. */
void pair_leave(struct pair *p);

#endif

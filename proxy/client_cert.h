/* client_cert.h: certificates of clients (SASL EXTERNAL, XEP-0178) with a man in the middle.
 *
 * When the server asks for one, so do we ask the client, with the names of the server's CAs; what
 * the client shows is recorded. It cannot be shown to the server: its key is the client's. What is
 * shown there is --client-cert. Loop thread.
 */
#ifndef XMPPTAP_CLIENT_CERT_H
#define XMPPTAP_CLIENT_CERT_H

#include <stdbool.h>

#include <openssl/ssl.h>

/* The context's handshakes remember whether they were asked. */
void client_cert_watch(SSL_CTX *upstream);

/* Did the server ask? `server` NULL: no. */
bool client_cert_asked(SSL *server);

/* `client`, before its handshake, asks as the server did, if it did, and takes any. False without
 * memory. */
bool client_cert_ask(SSL *client, SSL *server);

/* What the client has shown. NULL: nothing. Borrowed from `client`. */
X509 *client_cert_shown(SSL *client);

#endif

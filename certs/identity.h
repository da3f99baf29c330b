/* identity.h: a certificate and its key that the user gives: the server's own, or a client's.
 *
 * Read once, at start. Keys that anybody can read are refused, as the CA's is. One thread.
 */
#ifndef XMPPTAP_IDENTITY_H
#define XMPPTAP_IDENTITY_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "../decoder/errors.h"

struct identity_files {
    const char *cert;   /* PEM: the certificate, then its chain */
    const char *key;    /* PEM, not encrypted; NULL: in `cert`, too */
    const char *option; /* how they are given, for messages: "server" for --server-cert */
};

/* The key's file is open to its group: usual for a server's key, worth a word. */
bool identity_key_is_shared(const struct identity_files *f);

/* Both into `ctx`. ERR_IO, ERR_CA, ERR_NOMEM with `e` filled: file, reason, cure. */
int identity_use(SSL_CTX *ctx, const struct identity_files *f, struct error *e) MUST_CHECK;

/* A server-side context that shows them; as ca_leaf_context() otherwise. Returns owned. */
SSL_CTX *identity_server_context(const struct identity_files *f, struct error *e);

#endif

/* pki.h: the certificates of the tests, made afresh by each of them.
 *
 * All functions fail the running test (cmocka) when OpenSSL refuses. Main thread only; the
 * contexts may then be used by any.
 */
#ifndef XMPPTAP_E2E_PKI_H
#define XMPPTAP_E2E_PKI_H

#include <openssl/ssl.h>

/* The domain of the documented trace, which the streams ask for. */
#define DOMAIN "xumatomacbook-pro.local"

enum pki_leaf {
    LEAF_GOOD,
    LEAF_WRONG_NAME,
    LEAF_SELF_SIGNED,
    LEAF_EXPIRED,
    LEAF_UNKNOWN_ISSUER,
};

struct pki {
    EVP_PKEY *ca_key;
    X509 *ca;
};

void pki_init(struct pki *pki);
void pki_free(struct pki *pki);

/* Writes the CA's certificate for --upstream-ca. */
void pki_save_ca(const struct pki *pki, const char *path);

/* Writes a certificate of this CA, the CA's behind it, and its key (0600). `name`: a domain, or a
 * JID, which becomes an xmppAddr (XEP-0178). */
void pki_save_identity(const struct pki *pki, const char *name, const char *cert, const char *key);

/* A server's context that shows such a certificate. `version`: TLS1_2_VERSION, TLS1_3_VERSION, or
 * 0 for both. Returns owned. */
SSL_CTX *pki_server(const struct pki *pki, enum pki_leaf leaf, int version);

/* A client's context that trusts the certificates in this PEM text and no others; NULL: it
 * checks nothing. Returns owned. */
SSL_CTX *pki_client(const char *pem, int version);

/* The only certificate in the PEM text. Returns owned. */
X509 *pki_parse(const char *pem);

#endif

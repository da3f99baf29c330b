#include "channel_binding.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#define EXPORTER_BYTES 32

static bool exporter(SSL *ssl, struct scram_binding *b);
static bool unique(SSL *ssl, struct scram_binding *b);
static bool end_point(SSL *ssl, struct scram_binding *b);

static const struct {
    const char *name;
    bool (*get)(SSL *ssl, struct scram_binding *b);
} types[] = {
    [CB_EXPORTER] = {"tls-exporter", exporter},
    [CB_UNIQUE] = {"tls-unique", unique},
    [CB_END_POINT] = {"tls-server-end-point", end_point},
};

const char *cb_name(enum cb_type type)
{
    return types[type].name;
}

enum cb_type cb_by_name(const char *name)
{
    int i = 0;

    while (i < CB_TYPES && strcmp(types[i].name, name) != 0)
        i++;
    return (enum cb_type)i;
}

/* RFC 9266 §2. TLS 1.2 would do with an extended master secret, but servers use tls-unique there. */
static bool exporter(SSL *ssl, struct scram_binding *b)
{
    static const char label[] = "EXPORTER-Channel-Binding";

    if (SSL_version(ssl) < TLS1_3_VERSION)
        return false;
    b->len = EXPORTER_BYTES;
    return SSL_export_keying_material(ssl, b->data, b->len, label, sizeof label - 1, NULL, 0, 0) ==
           1;
}

/* RFC 5929 §3.1: the first Finished message of the handshake. The client sends it, in a resumed
 * session the server. TLS 1.3 has no tls-unique any more (RFC 8446 appendix C.5), but clients and
 * servers in the field go on with it, by the same calls of OpenSSL. */
static bool unique(SSL *ssl, struct scram_binding *b)
{
    bool ours = !SSL_is_server(ssl) == !SSL_session_reused(ssl);

    b->len = ours ? SSL_get_finished(ssl, b->data, sizeof b->data)
                  : SSL_get_peer_finished(ssl, b->data, sizeof b->data);
    return b->len > 0 && b->len <= sizeof b->data;
}

/* RFC 5929 §4.1: the certificate, by the hash of its signature; MD5 and SHA-1 become SHA-256. */
static bool end_point(SSL *ssl, struct scram_binding *b)
{
    const X509 *cert = SSL_is_server(ssl) ? SSL_get_certificate(ssl)
                                          : SSL_get0_peer_certificate(ssl);
    int nid = NID_undef;
    unsigned n = 0;
    bool good;

    if (!cert || !X509_get_signature_info((X509 *)cert, &nid, NULL, NULL, NULL))
        return false;
    if (nid == NID_md5 || nid == NID_sha1)
        nid = NID_sha256;
    good = nid != NID_undef && EVP_get_digestbynid(nid) &&
           EVP_MD_get_size(EVP_get_digestbynid(nid)) <= (int)sizeof b->data &&
           X509_digest(cert, EVP_get_digestbynid(nid), b->data, &n) == 1;
    b->len = n;
    return good;
}

bool cb_get(SSL *ssl, enum cb_type type, struct scram_binding *b)
{
    struct scram_binding got = {.flag = 'p'};

    if (!types[type].get(ssl, &got))
        return false;
    snprintf(got.type, sizeof got.type, "%s", types[type].name);
    *b = got;
    return true;
}

#include "facts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "../certs/cert.h"
#include "../decoder/hex.h"
#include "client_cert.h"

static void set(char *out, size_t size, const char *s)
{
    snprintf(out, size, "%s", s ? s : "");
}

static void subject(X509 *cert, char *out, size_t size)
{
    out[0] = '\0';
    if (cert)
        X509_NAME_oneline(X509_get_subject_name(cert), out, (int)size);
}

/* What the server showed: on the client's leg that is us. */
static void server_certificate(struct tls_facts *f, X509 *cert)
{
    EVP_PKEY *key = cert ? X509_get0_pubkey(cert) : NULL;
    const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    subject(cert, f->cert, sizeof f->cert);
    if (type)
        snprintf(f->cert_key, sizeof f->cert_key, "%s %d", type, EVP_PKEY_get_bits(key));
    if (cert && X509_digest(cert, EVP_sha256(), md, &n) == 1 && 2 * n < sizeof f->cert_sha256)
        hex_write(f->cert_sha256, md, n);
}

/* The first xmppAddr (RFC 6120 §13.7.1.4). */
static void jid_of(X509 *cert, char *out, size_t size)
{
    GENERAL_NAMES *names =
        cert ? X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL) : NULL;

    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !*out; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        const ASN1_TYPE *value = g->type == GEN_OTHERNAME ? g->d.otherName->value : NULL;

        if (value && value->type == V_ASN1_UTF8STRING &&
            OBJ_obj2nid(g->d.otherName->type_id) == NID_XmppAddr)
            cert_printable(out, size, (const char *)ASN1_STRING_get0_data(value->value.utf8string),
                           (size_t)ASN1_STRING_length(value->value.utf8string));
    }
    GENERAL_NAMES_free(names);
}

/* What the client showed: on the server's leg that is us, if the server asked. */
static void client_certificate(struct tls_facts *f, SSL *ssl, struct event_tls *ev)
{
    X509 *cert;

    if (SSL_is_server(ssl)) {
        cert = client_cert_shown(ssl);
        ev->client_asked = SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER;
    } else {
        ev->client_asked = client_cert_asked(ssl);
        cert = ev->client_asked ? SSL_get_certificate(ssl) : NULL;
    }
    subject(cert, f->client_cert, sizeof f->client_cert);
    jid_of(cert, f->client_jid, sizeof f->client_jid);
}

/* What the server's side of the handshake was signed with: "RSA-PSS-SHA256". */
static void signature(struct tls_facts *f, SSL *ssl)
{
    static const struct {
        int nid;
        const char *name;
    } types[] = {{EVP_PKEY_RSA, "RSA"},         {EVP_PKEY_RSA_PSS, "RSA-PSS"},
                 {EVP_PKEY_EC, "ECDSA"},        {EVP_PKEY_ED25519, "ED25519"},
                 {EVP_PKEY_ED448, "ED448"}};
    bool ours = SSL_is_server(ssl);
    int type = NID_undef, digest = NID_undef;

    if ((ours ? SSL_get_signature_type_nid(ssl, &type)
              : SSL_get_peer_signature_type_nid(ssl, &type)) != 1)
        return;
    if ((ours ? SSL_get_signature_nid(ssl, &digest) : SSL_get_peer_signature_nid(ssl, &digest)) != 1)
        digest = NID_undef;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].nid == type)
            snprintf(f->signature, sizeof f->signature, "%s%s%s", types[i].name,
                     digest != NID_undef ? "-" : "", digest != NID_undef ? OBJ_nid2sn(digest) : "");
}

static void agreed(struct tls_facts *f, SSL *ssl, struct event_tls *ev)
{
    int nid = (int)SSL_get_negotiated_group(ssl);
    const unsigned char *alpn;
    unsigned n;

    ev->version = SSL_get_version(ssl);
    ev->cipher = SSL_get_cipher_name(ssl);
    ev->resumed = SSL_session_reused(ssl);
    set(f->group, sizeof f->group, nid ? SSL_group_to_name(ssl, nid) : NULL);
    SSL_get0_alpn_selected(ssl, &alpn, &n);
    cert_printable(f->alpn, sizeof f->alpn, (const char *)alpn, n);
    signature(f, ssl);
    client_certificate(f, ssl, ev);
}

void tls_facts(struct tls_facts *f, SSL *ssl, struct event_tls *ev)
{
    *f = (struct tls_facts){0};
    ev->version = ev->cipher = "";
    if (ssl) {
        set(f->sni, sizeof f->sni, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
        server_certificate(f, SSL_is_server(ssl) ? SSL_get_certificate(ssl)
                                                 : SSL_get0_peer_certificate(ssl));
        if (SSL_is_init_finished(ssl))
            agreed(f, ssl, ev);
        ERR_clear_error();
    }
    ev->group = f->group;
    ev->sni = f->sni;
    ev->cert = f->cert;
    ev->cert_key = f->cert_key;
    ev->cert_sha256 = f->cert_sha256;
    ev->signature = f->signature;
    ev->alpn = f->alpn;
    ev->client_cert = f->client_cert;
    ev->client_jid = f->client_jid;
}

const char *tls_domain(const char *domain, char *out, size_t size)
{
    return cert_a_labels(domain, out, size);
}

static bool is_address(const char *name)
{
    unsigned char a[16];

    return inet_pton(AF_INET, name, a) == 1 || inet_pton(AF_INET6, name, a) == 1;
}

bool tls_set_name(SSL *ssl, const char *name)
{
    if (!*name || strlen(name) > TLSEXT_MAXLEN_host_name || is_address(name))
        return true;
    return SSL_set_tlsext_host_name(ssl, name) == 1;
}

#include "facts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <openssl/x509.h>

#include "../certs/cert.h"

static void set(char *out, size_t size, const char *s)
{
    snprintf(out, size, "%s", s ? s : "");
}

/* Ours on the client's leg, the peer's on the server's. */
static void subject(SSL *ssl, char *out, size_t size)
{
    X509 *cert = SSL_is_server(ssl) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);

    out[0] = '\0';
    if (cert)
        X509_NAME_oneline(X509_get_subject_name(cert), out, (int)size);
}

void tls_facts(struct tls_facts *f, SSL *ssl, struct event_tls *ev)
{
    *f = (struct tls_facts){0};
    ev->version = ev->cipher = "";
    if (ssl) {
        bool up = SSL_is_init_finished(ssl);
        int nid = up ? (int)SSL_get_negotiated_group(ssl) : 0;

        set(f->sni, sizeof f->sni, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
        set(f->group, sizeof f->group, nid ? SSL_group_to_name(ssl, nid) : NULL);
        subject(ssl, f->cert, sizeof f->cert);
        if (up) {
            ev->version = SSL_get_version(ssl);
            ev->cipher = SSL_get_cipher_name(ssl);
        }
    }
    ev->group = f->group;
    ev->sni = f->sni;
    ev->cert = f->cert;
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

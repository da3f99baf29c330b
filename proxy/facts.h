/* facts.h: what a TLS connection came to, for the `tls` event. Loop thread.
 */
#ifndef XMPPTAP_FACTS_H
#define XMPPTAP_FACTS_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "../logs/event.h"

/* The strings that an event_tls points to. */
struct tls_facts {
    char group[64];
    char sni[256];
    char cert[256];
    char cert_key[32];
    char cert_sha256[65];
    char signature[48];
    char alpn[32];
    char client_cert[256];
    char client_jid[256];
};

/* Fills all of `ev` but side, ok, verify, error and kind; its strings live in `f` or in OpenSSL
 * for as long as `ssl` does; all "" without `ssl` (NULL). */
void tls_facts(struct tls_facts *f, SSL *ssl, struct event_tls *ev);

/* `domain` as TLS and certificates name it: an internationalized one in A-labels (RFC 5891); one
 * that has no such form as it is. Returns `out`. */
const char *tls_domain(const char *domain, char *out, size_t size);

/* Sends `name` as SNI (RFC 6066 §3); an IP address is not sent. False without memory. */
bool tls_set_name(SSL *ssl, const char *name);

#endif

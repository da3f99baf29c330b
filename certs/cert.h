/* cert.h: making one certificate, and showing parts of one to people.
 *
 * Extensions are built as structures, never parsed from configuration text: a domain comes from
 * the network, and in text "a,DNS:b" would become two names. Any thread; no state.
 */
#ifndef XMPPTAP_CERT_H
#define XMPPTAP_CERT_H

#include <stddef.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "../decoder/errors.h"

#define DAY_S         86400
#define CERT_CN_MAX   64 /* characters; ub-common-name, RFC 5280 appendix A */
#define CERT_DATE_MAX 32
#define SRV_PREFIX    "_xmpp-client." /* of an SRVName, RFC 4985 */

struct cert_request {
    const char *cn;             /* UTF-8, at most CERT_CN_MAX characters; NULL: empty subject */
    const GENERAL_NAMES *names; /* the SAN; NULL: none */
    EVP_PKEY *key;              /* the subject's */
    X509 *issuer;               /* NULL: a self-signed CA */
    EVP_PKEY *issuer_key;
    time_t from, to;
};

/* A signed certificate (RFC 5280): a CA where there is no issuer, else a TLS server's leaf.
 * Borrows the request for the call; returns owned, or NULL with OpenSSL's queue filled. */
X509 *cert_make(const struct cert_request *r);

/* Fills `e` with ERR_CA and "WHAT: OpenSSL's reason", or with ERR_NOMEM where that is the reason;
 * empties OpenSSL's queue. Returns the code. */
int cert_error(struct error *e, const char *what);

/* Seconds since the epoch; 0: it cannot be read. */
time_t cert_time(const ASN1_TIME *t);

/* "2026-01-31 23:59 UTC", or "an unreadable date". Returns `out`. */
const char *cert_date(const ASN1_TIME *t, char out[CERT_DATE_MAX]);

/* The `n` bytes at `p` as text for a message: what is no visible UTF-8 (control characters, text
 * direction marks) becomes `?`, what does not fit `size` ends in "...". Returns `out`. */
const char *cert_printable(char *out, size_t size, const char *p, size_t n);

/* The subject's common name, else its organisation, else "no name"; printable. Returns `out`. */
const char *cert_common_name(X509 *x, char *out, size_t size);
const char *cert_name(const X509_NAME *name, char *out, size_t size);

/* An internationalized domain in A-labels, as DNS has it, and in U-labels, as XMPP has it (RFC 5890
 * §2.3.2.1, RFC 7622 §3.2); any other as it is, and so one that has no such form. Return `out`. */
const char *cert_a_labels(const char *domain, char *out, size_t size);
const char *cert_u_labels(const char *domain, char *out, size_t size);

#endif

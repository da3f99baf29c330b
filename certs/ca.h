/* ca.h: the certificate authority that clients are told to trust, and the leaves it signs.
 *
 * The CA is one file, `ca.pem` in its folder: P-256 key and certificate, mode 0600, made on first
 * use and put in place atomically, so two starts at once agree on one CA. A file whose key others
 * can read is refused. Leaves are cached as ready SSL_CTXs; all of them share one key that lives
 * only in memory. Any thread may ask for a leaf, the rest is the main one's; a context handed out
 * counts its own reference, and is everybody's: what it needs ca_prepare_leaves() sets.
 */
#ifndef XMPPTAP_CA_H
#define XMPPTAP_CA_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "../decoder/errors.h"

struct ca;

#define LEAF_DAYS 397 /* the longest that clients accept */

/* Opens the CA in `dir` (made, 0700, if missing), making it if there is none. `*made` (NULL
 * allowed) tells whether it is new. NULL with `e` filled (ERR_CA, ERR_IO, ERR_NOMEM): names the
 * file and the cure; nothing half-made is left. */
struct ca *ca_open(const char *dir, bool *made, struct error *e);
void ca_free(struct ca *ca);

/* The CA's file, and its certificate. Borrowed until ca_free(). */
const char *ca_path(const struct ca *ca);
X509 *ca_certificate(const struct ca *ca);

/* Writes the certificate alone, without the key, as `xmpptap-ca.crt` (PEM, 0644) beside ca.pem, for
 * programs that want a file; `path` gets its absolute name. ERR_IO, ERR_NOMEM with `e` filled. */
int ca_write_certificate(const struct ca *ca, char *path, size_t size, struct error *e) MUST_CHECK;

/* Calls `prepare` for each context before anybody gets it. Before the first is asked for. */
typedef void leaf_prepare(SSL_CTX *ctx, void *arg);
void ca_prepare_leaves(struct ca *ca, leaf_prepare *prepare, void *arg);

/* A server-side context that shows a leaf for `domain` with SANs of `domain`: DNS, SRVName
 * (_xmpp-client, RFC 4985) and xmppAddr; and with the DNS SANs of `upstream` (NULL allowed; at most
 * 100). Returns a new reference
 * (SSL_CTX_free it), or NULL with `e` filled (ERR_CA, ERR_NOMEM). A domain that is no DNS name
 * (an IP address) gets an IP SAN. TLS 1.2 and 1.3. RFC 6125, RFC 6120 §13.7.1. */
SSL_CTX *ca_leaf_context(struct ca *ca, const char *domain, X509 *upstream, struct error *e);

#endif

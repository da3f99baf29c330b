/* leaf.h: leaves and their cache, behind ca_leaf_context(). Internal to certs/.
 *
 * All leaves share one P-256 key, made with the cache and never written anywhere. Contexts may be
 * asked for by any thread: all see the same leaf for the same names, and tickets of one are good
 * for the other. A lock is held while one is looked up, or made (0.1 ms, once a domain).
 */
#ifndef XMPPTAP_LEAF_H
#define XMPPTAP_LEAF_H

#include <openssl/ssl.h>

#include "ca.h"

#define LEAF_DOMAIN_MAX   1023 /* bytes; RFC 7622 §3.2 */
#define LEAF_UPSTREAM_MAX 100  /* DNS SANs taken from the upstream's certificate */
#define LEAF_CACHE_MAX    256

struct leaf_cache;

/* Takes references of its own to the CA's certificate and key. Returns owned; NULL with `e`
 * filled (ERR_CA, ERR_NOMEM). */
struct leaf_cache *leaf_cache_new(X509 *ca, EVP_PKEY *ca_key, struct error *e);
void leaf_cache_free(struct leaf_cache *c);

/* Before the first is asked for; see ca_prepare_leaves(). */
void leaf_cache_prepare(struct leaf_cache *c, leaf_prepare *prepare, void *arg);

/* A server-side context with everything but certificate and key. Returns owned; NULL without
 * memory. */
SSL_CTX *leaf_bare_context(void);

/* See ca_leaf_context(). */
SSL_CTX *leaf_cache_context(struct leaf_cache *c, const char *domain, X509 *upstream,
                            struct error *e);

#endif

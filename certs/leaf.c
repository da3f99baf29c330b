#include "leaf.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/sha.h>

#include "ca.h"
#include "cert.h"

#define DNS_NAME_MAX  253
#define DNS_LABEL_MAX 63

struct entry {
    unsigned char key[SHA256_DIGEST_LENGTH]; /* of the SAN's DER: domain and upstream's names */
    SSL_CTX *ctx;                            /* NULL: free */
    time_t end;                              /* of the leaf */
    uint64_t used;
};

struct leaf_cache {
    pthread_mutex_t lock; /* of what follows but for the keys: while a leaf is looked up or made */
    leaf_prepare *prepare;
    void *prepare_arg;
    X509 *ca;
    EVP_PKEY *ca_key;
    EVP_PKEY *key;  /* of every leaf */
    uint64_t clock; /* counts uses, for the least recently used one */
    struct entry entry[LEAF_CACHE_MAX];
};

/* ---- names ---- */

static bool letter_digit(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Lower-cased labels of letters, digits, inner hyphens; underscores, which are in use. */
static bool is_dns_name(const char *p, size_t n, bool wildcard)
{
    size_t label = 0;

    if (wildcard && n > 2 && p[0] == '*' && p[1] == '.') {
        p += 2;
        n -= 2;
    }
    if (n == 0 || n > DNS_NAME_MAX)
        return false;
    for (size_t i = 0; i <= n; i++) {
        if (i == n || p[i] == '.') {
            if (label == 0 || label > DNS_LABEL_MAX || p[i - 1] == '-')
                return false;
            label = 0;
        } else if (letter_digit((unsigned char)p[i]) || p[i] == '_' || (p[i] == '-' && label)) {
            label++;
        } else {
            return false;
        }
    }
    return true;
}

/* A domain with U-labels: UTF-8, and of ASCII only what a DNS name may have. */
static bool is_utf8_domain(const char *p, size_t n)
{
    bool beyond_ascii = false;

    while (n > 0) {
        unsigned long c = 0;
        int used = UTF8_getc((const unsigned char *)p, n > 4 ? 4 : (int)n, &c);

        if (used <= 0 || (c >= 0x7f && c < 0xa0))
            return false;
        if (c < 0x7f && !letter_digit((unsigned char)c) && !strchr("-_.", (int)c))
            return false;
        beyond_ascii = beyond_ascii || c >= 0xa0;
        p += used;
        n -= (size_t)used;
    }
    return beyond_ascii;
}

static void lower_case(char *out, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] - 'A' + 'a') : p[i];
}

static GENERAL_NAME *new_string_name(int gen, int string, const void *p, size_t n)
{
    GENERAL_NAME *g = GENERAL_NAME_new();
    ASN1_STRING *s = ASN1_STRING_type_new(string);

    if (!g || !s || !ASN1_STRING_set(s, p, (int)n)) {
        GENERAL_NAME_free(g);
        ASN1_STRING_free(s);
        return NULL;
    }
    GENERAL_NAME_set0_value(g, gen, s);
    return g;
}

static GENERAL_NAME *new_other_name(int nid, int string, const void *p, size_t n)
{
    GENERAL_NAME *g = GENERAL_NAME_new();
    ASN1_TYPE *value = ASN1_TYPE_new();
    ASN1_STRING *s = ASN1_STRING_type_new(string);

    if (!g || !value || !s || !ASN1_STRING_set(s, p, (int)n))
        goto fail;
    ASN1_TYPE_set(value, string, s);
    s = NULL;
    if (!GENERAL_NAME_set0_othername(g, OBJ_nid2obj(nid), value))
        goto fail;
    return g;
fail:
    ASN1_STRING_free(s);
    ASN1_TYPE_free(value);
    GENERAL_NAME_free(g);
    return NULL;
}

/* An address, bare or in an XMPP domain's brackets. Returns its length, 0 if it is none. */
static size_t parse_address(const char *text, size_t n, unsigned char ip[16])
{
    char bare[INET6_ADDRSTRLEN];

    if (inet_pton(AF_INET, text, ip) == 1)
        return 4;
    if (n > 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if (n >= sizeof bare)
        return 0;
    memcpy(bare, text, n);
    bare[n] = '\0';
    return inet_pton(AF_INET6, bare, ip) == 1 ? 16 : 0;
}

/* Takes `g`, NULL without memory. */
static bool add_name(GENERAL_NAMES *names, GENERAL_NAME *g)
{
    if (g && sk_GENERAL_NAME_push(names, g) > 0)
        return true;
    GENERAL_NAME_free(g);
    return false;
}

/* A DNS name three times: as TLS has it, as a client's service of that name (RFC 4985, RFC 6120
 * §13.7.1.2.1), and as a JID's domain (§13.7.1.4). */
static bool add_domain(GENERAL_NAMES *names, const char *dns)
{
    static const char service[] = SRV_PREFIX;
    char srv[sizeof service + DNS_NAME_MAX], jid[LEAF_DOMAIN_MAX + 1];
    int n = snprintf(srv, sizeof srv, "%s%s", service, dns);

    cert_u_labels(dns, jid, sizeof jid);
    return add_name(names, new_string_name(GEN_DNS, V_ASN1_IA5STRING, dns, strlen(dns))) &&
           add_name(names, new_other_name(NID_SRVName, V_ASN1_IA5STRING, srv, (size_t)n)) &&
           add_name(names, new_other_name(NID_XmppAddr, V_ASN1_UTF8STRING, jid, strlen(jid)));
}

/* A domain with U-labels becomes one with A-labels; some have no such form. */
static bool add_utf8_domain(GENERAL_NAMES *names, char text[LEAF_DOMAIN_MAX + 1])
{
    char dns[LEAF_DOMAIN_MAX + 1];

    cert_a_labels(text, dns, sizeof dns);
    if (!is_dns_name(dns, strlen(dns), false))
        return add_name(names,
                        new_other_name(NID_XmppAddr, V_ASN1_UTF8STRING, text, strlen(text)));
    memcpy(text, dns, sizeof dns);
    return add_domain(names, text);
}

/* Adds what says `domain`; `text` gets the domain as it stands there. */
static int add_own_names(GENERAL_NAMES *names, const char *domain, char text[LEAF_DOMAIN_MAX + 1],
                         struct error *e)
{
    size_t n = strlen(domain), ip_len;
    unsigned char ip[16];
    char shown[64];
    bool ok;

    if (n == 0 || n > LEAF_DOMAIN_MAX)
        return error_set(e, ERR_CA,
                         "no certificate for a domain of %zu bytes (1 to %d are allowed); "
                         "look at the `to` or SNI that the client sends",
                         n, LEAF_DOMAIN_MAX);
    if (n > 1 && domain[n - 1] == '.')
        n--; /* the root's dot is no part of a SAN */
    lower_case(text, domain, n);
    text[n] = '\0';
    ip_len = parse_address(text, n, ip);
    if (ip_len)
        ok = add_name(names, new_string_name(GEN_IPADD, V_ASN1_OCTET_STRING, ip, ip_len));
    else if (is_dns_name(text, n, false))
        ok = add_domain(names, text);
    else if (is_utf8_domain(text, n))
        ok = add_utf8_domain(names, text);
    else
        return error_set(e, ERR_CA,
                         "no certificate for \"%s\": it is no domain name; look at the `to` or "
                         "SNI that the client sends",
                         cert_printable(shown, sizeof shown, domain, strlen(domain)));
    return ok ? 0 : error_set(e, ERR_NOMEM, "while naming a leaf");
}

static bool has_name(const GENERAL_NAMES *names, GENERAL_NAME *g)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), g) == 0)
            return true;
    return false;
}

/* Adds one name that a server's certificate carries, unless it is invalid or there already. */
static bool add_dns_name(GENERAL_NAMES *names, const ASN1_STRING *s)
{
    int n = ASN1_STRING_length(s);
    char text[DNS_NAME_MAX + 2];
    GENERAL_NAME *g;

    if (n <= 0 || (size_t)n > sizeof text)
        return true;
    lower_case(text, (const char *)ASN1_STRING_get0_data(s), (size_t)n);
    if (!is_dns_name(text, (size_t)n, true))
        return true;
    g = new_string_name(GEN_DNS, V_ASN1_IA5STRING, text, (size_t)n);
    if (!g)
        return false;
    if (has_name(names, g)) {
        GENERAL_NAME_free(g);
        return true;
    }
    return add_name(names, g);
}

static bool add_upstream_names(GENERAL_NAMES *names, X509 *upstream)
{
    int own = sk_GENERAL_NAME_num(names);
    GENERAL_NAMES *theirs;
    bool ok = true;

    if (!upstream)
        return true;
    theirs = X509_get_ext_d2i(upstream, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; ok && i < sk_GENERAL_NAME_num(theirs); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(theirs, i);

        if (sk_GENERAL_NAME_num(names) - own >= LEAF_UPSTREAM_MAX)
            break;
        if (g->type == GEN_DNS)
            ok = add_dns_name(names, g->d.dNSName);
    }
    GENERAL_NAMES_free(theirs);
    return ok;
}

/* The leaf's SAN; `text` gets the domain. NULL with `e` filled. */
static GENERAL_NAMES *leaf_names(const char *domain, X509 *upstream, char text[LEAF_DOMAIN_MAX + 1],
                                 struct error *e)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    int err = names ? add_own_names(names, domain, text, e) : ERR_NOMEM;

    if (!err && add_upstream_names(names, upstream))
        return names;
    if (!err || !names)
        error_set(e, ERR_NOMEM, "while naming a leaf");
    GENERAL_NAMES_free(names);
    return NULL;
}

/* ---- one leaf ---- */

static size_t utf8_chars(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* Back-dated a day for clients whose clock is behind; never outside the CA's own span. */
static X509 *new_leaf(struct leaf_cache *c, const char *domain, const GENERAL_NAMES *names,
                      time_t *end)
{
    time_t ca_from = cert_time(X509_get0_notBefore(c->ca));
    time_t ca_to = cert_time(X509_get0_notAfter(c->ca));
    struct cert_request r = {
        .cn = utf8_chars(domain) <= CERT_CN_MAX ? domain : NULL,
        .names = names,
        .key = c->key,
        .issuer = c->ca,
        .issuer_key = c->ca_key,
        .from = time(NULL) - DAY_S,
    };

    if (r.from < ca_from)
        r.from = ca_from;
    r.to = r.from + (time_t)LEAF_DAYS * DAY_S - 1; /* both ends count: RFC 5280 §4.1.2.5 */
    if (r.to > ca_to)
        r.to = ca_to;
    *end = r.to;
    return cert_make(&r);
}

SSL_CTX *leaf_bare_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx)
        return NULL;
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    /* Tickets do for resumption; a cache would keep what many clients leave behind. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 1); /* a client has one connection, and making one costs */
    if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static SSL_CTX *new_context(struct leaf_cache *c, X509 *leaf)
{
    SSL_CTX *ctx = leaf_bare_context();

    if (!ctx)
        return NULL;
    if (!SSL_CTX_use_certificate(ctx, leaf) || !SSL_CTX_use_PrivateKey(ctx, c->key) ||
        !SSL_CTX_add1_chain_cert(ctx, c->ca)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/* ---- the cache ---- */

struct leaf_cache *leaf_cache_new(X509 *ca, EVP_PKEY *ca_key, struct error *e)
{
    struct leaf_cache *c = calloc(1, sizeof *c);

    if (!c) {
        error_set(e, ERR_NOMEM, "for the leaves");
        return NULL;
    }
    c->key = EVP_EC_gen("P-256");
    if (!c->key) {
        cert_error(e, "no key for the leaves");
        free(c);
        return NULL;
    }
    pthread_mutex_init(&c->lock, NULL);
    X509_up_ref(ca);
    EVP_PKEY_up_ref(ca_key);
    c->ca = ca;
    c->ca_key = ca_key;
    return c;
}

void leaf_cache_prepare(struct leaf_cache *c, leaf_prepare *prepare, void *arg)
{
    c->prepare = prepare;
    c->prepare_arg = arg;
}

void leaf_cache_free(struct leaf_cache *c)
{
    if (!c)
        return;
    for (int i = 0; i < LEAF_CACHE_MAX; i++)
        SSL_CTX_free(c->entry[i].ctx);
    EVP_PKEY_free(c->key);
    EVP_PKEY_free(c->ca_key);
    X509_free(c->ca);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* The entry with this key, else the one to use for it: free, or the least recently used. */
static struct entry *find_entry(struct leaf_cache *c, const unsigned char *key)
{
    struct entry *oldest = &c->entry[0];

    for (int i = 0; i < LEAF_CACHE_MAX; i++) {
        struct entry *it = &c->entry[i];

        if (it->ctx && memcmp(it->key, key, sizeof it->key) == 0)
            return it;
        if (it->used < oldest->used)
            oldest = it;
    }
    if (oldest->ctx) {
        SSL_CTX_free(oldest->ctx);
        *oldest = (struct entry){0};
    }
    return oldest;
}

static bool san_digest(const GENERAL_NAMES *names, unsigned char key[SHA256_DIGEST_LENGTH])
{
    unsigned char *der = NULL;
    int n = i2d_GENERAL_NAMES(names, &der);
    bool ok = n > 0 && SHA256(der, (size_t)n, key);

    OPENSSL_free(der);
    return ok;
}

/* Fills `it` with a new leaf's context. */
static int fill_entry(struct leaf_cache *c, struct entry *it, const char *domain,
                      const GENERAL_NAMES *names, struct error *e)
{
    time_t end = 0;
    X509 *leaf = new_leaf(c, domain, names, &end);
    SSL_CTX *ctx = leaf ? new_context(c, leaf) : NULL;

    X509_free(leaf);
    if (!ctx)
        return cert_error(e, "cannot make a leaf");
    if (c->prepare)
        c->prepare(ctx, c->prepare_arg);
    it->ctx = ctx;
    it->end = end;
    return 0;
}

/* Under the lock: the context of `key`, a new one if there is none. A new reference, or NULL with
 * `e` filled. */
static SSL_CTX *take_context(struct leaf_cache *c, const unsigned char *key, const char *domain,
                             const GENERAL_NAMES *names, struct error *e)
{
    struct entry *it = find_entry(c, key);

    if (it->ctx && it->end - time(NULL) < DAY_S) {
        SSL_CTX_free(it->ctx);
        *it = (struct entry){0};
    }
    if (!it->ctx && fill_entry(c, it, domain, names, e))
        return NULL;
    memcpy(it->key, key, sizeof it->key);
    it->used = ++c->clock;
    SSL_CTX_up_ref(it->ctx);
    return it->ctx;
}

SSL_CTX *leaf_cache_context(struct leaf_cache *c, const char *domain, X509 *upstream,
                            struct error *e)
{
    char text[LEAF_DOMAIN_MAX + 1];
    unsigned char key[SHA256_DIGEST_LENGTH];
    GENERAL_NAMES *names = leaf_names(domain, upstream, text, e);
    SSL_CTX *ctx = NULL;

    if (!names)
        return NULL;
    if (!san_digest(names, key)) {
        cert_error(e, "cannot make a leaf");
        goto out;
    }
    pthread_mutex_lock(&c->lock);
    ctx = take_context(c, key, text, names, e);
    pthread_mutex_unlock(&c->lock);
out:
    GENERAL_NAMES_free(names);
    ERR_clear_error(); /* what an odd upstream certificate left there is nobody's reason */
    return ctx;
}

/* certs_tests.h: what the tests of certs/ share: a folder of their own, certificates made to
 * order, and handshakes between two SSLs in memory.
 */
#ifndef XMPPTAP_CERTS_TESTS_H
#define XMPPTAP_CERTS_TESTS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "../../certs/ca.h"
#include "../../certs/cert.h"
#include "../../certs/verify.h"

#define COUNT(a)  (sizeof(a) / sizeof *(a))
#define PATH_SIZE 512
#define TEST(f)   cmocka_unit_test_setup_teardown(f, make_test_dir, remove_test_dir)

/* ---- a folder ---- */

static char test_dir[PATH_SIZE];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

/* A fresh folder before each test, gone after it. */
static int make_test_dir(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(test_dir, sizeof test_dir, "%s/xmpptap-certs-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    return mkdtemp(test_dir) ? 0 : -1;
}

static int remove_test_dir(void **state)
{
    (void)state;
    return nftw(test_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *in_test_dir(const char *name, char out[PATH_SIZE * 2])
{
    snprintf(out, PATH_SIZE * 2, "%s/%s", test_dir, name);
    return out;
}

/* ---- certificates ---- */

struct identity {
    EVP_PKEY *key;
    X509 *cert;
};

/* Signed by `issuer`, or by itself (NULL; without key usage, as `openssl req -x509` does it), and
 * valid between these days from now. Takes `names`. */
static inline struct identity make_identity(const char *cn, GENERAL_NAMES *names,
                                            const struct identity *issuer, double from_days,
                                            double to_days)
{
    struct identity id = {.key = EVP_EC_gen("P-256")};
    struct cert_request r = {.cn = cn,
                             .names = names,
                             .key = id.key,
                             .issuer = issuer ? issuer->cert : NULL,
                             .issuer_key = issuer ? issuer->key : NULL,
                             .from = time(NULL) + (time_t)(from_days * DAY_S),
                             .to = time(NULL) + (time_t)(to_days * DAY_S)};

    assert_non_null(id.key);
    id.cert = cert_make(&r);
    assert_non_null(id.cert);
    if (!issuer) {
        int at = X509_get_ext_by_NID(id.cert, NID_key_usage, -1);

        X509_EXTENSION_free(X509_delete_ext(id.cert, at));
        assert_true(X509_sign(id.cert, id.key, NULL));
    }
    GENERAL_NAMES_free(names);
    return id;
}

static inline void free_identity(struct identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
}

/* One SAN of any kind that certs/ reads. */
static inline void add_san(GENERAL_NAMES *names, int nid, const void *p, size_t n)
{
    GENERAL_NAME *g = GENERAL_NAME_new();
    int type = nid == GEN_DNS || nid == NID_SRVName || nid == GEN_EMAIL ? V_ASN1_IA5STRING
               : nid == GEN_IPADD                                       ? V_ASN1_OCTET_STRING
                                                                        : V_ASN1_UTF8STRING;
    ASN1_STRING *s = ASN1_STRING_type_new(type);

    assert_true(ASN1_STRING_set(s, p, (int)n));
    if (nid == NID_SRVName || nid == NID_XmppAddr) {
        ASN1_TYPE *value = ASN1_TYPE_new();

        ASN1_TYPE_set(value, type, s);
        assert_true(GENERAL_NAME_set0_othername(g, OBJ_nid2obj(nid), value));
    } else {
        GENERAL_NAME_set0_value(g, nid, s);
    }
    assert_true(sk_GENERAL_NAME_push(names, g) > 0);
}

static inline GENERAL_NAMES *dns_names(const char *const *list, size_t n)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();

    for (size_t i = 0; i < n; i++)
        add_san(names, GEN_DNS, list[i], strlen(list[i]));
    return names;
}

static inline void write_certificate(const char *path, X509 *cert)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(PEM_write_X509(f, cert));
    assert_int_equal(fclose(f), 0);
}

static inline void assert_days(const ASN1_TIME *t, int days)
{
    int day = 0, second = 0;

    assert_true(ASN1_TIME_diff(&day, &second, NULL, t));
    assert_in_range(day * 86400 + second + 100, days * 86400, days * 86400 + 200);
}

/* Writes key and certificate; either may be NULL. */
static inline void write_ca(const char *path, EVP_PKEY *key, X509 *cert, const char *password)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    if (cert) /* the other way round than ca.c does it: any order will do */
        assert_true(PEM_write_X509(f, cert));
    if (key)
        assert_true(PEM_write_PrivateKey(f, key, password ? EVP_aes_128_cbc() : NULL,
                                         (const unsigned char *)password,
                                         password ? (int)strlen(password) : 0, NULL, NULL));
    assert_int_equal(fclose(f), 0);
}

static inline struct ca *open_ca(const char *name)
{
    char path[PATH_SIZE * 2];
    struct error e = {0};
    struct ca *ca = ca_open(in_test_dir(name, path), NULL, &e);

    if (!ca)
        fail_msg("%s", e.detail);
    return ca;
}

/* ---- handshakes ---- */

struct pair {
    SSL *client, *server;
    bool client_ok, server_ok;       /* this side's handshake is complete */
    bool client_done, server_done;   /* complete or broken */
    struct error client_e, server_e; /* what verify_handshake_error() says on this side */
};

/* Two SSLs, each other's peer through memory. Takes references to the contexts of its own. */
static inline struct pair new_pair(SSL_CTX *client, SSL_CTX *server)
{
    struct pair p = {.client = SSL_new(client), .server = SSL_new(server)};
    BIO *a, *b;

    assert_true(p.client && p.server);
    assert_true(BIO_new_bio_pair(&a, 1 << 16, &b, 1 << 16));
    SSL_set_bio(p.client, a, a);
    SSL_set_bio(p.server, b, b);
    SSL_set_connect_state(p.client);
    SSL_set_accept_state(p.server);
    return p;
}

static inline void free_pair(struct pair *p)
{
    SSL_free(p->client);
    SSL_free(p->server);
}

static inline void step(SSL *ssl, const char *peer, bool *ok, bool *done, struct error *e)
{
    int ret;

    if (*done)
        return;
    ERR_clear_error();
    ret = SSL_do_handshake(ssl);
    if (ret <= 0 && SSL_get_error(ssl, ret) == SSL_ERROR_WANT_READ)
        return;
    *ok = ret == 1;
    *done = true;
    if (ret <= 0)
        verify_handshake_error(ssl, peer, e);
    assert_int_equal(ERR_peek_error(), 0);
}

/* Until both are done, or nothing moves any more. */
static inline void shake(struct pair *p)
{
    for (int i = 0; i < 20 && !(p->client_done && p->server_done); i++) {
        step(p->client, "server", &p->client_ok, &p->client_done, &p->client_e);
        step(p->server, "client", &p->server_ok, &p->server_done, &p->server_e);
    }
}

/* A server's context of the test's own, with `id` and, in `chain`, what is sent besides. */
static inline SSL_CTX *server_context(const struct identity *id, X509 *chain)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    assert_non_null(ctx);
    assert_true(SSL_CTX_use_certificate(ctx, id->cert));
    assert_true(SSL_CTX_use_PrivateKey(ctx, id->key));
    if (chain)
        assert_true(SSL_CTX_add1_chain_cert(ctx, chain));
    return ctx;
}

/* Does `text` hold every part of `parts`, which are parted by `|`? */
static inline void assert_says(const char *text, const char *parts)
{
    while (*parts) {
        size_t n = strcspn(parts, "|");

        if (!memmem(text, strlen(text), parts, n))
            fail_msg("\"%s\" does not say \"%.*s\"", text, (int)n, parts);
        parts += n + (parts[n] == '|');
    }
}

#endif

#include "pki.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DAY 86400

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

/* A certificate of `key` for `name`, signed by `issuer` (NULL: by itself). `days`: until when. */
static X509 *issue(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key, int days)
{
    static long serial = 1000;
    bool ca = strstr(name, "CA") != NULL;
    char san[300];
    X509 *cert = X509_new();
    assert_non_null(cert);
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert), -30L * DAY);
    X509_gmtime_adj(X509_getm_notAfter(cert), (long)days * DAY);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                                (const unsigned char *)name, -1, -1, 0),
                     1);
    X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject);
    add_extension(cert, issuer ? issuer : cert, NID_basic_constraints,
                  ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (ca) {
        add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign");
    } else {
        snprintf(san, sizeof(san), "%s%s",
                 strchr(name, '@') ? "otherName:1.3.6.1.5.5.7.8.5;UTF8:" : "DNS:", name);
        add_extension(cert, issuer ? issuer : cert, NID_subject_alt_name, san);
    }
    assert_true(X509_sign(cert, issuer_key ? issuer_key : key, EVP_sha256()) > 0);
    return cert;
}

void pki_init(struct pki *pki)
{
    static int count; /* two of one name would be a bad signature, not an unknown issuer */
    char name[40];
    pki->ca_key = EVP_EC_gen("P-256");
    assert_non_null(pki->ca_key);
    snprintf(name, sizeof(name), "Test CA %d", ++count);
    pki->ca = issue(pki->ca_key, name, NULL, NULL, 30);
}

void pki_free(struct pki *pki)
{
    X509_free(pki->ca);
    EVP_PKEY_free(pki->ca_key);
}

void pki_save_ca(const struct pki *pki, const char *path)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, pki->ca), 1);
    assert_int_equal(fclose(f), 0);
}

void pki_save_identity(const struct pki *pki, const char *name, const char *cert, const char *key)
{
    EVP_PKEY *k = EVP_EC_gen("P-256");
    assert_non_null(k);
    X509 *x = issue(k, name, pki->ca, pki->ca_key, 30);
    FILE *f = fopen(cert, "we");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, x) && PEM_write_X509(f, pki->ca), 1);
    assert_int_equal(fclose(f), 0);
    f = fopen(key, "we");
    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    assert_int_equal(PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(f), 0);
    X509_free(x);
    EVP_PKEY_free(k);
}

static void set_version(SSL_CTX *ctx, int version)
{
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, version ? version : TLS1_2_VERSION), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version ? version : TLS1_3_VERSION), 1);
}

SSL_CTX *pki_server(const struct pki *pki, enum pki_leaf leaf, int version)
{
    struct pki other = {0};
    if (leaf == LEAF_UNKNOWN_ISSUER)
        pki_init(&other);
    const struct pki *by = leaf == LEAF_UNKNOWN_ISSUER ? &other : pki;
    bool self = leaf == LEAF_SELF_SIGNED;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(key);
    X509 *cert =
        issue(key, leaf == LEAF_WRONG_NAME ? "elsewhere.example" : DOMAIN, self ? NULL : by->ca,
              self ? NULL : by->ca_key, leaf == LEAF_EXPIRED ? -2 : 30);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert_non_null(ctx);
    set_version(ctx, version);
    assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    pki_free(&other);
    return ctx;
}

X509 *pki_parse(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    assert_non_null(bio);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(cert);
    return cert;
}

SSL_CTX *pki_client(const char *pem, int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(ctx);
    set_version(ctx, version);
    if (pem) {
        X509 *ca = pki_parse(pem);
        assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca), 1);
        X509_free(ca);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    }
    return ctx;
}

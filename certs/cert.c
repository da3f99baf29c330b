#include "cert.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <idn2.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#define SERIAL_BITS 128
#define KEY_ID_SIZE 20

/* Bits of KeyUsage, RFC 5280 §4.2.1.3. */
enum { DIGITAL_SIGNATURE = 0, KEY_CERT_SIGN = 5, CRL_SIGN = 6 };

/* The highest bit is set, so it is never 0; DER's leading 0 keeps it positive. */
static bool set_serial(X509 *x)
{
    BIGNUM *bn = BN_new();
    bool ok = bn && BN_rand(bn, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
              BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x));

    BN_free(bn);
    return ok;
}

static bool add_basic_constraints(X509 *x, bool is_ca)
{
    BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
    bool ok = false;

    if (!bc)
        return false;
    if (is_ca) {
        bc->ca = 0xff;
        bc->pathlen = ASN1_INTEGER_new(); /* 0: it signs leaves only */
        if (!bc->pathlen || !ASN1_INTEGER_set(bc->pathlen, 0))
            goto out;
    }
    ok = X509_add1_ext_i2d(x, NID_basic_constraints, bc, 1, X509V3_ADD_DEFAULT) == 1;
out:
    BASIC_CONSTRAINTS_free(bc);
    return ok;
}

static bool add_key_usage(X509 *x, bool is_ca)
{
    ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
    bool ok = usage;

    if (is_ca)
        ok = ok && ASN1_BIT_STRING_set_bit(usage, KEY_CERT_SIGN, 1) &&
             ASN1_BIT_STRING_set_bit(usage, CRL_SIGN, 1);
    else
        ok = ok && ASN1_BIT_STRING_set_bit(usage, DIGITAL_SIGNATURE, 1);
    ok = ok && X509_add1_ext_i2d(x, NID_key_usage, usage, 1, X509V3_ADD_DEFAULT) == 1;
    ASN1_BIT_STRING_free(usage);
    return ok;
}

static bool add_server_auth(X509 *x)
{
    EXTENDED_KEY_USAGE *eku = EXTENDED_KEY_USAGE_new();
    bool ok = eku && sk_ASN1_OBJECT_push(eku, OBJ_nid2obj(NID_server_auth)) > 0 &&
              X509_add1_ext_i2d(x, NID_ext_key_usage, eku, 0, X509V3_ADD_DEFAULT) == 1;

    EXTENDED_KEY_USAGE_free(eku);
    return ok;
}

/* RFC 7093 §2: the leftmost 160 bits of the key's SHA-256. */
static bool add_key_id(X509 *x)
{
    ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
    unsigned char md[EVP_MAX_MD_SIZE];
    bool ok = id && X509_pubkey_digest(x, EVP_sha256(), md, NULL) &&
              ASN1_OCTET_STRING_set(id, md, KEY_ID_SIZE) &&
              X509_add1_ext_i2d(x, NID_subject_key_identifier, id, 0, X509V3_ADD_DEFAULT) == 1;

    ASN1_OCTET_STRING_free(id);
    return ok;
}

static bool add_issuer_key_id(X509 *x, X509 *issuer)
{
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(issuer);
    AUTHORITY_KEYID *aki;
    bool ok;

    if (!id)
        return true; /* a CA from elsewhere may have none */
    aki = AUTHORITY_KEYID_new();
    ok = aki && (aki->keyid = ASN1_OCTET_STRING_dup(id)) &&
         X509_add1_ext_i2d(x, NID_authority_key_identifier, aki, 0, X509V3_ADD_DEFAULT) == 1;
    AUTHORITY_KEYID_free(aki);
    return ok;
}

static bool add_extensions(X509 *x, const struct cert_request *r)
{
    int critical = r->cn ? 0 : 1; /* RFC 5280 §4.2.1.6: with an empty subject it must be */

    if (!add_basic_constraints(x, !r->issuer) || !add_key_usage(x, !r->issuer) || !add_key_id(x))
        return false;
    if (r->issuer && (!add_server_auth(x) || !add_issuer_key_id(x, r->issuer)))
        return false;
    return !r->names || X509_add1_ext_i2d(x, NID_subject_alt_name, (void *)r->names, critical,
                                          X509V3_ADD_DEFAULT) == 1;
}

X509 *cert_make(const struct cert_request *r)
{
    X509 *x = X509_new();

    if (!x || !X509_set_version(x, X509_VERSION_3) || !set_serial(x))
        goto fail;
    if (r->cn &&
        !X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, MBSTRING_UTF8,
                                    (const unsigned char *)r->cn, -1, -1, 0))
        goto fail;
    if (!X509_set_issuer_name(x, X509_get_subject_name(r->issuer ? r->issuer : x)))
        goto fail;
    if (!ASN1_TIME_set(X509_getm_notBefore(x), r->from) ||
        !ASN1_TIME_set(X509_getm_notAfter(x), r->to) || !X509_set_pubkey(x, r->key))
        goto fail;
    /* No digest named: the one that is usual for the key, SHA-256 for P-256. */
    if (!add_extensions(x, r) || !X509_sign(x, r->issuer ? r->issuer_key : r->key, NULL))
        goto fail;
    return x;
fail:
    X509_free(x);
    return NULL;
}

int cert_error(struct error *e, const char *what)
{
    unsigned long err = ERR_peek_error();
    const char *why = err ? ERR_reason_error_string(err) : NULL;
    enum error_code code = ERR_GET_REASON(err) == ERR_R_MALLOC_FAILURE ? ERR_NOMEM : ERR_CA;

    ERR_clear_error();
    return error_set(e, code, "%s: %s", what, why ? why : "no reason given");
}

time_t cert_time(const ASN1_TIME *t)
{
    struct tm tm;

    return t && ASN1_TIME_to_tm(t, &tm) ? timegm(&tm) : 0;
}

const char *cert_date(const ASN1_TIME *t, char out[CERT_DATE_MAX])
{
    struct tm tm;

    if (!t || !ASN1_TIME_to_tm(t, &tm) || !strftime(out, CERT_DATE_MAX, "%Y-%m-%d %H:%M UTC", &tm))
        memcpy(out, "an unreadable date", sizeof "an unreadable date");
    return out;
}

/* No control, and nothing that turns a line's direction or is not seen at all: soft hyphen,
 * Arabic letter mark, General Punctuation, private use, the byte order mark, tags. */
static bool visible(unsigned long c)
{
    static const struct {
        unsigned long from, to;
    } hidden[] = {{0, 0x1f},        {0x7f, 0xa0},     {0xad, 0xad},     {0x61c, 0x61c},
                  {0x2000, 0x206f}, {0xd800, 0xf8ff}, {0xfeff, 0xfeff}, {0xe0000, ~0ul}};

    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (c >= hidden[i].from && c <= hidden[i].to)
            return false;
    return true;
}

const char *cert_printable(char *out, size_t size, const char *p, size_t n)
{
    static const char cut[] = "...";
    size_t len = 0, fits = 0; /* fits: how much can stay when "..." must follow */

    while (n > 0) {
        unsigned long c = 0;
        int used = UTF8_getc((const unsigned char *)p, n > 4 ? 4 : (int)n, &c);
        bool ok = used > 0 && visible(c);
        size_t step = used > 0 ? (size_t)used : 1, add = ok ? step : 1;

        if (len + add >= size) {
            memcpy(out + fits, cut, sizeof cut);
            return out;
        }
        memcpy(out + len, ok ? p : "?", add);
        len += add;
        if (len + sizeof cut <= size)
            fits = len;
        p += step;
        n -= step;
    }
    out[len] = '\0';
    return out;
}

const char *cert_name(const X509_NAME *name, char *out, size_t size)
{
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    unsigned char *text = NULL;
    int n = -1;

    if (at < 0)
        at = X509_NAME_get_index_by_NID(name, NID_organizationName, -1);
    if (at >= 0)
        n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    cert_printable(out, size, n < 0 ? "no name" : (const char *)text, n < 0 ? 7 : (size_t)n);
    OPENSSL_free(text);
    return out;
}

const char *cert_common_name(X509 *x, char *out, size_t size)
{
    return cert_name(X509_get_subject_name(x), out, size);
}

const char *cert_a_labels(const char *domain, char *out, size_t size)
{
    char *a = NULL;
    bool found = idn2_to_ascii_8z(domain, &a, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) == IDN2_OK;

    snprintf(out, size, "%s", found ? a : domain);
    idn2_free(a);
    return out;
}

const char *cert_u_labels(const char *domain, char *out, size_t size)
{
    char *u = NULL, *back = NULL;
    /* There and back: punycode can spell what is no domain name at all. */
    bool found = idn2_to_unicode_8z8z(domain, &u, 0) == IDN2_OK &&
                 idn2_to_ascii_8z(u, &back, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) == IDN2_OK &&
                 strcasecmp(back, domain) == 0;

    snprintf(out, size, "%s", found ? u : domain);
    idn2_free(u);
    idn2_free(back);
    return out;
}

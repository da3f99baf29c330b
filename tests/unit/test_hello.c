/* ClientHellos as OpenSSL sends them, cut and joined as a network may, and what is none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "../../proxy/hello.h"

static const unsigned char protocols[] = "\x0bxmpp-client\x02h2";

/* What a client sends first. Returns its length. */
static size_t make(const char *name, bool alpn, unsigned char *out, size_t size)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *sent = BIO_new(BIO_s_mem());
    int n;

    SSL_set_bio(ssl, in, sent);
    SSL_set_connect_state(ssl);
    if (name)
        assert_int_equal(SSL_set_tlsext_host_name(ssl, name), 1);
    if (alpn)
        assert_int_equal(SSL_set_alpn_protos(ssl, protocols, sizeof protocols - 1), 0);
    SSL_do_handshake(ssl);
    n = BIO_read(sent, out, (int)size);
    assert_true(n > 0);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return (size_t)n;
}

static void test_names(void **state)
{
    static const struct {
        const char *name;
        bool alpn;
    } rows[] = {{"example.org", true}, {"xn--bcher-kva.example", false}, {NULL, true},
                {NULL, false}};
    unsigned char b[HELLO_MAX];
    struct hello h;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = make(rows[i].name, rows[i].alpn, b, sizeof b);

        assert_int_equal(hello_read(b, n, &h), HELLO_WHOLE);
        assert_string_equal(h.name, rows[i].name ? rows[i].name : "");
        assert_int_equal(hello_offers(&h, "xmpp-client"), rows[i].alpn);
        assert_int_equal(hello_offers(&h, "h2"), rows[i].alpn);
        assert_false(hello_offers(&h, "xmpp"));
        assert_int_equal(h.alpn_len, rows[i].alpn ? sizeof protocols - 1 : 0);
    }
}

/* Every beginning is a beginning; what comes behind it changes nothing. */
static void test_pieces(void **state)
{
    unsigned char b[HELLO_MAX];
    size_t n = make("example.org", true, b, sizeof b - 3);
    struct hello h;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        unsigned char *part = malloc(i ? i : 1); /* exact: reading behind it is seen */

        memcpy(part, b, i);
        assert_int_equal(hello_read(part, i, &h), HELLO_MORE);
        free(part);
    }
    memcpy(b + n, "\x17\x03\x03", 3);
    assert_int_equal(hello_read(b, n + 3, &h), HELLO_WHOLE);
}

/* One record becomes many: the fragment's bytes, `step` a record. */
static size_t fragment(const unsigned char *p, size_t n, size_t step, unsigned char *out)
{
    size_t len = 0;

    for (size_t at = 5; at < n; at += step) {
        size_t size = n - at < step ? n - at : step;
        unsigned char header[5] = {0x16, 3, 1, (unsigned char)(size >> 8), (unsigned char)size};

        memcpy(out + len, header, 5);
        memcpy(out + len + 5, p + at, size);
        len += 5 + size;
    }
    return len;
}

static void test_records(void **state)
{
    static unsigned char b[HELLO_MAX], many[8 * HELLO_MAX];
    size_t n = make("example.org", true, b, sizeof b);
    struct hello h;

    (void)state;
    for (size_t step = 1; step < n; step += 3) {
        size_t len = fragment(b, n, step, many);

        assert_int_equal(hello_read(many, len, &h), HELLO_WHOLE);
        assert_string_equal(h.name, "example.org");
        assert_int_equal(hello_read(many, len - 1, &h), HELLO_MORE);
    }
}

/* Any byte may be any other: the answer is one of three, and nothing outside is read. */
static void test_hostile(void **state)
{
    unsigned char b[HELLO_MAX];
    size_t n = make("example.org", true, b, sizeof b);
    unsigned char *copy = malloc(n);
    struct hello h;

    (void)state;
    for (size_t i = 0; i < n; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(copy, b, n);
            copy[i] ^= (unsigned char)(1u << bit);
            assert_in_range(hello_read(copy, n, &h), HELLO_MORE, HELLO_BAD);
            assert_true(memchr(h.name, 0, sizeof h.name));
            assert_true(h.alpn_len <= sizeof h.alpn);
            hello_offers(&h, "xmpp-client");
        }
    free(copy);
}

static void test_none(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        enum hello_state is;
    } rows[] = {
        {"", 0, HELLO_MORE},
        {"\x16", 1, HELLO_MORE},
        {"\x16\x03", 2, HELLO_MORE},
        {"<", 1, HELLO_BAD},
        {"\x16\x02", 2, HELLO_BAD},
        {"\x15\x03\x01\x00\x02", 5, HELLO_BAD},         /* an alert */
        {"\x16\x03\x01\x00\x00", 5, HELLO_BAD},         /* a record without a byte, for ever */
        {"\x16\x03\x01\x00\x01\x02", 6, HELLO_BAD},     /* a ServerHello */
        {"\x16\x03\x01\x7f\xff\x01", 6, HELLO_BAD},     /* larger than any record */
        {"\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9, HELLO_BAD}, /* larger than any hello */
        {"\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9, HELLO_BAD}, /* nothing in it */
    };
    struct hello h;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(hello_read(rows[i].bytes, rows[i].n, &h), rows[i].is);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),   cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_records), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

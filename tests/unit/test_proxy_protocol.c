/* PROXY protocol headers, read at every split and written; prefixes of addresses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../proxy/address.h"
#include "../../proxy/proxy_protocol.h"

#define SIG   "\r\n\r\n\0\r\nQUIT\n"
#define BEHIND "<?xml version='1.0'?>" /* what follows a header is not its own */
#define BYTES(s) s, sizeof s - 1
#define V4  "\xc0\x00\x02\x01" "\xc6\x33\x64\x02" "\x9c\x40" "\x14\x66" /* 192.0.2.1:40000, 198.51.100.2:5222 */
#define V6  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" \
            "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02" "\x9c\x40" "\x14\x66"
#define X10 "xxxxxxxxxx"
#define X90 X10 X10 X10 X10 X10 X10 X10 X10 X10

static const struct row {
    const char *bytes;
    size_t n;
    enum proxy_header_state state;
    const char *from, *to; /* NULL: not known */
} rows[] = {
    {BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 40000 5222\r\n"), PROXY_HEADER_WHOLE,
     "192.0.2.1:40000", "198.51.100.2:5222"},
    {BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 40000 5222\r\n"), PROXY_HEADER_WHOLE,
     "[2001:db8::1]:40000", "[2001:db8::2]:5222"},
    {BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n"), PROXY_HEADER_WHOLE,
     "255.255.255.255:65535", "255.255.255.255:0"},
    {BYTES("PROXY UNKNOWN\r\n"), PROXY_HEADER_WHOLE, NULL, NULL},
    {BYTES("PROXY UNKNOWN ffff:f...f:ffff what ever 1 2\r\n"), PROXY_HEADER_WHOLE, NULL, NULL},
    {BYTES("PROXY UNKNOWN " X90 "x\r\n"), PROXY_HEADER_WHOLE, NULL, NULL},  /* 107 bytes */
    {BYTES("PROXY UNKNOWN " X90 "xx\r\n"), PROXY_HEADER_BAD, NULL, NULL},   /* 108 */
    {BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 40000 5222\n"), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES("PROXY \n"), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES("PROXY \r\n"), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES("PROXY TCP4\r\n"), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES("PROXY TCP5 192.0.2.1 198.51.100.2 40000 5222\r\n"), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES("PROXY TCP6 192.0.2.1 198.51.100.2 40000 5222\r\n"), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES("PROXY TCP4 2001:db8::1 2001:db8::2 40000 5222\r\n"), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 40000\r\n"), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 40000 5222 \r\n"), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 40000 5222 1\r\n"), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES("PROXY TCP4  192.0.2.1 198.51.100.2 40000 5222\r\n"), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 40000 65536\r\n"), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 40000 05222\r\n"), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 -1 5222\r\n"), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.1\0 198.51.100.2 1 5222\r\n"), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES("PROXY TCP4 192.0.2.256 198.51.100.2 1 5222\r\n"), PROXY_HEADER_BAD, NULL, NULL},

    {BYTES(SIG "\x21\x11\0\x0c" V4), PROXY_HEADER_WHOLE, "192.0.2.1:40000", "198.51.100.2:5222"},
    {BYTES(SIG "\x21\x21\0\x24" V6), PROXY_HEADER_WHOLE, "[2001:db8::1]:40000",
     "[2001:db8::2]:5222"},
    /* With TLVs: an authority (0x02), a CRC (0x03). */
    {BYTES(SIG "\x21\x11\0\x1b" V4 "\x02\0\x05" "a.b.c" "\x03\0\x04" "\x01\x02\x03\x04"),
     PROXY_HEADER_WHOLE, "192.0.2.1:40000", "198.51.100.2:5222"},
    {BYTES(SIG "\x21\0\0\0"), PROXY_HEADER_WHOLE, NULL, NULL},
    {BYTES(SIG "\x21\0\0\x03" "abc"), PROXY_HEADER_WHOLE, NULL, NULL},
    {BYTES(SIG "\x21\x31\0\x03" "abc"), PROXY_HEADER_WHOLE, NULL, NULL},
    {BYTES(SIG "\x20\0\0\0"), PROXY_HEADER_WHOLE, NULL, NULL},
    {BYTES(SIG "\x20\x11\0\x0c" V4), PROXY_HEADER_WHOLE, NULL, NULL}, /* LOCAL: not to be used */
    {BYTES(SIG "\x20\xff\0\x01" "x"), PROXY_HEADER_WHOLE, NULL, NULL},
    {BYTES(SIG "\x11\x11\0\x0c" V4), PROXY_HEADER_BAD, NULL, NULL}, /* version 1 */
    {BYTES(SIG "\x22\x11\0\x0c" V4), PROXY_HEADER_BAD, NULL, NULL}, /* no such command */
    {BYTES(SIG "\x21\x12\0\x0c" V4), PROXY_HEADER_BAD, NULL, NULL}, /* UDP */
    {BYTES(SIG "\x21\x41\0\x0c" V4), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES(SIG "\x21\x11\0\x0b" V4), PROXY_HEADER_BAD, NULL, NULL}, /* too short for IPv4 */
    {BYTES(SIG "\x21\x21\0\x23" V6), PROXY_HEADER_BAD, NULL, NULL},
    {BYTES(SIG "\x21\x11\xff\xff" V4), PROXY_HEADER_BAD, NULL, NULL}, /* over the cap */
    {BYTES(SIG "\x20\0\x0f\xf1"), PROXY_HEADER_BAD, NULL, NULL},      /* by one */

    {BYTES("<?xml version='1.0'?>"), PROXY_HEADER_NONE, NULL, NULL},
    {BYTES("\x16\x03\x01"), PROXY_HEADER_NONE, NULL, NULL},
    {BYTES("PROXI"), PROXY_HEADER_NONE, NULL, NULL},
    {BYTES("PROXYTCP4 "), PROXY_HEADER_NONE, NULL, NULL},
    {BYTES("POST / HTTP/1.1\r\n"), PROXY_HEADER_NONE, NULL, NULL},
    {BYTES("\r\n\r\n<stream"), PROXY_HEADER_NONE, NULL, NULL}, /* white space first */
    {BYTES("\r\n\r\n\0\r\nQUIT\r"), PROXY_HEADER_NONE, NULL, NULL},
    {BYTES(" PROXY TCP4"), PROXY_HEADER_NONE, NULL, NULL},

    {BYTES(""), PROXY_HEADER_MORE, NULL, NULL},
    {BYTES("P"), PROXY_HEADER_MORE, NULL, NULL},
    {BYTES("\r\n\r\n"), PROXY_HEADER_MORE, NULL, NULL},
    {BYTES("PROXY UNKNOWN " X90), PROXY_HEADER_MORE, NULL, NULL},
    {BYTES(SIG "\x21\x11\0\x0c" "\xc0\x00\x02\x01"), PROXY_HEADER_MORE, NULL, NULL},
    {BYTES(SIG "\x20\0\x0f\xf0" "x"), PROXY_HEADER_MORE, NULL, NULL}, /* the cap exactly */
};
#define ROWS (sizeof rows / sizeof *rows)

static void check_header(const struct row *r, const struct proxy_header *h)
{
    char from[ADDRESS_TEXT], to[ADDRESS_TEXT];

    assert_int_equal(h->size, r->n);
    assert_int_equal(h->known, r->from != NULL);
    if (!r->from)
        return;
    assert_string_equal(address_text(&h->from, from, sizeof from), r->from);
    assert_string_equal(address_text(&h->to, to, sizeof to), r->to);
}

/* A copy without a byte behind it, so that the sanitizer sees a read too far. */
static enum proxy_header_state read_exactly(const char *p, size_t n, struct proxy_header *h,
                                            struct error *e)
{
    char *copy = test_malloc(n ? n : 1);
    enum proxy_header_state state;

    memcpy(copy, p, n);
    e->code = ERR_NONE;
    state = proxy_header_read(copy, n, h, e);
    test_free(copy);
    if (state == PROXY_HEADER_BAD) {
        assert_int_equal(e->code, ERR_PROXY_HEADER);
        assert_true(*e->detail);
    }
    return state;
}

/* What is decided at one length is decided so at every length. */
static void test_read(void **state)
{
    struct proxy_header h;
    struct error e;

    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        enum proxy_header_state got, before = PROXY_HEADER_MORE;

        for (size_t n = 0; n <= r->n; n++) {
            got = read_exactly(r->bytes, n, &h, &e);
            if (before != PROXY_HEADER_MORE && got != before)
                fail_msg("row %zu: another answer at %zu bytes", i, n);
            before = got;
        }
        if (got != r->state)
            fail_msg("row %zu: state %d, not %d: %s", i, got, r->state, e.detail);
        if (got == PROXY_HEADER_WHOLE)
            check_header(r, &h);
    }
}

static void test_data_behind(void **state)
{
    char bytes[512];
    struct proxy_header h;
    struct error e;

    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];

        if (r->state != PROXY_HEADER_WHOLE)
            continue;
        memcpy(bytes, r->bytes, r->n);
        memcpy(bytes + r->n, BYTES(BEHIND));
        assert_int_equal(read_exactly(bytes, r->n + sizeof BEHIND - 1, &h, &e),
                         PROXY_HEADER_WHOLE);
        check_header(r, &h);
    }
}

static void test_longest(void **state)
{
    static char bytes[PROXY_HEADER_MAX] = SIG "\x21\x11\x0f\xf0" V4;
    struct proxy_header h;
    struct error e;

    (void)state;
    assert_int_equal(read_exactly(bytes, sizeof bytes - 1, &h, &e), PROXY_HEADER_MORE);
    assert_int_equal(read_exactly(bytes, sizeof bytes, &h, &e), PROXY_HEADER_WHOLE);
    assert_int_equal(h.size, sizeof bytes);
}

static const struct {
    enum proxy_header_version version;
    const char *from, *to; /* "": of no known family */
    const char *bytes;
    size_t n;
} written[] = {
    {PROXY_HEADER_V2, "192.0.2.1:40000", "198.51.100.2:5222", BYTES(SIG "\x21\x11\0\x0c" V4)},
    {PROXY_HEADER_V2, "[2001:db8::1]:40000", "[2001:db8::2]:5222",
     BYTES(SIG "\x21\x21\0\x24" V6)},
    {PROXY_HEADER_V2, "192.0.2.1:40000", "[2001:db8::2]:5222",
     BYTES(SIG "\x21\x21\0\x24" "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01"
               "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02" "\x9c\x40" "\x14\x66")},
    {PROXY_HEADER_V2, "", "198.51.100.2:5222", BYTES(SIG "\x21\0\0\0")},
    {PROXY_HEADER_V1, "192.0.2.1:40000", "198.51.100.2:5222",
     BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 40000 5222\r\n")},
    {PROXY_HEADER_V1, "[2001:db8::1]:40000", "[2001:db8::2]:5222",
     BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 40000 5222\r\n")},
    {PROXY_HEADER_V1, "[2001:db8::1]:40000", "198.51.100.2:5222",
     BYTES("PROXY TCP6 2001:db8::1 ::ffff:198.51.100.2 40000 5222\r\n")},
    {PROXY_HEADER_V1, "", "", BYTES("PROXY UNKNOWN\r\n")},
    {PROXY_HEADER_V1, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
     BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n")},
};

static void test_write(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        struct sockaddr_storage from = {0}, to = {0};
        struct proxy_header h;
        struct error e;
        char out[PROXY_HEADER_OUT];

        assert_true(!*written[i].from || address_parse(written[i].from, &from));
        assert_true(!*written[i].to || address_parse(written[i].to, &to));
        assert_int_equal(proxy_header_write(written[i].version, &from, &to, out), written[i].n);
        assert_memory_equal(out, written[i].bytes, written[i].n);
        assert_int_equal(read_exactly(out, written[i].n, &h, &e), PROXY_HEADER_WHOLE);
    }
}

/* ---- prefixes ---- */

static const struct {
    const char *cidr, *address;
    int has; /* -1: it is none */
} prefixes[] = {
    {"192.0.2.0/24", "192.0.2.255:1", 1},
    {"192.0.2.0/24", "192.0.3.0:1", 0},
    {"192.0.2.128/25", "192.0.2.127:1", 0},
    {"192.0.2.128/25", "192.0.2.128:1", 1},
    {"192.0.2.7", "192.0.2.7:1", 1},
    {"192.0.2.7", "192.0.2.6:1", 0},
    {"192.0.2.7/32", "192.0.2.7:1", 1},
    {"0.0.0.0/0", "203.0.113.9:1", 1},
    {"0.0.0.0/0", "[2001:db8::1]:1", 0},
    {"::/0", "[2001:db8::1]:1", 1},
    {"::/0", "203.0.113.9:1", 0},
    {"2001:db8::/33", "[2001:db8:7fff::1]:1", 1},
    {"2001:db8::/33", "[2001:db8:8000::1]:1", 0},
    {"::1", "[::1]:1", 1},
    {"192.0.2.0/24", "[::ffff:192.0.2.1]:1", 1}, /* as a socket for both families has it */
    {"192.0.2.1/24", "192.0.2.1:1", -1},
    {"192.0.2.0/33", "192.0.2.0:1", -1},
    {"2001:db8::/129", "[2001:db8::]:1", -1},
    {"192.0.2.0/", "192.0.2.0:1", -1},
    {"192.0.2.0/+8", "192.0.2.0:1", -1},
    {"192.0.2/24", "192.0.2.0:1", -1},
    {"example.org", "192.0.2.0:1", -1},
    {"", "192.0.2.0:1", -1},
    {"/8", "192.0.2.0:1", -1},
};

static void test_prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        struct sockaddr_storage a = {0};
        struct cidr c;
        int has = -1;

        assert_true(address_parse(prefixes[i].address, &a));
        address_unmap(&a);
        if (cidr_parse(prefixes[i].cidr, &c))
            has = cidr_has(&c, &a);
        if (has != prefixes[i].has)
            fail_msg("%s, %s: %d", prefixes[i].cidr, prefixes[i].address, has);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),     cmocka_unit_test(test_data_behind),
        cmocka_unit_test(test_longest),  cmocka_unit_test(test_write),
        cmocka_unit_test(test_prefixes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

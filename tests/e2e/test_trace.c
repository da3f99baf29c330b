/* The documented exchange through the real program: sockets and TLS at both ends, every byte
 * checked at both ends, and the documented transcript out of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pair.h"
#include "records.h"
#include "run.h"

#define EXCHANGE   "tests/data/trace/exchange.tsv"
#define DOCUMENTED "tests/data/trace/documented.txt"
#define ITEMS      33
#define AUTH_ITEM  10
#define PASSWORD   "s3cr3t-Pa55word"
#define ACCOUNT    "guanfei"

struct item {
    bool c2s;
    struct bytes bytes;
};

/* Items as the document numbers them: [1] is the last on the wire. */
static struct item items[ITEMS + 1];

/* ---- the documented data ---- */

static void unescape(const char *s, struct bytes *out)
{
    for (; *s; s++) {
        bool nl = s[0] == '\\' && s[1] == 'n';
        bytes_add(out, nl ? "\n" : s, 1);
        s += nl;
    }
}

static int load_items(void **state)
{
    struct bytes text = {0};
    int n = 0;
    (void)state;
    assert_true(bytes_file(&text, EXCHANGE));
    for (char *save, *line = strtok_r(text.p, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        if (*line == '#')
            continue;
        char *dir = strchr(line, '\t');
        char *label = dir ? strchr(dir + 1, '\t') : NULL;
        char *bytes = label ? strchr(label + 1, '\t') : NULL;
        assert_non_null(bytes);
        assert_int_equal(strtol(line, NULL, 10), ++n);
        assert_true(n <= ITEMS);
        items[n].c2s = strncmp(dir + 1, "c2s", 3) == 0;
        unescape(bytes + 1, &items[n].bytes);
    }
    assert_int_equal(n, ITEMS);
    bytes_free(&text);
    return 0;
}

static int free_items(void **state)
{
    (void)state;
    for (int i = 1; i <= ITEMS; i++)
        bytes_free(&items[i].bytes);
    return 0;
}

/* documented.txt without blank lines, its first section moved to the end. */
static void documented(struct bytes *want)
{
    struct bytes file = {0}, text = {0};
    assert_true(bytes_file(&file, DOCUMENTED));
    bytes_without_blank_lines(&file, &text);
    const char *second = strstr(text.p + 4, "\n####");
    assert_non_null(second);
    size_t first = (size_t)(second + 1 - text.p);
    bytes_add(want, text.p + first, text.len - first);
    if (text.p[text.len - 1] != '\n')
        bytes_str(want, "\n");
    bytes_add(want, text.p, first);
    bytes_free(&file);
    bytes_free(&text);
}

static void assert_documented(const struct bytes *transcript)
{
    struct bytes want = {0}, got = {0};
    size_t i = 0;
    documented(&want);
    bytes_without_blank_lines(transcript, &got);
    while (i < want.len && i < got.len && want.p[i] == got.p[i])
        i++;
    if (i < want.len || i < got.len)
        fail_msg("the transcript differs at byte %zu: expected\n%.300s\ngot\n%.300s", i, want.p + i,
                 got.p + i);
    bytes_free(&want);
    bytes_free(&got);
}

/* ---- playing it ---- */

static void play_init(struct pair *p, struct box *b, int version, size_t write_max, size_t wire_max)
{
    pair_init_tls(p, b, box_ca_pem(b), LEAF_GOOD, version);
    p->client.write_max = p->server.write_max = write_max;
    p->client.wire_max = p->server.wire_max = wire_max;
    p->client.timeout_ms = p->server.timeout_ms = 60000;
}

/* An item goes out and is received whole before anything else happens. */
static void pass(struct pair *p, int n)
{
    struct peer *from = items[n].c2s ? &p->client : &p->server;
    struct peer *to = items[n].c2s ? &p->server : &p->client;
    PEER_OK(from, peer_send(from, items[n].bytes.p, items[n].bytes.len));
    if (to->fd < 0)
        PEER_OK(to, peer_accept(to, p->listener)); /* dialled at the client's first byte */
    PEER_OK(to, peer_expect(to, items[n].bytes.p, items[n].bytes.len));
}

/* <proceed/>: the server's TLS stands before the client is told to begin. */
static void proceed(struct pair *p, int n)
{
    PEER_OK(&p->server, peer_send(&p->server, items[n].bytes.p, items[n].bytes.len));
    PEER_OK(&p->server, peer_tls_accept(&p->server, p->server_ctx));
    assert_string_equal(p->server.sni, DOMAIN);
    PEER_OK(&p->client, peer_expect(&p->client, items[n].bytes.p, items[n].bytes.len));
    PEER_OK(&p->client, peer_tls_connect(&p->client, p->client_ctx, DOMAIN));
}

static void play(struct pair *p, int proxy_port, int version)
{
    PEER_OK(&p->client, peer_connect(&p->client, proxy_port));
    for (int n = 2; n <= ITEMS; n++) {
        if (n == 6)
            proceed(p, n);
        else
            pass(p, n);
    }
    pass(p, 1);
    assert_int_equal(SSL_version(p->client.ssl), version);
    assert_int_equal(SSL_version(p->server.ssl), version);
    peer_close(&p->client);
    PEER_OK(&p->server, peer_expect_end(&p->server));
}

/* ---- what came out ---- */

static void sent_bytes(bool c2s, struct bytes *out)
{
    for (int n = 2; n <= ITEMS; n++)
        if (items[n].c2s == c2s)
            bytes_add(out, items[n].bytes.p, items[n].bytes.len);
    if (c2s)
        bytes_add(out, items[1].bytes.p, items[1].bytes.len);
}

static void assert_archive(struct box *b)
{
    struct records r;
    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), 1);
    assert_true(record_is(r.line[r.lines - 1], "event", "end"));
    for (int c2s = 0; c2s < 2; c2s++) {
        struct bytes want = {0}, got = {0};
        sent_bytes(c2s, &want);
        records_bytes(&r, NULL, c2s ? "c2s" : "s2c", &got);
        assert_int_equal(got.len, want.len);
        assert_memory_equal(got.p, want.p, want.len);
        bytes_free(&want);
        bytes_free(&got);
    }
    assert_int_equal(records_count(&r, "tls"), 2);
    assert_int_equal(records_count(&r, "edit"), 0);
    assert_int_equal(records_count(&r, "violation"), 0);
    records_free(&r);
}

struct row {
    const char *name;
    int version;
    size_t write_max, wire_max;
};

static const struct row rows[] = {
    {"documented exchange, TLS 1.2", TLS1_2_VERSION, 0, 0},
    {"documented exchange, TLS 1.3", TLS1_3_VERSION, 0, 0},
    {"documented exchange byte by byte, TLS 1.2", TLS1_2_VERSION, 1, 0},
    {"documented exchange byte by byte, TLS 1.3", TLS1_3_VERSION, 1, 0},
    {"documented exchange, TLS records byte by byte", TLS1_3_VERSION, 1, 1},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void test_trace(void **state)
{
    struct box *b = *state;
    const struct row *row = b->row;
    struct pair p;
    play_init(&p, b, row->version, row->write_max, row->wire_max);
    struct run *proxy = run_proxy(b, p.port, "--secrets", "keep", NULL);
    play(&p, proxy->port, row->version);
    run_stop(proxy);
    pair_free(&p);

    assert_documented(&proxy->out.text);
    struct run *show = run_program(b, "show", "-d", b->archive, NULL);
    assert_int_equal(show->status, 0);
    assert_documented(&show->out.text);
    assert_archive(b);
    box_done(b);
}

/* ---- secrets ---- */

static void base64(const char *s, size_t n, struct bytes *out)
{
    unsigned char text[200];
    int len = EVP_EncodeBlock(text, (const unsigned char *)s, (int)n);
    bytes_add(out, text, (size_t)len);
}

/* The password in no spelling: the text, or base64 whatever stands before it. */
static void assert_no_password(const char *where, const struct bytes *text)
{
    static const char message[] = "\0" ACCOUNT "\0" PASSWORD;
    struct bytes spelled = {0};
    if (bytes_has(text, PASSWORD))
        fail_msg("the password stands in %s", where);
    base64(message, sizeof(message) - 1, &spelled);
    if (bytes_has(text, spelled.p))
        fail_msg("the password stands in %s, in base64", where);
    for (size_t cut = 0; cut < 3; cut++) {
        struct bytes part = {0};
        base64(PASSWORD + cut, 9, &part);
        if (bytes_has(text, part.p))
            fail_msg("a part of the password stands in %s, in base64", where);
        bytes_free(&part);
    }
    bytes_free(&spelled);
}

static void test_redacted(void **state)
{
    static const char message[] = "\0" ACCOUNT "\0" PASSWORD;
    struct box *b = *state;
    struct pair p;
    struct records r;
    struct bytes kept = items[AUTH_ITEM].bytes, auth = {0};
    bytes_str(&auth, "<auth xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\" mechanism=\"PLAIN\">");
    base64(message, sizeof(message) - 1, &auth);
    bytes_str(&auth, "</auth>");

    play_init(&p, b, 0, 0, 0);
    struct run *proxy = run_proxy(b, p.port, "-v", NULL);
    items[AUTH_ITEM].bytes = auth;
    play(&p, proxy->port, TLS1_3_VERSION);
    items[AUTH_ITEM].bytes = kept;
    bytes_free(&auth);
    run_stop(proxy);
    pair_free(&p);

    assert_true(bytes_has(&proxy->out.text, "[redacted]"));
    assert_no_password("standard output", &proxy->out.text);
    assert_no_password("standard error", &proxy->err.text);
    struct run *show = run_program(b, "show", "-v", "-d", b->archive, NULL);
    assert_int_equal(show->status, 0);
    assert_true(bytes_has(&show->out.text, "[redacted]"));
    assert_no_password("show", &show->out.text);
    records_load(&r, b, b->archive);
    for (size_t i = 0; i < r.lines; i++) {
        struct bytes line = {.p = r.line[i], .len = strlen(r.line[i])};
        assert_no_password("the archive", &line);
    }
    assert_int_equal(records_check(&r), 1);
    records_free(&r);
    box_done(b);
}

int main(void)
{
    struct CMUnitTest tests[ROWS + 1] = {
        cmocka_unit_test_setup_teardown(test_redacted, box_setup, box_teardown),
    };
    for (size_t i = 0; i < ROWS; i++)
        tests[i + 1] = (struct CMUnitTest){rows[i].name, test_trace, box_setup, box_teardown,
                                           (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, load_items, free_items);
}

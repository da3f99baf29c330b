/* Clients and servers that misbehave: the program lives, stays small, relays what is to be
 * relayed byte for byte, and a session beside them keeps its pace. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <string.h>

#include "records.h"
#include "scene.h"

#define MESSAGE    "<message to='x@" DOMAIN "'><body>in the clear</body></message>"
#define SLOW_BYTES (64u << 20)
#define STALLED_MS 400
#define LONG_MS    120000

/* ---- what the hostile client sends ---- */

static void long_attribute(struct bytes *b)
{
    bytes_str(b, "<message><body a='");
    bytes_fill(b, 'A', 1u << 20);
    bytes_str(b, "'/></message>");
}

static void nested(struct bytes *b)
{
    for (int i = 0; i < 200000; i++)
        bytes_str(b, "<a>");
    for (int i = 0; i < 200000; i++)
        bytes_str(b, "</a>");
}

static void long_stanza(struct bytes *b)
{
    bytes_str(b, "<message><body>");
    bytes_fill(b, 'x', 30u << 20);
    bytes_str(b, "</body></message>");
}

static void entity_bomb(struct bytes *b)
{
    char line[200];
    bytes_str(b, "<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY l0 'lol'>");
    for (int i = 1; i < 10; i++) {
        snprintf(line, sizeof(line), "<!ENTITY l%d '", i);
        bytes_str(b, line);
        for (int k = 0; k < 10; k++) {
            snprintf(line, sizeof(line), "&l%d;", i - 1);
            bytes_str(b, line);
        }
        bytes_str(b, "'>");
    }
    bytes_str(b, "]>" STREAM_HEADER "<message><body>&l9;</body></message>");
}

/* The same in every run. It begins neither like TLS nor like XML. */
static void random_bytes(struct bytes *b)
{
    uint32_t x = 2463534242u;
    bytes_str(b, "x");
    for (int i = 0; i < 1 << 18; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        bytes_add(b, &x, 1);
    }
}

static void nul_bytes(struct bytes *b)
{
    bytes_fill(b, '\0', 1u << 16);
}

/* ---- all of it is relayed ---- */

enum where { AT_START, IN_STREAM, LOGGED_IN };

struct row {
    const char *name;
    enum where where;
    void (*make)(struct bytes *b);
    size_t write_max;
    bool violation; /* the archive must call it one */
};

static const struct row rows[] = {
    {"1 MiB attribute in 64-byte pieces", LOGGED_IN, long_attribute, 64, false},
    {"1 MiB attribute in 64-byte pieces before login", IN_STREAM, long_attribute, 64, false},
    {"200000 nested elements", LOGGED_IN, nested, 0, true},
    {"200000 nested elements before login", IN_STREAM, nested, 0, true},
    {"30 MiB of one stanza", LOGGED_IN, long_stanza, 0, false},
    {"30 MiB of one stanza before login", IN_STREAM, long_stanza, 0, false},
    {"entity bomb", AT_START, entity_bomb, 0, true},
    {"entity bomb after login", LOGGED_IN, entity_bomb, 0, true},
    {"random bytes", AT_START, random_bytes, 0, true},
    {"random bytes before login", IN_STREAM, random_bytes, 0, true},
    {"random bytes after login", LOGGED_IN, random_bytes, 0, true},
    {"NULs", AT_START, nul_bytes, 0, true},
    {"NULs after login", LOGGED_IN, nul_bytes, 0, true},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* The hostile session (the second of the run, after the pinging one) stands in the archive byte
 * for byte. */
static void assert_archived(const struct records *r, const char *dir, const struct bytes *tail)
{
    struct bytes id = {0}, got = {0};
    assert_true(records_session(r, 1, &id));
    records_bytes(r, id.p, dir, &got);
    if (got.len < tail->len)
        fail_msg("%zu bytes archived of at least %zu", got.len, tail->len);
    assert_true(memcmp(got.p + got.len - tail->len, tail->p, tail->len) == 0);
    bytes_free(&id);
    bytes_free(&got);
}

static void test_relayed(void **state)
{
    struct box *b = *state;
    const struct row *row = b->row;
    struct bytes bytes = {0};
    struct records r;
    row->make(&bytes);
    struct scene *s = scene_start(b);
    if (row->where == LOGGED_IN)
        scene_login(s);
    else if (row->where == IN_STREAM)
        scene_open(s);
    else
        scene_connect(s);
    s->client.write_max = row->write_max;
    s->client.timeout_ms = s->server.timeout_ms = LONG_MS;

    struct sender *sender = sender_start(s, &s->client, &bytes);
    if (row->where == AT_START)
        scene_accept(s);
    int got = peer_expect(&s->server, bytes.p, bytes.len);
    if (sender_join(sender) != 0 || got != 0)
        fail_msg("client: %s; server: %s", s->client.error, s->server.error);
    scene_keeps_pace(s, 5);
    /* And the way back is still open. */
    PEER_OK(&s->server, peer_sends(&s->server, MESSAGE));
    PEER_OK(&s->client, peer_expects(&s->client, MESSAGE));
    PEER_OK(&s->client, peer_shutdown(&s->client));
    PEER_OK(&s->server, peer_expect_end(&s->server));
    scene_stop(s);

    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), 2);
    assert_int_equal(records_count(&r, "end"), 2);
    assert_int_equal(records_count(&r, "gap"), 0);
    assert_archived(&r, "c2s", &bytes);
    if (row->violation)
        assert_non_null(records_find(&r, "violation"));
    records_free(&r);
    bytes_free(&bytes);
    assert_int_equal(run_program(b, "list", "-d", b->archive, NULL)->status, 0);
    box_done(b);
}

/* ---- plaintext behind <starttls/> ---- */

/* The client's plaintext has been sent. It never reaches the server, which may have got `before`;
 * the session ends for both; the archive says why. */
static void assert_never_forwarded(struct scene *s, const char *before)
{
    struct bytes all = {0}, rest = {0};
    struct records r;
    PEER_OK(&s->server, peer_rest(&s->server, &all));
    if (all.len && !bytes_are(&all, before, strlen(before)))
        fail_msg("the server got: %s", all.p);
    PEER_OK(&s->client, peer_rest(&s->client, &rest));
    assert_false(bytes_has(&rest, PROCEED));
    scene_stop(s);
    records_load(&r, s->box, s->box->archive);
    assert_int_equal(records_check(&r), 2);
    const char *violation = records_find(&r, "violation");
    assert_non_null(violation);
    assert_true(record_is(violation, "dir", "c2s"));
    assert_non_null(strstr(violation, "data-behind-starttls"));
    records_free(&r);
    bytes_free(&all);
    bytes_free(&rest);
    box_done(s->box);
}

static void test_plaintext_with_starttls(void **state)
{
    struct scene *s = scene_start(*state);
    scene_open(s);
    PEER_OK(&s->client, peer_sends(&s->client, STARTTLS MESSAGE));
    assert_never_forwarded(s, STARTTLS);
}

static void test_plaintext_after_starttls(void **state)
{
    struct scene *s = scene_start(*state);
    scene_open(s);
    PEER_OK(&s->client, peer_sends(&s->client, STARTTLS));
    PEER_OK(&s->server, peer_expects(&s->server, STARTTLS));
    PEER_OK(&s->client, peer_sends(&s->client, MESSAGE));
    assert_never_forwarded(s, "");
}

static void test_plaintext_after_proceed(void **state)
{
    struct bytes rest = {0};
    struct scene *s = scene_start(*state);
    scene_open(s);
    PEER_OK(&s->client, peer_sends(&s->client, STARTTLS));
    PEER_OK(&s->server, peer_expects(&s->server, STARTTLS));
    scene_proceed(s);
    PEER_OK(&s->client, peer_sends(&s->client, MESSAGE));
    PEER_OK(&s->server, peer_expect_end(&s->server));
    PEER_OK(&s->client, peer_rest(&s->client, &rest));
    bytes_free(&rest);
    scene_stop(s);
    box_done(s->box);
}

/* ---- a newline behind <starttls/> ---- */

static void test_newline_with_starttls(void **state)
{
    struct records r;
    struct scene *s = scene_start(*state);
    scene_open(s);
    PEER_OK(&s->client, peer_sends(&s->client, STARTTLS "\n"));
    PEER_OK(&s->server, peer_expects(&s->server, STARTTLS "\n"));
    scene_secure(s);
    scene_stop(s);
    records_load(&r, s->box, s->box->archive);
    assert_int_equal(records_count(&r, "violation"), 0);
    assert_int_equal(records_count(&r, "edit"), 0);
    struct bytes id = {0}, got = {0};
    assert_true(records_session(&r, 1, &id)); /* the second: the first one pings */
    records_bytes(&r, id.p, "c2s", &got);
    assert_true(bytes_has(&got, STARTTLS "\n"));
    bytes_free(&id);
    bytes_free(&got);
    records_free(&r);
    box_done(s->box);
}

static void test_newline_after_starttls(void **state)
{
    struct records r;
    struct scene *s = scene_start(*state);
    scene_open(s);
    PEER_OK(&s->client, peer_sends(&s->client, STARTTLS));
    PEER_OK(&s->server, peer_expects(&s->server, STARTTLS));
    PEER_OK(&s->client, peer_sends(&s->client, "\n"));
    scene_secure(s); /* the server's TLS would break on it */
    scene_stop(s);
    records_load(&r, s->box, s->box->archive);
    const char *edit = records_find(&r, "edit");
    assert_non_null(edit);
    assert_true(record_is(edit, "dir", "c2s"));
    assert_int_equal(records_count(&r, "violation"), 0);
    records_free(&r);
    box_done(s->box);
}

/* ---- a slow reader ---- */

static void make_messages(struct bytes *b, size_t bytes)
{
    char head[100];
    for (unsigned i = 0; b->len < bytes; i++) {
        snprintf(head, sizeof(head), "<message id='%08u'><body>", i);
        bytes_str(b, head);
        bytes_fill(b, (char)('a' + i % 26), 1024);
        bytes_str(b, "</body></message>");
    }
}

/* Waits until nothing has been sent for a while. */
static void wait_stalled(struct sender *s)
{
    int64_t deadline = now_ms() + LONG_MS, since = now_ms();
    size_t last = s->sent;
    while (now_ms() - since < STALLED_MS) {
        if (now_ms() > deadline)
            fail_msg("still sending: %zu bytes", s->sent);
        poll(NULL, 0, 10);
        if (s->sent != last) {
            last = s->sent;
            since = now_ms();
        }
    }
    if (s->sent >= s->bytes.len)
        fail_msg("all of it was taken from the sender though nobody reads it");
}

static void slow_reader(struct box *b, bool client_reads)
{
    struct bytes bytes = {0};
    struct scene *s = scene_start(b);
    scene_login(s);
    struct peer *from = client_reads ? &s->server : &s->client;
    struct peer *to = client_reads ? &s->client : &s->server;
    from->timeout_ms = to->timeout_ms = LONG_MS;
    make_messages(&bytes, SLOW_BYTES);
    struct sender *sender = sender_start(s, from, &bytes);
    wait_stalled(sender);
    scene_keeps_pace(s, 5);
    scene_memory(s);
    /* Read at full speed it may outrun the recorder: it pauses then, alone. */
    PEER_OK(to, peer_expect(to, bytes.p, bytes.len));
    PEER_OK(from, sender_join(sender));
    PEER_OK(from, peer_shutdown(from));
    PEER_OK(to, peer_expect_end(to));
    scene_stop(s);
    bytes_free(&bytes);
    box_done(b);
}

static void test_slow_client(void **state)
{
    slow_reader(*state, true);
}

static void test_slow_server(void **state)
{
    slow_reader(*state, false);
}

#define TEST(name)                                                                                 \
    {                                                                                              \
#name, name, box_setup, box_teardown, NULL                                                 \
    }

static const struct CMUnitTest others[] = {
    TEST(test_plaintext_with_starttls),
    TEST(test_plaintext_after_starttls),
    TEST(test_plaintext_after_proceed),
    TEST(test_newline_with_starttls),
    TEST(test_newline_after_starttls),
    TEST(test_slow_client),
    TEST(test_slow_server),
};
#define OTHERS (sizeof(others) / sizeof(others[0]))

int main(void)
{
    struct CMUnitTest tests[OTHERS + ROWS];
    memcpy(tests, others, sizeof(others));
    for (size_t i = 0; i < ROWS; i++)
        tests[OTHERS + i] = (struct CMUnitTest){rows[i].name, test_relayed, box_setup, box_teardown,
                                                (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

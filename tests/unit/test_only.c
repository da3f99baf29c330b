/* --only: which sessions go on to the sinks, when that is known, and what waits until then. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../decoder/buf.h"
#include "../../logs/only.h"

#define BEGIN_US 1700000000000000

/* A sink that writes down what it hears: "a1 a2 b1 ". */
struct heard {
    struct sink sink; /* first */
    struct buf *text; /* borrowed */
    int err;          /* it fails with this */
};

static int hear(struct sink *s, const struct event *ev)
{
    struct heard *h = (struct heard *)s;

    assert_int_equal(buf_printf(h->text, "%s%d%.*s ", ev->session, (int)ev->n,
                                ev->len < 8 ? (int)ev->len : 0, ev->len ? ev->data : ""), 0);
    if (h->err)
        error_set(&s->error, (enum error_code)h->err, "it fails");
    return h->err;
}

static int hear_close(struct sink *s)
{
    free(s);
    return 0;
}

static struct sink *open_only(struct buf *text, int err, const char *const *patterns)
{
    struct heard *h = calloc(1, sizeof *h);
    struct sink *inner[2] = {&h->sink, NULL}, *only;

    buf_init(text, 64u << 20);
    h->sink.event = hear;
    h->sink.close = hear_close;
    h->text = text;
    h->err = err;
    only = only_new(patterns, inner, 0, 1);
    assert_non_null(only);
    return only;
}

static int give(struct sink *s, const char *session, uint64_t n, struct event ev)
{
    ev.session = session;
    ev.n = n;
    ev.time_us = BEGIN_US + (int64_t)n;
    ev.data = ev.data ? ev.data : "";
    return s->event(s, &ev);
}

static void begin(struct sink *s, const char *session, const char *client)
{
    struct event ev = {.kind = EVENT_SESSION,
                       .u.session_facts = {client, "127.0.0.1:5222", "tcp://x", "redact", "t"}};

    give(s, session, 1, ev);
}

/* An item with one fact (or none). */
static void say(struct sink *s, const char *session, uint64_t n, enum dir dir, const char *label,
                const char *name, const char *value)
{
    struct event_fact fact = {name, value};
    struct event ev = {.kind = strncmp(label, "stream.", 7) ? EVENT_STANZA : EVENT_STREAM,
                       .dir = dir, .label = label, .data = "<x/>", .len = 4,
                       .fact = &fact, .facts = name != NULL};

    give(s, session, n, ev);
}

static void end(struct sink *s, const char *session, uint64_t n, const char *account)
{
    struct event ev = {.kind = EVENT_END, .u.end = {.by = SIDE_CLIENT, .code = ERR_CLOSED,
                       .phase = "stream", .detail = "", .account = account, .verdict = "",
                       .sentence = "", .mechanism = "", .resumes = ""}};

    ev.u.end.count[0].sha256[0] = '\0';
    give(s, session, n, ev);
}

/* A login of alice at example.org, and what has been passed on behind each of its events. */
static const struct row {
    const char *name, *patterns[4];
    const char *user; /* of SASL; NULL: none is said */
    int from;         /* the event with which all is passed on; 0: never */
} rows[] = {
    {"the account, by SASL", {"alice@example.org"}, "alice", 4},
    {"the account, by SASL, with its domain", {"alice@example.org"}, "alice@example.org", 4},
    {"the account, by the bound address", {"alice@example.org"}, NULL, 5},
    {"in another case", {"Alice@EXAMPLE.org"}, "alice", 4},
    {"SASL's name is not the account's", {"alice@example.org"}, "carol", 5},
    {"another account", {"bob@example.org"}, "alice", 0},
    {"the same account elsewhere", {"alice@example.net"}, "alice", 0},
    {"the domain", {"example.org"}, "alice", 2},
    {"the name in TLS", {"tls.example"}, "alice", 0},
    {"another domain", {"example.com"}, "alice", 0},
    {"a domain that it ends in", {"ample.org"}, "alice", 0},
    {"the address", {"192.0.2.7"}, "alice", 1},
    {"another address", {"192.0.2.70"}, "alice", 0},
    {"one of several", {"bob@example.org", "192.0.2.8", "example.org"}, "alice", 2},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        struct buf text, want;
        struct sink *s = open_only(&text, 0, r->patterns);

        buf_init(&want, 4096);
        for (int n = 1; n <= 7; n++) {
            size_t at = text.len;
            if (n == 1)
                begin(s, "a", "192.0.2.7:4242");
            else if (n == 2)
                say(s, "a", 2, DIR_C2S, "stream.open", "to", "example.org");
            else if (n == 3)
                say(s, "a", 3, DIR_S2C, "features.first", NULL, NULL);
            else if (n == 4)
                say(s, "a", 4, DIR_C2S, "sasl.auth", r->user ? "user" : NULL, r->user);
            else if (n == 5)
                say(s, "a", 5, DIR_S2C, "bind.result", "jid", "alice@example.org/x");
            else if (n == 6)
                say(s, "a", 6, DIR_C2S, "presence.other", NULL, NULL);
            else
                end(s, "a", 7, "alice@example.org");
            if ((text.len > at) != (r->from && n >= r->from))
                fail_msg("%s: behind event %d there stands \"%.*s\"", r->name, n, (int)text.len,
                         text.p ? text.p : "");
        }
        assert_int_equal(buf_str(&want, r->from ? "a1 a2<x/> a3<x/> a4<x/> a5<x/> a6<x/> a7 " : ""), 0);
        if (text.len != want.len || (want.len && memcmp(text.p, want.p, want.len) != 0))
            fail_msg("%s: passed on: %.*s", r->name, (int)text.len, text.p ? text.p : "");
        assert_int_equal(s->close(s), 0);
        buf_free(&text);
        buf_free(&want);
    }
}

static void test_addresses(void **state)
{
    static const char *const six[] = {"2001:db8::1", NULL};
    struct buf text;
    struct sink *s = open_only(&text, 0, six);

    (void)state;
    begin(s, "a", "[2001:0db8:0::1]:4242");
    begin(s, "b", "[2001:db8::2]:4242");
    assert_int_equal(text.len, 3);
    assert_memory_equal(text.p, "a1 ", 3);
    s->close(s);
    buf_free(&text);
}

static void test_sni(void **state)
{
    static const char *const names[] = {"example.org", NULL};
    struct event ev = {.kind = EVENT_TLS, .u.tls = {.side = SIDE_CLIENT, .ok = true,
                       .version = "", .cipher = "", .group = "", .sni = "example.org", .cert = "",
                       .cert_key = "", .cert_sha256 = "", .signature = "", .alpn = "",
                       .client_cert = "", .client_jid = "", .verify = "", .error = "", .kind = ""}};
    struct buf text;
    struct sink *s = open_only(&text, 0, names);

    (void)state;
    begin(s, "a", "192.0.2.7:1");
    assert_int_equal(text.len, 0);
    give(s, "a", 2, ev);
    assert_memory_equal(text.p, "a1 a2 ", 6);
    s->close(s);
    buf_free(&text);
}

/* Each session waits for itself. */
static void test_two(void **state)
{
    static const char *const names[] = {"bob@example.org", NULL};
    struct buf text;
    struct sink *s = open_only(&text, 0, names);

    (void)state;
    begin(s, "a", "192.0.2.7:1");
    begin(s, "b", "192.0.2.7:2");
    say(s, "a", 2, DIR_C2S, "stream.open", "to", "example.org");
    say(s, "b", 2, DIR_C2S, "stream.open", "to", "example.org");
    say(s, "b", 3, DIR_C2S, "sasl.auth", "user", "bob");
    say(s, "a", 3, DIR_C2S, "sasl.auth", "user", "alice");
    end(s, "a", 4, "");
    end(s, "b", 4, "");
    assert_int_equal(text.len, strlen("b1 b2<x/> b3<x/> b4 "));
    assert_memory_equal(text.p, "b1 b2<x/> b3<x/> b4 ", text.len);
    s->close(s);
    buf_free(&text);
}

/* Too much of it waits: it is recorded, from its beginning and with what was too much. */
static void test_cap(void **state)
{
    static const char *const names[] = {"bob@example.org", NULL};
    static char many[100 << 10];
    struct event ev = {.kind = EVENT_VIOLATION, .data = many, .len = sizeof many};
    struct buf text;
    struct sink *s = open_only(&text, 0, names);

    (void)state;
    memset(many, 'x', sizeof many);
    ev.u.violation.detail = "";
    begin(s, "a", "192.0.2.7:1");
    for (uint64_t n = 2; n <= 12; n++) {
        assert_int_equal(text.len, n <= 11 ? 0 : text.len);
        give(s, "a", n, ev);
    }
    assert_memory_equal(text.p, "a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11 ", 35);
    s->close(s);
    buf_free(&text);
}

/* A session without an end is recorded; a sink's failure comes through with its words. */
static void test_cut_off(void **state)
{
    static const char *const names[] = {"bob@example.org", NULL}, *const from[] = {"192.0.2.7", NULL};
    struct event ev = {.kind = EVENT_SESSION,
                       .u.session_facts = {"192.0.2.7:1", "", "", "redact", "t"}};
    struct buf text;
    struct sink *s = open_only(&text, 0, names);

    (void)state;
    begin(s, "a", "192.0.2.7:1");
    assert_int_equal(text.len, 0);
    s->close(s);
    assert_memory_equal(text.p, "a1 ", 3);
    buf_free(&text);
    s = open_only(&text, ERR_IO, from);
    assert_int_equal(give(s, "a", 1, ev), ERR_IO);
    assert_string_equal(s->error.detail, "it fails");
    s->close(s);
    buf_free(&text);
}

static void test_patterns(void **state)
{
    static const char *const good[] = {"alice@example.org", "example.org", "localhost", "192.0.2.7",
                                       "2001:db8::1", "[::1]"},
                      *const bad[] = {"", "alice@", "@example.org", "alice@example.org/desk",
                                      "example.org:5222", "192.0.2.7:5222", "192.0.2.0/24", "a b"};
    struct error e;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (only_check(good[i], &e))
            fail_msg("%s: %s", good[i], e.detail);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (only_check(bad[i], &e) != ERR_USAGE)
            fail_msg("%s is taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows), cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_sni),  cmocka_unit_test(test_two),
        cmocka_unit_test(test_cap),  cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

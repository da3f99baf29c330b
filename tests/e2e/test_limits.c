/* Time-outs and caps that are options: who is ended, who is not, and what is said of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/resource.h>

#include "pair.h"
#include "records.h"
#include "run.h"

#define LIMIT_MS 1000 /* of the time-outs here */

/* One word there, and back. */
static void assert_passes(struct pair *p, const char *text)
{
    pair_says(&p->client, &p->server, text);
    pair_says(&p->server, &p->client, text);
}

/* The only session's `end`. */
static void assert_ended(struct box *b, const char *reason, const char *verdict)
{
    struct records r;
    records_load(&r, b, b->archive);
    const char *end = records_find(&r, "end");
    assert_non_null(end);
    if (!record_is(end, "reason", reason) || !record_is(end, "verdict", verdict))
        fail_msg("not %s, %s: %s", reason, verdict, end);
    records_free(&r);
}

static void assert_both_end(struct pair *p, int64_t since_ms)
{
    struct bytes rest = {0};
    PEER_OK(&p->client, peer_rest(&p->client, &rest));
    PEER_OK(&p->server, peer_rest(&p->server, &rest));
    assert_int_equal(rest.len, 0);
    assert_true(now_ms() - since_ms >= LIMIT_MS - 50);
    bytes_free(&rest);
}

static void test_login_that_stops(void **state)
{
    struct box *b = *state;
    struct pair p;
    pair_init(&p);
    struct run *proxy = run_proxy(b, p.port, "--negotiation-timeout", "1", NULL);
    int64_t began = now_ms();
    pair_play(&p, proxy->port, login_open_client, login_open_server);
    assert_both_end(&p, began);
    run_says(proxy, "--negotiation-timeout (1 s)");
    run_stop(proxy);
    assert_ended(b, "negotiation-timeout", "timeout.negotiation");
    pair_free(&p);
    box_done(b);
}

/* Bytes do not put it off: it is the whole login's. */
static void test_login_that_dawdles(void **state)
{
    struct box *b = *state;
    struct pair p;
    pair_init(&p);
    struct run *proxy = run_proxy(b, p.port, "--negotiation-timeout", "1", NULL);
    int64_t began = now_ms();
    pair_play(&p, proxy->port, login_open_client, login_open_server);
    while (peer_sends(&p.client, " ") == 0 && peer_expects(&p.server, " ") == 0) {
        if (now_ms() - began > 20 * LIMIT_MS)
            fail_msg("nobody ended it");
        peer_quiet(&p.client, 100);
    }
    run_stop(proxy);
    assert_ended(b, "negotiation-timeout", "timeout.negotiation");
    pair_free(&p);
    box_done(b);
}

static void test_logged_in(void **state)
{
    struct box *b = *state;
    struct pair p;
    pair_init(&p);
    struct run *proxy = run_proxy(b, p.port, "--negotiation-timeout", "1", NULL);
    pair_login(&p, proxy->port);
    PEER_OK(&p.client, peer_quiet(&p.client, 2 * LIMIT_MS));
    assert_passes(&p, "<presence/>");
    run_stop(proxy);
    assert_ended(b, "stopped", "login");
    pair_free(&p);
    box_done(b);
}

/* Who never says enough to be a session does not stay for ever; what it said has a record. */
static void test_no_first_byte(void **state)
{
    static const char *const begins[] = {"", "P", "\r\n"};
    enum { COUNT = sizeof begins / sizeof *begins };
    struct box *b = *state;
    struct peer silent[COUNT];
    const char *file;
    struct run *proxy = run_proxy(b, 1, "--negotiation-timeout", "1", NULL);
    for (int i = 0; i < COUNT; i++) {
        peer_init(&silent[i], "client");
        PEER_OK(&silent[i], peer_connect(&silent[i], proxy->port));
        PEER_OK(&silent[i], peer_sends(&silent[i], begins[i]));
    }
    for (int i = 0; i < COUNT; i++) {
        PEER_OK(&silent[i], peer_expect_end(&silent[i]));
        peer_close(&silent[i]);
    }
    run_stop(proxy);
    assert_true(bytes_has(&proxy->err.text, "1 connections came without a byte"));
    assert_int_equal(records_files(b, b->archive, &file, 1), 1);
    box_done(b);
}

/* What the gate cannot read it knows no login of. */
static void test_gate_aside(void **state)
{
    struct box *b = *state;
    struct pair p;
    pair_init(&p);
    struct run *proxy = run_proxy(b, p.port, "--negotiation-timeout", "1", NULL);
    PEER_OK(&p.client, peer_connect(&p.client, proxy->port));
    pair_meet(&p, "no XMPP", "no XMPP");
    PEER_OK(&p.client, peer_quiet(&p.client, 2 * LIMIT_MS));
    assert_passes(&p, "still none");
    run_stop(proxy);
    pair_free(&p);
    box_done(b);
}

static void test_idle(void **state)
{
    struct box *b = *state;
    struct pair p;
    pair_init(&p);
    struct run *proxy = run_proxy(b, p.port, "--idle-timeout", "1", NULL);
    int64_t began = now_ms();
    pair_login(&p, proxy->port);
    while (now_ms() - began < 3 * LIMIT_MS) { /* not while somebody speaks */
        assert_passes(&p, " ");
        PEER_OK(&p.client, peer_quiet(&p.client, LIMIT_MS / 4));
    }
    assert_both_end(&p, began + 3 * LIMIT_MS - LIMIT_MS / 4);
    run_stop(proxy);
    assert_ended(b, "idle-timeout", "login.idle");
    pair_free(&p);
    box_done(b);
}

/* One side has gone; the other one does not go. */
static void test_close(void **state)
{
    struct box *b = *state;
    struct pair p;
    struct bytes rest = {0};
    pair_init(&p);
    struct run *proxy = run_proxy(b, p.port, "--close-timeout", "1", NULL);
    pair_login(&p, proxy->port);
    int64_t left = now_ms();
    PEER_OK(&p.client, peer_shutdown(&p.client));
    PEER_OK(&p.client, peer_rest(&p.client, &rest));
    assert_in_range(now_ms() - left, LIMIT_MS - 50, 10 * LIMIT_MS);
    run_stop(proxy);
    assert_ended(b, "closed", "login");
    bytes_free(&rest);
    pair_free(&p);
    box_done(b);
}

/* A small queue costs time, and nothing of what is recorded. */
static void test_queue(void **state)
{
    struct box *b = *state;
    struct pair p;
    struct bytes sent = {0}, got = {0};
    struct records r;
    pair_init(&p);
    struct run *proxy = run_proxy(b, p.port, "--queue-bytes", "64k", "--idle-timeout", "20", NULL);
    pair_login(&p, proxy->port);
    bytes_str(&sent, "<message><body>");
    bytes_fill(&sent, 'x', 1u << 20);
    bytes_str(&sent, "</body></message>");
    for (size_t at = 0; at < sent.len; at += 32768) {
        size_t n = sent.len - at < 32768 ? sent.len - at : 32768;
        PEER_OK(&p.client, peer_send(&p.client, sent.p + at, n));
        PEER_OK(&p.server, peer_expect(&p.server, sent.p + at, n));
    }
    run_stop(proxy);
    records_load(&r, b, b->archive);
    records_bytes(&r, NULL, "c2s", &got);
    assert_true(got.len > sent.len);
    assert_memory_equal(got.p + got.len - sent.len, sent.p, sent.len);
    assert_int_equal(records_count(&r, "gap"), 0);
    records_free(&r);
    bytes_free(&sent);
    bytes_free(&got);
    pair_free(&p);
    box_done(b);
}

/* The soft limit of open files, which is low for the sake of select(2), is none of sessions. */
static void test_open_files(void **state)
{
    enum { SESSIONS = 64, SOFT = 48 };
    struct box *b = *state;
    struct peer client[SESSIONS];
    struct rlimit low, was;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    low = was;
    low.rlim_cur = SOFT;
    assert_true(was.rlim_max > 4 * SESSIONS);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    const char *const argv[] = {NULL, "proxy", "-l", "127.0.0.1:0", "-d", b->archive, "--ca-dir",
                                b->ca, "-q", "builtin:", NULL};
    struct run *proxy = run_start(b, argv, -1);
    run_listening(proxy);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    for (int i = 0; i < SESSIONS; i++) {
        peer_init(&client[i], "client");
        PEER_OK(&client[i], peer_connect(&client[i], proxy->port));
        PEER_OK(&client[i], peer_sends(&client[i], STREAM_HEADER));
    }
    for (int i = 0; i < SESSIONS; i++) {
        struct bytes some = {0};

        PEER_OK(&client[i], peer_some(&client[i], &some));
        bytes_free(&some);
    }
    for (int i = 0; i < SESSIONS; i++)
        peer_close(&client[i]);
    run_stop(proxy);
    box_done(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, box_setup, box_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_login_that_stops), TEST(test_login_that_dawdles), TEST(test_logged_in),
        TEST(test_gate_aside),       TEST(test_idle),               TEST(test_close),
        TEST(test_queue),            TEST(test_no_first_byte),
        TEST(test_open_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

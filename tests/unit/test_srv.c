/* The order of SRV targets, and what UPSTREAM may be. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../proxy/srv.h"
#include "../../proxy/upstream.h"

/* ---- SRV ---- */

/* The numbers a test wants, one after the other; then 0. */
struct numbers {
    uint32_t n[8];
    int next;
    uint32_t most[8]; /* what was asked for */
};

static uint32_t given(void *arg, uint32_t most)
{
    struct numbers *g = arg;

    assert_true(g->next < 8);
    g->most[g->next] = most;
    return g->n[g->next] > most ? most : g->n[g->next++];
}

static struct srv record(const char *host, int priority, int weight)
{
    struct srv s = {.port = 5222, .priority = (uint16_t)priority, .weight = (uint16_t)weight};

    snprintf(s.host, sizeof s.host, "%s", host);
    return s;
}

static const char *order(struct srv *s, size_t n, char *out)
{
    *out = '\0';
    for (size_t i = 0; i < n; i++)
        strcat(out, s[i].host);
    return out;
}

static void test_priorities(void **state)
{
    struct srv s[] = {record("d", 30, 0), record("a", 0, 0), record("c", 20, 0),
                      record("b", 10, 0)};
    struct numbers zero = {0};
    char out[16];

    (void)state;
    srv_order(s, 4, given, &zero);
    assert_string_equal(order(s, 4, out), "abcd");
    srv_order(s, 0, given, &zero);
    assert_int_equal(zero.next, 0); /* nothing to choose */
}

/* Each number picks as RFC 2782 writes it: the first whose running sum is not below it. */
static void test_running_sum(void **state)
{
    static const struct {
        uint32_t number;
        const char *first;
    } rows[] = {{0, "z"}, {1, "a"}, {10, "a"}, {11, "b"}, {30, "b"}, {31, "c"}, {100, "c"}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct srv s[] = {record("a", 5, 10), record("b", 5, 20), record("z", 5, 0),
                          record("c", 5, 70)};
        struct numbers g = {.n = {rows[i].number}};

        srv_order(s, 4, given, &g);
        assert_string_equal(s[0].host, rows[i].first);
        assert_int_equal(g.most[0], 100);
    }
}

/* What was chosen does not count any more. */
static void test_chosen_in_turn(void **state)
{
    struct srv s[] = {record("a", 5, 10), record("b", 5, 20), record("c", 5, 70),
                      record("d", 9, 1)};
    struct numbers g = {.n = {31, 11}};
    char out[16];

    (void)state;
    srv_order(s, 4, given, &g);
    assert_string_equal(order(s, 4, out), "cbad");
    assert_int_equal(g.most[0], 100);
    assert_int_equal(g.most[1], 30);
}

static uint32_t xorshift(void *arg, uint32_t most)
{
    uint32_t *x = arg;

    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return (uint32_t)((uint64_t)*x * ((uint64_t)most + 1) >> 32);
}

static void test_distribution(void **state)
{
    uint32_t seed = 20261125;
    int first[3] = {0}, last_b = 0;
    const int times = 20000;

    (void)state;
    for (int i = 0; i < times; i++) {
        struct srv s[] = {record("0", 5, 100), record("1", 5, 300), record("2", 5, 600)};

        srv_order(s, 3, xorshift, &seed);
        first[atoi(s[0].host)]++;
        last_b += s[2].host[0] == '1';
    }
    assert_in_range(first[0], times * 9 / 100, times * 11 / 100);
    assert_in_range(first[1], times * 28 / 100, times * 32 / 100);
    assert_in_range(first[2], times * 58 / 100, times * 62 / 100);
    /* 0 then 2, or 2 then 0: 0.1 * 600/900 + 0.6 * 100/400 */
    assert_in_range(last_b, times * 20 / 100, times * 23 / 100);
}

/* XEP-0368 §3: the two sets count as one. */
static void test_mixed(void **state)
{
    struct srv s[] = {record("a", 10, 0), record("b", 5, 0), record("c", 20, 0)};
    struct numbers g = {0};
    char out[16];

    (void)state;
    s[0].direct_tls = true;
    srv_order(s, 3, given, &g);
    assert_string_equal(order(s, 3, out), "bac");
    assert_true(s[1].direct_tls);
    assert_false(s[0].direct_tls);
}

static void test_refused(void **state)
{
    struct srv none = record(".", 0, 0), root = record("", 0, 0), some = record("a", 0, 0);
    struct srv both[] = {none, some, root, some};

    (void)state;
    assert_true(srv_refused(&none, 1));
    assert_true(srv_refused(&root, 1)); /* as c-ares writes it */
    assert_false(srv_refused(&some, 1));
    assert_false(srv_refused(both, 2));
    assert_false(srv_refused(NULL, 0));
    both[3].port = 0;
    assert_int_equal(srv_usable(both, 4), 1);
    assert_string_equal(both[0].host, "a");
}

/* ---- UPSTREAM ---- */

static void test_upstream(void **state)
{
    static const struct {
        const char *text;
        enum upstream_kind kind;
        const char *host;
        int port;
    } rows[] = {
        {NULL, UPSTREAM_ASKED, "", 0},
        {"example.org", UPSTREAM_DOMAIN, "example.org", 0},
        {"b\xc3\xbc" "cher.example", UPSTREAM_DOMAIN, "b\xc3\xbc" "cher.example", 0},
        {"192.0.2.7", UPSTREAM_DOMAIN, "192.0.2.7", 0},
        {"localhost", UPSTREAM_DOMAIN, "localhost", 0},
        {"builtin:", UPSTREAM_BUILTIN, "localhost", 0},
        {"tcp://example.org:5222", UPSTREAM_TCP, "example.org", 5222},
        {"tls://[2001:db8::7]:443", UPSTREAM_TLS, "2001:db8::7", 443},
        {"tls://192.0.2.7:65535", UPSTREAM_TLS, "192.0.2.7", 65535},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct upstream u;

        assert_int_equal(upstream_parse(rows[i].text, &u, NULL), 0);
        assert_int_equal(u.kind, rows[i].kind);
        assert_string_equal(u.host, rows[i].host);
        assert_int_equal(u.port, rows[i].port);
        assert_string_equal(u.text, rows[i].text ? rows[i].text : "");
    }
}

static void test_no_upstream(void **state)
{
    static const struct {
        const char *text, *cure;
    } rows[] = {
        {"", "DOMAIN"},
        {"example.org:5222", "tcp://HOST:PORT"},
        {"::1", "tcp://HOST:PORT"},
        {"builtin", NULL}, /* a domain, if an odd one */
        {"builtin:x", "tcp://HOST:PORT"},
        {"http://example.org", "tcp://HOST:PORT"},
        {"tcp://example.org", "tcp://HOST:PORT"},
        {"tls://example.org:0", "tls://HOST:PORT"},
        {"tls://example.org:70000", "tls://HOST:PORT"},
        {"tcp://:5222", "tcp://HOST:PORT"},
        {"romeo@example.org", "behind the @"},
        {"example.org/x", "DOMAIN"},
        {"example org", "DOMAIN"},
        {".example.org", "DOMAIN"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct upstream u;
        struct error e = {0};
        int err = upstream_parse(rows[i].text, &u, &e);

        assert_int_equal(err, rows[i].cure ? ERR_USAGE : 0);
        if (rows[i].cure && !strstr(e.detail, rows[i].cure))
            fail_msg("%s: %s", rows[i].text, e.detail);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_running_sum),
        cmocka_unit_test(test_chosen_in_turn),
        cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_upstream),
        cmocka_unit_test(test_no_upstream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

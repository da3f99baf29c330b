/* Thousands of logins: none fails, none is slow, nothing is left behind. XMPPTAP_LOGINS sets the
 * number in a row (default 2000; a quarter of it goes eight at a time). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "login.h"
#include "records.h"
#include "run.h"

#define LOGINS         2000
#define AT_A_TIME      8
#define LOGIN_MS       10000
#define RSS_GROWTH_KIB (4 * 1024)
#define SETTLE_MS      10000

/* Clients that log in, one after the other each, until `left` is used up. */
struct crowd {
    int port;
    SSL_CTX *ctx;
    atomic_int left, failed, slow;
    atomic_long slowest_ms;
    pthread_mutex_t lock;
    char error[400]; /* the first failure's, under `lock` */
};

static void *clients(void *arg)
{
    struct crowd *c = arg;
    while (c->left-- > 0) {
        struct peer p;
        int64_t start = now_ms();
        peer_init(&p, "client");
        if (peer_connect(&p, c->port) || login_client(&p, c->ctx) || login_leave(&p)) {
            if (c->failed++ == 0) {
                pthread_mutex_lock(&c->lock);
                snprintf(c->error, sizeof(c->error), "%s", p.error);
                pthread_mutex_unlock(&c->lock);
            }
        }
        peer_close(&p);
        long ms = (long)(now_ms() - start);
        c->slow += ms > LOGIN_MS;
        if (ms > c->slowest_ms)
            c->slowest_ms = ms;
    }
    return NULL;
}

static void log_in(int port, SSL_CTX *ctx, int logins, int at_a_time)
{
    struct crowd c = {.port = port, .ctx = ctx, .left = logins};
    pthread_t thread[AT_A_TIME];
    int64_t start = now_ms();
    pthread_mutex_init(&c.lock, NULL);
    for (int i = 0; i < at_a_time; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, clients, &c), 0);
    for (int i = 0; i < at_a_time; i++)
        pthread_join(thread[i], NULL);
    if (c.failed)
        fail_msg("%d of %d logins failed, the first: %s", c.failed, logins, c.error);
    assert_int_equal(c.slow, 0);
    print_message("%d logins, %d at a time: %lld ms, slowest %ld ms\n", logins, at_a_time,
                  (long long)(now_ms() - start), c.slowest_ms);
}

/* Sessions end a moment after the client has seen the end. */
static void assert_settles(struct run *proxy, int fds, int sockets)
{
    int64_t deadline = now_ms() + SETTLE_MS;
    while (run_fds(proxy) > fds || run_sockets(proxy) > sockets) {
        if (now_ms() > deadline)
            fail_msg("descriptors: %d before, %d now; sockets: %d before, %d now", fds,
                     run_fds(proxy), sockets, run_sockets(proxy));
        poll(NULL, 0, 10);
    }
}

static int logins_wanted(void)
{
    const char *s = getenv("XMPPTAP_LOGINS");
    int n = s ? (int)strtol(s, NULL, 10) : LOGINS;
    return n >= 8 ? n : 8;
}

static void test_load(void **state)
{
    struct box *b = *state;
    struct records r;
    int logins = logins_wanted();
    SSL_CTX *server_ctx = pki_server(&b->pki, LEAF_GOOD, 0);
    SSL_CTX *client_ctx = pki_client(box_ca_pem(b), 0);
    struct server *server = server_start(b, 12, server_ctx);
    struct run *proxy = run_proxy(b, server->port, "-q", NULL);
    int sockets = run_sockets(proxy);
    int fds = run_fds(proxy) + 1; /* the archive's file is made at its first record */

    log_in(proxy->port, client_ctx, logins / 4, 1);
    assert_settles(proxy, fds, sockets);
    long rss = run_rss_kib(proxy);
    log_in(proxy->port, client_ctx, logins - logins / 4, 1);
    assert_settles(proxy, fds, sockets);
    long growth = run_rss_kib(proxy) - rss;
    print_message("memory: %ld KiB, then %ld KiB more\n", rss, growth);
    if (!sanitized())
        assert_true(growth < RSS_GROWTH_KIB);
    log_in(proxy->port, client_ctx, logins / 4, AT_A_TIME);
    assert_settles(proxy, fds, sockets);

    run_stop(proxy);
    server_stop(server);
    if (server->failed)
        fail_msg("at the server %d logins failed, the first: %s", server->failed, server->error);
    assert_int_equal(proxy->out.text.len, 0); /* -q */
    records_load(&r, b, b->archive);
    size_t all = (size_t)(logins + logins / 4);
    assert_int_equal(records_check(&r), all);
    assert_int_equal(records_count(&r, "session"), all);
    assert_int_equal(records_count(&r, "end"), all);
    records_free(&r);
    SSL_CTX_free(server_ctx);
    SSL_CTX_free(client_ctx);
    box_done(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_load, box_setup, box_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

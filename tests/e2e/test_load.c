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

#include "crowd.h"
#include "records.h"
#include "run.h"

#define LOGINS         2000
#define RSS_GROWTH_KIB (4 * 1024)
#define SETTLE_MS      10000

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

    crowd_log_in(proxy->port, client_ctx, logins / 4, 1);
    assert_settles(proxy, fds, sockets);
    long rss = run_rss_kib(proxy);
    crowd_log_in(proxy->port, client_ctx, logins - logins / 4, 1);
    assert_settles(proxy, fds, sockets);
    long growth = run_rss_kib(proxy) - rss;
    print_message("memory: %ld KiB, then %ld KiB more\n", rss, growth);
    if (!sanitized())
        assert_true(growth < RSS_GROWTH_KIB);
    crowd_log_in(proxy->port, client_ctx, logins / 4, CROWD_MAX);
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

/* The server is found by the DNS: a domain's SRV records, else its addresses, as a small DNS server
 * of the test's own (dnsmasq on a port of loopback) tells them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "login.h"
#include "net.h"
#include "records.h"
#include "run.h"

#define WEIGHT_RUNS 40

/* ---- who is dialled ---- */

struct row {
    const char *name, *zone;
    int server;       /* who is dialled */
    const char *says; /* what the proxy says; or NULL */
};

#define SRV(priority, weight, host, port)                                                          \
    "srv-host=_xmpp-client._tcp.x.test," host "," port "," priority "," weight "\n"
#define SRVS(priority, host, port)                                                                 \
    "srv-host=_xmpps-client._tcp.x.test," host "," port "," priority ",0\n"

static const struct row rows[] = {
    {"lowest priority first",
     SRV("20", "0", "b.test", "%1") SRV("10", "0", "a.test", "%0") HOST("a.test", "127.0.0.1")
         HOST("b.test", "127.0.0.1"),
     0, "connected to a.test:"},
    {"a dead first target",
     SRV("10", "0", "a.test", "%D") SRV("20", "0", "b.test", "%1") HOST("a.test", "127.0.0.1")
         HOST("b.test", "127.0.0.1"),
     1, "connected to b.test:"},
    {"a first target without an address",
     SRV("10", "0", "gone.test", "%0") SRV("20", "0", "b.test", "%1") HOST("b.test", "127.0.0.1"),
     1, "connected to b.test:"},
    {"only AAAA", SRV("0", "0", "six.test", "%2") HOST("six.test", "::1"), 2, "addr=[::1]:"},
    {"AAAA that is refused, then A",
     SRV("0", "0", "both.test", "%0") HOST("both.test", "127.0.0.1") HOST("both.test", "::1"), 0,
     "connected to both.test:"},
    {"xmpps refused, xmpp there",
     "srv-host=_xmpps-client._tcp.x.test\n" SRV("0", "0", "a.test", "%0")
         HOST("a.test", "127.0.0.1"),
     0, "connected to a.test:"},
    /* The sets are mixed: the direct TLS target comes first, and what closes on us there does not
     * keep us from the next one. */
    {"xmpps mixed in",
     SRV("10", "0", "b.test", "%1") SRVS("5", "a.test", "%0") HOST("a.test", "127.0.0.1")
         HOST("b.test", "127.0.0.1"),
     1, "direct TLS"},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void knock(struct peer *client, struct run *proxy, const char *stream)
{
    peer_init(client, "client");
    PEER_OK(client, peer_connect(client, proxy->port));
    PEER_OK(client, peer_sends(client, stream));
}

static void test_dialled(void **state)
{
    struct box *b = *state;
    const struct row *row = b->row;
    struct net n;
    struct peer client, server;
    struct records r;

    net_start(b, &n, row->zone);
    if (n.listener[row->server] < 0) {
        net_stop(&n);
        box_done(b);
        skip();
    }
    struct run *proxy = net_proxy(b, &n, "x.test");
    knock(&client, proxy, STREAM_HEADER);
    peer_init(&server, "server");
    int got = net_accept(&server, &n);
    if (row->server == 1 && got == 0) { /* the one that is to be given up */
        peer_close(&server);
        got = net_accept(&server, &n);
    }
    assert_int_equal(got, row->server);
    PEER_OK(&server, peer_expects(&server, STREAM_HEADER));
    run_says(proxy, row->says);
    peer_close(&client);
    peer_close(&server);
    run_stop(proxy);
    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), 1);
    records_free(&r);
    net_stop(&n);
    box_done(b);
}

/* ---- weights ---- */

static void test_weights(void **state)
{
    struct box *b = *state;
    struct net n;
    int count[SERVERS] = {0};

    net_start(b, &n, SRV("0", "900", "a.test", "%0") SRV("0", "100", "b.test", "%1")
                         HOST("a.test", "127.0.0.1") HOST("b.test", "127.0.0.1"));
    struct run *proxy = net_proxy(b, &n, "x.test");
    for (int i = 0; i < WEIGHT_RUNS; i++) {
        struct peer client, server;

        knock(&client, proxy, STREAM_HEADER);
        peer_init(&server, "server");
        count[net_accept(&server, &n)]++;
        PEER_OK(&server, peer_expects(&server, STREAM_HEADER));
        peer_close(&client);
        peer_close(&server);
    }
    assert_int_equal(count[0] + count[1], WEIGHT_RUNS);
    if (count[0] <= count[1]) /* happens once in 10^10 runs */
        fail_msg("weights 900 and 100 were chosen %d and %d times", count[0], count[1]);
    run_stop(proxy);
    net_stop(&n);
    box_done(b);
}

/* ---- nobody ---- */

/* A client that no server answers gets this, and the end. */
static void is_told(struct run *proxy, const char *stream, const char *condition)
{
    struct peer client;
    struct bytes got = {0};

    knock(&client, proxy, stream);
    PEER_OK(&client, peer_rest(&client, &got));
    if (!bytes_has(&got, condition))
        fail_msg("the client got: %s", got.p);
    peer_close(&client);
    bytes_free(&got);
}

struct refusal {
    const char *name, *zone; /* NULL: a resolver that is silent */
    const char *says;
};

static const struct refusal refusals[] = {
    {"decidedly no service", "srv-host=_xmpp-client._tcp.x.test\n" HOST("x.test", "127.0.0.1"),
     "offers no XMPP client service"},
    {"no such domain", "", "the domain x.test does not exist"},
    {"nobody there", SRV("0", "0", "a.test", "%D") SRV("1", "0", "b.test", "%D")
                         HOST("a.test", "127.0.0.1"),
     "connection refused), b.test:"},
    {"no SRV: port 5222 of the domain", HOST("x.test", "127.0.0.99"),
     "x.test:5222 (127.0.0.99:5222: "},
    {"a silent resolver", NULL, "within --connect-timeout (3 s)"},
};
#define REFUSALS (sizeof(refusals) / sizeof(refusals[0]))

static void test_refused(void **state)
{
    struct box *b = *state;
    const struct refusal *row = b->row;
    struct net n;
    int silent = -1;

    net_start(b, &n, row->zone);
    if (!row->zone)
        silent = net_bound(AF_INET, SOCK_DGRAM, &n.dns_port);
    struct run *proxy = net_proxy(b, &n, "x.test");
    is_told(proxy, STREAM_HEADER, "<remote-connection-failed ");
    run_says(proxy, row->says);
    run_says(proxy, "reason=unreachable");
    run_stop(proxy);
    if (silent >= 0)
        close(silent);
    net_stop(&n);
    box_done(b);
}

/* The program ends in time while the resolver owes an answer. */
static void test_stop_while_asking(void **state)
{
    struct box *b = *state;
    struct net n;
    struct peer client;

    net_start(b, &n, NULL);
    int silent = net_bound(AF_INET, SOCK_DGRAM, &n.dns_port);
    struct pollfd asked = {.fd = silent, .events = POLLIN};
    struct run *proxy = net_proxy(b, &n, "x.test");
    knock(&client, proxy, STREAM_HEADER);
    assert_int_equal(poll(&asked, 1, PEER_TIMEOUT_MS), 1);
    peer_abort(&client);
    run_stop(proxy);
    close(silent);
    net_stop(&n);
    box_done(b);
}

/* ---- no UPSTREAM ---- */

static void test_asked(void **state)
{
    struct box *b = *state;
    struct net n;
    struct peer client, server;
    struct records r;

    net_start(b, &n, "srv-host=_xmpp-client._tcp." DOMAIN ",a.test,%1,0,0\n"
                     HOST("a.test", "127.0.0.1"));
    struct run *proxy = net_proxy(b, &n, NULL);
    peer_init(&client, "client");
    peer_init(&server, "server");
    const struct login_end c = {&client, login_client, NULL};
    const struct login_end s = {&server, login_server, NULL};
    PEER_OK(&client, peer_connect(&client, proxy->port));
    if (login_pair(&c, &s, n.listener[1]) != 0)
        fail_msg("client: %s; server: %s", client.error, server.error);
    peer_close(&client);
    peer_close(&server);
    run_stop(proxy);
    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), 1);
    records_free(&r);
    struct run *list = run_program(b, "list", "--json", b->archive, NULL);
    assert_true(bytes_has(&list->out.text, DOMAIN));
    net_stop(&n);
    box_done(b);
}

static void test_no_domain(void **state)
{
    struct box *b = *state;
    struct net n;

    net_start(b, &n, "");
    struct run *proxy = net_proxy(b, &n, NULL);
    is_told(proxy, "<stream:stream version='1.0' xmlns='jabber:client' "
                   "xmlns:stream='http://etherx.jabber.org/streams'>", "<improper-addressing ");
    run_says(proxy, "named no domain");
    run_stop(proxy);
    net_stop(&n);
    box_done(b);
}

/* localhost is this machine, whatever the DNS says; and here it is us. */
static void test_loop(void **state)
{
    struct box *b = *state;
    struct net n;

    net_start(b, &n, "");
    int port = net_free_port();
    const char *const argv[] = {NULL, "proxy", "-l", box_text(b, "0.0.0.0:%d", port), "-d",
                                b->archive, "--ca-dir", b->ca, "--resolver",
                                box_text(b, "127.0.0.1:%d", n.dns_port),
                                box_text(b, "tcp://localhost:%d", port), NULL};
    struct run *proxy = run_start(b, argv, -1);
    run_listening(proxy);
    is_told(proxy, STREAM_HEADER, "<remote-connection-failed ");
    run_says(proxy, "reason=loop");
    run_says(proxy, "a loop to xmpptap itself; give another UPSTREAM");
    run_stop(proxy);
    net_stop(&n);
    box_done(b);
}

#define TEST(name) {#name, name, box_setup, box_teardown, NULL}

static const struct CMUnitTest others[] = {
    TEST(test_weights), TEST(test_stop_while_asking), TEST(test_asked),
    TEST(test_no_domain), TEST(test_loop),
};
#define OTHERS (sizeof(others) / sizeof(others[0]))

int main(void)
{
    struct CMUnitTest tests[OTHERS + ROWS + REFUSALS];
    size_t n = OTHERS;

    memcpy(tests, others, sizeof(others));
    for (size_t i = 0; i < ROWS; i++)
        tests[n++] = (struct CMUnitTest){rows[i].name, test_dialled, box_setup, box_teardown,
                                         (void *)(uintptr_t)&rows[i]};
    for (size_t i = 0; i < REFUSALS; i++)
        tests[n++] = (struct CMUnitTest){refusals[i].name, test_refused, box_setup, box_teardown,
                                         (void *)(uintptr_t)&refusals[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

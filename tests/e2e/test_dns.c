/* The server is found by the DNS: a domain's SRV records, else its addresses, as a small DNS server
 * of the test's own (dnsmasq on a port of loopback) tells them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "login.h"
#include "records.h"
#include "run.h"

#define DNSMASQ     "/usr/sbin/dnsmasq"
#define SERVERS     3 /* the last one on [::1], or missing where there is no IPv6 */
#define DNS_TRIES   5
#define DNS_MS      10000
#define WEIGHT_RUNS 40

/* What of a zone varies: ports are those of the servers, %D one on which nobody listens. */
struct net {
    struct run *dns;
    int dns_port;
    int listener[SERVERS], port[SERVERS];
    int deaf, deaf_port;
};

/* ---- ports ---- */

static int bound(int family, int type, int *port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr *a = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t len = family == AF_INET ? sizeof v4 : sizeof v6;
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (bind(fd, a, len) || getsockname(fd, a, &len)) {
        close(fd);
        return -1;
    }
    *port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
    return fd;
}

/* A port that was free a moment ago for both of DNS's transports. */
static int free_port(void)
{
    for (int i = 0; i < 50; i++) {
        int port = 0, udp = bound(AF_INET, SOCK_DGRAM, &port);
        int tcp = bound(AF_INET, SOCK_STREAM, &port);

        close(udp);
        if (tcp >= 0)
            close(tcp);
        if (tcp >= 0)
            return port;
    }
    fail_msg("no free port");
    return 0;
}

/* ---- the DNS server ---- */

/* `%0`, `%1`, `%2` and `%D` become ports. */
static void write_zone(const struct net *n, const char *path, const char *zone)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fprintf(f, "port=%d\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\n"
               "local=/test/\nlocal=/local/\n", n->dns_port);
    for (const char *p = zone; *p; p++) {
        if (*p != '%')
            fputc(*p, f);
        else if (*++p == 'D')
            fprintf(f, "%d", n->deaf_port);
        else
            fprintf(f, "%d", n->port[*p - '0']);
    }
    assert_int_equal(fclose(f), 0);
}

static bool answers(const struct net *n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)n->dns_port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;

    close(fd);
    return yes;
}

/* Somebody else may take the port before it does: then another one. */
static void dns_start(struct box *b, struct net *n, const char *zone)
{
    const char *path = box_text(b, "%s/dnsmasq.conf", b->root);
    const char *const argv[] = {DNSMASQ, "-d", "-C", path, NULL};

    for (int i = 0; i < DNS_TRIES; i++) {
        int64_t deadline = now_ms() + DNS_MS;

        n->dns_port = free_port();
        write_zone(n, path, zone);
        n->dns = run_start(b, argv, -1);
        while (run_lives(n->dns) && now_ms() < deadline) {
            if (answers(n) && run_lives(n->dns))
                return;
            poll(NULL, 0, 5);
        }
    }
    fail_msg("%s did not start", DNSMASQ);
}

/* ---- everything beside the proxy ---- */

static void net_start(struct box *b, struct net *n, const char *zone)
{
    *n = (struct net){.deaf = -1};
    n->deaf = bound(AF_INET, SOCK_STREAM, &n->deaf_port);
    assert_true(n->deaf >= 0);
    for (int i = 0; i < SERVERS; i++) {
        n->listener[i] = bound(i == 2 ? AF_INET6 : AF_INET, SOCK_STREAM, &n->port[i]);
        assert_true(i == 2 || n->listener[i] >= 0);
        if (n->listener[i] >= 0)
            assert_int_equal(listen(n->listener[i], 64), 0);
    }
    if (zone)
        dns_start(b, n, zone);
}

static void net_stop(struct net *n)
{
    if (n->dns)
        run_stop(n->dns);
    for (int i = 0; i < SERVERS; i++)
        close(n->listener[i]);
    close(n->deaf);
}

/* `upstream` NULL: none. */
static struct run *proxy_start(struct box *b, const struct net *n, const char *upstream)
{
    const char *const argv[] = {NULL, "proxy", "-l", "127.0.0.1:0", "-d", b->archive, "--ca-dir",
                                b->ca, "--resolver",
                                box_text(b, "127.0.0.1:%d", n->dns_port), "--connect-timeout", "3",
                                "--upstream-ca", b->upstream_ca, upstream, NULL};
    struct run *r = run_start(b, argv, -1);

    run_listening(r);
    return r;
}

/* The server that is dialled: its number, or -1. */
static int dialled(const struct net *n)
{
    struct pollfd p[SERVERS];

    for (int i = 0; i < SERVERS; i++)
        p[i] = (struct pollfd){.fd = n->listener[i], .events = POLLIN};
    if (poll(p, SERVERS, PEER_TIMEOUT_MS) <= 0)
        return -1;
    for (int i = 0; i < SERVERS; i++)
        if (p[i].revents & POLLIN)
            return i;
    return -1;
}

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
#define HOST(name, address) "host-record=" name "," address "\n"

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

/* Direct TLS that fails is given up at once. */
static int accept_plain(struct peer *server, const struct net *n)
{
    int got = dialled(n);

    PEER_OK(server, peer_accept(server, n->listener[got < 0 ? 0 : got]));
    return got;
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
    struct run *proxy = proxy_start(b, &n, "x.test");
    peer_init(&client, "client");
    peer_init(&server, "server");
    PEER_OK(&client, peer_connect(&client, proxy->port));
    PEER_OK(&client, peer_sends(&client, STREAM_HEADER));
    int got = accept_plain(&server, &n);
    if (row->server == 1 && got == 0) { /* the one that is to be given up */
        peer_close(&server);
        got = accept_plain(&server, &n);
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
    struct run *proxy = proxy_start(b, &n, "x.test");
    for (int i = 0; i < WEIGHT_RUNS; i++) {
        struct peer client, server;

        peer_init(&client, "client");
        peer_init(&server, "server");
        PEER_OK(&client, peer_connect(&client, proxy->port));
        PEER_OK(&client, peer_sends(&client, STREAM_HEADER));
        count[accept_plain(&server, &n)]++;
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
    struct peer client;
    struct bytes got = {0};
    int silent = -1;

    net_start(b, &n, row->zone);
    if (!row->zone)
        silent = bound(AF_INET, SOCK_DGRAM, &n.dns_port);
    struct run *proxy = proxy_start(b, &n, "x.test");
    peer_init(&client, "client");
    PEER_OK(&client, peer_connect(&client, proxy->port));
    PEER_OK(&client, peer_sends(&client, STREAM_HEADER));
    PEER_OK(&client, peer_rest(&client, &got));
    if (!bytes_has(&got, "<remote-connection-failed "))
        fail_msg("the client got: %s", got.p);
    run_says(proxy, row->says);
    run_says(proxy, "reason=unreachable");
    peer_close(&client);
    run_stop(proxy);
    if (silent >= 0)
        close(silent);
    net_stop(&n);
    bytes_free(&got);
    box_done(b);
}

/* The program ends in time while the resolver owes an answer. */
static void test_stop_while_asking(void **state)
{
    struct box *b = *state;
    struct net n;
    struct peer client;

    net_start(b, &n, NULL);
    int silent = bound(AF_INET, SOCK_DGRAM, &n.dns_port);
    struct pollfd asked = {.fd = silent, .events = POLLIN};
    struct run *proxy = proxy_start(b, &n, "x.test");
    peer_init(&client, "client");
    PEER_OK(&client, peer_connect(&client, proxy->port));
    PEER_OK(&client, peer_sends(&client, STREAM_HEADER));
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
    struct run *proxy = proxy_start(b, &n, NULL);
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

/* Direct TLS by SRV: a target whose certificate is not valid is given up for the next one; the name
 * is the domain's, not the target's. */
static void test_direct_tls(void **state)
{
    struct box *b = *state;
    struct net n;
    struct peer client, server;
    SSL_CTX *bad = pki_server(&b->pki, LEAF_SELF_SIGNED, 0);
    SSL_CTX *good = pki_server(&b->pki, LEAF_GOOD, 0);

    net_start(b, &n, "srv-host=_xmpps-client._tcp." DOMAIN ",a.test,%0,0,0\n"
                     "srv-host=_xmpps-client._tcp." DOMAIN ",b.test,%1,1,0\n"
                     HOST("a.test", "127.0.0.1") HOST("b.test", "127.0.0.1"));
    struct run *proxy = proxy_start(b, &n, DOMAIN);
    peer_init(&client, "client");
    peer_init(&server, "server");
    PEER_OK(&client, peer_connect(&client, proxy->port));
    PEER_OK(&client, peer_sends(&client, STREAM_HEADER));
    assert_int_equal(accept_plain(&server, &n), 0);
    if (peer_tls_accept(&server, bad) == 0) /* it may end before the certificate is judged */
        PEER_OK(&server, peer_expect_end(&server));
    peer_close(&server);
    peer_init(&server, "second server");
    assert_int_equal(accept_plain(&server, &n), 1);
    PEER_OK(&server, peer_tls_accept(&server, good));
    assert_string_equal(server.sni, DOMAIN);
    run_says(proxy, "connected to b.test:");
    peer_close(&client);
    peer_close(&server);
    SSL_CTX_free(bad);
    SSL_CTX_free(good);
    run_stop(proxy);
    net_stop(&n);
    box_done(b);
}

/* What a target says, and then resets, before the proxy has read a byte of it: the proxy stands
 * still meanwhile, and what it writes next fails. */
static void flight(struct peer *server, SSL_CTX *ctx)
{
    SSL *ssl = SSL_new(ctx);

    SSL_set_fd(ssl, server->fd);
    assert_int_equal(SSL_get_error(ssl, SSL_accept(ssl)), SSL_ERROR_WANT_READ); /* Finished */
    SSL_free(ssl);
}

/* A handshake message that does not exist: the proxy has an alert to say. */
static void nonsense(struct peer *server, SSL_CTX *ctx)
{
    (void)ctx;
    PEER_OK(server, peer_send(server, "\x16\x03\x03\0\4\x63\0\0\0", 9));
}

static void reset_with(struct peer *server, struct run *proxy, SSL_CTX *ctx,
                       void (*say)(struct peer *server, SSL_CTX *ctx))
{
    struct pollfd p = {.fd = server->fd, .events = POLLIN};

    assert_int_equal(poll(&p, 1, PEER_TIMEOUT_MS), 1); /* the ClientHello */
    assert_int_equal(kill(proxy->pid, SIGSTOP), 0);
    say(server, ctx);
    peer_abort(server);
    assert_int_equal(kill(proxy->pid, SIGCONT), 0);
}

static void told_to_proceed(struct peer *client)
{
    struct bytes got = {0};

    while (!bytes_has(&got, PROCEED))
        PEER_OK(client, peer_some(client, &got));
    bytes_free(&got);
}

/* The next target gets TLS and is judged like the first one, and nothing of the client before. */
static void test_reset_in_tls(void **state)
{
    static void (*const say[])(struct peer *, SSL_CTX *) = {flight, nonsense};
    struct box *b = *state;
    struct net n;
    SSL_CTX *good = pki_server(&b->pki, LEAF_GOOD, 0);

    net_start(b, &n, "srv-host=_xmpps-client._tcp." DOMAIN ",a.test,%0,0,0\n"
                     "srv-host=_xmpps-client._tcp." DOMAIN ",b.test,%1,1,0\n"
                     HOST("a.test", "127.0.0.1") HOST("b.test", "127.0.0.1"));
    struct run *proxy = proxy_start(b, &n, DOMAIN);
    SSL_CTX *trusting = pki_client(box_ca_pem(b), 0);
    for (size_t i = 0; i < sizeof say / sizeof *say; i++) {
        struct peer client, server;

        peer_init(&client, "client");
        peer_init(&server, "server");
        PEER_OK(&client, peer_connect(&client, proxy->port));
        PEER_OK(&client, peer_sends(&client, STREAM_HEADER));
        assert_int_equal(accept_plain(&server, &n), 0);
        reset_with(&server, proxy, good, say[i]);
        peer_init(&server, "second server");
        assert_int_equal(accept_plain(&server, &n), 1);
        PEER_OK(&server, peer_tls_accept(&server, good));
        assert_string_equal(server.sni, DOMAIN);
        PEER_OK(&client, peer_sends(&client, STARTTLS));
        told_to_proceed(&client);
        PEER_OK(&client, peer_tls_connect(&client, trusting, DOMAIN));
        PEER_OK(&client, peer_sends(&client, STREAM_HEADER));
        PEER_OK(&server, peer_expects(&server, STREAM_HEADER));
        peer_close(&client);
        peer_close(&server);
    }
    SSL_CTX_free(trusting);
    SSL_CTX_free(good);
    run_stop(proxy);
    net_stop(&n);
    box_done(b);
}

static void test_no_domain(void **state)
{
    struct box *b = *state;
    struct net n;
    struct peer client;
    struct bytes got = {0};

    net_start(b, &n, "");
    struct run *proxy = proxy_start(b, &n, NULL);
    peer_init(&client, "client");
    PEER_OK(&client, peer_connect(&client, proxy->port));
    PEER_OK(&client, peer_sends(&client, "<stream:stream version='1.0' xmlns='jabber:client' "
                                "xmlns:stream='http://etherx.jabber.org/streams'>"));
    PEER_OK(&client, peer_rest(&client, &got));
    if (!bytes_has(&got, "<improper-addressing "))
        fail_msg("the client got: %s", got.p);
    run_says(proxy, "named no domain");
    peer_close(&client);
    run_stop(proxy);
    net_stop(&n);
    bytes_free(&got);
    box_done(b);
}

/* localhost is this machine, whatever the DNS says; and here it is us. */
static void test_loop(void **state)
{
    struct box *b = *state;
    struct net n;
    struct peer client;
    struct bytes got = {0};

    net_start(b, &n, "");
    int port = free_port();
    const char *const argv[] = {NULL, "proxy", "-l", box_text(b, "0.0.0.0:%d", port), "-d",
                                b->archive, "--ca-dir", b->ca, "--resolver",
                                box_text(b, "127.0.0.1:%d", n.dns_port),
                                box_text(b, "tcp://localhost:%d", port), NULL};
    struct run *proxy = run_start(b, argv, -1);
    run_listening(proxy);
    peer_init(&client, "client");
    PEER_OK(&client, peer_connect(&client, proxy->port));
    PEER_OK(&client, peer_sends(&client, STREAM_HEADER));
    PEER_OK(&client, peer_rest(&client, &got));
    run_says(proxy, "reason=loop");
    run_says(proxy, "a loop to xmpptap itself; give another UPSTREAM");
    peer_close(&client);
    run_stop(proxy);
    net_stop(&n);
    bytes_free(&got);
    box_done(b);
}

#define TEST(name) {#name, name, box_setup, box_teardown, NULL}

static const struct CMUnitTest others[] = {
    TEST(test_weights), TEST(test_stop_while_asking), TEST(test_asked), TEST(test_direct_tls),
    TEST(test_reset_in_tls), TEST(test_no_domain), TEST(test_loop),
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

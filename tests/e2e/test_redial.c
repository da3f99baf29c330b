/* A target that was reached, and was of no use: the next one is tried, as if it were the first. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <string.h>

#include "login.h"
#include "net.h"
#include "records.h"

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
    struct run *proxy = net_proxy(b, &n, DOMAIN);
    peer_init(&client, "client");
    peer_init(&server, "server");
    PEER_OK(&client, peer_connect(&client, proxy->port));
    PEER_OK(&client, peer_sends(&client, STREAM_HEADER));
    assert_int_equal(net_accept(&server, &n), 0);
    if (peer_tls_accept(&server, bad) == 0) /* it may end before the certificate is judged */
        PEER_OK(&server, peer_expect_end(&server));
    peer_close(&server);
    peer_init(&server, "second server");
    assert_int_equal(net_accept(&server, &n), 1);
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
    struct run *proxy = net_proxy(b, &n, DOMAIN);
    SSL_CTX *trusting = pki_client(box_ca_pem(b), 0);
    for (size_t i = 0; i < sizeof say / sizeof *say; i++) {
        struct peer client, server;

        peer_init(&client, "client");
        peer_init(&server, "server");
        PEER_OK(&client, peer_connect(&client, proxy->port));
        PEER_OK(&client, peer_sends(&client, STREAM_HEADER));
        assert_int_equal(net_accept(&server, &n), 0);
        reset_with(&server, proxy, good, say[i]);
        peer_init(&server, "second server");
        assert_int_equal(net_accept(&server, &n), 1);
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

/* STARTTLS of our own that the first target ends in the middle: nothing of it is left over. */
static void test_closed_in_starttls(void **state)
{
    struct box *b = *state;
    struct net n;
    struct peer client, server;
    struct records r;
    SSL_CTX *any = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(any);
    SSL_CTX *good = pki_server(&b->pki, LEAF_GOOD, 0);

    net_start(b, &n, "srv-host=_xmpp-client._tcp." DOMAIN ",a.test,%0,0,0\n"
                     "srv-host=_xmpp-client._tcp." DOMAIN ",b.test,%1,1,0\n"
                     HOST("a.test", "127.0.0.1") HOST("b.test", "127.0.0.1"));
    struct run *proxy = net_proxy(b, &n, DOMAIN);
    peer_init(&client, "client");
    PEER_OK(&client, peer_connect(&client, proxy->port));
    SSL_set_fd(ssl, client.fd); /* no more than its ClientHello is needed */
    SSL_set_tlsext_host_name(ssl, DOMAIN);
    assert_int_equal(SSL_get_error(ssl, SSL_connect(ssl)), SSL_ERROR_WANT_READ);
    for (int i = 0; i < 2; i++) {
        peer_init(&server, i ? "second server" : "server");
        assert_int_equal(net_accept(&server, &n), i);
        PEER_OK(&server, peer_expects(&server, OUR_HELLO));
        PEER_OK(&server, peer_sends(&server, SERVER_HEADER FEATURES_TLS));
        PEER_OK(&server, peer_expects(&server, STARTTLS));
        if (i == 0)
            peer_close(&server);
    }
    PEER_OK(&server, peer_sends(&server, PROCEED));
    PEER_OK(&server, peer_tls_accept(&server, good));
    peer_close(&client);
    peer_close(&server);
    SSL_free(ssl);
    SSL_CTX_free(any);
    SSL_CTX_free(good);
    run_stop(proxy);
    net_stop(&n);
    records_load(&r, b, b->archive);
    assert_int_equal(records_count(&r, "violation"), 0);
    records_free(&r);
    box_done(b);
}

struct first_server {
    struct peer *peer;
    const struct net *net;
    const char *answer;
    bool waits; /* for the proxy to close first */
};

/* It answers <starttls/>, and closes where TLS should begin. */
static void *serve_first(void *arg)
{
    struct first_server *f = arg;
    struct peer *p = f->peer;

    if (!peer_accept(p, f->net->listener[0]) && !peer_expects(p, OUR_HELLO) &&
        !peer_sends(p, SERVER_HEADER FEATURES_TLS) && !peer_expects(p, STARTTLS) &&
        !peer_sends(p, f->answer) && (!f->waits || !peer_expect_end(p)))
        peer_close(p);
    return NULL;
}

static int secured_server(struct peer *p, SSL_CTX *ctx)
{
    if (peer_expects(p, OUR_HELLO) || peer_sends(p, SERVER_HEADER FEATURES_TLS) ||
        peer_expects(p, STARTTLS) || peer_sends(p, PROCEED) || peer_tls_accept(p, ctx))
        return -1;
    return login_server(p, NULL);
}

static int clear_client(struct peer *p, SSL_CTX *ctx)
{
    (void)ctx;
    return login_client(p, NULL);
}

/* What comes to nothing with one target begins anew with the next: for the record, too, in which
 * both servers' streams stand. */
static void starttls_again(void **state, const char *answer, bool waits)
{
    struct box *b = *state;
    struct net n;
    struct peer client, server, first;
    struct records r;
    pthread_t thread;
    SSL_CTX *good = pki_server(&b->pki, LEAF_GOOD, 0);

    net_start(b, &n, "srv-host=_xmpp-client._tcp." DOMAIN ",a.test,%0,0,0\n"
                     "srv-host=_xmpp-client._tcp." DOMAIN ",b.test,%1,1,0\n"
                     HOST("a.test", "127.0.0.1") HOST("b.test", "127.0.0.1"));
    struct run *proxy = net_proxy_tls(b, &n, "off", DOMAIN);
    peer_init(&client, "client");
    peer_init(&server, "server");
    peer_init(&first, "first server");
    PEER_OK(&client, peer_connect(&client, proxy->port));
    const struct login_end c = {&client, clear_client, NULL};
    const struct login_end s = {&server, secured_server, good};
    struct first_server f = {&first, &n, answer, waits};
    assert_int_equal(pthread_create(&thread, NULL, serve_first, &f), 0);
    int logged_in = login_pair(&c, &s, n.listener[1]);
    pthread_join(thread, NULL);
    if (logged_in != 0)
        fail_msg("client: %s; server: %s; first: %s", client.error, server.error, first.error);
    PEER_OK(&client, peer_sends(&client, STREAM_CLOSE));
    PEER_OK(&server, peer_expects(&server, STREAM_CLOSE));
    PEER_OK(&server, peer_sends(&server, STREAM_CLOSE));
    PEER_OK(&client, peer_expects(&client, STREAM_CLOSE));
    peer_close(&client);
    peer_close(&server);
    peer_close(&first);
    SSL_CTX_free(good);
    run_says(proxy, "connected to b.test:");
    run_stop(proxy);
    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), 1);
    assert_int_equal(records_count(&r, "violation"), 0);
    assert_true(record_is(records_find(&r, "end"), "verdict", "login"));
    records_free(&r);
    net_stop(&n);
    box_done(b);
}

static void test_starttls_again(void **state)
{
    starttls_again(state, PROCEED, false);
}

static void test_starttls_refused(void **state)
{
    starttls_again(state, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>", true);
}

#define TEST(name) {#name, name, box_setup, box_teardown, NULL}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_direct_tls), TEST(test_reset_in_tls),
                                       TEST(test_closed_in_starttls), TEST(test_starttls_again),
                                       TEST(test_starttls_refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

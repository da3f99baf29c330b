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

#define TEST(name) {#name, name, box_setup, box_teardown, NULL}

/* STARTTLS of our own that the first target ends in the middle: nothing of it is left over. */
static void test_closed_in_starttls(void **state)
{
    static const char hello[] = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
                                "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'";
    static const char open[] = "<stream:stream xmlns='jabber:client' id='1' version='1.0' "
                               "xmlns:stream='http://etherx.jabber.org/streams'>";
    static const char features[] = "<stream:features>"
                                   "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
                                   "</stream:features>";
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
        PEER_OK(&server, peer_expects(&server, hello));
        PEER_OK(&server, peer_expects(&server, " to='" DOMAIN "'>"));
        PEER_OK(&server, peer_sends(&server, open));
        PEER_OK(&server, peer_sends(&server, features));
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

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_direct_tls), TEST(test_reset_in_tls),
                                       TEST(test_closed_in_starttls)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

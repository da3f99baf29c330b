/* TLS that differs from leg to leg: a client in clear, with STARTTLS or with direct TLS, in front of
 * a server likewise, and what --client-tls and --server-tls make of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "pair.h"
#include "records.h"
#include "run.h"

/* What xmpptap says to a client where it negotiates STARTTLS itself. */
#define OUR_OFFER                                                                                  \
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "                                   \
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0' from='" DOMAIN                  \
    "' id='xmpptap'>" FEATURES_TLS
#define FEATURES_BOTH                                                                              \
    "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"                         \
    "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>"            \
    "</mechanisms></stream:features>"

static const unsigned char alpn[] = "\x0bxmpp-client";
#define ALPN_LEN (sizeof alpn - 1)

static int failed(struct peer *p, const char *why)
{
    snprintf(p->error, sizeof p->error, "%s", why);
    return -1;
}

static bool has_alpn(const struct peer *p)
{
    const unsigned char *got;
    unsigned n;

    SSL_get0_alpn_selected(p->ssl, &got, &n);
    return n == ALPN_LEN - 1 && memcmp(got, alpn + 1, n) == 0;
}

/* ---- clients ---- */

static int plain_client(struct peer *p, SSL_CTX *ctx)
{
    (void)ctx;
    return login_client(p, NULL);
}

static int direct_client(struct peer *p, SSL_CTX *ctx)
{
    SSL_CTX_set_alpn_protos(ctx, alpn, ALPN_LEN);
    if (peer_tls_connect(p, ctx, DOMAIN))
        return -1;
    if (!has_alpn(p))
        return failed(p, "the client got no ALPN xmpp-client");
    return login_client(p, NULL);
}

/* Its STARTTLS is xmpptap's. */
static int offered_client(struct peer *p, SSL_CTX *ctx)
{
    if (peer_sends(p, STREAM_HEADER) || peer_expects(p, OUR_OFFER) || peer_sends(p, STARTTLS "\n") ||
        peer_expects(p, PROCEED) || peer_tls_connect(p, ctx, DOMAIN))
        return -1;
    return login_client(p, NULL);
}

/* ---- servers ---- */

static int plain_server(struct peer *p, SSL_CTX *ctx)
{
    (void)ctx;
    return login_server(p, NULL);
}

static int choose(SSL *ssl, const unsigned char **out, unsigned char *len, const unsigned char *in,
                  unsigned n, void *arg)
{
    (void)ssl;
    (void)arg;
    return SSL_select_next_proto((unsigned char **)out, len, alpn, ALPN_LEN, in, n) ==
                   OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int direct_server(struct peer *p, SSL_CTX *ctx)
{
    SSL_CTX_set_alpn_select_cb(ctx, choose, NULL);
    if (peer_tls_accept(p, ctx))
        return -1;
    if (!has_alpn(p) || strcmp(p->sni, DOMAIN) != 0)
        return failed(p, "the server got no ALPN xmpp-client, or another SNI");
    return login_server(p, NULL);
}

static int asked_server(struct peer *p, SSL_CTX *ctx)
{
    if (peer_expects(p, OUR_HELLO) || peer_sends(p, SERVER_HEADER FEATURES_BOTH) ||
        peer_expects(p, STARTTLS) || peer_sends(p, PROCEED) || peer_tls_accept(p, ctx))
        return -1;
    return login_server(p, NULL);
}

/* ---- logins ---- */

struct row {
    const char *name;
    const char *client_tls, *server_tls;
    login_part *client, *server;
    bool client_secure, server_secure;
};

static const struct row rows[] = {
    {"STARTTLS both, in step", "auto", "auto", login_client, login_server, true, true},
    {"clear both", "auto", "auto", plain_client, plain_server, false, false},
    {"direct, direct", "auto", "direct", direct_client, direct_server, true, true},
    {"direct, STARTTLS", "auto", "auto", direct_client, asked_server, true, true},
    {"direct, clear", "auto", "off", direct_client, plain_server, true, false},
    {"STARTTLS, direct", "auto", "direct", offered_client, direct_server, true, true},
    {"STARTTLS, clear", "auto", "off", offered_client, plain_server, true, false},
    {"STARTTLS, STARTTLS on its own", "auto", "starttls", offered_client, asked_server, true, true},
    {"clear, direct", "off", "direct", plain_client, direct_server, false, true},
    {"clear, STARTTLS", "off", "auto", plain_client, asked_server, false, true},
    {"STARTTLS required", "required", "auto", login_client, login_server, true, true},
    {"direct where TLS is required", "required", "direct", direct_client, direct_server, true, true},
};
#define ROWS (sizeof rows / sizeof *rows)

struct wish {
    const char *client_tls, *server_tls;
    const char *handshake_s;
    bool ipv6;
};

/* Both ends, a proxy, and the client connected to it. NULL where there is no IPv6. */
static struct run *begin_as(struct pair *p, struct box *b, const struct wish *w)
{
    const char *host = w->ipv6 ? "[::1]" : "127.0.0.1";

    pair_init_tls(p, b, box_ca_pem(b), LEAF_GOOD, 0);
    if (w->ipv6) {
        close(p->listener);
        p->listener = peer_listen6(&p->port);
        if (p->listener < 0)
            return NULL;
    }
    const char *const argv[] = {NULL, "proxy", "-l", box_text(b, "%s:0", host), "-d", b->archive,
                                "--ca-dir", b->ca, "--upstream-ca", b->upstream_ca, "-q", "--secrets",
                                "keep", "--client-tls", w->client_tls, "--server-tls", w->server_tls,
                                "--handshake-timeout", w->handshake_s,
                                box_text(b, "tcp://%s:%d", host, p->port), NULL};
    struct run *proxy = run_start(b, argv, -1);
    run_listening(proxy);
    PEER_OK(&p->client, w->ipv6 ? peer_connect6(&p->client, proxy->port)
                                : peer_connect(&p->client, proxy->port));
    return proxy;
}

static struct run *begin_within(struct pair *p, struct box *b, const char *client_tls,
                                const char *server_tls, const char *seconds)
{
    const struct wish w = {client_tls, server_tls, seconds, false};

    return begin_as(p, b, &w);
}

static struct run *begin(struct pair *p, struct box *b, const char *client_tls,
                         const char *server_tls)
{
    return begin_within(p, b, client_tls, server_tls, "30");
}

static void end(struct pair *p, struct run *proxy)
{
    pair_free(p);
    run_stop(proxy);
}

static size_t count_sides(const struct records *r, const char *side)
{
    size_t n = 0;

    for (size_t i = 0; i < r->lines; i++)
        n += record_is(r->line[i], "event", "tls") && record_is(r->line[i], "side", side);
    return n;
}

/* One handshake a leg that has TLS; the verdict knows what the session was. */
static void assert_recorded(struct box *b, bool client_secure, bool server_secure)
{
    struct records r = {0};

    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), 1);
    assert_int_equal(count_sides(&r, "client"), client_secure);
    assert_int_equal(count_sides(&r, "server"), server_secure);
    assert_true(record_is(records_find(&r, "end"), "verdict", "login"));
    records_free(&r);
}

static void log_in(struct box *b, size_t write_max, bool ipv6)
{
    const struct row *row = b->row;
    const struct wish w = {row->client_tls, row->server_tls, "30", ipv6};
    struct pair p;
    struct run *proxy = begin_as(&p, b, &w);
    if (!proxy) {
        pair_free(&p);
        box_done(b);
        skip();
    }
    p.client.write_max = p.client.wire_max = p.server.write_max = p.server.wire_max = write_max;
    const struct login_end c = {&p.client, row->client, row->client_secure ? p.client_ctx : NULL};
    const struct login_end s = {&p.server, row->server, row->server_secure ? p.server_ctx : NULL};
    if (login_pair(&c, &s, p.listener))
        fail_msg("%s: client: %s; server: %s", row->name, p.client.error, p.server.error);
    pair_leave(&p);
    end(&p, proxy);
    assert_recorded(b, row->client_secure, row->server_secure);
    box_done(b);
}

static void test_login(void **state)
{
    log_in(*state, 0, false);
}

static void test_ipv6(void **state)
{
    log_in(*state, 0, true);
}

static void test_bytes(void **state)
{
    log_in(*state, 1, false);
}

/* ---- what does not go ---- */

#define POLICY "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"

static void assert_verdict(struct box *b, const char *reason)
{
    struct records r = {0};

    records_load(&r, b, b->archive);
    if (!record_is(records_find(&r, "end"), "reason", reason))
        fail_msg("not %s: %s", reason, records_find(&r, "end"));
    records_free(&r);
}

static void rest_has(struct peer *p, const char *text)
{
    struct bytes all = {0};

    PEER_OK(p, peer_rest(p, &all));
    bytes_add(&all, "", 1);
    if (!strstr(all.p, text))
        fail_msg("%s: no %s in %s", p->name, text, all.p);
    bytes_free(&all);
}

/* The server offers no STARTTLS: a client in clear goes on in clear, and hears the server's own
 * stream, which was opened for it. */
static void test_none_offered(void **state)
{
    struct box *b = *state;
    struct pair p;
    struct run *proxy = begin(&p, b, "off", "auto");
    pair_meet(&p, STREAM_HEADER, OUR_HELLO);
    pair_says(&p.server, &p.client, SERVER_HEADER FEATURES_SASL);
    pair_says(&p.client, &p.server, "<presence/>");
    end(&p, proxy);
    box_done(b);
}

/* A ClientHello, and no more of TLS. Returns its length. */
static size_t first_flight(const struct pair *p, const char *name, char *hello, int size)
{
    SSL *ssl = SSL_new(p->client_ctx);
    BIO *out = BIO_new(BIO_s_mem()), *in = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    SSL_set_tlsext_host_name(ssl, name);
    SSL_do_handshake(ssl);
    int n = BIO_read(out, hello, size);
    SSL_free(ssl);
    assert_true(n > 0);
    return (size_t)n;
}

/* The same for a client that has TLS: never in clear behind its back. */
static void test_no_downgrade(void **state)
{
    struct box *b = *state;
    struct pair p;
    struct run *proxy = begin(&p, b, "auto", "auto");
    char hello[4096];
    PEER_OK(&p.client, peer_send(&p.client, hello, first_flight(&p, DOMAIN, hello, sizeof hello)));
    PEER_OK(&p.server, peer_accept(&p.server, p.listener));
    PEER_OK(&p.server, peer_expects(&p.server, OUR_HELLO));
    PEER_OK(&p.server, peer_sends(&p.server, SERVER_HEADER FEATURES_SASL));
    PEER_OK(&p.server, peer_expect_end(&p.server));
    peer_close(&p.client);
    run_says(proxy, "offers no STARTTLS");
    end(&p, proxy);
    assert_verdict(b, "no-tls");
    box_done(b);
}

/* A client of direct TLS hears in its TLS that there is no server. */
static void test_unreachable(void **state)
{
    struct box *b = *state;
    struct pair p;
    struct run *proxy = begin(&p, b, "auto", "direct");
    close(p.listener);
    PEER_OK(&p.client, peer_tls_connect(&p.client, p.client_ctx, DOMAIN));
    rest_has(&p.client, "<remote-connection-failed ");
    p.listener = peer_listen(&(int){0});
    end(&p, proxy);
    assert_verdict(b, "unreachable");
    box_done(b);
}

/* And that the server's certificate is not valid: the server hears nothing of it. */
static void test_bad_certificate(void **state)
{
    struct box *b = *state;
    struct pair p;
    struct run *proxy = begin(&p, b, "auto", "direct");
    SSL_CTX_free(p.server_ctx);
    p.server_ctx = pki_server(&b->pki, LEAF_WRONG_NAME, 0);
    const struct login_end c = {&p.client, direct_client, p.client_ctx};
    const struct login_end s = {&p.server, direct_server, p.server_ctx};
    assert_int_equal(login_pair(&c, &s, p.listener), -1);
    end(&p, proxy);
    assert_verdict(b, "certificate");
    box_done(b);
}

static void test_required(void **state)
{
    struct box *b = *state;
    struct pair p;
    struct run *proxy = begin(&p, b, "required", "auto");
    pair_meet(&p, STREAM_HEADER, STREAM_HEADER);
    PEER_OK(&p.server, peer_sends(&p.server, SERVER_HEADER FEATURES_BOTH));
    PEER_OK(&p.client, peer_expects(&p.client, SERVER_HEADER));
    PEER_OK(&p.client, peer_sends(&p.client, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
                                             "mechanism='PLAIN'>AGEAYg==</auth>"));
    rest_has(&p.client, POLICY);
    end(&p, proxy);
    assert_verdict(b, "no-tls");
    box_done(b);
}

/* The same where what the client sends cannot be read: that is no way past it. */
static void test_required_unread(void **state)
{
    struct box *b = *state;
    struct pair p;
    struct run *proxy = begin(&p, b, "required", "auto");
    pair_meet(&p, STREAM_HEADER, STREAM_HEADER);
    PEER_OK(&p.server, peer_sends(&p.server, SERVER_HEADER FEATURES_BOTH));
    PEER_OK(&p.client, peer_expects(&p.client, SERVER_HEADER));
    PEER_OK(&p.client, peer_sends(&p.client, "<!-- --><auth xmlns='urn:ietf:params:xml:ns:"
                                             "xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>"));
    rest_has(&p.client, POLICY);
    PEER_OK(&p.server, peer_expect_end(&p.server));
    end(&p, proxy);
    assert_verdict(b, "no-tls");
    box_done(b);
}

/* CVE-2011-0411's kind, where the STARTTLS is ours. */
static void test_injected(void **state)
{
    struct box *b = *state;
    struct pair p;
    struct run *proxy = begin(&p, b, "auto", "off");
    PEER_OK(&p.client, peer_sends(&p.client, STREAM_HEADER));
    PEER_OK(&p.client, peer_expects(&p.client, OUR_OFFER));
    PEER_OK(&p.client, peer_sends(&p.client, STARTTLS "<iq id='evil'/>"));
    rest_has(&p.client, "");
    PEER_OK(&p.server, peer_accept(&p.server, p.listener));
    PEER_OK(&p.server, peer_expect_end(&p.server));
    end(&p, proxy);
    assert_verdict(b, "data-behind-starttls");
    box_done(b);
}

/* A client that was told to proceed, by us, and does not. */
static void test_silent(void **state)
{
    struct box *b = *state;
    struct pair p;
    struct run *proxy = begin_within(&p, b, "auto", "off", "2");
    PEER_OK(&p.client, peer_sends(&p.client, STREAM_HEADER));
    PEER_OK(&p.client, peer_expects(&p.client, OUR_OFFER));
    PEER_OK(&p.client, peer_sends(&p.client, STARTTLS));
    PEER_OK(&p.client, peer_expects(&p.client, PROCEED));
    PEER_OK(&p.client, peer_expect_end(&p.client));
    end(&p, proxy);
    assert_verdict(b, "timeout");
    box_done(b);
}

/* --server-tls starttls is not to be talked out of it, for a client in clear neither; and it says
 * who demands it. */
static void test_none_where_demanded(void **state)
{
    struct box *b = *state;
    struct pair p;
    struct run *proxy = begin(&p, b, "auto", "starttls");
    pair_meet(&p, STREAM_HEADER, OUR_HELLO);
    PEER_OK(&p.server, peer_sends(&p.server, SERVER_HEADER FEATURES_SASL));
    PEER_OK(&p.server, peer_expect_end(&p.server));
    rest_has(&p.client, "xmpptap: the server offers no STARTTLS, which --server-tls starttls demands");
    end(&p, proxy);
    assert_verdict(b, "no-tls");
    box_done(b);
}

/* The server leaves in the middle of xmpptap's own STARTTLS: what it had said is recorded. */
static void test_server_leaves(void **state)
{
    struct box *b = *state;
    struct records r = {0};
    struct bytes said = {0};
    struct pair p;
    struct run *proxy = begin(&p, b, "off", "auto");
    pair_meet(&p, STREAM_HEADER, OUR_HELLO);
    PEER_OK(&p.server, peer_sends(&p.server, SERVER_HEADER "<stream:fea"));
    peer_close(&p.server);
    rest_has(&p.client, "<remote-connection-failed ");
    end(&p, proxy);
    assert_verdict(b, "tls-refused");
    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), 1);
    records_bytes(&r, NULL, "s2c", &said);
    bytes_add(&said, "", 1);
    assert_string_equal(said.p, SERVER_HEADER "<stream:fea");
    bytes_free(&said);
    records_free(&r);
    box_done(b);
}

/* A name in A-labels is the TLS way to write it; in a stream it is not (RFC 7622). */
static void test_idn(void **state)
{
    struct box *b = *state;
    struct bytes heard = {0};
    char hello[4096];
    struct pair p;
    struct run *proxy = begin(&p, b, "auto", "auto");
    PEER_OK(&p.client, peer_send(&p.client, hello, first_flight(&p, "xn--bcher-kva.example", hello,
                                                               sizeof hello)));
    PEER_OK(&p.server, peer_accept(&p.server, p.listener));
    while (!bytes_has(&heard, "'>"))
        assert_int_equal(peer_some(&p.server, &heard), 0);
    if (!bytes_has(&heard, " to='b\xc3\xbc" "cher.example'"))
        fail_msg("the server heard: %.*s", (int)heard.len, heard.p);
    bytes_free(&heard);
    end(&p, proxy);
    box_done(b);
}

/* ---- first bytes that are no more than that ---- */

static void leaves(struct peer *p)
{
    PEER_OK(p, peer_shutdown(p));
}

struct hello_row {
    const char *name;
    int bytes;          /* so much of a ClientHello; 0: all */
    const char *behind; /* then this */
    void (*leave)(struct peer *p); /* NULL: it stays */
    const char *reason, *verdict, *kind;
};

static const struct hello_row hellos[] = {
    {"one byte, then silence", 1, "", NULL, "timeout", "tls.timeout", "handshake-ended"},
    {"half a hello, then silence", 100, "", NULL, "timeout", "tls.timeout", "handshake-ended"},
    {"half a hello, then nobody", 100, "", leaves, "closed", "tls.client.gave-up", "closed"},
    {"half a hello, then a reset", 100, "", peer_abort, "reset", "tls.client.gave-up", "reset"},
    {"half a hello, then text", 5, "<?xml version='1.0'?>", NULL, "tls-failed", "tls.client.not-tls",
     "not-tls"},
    {"a hello, then text", 0, "GET / HTTP/1.1\r\n\r\n", NULL, "tls-failed", "tls.client.not-tls", "not-tls"},
};
#define HELLOS (sizeof hellos / sizeof *hellos)

static void assert_client_kind(const struct records *r, const char *kind)
{
    for (size_t i = 0; i < r->lines; i++)
        if (record_is(r->line[i], "event", "tls") && record_is(r->line[i], "side", "client") &&
            record_is(r->line[i], "kind", kind))
            return;
    fail_msg("no tls record of the client says %s", kind);
}

static void test_hello(void **state)
{
    struct box *b = *state;
    const struct hello_row *row = b->row;
    struct records r = {0};
    struct bytes rest = {0};
    char hello[4096];
    struct pair p;
    struct run *proxy = begin_within(&p, b, "auto", "direct", row->bytes ? "2" : "30");
    size_t n = first_flight(&p, DOMAIN, hello, sizeof hello);
    PEER_OK(&p.client, peer_send(&p.client, hello, row->bytes ? (size_t)row->bytes : n));
    PEER_OK(&p.client, peer_sends(&p.client, row->behind));
    run_says(proxy, "session begins"); /* a reset would take back what nobody has read */
    if (row->leave)
        row->leave(&p.client);
    if (!row->bytes) {
        PEER_OK(&p.server, peer_accept(&p.server, p.listener));
        PEER_OK(&p.server, peer_tls_accept(&p.server, p.server_ctx));
    }
    if (row->leave == peer_abort)
        run_says(proxy, "reason=reset");
    else
        PEER_OK(&p.client, peer_rest(&p.client, &rest));
    bytes_free(&rest);
    end(&p, proxy);
    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), 1);
    assert_client_kind(&r, row->kind);
    const char *last = records_find(&r, "end");
    if (!record_is(last, "reason", row->reason) || !record_is(last, "verdict", row->verdict))
        fail_msg("not %s, %s: %s", row->reason, row->verdict, last);
    records_free(&r);
    box_done(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, box_setup, box_teardown)

int main(void)
{
    static const struct CMUnitTest others[] = {
        TEST(test_none_offered), TEST(test_no_downgrade), TEST(test_unreachable),
        TEST(test_bad_certificate), TEST(test_required),
        TEST(test_required_unread), TEST(test_injected), TEST(test_silent),
        TEST(test_none_where_demanded), TEST(test_server_leaves), TEST(test_idn),
    };
    struct CMUnitTest tests[3 * ROWS + HELLOS + sizeof others / sizeof *others];
    size_t n = 0;

    for (size_t i = 0; i < ROWS; i++) {
        tests[n++] = (struct CMUnitTest){rows[i].name, test_login, box_setup, box_teardown,
                                         (void *)(uintptr_t)&rows[i]};
        tests[n++] = (struct CMUnitTest){rows[i].name, test_bytes, box_setup, box_teardown,
                                         (void *)(uintptr_t)&rows[i]};
        tests[n++] = (struct CMUnitTest){rows[i].name, test_ipv6, box_setup, box_teardown,
                                         (void *)(uintptr_t)&rows[i]};
    }
    for (size_t i = 0; i < HELLOS; i++)
        tests[n++] = (struct CMUnitTest){hellos[i].name, test_hello, box_setup, box_teardown,
                                         (void *)(uintptr_t)&hellos[i]};
    memcpy(tests + n, others, sizeof others);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

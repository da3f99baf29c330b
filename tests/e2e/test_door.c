/* Who knocks and is no XMPP client: it is said what it is, whether its first words come in clear or
 * behind direct TLS. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "pair.h"
#include "run.h"

#define GET        "GET /xmpp-websocket HTTP/1.1\r\nHost: " DOMAIN "\r\n\r\n"
#define IN_TLS     "negotiation-in-tls"
#define TO_SERVERS "a server-to-server stream"
#define S2S                                                                                        \
    "<?xml version='1.0'?><stream:stream to='" DOMAIN "' version='1.0' xmlns='jabber:server' "     \
    "xmlns:stream='http://etherx.jabber.org/streams'>"

static const char *word; /* the client's first one */

static int in_clear(struct peer *p, SSL_CTX *ctx)
{
    (void)ctx;
    return peer_sends(p, word);
}

static int in_tls(struct peer *p, SSL_CTX *ctx)
{
    return peer_tls_connect(p, ctx, DOMAIN) ? -1 : peer_sends(p, word);
}

/* That it is a server stands in its ClientHello, too (XEP-0368). */
static int in_tls_of_a_server(struct peer *p, SSL_CTX *ctx)
{
    SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x0bxmpp-server", 12);
    return in_tls(p, ctx);
}

static int at_once(struct peer *p, SSL_CTX *ctx)
{
    (void)p;
    (void)ctx;
    return 0;
}

/* The STARTTLS before it is xmpptap's. */
static int opened_server(struct peer *p, SSL_CTX *ctx)
{
    if (peer_expects(p, OUR_HELLO) || peer_sends(p, SERVER_HEADER FEATURES_TLS) ||
        peer_expects(p, STARTTLS) || peer_sends(p, PROCEED))
        return -1;
    return peer_tls_accept(p, ctx);
}

static const struct row {
    const char *name, *client_tls, *server_tls;
    login_part *client, *server; /* with the first word; up to it */
    const char *word, *phase, *says;
} rows[] = {
    {"HTTP, clear both", "auto", "auto", in_clear, at_once, GET, "connect", "HTTP"},
    {"HTTP, direct, direct", "auto", "direct", in_tls, peer_tls_accept, GET, IN_TLS, "HTTP"},
    {"HTTP, direct, STARTTLS", "auto", "auto", in_tls, opened_server, GET, IN_TLS, "HTTP"},
    {"HTTP, direct, clear", "auto", "off", in_tls, at_once, GET, IN_TLS, "HTTP"},
    {"a server, clear, STARTTLS", "off", "auto", in_clear, opened_server, S2S, "connect",
     TO_SERVERS},
    {"a server, direct", "auto", "direct", in_tls, peer_tls_accept, S2S, IN_TLS, TO_SERVERS},
    {"a server by its ALPN", "auto", "direct", in_tls_of_a_server, peer_tls_accept, S2S, "connect",
     TO_SERVERS},
};
#define ROWS (sizeof rows / sizeof *rows)

/* It is said what it is, once, and not what becomes of it, which TLS of ours decides: here it goes
 * on. */
static void test_row(void **state)
{
    static const char unread[] = "which is not read yet";
    struct box *b = *state;
    const struct row *row = b->row;
    struct pair p;

    pair_init_tls(&p, b, box_ca_pem(b), LEAF_GOOD, 0);
    struct run *proxy = run_proxy(b, p.port, "--client-tls", row->client_tls, "--server-tls",
                                  row->server_tls, NULL);
    word = row->word;
    pair_play(&p, proxy->port, row->client, row->server);
    PEER_OK(&p.server, peer_expects(&p.server, word));
    run_says(proxy, box_text(b, "side=client phase=%s msg=\"this is %s", row->phase, row->says));
    pair_free(&p);
    run_stop(proxy);
    const char *said = strstr(proxy->err.text.p, unread);
    assert_non_null(said);
    assert_null(strstr(said + 1, unread));
    assert_false(bytes_has(&proxy->err.text, "relayed"));
    box_done(b);
}

int main(void)
{
    struct CMUnitTest tests[ROWS];

    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){rows[i].name, test_row, box_setup, box_teardown,
                                       (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

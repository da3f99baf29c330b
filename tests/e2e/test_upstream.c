/* Servers that cannot be trusted or reached, and clients that do not trust us: each side is told,
 * and the message names the cure. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pair.h"
#include "records.h"
#include "run.h"

#define TLS_FAILURE "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" STREAM_CLOSE

struct row {
    const char *name;
    enum pki_leaf leaf;
    const char *cause; /* what the message says is wrong */
    const char *cure;
};

static const struct row rows[] = {
    {"wrong name", LEAF_WRONG_NAME, "elsewhere.example", "--insecure"},
    {"self-signed", LEAF_SELF_SIGNED, "self-signed", "--upstream-ca"},
    {"unknown issuer", LEAF_UNKNOWN_ISSUER, "issuer", "--upstream-ca"},
    {"expired", LEAF_EXPIRED, "expired", "--insecure"},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Up to <starttls/> at the server. */
static void pair_starttls(struct pair *p, int proxy_port)
{
    pair_play(p, proxy_port, login_open_client, login_open_server);
    pair_says(&p->client, &p->server, STARTTLS);
}

static void assert_edit_recorded(struct box *b)
{
    struct records r;
    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), 1);
    assert_int_equal(records_count(&r, "end"), 1);
    assert_true(records_count(&r, "edit") >= 1);
    records_free(&r);
}

static void test_bad_certificate(void **state)
{
    struct box *b = *state;
    const struct row *row = b->row;
    struct pair p;
    pair_init_tls(&p, b, box_ca_pem(b), row->leaf, 0);
    struct run *proxy = run_proxy(b, p.port, NULL);
    pair_starttls(&p, proxy->port);
    PEER_OK(&p.server, peer_sends(&p.server, PROCEED));
    /* The handshake itself may end before the certificate is judged. */
    if (peer_tls_accept(&p.server, p.server_ctx) == 0)
        PEER_OK(&p.server, peer_expect_end(&p.server));
    PEER_OK(&p.client, peer_expects(&p.client, TLS_FAILURE));
    PEER_OK(&p.client, peer_expect_end(&p.client));
    run_says(proxy, row->cause);
    run_says(proxy, row->cure);
    run_says(proxy, "reason=certificate");
    run_says(proxy, DOMAIN); /* the name it was checked for */
    run_stop(proxy);
    pair_free(&p);
    assert_edit_recorded(b);
    box_done(b);
}

static void test_insecure(void **state)
{
    struct box *b = *state;
    const struct row *row = b->row;
    struct pair p;
    pair_init_tls(&p, b, box_ca_pem(b), row->leaf, 0);
    struct run *proxy = run_proxy(b, p.port, "--insecure", NULL);
    pair_login(&p, proxy->port);
    run_says(proxy, row->cause); /* what was ignored */
    run_stop(proxy);
    pair_free(&p);
    box_done(b);
}

/* ---- servers that are not there ---- */

/* A port that is taken, so nobody else gets it, and on which nobody listens. */
static int deaf_port(int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof(a);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static void test_stopped_server(void **state)
{
    struct box *b = *state;
    struct peer client;
    struct bytes got = {0};
    int port, fd = deaf_port(&port);
    struct run *proxy = run_proxy(b, port, NULL);
    peer_init(&client, "client");
    PEER_OK(&client, peer_connect(&client, proxy->port));
    PEER_OK(&client, peer_sends(&client, STREAM_HEADER));
    PEER_OK(&client, peer_rest(&client, &got));
    assert_false(client.reset);
    const char *header = strstr(got.p, "<stream:stream ");
    const char *error = strstr(got.p, "<stream:error>");
    if (!header || !error || error < header || !strstr(error, "<remote-connection-failed ") ||
        !bytes_has(&got, "from='" DOMAIN "'"))
        fail_msg("the client got: %s", got.p);
    assert_string_equal(got.p + got.len - strlen(STREAM_CLOSE), STREAM_CLOSE);
    peer_close(&client);
    run_says(proxy, "reason=unreachable");
    run_says(proxy, box_text(b, "127.0.0.1:%d", port));
    run_stop(proxy);
    close(fd);
    bytes_free(&got);
    assert_edit_recorded(b);
    box_done(b);
}

/* Accepts, says <proceed/>, and never answers TLS. */
static void test_silent_tls(void **state)
{
    struct box *b = *state;
    struct pair p;
    pair_init_tls(&p, b, box_ca_pem(b), LEAF_GOOD, 0);
    struct run *proxy = run_proxy(b, p.port, "--handshake-timeout", "2", NULL);
    pair_starttls(&p, proxy->port);
    int64_t start = now_ms();
    PEER_OK(&p.server, peer_sends(&p.server, PROCEED));
    PEER_OK(&p.client, peer_expects(&p.client, TLS_FAILURE));
    PEER_OK(&p.client, peer_expect_end(&p.client));
    int64_t took = now_ms() - start;
    if (took < 1500 || took > 10000)
        fail_msg("--handshake-timeout 2 took %lld ms", (long long)took);
    run_says(proxy, "reason=timeout");
    run_stop(proxy);
    pair_free(&p);
    box_done(b);
}

/* ---- a client that does not trust our CA ---- */

static void test_distrusting_client(void **state)
{
    struct box *b = *state;
    struct pair p;
    struct bytes pem = {0};
    pair_init_tls(&p, b, box_ca_pem(b), LEAF_GOOD, 0);
    struct run *proxy = run_proxy(b, p.port, NULL);
    pair_starttls(&p, proxy->port);
    PEER_OK(&p.server, peer_sends(&p.server, PROCEED));
    PEER_OK(&p.server, peer_tls_accept(&p.server, p.server_ctx));
    PEER_OK(&p.client, peer_expects(&p.client, PROCEED));
    assert_true(bytes_file(&pem, b->upstream_ca)); /* some other CA */
    SSL_CTX *distrusting = pki_client(pem.p, 0);
    assert_int_equal(peer_tls_connect(&p.client, distrusting, DOMAIN), -1);
    peer_close(&p.client);
    PEER_OK(&p.server, peer_expect_end(&p.server));
    run_says(proxy, "unknown_ca");
    run_says(proxy, "xmpptap ca export");
    run_stop(proxy);
    SSL_CTX_free(distrusting);
    bytes_free(&pem);
    pair_free(&p);
    box_done(b);
}

#define TEST(name)                                                                                 \
    {                                                                                              \
#name, name, box_setup, box_teardown, NULL                                                 \
    }

static const struct CMUnitTest others[] = {
    TEST(test_stopped_server),
    TEST(test_silent_tls),
    TEST(test_distrusting_client),
};
#define OTHERS (sizeof(others) / sizeof(others[0]))

int main(void)
{
    struct CMUnitTest tests[OTHERS + 2 * ROWS];
    char insecure[ROWS][64];
    memcpy(tests, others, sizeof(others));
    for (size_t i = 0; i < ROWS; i++) {
        void *row = (void *)(uintptr_t)&rows[i];
        snprintf(insecure[i], sizeof(insecure[i]), "%s, --insecure", rows[i].name);
        tests[OTHERS + 2 * i] =
            (struct CMUnitTest){rows[i].name, test_bad_certificate, box_setup, box_teardown, row};
        tests[OTHERS + 2 * i + 1] =
            (struct CMUnitTest){insecure[i], test_insecure, box_setup, box_teardown, row};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

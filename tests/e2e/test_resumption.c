/* TLS sessions that go on in the next login: with the server, where its certificate was right and
 * all that this depends on is the same, and with the client. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "pair.h"
#include "records.h"
#include "run.h"

static int direct_client(struct peer *p, SSL_CTX *ctx)
{
    return login_secure_client(p, ctx);
}

static int direct_server(struct peer *p, SSL_CTX *ctx)
{
    return login_secure_server(p, ctx);
}

/* ---- rows ---- */

struct row {
    const char *name;
    int version;
    bool direct;       /* else STARTTLS */
    enum pki_leaf leaf;
    bool asks;         /* for a client's certificate */
    const char *option; /* of the proxy; or NULL */
    bool goes_on, client_goes_on; /* the second login's TLS with the server; with the client */
};

#define BOTH_WAYS(name, ...) {name, TLS1_2_VERSION, __VA_ARGS__}, {name, TLS1_3_VERSION, __VA_ARGS__}

static const struct row rows[] = {
    BOTH_WAYS("STARTTLS", false, LEAF_GOOD, false, NULL, true, true),
    BOTH_WAYS("direct TLS", true, LEAF_GOOD, false, NULL, true, true),
    BOTH_WAYS("not wanted", true, LEAF_GOOD, false, "--no-tls-resumption", false, false),
    BOTH_WAYS("valid, whatever --insecure", true, LEAF_GOOD, false, "--insecure", true, true),
    BOTH_WAYS("not valid: an unknown CA", true, LEAF_UNKNOWN_ISSUER, false, "--insecure", false, true),
    BOTH_WAYS("not valid: expired", false, LEAF_EXPIRED, false, "--insecure", false, true),
    BOTH_WAYS("not valid: another name", true, LEAF_WRONG_NAME, false, "--insecure", false, true),
    BOTH_WAYS("the server asks for a certificate", true, LEAF_GOOD, true, NULL, false, true),
};
#define ROWS (sizeof rows / sizeof *rows)

static int take_any(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

static void begin(struct pair *p, struct box *b, const struct row *row)
{
    pair_init_tls(p, b, box_ca_pem(b), row->leaf, row->version);
    SSL_CTX_set_session_id_context(p->server_ctx, (const unsigned char *)"test", 4);
    if (row->asks)
        SSL_CTX_set_verify(p->server_ctx, SSL_VERIFY_PEER, take_any);
}

static struct run *start(struct pair *p, struct box *b, bool direct, const char *option,
                         const char *value)
{
    return run_proxy(b, p->port, "-q", "--server-tls", direct ? "direct" : "auto", option, value,
                     NULL);
}

/* Both close their streams: the sessions of TLS are whole. */
static void leave(struct pair *p)
{
    pair_leave(p);
    SSL_shutdown(p->server.ssl);
    SSL_shutdown(p->client.ssl);
    peer_close(&p->server);
    peer_close(&p->client);
}

/* A whole login. `session`: what the client has, and then what it was given. */
static void log_in(struct pair *p, int port, bool direct, SSL_SESSION **session, bool goes_on,
                   bool client_goes_on)
{
    pair_again(p);
    p->client.session = *session;
    pair_play(p, port, direct ? direct_client : login_client,
              direct ? direct_server : login_server);
    assert_int_equal(SSL_session_reused(p->server.ssl), goes_on);
    assert_int_equal(SSL_session_reused(p->client.ssl), client_goes_on);
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(p->client.ssl);
    leave(p);
}

/* ---- what is recorded ---- */

/* The nth `tls` record of this side. */
static const char *find_tls(const struct records *r, const char *side, int nth)
{
    for (size_t i = 0; i < r->lines; i++)
        if (record_is(r->line[i], "event", "tls") && record_is(r->line[i], "side", side) &&
            nth-- == 0)
            return r->line[i];
    fail_msg("no more tls records of the %s", side);
    return NULL;
}

static void assert_same(const char *a, const char *b, const char *key)
{
    struct bytes value[2] = {{0}, {0}};
    if (!record_string(a, key, &value[0]) || !record_string(b, key, &value[1]))
        fail_msg("no %s in %s or %s", key, a, b);
    assert_int_equal(value[0].len, value[1].len);
    assert_memory_equal(value[0].p, value[1].p, value[0].len);
    bytes_free(&value[0]);
    bytes_free(&value[1]);
}

/* The facts of the certificate are the same where none was shown. */
static void assert_recorded(struct box *b, const struct row *row)
{
    static const char *const same[] = {"cert", "cert_key", "cert_sha256", "version", "sni"};
    static const char *const sides[] = {"client", "server"};
    struct records r = {0};

    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), 2);
    for (int i = 0; i < 2; i++) {
        const char *first = find_tls(&r, sides[i], 0), *second = find_tls(&r, sides[i], 1);
        bool goes_on = i == 0 ? row->client_goes_on : row->goes_on;

        assert_null(strstr(first, "\"resumed\""));
        assert_int_equal(strstr(second, "\"resumed\":true") != NULL, goes_on);
        assert_int_equal(strstr(second, "\"signature\"") == NULL, goes_on);
        for (size_t n = 0; n < sizeof same / sizeof *same; n++)
            assert_same(first, second, same[n]);
        if (i == 1)
            assert_same(first, second, "verify");
    }
    records_free(&r);
}

static void test_row(void **state)
{
    struct box *b = *state;
    const struct row *row = b->row;
    SSL_SESSION *session = NULL;
    struct pair p;

    begin(&p, b, row);
    struct run *proxy = start(&p, b, row->direct, row->option, NULL);
    log_in(&p, proxy->port, row->direct, &session, false, false);
    log_in(&p, proxy->port, row->direct, &session, row->goes_on, row->client_goes_on);
    SSL_SESSION_free(session);
    run_stop(proxy);
    pair_free(&p);
    assert_recorded(b, row);
    box_done(b);
}

/* ---- another domain ---- */

#define OTHER "other.example"

static int other_client(struct peer *p, SSL_CTX *ctx)
{
    return peer_tls_connect(p, ctx, OTHER);
}

/* The same server, asked for another domain, must show a certificate, which is not right. */
static void test_other_domain(void **state)
{
    static const struct row row = {"", TLS1_3_VERSION, true, LEAF_GOOD, false, NULL, true, false};
    struct box *b = *state;
    SSL_SESSION *session = NULL;
    struct bytes rest = {0};
    struct pair p;

    begin(&p, b, &row);
    struct run *proxy = start(&p, b, true, NULL, NULL);
    log_in(&p, proxy->port, true, &session, false, false);
    SSL_SESSION_free(session);

    pair_again(&p);
    PEER_OK(&p.client, peer_connect(&p.client, proxy->port));
    const struct login_end c = {&p.client, other_client, p.client_ctx};
    const struct login_end s = {&p.server, peer_tls_accept, p.server_ctx};
    login_pair(&c, &s, p.listener);
    assert_non_null(p.server.ssl);
    assert_string_equal(p.server.sni, OTHER);
    assert_false(SSL_session_reused(p.server.ssl));
    PEER_OK(&p.client, peer_rest(&p.client, &rest));
    assert_true(bytes_has(&rest, "<remote-connection-failed "));
    bytes_free(&rest);
    peer_close(&p.client);
    peer_close(&p.server);

    session = NULL; /* and what went on goes on */
    log_in(&p, proxy->port, true, &session, true, false);
    SSL_SESSION_free(session);
    run_stop(proxy);
    pair_free(&p);
    box_done(b);
}

/* ---- a server that cannot go on ---- */

static int the_listener;

/* Hangs up on the ClientHello, and again accepts. */
static int breaking_server(struct peer *p, SSL_CTX *ctx)
{
    struct bytes hello = {0};
    int r = peer_some(p, &hello);
    bytes_free(&hello);
    peer_close(p);
    if (r || peer_accept(p, the_listener))
        return -1;
    return direct_server(p, ctx);
}

/* It is asked once more, without a session, and nobody notices. */
static void test_server_breaks(void **state)
{
    static const struct row row = {"", TLS1_3_VERSION, true, LEAF_GOOD, false, NULL, true, false};
    struct box *b = *state;
    SSL_SESSION *session = NULL;
    struct pair p;

    begin(&p, b, &row);
    struct run *proxy = start(&p, b, true, NULL, NULL);
    log_in(&p, proxy->port, true, &session, false, false);

    pair_again(&p);
    the_listener = p.listener;
    pair_play(&p, proxy->port, direct_client, breaking_server);
    assert_false(SSL_session_reused(p.server.ssl));
    leave(&p);
    log_in(&p, proxy->port, true, &session, false, true);
    SSL_SESSION_free(session);
    run_stop(proxy);
    pair_free(&p);
    box_done(b);
}

/* ---- the log of secrets ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct bytes logged; /* what the peers' own OpenSSL says, under `lock` */

static void log_line(const SSL *ssl, const char *line)
{
    (void)ssl;
    pthread_mutex_lock(&lock);
    bytes_str(&logged, line);
    bytes_str(&logged, "\n");
    pthread_mutex_unlock(&lock);
}

/* Those of sessions that go on are the peers' own, too. */
static void test_keylog(void **state)
{
    struct box *b = *state;
    const char *path = box_text(b, "%s/keys", b->root);
    struct bytes file = {0};

    logged.len = 0;
    for (size_t i = 0; i < 2; i++) {
        const struct row row = {.version = i ? TLS1_3_VERSION : TLS1_2_VERSION, .leaf = LEAF_GOOD};
        SSL_SESSION *session = NULL;
        struct pair p;
        begin(&p, b, &row);
        SSL_CTX_set_keylog_callback(p.client_ctx, log_line);
        SSL_CTX_set_keylog_callback(p.server_ctx, log_line);
        struct run *proxy = start(&p, b, false, "--keylog", path);
        log_in(&p, proxy->port, false, &session, false, false);
        log_in(&p, proxy->port, false, &session, true, true);
        SSL_SESSION_free(session);
        run_stop(proxy);
        pair_free(&p);
    }
    assert_true(bytes_file(&file, path));
    assert_int_equal(bytes_lines(&file), bytes_lines(&logged));
    for (const char *p = file.p; p && *p;) {
        size_t n = strcspn(p, "\n") + 1;
        if (!memmem(logged.p, logged.len, p, n))
            fail_msg("nobody knows this secret: %.*s", (int)n, p);
        p += n;
    }
    bytes_free(&file);
    bytes_free(&logged);
    box_done(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, box_setup, box_teardown)

int main(void)
{
    struct CMUnitTest tests[ROWS + 3] = {TEST(test_other_domain), TEST(test_server_breaks),
                                         TEST(test_keylog)};

    for (size_t i = 0; i < ROWS; i++)
        tests[3 + i] = (struct CMUnitTest){rows[i].name, test_row, box_setup, box_teardown,
                                           (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

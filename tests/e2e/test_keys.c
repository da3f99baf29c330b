/* Keys and certificates that the user gives: the server's own, a client's, and the log of TLS
 * secrets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pair.h"
#include "records.h"
#include "run.h"

#define ALICE "alice@" DOMAIN
#define BOB   "bob@" DOMAIN

static const char *upstream_pem(struct box *b)
{
    struct bytes pem = {0};
    pki_save_ca(&b->pki, b->upstream_ca);
    assert_true(bytes_file(&pem, b->upstream_ca));
    const char *text = box_text(b, "%s", pem.p);
    bytes_free(&pem);
    return text;
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

/* Each line of `a` is one of `b`. */
static void assert_lines_within(const struct bytes *a, const struct bytes *b)
{
    for (const char *p = a->p; p && *p;) {
        size_t n = strcspn(p, "\n") + 1;
        if (!memmem(b->p, b->len, p, n))
            fail_msg("a line is missing: %.*s", (int)n, p);
        p += n;
    }
}

/* Both legs' lines stand in the file, as the peers know them, and no other. */
static void test_keylog(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct box *b = *state;
    const char *path = box_text(b, "%s/keys", b->root);
    struct bytes file = {0};
    struct stat st;
    logged.len = 0;
    for (size_t i = 0; i < 2; i++) { /* the second run appends */
        struct pair p;
        pair_init_tls(&p, b, box_ca_pem(b), LEAF_GOOD, versions[i]);
        SSL_CTX_set_keylog_callback(p.client_ctx, log_line);
        SSL_CTX_set_keylog_callback(p.server_ctx, log_line);
        struct run *proxy = run_proxy(b, p.port, "--keylog", path, NULL);
        pair_login(&p, proxy->port);
        run_stop(proxy);
        pair_free(&p);
    }
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(bytes_file(&file, path));
    assert_true(bytes_has(&file, "CLIENT_RANDOM "));
    assert_true(bytes_has(&file, "CLIENT_HANDSHAKE_TRAFFIC_SECRET "));
    assert_true(bytes_has(&file, "SERVER_TRAFFIC_SECRET_0 "));
    assert_lines_within(&logged, &file);
    assert_lines_within(&file, &logged);
    assert_int_equal(bytes_lines(&file), bytes_lines(&logged));
    bytes_free(&file);
    bytes_free(&logged);
    box_done(b);
}

/* A pipe that nobody empties, and sessions go on. */
static void test_keylog_stuck(void **state)
{
    struct box *b = *state;
    const char *path = box_text(b, "%s/pipe", b->root);
    int fd;
    assert_int_equal(mkfifo(path, 0600), 0);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    fcntl(fd, F_SETPIPE_SZ, 4096);
    struct run *proxy = NULL;
    struct pair p;
    pair_init_tls(&p, b, box_ca_pem(b), LEAF_GOOD, TLS1_3_VERSION);
    proxy = run_proxy(b, p.port, "--keylog", path, "--no-archive", "-q", NULL);
    for (int i = 0; i < 20; i++) { /* some 2 KiB each */
        pair_login(&p, proxy->port);
        pair_again(&p);
    }
    run_stop(proxy);
    pair_free(&p);
    close(fd);
    box_done(b);
}

/* ---- the server's own certificate ---- */

/* The client sees it and its chain, end to end; no CA is made. */
static void test_server_certificate(void **state)
{
    struct box *b = *state;
    const char *cert = box_text(b, "%s/server.pem", b->root);
    const char *key = box_text(b, "%s/server.key", b->root);
    struct pair p;
    struct stat st;
    pki_save_identity(&b->pki, DOMAIN, cert, key);
    pair_init_tls(&p, b, upstream_pem(b), LEAF_GOOD, 0);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(p.server_ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(p.server_ctx, key, SSL_FILETYPE_PEM), 1);
    struct run *proxy =
        run_proxy(b, p.port, "--server-cert", cert, "--server-key", key, "-v", NULL);
    pair_login(&p, proxy->port);
    assert_int_equal(X509_cmp(SSL_get0_peer_certificate(p.client.ssl),
                              SSL_get_certificate(p.server.ssl)),
                     0);
    assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(p.client.ssl)), 2);
    run_stop(proxy);
    assert_false(bytes_has(&proxy->err.text, "does not name"));
    assert_int_equal(stat(box_text(b, "%s/ca.pem", b->ca), &st), -1);
    pair_free(&p);
    box_done(b);
}

static void test_server_certificate_of_another_name(void **state)
{
    struct box *b = *state;
    const char *cert = box_text(b, "%s/other.pem", b->root);
    const char *key = box_text(b, "%s/other.key", b->root);
    struct pair p;
    pki_save_identity(&b->pki, "other.example", cert, key);
    pair_init_tls(&p, b, NULL, LEAF_GOOD, 0);
    struct run *proxy = run_proxy(b, p.port, "--server-cert", cert, "--server-key", key, NULL);
    pair_login(&p, proxy->port);
    run_says(proxy, "does not name \\\"" DOMAIN);
    run_stop(proxy);
    pair_free(&p);
    box_done(b);
}

/* ---- clients' certificates ---- */

struct row {
    const char *name;
    int version;
    bool asks, has, gives; /* the server asks; the client has one; --client-cert is given */
};

static const struct row rows[] = {
    {"nobody asks for a client's certificate", TLS1_3_VERSION, false, true, true},
    {"a client's certificate cannot pass, TLS 1.2", TLS1_2_VERSION, true, true, false},
    {"a client's certificate cannot pass, TLS 1.3", TLS1_3_VERSION, true, true, false},
    {"a client without a certificate", TLS1_3_VERSION, true, false, false},
    {"--client-cert, TLS 1.2", TLS1_2_VERSION, true, true, true},
    {"--client-cert, TLS 1.3", TLS1_3_VERSION, true, false, true},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static int take_any(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

static atomic_int names_heard; /* CAs that the client was told of */

static int on_asked(SSL *ssl, void *arg)
{
    (void)arg;
    names_heard = sk_X509_NAME_num(SSL_get0_peer_CA_list(ssl));
    return 1;
}

static void use(SSL_CTX *ctx, const char *cert, const char *key)
{
    assert_int_equal(SSL_CTX_use_certificate_chain_file(ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM), 1);
}

/* What the archive says of both legs. */
static void assert_recorded(struct box *b, const struct row *row)
{
    struct records r;
    int seen = 0;
    records_load(&r, b, b->archive);
    for (size_t i = 0; i < r.lines; i++) {
        const char *line = r.line[i];
        bool client = record_is(line, "side", "client");
        if (!record_is(line, "event", "tls"))
            continue;
        seen++;
        assert_int_equal(strstr(line, "\"client_asked\":true") != NULL, row->asks);
        assert_int_equal(record_is(line, "client_jid", client ? ALICE : BOB),
                         row->asks && (client ? row->has : row->gives));
        assert_true(record_is(line, "cert_key", "EC 256"));
        assert_true(record_is(line, "signature", "ECDSA-SHA256"));
        assert_non_null(strstr(line, "\"cert_sha256\":\""));
    }
    assert_int_equal(seen, 2);
    records_free(&r);
}

static void test_client_certificate(void **state)
{
    struct box *b = *state;
    const struct row *row = b->row;
    const char *cert[2], *key[2];
    struct pair p;
    X509 *shown;
    for (int i = 0; i < 2; i++) {
        cert[i] = box_text(b, "%s/client%d.pem", b->root, i);
        key[i] = box_text(b, "%s/client%d.key", b->root, i);
        pki_save_identity(&b->pki, i ? BOB : ALICE, cert[i], key[i]);
    }
    pair_init_tls(&p, b, box_ca_pem(b), LEAF_GOOD, row->version);
    names_heard = -1;
    SSL_CTX_set_cert_cb(p.client_ctx, on_asked, NULL);
    if (row->has)
        use(p.client_ctx, cert[0], key[0]);
    if (row->asks) {
        SSL_CTX_set_verify(p.server_ctx, SSL_VERIFY_PEER, take_any);
        assert_int_equal(SSL_CTX_add_client_CA(p.server_ctx, b->pki.ca), 1);
    }
    struct run *proxy = row->gives ? run_proxy(b, p.port, "--client-cert", cert[1], "--client-key",
                                               key[1], NULL)
                                   : run_proxy(b, p.port, NULL);
    pair_login(&p, proxy->port);
    assert_int_equal(names_heard, row->asks ? 1 : -1);
    shown = SSL_get0_peer_certificate(p.server.ssl);
    assert_int_equal(shown != NULL, row->asks && row->gives);
    run_stop(proxy);
    assert_int_equal(bytes_has(&proxy->err.text, "SASL EXTERNAL will not work"),
                     row->asks && row->has && !row->gives);
    pair_free(&p);
    assert_recorded(b, row);
    box_done(b);
}

int main(void)
{
    struct CMUnitTest tests[ROWS + 4] = {
        cmocka_unit_test_setup_teardown(test_keylog, box_setup, box_teardown),
        cmocka_unit_test_setup_teardown(test_keylog_stuck, box_setup, box_teardown),
        cmocka_unit_test_setup_teardown(test_server_certificate, box_setup, box_teardown),
        cmocka_unit_test_setup_teardown(test_server_certificate_of_another_name, box_setup,
                                        box_teardown),
    };
    for (size_t i = 0; i < ROWS; i++)
        tests[i + 4] = (struct CMUnitTest){rows[i].name, test_client_certificate, box_setup,
                                           box_teardown, (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

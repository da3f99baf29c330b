/* The end-to-end tests' own tools, played against each other without the program: what they
 * accept, and that they do fail. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <string.h>
#include <unistd.h>

#include "login.h"
#include "records.h"
#include "run.h"

struct row {
    const char *name;
    int version; /* 0: no TLS */
    size_t write_max, wire_max;
    bool bad_client; /* the client trusts another CA */
};

static const struct row rows[] = {
    {"login without TLS", 0, 0, 0, false},
    {"login byte by byte without TLS", 0, 1, 0, false},
    {"login, TLS 1.2", TLS1_2_VERSION, 0, 0, false},
    {"login, TLS 1.3", TLS1_3_VERSION, 0, 0, false},
    {"login byte by byte, TLS 1.3", TLS1_3_VERSION, 1, 1, false},
    {"login with a client that does not trust the server", TLS1_3_VERSION, 0, 0, true},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const char *ca_pem(struct box *b, const struct pki *pki)
{
    struct bytes pem = {0};
    pki_save_ca(pki, b->upstream_ca);
    assert_true(bytes_file(&pem, b->upstream_ca));
    const char *text = box_text(b, "%s", pem.p);
    bytes_free(&pem);
    return text;
}

static void test_login(void **state)
{
    struct box *b = *state;
    const struct row *row = b->row;
    struct peer client, server;
    struct pki other;
    int port, listener = peer_listen(&port);
    assert_true(listener >= 0);
    pki_init(&other);
    SSL_CTX *client_ctx = pki_client(ca_pem(b, row->bad_client ? &other : &b->pki), row->version);
    SSL_CTX *server_ctx = pki_server(&b->pki, LEAF_GOOD, row->version);
    peer_init(&client, "client");
    peer_init(&server, "server");
    client.write_max = server.write_max = row->write_max;
    client.wire_max = server.wire_max = row->wire_max;
    PEER_OK(&client, peer_connect(&client, port));
    const struct login_end c = {&client, login_client, row->version ? client_ctx : NULL};
    const struct login_end s = {&server, login_server, row->version ? server_ctx : NULL};
    server.timeout_ms = 2000;
    int r = login_pair(&c, &s, listener);
    assert_int_equal(r, row->bad_client ? -1 : 0);
    if (row->bad_client) {
        assert_non_null(strstr(client.error, "certificate verify failed"));
        assert_non_null(strstr(server.error, "unknown ca"));
    } else if (row->version) {
        assert_int_equal(SSL_version(server.ssl), row->version);
        assert_string_equal(server.sni, DOMAIN);
    }
    peer_close(&client);
    peer_close(&server);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
    pki_free(&other);
    close(listener);
    box_done(b);
}

static void test_failures(void **state)
{
    struct peer client, server;
    struct bytes all = {0};
    int port, listener = peer_listen(&port);
    (void)state;
    peer_init(&client, "client");
    peer_init(&server, "server");
    PEER_OK(&client, peer_connect(&client, port));
    PEER_OK(&server, peer_accept(&server, listener));
    client.timeout_ms = server.timeout_ms = 50;

    PEER_OK(&client, peer_sends(&client, "abcX"));
    assert_int_equal(peer_expects(&server, "abcd"), -1); /* another byte */
    PEER_OK(&server, peer_expects(&server, "abcX"));
    assert_int_equal(peer_expects(&server, "e"), -1); /* nothing comes */
    assert_non_null(strstr(server.error, "nothing happened"));
    assert_int_equal(peer_expect_end(&server), -1); /* still open */
    PEER_OK(&client, peer_sends(&client, "more"));
    peer_close(&client);
    assert_int_equal(peer_expect_end(&server), -1); /* something came before the end */
    assert_int_equal(peer_expects(&server, "more"), -1);
    PEER_OK(&server, peer_rest(&server, &all));
    PEER_OK(&server, peer_expect_end(&server));
    peer_close(&server);
    bytes_free(&all);
    close(listener);
}

static void test_records(void **state)
{
    static const char json[] =
        "{\"v\":1,\"t\":\"x\",\"session\":\"a\",\"n\":1,\"event\":\"session\",\"in\":{\"n\":7}}\n"
        "{\"v\":1,\"t\":\"x\",\"session\":\"a\",\"n\":2,\"event\":\"stanza\",\"dir\":\"c2s\","
        "\"in\":[{\"xml\":\"}]\"}],\"xml\":\"<a b=\\\"\\u00e9\\ud83d\\ude00\\n\\\"/>\"}\n"
        "{\"v\":1,\"t\":\"x\",\"session\":\"a\",\"n\":3,\"event\":\"space\",\"dir\":\"c2s\","
        "\"b64\":\"AP8=\"}\n"
        "{\"v\":1,\"torn";
    struct bytes text = {0}, got = {0};
    struct records r;
    (void)state;
    bytes_str(&text, json);
    records_parse(&r, &text);
    assert_int_equal(r.lines, 3);
    assert_int_equal(records_check(&r), 1);
    assert_int_equal(records_count(&r, "end"), 0);
    records_bytes(&r, "a", "c2s", &got);
    static const char want[] = "<a b=\"\xc3\xa9\xf0\x9f\x98\x80\n\"/>\0\xff";
    assert_int_equal(got.len, sizeof(want) - 1);
    assert_memory_equal(got.p, want, got.len);
    bytes_free(&got);
    records_free(&r);
}

/* The server of many, with clients at once and no program between. */
static void *log_in(void *arg)
{
    struct server *s = arg;
    SSL_CTX *ctx = pki_client(NULL, 0);
    intptr_t failed = 0;
    for (int i = 0; i < 25; i++) {
        struct peer p;
        peer_init(&p, "client");
        failed += peer_connect(&p, s->port) || login_client(&p, ctx) || login_leave(&p);
        peer_close(&p);
    }
    SSL_CTX_free(ctx);
    return (void *)failed;
}

static void test_server(void **state)
{
    struct box *b = *state;
    pthread_t thread[8];
    SSL_CTX *ctx = pki_server(&b->pki, LEAF_GOOD, 0);
    struct server *s = server_start(b, 12, ctx);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, log_in, s), 0);
    for (int i = 0; i < 8; i++) {
        void *failed;
        pthread_join(thread[i], &failed);
        assert_null(failed);
    }
    server_stop(s);
    assert_int_equal(s->failed, 0);
    SSL_CTX_free(ctx);
    box_done(b);
}

int main(void)
{
    struct CMUnitTest tests[ROWS + 3] = {
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_records),
        cmocka_unit_test_setup_teardown(test_server, box_setup, box_teardown),
    };
    for (size_t i = 0; i < ROWS; i++)
        tests[i + 3] = (struct CMUnitTest){rows[i].name, test_login, box_setup, box_teardown,
                                           (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a TLS connection is bound by: the same at both ends, another one each time. */
#include "certs_tests.h"

#include "../../proxy/channel_binding.h"

/* `resume`, of an earlier connection: NULL for none. The session can be had from it afterwards. */
static struct pair connect_pair(SSL_CTX *client, SSL_CTX *server, int version, SSL_SESSION *resume)
{
    struct pair p = new_pair(client, server);
    char byte;

    assert_true(SSL_set_min_proto_version(p.client, version));
    assert_true(SSL_set_max_proto_version(p.client, version));
    if (resume)
        assert_true(SSL_set_session(p.client, resume));
    shake(&p);
    assert_true(p.client_ok && p.server_ok);
    assert_int_equal(SSL_read(p.client, &byte, 1), -1); /* TLS 1.3's tickets come behind */
    return p;
}

static void test_types(void **state)
{
    static const struct {
        int version;
        bool has[CB_TYPES];
        size_t len[CB_TYPES];
    } rows[] = {
        {TLS1_2_VERSION, {[CB_UNIQUE] = true, [CB_END_POINT] = true},
         {[CB_UNIQUE] = 12, [CB_END_POINT] = 32}},
        {TLS1_3_VERSION, {[CB_EXPORTER] = true, [CB_UNIQUE] = true, [CB_END_POINT] = true},
         {[CB_EXPORTER] = 32, [CB_UNIQUE] = 48, [CB_END_POINT] = 32}},
    };
    struct identity id = make_identity("example.org", NULL, NULL, -1, 1);
    SSL_CTX *client = SSL_CTX_new(TLS_client_method()), *server = server_context(&id, NULL);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct pair p = connect_pair(client, server, rows[i].version, NULL);
        struct pair q = connect_pair(client, server, rows[i].version, NULL);

        for (int t = 0; t < CB_TYPES; t++) {
            struct scram_binding a = {.flag = 'x'}, b = a, other = a;
            bool has = rows[i].has[t];

            print_message("%s, TLS %#x\n", cb_name((enum cb_type)t), (unsigned)rows[i].version);
            assert_int_equal(cb_get(p.client, (enum cb_type)t, &a), has);
            assert_int_equal(cb_get(p.server, (enum cb_type)t, &b), has);
            assert_int_equal(cb_get(q.client, (enum cb_type)t, &other), has);
            assert_int_equal(a.flag, has ? 'p' : 'x');
            if (!has)
                continue;
            assert_string_equal(a.type, cb_name((enum cb_type)t));
            assert_int_equal(a.len, rows[i].len[t]);
            assert_int_equal(b.len, a.len);
            assert_memory_equal(a.data, b.data, a.len);
            assert_int_equal(memcmp(a.data, other.data, a.len) == 0, t == CB_END_POINT);
        }
        free_pair(&p);
        free_pair(&q);
    }
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    free_identity(&id);
}

/* RFC 5929 §3.1: it is the first Finished message, which in a resumed session the server sends. */
static void test_unique_resumed(void **state)
{
    struct identity id = make_identity("example.org", NULL, NULL, -1, 1);
    SSL_CTX *client = SSL_CTX_new(TLS_client_method()), *server = server_context(&id, NULL);
    struct pair p = connect_pair(client, server, TLS1_2_VERSION, NULL);
    SSL_SESSION *session = SSL_get1_session(p.client);
    struct pair q = connect_pair(client, server, TLS1_2_VERSION, session);
    struct scram_binding a, b;
    unsigned char first[64];
    size_t n;

    (void)state;
    assert_true(SSL_session_reused(q.client) && SSL_session_reused(q.server));
    assert_true(cb_get(q.client, CB_UNIQUE, &a));
    assert_true(cb_get(q.server, CB_UNIQUE, &b));
    n = SSL_get_finished(q.server, first, sizeof first);
    assert_int_equal(a.len, n);
    assert_int_equal(b.len, n);
    assert_memory_equal(a.data, first, n);
    assert_memory_equal(b.data, first, n);

    assert_true(cb_get(p.client, CB_UNIQUE, &a));
    n = SSL_get_finished(p.client, first, sizeof first);
    assert_int_equal(a.len, n);
    assert_memory_equal(a.data, first, n);
    SSL_SESSION_free(session);
    free_pair(&p);
    free_pair(&q);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    free_identity(&id);
}

/* RFC 5929 §4.1: by the hash of the certificate's signature, but never MD5 or SHA-1. */
static void test_end_point_hash(void **state)
{
    static const struct {
        const char *key, *signature, *hash;
    } rows[] = {
        {"EC", "SHA256", "SHA256"}, {"EC", "SHA384", "SHA384"}, {"EC", "SHA512", "SHA512"},
        {"EC", "SHA1", "SHA256"},   {"RSA", "SHA384", "SHA384"}, {"ED25519", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct identity id = make_identity("example.org", NULL, NULL, -1, 1);
        SSL_CTX *client = SSL_CTX_new(TLS_client_method()), *server;
        struct scram_binding a, b;
        unsigned char want[EVP_MAX_MD_SIZE];
        unsigned n;
        struct pair p;

        print_message("%s %s\n", rows[i].key, rows[i].signature ? rows[i].signature : "");
        EVP_PKEY_free(id.key);
        id.key = rows[i].key[0] == 'R'   ? EVP_RSA_gen(2048)
                 : rows[i].key[1] == 'D' ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                         : EVP_EC_gen("P-256");
        assert_true(X509_set_pubkey(id.cert, id.key));
        assert_true(X509_sign(id.cert, id.key, rows[i].signature
                                                   ? EVP_get_digestbyname(rows[i].signature)
                                                   : NULL));
        server = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_security_level(server, 0);
        assert_true(SSL_CTX_use_certificate(server, id.cert));
        assert_true(SSL_CTX_use_PrivateKey(server, id.key));
        p = connect_pair(client, server, TLS1_3_VERSION, NULL);
        assert_int_equal(cb_get(p.client, CB_END_POINT, &a), rows[i].hash != NULL);
        assert_int_equal(cb_get(p.server, CB_END_POINT, &b), rows[i].hash != NULL);
        if (rows[i].hash) {
            assert_true(X509_digest(id.cert, EVP_get_digestbyname(rows[i].hash), want, &n));
            assert_int_equal(a.len, n);
            assert_memory_equal(a.data, want, n);
            assert_int_equal(b.len, n);
            assert_memory_equal(b.data, want, n);
        }
        free_pair(&p);
        SSL_CTX_free(client);
        SSL_CTX_free(server);
        free_identity(&id);
    }
}

static void test_names(void **state)
{
    (void)state;
    for (int t = 0; t < CB_TYPES; t++)
        assert_int_equal(cb_by_name(cb_name((enum cb_type)t)), t);
    assert_int_equal(cb_by_name("tls-whatever"), CB_TYPES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_types),
        TEST(test_unique_resumed),
        TEST(test_end_point_hash),
        TEST(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* TLS sessions that go on: only under their key, only where the certificate was right, each of TLS
 * 1.3's once, and not beyond their time. */
#include "certs_tests.h"

#include "../../certs/resume.h"

struct world {
    struct identity ca, leaf;
    SSL_CTX *client, *server;
    struct resume *cache;
};

/* `days`: of the leaf, `ca_days`: of its CA, until they end. What has ended is valid to a client
 * whose clock stands still two days ago. */
static void begin(struct world *w, double days, double ca_days)
{
    static const char *const names[] = {"example.org"};

    w->ca = make_identity("CA", NULL, NULL, -9, ca_days);
    w->leaf = make_identity("example.org", dns_names(names, 1), &w->ca, -8, days);
    w->client = SSL_CTX_new(TLS_client_method());
    w->server = server_context(&w->leaf, NULL);
    assert_true(X509_STORE_add_cert(SSL_CTX_get_cert_store(w->client), w->ca.cert));
    X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(w->client), time(NULL) - 2 * DAY_S);
    w->cache = resume_new(w->client);
    assert_non_null(w->cache);
}

static void end(struct world *w)
{
    resume_free(w->cache);
    SSL_CTX_free(w->client);
    SSL_CTX_free(w->server);
    free_identity(&w->leaf);
    free_identity(&w->ca);
}

enum keep { KEEP, KEEP_NOT, ASKED };

/* A handshake, its check, and the tickets behind it. */
static struct pair open_pair(struct world *w, const char *key, int version, enum keep keep)
{
    struct pair p = new_pair(w->client, w->server);
    struct error e;
    char byte;

    assert_true(SSL_set_max_proto_version(p.client, version));
    resume_offer(w->cache, p.client, key);
    shake(&p);
    assert_true(p.client_ok && p.server_ok);
    assert_int_equal(SSL_session_reused(p.client), SSL_session_reused(p.server));
    assert_int_equal(verify_peer(p.client, "example.org", &e), 0);
    if (keep != KEEP_NOT)
        resume_keep(p.client, keep == ASKED);
    assert_int_equal(SSL_read(p.client, &byte, 1), -1);
    return p;
}

static void close_pair(struct pair *p)
{
    SSL_shutdown(p->client);
    SSL_shutdown(p->server);
    free_pair(p);
}

static bool goes_on(struct world *w, const char *key, int version, enum keep keep)
{
    struct pair p = open_pair(w, key, version, keep);
    bool reused = SSL_session_reused(p.client);

    close_pair(&p);
    return reused;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void test_goes_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(versions); i++) {
        struct world w;

        begin(&w, 2, 3);
        assert_false(goes_on(&w, "a", versions[i], KEEP));
        for (int n = 0; n < 5; n++) { /* what is given by one that went on does for the next */
            struct pair p = open_pair(&w, "a", versions[i], KEEP);

            assert_true(SSL_session_reused(p.client));
            assert_int_equal(X509_cmp(SSL_get0_peer_certificate(p.client), w.leaf.cert), 0);
            close_pair(&p);
        }
        assert_false(goes_on(&w, "b", versions[i], KEEP));
        assert_true(goes_on(&w, "b", versions[i], KEEP));
        end(&w);
    }
}

static void test_not_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(versions); i++) {
        struct world w;

        begin(&w, 2, 3);
        for (int n = 0; n < 2; n++) {
            assert_false(goes_on(&w, "a", versions[i], KEEP_NOT));
            assert_false(goes_on(&w, "a", versions[i], ASKED));
        }
        end(&w);
    }
}

/* RFC 8446 appendix C.4: a full handshake gives two tickets, and if none is kept of those that go
 * on, there is none for the fourth. TLS 1.2's session serves always. */
static void test_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(versions); i++) {
        struct world w;

        begin(&w, 2, 3);
        assert_false(goes_on(&w, "a", versions[i], KEEP));
        assert_true(goes_on(&w, "a", versions[i], KEEP_NOT));
        assert_true(goes_on(&w, "a", versions[i], KEEP_NOT));
        assert_int_equal(goes_on(&w, "a", versions[i], KEEP_NOT), versions[i] == TLS1_2_VERSION);
        end(&w);
    }
}

/* One certificate of the chain has ended, whatever was thought of it in the handshake. */
static void test_ended(void **state)
{
    static const double ends[][2] = {{-1, 3}, {2, -1}, {-1, -1}};

    (void)state;
    for (size_t i = 0; i < COUNT(versions); i++)
        for (size_t n = 0; n < COUNT(ends); n++) {
            struct world w;

            begin(&w, ends[n][0], ends[n][1]);
            assert_false(goes_on(&w, "a", versions[i], KEEP));
            assert_false(goes_on(&w, "a", versions[i], KEEP));
            end(&w);
        }
}

/* RFC 7627 §5.4: TLS 1.2 without an extended master secret. */
static void test_no_extended_secret(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 2, 3);
    SSL_CTX_set_options(w.server, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    assert_false(goes_on(&w, "a", TLS1_2_VERSION, KEEP));
    assert_false(goes_on(&w, "a", TLS1_2_VERSION, KEEP));
    end(&w);
}

static void test_broke(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(versions); i++) {
        struct world w;
        struct pair p;

        begin(&w, 2, 3);
        p = new_pair(w.client, w.server);
        resume_offer(w.cache, p.client, "a");
        assert_false(resume_broke(p.client)); /* nothing was offered: it is not because of that */
        free_pair(&p);
        assert_false(goes_on(&w, "a", versions[i], KEEP));
        assert_true(goes_on(&w, "a", versions[i], KEEP));
        p = new_pair(w.client, w.server);
        resume_offer(w.cache, p.client, "a");
        assert_true(resume_broke(p.client));
        free_pair(&p);
        assert_false(goes_on(&w, "a", versions[i], KEEP));
        assert_false(goes_on(&w, "a", versions[i], KEEP));
        assert_false(goes_on(&w, "b", versions[i], KEEP));
        assert_true(goes_on(&w, "b", versions[i], KEEP));
        end(&w);
    }
}

/* Bounded: a key's sessions, and the keys, of which the least recently used goes. */
static void test_bounds(void **state)
{
    struct world w;
    char key[16];

    (void)state;
    begin(&w, 2, 3);
    SSL_CTX_set_num_tickets(w.server, 3 * RESUME_SESSIONS);
    assert_false(goes_on(&w, "0", TLS1_3_VERSION, KEEP));
    for (int i = 0; i < RESUME_SESSIONS; i++)
        assert_true(goes_on(&w, "0", TLS1_3_VERSION, KEEP_NOT));
    assert_false(goes_on(&w, "0", TLS1_3_VERSION, KEEP_NOT));

    SSL_CTX_set_num_tickets(w.server, 1);
    for (int i = 0; i <= RESUME_KEYS; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_false(goes_on(&w, key, TLS1_3_VERSION, KEEP));
        if (i == RESUME_KEYS - 1)
            assert_true(goes_on(&w, "0", TLS1_3_VERSION, KEEP));
    }
    assert_true(goes_on(&w, "0", TLS1_3_VERSION, KEEP));
    assert_false(goes_on(&w, "1", TLS1_3_VERSION, KEEP));
    end(&w);
}

/* Without a cache every handshake is full, and the rest has nothing to do. */
static void test_without(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 2, 3);
    resume_free(w.cache);
    w.cache = NULL;
    for (int i = 0; i < 2; i++)
        assert_false(goes_on(&w, "a", TLS1_3_VERSION, KEEP));
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_goes_on), TEST(test_not_kept), TEST(test_once), TEST(test_ended),
        TEST(test_no_extended_secret), TEST(test_broke), TEST(test_bounds), TEST(test_without),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

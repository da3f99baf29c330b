/* Handshakes through our leaf, and every sentence that a bad certificate gets. */
#include "certs_tests.h"

static SSL_CTX *trusting(X509 *cert)
{
    char path[PATH_SIZE * 2];
    struct error e = {0};
    SSL_CTX *ctx;

    write_certificate(in_test_dir("trusted.pem", path), cert);
    ctx = verify_context(path, &e);
    if (!ctx)
        fail_msg("%s", e.detail);
    return ctx;
}

/* ---- good ones ---- */

static const struct {
    int version;
    const char *domain, *other; /* asked for, and one that must not pass */
} good[] = {
    {TLS1_2_VERSION, "example.org", "example.net"},
    {TLS1_3_VERSION, "example.org", "sub.example.org"},
    {TLS1_2_VERSION, "127.0.0.1", "127.0.0.2"},
    {TLS1_3_VERSION, "[::1]", "::2"},
    {TLS1_3_VERSION, "Example.ORG.", "org"},
    {TLS1_2_VERSION, "m\303\274ller.example", "m\303\266ller.example"},
};

static void our_leaf_satisfies_a_client(void **state)
{
    struct ca *ca = open_ca("ca");
    SSL_CTX *client = trusting(ca_certificate(ca));

    (void)state;
    assert_int_equal(SSL_CTX_get_min_proto_version(client), TLS1_2_VERSION);
    for (size_t i = 0; i < COUNT(good); i++) {
        struct error e = {0};
        SSL_CTX *server = ca_leaf_context(ca, good[i].domain, NULL, &e);
        struct pair p;

        assert_non_null(server);
        p = new_pair(client, server);
        SSL_set_verify(p.client, SSL_VERIFY_PEER, NULL); /* as a real client: break it off */
        assert_true(SSL_set_min_proto_version(p.client, good[i].version));
        assert_true(SSL_set_max_proto_version(p.client, good[i].version));
        shake(&p);
        if (!p.client_ok || !p.server_ok)
            fail_msg("%s: %s / %s", good[i].domain, p.client_e.detail, p.server_e.detail);
        assert_int_equal(SSL_version(p.client), good[i].version);
        assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(p.client)), 2);
        assert_int_equal(verify_peer(p.client, good[i].domain, &e), 0);
        assert_int_equal(e.code, 0);
        assert_int_equal(verify_peer(p.client, good[i].other, &e), ERR_CERTIFICATE);
        assert_says(e.detail, "not for|--insecure");
        free_pair(&p);
        SSL_CTX_free(server);
    }
    SSL_CTX_free(client);
    ca_free(ca);
}

/* ---- bad ones ---- */

enum trust { TRUST_ROOT, TRUST_OTHER, TRUST_LEAF };

struct chain {
    struct identity root, leaf;
};

static const char *const three[] = {"example.org", "a.example.org", "b.example.org"};

/* A handshake against `c`, then verify_peer(). */
static int verify(const struct chain *c, X509 *sent, enum trust trust, const char *domain,
                  struct error *e)
{
    struct identity other = make_identity("another CA", NULL, NULL, -1, 10);
    SSL_CTX *server = server_context(&c->leaf, sent);
    SSL_CTX *client = trusting(trust == TRUST_ROOT    ? c->root.cert
                               : trust == TRUST_OTHER ? other.cert
                                                      : c->leaf.cert);
    struct pair p = new_pair(client, server);
    int err;

    shake(&p);
    assert_true(p.client_ok && p.server_ok); /* a bad certificate must not break the handshake */
    err = verify_peer(p.client, domain, e);
    assert_int_equal(err, e->code);
    assert_int_equal(ERR_peek_error(), 0);
    free_pair(&p);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    free_identity(&other);
    return err;
}

static const struct {
    const char *what;
    int root[2], leaf[2]; /* days of validity */
    bool self_signed, send_root;
    enum trust trust;
    const char *domain, *says; /* says NULL: accepted */
} bad[] = {
    {"good", {-9, 9}, {-2, 2}, false, false, TRUST_ROOT, "a.example.org", NULL},
    {"own certificate trusted", {-9, 9}, {-2, 2}, true, false, TRUST_LEAF, "example.org", NULL},
    {"leaf itself trusted", {-9, 9}, {-2, 2}, false, false, TRUST_LEAF, "example.org", NULL},
    {"self-signed",
     {-9, 9},
     {-2, 2},
     true,
     false,
     TRUST_OTHER,
     "example.org",
     "\"leaf of the test\" is self-signed|give it with --upstream-ca FILE|--insecure"},
    {"unknown issuer",
     {-9, 9},
     {-2, 2},
     false,
     false,
     TRUST_OTHER,
     "example.org",
     "unknown issuer, \"root of the test\"|--upstream-ca FILE|chain it sends|--insecure"},
    {"unknown root sent",
     {-9, 9},
     {-2, 2},
     false,
     true,
     TRUST_OTHER,
     "example.org",
     "unknown issuer, \"root of the test\"|--upstream-ca FILE|--insecure"},
    {"expired",
     {-9, 9},
     {-8, -3},
     false,
     true,
     TRUST_ROOT,
     "example.org",
     "the server's certificate expired on 20| UTC; |renew it|clock|--insecure"},
    {"CA expired",
     {-9, -3},
     {-2, 2},
     false,
     true,
     TRUST_ROOT,
     "example.org",
     "certificate's CA \"root of the test\" expired on 20|renew it|--insecure"},
    {"not yet valid",
     {-9, 9},
     {2, 4},
     false,
     true,
     TRUST_ROOT,
     "example.org",
     "certificate is not valid before 20|clock|--insecure"},
    {"wrong name",
     {-9, 9},
     {-2, 2},
     false,
     true,
     TRUST_ROOT,
     "example.net",
     "is for example.org, a.example.org, b.example.org, not for \"example.net\"|"
     "owner adds the name|--insecure"},
    {"empty name", {-9, 9}, {-2, 2}, false, true, TRUST_ROOT, "", "not for \"\"|--insecure"},
    {"leading dot",
     {-9, 9},
     {-2, 2},
     false,
     true,
     TRUST_ROOT,
     ".example.org",
     "not for \".example.org\""},
    {"control characters",
     {-9, 9},
     {-2, 2},
     false,
     true,
     TRUST_ROOT,
     "\033[2Jx\n",
     "not for \"?[2Jx?\""},
};

static void every_flaw_has_its_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct chain c;
        struct error e = {0};
        int err;

        c.root = make_identity("root of the test", NULL, NULL, bad[i].root[0], bad[i].root[1]);
        c.leaf = make_identity("leaf of the test", dns_names(three, COUNT(three)),
                               bad[i].self_signed ? NULL : &c.root, bad[i].leaf[0], bad[i].leaf[1]);
        err = verify(&c, bad[i].send_root ? c.root.cert : NULL, bad[i].trust, bad[i].domain, &e);
        if (bad[i].says && !err)
            fail_msg("%s: accepted", bad[i].what);
        if (!bad[i].says && err)
            fail_msg("%s: %s", bad[i].what, e.detail);
        if (bad[i].says)
            assert_says(e.detail, bad[i].says);
        free_identity(&c.leaf);
        free_identity(&c.root);
    }
}

/* A leaf that signs: what OpenSSL itself must put into words. */
static void other_flaws_are_in_openssls_words(void **state)
{
    struct chain c, below;
    struct error e = {0};

    (void)state;
    c.root = make_identity("root", NULL, NULL, -9, 9);
    c.leaf = make_identity("no CA", dns_names(three, 1), &c.root, -2, 2);
    below.root = c.root;
    below.leaf = make_identity("below", dns_names(three, 1), &c.leaf, -2, 2);
    assert_int_equal(verify(&below, c.leaf.cert, TRUST_ROOT, "example.org", &e), ERR_CERTIFICATE);
    assert_says(e.detail, "cannot be trusted: |CA|owner must replace it|--insecure");
    free_identity(&below.leaf);
    free_identity(&c.leaf);
    free_identity(&c.root);
}

static void no_certificate_is_said(void **state)
{
    SSL_CTX *server = SSL_CTX_new(TLS_server_method()), *client = verify_context(NULL, NULL);
    struct pair p;
    struct error e = {0};

    (void)state;
    p = new_pair(client, server);
    assert_true(SSL_set_cipher_list(p.client, "aNULL:@SECLEVEL=0"));
    assert_true(SSL_set_cipher_list(p.server, "aNULL:@SECLEVEL=0"));
    assert_true(SSL_set_max_proto_version(p.client, TLS1_2_VERSION));
    assert_true(SSL_set_dh_auto(p.server, 1));
    shake(&p);
    assert_true(p.client_ok);
    assert_int_equal(verify_peer(p.client, "example.org", &e), ERR_CERTIFICATE);
    assert_says(e.detail, "showed no certificate|--insecure");
    free_pair(&p);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
}

/* ---- names ---- */

static const struct {
    int kind; /* of the only SAN; 0: none, and `name` is the subject's */
    const char *name;
    size_t n; /* 0: strlen */
    const char *domain;
    bool accepted;
} named[] = {
    {GEN_DNS, "example.org", 0, "example.org", true},
    {GEN_DNS, "EXAMPLE.org", 0, "example.ORG", true},
    {GEN_DNS, "*.example.org", 0, "a.example.org", true},
    {GEN_DNS, "*.example.org", 0, "a.b.example.org", false},
    {GEN_DNS, "*.example.org", 0, "example.org", false},
    {GEN_DNS, "a*.example.org", 0, "ab.example.org", false},
    {GEN_DNS, "example.org\0.evil.example", 25, "example.org", false},
    {GEN_DNS, "192.0.2.1", 0, "192.0.2.1", true}, /* equal text; sloppy, yet seen */
    {NID_SRVName, "_xmpp-client.example.org", 0, "example.org", true},
    {NID_SRVName, "_XMPP-Client.Example.org", 0, "example.org", true},
    {NID_SRVName, "_xmpp-server.example.org", 0, "example.org", false},
    {NID_SRVName, "_xmpp.example.org", 0, "example.org", false},
    {NID_SRVName, "example.org", 0, "example.org", false},
    {NID_SRVName, "_xmpp-client.", 0, "", false},
    {NID_SRVName, "_xmpp-client.example.org\0x", 26, "example.org", false},
    {NID_XmppAddr, "example.org", 0, "example.org", true},
    {NID_XmppAddr, "m\303\274ller.example", 0, "m\303\274ller.example", true},
    {NID_XmppAddr, "m\303\274ller.example", 0, "xn--mller-kva.example", true},
    {NID_XmppAddr, "m\303\274ller.example", 0, "xn--mllr-kva3a.example", false},
    {NID_XmppAddr, "me@example.org", 0, "example.org", false},
    {NID_XmppAddr, "example.org\0", 12, "example.org", false},
    {GEN_IPADD, "\300\000\002\001", 4, "192.0.2.1", true},
    {GEN_IPADD, "\300\000\002\001", 4, "192.0.2.2", false},
    {GEN_IPADD, "\300\000\002\001", 4, "example.org", false},
    {GEN_EMAIL, "me@example.org", 0, "leaf.example", true}, /* no SAN of our kinds */
    {0, "leaf.example", 0, "leaf.example", true},
    {0, "leaf.example", 0, "other.example", false},
    /* With a SAN of our kinds the subject counts no more. */
    {GEN_DNS, "example.org", 0, "leaf.example", false},
    {NID_SRVName, "_xmpp-client.example.org", 0, "leaf.example", false},
    {NID_XmppAddr, "example.org", 0, "leaf.example", false},
    {GEN_IPADD, "\300\000\002\001", 4, "leaf.example", false},
};

static void names_match_as_they_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(named); i++) {
        GENERAL_NAMES *names = named[i].kind ? GENERAL_NAMES_new() : NULL;
        struct error e = {0};
        struct chain c;
        size_t n = named[i].n ? named[i].n : strlen(named[i].name);

        if (names)
            add_san(names, named[i].kind, named[i].name, n);
        c.leaf = make_identity("leaf.example", names, NULL, -1, 1);
        if ((verify(&c, NULL, TRUST_LEAF, named[i].domain, &e) == 0) != named[i].accepted)
            fail_msg("row %zu: \"%s\" for \"%s\": %s", i, named[i].name, named[i].domain,
                     e.code ? e.detail : "accepted");
        free_identity(&c.leaf);
    }
}

/* SRVName and xmppAddr whose value is something else: what a careless reader takes for a string. */
static void other_names_of_odd_types_are_no_names(void **state)
{
    static const int nids[] = {NID_SRVName, NID_XmppAddr};
    static const int types[] = {V_ASN1_BOOLEAN, V_ASN1_NULL, V_ASN1_OCTET_STRING};

    (void)state;
    for (size_t i = 0; i < COUNT(nids) * COUNT(types); i++) {
        int type = types[i / 2];
        GENERAL_NAMES *names = GENERAL_NAMES_new();
        GENERAL_NAME *g = GENERAL_NAME_new();
        ASN1_TYPE *value = ASN1_TYPE_new();
        ASN1_STRING *s = ASN1_STRING_type_new(type);
        struct error e = {0};
        struct chain c;

        assert_true(ASN1_STRING_set(s, "example.org", -1));
        ASN1_TYPE_set(value, type,
                      type == V_ASN1_OCTET_STRING ? (void *)s
                      : type == V_ASN1_BOOLEAN    ? (void *)value /* true */
                                                  : NULL);
        if (type != V_ASN1_OCTET_STRING)
            ASN1_STRING_free(s);
        assert_true(GENERAL_NAME_set0_othername(g, OBJ_nid2obj(nids[i % 2]), value));
        assert_true(sk_GENERAL_NAME_push(names, g) > 0);
        c.leaf = make_identity("leaf.example", names, NULL, -1, 1);
        assert_int_equal(verify(&c, NULL, TRUST_LEAF, "example.org", &e), ERR_CERTIFICATE);
        assert_says(e.detail, "is for leaf.example, not for");
        free_identity(&c.leaf);
    }
}

/* The subject is not believed then, either. */
static void an_unreadable_san_names_nothing(void **state)
{
    struct chain c = {.leaf = make_identity("leaf.example", dns_names(three, 1), NULL, -1, 1)};
    int at = X509_get_ext_by_NID(c.leaf.cert, NID_subject_alt_name, -1);
    ASN1_OCTET_STRING *bytes = X509_EXTENSION_get_data(X509_get_ext(c.leaf.cert, at));
    X509 *copy;
    unsigned char *der;
    struct error e = {0};

    (void)state;
    /* Behind the outer SEQUENCE's tag and length stands a name's tag: make it an unknown one. */
    assert_true(ASN1_STRING_length(bytes) > 4);
    der = OPENSSL_memdup(ASN1_STRING_get0_data(bytes), (size_t)ASN1_STRING_length(bytes));
    der[2] = 0x9f;
    assert_true(ASN1_OCTET_STRING_set(bytes, der, ASN1_STRING_length(bytes)));
    OPENSSL_free(der);
    assert_true(X509_sign(c.leaf.cert, c.leaf.key, NULL));
    copy = X509_dup(c.leaf.cert); /* as it comes from the wire, nothing parsed yet */
    X509_free(c.leaf.cert);
    c.leaf.cert = copy;
    assert_null(X509_get_ext_d2i(copy, NID_subject_alt_name, NULL, NULL));
    ERR_clear_error();
    assert_int_equal(verify(&c, NULL, TRUST_LEAF, "leaf.example", &e), ERR_CERTIFICATE);
    assert_says(e.detail, "names in the server's certificate cannot be read|--insecure");
    free_identity(&c.leaf);
}

#define A40 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* Many, long and hostile names: a few are listed, and the cure is never what is cut. */
static void the_names_listed_are_few(void **state)
{
    static const char *const six[] = {"a.example", "b.example", "c.example",
                                      "d.example", "e.example", "f.example"};
    static const char *const wide[] = {A40 "." A40 "." A40 ".example", A40 "." A40,
                                       "\033[2J.example"};
    static const struct {
        const char *const *list;
        size_t n;
        const char *says;
    } rows[] = {
        {six, 6, "is for a.example, b.example, c.example, d.example and 2 more, not for"},
        {wide, 3, "is for " A40 ".|... and 2 more, not for"},
        {wide + 2, 1, "is for ?[2J.example, not for"},
        {NULL, 0, "is for leaf.example, not for"},
    };
    char domain[1001];

    (void)state;
    memset(domain, 'd', sizeof domain - 1);
    domain[sizeof domain - 1] = '\0';
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct error e = {0};
        GENERAL_NAMES *names = rows[i].list ? dns_names(rows[i].list, rows[i].n) : NULL;
        struct chain c = {.leaf = make_identity("leaf.example", names, NULL, -1, 1)};

        assert_int_equal(verify(&c, NULL, TRUST_LEAF, domain, &e), ERR_CERTIFICATE);
        assert_says(e.detail, rows[i].says);
        assert_says(e.detail, "ddd...\"; |or go on anyway with --insecure");
        free_identity(&c.leaf);
    }
}

/* ---- the context ---- */

static void a_bad_upstream_ca_is_named(void **state)
{
    static const struct {
        const char *name, *text, *says;
    } rows[] = {
        {"missing.pem", NULL, "missing.pem: No such file|--upstream-ca"},
        {"empty.pem", "", "empty.pem: no certificates in it|--upstream-ca"},
        {"text.pem", "no PEM at all\n", "text.pem: no certificates in it|--upstream-ca"},
        {".", NULL, "no certificates in it|--upstream-ca"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char path[PATH_SIZE * 2];
        struct error e = {0};

        in_test_dir(rows[i].name, path);
        if (rows[i].text) {
            FILE *f = fopen(path, "w");

            assert_non_null(f);
            fputs(rows[i].text, f);
            fclose(f);
        }
        assert_null(verify_context(path, &e));
        assert_int_equal(e.code, ERR_CA);
        assert_says(e.detail, rows[i].says);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(our_leaf_satisfies_a_client),       TEST(every_flaw_has_its_sentence),
        TEST(other_flaws_are_in_openssls_words), TEST(no_certificate_is_said),
        TEST(names_match_as_they_should),        TEST(other_names_of_odd_types_are_no_names),
        TEST(an_unreadable_san_names_nothing),   TEST(the_names_listed_are_few),
        TEST(a_bad_upstream_ca_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

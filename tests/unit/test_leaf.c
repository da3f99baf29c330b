/* What leaves say, for whom there are none, and their cache. */
#include "certs_tests.h"

#include "../../certs/leaf.h"

/* ---- what a leaf says ---- */

/* A context's SANs as "DNS:a IP:7f000001 XMPP:b". */
static void san_text(X509 *x, char *out, size_t size)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    size_t len = 0;

    out[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && len < size; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        const ASN1_STRING *s =
            g->type == GEN_OTHERNAME ? g->d.otherName->value->value.utf8string : g->d.ia5;

        int nid = g->type == GEN_OTHERNAME ? OBJ_obj2nid(g->d.otherName->type_id) : NID_undef;

        /* RFC 4985 §2, RFC 6120 §13.7.1.4 */
        if (g->type == GEN_OTHERNAME)
            assert_int_equal(g->d.otherName->value->type,
                             nid == NID_SRVName ? V_ASN1_IA5STRING : V_ASN1_UTF8STRING);
        len += (size_t)snprintf(out + len, size - len, "%s%s", i ? " " : "",
                                g->type == GEN_DNS     ? "DNS:"
                                : g->type == GEN_IPADD ? "IP:"
                                : nid == NID_SRVName   ? "SRV:"
                                : nid == NID_XmppAddr  ? "XMPP:"
                                                       : "?:");
        for (int k = 0; k < ASN1_STRING_length(s) && len < size; k++)
            len += (size_t)snprintf(out + len, size - len, g->type == GEN_IPADD ? "%02x" : "%c",
                                    ASN1_STRING_get0_data(s)[k]);
    }
    GENERAL_NAMES_free(names);
}

#define ALL_THREE(domain) "DNS:" domain " SRV:_xmpp-client." domain " XMPP:" domain
#define A60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    const char *domain, *san, *cn; /* cn NULL: no subject, and the SAN is critical */
} leaves[] = {
    {"example.org", ALL_THREE("example.org"), "example.org"},
    {"Chat.Example.ORG", ALL_THREE("chat.example.org"), "chat.example.org"},
    {"example.org.", ALL_THREE("example.org"), "example.org"},
    {"localhost", ALL_THREE("localhost"), "localhost"},
    {"xn--mller-kva.example", "DNS:xn--mller-kva.example SRV:_xmpp-client.xn--mller-kva.example "
     "XMPP:m\303\274ller.example", "xn--mller-kva.example"},
    {"127.0.0.1", "IP:7f000001", "127.0.0.1"},
    {"::1", "IP:00000000000000000000000000000001", "::1"},
    {"[2001:DB8::7]", "IP:20010db8000000000000000000000007", "[2001:db8::7]"},
    {"m\303\274ller.example", 
     "DNS:xn--mller-kva.example SRV:_xmpp-client.xn--mller-kva.example "
     "XMPP:m\303\274ller.example", "xn--mller-kva.example"},
    /* A-labels that spell no domain name. */
    {"xn--a.example", ALL_THREE("xn--a.example"), "xn--a.example"},
    {A60 ".org", ALL_THREE(A60 ".org"), A60 ".org"}, /* 64 characters */
    {A60 ".info", ALL_THREE(A60 ".info"), NULL},     /* 65 */
    {A60 "." A60 "." A60 "." A60, ALL_THREE(A60 "." A60 "." A60 "." A60), NULL},
};

static void a_leaf_names_its_domain(void **state)
{
    struct ca *ca = open_ca("ca");

    (void)state;
    for (size_t i = 0; i < COUNT(leaves); i++) {
        struct error e = {0};
        SSL_CTX *ctx = ca_leaf_context(ca, leaves[i].domain, NULL, &e);
        char san[1024], cn[128] = "";
        X509 *x;

        if (!ctx)
            fail_msg("%s: %s", leaves[i].domain, e.detail);
        x = SSL_CTX_get0_certificate(ctx);
        san_text(x, san, sizeof san);
        assert_string_equal(san, leaves[i].san);
        X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof cn);
        assert_string_equal(cn, leaves[i].cn ? leaves[i].cn : "");
        assert_int_equal(X509_EXTENSION_get_critical(
                             X509_get_ext(x, X509_get_ext_by_NID(x, NID_subject_alt_name, -1))),
                         leaves[i].cn ? 0 : 1);
        SSL_CTX_free(ctx);
    }
    ca_free(ca);
}

static const struct {
    const char *what, *domain;
} hostile[] = {
    {"empty", ""},
    {"comma", "a.example,DNS:evil.example"},
    {"configuration syntax", "DNS:evil.example"},
    {"section", "@section"},
    {"newline", "a.example\nDNS:evil.example"},
    {"carriage return", "a.example\r"},
    {"escape", "\033[31mred.example"},
    {"wildcard", "*.example.org"},
    {"star", "*"},
    {"space", "a example"},
    {"slash", "a.example/resource"},
    {"JID", "user@a.example"},
    {"no UTF-8", "\377\376.example"},
    {"overlong UTF-8", "\300\256example"},
    {"C1 control", "m\302\205ller.example"},
    {"C1 control and UTF-8", "m\303\274\302\205ller.example"},
    {"newline and UTF-8", "m\303\274ller\n.example"},
    {"comma and UTF-8", "m\303\274ller,DNS:evil.example"},
    {"empty label", "a..example"},
    {"leading dot", ".example.org"},
    {"dot", "."},
    {"leading hyphen", "-a.example"},
    {"trailing hyphen", "a-.example"},
    {"long label", A60 "aaaa.example"},
    {"long name", A60 "." A60 "." A60 "." A60 ".aaaaaaaaaa"},
    {"half an address", "[::1"},
    {"zone", "fe80::1%eth0"},
};

static SSL_CTX *leaf(struct ca *ca, const char *domain, X509 *upstream)
{
    SSL_CTX *ctx = ca_leaf_context(ca, domain, upstream, NULL);

    assert_non_null(ctx);
    return ctx;
}

static void assert_no_leaf(struct ca *ca, const char *what, const char *domain, const char *says)
{
    struct error e = {0};
    SSL_CTX *ctx = ca_leaf_context(ca, domain, NULL, &e);

    if (ctx)
        fail_msg("%s: a leaf was made", what);
    assert_int_equal(e.code, ERR_CA);
    assert_says(e.detail, "no certificate for|SNI");
    assert_says(e.detail, says);
    for (const char *p = e.detail; *p; p++)
        assert_true((unsigned char)*p >= ' ' && *p != 0x7f);
    assert_int_equal(ERR_peek_error(), 0);
}

static void hostile_domains_get_no_leaf(void **state)
{
    struct ca *ca = open_ca("ca");
    char big[2001];

    (void)state;
    for (size_t i = 0; i < COUNT(hostile); i++)
        assert_no_leaf(ca, hostile[i].what, hostile[i].domain, "look at");
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    assert_no_leaf(ca, "2000 bytes", big, "of 2000 bytes");
    big[LEAF_DOMAIN_MAX + 1] = '\0';
    assert_no_leaf(ca, "1024 bytes", big, "of 1024 bytes");
    /* The longest that XMPP allows, which only UTF-8 can be. */
    big[LEAF_DOMAIN_MAX] = '\0';
    memcpy(big, "\303\274", 2);
    SSL_CTX_free(leaf(ca, big, NULL));
    ca_free(ca);
}

/* Everything else about a leaf, as a strict client would look at it. */
static void assert_leaf_is_strict(X509 *x, X509 *ca)
{
    int day = 0, second = 0;
    ASN1_OCTET_STRING *aki = (ASN1_OCTET_STRING *)X509_get0_authority_key_id(x);

    assert_int_equal(X509_get_version(x), X509_VERSION_3);
    assert_int_equal(X509_check_issued(ca, x), X509_V_OK);
    assert_int_equal(X509_verify(x, X509_get0_pubkey(ca)), 1);
    assert_int_equal(X509_check_ca(x), 0);
    assert_true(X509_get_ext_by_NID(x, NID_basic_constraints, -1) >= 0);
    assert_int_equal(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_SERVER);
    assert_non_null(X509_get0_subject_key_id(x));
    assert_non_null(aki);
    assert_int_equal(ASN1_OCTET_STRING_cmp(aki, X509_get0_subject_key_id(ca)), 0);
    assert_int_equal(ASN1_STRING_length(X509_get0_serialNumber(x)), 16);
    assert_int_equal(ASN1_STRING_type(X509_get0_serialNumber(x)), V_ASN1_INTEGER);
    assert_true(ASN1_TIME_diff(&day, &second, X509_get0_notBefore(x), X509_get0_notAfter(x)));
    assert_true(day < LEAF_DAYS || (day == LEAF_DAYS && second == 0));
    assert_true(ASN1_TIME_compare(X509_get0_notAfter(x), X509_get0_notAfter(ca)) <= 0);
}

static void leaves_are_strict_and_share_a_key(void **state)
{
    struct ca *ca = open_ca("ca");
    SSL_CTX *a = ca_leaf_context(ca, "a.example", NULL, NULL);
    SSL_CTX *b = ca_leaf_context(ca, "b.example", NULL, NULL);
    X509 *x, *y;
    STACK_OF(X509) *chain = NULL;

    (void)state;
    assert_true(a && b);
    x = SSL_CTX_get0_certificate(a);
    y = SSL_CTX_get0_certificate(b);
    assert_leaf_is_strict(x, ca_certificate(ca));
    assert_days(X509_get0_notBefore(x), -1);
    assert_days(X509_get0_notAfter(x), LEAF_DAYS - 1);
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(x), X509_get0_pubkey(y)), 1);
    assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(x), X509_get0_serialNumber(y)), 0);
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(x), X509_get0_pubkey(ca_certificate(ca))), 0);

    assert_true(SSL_CTX_get0_chain_certs(a, &chain));
    assert_int_equal(sk_X509_num(chain), 1);
    assert_int_equal(X509_cmp(sk_X509_value(chain, 0), ca_certificate(ca)), 0);
    assert_int_equal(SSL_CTX_get_min_proto_version(a), TLS1_2_VERSION);
    assert_true(SSL_CTX_get_mode(a) & SSL_MODE_RELEASE_BUFFERS);
    assert_true(SSL_CTX_get_options(a) & SSL_OP_NO_RENEGOTIATION);
    assert_false(SSL_CTX_get_options(a) & (SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TICKET));
    SSL_CTX_free(a);
    SSL_CTX_free(b);
    ca_free(ca);
}

static void a_leaf_ends_with_its_ca(void **state)
{
    struct identity id = make_identity("short CA", NULL, NULL, -0.5, 10);
    char dir[PATH_SIZE * 2], path[PATH_SIZE * 2];
    struct ca *ca;
    SSL_CTX *ctx;

    (void)state;
    assert_int_equal(mkdir(in_test_dir("short", dir), 0700), 0);
    write_ca(in_test_dir("short/ca.pem", path), id.key, id.cert, NULL);
    ca = open_ca("short");
    ctx = ca_leaf_context(ca, "a.example", NULL, NULL);
    assert_non_null(ctx);
    assert_leaf_is_strict(SSL_CTX_get0_certificate(ctx), ca_certificate(ca));
    assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(SSL_CTX_get0_certificate(ctx)),
                                       X509_get0_notAfter(id.cert)),
                     0);
    SSL_CTX_free(ctx);
    ca_free(ca);
    free_identity(&id);
}

static void upstream_names_are_copied_with_care(void **state)
{
    static const unsigned char ip[4] = {192, 0, 2, 1};
    static const struct {
        int kind;
        const char *p;
        size_t n;
    } theirs[] = {
        {GEN_DNS, "Example.org", 11},
        {GEN_DNS, "*.example.org", 13},
        {GEN_DNS, "conference.EXAMPLE.org", 22},
        {GEN_DNS, "*.EXAMPLE.org", 13},
        {GEN_DNS, "", 0},
        {GEN_DNS, "bad name", 8},
        {GEN_DNS, "a,DNS:evil.example", 18},
        {GEN_DNS, "nul\0.example", 12},
        {GEN_DNS, "a.*.example", 11},
        {GEN_DNS, "*", 1},
        {GEN_DNS, "*.", 2},
        {GEN_DNS, A60 "aaaa.example", 72},
        {GEN_EMAIL, "me@example.org", 14},
        {GEN_IPADD, (const char *)ip, 4},
        {NID_XmppAddr, "other.example", 13},
        {GEN_DNS, "_x.example.org", 14},
    };
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    struct identity upstream;
    struct ca *ca = open_ca("ca");
    SSL_CTX *ctx;
    char san[1024];

    (void)state;
    for (size_t i = 0; i < COUNT(theirs); i++)
        add_san(names, theirs[i].kind, theirs[i].p, theirs[i].n);
    upstream = make_identity("evil.example", names, NULL, -1, 1);
    ctx = ca_leaf_context(ca, "example.org", upstream.cert, NULL);
    assert_non_null(ctx);
    san_text(SSL_CTX_get0_certificate(ctx), san, sizeof san);
    assert_string_equal(san, ALL_THREE("example.org") " DNS:*.example.org "
                             "DNS:conference.example.org DNS:_x.example.org");
    SSL_CTX_free(ctx);
    free_identity(&upstream);
    ca_free(ca);
}

static void upstream_names_are_a_hundred_at_most(void **state)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new(), *got;
    struct identity upstream;
    struct ca *ca = open_ca("ca");
    SSL_CTX *ctx;

    (void)state;
    for (int i = 0; i < 300; i++) {
        char name[32];
        int n = snprintf(name, sizeof name, "n%d.example", i);

        add_san(names, GEN_DNS, name, (size_t)n);
    }
    upstream = make_identity("many", names, NULL, -1, 1);
    ctx = ca_leaf_context(ca, "example.org", upstream.cert, NULL);
    assert_non_null(ctx);
    got = X509_get_ext_d2i(SSL_CTX_get0_certificate(ctx), NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(got), 103);
    assert_int_equal(X509_check_host(SSL_CTX_get0_certificate(ctx), "n99.example", 0, 0, NULL), 1);
    GENERAL_NAMES_free(got);
    SSL_CTX_free(ctx);
    free_identity(&upstream);
    ca_free(ca);
}

/* ---- the cache ---- */

static void the_cache_knows_domain_and_names(void **state)
{
    static const char *const one[] = {"x.example"}, *const two[] = {"y.example"};
    struct identity up = make_identity("up", dns_names(one, 1), NULL, -1, 1);
    struct identity same = make_identity("renewed", dns_names(one, 1), NULL, -1, 1);
    struct identity other = make_identity("up", dns_names(two, 1), NULL, -1, 1);
    struct ca *ca = open_ca("ca");
    SSL_CTX *ctx[] = {leaf(ca, "a.example", NULL),       leaf(ca, "A.Example", NULL),
                      leaf(ca, "a.example", up.cert),    leaf(ca, "a.example", same.cert),
                      leaf(ca, "a.example", other.cert), leaf(ca, "b.example", NULL)};

    (void)state;
    assert_ptr_equal(ctx[0], ctx[1]);
    assert_ptr_not_equal(ctx[0], ctx[2]);
    assert_ptr_equal(ctx[2], ctx[3]);
    assert_ptr_not_equal(ctx[2], ctx[4]);
    assert_ptr_not_equal(ctx[0], ctx[5]);
    ca_free(ca); /* what was handed out lives on */
    for (size_t i = 0; i < COUNT(ctx); i++) {
        assert_non_null(SSL_CTX_get0_certificate(ctx[i]));
        SSL_CTX_free(ctx[i]);
    }
    free_identity(&up);
    free_identity(&same);
    free_identity(&other);
}

static void the_cache_drops_the_least_recently_used(void **state)
{
    struct ca *ca = open_ca("ca");
    SSL_CTX *kept = leaf(ca, "kept.example", NULL), *dropped = leaf(ca, "dropped.example", NULL);
    SSL_CTX *again;

    (void)state;
    for (int i = 0; i < LEAF_CACHE_MAX - 2; i++) {
        char name[32];

        snprintf(name, sizeof name, "n%d.example", i);
        SSL_CTX_free(leaf(ca, name, NULL));
    }
    again = leaf(ca, "kept.example", NULL); /* full now, and all are still there */
    assert_ptr_equal(kept, again);
    SSL_CTX_free(again);
    SSL_CTX_free(leaf(ca, "one.more.example", NULL));
    again = leaf(ca, "kept.example", NULL);
    assert_ptr_equal(kept, again);
    SSL_CTX_free(again);
    again = leaf(ca, "dropped.example", NULL);
    assert_ptr_not_equal(dropped, again);
    SSL_CTX_free(again);
    SSL_CTX_free(kept);
    SSL_CTX_free(dropped);
    ca_free(ca);
}

/* The CA's end cuts the leaf's. */
static void the_cache_drops_what_ends_soon(void **state)
{
    static const struct {
        const char *name, *file;
        double days;
        bool cached;
    } rows[] = {{"short", "short/ca.pem", 0.9, false}, {"long", "long/ca.pem", 1.1, true}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct identity id = make_identity("short CA", NULL, NULL, -1, rows[i].days);
        char path[PATH_SIZE * 2];
        struct ca *ca;
        SSL_CTX *a, *b;

        assert_int_equal(mkdir(in_test_dir(rows[i].name, path), 0700), 0);
        write_ca(in_test_dir(rows[i].file, path), id.key, id.cert, NULL);
        ca = open_ca(rows[i].name);
        a = leaf(ca, "a.example", NULL);
        b = leaf(ca, "a.example", NULL);
        assert_int_equal(a == b, rows[i].cached);
        SSL_CTX_free(a);
        SSL_CTX_free(b);
        ca_free(ca);
        free_identity(&id);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_leaf_names_its_domain),
        TEST(hostile_domains_get_no_leaf),
        TEST(leaves_are_strict_and_share_a_key),
        TEST(a_leaf_ends_with_its_ca),
        TEST(upstream_names_are_copied_with_care),
        TEST(upstream_names_are_a_hundred_at_most),
        TEST(the_cache_knows_domain_and_names),
        TEST(the_cache_drops_the_least_recently_used),
        TEST(the_cache_drops_what_ends_soon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

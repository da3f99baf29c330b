/* Broken handshakes: who did what, by which alert, and what to do about it. */
#include "certs_tests.h"

static int refuse_alpn(SSL *ssl, const unsigned char **out, unsigned char *len,
                       const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl, (void)out, (void)len, (void)in, (void)in_len, (void)arg;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int refuse_sni(SSL *ssl, int *alert, void *arg)
{
    (void)ssl, (void)arg;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void distrust(struct pair *p)
{
    SSL_set_verify(p->client, SSL_VERIFY_PEER, NULL);
}

static void distrust_in_tls_1_2(struct pair *p)
{
    distrust(p);
    assert_true(SSL_set_max_proto_version(p->client, TLS1_2_VERSION));
}

static void want_another_name(struct pair *p)
{
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *chain = NULL;

    distrust(p);
    SSL_CTX_get0_chain_certs(SSL_get_SSL_CTX(p->server), &chain);
    X509_STORE_add_cert(store, sk_X509_value(chain, 0));
    SSL_set1_verify_cert_store(p->client, store);
    X509_STORE_free(store);
    assert_true(SSL_set1_host(p->client, "other.example"));
}

static void know_rsa_only(struct pair *p)
{
    assert_true(SSL_set_max_proto_version(p->client, TLS1_2_VERSION));
    assert_true(SSL_set_cipher_list(p->client, "ECDHE-RSA-AES128-GCM-SHA256"));
}

static void know_tls_1_1_only(struct pair *p)
{
    assert_true(SSL_set_cipher_list(p->client, "ALL:@SECLEVEL=0"));
    assert_true(SSL_set_min_proto_version(p->client, TLS1_VERSION));
    assert_true(SSL_set_max_proto_version(p->client, TLS1_1_VERSION));
}

static void know_another_curve(struct pair *p)
{
    assert_true(SSL_set1_groups_list(p->client, "P-384"));
    assert_true(SSL_set1_groups_list(p->server, "X25519"));
}

static void offer_alpn(struct pair *p)
{
    SSL_CTX_set_alpn_select_cb(SSL_get_SSL_CTX(p->server), refuse_alpn, NULL);
    assert_int_equal(SSL_set_alpn_protos(p->client, (const unsigned char *)"\2h2", 3), 0);
}

static void offer_sni(struct pair *p)
{
    SSL_CTX_set_tlsext_servername_callback(SSL_get_SSL_CTX(p->server), refuse_sni);
    assert_true(SSL_set_tlsext_host_name(p->client, "other.example"));
}

static void demand_a_certificate(struct pair *p)
{
    SSL_set_verify(p->server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    assert_true(SSL_set_max_proto_version(p->client, TLS1_2_VERSION));
}

static void client_goes_away(struct pair *p)
{
    assert_int_equal(SSL_do_handshake(p->client), -1);
    assert_true(BIO_shutdown_wr(SSL_get_wbio(p->client)));
    p->client_done = true;
}

static void server_goes_away(struct pair *p)
{
    assert_true(BIO_shutdown_wr(SSL_get_wbio(p->server)));
    p->server_done = true;
}

/* The client's alert comes after the server's certificate, as in life. */
static void send_alert(struct pair *p, unsigned char level, unsigned char code)
{
    const unsigned char record[] = {21, 3, 3, 0, 2, level, code};

    step(p->client, "server", &p->client_ok, &p->client_done, &p->client_e);
    step(p->server, "client", &p->server_ok, &p->server_done, &p->server_e);
    assert_false(p->server_done);
    BIO_write(SSL_get_wbio(p->client), record, sizeof record);
    p->client_done = true;
}

static void client_closes(struct pair *p)
{
    send_alert(p, 1, SSL_AD_CLOSE_NOTIFY);
}

static void client_writes(struct pair *p, const char *text)
{
    BIO_write(SSL_get_wbio(p->client), text, (int)strlen(text));
    p->client_done = true;
}

static void client_sends_xml(struct pair *p)
{
    client_writes(p, "<stream:stream to='example.org'>");
}

static void client_sends_http(struct pair *p)
{
    client_writes(p, "GET / HTTP/1.1\r\n\r\n");
}

static void server_sends_xml(struct pair *p)
{
    const char *text = "<?xml version='1.0'?><stream:stream>";

    BIO_write(SSL_get_wbio(p->server), text, (int)strlen(text));
    p->server_done = true;
}

#define TRUST_IT "install our CA|xmpptap ca export"

static const struct {
    const char *what;
    void (*spoil)(struct pair *p);
    const char *client_says; /* what the server's peer, the client, is said to have done */
    const char *server_says; /* NULL: that side saw nothing wrong, or is not there */
} broken[] = {
    {"no trust, TLS 1.3", distrust, "the client does not trust our CA (alert unknown_ca)|" TRUST_IT,
     "certificate verify failed"},
    {"no trust, TLS 1.2", distrust_in_tls_1_2,
     "the client does not trust our CA (alert unknown_ca)|" TRUST_IT, "certificate verify failed"},
    {"wrong name", want_another_name,
     "the client does not accept our certificate (alert bad_certificate)|" TRUST_IT,
     "certificate verify failed"},
    {"RSA only", know_rsa_only, "the client offers no cipher|ECDHE-ECDSA",
     "the server has no cipher or curve in common with us (alert handshake_failure)|update it"},
    {"TLS 1.1 only", know_tls_1_1_only, "the client speaks only TLS older than 1.2; update it",
     "the server speaks neither TLS 1.2 nor 1.3 (alert protocol_version); update it"},
    {"curve", know_another_curve, "the client has no curve in common with us|P-256",
     "alert handshake_failure"},
    {"ALPN", offer_alpn, "the TLS handshake with the client failed: ",
     "the server does not speak XMPP there (ALPN) (alert no_application_protocol)|5223"},
    {"SNI", offer_sni, "the TLS handshake with the client failed: ",
     "the server does not know the name in the SNI (alert unrecognized_name)|check the client's"},
    {"client certificate", demand_a_certificate, "the TLS handshake with the client failed: ",
     "(alert handshake_failure)|turn off client certificates there"},
    {"client gone", client_goes_away,
     "the client closed the connection in the middle of the TLS handshake; if it does "
     "not|" TRUST_IT,
     NULL},
    {"server gone", server_goes_away, NULL,
     "the server closed the connection in the middle of the TLS handshake|log"},
    {"close_notify", client_closes, "the client gave up|(alert close_notify)|" TRUST_IT, NULL},
    {"XML to us", client_sends_xml, "the client did not speak TLS|STARTTLS", NULL},
    {"HTTP to us", client_sends_http, "the client sent HTTP, not TLS|set the client to TCP", NULL},
    {"XML from it", server_sends_xml, NULL, "the server did not speak TLS|check UPSTREAM"},
};

static void assert_broken(const char *what, const char *says, const struct error *e)
{
    if (!says)
        return;
    if (e->code != ERR_TLS)
        fail_msg("%s: code %s", what, error_name(e->code));
    assert_says(e->detail, says);
    assert_in_range(strlen(e->detail), 20, ERROR_DETAIL_MAX - 2); /* not cut */
    assert_non_null(strstr(e->detail, "; "));                     /* a cure */
}

static void broken_handshakes_are_explained(void **state)
{
    struct ca *ca = open_ca("ca");

    (void)state;
    for (size_t i = 0; i < COUNT(broken); i++) {
        char domain[32];
        SSL_CTX *client = verify_context(NULL, NULL), *server;
        struct pair p;

        snprintf(domain, sizeof domain, "n%zu.example", i); /* callbacks stay on the context */
        server = ca_leaf_context(ca, domain, NULL, NULL);
        assert_true(client && server);
        p = new_pair(client, server);
        broken[i].spoil(&p);
        shake(&p);
        assert_broken(broken[i].what, broken[i].client_says, &p.server_e);
        assert_broken(broken[i].what, broken[i].server_says, &p.client_e);
        free_pair(&p);
        SSL_CTX_free(server);
        SSL_CTX_free(client);
    }
    ca_free(ca);
}

/* A fatal alert of each number, sent by hand to a server and to a client. */
static const struct {
    unsigned char code;
    const char *name, *client, *server;
} alerts[] = {
    {10, "unexpected_message", "did not expect", "did not expect"},
    {20, "bad_record_mac", "decrypt", "decrypt"},
    {40, "handshake_failure", "ECDHE-ECDSA", "update it"},
    {42, "bad_certificate", TRUST_IT, "client certificate"},
    {43, "unsupported_certificate", "update the client", "client certificate"},
    {44, "certificate_revoked", TRUST_IT, "client certificate"},
    {45, "certificate_expired", "clocks", "client certificate"},
    {46, "certificate_unknown", TRUST_IT, "client certificate"},
    {47, "illegal_parameter", "log", "log"},
    {48, "unknown_ca", TRUST_IT, "client certificate"},
    {49, "access_denied", "denies access", "denies access"},
    {50, "decode_error", "could not read", "could not read"},
    {51, "decrypt_error", "signature", "signature"},
    {70, "protocol_version", "TLS 1.2", "TLS 1.2"},
    {71, "insufficient_security", "stronger", "stronger"},
    {80, "internal_error", "failed inside itself", "failed inside itself"},
    {86, "inappropriate_fallback", "later TLS version", "later TLS version"},
    {109, "missing_extension", "extension", "extension"},
    {110, "unsupported_extension", "extension", "extension"},
    {112, "unrecognized_name", "SNI", "UPSTREAM"},
    {116, "certificate_required", "certificate", "client certificate"},
    {120, "no_application_protocol", "ALPN", "5223"},
};

static void alerts_are_named_with_a_cure(void **state)
{
    struct ca *ca = open_ca("ca");
    SSL_CTX *client = verify_context(NULL, NULL);
    SSL_CTX *server = ca_leaf_context(ca, "example.org", NULL, NULL);

    (void)state;
    for (int code = 0; code < 256; code++) {
        unsigned char record[] = {21, 3, 3, 0, 2, 2, (unsigned char)code};
        struct pair to_server = new_pair(client, server), to_client = new_pair(client, server);
        size_t row = 0;

        while (row < COUNT(alerts) && alerts[row].code != code)
            row++;
        send_alert(&to_server, 2, (unsigned char)code);
        shake(&to_server);
        BIO_write(SSL_get_wbio(to_client.server), record, sizeof record);
        step(to_client.client, "server", &to_client.client_ok, &to_client.client_done,
             &to_client.client_e);
        if (code != SSL_AD_USER_CANCELLED) /* which TLS 1.3 lets pass, awaiting close_notify */
            assert_broken("to the server", "client", &to_server.server_e);
        assert_broken("to the client", "server", &to_client.client_e);
        if (row < COUNT(alerts)) {
            assert_says(to_server.server_e.detail, alerts[row].name);
            assert_says(to_server.server_e.detail, alerts[row].client);
            assert_says(to_client.client_e.detail, alerts[row].name);
            assert_says(to_client.client_e.detail, alerts[row].server);
        }
        free_pair(&to_server);
        free_pair(&to_client);
    }
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    ca_free(ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(broken_handshakes_are_explained),
        TEST(alerts_are_named_with_a_cure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

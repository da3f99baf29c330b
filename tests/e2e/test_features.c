/* Features on their way to the client: what --channel-binding and --compression take out, what stays
 * to the byte, and what the archive says of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "pair.h"
#include "records.h"
#include "run.h"

#define F(inner)   "<stream:features>" inner "</stream:features>"
#define SASL(list) "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" list "</mechanisms>"
#define PLUS       "<mechanism>SCRAM-SHA-256-PLUS</mechanism>"
#define PLAIN      "<mechanism>PLAIN</mechanism>"
#define CB(types)  "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>" types "</sasl-channel-binding>"
#define END_POINT  "<channel-binding type='tls-server-end-point'/>"
#define EXPORTER   "<channel-binding type='tls-exporter'/>"
#define ZLIB                                                                                       \
    "<compression xmlns='http://jabber.org/features/compress'><method>zlib</method></compression>"
#define BIND    "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
#define AUTH    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>"
#define SUCCESS "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"

#define BOUND F(SASL(PLUS PLAIN) CB(END_POINT EXPORTER) "\n" ZLIB)
#define PLUS_GONE "channel binding cannot pass a man in the middle, taken out: SCRAM-SHA-256-PLUS"

enum shown { FORGED, THE_SERVERS, ANOTHER }; /* certificate that clients see */

static const struct row {
    const char *name;
    const char *option, *choice; /* NULL: none */
    bool tls;
    enum shown shown;
    const char *features, *sent;
    const char *after, *after_sent; /* the features behind the login */
    const char *reason;             /* of the first edit; NULL: there is none */
} rows[] = {
    {"auto: what TLS of ours breaks is taken out", NULL, NULL, true, FORGED, BOUND,
     F(SASL(PLAIN) "\n" ZLIB), F(BIND ZLIB), F(BIND ZLIB), PLUS_GONE ", sasl-channel-binding"},
    {"auto: without TLS nothing is", NULL, NULL, false, FORGED, BOUND, BOUND, F(BIND), F(BIND), NULL},
    {"strip: without TLS, too", "--channel-binding", "strip", false, FORGED, BOUND,
     F(SASL(PLAIN) "\n" ZLIB), F(BIND), F(BIND), PLUS_GONE},
    {"pass: nothing is taken out", "--channel-binding", "pass", true, FORGED, BOUND, BOUND, F(BIND),
     F(BIND), NULL},
    {"auto: nothing else was offered", NULL, NULL, true, FORGED, F(SASL(PLUS)), F(SASL("")), F(BIND),
     F(BIND), PLUS_GONE "; no mechanism is left"},
    {"auto: the server's own certificate is a binding that holds", NULL, NULL, true, THE_SERVERS,
     BOUND, F(SASL(PLUS PLAIN) CB(END_POINT) "\n" ZLIB), F(BIND), F(BIND),
     "taken out: tls-exporter"},
    {"auto: the server's own certificate, and the server does not say that it binds to it", NULL,
     NULL, true, THE_SERVERS, F(SASL(PLUS PLAIN) CB(EXPORTER)), F(SASL(PLAIN)), F(BIND), F(BIND),
     PLUS_GONE},
    {"auto: another certificate than the server's", NULL, NULL, true, ANOTHER, BOUND,
     F(SASL(PLAIN) "\n" ZLIB), F(BIND), F(BIND), PLUS_GONE},
    {"--compression strip, before the login and behind it", "--compression", "strip", false, FORGED,
     F(SASL(PLAIN) ZLIB), F(SASL(PLAIN)), F(ZLIB BIND), F(BIND),
     "no compression is asked for, taken out: compression"},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

struct identity {
    const char *cert, *key;
};

static struct identity identity(struct box *b, const char *name)
{
    const struct identity i = {box_text(b, "%s/%s.pem", b->root, name),
                               box_text(b, "%s/%s.key", b->root, name)};
    pki_save_identity(&b->pki, DOMAIN, i.cert, i.key);
    return i;
}

/* The server has its own. */
static struct identity begin(struct pair *p, struct box *b)
{
    const struct identity own = identity(b, "server");
    pair_init_tls(p, b, NULL, LEAF_GOOD, 0);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(p->server_ctx, own.cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(p->server_ctx, own.key, SSL_FILETYPE_PEM), 1);
    return own;
}

static struct run *start(struct box *b, const struct row *row, const struct pair *p,
                         struct identity shown)
{
    if (row->shown == FORGED)
        return run_proxy(b, p->port, row->option, row->choice, NULL);
    if (row->shown == ANOTHER)
        shown = identity(b, "other");
    return run_proxy(b, p->port, "--server-cert", shown.cert, "--server-key", shown.key, NULL);
}

/* One sends, the other gets exactly `got`. */
static void say(struct peer *from, struct peer *to, const char *sent, const char *got)
{
    PEER_OK(from, peer_sends(from, sent));
    PEER_OK(to, peer_expects(to, got));
}

static void from_client(struct pair *p, const char *bytes)
{
    pair_says(&p->client, &p->server, bytes);
}

static void from_server(struct pair *p, const char *bytes)
{
    pair_says(&p->server, &p->client, bytes);
}

static void secure(struct pair *p)
{
    from_client(p, STREAM_HEADER);
    from_server(p, SERVER_HEADER FEATURES_TLS);
    from_client(p, STARTTLS);
    PEER_OK(&p->server, peer_sends(&p->server, PROCEED));
    PEER_OK(&p->server, peer_tls_accept(&p->server, p->server_ctx));
    PEER_OK(&p->client, peer_expects(&p->client, PROCEED));
    PEER_OK(&p->client, peer_tls_connect(&p->client, p->client_ctx, DOMAIN));
}

static void log_in(struct pair *p, const struct row *row)
{
    if (row->tls)
        secure(p);
    from_client(p, STREAM_HEADER);
    from_server(p, SERVER_HEADER);
    say(&p->server, &p->client, row->features, row->sent);
    from_client(p, AUTH);
    from_server(p, SUCCESS);
    from_client(p, STREAM_HEADER);
    from_server(p, SERVER_HEADER);
    say(&p->server, &p->client, row->after, row->after_sent);
    pair_leave(p);
}

/* What the server sent stands there as it came, and beside it what went on instead, and why. */
static void assert_recorded(struct box *b, const struct row *row)
{
    struct bytes wire = {0}, text = {0};
    struct records r;
    const char *edit;
    records_load(&r, b, b->archive);
    records_bytes(&r, NULL, "s2c", &wire);
    assert_true(bytes_has(&wire, row->features));
    assert_true(bytes_has(&wire, row->after));
    edit = records_find(&r, "edit");
    assert_int_equal(edit != NULL, row->reason != NULL);
    if (edit) {
        assert_true(record_string(edit, "reason", &text));
        if (!bytes_has(&text, row->reason))
            fail_msg("the edit's reason is %s", text.p);
        text.len = 0;
        assert_true(record_string(edit, "sent", &text));
        assert_true(bytes_has(&text, row->sent));
    }
    bytes_free(&wire);
    bytes_free(&text);
    records_free(&r);
}

static void test_row(void **state)
{
    struct box *b = *state;
    const struct row *row = b->row;
    struct pair p;
    pki_save_ca(&b->pki, b->upstream_ca);
    const struct identity own = begin(&p, b);
    struct run *proxy = start(b, row, &p, own);
    PEER_OK(&p.client, peer_connect(&p.client, proxy->port));
    pair_meet(&p, " ", " "); /* makes the proxy dial */
    log_in(&p, row);
    run_stop(proxy);
    pair_free(&p);
    assert_recorded(b, row);
    box_done(b);
}

/* Where the proxy is to log in for the client, nothing before the login leads past it. */
static const struct refused {
    const char *name, *says;
} refused[] = {
    {"bridge: a stanza before the login", "<presence/>" AUTH},
    {"bridge: a legacy login", "<iq type='set' id='1'><query xmlns='jabber:iq:auth'/></iq>"},
    {"bridge: what cannot be read", "<!-- -->" AUTH},
};
#define REFUSED (sizeof(refused) / sizeof(refused[0]))

static void test_refused(void **state)
{
    struct box *b = *state;
    const struct refused *r = b->row;
    struct pair p;
    struct bytes got = {0};

    pki_save_ca(&b->pki, b->upstream_ca);
    begin(&p, b);
    struct run *proxy = run_proxy(b, p.port, "--channel-binding", "bridge", NULL);
    PEER_OK(&p.client, peer_connect(&p.client, proxy->port));
    pair_meet(&p, STREAM_HEADER, STREAM_HEADER);
    from_server(&p, SERVER_HEADER);
    PEER_OK(&p.client, peer_sends(&p.client, r->says));
    PEER_OK(&p.client, peer_rest(&p.client, &got));
    bytes_add(&got, "", 1);
    assert_non_null(strstr(got.p, "<not-authorized "));
    bytes_free(&got);
    PEER_OK(&p.server, peer_expect_end(&p.server));
    run_stop(proxy);
    pair_free(&p);
    box_done(b);
}

int main(void)
{
    struct CMUnitTest tests[ROWS + REFUSED];
    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){rows[i].name, test_row, box_setup, box_teardown,
                                       (void *)(uintptr_t)&rows[i]};
    for (size_t i = 0; i < REFUSED; i++)
        tests[ROWS + i] = (struct CMUnitTest){refused[i].name, test_refused, box_setup, box_teardown,
                                              (void *)(uintptr_t)&refused[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

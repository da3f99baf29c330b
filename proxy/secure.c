#include "secure.h"

#include <stdio.h>
#include <string.h>

#include "../certs/cert.h"
#include "../certs/resume.h"
#include "../certs/verify.h"
#include "../logs/message.h"
#include "client_cert.h"
#include "facts.h"
#include "keylog.h"
#include "reach.h"

#define DOMAIN_MAX 1024

static const unsigned char ALPN[] = "\x0bxmpp-client"; /* XEP-0368, RFC 7301 */

#define TLS_FAILURE "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"

/* The name asked for by the client, or what UPSTREAM names; as TLS names it. Returns `out`. */
static const char *domain(const struct session *s, char out[DOMAIN_MAX])
{
    const char *asked = *gate_domain(&s->gate) ? gate_domain(&s->gate) : s->upstream->host;

    return tls_domain(asked, out, DOMAIN_MAX);
}

void secure_record(struct session *s, enum side side, const char *verify, const char *error,
                   const char *kind)
{
    struct tls_facts facts;
    struct mark m = {.kind = MARK_TLS};

    tls_facts(&facts, leg_ssl(&s->leg[side]), &m.u.tls);
    m.u.tls.side = side;
    m.u.tls.ok = !*error;
    m.u.tls.verify = verify;
    m.u.tls.error = error;
    m.u.tls.kind = kind;
    session_mark(s, &m);
}

/* Of a handshake that broke with a session offered: that may be why. */
static void add_resumption(struct error *out, const struct error *e)
{
    *out = *e;
    error_set(out, e->code, "%.*s; or it cannot go on with an earlier TLS session: the next login will "
              "not try to (--no-tls-resumption)", ERROR_DETAIL_MAX - 120, e->detail);
    out->kind = e->kind;
}

void secure_refused(struct session *s, enum side by, const struct error *e)
{
    struct buf *proceed = &s->gate.proceed;
    bool broke = leg_ssl(SERVER(s)) && e->code != ERR_CERTIFICATE && resume_broke(leg_ssl(SERVER(s)));
    struct error why;

    if (broke && s->entry.step == ENTRY_OVER) {
        add_resumption(&why, e);
        e = &why;
    }
    if (leg_ssl(SERVER(s)))
        secure_record(s, SIDE_SERVER, e->code == ERR_CERTIFICATE ? e->detail : "", e->detail,
                      e->kind);
    if (s->entry.step != ENTRY_OVER) {
        entry_server_failed(s, e, broke);
        return;
    }
    session_edit(s, DIR_S2C, proceed->p, proceed->len, TLS_FAILURE, sizeof TLS_FAILURE - 1,
            error_text(e->code));
    buf_free(proceed);
    s->gone[SIDE_SERVER] = e->code != ERR_CERTIFICATE;
    session_close(s, by, e->code, "%s", e->detail);
}

/* A client of direct TLS that sent no SNI, and no UPSTREAM but an address: whom it wants to reach is
 * known when it has TLS and sends its header. Until then nothing of it goes to the server. */
static bool nameless(const struct session *s)
{
    struct sockaddr_storage a;
    char text[DOMAIN_MAX + 8];

    snprintf(text, sizeof text, strchr(s->upstream->host, ':') ? "[%s]:1" : "%s:1",
             s->upstream->host);
    return s->entry.step != ENTRY_OVER && s->entry.direct && !*gate_domain(&s->gate) &&
           (!*s->upstream->host || address_parse(text, &a));
}

/* Sessions go on where all is the same: who is asked for, how, and where. */
static void offer_session(struct session *s, SSL *ssl, const char *name, bool direct)
{
    char key[DOMAIN_MAX + ADDRESS_TEXT + 8];

    snprintf(key, sizeof key, "%s %s %s", leg_dialled(SERVER(s))->address, direct ? "alpn" : "-",
             name);
    /* Where the bridge binds a login to the server's certificate, that is seen anew. */
    if (!nameless(s) && s->proxy->options->channel_binding != CHANNEL_BINDING_BRIDGE)
        resume_offer(s->proxy->resume, ssl, key);
}

void secure_server(struct session *s, const char *p, size_t n)
{
    char name[DOMAIN_MAX];
    SSL *ssl = NULL;

    session_wait(s, WAIT_SERVER_TLS, s->proxy->options->handshake_s * 1000);
    if (!leg_is_embedded(SERVER(s))) {
        bool direct = s->entry.step == ENTRY_SERVER_DIRECT;

        ssl = SSL_new(s->proxy->upstream_tls);
        if (!ssl || !tls_set_name(ssl, domain(s, name)) ||
            (direct && SSL_set_alpn_protos(ssl, ALPN, sizeof ALPN - 1))) {
            SSL_free(ssl);
            session_close(s, SIDE_PROXY, ERR_NOMEM, NULL);
            return;
        }
        offer_session(s, ssl, name, direct);
        SSL_set_connect_state(ssl);
    }
    if (leg_push_tls(SERVER(s), ssl))
        session_close(s, SIDE_PROXY, ERR_NOMEM, NULL);
    else
        leg_inject(SERVER(s), p, n);
}

static void say_ignored(const struct session *s, const struct error *e)
{
    message(LEVEL_WARN,
            PAIRS("session", s->id, "side", "server", "phase", "tls-handshake", "reason",
                  error_name(ERR_CERTIFICATE)),
            "ignored because of --insecure: %s", e->detail);
}

bool secure_named(void *arg)
{
    struct session *s = arg;
    struct error *e = &s->entry.refusal.error;
    char name[DOMAIN_MAX];
    SSL *ssl = leg_ssl(SERVER(s));

    if (!ssl || !verify_peer(ssl, domain(s, name), e))
        return true;
    if (!s->proxy->options->insecure) {
        secure_record(s, SIDE_SERVER, e->detail, e->detail, e->kind);
        return false;
    }
    say_ignored(s, e);
    return true;
}

void secure_misnamed(void *arg, const char *p, size_t n)
{
    struct session *s = arg;

    session_edit(s, DIR_C2S, p, n, "", 0, error_text(s->entry.refusal.error.code));
    reach_tell(s, REACH_FAILED, &s->entry.refusal.error);
}

void secure_server_done(struct session *s)
{
    char name[DOMAIN_MAX];
    struct error e = {0};
    SSL *ssl = leg_ssl(SERVER(s));

    if (ssl) {
        int err;

        s->gate.name_due = nameless(s);
        err = verify_peer(ssl, s->gate.name_due ? NULL : domain(s, name), &e);
        if (err && !s->proxy->options->insecure) {
            secure_refused(s, SIDE_PROXY, &e);
            return;
        }
        if (err)
            say_ignored(s, &e);
        else if (!s->gate.name_due)
            resume_keep(ssl, client_cert_asked(ssl));
        secure_record(s, SIDE_SERVER, err ? e.detail : "ok", "", err ? e.kind : NULL);
    }
    if (s->entry.step != ENTRY_OVER) {
        entry_secured(s, SIDE_SERVER);
        return;
    }
    session_wait(s, WAIT_CLIENT_TLS, s->proxy->options->handshake_s * 1000);
    gate_server_secured(&s->gate);
}

/* A client that asks for XMPP gets it; one that asks for something else, or for nothing, is not told
 * (XEP-0368 §2). */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *len,
                       const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    for (unsigned at = 0; at < in_len; at += 1u + in[at])
        if (in[at] == ALPN[0] && in_len - at > ALPN[0] && memcmp(in + at, ALPN, 1u + ALPN[0]) == 0) {
            *out = in + at + 1;
            *len = in[at];
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_NOACK;
}

/* The name says which leaf, and that is chosen already. What is not acknowledged (RFC 6066 §3) OpenSSL
 * does not keep in a session of TLS 1.2, and it would be missed where that goes on. */
static int take_name(SSL *ssl, int *alert, void *arg)
{
    (void)ssl;
    (void)alert;
    (void)arg;
    return SSL_TLSEXT_ERR_OK;
}

void secure_prepare(SSL_CTX *client, void *keylog)
{
    SSL_CTX_set_alpn_select_cb(client, choose_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(client, take_name);
    keylog_watch(keylog, client);
}

/* What the client is shown: a leaf, or the server's own certificate. Returns a new reference, or
 * NULL with `e` filled. */
static SSL_CTX *client_context(struct session *s, const char *name, X509 *upstream,
                               struct error *e)
{
    SSL_CTX *ctx = s->proxy->server_tls;

    if (!ctx)
        return ca_leaf_context(s->proxy->ca, name, upstream, e);
    if (!verify_names(SSL_CTX_get0_certificate(ctx), name))
        message(LEVEL_WARN, PAIRS("session", s->id, "side", "client", "phase", "tls-handshake"),
                "the certificate of --server-cert does not name \"%s\", which the client asked "
                "for; the client may refuse it: give the one that the server shows for it", name);
    SSL_CTX_up_ref(ctx);
    return ctx;
}

void secure_client(struct session *s, const char *p, size_t n)
{
    char name[DOMAIN_MAX];
    struct error e;
    SSL *server = s->gone[SIDE_SERVER] ? NULL : leg_ssl(SERVER(s));
    X509 *cert = server ? SSL_get1_peer_certificate(server) : NULL;
    SSL_CTX *ctx = client_context(s, domain(s, name), cert, &e);
    SSL *ssl;

    ssl = ctx ? SSL_new(ctx) : NULL;
    X509_free(cert);
    SSL_CTX_free(ctx);
    if (ssl && !client_cert_ask(ssl, server)) {
        SSL_free(ssl);
        ssl = NULL;
    }
    if (ssl && s->proxy->options->full_handshakes) {
        SSL_set_options(ssl, SSL_OP_NO_TICKET);
        SSL_set_num_tickets(ssl, 0);
    }
    if (!ctx) {
        session_close(s, SIDE_PROXY, e.code, "%s", e.detail);
        return;
    }
    if (ssl)
        SSL_set_accept_state(ssl);
    /* A client binds the channel by what the TLS version has that it would have with the server. */
    if (ssl && server && s->gate.bridged)
        SSL_set_max_proto_version(ssl, SSL_version(server));
    if (!ssl || leg_push_tls(CLIENT(s), ssl))
        session_close(s, SIDE_PROXY, ERR_NOMEM, NULL);
    else
        leg_inject(CLIENT(s), p, n);
}

/* The client has shown a certificate, which nobody else can show to the server. */
static void say_client_cert(struct session *s)
{
    char name[256];
    X509 *cert = client_cert_shown(leg_ssl(CLIENT(s)));

    if (cert && !s->proxy->options->client_cert)
        message(LEVEL_WARN, PAIRS("session", s->id, "side", "client", "phase", "tls-handshake"),
                "the client shows a certificate (\"%s\"), which cannot pass a man in the middle: "
                "SASL EXTERNAL will not work; give that certificate and its key with --client-cert "
                "FILE --client-key FILE, or log in with a password",
                cert_common_name(cert, name, sizeof name));
}

void secure_client_done(struct session *s)
{
    say_client_cert(s);
    secure_record(s, SIDE_CLIENT, "", "", NULL);
    if (s->entry.step != ENTRY_OVER) {
        entry_secured(s, SIDE_CLIENT);
        return;
    }
    session_wait(s, WAIT_NOTHING, 0);
    gate_client_secured(&s->gate);
}

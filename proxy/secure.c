#include "secure.h"

#include "../certs/verify.h"
#include "../logs/message.h"
#include "facts.h"

#define DOMAIN_MAX 1024
#define TLS_FAILURE "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"

/* The name asked for by the client, or what UPSTREAM names; as TLS names it. Returns `out`. */
static const char *domain(const struct session *s, char out[DOMAIN_MAX])
{
    const char *asked = *s->gate.domain ? s->gate.domain : s->upstream->host;

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

void secure_refused(struct session *s, enum side by, const struct error *e)
{
    struct buf *proceed = &s->gate.proceed;

    secure_record(s, SIDE_SERVER, e->code == ERR_CERTIFICATE ? e->detail : "", e->detail,
                  e->kind);
    session_edit(s, DIR_S2C, proceed->p, proceed->len, TLS_FAILURE, sizeof TLS_FAILURE - 1,
            error_text(e->code));
    buf_free(proceed);
    s->gone[SIDE_SERVER] = e->code != ERR_CERTIFICATE;
    session_close(s, by, e->code, "%s", e->detail);
}

void secure_server(struct session *s, const char *p, size_t n)
{
    char name[DOMAIN_MAX];
    SSL *ssl = NULL;

    session_wait(s, WAIT_SERVER_TLS, s->proxy->options->handshake_s * 1000);
    if (!leg_is_embedded(SERVER(s))) {
        ssl = SSL_new(s->proxy->upstream_tls);
        if (!ssl || !tls_set_name(ssl, domain(s, name))) {
            SSL_free(ssl);
            session_close(s, SIDE_PROXY, ERR_NOMEM, NULL);
            return;
        }
        SSL_set_connect_state(ssl);
    }
    if (leg_push_tls(SERVER(s), ssl))
        session_close(s, SIDE_PROXY, ERR_NOMEM, NULL);
    else
        leg_inject(SERVER(s), p, n);
}

void secure_server_done(struct session *s)
{
    char name[DOMAIN_MAX];
    struct error e = {0};
    SSL *ssl = leg_ssl(SERVER(s));

    if (ssl) {
        int err = verify_peer(ssl, domain(s, name), &e);

        if (err && !s->proxy->options->insecure) {
            secure_refused(s, SIDE_PROXY, &e);
            return;
        }
        if (err)
            message(LEVEL_WARN,
                    PAIRS("session", s->id, "side", "server", "phase", "tls-handshake", "reason",
                          error_name(ERR_CERTIFICATE)),
                    "ignored because of --insecure: %s", e.detail);
        secure_record(s, SIDE_SERVER, err ? e.detail : "ok", "", err ? e.kind : NULL);
    }
    session_wait(s, WAIT_CLIENT_TLS, s->proxy->options->handshake_s * 1000);
    gate_server_secured(&s->gate);
}

void secure_client(struct session *s, const char *p, size_t n)
{
    char name[DOMAIN_MAX];
    struct error e;
    SSL *server = leg_ssl(SERVER(s));
    X509 *cert = server ? SSL_get1_peer_certificate(server) : NULL;
    SSL_CTX *ctx = ca_leaf_context(s->proxy->ca, domain(s, name), cert, &e);
    SSL *ssl = ctx ? SSL_new(ctx) : NULL;

    X509_free(cert);
    SSL_CTX_free(ctx);
    if (!ctx) {
        session_close(s, SIDE_PROXY, e.code, "%s", e.detail);
        return;
    }
    if (ssl)
        SSL_set_accept_state(ssl);
    if (!ssl || leg_push_tls(CLIENT(s), ssl))
        session_close(s, SIDE_PROXY, ERR_NOMEM, NULL);
    else
        leg_inject(CLIENT(s), p, n);
}

void secure_client_done(struct session *s)
{
    secure_record(s, SIDE_CLIENT, "", "", NULL);
    session_wait(s, WAIT_NOTHING, 0);
    gate_client_secured(&s->gate);
}

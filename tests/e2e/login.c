#include "login.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLIENT   'c'
#define SERVER   's'
#define STARTED  't' /* TLS begins */
#define LOGIN_ID "guanfei@" DOMAIN "/e2e"

struct step {
    char who;
    const char *bytes;
};

static const struct step opening[] = {
    {CLIENT, STREAM_HEADER},
    {SERVER, SERVER_HEADER},
    {SERVER, FEATURES_TLS},
    {0, NULL},
};

static const struct step starting_tls[] = {
    {CLIENT, STARTTLS},
    {SERVER, PROCEED},
    {0, NULL},
};

static const struct step secured[] = {
    {CLIENT, STREAM_HEADER},
    {SERVER, SERVER_HEADER},
    {SERVER, FEATURES_SASL},
    {CLIENT, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
             "AGd1YW5mZWkAZ3VhbmZlaQ==</auth>"},
    {SERVER, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"},
    {CLIENT, STREAM_HEADER},
    {SERVER, SERVER_HEADER},
    {SERVER, "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
             "</stream:features>"},
    {CLIENT, "<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
             "<resource>e2e</resource></bind></iq>"},
    {SERVER, "<iq type='result' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
             "<jid>" LOGIN_ID "</jid></bind></iq>"},
    {0, NULL},
};

static int play(struct peer *p, const struct step *step, char me)
{
    for (; step->who; step++) {
        int r = step->who == me ? peer_sends(p, step->bytes) : peer_expects(p, step->bytes);
        if (r)
            return r;
    }
    return 0;
}

int login_open_client(struct peer *p, SSL_CTX *ctx)
{
    (void)ctx;
    return play(p, opening, CLIENT);
}

int login_open_server(struct peer *p, SSL_CTX *ctx)
{
    (void)ctx;
    return play(p, opening, SERVER);
}

int login_secure_client(struct peer *p, SSL_CTX *ctx)
{
    int r = peer_tls_connect(p, ctx, DOMAIN);
    return r ? r : play(p, secured, CLIENT);
}

int login_secure_server(struct peer *p, SSL_CTX *ctx)
{
    int r = peer_tls_accept(p, ctx);
    return r ? r : play(p, secured, SERVER);
}

int login_client(struct peer *p, SSL_CTX *ctx)
{
    int r;
    if (!ctx)
        return play(p, secured, CLIENT);
    if ((r = play(p, opening, CLIENT)) || (r = play(p, starting_tls, CLIENT)))
        return r;
    return login_secure_client(p, ctx);
}

int login_server(struct peer *p, SSL_CTX *ctx)
{
    int r;
    if (!ctx)
        return play(p, secured, SERVER);
    if ((r = play(p, opening, SERVER)) || (r = play(p, starting_tls, SERVER)))
        return r;
    return login_secure_server(p, ctx);
}

int login_leave(struct peer *p)
{
    int r;
    if ((r = peer_sends(p, STREAM_CLOSE)) || (r = peer_expects(p, STREAM_CLOSE)))
        return r;
    return peer_expect_end(p);
}

/* ---- both ends ---- */

struct server_end {
    const struct login_end *end;
    int listener, result;
};

static void *play_server(void *arg)
{
    struct server_end *s = arg;
    struct peer *p = s->end->peer;
    s->result = p->fd < 0 ? peer_accept(p, s->listener) : 0;
    if (s->result == 0)
        s->result = s->end->part(p, s->end->ctx);
    return NULL;
}

int login_pair(const struct login_end *client, const struct login_end *server, int listener)
{
    struct server_end s = {.end = server, .listener = listener};
    pthread_t thread;
    if (pthread_create(&thread, NULL, play_server, &s) != 0)
        return -1;
    int r = client->part(client->peer, client->ctx);
    pthread_join(thread, NULL);
    return r ? r : s.result;
}

/* ---- the server ---- */

static bool closes(const struct bytes *b)
{
    size_t n = strlen(STREAM_CLOSE);
    return b->len >= n && memcmp(b->p + b->len - n, STREAM_CLOSE, n) == 0;
}

void login_echo(struct peer *p)
{
    struct bytes tail = {0};
    struct bytes some = {0};
    p->timeout_ms = 120000;
    for (;;) {
        some.len = 0;
        if (peer_some(p, &some) != 0 || peer_send(p, some.p, some.len) != 0)
            break;
        bytes_add(&tail, some.p, some.len);
        if (tail.len > 64)
            bytes_drop(&tail, tail.len - 64);
        if (closes(&tail))
            break;
    }
    bytes_free(&some);
    bytes_free(&tail);
}

static void *serve(void *arg)
{
    struct server *s = arg;
    while (!s->stop) {
        struct peer p;
        struct pollfd pfd = {.fd = s->listener, .events = POLLIN};
        if (poll(&pfd, 1, 50) <= 0)
            continue;
        peer_init(&p, "server");
        p.timeout_ms = 1000; /* another thread may have taken the connection */
        if (peer_accept(&p, s->listener) != 0)
            continue;
        p.timeout_ms = PEER_TIMEOUT_MS;
        if (login_server(&p, s->ctx) == 0) {
            login_echo(&p);
        } else if (s->failed++ == 0) {
            pthread_mutex_lock(&s->lock);
            snprintf(s->error, sizeof(s->error), "%s", p.error);
            pthread_mutex_unlock(&s->lock);
        }
        peer_close(&p);
    }
    return NULL;
}

static void server_end(void *arg)
{
    server_stop(arg);
    free(arg);
}

struct server *server_start(struct box *b, int threads, SSL_CTX *ctx)
{
    struct server *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    box_at_end(b, server_end, s);
    s->ctx = ctx;
    assert_true(threads <= SERVER_THREADS);
    pthread_mutex_init(&s->lock, NULL);
    s->listener = peer_listen(&s->port);
    assert_true(s->listener >= 0);
    for (; s->threads < threads; s->threads++)
        assert_int_equal(pthread_create(&s->thread[s->threads], NULL, serve, s), 0);
    return s;
}

void server_stop(struct server *s)
{
    s->stop = true;
    while (s->threads > 0)
        pthread_join(s->thread[--s->threads], NULL);
    if (s->listener >= 0)
        close(s->listener);
    s->listener = -1;
}

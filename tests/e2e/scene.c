#include "scene.h"

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

#define SENDER_PIECE 65536

/* ---- the session beside ---- */

static void *answer(void *arg)
{
    struct scene *s = arg;
    login_echo(&s->ping_server);
    if (s->ping_server.fd >= 0)
        peer_shutdown(&s->ping_server);
    return NULL;
}

static void *ping(void *arg)
{
    struct scene *s = arg;
    struct peer *p = &s->ping_client;
    char text[200];
    while (!s->stop) {
        int64_t start = now_ms();
        snprintf(text, sizeof(text), "<iq type='get' id='p%d'><ping xmlns='urn:xmpp:ping'/></iq>",
                 s->pings);
        if (peer_sends(p, text) || peer_expects(p, text)) {
            s->ping_failed = true;
            return NULL;
        }
        long ms = (long)(now_ms() - start);
        if (ms > s->slowest_ms)
            s->slowest_ms = ms;
        s->pings++;
        poll(NULL, 0, 5); /* a pace, not a wait */
    }
    s->ping_failed = login_leave(p) != 0;
    return NULL;
}

static void pinger_start(struct scene *s)
{
    PEER_OK(&s->ping_client, peer_connect(&s->ping_client, s->proxy->port));
    const struct login_end client = {&s->ping_client, login_client, NULL};
    const struct login_end server = {&s->ping_server, login_server, NULL};
    PEER_OK(&s->ping_client, login_pair(&client, &server, s->listener));
    assert_int_equal(pthread_create(&s->answerer, NULL, answer, s), 0);
    assert_int_equal(pthread_create(&s->pinger, NULL, ping, s), 0);
    s->pinging = true;
}

void scene_keeps_pace(struct scene *s, int times)
{
    int64_t deadline = now_ms() + RUN_TIMEOUT_MS;
    int from = s->pings;
    while (s->pings < from + times) {
        if (s->ping_failed)
            fail_msg("the session beside was disturbed: %s", s->ping_client.error);
        if (now_ms() > deadline || !run_lives(s->proxy))
            fail_msg("the session beside got only %d pings through", s->pings - from);
        poll(NULL, 0, 2);
    }
    long limit = sanitized() ? 10 * s->ping_limit_ms : s->ping_limit_ms;
    if (s->slowest_ms > limit)
        fail_msg("the session beside was held up: a ping took %ld ms", s->slowest_ms);
}

/* ---- the scene ---- */

static void pinger_stop(struct scene *s)
{
    s->stop = true;
    if (s->pinging) {
        pthread_join(s->pinger, NULL);
        pthread_join(s->answerer, NULL);
    }
    s->pinging = false;
    peer_close(&s->ping_client);
    peer_close(&s->ping_server);
}

static void scene_end(void *arg)
{
    struct scene *s = arg;
    sender_join(&s->sender);
    pinger_stop(s);
    peer_close(&s->client);
    peer_close(&s->server);
    if (s->listener >= 0)
        close(s->listener);
    SSL_CTX_free(s->client_ctx);
    SSL_CTX_free(s->server_ctx);
    free(s);
}

struct scene *scene_start(struct box *b)
{
    struct scene *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->box = b;
    s->listener = -1;
    s->ping_limit_ms = SCENE_PING_MS;
    peer_init(&s->ping_client, "pinging client");
    peer_init(&s->ping_server, "pinging client's server");
    peer_init(&s->client, "client");
    peer_init(&s->server, "server");
    box_at_end(b, scene_end, s);
    s->client_ctx = pki_client(box_ca_pem(b), 0);
    s->server_ctx = pki_server(&b->pki, LEAF_GOOD, 0);
    s->listener = peer_listen(&s->port);
    assert_true(s->listener >= 0);
    s->proxy = run_proxy(b, s->port, "-q", "--secrets", "keep", "--handshake-timeout",
                         SCENE_HANDSHAKE, NULL);
    pinger_start(s);
    return s;
}

void scene_connect(struct scene *s)
{
    PEER_OK(&s->client, peer_connect(&s->client, s->proxy->port));
}

void scene_accept(struct scene *s)
{
    PEER_OK(&s->server, peer_accept(&s->server, s->listener));
}

static void pair(struct scene *s, login_part *client_part, login_part *server_part, bool tls)
{
    const struct login_end client = {&s->client, client_part, tls ? s->client_ctx : NULL};
    const struct login_end server = {&s->server, server_part, tls ? s->server_ctx : NULL};
    if (login_pair(&client, &server, s->listener) != 0)
        fail_msg("client: %s; server: %s", s->client.error, s->server.error);
}

void scene_login(struct scene *s)
{
    scene_connect(s);
    pair(s, login_client, login_server, false);
}

void scene_open(struct scene *s)
{
    scene_connect(s);
    pair(s, login_open_client, login_open_server, false);
}

void scene_proceed(struct scene *s)
{
    PEER_OK(&s->server, peer_sends(&s->server, PROCEED));
    PEER_OK(&s->server, peer_tls_accept(&s->server, s->server_ctx));
    PEER_OK(&s->client, peer_expects(&s->client, PROCEED));
}

static int proceed_and_secure(struct peer *p, SSL_CTX *ctx)
{
    int r = peer_sends(p, PROCEED);
    return r ? r : login_secure_server(p, ctx);
}

static int read_proceed_and_secure(struct peer *p, SSL_CTX *ctx)
{
    int r = peer_expects(p, PROCEED);
    return r ? r : login_secure_client(p, ctx);
}

void scene_secure(struct scene *s)
{
    pair(s, read_proceed_and_secure, proceed_and_secure, true);
}

void scene_memory(struct scene *s)
{
    long peak = run_peak_kib(s->proxy);
    if (!sanitized() && peak > SCENE_PEAK_KIB)
        fail_msg("the program has used %ld KiB of memory", peak);
}

void scene_stop(struct scene *s)
{
    scene_keeps_pace(s, 3);
    scene_memory(s);
    peer_close(&s->client);
    peer_close(&s->server);
    pinger_stop(s);
    if (s->ping_failed)
        fail_msg("the session beside was disturbed: %s", s->ping_client.error);
    run_stop(s->proxy);
}

/* ---- a sender ---- */

static void *send_all(void *arg)
{
    struct sender *s = arg;
    while (s->result == 0 && s->sent < s->bytes.len) {
        size_t left = s->bytes.len - s->sent;
        size_t n = left < SENDER_PIECE ? left : SENDER_PIECE;
        s->result = peer_send(s->peer, s->bytes.p + s->sent, n);
        if (s->result == 0)
            s->sent += n;
    }
    return NULL;
}

struct sender *sender_start(struct scene *scene, struct peer *p, const struct bytes *bytes)
{
    struct sender *s = &scene->sender;
    s->peer = p;
    s->bytes = *bytes;
    assert_int_equal(pthread_create(&s->thread, NULL, send_all, s), 0);
    s->started = true;
    return s;
}

int sender_join(struct sender *s)
{
    if (s->started)
        pthread_join(s->thread, NULL);
    s->started = false;
    return s->result;
}

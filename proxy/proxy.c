#include "proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../certs/identity.h"
#include "../certs/verify.h"
#include "../logs/message.h"
#include "address.h"
#include "client_cert.h"
#include "keylog.h"
#include "listen.h"
#include "secure.h"
#include "session.h"

int resolver_parse(const char *text, struct sockaddr_storage *a, struct error *e)
{
    if (address_parse(text, a) && address_port(a))
        return 0;
    return error_set(e, ERR_USAGE,
                     "%s is no resolver; give --resolver ADDR:PORT, such as 127.0.0.1:53 or "
                     "[::1]:53", text);
}

/* ---- the recorder ---- */

static void all_reading(struct proxy *p)
{
    for (struct session *s = p->sessions; s; s = s->next)
        session_reading(s);
}

void proxy_check_queue(struct proxy *p)
{
    if (p->starved || !recorder_full(p->recorder))
        return;
    p->starved = true;
    message(LEVEL_WARN, NULL, "the recorder's queue is full; %s",
            p->options->wait_when_full ? "sessions pause until it is written"
                                       : "what comes until it is written is not recorded");
    all_reading(p);
}

void proxy_room(void *arg)
{
    uv_async_send(&((struct proxy *)arg)->room);
}

static void on_room(uv_async_t *async)
{
    struct proxy *p = async->data;

    bool starved = recorder_full(p->recorder);
    struct session *next;

    if (starved && !p->starved) {
        p->starved = true;
        all_reading(p);
        return;
    }
    p->starved = starved;
    for (struct session *s = p->paused; s; s = next) {
        next = s->paused_next;
        session_reading(s);
    }
}

static void on_publish(uv_timer_t *timer)
{
    struct proxy *p = timer->data;

    recorder_publish(p->recorder);
}

static void close_if_over(struct proxy *p);

/* Before the loop waits: what was recorded in this turn must not wait longer than 20 ms. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct proxy *p = prepare->data;

    if (recorder_pending(p->recorder) && !uv_is_active((uv_handle_t *)&p->publish))
        uv_timer_start(&p->publish, on_publish, RECORDER_PUBLISH_MS, 0);
    close_if_over(p);
}

/* ---- stopping ---- */

static void close_handle(uv_handle_t *h)
{
    if (h->type != UV_UNKNOWN_HANDLE && !uv_is_closing(h))
        uv_close(h, NULL);
}

static void close_handles(struct proxy *p)
{
    for (int i = 0; i < LISTENERS_MAX; i++)
        close_handle((uv_handle_t *)&p->listener[i]);
    close_handle((uv_handle_t *)&p->publish);
    close_handle((uv_handle_t *)&p->prepare);
    close_handle((uv_handle_t *)&p->room);
    for (int i = 0; i < 2; i++)
        close_handle((uv_handle_t *)&p->signals[i]);
    crew_leave(p);
    resolver_free(p->resolver);
    p->resolver = NULL;
}

static void close_if_over(struct proxy *p)
{
    if (p->stopping && !p->sessions)
        close_handles(p);
}

void proxy_stop(struct proxy *p)
{
    struct session *next;

    if (p->stopping)
        return;
    p->stopping = true;
    for (unsigned i = 0; i < p->listeners; i++)
        close_handle((uv_handle_t *)&p->listener[i]);
    for (struct session *s = p->sessions; s; s = next) {
        next = s->next;
        session_close(s, SIDE_PROXY, ERR_STOPPED, NULL);
    }
    if (p->member.number == 0)
        crew_stop(p);
    close_if_over(p);
}

/* One is enough: no other thread takes them, and where this one did, behind the loop's end and its
 * handler's, a second one would end the process before the archive is whole. */
static void block_signals(void)
{
    sigset_t both;

    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &both, NULL);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct proxy *p = signal->data;

    block_signals();
    if (p->stopping) /* it came before they were */
        return;
    message(LEVEL_INFO, PAIRS("signal", number == SIGINT ? "SIGINT" : "SIGTERM"),
            "stopping; sessions are told goodbye, %lu connections came without a byte",
            crew_empty(p->member.crew));
    proxy_stop(p);
}

/* ---- TLS that is the same for all sessions ---- */

static void say_shared_key(const struct identity_files *f)
{
    if (identity_key_is_shared(f))
        message(LEVEL_WARN, PAIRS("file", f->key ? f->key : f->cert),
                "this key is open to its group; if that is not meant so: chmod 600");
}

/* What our handshakes with servers need besides; each worker's own. */
static int watch_upstream(struct proxy *p, struct error *e)
{
    client_cert_watch(p->upstream_tls);
    if (p->options->full_handshakes)
        return 0;
    p->resume = resume_new(p->upstream_tls);
    return p->resume ? 0 : error_set(e, ERR_NOMEM, "no memory to start");
}

static int open_upstream(struct proxy *p, struct error *e)
{
    const struct proxy_options *o = p->options;
    const struct identity_files client = {o->client_cert, o->client_key, "client"};

    p->upstream_tls = verify_context(o->upstream_ca, e);
    if (!p->upstream_tls)
        return (int)e->code;
    if (watch_upstream(p, e))
        return (int)e->code;
    if (!o->client_cert)
        return 0;
    if (identity_use(p->upstream_tls, &client, e))
        return (int)e->code;
    say_shared_key(&client);
    return 0;
}

/* A context of its own, so that workers do not wait for each other in it, with what `first` has
 * read. */
static int copy_upstream(struct proxy *p, SSL_CTX *first, struct error *e)
{
    p->upstream_tls = verify_context_like(first, e);
    if (!p->upstream_tls)
        return (int)e->code;
    keylog_watch(p->keylog, p->upstream_tls);
    return watch_upstream(p, e);
}

static int open_tls(struct proxy *p, struct error *e)
{
    const struct proxy_options *o = p->options;
    const struct identity_files server = {o->server_cert, o->server_key, "server"};

    if (o->server_cert) {
        p->server_tls = identity_server_context(&server, e);
        if (!p->server_tls)
            return (int)e->code;
        say_shared_key(&server);
    }
    return o->upstream.kind == UPSTREAM_BUILTIN ? 0 : open_upstream(p, e);
}

/* ---- its life ---- */

int proxy_listen(struct proxy *p, uv_loop_t *loop, const struct proxy_options *o, struct crew *c,
                 struct error *e)
{
    int err;

    *p = (struct proxy){.loop = loop, .options = o};
    crew_join(c, p, 0);
    err = open_tls(p, e);
    return err ? err : listen_open(p, e);
}

int proxy_follow(struct proxy *p, uv_loop_t *loop, const struct proxy *first, unsigned number,
                 struct error *e)
{
    *p = (struct proxy){.loop = loop, .options = first->options, .keylog = first->keylog,
                        .server_tls = first->server_tls};
    crew_join(first->member.crew, p, number);
    if (p->server_tls)
        SSL_CTX_up_ref(p->server_tls);
    return first->upstream_tls ? copy_upstream(p, first->upstream_tls, e) : 0;
}

int proxy_open_keylog(struct proxy *p, struct error *e)
{
    if (!p->options->keylog)
        return 0;
    p->keylog = keylog_open(p->options->keylog, e);
    if (!p->keylog)
        return (int)e->code;
    if (p->upstream_tls)
        keylog_watch(p->keylog, p->upstream_tls);
    return 0;
}

static struct resolver *start_resolver(struct proxy *p, struct error *e)
{
    struct sockaddr_storage server = {0};
    const char *text = p->options->resolver;

    if (text && resolver_parse(text, &server, e))
        return NULL;
    return resolver_new(p->loop, text ? &server : NULL, e);
}

int proxy_start(struct proxy *p, struct recorder *recorder, struct ca *ca, struct error *e)
{
    p->recorder = recorder;
    p->ca = ca;
    if (p->member.number == 0 && p->server_tls)
        secure_prepare(p->server_tls, p->keylog);
    else if (p->member.number == 0)
        ca_prepare_leaves(ca, secure_prepare, p->keylog);
    p->reader = reader_new();
    if (!p->reader)
        return error_set(e, ERR_NOMEM, "no memory to start");
    if (p->options->strict)
        reader_strict(p->reader);
    if (p->options->upstream.kind != UPSTREAM_BUILTIN) {
        p->resolver = start_resolver(p, e);
        if (!p->resolver)
            return (int)e->code;
    }
    uv_timer_init(p->loop, &p->publish);
    uv_prepare_init(p->loop, &p->prepare);
    uv_async_init(p->loop, &p->room, on_room);
    p->publish.data = p->prepare.data = p->room.data = p;
    uv_prepare_start(&p->prepare, on_prepare);
    if (p->member.number > 0)
        return 0;
    for (int i = 0; i < 2; i++) {
        uv_signal_init(p->loop, &p->signals[i]);
        p->signals[i].data = p;
        uv_signal_start(&p->signals[i], on_signal, i == 0 ? SIGINT : SIGTERM);
    }
    crew_count_room(p->member.crew);
    listen_tell(p);
    return 0;
}

void proxy_free(struct proxy *p)
{
    if (!p->loop)
        return;
    close_handles(p);
    uv_run(p->loop, UV_RUN_DEFAULT);
    resume_free(p->resume);
    SSL_CTX_free(p->upstream_tls);
    SSL_CTX_free(p->server_tls);
    if (p->member.number == 0)
        keylog_close(p->keylog);
    reader_free(p->reader);
}

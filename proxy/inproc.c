/* inproc.c: the embedded server at the bottom of a leg, where a TCP connection would be. */
#include <stdlib.h>

#include "leg.h"
#include "server/server.h"

struct inproc {
    struct layer layer;
    struct server *server; /* owned */
    uv_timer_t timer;      /* hands up what the server has to say, never inside a send */
    bool soon;             /* the timer is set for the next turn, and must stay so */
    bool reading, up_told, secure_told, shut, sent_told, ended, closing;
};

static const struct layer_ops inproc_ops;

static int64_t now_us(const struct inproc *in)
{
    return (int64_t)uv_now(in->layer.leg->loop) * 1000;
}

static void on_timer(uv_timer_t *timer);

/* Runs again in the loop's next turn, or when the server has something due. */
static void arm(struct inproc *in, bool soon)
{
    int64_t due = server_due_us(in->server), now = now_us(in);

    if (in->closing || in->soon)
        return;
    in->soon = soon;
    if (soon)
        uv_timer_start(&in->timer, on_timer, 0, 0);
    else if (due >= 0)
        uv_timer_start(&in->timer, on_timer, due > now ? (uint64_t)(due - now + 999) / 1000 : 0, 0);
}

static void speak(struct inproc *in)
{
    struct leg *l = in->layer.leg;
    struct error e;
    const char *p;
    size_t n;

    while (in->reading && !l->closing && (p = server_output(in->server, &n)) && n) {
        layer_up(&in->layer, p, n);
        server_sent(in->server, n);
    }
    if (server_is_full(in->server) && !l->closing) {
        error_set(&e, ERR_CAP, "the client is ended: it does not take what is sent to it, 1 MiB waits");
        leg_failed(l, &e);
        return;
    }
    if (in->reading && !l->closing && (in->shut || server_done(in->server)) && !in->ended) {
        in->ended = true;
        layer_up_ended(&in->layer);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct inproc *in = timer->data;
    struct leg *l = in->layer.leg;

    in->soon = false;
    if (!in->up_told) {
        in->up_told = true;
        l->user->up(l->arg, l);
    }
    if (in->secure_told) {
        in->secure_told = false;
        server_tls(in->server);
        if (!l->closing)
            l->user->secured(l->arg, l);
    }
    if (in->shut && !in->sent_told && !l->closing) {
        in->sent_told = true;
        l->user->sent(l->arg, l);
    }
    if (!l->closing && server_tick(in->server, now_us(in)) == 0)
        speak(in);
    arm(in, false);
}

static void on_unmade(uv_handle_t *h)
{
    free(h->data);
}

/* Another client sent it something. */
static void on_wake(void *arg)
{
    arm(arg, true);
}

struct layer *inproc_new(struct leg *l, const struct server_options *o)
{
    struct inproc *in = calloc(1, sizeof *in);
    struct server_options with = *o;

    if (!in)
        return NULL;
    in->layer.ops = &inproc_ops;
    in->layer.leg = l;
    uv_timer_init(l->loop, &in->timer);
    in->timer.data = in;
    with.wake = on_wake;
    with.wake_arg = in;
    in->server = server_new(&with);
    if (!in->server) {
        uv_close((uv_handle_t *)&in->timer, on_unmade);
        return NULL;
    }
    arm(in, true);
    return &in->layer;
}

void inproc_secure(struct layer *y)
{
    struct inproc *in = (struct inproc *)y;

    in->secure_told = true;
    arm(in, true);
}

static int inproc_send(struct layer *y, const char *p, size_t n)
{
    struct inproc *in = (struct inproc *)y;
    int err = server_input(in->server, p, n, now_us(in));

    arm(in, true);
    return err;
}

static void inproc_flush(struct layer *y)
{
    (void)y;
}

/* The client will send no more: a server that was not told goodbye closes too. */
static void inproc_shut(struct layer *y)
{
    struct inproc *in = (struct inproc *)y;

    in->shut = true;
    arm(in, true);
}

static void inproc_read(struct layer *y, bool on)
{
    struct inproc *in = (struct inproc *)y;

    in->reading = on;
    if (on)
        arm(in, true);
}

static size_t inproc_pending(const struct layer *y)
{
    (void)y;
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    struct inproc *in = h->data;

    server_tick(in->server, now_us(in));
    server_free(in->server);
    leg_closed(in->layer.leg);
}

static void inproc_close(struct layer *y)
{
    struct inproc *in = (struct inproc *)y;

    in->closing = true;
    uv_close((uv_handle_t *)&in->timer, on_closed);
}

static const struct layer_ops inproc_ops = {
    .send = inproc_send,
    .flush = inproc_flush,
    .shut = inproc_shut,
    .read = inproc_read,
    .pending = inproc_pending,
    .close = inproc_close,
};

bool layer_is_inproc(const struct layer *y)
{
    return y->ops == &inproc_ops;
}

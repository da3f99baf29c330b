/* tcp.c: the TCP layer at the bottom of a leg. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../decoder/buf.h"
#include "leg.h"

#define KIND_RESET "reset" /* as the `tls` event names it, in the middle of a handshake */
#define READ_BYTES (64u << 10)
#define SCRATCH_BYTES (READ_BYTES + 4096) /* one read, and what four records add */
#define OUT_MAX    (64u << 20) /* far above what backpressure lets grow */

struct tcp {
    struct layer layer;
    uv_tcp_t *handle;        /* owned, allocated: a dial makes it. NULL before it stands */
    struct dial *dial;       /* owned; NULL: it was accepted */
    uv_shutdown_t shutdown;
    struct buf out;          /* not yet given to libuv */
    size_t in_flight;        /* given to libuv, not yet to the kernel */
    bool had_its_share;      /* of this turn of the loop */
    bool connected, closing;
    bool reading;            /* as the leg wants it; begins once connected */
    bool shut_wanted, shut_sent;
};

/* What one leg of the thread's loop sends, until it is flushed: most often the kernel takes all of it
 * then, and nothing was allocated. */
static _Thread_local struct {
    const struct tcp *by; /* NULL: nobody's */
    size_t len;
    char bytes[SCRATCH_BYTES];
} scratch;

/* A write owns its bytes until its callback. */
struct tcp_write {
    uv_write_t req;
    struct buf bytes;
};

static const struct layer_ops tcp_ops;
static void tcp_read(struct layer *y, bool on);
static void tcp_flush(struct layer *y);

static struct tcp *tcp_new(struct leg *l)
{
    struct tcp *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->layer.ops = &tcp_ops;
    t->layer.leg = l;
    t->shutdown.data = t;
    buf_init(&t->out, OUT_MAX);
    return t;
}

static size_t scratched(const struct tcp *t)
{
    return scratch.by == t ? scratch.len : 0;
}

/* What the scratch holds of it from `from` on becomes its own. Errors: ERR_NOMEM, ERR_CAP. */
static int leave_scratch(struct tcp *t, size_t from)
{
    if (scratch.by != t)
        return 0;
    scratch.by = NULL;
    return buf_add(&t->out, scratch.bytes + from, scratch.len - from);
}

/* It is not sent. */
static void forget(struct tcp *t)
{
    if (scratch.by == t)
        scratch.by = NULL;
    buf_free(&t->out);
}

/* The leg frees this layer's memory; what it owns goes here. */
static void tcp_gone(struct tcp *t)
{
    forget(t);
    leg_closed(t->layer.leg);
}

/* A handle without `data` was given up by a layer that is busy with another. */
static void on_closed(uv_handle_t *h)
{
    struct tcp *t = h->data;

    free(h);
    if (t)
        tcp_gone(t);
}

static void tcp_close(struct layer *y)
{
    struct tcp *t = (struct tcp *)y;

    t->closing = true;
    forget(t);
    dial_free(t->dial);
    t->dial = NULL;
    if (t->handle)
        uv_close((uv_handle_t *)t->handle, on_closed);
    else
        tcp_gone(t);
}

/* ---- connecting ---- */

static void on_connected(void *arg, uv_tcp_t *handle)
{
    struct tcp *t = arg;
    struct leg *l = t->layer.leg;

    t->handle = handle;
    handle->data = t;
    uv_tcp_nodelay(handle, 1);
    t->connected = true;
    tcp_read(&t->layer, t->reading);
    l->user->up(l->arg, l);
}

static void on_dial_failed(void *arg, const struct error *e)
{
    struct tcp *t = arg;

    leg_failed(t->layer.leg, e);
}

struct layer *tcp_dial(struct leg *l, const struct dial_options *o)
{
    static const struct dial_user user = {on_connected, on_dial_failed};
    struct tcp *t = tcp_new(l);

    if (!t)
        return NULL;
    t->dial = dial_start(l->loop, o, &user, t);
    if (!t->dial) {
        free(t);
        return NULL;
    }
    return &t->layer;
}

const struct dial *tcp_dialler(const struct layer *y)
{
    return ((const struct tcp *)y)->dial;
}

void tcp_settle(struct layer *y)
{
    struct tcp *t = (struct tcp *)y;

    dial_free(t->dial);
    t->dial = NULL;
}

bool tcp_redial(struct layer *y, const char *why)
{
    struct tcp *t = (struct tcp *)y;

    if (!t->connected || !t->dial || !dial_again(t->dial, why))
        return false;
    t->handle->data = NULL; /* its callbacks still come */
    uv_close((uv_handle_t *)t->handle, on_closed);
    t->handle = NULL;
    t->connected = false;
    t->in_flight = 0;
    forget(t);
    return true;
}

/* For a connection that is there already. */
static struct tcp *tcp_arrived(struct leg *l)
{
    struct tcp *t = tcp_new(l);
    uv_tcp_t *handle = calloc(1, sizeof *handle);

    if (!t || !handle || uv_tcp_init(l->loop, handle)) {
        free(t);
        free(handle);
        return NULL;
    }
    t->handle = handle;
    handle->data = t;
    return t;
}

struct layer *tcp_accept(struct leg *l, uv_stream_t *listener)
{
    struct tcp *t = tcp_arrived(l);

    if (!t)
        return NULL;
    t->connected = uv_accept(listener, (uv_stream_t *)t->handle) == 0;
    if (t->connected) /* else it is gone already: the first read says so */
        uv_tcp_nodelay(t->handle, 1);
    return &t->layer;
}

struct layer *tcp_adopt(struct leg *l, int fd)
{
    struct tcp *t = tcp_arrived(l);

    if (!t) {
        close(fd);
        return NULL;
    }
    t->connected = uv_tcp_open(t->handle, fd) == 0;
    if (t->connected)
        uv_tcp_nodelay(t->handle, 1);
    else
        close(fd);
    return &t->layer;
}

/* ---- reading ---- */

/* libuv reads a socket up to 32 times before it looks at the next one, as long as each read fills
 * its buffer. One session's stream must not hold up what others say for so long: without a buffer
 * it goes on, and comes back to this one in its next turn (UV_ENOBUFS). */
static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    static _Thread_local char bytes[READ_BYTES]; /* borrowed for the read callback only */
    struct tcp *t = h->data;
    bool over = t && t->had_its_share;

    (void)suggested;
    if (over)
        t->had_its_share = false;
    *buf = uv_buf_init(over ? NULL : bytes, over ? 0 : sizeof bytes);
}

/* libuv takes a hang-up behind the last bytes for an end without looking whether it is a reset.
 * UV_ECONNRESET ..., or 0. */
static ssize_t hidden_error(uv_stream_t *stream)
{
    uv_os_fd_t fd;
    int err = 0;
    socklen_t len = sizeof err;

    if (uv_fileno((uv_handle_t *)stream, &fd) || getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
        return 0;
    return uv_translate_sys_error(err);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct tcp *t = stream->data;
    struct error e;

    if (!t || t->closing || n == 0 || n == UV_ENOBUFS)
        return;
    t->had_its_share = n > 0 && (size_t)n == buf->len;
    if (n > 0) {
        layer_up(&t->layer, buf->base, (size_t)n);
    } else if (n == UV_EOF && !(n = hidden_error(stream))) {
        uv_read_stop(stream);
        layer_up_ended(&t->layer);
    } else {
        uv_read_stop(stream);
        error_set(&e, ERR_RESET, "%s", uv_strerror((int)n));
        e.kind = KIND_RESET;
        leg_failed(t->layer.leg, &e);
    }
}

static void tcp_read(struct layer *y, bool on)
{
    struct tcp *t = (struct tcp *)y;

    t->reading = on;
    t->had_its_share = false;
    if (!t->connected || t->closing)
        return;
    if (on)
        uv_read_start((uv_stream_t *)t->handle, on_alloc, on_read);
    else
        uv_read_stop((uv_stream_t *)t->handle);
}

/* ---- writing ---- */

static void on_shutdown(uv_shutdown_t *req, int status)
{
    struct tcp *t = req->data;
    struct leg *l = t->layer.leg;

    (void)status; /* the peer learns of it, or is gone: then reading tells */
    if (!t->closing)
        l->user->sent(l->arg, l);
}

static void shut_if_sent(struct tcp *t)
{
    if (!t->shut_wanted || t->shut_sent || scratched(t) || t->out.len || t->in_flight || !t->connected ||
        t->closing)
        return;
    t->shut_sent = true;
    uv_shutdown(&t->shutdown, (uv_stream_t *)t->handle, on_shutdown);
}

static void write_failed(struct tcp *t, int status)
{
    struct error e;

    error_set(&e, ERR_RESET, "%s", uv_strerror(status));
    e.kind = KIND_RESET;
    leg_failed(t->layer.leg, &e);
}

static void on_write(uv_write_t *req, int status)
{
    struct tcp_write *w = req->data;
    struct tcp *t = req->handle->data;

    buf_free(&w->bytes);
    free(w);
    if (!t)
        return;
    t->in_flight = 0; /* one at a time */
    if (t->closing)
        return;
    if (status) {
        write_failed(t, status);
        return;
    }
    tcp_flush(&t->layer);
    if (!t->closing)
        leg_check_water(t->layer.leg);
}

/* As much as the kernel takes at once. False: it failed, and the user knows. */
static bool try_write(struct tcp *t, char *p, size_t len, size_t *done)
{
    uv_buf_t buf = uv_buf_init(p, (unsigned)len);
    int n = uv_try_write((uv_stream_t *)t->handle, &buf, 1);

    *done = n > 0 ? (size_t)n : 0;
    if (n >= 0 || n == UV_EAGAIN)
        return true;
    write_failed(t, n);
    return false;
}

static bool flush_scratch(struct tcp *t)
{
    size_t done;

    if (scratch.by != t)
        return true;
    if (!try_write(t, scratch.bytes, scratch.len, &done))
        return false;
    if (done == scratch.len)
        scratch.by = NULL;
    else if (leave_scratch(t, done)) {
        write_failed(t, UV_ENOMEM);
        return false;
    }
    return true;
}

/* What the kernel did not take goes to libuv, one write at a time. */
static void write_later(struct tcp *t)
{
    struct tcp_write *w = calloc(1, sizeof *w);
    uv_buf_t buf;
    int n;

    if (!w) {
        write_failed(t, UV_ENOMEM);
        return;
    }
    w->req.data = w;
    w->bytes = t->out;
    buf_init(&t->out, OUT_MAX);
    t->in_flight = w->bytes.len;
    buf = uv_buf_init(w->bytes.p, (unsigned)w->bytes.len);
    n = uv_write(&w->req, (uv_stream_t *)t->handle, &buf, 1, on_write);
    if (n) {
        t->in_flight = 0;
        buf_free(&w->bytes);
        free(w);
        write_failed(t, n);
    }
}

static void tcp_flush(struct layer *y)
{
    struct tcp *t = (struct tcp *)y;
    size_t done;

    if (t->closing || !t->connected || t->in_flight || !flush_scratch(t))
        return;
    if (t->out.len) {
        if (!try_write(t, t->out.p, t->out.len, &done))
            return;
        buf_drop(&t->out, done);
    }
    if (t->out.len) {
        write_later(t);
        return;
    }
    buf_free(&t->out);
    shut_if_sent(t);
}

static int tcp_send(struct layer *y, const char *p, size_t n)
{
    struct tcp *t = (struct tcp *)y;
    bool free_for_it = !t->out.len && (!scratch.by || scratch.by == t);
    int err;

    if (free_for_it && t->connected && !t->in_flight && n <= SCRATCH_BYTES - scratched(t)) {
        memcpy(scratch.bytes + scratched(t), p, n);
        scratch.len = scratched(t) + n;
        scratch.by = t;
        return 0;
    }
    err = leave_scratch(t, 0);
    return err ? err : buf_add(&t->out, p, n);
}

static void tcp_shut(struct layer *y)
{
    struct tcp *t = (struct tcp *)y;

    t->shut_wanted = true;
    tcp_flush(y);
}

static size_t tcp_pending(const struct layer *y)
{
    const struct tcp *t = (const struct tcp *)y;

    return scratched(t) + t->out.len + t->in_flight;
}

static const struct layer_ops tcp_ops = {
    .send = tcp_send,
    .flush = tcp_flush,
    .shut = tcp_shut,
    .read = tcp_read,
    .pending = tcp_pending,
    .close = tcp_close,
};

int tcp_fd(const struct layer *y)
{
    const struct tcp *t = (const struct tcp *)y;
    uv_os_fd_t fd;

    return t->handle && uv_fileno((const uv_handle_t *)t->handle, &fd) == 0 ? fd : -1;
}

const char *tcp_name(const struct layer *y, bool peer, char *out, size_t size)
{
    const struct tcp *t = (const struct tcp *)y;
    struct sockaddr_storage a = {0};
    int len = sizeof a;

    if (t && t->handle && peer)
        uv_tcp_getpeername(t->handle, (struct sockaddr *)&a, &len);
    else if (t && t->handle)
        uv_tcp_getsockname(t->handle, (struct sockaddr *)&a, &len);
    return address_text(&a, out, size);
}

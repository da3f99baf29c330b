#include "leg.h"

#include <stdlib.h>
#include <sys/socket.h>

void leg_init(struct leg *l, uv_loop_t *loop, const struct leg_user *user, void *arg)
{
    *l = (struct leg){.loop = loop, .user = user, .arg = arg};
}

static int begin(struct leg *l, struct layer *bottom)
{
    if (!bottom)
        return ERR_IO;
    l->top = l->bottom = bottom;
    return 0;
}

int leg_accept(struct leg *l, uv_stream_t *listener)
{
    return begin(l, tcp_accept(l, listener));
}

int leg_adopt(struct leg *l, int fd)
{
    return begin(l, tcp_adopt(l, fd));
}

int leg_dial(struct leg *l, const struct dial_options *o)
{
    return begin(l, tcp_dial(l, o));
}

const struct dial *leg_dialler(const struct leg *l)
{
    return l->bottom && !layer_is_inproc(l->bottom) ? tcp_dialler(l->bottom) : NULL;
}

const struct dial_target *leg_dialled(const struct leg *l)
{
    const struct dial *d = leg_dialler(l);

    return d ? dial_target(d) : NULL;
}

/* One of the layers may be on the stack calling upward: they are freed with the leg. */
bool leg_redial(struct leg *l, const char *why)
{
    if (!leg_dialler(l) || l->closing || l->shut || !tcp_redial(l->bottom, why))
        return false;
    while (l->top != l->bottom) {
        struct layer *y = l->top;

        l->top = y->below;
        y->retired = true;
        y->below = l->retired;
        l->retired = y;
    }
    l->bottom->above = NULL;
    l->above_water = false;
    return true;
}

void leg_settle(struct leg *l)
{
    if (leg_dialler(l))
        tcp_settle(l->bottom);
}

int leg_serve(struct leg *l, const struct server_options *o)
{
    return begin(l, inproc_new(l, o));
}

bool leg_is_embedded(const struct leg *l)
{
    return l->bottom && layer_is_inproc(l->bottom);
}

int leg_push_tls(struct leg *l, SSL *ssl)
{
    struct layer *y;

    if (leg_is_embedded(l)) {
        inproc_secure(l->bottom);
        return 0;
    }
    y = tls_new(l, ssl);
    if (!y)
        return ERR_NOMEM;
    y->below = l->top;
    l->top->above = y;
    l->top = y;
    tls_begin(y);
    return 0;
}

SSL *leg_ssl(const struct leg *l)
{
    return l->top && layer_is_tls(l->top) ? tls_ssl(l->top) : NULL;
}

void leg_inject(struct leg *l, const char *p, size_t n)
{
    if (n && l->top && l->top->ops->received && !l->closing)
        l->top->ops->received(l->top, p, n);
}

int leg_send(struct leg *l, const char *p, size_t n)
{
    if (l->closing || l->shut || !l->top)
        return 0; /* nobody is there to read it: how it ended is already recorded */
    return l->top->ops->send(l->top, p, n);
}

void leg_flush(struct leg *l)
{
    if (!l->top || l->closing)
        return;
    l->bottom->ops->flush(l->bottom);
    if (leg_pending(l) > LEG_HIGH_WATER)
        l->above_water = true;
}

size_t leg_pending(const struct leg *l)
{
    return l->bottom ? l->bottom->ops->pending(l->bottom) : 0;
}

void leg_read(struct leg *l, bool on)
{
    if (!l->bottom || l->closing || l->reading == on)
        return;
    l->reading = on;
    l->bottom->ops->read(l->bottom, on);
}

void leg_shut(struct leg *l)
{
    if (!l->top || l->closing || l->shut)
        return;
    l->top->ops->shut(l->top);
    l->shut = true;
}

void leg_close(struct leg *l)
{
    if (l->closing)
        return;
    l->closing = true;
    if (!l->bottom) {
        leg_closed(l);
        return;
    }
    /* Layers above the bottom hold no handles, but one of them may be on the stack calling
     * upward: they are freed with the leg, in leg_closed(). */
    l->bottom->ops->close(l->bottom);
}

void leg_reset(struct leg *l)
{
    const struct linger at_once = {.l_onoff = 1};
    int fd = leg_fd(l);

    if (fd >= 0) /* if it fails, the peer gets an end in order */
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    leg_close(l);
}

void leg_closed(struct leg *l)
{
    while (l->retired) {
        struct layer *y = l->retired;

        l->retired = y->below;
        y->ops->close(y);
    }
    while (l->top) {
        struct layer *y = l->top;

        l->top = y->below;
        if (y != l->bottom)
            y->ops->close(y);
        else
            free(y);
    }
    l->bottom = NULL;
    l->user->closed(l->arg, l);
}

int leg_fd(const struct leg *l)
{
    return l->bottom && !leg_is_embedded(l) ? tcp_fd(l->bottom) : -1;
}

const char *leg_peer_name(const struct leg *l, char *out, size_t size)
{
    return tcp_name(leg_is_embedded(l) ? NULL : l->bottom, true, out, size);
}

const char *leg_own_name(const struct leg *l, char *out, size_t size)
{
    return tcp_name(leg_is_embedded(l) ? NULL : l->bottom, false, out, size);
}

bool layer_over(const struct layer *y)
{
    return y->leg->closing || y->retired;
}

void layer_up(struct layer *y, const char *p, size_t n)
{
    struct leg *l = y->leg;

    if (layer_over(y))
        return;
    if (y->above)
        y->above->ops->received(y->above, p, n);
    else
        l->user->data(l->arg, l, p, n);
}

void layer_up_ended(struct layer *y)
{
    struct leg *l = y->leg;

    if (layer_over(y))
        return;
    if (y->above)
        y->above->ops->ended(y->above);
    else
        l->user->eof(l->arg, l);
}

void leg_failed(struct leg *l, const struct error *e)
{
    if (!l->closing)
        l->user->failed(l->arg, l, e);
}

void leg_check_water(struct leg *l)
{
    if (l->closing || !l->above_water || leg_pending(l) > LEG_HIGH_WATER / 2)
        return;
    l->above_water = false;
    l->user->drained(l->arg, l);
}

#include "race.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "address.h"

#define RESOLUTION_DELAY_MS 50  /* RFC 8305 §3: IPv4 is known, IPv6 may come */
#define ATTEMPT_DELAY_MS    250 /* §5, "Connection Attempt Delay" */
#define TRIED_MAX           400

enum { V6, V4, FAMILIES };

static const int families[FAMILIES] = {AF_INET6, AF_INET};

struct addresses {
    struct sockaddr_storage at[RESOLVER_RECORDS];
    size_t n, next;
    struct question *asked; /* not answered yet */
    enum answer_kind kind;
    const char *why;
};

/* A connection that is being made; freed in its callback, which always comes (UV_ECANCELED
 * once the handle is closed). */
struct attempt {
    uv_connect_t req;
    struct race *race;      /* NULL: nobody waits for it any more */
    uv_tcp_t *handle;       /* owned until it is closed or handed over */
    struct attempt *next;
    struct sockaddr_storage to;
};

struct race {
    uv_loop_t *loop;
    const struct race_socket *socket;
    const struct race_user *user;
    void *arg;
    struct addresses family[FAMILIES];
    int turn;               /* the family whose address comes next */
    bool begun;
    struct attempt *attempts;
    uv_timer_t timer;
    char tried[TRIED_MAX];  /* the attempts that failed */
};

static void on_timer(uv_timer_t *timer);

static void note(char *out, size_t size, const struct sockaddr_storage *a, const char *why)
{
    char name[ADDRESS_TEXT];
    size_t n = strlen(out);

    snprintf(out + n, size - n, "%s%s: %s", n ? ", " : "", address_text(a, name, sizeof name), why);
}

/* ---- one attempt ---- */

static void on_handle_closed(uv_handle_t *h)
{
    free(h);
}

static int spoof(uv_tcp_t *handle, int family)
{
    int fd, on = 1, err = uv_fileno((uv_handle_t *)handle, &fd);

    if (err)
        return err;
    if (family == AF_INET6)
        err = setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof on);
    else
        err = setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on);
    return err ? uv_translate_sys_error(errno) : 0;
}

static int bind_source(const struct race *r, uv_tcp_t *handle, int family)
{
    const struct sockaddr_storage *source = &r->socket->source;
    int err = 0;

    if (source->ss_family == AF_UNSPEC)
        return 0;
    if (source->ss_family != family)
        return UV_EAFNOSUPPORT;
    if (r->socket->spoof)
        err = spoof(handle, family);
    return err ? err : uv_tcp_bind(handle, (const struct sockaddr *)source, 0);
}

static void won(struct race *r, struct attempt *a)
{
    uv_tcp_t *handle = a->handle;

    uv_timer_stop(&r->timer);
    r->user->won(r->arg, handle);
}

static void lost(struct race *r, enum race_end end)
{
    uv_timer_stop(&r->timer);
    r->user->lost(r->arg, end);
}

static bool loops(const struct race *r, const struct attempt *a)
{
    struct sockaddr_storage own = {0};
    int len = sizeof own;

    return r->socket->loops &&
           uv_tcp_getsockname(a->handle, (struct sockaddr *)&own, &len) == 0 &&
           r->socket->loops(r->socket->loops_arg, &a->to, &own);
}

static void next_attempt(struct race *r);

static void on_connect(uv_connect_t *req, int status)
{
    struct attempt *a = req->data, **at;
    struct race *r = a->race;

    if (!r) {
        free(a);
        return;
    }
    for (at = &r->attempts; *at != a; at = &(*at)->next)
        ;
    *at = a->next;
    if (status == 0 && !loops(r, a)) {
        won(r, a);
    } else {
        uv_close((uv_handle_t *)a->handle, on_handle_closed);
        note(r->tried, sizeof r->tried, &a->to,
             status ? uv_strerror(status) : "our own listener");
        if (status)
            next_attempt(r);
        else
            lost(r, RACE_LOOP);
    }
    free(a);
}

/* False when it failed at once, which is noted. */
static bool attempt(struct race *r, const struct sockaddr_storage *to)
{
    struct attempt *a = calloc(1, sizeof *a);
    int err = UV_ENOMEM;

    if (!a)
        goto fail;
    a->handle = calloc(1, sizeof *a->handle);
    if (!a->handle)
        goto fail;
    a->race = r;
    a->to = *to;
    a->req.data = a;
    err = uv_tcp_init_ex(r->loop, a->handle, to->ss_family);
    if (err) {
        free(a->handle);
        goto fail;
    }
    err = bind_source(r, a->handle, to->ss_family);
    if (!err)
        err = uv_tcp_connect(&a->req, a->handle, (const struct sockaddr *)to, on_connect);
    if (!err) {
        a->next = r->attempts;
        r->attempts = a;
        return true;
    }
    uv_close((uv_handle_t *)a->handle, on_handle_closed);
fail:
    free(a);
    note(r->tried, sizeof r->tried, to, uv_strerror(err));
    return false;
}

/* ---- the order ---- */

/* The families in turn, IPv6 first (RFC 8305 §4). */
static const struct sockaddr_storage *next_address(struct race *r)
{
    for (int i = 0; i < FAMILIES; i++) {
        int family = r->turn ^ i;
        struct addresses *f = &r->family[family];

        if (f->next < f->n) {
            r->turn = !family;
            return &f->at[f->next++];
        }
    }
    return NULL;
}

static bool waiting(const struct race *r)
{
    return r->attempts || r->family[V6].asked || r->family[V4].asked;
}

static void next_attempt(struct race *r)
{
    const struct sockaddr_storage *a;

    while ((a = next_address(r)))
        if (attempt(r, a)) {
            uv_timer_start(&r->timer, on_timer, ATTEMPT_DELAY_MS, 0);
            return;
        }
    uv_timer_stop(&r->timer);
    if (!waiting(r))
        lost(r, r->family[V6].kind == ANSWER_NO_NAME && r->family[V4].kind == ANSWER_NO_NAME
                    ? RACE_NO_NAME : RACE_LOST);
}

static void on_timer(uv_timer_t *timer)
{
    struct race *r = timer->data;

    r->begun = true;
    next_attempt(r);
}

/* ---- the addresses ---- */

static void answered(struct race *r, int family, const struct answer *a)
{
    struct addresses *f = &r->family[family];
    const struct addresses *other = &r->family[!family];

    f->asked = NULL;
    f->kind = a->kind;
    f->why = a->why;
    if (a->kind == ANSWER_FOUND) {
        memcpy(f->at, a->addr, a->n * sizeof *a->addr);
        f->n = a->n;
    }
    if (!r->begun && other->asked && (family == V4 || f->n == 0)) {
        if (f->n) /* IPv6 has this much time to come; with nothing in hand we wait for it */
            uv_timer_start(&r->timer, on_timer, RESOLUTION_DELAY_MS, 0);
    } else if (!r->begun || !uv_is_active((uv_handle_t *)&r->timer)) {
        r->begun = true;
        next_attempt(r);
    }
}

static void on_v6(void *arg, const struct answer *a)
{
    answered(arg, V6, a);
}

static void on_v4(void *arg, const struct answer *a)
{
    answered(arg, V4, a);
}

static void known(struct race *r, const struct sockaddr_storage *a)
{
    struct addresses *f = &r->family[a->ss_family == AF_INET6 ? V6 : V4];

    f->at[f->n++] = *a;
    uv_timer_start(&r->timer, on_timer, 0, 0);
}

/* "localhost" and what ends in ".localhost" is this machine and nobody is asked (RFC 6761 §6.3). */
static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t n = strlen(host), own = sizeof name - 1;

    return n >= own && strcasecmp(host + n - own, name) == 0 &&
           (n == own || host[n - own - 1] == '.');
}

static bool ask(struct race *r, struct resolver *resolver, const char *host, uint16_t port)
{
    static question_answered *const told[FAMILIES] = {on_v6, on_v4};

    for (int i = 0; i < FAMILIES; i++) {
        r->family[i].asked = resolver_addresses(resolver, host, families[i], port, told[i], r);
        if (!r->family[i].asked)
            return false;
    }
    return true;
}

struct race *race_start(uv_loop_t *loop, struct resolver *resolver,
                        const struct race_socket *socket, const struct sockaddr_storage *address,
                        const char *host, uint16_t port, const struct race_user *user, void *arg)
{
    struct race *r = calloc(1, sizeof *r);
    struct sockaddr_storage a = {0};

    if (!r)
        return NULL;
    r->loop = loop;
    r->socket = socket;
    r->user = user;
    r->arg = arg;
    uv_timer_init(loop, &r->timer);
    r->timer.data = r;
    if (address) {
        known(r, address);
    } else if (is_localhost(host)) {
        uv_ip6_addr("::1", port, (struct sockaddr_in6 *)&a);
        known(r, &a);
        uv_ip4_addr("127.0.0.1", port, (struct sockaddr_in *)&a);
        known(r, &a);
    } else if (uv_ip6_addr(host, port, (struct sockaddr_in6 *)&a) == 0 ||
               uv_ip4_addr(host, port, (struct sockaddr_in *)&a) == 0) {
        known(r, &a);
    } else if (!ask(r, resolver, host, port)) {
        race_free(r);
        return NULL;
    }
    return r;
}

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

void race_free(struct race *r)
{
    struct attempt *next;

    if (!r)
        return;
    for (struct attempt *a = r->attempts; a; a = next) {
        next = a->next;
        a->race = NULL;
        uv_close((uv_handle_t *)a->handle, on_handle_closed);
    }
    r->attempts = NULL;
    for (int i = 0; i < FAMILIES; i++)
        question_drop(r->family[i].asked);
    uv_close((uv_handle_t *)&r->timer, on_closed);
}

const char *race_tried(const struct race *r, char *out, size_t size)
{
    const struct addresses *v6 = &r->family[V6], *v4 = &r->family[V4];

    snprintf(out, size, "%s", r->tried);
    for (const struct attempt *a = r->attempts; a; a = a->next)
        note(out, size, &a->to, "no answer");
    if (*out)
        return out;
    if (v6->asked || v4->asked)
        snprintf(out, size, "its address is being looked up");
    else if (v4->why)
        snprintf(out, size, "no address: %s",
                 v6->kind == ANSWER_FAILED ? v6->why : v4->why);
    return out;
}

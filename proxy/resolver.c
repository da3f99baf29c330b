#include "resolver.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <ares.h>
#include <arpa/nameser.h>

/* A server is asked again after 2, then 4 and 8 seconds. */
#define TIMEOUT_MS 2000
#define TRIES      3
#define CONFIG     "/etc/resolv.conf"

struct question {
    struct question *next;  /* among those answered and not told yet */
    struct resolver *resolver;
    question_answered *answered;
    void *arg;
    bool dropped;
    bool direct_tls;
    uint16_t port;
    struct answer answer;
};

/* A socket of c-ares'. */
struct watch {
    uv_poll_t poll;
    struct watch *next, **prev;
    struct resolver *resolver;
    ares_socket_t fd;
};

struct resolver {
    uv_loop_t *loop;
    ares_channel channel;
    struct ares_addr_port_node server; /* AF_UNSPEC: the system's */
    struct timespec config;            /* when that was last changed */
    unsigned open;                     /* questions c-ares has not answered */
    struct question *told_next, **told_last; /* answered, to be told */
    struct watch *watches;
    uv_timer_t timeout, tell;
    int handles;                       /* timers that are not closed yet */
    bool closing;
};

static void arm(struct resolver *r);

/* ---- sockets and time ---- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    struct resolver *r = w->resolver;
    /* c-ares finds out itself what is wrong with a socket. */
    bool in = status < 0 || (events & UV_READABLE), out = status < 0 || (events & UV_WRITABLE);

    ares_process_fd(r->channel, in ? w->fd : ARES_SOCKET_BAD, out ? w->fd : ARES_SOCKET_BAD);
    arm(r);
}

static void on_watch_closed(uv_handle_t *h)
{
    free(h->data);
}

static void unwatch(struct watch *w)
{
    *w->prev = w->next;
    if (w->next)
        w->next->prev = w->prev;
    uv_close((uv_handle_t *)&w->poll, on_watch_closed);
}

static struct watch *watch(struct resolver *r, ares_socket_t fd)
{
    struct watch *w = calloc(1, sizeof *w);

    if (!w || uv_poll_init_socket(r->loop, &w->poll, fd)) {
        free(w);
        return NULL;
    }
    w->poll.data = w;
    w->resolver = r;
    w->fd = fd;
    w->next = r->watches;
    w->prev = &r->watches;
    if (w->next)
        w->next->prev = &w->next;
    r->watches = w;
    return w;
}

/* What cannot be watched is not answered: c-ares' time-out says so. */
static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = arg;
    struct watch *w = r->watches;

    while (w && w->fd != fd)
        w = w->next;
    if (!readable && !writable) {
        if (w)
            unwatch(w);
        return;
    }
    if (!w)
        w = watch(r, fd);
    if (w)
        uv_poll_start(&w->poll, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
                      on_poll);
}

static void on_timeout(uv_timer_t *timer)
{
    struct resolver *r = timer->data;

    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm(r);
}

static void arm(struct resolver *r)
{
    struct timeval tv;

    if (r->closing)
        return;
    if (!ares_timeout(r->channel, NULL, &tv)) {
        uv_timer_stop(&r->timeout);
        return;
    }
    uv_update_time(r->loop);
    uv_timer_start(&r->timeout, on_timeout,
                   (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1, 0);
}

/* ---- the channel ---- */

static int open_channel(struct resolver *r)
{
    struct ares_options o = {.timeout = TIMEOUT_MS, .tries = TRIES, .sock_state_cb = on_socket,
                             .sock_state_cb_data = r};
    int status = ares_init_options(&r->channel, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                                        ARES_OPT_SOCK_STATE_CB);

    if (status == ARES_SUCCESS && r->server.family != AF_UNSPEC) {
        status = ares_set_servers_ports(r->channel, &r->server);
        if (status != ARES_SUCCESS)
            ares_destroy(r->channel);
    }
    return status;
}

static struct timespec config_changed(void)
{
    struct stat st;

    return stat(CONFIG, &st) == 0 ? st.st_mtim : (struct timespec){0};
}

/* The machine has moved to another network: a channel has read its configuration once and for
 * all. Where that fails the old one stays. */
static void follow_config(struct resolver *r)
{
    struct timespec now = config_changed();
    ares_channel old = r->channel;

    if (r->open || (now.tv_sec == r->config.tv_sec && now.tv_nsec == r->config.tv_nsec))
        return;
    r->config = now;
    if (open_channel(r) == ARES_SUCCESS)
        ares_destroy(old);
    else
        r->channel = old;
}

static void set_server(struct resolver *r, const struct sockaddr_storage *a)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;

    r->server.family = a->ss_family;
    if (a->ss_family == AF_INET6)
        memcpy(&r->server.addr.addr6, &v6->sin6_addr, sizeof v6->sin6_addr);
    else
        r->server.addr.addr4 = v4->sin_addr;
    r->server.udp_port = r->server.tcp_port =
        ntohs(a->ss_family == AF_INET6 ? v6->sin6_port : v4->sin_port);
}

/* c-ares counts its users itself, but without a lock, and a worker's end is its own. */
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

static int library_begin(void)
{
    int status;

    pthread_mutex_lock(&library);
    status = ares_library_init(ARES_LIB_INIT_ALL);
    pthread_mutex_unlock(&library);
    return status;
}

static void library_end(void)
{
    pthread_mutex_lock(&library);
    ares_library_cleanup();
    pthread_mutex_unlock(&library);
}

struct resolver *resolver_new(uv_loop_t *loop, const struct sockaddr_storage *server,
                              struct error *e)
{
    struct resolver *r = calloc(1, sizeof *r);
    int status = library_begin();

    if (!r || status != ARES_SUCCESS) {
        free(r);
        error_set(e, ERR_NOMEM, "no memory to start");
        return NULL;
    }
    r->loop = loop;
    r->told_last = &r->told_next;
    r->config = config_changed();
    if (server)
        set_server(r, server);
    status = open_channel(r);
    if (status != ARES_SUCCESS) {
        error_set(e, ERR_IO, "the resolver cannot be started: %s; is " CONFIG " right?",
                  ares_strerror(status));
        free(r);
        library_end();
        return NULL;
    }
    uv_timer_init(loop, &r->timeout);
    uv_timer_init(loop, &r->tell);
    r->timeout.data = r->tell.data = r;
    r->handles = 2;
    return r;
}

static void on_closed(uv_handle_t *h)
{
    struct resolver *r = h->data;

    if (--r->handles == 0)
        free(r);
}

void resolver_free(struct resolver *r)
{
    struct question *q, *next;

    if (!r)
        return;
    r->closing = true;
    ares_destroy(r->channel); /* what is open is answered, and its sockets are unwatched */
    for (q = r->told_next; q; q = next) {
        next = q->next;
        free(q);
    }
    uv_close((uv_handle_t *)&r->timeout, on_closed);
    uv_close((uv_handle_t *)&r->tell, on_closed);
    library_end();
}

/* ---- questions ---- */

static void on_tell(uv_timer_t *timer)
{
    struct resolver *r = timer->data;
    struct question *q;

    while ((q = r->told_next)) { /* who is told may ask and drop */
        r->told_next = q->next;
        if (!r->told_next)
            r->told_last = &r->told_next;
        if (!q->dropped)
            q->answered(q->arg, &q->answer);
        free(q);
    }
}

/* c-ares answers some at once, inside the asking: everybody is told later. */
static void answered(struct question *q, int status)
{
    static const struct {
        int status;
        enum answer_kind kind;
        const char *why;
    } kinds[] = {
        {ARES_SUCCESS, ANSWER_FOUND, ""},
        {ARES_ENODATA, ANSWER_NO_DATA, "there is no such record"},
        {ARES_ENOTFOUND, ANSWER_NO_NAME, "there is no such name"},
        {ARES_ETIMEOUT, ANSWER_FAILED, "the resolver does not answer"},
        /* Also where every server answered SERVFAIL or REFUSED. */
        {ARES_ECONNREFUSED, ANSWER_FAILED, "the resolver fails or cannot be reached"},
        {ARES_EBADNAME, ANSWER_FAILED, "that is no name of the DNS"},
    };
    struct resolver *r = q->resolver;
    size_t i = 0;

    while (i < sizeof kinds / sizeof *kinds && kinds[i].status != status)
        i++;
    r->open--;
    if (i < sizeof kinds / sizeof *kinds) {
        q->answer.kind = kinds[i].kind;
        q->answer.why = kinds[i].why;
    } else {
        q->answer.kind = ANSWER_FAILED;
        q->answer.why = ares_strerror(status);
    }
    if (q->answer.kind == ANSWER_FOUND && q->answer.n == 0) {
        q->answer.kind = ANSWER_NO_DATA;
        q->answer.why = kinds[1].why;
    }
    *r->told_last = q;
    r->told_last = &q->next;
    if (!r->closing)
        uv_timer_start(&r->tell, on_tell, 0, 0);
}

static struct question *question_new(struct resolver *r, question_answered *cb, void *arg)
{
    struct question *q = calloc(1, sizeof *q);

    if (!q)
        return NULL;
    q->resolver = r;
    q->answered = cb;
    q->arg = arg;
    if (r->server.family == AF_UNSPEC)
        follow_config(r);
    r->open++;
    return q;
}

void question_drop(struct question *q)
{
    if (q)
        q->dropped = true;
}

static void on_srv(void *arg, int status, int timeouts, unsigned char *p, int n)
{
    struct question *q = arg;
    struct ares_srv_reply *list = NULL;

    (void)timeouts;
    if (status == ARES_SUCCESS)
        status = ares_parse_srv_reply(p, n, &list);
    for (struct ares_srv_reply *s = list; s && q->answer.n < RESOLVER_RECORDS; s = s->next) {
        struct srv *to = &q->answer.srv[q->answer.n++];

        *to = (struct srv){.port = s->port, .priority = s->priority, .weight = s->weight,
                           .direct_tls = q->direct_tls};
        snprintf(to->host, sizeof to->host, "%s", s->host);
    }
    if (list)
        ares_free_data(list);
    answered(q, status);
}

struct question *resolver_srv(struct resolver *r, const char *name, bool direct_tls,
                              question_answered *cb, void *arg)
{
    struct question *q = question_new(r, cb, arg);

    if (!q)
        return NULL;
    q->direct_tls = direct_tls;
    ares_query(r->channel, name, ns_c_in, ns_t_srv, on_srv, q);
    arm(r);
    return q;
}

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct question *q = arg;

    (void)timeouts;
    for (struct ares_addrinfo_node *a = info ? info->nodes : NULL;
         a && q->answer.n < RESOLVER_RECORDS; a = a->ai_next) {
        struct sockaddr_storage *to = &q->answer.addr[q->answer.n];

        if ((a->ai_family != AF_INET && a->ai_family != AF_INET6) || a->ai_addrlen > sizeof *to)
            continue;
        memcpy(to, a->ai_addr, a->ai_addrlen);
        if (a->ai_family == AF_INET6)
            ((struct sockaddr_in6 *)to)->sin6_port = htons(q->port);
        else
            ((struct sockaddr_in *)to)->sin_port = htons(q->port);
        q->answer.n++;
    }
    if (info)
        ares_freeaddrinfo(info);
    answered(q, status);
}

struct question *resolver_addresses(struct resolver *r, const char *name, int family, uint16_t port,
                                    question_answered *cb, void *arg)
{
    const struct ares_addrinfo_hints hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    struct question *q = question_new(r, cb, arg);

    if (!q)
        return NULL;
    q->port = port;
    ares_getaddrinfo(r->channel, name, NULL, &hints, on_addresses, q);
    arm(r);
    return q;
}

#include "listen.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../logs/message.h"
#include "activation.h"
#include "address.h"
#include "session.h"
#include "transparent.h"

#define BACKLOG 1024

int listen_parse(const char *text, struct sockaddr_storage *a, struct error *e)
{
    if (address_parse(text, a))
        return 0;
    return error_set(e, ERR_USAGE,
                     "%s is no address to listen on; give ADDR:PORT, such as 127.0.0.1:5222 or "
                     "[::1]:5222", text);
}

static void listener_address(const uv_tcp_t *t, struct sockaddr_storage *a)
{
    int len = sizeof *a;

    *a = (struct sockaddr_storage){0};
    uv_tcp_getsockname(t, (struct sockaddr *)a, &len);
}

const char *proxy_address(const struct proxy *p, char *out, size_t size)
{
    return address_text(&p->member.crew->address[0], out, size);
}

void listen_tell(const struct proxy *p)
{
    const struct crew *c = p->member.crew;
    char name[ADDRESS_TEXT], workers[12] = "";

    if (c->workers > 1)
        snprintf(workers, sizeof workers, "%u", c->workers);
    for (unsigned i = 0; i < c->addresses; i++)
        message(LEVEL_INFO, PAIRS("addr", address_text(&c->address[i], name, sizeof name),
                                  "workers", workers), "listening");
}

/* ---- is it us? ---- */

/* Only an address of this machine can be bound without further rights. */
static bool is_local(const struct sockaddr_storage *a)
{
    struct sockaddr_storage any_port = *a;
    socklen_t len = a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                             : sizeof(struct sockaddr_in);
    int fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool local;

    if (fd < 0)
        return false;
    address_set_port(&any_port, 0);
    local = bind(fd, (struct sockaddr *)&any_port, len) == 0;
    close(fd);
    return local;
}

static bool is_own(const struct proxy *p, const struct sockaddr_storage *a)
{
    const struct crew *c = p->member.crew;

    for (unsigned i = 0; i < c->addresses; i++) {
        struct sockaddr_storage own = c->address[i];

        address_unmap(&own);
        if (address_port(&own) != address_port(a))
            continue;
        if (address_equal(&own, a) || (address_is_any(&own) && is_local(a)))
            return true;
    }
    return false;
}

/* A listener on all addresses is met at any of this machine's; that the peer's is one shows in our
 * own end, which then has the same, or in that it is a loopback address. */
bool listen_loops(void *arg, const struct sockaddr_storage *peer,
                  const struct sockaddr_storage *own)
{
    const struct crew *c = ((const struct proxy *)arg)->member.crew;

    for (unsigned i = 0; i < c->addresses; i++) {
        struct sockaddr_storage l = c->address[i];
        bool both = l.ss_family == AF_INET6; /* [::] takes IPv4, too */

        address_unmap(&l);
        if (address_port(&l) != address_port(peer))
            continue;
        if (address_same_host(&l, peer))
            return true;
        if (address_is_any(&l) && (both || l.ss_family == peer->ss_family) &&
            (address_same_host(peer, own) || address_is_loopback(peer)))
            return true;
    }
    return false;
}

int listen_circle(const struct session *s, struct error *e)
{
    char to[ADDRESS_TEXT];

    address_text(&s->arrival.to, to, sizeof to);
    if (s->upstream == &s->arrival.original && is_own(s->proxy, &s->arrival.to))
        return error_set(e, ERR_LOOP, "the client connected to %s itself, so nobody knows where it "
                         "wanted to go; let the firewall send its traffic here "
                         "(docs/transparent.md), or give UPSTREAM", to);
    if (s->proxy->options->transparent && own_has(&s->proxy->member.crew->own, &s->arrival.peer))
        return error_set(e, ERR_LOOP, "the firewall sent xmpptap's own connection to %s back to "
                         "it; let the rules leave out the user that xmpptap runs as, which must "
                         "not be the client's (docs/transparent.md)", to);
    return 0;
}

/* ---- opening ---- */

static void on_connection(uv_stream_t *listener, int status)
{
    struct proxy *p = listener->data;

    if (status)
        crew_refused(p, uv_strerror(status));
    else
        crew_accept(p, listener);
}

static bool needs_mark(const struct proxy *p)
{
    return p->options->transparent == TRANSPARENT_TPROXY ||
           p->options->transparent == TRANSPARENT_TPROXY_SPOOF;
}

/* `family` AF_UNSPEC: no socket yet. */
static int new_listener(struct proxy *p, int family, uv_tcp_t **out, struct error *e)
{
    uv_tcp_t *t = &p->listener[p->listeners];
    int err;

    if (p->listeners == LISTENERS_MAX)
        return error_set(e, ERR_USAGE, "more than %d sockets to listen on; give fewer -l",
                         LISTENERS_MAX);
    err = uv_tcp_init_ex(p->loop, t, (unsigned)family);
    if (err)
        return error_set(e, err == UV_ENOMEM ? ERR_NOMEM : ERR_IO, "cannot make a socket: %s",
                         uv_strerror(err));
    p->listeners++;
    t->data = p;
    *out = t;
    return 0;
}

static int mark(const struct proxy *p, const uv_tcp_t *t, int family, struct error *e)
{
    uv_os_fd_t fd;

    if (!needs_mark(p) || uv_fileno((const uv_handle_t *)t, &fd))
        return 0;
    return transparent_mark(fd, family, e);
}

/* It stands: where, as long as the run lives. */
static void note_address(struct crew *c, const uv_tcp_t *t)
{
    listener_address(t, &c->address[c->addresses++]);
}

static int listen_on(struct proxy *p, const char *text, struct error *e)
{
    struct sockaddr_storage a;
    uv_tcp_t *t;
    int err = listen_parse(text, &a, e);

    if (!err)
        err = new_listener(p, a.ss_family, &t, e);
    if (!err)
        err = mark(p, t, a.ss_family, e);
    if (err)
        return err;
    err = uv_tcp_bind(t, (struct sockaddr *)&a, 0);
    if (!err)
        err = uv_listen((uv_stream_t *)t, BACKLOG, on_connection);
    if (!err) {
        note_address(p->member.crew, t);
        return 0;
    }
    return error_set(e, ERR_IO, "cannot listen on %s: %s; %s", text, uv_strerror(err),
                     err == UV_EADDRINUSE ? "stop what listens there, or give another with -l"
                     : err == UV_EACCES   ? "take a port above 1023, or start with the right to it"
                                          : "give an address of this machine with -l");
}

static int listen_inherited(struct proxy *p, int fd, struct error *e)
{
    struct sockaddr_storage a;
    uv_tcp_t *t;
    int err = new_listener(p, AF_UNSPEC, &t, e);

    if (err)
        return err;
    err = uv_tcp_open(t, fd);
    if (!err) {
        listener_address(t, &a);
        if (mark(p, t, a.ss_family, e))
            return (int)e->code;
        err = uv_listen((uv_stream_t *)t, BACKLOG, on_connection);
    }
    if (err)
        return error_set(e, ERR_IO, "cannot listen on descriptor %d, which LISTEN_FDS gives: %s", fd,
                         uv_strerror(err));
    note_address(p->member.crew, t);
    return 0;
}

/* A session has two sockets: as many as the system lets us have. Nothing here asks select(2), which
 * the lower limit is kept for. */
static void raise_open_files(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

int listen_open(struct proxy *p, struct error *e)
{
    const struct proxy_options *o = p->options;
    int err = transparent_check((enum transparent)o->transparent, e);

    raise_open_files();
    for (unsigned i = 0; i < o->inherited && !err; i++)
        err = listen_inherited(p, ACTIVATION_FIRST + (int)i, e);
    for (int i = 0; o->listen[i] && !err; i++)
        err = listen_on(p, o->listen[i], e);
    return err;
}

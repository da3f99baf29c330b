#include "crew.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../logs/event.h"
#include "../logs/message.h"
#include "session.h"

#define SPARE_FILES  16       /* a worker's: archive, look-ups, further attempts to connect */
#define SAY_AGAIN_US 10000000 /* that connections are refused is said this often */

void crew_init(struct crew *c, unsigned workers)
{
    *c = (struct crew){.workers = workers};
    own_init(&c->own);
}

void crew_free(struct crew *c)
{
    own_free(&c->own);
}

static bool is_first(const struct proxy *p)
{
    return p->member.number == 0;
}

/* ---- what a worker is told ---- */

/* Takes `fd`. False if there is no room. */
static bool put(struct crew_member *m, int fd)
{
    bool room;

    pthread_mutex_lock(&m->lock);
    room = m->waiting < CREW_INBOX;
    if (room)
        m->inbox[m->waiting++] = fd;
    pthread_mutex_unlock(&m->lock);
    if (room)
        uv_async_send(&m->async);
    return room;
}

/* Connections first: whoever is told to stop says goodbye to all that were his. */
static void on_async(uv_async_t *async)
{
    struct proxy *p = async->data;
    struct crew_member *m = &p->member;
    int fd[CREW_INBOX];
    unsigned n;
    bool stop;

    pthread_mutex_lock(&m->lock);
    n = m->waiting;
    memcpy(fd, m->inbox, n * sizeof *fd);
    m->waiting = 0;
    stop = m->told_to_stop;
    pthread_mutex_unlock(&m->lock);
    for (unsigned i = 0; i < n; i++)
        session_adopt(p, fd[i]);
    if (stop)
        proxy_stop(p);
}

void crew_join(struct crew *c, struct proxy *p, unsigned number)
{
    struct crew_member *m = &p->member;

    c->proxy[number] = p;
    m->crew = c;
    m->number = number;
    pthread_mutex_init(&m->lock, NULL);
    uv_async_init(p->loop, &m->async, on_async);
    m->async.data = p;
}

void crew_leave(struct proxy *p)
{
    struct crew_member *m = &p->member;

    if (m->async.type != UV_UNKNOWN_HANDLE && !uv_is_closing((uv_handle_t *)&m->async))
        uv_close((uv_handle_t *)&m->async, NULL);
}

/* ---- connections ---- */

/* The worker with the fewest, of several the one behind the last. */
static struct proxy *choose(struct crew *c)
{
    unsigned best = c->last, fewest = ~0u;

    for (unsigned i = 1; i <= c->workers; i++) {
        unsigned at = (c->last + i) % c->workers;
        unsigned n = atomic_load(&c->proxy[at]->member.connections);

        if (n < fewest) {
            fewest = n;
            best = at;
        }
    }
    c->last = best;
    return c->proxy[best];
}

static void on_closed(uv_handle_t *h)
{
    free(h);
}

void crew_refused(struct proxy *first, const char *why)
{
    struct crew *c = first->member.crew;
    int64_t now_us = event_now_us();

    c->refused++;
    if (c->refused > 1 && now_us - c->told_us < SAY_AGAIN_US)
        return;
    c->told_us = now_us;
    message(LEVEL_WARN, PAIRS("reason", "io"), "a connection could not be taken (%lu so far): %s; allow "
            "more open files (ulimit -n)", c->refused, why);
}

/* A connection belongs to the loop that accepts it; a duplicate of its descriptor does not. `copy`
 * NULL: it is closed. -1 in it if it is gone already, or nothing can be had any more. */
static void accept_here(struct proxy *first, uv_stream_t *listener, int *copy)
{
    uv_tcp_t *t = calloc(1, sizeof *t);
    uv_os_fd_t fd;

    if (copy)
        *copy = -1;
    if (!t || uv_tcp_init(first->loop, t)) {
        free(t);
        return;
    }
    if (uv_accept(listener, (uv_stream_t *)t) == 0 && uv_fileno((uv_handle_t *)t, &fd) == 0 && copy) {
        *copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (*copy < 0)
            crew_refused(first, strerror(errno));
    }
    uv_close((uv_handle_t *)t, on_closed);
}

void crew_count_room(struct crew *c)
{
    struct rlimit l;
    int used = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    rlim_t rest = (rlim_t)(used < 0 ? 0 : used) + c->workers * SPARE_FILES;

    if (used >= 0)
        close(used);
    c->room = ~0u;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur / 2 < ~0u)
        c->room = l.rlim_cur > rest + 2 ? (unsigned)((l.rlim_cur - rest) / 2) : 1;
}

/* Out of descriptors nothing works any more: not the connections' servers, not the archive. */
static bool is_full(const struct crew *c)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->workers; i++)
        n += atomic_load(&c->proxy[i]->member.connections);
    return n >= c->room;
}

void crew_accept(struct proxy *first, uv_stream_t *listener)
{
    struct crew *c = first->member.crew;
    struct proxy *p = choose(c);
    int fd;

    if (is_full(c)) {
        crew_refused(first, "each has two descriptors, and there are no more");
        accept_here(first, listener, NULL);
        return;
    }
    atomic_fetch_add(&p->member.connections, 1);
    if (is_first(p)) {
        session_accept(p, listener);
        return;
    }
    accept_here(first, listener, &fd);
    if (fd >= 0 && put(&p->member, fd))
        return;
    crew_gone(p);
    if (fd < 0)
        return;
    atomic_fetch_add(&first->member.connections, 1);
    session_adopt(first, fd);
}

void crew_gone(struct proxy *p)
{
    atomic_fetch_sub(&p->member.connections, 1);
}

/* ---- the end ---- */

void crew_stop(struct proxy *first)
{
    struct crew *c = first->member.crew;

    for (unsigned i = 1; i < c->workers; i++) {
        struct crew_member *m = &c->proxy[i]->member;

        pthread_mutex_lock(&m->lock);
        m->told_to_stop = true;
        pthread_mutex_unlock(&m->lock);
        uv_async_send(&m->async);
    }
}

unsigned long crew_empty(const struct crew *c)
{
    unsigned long n = 0;

    for (unsigned i = 0; i < c->workers; i++)
        n += atomic_load(&c->proxy[i]->empty);
    return n;
}

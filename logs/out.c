#include "out.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A write to a slow reader gives its room back in steps of this size. */
#define CHUNK (16u * 1024)

/* In OUT_BOUNDED mode a ring, else a plain buffer. Bytes are counted from the beginning of all:
 * those from `got` up to `put` lie in the ring, and those up to `due` are to be written. Neither side
 * holds the lock while it moves bytes: nobody writes where bytes still lie, and each count has one
 * side that changes it. */
struct out {
    int fd;
    bool own;
    enum out_mode mode;
    atomic_int broken; /* errno of the failure that ended it; 0: none */
    bool said;         /* the failure was reported */

    char *ring;
    size_t size;
    size_t put;        /* the caller's */
    atomic_size_t got; /* the thread's */
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t filled, done;
    size_t due;     /* changed by the caller alone */
    bool closing;   /* the thread ends once the ring is empty */
    bool ended;     /* it has ended: only out_close() uses `out` from here on */
    bool abandoned; /* it did not end in time: only the thread uses `out` from here on */
};

/* Writes on, at most `n` bytes. Returns how many, or -1 with errno. */
static ssize_t write_some(int fd, const char *p, size_t n)
{
    for (;;) {
        ssize_t got = write(fd, p, n);
        if (got > 0)
            return got;
        if (got == 0) {
            errno = EIO;
            return -1;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            if (poll(&wait, 1, -1) < 0 && errno != EINTR)
                return -1;
        } else if (errno != EINTR) {
            return -1;
        }
    }
}

/* Writes all in the caller's thread, without SIGPIPE whatever the process does about it. Returns
 * 0 or errno. */
static int write_waiting(int fd, const char *p, size_t n)
{
    sigset_t sigpipe, before, pending;
    struct timespec now = {0};
    int broken = 0;

    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
    while (n && !broken) {
        ssize_t got = write_some(fd, p, n);
        if (got < 0) {
            broken = errno;
        } else {
            p += got;
            n -= (size_t)got;
        }
    }
    if (broken == EPIPE && !sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&sigpipe, NULL, &now) < 0 && errno == EINTR)
            continue;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return broken;
}

static void free_out(struct out *o)
{
    if (o->mode == OUT_BOUNDED) {
        pthread_cond_destroy(&o->done);
        pthread_cond_destroy(&o->filled);
        pthread_mutex_destroy(&o->lock);
    }
    free(o->ring);
    if (o->own)
        close(o->fd);
    free(o);
}

/* What can be written in one piece of the `n` bytes from `from` on. */
static size_t piece(const struct out *o, size_t from, size_t n)
{
    size_t to_end = o->size - from % o->size;

    n = n < to_end ? n : to_end;
    return n < CHUNK ? n : CHUNK;
}

/* The writer thread. */
static void *drain(void *arg)
{
    struct out *o = arg;
    size_t got = 0;
    bool mine;

    pthread_mutex_lock(&o->lock);
    while (!o->broken && !o->abandoned && (o->due != got || !o->closing)) {
        size_t n = piece(o, got, o->due - got);
        ssize_t written;
        int err;

        if (n == 0) {
            pthread_cond_wait(&o->filled, &o->lock);
            continue;
        }
        pthread_mutex_unlock(&o->lock);
        written = write_some(o->fd, o->ring + got % o->size, n);
        err = written < 0 ? errno : 0;
        got += err ? 0 : (size_t)written;
        atomic_store_explicit(&o->got, got, memory_order_release);
        pthread_mutex_lock(&o->lock);
        if (err)
            o->broken = err;
    }
    o->ended = true;
    mine = o->abandoned;
    pthread_cond_signal(&o->done);
    pthread_mutex_unlock(&o->lock);
    if (mine)
        free_out(o);
    return NULL;
}

/* The thread is born with every signal blocked: signals are for the loop, SIGPIPE for nobody. */
static int start_thread(struct out *o)
{
    sigset_t all, before;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&o->thread, NULL, drain, o);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

/* Makes what OUT_BOUNDED needs besides; false: nothing of it is left. */
static bool start(struct out *o)
{
    pthread_condattr_t monotonic;

    if (pthread_mutex_init(&o->lock, NULL))
        return false;
    if (pthread_condattr_init(&monotonic))
        goto no_attr;
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    if (pthread_cond_init(&o->filled, &monotonic))
        goto no_filled;
    if (pthread_cond_init(&o->done, &monotonic))
        goto no_done;
    if (start_thread(o))
        goto no_thread;
    pthread_condattr_destroy(&monotonic);
    return true;

no_thread:
    pthread_cond_destroy(&o->done);
no_done:
    pthread_cond_destroy(&o->filled);
no_filled:
    pthread_condattr_destroy(&monotonic);
no_attr:
    pthread_mutex_destroy(&o->lock);
    return false;
}

struct out *out_new(int fd, bool own, enum out_mode mode, size_t buffer_bytes)
{
    struct out *o = calloc(1, sizeof *o);

    if (!o)
        return NULL;
    o->fd = fd;
    o->own = own;
    o->mode = mode;
    o->size = buffer_bytes ? buffer_bytes : 1;
    if (mode == OUT_WAIT && o->size > OUT_GATHER_BYTES)
        o->size = OUT_GATHER_BYTES;
    o->ring = malloc(o->size);
    if (!o->ring || (mode == OUT_BOUNDED && !start(o))) {
        free(o->ring);
        free(o);
        return NULL;
    }
    return o;
}

static int result(struct out *o, int err, struct error *e)
{
    int broken = o->broken;

    if (!broken)
        return err;
    if (!o->said)
        error_set(e, ERR_IO, "the output cannot be written: %s", strerror(broken));
    o->said = true;
    return ERR_IO;
}

static size_t room(const struct out *o)
{
    return o->size - (o->put - atomic_load_explicit(&o->got, memory_order_acquire));
}

size_t out_room(const struct out *o)
{
    return o->mode == OUT_WAIT ? SIZE_MAX : room(o);
}

/* Puts all into the ring; the caller has looked for room. */
static void fill(struct out *o, const char *p, size_t n)
{
    size_t tail = o->put % o->size;
    size_t first = n < o->size - tail ? n : o->size - tail;

    memcpy(o->ring + tail, p, first);
    memcpy(o->ring, p + first, n - first);
    o->put += n;
}

/* In the caller's thread: what was gathered, then these bytes. */
static void write_through(struct out *o, const char *p, size_t n)
{
    if (o->put && !o->broken)
        o->broken = write_waiting(o->fd, o->ring, o->put);
    o->put = 0;
    if (n && !o->broken)
        o->broken = write_waiting(o->fd, p, n);
}

int out_flush(struct out *o, struct error *e)
{
    if (o->mode == OUT_WAIT) {
        write_through(o, NULL, 0);
    } else if (o->due != o->put) {
        pthread_mutex_lock(&o->lock);
        o->due = o->put;
        pthread_cond_signal(&o->filled);
        pthread_mutex_unlock(&o->lock);
    }
    return result(o, 0, e);
}

int out_add(struct out *o, const char *p, size_t n, struct error *e)
{
    int err = 0;

    if (n == 0)
        return 0;
    if (o->mode == OUT_WAIT && n >= room(o))
        write_through(o, p, n);
    else if (n > room(o))
        err = ERR_CAP;
    else
        fill(o, p, n);
    if (err || o->put - o->due >= OUT_GATHER_BYTES)
        out_flush(o, e);
    return result(o, err, e);
}

int out_write(struct out *o, const char *p, size_t n, struct error *e)
{
    int err = out_add(o, p, n, e);

    return out_flush(o, e) ? ERR_IO : err;
}

static struct timespec deadline(int wait_ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    if (wait_ms > 0) {
        t.tv_sec += wait_ms / 1000;
        t.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    }
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

void out_close(struct out *o, int wait_ms)
{
    struct timespec until = deadline(wait_ms);
    pthread_t thread;
    bool ended;

    if (!o)
        return;
    if (o->mode == OUT_WAIT) {
        write_through(o, NULL, 0);
        free_out(o);
        return;
    }
    pthread_mutex_lock(&o->lock);
    o->due = o->put;
    o->closing = true;
    pthread_cond_signal(&o->filled);
    while (!o->ended)
        if (pthread_cond_timedwait(&o->done, &o->lock, &until) == ETIMEDOUT)
            break;
    ended = o->ended;
    o->abandoned = !ended;
    thread = o->thread;
    pthread_mutex_unlock(&o->lock);
    if (ended) {
        pthread_join(thread, NULL);
        free_out(o);
    } else {
        pthread_detach(thread); /* it frees `o` when its write(2) returns, if it ever does */
    }
}

/* Output that nobody reads: what does not fit is refused whole, what was taken comes out in order,
 * no signal and no broken pipe gets through, and the way out is never longer than it was told. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../logs/out.h"

#define LIMIT_MS 10000 /* for what must happen, however slow the machine */

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* The i-th byte of what the tests write: a sequence that no shift or swap leaves the same. */
static char byte_at(size_t i)
{
    return (char)(i * 2654435761u >> 13);
}

static void make_bytes(char *p, size_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = byte_at(from + i);
}

/* Fills the pipe up to its last byte; how many that were. */
static size_t stuff(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    char block[4096] = {0};
    size_t n = 0;

    assert_int_equal(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
    for (size_t size = sizeof block; size; size = size > 1 ? 1 : 0)
        for (ssize_t got; (got = write(fd, block, size)) > 0;)
            n += (size_t)got;
    assert_int_equal(fcntl(fd, F_SETFL, flags), 0);
    return n;
}

/* Reads exactly `n` bytes, or fails. */
static void read_exactly(int fd, char *p, size_t n)
{
    int64_t until = now_ms() + LIMIT_MS;

    while (n) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        ssize_t got;
        assert_true(now_ms() < until);
        if (poll(&wait, 1, 100) <= 0)
            continue;
        got = read(fd, p, n);
        assert_true(got > 0);
        p += got;
        n -= (size_t)got;
    }
}

static void assert_at_end(int fd)
{
    char c;

    assert_int_equal(read(fd, &c, 1), 0);
}

/* ---- what is taken comes out ---- */

struct reader_thread {
    int fd;
    size_t n; /* bytes read */
    bool wrong;
};

static void *read_to_end(void *arg)
{
    struct reader_thread *r = arg;
    char block[5000];
    ssize_t got;

    while ((got = read(r->fd, block, sizeof block)) > 0)
        for (ssize_t i = 0; i < got; i++)
            if (block[i] != byte_at(r->n++))
                r->wrong = true;
    return NULL;
}

static const struct {
    const char *name;
    enum out_mode mode;
    size_t buffer;
    bool nonblocking;
    bool gathered;
} ways[] = {
    {"waiting", OUT_WAIT, 0, false, false},
    {"waiting, non-blocking pipe", OUT_WAIT, 0, true, false},
    {"bounded", OUT_BOUNDED, OUT_BUFFER_BYTES, false, false},
    {"bounded, non-blocking pipe", OUT_BOUNDED, OUT_BUFFER_BYTES, true, false},
    {"bounded, going round a small buffer", OUT_BOUNDED, 7001, false, false},
    {"bounded, going round, non-blocking pipe", OUT_BOUNDED, 7001, true, false},
    {"waiting, gathered", OUT_WAIT, 5000, false, true},
    {"bounded, gathered", OUT_BOUNDED, OUT_BUFFER_BYTES, false, true},
    {"bounded, gathered, going round a small buffer", OUT_BOUNDED, 7001, false, true},
};

static void all_comes_out_in_order(void **state)
{
    static char block[7001];

    (void)state;
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
        struct reader_thread r = {0};
        pthread_t reader;
        struct out *o;
        size_t total = 0;
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        if (ways[k].nonblocking)
            assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
        r.fd = fds[0];
        o = out_new(fds[1], true, ways[k].mode, ways[k].buffer);
        assert_non_null(o);
        assert_int_equal(pthread_create(&reader, NULL, read_to_end, &r), 0);
        for (size_t i = 0; i < 600; i++) {
            size_t n = 1 + i * 7919 % sizeof block;
            int64_t until = now_ms() + LIMIT_MS;
            int err;

            make_bytes(block, total, n);
            while ((err = (ways[k].gathered ? out_add : out_write)(o, block, n, NULL)) == ERR_CAP &&
                   now_ms() < until)
                nap();
            assert_int_equal(err, 0);
            total += n;
        }
        out_close(o, LIMIT_MS);
        assert_int_equal(pthread_join(reader, NULL), 0);
        if (r.n != total || r.wrong)
            fail_msg("%s: %zu of %zu bytes, %s", ways[k].name, r.n, total,
                     r.wrong ? "other ones" : "the right ones");
        close(fds[0]);
    }
}

static bool is_readable(int fd)
{
    struct pollfd now = {.fd = fd, .events = POLLIN};

    return poll(&now, 1, 0) > 0;
}

/* What was added waits for more, for a flush, or for the end. */
static void pieces_are_gathered(void **state)
{
    static const enum out_mode modes[] = {OUT_WAIT, OUT_BOUNDED};
    static char got[OUT_GATHER_BYTES];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct error e = {0};
        struct out *o;
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        o = out_new(fds[1], true, modes[i], OUT_BUFFER_BYTES);
        assert_non_null(o);
        assert_int_equal(out_add(o, "a", 1, &e), 0);
        assert_int_equal(out_add(o, "bc", 2, &e), 0);
        assert_int_equal(out_room(o), modes[i] == OUT_WAIT ? SIZE_MAX : OUT_BUFFER_BYTES - 3);
        assert_false(is_readable(fds[0]));
        assert_int_equal(out_flush(o, &e), 0);
        read_exactly(fds[0], got, 3);
        assert_memory_equal(got, "abc", 3);
        for (size_t k = 0; k < OUT_GATHER_BYTES; k++) {
            assert_false(k % 1000 == 0 && is_readable(fds[0]));
            assert_int_equal(out_add(o, "d", 1, &e), 0);
        }
        read_exactly(fds[0], got, sizeof got); /* without a flush */
        assert_int_equal(out_add(o, "e", 1, &e), 0);
        assert_int_equal(out_write(o, "f", 1, &e), 0);
        read_exactly(fds[0], got, 2);
        assert_memory_equal(got, "ef", 2);
        assert_int_equal(out_add(o, "g", 1, &e), 0);
        out_close(o, LIMIT_MS);
        read_exactly(fds[0], got, 1);
        assert_memory_equal(got, "g", 1);
        assert_at_end(fds[0]);
        close(fds[0]);
    }
}

/* ---- a reader that does not read ---- */

static void what_does_not_fit_is_refused_whole(void **state)
{
    static char sent[1000], got[1000];
    char *before;
    struct error e = {0};
    struct out *o;
    size_t filled;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    filled = stuff(fds[1]);
    before = malloc(filled);
    assert_non_null(before);
    o = out_new(fds[1], true, OUT_BOUNDED, 1000);
    assert_non_null(o);
    make_bytes(sent, 0, sizeof sent);
    assert_int_equal(out_write(o, sent, 600, &e), 0);
    assert_int_equal(out_write(o, sent, 401, &e), ERR_CAP);
    assert_int_equal(out_write(o, sent + 600, 400, &e), 0);
    assert_int_equal(out_write(o, sent, 1, &e), ERR_CAP);
    assert_int_equal(out_write(o, sent, 0, &e), 0);
    assert_int_equal(e.code, 0);
    read_exactly(fds[0], before, filled);
    read_exactly(fds[0], got, sizeof got);
    assert_memory_equal(got, sent, sizeof sent);
    for (int64_t until = now_ms() + LIMIT_MS; out_write(o, sent, 1000, &e); nap())
        assert_true(now_ms() < until); /* there is room again */
    read_exactly(fds[0], got, sizeof got);
    assert_memory_equal(got, sent, sizeof sent);
    out_close(o, LIMIT_MS);
    assert_at_end(fds[0]);
    close(fds[0]);
    free(before);
}

/* A thread stuck in write(2), or in poll(2) for a non-blocking pipe, is let go; when it gets loose
 * it ends, and with it goes the pipe that it owns. */
static void the_way_out_is_not_longer_than_told(void **state)
{
    (void)state;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        static const int waits_ms[] = {0, 150};
        for (size_t i = 0; i < 2; i++) {
            size_t filled;
            int64_t began;
            struct out *o;
            char *all;
            int fds[2];

            assert_int_equal(pipe(fds), 0);
            filled = stuff(fds[1]);
            if (nonblocking)
                assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
            o = out_new(fds[1], true, OUT_BOUNDED, 100);
            assert_non_null(o);
            assert_int_equal(out_write(o, "never", 5, NULL), 0);
            began = now_ms();
            out_close(o, waits_ms[i]);
            assert_in_range(now_ms() - began, waits_ms[i], waits_ms[i] + LIMIT_MS / 2);

            all = malloc(filled);
            assert_non_null(all);
            read_exactly(fds[0], all, filled);
            free(all);
            for (int64_t until = now_ms() + LIMIT_MS; fcntl(fds[1], F_GETFD) >= 0; nap())
                assert_true(now_ms() < until);
            close(fds[0]);
        }
    }
}

static void a_pipe_that_is_not_owned_stays_open(void **state)
{
    static const enum out_mode modes[] = {OUT_WAIT, OUT_BOUNDED};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char got[2];
        struct out *o;
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        o = out_new(fds[1], false, modes[i], 10);
        assert_non_null(o);
        assert_int_equal(out_write(o, "a", 1, NULL), 0);
        out_close(o, LIMIT_MS);
        assert_int_equal(write(fds[1], "b", 1), 1);
        read_exactly(fds[0], got, 2);
        assert_memory_equal(got, "ab", 2);
        close(fds[0]);
        close(fds[1]);
    }
}

/* ---- a reader that is gone ---- */

/* SIGPIPE would end the process here; a failure is said once. */
static void a_broken_pipe_is_an_error_said_once(void **state)
{
    static const enum out_mode modes[] = {OUT_WAIT, OUT_BOUNDED};
    void (*before)(int) = signal(SIGPIPE, SIG_DFL);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct error e = {0};
        struct out *o;
        sigset_t pending;
        int fds[2], err;

        assert_int_equal(pipe(fds), 0);
        close(fds[0]);
        o = out_new(fds[1], true, modes[i], 10);
        assert_non_null(o);
        for (int64_t until = now_ms() + LIMIT_MS; (err = out_write(o, "a", 1, &e)) != ERR_IO; nap())
            assert_true(now_ms() < until);
        assert_int_equal(e.code, ERR_IO);
        assert_non_null(strstr(e.detail, strerror(EPIPE)));
        e = (struct error){0};
        assert_int_equal(out_write(o, "a", 1, &e), ERR_IO);
        assert_int_equal(e.code, 0);
        assert_int_equal(sigpending(&pending), 0);
        assert_false(sigismember(&pending, SIGPIPE));
        out_close(o, LIMIT_MS);
    }
    signal(SIGPIPE, before);
}

static volatile sig_atomic_t handled;

static void on_signal(int number)
{
    (void)number;
    handled++;
}

/* Signals are for the loop's thread, even while it has them blocked. */
static void the_writer_takes_no_signal(void **state)
{
    struct sigaction action = {.sa_handler = on_signal}, before;
    sigset_t set, pending;
    struct out *o;
    int fds[2];

    (void)state;
    handled = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    assert_int_equal(sigaction(SIGTERM, &action, &before), 0);
    assert_int_equal(pipe(fds), 0);
    o = out_new(fds[1], true, OUT_BOUNDED, 10);
    assert_non_null(o);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(out_write(o, "a", 1, NULL), 0);
    out_close(o, LIMIT_MS); /* the thread has run and ended: it would have taken it */
    assert_int_equal(handled, 0);
    assert_int_equal(sigpending(&pending), 0);
    assert_true(sigismember(&pending, SIGTERM));
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    assert_int_equal(handled, 1);
    assert_int_equal(sigaction(SIGTERM, &before, NULL), 0);
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_comes_out_in_order),
        cmocka_unit_test(pieces_are_gathered),
        cmocka_unit_test(what_does_not_fit_is_refused_whole),
        cmocka_unit_test(the_way_out_is_not_longer_than_told),
        cmocka_unit_test(a_pipe_that_is_not_owned_stays_open),
        cmocka_unit_test(a_broken_pipe_is_an_error_said_once),
        cmocka_unit_test(the_writer_takes_no_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

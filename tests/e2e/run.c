#include "run.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

bool sanitized(void)
{
    const char *s = getenv("XMPPTAP_SANITIZED");
    return s && strcmp(s, "1") == 0;
}

/* A poll's step while waiting for a process or its words; every loop of it has a deadline. */
static void pause_ms(int ms)
{
    poll(NULL, 0, ms);
}

/* ---- outputs ---- */

static void *collect(void *arg)
{
    struct collector *c = arg;
    char part[65536];
    ssize_t n;
    while ((n = read(c->fd, part, sizeof(part))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        pthread_mutex_lock(&c->lock);
        bytes_add(&c->text, part, (size_t)n);
        pthread_mutex_unlock(&c->lock);
    }
    return NULL;
}

static void collector_start(struct collector *c, int fd)
{
    c->fd = fd;
    pthread_mutex_init(&c->lock, NULL);
    bytes_add(&c->text, "", 0);
    assert_int_equal(pthread_create(&c->thread, NULL, collect, c), 0);
    c->started = true;
}

static void collector_join(struct collector *c)
{
    if (!c->started)
        return;
    pthread_join(c->thread, NULL);
    close(c->fd);
    c->started = false;
}

/* ---- starting ---- */

static void child(const struct box *b, const char *const *argv, int out, int err)
{
    char path[BOX_PATH + 32];
    int null = open("/dev/null", O_RDONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    snprintf(path, sizeof(path), "%s/home", b->root);
    setenv("HOME", path, 1);
    snprintf(path, sizeof(path), "%s/state", b->root);
    setenv("XDG_STATE_HOME", path, 1);
    snprintf(path, sizeof(path), "%s/data", b->root);
    setenv("XDG_DATA_HOME", path, 1);
    unsetenv("NO_COLOR");
    const char *program = getenv("XMPPTAP");
    if (argv[0]) {
        execvp(argv[0], (char *const *)argv);
    } else {
        const char *args[RUN_ARGS + 1];
        size_t i = 1;
        args[0] = program && *program ? program : "./xmpptap";
        for (; argv[i]; i++)
            args[i] = argv[i];
        args[i] = NULL;
        execv(args[0], (char *const *)args);
    }
    dprintf(STDERR_FILENO, "cannot start the program (set XMPPTAP): %s\n", strerror(errno));
    _exit(127);
}

struct run *run_start(struct box *b, const char *const *argv, int out_fd)
{
    assert_true(b->runs < BOX_RUNS);
    struct run *r = &b->run[b->runs++];
    int out[2] = {-1, -1}, err[2];
    r->box = b;
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    if (out_fd < 0)
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    r->pid = fork();
    assert_true(r->pid >= 0);
    if (r->pid == 0)
        child(b, argv, out_fd < 0 ? out[1] : out_fd, err[1]);
    close(err[1]);
    collector_start(&r->err, err[0]);
    if (out_fd < 0) {
        close(out[1]);
        collector_start(&r->out, out[0]);
    }
    return r;
}

/* argv[n...] from a NULL-ended argument list. */
static size_t take_args(const char **argv, size_t n, va_list args)
{
    const char *a;
    while ((a = va_arg(args, const char *))) {
        assert_true(n + 2 < RUN_ARGS);
        argv[n++] = a;
    }
    argv[n] = NULL;
    return n;
}

struct run *run_program(struct box *b, ...)
{
    const char *argv[RUN_ARGS] = {NULL};
    va_list args;
    va_start(args, b);
    take_args(argv, 1, args);
    va_end(args);
    struct run *r = run_start(b, argv, -1);
    run_wait(r, RUN_TIMEOUT_MS);
    return r;
}

struct run *run_command(struct box *b, ...)
{
    const char *argv[RUN_ARGS];
    va_list args;
    va_start(args, b);
    take_args(argv, 0, args);
    va_end(args);
    struct run *r = run_start(b, argv, -1);
    run_wait(r, RUN_TIMEOUT_MS);
    if (r->status)
        fail_msg("%s: status %d: %s", argv[0], r->status, r->err.text.p);
    return r;
}

struct run *run_proxy(struct box *b, int upstream_port, ...)
{
    const char *argv[RUN_ARGS] = {NULL,       "proxy",    "-l",  "127.0.0.1:0",   "-d",
                                  b->archive, "--ca-dir", b->ca, "--upstream-ca", b->upstream_ca};
    va_list args;
    va_start(args, upstream_port);
    size_t n = take_args(argv, 10, args);
    va_end(args);
    argv[n++] = box_text(b, "tcp://127.0.0.1:%d", upstream_port);
    argv[n] = NULL;
    struct run *r = run_start(b, argv, -1);
    run_listening(r);
    return r;
}

/* ---- what it says ---- */

/* Copies standard error's first `first`.. line that contains `text`; false if there is none. */
static bool err_line(struct run *r, const char *text, char *line, size_t size)
{
    bool found = false;
    pthread_mutex_lock(&r->err.lock);
    const char *p = r->err.text.p ? strstr(r->err.text.p, text) : NULL;
    if (p) {
        while (p > r->err.text.p && p[-1] != '\n')
            p--;
        found = strchr(p, '\n') != NULL;
        snprintf(line, size, "%.*s", (int)strcspn(p, "\n"), p);
    }
    pthread_mutex_unlock(&r->err.lock);
    return found;
}

static void wait_line(struct run *r, const char *text, char *line, size_t size)
{
    int64_t deadline = now_ms() + RUN_TIMEOUT_MS / 2;
    while (!err_line(r, text, line, size)) {
        if (now_ms() > deadline || !run_lives(r)) {
            if (err_line(r, text, line, size))
                return;
            fail_msg("the program did not say: %s", text);
        }
        pause_ms(2);
    }
}

void run_says(struct run *r, const char *text)
{
    char line[2000];
    wait_line(r, text, line, sizeof(line));
}

void run_listening(struct run *r)
{
    char line[2000];
    wait_line(r, "msg=\"listening\"", line, sizeof(line));
    const char *addr = strstr(line, "addr=");
    const char *colon = addr ? strrchr(addr, ':') : NULL;
    if (!colon)
        fail_msg("no addr=IP:PORT in: %s", line);
    r->port = (int)strtol(colon + 1, NULL, 10);
    assert_in_range(r->port, 1, 65535);
}

/* ---- ending ---- */

static bool reaped(struct run *r)
{
    int status;
    if (r->pid <= 0)
        return true;
    if (waitpid(r->pid, &status, WNOHANG) != r->pid)
        return false;
    r->pid = 0;
    r->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

bool run_lives(struct run *r)
{
    return !reaped(r);
}

static void no_sanitizer_report(struct run *r)
{
    static const char *const words[] = {"Sanitizer:", "runtime error:"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (bytes_has(&r->err.text, words[i]))
            fail_msg("a sanitizer has reported");
}

void run_wait(struct run *r, int ms)
{
    int64_t deadline = now_ms() + ms;
    while (!reaped(r)) {
        if (now_ms() > deadline)
            fail_msg("the program did not end within %d ms", ms);
        pause_ms(2);
    }
    collector_join(&r->out);
    collector_join(&r->err);
    no_sanitizer_report(r);
}

void run_stop(struct run *r)
{
    if (!run_lives(r))
        fail_msg("the program has ended by itself, status %d", r->status);
    kill(r->pid, SIGTERM);
    run_wait(r, RUN_STOP_MS);
    if (r->status)
        fail_msg("exit status %d after SIGTERM", r->status);
}

void run_kill(struct run *r)
{
    assert_true(run_lives(r));
    kill(r->pid, SIGKILL);
    run_wait(r, RUN_STOP_MS);
    assert_int_equal(r->status, 128 + SIGKILL);
}

/* ---- what the system says ---- */

static int count_fds(struct run *r, const char *prefix)
{
    char path[64], name[300], target[300];
    int count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)r->pid);
    DIR *d = opendir(path);
    assert_non_null(d);
    struct dirent *e;
    while ((e = readdir(d))) {
        snprintf(name, sizeof(name), "%s/%.200s", path, e->d_name);
        ssize_t n = readlink(name, target, sizeof(target) - 1);
        if (n < 0)
            continue;
        target[n] = '\0';
        count += strncmp(target, prefix, strlen(prefix)) == 0;
    }
    closedir(d);
    return count;
}

int run_fds(struct run *r)
{
    return count_fds(r, "");
}

int run_sockets(struct run *r)
{
    return count_fds(r, "socket:");
}

static long status_kib(struct run *r, const char *key)
{
    char path[64];
    struct bytes text = {0};
    snprintf(path, sizeof(path), "/proc/%d/status", (int)r->pid);
    assert_true(bytes_file(&text, path));
    const char *p = strstr(text.p, key);
    long kib = p ? strtol(p + strlen(key), NULL, 10) : -1;
    bytes_free(&text);
    assert_true(kib > 0);
    return kib;
}

long run_rss_kib(struct run *r)
{
    return status_kib(r, "VmRSS:");
}

long run_peak_kib(struct run *r)
{
    return status_kib(r, "VmHWM:");
}

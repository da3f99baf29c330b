/* What is on disk after kill -9 reads back; what SIGTERM ends is complete, whatever became of
 * standard output. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "login.h"
#include "records.h"
#include "run.h"

#define SESSIONS      4
#define MESSAGES      20000 /* at most, of each session */
#define MEMBERS       3     /* times the file must have grown before the kill */
#define GROW_MS       20000
#define STUCK_STOP_MS 20000 /* a bound, not a speed */
#define PIPE_MESSAGES 1500 /* of each session: several MiB of transcript */

/* One client that sends messages, waiting for each to come back from the server. */
struct chatter {
    pthread_t thread;
    int port, messages;
    atomic_bool stop;
    bool started;
    atomic_int sent;
    bool failed; /* read after the thread was joined */
    char error[400];
};

static int chat(struct chatter *c, struct peer *p)
{
    char text[1000], filler[501];
    memset(filler, 'x', sizeof(filler) - 1);
    filler[sizeof(filler) - 1] = '\0';
    int r = peer_connect(p, c->port);
    if (r || (r = login_client(p, NULL)))
        return r;
    for (int i = 0; i < c->messages && !c->stop; i++) {
        snprintf(text, sizeof(text),
                 "<message to='guanfei1@" DOMAIN "' id='m%d'><body>%d %s</body></message>", i, i,
                 filler);
        if ((r = peer_sends(p, text)) || (r = peer_expects(p, text)))
            return r;
        c->sent = i + 1;
        if (c->messages == MESSAGES)
            poll(NULL, 0, 1); /* spreads the stanzas over several members */
    }
    return 0;
}

static void *chatting(void *arg)
{
    struct chatter *c = arg;
    struct peer p;
    peer_init(&p, "client");
    c->failed = chat(c, &p) != 0;
    snprintf(c->error, sizeof(c->error), "%s", p.error);
    peer_close(&p);
    return NULL;
}

static void chatters_join(struct chatter *c)
{
    for (int i = 0; i < SESSIONS; i++) {
        if (c[i].started)
            pthread_join(c[i].thread, NULL);
        c[i].started = false;
    }
}

static void chatters_end(void *arg)
{
    struct chatter *c = arg;
    for (int i = 0; i < SESSIONS; i++)
        c[i].stop = true;
    chatters_join(c);
    free(c);
}

/* SESSIONS of them; the box owns them. */
static struct chatter *chatters_start(struct box *b, int port, int messages)
{
    struct chatter *c = calloc(SESSIONS, sizeof(*c));
    assert_non_null(c);
    box_at_end(b, chatters_end, c);
    for (int i = 0; i < SESSIONS; i++) {
        c[i].port = port;
        c[i].messages = messages;
        assert_int_equal(pthread_create(&c[i].thread, NULL, chatting, &c[i]), 0);
        c[i].started = true;
    }
    return c;
}

/* ---- kill -9 ---- */

/* Waits until the only file in the archive has grown MEMBERS times; returns its path and the size
 * last seen: a member is written by one write, so all of that is whole members. */
static const char *wait_for_members(struct box *b, off_t *whole)
{
    int64_t deadline = now_ms() + GROW_MS;
    const char *path = NULL;
    off_t last = 0, counted = 0;
    for (int grown = 0; grown < MEMBERS;) {
        struct stat st;
        const char *found[2];
        if (now_ms() > deadline)
            fail_msg("the archive has grown only %d times", grown);
        poll(NULL, 0, 5);
        if (!path && records_files(b, b->archive, found, 2) == 1)
            path = found[0];
        if (!path || stat(path, &st) < 0)
            continue;
        /* Seen twice: not in the middle of a write. */
        if (st.st_size == last && last > counted) {
            counted = last;
            grown++;
        }
        last = st.st_size;
    }
    *whole = counted;
    return path;
}

/* What gzip makes of the first `n` bytes of the file, torn or not; its status is returned. */
static int unpack(struct box *b, const struct bytes *file, size_t n, struct bytes *text)
{
    const char *path = box_text(b, "%s/cut.gz", b->root);
    const char *const argv[] = {"gzip", "-dc", path, NULL};
    assert_true(bytes_save(path, file->p, n, 0600));
    struct run *gzip = run_start(b, argv, -1);
    run_wait(gzip, RUN_TIMEOUT_MS);
    bytes_add(text, gzip->out.text.p, gzip->out.text.len);
    unlink(path);
    return gzip->status;
}

/* Each session is listed, and said to be cut off. */
static void assert_cut_off(struct box *b, const struct records *r, const char *store)
{
    struct run *list = run_program(b, "list", "-d", store, NULL);
    size_t listed = 0;
    assert_int_equal(list->status, 0);
    for (size_t i = 0; i < r->lines; i++) {
        struct bytes id = {0};
        if (!record_is(r->line[i], "event", "session"))
            continue;
        assert_true(record_string(r->line[i], "session", &id));
        const char *line = strstr(list->out.text.p, id.p);
        if (!line)
            fail_msg("session %s is not listed:\n%s", id.p, list->out.text.p);
        const char *cut = strstr(line, "cut-off");
        if (!cut || memchr(line, '\n', (size_t)(cut - line)))
            fail_msg("session %s is not listed as cut off:\n%s", id.p, list->out.text.p);
        bytes_free(&id);
        listed++;
    }
    assert_int_equal(listed, SESSIONS);
}

static size_t messages(const struct records *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->lines; i++) {
        struct bytes xml = {0};
        n += record_string(r->line[i], "xml", &xml) && strncmp(xml.p, "<message ", 9) == 0;
        bytes_free(&xml);
    }
    return n;
}

static size_t shown_messages(const struct bytes *transcript)
{
    size_t n = 0;
    for (const char *p = transcript->p; (p = strstr(p, "\n<message ")); p++)
        n++;
    return n;
}

/* The file cut at many places: show and list never fail, and every message that is whole on disk
 * is shown. */
static void assert_cuts(struct box *b, const struct bytes *file, off_t whole)
{
    const char *dir = box_text(b, "%s/cut", b->root);
    const char *path = box_text(b, "%s/cut.jsonl.gz", dir);
    size_t cuts[] = {file->len - 1,
                     file->len - 9,
                     file->len / 2,
                     file->len / 3,
                     (size_t)whole - 1,
                     (size_t)whole,
                     (size_t)whole + 1,
                     100,
                     12};
    assert_int_equal(mkdir(dir, 0700), 0);
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        size_t n = cuts[i] < file->len ? cuts[i] : file->len;
        struct bytes text = {0};
        struct records r;
        int torn = unpack(b, file, n, &text);
        records_parse(&r, &text);
        assert_true(bytes_save(path, file->p, n, 0600));
        struct run *show = run_program(b, "show", path, NULL);
        if (show->status)
            fail_msg("show: status %d of a file cut at %zu", show->status, n);
        if (torn && !bytes_has(&show->err.text, "torn"))
            fail_msg("a file cut at %zu: not called torn", n);
        if (torn && !bytes_has(&show->err.text, path))
            fail_msg("a file cut at %zu: not named", n);
        /* gzip may hold back the end of what it could still unpack. */
        size_t want = messages(&r), got = shown_messages(&show->out.text);
        if (got < want || (!torn && got != want))
            fail_msg("a file cut at %zu: %zu messages on disk, %zu shown", n, want, got);
        records_check(&r);
        records_free(&r);
        assert_int_equal(run_program(b, "list", "-d", dir, NULL)->status, 0);
    }
}

static void test_kill(void **state)
{
    struct box *b = *state;
    struct bytes file = {0}, before = {0}, after = {0};
    struct records r;
    off_t whole;
    struct server *server = server_start(b, SESSIONS, NULL);
    struct run *proxy = run_proxy(b, server->port, "-q", NULL);
    struct chatter *c = chatters_start(b, proxy->port, MESSAGES);
    const char *path = wait_for_members(b, &whole);
    run_kill(proxy);
    chatters_join(c);
    server_stop(server);
    for (int i = 0; i < SESSIONS; i++)
        assert_in_range(c[i].sent, 1, MESSAGES - 1); /* it was in the middle */

    assert_true(bytes_file(&file, path));
    assert_true(file.len >= (size_t)whole);
    assert_int_equal(unpack(b, &file, (size_t)whole, &before), 0);
    unpack(b, &file, file.len, &after);
    assert_true(before.len > 0 && after.len >= before.len);
    assert_memory_equal(after.p, before.p, before.len);
    records_parse(&r, &after);
    assert_int_equal(records_check(&r), SESSIONS);
    assert_int_equal(records_count(&r, "end"), 0);
    assert_cut_off(b, &r, b->archive);
    assert_int_equal(run_program(b, "show", path, NULL)->status, 0);
    assert_int_equal(run_program(b, "show", "-d", b->archive, NULL)->status, 0);
    assert_cuts(b, &file, whole);
    records_free(&r);
    bytes_free(&before);
    bytes_free(&file);
    box_done(b);
}

/* ---- a second run in the same folder ---- */

static void one_login(struct box *b, SSL_CTX *ctx, bool killed)
{
    struct peer p;
    struct server *server = server_start(b, 1, ctx);
    struct run *proxy = run_proxy(b, server->port, "-q", NULL);
    peer_init(&p, "client");
    PEER_OK(&p, peer_connect(&p, proxy->port));
    PEER_OK(&p, login_client(&p, ctx));
    PEER_OK(&p, login_leave(&p));
    peer_close(&p);
    server_stop(server);
    if (killed)
        run_kill(proxy);
    else
        run_stop(proxy);
}

static void test_second_run(void **state)
{
    struct box *b = *state;
    const char *path[3];
    struct bytes first = {0}, again = {0};
    struct records r;
    struct stat st;
    one_login(b, NULL, false);
    assert_int_equal(records_files(b, b->archive, path, 3), 1);
    const char *old = path[0];
    assert_true(bytes_file(&first, old));
    assert_int_equal(stat(old, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);

    one_login(b, NULL, false);
    assert_int_equal(records_files(b, b->archive, path, 3), 2);
    assert_true(bytes_file(&again, old));
    assert_true(bytes_are(&again, first.p, first.len));
    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), 2);
    assert_int_equal(records_count(&r, "end"), 2);
    records_free(&r);

    /* What a kill before the first member leaves: an empty file beside the whole ones. */
    assert_true(bytes_save(box_text(b, "%s/empty.jsonl.gz", b->archive), "", 0, 0600));
    struct run *list = run_program(b, "list", "-d", b->archive, NULL);
    assert_int_equal(list->status, 0);
    assert_true(bytes_lines(&list->out.text) >= 2);
    bytes_free(&first);
    bytes_free(&again);
    box_done(b);
}

static void test_killed_early(void **state)
{
    struct box *b = *state;
    one_login(b, NULL, true);
    /* The archive may hold nothing yet, or all of it: either way nothing is wrong. */
    assert_int_equal(run_program(b, "list", "-d", b->archive, NULL)->status, 0);
    one_login(b, NULL, false);
    struct run *show = run_program(b, "show", "-d", b->archive, NULL);
    assert_int_equal(show->status, 0);
    assert_true(bytes_has(&show->out.text, "[redacted]"));
    box_done(b);
}

/* ---- SIGTERM while nobody reads standard output ---- */

/* The proxy with its standard output on a pipe whose other end the caller keeps, unread. */
static struct run *proxy_on_pipe(struct box *b, int upstream_port, int *read_end)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    *read_end = fds[0];
    const char *argv[] = {NULL,          "proxy", "-l",
                          "127.0.0.1:0", "-d",    b->archive,
                          "--ca-dir",    b->ca,   box_text(b, "tcp://127.0.0.1:%d", upstream_port),
                          NULL};
    struct run *proxy = run_start(b, argv, fds[1]);
    close(fds[1]);
    run_listening(proxy);
    return proxy;
}

static void test_stuck_output(void **state)
{
    struct box *b = *state;
    struct peer open;
    struct records r;
    int read_end;
    size_t ends = 0;
    struct server *server = server_start(b, SESSIONS + 1, NULL);
    struct run *proxy = proxy_on_pipe(b, server->port, &read_end);
    peer_init(&open, "client that stays");
    PEER_OK(&open, peer_connect(&open, proxy->port));
    PEER_OK(&open, login_client(&open, NULL));
    struct chatter *c = chatters_start(b, proxy->port, PIPE_MESSAGES);
    chatters_join(c);
    for (int i = 0; i < SESSIONS; i++)
        if (c[i].failed)
            fail_msg("a stuck standard output has cost a session: %s", c[i].error);

    assert_true(run_lives(proxy));
    kill(proxy->pid, SIGTERM);
    run_wait(proxy, STUCK_STOP_MS);
    assert_int_equal(proxy->status, 0);
    PEER_OK(&open, peer_expect_end(&open));
    peer_close(&open);
    server_stop(server);
    close(read_end);

    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), SESSIONS + 1);
    assert_int_equal(records_count(&r, "end"), SESSIONS + 1);
    for (size_t i = 0; i < r.lines; i++)
        ends += record_is(r.line[i], "event", "end") && strstr(r.line[i], "\"stopped\"");
    assert_int_equal(ends, 1);
    /* Logins have 10 items each besides the messages, which come back. */
    assert_true(records_count(&r, "stanza") >= 2u * SESSIONS * PIPE_MESSAGES);
    records_free(&r);
    box_done(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kill),
        TEST(test_second_run),
        TEST(test_killed_early),
        TEST(test_stuck_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* --workers: every session is served and recorded once, whichever worker has it; what only the run
 * has (addresses, transcript, key log, the end) is there once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crowd.h"
#include "records.h"

#define LOGINS   200
#define SESSIONS 6
#define MESSAGES 400 /* of each */
#define SETTLE_MS 10000

static size_t times(const struct bytes *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text->p; (p = strstr(p, what)); p += strlen(what))
        n++;
    return n;
}

/* The records of one worker's file, the only one that it has written. */
static void load_worker(struct records *r, struct box *b, int worker)
{
    const char *path[8];
    const char *name = box_text(b, "-w%d-", worker);
    size_t n = records_files(b, b->archive, path, 8), found = 0;
    for (size_t i = 0; i < n; i++) {
        if (!strstr(path[i], name))
            continue;
        struct run *gzip = run_command(b, "gzip", "-dc", path[i], NULL);
        struct bytes text = {0};
        bytes_add(&text, gzip->out.text.p, gzip->out.text.len);
        records_parse(r, &text);
        found++;
    }
    if (found != 1)
        fail_msg("worker %d has %zu files", worker, found);
}

/* ---- logins ---- */

/* By the time of their beginning, whosever file they are in. */
static void assert_in_order(struct bytes *list)
{
    struct records r;
    struct bytes copy = {0}, last = {0};
    bytes_add(&copy, list->p, list->len);
    records_parse(&r, &copy);
    for (size_t i = 0; i < r.lines; i++) {
        struct bytes start = {0};
        assert_true(record_string(r.line[i], "start", &start));
        if (i && strcmp(last.p, start.p) > 0)
            fail_msg("line %zu: %s behind %s", i + 1, start.p, last.p);
        bytes_free(&last);
        last = start;
    }
    bytes_free(&last);
    records_free(&r);
}

static void test_logins(void **state)
{
    struct box *b = *state;
    struct records all, one[2];
    SSL_CTX *server_ctx = pki_server(&b->pki, LEAF_GOOD, 0);
    SSL_CTX *client_ctx = pki_client(box_ca_pem(b), 0);
    struct server *server = server_start(b, 12, server_ctx);
    struct run *proxy = run_proxy(b, server->port, "-q", "--workers", "2", NULL);
    run_says(proxy, "workers=2 msg=\"listening\"");
    crowd_log_in(proxy->port, client_ctx, LOGINS, CROWD_MAX);
    run_stop(proxy);
    server_stop(server);
    assert_int_equal(server->failed, 0);
    assert_int_equal(times(&proxy->err.text, "msg=\"listening\""), 1);

    records_load(&all, b, b->archive);
    assert_int_equal(records_check(&all), LOGINS);
    assert_int_equal(records_count(&all, "end"), LOGINS);
    size_t sum = 0;
    for (int i = 0; i < 2; i++) {
        load_worker(&one[i], b, i);
        size_t n = records_check(&one[i]);
        assert_int_equal(records_count(&one[i], "end"), n);
        assert_in_range(n, 1, LOGINS - 1); /* each has had some */
        sum += n;
    }
    assert_int_equal(sum, LOGINS);

    /* One store. */
    struct run *list = run_program(b, "list", "-d", b->archive, "--json", NULL);
    assert_int_equal(list->status, 0);
    assert_int_equal(bytes_lines(&list->out.text), LOGINS);
    assert_in_order(&list->out.text);
    for (int i = 0; i < 2; i++) {
        struct bytes id = {0};
        assert_true(records_session(&one[i], 0, &id));
        struct run *show = run_program(b, "show", "-d", b->archive, id.p, NULL);
        assert_int_equal(show->status, 0);
        assert_true(bytes_has(&show->out.text, "<bind xmlns="));
        bytes_free(&id);
        records_free(&one[i]);
    }
    records_free(&all);
    SSL_CTX_free(server_ctx);
    SSL_CTX_free(client_ctx);
    box_done(b);
}

/* ---- sessions that talk ---- */

/* Sends numbered messages and gets each back, until it is cut off or has sent all. */
struct talker {
    pthread_t thread;
    int number, port, messages;
    atomic_int back;
    bool started, cut_off;
    char error[400];
};

static int talk(struct talker *t, struct peer *p)
{
    char text[200];
    int r = peer_connect(p, t->port);
    if (r || (r = login_client(p, NULL)))
        return r;
    for (int i = 0; i < t->messages; i++) {
        snprintf(text, sizeof(text),
                 "<message to='guanfei1@" DOMAIN "' id='t%d'><body>%d.</body></message>", t->number,
                 i);
        if ((r = peer_sends(p, text)) || (r = peer_expects(p, text)))
            return r;
        t->back++;
    }
    return login_leave(p);
}

static void *talking(void *arg)
{
    struct talker *t = arg;
    struct peer p;
    peer_init(&p, "client");
    t->cut_off = talk(t, &p) != 0;
    snprintf(t->error, sizeof(t->error), "%s", p.error);
    peer_close(&p);
    return NULL;
}

static void talkers_join(struct talker *t)
{
    for (int i = 0; i < SESSIONS; i++) {
        if (t[i].started)
            pthread_join(t[i].thread, NULL);
        t[i].started = false;
    }
}

static void talkers_end(void *arg)
{
    talkers_join(arg);
    free(arg);
}

/* SESSIONS of them, the box's. */
static struct talker *talkers_start(struct box *b, int port, int messages)
{
    struct talker *t = calloc(SESSIONS, sizeof(*t));
    assert_non_null(t);
    box_at_end(b, talkers_end, t);
    for (int i = 0; i < SESSIONS; i++) {
        t[i].number = i;
        t[i].port = port;
        t[i].messages = messages;
        assert_int_equal(pthread_create(&t[i].thread, NULL, talking, &t[i]), 0);
        t[i].started = true;
    }
    return t;
}

/* What the transcript has of one client: messages in the order they were sent, each twice. */
struct seen {
    char session[40]; /* where they stand; "": where no session is named yet */
    int sent, back;
};

static void see(struct seen *s, const char *session, int number)
{
    if (!*s->session)
        snprintf(s->session, sizeof(s->session), "%s", session);
    if (strcmp(s->session, session) != 0)
        fail_msg("messages of one client in session \"%s\" and in %s", s->session, session);
    if (number == s->sent)
        s->sent++;
    else if (number == s->back)
        s->back++;
    else
        fail_msg("session %s: message %d where %d was to be sent and %d to come back", session,
                 number, s->sent, s->back);
}

/* Items stand whole and under their session's line. */
static void read_transcript(struct bytes *text, struct seen seen[SESSIONS])
{
    char session[40] = "", *save = NULL;
    int client = -1, number;
    for (char *line = strtok_r(text->p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (sscanf(line, "#== session %39s", session) == 1) {
            assert_int_equal(client, -1); /* nothing comes between the lines of an item */
        } else if (sscanf(line, "<message to='guanfei1@%*[^']' id='t%d'>", &client) == 1) {
            assert_in_range(client, 0, SESSIONS - 1);
        } else if (sscanf(line, "<body>%d.</body>", &number) == 1) {
            assert_int_not_equal(client, -1);
            see(&seen[client], session, number);
            client = -1;
        }
    }
}

static void test_transcript(void **state)
{
    struct box *b = *state;
    struct server *server = server_start(b, SESSIONS, NULL);
    const char *path = box_text(b, "%s/transcript", b->root);
    struct run *proxy = run_proxy(b, server->port, "-o", path, "--workers", "3", NULL);
    struct talker *t = talkers_start(b, proxy->port, MESSAGES);
    struct seen seen[SESSIONS] = {0};
    struct bytes text = {0};
    talkers_join(t);
    run_stop(proxy);
    server_stop(server);
    for (int i = 0; i < SESSIONS; i++)
        if (t[i].cut_off)
            fail_msg("client %d: %s", i, t[i].error);
    assert_true(bytes_file(&text, path));
    read_transcript(&text, seen);
    for (int i = 0; i < SESSIONS; i++) {
        assert_int_equal(seen[i].sent, MESSAGES);
        assert_int_equal(seen[i].back, MESSAGES);
    }
    bytes_free(&text);
    box_done(b);
}

/* ---- the end ---- */

static size_t messages_of(const struct records *r, int client)
{
    char begin[100];
    size_t n = 0;
    snprintf(begin, sizeof(begin), "<message to='guanfei1@" DOMAIN "' id='t%d'>", client);
    for (size_t i = 0; i < r->lines; i++) {
        struct bytes xml = {0};
        n += record_string(r->line[i], "xml", &xml) && strncmp(xml.p, begin, strlen(begin)) == 0;
        bytes_free(&xml);
    }
    return n;
}

/* SIGTERM in the middle, and another: all are told, nothing is lost, it is said once. */
static void test_stop(void **state)
{
    struct box *b = *state;
    struct records r;
    struct server *server = server_start(b, SESSIONS, NULL);
    struct run *proxy = run_proxy(b, server->port, "-q", "--workers", "2", NULL);
    struct talker *t = talkers_start(b, proxy->port, 1000000);
    int64_t deadline = now_ms() + SETTLE_MS;
    for (int i = 0; i < SESSIONS; i++)
        while (t[i].back < 20) {
            if (now_ms() > deadline)
                fail_msg("client %d has got only %d messages back", i, t[i].back);
            poll(NULL, 0, 2);
        }
    kill(proxy->pid, SIGTERM);
    kill(proxy->pid, SIGINT);
    talkers_join(t);
    run_wait(proxy, RUN_STOP_MS);
    assert_int_equal(proxy->status, 0);
    server_stop(server);
    assert_int_equal(times(&proxy->err.text, "msg=\"stopping"), 1);

    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), SESSIONS);
    assert_int_equal(records_count(&r, "end"), SESSIONS);
    for (int i = 0; i < SESSIONS; i++) {
        assert_true(t[i].cut_off);
        assert_true(messages_of(&r, i) >= 2 * (size_t)t[i].back);
    }
    records_free(&r);
    box_done(b);
}

/* One worker has nobody, the other a client that does not answer the goodbye: signals in the
 * meantime end nothing. */
static void test_signals(void **state)
{
    struct box *b = *state;
    struct records r;
    struct peer stays;
    struct server *server = server_start(b, 2, NULL);
    struct run *proxy = run_proxy(b, server->port, "-q", "--workers", "2", NULL);
    peer_init(&stays, "client that stays");
    PEER_OK(&stays, peer_connect(&stays, proxy->port));
    PEER_OK(&stays, login_client(&stays, NULL));
    kill(proxy->pid, SIGTERM);
    run_says(proxy, "msg=\"stopping");
    for (int i = 0; i < 20 && run_lives(proxy); i++) {
        kill(proxy->pid, i % 2 ? SIGTERM : SIGINT);
        poll(NULL, 0, 20); /* spreads them over the goodbye */
    }
    run_wait(proxy, RUN_STOP_MS);
    assert_int_equal(proxy->status, 0);
    peer_close(&stays);
    server_stop(server);
    assert_int_equal(times(&proxy->err.text, "msg=\"stopping"), 1);
    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), 1);
    assert_int_equal(records_count(&r, "end"), 1);
    records_free(&r);
    box_done(b);
}

/* Nobody came: nothing is left behind but the sum. */
static void test_empty(void **state)
{
    struct box *b = *state;
    const char *path[1];
    struct server *server = server_start(b, 1, NULL);
    struct run *proxy = run_proxy(b, server->port, "-q", "--workers", "4", NULL);
    for (int i = 0; i < 5; i++) {
        struct peer p;
        peer_init(&p, "health check");
        PEER_OK(&p, peer_connect(&p, proxy->port));
        PEER_OK(&p, peer_shutdown(&p));
        PEER_OK(&p, peer_expect_end(&p));
        peer_close(&p);
    }
    run_stop(proxy);
    server_stop(server);
    assert_true(bytes_has(&proxy->err.text, "5 connections came without a byte"));
    assert_int_equal(records_files(b, b->archive, path, 1), 0);
    box_done(b);
}

/* --only counts for all of them, once. */
static void test_only(void **state)
{
    struct box *b = *state;
    const char *path[1];
    struct server *server = server_start(b, 4, NULL);
    struct run *proxy = run_proxy(b, server->port, "--only", "192.0.2.1", "--workers", "2", NULL);
    crowd_log_in(proxy->port, NULL, 6, 2);
    run_stop(proxy);
    server_stop(server);
    assert_int_equal(times(&proxy->err.text, "relayed and not recorded"), 1);
    assert_true(bytes_has(&proxy->err.text, "sessions=6 msg=\"relayed and not recorded"));
    assert_int_equal(proxy->out.text.len, 0);
    assert_int_equal(records_files(b, b->archive, path, 1), 0);
    box_done(b);
}

/* ---- the address ---- */

/* Binds as whoever wants to share a port; errno. */
static int try_to_share(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int yes = 1, failed = 0, fd = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 1))
        failed = errno;
    close(fd);
    return failed;
}

/* Nobody else gets a share of its clients, least of all another xmpptap. */
static void test_address(void **state)
{
    struct box *b = *state;
    static const char *const workers[] = {"1", "2"};
    struct server *server = server_start(b, 2, NULL);
    for (int i = 0; i < 2; i++) {
        struct run *proxy = run_proxy(b, server->port, "-q", "--workers", workers[i], NULL);
        const char *taken = box_text(b, "127.0.0.1:%d", proxy->port);
        assert_int_equal(try_to_share(proxy->port), EADDRINUSE);
        for (int k = 0; k < 2; k++) {
            struct run *second = run_program(b, "proxy", "-l", taken, "--workers", workers[k], "-d",
                                             b->archive, "--ca-dir", b->ca, "tcp://127.0.0.1:1",
                                             NULL);
            assert_int_equal(second->status, 1);
            if (!bytes_has(&second->err.text, "address already in use"))
                fail_msg("it said: %s", second->err.text.p);
        }
        crowd_log_in(proxy->port, NULL, 4, 2);
        run_stop(proxy);
    }
    server_stop(server);
    box_done(b);
}

/* ---- secrets, and the embedded server ---- */

/* Whole lines, whoever wrote them. */
static void test_keylog(void **state)
{
    struct box *b = *state;
    const char *path = box_text(b, "%s/keys", b->root);
    struct bytes text = {0};
    SSL_CTX *server_ctx = pki_server(&b->pki, LEAF_GOOD, 0);
    SSL_CTX *client_ctx = pki_client(box_ca_pem(b), 0);
    struct server *server = server_start(b, 12, server_ctx);
    struct run *proxy = run_proxy(b, server->port, "-q", "--keylog", path, "--workers", "2", NULL);
    size_t lines = 0;
    crowd_log_in(proxy->port, client_ctx, 40, CROWD_MAX);
    run_stop(proxy);
    server_stop(server);
    assert_true(bytes_file(&text, path));
    char *save = NULL;
    for (char *l = strtok_r(text.p, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        char label[40], random[65], secret[129], rest[2];
        if (sscanf(l, "%39[A-Z_0-9] %64[0-9a-f] %128[0-9a-f]%1s", label, random, secret, rest) != 3)
            fail_msg("no line of a key log: %s", l);
        lines++;
    }
    assert_int_equal(lines, 40 * 2 * 5); /* TLS 1.3 has five secrets, on either side */
    bytes_free(&text);
    SSL_CTX_free(server_ctx);
    SSL_CTX_free(client_ctx);
    box_done(b);
}

/* Its clients see each other, so they are one loop's. */
static void test_serve(void **state)
{
    struct box *b = *state;
    struct run *serve = run_program(b, "serve", "-l", "127.0.0.1:0", "-d", b->archive, "--ca-dir",
                                    b->ca, "--workers", "3", NULL);

    assert_int_equal(serve->status, 2);
    assert_true(bytes_has(&serve->err.text, "--workers is for a server elsewhere"));
    box_done(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_logins),  TEST(test_transcript), TEST(test_stop),   TEST(test_empty),
        TEST(test_only),    TEST(test_address),    TEST(test_keylog), TEST(test_serve),
        TEST(test_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

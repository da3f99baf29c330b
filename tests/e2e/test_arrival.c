/* How connections arrive and go on with addresses kept: PROXY protocol in and out, and listening
 * sockets that whoever starts the program has opened. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pair.h"
#include "records.h"
#include "run.h"

#define BYTES(s) s, sizeof s - 1
#define SIG      "\r\n\r\n\0\r\nQUIT\n"
#define V1       "PROXY TCP4 192.0.2.1 198.51.100.2 40000 5222\r\n"
/* The same with a TLV behind it, and without. */
#define V4       "\xc0\x00\x02\x01" "\xc6\x33\x64\x02" "\x9c\x40" "\x14\x66"
#define V2       SIG "\x21\x11\0\x0c" V4
#define V2_TLV   SIG "\x21\x11\0\x14" V4 "\x02\0\x05" "a.b.c"
#define V1_6     "PROXY TCP6 2001:db8::1 2001:db8::2 40000 5222\r\n"

/* ---- headers of load balancers ---- */

static const struct passed {
    const char *name;
    const char *header;
    size_t n;
    const char *client, *entry; /* as recorded; NULL: the connection's own */
    const char *send;           /* --send-proxy-protocol..., or NULL */
    const char *sent;           /* what the server then gets first */
    size_t sent_n;
    bool direct;                /* TLS from the first byte behind the headers (XEP-0368) */
} passed[] = {
    {"v1", BYTES(V1), "192.0.2.1:40000", "198.51.100.2:5222", NULL, BYTES(""), false},
    {"v2", BYTES(V2), "192.0.2.1:40000", "198.51.100.2:5222", NULL, BYTES(""), false},
    {"v2 with a TLV", BYTES(V2_TLV), "192.0.2.1:40000", "198.51.100.2:5222", NULL, BYTES(""), false},
    {"v1, IPv6", BYTES(V1_6), "[2001:db8::1]:40000", "[2001:db8::2]:5222", NULL, BYTES(""), false},
    {"v1 unknown", BYTES("PROXY UNKNOWN\r\n"), NULL, NULL, NULL, BYTES(""), false},
    {"v2 local", BYTES(SIG "\x20\0\0\0"), NULL, NULL, NULL, BYTES(""), false},
    {"v1 to v2", BYTES(V1), "192.0.2.1:40000", "198.51.100.2:5222", "--send-proxy-protocol",
     BYTES(V2), false},
    {"v2 to v2", BYTES(V2_TLV), "192.0.2.1:40000", "198.51.100.2:5222",
     "--send-proxy-protocol=v2", BYTES(V2), false},
    {"v2 to v1", BYTES(V2), "192.0.2.1:40000", "198.51.100.2:5222", "--send-proxy-protocol=v1",
     BYTES(V1), false},
    {"v2 to v2, direct TLS", BYTES(V2_TLV), "192.0.2.1:40000", "198.51.100.2:5222",
     "--send-proxy-protocol", BYTES(V2), true},
};
#define PASSED (sizeof(passed) / sizeof(passed[0]))

static const struct passed *now_passed;

/* Reads no byte more than the header: TLS may begin behind it. */
static int expect_header(struct peer *p)
{
    char got[256];
    size_t n = 0;
    struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
    while (n < now_passed->sent_n) {
        ssize_t r = poll(&pfd, 1, p->timeout_ms) == 1
                        ? recv(p->fd, got + n, now_passed->sent_n - n, 0)
                        : 0;
        if (r <= 0) {
            snprintf(p->error, sizeof(p->error), "%zu bytes of a header came", n);
            return -1;
        }
        n += (size_t)r;
    }
    if (memcmp(got, now_passed->sent, n) == 0)
        return 0;
    snprintf(p->error, sizeof(p->error), "another header came");
    return -1;
}

/* The server's end of a login, behind the header that it gets. */
static int server_behind_header(struct peer *p, SSL_CTX *ctx)
{
    int r = expect_header(p);
    return r ? r : now_passed->direct ? login_secure_server(p, ctx) : login_server(p, ctx);
}

static int client_behind_header(struct peer *p, SSL_CTX *ctx)
{
    int r = peer_send(p, now_passed->header, now_passed->n);
    return r ? r : now_passed->direct ? login_secure_client(p, ctx) : login_client(p, ctx);
}

/* Where it is not in the header it is on this machine, and any port. */
static void assert_address(const char *record, const char *key, const char *want)
{
    struct bytes is = {0};
    assert_true(record_string(record, key, &is));
    if (want ? strcmp(is.p, want) != 0 : strncmp(is.p, "127.0.0.1:", 10) != 0)
        fail_msg("%s is %s", key, is.p);
    bytes_free(&is);
}

/* A whole login, TLS on both sides: the header is no part of what is read or recorded. */
static void test_passed(void **state)
{
    struct box *b = *state;
    const struct passed *row = b->row;
    struct pair p;
    pair_init_tls(&p, b, box_ca_pem(b), LEAF_GOOD, 0);
    struct records r;
    struct bytes got = {0};
    struct run *proxy = run_proxy(b, p.port, "--secrets", "keep", "--server-tls",
                                  row->direct ? "direct" : "auto", "--accept-proxy-protocol",
                                  "127.0.0.0/8", row->send, NULL);
    now_passed = row;
    p.client.write_max = row->n % 2; /* some byte by byte */
    pair_play(&p, proxy->port, client_behind_header, server_behind_header);
    if (row->client)
        run_says(proxy, box_text(b, "client=%s via=127.0.0.1:", row->client));
    run_stop(proxy);
    pair_free(&p);
    records_load(&r, b, b->archive);
    const char *begin = records_find(&r, "session");
    assert_non_null(begin);
    assert_address(begin, "client", row->client);
    assert_address(begin, "listen", row->entry);
    records_bytes(&r, NULL, "c2s", &got);
    assert_true(bytes_has(&got, "<?xml") && strstr(got.p, "<?xml") == got.p);
    bytes_free(&got);
    records_free(&r);
    box_done(b);
}

/* Without a header from a balancer the server gets the addresses of the connection itself. */
static void test_send_own(void **state)
{
    struct box *b = *state;
    struct pair p;
    pair_init_tls(&p, b, box_ca_pem(b), LEAF_GOOD, 0);
    struct run *proxy = run_proxy(b, p.port, "--send-proxy-protocol=v1", NULL);
    PEER_OK(&p.client, peer_connect(&p.client, proxy->port));
    struct sockaddr_in a = {0};
    socklen_t len = sizeof(a);
    assert_int_equal(getsockname(p.client.fd, (struct sockaddr *)&a, &len), 0);
    pair_meet(&p, STREAM_HEADER,
              box_text(b, "PROXY TCP4 127.0.0.1 127.0.0.1 %u %d\r\n" STREAM_HEADER,
                       ntohs(a.sin_port), proxy->port));
    run_stop(proxy);
    pair_free(&p);
    box_done(b);
}

/* ---- headers that are refused ---- */

static const struct refused {
    const char *name;
    const char *from; /* --accept-proxy-protocol, or NULL */
    const char *bytes;
    size_t n;
    bool end;         /* the client sends no more behind them */
    const char *says, *cure;
} refused[] = {
    {"no header from a balancer", "127.0.0.1", BYTES(STREAM_HEADER), false,
     "something else than a header came from 127.0.0.1", "send-proxy-v2"},
    {"TLS from a balancer", "127.0.0.0/8", BYTES("\x16\x03\x01"), false,
     "something else than a header", "narrower CIDR"},
    {"bad header", "127.0.0.1", BYTES("PROXY TCP4 1 2 3 4\r\n"), false, "version 1 header",
     "send-proxy-v2"},
    {"endless header", "127.0.0.1",
     BYTES("PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
           "xxxxxxxxxxxxxxxxxxxxxxx"),
     false, "does not end within 107 bytes", "send-proxy-v2"},
    {"header cut off", "127.0.0.1", BYTES(SIG "\x21\x11"), true, "a header that is cut off",
     "send-proxy-v2"},
    {"half a header, then nothing", "127.0.0.1", BYTES("PROXY TCP4 192.0"), false,
     "a header that is cut off", "send-proxy-v2"},
    {"v1 from elsewhere", "192.0.2.0/24", BYTES(V1 STREAM_HEADER), false,
     "which no --accept-proxy-protocol covers", "--accept-proxy-protocol 127.0.0.1"},
    {"v2 from elsewhere", "::1", BYTES(V2 STREAM_HEADER), false,
     "which no --accept-proxy-protocol covers", "--accept-proxy-protocol 127.0.0.1"},
    {"header where none is to be expected", NULL, BYTES(V1), false,
     "which no --accept-proxy-protocol covers", "--accept-proxy-protocol 127.0.0.1"},
};
#define REFUSED (sizeof(refused) / sizeof(refused[0]))

static void test_refused(void **state)
{
    struct box *b = *state;
    const struct refused *row = b->row;
    struct pair p;
    pair_init_tls(&p, b, box_ca_pem(b), LEAF_GOOD, 0);
    struct records r;
    struct run *proxy = run_proxy(b, p.port, "--handshake-timeout", "1",
                                  row->from ? "--accept-proxy-protocol" : NULL, row->from, NULL);
    PEER_OK(&p.client, peer_connect(&p.client, proxy->port));
    PEER_OK(&p.client, peer_send(&p.client, row->bytes, row->n));
    if (row->end)
        PEER_OK(&p.client, peer_shutdown(&p.client));
    PEER_OK(&p.client, peer_expect_end(&p.client)); /* not a byte */
    run_says(proxy, row->says);
    run_says(proxy, row->cure);
    run_says(proxy, "reason=proxy-header");
    p.server.timeout_ms = 100;
    assert_int_equal(peer_accept(&p.server, p.listener), -1); /* nobody was dialled */
    peer_close(&p.client);
    run_stop(proxy);
    pair_free(&p);
    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), 1);
    assert_true(record_is(records_find(&r, "end"), "reason", "proxy-header"));
    records_free(&r);
    box_done(b);
}

/* What only looks like one for a while, from a client that needs none, is a client's. */
static void test_lookalike(void **state)
{
    static const char *const begins[] = {"PROX", "\r\n\r\n"};
    struct box *b = *state;
    struct pair p;
    pair_init_tls(&p, b, box_ca_pem(b), LEAF_GOOD, 0);
    struct run *proxy = run_proxy(b, p.port, "--accept-proxy-protocol", "192.0.2.1", NULL);
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        PEER_OK(&p.client, peer_connect(&p.client, proxy->port));
        PEER_OK(&p.client, peer_sends(&p.client, begins[i]));
        if (i == 0)
            PEER_OK(&p.client, peer_shutdown(&p.client));
        else
            PEER_OK(&p.client, peer_sends(&p.client, STREAM_HEADER));
        PEER_OK(&p.server, peer_accept(&p.server, p.listener));
        PEER_OK(&p.server, peer_expects(&p.server, begins[i]));
        if (i == 1)
            PEER_OK(&p.server, peer_expects(&p.server, STREAM_HEADER));
        pair_again(&p);
    }
    run_stop(proxy);
    pair_free(&p);
    box_done(b);
}

/* A balancer that only asks whether we live is no session. */
static void test_health_checks(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } checks[] = {{BYTES("")}, {BYTES(SIG "\x20\0\0\0")}, {BYTES(V1)}};
    struct box *b = *state;
    struct pair p;
    pair_init_tls(&p, b, box_ca_pem(b), LEAF_GOOD, 0);
    const char *file;
    struct run *proxy = run_proxy(b, p.port, "--accept-proxy-protocol", "127.0.0.1", NULL);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        PEER_OK(&p.client, peer_connect(&p.client, proxy->port));
        PEER_OK(&p.client, peer_send(&p.client, checks[i].bytes, checks[i].n));
        PEER_OK(&p.client, peer_shutdown(&p.client));
        PEER_OK(&p.client, peer_expect_end(&p.client));
        peer_close(&p.client);
    }
    run_stop(proxy);
    pair_free(&p);
    assert_true(bytes_has(&proxy->err.text, "3 connections came without a byte"));
    assert_int_equal(records_files(b, b->archive, &file, 1), 0);
    box_done(b);
}

/* ---- sockets from whoever starts the program ---- */

static const char *program(void)
{
    const char *given = getenv("XMPPTAP");
    return given && *given ? given : "./xmpptap";
}

/* `script` becomes the program, "$@"; $1 is the descriptor of a socket. `option` may be NULL. */
static struct run *start_by(struct box *b, const char *script, int fd, const char *option,
                            const char *value)
{
    const char *argv[] = {"sh", "-c", box_text(b, "fd=$1; shift; %s exec \"$@\"", script), "sh",
                          box_text(b, "%d", fd), program(), "proxy", "tcp://127.0.0.1:1", "-d",
                          b->archive, "--ca-dir", b->ca, option, value, NULL};
    return run_start(b, argv, -1);
}

#define ACTIVATE "exec 3<&$fd; LISTEN_PID=$$ LISTEN_FDS=1"

/* A listening socket that a child may have, and its port. */
static int inheritable(int *port)
{
    int fd = peer_listen(port);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_SETFD, 0), 0);
    return fd;
}

static void assert_served(int port)
{
    struct peer c;
    struct bytes got = {0};
    peer_init(&c, "client");
    PEER_OK(&c, peer_connect(&c, port));
    PEER_OK(&c, peer_sends(&c, STREAM_HEADER));
    PEER_OK(&c, peer_some(&c, &got));
    assert_true(bytes_has(&got, "<stream:stream") || bytes_has(&got, "<?xml"));
    bytes_free(&got);
    peer_close(&c);
}

static void test_inherited(void **state)
{
    struct box *b = *state;
    int port, fd = inheritable(&port);
    struct run *r = start_by(b, ACTIVATE, fd, NULL, NULL);
    close(fd);
    run_listening(r);
    assert_int_equal(r->port, port); /* and not the default port */
    assert_served(port);
    struct bytes info = {0};
    assert_true(bytes_file(&info, box_text(b, "/proc/%d/fdinfo/3", (int)r->pid)));
    const char *flags = strstr(info.p, "flags:");
    assert_non_null(flags);
    assert_true(strtoul(flags + 6, NULL, 8) & O_CLOEXEC);
    bytes_free(&info);
    run_stop(r);
    box_done(b);
}

static void test_inherited_besides(void **state)
{
    struct box *b = *state;
    int port, fd = inheritable(&port);
    struct run *r = start_by(b, ACTIVATE, fd, "-l", "[::1]:0");
    close(fd);
    run_says(r, box_text(b, "addr=127.0.0.1:%d", port));
    run_says(r, "addr=[::1]:");
    assert_served(port);
    run_stop(r);
    box_done(b);
}

/* One socket for all of them. */
static void test_inherited_workers(void **state)
{
    struct box *b = *state;
    const char *file[4];
    int port, fd = inheritable(&port);
    struct run *r = start_by(b, ACTIVATE, fd, "--workers", "2");
    close(fd);
    run_listening(r);
    assert_int_equal(r->port, port);
    for (int i = 0; i < 4; i++)
        assert_served(port);
    run_stop(r);
    assert_int_equal(records_files(b, b->archive, file, 4), 2); /* each has had some */
    box_done(b);
}

static void test_inherited_by_another(void **state)
{
    struct box *b = *state;
    int port, fd = inheritable(&port);
    struct run *r = start_by(b, "exec 3<&$fd; LISTEN_PID=1 LISTEN_FDS=1", fd, "-l",
                             "127.0.0.1:0");
    run_listening(r);
    assert_int_not_equal(r->port, port);
    run_stop(r);
    assert_false(bytes_has(&r->err.text, box_text(b, "addr=127.0.0.1:%d ", port)));
    close(fd);
    box_done(b);
}

static const struct wrong {
    const char *name, *script, *says;
} wrong[] = {
    {"a file instead of a socket", "exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=1",
     "descriptor 3 of LISTEN_FDS is no listening TCP socket"},
    {"a socket that does not listen", ACTIVATE, "ListenStream=ADDR:PORT"},
    {"nothing there", "exec 3<&-; LISTEN_PID=$$ LISTEN_FDS=1", "descriptor 3, which is not open"},
    {"too many", "LISTEN_PID=$$ LISTEN_FDS=4000000000", "LISTEN_FDS gives 4000000000 sockets"},
};
#define WRONG (sizeof(wrong) / sizeof(wrong[0]))

static void test_wrong_socket(void **state)
{
    struct box *b = *state;
    const struct wrong *row = b->row;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    struct run *r = start_by(b, row->script, fd, NULL, NULL);
    close(fd);
    run_wait(r, RUN_TIMEOUT_MS);
    assert_int_equal(r->status, 1);
    if (!bytes_has(&r->err.text, row->says))
        fail_msg("it said: %s", r->err.text.p);
    box_done(b);
}

#define TEST(name)                                                                                 \
    {                                                                                              \
#name, name, box_setup, box_teardown, NULL                                                 \
    }

static const struct CMUnitTest others[] = {
    TEST(test_send_own),          TEST(test_lookalike), TEST(test_health_checks),
    TEST(test_inherited),         TEST(test_inherited_besides),
    TEST(test_inherited_workers), TEST(test_inherited_by_another),
};
#define OTHERS (sizeof(others) / sizeof(others[0]))

int main(void)
{
    struct CMUnitTest tests[OTHERS + PASSED + REFUSED + WRONG];
    size_t n = OTHERS;
    memcpy(tests, others, sizeof(others));
    for (size_t i = 0; i < PASSED; i++)
        tests[n++] = (struct CMUnitTest){passed[i].name, test_passed, box_setup, box_teardown,
                                         (void *)(uintptr_t)&passed[i]};
    for (size_t i = 0; i < REFUSED; i++)
        tests[n++] = (struct CMUnitTest){refused[i].name, test_refused, box_setup, box_teardown,
                                         (void *)(uintptr_t)&refused[i]};
    for (size_t i = 0; i < WRONG; i++)
        tests[n++] = (struct CMUnitTest){wrong[i].name, test_wrong_socket, box_setup, box_teardown,
                                         (void *)(uintptr_t)&wrong[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Dialling, against a DNS server and listeners in the test's own loop. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../proxy/leg.h"

#define LIMIT_MS 10000
#define T_A      1
#define T_AAAA   28
#define T_SRV    33

/* ---- a DNS server ---- */

struct dns_row {
    const char *name;
    int type;
    const char *text; /* an address, "PRIORITY WEIGHT PORT TARGET", "?": an error, "!": no answer */
    int delay_ms;
    int port;         /* SRV: instead of the text's, if not 0 */
};

struct world {
    uv_loop_t loop;
    uv_udp_t dns;
    uv_timer_t limit;
    struct dns_row rows[16];
    int nrows, asked;
    uv_tcp_t listener[3];
    int family[3], port[3], accepted[3];
    char from[ADDRESS_TEXT]; /* who was accepted last */
    struct resolver *resolver;
    struct dial *dial;
    uv_tcp_t *handle;
    struct error error;
    bool over, loops;
    enum dial_tls tls; /* which targets will do */
    uint64_t begun;
};

struct late {
    uv_timer_t timer;
    struct world *w;
    struct sockaddr_storage to;
    unsigned char bytes[512];
    size_t n;
};

static void on_late_closed(uv_handle_t *h)
{
    free(h->data);
}

static void on_late(uv_timer_t *timer)
{
    struct late *l = timer->data;
    uv_buf_t b = uv_buf_init((char *)l->bytes, (unsigned)l->n);

    if (!uv_is_closing((uv_handle_t *)&l->w->dns))
        uv_udp_try_send(&l->w->dns, &b, 1, (struct sockaddr *)&l->to);
    uv_close((uv_handle_t *)timer, on_late_closed);
}

static void put16(struct late *l, unsigned n)
{
    l->bytes[l->n++] = (unsigned char)(n >> 8);
    l->bytes[l->n++] = (unsigned char)n;
}

static void put_name(struct late *l, const char *name)
{
    while (*name && strcmp(name, ".") != 0) {
        size_t n = strcspn(name, ".");

        l->bytes[l->n++] = (unsigned char)n;
        memcpy(l->bytes + l->n, name, n);
        l->n += n;
        name += n + (name[n] == '.');
    }
    l->bytes[l->n++] = 0;
}

static void put_record(struct late *l, const struct dns_row *r)
{
    char target[128];
    unsigned priority, weight, port;
    size_t at;

    put16(l, 0xc00c);
    put16(l, (unsigned)r->type);
    put16(l, 1);
    put16(l, 0);
    put16(l, 60);
    at = l->n;
    put16(l, 0);
    if (r->type == T_SRV) {
        assert_int_equal(sscanf(r->text, "%u %u %u %127s", &priority, &weight, &port, target), 4);
        put16(l, priority);
        put16(l, weight);
        put16(l, r->port ? (unsigned)r->port : port);
        put_name(l, target);
    } else {
        uv_inet_pton(r->type == T_A ? AF_INET : AF_INET6, r->text, l->bytes + l->n);
        l->n += r->type == T_A ? 4 : 16;
    }
    l->bytes[at] = (unsigned char)((l->n - at - 2) >> 8);
    l->bytes[at + 1] = (unsigned char)(l->n - at - 2);
}

static size_t read_name(const unsigned char *q, char *out)
{
    size_t at = 12, n = 0;

    while (q[at]) {
        memcpy(out + n, q + at + 1, q[at]);
        n += q[at];
        out[n++] = '.';
        at += q[at] + 1u;
    }
    out[n ? n - 1 : 0] = '\0';
    return at + 1;
}

static void answer(struct world *w, const unsigned char *q, const struct sockaddr *from)
{
    struct late *l = calloc(1, sizeof *l);
    char name[256];
    size_t end = read_name(q, name);
    int type = q[end] << 8 | q[end + 1], found = 0, rcode = 3, delay = 0;

    memcpy(l->bytes, q, end + 4);
    l->n = end + 4;
    for (int i = 0; i < w->nrows; i++) {
        const struct dns_row *r = &w->rows[i];

        if (strcmp(r->name, name) != 0)
            continue;
        rcode = rcode == 3 ? 0 : rcode;
        if (r->type != type)
            continue;
        delay = r->delay_ms;
        if (strcmp(r->text, "!") == 0) {
            free(l);
            return;
        }
        if (strcmp(r->text, "?") == 0)
            rcode = 2;
        else if (++found)
            put_record(l, r);
    }
    l->bytes[2] = 0x81;
    l->bytes[3] = (unsigned char)(0x80 | rcode);
    l->bytes[7] = (unsigned char)found;
    memset(l->bytes + 8, 0, 4);
    memcpy(&l->to, from, from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                     : sizeof(struct sockaddr_in));
    l->w = w;
    uv_timer_init(&w->loop, &l->timer);
    l->timer.data = l;
    uv_timer_start(&l->timer, on_late, (uint64_t)delay, 0);
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
    static char bytes[2048];

    (void)h;
    (void)n;
    *b = uv_buf_init(bytes, sizeof bytes);
}

static void on_question(uv_udp_t *u, ssize_t n, const uv_buf_t *b, const struct sockaddr *from,
                        unsigned flags)
{
    struct world *w = u->data;

    (void)flags;
    if (n > 12 && from) {
        w->asked++;
        answer(w, (unsigned char *)b->base, from);
    }
}

/* ---- the rest of the world ---- */

static void on_accepted_closed(uv_handle_t *h)
{
    free(h);
}

static void on_connection(uv_stream_t *s, int status)
{
    struct world *w = s->data;
    uv_tcp_t *t = calloc(1, sizeof *t);
    struct sockaddr_storage a = {0};
    int len = sizeof a;

    assert_int_equal(status, 0);
    uv_tcp_init(&w->loop, t);
    assert_int_equal(uv_accept(s, (uv_stream_t *)t), 0);
    uv_tcp_getpeername(t, (struct sockaddr *)&a, &len);
    address_text(&a, w->from, sizeof w->from);
    w->accepted[(uv_tcp_t *)s - w->listener]++;
    uv_close((uv_handle_t *)t, on_accepted_closed);
}

static void on_limit(uv_timer_t *t)
{
    (void)t;
    fail_msg("took too long");
}

/* `family[i]`: listener i is on its loopback address; IPv6 has the first one's port. */
static struct world *world_new(const int family[3])
{
    struct world *w = calloc(1, sizeof *w);
    struct sockaddr_storage a, own = {0};
    struct error e;
    int len = sizeof own;

    uv_loop_init(&w->loop);
    uv_timer_init(&w->loop, &w->limit);
    uv_timer_start(&w->limit, on_limit, LIMIT_MS, 0);
    uv_unref((uv_handle_t *)&w->limit);
    for (int i = 0; i < 3; i++) {
        assert_true(address_parse(family[i] == AF_INET6 ? "[::1]:0" : "127.0.0.1:0", &a));
        if (family[i] == AF_INET6)
            address_set_port(&a, (unsigned)w->port[0]); /* the same in both families */
        w->family[i] = family[i];
        uv_tcp_init(&w->loop, &w->listener[i]);
        w->listener[i].data = w;
        assert_int_equal(uv_tcp_bind(&w->listener[i], (struct sockaddr *)&a, 0), 0);
        assert_int_equal(uv_listen((uv_stream_t *)&w->listener[i], 8, on_connection), 0);
        uv_tcp_getsockname(&w->listener[i], (struct sockaddr *)&own, &len);
        w->port[i] = (int)address_port(&own);
    }
    uv_udp_init(&w->loop, &w->dns);
    w->dns.data = w;
    assert_true(address_parse("127.0.0.1:0", &a));
    assert_int_equal(uv_udp_bind(&w->dns, (struct sockaddr *)&a, 0), 0);
    uv_udp_recv_start(&w->dns, on_alloc, on_question);
    len = sizeof own;
    uv_udp_getsockname(&w->dns, (struct sockaddr *)&own, &len);
    w->resolver = resolver_new(&w->loop, &own, &e);
    assert_non_null(w->resolver);
    return w;
}

static const int v4[3] = {AF_INET, AF_INET, AF_INET};

static void row(struct world *w, const char *name, int type, const char *text, int port)
{
    w->rows[w->nrows++] = (struct dns_row){name, type, text, 0, port};
}

static void world_free(struct world *w)
{
    dial_free(w->dial);
    if (w->handle)
        uv_close((uv_handle_t *)w->handle, on_accepted_closed);
    resolver_free(w->resolver);
    uv_close((uv_handle_t *)&w->dns, NULL);
    uv_close((uv_handle_t *)&w->limit, NULL);
    for (int i = 0; i < 3; i++)
        uv_close((uv_handle_t *)&w->listener[i], NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    free(w);
}

static void on_connected(void *arg, uv_tcp_t *handle)
{
    struct world *w = arg;

    w->handle = handle;
    w->over = true;
}

static void on_failed(void *arg, const struct error *e)
{
    struct world *w = arg;

    w->error = *e;
    w->over = true;
}

static bool on_loops(void *arg, const struct sockaddr_storage *peer,
                     const struct sockaddr_storage *own)
{
    (void)peer;
    assert_true(address_port(own) != 0);
    return ((struct world *)arg)->loops;
}

static void wait_for(struct world *w)
{
    w->over = false;
    while (!w->over)
        uv_run(&w->loop, UV_RUN_ONCE);
}

static void start_from(struct world *w, const char *upstream, const char *source, bool spoof)
{
    static const struct dial_user user = {on_connected, on_failed};
    struct upstream u;
    struct dial_options o = {.resolver = w->resolver, .upstream = &u, .limit_ms = 3000,
                             .tls = w->tls, .socket = {.loops = on_loops, .loops_arg = w}};

    assert_int_equal(upstream_parse(upstream, &u, NULL), 0);
    if (source)
        assert_true(address_parse(source, &o.socket.source));
    o.socket.spoof = spoof;
    w->begun = uv_hrtime();
    w->dial = dial_start(&w->loop, &o, &user, w);
    assert_non_null(w->dial);
}

static void start(struct world *w, const char *upstream)
{
    start_from(w, upstream, NULL, false);
}

static long took_ms(const struct world *w)
{
    return (long)((uv_hrtime() - w->begun) / 1000000);
}

static void connected_to(struct world *w, int listener)
{
    char address[ADDRESS_TEXT];

    wait_for(w);
    if (!w->handle)
        fail_msg("%s", w->error.detail);
    snprintf(address, sizeof address, "%s:%d",
             w->family[listener] == AF_INET6 ? "[::1]" : "127.0.0.1", w->port[listener]);
    assert_string_equal(dial_target(w->dial)->address, address);
}

static void failed_saying(struct world *w, const char *text)
{
    wait_for(w);
    assert_null(w->handle);
    if (!strstr(w->error.detail, text))
        fail_msg("%s: not in: %s", text, w->error.detail);
}

/* ---- tests ---- */

static void test_address(void **state)
{
    struct world *w = world_new(v4);
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "tls://127.0.0.1:%d", w->port[1]);
    start(w, url);
    connected_to(w, 1);
    assert_true(dial_target(w->dial)->direct_tls);
    assert_int_equal(w->asked, 0);
    assert_false(dial_again(w->dial, "no use"));
    world_free(w);
}

static void test_source(void **state)
{
    struct world *w = world_new(v4);
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "tcp://127.0.0.1:%d", w->port[0]);
    start_from(w, url, "127.0.0.77:0", false);
    connected_to(w, 0);
    while (!w->accepted[0])
        uv_run(&w->loop, UV_RUN_ONCE);
    assert_int_equal(strncmp(w->from, "127.0.0.77:", 11), 0);
    world_free(w);
}

/* IP_TRANSPARENT is a privilege: either it is there, or the kernel's word is passed on. */
static void test_spoof(void **state)
{
    struct world *w = world_new(v4);
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "tcp://127.0.0.1:%d", w->port[0]);
    start_from(w, url, "127.0.0.77:0", true);
    wait_for(w);
    if (w->handle) {
        int fd, on = 0;
        socklen_t len = sizeof on;

        assert_int_equal(uv_fileno((uv_handle_t *)w->handle, &fd), 0);
        assert_int_equal(getsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, &len), 0);
        assert_int_equal(on, 1);
    } else {
        assert_non_null(strstr(w->error.detail, "not permitted"));
    }
    world_free(w);
}

static void test_source_of_other_family(void **state)
{
    struct world *w = world_new(v4);
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "tcp://127.0.0.1:%d", w->port[0]);
    start_from(w, url, "[::1]:0", false);
    failed_saying(w, "family");
    world_free(w);
}

static void test_loop(void **state)
{
    struct world *w = world_new(v4);

    (void)state;
    w->loops = true;
    row(w, "x.test", T_A, "127.0.0.1", 0);
    row(w, "_xmpp-client._tcp.x.test", T_SRV, "0 0 0 x.test", w->port[0]);
    row(w, "_xmpp-client._tcp.x.test", T_SRV, "1 0 0 x.test", w->port[1]);
    start(w, "x.test");
    failed_saying(w, "a loop to xmpptap itself; give another UPSTREAM");
    assert_int_equal(w->error.code, ERR_LOOP);
    assert_int_equal(w->accepted[1], 0);
    world_free(w);
}

/* The sets are mixed, and after `connected` it goes on with what is left. */
static void test_again(void **state)
{
    struct world *w = world_new(v4);
    static const char *const hosts[] = {"a.test", "b.test", "c.test"};
    char tried[DIAL_TRIED_MAX];

    (void)state;
    row(w, "_xmpp-client._tcp.x.test", T_SRV, "1 0 0 b.test", w->port[1]);
    row(w, "_xmpps-client._tcp.x.test", T_SRV, "0 0 0 a.test", w->port[0]);
    row(w, "_xmpps-client._tcp.x.test", T_SRV, "2 0 0 c.test", w->port[2]);
    row(w, "a.test", T_A, "127.0.0.1", 0);
    row(w, "b.test", T_A, "127.0.0.1", 0);
    row(w, "c.test", T_A, "127.0.0.1", 0);
    start(w, "x.test");
    for (int i = 0; i < 3; i++) {
        connected_to(w, i);
        assert_string_equal(dial_target(w->dial)->host, hosts[i]);
        assert_int_equal(dial_target(w->dial)->direct_tls, i != 1);
        assert_int_equal(dial_again(w->dial, "no use"), i < 2);
        if (i < 2)
            uv_close((uv_handle_t *)w->handle, on_accepted_closed);
        if (i < 2)
            w->handle = NULL;
    }
    assert_non_null(strstr(dial_tried(w->dial, tried), "a.test:"));
    assert_non_null(strstr(tried, "(no use), b.test:"));
    world_free(w);
}

/* RFC 8305 §3: the AAAA record is waited for, but not for long. */
static void test_slow_aaaa(void **state)
{
    static const int one_v6[3] = {AF_INET, AF_INET6, AF_INET};
    struct world *w = world_new(one_v6);

    (void)state;
    row(w, "_xmpp-client._tcp.x.test", T_SRV, "0 0 0 a.test", w->port[0]);
    row(w, "a.test", T_A, "127.0.0.1", 0);
    row(w, "a.test", T_AAAA, "!", 0);
    start(w, "x.test");
    connected_to(w, 0);
    assert_in_range(took_ms(w), 45, 1000);
    world_free(w);
}

/* Both families would do; the AAAA record comes a little later. */
static void test_aaaa_first(void **state)
{
    static const int one_v6[3] = {AF_INET, AF_INET6, AF_INET};
    struct world *w = world_new(one_v6);
    char tried[DIAL_TRIED_MAX];

    (void)state;
    row(w, "_xmpp-client._tcp.x.test", T_SRV, "0 0 0 a.test", w->port[1]);
    row(w, "a.test", T_A, "127.0.0.1", 0);
    row(w, "a.test", T_AAAA, "::1", 0);
    w->rows[2].delay_ms = 20;
    start(w, "x.test");
    connected_to(w, 1);
    assert_string_equal(dial_tried(w->dial, tried), "");
    world_free(w);
}

/* A documentation address (RFC 5737) answers nothing; the next one is tried beside it. */
static void test_attempt_delay(void **state)
{
    struct world *w = world_new(v4);

    (void)state;
    row(w, "_xmpp-client._tcp.x.test", T_SRV, "0 0 0 a.test", w->port[0]);
    row(w, "a.test", T_AAAA, "100::1", 0); /* discard-only (RFC 6666), or no way there */
    row(w, "a.test", T_A, "127.0.0.1", 0);
    start(w, "x.test");
    connected_to(w, 0);
    assert_in_range(took_ms(w), 0, 1000);
    world_free(w);
}

static void test_dead_first(void **state)
{
    struct world *w = world_new(v4);

    (void)state;
    row(w, "_xmpp-client._tcp.x.test", T_SRV, "0 0 0 gone.test", 1);
    row(w, "_xmpp-client._tcp.x.test", T_SRV, "1 0 0 silent.test", 1);
    row(w, "_xmpp-client._tcp.x.test", T_SRV, "2 0 0 a.test", w->port[0]);
    row(w, "silent.test", T_A, "!", 0); /* its share is a third of the limit */
    row(w, "silent.test", T_AAAA, "!", 0);
    row(w, "a.test", T_A, "127.0.0.1", 0);
    start(w, "x.test");
    connected_to(w, 0);
    assert_in_range(took_ms(w), 900, 2500);
    world_free(w);
}

static void test_no_service(void **state)
{
    static const struct {
        const char *xmpps, *xmpp, *says; /* NULL: it connects */
    } rows[] = {
        {NULL, "0 0 0 .", "offers no XMPP client service"},
        {"0 0 0 .", "0 0 0 .", "offers no XMPP client service"},
        {"0 0 0 .", "0 0 0 a.test", NULL},
        {"0 0 0 a.test", "0 0 0 .", NULL},
        {"0 0 0 .", NULL, "x.test:5222"}, /* its own addresses, with STARTTLS */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world *w = world_new(v4);

        if (rows[i].xmpps)
            row(w, "_xmpps-client._tcp.x.test", T_SRV, rows[i].xmpps, w->port[0]);
        if (rows[i].xmpp)
            row(w, "_xmpp-client._tcp.x.test", T_SRV, rows[i].xmpp, w->port[0]);
        row(w, "a.test", T_A, "127.0.0.1", 0);
        row(w, "x.test", T_A, "127.0.0.200", 0);
        start(w, "x.test");
        if (rows[i].says)
            failed_saying(w, rows[i].says);
        else
            connected_to(w, 0);
        world_free(w);
    }
}

/* Where the server's leg must have direct TLS, or must not, the other targets are none, and are not
 * asked for. */
static void test_wanted(void **state)
{
    static const struct {
        enum dial_tls tls;
        int listener;
        const char *without; /* what is tried where the DNS has neither */
    } rows[] = {{DIAL_STREAM, 1, "x.test:5222 ("}, {DIAL_DIRECT, 0, "x.test:5223 ("}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world *w = world_new(v4);

        w->tls = rows[i].tls;
        row(w, "_xmpps-client._tcp.x.test", T_SRV, i ? "9 0 0 a.test" : "0 0 0 a.test", w->port[0]);
        row(w, "_xmpp-client._tcp.x.test", T_SRV, i ? "0 0 0 a.test" : "9 0 0 a.test", w->port[1]);
        row(w, "a.test", T_A, "127.0.0.1", 0);
        start(w, "x.test");
        connected_to(w, rows[i].listener);
        assert_int_equal(dial_target(w->dial)->direct_tls, rows[i].tls == DIAL_DIRECT);
        assert_false(dial_again(w->dial, "no use"));
        world_free(w);

        w = world_new(v4);
        w->tls = rows[i].tls;
        row(w, "x.test", T_A, "127.0.0.99", 0);
        start(w, "x.test");
        failed_saying(w, rows[i].without);
        world_free(w);
    }
}

static void test_no_such_domain(void **state)
{
    struct world *w = world_new(v4);

    (void)state;
    start(w, "nosuch.test");
    failed_saying(w, "the domain nosuch.test does not exist");
    world_free(w);
}

static void test_resolver_fails(void **state)
{
    struct world *w = world_new(v4);

    (void)state;
    row(w, "_xmpp-client._tcp.x.test", T_SRV, "?", 0);
    row(w, "_xmpps-client._tcp.x.test", T_SRV, "?", 0);
    row(w, "x.test", T_A, "?", 0);
    row(w, "x.test", T_AAAA, "?", 0);
    start(w, "x.test");
    failed_saying(w, "the resolver fails or cannot be reached");
    world_free(w);
}

/* An internationalized domain is looked up in A-labels. */
static void test_idn(void **state)
{
    struct world *w = world_new(v4);

    (void)state;
    row(w, "_xmpp-client._tcp.xn--bcher-kva.test", T_SRV, "0 0 0 a.test", w->port[2]);
    row(w, "a.test", T_A, "127.0.0.1", 0);
    start(w, "b\xc3\xbc" "cher.test");
    connected_to(w, 2);
    world_free(w);
}

/* RFC 6761 §6.3: nobody is asked. */
static void test_localhost(void **state)
{
    struct world *w = world_new(v4);
    char url[64];

    (void)state;
    snprintf(url, sizeof url, "tcp://Localhost:%d", w->port[1]);
    start(w, url);
    connected_to(w, 1);
    assert_int_equal(w->asked, 0);
    world_free(w);
}

/* Whoever asked goes away, at any moment: nobody is called, and the loop runs out. */
static void test_gone(void **state)
{
    (void)state;
    for (int turns = 0; turns < 12; turns++) {
        struct world *w = world_new(v4);

        row(w, "_xmpp-client._tcp.x.test", T_SRV, "0 0 0 a.test", w->port[0]);
        row(w, "a.test", T_A, "127.0.0.1", 0);
        row(w, "a.test", T_AAAA, "!", 0);
        start(w, "x.test");
        for (int i = 0; i < turns && !w->handle; i++)
            uv_run(&w->loop, UV_RUN_ONCE);
        assert_int_equal(w->error.code, 0);
        world_free(w);
    }
}

/* ---- a leg's connection that was of no use ---- */

struct user {
    int up, closed;
    struct leg leg;
};

static void on_leg_up(void *arg, struct leg *l)
{
    struct user *u = arg;

    u->up++;
    assert_int_equal(leg_send(l, "x", 1), 0);
    leg_flush(l);
    assert_int_equal(leg_redial(l, "no use"), u->up < 2);
}

static void on_leg_failed(void *arg, struct leg *l, const struct error *e)
{
    (void)arg;
    (void)l;
    fail_msg("%s", e->detail);
}

static void on_leg_closed(void *arg, struct leg *l)
{
    (void)l;
    ((struct user *)arg)->closed++;
}

static void test_redial(void **state)
{
    static const struct leg_user events = {.up = on_leg_up, .failed = on_leg_failed,
                                           .closed = on_leg_closed};
    struct world *w = world_new(v4);
    struct user u = {0};
    struct upstream x;
    struct dial_options o = {.resolver = w->resolver, .upstream = &x, .limit_ms = 3000};

    (void)state;
    row(w, "_xmpp-client._tcp.x.test", T_SRV, "0 0 0 a.test", w->port[0]);
    row(w, "_xmpp-client._tcp.x.test", T_SRV, "1 0 0 a.test", w->port[1]);
    row(w, "a.test", T_A, "127.0.0.1", 0);
    assert_int_equal(upstream_parse("x.test", &x, NULL), 0);
    leg_init(&u.leg, &w->loop, &events, &u);
    assert_null(leg_dialled(&u.leg));
    assert_int_equal(leg_dial(&u.leg, &o), 0);
    while (u.up < 2)
        uv_run(&w->loop, UV_RUN_ONCE);
    assert_int_equal(leg_dialled(&u.leg)->port, w->port[1]);
    leg_close(&u.leg);
    leg_close(&u.leg);
    while (!u.closed)
        uv_run(&w->loop, UV_RUN_ONCE);
    world_free(w);
    assert_int_equal(u.closed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_spoof),
        cmocka_unit_test(test_source_of_other_family),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_slow_aaaa),
        cmocka_unit_test(test_aaaa_first),
        cmocka_unit_test(test_attempt_delay),
        cmocka_unit_test(test_dead_first),
        cmocka_unit_test(test_no_service),
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_no_such_domain),
        cmocka_unit_test(test_resolver_fails),
        cmocka_unit_test(test_idn),
        cmocka_unit_test(test_localhost),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_redial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Peers that stop half-way, say nothing, speak out of turn or speak something else. Second half
 * of the hostile ones: see test_hostile.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <string.h>

#include "records.h"
#include "scene.h"

/* The first bytes of a ClientHello of 512. */
static const unsigned char half_hello[] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00,
                                           0x01, 0xfc, 0x03, 0x03, 0x42, 0x42, 0x42};

/* How many sessions the archive holds, the pinging one included; each with its end. */
static void assert_sessions(struct scene *s, size_t sessions)
{
    struct records r;
    records_load(&r, s->box, s->box->archive);
    assert_int_equal(records_check(&r), sessions);
    assert_int_equal(records_count(&r, "end"), sessions);
    records_free(&r);
}

/* What the `tls` record of this side is called that says that no handshake came to its end. */
static void assert_kind(struct scene *s, const char *side, const char *kind)
{
    struct records r;
    size_t failed = 0;
    records_load(&r, s->box, s->box->archive);
    for (size_t i = 0; i < r.lines; i++)
        failed += record_is(r.line[i], "event", "tls") && record_is(r.line[i], "side", side) &&
                  strstr(r.line[i], "\"ok\":false") && record_is(r.line[i], "kind", kind);
    assert_int_equal(failed, 1);
    records_free(&r);
}

static void assert_ends(struct peer *p)
{
    struct bytes rest = {0};
    PEER_OK(p, peer_rest(p, &rest));
    bytes_free(&rest);
}

/* The program's sockets become as few again. */
static void assert_sockets(struct scene *s, int sockets)
{
    int64_t deadline = now_ms() + PEER_TIMEOUT_MS;
    while (run_sockets(s->proxy) > sockets) {
        assert_true(now_ms() < deadline);
        poll(NULL, 0, 5);
    }
}

/* ---- half a TLS hello ---- */

static struct scene *to_half_hello(struct box *b)
{
    struct scene *s = scene_start(b);
    scene_open(s);
    PEER_OK(&s->client, peer_sends(&s->client, STARTTLS));
    PEER_OK(&s->server, peer_expects(&s->server, STARTTLS));
    scene_proceed(s);
    PEER_OK(&s->client, peer_send(&s->client, half_hello, sizeof(half_hello)));
    return s;
}

static void test_half_hello_then_close(void **state)
{
    struct scene *s = to_half_hello(*state);
    peer_close(&s->client);
    PEER_OK(&s->server, peer_expect_end(&s->server));
    scene_stop(s);
    assert_sessions(s, 2);
    box_done(s->box);
}

static void test_half_hello_then_silence(void **state)
{
    struct scene *s = to_half_hello(*state);
    PEER_OK(&s->server, peer_expect_end(&s->server)); /* after --handshake-timeout */
    assert_ends(&s->client);
    scene_stop(s);
    assert_sessions(s, 2);
    assert_kind(s, "client", "handshake-ended");
    box_done(s->box);
}

/* Direct TLS, half of it: nobody is dialled, because nobody knows for whom. */
static void test_half_hello_at_once(void **state)
{
    struct scene *s = scene_start(*state);
    int sockets = run_sockets(s->proxy);
    scene_connect(s);
    PEER_OK(&s->client, peer_send(&s->client, half_hello, sizeof(half_hello)));
    peer_close(&s->client);
    assert_sockets(s, sockets);
    scene_stop(s);
    assert_sessions(s, 2);
    box_done(s->box);
}

/* The client ends its side at once behind what is refused, and the server never closes: the session
 * ends all the same, and the program stops when told to. */
static void test_refused_then_silence(void **state)
{
    struct scene *s = scene_start(*state);
    scene_connect(s);
    PEER_OK(&s->client, peer_sends(&s->client, STREAM_HEADER STARTTLS "<iq/>"));
    PEER_OK(&s->client, peer_shutdown(&s->client));
    scene_accept(s);
    PEER_OK(&s->server, peer_expects(&s->server, STREAM_HEADER));
    PEER_OK(&s->server, peer_expect_end(&s->server));
    assert_ends(&s->client);
    run_says(s->proxy, "data-behind-starttls");
    scene_stop(s);
    assert_sessions(s, 2);
    box_done(s->box);
}

/* <proceed/> came, and nothing more: it is in the record although the client never got it. */
static void test_proceed_then_silence(void **state)
{
    struct scene *s = scene_start(*state);
    struct records r;
    scene_open(s);
    PEER_OK(&s->client, peer_sends(&s->client, STARTTLS));
    PEER_OK(&s->server, peer_expects(&s->server, STARTTLS));
    PEER_OK(&s->server, peer_sends(&s->server, PROCEED));
    struct bytes hello = {0};
    PEER_OK(&s->server, peer_some(&s->server, &hello));
    bytes_free(&hello);
    peer_close(&s->client);
    PEER_OK(&s->server, peer_expect_end(&s->server));
    scene_stop(s);
    records_load(&r, s->box, s->box->archive);
    bool found = false;
    for (size_t i = 0; i < r.lines; i++)
        found |= strstr(r.line[i], "\"tls.proceed\"") != NULL;
    assert_true(found);
    records_free(&r);
    box_done(s->box);
}

/* ---- silence, and stopping half-way ---- */

static void test_silent_clients(void **state)
{
    struct peer silent[8];
    struct scene *s = scene_start(*state);
    int sockets = run_sockets(s->proxy);
    for (int i = 0; i < 8; i++) {
        peer_init(&silent[i], "silent client");
        PEER_OK(&silent[i], peer_connect(&silent[i], s->proxy->port));
    }
    scene_keeps_pace(s, 50);
    struct pollfd dialled = {.fd = s->listener, .events = POLLIN};
    assert_int_equal(poll(&dialled, 1, 0), 0); /* nobody has asked for the server */
    for (int i = 0; i < 8; i++)
        peer_close(&silent[i]);
    assert_sockets(s, sockets);
    scene_stop(s);
    assert_sessions(s, 1); /* counted, not listed */
    box_done(s->box);
}

/* What arrived is the beginning of what was sent, and then the end. */
static void assert_prefix(struct peer *p, const char *sent, size_t at_least)
{
    struct bytes all = {0};
    PEER_OK(p, peer_rest(p, &all));
    assert_in_range(all.len, at_least, strlen(sent));
    assert_true(all.len == 0 || memcmp(all.p, sent, all.len) == 0);
    bytes_free(&all);
}

static void test_half_header(void **state)
{
    static const char half[] = "<?xml version='1.0'?><stream:stream to='" DOMAIN "' vers";
    struct scene *s = scene_start(*state);
    scene_connect(s);
    PEER_OK(&s->client, peer_sends(&s->client, half));
    scene_accept(s);
    peer_close(&s->client);
    assert_prefix(&s->server, half, 0);
    scene_stop(s);
    assert_sessions(s, 2);
    box_done(s->box);
}

static void test_half_item_before_login(void **state)
{
    static const char half[] = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mech";
    struct scene *s = scene_start(*state);
    scene_open(s);
    PEER_OK(&s->client, peer_sends(&s->client, half));
    peer_close(&s->client);
    assert_prefix(&s->server, half, 0);
    scene_stop(s);
    assert_sessions(s, 2);
    box_done(s->box);
}

/* After login bytes pass as they come. */
static void test_half_item_after_login(void **state)
{
    static const char half[] = "<message to='x@" DOMAIN "'><body>half a mess";
    struct scene *s = scene_start(*state);
    scene_login(s);
    PEER_OK(&s->client, peer_sends(&s->client, half));
    PEER_OK(&s->server, peer_expects(&s->server, half));
    peer_close(&s->client);
    PEER_OK(&s->server, peer_expect_end(&s->server));
    scene_stop(s);
    assert_sessions(s, 2);
    box_done(s->box);
}

/* ---- servers ---- */

static void test_server_speaks_first(void **state)
{
    static const char auth[] = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
                               "mechanism='PLAIN'>AGEAYQ==</auth>";
    struct scene *s = scene_start(*state);
    scene_connect(s);
    PEER_OK(&s->client, peer_send(&s->client, STREAM_HEADER, 30));
    scene_accept(s);
    PEER_OK(&s->server, peer_sends(&s->server, SERVER_HEADER FEATURES_SASL));
    scene_keeps_pace(s, 5); /* it has come to the proxy, before the client's header */
    PEER_OK(&s->client, peer_sends(&s->client, &STREAM_HEADER[30]));
    PEER_OK(&s->server, peer_expects(&s->server, STREAM_HEADER));
    PEER_OK(&s->client, peer_expects(&s->client, SERVER_HEADER FEATURES_SASL));
    PEER_OK(&s->client, peer_sends(&s->client, auth));
    PEER_OK(&s->server, peer_expects(&s->server, auth));
    scene_stop(s);
    assert_sessions(s, 2);
    box_done(s->box);
}

static void test_server_resets_before_login(void **state)
{
    struct scene *s = scene_start(*state);
    scene_open(s);
    peer_abort(&s->server);
    assert_ends(&s->client);
    scene_stop(s);
    assert_sessions(s, 2);
    box_done(s->box);
}

static void test_server_resets_in_handshake(void **state)
{
    struct scene *s = scene_start(*state);
    scene_open(s);
    PEER_OK(&s->client, peer_sends(&s->client, STARTTLS));
    PEER_OK(&s->server, peer_expects(&s->server, STARTTLS));
    PEER_OK(&s->server, peer_sends(&s->server, PROCEED));
    struct bytes hello = {0};
    PEER_OK(&s->server, peer_some(&s->server, &hello));
    bytes_free(&hello);
    peer_abort(&s->server);
    struct bytes rest = {0};
    PEER_OK(&s->client, peer_rest(&s->client, &rest));
    assert_false(bytes_has(&rest, PROCEED)); /* the server's TLS never stood */
    bytes_free(&rest);
    scene_stop(s);
    assert_sessions(s, 2);
    assert_kind(s, "server", "reset");
    box_done(s->box);
}

/* As a client does that does not like our certificate, or whose user stops it. */
static void client_leaves_in_handshake(void **state, void (*leave)(struct peer *p),
                                       const char *kind)
{
    struct scene *s = scene_start(*state);
    scene_open(s);
    PEER_OK(&s->client, peer_sends(&s->client, STARTTLS));
    PEER_OK(&s->server, peer_expects(&s->server, STARTTLS));
    scene_proceed(s);
    PEER_OK(&s->client, peer_send(&s->client, "\x16\x03\x01", 3)); /* TLS begins */
    leave(&s->client);
    assert_ends(&s->server);
    scene_stop(s);
    assert_sessions(s, 2);
    assert_kind(s, "client", kind);
    box_done(s->box);
}

static void test_client_resets_in_handshake(void **state)
{
    client_leaves_in_handshake(state, peer_abort, "reset");
}

static void test_client_leaves_in_handshake(void **state)
{
    client_leaves_in_handshake(state, peer_close, "closed");
}

static void test_server_resets_after_login(void **state)
{
    struct scene *s = scene_start(*state);
    scene_login(s);
    peer_abort(&s->server);
    assert_ends(&s->client);
    scene_stop(s);
    assert_sessions(s, 2);
    box_done(s->box);
}

static void test_client_resets_after_login(void **state)
{
    struct scene *s = scene_start(*state);
    scene_login(s);
    peer_abort(&s->client);
    assert_ends(&s->server);
    scene_stop(s);
    assert_sessions(s, 2);
    box_done(s->box);
}

/* ---- something else ---- */

static void test_http(void **state)
{
    struct scene *s = scene_start(*state);
    scene_connect(s);
    PEER_OK(&s->client, peer_sends(&s->client, "GET /xmpp-websocket HTTP/1.1\r\nHost: " DOMAIN
                                               "\r\nUpgrade: websocket\r\n\r\n"));
    run_says(s->proxy, "HTTP");
    peer_close(&s->client);
    scene_stop(s);
    assert_sessions(s, 2);
    box_done(s->box);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, box_setup, box_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_half_hello_then_close),
        TEST(test_half_hello_then_silence),
        TEST(test_half_hello_at_once),
        TEST(test_refused_then_silence),
        TEST(test_proceed_then_silence),
        TEST(test_silent_clients),
        TEST(test_half_header),
        TEST(test_half_item_before_login),
        TEST(test_half_item_after_login),
        TEST(test_server_speaks_first),
        TEST(test_server_resets_before_login),
        TEST(test_server_resets_in_handshake),
        TEST(test_client_resets_in_handshake),
        TEST(test_client_leaves_in_handshake),
        TEST(test_server_resets_after_login),
        TEST(test_client_resets_after_login),
        TEST(test_http),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

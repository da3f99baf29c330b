/* `xmpptap serve` with many clients at once: all log in, see each other, and cost little. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "login.h"
#include "records.h"

#define CLIENTS 100
#define OPEN                                                                                       \
    "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' "                           \
    "xmlns:stream='http://etherx.jabber.org/streams'>"
#define AUTH                                                                                       \
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>"
#define BIND                                                                                       \
    "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource>"  \
    "</bind></iq>"

static struct run *start_serve(struct box *b)
{
    const char *argv[] = {NULL, "serve", "-l", "127.0.0.1:0", "-q", "-d", b->archive, "--ca-dir",
                          b->ca, NULL};
    struct run *serve = run_start(b, argv, -1);

    run_listening(serve);
    return serve;
}

/* Reads until `text` has come; what came stays in `got`. */
static void until(struct peer *p, struct bytes *got, const char *text)
{
    while (!bytes_has(got, text))
        PEER_OK(p, peer_some(p, got));
}

/* Logs client `i` in: c00 to c99, any password. */
static void join(struct box *b, struct peer *p, struct bytes *got, int port, int i)
{
    unsigned char plain[16];
    char base64[32];
    int n = snprintf((char *)plain, sizeof plain, "%cc%02d%cpw", 0, i, 0);

    EVP_EncodeBlock((unsigned char *)base64, plain, n);
    peer_init(p, box_text(b, "client %d", i));
    PEER_OK(p, peer_connect(p, port));
    PEER_OK(p, peer_sends(p, OPEN));
    until(p, got, "</stream:features>");
    PEER_OK(p, peer_sends(p, box_text(b, AUTH, base64)));
    until(p, got, "<success");
    PEER_OK(p, peer_sends(p, OPEN BIND "<presence/>"));
    until(p, got, box_text(b, "to=\"c%02d@localhost\"", i)); /* its own presence */
}

static void test_hundred(void **state)
{
    static struct peer p[CLIENTS];
    static struct bytes got[CLIENTS];
    struct box *b = *state;
    struct run *serve = start_serve(b);
    long before = run_rss_kib(serve), after;
    struct records r;

    for (int i = 0; i < CLIENTS; i++)
        join(b, &p[i], &got[i], serve->port, i);
    after = run_rss_kib(serve);
    if (!sanitized())
        assert_in_range(after - before, 0, CLIENTS * 128);
    for (int i = 0; i < CLIENTS; i++) /* each to the next */
        PEER_OK(&p[i], peer_sends(&p[i], box_text(b, "<message to='c%02d@localhost' type='chat'>"
                                                     "<body>from %d</body></message>",
                                                  (i + 1) % CLIENTS, i)));
    for (int i = 0; i < CLIENTS; i++) {
        int from = (i + CLIENTS - 1) % CLIENTS;

        until(&p[i], &got[i], box_text(b, "<message from=\"c%02d@localhost/r\" "
                                          "to=\"c%02d@localhost\" type='chat'><body>from %d</body>",
                                       from, i, from));
        PEER_OK(&p[i], peer_sends(&p[i], STREAM_CLOSE));
        PEER_OK(&p[i], peer_rest(&p[i], &got[i]));
        peer_close(&p[i]);
        bytes_free(&got[i]);
    }
    run_stop(serve);
    records_load(&r, b, b->archive);
    assert_int_equal(records_count(&r, "end"), CLIENTS);
    records_check(&r);
    records_free(&r);
    box_done(b);
}

/* One that does not read costs the others nothing, and memory only up to a bound: then it ends. */
static void test_deaf(void **state)
{
    struct box *b = *state;
    struct run *serve = start_serve(b);
    struct peer deaf, talker;
    struct bytes got = {0};
    static char message[40000];
    char id[32], ping[128];
    long before;

    join(b, &deaf, &got, serve->port, 1);
    join(b, &talker, &got, serve->port, 2);
    before = run_rss_kib(serve);
    snprintf(message, sizeof message, "<message to='c01@localhost/r'><body>%039000d</body></message>",
             0);
    for (int i = 0; i < 1000; i++) {
        PEER_OK(&talker, peer_sends(&talker, message));
        snprintf(id, sizeof id, "id=\"p%d\"", i);
        snprintf(ping, sizeof ping, "<iq type='get' id='p%d'><ping xmlns='urn:xmpp:ping'/></iq>", i);
        PEER_OK(&talker, peer_sends(&talker, ping));
        got.len = 0;
        until(&talker, &got, id);
    }
    run_says(serve, "it does not take what is sent to it");
    if (!sanitized())
        assert_in_range(run_peak_kib(serve) - before, 0, 64 << 10);
    peer_close(&talker);
    peer_close(&deaf);
    bytes_free(&got);
    run_stop(serve);
    box_done(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, box_setup, box_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_hundred), TEST(test_deaf)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

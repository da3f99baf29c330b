/* The gate that is watched: it stays behind the login, and what its watcher says becomes of an item. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../proxy/gate.h"

#define OPEN                                                                                       \
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "        \
    "to='example.org'>"
#define NS_TLS   "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL  "urn:ietf:params:xml:ns:xmpp-sasl"
#define STARTTLS "<starttls xmlns='" NS_TLS "'/>"
#define PROCEED  "<proceed xmlns='" NS_TLS "'/>"
#define OFFER    "<stream:features><mechanisms xmlns='" NS_SASL "'/></stream:features>"
#define BIND     "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"
#define AUTH     "<auth xmlns='" NS_SASL "' mechanism='X'>eA==</auth>"
#define SUCCESS  "<success xmlns='" NS_SASL "'/>"
#define COMPRESSED "<compressed xmlns='http://jabber.org/protocol/compress'/>"

struct seen {
    struct gate gate;
    struct reader *reader;
    struct buf out[2], log;
    const char *on;      /* what the watcher looks for in an item */
    enum gate_deed deed; /* and says of it */
    unsigned asked;      /* how often it was */
};

static void note(struct seen *s, const char *what, const char *p, size_t n)
{
    assert_int_equal(buf_printf(&s->log, "%s[%.*s] ", what, (int)n, p), 0);
}

static void on_forward(void *arg, enum dir dir, const char *p, size_t n)
{
    assert_int_equal(buf_add(&((struct seen *)arg)->out[dir], p, n), 0);
}

static void on_restart(void *arg, enum label_phase phase)
{
    note(arg, phase == PHASE_TLS ? "restart-tls" : "restart-bound", "", 0);
}

static void on_bound(void *arg)
{
    note(arg, "bound", "", 0);
}

static void on_secure(void *arg, const char *p, size_t n)
{
    note(arg, "secure", p, n);
}

static void on_aside(void *arg, enum dir dir, const struct error *e)
{
    (void)dir;
    note(arg, "aside", error_name(e->code), strlen(error_name(e->code)));
}

static enum gate_deed on_watch(void *arg, enum dir dir, enum scan_what what, const struct item *it,
                               const char *p, size_t n)
{
    struct seen *s = arg;

    (void)dir;
    assert_true((what == SCAN_CLOSE) == (it == NULL));
    if (!s->on || !memmem(p, n, s->on, strlen(s->on)))
        return GATE_GO_ON;
    s->asked++;
    if (s->deed == GATE_TAKEN)
        note(s, "taken", p, n);
    return s->deed;
}

static const struct gate_user user = {
    .forward = on_forward,
    .restart = on_restart,
    .bound = on_bound,
    .secure_server = on_secure,
    .secure_client = on_secure,
    .watch = on_watch,
    .aside = on_aside,
};

static void begin(struct seen *s, const char *on, enum gate_deed deed)
{
    *s = (struct seen){.reader = reader_new(), .on = on, .deed = deed};
    for (int i = 0; i < 2; i++)
        buf_init(&s->out[i], 1 << 20);
    buf_init(&s->log, 1 << 20);
    gate_init(&s->gate, s->reader, &user, s);
    s->gate.watched = true;
    gate_open(&s->gate);
}

static void finish(struct seen *s)
{
    gate_free(&s->gate);
    reader_free(s->reader);
    for (int i = 0; i < 2; i++)
        buf_free(&s->out[i]);
    buf_free(&s->log);
}

static void feed(struct seen *s, enum dir dir, const char *bytes)
{
    assert_int_equal(gate_input(&s->gate, dir, bytes, strlen(bytes)), 0);
}

static void assert_text(struct buf *b, const char *want)
{
    assert_int_equal(buf_add(b, "", 1), 0);
    assert_string_equal(b->p, want);
    b->len = 0;
}

static void log_in(struct seen *s)
{
    feed(s, DIR_C2S, OPEN);
    feed(s, DIR_S2C, OPEN OFFER);
    feed(s, DIR_C2S, AUTH);
    feed(s, DIR_S2C, SUCCESS);
    feed(s, DIR_C2S, OPEN);
    feed(s, DIR_S2C, OPEN BIND);
    for (int i = 0; i < 2; i++)
        s->out[i].len = 0;
    s->log.len = 0;
}

/* Behind the login whole items still pass; its end is told once, and what cannot be read ends it. */
static void it_stays_behind_the_login(void **state)
{
    struct seen s;

    (void)state;
    begin(&s, "<presence", GATE_TAKEN);
    feed(&s, DIR_C2S, OPEN);
    feed(&s, DIR_S2C, OPEN OFFER);
    feed(&s, DIR_C2S, AUTH);
    feed(&s, DIR_S2C, SUCCESS);
    feed(&s, DIR_C2S, OPEN);
    feed(&s, DIR_S2C, OPEN BIND);
    assert_text(&s.log, "restart-bound[] aside[none] ");
    s.out[DIR_C2S].len = 0;
    feed(&s, DIR_C2S, "<iq id='1'/><pres");
    feed(&s, DIR_C2S, "ence/><iq id='2'/> ");
    assert_text(&s.out[DIR_C2S], "<iq id='1'/><iq id='2'/> ");
    assert_text(&s.log, "taken[<presence/>] ");
    feed(&s, DIR_C2S, "</stream:stream><");
    feed(&s, DIR_C2S, "presence/>");
    assert_text(&s.out[DIR_C2S], "</stream:stream><presence/>");
    assert_true(memcmp(s.log.p, "aside[", 6) == 0);
    assert_int_equal(s.gate.phase, GATE_ASIDE);
    finish(&s);
}

static void compression_ends_it(void **state)
{
    struct seen s;

    (void)state;
    begin(&s, "<presence", GATE_TAKEN);
    log_in(&s);
    feed(&s, DIR_S2C, COMPRESSED "\x78\x9c<presence/>");
    assert_int_equal(s.gate.phase, GATE_ASIDE);
    assert_text(&s.out[DIR_S2C], COMPRESSED "\x78\x9c<presence/>");
    finish(&s);
}

/* What waits holds up what follows in its direction, in order, and nothing else. */
static void what_waits_keeps_the_order(void **state)
{
    struct seen s;

    (void)state;
    begin(&s, "'2'", GATE_WAIT);
    log_in(&s);
    feed(&s, DIR_C2S, "<iq id='1'/><iq id='2'/><iq id='3'/> <iq");
    feed(&s, DIR_S2C, "<iq id='4'/>");
    feed(&s, DIR_C2S, " id='2b'/>");
    assert_text(&s.out[DIR_C2S], "<iq id='1'/>");
    assert_text(&s.out[DIR_S2C], "<iq id='4'/>");
    assert_true(gate_waits(&s.gate, DIR_C2S));
    assert_false(gate_waits(&s.gate, DIR_S2C));
    gate_eof(&s.gate, DIR_C2S); /* comes too early */
    assert_text(&s.out[DIR_C2S], "");
    gate_go_on(&s.gate, DIR_C2S);
    assert_false(gate_waits(&s.gate, DIR_C2S));
    assert_text(&s.out[DIR_C2S], "<iq id='2'/><iq id='3'/> <iq id='2b'/>");
    assert_int_equal(s.asked, 1);
    gate_go_on(&s.gate, DIR_C2S); /* nothing waits */
    finish(&s);
}

static void too_much_that_waits_stops_its_source(void **state)
{
    struct seen s;

    (void)state;
    begin(&s, "'2'", GATE_WAIT);
    log_in(&s);
    feed(&s, DIR_C2S, "<iq id='2'/>");
    for (size_t n = 0; !gate_blocked(&s.gate, DIR_C2S); n += 16) {
        assert_true(n < 2 * GATE_HELD_BYTES);
        feed(&s, DIR_C2S, "<iq id='longer'/>");
    }
    assert_false(gate_blocked(&s.gate, DIR_S2C));
    finish(&s);
}

/* What was told to wait begins what it would have, later: here TLS. */
static void what_waited_does_its_work(void **state)
{
    struct seen s;

    (void)state;
    begin(&s, "<proceed", GATE_WAIT);
    feed(&s, DIR_C2S, OPEN);
    feed(&s, DIR_S2C, OPEN "<stream:features><starttls xmlns='" NS_TLS "'/></stream:features>");
    feed(&s, DIR_C2S, STARTTLS);
    feed(&s, DIR_S2C, PROCEED);
    assert_int_equal(s.gate.phase, GATE_TLS_ASKED);
    gate_go_on(&s.gate, DIR_S2C);
    assert_int_equal(s.gate.phase, GATE_TLS_SERVER);
    assert_text(&s.log, "secure[] ");
    finish(&s);
}

/* What is only passed, or taken, begins nothing. */
static void what_is_passed_begins_nothing(void **state)
{
    static const enum gate_deed deeds[] = {GATE_PASS, GATE_TAKEN};
    struct seen s;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin(&s, "<starttls xmlns='" NS_TLS "'/>", deeds[i]);
        feed(&s, DIR_C2S, OPEN STARTTLS "<message/>");
        assert_int_equal(s.gate.phase, GATE_WATCHED); /* by the message: nothing is held */
        assert_text(&s.out[DIR_C2S], deeds[i] == GATE_PASS ? OPEN STARTTLS "<message/>"
                                                           : OPEN "<message/>");
        finish(&s);
    }
}

/* A watcher that answers in the server's place gives the turn back to the client. */
static void who_was_answered_may_go_on(void **state)
{
    struct seen s;

    (void)state;
    begin(&s, "<success", GATE_TAKEN);
    feed(&s, DIR_C2S, OPEN);
    feed(&s, DIR_S2C, OPEN OFFER);
    feed(&s, DIR_C2S, AUTH);
    feed(&s, DIR_S2C, SUCCESS);
    assert_int_equal(s.gate.phase, GATE_SASL_ASKED);
    gate_bridged(&s.gate, GATE_NEGOTIATING);
    s.out[DIR_C2S].len = 0;
    feed(&s, DIR_C2S, AUTH);
    assert_text(&s.out[DIR_C2S], AUTH);
    finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_stays_behind_the_login),
        cmocka_unit_test(compression_ends_it),
        cmocka_unit_test(what_waits_keeps_the_order),
        cmocka_unit_test(too_much_that_waits_stops_its_source),
        cmocka_unit_test(what_waited_does_its_work),
        cmocka_unit_test(what_is_passed_begins_nothing),
        cmocka_unit_test(who_was_answered_may_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The embedded server's stream management (XEP-0198): counts, resumption, what becomes of stanzas
 * that were not acknowledged. */
#include "server_tests.h"

#define SECOND_US 1000000

#define R        "<r xmlns='urn:xmpp:sm:3'/>"
#define ASKS     "<r xmlns=\"urn:xmpp:sm:3\"/>"
#define A(h)     "<a xmlns='urn:xmpp:sm:3' h='" h "'/>"
#define TELLS(h) "<a xmlns=\"urn:xmpp:sm:3\" h=\"" h "\"/>"
#define ENABLE   "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
#define ENABLED  "<enabled xmlns=\"urn:xmpp:sm:3\"/>"
#define FAILED(condition)                                                                          \
    "<failed xmlns=\"urn:xmpp:sm:3\"><" condition                                                  \
    " xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></failed>"
#define TOO_HIGH(h, sent)                                                                          \
    "<stream:error><undefined-condition xmlns=\"urn:ietf:params:xml:ns:xmpp-streams\"/>"           \
    "<handled-count-too-high xmlns=\"urn:xmpp:sm:3\" h=\"" h "\" send-count=\"" sent "\"/>"        \
    "</stream:error></stream:stream>"
#define BAD_FORMAT                                                                                 \
    "<stream:error><bad-format xmlns=\"urn:ietf:params:xml:ns:xmpp-streams\"/></stream:error>"     \
    "</stream:stream>"

#define ANN1 "ann@example.org/one"
#define BOB1 "bob@example.org/one"

#define SAY(to, body) "<message to='" to "' type='chat'><body>" body "</body></message>"
#define SAID(to, body)                                                                             \
    "<message from=\"" ANN1 "\" to=\"" to "\" type='chat'><body>" body "</body></message>"
#define PING "<iq type='get' id='p' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>"

/* ---- connections ---- */

struct pair {
    struct world *w;
    struct link ann, bob;
    char id[64]; /* bob's session */
};

/* Enables it; its id into `id`. */
static void enable(struct link *l, char id[64])
{
    const char *text, *at;

    feed(l, ENABLE);
    text = got(l);
    at = strstr(text, "<enabled xmlns=\"urn:xmpp:sm:3\" id=\"");
    assert_ptr_equal(at, text);
    assert_non_null(strstr(text, " resume=\"true\" max=\"300\"/>"));
    snprintf(id, 64, "%.36s", at + strlen("<enabled xmlns=\"urn:xmpp:sm:3\" id=\""));
}

/* Both are there, bob's stream is managed. */
static void meet(struct pair *p)
{
    p->w = new_world("modern");
    open_as(&p->ann, p->w, "ann", "one");
    open_as(&p->bob, p->w, "bob", "one");
    enable(&p->bob, p->id);
    feed(&p->bob, "<presence/>");
    got(&p->bob);
    feed(&p->bob, A("1"));
}

static void part(struct pair *p)
{
    close_link(&p->ann);
    close_link(&p->bob);
    free_world(p->w);
}

/* The connection breaks, at that moment. */
static void cut(struct link *l)
{
    assert_int_equal(server_tick(l->s, l->now_us), 0);
    close_link(l);
}

/* Logs in again and asks for session `id`. */
static void come_back(struct link *l, struct world *w, const char *name, const char *id,
                      const char *h)
{
    char xml[256];

    log_in(l, w, name);
    snprintf(xml, sizeof xml, "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%s'/>", id, h);
    feed(l, xml);
}

static void expect_resumed(struct link *l, const char *id, const char *h, const char *rest)
{
    char xml[2048];

    snprintf(xml, sizeof xml, "<resumed xmlns=\"urn:xmpp:sm:3\" previd=\"%s\" h=\"%s\"/>%s", id, h,
             rest);
    expect(l, xml);
}

/* ---- counts ---- */

static void test_offered(void **state)
{
    struct world *w = new_world("modern");
    struct link l;

    (void)state;
    log_in(&l, w, "ann");
    assert_non_null(strstr(l.got.p, "<sm xmlns=\"urn:xmpp:sm:3\"/>"));
    close_link(&l);
    free_world(w);
}

static void test_misused(void **state)
{
    static const char *const early[] = {ENABLE, R, A("0"),
                                        "<resume xmlns='urn:xmpp:sm:3' h='0' previd='x'/>"};
    struct world *w = new_world("modern");
    struct link l;
    char id[64];

    (void)state;
    open_in(&l, w);
    server_tls(l.s);
    feed(&l, OPEN);
    got(&l);
    for (size_t i = 0; i < sizeof early / sizeof early[0]; i++) {
        feed(&l, early[i]);
        expect(&l, FAILED("unexpected-request"));
    }
    close_link(&l);
    open_as(&l, w, "ann", "one");
    feed(&l, R);
    expect(&l, FAILED("unexpected-request"));
    enable(&l, id);
    feed(&l, ENABLE);
    expect(&l, FAILED("unexpected-request"));
    feed(&l, "<resume xmlns='urn:xmpp:sm:3' h='0' previd='x'/>");
    expect(&l, FAILED("unexpected-request"));
    close_link(&l);
    free_world(w);
}

static void test_documented_has_none(void **state)
{
    struct link l;

    (void)state;
    open_bound(&l, OPEN);
    feed(&l, ENABLE);
    expect(&l, STREAM_ERROR("unsupported-stanza-type"));
    close_link(&l);
}

static void test_without_resumption(void **state)
{
    struct world *w = new_world("modern");
    struct link l;

    (void)state;
    open_as(&l, w, "ann", "one");
    feed(&l, "<enable xmlns='urn:xmpp:sm:3'/>" R PING R);
    expect(&l, ENABLED TELLS("0") "<iq from=\"example.org\" type=\"result\" to=\"" ANN1
                                  "\" id=\"p\"/>" TELLS("1"));
    cut(&l);
    assert_null(w->waiting);
    free_world(w);
}

/* A message is asked about at once, other stanzas when there are some; one question at a time. */
static void test_asks(void **state)
{
    struct pair p;
    const char *text;
    unsigned n = 0;

    (void)state;
    meet(&p);
    feed(&p.ann, SAY(BOB1, "1") SAY(BOB1, "2"));
    expect(&p.bob, SAID(BOB1, "1") ASKS SAID(BOB1, "2"));
    feed(&p.bob, A("2"));
    expect(&p.bob, ASKS);
    feed(&p.bob, A("3"));
    expect(&p.bob, "");
    for (int i = 0; i < 8; i++)
        feed(&p.bob, PING);
    for (text = got(&p.bob); (text = strstr(text, ASKS)); text++)
        n++;
    assert_int_equal(n, 1);
    part(&p);
}

static void test_bad_answers(void **state)
{
    static const struct {
        const char *answer, *error;
    } rows[] = {
        {A("2"), TOO_HIGH("2", "1")},
        {A("0"), TOO_HIGH("0", "1")}, /* fewer than before: 2^32 too many */
        {A("4294967295"), TOO_HIGH("4294967295", "1")},
        {A("4294967296"), BAD_FORMAT},
        {A("-1"), BAD_FORMAT},
        {A(""), BAD_FORMAT},
        {"<a xmlns='urn:xmpp:sm:3'/>", BAD_FORMAT},
    };
    struct pair p;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        meet(&p);
        feed(&p.bob, rows[i].answer);
        expect(&p.bob, rows[i].error);
        assert_true(server_done(p.bob.s));
        part(&p);
    }
}

/* ---- resumption ---- */

static void test_resumes(void **state)
{
    struct pair p;

    (void)state;
    meet(&p);
    feed(&p.ann, SAY(BOB1, "got") SAY(BOB1, "not got"));
    got(&p.bob);
    feed(&p.bob, PING);
    cut(&p.bob);
    feed(&p.ann, SAY(BOB1, "away") SAY("bob@example.org", "to the account"));
    expect(&p.ann, ""); /* he never went */
    come_back(&p.bob, p.w, "bob", p.id, "2");
    expect_resumed(&p.bob, p.id, "2",
                   SAID(BOB1, "not got") "<iq from=\"example.org\" type=\"result\" to=\"" BOB1
                                         "\" id=\"p\"/>" SAID(BOB1, "away")
                                             SAID("bob@example.org", "to the account") ASKS);
    assert_null(p.w->waiting);
    feed(&p.bob, A("5") R);
    expect(&p.bob, TELLS("2"));
    feed(&p.ann, SAY(BOB1, "again"));
    expect(&p.bob, SAID(BOB1, "again") ASKS);
    feed(&p.bob, BIND("other"));
    assert_non_null(strstr(got(&p.bob), "not-allowed"));
    part(&p);
}

/* The old connection is not known to be dead. */
static void test_takes_over(void **state)
{
    struct pair p;
    struct link again;

    (void)state;
    meet(&p);
    feed(&p.ann, SAY(BOB1, "1"));
    got(&p.bob);
    come_back(&again, p.w, "bob", p.id, "1");
    expect_resumed(&again, p.id, "1", SAID(BOB1, "1") ASKS);
    expect(&p.bob, STREAM_ERROR("conflict"));
    assert_true(server_done(p.bob.s));
    cut(&p.bob);
    assert_null(p.w->waiting);
    feed(&p.ann, SAY(BOB1, "2"));
    expect(&again, SAID(BOB1, "2"));
    p.bob = again;
    part(&p);
}

static void test_resume_too_high(void **state)
{
    struct pair p;

    (void)state;
    meet(&p);
    cut(&p.bob);
    come_back(&p.bob, p.w, "bob", p.id, "7");
    expect(&p.bob, TOO_HIGH("7", "1"));
    part(&p);
}

static void test_not_found(void **state)
{
    struct pair p;

    (void)state;
    meet(&p);
    cut(&p.bob);
    come_back(&p.bob, p.w, "bob", "another", "0");
    expect(&p.bob, FAILED("item-not-found"));
    cut(&p.bob);
    come_back(&p.bob, p.w, "bob", "", "0");
    expect(&p.bob, FAILED("item-not-found"));
    cut(&p.bob);
    come_back(&p.bob, p.w, "eve", p.id, "0"); /* who is not bob */
    expect(&p.bob, FAILED("item-not-found"));
    feed(&p.bob, BIND("one")); /* and may begin anew */
    assert_non_null(strstr(got(&p.bob), "<jid>eve@example.org/one</jid>"));
    part(&p);
}

/* ---- whose time is over ---- */

static void befriend(struct pair *p)
{
    feed(&p->ann, "<presence/><presence to='bob@example.org' type='subscribe'/>");
    feed(&p->bob, "<presence to='ann@example.org' type='subscribed'/>");
    assert_non_null(strstr(got(&p->ann), "<presence from=\"" BOB1 "\" to=\"ann@example.org\"/>"));
    got(&p->bob);
}

static void test_time_is_over(void **state)
{
    struct pair p;
    const char *text;

    (void)state;
    meet(&p);
    befriend(&p);
    cut(&p.bob);
    expect(&p.ann, "");
    p.ann.now_us = SECOND_US; /* the profile's contacts have spoken */
    assert_int_equal(server_tick(p.ann.s, p.ann.now_us), 0);
    assert_int_equal(server_due_us(p.ann.s), 300 * (int64_t)SECOND_US);
    feed(&p.ann, SAY(BOB1, "away") "<iq type='get' id='v' to='" BOB1
                                   "'><query xmlns='jabber:iq:version'/></iq>");
    expect(&p.ann, "");
    p.ann.now_us = 300 * (int64_t)SECOND_US - 1;
    assert_int_equal(server_tick(p.ann.s, p.ann.now_us++), 0);
    expect(&p.ann, "");
    assert_int_equal(server_tick(p.ann.s, p.ann.now_us), 0);
    expect(&p.ann, "<presence from=\"" BOB1 "\" to=\"ann@example.org\" type=\"unavailable\"/>"
                   "<iq type=\"error\" from=\"" BOB1 "\" to=\"" ANN1
                   "\" id=\"v\">" STANZA_ERROR("cancel", "service-unavailable"));
    assert_int_equal(server_due_us(p.ann.s), -1);
    p.bob.now_us = p.ann.now_us;
    log_in(&p.bob, p.w, "bob");
    p.bob.now_us = p.ann.now_us;
    feed(&p.bob, "<resume xmlns='urn:xmpp:sm:3' previd='");
    feed(&p.bob, p.id);
    feed(&p.bob, "' h='1'/>");
    text = got(&p.bob); /* its presence and what ann's subscription took */
    assert_non_null(strstr(text, "<failed xmlns=\"urn:xmpp:sm:3\" h=\"2\"><item-not-found"));
    feed(&p.bob, BIND("two") "<presence/>");
    text = strstr(got(&p.bob), "<message from=\"" ANN1 "\" to=\"" BOB1 "\" type='chat'>"
                               "<body>away</body><delay xmlns=\"urn:xmpp:delay\" "
                               "from=\"example.org\" stamp=\"");
    assert_non_null(text);
    part(&p);
}

/* Another of the account's is there: it gets the messages. */
static void test_goes_to_another(void **state)
{
    struct pair p;
    struct link two;

    (void)state;
    meet(&p);
    open_as(&two, p.w, "bob", "two");
    feed(&two, "<presence/>");
    feed(&p.ann, SAY(BOB1, "away"));
    cut(&p.bob);
    got(&two);
    two.now_us = 301 * (int64_t)SECOND_US;
    assert_int_equal(server_tick(two.s, two.now_us), 0);
    expect(&two, "<presence from=\"" BOB1
                 "\" to=\"bob@example.org\" type=\"unavailable\"/>" SAID(BOB1, "away"));
    p.bob = two;
    part(&p);
}

/* Said goodbye: nothing waits, but what was not acknowledged is not lost. */
static void test_closed_in_order(void **state)
{
    struct pair p;

    (void)state;
    meet(&p);
    feed(&p.ann, SAY(BOB1, "late"));
    got(&p.bob);
    feed(&p.bob, "</stream:stream>");
    cut(&p.bob);
    assert_null(p.w->waiting);
    open_as(&p.bob, p.w, "bob", "one");
    feed(&p.bob, "<presence/>");
    assert_non_null(strstr(got(&p.bob), "<body>late</body><delay"));
    part(&p);
}

/* Over the cap it is no session any more, and costs nothing. */
static void test_too_much_waits(void **state)
{
    static char body[200001];
    static char xml[sizeof body + 200];
    struct pair p;

    (void)state;
    meet(&p);
    befriend(&p);
    memset(body, 'x', sizeof body - 1);
    snprintf(xml, sizeof xml, SAY(BOB1, "%s"), body);
    cut(&p.bob);
    feed(&p.ann, xml);
    expect(&p.ann, "");
    feed(&p.ann, xml);
    assert_int_equal(server_due_us(p.ann.s), 0);
    feed(&p.ann, " ");
    expect(&p.ann, "<presence from=\"" BOB1 "\" to=\"ann@example.org\" type=\"unavailable\"/>");
    come_back(&p.bob, p.w, "bob", p.id, "1");
    expect(&p.bob, FAILED("item-not-found"));
    part(&p);
}

/* Nor are more than 1,000 stanzas kept, however small; a connection that lives goes on. */
static void test_too_many_wait(void **state)
{
    struct pair p;

    (void)state;
    meet(&p);
    for (int i = 0; i < 1001; i++)
        feed(&p.ann, "<message to='" BOB1 "'/>");
    got(&p.bob);
    feed(&p.bob, R);
    expect(&p.bob, TELLS("1"));
    feed(&p.bob, A("1002"));
    expect(&p.bob, "");
    cut(&p.bob);
    assert_null(p.w->waiting);
    come_back(&p.bob, p.w, "bob", p.id, "1");
    expect(&p.bob, FAILED("item-not-found"));
    part(&p);
}

/* The same resource is bound anew: the one that waits is over. */
static void test_bound_anew(void **state)
{
    struct pair p;

    (void)state;
    meet(&p);
    feed(&p.ann, SAY(BOB1, "1"));
    cut(&p.bob);
    open_as(&p.bob, p.w, "bob", "one");
    assert_null(p.w->waiting);
    feed(&p.bob, "<presence/>");
    assert_non_null(strstr(got(&p.bob), "<body>1</body>"));
    part(&p);
}

/* One that never resumes does not lock itself out, nor does it fill the world. */
static void test_many_wait(void **state)
{
    struct world *w = new_world("modern");
    struct link l;
    char name[16], id[64];

    (void)state;
    for (int i = 0; i < 3 * WORLD_WAITING; i++) {
        snprintf(name, sizeof name, i < WORLD_WAITING ? "ann" : "u%d", i / 8);
        snprintf(id, sizeof id, "r%d", i);
        open_as(&l, w, name, id);
        enable(&l, id);
        cut(&l);
    }
    assert_int_equal(w->waits, WORLD_WAITING);
    free_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offered),
        cmocka_unit_test(test_misused),
        cmocka_unit_test(test_documented_has_none),
        cmocka_unit_test(test_without_resumption),
        cmocka_unit_test(test_asks),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_resumes),
        cmocka_unit_test(test_takes_over),
        cmocka_unit_test(test_resume_too_high),
        cmocka_unit_test(test_not_found),
        cmocka_unit_test(test_time_is_over),
        cmocka_unit_test(test_goes_to_another),
        cmocka_unit_test(test_closed_in_order),
        cmocka_unit_test(test_too_much_waits),
        cmocka_unit_test(test_too_many_wait),
        cmocka_unit_test(test_bound_anew),
        cmocka_unit_test(test_many_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The embedded server spares an inactive client what can wait (XEP-0352). */
#include "server_tests.h"

#define INACTIVE "<inactive xmlns='urn:xmpp:csi:0'/>"
#define ACTIVE   "<active xmlns='urn:xmpp:csi:0'/>"
#define ANN1     "ann@example.org/one"
#define BOB1     "bob@example.org/one"
#define PING     "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"
#define PONG     "<iq type=\"result\" id=\"p\" to=\"" BOB1 "\"/>"

#define FROM_ANN     " from=\"" ANN1 "\" to=\"" BOB1 "\""
#define STATE(state) "<" state " xmlns='http://jabber.org/protocol/chatstates'/>"
#define EVENT        "<event xmlns='http://jabber.org/protocol/pubsub#event'/>"

struct pair {
    struct world *w;
    struct link ann, bob;
};

static void meet(struct pair *p)
{
    p->w = new_world("modern");
    open_as(&p->ann, p->w, "ann", "one");
    open_as(&p->bob, p->w, "bob", "one");
    feed(&p->bob, INACTIVE);
    expect(&p->bob, "");
}

static void part(struct pair *p)
{
    close_link(&p->ann);
    close_link(&p->bob);
    free_world(p->w);
}

/* What ann sends to bob/one as `words` of element `name`. */
static void send(struct pair *p, const char *name, const char *words)
{
    char xml[1024];

    snprintf(xml, sizeof xml, "<%s to='" BOB1 "'%s", name, words);
    feed(&p->ann, xml);
}

static void test_what_waits(void **state)
{
    static const struct {
        const char *name, *words;
        bool waits;
    } rows[] = {
        {"presence", "/>", true},
        {"presence", " type='unavailable'/>", true},
        {"message", ">" STATE("composing") "</message>", true},
        {"message", " type='chat'>" STATE("gone") "<thread>t</thread></message>", true},
        {"message", " type='chat'>" STATE("active") "<no-store xmlns='urn:xmpp:hints'/></message>",
         true},
        {"message", " type='chat'>" STATE("active") "<body>x</body></message>", false},
        {"message", " type='headline'>" EVENT "</message>", true},
        {"message", " type='error'>" STATE("active") "</message>", false},
        {"message", " type='chat'><received xmlns='urn:xmpp:receipts' id='1'/></message>", false},
        {"message", " type='chat'><thread>t</thread></message>", false},
        {"message", " type='chat'>" STATE("active") "<encrypted xmlns='e'/></message>", false},
        {"message", "/>", false},
        {"iq", " type='result' id='1'/>", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair p;

        meet(&p);
        send(&p, rows[i].name, rows[i].words);
        if (rows[i].waits != (*got(&p.bob) == '\0'))
            fail_msg("%s%s", rows[i].name, rows[i].words);
        feed(&p.bob, ACTIVE);
        if (rows[i].waits && !strstr(got(&p.bob), ANN1))
            fail_msg("%s%s does not come", rows[i].name, rows[i].words);
        part(&p);
    }
}

/* The last of each sender's, in the order of the last ones; PEP events all. */
static void test_the_last_counts(void **state)
{
    struct pair p;

    (void)state;
    meet(&p);
    send(&p, "presence", "><status>1</status></presence>");
    send(&p, "message", ">" STATE("composing") "</message>");
    send(&p, "message", ">" EVENT "</message>");
    send(&p, "presence", "><status>2</status></presence>");
    send(&p, "message", ">" STATE("paused") "</message>");
    send(&p, "message", ">" EVENT "</message>");
    expect(&p.bob, "");
    feed(&p.bob, ACTIVE);
    expect(&p.bob,
           "<message" FROM_ANN ">" EVENT "</message>"
           "<presence" FROM_ANN "><status>2</status></presence>"
           "<message" FROM_ANN ">" STATE("paused") "</message>"
                                                   "<message" FROM_ANN ">" EVENT "</message>");
    send(&p, "presence", "/>");
    expect(&p.bob, "<presence" FROM_ANN "/>");
    part(&p);
}

/* In front of what cannot wait, and of the client's own answers; it stays inactive. */
static void test_goes_first(void **state)
{
    struct pair p;

    (void)state;
    meet(&p);
    send(&p, "presence", "/>");
    send(&p, "message", " type='chat'><body>x</body></message>");
    expect(&p.bob,
           "<presence" FROM_ANN "/><message" FROM_ANN " type='chat'><body>x</body></message>");
    send(&p, "presence", "/>");
    expect(&p.bob, "");
    feed(&p.bob, PING);
    expect(&p.bob, "<presence" FROM_ANN "/>" PONG);
    send(&p, "presence", "/>");
    expect(&p.bob, "");
    part(&p);
}

static void test_bounded(void **state)
{
    static char status[30001];
    static char words[sizeof status + 200], big[1 << 20];
    struct pair p;
    size_t n = 0;

    (void)state;
    meet(&p);
    memset(status, 'x', sizeof status - 1);
    snprintf(words, sizeof words,
             "<message to='" BOB1 "'><event xmlns="
             "'http://jabber.org/protocol/pubsub#event'>%s</event></message>",
             status);
    feed(&p.ann, words);
    feed(&p.ann, words);
    expect(&p.bob, "");
    feed(&p.ann, words); /* over 64 KiB: all of it */
    snprintf(big, sizeof big, "%s", got(&p.bob));
    for (const char *at = big; (at = strstr(at, "<message")); at++)
        n++;
    assert_int_equal(n, 3);
    part(&p);
}

/* Counted when it is sent; a client that comes back is active. */
static void test_with_resumption(void **state)
{
    struct pair p;
    char id[64], xml[256];
    const char *text;

    (void)state;
    meet(&p);
    feed(&p.bob, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    snprintf(id, sizeof id, "%.36s", strstr(got(&p.bob), "id=\"") + 4);
    send(&p, "presence", "><status>1</status></presence>");
    feed(&p.bob, "<a xmlns='urn:xmpp:sm:3' h='0'/>");
    expect(&p.bob, "");
    close_link(&p.bob);
    send(&p, "presence", "><status>2</status></presence>");
    log_in(&p.bob, p.w, "bob");
    snprintf(xml, sizeof xml, "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='0'/>", id);
    feed(&p.bob, xml);
    text = got(&p.bob);
    assert_non_null(strstr(text,
                           "<presence" FROM_ANN "><status>1</status></presence><presence" FROM_ANN
                           "><status>2</status></presence><r "));
    send(&p, "presence", "/>");
    expect(&p.bob, "<presence" FROM_ANN "/>");
    part(&p);
}

static void test_offered(void **state)
{
    struct world *w = new_world("modern");
    struct link l;

    (void)state;
    log_in(&l, w, "ann");
    assert_non_null(strstr(l.got.p, "<csi xmlns=\"urn:xmpp:csi:0\"/>"));
    feed(&l, "<sleepy xmlns='urn:xmpp:csi:0'/>");
    expect(&l, STREAM_ERROR("unsupported-stanza-type"));
    close_link(&l);
    open_bound(&l, OPEN); /* the documented server has none */
    feed(&l, INACTIVE);
    expect(&l, STREAM_ERROR("unsupported-stanza-type"));
    close_link(&l);
    free_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_waits),      cmocka_unit_test(test_the_last_counts),
        cmocka_unit_test(test_goes_first),      cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_with_resumption), cmocka_unit_test(test_offered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Clients of one embedded server that see each other: rosters, subscriptions, presence. */
#include "server_tests.h"

#include "../../proxy/server/roster.h"

#define ROSTER_SET(rest)                                                                           \
    "<iq type='set' id='1'><query xmlns='jabber:iq:roster'>" rest "</query></iq>"
#define ROSTER_GET "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>"
#define DONE(who)  "<iq type=\"result\" id=\"1\" to=\"" who "\"/>"

#define ANN  "ann@example.org"
#define BOB  "bob@example.org"
#define ANN1 ANN "/one"
#define ANN2 ANN "/two"
#define BOB1 BOB "/one"

static void expect_push(struct link *l, const char *xml)
{
    assert_string_equal(without_ids(got(l)), xml);
}

#define PUSH(to, ver, item)                                                                        \
    "<iq type=\"set\" id=\"\" to=\"" to "\"><query xmlns=\"jabber:iq:roster\" ver=\"" ver "\">"    \
    item "</query></iq>"

/* ---- the roster ---- */

static void test_items(void **state)
{
    struct world *w = new_world("modern");
    struct link one, two;

    (void)state;
    open_as(&one, w, "ann", "one");
    open_as(&two, w, "ann", "two");
    feed(&one, ROSTER_GET);
    expect(&one, "<iq type=\"result\" id=\"1\" to=\"" ANN1 "\">"
                 "<query xmlns=\"jabber:iq:roster\"></query></iq>");
    feed(&one, ROSTER_SET("<item jid='" BOB "/x' name='B &amp; B'><group>F</group></item>"));
    expect_push(&one, PUSH(ANN1, "1", "<item subscription=\"none\" name=\"B &amp; B\" jid=\"" BOB
                                      "\"><group>F</group></item>") DONE(ANN1));
    expect(&two, ""); /* it has not asked for the roster */
    feed(&two, "<iq type='get' id='1'><query xmlns='jabber:iq:roster' ver=''/></iq>");
    expect(&two, "<iq type=\"result\" id=\"1\" to=\"" ANN2 "\"><query xmlns=\"jabber:iq:roster\" "
                 "ver=\"1\"><item subscription=\"none\" name=\"B &amp; B\" jid=\"" BOB
                 "\"><group>F</group></item></query></iq>");
    feed(&two, "<iq type='get' id='1'><query xmlns='jabber:iq:roster' ver='1'/></iq>");
    expect(&two, DONE(ANN2)); /* it has that version */
    feed(&one, ROSTER_SET("<item jid='" BOB "' subscription='remove'/>"));
    expect_push(&one, PUSH(ANN1, "2", "<item subscription=\"remove\" jid=\"" BOB "\"/>")
                      DONE(ANN1));
    expect_push(&two, PUSH(ANN2, "2", "<item subscription=\"remove\" jid=\"" BOB "\"/>"));
    close_link(&one);
    close_link(&two);
    free_world(w);
}

static void test_bad_sets(void **state)
{
    static const struct {
        const char *in, *condition;
    } rows[] = {
        {"", "<bad-request"},
        {"<item/>", "<bad-request"},
        {"<item jid='a@b'/><item jid='c@d'/>", "<bad-request"},
        {"<item jid='a@@b'/>", "<bad-request"},
        {"<item jid='a@b'><group>x</group><group>x</group></item>", "<bad-request"},
        {"<item jid='a@b'><group/></item>", "<not-acceptable"},
        {"<item jid='a@b' subscription='remove'/>", "<item-not-found"},
    };
    struct world *w = new_world("modern");
    struct link l;
    char xml[512];

    (void)state;
    open_as(&l, w, "ann", "one");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(xml, sizeof xml, ROSTER_SET("%s"), rows[i].in);
        feed(&l, xml);
        if (!strstr(got(&l), rows[i].condition))
            fail_msg("%s: %s", rows[i].in, l.got.p);
    }
    close_link(&l);
    free_world(w);
}

/* ---- subscriptions ---- */

#define SUB(type, to) "<presence type='" type "' to='" to "'/>"
#define FROM(from, to, type) "<presence from=\"" from "\" to=\"" to "\" type='" type "'/>"
#define GONE(from, to) "<presence from=\"" from "\" to=\"" to "\" type=\"unavailable\"/>"
#define HERE(from, to) "<presence from=\"" from "\" to=\"" to "\"/>"

/* Ann asks, Bob agrees: each step is seen by both, as RFC 6121 §3.1 shows it. */
static void test_subscribe(void **state)
{
    struct world *w = new_world("modern");
    struct link ann, bob;

    (void)state;
    open_as(&ann, w, "ann", "one");
    open_as(&bob, w, "bob", "one");
    feed(&ann, ROSTER_GET "<presence/>");
    feed(&bob, ROSTER_GET "<presence><show>away</show></presence>");
    got(&ann);
    got(&bob);
    feed(&ann, SUB("subscribe", BOB));
    expect_push(&ann, PUSH(ANN1, "1", "<item subscription=\"none\" ask=\"subscribe\" jid=\"" BOB
                                      "\"/>"));
    expect(&bob, FROM(ANN, BOB, "subscribe")); /* and not in his roster */
    feed(&bob, SUB("subscribed", ANN));
    expect_push(&bob, PUSH(BOB1, "1", "<item subscription=\"from\" jid=\"" ANN "\"/>"));
    expect_push(&ann, FROM(BOB, ANN, "subscribed")
                PUSH(ANN1, "2", "<item subscription=\"to\" jid=\"" BOB "\"/>")
                "<presence from=\"" BOB1 "\" to=\"" ANN "\"><show>away</show></presence>");
    feed(&bob, SUB("subscribe", ANN));
    got(&bob);
    expect(&ann, FROM(BOB, ANN, "subscribe"));
    feed(&ann, SUB("subscribed", BOB));
    expect_push(&ann, PUSH(ANN1, "3", "<item subscription=\"both\" jid=\"" BOB "\"/>"));
    expect_push(&bob, FROM(ANN, BOB, "subscribed")
                PUSH(BOB1, "3", "<item subscription=\"both\" jid=\"" ANN "\"/>") HERE(ANN1, BOB));
    /* both ways: each sees the other come and go */
    feed(&bob, "<presence type='unavailable'><status>bye</status></presence>");
    expect(&ann, "<presence from=\"" BOB1 "\" to=\"" ANN "\" type='unavailable'>"
                 "<status>bye</status></presence>");
    feed(&bob, "<presence/>");
    expect(&ann, HERE(BOB1, ANN));
    expect(&bob, HERE(BOB1, BOB) HERE(ANN1, BOB));
    /* and the end of it */
    feed(&ann, SUB("unsubscribe", BOB));
    expect_push(&ann, PUSH(ANN1, "4", "<item subscription=\"from\" jid=\"" BOB "\"/>")
                GONE(BOB1, ANN));
    expect_push(&bob, FROM(ANN, BOB, "unsubscribe")
                PUSH(BOB1, "4", "<item subscription=\"to\" jid=\"" ANN "\"/>"));
    feed(&bob, ROSTER_SET("<item jid='" ANN "' subscription='remove'/>"));
    assert_non_null(strstr(got(&bob), "subscription=\"remove\""));
    expect_push(&ann, "<presence type=\"unsubscribe\" from=\"" BOB "\" to=\"" ANN "\"/>"
                PUSH(ANN1, "5", "<item subscription=\"none\" jid=\"" BOB "\"/>"));
    close_link(&ann);
    close_link(&bob);
    free_world(w);
}

/* Who is not there is asked when he comes (§3.1.3), and what was agreed to before is (§3.4). */
static void test_subscribe_later(void **state)
{
    static char big[6000];
    struct world *w = new_world("modern");
    struct link ann, bob;

    (void)state;
    open_as(&bob, w, "bob", "one");
    close_link(&bob); /* his account is there */
    open_as(&ann, w, "ann", "one");
    feed(&ann, ROSTER_GET "<presence/>" SUB("subscribe", BOB));
    got(&ann);
    open_as(&bob, w, "bob", "one");
    feed(&bob, "<presence/>");
    expect(&bob, HERE(BOB1, BOB) FROM(ANN, BOB, "subscribe"));
    snprintf(big, sizeof big, "<presence type='subscribe' to='" BOB "'><status>%05000d</status>"
                              "</presence>", 0);
    feed(&bob, SUB("unsubscribed", ANN));
    got(&ann);
    got(&bob);
    feed(&ann, big); /* what is kept for him has a bound */
    got(&ann);
    expect(&bob, "<presence type=\"subscribe\" from=\"" ANN "\" to=\"" BOB "\"/>");
    feed(&bob, SUB("unsubscribed", ANN));
    expect_push(&ann, FROM(BOB, ANN, "unsubscribed")
                PUSH(ANN1, "4", "<item subscription=\"none\" jid=\"" BOB "\"/>"));
    feed(&bob, SUB("subscribed", ANN)); /* before she asks again */
    expect(&ann, "");
    feed(&ann, SUB("subscribe", BOB));
    assert_non_null(strstr(got(&ann), "<item subscription=\"to\""));
    assert_null(strstr(got(&bob), "type='subscribe'"));
    close_link(&ann);
    close_link(&bob);
    free_world(w);
}

/* RFC 6121 A.2, A.3: each state with each type. `next`: 0xff: as it was. */
static void test_states(void **state)
{
    enum { T = SUB_TO, F = SUB_FROM, O = SUB_PENDING_OUT, I = SUB_PENDING_IN, SAME = 0xff };
    static const unsigned states[] = {0, O, I, O | I, T, T | I, F, F | O, T | F};
    static const struct {
        enum sub_type type;
        bool in;
        unsigned next[9];
    } rows[] = {
        /* none, out, in, out+in, to, to+in, from, from+out, both */
        {SUB_SUBSCRIBE, false, {O, SAME, O | I, SAME, SAME, SAME, F | O, SAME, SAME}},
        {SUB_UNSUBSCRIBE, false, {SAME, 0, SAME, I, 0, I, SAME, F, F}},
        {SUB_SUBSCRIBED, false, {SUB_APPROVED, O | SUB_APPROVED, F, F | O, T | SUB_APPROVED, T | F,
                                 SAME, SAME, SAME}},
        {SUB_UNSUBSCRIBED, false, {SAME, SAME, 0, O, SAME, T, 0, O, T}},
        {SUB_SUBSCRIBE, true, {I, O | I, SAME, SAME, T | I, SAME, SAME, SAME, SAME}},
        {SUB_UNSUBSCRIBE, true, {SAME, SAME, 0, O, SAME, T, 0, O, T}},
        {SUB_SUBSCRIBED, true, {SAME, T, SAME, T | I, SAME, SAME, SAME, T | F, SAME}},
        {SUB_UNSUBSCRIBED, true, {SAME, 0, SAME, I, 0, I, SAME, F, F}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int k = 0; k < 9; k++) {
            struct sub_change c = rows[i].in ? sub_in(states[k], rows[i].type)
                                             : sub_out(states[k], rows[i].type);
            unsigned next = (states[k] & ~c.clear) | c.set;
            unsigned wanted = rows[i].next[k] == SAME ? states[k] : rows[i].next[k];

            if (next != wanted)
                fail_msg("row %zu, state %d: %x, not %x", i, k, next, wanted);
        }
    }
}

/* ---- presence ---- */

/* A connection that breaks says nothing: those who saw it learn of it; directed presence, too. */
static void test_gone(void **state)
{
    struct world *w = new_world("modern");
    struct link ann, bob, two;

    (void)state;
    open_as(&ann, w, "ann", "one");
    open_as(&two, w, "ann", "two");
    open_as(&bob, w, "bob", "one");
    feed(&bob, "<presence/>");
    feed(&two, "<presence/>");
    got(&bob);
    got(&two);
    feed(&ann, "<presence to='" BOB1 "'><status>for you</status></presence>");
    expect(&bob, "<presence from=\"" ANN1 "\" to=\"" BOB1 "\"><status>for you</status></presence>");
    feed(&ann, "<presence/>");
    expect(&ann, HERE(ANN1, ANN) HERE(ANN2, ANN));
    expect(&two, HERE(ANN1, ANN));
    close_link(&ann);
    expect(&two, GONE(ANN1, ANN));
    expect(&bob, GONE(ANN1, BOB1));
    close_link(&bob);
    close_link(&two);
    free_world(w);
}

/* The newer connection gets the resource (RFC 6120 §7.7.2.2). */
static void test_conflict(void **state)
{
    struct world *w = new_world("modern");
    struct link old, new;

    (void)state;
    open_as(&old, w, "ann", "one");
    feed(&old, "<presence/>");
    got(&old);
    open_as(&new, w, "ann", "one");
    expect(&old, STREAM_ERROR("conflict"));
    assert_true(server_done(old.s));
    close_link(&old);
    feed(&new, "<message to='" ANN1 "'/>");
    expect(&new, "<message from=\"" ANN1 "\" to=\"" ANN1 "\"/>");
    close_link(&new);
    free_world(w);
}

/* Or the older one keeps it, or the newer one gets another. */
static void test_conflict_otherwise(void **state)
{
    static const enum profile_conflict ways[] = {CONFLICT_REFUSE, CONFLICT_RENAME};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct world *w = new_world("modern");
        struct profile *p = (struct profile *)w->profile;
        struct link old, new;
        const char *says;

        p->conflict = ways[i];
        open_as(&old, w, "ann", "one");
        open_in(&new, w);
        server_tls(new.s);
        feed(&new, OPEN AUTH_PLAIN OPEN BIND("one"));
        says = got(&new);
        assert_int_equal(strstr(says, "<error type=\"cancel\"><conflict ") != NULL, i == 0);
        assert_int_equal(strstr(says, "<jid>" ANN "/") != NULL, i == 1);
        assert_null(strstr(says, "<jid>" ANN1 "</jid>"));
        assert_false(server_done(old.s));
        feed(&new, BIND("two")); /* one that was refused may ask for another */
        assert_int_equal(strstr(got(&new), "<jid>" ANN2 "</jid>") != NULL, i == 0);
        close_link(&old);
        close_link(&new);
        free_world(w);
    }
}

/* ---- messages ---- */

static void test_messages(void **state)
{
#define M(to, type, body) "<message to='" to "' type='" type "'><body>" body "</body></message>"
#define GOT(to, type, body)                                                                        \
    "<message from=\"" BOB1 "\" to=\"" to "\" type='" type "'><body>" body "</body></message>"
    struct world *w = new_world("modern");
    struct link one, two, bob;
    const char *kept;

    (void)state;
    w->fixed_s = 1000000000;
    open_as(&one, w, "ann", "one");
    open_as(&two, w, "ann", "two");
    open_as(&bob, w, "bob", "one");
    /* nobody is there for a bare JID; a full one is connected all the same */
    feed(&bob, M(ANN, "chat", "later") M(ANN2, "chat", "now") M(ANN, "headline", "lost"));
    expect(&one, "");
    expect(&two, GOT(ANN2, "chat", "now"));
    feed(&one, "<presence><priority>-1</priority></presence>");
    assert_null(strstr(got(&one), "later"));
    feed(&two, "<presence><priority>5</priority></presence>");
    kept = strstr(got(&two), "<message from");
    assert_non_null(kept);
    assert_string_equal(kept, "<message from=\"" BOB1 "\" to=\"" ANN "\" type='chat'>"
                              "<body>later</body><delay xmlns=\"urn:xmpp:delay\" "
                              "from=\"example.org\" stamp=\"2001-09-09T01:46:40Z\"/></message>");
    got(&one);
    feed(&one, "<presence><priority>3</priority></presence>");
    got(&one);
    got(&two);
    feed(&bob, M(ANN, "chat", "best") M(ANN, "headline", "all") M(ANN "/x", "chat", "as bare"));
    expect(&one, GOT(ANN, "headline", "all"));
    expect(&two, GOT(ANN, "chat", "best") GOT(ANN, "headline", "all")
                 GOT(ANN "/x", "chat", "as bare"));
    feed(&bob, M(ANN, "groupchat", "no room") "<message to='" ANN "' type='error'/>");
    assert_non_null(strstr(got(&bob), "<service-unavailable"));
    expect(&one, "");
    close_link(&one);
    close_link(&two);
    close_link(&bob);
    free_world(w);
}

/* An iq to a full JID is the other client's, and its answer comes back. */
static void test_iqs(void **state)
{
    struct world *w = new_world("modern");
    struct link ann, bob;

    (void)state;
    open_as(&ann, w, "ann", "one");
    open_as(&bob, w, "bob", "one");
    feed(&ann, "<iq type='get' id='7' to='" BOB1 "'><q xmlns='x'/></iq>");
    expect(&bob, "<iq from=\"" ANN1 "\" to=\"" BOB1 "\" type='get' id='7'><q xmlns='x'/></iq>");
    feed(&bob, "<iq type='result' id='7' to='" ANN1 "'/>");
    expect(&ann, "<iq from=\"" BOB1 "\" to=\"" ANN1 "\" type='result' id='7'/>");
    feed(&ann, "<iq type='result' id='8' to='" BOB "/nobody'/>"); /* no answer to an answer */
    expect(&ann, "");
    close_link(&ann);
    close_link(&bob);
    free_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),     cmocka_unit_test(test_bad_sets),
        cmocka_unit_test(test_subscribe), cmocka_unit_test(test_subscribe_later),
        cmocka_unit_test(test_states),    cmocka_unit_test(test_gone),
        cmocka_unit_test(test_conflict),  cmocka_unit_test(test_conflict_otherwise), cmocka_unit_test(test_messages),
        cmocka_unit_test(test_iqs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Privacy lists (XEP-0016) and blocking (XEP-0191): what is read, what passes, who is told. */
#include "server_tests.h"

#include "../../proxy/server/part.h"
#include "../../proxy/server/privacy.h"

#define ANN  "ann@example.org"
#define BOB  "bob@example.org"
#define ANN1 ANN "/one"
#define ANN2 ANN "/two"
#define BOB1 BOB "/one"

/* ---- a list alone ---- */

/* Puts `rules` into a list; the error's condition, or NULL. */
static const char *put(struct privacy *p, const char *name, const char *rules)
{
    struct part *part = part_new();
    const struct item *it;
    const char *condition;
    char xml[8192];

    snprintf(xml, sizeof xml, "<list xmlns='jabber:iq:privacy' name='%s'>%s</list>", name, rules);
    assert_int_equal(part_text(part, xml, &it), 0);
    condition = privacy_put(p, it, 0);
    part_free(part);
    return condition;
}

static struct roster *some_roster(void)
{
    static struct roster r;
    static const char *const group[] = {"Band", "Friends"};
    struct roster_item *i = roster_make(&r, BOB);

    roster_name(i, NULL, group, 2);
    i->subscription = SUB_TO;
    return &r;
}

static void test_rules(void **state)
{
#define DENY(rest) "<item action='deny' order='1'" rest
    static const struct {
        const char *rules;
        enum privacy_kind kind;
        const char *bare, *resource;
        bool passes;
    } rows[] = {
        {DENY("/>"), PRIVACY_MESSAGE, BOB, "one", false},
        {DENY("/>"), PRIVACY_OUT, BOB, "one", false},
        {DENY(" type='jid' value='bob@example.org'/>"), PRIVACY_IQ, BOB, "one", false},
        {DENY(" type='jid' value='BOB@Example.org'/>"), PRIVACY_IQ, BOB, "", false},
        {DENY(" type='jid' value='bob@example.org/two'/>"), PRIVACY_IQ, BOB, "one", true},
        {DENY(" type='jid' value='bob@example.org/one'/>"), PRIVACY_IQ, BOB, "one", false},
        {DENY(" type='jid' value='example.org'/>"), PRIVACY_IQ, BOB, "one", false},
        {DENY(" type='jid' value='example.org/one'/>"), PRIVACY_IQ, BOB, "one", false},
        {DENY(" type='jid' value='example.org/two'/>"), PRIVACY_IQ, BOB, "one", true},
        {DENY(" type='jid' value='ample.org'/>"), PRIVACY_IQ, BOB, "one", true},
        {DENY(" type='jid' value='bobb@example.org'/>"), PRIVACY_IQ, BOB, "one", true},
        {DENY(" type='group' value='Friends'/>"), PRIVACY_MESSAGE, BOB, "", false},
        {DENY(" type='group' value='friends'/>"), PRIVACY_MESSAGE, BOB, "", true},
        {DENY(" type='subscription' value='to'/>"), PRIVACY_MESSAGE, BOB, "", false},
        {DENY(" type='subscription' value='both'/>"), PRIVACY_MESSAGE, BOB, "", true},
        {DENY(" type='subscription' value='none'/>"), PRIVACY_MESSAGE, "x@y", "", false},
        {DENY("><message/></item>"), PRIVACY_MESSAGE, BOB, "", false},
        {DENY("><message/></item>"), PRIVACY_IQ, BOB, "", true},
        {DENY("><message/></item>"), PRIVACY_OUT, BOB, "", true},
        {DENY("><presence-in/><iq/></item>"), PRIVACY_IQ, BOB, "", false},
        {DENY("><presence-in/></item>"), PRIVACY_PRESENCE_OUT, BOB, "", true},
        {DENY("><presence-out/></item>"), PRIVACY_PRESENCE_OUT, BOB, "", false},
        /* the order decides, not the place */
        {"<item action='deny' order='7'/><item action='allow' order='3' type='jid' "
         "value='bob@example.org'/>", PRIVACY_MESSAGE, BOB, "one", true},
        {"<item action='deny' order='7'/><item action='allow' order='3' type='jid' "
         "value='bob@example.org'/>", PRIVACY_MESSAGE, ANN, "one", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct privacy p = {.lists = 0};
        const char *condition = put(&p, "l", rows[i].rules);

        if (condition)
            fail_msg("%s: %s", rows[i].rules, condition);
        if (privacy_allows(privacy_find(&p, "l"), some_roster(), rows[i].kind, rows[i].bare,
                           rows[i].resource) != rows[i].passes)
            fail_msg("row %zu: %s", i, rows[i].rules);
        privacy_free(&p);
    }
    roster_free(some_roster());
}

static void test_bad_lists(void **state)
{
    static const struct {
        const char *rules, *condition;
    } rows[] = {
        {"<item order='1'/>", "bad-request"},
        {"<item action='deny'/>", "bad-request"},
        {"<item action='maybe' order='1'/>", "bad-request"},
        {"<item action='deny' order='-1'/>", "bad-request"},
        {"<item action='deny' order='4294967296'/>", "bad-request"},
        {"<item action='deny' order='1'/><item action='allow' order='1'/>", "bad-request"},
        {"<item action='deny' order='1' type='what' value='x'/>", "bad-request"},
        {"<item action='deny' order='1' type='jid'/>", "bad-request"},
        {"<item action='deny' order='1' type='jid' value='a@@b'/>", "jid-malformed"},
        {"<item action='deny' order='1' type='subscription' value='maybe'/>", "bad-request"},
        {"<what/>", "bad-request"},
        {"", "item-not-found"},
    };
    static char many[65 * 40];
    struct privacy p = {.lists = 0};
    char name[8];
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *condition = put(&p, "l", rows[i].rules);

        if (!condition || strcmp(condition, rows[i].condition) != 0)
            fail_msg("%s: %s", rows[i].rules, condition ? condition : "taken");
        assert_int_equal(p.lists, 0);
    }
    for (int i = 0; i < 65; i++)
        n += (size_t)sprintf(many + n, "<item action='deny' order='%d'/>", i);
    assert_string_equal(put(&p, "l", many), "resource-constraint");
    for (int i = 0; i < PRIVACY_LISTS; i++) {
        snprintf(name, sizeof name, "l%d", i);
        assert_null(put(&p, name, "<item action='deny' order='1'/>"));
    }
    assert_string_equal(put(&p, "one more", "<item action='deny' order='1'/>"),
                        "resource-constraint");
    privacy_free(&p);
}

/* ---- between clients ---- */

#define HERE(from, to) "<presence from=\"" from "\" to=\"" to "\"/>"
#define GONE(from, to) "<presence from=\"" from "\" to=\"" to "\" type=\"unavailable\"/>"
#define SAY "<message to='" ANN1 "' type='chat'><body>x</body></message>"
#define SET(rest) "<iq type='set' id='1'>" rest "</iq>"
#define LIST(rest) SET("<query xmlns='jabber:iq:privacy'>" rest "</query>")
#define GET "<iq type='get' id='1'><query xmlns='jabber:iq:privacy'/></iq>"
#define NO_BOB                                                                                     \
    "<list name='no'><item type='jid' value='" BOB "' action='deny' order='1'/></list>"
#define DONE(who)  "<iq type=\"result\" id=\"1\" to=\"" who "\"/>"
#define ERROR(condition) "><" condition " xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/>"

static void says(struct link *l, const char *in, const char *wanted)
{
    feed(l, in);
    if (!strstr(got(l), wanted))
        fail_msg("%s: %s, without %s", in, l->got.p, wanted);
}

/* Ann and Bob see each other. */
static void befriend(struct link *ann, struct link *bob)
{
    feed(ann, "<presence/><presence type='subscribe' to='" BOB "'/>");
    feed(bob, "<presence/><presence type='subscribed' to='" ANN "'/>"
              "<presence type='subscribe' to='" ANN "'/>");
    feed(ann, "<presence type='subscribed' to='" BOB "'/>");
    got(ann);
    got(bob);
}

static void test_applied(void **state)
{
    struct world *w = new_world("modern");
    struct link ann, two, bob;

    (void)state;
    open_as(&ann, w, "ann", "one");
    open_as(&two, w, "ann", "two");
    open_as(&bob, w, "bob", "one");
    befriend(&ann, &bob);
    got(&two);
    says(&ann, LIST(NO_BOB), DONE(ANN1)); /* not in force yet */
    assert_non_null(strstr(got(&two), "<query xmlns=\"jabber:iq:privacy\"><list name=\"no\"/>"));
    feed(&bob, SAY);
    assert_non_null(strstr(got(&ann), "<body>x</body>"));
    says(&ann, LIST("<active name='no'/>"), DONE(ANN1));
    expect(&bob, GONE(ANN1, BOB)); /* he sees her no more */
    says(&bob, SAY, ERROR("service-unavailable"));
    says(&bob, "<iq type='get' id='2' to='" ANN1 "'><x xmlns='y'/></iq>", ERROR("service-unavailable"));
    feed(&bob, "<presence><show>away</show></presence>");
    got(&bob);
    expect(&ann, "");
    says(&ann, "<message to='" BOB "'><body>x</body></message>", ERROR("not-acceptable"));
    feed(&ann, "<presence/>");
    expect(&bob, "");
    feed(&bob, "<message to='" ANN2 "'><body>to the other</body></message>"); /* which has no list */
    assert_non_null(strstr(got(&two), "to the other"));
    says(&ann, GET, "<list name=\"no\"/><active name=\"no\"/></query>");
    says(&ann, LIST("<active/>"), DONE(ANN1));
    expect(&bob, HERE(ANN1, BOB));
    feed(&bob, SAY);
    assert_non_null(strstr(got(&ann), "<body>x</body>"));
    close_link(&ann);
    close_link(&two);
    close_link(&bob);
    free_world(w);
}

/* The default is for whoever has no active list, also while nobody is there. */
static void test_default(void **state)
{
    struct world *w = new_world("modern");
    struct link ann, two, bob;

    (void)state;
    open_as(&ann, w, "ann", "one");
    open_as(&bob, w, "bob", "one");
    says(&ann, LIST(NO_BOB), DONE(ANN1));
    says(&ann, LIST("<default name='no'/>"), DONE(ANN1));
    says(&bob, SAY, ERROR("service-unavailable"));
    open_as(&two, w, "ann", "two");
    says(&two, LIST("<default/>"), ERROR("conflict")); /* the other goes by it */
    says(&two, LIST("<list name='no'/>"), ERROR("conflict"));
    close_link(&two);
    close_link(&ann);
    says(&bob, "<message to='" ANN "' type='chat'><body>x</body></message>",
         ERROR("service-unavailable"));
    open_as(&ann, w, "ann", "one");
    feed(&ann, "<presence/>");
    assert_null(strstr(got(&ann), "<body>")); /* it was not kept */
    says(&ann, LIST("<default/>"), DONE(ANN1));
    says(&ann, LIST("<list name='no'/>"), DONE(ANN1));
    says(&ann, GET, "<query xmlns=\"jabber:iq:privacy\"></query>");
    close_link(&ann);
    close_link(&bob);
    free_world(w);
}

static void test_errors(void **state)
{
    static const struct {
        const char *in, *condition;
    } rows[] = {
        {LIST("<active name='nothing'/>"), "item-not-found"},
        {LIST("<default name='nothing'/>"), "item-not-found"},
        {LIST("<list name='nothing'/>"), "item-not-found"},
        {LIST("<active/><default/>"), "bad-request"},
        {LIST(""), "bad-request"},
        {LIST("<what/>"), "bad-request"},
        {"<iq type='get' id='1'><query xmlns='jabber:iq:privacy'><list name='a'/><list "
         "name='b'/></query></iq>", "bad-request"},
        {"<iq type='get' id='1'><query xmlns='jabber:iq:privacy'><list name='a'/></query></iq>",
         "item-not-found"},
        {SET("<block xmlns='urn:xmpp:blocking'/>"), "bad-request"},
        {SET("<block xmlns='urn:xmpp:blocking'><item jid='a@@b'/></block>"), "jid-malformed"},
        {SET("<block xmlns='urn:xmpp:blocking'><what/></block>"), "jid-malformed"},
    };
    struct world *w = new_world("modern");
    struct link l;

    (void)state;
    open_as(&l, w, "ann", "one");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char wanted[64];

        snprintf(wanted, sizeof wanted, "<%s ", rows[i].condition);
        says(&l, rows[i].in, wanted);
    }
    close_link(&l);
    free_world(w);
}

#define BLOCKS(name, rest) "<" name " xmlns='urn:xmpp:blocking'>" rest "</" name ">"

static void test_blocking(void **state)
{
    struct world *w = new_world("modern");
    struct link ann, two, bob;

    (void)state;
    open_as(&ann, w, "ann", "one");
    open_as(&two, w, "ann", "two");
    open_as(&bob, w, "bob", "one");
    befriend(&ann, &bob);
    got(&two);
    says(&two, "<iq type='get' id='1'><blocklist xmlns='urn:xmpp:blocking'/></iq>",
         "<blocklist xmlns=\"urn:xmpp:blocking\"></blocklist>");
    says(&ann, SET(BLOCKS("block", "<item jid='BOB@example.org'/>")), DONE(ANN1));
    assert_non_null(strstr(got(&two), "<block xmlns=\"urn:xmpp:blocking\"><item jid=\"" BOB
                                      "\"/></block>"));
    expect(&bob, GONE(ANN1, BOB));
    says(&bob, SAY, ERROR("service-unavailable"));
    says(&bob, "<presence type='probe' to='" ANN "'/>", "");
    says(&ann, "<message to='" BOB1 "'><body>x</body></message>",
         ERROR("not-acceptable") "<blocked xmlns=\"urn:xmpp:blocking:errors\"/>");
    says(&ann, "<iq type='get' id='1'><blocklist xmlns='urn:xmpp:blocking'/></iq>",
         "<item jid=\"" BOB "\"/>");
    says(&ann, SET(BLOCKS("unblock", "")), DONE(ANN1));
    assert_non_null(strstr(got(&two), "<unblock xmlns=\"urn:xmpp:blocking\"></unblock>"));
    expect(&bob, HERE(ANN1, BOB));
    feed(&bob, SAY);
    assert_non_null(strstr(got(&ann), "<body>x</body>"));
    close_link(&ann);
    close_link(&two);
    close_link(&bob);
    free_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),   cmocka_unit_test(test_bad_lists),
        cmocka_unit_test(test_applied), cmocka_unit_test(test_default),
        cmocka_unit_test(test_errors),  cmocka_unit_test(test_blocking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What clients of one embedded server keep from each other by privacy lists (XEP-0016) and blocked
 * JIDs (XEP-0191), step by step: what each of three hears. */
#include "server_tests.h"

#define ANN  "ann@example.org"
#define BOB  "bob@example.org"
#define ANN1 ANN "/one"
#define ANN2 ANN "/two"
#define BOB1 BOB "/one"

#define IQ(type, payload) "<iq type='" type "' id='1'>" payload "</iq>"
#define QUERY(type, children)                                                                      \
    IQ(type, "<query xmlns='jabber:iq:privacy'>" children "</query>")
#define LIST(name, rules) QUERY("set", "<list name='" name "'>" rules "</list>")
#define DENY(children)                                                                             \
    "<item type='jid' value='" BOB "' action='deny' order='1'>" children "</item>"
#define ACTIVE(name)  QUERY("set", "<active name='" name "'/>")
#define DEFAULT(name) QUERY("set", "<default name='" name "'/>")
#define BLOCKING(type, name, items)                                                                \
    IQ(type, "<" name " xmlns='urn:xmpp:blocking'>" items "</" name ">")
#define BLOCK(jid)   BLOCKING("set", "block", "<item jid='" jid "'/>")
#define UNBLOCK(jid) BLOCKING("set", "unblock", "<item jid='" jid "'/>")

#define DONE(who) "<iq type=\"result\" id=\"1\" to=\"" who "\"/>"
#define LISTS(who, children)                                                                       \
    "<iq type=\"result\" id=\"1\" to=\"" who "\"><query xmlns=\"jabber:iq:privacy\">" children     \
    "</query></iq>"
#define PUSH_LIST(who, name)                                                                       \
    "<iq type=\"set\" id=\"\" to=\"" who "\"><query xmlns=\"jabber:iq:privacy\"><list name=\""     \
    name "\"/></query></iq>"
#define PUSH(who, element, items)                                                                  \
    "<iq type=\"set\" id=\"\" to=\"" who "\"><" element " xmlns=\"urn:xmpp:blocking\">" items      \
    "</" element "></iq>"
#define CONDITION(name) "<" name " xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/>"
#define IS_BLOCKED      CONDITION("not-acceptable") "<blocked xmlns=\"urn:xmpp:blocking:errors\"/>"
#define UNAVAILABLE     CONDITION("service-unavailable")

#define GONE(from, to) "<presence from=\"" from "\" to=\"" to "\" type=\"unavailable\"/>"
#define HERE(from, to) "<presence from=\"" from "\" to=\"" to "\"/>"
#define CHAT(to)       "<message to='" to "'><body>hi</body></message>"
#define CHAT_R(from, to) "<message from=\"" from "\" to=\"" to "\"><body>hi</body></message>"
#define PING(to)       "<iq type='get' id='1' to='" to "'><ping xmlns='urn:xmpp:ping'/></iq>"

/* ---- connections ---- */

struct scene {
    struct world *w;
    struct link ann, two, bob; /* two: Ann's second client */
};

/* Ann and Bob see each other. */
static void open_scene(struct scene *s)
{
    s->w = new_world("modern");
    open_as(&s->ann, s->w, "ann", "one");
    open_as(&s->two, s->w, "ann", "two");
    open_as(&s->bob, s->w, "bob", "one");
    feed(&s->ann, "<presence/>");
    feed(&s->bob, "<presence/>");
    feed(&s->ann, "<presence type='subscribe' to='" BOB "'/>");
    feed(&s->bob, "<presence type='subscribed' to='" ANN "'/>"
                  "<presence type='subscribe' to='" ANN "'/>");
    feed(&s->ann, "<presence type='subscribed' to='" BOB "'/>");
    got(&s->ann);
    got(&s->two);
    got(&s->bob);
}

static void close_scene(struct scene *s)
{
    close_link(&s->ann);
    close_link(&s->two);
    close_link(&s->bob);
    free_world(s->w);
}

/* One client says something; what each of the three gets. NULL: not looked at; "~TEXT": it holds TEXT;
 * else all of it. */
struct step {
    char who; /* a, t, b */
    const char *says, *ann, *two, *bob;
};

static void look(struct link *l, const char *want, const struct step *step, const char *who)
{
    const char *text = without_ids(got(l));

    if (want && (*want == '~' ? !strstr(text, want + 1) : strcmp(text, want) != 0))
        fail_msg("behind %s\n%s gets %s\nnot %s", step->says, who, text, want);
}

static void play(const struct step *steps, size_t n)
{
    struct scene s;

    open_scene(&s);
    for (size_t i = 0; i < n; i++) {
        feed(steps[i].who == 'a' ? &s.ann : steps[i].who == 't' ? &s.two : &s.bob, steps[i].says);
        look(&s.ann, steps[i].ann, &steps[i], "Ann");
        look(&s.two, steps[i].two, &steps[i], "Ann's second client");
        look(&s.bob, steps[i].bob, &steps[i], "Bob");
    }
    close_scene(&s);
}

#define PLAY(steps) play(steps, sizeof steps / sizeof steps[0])

/* clang-format off */

/* ---- the iqs ---- */

static void test_lists(void **state)
{
    static const struct step steps[] = {
        {'a', QUERY("get", ""), LISTS(ANN1, ""), "", ""},
        {'t', QUERY("get", ""), "", LISTS(ANN2, ""), ""},
        {'a', LIST("l", DENY("<message/>")), PUSH_LIST(ANN1, "l") DONE(ANN1), PUSH_LIST(ANN2, "l"), ""},
        {'t', QUERY("get", "<list name='l'/>"), "",
         LISTS(ANN2, "<list name=\"l\"><item type=\"jid\" value=\"" BOB "\" action=\"deny\" "
                     "order=\"1\"><message/></item></list>"), ""},
        {'a', ACTIVE("l"), DONE(ANN1), "", ""},
        {'t', DEFAULT("l"), "", DONE(ANN2), ""},
        {'a', QUERY("get", ""),
         LISTS(ANN1, "<list name=\"l\"/><default name=\"l\"/><active name=\"l\"/>"), "", ""},
        {'t', QUERY("get", ""), "", LISTS(ANN2, "<list name=\"l\"/><default name=\"l\"/>"), ""},
        /* in use by somebody else */
        {'t', LIST("l", ""), "", "~" CONDITION("conflict"), ""},
        {'a', LIST("m", DENY("")), NULL, NULL, ""},
        {'a', DEFAULT("m"), "~" CONDITION("conflict"), "", ""},
        {'a', QUERY("set", "<default/>"), "~" CONDITION("conflict"), "", ""},
        {'a', ACTIVE("m"), GONE(BOB1, ANN) DONE(ANN1), "", GONE(ANN1, BOB)},
        {'t', DEFAULT("m"), "", DONE(ANN2), ""}, /* the other one has its own */
        {'t', LIST("m", ""), "", "~" CONDITION("conflict"), ""},
        /* the default one applies */
        {'a', QUERY("set", "<active/>"), DONE(ANN1), "", ""},
        {'t', ACTIVE("l"), "", DONE(ANN2), ""},
        {'a', LIST("m", ""), HERE(BOB1, ANN) PUSH_LIST(ANN1, "m") DONE(ANN1), PUSH_LIST(ANN2, "m"),
         HERE(ANN1, BOB)},
        {'t', LIST("l", ""), PUSH_LIST(ANN1, "l"), PUSH_LIST(ANN2, "l") DONE(ANN2), ""},
        {'t', QUERY("get", ""), "", LISTS(ANN2, ""), ""},
        /* what is no good */
        {'a', ACTIVE("l"), "~" CONDITION("item-not-found"), "", ""},
        {'a', DEFAULT("l"), "~" CONDITION("item-not-found"), "", ""},
        {'a', LIST("l", ""), "~" CONDITION("item-not-found"), "", ""},
        {'a', QUERY("get", "<list name='l'/>"), "~" CONDITION("item-not-found"), "", ""},
        {'a', QUERY("get", "<list name='l'/><list name='m'/>"), "~" CONDITION("bad-request"), "", ""},
        {'a', QUERY("get", "<list/>"), "~" CONDITION("bad-request"), "", ""},
        {'a', QUERY("set", ""), "~" CONDITION("bad-request"), "", ""},
        {'a', QUERY("set", "<active/><default/>"), "~" CONDITION("bad-request"), "", ""},
        {'a', LIST("l", "<item action='deny' order='1'/><item action='allow' order='1'/>"),
         "~" CONDITION("bad-request"), "", ""},
        {'a', LIST("l", "<item type='group' value='None' action='deny' order='1'/>"),
         "~" CONDITION("item-not-found"), "", ""},
    };

    (void)state;
    PLAY(steps);
}

static void test_block_iqs(void **state)
{
    static const struct step steps[] = {
        {'a', BLOCKING("get", "blocklist", ""), "~<blocklist xmlns=\"urn:xmpp:blocking\"></blocklist>",
         "", ""},
        {'a', BLOCKING("set", "block", "<item jid='Eve@Example.com/R'/><item jid='example.net'/>"),
         PUSH(ANN1, "block", "<item jid=\"eve@example.com/R\"/><item jid=\"example.net\"/>") DONE(ANN1),
         "", ""}, /* the second client has not asked */
        {'t', BLOCKING("get", "blocklist", ""), "",
         "~<blocklist xmlns=\"urn:xmpp:blocking\"><item jid=\"eve@example.com/R\"/>"
         "<item jid=\"example.net\"/></blocklist>", ""},
        {'t', UNBLOCK("example.net"), PUSH(ANN1, "unblock", "<item jid=\"example.net\"/>"),
         PUSH(ANN2, "unblock", "<item jid=\"example.net\"/>") DONE(ANN2), ""},
        {'a', BLOCKING("set", "unblock", ""), PUSH(ANN1, "unblock", "") DONE(ANN1),
         PUSH(ANN2, "unblock", ""), ""},
        {'a', BLOCKING("get", "blocklist", ""), "~<blocklist xmlns=\"urn:xmpp:blocking\"></blocklist>",
         "", ""},
        {'a', BLOCKING("set", "block", ""), "~" CONDITION("bad-request"), "", ""},
        {'a', BLOCKING("set", "block", "<item/>"), "~" CONDITION("jid-malformed"), "", ""},
        {'a', BLOCK("a@@b"), "~" CONDITION("jid-malformed"), "", ""},
    };

    (void)state;
    PLAY(steps);
}

/* ---- blocked ---- */

static void test_blocked(void **state)
{
    static const struct step steps[] = {
        {'a', BLOCK(BOB), GONE(BOB1, ANN) DONE(ANN1), "", GONE(ANN1, BOB)},
        {'b', CHAT(ANN), "", "", "~" UNAVAILABLE},
        {'b', CHAT(ANN1), "", "", "~" UNAVAILABLE},
        {'b', "<message to='" ANN1 "' type='error'/>", "", "", ""},
        {'b', PING(ANN1), "", "", "~" UNAVAILABLE},
        {'b', "<iq type='get' id='1' to='" ANN "'><vCard xmlns='vcard-temp'/></iq>", "", "",
         "~" UNAVAILABLE},
        {'b', "<presence to='" ANN1 "'><status>look</status></presence>", "", "", ""},
        {'b', "<presence><show>dnd</show></presence>", "", "", NULL},
        {'b', "<presence type='unsubscribe' to='" ANN "'/>", "", "", ""},
        {'b', "<presence type='subscribe' to='" ANN "'/>", "", "", ""},
        {'a', "<presence><show>away</show></presence>", NULL, NULL, ""},
        {'a', CHAT(BOB), "~" IS_BLOCKED, "", ""},
        {'a', CHAT(BOB1), "~" IS_BLOCKED, "", ""},
        {'a', PING(BOB1), "~" IS_BLOCKED, "", ""},
        {'a', "<presence to='" BOB "'/>", "~" IS_BLOCKED, "", ""},
        {'t', CHAT(BOB), "", "~" IS_BLOCKED, ""},
        {'a', CHAT(ANN2), "", "~<body>hi", ""}, /* and all the rest goes on */
        {'a', PING("example.org"), "~result", "", ""},
    };

    (void)state;
    PLAY(steps);
}

static void test_unblocked(void **state)
{
    static const struct step steps[] = {
        {'a', BLOCK(BOB1), GONE(BOB1, ANN) DONE(ANN1), "", GONE(ANN1, BOB)},
        {'b', CHAT(ANN), "", "", "~" UNAVAILABLE},
        {'b', "<presence><show>dnd</show></presence>", "", "", NULL},
        {'a', UNBLOCK(BOB1), "<presence from=\"" BOB1 "\" to=\"" ANN "\"><show>dnd</show></presence>"
         DONE(ANN1), "", HERE(ANN1, BOB)},
        {'b', CHAT(ANN1), CHAT_R(BOB1, ANN1), "", ""},
        {'a', CHAT(BOB1), "", "", CHAT_R(ANN1, BOB1)},
        {'a', BLOCK("example.org"), NULL, "", GONE(ANN1, BOB)}, /* its own server */
        {'a', PING("example.org"), "~result", "", ""},
        {'a', CHAT(BOB1), "~" IS_BLOCKED, "", ""},
        {'a', BLOCKING("set", "unblock", ""), NULL, "", HERE(ANN1, BOB)},
        {'a', CHAT(BOB1), "", "", CHAT_R(ANN1, BOB1)},
    };

    (void)state;
    PLAY(steps);
}

/* Whom it had sent its presence without a subscription. */
static void test_directed(void **state)
{
    static const struct step steps[] = {
        {'t', "<presence to='" BOB1 "'/>", "", "", HERE(ANN2, BOB1)},
        {'t', BLOCK(BOB), NULL, NULL, GONE(ANN2, BOB) GONE(ANN1, BOB)},
        {'t', "<presence type='unavailable'/>", NULL, NULL, ""}, /* it is told once */
    };

    (void)state;
    PLAY(steps);
}

/* ---- lists ---- */

static void test_messages(void **state)
{
    static const struct step steps[] = {
        {'a', LIST("l", DENY("<message/>")) ACTIVE("l"), NULL, NULL, ""},
        {'b', CHAT(ANN1), "", "", "~" UNAVAILABLE},
        {'b', CHAT(ANN), "", "", "~" UNAVAILABLE}, /* the only one that is available */
        {'b', PING(ANN1), "~<ping", "", ""},
        {'a', CHAT(BOB1), "", "", CHAT_R(ANN1, BOB1)}, /* it is about what comes in */
        {'b', CHAT(ANN2), "", CHAT_R(BOB1, ANN2), ""}, /* and of that client alone */
        {'t', "<presence><priority>-1</priority></presence>", NULL, NULL, NULL},
        {'b', CHAT(ANN), "", "", "~" UNAVAILABLE},
        {'t', "<presence/>", NULL, NULL, NULL},
        {'b', CHAT(ANN), "", CHAT_R(BOB1, ANN), ""},
        {'a', QUERY("set", "<active/>"), DONE(ANN1), "", ""},
        {'b', CHAT(ANN1), CHAT_R(BOB1, ANN1), "", ""},
    };

    (void)state;
    PLAY(steps);
}

static void test_default(void **state)
{
    static const struct step steps[] = {
        {'a', LIST("l", DENY("<message/><iq/>")) LIST("open", "<item action='allow' order='1'/>")
              DEFAULT("l"), NULL, NULL, ""},
        {'b', CHAT(ANN2), "", "", "~" UNAVAILABLE},
        {'b', PING(ANN2), "", "", "~" UNAVAILABLE},
        {'b', "<iq type='get' id='1' to='" ANN "'><vCard xmlns='vcard-temp'/></iq>", "", "",
         "~" UNAVAILABLE},
        {'t', ACTIVE("open"), "", DONE(ANN2), ""},
        {'b', CHAT(ANN2), "", CHAT_R(BOB1, ANN2), ""},
        /* nobody is there: it is the account's */
        {'a', "<presence type='unavailable'/>", NULL, NULL, "~unavailable"},
        {'b', CHAT(ANN), "", "", "~" UNAVAILABLE},
        {'a', "<presence/>", NULL, NULL, NULL},
        /* the edited list applies at once */
        {'b', CHAT(ANN1), "", "", "~" UNAVAILABLE},
        {'a', LIST("l", DENY("<iq/>")), NULL, NULL, ""},
        {'b', CHAT(ANN1), CHAT_R(BOB1, ANN1), "", ""},
    };

    (void)state;
    PLAY(steps);
}

static void test_presence(void **state)
{
    static const struct step steps[] = {
        {'a', LIST("out", DENY("<presence-out/>")), NULL, NULL, ""},
        {'a', ACTIVE("out"), DONE(ANN1), "", GONE(ANN1, BOB)},
        {'a', "<presence><show>away</show></presence>", NULL, NULL, ""},
        {'b', "<presence><show>dnd</show></presence>",
         "<presence from=\"" BOB1 "\" to=\"" ANN "\"><show>dnd</show></presence>", "", NULL},
        {'b', CHAT(ANN1), CHAT_R(BOB1, ANN1), "", ""},
        /* the list is edited while it is active: what went out may come again, the other way is shut */
        {'a', LIST("out", DENY("<presence-in/>")),
         "~" GONE(BOB1, ANN), PUSH_LIST(ANN2, "out"),
         "<presence from=\"" ANN1 "\" to=\"" BOB "\"><show>away</show></presence>"},
        {'b', "<presence/>", "", "", NULL},
        {'a', QUERY("set", "<active/>"), HERE(BOB1, ANN) DONE(ANN1), "", ""},
        {'b', "<presence><show>xa</show></presence>", "~<show>xa", "", NULL},
        /* a removed one is gone */
        {'a', ACTIVE("out"), GONE(BOB1, ANN) DONE(ANN1), "", ""},
        {'a', LIST("out", ""), "~<show>xa", PUSH_LIST(ANN2, "out"), ""},
    };

    (void)state;
    PLAY(steps);
}

/* presence-in is about notifications: who asks is heard. */
static void test_asks(void **state)
{
    static const struct step steps[] = {
        {'a', LIST("in", DENY("<presence-in/>")) ACTIVE("in") DEFAULT("in"), NULL, NULL, ""},
        {'b', "<presence type='unsubscribe' to='" ANN "'/>", NULL, NULL, NULL},
        {'b', "<presence type='subscribe' to='" ANN "'/>", "~type='subscribe'", NULL, NULL},
    };

    (void)state;
    PLAY(steps);
}

/* All: outgoing messages and subscriptions, too; without XEP-0191's word for it. */
static void test_all(void **state)
{
    static const struct step steps[] = {
        {'a', LIST("l", DENY("")) ACTIVE("l"), NULL, NULL, GONE(ANN1, BOB)},
        {'a', CHAT(BOB1), "~" CONDITION("not-acceptable") "</error>", "", ""},
        {'a', "<presence type='unsubscribed' to='" BOB "'/>", "~" CONDITION("not-acceptable"), "", ""},
        {'t', CHAT(BOB1), "", "", CHAT_R(ANN2, BOB1)},
    };

    (void)state;
    PLAY(steps);
}

/* Who comes later is under the default list; the block list outlives its client. */
static void test_later(void **state)
{
    struct scene s;
    struct link late;

    (void)state;
    open_scene(&s);
    feed(&s.ann, BLOCK(BOB));
    got(&s.bob);
    open_as(&late, s.w, "ann", "late");
    feed(&late, "<presence/>");
    assert_null(strstr(got(&late), BOB)); /* a probe brings nothing */
    expect(&s.bob, "");
    close_link(&late);
    open_as(&late, s.w, "bob", "late");
    feed(&late, "<presence/>");
    assert_null(strstr(got(&late), ANN));
    feed(&late, CHAT(ANN));
    assert_non_null(strstr(got(&late), UNAVAILABLE));
    close_link(&late);
    close_scene(&s);
}

/* clang-format on */

/* What an iq can bring is described to its cap (READER_ATTRS); what is not is refused, not cut. */
static void test_how_many(void **state)
{
    struct scene s;
    char xml[8192];

    (void)state;
    open_scene(&s);
    for (int rules = 23; rules <= 24; rules++) {
        size_t n = (size_t)sprintf(xml, "<iq type='set' id='1'><query xmlns='jabber:iq:privacy'>"
                                        "<list name='l'>");

        for (int i = 0; i < rules; i++)
            n += (size_t)sprintf(xml + n, "<item type='jid' value='c%d@example.org' action='deny' "
                                          "order='%d'/>", i, i);
        sprintf(xml + n, "</list></query></iq>");
        feed(&s.ann, xml);
        assert_int_equal(strstr(got(&s.ann), "resource-constraint") != NULL, rules == 24);
    }
    for (int jids = 46; jids <= 47; jids++) {
        size_t n = (size_t)sprintf(xml, "<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'>");

        for (int i = 0; i < jids; i++)
            n += (size_t)sprintf(xml + n, "<item jid='c%d@example.org'/>", i);
        sprintf(xml + n, "</block></iq>");
        feed(&s.ann, xml);
        assert_int_equal(strstr(got(&s.ann), "resource-constraint") != NULL, jids == 47);
    }
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),    cmocka_unit_test(test_block_iqs),
        cmocka_unit_test(test_blocked),  cmocka_unit_test(test_unblocked),
        cmocka_unit_test(test_directed), cmocka_unit_test(test_messages),
        cmocka_unit_test(test_default),  cmocka_unit_test(test_presence),
        cmocka_unit_test(test_all),      cmocka_unit_test(test_later),
        cmocka_unit_test(test_asks),     cmocka_unit_test(test_how_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What accounts publish, who may read it and who is told (XEP-0060, XEP-0163). */
#include "server_tests.h"

#include "../../proxy/server/pep.h"

#define ANN  "ann@example.org"
#define BOB  "bob@example.org"
#define ANN1 ANN "/one"
#define ANN2 ANN "/two"
#define BOB1 BOB "/one"

#define PUBSUB  "http://jabber.org/protocol/pubsub"
#define ERRORS  " xmlns=\"" PUBSUB "#errors\""
#define STANZAS " xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\""

#define SET(to, ns, rest) IQ("set", to, ns, rest)
#define GET(to, ns, rest) IQ("get", to, ns, rest)
#define IQ(type, to, ns, rest)                                                                     \
    "<iq type='" type "' id='1'" to "><pubsub xmlns='" PUBSUB ns "'>" rest "</pubsub></iq>"
#define TUNE(id, text)                                                                             \
    "<publish node='tune'><item" id "><tune xmlns='t'>" text "</tune></item></publish>"
#define OPTIONS(fields)                                                                            \
    "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' "              \
    "type='hidden'><value>" PUBSUB "#publish-options</value></field>" fields                       \
    "</x></publish-options>"
#define FIELD(name, value) "<field var='pubsub#" name "'><value>" value "</value></field>"

#define DONE(who) "<iq type=\"result\" id=\"1\" to=\"" who "\"/>"
#define PUBLISHED(who, node, id)                                                                   \
    "<iq type=\"result\" id=\"1\" to=\"" who "\"><pubsub xmlns=\"" PUBSUB "\"><publish node=\""    \
    node "\"><item id=\"" id "\"/></publish></pubsub></iq>"
#define ITEMS(who, from, node, rest)                                                               \
    "<iq " from "type=\"result\" " who "><pubsub xmlns=\"" PUBSUB "\"><items node=\"" node "\">"   \
    rest "</items></pubsub></iq>"
#define OWN_ID "id=\"1\" to=\"" ANN1 "\""
#define EVENT(from, to, rest)                                                                      \
    "<message type=\"headline\" from=\"" from "\" to=\"" to "\"><event xmlns=\"" PUBSUB            \
    "#event\">" rest "</event></message>"
#define TUNED(from, to, id, text)                                                                  \
    EVENT(from, to, "<items node=\"tune\"><item id=\"" id "\"><tune xmlns='t'>" text               \
          "</tune></item></items>")

#define CAPS "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='%s'/>" \
             "</presence>"

/* ---- connections ---- */

static void join(struct link *l, struct world *w, const char *name, const char *resource)
{
    char plain[256], xml[1024], jid[256];
    struct buf base64;
    int n = snprintf(plain, sizeof plain, "%c%s%csecret", 0, name, 0);

    buf_init(&base64, 1024);
    assert_int_equal(buf_base64(&base64, plain, (size_t)n), 0);
    open_in(l, w);
    server_tls(l->s);
    snprintf(xml, sizeof xml, OPEN "<auth" SASL " mechanism='PLAIN'>%.*s</auth>" OPEN
             "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
             "<resource>%s</resource></bind></iq>", (int)base64.len, base64.p, resource);
    buf_free(&base64);
    feed(l, xml);
    snprintf(jid, sizeof jid, "<jid>%s@example.org/%s</jid>", name, resource);
    if (!strstr(got(l), jid))
        fail_msg("no %s in %s", jid, l->got.p);
}

static void expect_with(struct link *l, const char *in, const char *part)
{
    feed(l, in);
    if (!strstr(got(l), part))
        fail_msg("%s\nno %s\nin %s", in, part, l->got.p);
}

/* The id of the request for its capabilities, or "". Borrowed until the next call. */
static const char *asked(const char *text, const char *from, const char *to, const char *ver)
{
    static char id[64];
    char head[256], tail[256];
    const char *p;

    snprintf(head, sizeof head, "<iq type=\"get\" from=\"%s\" to=\"%s\" id=\"", from, to);
    snprintf(tail, sizeof tail, "\"><query xmlns=\"http://jabber.org/protocol/disco#info\" "
             "node=\"n#%s\"/></iq>", ver);
    p = strstr(text, head);
    if (!p)
        return "";
    snprintf(id, sizeof id, "%.*s", (int)strcspn(p + strlen(head), "\""), p + strlen(head));
    assert_memory_equal(p + strlen(head) + strlen(id), tail, strlen(tail));
    return id;
}

/* It comes with a version that nobody knows, and says what it can. */
static void come(struct link *l, const char *bare, const char *full, const char *ver,
                 const char *features)
{
    char xml[2048];
    const char *id;

    snprintf(xml, sizeof xml, CAPS, ver);
    feed(l, xml);
    id = asked(got(l), bare, full, ver);
    if (!*id)
        fail_msg("it was not asked: %s", l->got.p);
    snprintf(xml, sizeof xml,
             "<iq type='result' to='%s' id='%s'><query xmlns='http://jabber.org/protocol/disco#info'"
             " node='n#%s'><identity category='client' type='pc'/>%s</query></iq>",
             bare, id, ver, features);
    feed(l, xml);
}

#define WANTS(node) "<feature var='" node "+notify'/>"

static void befriend(struct link *ann, struct link *bob)
{
    feed(ann, "<presence type='subscribe' to='" BOB "'/>");
    feed(bob, "<presence type='subscribed' to='" ANN "'/><presence type='subscribe' to='" ANN
              "'/>");
    feed(ann, "<presence type='subscribed' to='" BOB "'/>");
    got(ann);
    got(bob);
}

struct two {
    struct world *w;
    struct link ann, bob;
};

static void open_two(struct two *t)
{
    t->w = new_world("modern");
    join(&t->ann, t->w, "ann", "one");
    join(&t->bob, t->w, "bob", "one");
}

static void close_two(struct two *t)
{
    close_link(&t->ann);
    close_link(&t->bob);
    free_world(t->w);
}

/* ---- the data ---- */

static void test_caps_of_data(void **state)
{
    static char big[PEP_BYTES], name[PEP_NAME + 2];
    struct pep p = {.node = NULL};
    struct pep_node *n, *other;
    struct pep_config c;

    (void)state;
    memset(name, 'n', PEP_NAME + 1);
    pep_config_init(&c);
    assert_int_equal(pep_make(&p, name, &c, &n), ERR_CAP);
    assert_int_equal(pep_make(&p, "a", &c, &n), 0);
    assert_int_equal(pep_put(&p, n, name, "x", 1), ERR_CAP);
    assert_int_equal(pep_put(&p, n, "1", big, PEP_BYTES), ERR_CAP);
    assert_int_equal(pep_put(&p, n, "1", big, PEP_BYTES / 2), 0);
    assert_int_equal(pep_put(&p, n, "2", big, PEP_BYTES / 2), 0); /* the first went for it */
    assert_int_equal(n->items, 1);
    assert_null(pep_item(n, "1"));
    for (int i = 1; i < PEP_NODES; i++) {
        snprintf(name, sizeof name, "%d", i);
        assert_int_equal(pep_make(&p, name, &c, &other), 0);
    }
    assert_int_equal(pep_make(&p, "b", &c, &n), ERR_CAP);
    assert_int_equal(pep_put(&p, other, "1", big, PEP_BYTES / 2), ERR_CAP);
    assert_true(pep_drop(&p, pep_find(&p, "a"), "2"));
    assert_int_equal(p.bytes, 0);
    assert_int_equal(pep_put(&p, other, "1", big, PEP_BYTES / 2), 0);
    pep_free(&p);
    assert_int_equal(p.bytes, 0);
}

static void test_order_of_items(void **state)
{
    struct pep p = {.node = NULL};
    struct pep_node *n;
    struct pep_config c;

    (void)state;
    pep_config_init(&c);
    c.value[PEP_MAX_ITEMS] = 2;
    assert_int_equal(pep_make(&p, "a", &c, &n), 0);
    assert_int_equal(pep_put(&p, n, "1", "x", 1), 0);
    assert_int_equal(pep_put(&p, n, "2", "y", 1), 0);
    assert_int_equal(pep_put(&p, n, "1", "z", 1), 0); /* it is the latest now */
    assert_string_equal(pep_last(n)->xml, "z");
    assert_int_equal(pep_put(&p, n, "3", "w", 1), 0);
    assert_null(pep_item(n, "2"));
    assert_non_null(pep_item(n, "1"));
    pep_trim(&p, n, 1);
    assert_string_equal(pep_last(n)->id, "3");
    assert_int_equal(n->items, 1);
    pep_free(&p);
}

/* ---- publishing and reading ---- */

static void test_publish(void **state)
{
    struct two t;

    (void)state;
    open_two(&t);
    expect_with(&t.ann, GET("", "", "<items node='tune'/>"), "<item-not-found" STANZAS);
    feed(&t.ann, SET("", "", TUNE(" id='a&amp;b'", "one")));
    expect(&t.ann, PUBLISHED(ANN1, "tune", "a&amp;b"));
    feed(&t.ann, SET("", "", TUNE(" id='2'", "two"))); /* one is kept, if nobody says more */
    expect(&t.ann, PUBLISHED(ANN1, "tune", "2"));
    feed(&t.ann, GET(" to='" ANN "'", "", "<items node='tune'/>"));
    expect(&t.ann, ITEMS("to=\"" ANN1 "\" id=\"1\"", "from=\"" ANN "\" ", "tune",
                         "<item id=\"2\"><tune xmlns='t'>two</tune></item>"));
    expect_with(&t.ann, SET("", "", TUNE("", "three")), "<publish node=\"tune\"><item id=\"");
    expect_with(&t.ann, GET("", "", "<items node='tune'/>"), "<tune xmlns='t'>three</tune>");
    feed(&t.ann, SET("", "", "<retract node='tune'><item id='2'/></retract>"));
    assert_non_null(strstr(got(&t.ann), "<item-not-found"));
    close_two(&t);
}

/* A payload may lean on what stands around it: it keeps its namespaces wherever it is shown. */
static void test_inherited_namespaces(void **state)
{
    struct two t;

    (void)state;
    open_two(&t);
    feed(&t.ann, "<iq type='set' id='1' xmlns:o='outer'><p:pubsub xmlns:p='" PUBSUB "'><p:publish "
                 "node='n' xmlns:q='near'><p:item id='i'> <o:x q:a='1'><q:y/></o:x> </p:item>"
                 "</p:publish></p:pubsub></iq>");
    expect(&t.ann, PUBLISHED(ANN1, "n", "i"));
    feed(&t.ann, GET("", "", "<items node='n'/>"));
    expect(&t.ann, ITEMS(OWN_ID, "", "n", "<item id=\"i\"><o:x q:a='1' xmlns:q='near' xmlns:p='"
                         PUBSUB "' xmlns:o='outer'><q:y/></o:x></item>"));
    close_two(&t);
}

#define MANY OPTIONS(FIELD("max_items", "max"))

static void test_items(void **state)
{
    struct two t;
    char xml[1024];

    (void)state;
    open_two(&t);
    for (int i = 1; i <= 4; i++) {
        snprintf(xml, sizeof xml, SET("", "", "<publish node='n'><item id='%d'><x xmlns='y'/></item>"
                 "</publish>" MANY), i);
        expect_with(&t.ann, xml, "type=\"result\"");
    }
#define X(id) "<item id=\"" id "\"><x xmlns='y'/></item>"
    feed(&t.ann, GET("", "", "<items node='n'/>"));
    expect(&t.ann, ITEMS(OWN_ID, "", "n", X("1") X("2") X("3") X("4")));
    feed(&t.ann, GET("", "", "<items node='n' max_items='2'/>"));
    expect(&t.ann, ITEMS(OWN_ID, "", "n", X("3") X("4")));
    feed(&t.ann, GET("", "", "<items node='n'><item id='4'/><item id='1'/><item id='x'/></items>"));
    expect(&t.ann, ITEMS(OWN_ID, "", "n", X("1") X("4")));
    feed(&t.ann, GET("", "", "<items node='n'><item id='x'/></items>"));
    expect(&t.ann, ITEMS(OWN_ID, "", "n", ""));
    feed(&t.ann, SET("", "", "<retract node='n'><item id='2'/><item id='3'/></retract>"));
    expect(&t.ann, DONE(ANN1));
    feed(&t.ann, "<iq type='get' id='1' to='" ANN "'><query node='n' "
                 "xmlns='http://jabber.org/protocol/disco#items'/></iq>");
    assert_non_null(strstr(got(&t.ann), "node=\"n\"><item jid=\"" ANN "\" name=\"1\"/><item jid=\""
                                        ANN "\" name=\"4\"/></query>"));
    feed(&t.ann, SET("", "#owner", "<purge node='n'/>") GET("", "", "<items node='n'/>"));
    expect(&t.ann, DONE(ANN1) ITEMS(OWN_ID, "", "n", ""));
    feed(&t.ann, SET("", "#owner", "<delete node='n'/>"));
    expect(&t.ann, DONE(ANN1));
    expect_with(&t.ann, SET("", "#owner", "<delete node='n'/>"), "<item-not-found");
    close_two(&t);
}

static void test_bad_requests(void **state)
{
    static const struct {
        const char *in, *error;
    } rows[] = {
        {SET("", "", ""), "<bad-request"},
        {SET("", "", "<x/>"), "<bad-request"},
        {GET("", "", TUNE("", "x")), "<bad-request"},
        {SET("", "#owner", TUNE("", "x")), "<bad-request"},
        {SET("", "", "<publish><item><x xmlns='y'/></item></publish>"), "<nodeid-required" ERRORS},
        {SET("", "", "<publish node='n'/>"), "<item-required" ERRORS},
        {SET("", "", "<publish node='n'><item/></publish>"), "<payload-required" ERRORS},
        {SET("", "", "<publish node='n'><item>text</item></publish>"), "<payload-required" ERRORS},
        {SET("", "", "<publish node='n'><item>text<x xmlns='y'/></item></publish>"),
         "<invalid-payload" ERRORS},
        {SET("", "", "<publish node='n'><item><x xmlns='y'/><x xmlns='y'/></item></publish>"),
         "<invalid-payload" ERRORS},
        {SET("", "", "<publish node='n'><item><x xmlns='y'/></item><item><x xmlns='y'/></item>"
             "</publish>"), "<item-required" ERRORS},
        {SET("", "", "<retract node='n'><item id='x'/></retract>"), "<item-not-found"},
        {SET("", "", "<subscribe node='n' jid='" ANN "'/>"), "feature=\"subscribe\"/>"},
        {SET("", "#owner", "<subscriptions node='n'/>"), "feature=\"manage-subscriptions\"/>"},
        {SET("", "", "<create node='n'/><configure><x xmlns='jabber:x:data' type='submit'>"
             FIELD("access_model", "nobody") "</x></configure>"), "<not-acceptable"},
        {SET("", "", TUNE("", "x") OPTIONS(FIELD("max_items", "0"))), "<precondition-not-met" ERRORS},
        {SET("", "", TUNE("", "x") OPTIONS(FIELD("unheard", "1"))), "<precondition-not-met" ERRORS},
        {GET("", "#owner", "<configure node='n'/>"), "<item-not-found"},
        {SET(" to='" BOB "'", "", TUNE("", "x")), "<forbidden"},
        {SET(" to='" BOB "'", "#owner", "<delete node='n'/>"), "<forbidden"},
        {GET(" to='nobody@example.org'", "", "<items node='n'/>"), "<service-unavailable"},
    };
    struct two t;

    (void)state;
    open_two(&t);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_with(&t.ann, rows[i].in, rows[i].error);
    expect_with(&t.ann, GET("", "", "<affiliations/>"), "<affiliations></affiliations>");
    close_two(&t);
}

/* The options are seen however large the payload is. */
static void test_large_payload(void **state)
{
    struct two t;
    struct buf xml;

    (void)state;
    open_two(&t);
    buf_init(&xml, 1u << 20);
    assert_int_equal(buf_str(&xml, "<iq type='set' id='1'><pubsub xmlns='" PUBSUB "'><publish "
                                   "node='n'><item id='i'><x xmlns='y'>"), 0);
    for (int i = 0; i < 4000; i++)
        assert_int_equal(buf_printf(&xml, "<key id='%d'><v/></key>", i), 0);
    assert_int_equal(buf_str(&xml, "</x></item></publish>"
                                   OPTIONS(FIELD("access_model", "whitelist")) "</pubsub></iq>"), 0);
    feed_bytes(&t.ann, xml.p, xml.len);
    expect(&t.ann, PUBLISHED(ANN1, "n", "i"));
    expect_with(&t.bob, GET(" to='" ANN "'", "", "<items node='n'/>"), "<closed-node" ERRORS);
    expect_with(&t.ann, GET("", "", "<items node='n'/>"), "<key id='3999'><v/></key></x></item>");
    buf_free(&xml);
    close_two(&t);
}

/* ---- configuration ---- */

static void test_options(void **state)
{
    struct two t;
    static const char white[] = SET("", "", TUNE(" id='1'", "x")
                                    OPTIONS(FIELD("access_model", "whitelist")
                                            FIELD("persist_items", "true")));

    (void)state;
    open_two(&t);
    for (int i = 0; i < 2; i++) {
        feed(&t.ann, white);
        expect(&t.ann, PUBLISHED(ANN1, "tune", "1"));
    }
    expect_with(&t.ann, SET("", "", TUNE(" id='2'", "y") OPTIONS(FIELD("access_model", "open"))),
                "<error type=\"cancel\"><conflict" STANZAS "/><precondition-not-met" ERRORS "/>");
    expect_with(&t.ann, GET("", "", "<items node='tune'/>"), "<item id=\"1\">");
    expect_with(&t.ann, GET("", "#owner", "<configure node='tune'/>"),
                "<field var=\"pubsub#access_model\" type=\"list-single\" label=\"Who may read it\">"
                "<value>whitelist</value><option><value>presence</value></option>");
    feed(&t.ann, SET("", "#owner", "<configure node='tune'><x xmlns='jabber:x:data' type='submit'>"
                     FIELD("access_model", "open") FIELD("title", "A &lt; B") "</x></configure>"));
    expect(&t.ann, DONE(ANN1));
    expect_with(&t.ann, GET("", "#owner", "<configure node='tune'/>"), "<value>A &lt; B</value>");
    expect_with(&t.bob, GET(" to='" ANN "'", "", "<items node='tune'/>"), "<item id=\"1\">");
    expect_with(&t.ann, SET("", "", "<create node='tune'/>"), "<conflict");
    expect_with(&t.ann, SET("", "", "<create/>"), "<create node=\"");
    close_two(&t);
}

static void test_access(void **state)
{
    static const struct {
        const char *model, *stranger, *contact;
    } rows[] = {
        {"open", "type=\"result\"", "type=\"result\""},
        {"presence", "<presence-subscription-required" ERRORS, "type=\"result\""},
        {"roster", "<not-in-roster-group" ERRORS, "type=\"result\""},
        {"whitelist", "<closed-node" ERRORS, "<closed-node" ERRORS},
    };
    static const char get[] = GET(" to='" ANN "'", "", "<items node='%s'/>");
    struct two t;
    char xml[1024];

    (void)state;
    open_two(&t);
    for (int friends = 0; friends < 2; friends++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            snprintf(xml, sizeof xml, SET("", "", "<publish node='%s'><item><x xmlns='y'/></item>"
                     "</publish>" OPTIONS(FIELD("access_model", "%s"))), rows[i].model,
                     rows[i].model);
            expect_with(&t.ann, xml, "type=\"result\"");
            snprintf(xml, sizeof xml, get, rows[i].model);
            expect_with(&t.bob, xml, friends ? rows[i].contact : rows[i].stranger);
        }
        feed(&t.bob, "<iq type='get' id='1' to='" ANN "'><query "
                     "xmlns='http://jabber.org/protocol/disco#items'/></iq>");
        got(&t.bob);
        assert_non_null(strstr(t.bob.got.p, "node=\"open\""));
        assert_null(strstr(t.bob.got.p, "node=\"whitelist\""));
        assert_int_equal(!!strstr(t.bob.got.p, "node=\"presence\""), friends);
        befriend(&t.ann, &t.bob);
    }
    close_two(&t);
}

/* ---- notifications ---- */

static void test_notifications(void **state)
{
    struct two t;
    struct link two;

    (void)state;
    open_two(&t);
    befriend(&t.ann, &t.bob);
    join(&two, t.w, "ann", "two");
    come(&t.ann, ANN, ANN1, "1", WANTS("tune"));
    come(&t.bob, BOB, BOB1, "2", WANTS("mood") WANTS("tune"));
    feed(&two, "<presence/>"); /* it wants none */
    got(&two), got(&t.ann), got(&t.bob);
    feed(&t.ann, SET("", "", TUNE(" id='1'", "x")));
    expect(&t.ann, TUNED(ANN, ANN1, "1", "x") PUBLISHED(ANN1, "tune", "1"));
    expect(&t.bob, TUNED(ANN, BOB1, "1", "x"));
    feed(&t.ann, SET("", "", "<retract node='tune'><item id='1'/></retract>"));
    got(&t.ann);
    expect(&t.bob, EVENT(ANN, BOB1, "<items node=\"tune\"><retract id=\"1\"/></items>"));
    feed(&t.ann, SET("", "#owner", "<purge node='tune'/>") SET("", "#owner", "<delete node='tune'/>"));
    expect(&t.bob, EVENT(ANN, BOB1, "<purge node=\"tune\"/>")
                   EVENT(ANN, BOB1, "<delete node=\"tune\"/>"));
    feed(&t.ann, SET("", "", TUNE(" id='1'", "x") OPTIONS(FIELD("access_model", "whitelist"))));
    expect(&t.bob, ""); /* it may not read it */
    feed(&t.bob, SET("", "", "<publish node='other'><item id='1'><x xmlns='y'/></item></publish>"));
    expect(&t.bob, PUBLISHED(BOB1, "other", "1")); /* nobody wants it */
    expect(&two, "");
    feed(&t.bob, "<presence type='unavailable'/>");
    got(&t.bob);
    feed(&t.ann, SET("", "", TUNE(" id='1'", "x")));
    expect(&t.bob, "");
    close_link(&two);
    close_two(&t);
}

/* Who comes hears of the last; a version that is known is not asked for again. */
static void test_last_items(void **state)
{
    struct two t;
    struct link two;

    (void)state;
    open_two(&t);
    befriend(&t.ann, &t.bob);
    feed(&t.ann, SET("", "", TUNE(" id='1'", "x")));
    come(&t.bob, BOB, BOB1, "2", WANTS("tune"));
    expect(&t.bob, TUNED(ANN, BOB1, "1", "x"));
    feed(&t.bob, "<presence><show>away</show><c xmlns='http://jabber.org/protocol/caps' node='n' "
                 "ver='2'/></presence>");
    assert_null(strstr(got(&t.bob), "#event"));
    join(&two, t.w, "ann", "two");
    feed(&two, "<presence><c xmlns='http://jabber.org/protocol/caps' node='n' ver='2'/></presence>");
    got(&two);
    assert_string_equal(asked(two.got.p, ANN, ANN2, "2"), "");
    assert_non_null(strstr(two.got.p, TUNED(ANN, ANN2, "1", "x")));
    feed(&two, "<presence type='unavailable'/>"
               "<presence><c xmlns='http://jabber.org/protocol/caps' node='n' ver='2'/></presence>");
    assert_non_null(strstr(got(&two), TUNED(ANN, ANN2, "1", "x")));
    expect_with(&t.ann, SET("", "#owner", "<configure node='tune'><x xmlns='jabber:x:data'>"
                            FIELD("send_last_published_item", "never") "</x></configure>"),
                "result");
    feed(&two, "<presence type='unavailable'/>"
               "<presence><c xmlns='http://jabber.org/protocol/caps' node='n' ver='2'/></presence>");
    assert_null(strstr(got(&two), "#event"));
    close_link(&two);
    close_two(&t);
}

/* A contact that gets the presence from now on hears of the last, too. */
static void test_last_items_of_a_new_contact(void **state)
{
    struct two t;

    (void)state;
    open_two(&t);
    feed(&t.ann, SET("", "", TUNE(" id='1'", "x")));
    come(&t.bob, BOB, BOB1, "2", WANTS("tune"));
    expect(&t.bob, "");
    feed(&t.bob, "<presence type='subscribe' to='" ANN "'/>");
    got(&t.bob);
    feed(&t.ann, "<presence type='subscribed' to='" BOB "'/>");
    assert_non_null(strstr(got(&t.bob), TUNED(ANN, BOB1, "1", "x")));
    close_two(&t);
}

/* Who is blocked hears nothing and may read nothing. */
static void test_blocked(void **state)
{
    struct two t;

    (void)state;
    open_two(&t);
    befriend(&t.ann, &t.bob);
    come(&t.ann, ANN, ANN1, "1", "");
    come(&t.bob, BOB, BOB1, "2", WANTS("tune"));
    expect_with(&t.ann, "<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='" BOB
                        "'/></block></iq>", DONE(ANN1));
    got(&t.bob);
    expect_with(&t.ann, SET("", "", TUNE(" id='1'", "x")), PUBLISHED(ANN1, "tune", "1"));
    expect(&t.bob, "");
    expect_with(&t.bob, GET(" to='" ANN "'", "", "<items node='tune'/>"), "<service-unavailable");
    close_two(&t);
}

/* Answers that nobody asked for, and a profile that asks once it must. */
static void test_capabilities(void **state)
{
    struct two t;
    struct link l;
    char xml[512];

    (void)state;
    open_two(&t);
    feed(&t.ann, "<iq type='result' id='x' to='" ANN "'><query "
                 "xmlns='http://jabber.org/protocol/disco#info'>" WANTS("tune") "</query></iq>");
    expect(&t.ann, "");
    snprintf(xml, sizeof xml, CAPS, "1");
    feed(&t.ann, xml);
    snprintf(xml, sizeof xml, "<iq type='error' id='%s' to='" ANN "'/>",
             asked(got(&t.ann), ANN, ANN1, "1"));
    feed(&t.ann, xml);
    feed(&t.ann, SET("", "", TUNE(" id='1'", "x")));
    expect(&t.ann, PUBLISHED(ANN1, "tune", "1"));
    close_two(&t);
    open_bound(&l, OPEN);
    snprintf(xml, sizeof xml, CAPS, "1");
    feed(&l, xml);
    assert_string_equal(asked(got(&l), ANN, ME, "1"), ""); /* there is nothing to hear of */
    feed(&l, SET("", "", TUNE(" id='1'", "x")));
    snprintf(xml, sizeof xml, "<iq type='result' id='%s'><query "
             "xmlns='http://jabber.org/protocol/disco#info'>" WANTS("tune") "</query></iq>",
             asked(got(&l), ANN, ME, "1"));
    feed(&l, xml);
    expect(&l, TUNED(ANN, ME, "1", "x"));
    feed(&l, SET("", "", TUNE(" id='1'", "y")));
    expect(&l, TUNED(ANN, ME, "1", "y") "<iq type=\"result\" id=\"1\" to=\"" ME "\"><pubsub xmlns=\""
               PUBSUB "\"><publish node=\"tune\"><item id=\"1\"/></publish></pubsub></iq>");
    close_link(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_caps_of_data),
        cmocka_unit_test(test_order_of_items),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_inherited_namespaces),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_large_payload),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_access),
        cmocka_unit_test(test_notifications),
        cmocka_unit_test(test_last_items),
        cmocka_unit_test(test_last_items_of_a_new_contact),
        cmocka_unit_test(test_blocked),
        cmocka_unit_test(test_capabilities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

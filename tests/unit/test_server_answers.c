/* The embedded server's answers to stanzas: what they say, their escaping, their order. */
#include "server_tests.h"

#define IQ(type, rest)      "<iq type='" type "' id='1'" rest "</iq>"
#define RESULT              "<iq type=\"result\" id=\"1\" to=\"" ME "\""
#define ERROR_IQ            "<iq type=\"error\" id=\"1\" to=\"" ME "\">"
#define FROM_TO(from, type) "<iq from=\"" from "\" type=\"" type "\" to=\"" ME "\" id=\"1\""

/* ---- stanzas ---- */

/* clang-format off */
static const struct {
    const char *in, *out;
} stanza_rows[] = {
    {IQ("set", "><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>"), RESULT "/>"},
    {IQ("get", " to='example.org'><ping xmlns='urn:xmpp:ping'/>"),
     FROM_TO("example.org", "result") "/>"},
    {IQ("get", " to='EXAMPLE.ORG'><ping xmlns='urn:xmpp:ping'/>"),
     FROM_TO("EXAMPLE.ORG", "result") "/>"},
    {IQ("set", "><ping xmlns='urn:xmpp:ping'/>"),
     ERROR_IQ "<ping xmlns='urn:xmpp:ping'/>" STANZA_ERROR("cancel", "service-unavailable")},
    {IQ("set", "><query xmlns='jabber:iq:roster'><item jid='b@c'/></query>"), RESULT "/>"},
    {IQ("set", "><query xmlns='jabber:iq:privacy'><active/></query>"), RESULT "/>"},
    {IQ("get", "><query xmlns='jabber:iq:privacy'><list name='x'/></query>"),
     ERROR_IQ "<query xmlns='jabber:iq:privacy'><list name='x'/></query>"
     STANZA_ERROR("cancel", "item-not-found")},
    {IQ("get", "><query xmlns='jabber:iq:private'><a  xmlns='b' ></a></query>"),
     RESULT "><query xmlns=\"jabber:iq:private\"><a xmlns='b'></a></query></iq>"},
    {IQ("get", "><query xmlns='jabber:iq:private'/>"),
     ERROR_IQ "<query xmlns='jabber:iq:private'/>" STANZA_ERROR("modify", "bad-request")},
    {IQ("get", "><vCard xmlns='vcard-temp'/>"),
     RESULT "><vCard xmlns=\"vcard-temp\"><FN>ann</FN><NICKNAME>ann</NICKNAME></vCard></iq>"},
    {IQ("get", " to='bob@example.org'><vCard xmlns='vcard-temp'/>"),
     FROM_TO("bob@example.org", "error") "><vCard xmlns='vcard-temp'/>"
     STANZA_ERROR("cancel", "service-unavailable")},
    {IQ("get", " to='ann1@example.org'><vCard xmlns='vcard-temp'/>"),
     FROM_TO("ann1@example.org", "error") "><vCard xmlns='vcard-temp'/>"
     STANZA_ERROR("cancel", "service-unavailable")},
    {IQ("get", " to='ann@example.org'><query "
        "xmlns='http://jabber.org/protocol/disco#info'/>"),
     FROM_TO("ann@example.org", "result")
     "><query xmlns=\"http://jabber.org/protocol/disco#info\">"
     "<identity category=\"account\" type=\"registered\"/>"
     "<identity category=\"pubsub\" type=\"pep\"/>"
     "<feature var=\"http://jabber.org/protocol/disco#info\"/>"
     "<feature var=\"http://jabber.org/protocol/disco#items\"/></query></iq>"},
    {IQ("get", " to='example.org'><query xmlns='http://jabber.org/protocol/disco#items'/>"),
     FROM_TO("example.org", "result")
     "><query xmlns=\"http://jabber.org/protocol/disco#items\"/></iq>"},
    {IQ("get", " to='example.org'><query xmlns='http://jabber.org/protocol/disco#info' "
        "node='n'/>"),
     FROM_TO("example.org", "error")
     "><query xmlns='http://jabber.org/protocol/disco#info' node='n'/>"
     STANZA_ERROR("cancel", "item-not-found")},
    {IQ("get", "><query xmlns='jabber:iq:register'/>"),
     RESULT "><query xmlns=\"jabber:iq:register\"><registered/><username>ann</username>"
     "<password/></query></iq>"},
    {BIND("again"),
     "<iq type=\"error\" id=\"b\" to=\"" ME "\"><bind "
     "xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>again</resource></bind>"
     STANZA_ERROR("cancel", "not-allowed")},
    {IQ("set", " to='a&lt;b'><x xmlns='y'>1<z/>&amp;</x>"),
     FROM_TO("a&lt;b", "error") "><x xmlns='y'>1<z/>&amp;</x>"
     STANZA_ERROR("modify", "jid-malformed")},
    {IQ("get", " to='example.com'><x xmlns='y'/>"),
     FROM_TO("example.com", "error") "><x xmlns='y'/>"
     STANZA_ERROR("cancel", "remote-server-not-found")},
    {IQ("get", " to='ann@example.org/other'><x xmlns='y'/>"),
     FROM_TO("ann@example.org/other", "error") "><x xmlns='y'/>"
     STANZA_ERROR("cancel", "service-unavailable")},
    {IQ("get", " to='" ME "'><x xmlns='y'/>"),
     "<iq from=\"" ME "\" to=\"" ME "\" type='get' id='1'><x xmlns='y'/></iq>"},
    {IQ("get", ">"), ERROR_IQ STANZA_ERROR("modify", "bad-request")},
    {IQ("get", "><a/><b/>"), ERROR_IQ "<a/>" STANZA_ERROR("modify", "bad-request")},
    {IQ("what", "><a/>"), ERROR_IQ "<a/>" STANZA_ERROR("modify", "bad-request")},
    {"<iq type='get'><a/></iq>",
     "<iq type=\"error\" id=\"\" to=\"" ME "\"><a/>" STANZA_ERROR("modify", "bad-request")},
    {IQ("result", ">"), ""},
    {IQ("error", "><a/>"), ""},
    {"<presence to='room@conference.example.org/ann'/>", ""},
    {"<presence type='subscribe' to='bob@example.org'/>", ""},
    {"<presence type='unavailable'/>", ""},
    {"<presence id='p1' xml:lang='de'><show>away</show></presence>",
     "<presence from=\"" ME "\" to=\"ann@example.org\" id='p1' xml:lang='de'>"
     "<show>away</show></presence>"},
    {"<presence/>", "<presence from=\"" ME "\" to=\"ann@example.org\"/>"},
    {"<message to='bob@example.org'><body>hi</body></message>",
     "<message from=\"bob@example.org\" type=\"error\" to=\"" ME "\"><error type=\"cancel\">"
     "<service-unavailable xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></error></message>"},
    {"<message to='ann1@example.org'><body>hi</body></message>", ""}, /* it listens */
    {"<message to='" ME "' id='m' type='chat'><body>a &lt; b</body></message>",
     "<message from=\"" ME "\" to=\"" ME "\" id='m' type='chat'><body>a &lt; b</body>"
     "</message>"},
    {"<presence/><message from='x@y' to='ann@example.org'/>",
     "<presence from=\"" ME "\" to=\"ann@example.org\"/>"
     "<message from=\"" ME "\" to=\"ann@example.org\"/>"},
    {"<presence/><message><body>note</body></message>",
     "<presence from=\"" ME "\" to=\"ann@example.org\"/>"
     "<message from=\"" ME "\" to=\"ann@example.org\"><body>note</body></message>"},
    {"<message><body>nobody is there</body></message>", ""},
    {"<message to='ann@example.org/other'/>", ""},
    {"<message type='error'/>", ""},
    {" \n ", ""},
};

static void test_stanzas(void **state)
{

    (void)state;
    for (size_t i = 0; i < sizeof stanza_rows / sizeof stanza_rows[0]; i++) {
        for (size_t piece = 0; piece < 2; piece++) {
            struct link l;

            open_bound(&l, OPEN);
            l.piece = piece;
            feed(&l, stanza_rows[i].in);
            expect(&l, stanza_rows[i].out);
            assert_false(server_done(l.s));
            close_link(&l);
        }
    }
}

static void test_before_bind(void **state)
{
    /* clang-format off */
    static const struct {
        const char *in, *out;
    } rows[] = {
        {IQ("get", "><query xmlns='jabber:iq:roster'/>"),
         "<iq type=\"error\" id=\"1\"><query xmlns='jabber:iq:roster'/>"
         STANZA_ERROR("auth", "not-authorized")},
        {IQ("get", " to='example.org'><query xmlns='jabber:iq:auth'/>"),
         "<iq from=\"example.org\" type=\"result\" id=\"1\"><query xmlns=\"jabber:iq:auth\">"
         "<username/><password/><resource/></query></iq>"},
        {IQ("set", "><query xmlns='jabber:iq:auth'><username>ann</username>"
            "<password>x</password></query>"),
         "<iq type=\"error\" id=\"1\"><query xmlns='jabber:iq:auth'><username>ann</username>"
         "<password>x</password></query>" STANZA_ERROR("modify", "not-acceptable")},
        {IQ("set", "><query xmlns='jabber:iq:auth'><username>ann</username>"
            "<password/><resource>here</resource></query>"),
         "<iq type=\"error\" id=\"1\"><query xmlns='jabber:iq:auth'><username>ann</username>"
         "<password/><resource>here</resource></query>" STANZA_ERROR("auth", "not-authorized")},
        {IQ("set", "><query xmlns='jabber:iq:auth'><username>ann</username>"
            "<password>x</password><resource>here</resource></query>")
         IQ("get", "><ping xmlns='urn:xmpp:ping'/>"),
         RESULT "/>" RESULT "/>"},
        {IQ("set", "><query xmlns='jabber:iq:register'><username>ann</username>"
            "<password>x</password></query>"), "<iq type=\"result\" id=\"1\"/>"},
    };
    struct link l;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        open_link(&l);
        feed(&l, OPEN);
        got(&l);
        feed(&l, rows[i].in);
        expect(&l, rows[i].out);
        close_link(&l);
    }
    open_link(&l);
    feed(&l, OPEN IQ("get", "><query xmlns='jabber:iq:register'/>"));
    assert_non_null(strstr(got(&l), "<username/><password/></query></iq>"));
    close_link(&l);
}

/* What the client names itself comes back escaped, wherever it stands. */
static void test_escaping(void **state)
{
    static const char quoted[] = "ann@a.b/&apos;&lt;&amp;&quot;&gt;";
    char out[1024];
    struct link l;

    (void)state;
    open_link(&l);
    feed(&l, "<stream:stream xmlns='jabber:client' xmlns:stream='" STREAM_NS
             "' to=\"A.b\" version='1.0'>" AUTH_PLAIN);
    assert_non_null(strstr(got(&l), "from='a.b' id="));
    feed(&l, "<stream:stream xmlns='jabber:client' xmlns:stream='" STREAM_NS
             "' to=\"A.b\" version='1.0'>");
    got(&l);
    feed(&l, "<iq type='set' id='&quot;&apos;&lt;&amp;&#10;'><bind "
             "xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>'&lt;&amp;\"&gt;</resource>"
             "</bind></iq>");
    snprintf(out, sizeof out,
             "<iq xmlns=\"jabber:client\" type=\"result\" id=\"&quot;&apos;&lt;&amp;&#10;\" "
             "to=\"%s\"><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"><jid>%s</jid></bind></iq>",
             quoted, quoted);
    expect(&l, out);
    feed(&l, "<presence/>");
    snprintf(out, sizeof out, "<presence from=\"%s\" to=\"ann@a.b\"/>", quoted);
    expect(&l, out);
    feed(&l, "<iq type='get' to='a&#9;\"b' id='$L'><a/></iq>");
    snprintf(out, sizeof out,
             "<iq from=\"a&#9;&quot;b\" type=\"error\" to=\"%s\" id=\"$L\"><a/>" STANZA_ERROR(
                 "modify", "jid-malformed"), quoted);
    expect(&l, out);
    close_link(&l);
}

/* A prefix means in our stream what it meant in the client's. */
static void test_prefixes(void **state)
{
    static const char root[] =
        "<s:stream xmlns='jabber:client' xmlns:s='" STREAM_NS "' xmlns:stream='other' "
        "xmlns:x='urn:x' xmlns:y=\"urn:y\" to='example.org' version='1.0'>";
    static const char plain[] =
        "<stream xmlns='" STREAM_NS "' xmlns:c='jabber:client' to='example.org' version='1.0'>";
#define ROOTS " xmlns:s='" STREAM_NS "' xmlns:stream='other'"
    /* clang-format off */
    static const struct {
        const char *root, *in, *out;
    } rows[] = {
        {root, "<presence><x:a/></presence>",
         "<presence from=\"" ME "\" to=\"ann@example.org\"" ROOTS
         " xmlns:x='urn:x' xmlns:y=\"urn:y\"><x:a/></presence>"},
        {root, "<presence xmlns:x='urn:z'><x:a/></presence>",
         "<presence from=\"" ME "\" to=\"ann@example.org\" xmlns:x='urn:z'" ROOTS
         " xmlns:y=\"urn:y\"><x:a/></presence>"},
        {root, "<iq type='get' id='1' xmlns:y='urn:1'><x:q><y:a/></x:q></iq>",
         ERROR_IQ "<x:q xmlns:y='urn:1'" ROOTS " xmlns:x='urn:x'><y:a/></x:q>"
         STANZA_ERROR("cancel", "service-unavailable")},
        {plain, "<c:message to='" ME "'><c:body>1</c:body></c:message>",
         "<c:message from=\"" ME "\" to=\"" ME "\" xmlns='" STREAM_NS
         "' xmlns:c='jabber:client'><c:body>1</c:body></c:message>"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct link l;

        open_link(&l);
        feed(&l, OPEN AUTH_PLAIN);
        feed(&l, rows[i].root);
        feed(&l, "<c:iq xmlns:c='jabber:client' type='set' id='b'><bind "
                 "xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>here</resource></bind>"
                 "</c:iq>");
        assert_non_null(strstr(got(&l), "<jid>" ME "</jid>"));
        feed(&l, rows[i].in);
        expect(&l, rows[i].out);
        close_link(&l);
    }
}

/* ---- what is stored ---- */

static void test_storage(void **state)
{
    static const char set[] = IQ("set", "><query xmlns='jabber:iq:private'><a xmlns='b'>1</a>"
                                        "<c xmlns='d'/></query>");
    static char big[70000];
    struct link l;

    (void)state;
    open_bound(&l, OPEN);
    feed(&l, set);
    expect(&l, RESULT "/>");
    feed(&l, IQ("get", "><query xmlns='jabber:iq:private'><a xmlns='b'/></query>"));
    expect(&l, RESULT "><query xmlns=\"jabber:iq:private\"><a xmlns='b'>1</a></query></iq>");
    feed(&l, IQ("set", "><vCard xmlns='vcard-temp'><FN>Ann</FN></vCard>"));
    expect(&l, RESULT "/>");
    feed(&l, IQ("get", "><vCard xmlns='vcard-temp'/>"));
    expect(&l, RESULT "><vCard xmlns='vcard-temp'><FN>Ann</FN></vCard></iq>");

    snprintf(big, sizeof big, IQ("set", "><vCard xmlns='vcard-temp'>%066000d</vCard>"), 0);
    feed(&l, big);
    assert_non_null(strstr(got(&l), STANZA_ERROR("wait", "resource-constraint")));
    feed(&l, IQ("get", "><vCard xmlns='vcard-temp'/>")); /* the old one stands */
    expect(&l, RESULT "><vCard xmlns='vcard-temp'><FN>Ann</FN></vCard></iq>");
    snprintf(big, sizeof big, IQ("set", "><vCard xmlns='vcard-temp'>%060000d</vCard>"), 0);
    for (int i = 0; i < 3; i++) { /* in place of the old one, not besides it */
        feed(&l, big);
        expect(&l, RESULT "/>");
    }
    for (int i = 0; i < 64; i++) {
        snprintf(big, sizeof big, IQ("set", "><query xmlns='jabber:iq:private'><a%d xmlns='e'/>"
                                            "</query>"), i);
        feed(&l, big);
        /* 32 entries, three of them taken */
        assert_int_equal(strstr(got(&l), "resource-constraint") == NULL, i < 29);
    }
    close_link(&l);
}

/* ---- the order of the documented trace ---- */

#define LISTS   IQ("get", "><query xmlns='jabber:iq:privacy'/>")
#define ONE     IQ("get", "><query xmlns='jabber:iq:privacy'><list name='blocked'/></query>")
#define PING    IQ("get", "><ping xmlns='urn:xmpp:ping'/>")
#define LISTS_R                                                                                    \
    RESULT "><query xmlns=\"jabber:iq:privacy\"><list name=\"blocked\"/>"                          \
           "<default name=\"blocked\"/><active name=\"blocked\"/></query></iq>"
#define ONE_R                                                                                      \
    RESULT "><query xmlns=\"jabber:iq:privacy\"><list name=\"blocked\">"                           \
           "<item action=\"allow\" order=\"100\"/></list></query></iq>"
#define PING_R RESULT "/>"
#define SELF_R "<presence from=\"" ME "\" to=\"ann@example.org\"/>"
#define CONTACT_R                                                                                  \
    "<presence from=\"ann1@example.org/Psi+\" to=\"ann@example.org\"><priority>50</priority>"      \
    "<c xmlns=\"http://jabber.org/protocol/caps\" node=\"http://psi-dev.googlecode.com/caps\" "    \
    "ver=\"0.16\" ext=\"ca cs e-time ep-notify-2 html last-act mr sxe whiteboard\"/></presence>"

static void test_hold(void **state)
{
    /* clang-format off */
    static const struct step {
        int64_t at_us;
        const char *in; /* NULL: a tick */
        const char *out;
        int64_t due_us;
    } rows[][6] = {
        /* presence alone: the contact's 50 ms later, once */
        {{1000, "<presence/>", SELF_R, 51000}, {50999, NULL, "", 51000},
         {51000, NULL, CONTACT_R, -1}, {60000, "<presence/>", SELF_R, -1}},
        /* the client goes before: no contact; it comes back: again */
        {{0, "<presence/>", SELF_R, 50000}, {10, "<presence type='unavailable'/>", "", -1},
         {20, "<presence/>", SELF_R, 50020}, {50020, NULL, CONTACT_R, -1}},
        /* the trace's order */
        {{0, "<presence/>" LISTS PING, SELF_R LISTS_R, 500000}, {60000, PING, "", 500000},
         {70000, ONE, PING_R PING_R CONTACT_R ONE_R, -1}, {80000, PING, PING_R, -1}},
        {{0, "<presence/>" LISTS PING ONE, SELF_R LISTS_R PING_R CONTACT_R ONE_R, -1}},
        /* nobody asks for the list */
        {{100, LISTS "<presence/>" PING, LISTS_R, 500100}, {500099, NULL, "", 500100},
         {500100, NULL, SELF_R PING_R CONTACT_R, -1}},
        /* the tick came late: what is due goes out before the next answer; no second wait */
        {{0, LISTS PING, LISTS_R, 500000}, {400000, LISTS, "", 500000},
         {900000, PING, PING_R LISTS_R PING_R, -1}},
        {{0, ONE, ONE_R, -1}, {0, LISTS, LISTS_R, 500000}, {1, ONE, ONE_R, -1}},
        /* the end does not wait */
        {{0, LISTS PING "</stream:stream>", LISTS_R PING_R "</stream:stream>", -1}},
        {{0, LISTS PING "<x", LISTS_R, 500000}, {1, "<", PING_R STREAM_ERROR("not-well-formed"),
         -1}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t piece = 0; piece < 2; piece++) {
            struct link l;

            open_bound(&l, OPEN);
            l.piece = piece;
            for (size_t k = 0; k < 6 && rows[i][k].out; k++) {
                const struct step *step = &rows[i][k];

                l.now_us = step->at_us;
                if (step->in)
                    feed(&l, step->in);
                else
                    assert_int_equal(server_tick(l.s, l.now_us), 0);
                expect(&l, step->out);
                assert_int_equal(server_due_us(l.s), step->due_us);
            }
            close_link(&l);
        }
    }
}

/* What is held is bounded: over its cap it goes out early, in order. */
static void test_hold_is_bounded(void **state)
{
    size_t pings = 0, held = 0;
    struct link l;
    const char *p;

    (void)state;
    open_bound(&l, OPEN);
    feed(&l, LISTS);
    expect(&l, LISTS_R);
    while (server_due_us(l.s) >= 0 && pings < 100000) {
        held = l.got.len;
        feed(&l, PING);
        pings++;
    }
    assert_int_equal(held, 0);
    assert_in_range(pings * strlen(PING_R), 256u << 10, (256u << 10) + strlen(PING_R));
    assert_int_equal(l.got.len, pings * strlen(PING_R));
    p = got(&l);
    for (size_t i = 0; i < pings; i++, p += strlen(PING_R))
        assert_memory_equal(p, PING_R, strlen(PING_R));
    feed(&l, PING);
    expect(&l, PING_R);
    close_link(&l);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stanzas),
        cmocka_unit_test(test_before_bind),
        cmocka_unit_test(test_escaping),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_storage),
        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_hold_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Copies of messages for an account's other clients (XEP-0280) by the embedded server. */
#include "server_tests.h"

#define ENABLE   "<iq type='set' id='1'><enable xmlns='urn:xmpp:carbons:2'/></iq>"
#define DISABLE  "<iq type='set' id='1'><disable xmlns='urn:xmpp:carbons:2'/></iq>"
#define DONE(to) "<iq type=\"result\" id=\"1\" to=\"" to "\"/>"

#define ANN1 "ann@example.org/one"
#define BOB  "bob@example.org"
#define BOB1 BOB "/one"
#define BOB2 BOB "/two"

#define COPY(kind, of, to, message)                                                                \
    "<message type=\"chat\" from=\"" of "\" to=\"" to "\"><" kind " xmlns=\"urn:xmpp:carbons:2\">" \
    "<forwarded xmlns=\"urn:xmpp:forward:0\">" message "</forwarded></" kind "></message>"
#define INNER(from, to, rest)                                                                      \
    "<message xmlns=\"jabber:client\" from=\"" from "\" to=\"" to "\"" rest "</message>"
#define OUTER(from, to, rest) "<message from=\"" from "\" to=\"" to "\"" rest "</message>"

#define CHAT " type='chat'><body>x</body>"

struct three {
    struct world *w;
    struct link ann, bob, two; /* bob's second client has copies */
};

static void meet(struct three *t)
{
    t->w = new_world("modern");
    open_as(&t->ann, t->w, "ann", "one");
    open_as(&t->bob, t->w, "bob", "one");
    open_as(&t->two, t->w, "bob", "two");
    feed(&t->two, ENABLE);
    expect(&t->two, DONE(BOB2));
}

static void part(struct three *t)
{
    close_link(&t->ann);
    close_link(&t->bob);
    close_link(&t->two);
    free_world(t->w);
}

static void test_received(void **state)
{
    struct three t;

    (void)state;
    meet(&t);
    feed(&t.ann, "<message to='" BOB1 "'" CHAT "</message>");
    expect(&t.bob, OUTER(ANN1, BOB1, CHAT));
    expect(&t.two, COPY("received", BOB, BOB2, INNER(ANN1, BOB1, CHAT)));
    expect(&t.ann, "");
    feed(&t.ann, "<message to='" BOB2 "'" CHAT "</message>"); /* it has it itself */
    expect(&t.bob, "");
    expect(&t.two, OUTER(ANN1, BOB2, CHAT));
    feed(&t.ann, "<message to='" BOB1 "'" CHAT "</message>"); /* and the next again */
    got(&t.bob);
    expect(&t.two, COPY("received", BOB, BOB2, INNER(ANN1, BOB1, CHAT)));
    feed(&t.two, DISABLE);
    expect(&t.two, DONE(BOB2));
    feed(&t.ann, "<message to='" BOB1 "'" CHAT "</message>");
    expect(&t.two, "");
    part(&t);
}

static void test_sent(void **state)
{
    struct three t;

    (void)state;
    meet(&t);
    feed(&t.bob, ENABLE);
    got(&t.bob);
    feed(&t.bob, "<message to='" ANN1 "'" CHAT "</message>");
    expect(&t.ann, OUTER(BOB1, ANN1, CHAT));
    expect(&t.two, COPY("sent", BOB, BOB2, INNER(BOB1, ANN1, CHAT)));
    expect(&t.bob, "");
    feed(&t.bob, "<message to='" BOB2 "'" CHAT "</message>"); /* to oneself: once */
    expect(&t.two, OUTER(BOB1, BOB2, CHAT));
    expect(&t.bob, "");
    feed(&t.two, "<message to='" BOB "'" CHAT "</message>"); /* nobody is available */
    expect(&t.bob, COPY("sent", BOB, BOB1, INNER(BOB2, BOB, CHAT)));
    part(&t);
}

/* To the bare JID: who is available gets it, the others a copy; what is kept is not copied. */
static void test_to_the_account(void **state)
{
    struct three t;

    (void)state;
    meet(&t);
    feed(&t.ann, "<message to='" BOB "'" CHAT "</message>");
    expect(&t.two, "");
    feed(&t.bob, "<presence/>");
    assert_non_null(strstr(got(&t.bob), "<delay"));
    feed(&t.ann, "<message to='" BOB "'" CHAT "</message>");
    expect(&t.bob, OUTER(ANN1, BOB, CHAT));
    expect(&t.two, COPY("received", BOB, BOB2, INNER(ANN1, BOB, CHAT)));
    feed(&t.two, "<presence/>");
    got(&t.two);
    got(&t.bob);
    feed(&t.ann, "<message to='" BOB "'" CHAT "</message>");
    expect(&t.bob, OUTER(ANN1, BOB, CHAT));
    expect(&t.two, OUTER(ANN1, BOB, CHAT));
    part(&t);
}

static void test_which(void **state)
{
    static const struct {
        const char *words;
        bool copied;
    } rows[] = {
        {CHAT, true},
        {" type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/>", true},
        {"><body>x</body>", true},
        {" type='normal'><body>x</body>", true},
        {"><received xmlns='urn:xmpp:receipts' id='1'/>", true},
        {"><displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", true},
        {"><x xmlns='y'/>", false},
        {" type='headline'><body>x</body>", false},
        {" type='groupchat'><body>x</body>", false},
        {" type='error'><body>x</body>", false},
        {CHAT "<private xmlns='urn:xmpp:carbons:2'/>", false},
        {CHAT "<no-copy xmlns='urn:xmpp:hints'/>", false},
        {CHAT "<no-store xmlns='urn:xmpp:hints'/>", true},
        {CHAT "<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'/></sent>",
         false},
    };
    char xml[512];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct three t;

        meet(&t);
        snprintf(xml, sizeof xml, "<message to='" BOB1 "'%s</message>", rows[i].words);
        feed(&t.ann, xml);
        if (rows[i].copied != (strstr(got(&t.two), "<forwarded") != NULL))
            fail_msg("%s", rows[i].words);
        part(&t);
    }
}

/* However the client wrote it, the copy is a message of jabber:client. */
static void test_namespaces(void **state)
{
    static const char *const ways[] = {
        "<message xmlns='jabber:client' to='" BOB1 "' type='chat'><body>x</body></message>",
        "<message to='" BOB1 "' type='chat'\n xmlns = 'jabber:client'><body>x</body></message>",
        "<message to='" BOB1 "' id='a xmlns=>' type='chat'><body>x</body></message>",
        "<c:message xmlns:c='jabber:client' to='" BOB1
        "' type='chat'><c:body>x</c:body></c:message>",
    };

    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct three t;
        const struct item *it;
        const char *copy;

        meet(&t);
        feed(&t.ann, ways[i]);
        copy = got(&t.two);
        it = world_read(t.w, copy, strlen(copy));
        if (!it)
            fail_msg("%s", copy);
        assert_int_equal(item_find(it, 4, "jabber:client", "message"), 3);
        assert_int_equal(item_find(it, 5, "jabber:client", "body"), 4);
        part(&t);
    }
}

static void test_documented_has_none(void **state)
{
    struct link l;

    (void)state;
    open_bound(&l, OPEN);
    feed(&l, ENABLE);
    assert_non_null(strstr(got(&l), "<service-unavailable"));
    close_link(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_received),       cmocka_unit_test(test_sent),
        cmocka_unit_test(test_to_the_account), cmocka_unit_test(test_which),
        cmocka_unit_test(test_namespaces),     cmocka_unit_test(test_documented_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

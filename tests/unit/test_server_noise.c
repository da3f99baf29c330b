/* Several clients of one embedded server say anything in any order, come, break off and come again:
 * what each is sent stays a well-formed stream, and nobody's memory is touched twice (sanitizers). */
#include "server_tests.h"

#include "../../proxy/server/client.h"

#define CLIENTS 5
#define STEPS   400
#define SEEDS   30

/* `%s` becomes an address. */
static const char *const words[] = {
    "<presence/>",
    "<presence><priority>%d</priority></presence>",
    "<presence type='unavailable'/>",
    "<presence to='%s'/>",
    "<presence type='unavailable' to='%s'/>",
    "<presence type='subscribe' to='%s'/>",
    "<presence type='subscribed' to='%s'/>",
    "<presence type='unsubscribe' to='%s'/>",
    "<presence type='unsubscribed' to='%s'/>",
    "<presence type='probe' to='%s'/>",
    "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v%d'/></presence>",
    "<message to='%s' type='chat'><body>a &amp; b</body></message>",
    "<message to='%s' type='headline'><body>x</body></message>",
    "<message to='%s' type='error'/>",
    "<message to='%s'><body>x</body><private xmlns='urn:xmpp:carbons:2'/></message>",
    "<iq type='get' id='i%d'><query xmlns='jabber:iq:roster'/></iq>",
    "<iq type='set' id='i'><query xmlns='jabber:iq:roster'><item jid='%s' name='n'/></query></iq>",
    "<iq type='set' id='i'><query xmlns='jabber:iq:roster'><item jid='%s' "
    "subscription='remove'/></query></iq>",
    "<iq type='get' id='i' to='%s'><vCard xmlns='vcard-temp'/></iq>",
    "<iq type='set' id='i'><vCard xmlns='vcard-temp'><FN>%d</FN></vCard></iq>",
    "<iq type='get' id='i' to='%s'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    "<iq type='get' id='i' to='%s'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
    "<iq type='get' id='i' to='%s'><query xmlns='jabber:iq:last'/></iq>",
    "<iq type='get' id='i' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<iq type='result' id='i%d'/>",
    "<iq type='error' id='i' to='%s'/>",
    "<iq type='get' id='i'><query xmlns='jabber:iq:privacy'/></iq>",
    "<iq type='get' id='i'><query xmlns='jabber:iq:privacy'><list name='l%d'/></query></iq>",
    "<iq type='set' id='i'><query xmlns='jabber:iq:privacy'><list name='l%d'><item type='jid' "
    "value='a0@example.org' action='deny' order='1'/></list></query></iq>",
    "<iq type='set' id='i'><query xmlns='jabber:iq:privacy'><active name='l%d'/></query></iq>",
    "<iq type='set' id='i'><query xmlns='jabber:iq:privacy'><default name='l%d'/></query></iq>",
    "<iq type='set' id='i'><block xmlns='urn:xmpp:blocking'><item jid='%s'/></block></iq>",
    "<iq type='set' id='i'><unblock xmlns='urn:xmpp:blocking'/></iq>",
    "<iq type='get' id='i'><blocklist xmlns='urn:xmpp:blocking'/></iq>",
    "<iq type='set' id='i'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='n%d'>"
    "<item id='1'><x xmlns='y'/></item></publish></pubsub></iq>",
    "<iq type='get' id='i' to='%s'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items "
    "node='n1'/></pubsub></iq>",
    "<iq type='set' id='i'><pubsub xmlns='http://jabber.org/protocol/pubsub'><retract node='n%d'>"
    "<item id='1'/></retract></pubsub></iq>",
    "<iq type='set' id='i'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><delete "
    "node='n%d'/></pubsub></iq>",
    "<iq type='set' id='i'><enable xmlns='urn:xmpp:carbons:2'/></iq>",
    "<iq type='set' id='i'><disable xmlns='urn:xmpp:carbons:2'/></iq>",
    "<enable xmlns='urn:xmpp:sm:3' resume='true'/>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "<a xmlns='urn:xmpp:sm:3' h='%d'/>",
    "<inactive xmlns='urn:xmpp:csi:0'/>",
    "<active xmlns='urn:xmpp:csi:0'/>",
};

static unsigned random_state;

static unsigned dice(unsigned n)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % n;
}

static const char *address(void)
{
    static char out[64];
    static const char *const forms[] = {"a%u@example.org", "a%u@example.org/r", "a%u@example.com",
                                        "example.org", "@%u"};
    unsigned form = dice(20);

    snprintf(out, sizeof out, forms[form < 10 ? 0 : form < 17 ? 1 : form - 15], dice(CLIENTS));
    return out;
}

static int64_t clock_us;

/* Of one that waits, maybe another's. */
static const char *resumption(const struct world *w)
{
    static char out[128];

    if (dice(3) == 0)
        return "";
    snprintf(out, sizeof out, "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%u'/>",
             w->waiting ? w->waiting->sm.id : "", w->waiting ? w->waiting->sm.acked + dice(3) : 0);
    return out;
}

/* Client `i` logs in as one of the accounts, sometimes as one that somebody else uses. */
static void join(struct link *l, struct world *w, int i)
{
    char plain[64], xml[1024];
    struct buf base64;
    int n = snprintf(plain, sizeof plain, "%ca%d%cpw", 0, dice(4) ? i : (int)dice(CLIENTS), 0);

    buf_init(&base64, 256);
    assert_int_equal(buf_base64(&base64, plain, (size_t)n), 0);
    open_in(l, w);
    l->now_us = clock_us;
    server_tls(l->s);
    snprintf(xml, sizeof xml, OPEN "<auth" SASL " mechanism='PLAIN'>%.*s</auth>" OPEN
             "%s<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
             "<resource>r</resource></bind></iq>", (int)base64.len, base64.p, resumption(w));
    buf_free(&base64);
    feed(l, xml);
}

static void leave(struct link *l)
{
    size_t n;
    const char *p = server_output(l->s, &n);

    assert_int_equal(buf_add(&l->got, p, n), 0);
    assert_well_formed(l->got.p, l->got.len);
    close_link(l);
}

/* The id of the server's last question what the client can, or NULL. */
static const char *asked(const struct link *l)
{
    static const char query[] =
        "\"><query xmlns=\"http://jabber.org/protocol/disco#info\" node=\"n#v";
    static char id[37];
    const char *p = l->got.p, *at = NULL, *next;

    while (p && (next = memmem(p, l->got.len - (size_t)(p - l->got.p), query, sizeof query - 1))) {
        at = next;
        p = next + 1;
    }
    if (!at)
        return NULL;
    memcpy(id, at - 36, 36);
    return id;
}

static void say_features(struct link *l)
{
    const char *id = asked(l);
    char xml[512];

    snprintf(xml, sizeof xml, "<iq type='result' id='%s'><query "
             "xmlns='http://jabber.org/protocol/disco#info'><feature var='n1+notify'/>"
             "<feature var='n2+notify'/></query></iq>", id ? id : "x");
    feed(l, xml);
}

static void say(struct link *l)
{
    const char *word = words[dice(sizeof words / sizeof words[0])];
    char xml[1024];

    if (strstr(word, "%s"))
        snprintf(xml, sizeof xml, word, address());
    else
        snprintf(xml, sizeof xml, word, (int)dice(5) - 1);
    feed(l, xml);
    if (strstr(word, "caps") && dice(2))
        say_features(l);
}

static void play(const char *profile, unsigned seed)
{
    struct world *w = new_world(profile);
    struct link l[CLIENTS];

    random_state = seed;
    for (int i = 0; i < CLIENTS; i++)
        join(&l[i], w, i);
    for (int step = 0; step < STEPS; step++) {
        int i = (int)dice(CLIENTS);

        if (server_done(l[i].s) || dice(40) == 0) {
            leave(&l[i]);
            join(&l[i], w, i);
        }
        clock_us += dice(500) ? dice(200000) : 310000000;
        l[i].now_us = clock_us;
        assert_int_equal(server_tick(l[i].s, l[i].now_us), 0);
        say(&l[i]);
    }
    for (int i = 0; i < CLIENTS; i++)
        leave(&l[i]);
    free_world(w); /* with those that wait */
}

static void test_noise(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        play("modern", seed);
        play("documented", seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_noise)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

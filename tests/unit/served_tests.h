/* served_tests.h: a capture that is written down line by line, and a live client of it. Included by
 * one test file at a time.
 */
#ifndef XMPPTAP_SERVED_TESTS_H
#define XMPPTAP_SERVED_TESTS_H

#include "server_tests.h"

#include "../../proxy/server/script.h"

#define NS_B "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_S "urn:ietf:params:xml:ns:xmpp-sasl"
#define CAPTURED_HEADER                                                                            \
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:db='jabber:server:dialback' " \
    "xmlns:stream='http://etherx.jabber.org/streams' id=\"cap\" from='old.example' "               \
    "to='alice@old.example' "                                                                      \
    "xml:lang='de' version='1.0'>"
#define MECHS(m)    "<mechanisms xmlns='" NS_S "'>" m "</mechanisms>"
#define MECH(m)     "<mechanism>" m "</mechanism>"
#define PLAIN_ALONE "<mechanisms xmlns=\"" NS_S "\"><mechanism>PLAIN</mechanism></mechanisms>"
#define STARTTLS    "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
#define SASL2_OURS                                                                                 \
    "<authentication xmlns=\"urn:xmpp:sasl:2\"><mechanism>PLAIN</mechanism><inline>"               \
    "<bind xmlns=\"urn:xmpp:bind:0\"/></inline></authentication>"
#define BOUND_FEATURES                                                                             \
    "<stream:features><bind xmlns='" NS_B "'/><sm xmlns='urn:xmpp:sm:3'/></stream:features>"
#define MY "ann@new.example/here"

#define HEADER_LIVE                                                                                \
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:db='jabber:server:dialback' " \
    "xmlns:stream='http://etherx.jabber.org/streams' id='" STREAM_ID "' from='new.example'"

/* The login: numbers 1 to 12. Then come a row's items, from 13 on. */
#define LOGIN_TLS                                                                                  \
    "c0 <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "     \
    "to='old.example' version='1.0'>\n"                                                            \
    "s0 " CAPTURED_HEADER "\n"                                                                     \
    "s0 <stream:features>" STARTTLS "</stream:features>\n"                                         \
    "t\n"
#define LOGIN(m, used)                                                                             \
    "s0 <stream:features>" MECHS(                                                                  \
        m) "<authentication xmlns='urn:xmpp:sasl:2'/><compression "                                \
           "xmlns='http://jabber.org/features/compress'><method>zlib</method></compression>"       \
           "<x xmlns='urn:other'>1</x></stream:features>\n"                                        \
           "c0=" used " <auth xmlns='" NS_S "'>[redacted]</auth>\n"                                \
           "s0 <success xmlns='" NS_S "'/>\n"                                                      \
           "s0 " CAPTURED_HEADER "\n"                                                              \
           "s0 " BOUND_FEATURES "\n"
#define BINDS                                                                                      \
    "c0 <iq type='set' id='b'><bind xmlns='" NS_B "'/></iq>\n"                                     \
    "s10 <iq id='b' type='result'><bind xmlns='" NS_B                                              \
    "'><jid>alice@old.example/r</jid></bind></iq>\n"
#define LOGGED_IN LOGIN_TLS LOGIN(MECH("PLAIN"), "PLAIN") BINDS
#define FIRST     12

#define ASK(id, rest) "<iq type='get' id='" id "' " rest "</iq>"
#define SET(id, rest) "<iq type='set' id='" id "' " rest "</iq>"
#define PING          "><ping xmlns='urn:xmpp:ping'/>"
#define ROSTER        "><query xmlns='jabber:iq:roster'/>"

/* ---- the capture ---- */

struct taping {
    struct script *s;
    uint64_t n;
    int64_t now_us;
    char text[1u << 20];
};

static inline void add(struct taping *t, struct event ev)
{
    ev.n = t->n++;
    ev.session = "cap-1";
    ev.time_us = t->now_us;
    assert_int_equal(script_event(t->s, &ev), 0);
}

/* "c0+100=PLAIN <xml...": direction, what it answers, milliseconds, mechanism. */
static inline void add_line(struct taping *t, char *line)
{
    char *xml = strchr(line, ' '), *plus = strchr(line, '+'), *is = strchr(line, '=');
    struct event_fact fact = {"mechanism", "PLAIN"};
    struct event ev = {.kind = EVENT_STANZA, .dir = *line == 'c' ? DIR_C2S : DIR_S2C};

    if (*line == 't') {
        add(t, (struct event){.kind = EVENT_TLS, .u.tls = {.side = SIDE_SERVER, .ok = true}});
        return;
    }
    if (*line == 'x') {
        add(t, (struct event){.kind = EVENT_STREAM,
                              .closing = true,
                              .dir = DIR_C2S,
                              .data = "</stream:stream>",
                              .len = 16});
        return;
    }
    *xml++ = '\0';
    if (plus && plus < xml)
        t->now_us += strtol(plus, NULL, 10) * 1000;
    if (is && is < xml)
        fact.value = is + 1;
    ev.fact = &fact;
    ev.facts = is && is < xml;
    ev.re = strtoull(line + 1, NULL, 10);
    ev.data = xml;
    ev.len = strlen(xml);
    if (strncmp(xml, "<?xml", 5) == 0 || strncmp(xml, "<stream:stream", 14) == 0)
        ev.kind = EVENT_STREAM;
    add(t, ev);
}

static inline struct taping *tape(const char *login, const char *rest)
{
    struct taping *t = calloc(1, sizeof *t);
    char *line, *at = t->text;

    t->s = script_new();
    assert_non_null(t->s);
    snprintf(t->text, sizeof t->text, "%s%s", login, rest);
    add(t, (struct event){.kind = EVENT_SESSION,
                          .u.session_facts = {.secrets = "redact", .upstream = ""}});
    while ((line = strsep(&at, "\n")))
        if (*line)
            add_line(t, line);
    return t;
}

static inline struct script *script_of(const char *login, const char *rest)
{
    struct taping *t = tape(login, rest);
    struct script *s = t->s;
    struct error e = {0};

    if (script_ready(s, &e))
        fail_msg("%s", e.detail);
    free(t);
    return s;
}

/* ---- the live session ---- */

struct live {
    struct link link;
    struct script *script;
    char asked[400];
    unsigned unanswered;
};

static inline void on_unanswered(void *arg, const char *asked, const char *given)
{
    struct live *l = arg;

    assert_true(*given);
    l->unanswered++;
    snprintf(l->asked, sizeof l->asked, "%s", asked);
}

static inline void open_live(struct live *l, struct script *s, bool accounts)
{
    struct world *w = new_world("documented");
    struct server_options o = {
        .world = w, .stream_id = STREAM_ID, .unanswered = on_unanswered, .unanswered_arg = l};
    struct error e;

    assert_int_equal(script_profile(s, (struct profile *)w->profile, !accounts, &e), 0);
    w->closed = accounts;
    w->script = s;
    *l = (struct live){.script = s};
    l->link = (struct link){.s = server_new(&o), .own = w};
    assert_non_null(l->link.s);
    buf_init(&l->link.got, 64u << 20);
}

static inline void close_live(struct live *l)
{
    close_link(&l->link);
    script_free(l->script);
}

#define OPEN_NEW                                                                                   \
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "        \
    "to='new.example' version='1.0'>"

static inline void enter(struct live *l)
{
    server_tls(l->link.s);
    feed(&l->link, OPEN_NEW AUTH_PLAIN OPEN_NEW BIND("here"));
    assert_non_null(strstr(got(&l->link), "<iq id='b' type='result'><bind xmlns='" NS_B "'><jid>" MY
                                          "</jid></bind></iq>"));
}

#endif

/* A captured server, played by the embedded one to a live client: what is answered to what, when,
 * and with whose names. */
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
#define UNAVAILABLE(id, payload)                                                                   \
    "<iq type=\"error\" id=\"" id "\" to=\"" MY                                                    \
    "\">" payload STANZA_ERROR("cancel", "service-unavailable")

/* What was captured behind the bind, an item a line: `c` or `s`, what it answers, `+` how many
 * milliseconds after the one before it. Live: `>` what the client says, `<` what comes, `+` time
 * passes. */
/* clang-format off */
static const struct row {
    const char *name, *captured, *live;
    double speed;
} rows[] = {
    {"an answer is found by what is asked, with this session's id",
     "c0 " ASK("1", PING) "\ns12 <iq type='result' id='1' n='ping'/>\n"
     "c0 " ASK("2", ROSTER) "\ns14 <iq type='result' id='2' n='roster'/>\n",
     "> " ASK("x&amp;y", ROSTER) "\n< <iq type='result' id='x&amp;y' n='roster'/>\n"
     "> " ASK("z", PING) "\n< <iq type='result' id='z' n='ping'/>\n", 0},
    {"names become the live ones, in attributes and whole texts, and those of others stay",
     "c0 " ASK("1", "to='alice@old.example'" PING) "\n"
     "s12 <iq type='result' id='1' from='alice@old.example' to='alice@old.example/r'><a "
     "by='rooms.old.example' c='bob@elsewhere.example'>alice@old.example</a><b>old.example says</b></iq>\n",
     "> " ASK("1", "to='ann@new.example'" PING) "\n"
     "< <iq type='result' id='1' from='ann@new.example' to='" MY "'><a by='rooms.new.example' "
     "c='bob@elsewhere.example'>ann@new.example</a><b>old.example says</b></iq>\n", 0},
    {"among equals in their order, and the last one again",
     "c0 " ASK("1", PING) "\ns12 <iq type='result' id='1' n='1'/>\n"
     "c0 " ASK("2", PING) "\ns14 <iq type='result' id='2' n='2'/>\n",
     "> " ASK("a", PING) "\n< <iq type='result' id='a' n='1'/>\n"
     "> " ASK("b", PING) "\n< <iq type='result' id='b' n='2'/>\n"
     "> " ASK("c", PING) "\n< <iq type='result' id='c' n='2'/>\n", 0},
    {"whom it is for counts; an account needs no address for itself",
     "c0 " ASK("1", "to='old.example'" PING) "\ns12 <iq type='result' id='1' n='server'/>\n"
     "c0 " ASK("2", PING) "\ns14 <iq type='result' id='2' n='account'/>\n"
     "c0 " ASK("3", "to='bob@elsewhere.example'" PING) "\ns16 <iq type='result' id='3' n='bob'/>\n",
     "> " ASK("1", "to='bob@elsewhere.example'" PING) "\n< <iq type='result' id='1' n='bob'/>\n"
     "> " ASK("2", "to='ann@new.example'" PING) "\n< <iq type='result' id='2' n='account'/>\n"
     "> " ASK("3", "to='new.example'" PING) "\n< <iq type='result' id='3' n='server'/>\n"
     "> " ASK("4", "to='eve@elsewhere.example'" PING) "\n< <iq from=\"eve@elsewhere.example\" "
     "type=\"error\" to=\"" MY "\" id=\"4\"><ping xmlns='urn:xmpp:ping'/>"
     STANZA_ERROR("cancel", "service-unavailable") "\n", 0},
    {"the same content first, then the same payload and node",
     "c0 " ASK("1", "to='old.example'><q xmlns='d' node='n1'/>") "\ns12 <iq type='result' id='1' n='n1'/>\n"
     "c0 " ASK("2", "to='old.example'><q xmlns='d' node='n2'><y/></q>") "\n"
     "s14 <iq type='result' id='2' n='y'/>\n"
     "c0 " ASK("3", "to='old.example'><q xmlns='d' node='n2'><z a='1'/></q>") "\n"
     "s16 <iq type='result' id='3' n='z'/>\n",
     "> " ASK("1", "to='new.example'><q xmlns='d' node='n2'><z a='2'/></q>") "\n"
     "< <iq type='result' id='1' n='z'/>\n"
     "> " ASK("2", "to='new.example'><q node='n2' xmlns='d'><y/></q>") "\n< <iq type='result' id='2' n='y'/>\n"
     "> " ASK("3", "to='new.example'><q xmlns='d' node='n1'/>") "\n< <iq type='result' id='3' n='n1'/>\n"
     "> " ASK("4", "to='new.example'><q xmlns='d' node='n3'/>") "\n< <iq from=\"new.example\" type=\"error\" "
     "to=\"" MY "\" id=\"4\"><q xmlns='d' node='n3'/>" STANZA_ERROR("cancel", "service-unavailable") "\n", 0},
    {"a set may say something else, a get may not",
     "c0 " SET("1", "><q xmlns='d'><a>1</a></q>") "\ns12 <iq type='result' id='1' n='set'/>\n"
     "c0 " ASK("2", "><q xmlns='d'><a>1</a></q>") "\ns14 <iq type='result' id='2' n='get'/>\n",
     "> " SET("1", "><q xmlns='d'><b>2</b></q>") "\n< <iq type='result' id='1' n='set'/>\n"
     "> " ASK("2", "><q xmlns='d'><b>2</b></q>") "\n< "
     UNAVAILABLE("2", "<q xmlns='d'><b>2</b></q>") "\n", 0},
    {"what was never answered has no answer",
     "c0 " ASK("1", PING) "\n",
     "> " ASK("1", PING) "\n< " UNAVAILABLE("1", "<ping xmlns='urn:xmpp:ping'/>") "\n", 0},
    {"an error is answered as it was",
     "c0 " ASK("1", PING) "\ns12 <iq type='error' id='1'><error type='cancel'/></iq>\n",
     "> " ASK("7", PING) "\n< <iq type='error' id='7'><error type='cancel'/></iq>\n", 0},
    {"what the capture had masked is asked all the same",
     "c0 " SET("1", "><q xmlns='d'><a>[redacted]</a></q>") "\ns12 <iq type='result' id='1' n='masked'/>\n"
     "c0 " SET("2", "><q xmlns='d'><b/></q>") "\ns14 <iq type='result' id='2' n='b'/>\n",
     "> " SET("1", "><q xmlns='d'><a>secret</a></q>") "\n< <iq type='result' id='1' n='masked'/>\n", 0},
    {"what was masked stays so",
     "c0 " ASK("1", PING) "\ns12 <iq type='result' id='1'><p>[redacted]</p></iq>\n",
     "> " ASK("1", PING) "\n< <iq type='result' id='1'><p>[redacted]</p></iq>\n", 0},
    {"an answer waits for what had been said before it",
     "c0 " ASK("1", PING) "\nc0 <presence/>\ns12 <iq type='result' id='1'/>\n"
     "s0 <presence from='alice@old.example/r'/>\n",
     "> " ASK("1", PING) "\n< \n"
     "> <presence/>\n< <iq type='result' id='1'/><presence from='" MY "'/>\n", 0},
    {"a push that came before an answer comes before it",
     "c0 " ASK("1", PING) "\ns0 <message n='1'/>\ns12 <iq type='result' id='1'/>\ns0 <message n='2'/>\n",
     "> " ASK("1", PING) "\n< <message n='1'/><iq type='result' id='1'/><message n='2'/>\n", 0},
    {"but for a second at most",
     "c0 " ASK("1", PING) "\nc0 <presence/>\ns12 <iq type='result' id='1'/>\n",
     "> " ASK("1", PING) "\n< \n+999\n< \n+1\n< <iq type='result' id='1'/>\n", 0},
    {"pushes come behind what they came behind, in their order, and only once",
     "c0 <presence/>\ns0 <message n='1'/>\ns0 <message n='2'/>\nc0 <message to='b@c'/>\ns0 <message n='3'/>\n",
     "> <presence/>\n< <message n='1'/><message n='2'/>\n+9999\n< \n> <message to='b@c'><body/></message>\n"
     "< <message n='3'/>\n> <presence/>\n< \n", 0},
    {"what the live client leaves out holds up nothing that came behind it",
     "c0 <presence/>\ns0 <message n='1'/>\nc0 <message to='b@c'/>\ns0 <message n='2'/>\n",
     "> <message to='b@c'/>\n< <message n='1'/><message n='2'/>\n", 0},
    {"pushes at their time, answers, too",
     "c0 " ASK("1", PING) "\ns12+100 <iq type='result' id='1'/>\ns0+200 <message n='1'/>\n",
     "> " ASK("1", PING) "\n< \n+99\n< \n+1\n< <iq type='result' id='1'/>\n+199\n< \n+1\n< <message n='1'/>\n", 1},
    {"twice as fast",
     "c0 <presence/>\ns0+1000 <message n='1'/>\n",
     "> <presence/>\n< \n+499\n< \n+1\n< <message n='1'/>\n", 2},
    {"at once",
     "c0 <presence/>\ns0+1000000 <message n='1'/>\n",
     "> <presence/>\n< <message n='1'/>\n", 0},
    {"the server's requests are answered, and go on",
     "c0 <presence/>\ns0 <iq type='set' id='push1' to='alice@old.example/r'><query xmlns='jabber:iq:roster'/></iq>\n"
     "c13 <iq type='result' id='push1'/>\ns0 <message n='1'/>\n",
     "> <presence/>\n< <iq type='set' id='push1' to='" MY "'><query xmlns='jabber:iq:roster'/></iq>\n"
     "> <iq type='result' id='push1'/>\n< <message n='1'/>\n", 0},
    {"and do not wait for a client that says nothing to them",
     "c0 <presence/>\ns0 <iq type='get' id='push1'" PING "</iq>\nc13 <iq type='result' id='push1'/>\n"
     "s0 <message n='1'/>\n",
     "> <presence/>\n< <iq type='get' id='push1'" PING "</iq>\n+999\n< \n+1\n< <message n='1'/>\n", 0},
    {"stream management as it was, with the live count",
     "c0 <enable xmlns='urn:xmpp:sm:3'/>\ns12 <enabled xmlns='urn:xmpp:sm:3' id='q'/>\nc0 <presence/>\n"
     "c0 <r xmlns='urn:xmpp:sm:3'/>\ns15 <a xmlns='urn:xmpp:sm:3' h='99'/>\ns0 <r xmlns='urn:xmpp:sm:3'/>\n"
     "c17 <a xmlns='urn:xmpp:sm:3' h='0'/>\ns0 <message n='1'/>\n",
     "> <enable xmlns='urn:xmpp:sm:3' resume='true'/>\n< <enabled xmlns='urn:xmpp:sm:3' id='q'/>\n"
     "> <presence/><presence/>\n< \n> <r xmlns='urn:xmpp:sm:3'/>\n"
     "< <a xmlns='urn:xmpp:sm:3' h='2'/><r xmlns='urn:xmpp:sm:3'/>\n"
     "> <a xmlns='urn:xmpp:sm:3' h='5'/>\n< <message n='1'/>\n"
     "> <r xmlns='urn:xmpp:sm:3'/>\n< <a xmlns='urn:xmpp:sm:3' h='2'/>\n", 0},
    {"what of it was not captured, and what nobody answers",
     "c0 <presence/>\n",
     "> <enable xmlns='urn:xmpp:sm:3'/>\n< <failed xmlns='urn:xmpp:sm:3'><unexpected-request "
     "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>\n"
     "> <r xmlns='urn:xmpp:sm:3'/><inactive xmlns='urn:xmpp:csi:0'/>\n< \n", 0},
    {"a resumption that nobody can go on with",
     "c0 <presence/>\n",
     "> <resume xmlns='urn:xmpp:sm:3' previd='q' h='1'/>\n< <failed xmlns='urn:xmpp:sm:3'><item-not-found "
     "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>\n", 0},
    {"an element that nobody knows",
     "c0 <presence/>\n",
     "> <what xmlns='urn:x'/>\n< " STREAM_ERROR("unsupported-stanza-type") "\n", 0},
    {"the captured server's own end",
     "c0 <presence/>\ns0 <stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\n",
     "> <presence/>\n< <stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
     "</stream:stream>\n", 0},
    {"what waits when the client ends goes out",
     "c0 " ASK("1", PING) "\nc0 <presence/>\ns12 <iq type='result' id='1'/>\nx\ns0 <message n='last'/>\n",
     "> " ASK("1", PING) "\n< \n> </stream:stream>\n< <iq type='result' id='1'/></stream:stream>\n", 0},
    {"what came behind the client's end comes behind it",
     "c0 <presence/>\nx\ns0 <message n='last'/>\n",
     "> <presence/>\n< \n> </stream:stream>\n< <message n='last'/></stream:stream>\n", 0},
};
/* clang-format on */

/* ---- the capture ---- */

struct taping {
    struct script *s;
    uint64_t n;
    int64_t now_us;
    char text[1u << 20];
};

static void add(struct taping *t, struct event ev)
{
    ev.n = t->n++;
    ev.session = "cap-1";
    ev.time_us = t->now_us;
    assert_int_equal(script_event(t->s, &ev), 0);
}

/* "c0+100=PLAIN <xml...": direction, what it answers, milliseconds, mechanism. */
static void add_line(struct taping *t, char *line)
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

static struct taping *tape(const char *login, const char *rest)
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

static struct script *script_of(const char *login, const char *rest)
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

static void on_unanswered(void *arg, const char *asked, const char *given)
{
    struct live *l = arg;

    assert_true(*given);
    l->unanswered++;
    snprintf(l->asked, sizeof l->asked, "%s", asked);
}

static void open_live(struct live *l, struct script *s, bool accounts)
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

static void close_live(struct live *l)
{
    close_link(&l->link);
    script_free(l->script);
}

#define OPEN_NEW                                                                                   \
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "        \
    "to='new.example' version='1.0'>"

static void enter(struct live *l)
{
    server_tls(l->link.s);
    feed(&l->link, OPEN_NEW AUTH_PLAIN OPEN_NEW BIND("here"));
    assert_non_null(strstr(got(&l->link), "<iq id='b' type='result'><bind xmlns='" NS_B "'><jid>" MY
                                          "</jid></bind></iq>"));
}

static void play(struct live *l, const char *script)
{
    char *text = strdup(script), *at = text, *line;

    while ((line = strsep(&at, "\n"))) {
        if (*line == '>')
            feed(&l->link, line + 2);
        else if (*line == '<')
            expect(&l->link, line + 2);
        if (*line != '+')
            continue;
        l->link.now_us += strtol(line + 1, NULL, 10) * 1000;
        if (server_due_us(l->link.s) >= 0 && server_due_us(l->link.s) <= l->link.now_us)
            assert_int_equal(server_tick(l->link.s, l->link.now_us), 0);
    }
    free(text);
}

static void plays_as_captured(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct script *s = script_of(LOGGED_IN, rows[i].captured);
        struct live l;

        print_message("  %s\n", rows[i].name);
        s->speed = rows[i].speed;
        open_live(&l, s, false);
        enter(&l);
        play(&l, rows[i].live);
        close_live(&l);
    }
}

/* ---- streams ---- */

static void streams_are_the_captured_ones(void **state)
{
    struct live l;

    (void)state;
    open_live(&l, script_of(LOGGED_IN, ""), false);
    feed(&l.link, OPEN_NEW);
    expect(&l.link, HEADER_LIVE " xml:lang='de' version='1.0'><stream:features>" STARTTLS
                                "</stream:features>");
    feed(&l.link, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    expect(&l.link, "<proceed xmlns=\"urn:ietf:params:xml:ns:xmpp-tls\"/>");
    server_tls(l.link.s);
    feed(&l.link, OPEN_NEW);
    expect(&l.link, HEADER_LIVE " xml:lang='de' version='1.0'><stream:features>" PLAIN_ALONE
                                "<x xmlns='urn:other'>1</x></stream:features>");
    feed(&l.link, AUTH_PLAIN OPEN_NEW);
    expect(&l.link,
           SUCCESS HEADER_LIVE " to='ann@new.example' xml:lang='de' version='1.0'>" BOUND_FEATURES);
    close_live(&l);
}

/* A login that was required to have TLS gets none of ours without. */
static void no_password_before_tls(void **state)
{
    struct live l;

    (void)state;
    open_live(&l, script_of(LOGGED_IN, ""), false);
    feed(&l.link, OPEN_NEW AUTH_PLAIN);
    assert_non_null(strstr(got(&l.link), "<failure "));
    close_live(&l);
}

static const struct {
    const char *name, *login;
    bool tls, accounts;
    const char *features;
} feature_rows[] = {
    {"the client's mechanism first; what we cannot do, and what binds a channel, not at all",
     LOGIN_TLS LOGIN(MECH("PLAIN") MECH("SCRAM-SHA-256-PLUS") MECH("SCRAM-SHA-256") MECH("GSSAPI")
                         MECH("SCRAM-SHA-1"),
                     "SCRAM-SHA-1") BINDS,
     true, true,
     "<mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism>"
     "<mechanism>SCRAM-SHA-256</mechanism></mechanisms>"},
    {"without passwords there is no SCRAM",
     LOGIN_TLS LOGIN(MECH("SCRAM-SHA-256"), "SCRAM-SHA-256") BINDS, true, false,
     "<stream:features>" PLAIN_ALONE "<x"},
    {"a capture without TLS has none", LOGIN(MECH("PLAIN"), "PLAIN") BINDS, false, false,
     "<stream:features>" PLAIN_ALONE "<x xmlns='urn:other'>1</x></stream:features>"},
    {"with TLS from the first byte there is none to begin",
     "t\n" LOGIN(MECH("PLAIN"), "PLAIN") BINDS, true, false,
     "<stream:features>" PLAIN_ALONE "<x xmlns='urn:other'>1</x></stream:features>"},
    {"it can be had all the same where TLS came first in the capture",
     "t\n" LOGIN(MECH("PLAIN"), "PLAIN") BINDS, false, false,
     "<x xmlns='urn:other'>1</x><starttls "
     "xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"},
};

static void features_are_what_can_be_played(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof feature_rows / sizeof *feature_rows; i++) {
        struct live l;

        print_message("  %s\n", feature_rows[i].name);
        open_live(&l, script_of(feature_rows[i].login, ""), feature_rows[i].accounts);
        l.link.own->closed = false; /* any domain */
        if (feature_rows[i].tls)
            server_tls(l.link.s);
        l.link.own->closed = feature_rows[i].accounts;
        assert_non_null(world_make(l.link.own, "ann", "new.example"));
        feed(&l.link, OPEN_NEW);
        if (!strstr(got(&l.link), feature_rows[i].features))
            fail_msg("%s", l.link.got.p);
        close_live(&l);
    }
}

/* SASL2 has bound its client along with the login; the live one logs in, and binds, as it can. */
static void session_of_sasl2_is_played(void **state)
{
    static const char captured[] = LOGIN_TLS
        "s0 <stream:features><authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism>"
        "</authentication></stream:features>\n"
        "c0=PLAIN <authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>\n"
        "s0 <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>alice@old.example/r"
        "</authorization-identifier></success>\n"
        "s0 <stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>\n"
        "s0 <message to='alice@old.example/r' n='1'/>\n"
        "c0 " ASK("1", PING) "\ns10 <iq type='result' id='1' n='ping'/>\n";
    struct live l;

    (void)state;
    open_live(&l, script_of(captured, ""), false);
    server_tls(l.link.s);
    feed(&l.link, OPEN_NEW AUTH_PLAIN OPEN_NEW);
    assert_non_null(strstr(got(&l.link),
                           "<stream:features><sm xmlns='urn:xmpp:sm:3'/><bind xmlns='" NS_B
                           "'/></stream:features>"));
    assert_null(strstr(l.link.got.p, "urn:xmpp:sasl:2"));
    feed(&l.link, BIND("here"));
    assert_non_null(
        strstr(got(&l.link), "<jid>" MY "</jid></bind></iq><message to='" MY "' n='1'/>"));
    feed(&l.link, ASK("9", PING));
    expect(&l.link, "<iq type='result' id='9' n='ping'/>");
    assert_int_equal(l.unanswered, 0);
    close_live(&l);
}

/* So is one of jabber:iq:auth, whose login is ours (XEP-0078). */
static void session_of_legacy_login_is_played(void **state)
{
    static const char auth[] = "<iq type='result' id='a'/>";
    struct taping *t = tape(
        "c0 <stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>\n"
        "s0 " CAPTURED_HEADER "\n"
        "s0 <stream:features><auth xmlns='http://jabber.org/features/iq-auth'/></stream:features>\n"
        "c0 <iq type='set' id='a'><query xmlns='jabber:iq:auth'><password>[redacted]</password>"
        "</query></iq>\n",
        "");
    struct script *s = t->s;
    struct error e;
    struct live l;
    char asked[] = "c0 " ASK("1", PING);
    char answered[] = "s6 <iq type='result' id='1' to='alice@old.example/r'/>";

    (void)state;
    add(t, (struct event){.kind = EVENT_STANZA,
                          .dir = DIR_S2C,
                          .label = "legacy.auth.result",
                          .re = 4,
                          .data = auth,
                          .len = sizeof auth - 1});
    add_line(t, asked);
    add_line(t, answered);
    add(t, (struct event){.kind = EVENT_END, .u.end = {.account = "alice@old.example/r"}});
    free(t);
    assert_int_equal(script_ready(s, &e), 0);
    open_live(&l, s, false);
    feed(&l.link,
         OPEN_NEW "<iq type='set' id='x'><query xmlns='jabber:iq:auth'><username>ann</username>"
                  "<password>secret</password><resource>here</resource></query></iq>");
    assert_non_null(strstr(got(&l.link), "<iq type=\"result\" id=\"x\""));
    feed(&l.link, ASK("9", PING));
    expect(&l.link, "<iq type='result' id='9' to='" MY "'/>");
    close_live(&l);
}

/* ---- what is said of it ---- */

static void what_has_no_answer_is_named(void **state)
{
    struct live l;

    (void)state;
    open_live(&l, script_of(LOGGED_IN, ""), false);
    enter(&l);
    feed(&l.link, ASK("1", "to='new.example'><query xmlns='urn:q' node='n'/>"));
    assert_string_equal(l.asked, "iq get of {urn:q}query, node n, to new.example");
    feed(&l.link, "<presence/><message to='a@b'><body/></message>"); /* these need none */
    assert_int_equal(l.unanswered, 1);
    for (int i = 0; i < 200; i++)
        feed(&l.link, ASK("1", PING));
    assert_int_equal(l.unanswered, 100);
    assert_non_null(strstr(l.asked, "further ones of this session are not named"));
    close_live(&l);
}

static void sessions_that_cannot_be_played_are_refused(void **state)
{
    static const char *const logins[] = {
        "",
        "c0 <stream:stream xmlns='jabber:client' "
        "xmlns:stream='http://etherx.jabber.org/streams'>\n",
        LOGIN_TLS "s0 <failure xmlns='" NS_S "'><not-authorized/></failure>\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof logins / sizeof *logins; i++) {
        struct taping *t = tape(logins[i], "");
        struct error e = {0};

        assert_int_equal(script_ready(t->s, &e), ERR_FORMAT);
        assert_non_null(
            strstr(e.detail, "session cap-1 cannot be served: its client never logged in"));
        script_free(t->s);
        free(t);
    }
}

/* ---- bounds ---- */

/* More than an output holds: it waits until there is room, and none is lost. */
static void much_goes_out_as_it_is_fetched(void **state)
{
    struct buf pushes;
    struct live l;
    size_t n = 0;

    (void)state;
    buf_init(&pushes, 1u << 20);
    assert_int_equal(buf_str(&pushes, "c0 <presence/>\n"), 0);
    for (int i = 0; i < 9000; i++)
        assert_int_equal(
            buf_printf(&pushes, "s0 <message id='%04d'><body>%064d</body></message>\n", i, i), 0);
    assert_int_equal(buf_add(&pushes, "", 1), 0);
    open_live(&l, script_of(LOGGED_IN, pushes.p), false);
    enter(&l);
    assert_int_equal(server_input(l.link.s, "<presence/>", 11, 0), 0);
    for (size_t now = 1; now; n += now) {
        const char *p = server_output(l.link.s, &now);

        assert_true(now <= (256u << 10) + 200);
        assert_int_equal(server_due_us(l.link.s),
                         now >= (256u << 10) ? -1 : server_due_us(l.link.s));
        assert_int_equal(buf_add(&l.link.got, p, now), 0);
        server_sent(l.link.s, now);
    }
    assert_int_equal(n, 9000 * strlen("<message id='0000'><body></body></message>") + 9000 * 64);
    assert_non_null(memmem(l.link.got.p, n, "<message id='8999'>", 19));
    buf_free(&pushes);
    close_live(&l);
}

/* As many requests as the client likes, none of which can be answered yet. */
static void many_wait_and_none_is_lost(void **state)
{
    struct live l;
    int64_t n = 0;

    (void)state;
    open_live(&l,
              script_of(LOGGED_IN, "c0 " ASK("1", PING) "\nc0 <presence/>\n"
                                                        "s12 <iq type='result' id='1'/>\n"),
              false);
    enter(&l);
    for (int i = 0; i < 1000; i++)
        feed(&l.link, ASK("x", PING));
    feed(&l.link, "<presence/>");
    for (const char *p = got(&l.link); (p = strstr(p, "<iq type='result' id='x'/>")); p++)
        n++;
    assert_int_equal(n, 1000);
    close_live(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_the_captured_ones),
        cmocka_unit_test(no_password_before_tls),
        cmocka_unit_test(features_are_what_can_be_played),
        cmocka_unit_test(session_of_sasl2_is_played),
        cmocka_unit_test(session_of_legacy_login_is_played),
        cmocka_unit_test(what_has_no_answer_is_named),
        cmocka_unit_test(sessions_that_cannot_be_played_are_refused),
        cmocka_unit_test(much_goes_out_as_it_is_fetched),
        cmocka_unit_test(many_wait_and_none_is_lost),
        cmocka_unit_test(plays_as_captured),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

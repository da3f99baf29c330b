/* The replayer without sockets: what it says when, to a server that is written down here, and what
 * the report makes of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../proxy/replay/report.h"

#define NS_BIND "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_SASL "urn:ietf:params:xml:ns:xmpp-sasl"
#define HEADER "<stream:stream xmlns='jabber:client' "                                             \
               "xmlns:stream='http://etherx.jabber.org/streams' "                                  \
               "version='1.0'>"
#define OURS "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "                          \
             "xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='new.example'>"
#define FEATURES(inner) "<stream:features>" inner "</stream:features>"
#define MECHANISMS(m) "<mechanisms xmlns='" NS_SASL "'><mechanism>" m "</mechanism></mechanisms>"
#define BINDS "<bind xmlns='" NS_BIND "'/>"
#define STARTTLS "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define PROCEED "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define AUTH "<auth xmlns='" NS_SASL "' mechanism='PLAIN'>AGNhcm9sAHBlbmNpbA==</auth>"
#define REFUSED "<failure xmlns='" NS_SASL "'><not-authorized/></failure>"
#define SUCCESS "<success xmlns='" NS_SASL "'/>"

/* What was captured: a line an item, `c` or `s` and the number of what it answers. The login's
 * lines come first, so the first is number FIRST. */
#define FIRST 6
#define BOUND                                                                                      \
    "c0 <iq type='set' id='b'><bind xmlns='" NS_BIND "'><resource>r</resource></bind></iq>\n"      \
    "s6 <iq type='result' id='b'><bind xmlns='" NS_BIND "'><jid>alice@old.example/r</jid></bind>"  \
    "</iq>\n"
/* The same, live. */
#define ASKS                                                                                       \
    "> <iq type='set' id='b'><bind xmlns='" NS_BIND "'><resource>r</resource></bind></iq>\n"
#define BINDS_IT                                                                                   \
    "< <iq type='result' id='b'><bind xmlns='" NS_BIND "'><jid>carol@new.example/z</jid></bind>"   \
    "</iq>\n"
#define BYE  "> </stream:stream>\n< </stream:stream>\n"
#define PING "<ping xmlns='urn:xmpp:ping'/>"

static const struct row {
    const char *name, *captured;
    const char *live;   /* `>` what goes out, `<` what comes, `+` seconds go by */
    const char *report; /* its last lines, from the first that is not `same` on */
    const char *error;  /* a part of it, NULL: none */
} rows[] = {
    {"nothing but a resource", BOUND, ASKS BINDS_IT BYE,
     "3 answers the same, 0 differ, 0 missing\n", NULL},
    {"names become the live ones",
     BOUND "c0 <iq type='get' id='1' to='alice@old.example/r'/>\n"
           "s8 <iq type='result' id='1' from='alice@old.example/r'/>\n",
     ASKS BINDS_IT "> <iq type='get' id='1' to='carol@new.example/z'/>\n"
                   "< <iq type='result' id='1' from='carol@new.example/z'/>\n" BYE,
     "4 answers the same, 0 differ, 0 missing\n", NULL},
    {"what was sent together is sent together",
     BOUND "c0 <iq type='get' id='1'/>\nc0 <iq type='get' id='2'/>\ns9 <iq type='result' id='2'/>\n"
           "s8 <iq type='result' id='1'/>\nc0 <iq type='get' id='3'/>\ns12 <iq type='result' "
           "id='3'/>\n",
     ASKS BINDS_IT "> <iq type='get' id='1'/><iq type='get' id='2'/>\n< <iq type='result' "
                   "id='1'/>\n"
                   ">\n< <iq type='result' id='2'/>\n> <iq type='get' id='3'/>\n"
                   "< <iq type='result' id='3'/>\n" BYE,
     "6 answers the same, 0 differ, 0 missing\n", NULL},
    {"an answer that does not come is waited for no longer than told",
     BOUND "c0 <iq type='get' id='1'/>\ns8 <iq type='result' id='1'/>\nc0 <message/>\n",
     ASKS BINDS_IT "> <iq type='get' id='1'/>\n+4\n>\n+1\n> <message/></stream:stream>\n"
                   "< </stream:stream>\n",
     "missing  #8 client asks for iq get\n"
     "         captured result, live no answer within 5 s\n"
     "3 answers the same, 0 differ, 1 missing\n", NULL},
    {"one that comes late counts",
     BOUND "c0 <iq type='get' id='1'/>\ns8 <iq type='result' id='1'/>\nc0 <message/>\n",
     ASKS BINDS_IT "> <iq type='get' id='1'/>\n+5\n> <message/></stream:stream>\n"
                   "< <iq type='result' id='1'/></stream:stream>\n",
     "4 answers the same, 0 differ, 0 missing\n", NULL},
    {"an error instead of a result",
     BOUND "c0 <iq type='get' id='1'>" PING "</iq>\ns8 <iq type='result' id='1'/>\n",
     ASKS BINDS_IT "> <iq type='get' id='1'>" PING "</iq>\n"
                   "< <iq type='error' id='1'><error type='cancel'><service-unavailable "
                   "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>\n" BYE,
     "differs  #8 client pings\n"
     "         captured result, live error service-unavailable (cancel)\n"
     "3 answers the same, 1 differ, 0 missing\n", NULL},
    {"presence is taken back",
     BOUND "c0 <presence/>\ns0 <presence from='alice@old.example/r'/>\n",
     ASKS BINDS_IT "> <presence/>\n< <presence from='carol@new.example/z'/>\n"
                   "> <presence type='unavailable'/></stream:stream>\n< </stream:stream>\n",
     "3 answers the same, 0 differ, 0 missing; unasked: 1 the same, 0 differ, 0 only captured, 0 "
     "only "
     "live\n", NULL},
    {"unless the client did so", BOUND "c0 <presence/>\nc0 <presence type='unavailable'/>\n",
     ASKS BINDS_IT "> <presence/><presence type='unavailable'/></stream:stream>\n< "
                   "</stream:stream>\n",
     "3 answers the same, 0 differ, 0 missing\n", NULL},
    {"what came unasked",
     BOUND "s0 <message from='bob@old.example/x'><body>hi</body></message>\n",
     ASKS "< <iq type='result' id='b'><bind "
          "xmlns='" NS_BIND "'><jid>carol@new.example/z</jid></bind>"
     "</iq><message from='new.example'><body>motd</body></message>\n" BYE,
     "captured #8 server sends message jabber:client: not this time\n"
     "         <message from='bob@old.example/x'><body>hi</body></message>\n"
     "live     came unasked: not in the capture\n"
     "         <message from='new.example'><body>motd</body></message>\n"
     "3 answers the same, 0 differ, 0 missing; unasked: 0 the same, 0 differ, 1 only captured, 1 "
     "only "
     "live\n", NULL},
    {"what came by the client's own doing is waited for",
     BOUND "c0 <message to='alice@old.example'/>\ns0 <message from='alice@old.example/r'/>\nc0 "
           "<message/>\n"
           "s0 <presence from='bob@old.example/x'/>\nc0 <message/>\ns0 <presence "
           "from='bob@old.example/x'/>\n"
           "c0 <message/>\n",
     ASKS BINDS_IT "> <message to='carol@new.example'/>\n>\n< <message "
                   "from='carol@new.example/z'/>\n"
                   "> <message/>\n+0\n>\n+1\n> <message/><message/></stream:stream>\n< "
                   "</stream:stream>\n",
     "3 answers the same, 0 differ, 0 missing; unasked: 1 the same, 0 differ, 2 only captured, 0 "
     "only "
     "live\n", NULL},
    {"what the server asks is answered with its id",
     BOUND "s0 <iq type='set' id='p1'><query xmlns='jabber:iq:roster'/></iq>\n"
           "c8 <iq type='result' id='p1'/>\nc0 <message/>\n",
     ASKS BINDS_IT ">\n< <iq type='set' id='q9'><query xmlns='jabber:iq:roster'/></iq>\n"
                   "> <iq type='result' id='q9'/><message/></stream:stream>\n< </stream:stream>\n",
     "3 answers the same, 0 differ, 0 missing; unasked: 1 the same, 0 differ, 0 only captured, 0 "
     "only "
     "live\n", NULL},
    {"what it does not ask is not answered",
     BOUND "s0 <iq type='set' id='p1'><query xmlns='jabber:iq:roster'/></iq>\n"
           "c8 <iq type='result' id='p1'/>\n",
     ASKS BINDS_IT "+5\n" BYE,
     "captured #8 server pushes a roster change: not this time\n"
     "         <iq type='set' id='p1'><query xmlns='jabber:iq:roster'/></iq>\n"
     "skipped  #9: it answers what the server did not ask this time\n"
     "3 answers the same, 0 differ, 0 missing; unasked: 0 the same, 0 differ, 1 only captured, 0 "
     "only "
     "live; 1 skipped\n", NULL},
    {"what it asks besides is refused",
     BOUND "c0 <iq type='get' id='1'/>\ns8 <iq type='result' id='1'/>\n",
     ASKS BINDS_IT "> <iq type='get' id='1'/>\n< <iq type='get' id='7' "
                   "from='new.example'>" PING "</iq>\n"
     "> <iq type='error' id='7' to='new.example'><error type='cancel'><service-unavailable "
     "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>\n< <iq type='result' "
     "id='1'/>\n" BYE,
     "live     came unasked: not in the capture\n"
     "         <iq type='get' id='7' from='new.example'><ping xmlns='urn:xmpp:ping'/></iq>\n"
     "4 answers the same, 0 differ, 0 missing; unasked: 0 the same, 0 differ, 0 only captured, 1 "
     "only "
     "live\n", NULL},
    {"stream management is enabled, its counts are our own",
     BOUND "c0 <enable xmlns='urn:xmpp:sm:3'/>\ns8 <enabled xmlns='urn:xmpp:sm:3' id='x'/>\n"
           "c0 <r xmlns='urn:xmpp:sm:3'/>\ns10 <a xmlns='urn:xmpp:sm:3' h='0'/>\n"
           "c0 <a xmlns='urn:xmpp:sm:3' h='9'/>\nc0 <iq type='get' id='1'/>\n"
           "s13 <iq type='result' id='1'/>\n",
     ASKS BINDS_IT "> <enable xmlns='urn:xmpp:sm:3'/>\n< <enabled xmlns='urn:xmpp:sm:3' id='y'/>\n"
                   "> <iq type='get' id='1'/>\n< <message type='error'/><r "
                   "xmlns='urn:xmpp:sm:3'/>\n"
                   "> <a xmlns='urn:xmpp:sm:3' h='1'/>\n< <iq type='result' id='1'/>\n" BYE,
     "live     came unasked: not in the capture\n"
     "         <message type='error'/>\n"
     "skipped  #10, #12: stream management counts and resumes the captured stream, not this one\n"
     "5 answers the same, 0 differ, 0 missing; unasked: 0 the same, 0 differ, 0 only captured, 1 "
     "only "
     "live; 2 skipped\n", NULL},
    {"a capture without a request for a resource gets one",
     "c0 <iq type='get' id='1'/>\ns6 <iq type='result' id='1'/>\n",
     "> <iq type='set' id='xmpptap-replay-bind'><bind xmlns='" NS_BIND "'></bind></iq>\n"
     "< <iq type='result' id='xmpptap-replay-bind'><bind "
     "xmlns='" NS_BIND "'><jid>carol@new.example/z"
     "</jid></bind></iq>\n> <iq type='get' id='1'/>\n< <iq type='result' id='1'/>\n" BYE,
     "3 answers the same, 0 differ, 0 missing\n", NULL},
    {"a refused resource ends it",
     BOUND "c0 <iq type='get' id='1'/>\ns8 <iq type='result' id='1'/>\n",
     ASKS "< <iq type='error' id='b'><error type='cancel'><not-allowed "
     "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>\n",
     "missing  #8 client asks for iq get\n"
     "         captured result, live not asked: the session ended before\n"
     "2 answers the same, 1 differ, 1 missing\n", "gives the account no resource (not-allowed)"},
    {"the server ends the stream",
     BOUND "c0 <iq type='get' id='1'/>\ns8 <iq type='result' id='1'/>\nc0 <message/>\n",
     ASKS BINDS_IT "> <iq type='get' id='1'/>\n< <stream:error><conflict "
     "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>\n",
     "3 answers the same, 0 differ, 1 missing; unasked: 0 the same, 0 differ, 0 only captured, 1 "
     "only "
     "live\n", "ended the stream (conflict) before all of the capture was sent (left: 1)"},
    {"redacted items are skipped",
     BOUND "c0 <iq type='set' id='1'><query "
           "xmlns='jabber:iq:register'><password>[redacted]</password>"
           "</query></iq>\ns8 <iq type='result' id='1'/>\n",
     ASKS BINDS_IT BYE,
     "skipped  #8: [redacted] stands in it; to have it played, capture with --secrets keep\n"
     "3 answers the same, 0 differ, 0 missing; 1 skipped\n", NULL},
    {"and what comes is masked as the capture is",
     BOUND "c0 <iq type='get' id='1'/>\ns8 <iq type='result' id='1'><query "
           "xmlns='jabber:iq:register'>"
           "<password>[redacted]</password></query></iq>\n",
     ASKS BINDS_IT "> <iq type='get' id='1'/>\n< <iq type='result' id='1'><query "
     "xmlns='jabber:iq:register'><password>secret</password></query></iq>\n" BYE,
     "4 answers the same, 0 differ, 0 missing\n", NULL},
};

/* ---- the capture ---- */

static const char *label_of(const char *xml)
{
    static const struct {
        const char *part, *label;
    } labels[] = {
        {"<legacy/>", "legacy.auth.result"},
        {"<message", "message.other"}, {"jabber:iq:roster", "roster.push"},
        {"urn:xmpp:ping", "ping.client.request"},
    };

    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (strstr(xml, labels[i].part))
            return labels[i].label;
    return "iq.other";
}

static void add_text(struct plan *p, enum event_kind kind, const char *xml, uint64_t *n)
{
    const struct event ev = {.kind = kind, .session = "S1", .n = ++*n, .dir = DIR_S2C, .data = xml,
                             .len = strlen(xml)};

    assert_int_equal(plan_event(p, &ev), 0);
}

static void read_lines(struct plan *p, const char *text, uint64_t n)
{
    for (const char *line = text; *line;) {
        const char *xml = strchr(line, ' ') + 1, *stop = strchr(line, '\n');
        char copy[1024];
        struct event ev = {.kind = EVENT_STANZA, .session = "S1", .n = ++n,
                           .dir = *line == 'c' ? DIR_C2S : DIR_S2C, .data = xml,
                           .len = (size_t)(stop - xml), .re = strtoull(line + 1, NULL, 10)};

        snprintf(copy, sizeof copy, "%.*s", (int)ev.len, xml);
        ev.label = label_of(copy);
        assert_int_equal(plan_event(p, &ev), 0);
        line = stop + 1;
    }
}

/* `text` NULL: the login is refused. */
static void read_capture(struct plan *p, const char *text)
{
    uint64_t n = 1;

    add_text(p, EVENT_STREAM, HEADER, &n);
    add_text(p, EVENT_STANZA, FEATURES(MECHANISMS("PLAIN")), &n);
    add_text(p, EVENT_STANZA, text ? SUCCESS : REFUSED, &n);
    if (!text)
        return;
    add_text(p, EVENT_STANZA, FEATURES(BINDS), &n);
    assert_int_equal(n + 1, FIRST);
    read_lines(p, text, n);
}

/* ---- the live session ---- */

struct stage {
    struct reader *reader;
    struct account account;
    struct plan plan;
    struct replayer r;
    struct replayer_options o;
    int64_t now_us;
};

static bool is_secure(void *arg, enum side side)
{
    (void)arg;
    return side == SIDE_SERVER;
}

static const struct bridge_user user = {.secure = is_secure};

static void expect(struct stage *s, const char *wanted, size_t n)
{
    assert_int_equal(buf_add(&s->r.out, "", 1), 0);
    s->r.out.len--;
    if (s->r.out.len != n || memcmp(s->r.out.p, wanted, n) != 0)
        fail_msg("it says: %s\nwanted:  %.*s", s->r.out.p, (int)n, wanted);
    s->r.out.len = 0;
}

static void hear(struct stage *s, const char *p, size_t n)
{
    replayer_data(&s->r, s->now_us, p, n);
}

static void hear_text(struct stage *s, const char *p)
{
    hear(s, p, strlen(p));
}

static void expect_text(struct stage *s, const char *p)
{
    expect(s, p, strlen(p));
}

static void begin_with(struct stage *s, void (*read)(struct plan *, const char *),
                       const char *captured, bool direct)
{
    const struct event session = {.kind = EVENT_SESSION, .session = "S1", .n = 1,
                                  .u.session_facts = {.upstream = "", .secrets = "redact"}};

    *s = (struct stage){.reader = reader_new(), .now_us = 1000000};
    assert_non_null(s->reader);
    snprintf(s->account.name, sizeof s->account.name, "carol");
    snprintf(s->account.domain, sizeof s->account.domain, "new.example");
    snprintf(s->account.password, sizeof s->account.password, "pencil");
    plan_init(&s->plan, s->reader);
    assert_int_equal(plan_event(&s->plan, &session), 0);
    read(&s->plan, captured);
    s->o = (struct replayer_options){.plan = &s->plan, .account = &s->account, .reader = s->reader,
                                     .user = &user, .wait_s = 5};
    replayer_begin(&s->r, &s->o, direct, s->now_us);
}

static void begin(struct stage *s, const char *captured, bool direct)
{
    begin_with(s, read_capture, captured, direct);
}

static void log_in(struct stage *s)
{
    assert_int_equal(s->r.phase, REPLAY_TLS);
    replayer_secured(&s->r, s->now_us);
    expect_text(s, OURS);
    hear_text(s, HEADER FEATURES(MECHANISMS("PLAIN")));
    expect_text(s, AUTH);
    hear_text(s, SUCCESS);
    expect_text(s, OURS);
    hear_text(s, HEADER FEATURES(BINDS));
}

static void end(struct stage *s)
{
    replayer_free(&s->r);
    plan_free(&s->plan);
    reader_free(s->reader);
}

static void play(struct stage *s, const char *text)
{
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        const char *p = line + 1 + (line[1] == ' '), *stop = strchr(line, '\n');

        if (*line == '>')
            expect(s, p, (size_t)(stop - p));
        else if (*line == '<')
            hear(s, p, (size_t)(stop - p));
        else
            s->now_us += strtol(p, NULL, 10) * 1000000;
        if (*line == '+')
            replayer_time(&s->r, s->now_us);
    }
}

/* The report from its first line that is not about what is the same. */
static void expect_report(struct stage *s, const char *wanted, bool all_same)
{
    static const struct report_options o = {.target = "tcp://new.example:5222"};
    struct report counts;
    size_t size;
    char *text, *at;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    assert_int_equal(report_write(&s->r, &o, to, &counts), 0);
    assert_int_equal(fclose(to), 0);
    assert_true(strlen(text) >= strlen(wanted));
    at = text + strlen(text) - strlen(wanted);
    assert_string_equal(at, wanted);
    assert_int_equal(report_all_same(&counts), all_same);
    free(text);
}

static void sessions_are_played(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        bool same = !strstr(row->report, "missing  ") && !strstr(row->report, "differs  ") &&
                    !strstr(row->report, "captured #") && !strstr(row->report, "live     ") &&
                    !strstr(row->report, "2 only captured");
        struct stage s;

        begin(&s, row->captured, true);
        log_in(&s);
        play(&s, row->live);
        assert_int_equal(s.r.phase, REPLAY_DONE);
        if (row->error)
            assert_non_null(strstr(s.r.error.detail, row->error));
        else
            assert_string_equal(s.r.error.detail, "");
        expect_report(&s, row->report, same && !row->error);
        end(&s);
    }
}

/* Where the captured client was refused there is nothing to play, but much to compare. */
static void a_captured_login_that_failed(void **state)
{
    struct stage s;

    (void)state;
    begin(&s, NULL, true);
    log_in(&s);
    expect_text(&s, "</stream:stream>");
    hear_text(&s, "</stream:stream>");
    assert_int_equal(s.r.phase, REPLAY_DONE);
    expect_report(&s, "same     #3 features before the login\n"
                      "differs  the login: captured nothing, refused: failure, live PLAIN\n"
                      "1 answers the same, 1 differ, 0 missing\n", false);
    end(&s);
}

/* Captures whose client logged in in another way: it has no resource of its own asking. */
static const struct {
    const char *name, *captured, *resource;
    bool skips;
} others[] = {
    {"SASL2",
     "c0 <authenticate xmlns='urn:xmpp:sasl:2'/>\nc0 <iq type='get' id='1' "
     "to='alice@old.example/x'/>\n"
     "s0 <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>alice@old.example/x"
     "</authorization-identifier></success>\ns3 <iq type='result' id='1'/>\n",
     "<resource>x</resource>", false},
    {"legacy login",
     "c0 <iq type='set' id='a'><query xmlns='jabber:iq:auth'/></iq>\n"
     "s2 <iq type='result' id='a'><legacy/></iq>\nc0 <iq type='get' id='1' "
     "to='carol@new.example/z'/>\n"
     "s4 <iq type='result' id='1'/>\n",
     "", true},
    {"a resumed stream",
     "s0 " SUCCESS "\nc0 <resume xmlns='urn:xmpp:sm:3' h='1' previd='p'/>\n"
     "s3 <resumed xmlns='urn:xmpp:sm:3' h='1'/>\nc0 <iq type='get' id='1' "
     "to='carol@new.example/z'/>\n"
     "s5 <iq type='result' id='1'/>\n",
     "", true},
};

static void read_other(struct plan *p, const char *text)
{
    read_lines(p, text, 1);
}

static void captures_of_other_logins(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char ours[300];
        struct stage s;

        begin_with(&s, read_other, others[i].captured, true);
        log_in(&s);
        snprintf(ours, sizeof ours, "<iq type='set' id='xmpptap-replay-bind'><bind xmlns='" NS_BIND
                 "'>%s</bind></iq>", others[i].resource);
        expect_text(&s, ours);
        hear_text(&s, "<iq type='result' id='xmpptap-replay-bind'><bind xmlns='" NS_BIND
                      "'><jid>carol@new.example/z</jid></bind></iq>");
        expect_text(&s, "<iq type='get' id='1' to='carol@new.example/z'/>");
        hear_text(&s, "<iq type='result' id='1' from='carol@new.example/z'/>");
        expect_text(&s, "</stream:stream>");
        assert_int_equal(s.plan.logged_in, true);
        assert_int_equal(s.plan.skipped[SKIP_NOT] < s.plan.items, others[i].skips);
        end(&s);
    }
}

/* However what comes is cut, the same is said. */
static void bytes_may_come_one_by_one(void **state)
{
    static const char live[] = "<iq type='result' id='b'><bind "
                               "xmlns='" NS_BIND "'><jid>carol@new.example"
                               "/z</jid></bind></iq> <message/></stream:stream>";
    struct stage s;

    (void)state;
    begin(&s, BOUND "c0 <message to='alice@old.example/r'/>\n", true);
    log_in(&s);
    play(&s, ASKS);
    for (size_t i = 0; i < sizeof live - 1; i++)
        hear(&s, live + i, 1);
    expect_text(&s, "<message to='carol@new.example/z'/></stream:stream>");
    assert_int_equal(s.r.phase, REPLAY_DONE);
    assert_int_equal(s.r.pushes, 1);
    end(&s);
}

/* ---- the login ---- */

static const struct {
    const char *name, *live, *error;
    enum replay_phase phase;
} logins[] = {
    {"STARTTLS", "< " HEADER FEATURES(STARTTLS MECHANISMS("PLAIN")) "\n> " STARTTLS "\n< "
                                                                                    "" PROCEED "\n",
     "", REPLAY_TLS},
    {"refused", "< " HEADER FEATURES(STARTTLS) "\n> " STARTTLS
     "\n< <failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n", "offers STARTTLS and refuses it",
     REPLAY_DONE},
    {"plaintext behind it", "< " HEADER FEATURES(STARTTLS) "\n> " STARTTLS "\n< " PROCEED "<x/>\n",
     "plaintext behind <proceed/>", REPLAY_DONE},
    {"wrong password", "< " HEADER FEATURES(MECHANISMS("PLAIN")) "\n> " AUTH "\n< <failure "
                                                                             "xmlns='" NS_SASL
     "'><not-authorized/><text>No.</text></failure>\n",
     "the server does not accept --account with the password in --password-file (PLAIN, "
     "not-authorized): No.; check both", REPLAY_DONE},
    {"account disabled", "< " HEADER FEATURES(MECHANISMS("PLAIN")) "\n> " AUTH "\n< <failure "
                                                                               "xmlns='" NS_SASL
     "'><account-disabled/></failure>\n", "refuses the login (PLAIN, "
     "account-disabled)", REPLAY_DONE},
    {"nothing in common", "< " HEADER FEATURES(MECHANISMS("EXTERNAL")) "\n",
     "no way to log in that replay knows (EXTERNAL)", REPLAY_DONE},
    {"another domain", "< " HEADER "<stream:error><host-unknown "
     "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\n", "(host-unknown)",
     REPLAY_DONE},
    {"no XMPP", "< 220 mail ESMTP\n", "is no XMPP", REPLAY_DONE},
    {"silence", "+ 30\n", "did not end within 30 s", REPLAY_DONE},
    {"close", "< " HEADER "</stream:stream>\n", "before the login was over", REPLAY_DONE},
};

static void logins_go_their_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof logins / sizeof *logins; i++) {
        struct stage s;

        begin(&s, BOUND, false);
        expect_text(&s, OURS);
        play(&s, logins[i].live);
        assert_int_equal(s.r.phase, logins[i].phase);
        if (!strstr(s.r.error.detail, logins[i].error) || !*logins[i].error != !s.r.error.code)
            fail_msg("%s: %s", logins[i].name, s.r.error.detail);
        end(&s);
    }
}

/* PLAIN would show the password to everybody on the way. */
static bool is_insecure(void *arg, enum side side)
{
    (void)arg;
    (void)side;
    return false;
}

static void plain_only_inside_tls(void **state)
{
    static const struct bridge_user insecure = {.secure = is_insecure};
    struct stage s;

    (void)state;
    begin(&s, BOUND, false);
    s.r.login.user = &insecure;
    expect_text(&s, OURS);
    hear_text(&s, HEADER FEATURES(MECHANISMS("PLAIN")));
    expect_text(&s, "");
    assert_int_equal(s.r.error.code, ERR_SASL);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_are_played),
        cmocka_unit_test(a_captured_login_that_failed),
        cmocka_unit_test(captures_of_other_logins),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(logins_go_their_way),
        cmocka_unit_test(plain_only_inside_tls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

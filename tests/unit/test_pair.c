/* Pairing: which answer belongs to which request, how long it took, and what is odd about it. */
#include "script_tests.h"

#include "../../decoder/jid.h"
#include "../../decoder/pair.h"

#define ROWS(rows) rows, sizeof rows / sizeof *rows

#define PING "<ping xmlns='urn:xmpp:ping'/>"

#define HEADER                                                                                     \
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"         \
    " version='1.0' "
#define C_HEADER "1c " HEADER "to='example.org'>\n"
#define S_HEADER "1s " HEADER "from='example.org' id='1'>\n"

/* To where the account is known: ann@example.org. */
#define BOUND                                                                                      \
    "1b\n" C_HEADER S_HEADER                                                                       \
    "1c <iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>\n"             \
    "1s <iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"                  \
    "<jid>ann@example.org/here</jid></bind></iq>\n"
#define BOUND_LOG                                                                                  \
    "s1#1 c2s stream.open\n"                                                                       \
    "s1#2 s2c features.bind re 1 +10\n"                                                            \
    "s1#3 c2s bind.request\n"                                                                      \
    "s1#4 s2c bind.result re 3 +10\n"

#define CLIENT "s1#5 c2s ping.client.request\n"
#define ASK    BOUND "1c <iq type='get' id='1'>" PING "</iq>\n"

/* ---- iqs ---- */

/* RFC 6120 §8.1.2.1, §8.2.3: whose answer it may be. */
static void test_who(void **state)
{
    static const struct {
        const char *to, *from; /* "": no such attribute */
        bool pairs;
    } rows[] = {
        {"", "", true},
        {"", "ann@example.org", true},
        {"", "ANN@Example.ORG", true},
        {"", "example.org", true},
        {"", "ann@example.org/here", true}, /* its own address: RFC 3920 */
        {"", "ann@example.org/HERE", false},
        {"", "ann@example.org/there", false},
        {"", "bob@example.org", false},
        {"", "example.net", false},
        {"example.org", "example.org", true},
        {"example.org", "EXAMPLE.org", true},
        {"example.org", "", true},
        {"example.org", "ann@example.org", false},
        {"ann@example.org", "", true},
        {"ann@example.org", "ann@example.org", true},
        {"ann@example.org", "example.org", false},
        {"bob@example.org/Desk", "bob@example.org/Desk", true},
        {"Bob@example.org/Desk", "bob@example.org/Desk", true},
        {"bob@example.org/Desk", "bob@example.org/desk", false},
        {"bob@example.org/Desk", "bob@example.org", false},
        {"bob@example.org", "bob@example.org/Desk", false},
        {"bob@example.org", "", false},
        {"room@rooms.example.org/Me", "room@rooms.example.org/Me", true},
        {"B\xc3\x9c"
         "CHER@example.org",
         "b\xc3\xbc"
         "cher@example.org",
         true},
        {"\xd0\x90\xd0\x9d\xd0\x9d\xd0\x90@example.org", /* АННА, анна */
         "\xd0\xb0\xd0\xbd\xd0\xbd\xd0\xb0@example.org", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t step = 0; step < 2; step++) {
            const char *to = rows[i].to, *from = rows[i].from;
            char script[2048], log[1024], odd[256] = "";
            struct script s;

            snprintf(script, sizeof script,
                     BOUND "1c <iq type='get' id='1'%s%s%s>" PING
                           "</iq>\n1s <iq type='result' id='1'%s%s%s to='ann@example.org/here'/>\n",
                     *to ? " to='" : "", to, *to ? "'" : "", *from ? " from='" : "", from,
                     *from ? "'" : "");
            snprintf(odd, sizeof odd,
                     "s1#6 s2c iq.other ! from-other: its id is that of #5, but it comes from %s "
                     "instead of %s: no answer\n",
                     *from ? from : "the server", *to ? to : "the server");
            snprintf(log, sizeof log, BOUND_LOG CLIENT "%s",
                     rows[i].pairs ? "s1#6 s2c ping.client.result re 5 +10\n" : odd);
            script_begin(&s, false);
            script_play(&s, script, step);
            assert_string_equal(script_log(&s), log);
            script_finish(&s);
        }
}

static void test_iq(void **state)
{
    static const struct script_row rows[] = {
        {/* an error is an answer; the wait is the request's */
         ASK "+500\n1s <iq type='error' id='1'><error type='cancel'/></iq>\n",
         BOUND_LOG CLIENT "s1#6 s2c ping.client.error re 5 +510\n"},
        {/* in any order */
         BOUND "1c <iq type='get' id='1'>" PING "</iq>\n1c <iq type='get' id='2'>" PING "</iq>\n"
               "1s <iq type='result' id='2'/>\n1s <iq type='result' id='1'/>\n",
         BOUND_LOG CLIENT "s1#6 c2s ping.client.request\n"
                          "s1#7 s2c ping.client.result re 6 +10\n"
                          "s1#8 s2c ping.client.result re 5 +30\n"},
        {/* the server's question, the client's answer: a push, and somebody's question */
         BOUND "1s <iq type='set' id='p' from='ann@example.org' to='ann@example.org/here'>"
               "<query xmlns='jabber:iq:roster'/></iq>\n"
               "1s <iq type='get' id='p' from='bob@example.org/Desk' to='ann@example.org/here'>"
               "<query xmlns='jabber:iq:version'/></iq>\n"
               "1c <iq type='result' id='p' to='Bob@example.org/Desk'/>\n"
               "1c <iq type='result' id='p'/>\n",
         BOUND_LOG "s1#5 s2c roster.push\n"
                   "s1#6 s2c version.server.request\n"
                   "s1#7 c2s version.server.result re 6 +10\n"
                   "s1#8 c2s roster.push.result re 5 +30\n"},
        {/* one id in both directions, and to two addresses */
         BOUND "1c <iq type='get' id='1'>" PING "</iq>\n"
               "1s <iq type='get' id='1' from='example.org'>" PING "</iq>\n"
               "1c <iq type='get' id='1' to='bob@example.org/Desk'>" PING "</iq>\n"
               "1c <iq type='result' id='1' to='example.org'/>\n"
               "1s <iq type='result' id='1' from='bob@example.org/Desk'/>\n"
               "1s <iq type='result' id='1' from='ann@example.org'/>\n",
         BOUND_LOG CLIENT "s1#6 s2c ping.server.request\n"
                          "s1#7 c2s ping.client.request\n"
                          "s1#8 c2s ping.server.result re 6 +20\n"
                          "s1#9 s2c ping.client.result re 7 +20\n"
                          "s1#10 s2c ping.client.result re 5 +50\n"},
        {/* before the account is known, the domain's are the server; not others */
         C_HEADER S_HEADER "1c <iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>\n"
                           "1s <iq type='result' id='1' from='x@example.net'/>\n"
                           "1s <iq type='result' id='1' from='Example.ORG'/>\n",
         "s1#1 c2s stream.open\ns1#2 s2c features.tls re 1 +10\n"
         "s1#3 c2s register.form.request\n"
         "s1#4 s2c iq.other ! from-other: its id is that of #3, but it comes from x@example.net "
         "instead of the server: no answer\n"
         "s1#5 s2c register.form.result re 3 +20\n"},
        {/* a new stream does not forget what was asked */
         ASK "1b\n" C_HEADER S_HEADER "1s <iq type='result' id='1'/>\n",
         BOUND_LOG CLIENT "s1#6 c2s stream.restart.sasl\n"
                          "s1#7 s2c features.bind re 6 +10\n"
                          "s1#8 s2c ping.client.result re 5 +40\n"},
    };

    (void)state;
    script_rows(ROWS(rows), false);
}

static void test_odd(void **state)
{
    static const struct script_row rows[] = {
        {/* no id: a request, and an answer */
         BOUND "1c <iq type='get'>" PING "</iq>\n1s <iq type='result'/>\n",
         BOUND_LOG "s1#5 c2s ping.client.request ! id-missing: an iq must have an id\n"
                   "s1#6 s2c iq.other ! id-missing: an iq must have an id\n"},
        {/* other stanzas need none */
         BOUND "1c <message/>\n1c <presence/>\n1e\n",
         BOUND_LOG "s1#5 c2s message.normal.sent\ns1#6 c2s presence.broadcast\n"
                   "s1#7 unanswered 0: slow: 3+10\n"},
        {/* the id of an open one: the first answer is the older one's */
         ASK "1c <iq type='get' id='1'>" PING "</iq>\n"
             "1s <iq type='result' id='1'/>\n1s <iq type='result' id='1'/>\n",
         BOUND_LOG CLIENT
         "s1#6 c2s ping.client.request ! id-reused: its id is that of #5, which is still open\n"
         "s1#7 s2c ping.client.result re 5 +20\ns1#8 s2c ping.client.result re 6 +20\n"},
        {/* behind the answer it may be used again */
         ASK "1s <iq type='result' id='1'/>\n1c <iq type='get' id='1'>" PING "</iq>\n"
             "1s <iq type='result' id='1'/>\n1s <iq type='result' id='1'/>\n",
         BOUND_LOG CLIENT "s1#6 s2c ping.client.result re 5 +10\n"
                          "s1#7 c2s ping.client.request\n"
                          "s1#8 s2c ping.client.result re 7 +10\n"
                          "s1#9 s2c iq.other ! answered-twice: #7 was answered already\n"},
        {/* twice, in another spelling; then from whom nothing was asked */
         BOUND "1c <iq type='get' id='1' to='bob@example.org/D'>" PING "</iq>\n"
               "1s <iq type='result' id='1' from='bob@example.org/D'/>\n"
               "1s <iq type='error' id='1' from='BOB@example.org/D'/>\n"
               "1s <iq type='result' id='1' from='cat@example.org'/>\n"
               "1s <iq type='result' id='2' from='bob@example.org/D'/>\n",
         BOUND_LOG CLIENT "s1#6 s2c ping.client.result re 5 +10\n"
                          "s1#7 s2c iq.other ! answered-twice: #5 was answered already\n"
                          "s1#8 s2c iq.other ! unasked: nothing was asked that it answers\n"
                          "s1#9 s2c iq.other ! unasked: nothing was asked that it answers\n"},
        {/* to somebody else than who asked; it stays open */
         BOUND "1s <iq type='get' id='1' from='bob@example.org/D'>" PING "</iq>\n"
               "1c <iq type='result' id='1'/>\n1e\n",
         BOUND_LOG "s1#5 s2c ping.server.request\n"
                   "s1#6 c2s iq.other ! from-other: its id is that of #5, but it goes to the server"
                   " instead of bob@example.org/D: no answer\n"
                   "s1#7 unanswered 1: 5+20 slow: 3+10\n"},
        {/* an answer of the same direction is none */
         ASK "1c <iq type='result' id='1'/>\n",
         BOUND_LOG CLIENT "s1#6 c2s iq.other ! unasked: nothing was asked that it answers\n"},
        {/* what was lost may have been the question */
         BOUND "1g\n1s <iq type='result' id='1'/>\n1s <challenge xmlns='urn:xmpp:sasl:2'/>\n",
         BOUND_LOG "s1#5 c2s gap\ns1#6 s2c iq.other\ns1#7 s2c sasl2.challenge\n"},
    };

    (void)state;
    script_rows(ROWS(rows), false);
}

/* Bytes that were not read may have been the question. */
static void test_unread(void **state)
{
    struct script s;

    (void)state;
    script_begin(&s, false);
    script_play(&s,
                "1c <iq><!-- --></iq>\n1s <iq type='result' id='1'/>\n"
                "1c <iq type='result' id='1'/>\n",
                0);
    assert_string_equal(script_log(&s),
                        "s1#3 c2s violation\ns1#4 s2c iq.other\n"
                        "s1#5 c2s iq.other ! unasked: nothing was asked that it answers\n");
    script_finish(&s);
}

/* ---- in order ---- */

#define SASL(name)  "<" name " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>\n"
#define SASL2(name) "<" name " xmlns='urn:xmpp:sasl:2'/>\n"
#define TLS(name)   "<" name " xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n"
#define ZLIB(name)  "<" name " xmlns='http://jabber.org/protocol/compress'/>\n"
#define SM(name)    "<" name " xmlns='urn:xmpp:sm:3'/>\n"

static void test_in_order(void **state)
{
    static const struct script_row rows[] = {
        {/* a login, and who made whom wait; headers are no request that is left open */
         C_HEADER "+100\n" S_HEADER "1c " TLS("starttls") "+300\n1s " TLS("proceed") "1t\n" //
         C_HEADER S_HEADER "1c " SASL("auth") "1s " SASL("challenge") "+40\n1c "            //
         SASL("response") "1s " SASL("success") "1b\n" C_HEADER "1e\n",
         "s1#1 c2s stream.open\ns1#2 s2c features.tls re 1 +110\n"
         "s1#3 c2s tls.request\ns1#4 s2c tls.proceed re 3 +310\n"
         "s1#5 c2s stream.restart.tls\ns1#6 s2c features.sasl re 5 +10\n"
         "s1#7 c2s sasl.auth\ns1#8 s2c sasl.challenge re 7 +10\n"
         "s1#9 c2s sasl.response re 8 +50\ns1#10 s2c sasl.success re 9 +10\n"
         "s1#11 c2s stream.restart.sasl\n"
         "s1#12 unanswered 0: slow: 3+310 8+50 7+10\n"},
        {"1c " TLS("starttls") "1s " TLS("failure"),
         "s1#3 c2s tls.request\ns1#4 s2c tls.failure re 3 +10\n"},
        {/* tried, refused, tried again, given up */
         "1c " SASL("auth") "1s " SASL("failure") "1c " SASL("auth") "1s " SASL(
             "challenge") "1c " SASL("abort") "1s " SASL("failure") "1e\n",
         "s1#3 c2s sasl.auth\ns1#4 s2c sasl.failure re 3 +10\n"
         "s1#5 c2s sasl.auth\ns1#6 s2c sasl.challenge re 5 +10\n"
         "s1#7 c2s sasl.abort re 6 +10\ns1#8 s2c sasl.failure re 7 +10\n"
         "s1#9 unanswered 0: slow: 3+10 5+10 6+10\n"},
        {/* given up before there was an answer */
         "1c " SASL("auth") "1c " SASL("abort") "1s " SASL("failure") "1s " SASL("failure") "1e\n",
         "s1#3 c2s sasl.auth\ns1#4 c2s sasl.abort\ns1#5 s2c sasl.failure re 4 +10\n"
         "s1#6 s2c sasl.failure ! unasked: nothing was asked that it answers\n"
         "s1#7 unanswered 0: slow: 4+10\n"},
        {"1c " SASL2("authenticate") "1s " SASL2("challenge") "1c " SASL2("response") "1s " SASL2(
             "continue") "1c " SASL2("next") "1s " SASL2("success"),
         "s1#3 c2s sasl2.auth\ns1#4 s2c sasl2.challenge re 3 +10\n"
         "s1#5 c2s sasl2.response re 4 +10\ns1#6 s2c sasl2.continue re 5 +10\n"
         "s1#7 c2s sasl2.next re 6 +10\ns1#8 s2c sasl2.success re 7 +10\n"},
        {"1c " SASL2("authenticate") "1s " SASL2("failure") "1c " SASL2("authenticate") "1c " SASL2(
             "abort"),
         "s1#3 c2s sasl2.auth\ns1#4 s2c sasl2.failure re 3 +10\n"
         "s1#5 c2s sasl2.auth\ns1#6 c2s sasl2.abort\n"},
        {"1c " ZLIB("compress") "1s " ZLIB("failure") "1c " ZLIB("compress") "1s " ZLIB(
             "compressed"),
         "s1#3 c2s compression.request\ns1#4 s2c compression.failure re 3 +10\n"
         "s1#5 c2s compression.request\ns1#6 s2c compression.start re 5 +10\n"},
        {/* stream management: several at once, and each direction by itself */
         "1c " SM("resume") "1c " SM("enable") "1s " SM("failed") "1s " SM("enabled") "1c " SM("r") "1c " SM(
             "r") "1s " SM("r") "1s " SM("a") "1c " SM("a") "1s " SM("a") "1s " SM("a") "1c " SM("r") "1e\n",
         "s1#3 c2s sm.resume\ns1#4 c2s sm.enable\ns1#5 s2c sm.failed re 3 +20\n"
         "s1#6 s2c sm.enabled re 4 +20\ns1#7 c2s sm.request.client\ns1#8 c2s sm.request.client\n"
         "s1#9 s2c sm.request.server\ns1#10 s2c sm.answer.server re 7 +30\n"
         "s1#11 c2s sm.answer.client re 9 +20\ns1#12 s2c sm.answer.server re 8 +40\n"
         "s1#13 s2c sm.answer.server\ns1#14 c2s sm.request.client\n"
         "s1#15 unanswered 1: 14+10 slow: 8+40 7+30 3+20\n"},
        {/* what was open in order is not, on a new stream; nor is the header */
         C_HEADER "1c " SASL("auth") "1b\n" S_HEADER "1s " SASL("success") "1e\n",
         "s1#1 c2s stream.open\ns1#2 c2s sasl.auth\n"
         "s1#3 s2c features.bind\n"
         "s1#4 s2c sasl.success ! unasked: nothing was asked that it answers\n"
         "s1#5 unanswered 0: slow:\n"},
        {/* the direction matters */
         "1s " TLS("starttls") "1c " TLS("proceed"),
         "s1#3 s2c nonza.other\ns1#4 c2s nonza.other\n"},
    };

    (void)state;
    script_rows(ROWS(rows), false);
}

/* ---- how much is held ---- */

static void ask(struct script *s, enum dir dir, const char *id, int n, const char *to)
{
    char xml[4096];

    snprintf(xml, sizeof xml, "<iq type='get' id='%s%d' %s='%s'>" PING "</iq>", id, n,
             dir == DIR_C2S ? "to" : "from", to);
    script_data(s, 1, dir, xml, strlen(xml), 0);
}

static void answer(struct script *s, const char *id, int n, const char *from)
{
    char xml[4096];

    snprintf(xml, sizeof xml, "<iq type='result' id='%s%d' from='%s'/>", id, n, from);
    script_data(s, 1, DIR_S2C, xml, strlen(xml), 0);
}

/* A request too many: the oldest is forgotten, which is said; all others still find their answers,
 * and nobody is blamed for an answer to the forgotten one. */
static void test_full(void **state)
{
    struct script s;
    char line[128];

    (void)state;
    script_begin(&s, false);
    for (int i = 1; i <= PAIR_OPEN_MAX; i++)
        ask(&s, i % 2 ? DIR_C2S : DIR_S2C, "q", i, "bob@example.org/D");
    assert_null(strstr(script_log(&s), "!"));
    ask(&s, DIR_C2S, "more", 1, "bob@example.org/D");
    assert_string_equal(script_log(&s), "s1#259 c2s ping.client.request ! forgotten: too many "
                                        "requests were open: #3 will not be paired\n");
    answer(&s, "q", 1, "bob@example.org/D");
    assert_string_equal(script_log(&s), "s1#260 s2c iq.other\n");
    for (int i = PAIR_OPEN_MAX - 1; i > 1; i -= 2) {
        answer(&s, "q", i, "bob@example.org/D");
        snprintf(line, sizeof line, "re %d +0\n", i + 2);
        assert_non_null(strstr(script_log(&s), line));
    }
    answer(&s, "more", 1, "bob@example.org/D");
    assert_non_null(strstr(script_log(&s), "re 259 +0\n"));
    script_stop(&s, 1);
    assert_non_null(strstr(script_log(&s), " unanswered 128: 4+0 6+0 8+0 10+0 12+0 14+0 16+0 18+0 "
                                           "20+0 22+0 24+0 26+0 28+0 30+0 32+0 34+0 slow:"));
    script_finish(&s);
}

/* Long names: the bytes have a cap of their own, and what is too long is not paired. */
static void test_long(void **state)
{
    static const struct {
        size_t id, to;
        bool pairs;
    } rows[] = {
        {PAIR_ID_MAX - 1, 20, true},
        {PAIR_ID_MAX, 20, false},
        {20, PAIR_JID_MAX, true},
        {20, PAIR_JID_MAX + 1, false},
    };
    char id[PAIR_ID_MAX + 1], to[PAIR_JID_MAX + 2];
    struct script s;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(id, sizeof id, "%0*d", (int)rows[i].id, 0); /* and a digit */
        snprintf(to, sizeof to, "%0*d", (int)rows[i].to, 0);
        script_begin(&s, false);
        ask(&s, DIR_C2S, id, 1, to);
        answer(&s, id, 1, to);
        assert_string_equal(script_log(&s), rows[i].pairs ? "s1#3 c2s ping.client.request\n"
                                                            "s1#4 s2c ping.client.result re 3 +0\n"
                                                          : "s1#3 c2s ping.client.request\n"
                                                            "s1#4 s2c iq.other\n");
        script_finish(&s);
    }
    script_begin(&s, false);
    snprintf(to, sizeof to, "%0*d", PAIR_JID_MAX, 0);
    for (int i = 0; i < PAIR_OPEN_MAX; i++)
        ask(&s, DIR_C2S, "q", i, to);
    assert_non_null(strstr(script_log(&s), "! forgotten: "));
    answer(&s, "q", PAIR_OPEN_MAX - 60, to);
    assert_non_null(strstr(script_log(&s), "re 199 +0\n"));
    script_finish(&s);
}

/* Answers are remembered for as long as there is room, the last ones. */
static void test_answered(void **state)
{
    struct script s;

    (void)state;
    script_begin(&s, false);
    for (int i = 0; i <= PAIR_ANSWERED_MAX; i++) {
        ask(&s, DIR_C2S, "q", i, "b@c");
        answer(&s, "q", i, "b@c");
    }
    script_log(&s);
    answer(&s, "q", PAIR_ANSWERED_MAX, "b@c");
    answer(&s, "q", 1, "b@c");
    answer(&s, "q", 0, "b@c");
    assert_string_equal(script_log(&s),
                        "s1#133 s2c iq.other ! answered-twice: #131 was answered already\n"
                        "s1#134 s2c iq.other ! answered-twice: #5 was answered already\n"
                        "s1#135 s2c iq.other ! unasked: nothing was asked that it answers\n");
    script_finish(&s);
}

/* Any order of questions and answers, with few ids and addresses: the same as a plain list gives.
 */
static void test_random(void **state)
{
    static const char *const addresses[] = {"b@c", "b@c/D", "b@c/d", "e.f"};
    enum { STEPS = 3000, OPEN = PAIR_OPEN_MAX };
    struct {
        int id, address, n;
    } open[OPEN];
    int opens = 0, n = 2;
    unsigned seed = 1;
    struct script s;

    (void)state;
    script_begin(&s, false);
    for (int i = 0; i < STEPS; i++) {
        int id, address, k = 0;
        char want[64];

        seed = seed * 1103515245 + 12345;
        id = (int)(seed >> 16) % 7;
        address = (int)(seed >> 20) % 4;
        n++;
        if (opens < OPEN && (seed >> 28) % 2 == 0) {
            ask(&s, DIR_C2S, "q", id, addresses[address]);
            open[opens].id = id;
            open[opens].address = address;
            open[opens++].n = n;
            script_log(&s);
            continue;
        }
        answer(&s, "q", id, addresses[address]);
        while (k < opens && (open[k].id != id || open[k].address != address))
            k++;
        if (k < opens)
            snprintf(want, sizeof want, "s1#%d s2c ping.client.result re %d +0\n", n, open[k].n);
        else
            snprintf(want, sizeof want, "s1#%d s2c iq.other ! ", n);
        assert_memory_equal(script_log(&s), want, strlen(want));
        if (k < opens)
            memmove(&open[k], &open[k + 1], (size_t)(--opens - k) * sizeof *open);
    }
    assert_true(opens > 20);
    script_finish(&s);
}

/* Nothing but the ring is left when all was answered. */
static void test_idle(void **state)
{
    struct event_end end = {0};
    struct item it = {.nodes = 1,
                      .attrs = 2,
                      .stanza = ITEM_IQ,
                      .node[0] = {.depth = 1, .ns = "jabber:client", .name = "iq", .text = ""},
                      .attr = {{0, "type", "get"}, {0, "id", "1"}}};
    struct pair_match m;
    struct fact_list remarks;
    struct pair p;

    (void)state;
    fact_init(&remarks);
    pair_init(&p);
    assert_true(sizeof p <= 128);
    for (int i = 0; i < 1000; i++) {
        it.attr[0].value = "get";
        pair_note(&p, &it, DIR_C2S, 1, 100, "x", &remarks);
        assert_non_null(p.open);
        it.attr[0].value = "result";
        assert_true(pair_find(&p, &it, DIR_S2C, 90, "", "", &m, &remarks));
        assert_int_equal(m.wait_us, 0); /* the clock was set back */
        assert_null(p.open);
    }
    assert_int_equal(p.bytes, 0);
    assert_int_equal(p.answered_room, PAIR_ANSWERED_MAX);
    assert_int_equal(remarks.n, 0);
    pair_end(&p, 0, &end);
    assert_int_equal(end.unanswered, 0);
    assert_int_equal(end.slows, EVENT_SLOW_MAX);
    pair_free(&p);
}

/* The three slowest, slowest first, whatever order they come in; of equals the first. */
static void test_slowest(void **state)
{
    static const int waits[][4] = {{1, 2, 3, 4}, {4, 3, 2, 1}, {2, 4, 1, 3}, {3, 1, 4, 2}};

    (void)state;
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        char want[64] = "s1#11 unanswered 0: slow:";
        struct script s;

        script_begin(&s, false);
        for (int k = 0; k < 4; k++) {
            ask(&s, DIR_C2S, "q", k, "b@c");
            s.now_us += 100 * waits[i][k];
            answer(&s, "q", k, "b@c");
        }
        for (int wait = 4; wait > 1; wait--)
            for (int k = 0; k < 4; k++)
                if (waits[i][k] == wait)
                    snprintf(want + strlen(want), sizeof want - strlen(want), " %d+%d", 2 * k + 3,
                             100 * wait);
        script_log(&s);
        script_stop(&s, 1);
        strcat(want, "\n");
        assert_string_equal(script_log(&s), want);
        script_finish(&s);
    }
}

/* ---- addresses ---- */

static void test_jid(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {"a@b/c", "A@B/c", true},
        {"a@b/c", "a@b/C", false},
        {"a@b", "a@b/", false},
        {"a@b/\xc3\x9c", "a@b/\xc3\xbc", false},
        {"\xc3\x9c", "\xc3\xbc", true},
        {"\xc3\x97", "\xc3\xb7", false}, /* × ÷ are no letters */
        {"\xc4\x80", "\xc4\x81", true},
        {"\xc4\x81", "\xc4\x82", false},
        {"\xce\xa9", "\xcf\x89", true},
        {"\xd0\x81", "\xd1\x91", true},
        {"\xd4\xb1", "\xd5\xa1", true},
        {"\xe4\xb8\xad", "\xe4\xb8\xad", true},
        {"\xe4\xb8\xad", "\xe4\xb8\xae", false},
        {"\xc3", "\xc3\xbc", false}, /* cut off */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(jid_same(rows[i].a, rows[i].b), rows[i].same);
        assert_int_equal(jid_same(rows[i].b, rows[i].a), rows[i].same);
        assert_int_equal(jid_hash(1, rows[i].a) == jid_hash(1, rows[i].b), rows[i].same);
    }
    assert_true(jid_in("a@B.c/d@e", "b.C"));
    assert_true(jid_in("b.c/d@e", "b.c"));
    assert_false(jid_in("a@b.c", "b.cd"));
    assert_false(jid_in("a@b.c", "b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who),      cmocka_unit_test(test_iq),   cmocka_unit_test(test_odd),
        cmocka_unit_test(test_in_order), cmocka_unit_test(test_full), cmocka_unit_test(test_long),
        cmocka_unit_test(test_answered), cmocka_unit_test(test_idle), cmocka_unit_test(test_random),
        cmocka_unit_test(test_slowest),  cmocka_unit_test(test_jid),  cmocka_unit_test(test_unread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

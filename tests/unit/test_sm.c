/* Stream management: counters against what was sent, and sessions tied to those they resume. */
#include "../../decoder/sm_holders.h"
#include "script_tests.h"

#define ROWS(rows) rows, sizeof rows / sizeof *rows

#define NS       " xmlns='urn:xmpp:sm:3'"
#define ENABLE   "1c <enable" NS " resume='true'/>\n"
#define ENABLED  "1s <enabled" NS " id='x' resume='true'/>\n"
#define MESSAGE  "<message type='chat'/>\n"
#define R        "<r" NS "/>\n"
#define A(h)     "<a" NS " h='" h "'/>\n"
#define ON       ENABLE ENABLED
#define ON_LOG   "s1#3 c2s sm.enable resume=true\ns1#4 s2c sm.enabled re 3 +10 sm-id=x resume=true\n"
#define SENT(n)  "s1#" #n " c2s message.chat.sent\n"
#define GOT(n)   "s1#" #n " s2c message.chat.received\n"
#define ASKED(n) "s1#" #n " c2s sm.request.client\n"

/* ---- counters ---- */

static void test_counters(void **state)
{
    static const struct script_row rows[] = {
        {/* from behind <enable/> and <enabled/>, and no nonzas */
         "1c " MESSAGE "1s " MESSAGE ENABLE "1c " MESSAGE "1s " MESSAGE ENABLED "1c <presence/>\n"
         "1s " MESSAGE "1c <active xmlns='urn:xmpp:csi:0'/>\n1c " R "1s " A("2") "1s " R
                                                                                 "1c " A("1"),
         SENT(3) GOT(4) "s1#5 c2s sm.enable resume=true\n" SENT(6)
             GOT(7) "s1#8 s2c sm.enabled re 5 +30 sm-id=x resume=true\n"
                    "s1#9 c2s presence.broadcast\n" GOT(10) "s1#11 c2s csi.active\n" ASKED(
                        12) "s1#13 s2c sm.answer.server re 12 +10 h=2 sent=2 unacked=0\n"
                            "s1#14 s2c sm.request.server\n"
                            "s1#15 c2s sm.answer.client re 14 +10 h=1 sent=1 unacked=0\n"},
        {/* what was sent behind the question may be in the answer or not */
         ON "1c " MESSAGE "1c " R "1c " MESSAGE "1c " MESSAGE "1s " A("2"),
         ON_LOG SENT(5) ASKED(6) SENT(7)
             SENT(8) "s1#9 s2c sm.answer.server re 6 +30 h=2 sent=3 unacked=1\n"},
        {/* unasked: anything from the last to all; every h again */
         ON "1c " MESSAGE "1c " MESSAGE "1s " A("0") "1s " A("1") "1s " A("1") "1s " A("2"),
         ON_LOG SENT(5) SENT(6) "s1#7 s2c sm.answer.server h=0 sent=2 unacked=2\n"
                                "s1#8 s2c sm.answer.server h=1 sent=2 unacked=1\n"
                                "s1#9 s2c sm.answer.server h=1 sent=2 unacked=1\n"
                                "s1#10 s2c sm.answer.server h=2 sent=2 unacked=0\n"},
        {/* more than was sent */
         ON "1c " MESSAGE "1s " A("2") "1c " R "1s " A("4294967295") "1s " A("1"),
         ON_LOG SENT(5) "s1#6 s2c sm.answer.server h=2 sent=1"
                        " ! sm-h: it says h=2, but only 1 stanza was sent\n" ASKED(
                            7) "s1#8 s2c sm.answer.server re 7 +10 h=4294967295 sent=1 unacked=2"
                               " ! sm-h: it says h=4294967295, but h=0 was said before\n"
                               "s1#9 s2c sm.answer.server h=1 sent=1 unacked=0\n"},
        {/* less than before */
         ON "1s " MESSAGE "1s " MESSAGE "1c " A("2") "1c " A("1"),
         ON_LOG GOT(5) GOT(6) "s1#7 c2s sm.answer.client h=2 sent=2 unacked=0\n"
                              "s1#8 c2s sm.answer.client h=1 sent=2 unacked=1"
                              " ! sm-h: it says h=1, but h=2 was said before\n"},
        {/* less than had been sent when it was asked; the other direction's are others */
         ON "1c " MESSAGE "1c " MESSAGE "1s " MESSAGE "1c " R "1s " A("1"),
         ON_LOG SENT(5) SENT(6) GOT(7)
             ASKED(8) "s1#9 s2c sm.answer.server re 8 +10 h=1 sent=2 unacked=1"
                      " ! sm-h: it says h=1, but 2 stanzas were sent before it was asked\n"},
        {/* two questions under way: the first answer need not know what the second asks for */
         ON "1c " MESSAGE "1c " R "1c " MESSAGE "1c " R "1s " A("1") "1s " A("2") "1s " A("2"),
         ON_LOG SENT(5) ASKED(6) SENT(7)
             ASKED(8) "s1#9 s2c sm.answer.server re 6 +30 h=1 sent=2 unacked=1\n"
                      "s1#10 s2c sm.answer.server re 8 +20 h=2 sent=2 unacked=0\n"
                      "s1#11 s2c sm.answer.server h=2 sent=2 unacked=0\n"},
        {/* two answered at once: the next question is looked at for itself */
         ON "1c " R "1c " R "1s " A("0") "1c " MESSAGE "1c " R "1s " A("0"),
         ON_LOG ASKED(5) ASKED(6) "s1#7 s2c sm.answer.server re 5 +20 h=0 sent=0 unacked=0\n" //
         SENT(8) ASKED(9) "s1#10 s2c sm.answer.server re 6 +40 h=0 sent=1 unacked=1"
                          " ! sm-h: it says h=0, but 1 stanza was sent before it was asked\n"},
        {/* no numbers */
         ON "1s " A("-1") "1s " A("4294967296") "1s " A("1x") "1s " A("") "1s <a" NS "/>\n", ON_LOG
         "s1#5 s2c sm.answer.server h=-1 ! sm-h: it says h=-1, but that is no number below 2^32\n"
         "s1#6 s2c sm.answer.server h=4294967296"
         " ! sm-h: it says h=4294967296, but that is no number below 2^32\n"
         "s1#7 s2c sm.answer.server h=1x ! sm-h: it says h=1x, but that is no number below 2^32\n"
         "s1#8 s2c sm.answer.server ! sm-h: it says h=, but that is no number below 2^32\n"
         "s1#9 s2c sm.answer.server\n"},
        {/* the namespace of before */
         "1c <enable xmlns='urn:xmpp:sm:2'/>\n1s <enabled xmlns='urn:xmpp:sm:2'/>\n1c " MESSAGE
         "1c <r xmlns='urn:xmpp:sm:2'/>\n1s <a xmlns='urn:xmpp:sm:2' h='2'/>\n",
         "s1#3 c2s nonza.other\ns1#4 s2c nonza.other re 3 +10\n" SENT(
             5) "s1#6 c2s nonza.other\ns1#7 s2c nonza.other re 6 +10 h=2 sent=1"
                " ! sm-h: it says h=2, but only 1 stanza was sent\n"},
        {/* all that is told */
         "1c <enable" NS " resume='1' max='60'/>\n"
         "1s <enabled" NS " id='y' resume='1' max='30' location='[::1]:5222'/>\n",
         "s1#3 c2s sm.enable resume=true max=60\n"
         "s1#4 s2c sm.enabled re 3 +10 sm-id=y resume=true max=30 location=[::1]:5222\n"},
        {/* enabled again: what the server makes of it is its matter, the counters go on */
         ON "1c " MESSAGE ENABLE "1s <failed" NS "><unexpected-request"
            " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>\n1s " A("1"),
         ON_LOG SENT(5) "s1#6 c2s sm.enable resume=true\n"
                        "s1#7 s2c sm.failed.unexpected-request re 6 +10 condition=unexpected-request\n"
                        "s1#8 s2c sm.answer.server h=1 sent=1 unacked=0\n"},
    };

    (void)state;
    script_rows(ROWS(rows), true);
}

static void test_off(void **state)
{
#define OFF " ! sm-off: stream management is not enabled\n"
    static const struct script_row rows[] = {
        {"1c " R "1s " A("0") "1s " R "1c " A("0"),
         "s1#3 c2s sm.request.client" OFF "s1#4 s2c sm.answer.server re 3 +10 h=0" OFF
         "s1#5 s2c sm.request.server" OFF "s1#6 c2s sm.answer.client re 5 +10 h=0" OFF},
        {/* the client may ask at once, the server may not; refused, it is off */
         ENABLE "1c " R "1s " R "1s <failed" NS "><feature-not-implemented"
                " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>\n1c " R,
         "s1#3 c2s sm.enable resume=true\ns1#4 c2s sm.request.client\n"
         "s1#5 s2c sm.request.server" OFF
         "s1#6 s2c sm.failed re 3 +30 condition=feature-not-implemented\n"
         "s1#7 c2s sm.request.client" OFF},
        {/* enabled without being asked */
         ENABLED "1s " R,
         "s1#3 s2c sm.enabled sm-id=x resume=true ! unasked: nothing was asked that it answers\n"
         "s1#4 s2c sm.request.server" OFF},
    };

    (void)state;
    script_rows(ROWS(rows), true);
}

/* ---- bytes that were not read ---- */

static void test_unread(void **state)
{
    static const struct script_row rows[] = {
        {ON "1s " MESSAGE "1g\n1s " A("7") "1c " A("1"),
         ON_LOG GOT(5) "s1#6 c2s gap\ns1#7 s2c sm.answer.server h=7\n"
                       "s1#8 c2s violation\n"},
        {ON "1h\n1c " MESSAGE "1c " R "1c " A("1"),
         ON_LOG "s1#5 s2c gap\n" SENT(6) ASKED(7) "s1#8 c2s sm.answer.client h=1\n"},
    };
    struct script s;

    (void)state;
    script_begin(&s, true);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        script_play(&s, rows[i].script, 0);
        assert_string_equal(script_log(&s), rows[i].log);
        script_play(&s, "1e\n", 0);
        script_log(&s);
    }
    script_finish(&s);
}

/* ---- resumption ---- */

#define RESUME(n, id, h)  n "c <resume" NS " previd='" id "' h='" h "'/>\n"
#define RESUMED(n, id, h) n "s <resumed" NS " previd='" id "' h='" h "'/>\n"
#define TWO               "1c " MESSAGE "1c " MESSAGE "1s " MESSAGE
#define TWO_LOG           SENT(5) SENT(6) GOT(7)
#define END_LOG(n)        "s1#" #n " unanswered 0: slow: 3+10\n"

static void test_resume(void **state)
{
    static const struct script_row rows[] = {
        {/* the old session is over; what was not confirmed is sent again, and counted on */
         ON TWO "1e\n" RESUME("2", "x", "0") RESUMED("2", "x", "1") //
         "2c " MESSAGE "2s " MESSAGE "2c " R "2s " A("2") "2s " R "2c " A("1") "2e\n",
         ON_LOG TWO_LOG END_LOG(
             8) "s2#3 c2s sm.resume previd=x h=0 sent=1 unacked=1\n"
                "s2#4 s2c sm.resumed re 3 +10 previd=x h=1 sent=2 unacked=1 resumes=s1\n"
                "s2#5 c2s message.chat.sent\ns2#6 s2c message.chat.received\n"
                "s2#7 c2s sm.request.client\n"
                "s2#8 s2c sm.answer.server re 7 +10 h=2 sent=2 unacked=0\n"
                "s2#9 s2c sm.request.server\n"
                "s2#10 c2s sm.answer.client re 9 +10 h=1 sent=1 unacked=0\n"
                "s2#11 resumes s1 unanswered 0: slow: 3+10 7+10 9+10\n"},
        {/* it still stands; what it sends then is not the stream's any more */
         ON TWO RESUME("2", "x", "1")
             RESUMED("2", "x", "2") "1c " MESSAGE "1s " A("3") "2s " A("2") "1e\n2s " A("2"),
         ON_LOG TWO_LOG
         "s2#3 c2s sm.resume previd=x h=1 sent=1 unacked=0\n"
         "s2#4 s2c sm.resumed re 3 +10 previd=x h=2 sent=2 unacked=0 resumes=s1\n" SENT(
             8) "s1#9 s2c sm.answer.server h=3\n"
                "s2#5 s2c sm.answer.server h=2 sent=2 unacked=0\n"
                "s1#10 unanswered 0: slow: 3+10\n"
                "s2#6 s2c sm.answer.server h=2 sent=2 unacked=0\n"},
        {/* a third resumes the second */
         ON "1e\n" RESUME("2", "x", "0") RESUMED("2", "x", "0") "2c " MESSAGE "2e\n" //
         RESUME("3", "x", "0") RESUMED("3", "x", "1") "3e\n",
         ON_LOG "s1#5 unanswered 0: slow: 3+10\n"
                "s2#3 c2s sm.resume previd=x h=0 sent=0 unacked=0\n"
                "s2#4 s2c sm.resumed re 3 +10 previd=x h=0 sent=0 unacked=0 resumes=s1\n"
                "s2#5 c2s message.chat.sent\ns2#6 resumes s1 unanswered 0: slow: 3+10\n"
                "s3#3 c2s sm.resume previd=x h=0 sent=0 unacked=0\n"
                "s3#4 s2c sm.resumed re 3 +10 previd=x h=1 sent=1 unacked=0 resumes=s2\n"
                "s3#5 resumes s2 unanswered 0: slow: 3+10\n"},
        {/* what cannot be */
         ON TWO "1s " A("1") "1e\n" RESUME("2", "x", "2") RESUMED("2", "x", "0"),
         ON_LOG TWO_LOG "s1#8 s2c sm.answer.server h=1 sent=2 unacked=1\n" END_LOG(
             9) "s2#3 c2s sm.resume previd=x h=2 sent=1"
                " ! sm-h: it says h=2, but only 1 stanza was sent\n"
                "s2#4 s2c sm.resumed re 3 +10 previd=x h=0 sent=2 unacked=2 resumes=s1"
                " ! sm-h: it says h=0, but h=1 was said before\n"},
        {/* unknown: nothing is tied, but the counters are known from here on */
         RESUME("2", "z", "7") RESUMED("2", "z", "5") "2c " MESSAGE "2s " A("7") "2e\n",
         "s2#3 c2s sm.resume previd=z h=7\ns2#4 s2c sm.resumed re 3 +10 previd=z h=5\n"
         "s2#5 c2s message.chat.sent\n"
         "s2#6 s2c sm.answer.server h=7 sent=6"
         " ! sm-h: it says h=7, but only 6 stanzas were sent\n"
         "s2#7 unanswered 0: slow: 3+10\n"},
        {/* refused, and enabled instead: another stream, which counts from 0 */
         ON TWO "1e\n" RESUME(
             "2", "x", "1") "2s <failed" NS " h='2'><item-not-found"
                            " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>\n2c <enable" NS
                            "/>\n2s <enabled" NS "/>\n2c " MESSAGE "2s " A("1") "2e\n",
         ON_LOG TWO_LOG END_LOG(
             8) "s2#3 c2s sm.resume previd=x h=1 sent=1 unacked=0\n"
                "s2#4 s2c sm.failed.item-not-found re 3 +10 condition=item-not-found h=2 sent=2 unacked=0\n"
                "s2#5 c2s sm.enable\ns2#6 s2c sm.enabled re 5 +10\ns2#7 c2s message.chat.sent\n"
                "s2#8 s2c sm.answer.server h=1 sent=1 unacked=0\n"
                "s2#9 unanswered 0: slow: 3+10 5+10\n"},
        {/* an answer to what the earlier session asked is not blamed */
         ON "1c <iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>\n1e\n" //
         RESUME("2", "x", "0") RESUMED("2", "x", "1") "2s <iq type='result' id='1'/>\n",
         ON_LOG "s1#5 c2s ping.client.request\ns1#6 unanswered 1: 5+10 slow: 3+10\n"
                "s2#3 c2s sm.resume previd=x h=0 sent=0 unacked=0\n"
                "s2#4 s2c sm.resumed re 3 +10 previd=x h=1 sent=1 unacked=0 resumes=s1\n"
                "s2#5 s2c iq.other\n"},
        {/* not offered for resumption, or another server's: not tied */
         ENABLE "1s <enabled" NS " id='x'/>\n" RESUME("2", "x", "0") RESUMED("2", "x", "0"),
         "s1#3 c2s sm.enable resume=true\ns1#4 s2c sm.enabled re 3 +10 sm-id=x\n"
         "s2#3 c2s sm.resume previd=x h=0\ns2#4 s2c sm.resumed re 3 +10 previd=x h=0\n"},
        {/* the last to get an id has it */
         ON "2c <enable" NS "/>\n2s <enabled" NS " id='x' resume='true'/>\n2c " MESSAGE //
             RESUME("3", "x", "0") RESUMED("3", "x", "1"),
         ON_LOG "s2#3 c2s sm.enable\ns2#4 s2c sm.enabled re 3 +10 sm-id=x resume=true\n"
                "s2#5 c2s message.chat.sent\ns3#3 c2s sm.resume previd=x h=0 sent=0 unacked=0\n"
                "s3#4 s2c sm.resumed re 3 +10 previd=x h=1 sent=1 unacked=0 resumes=s2\n"},
        {/* resumed without being asked */
         ON RESUMED("2", "x", "0") "2e\n",
         ON_LOG "s2#3 s2c sm.resumed previd=x h=0 ! unasked: nothing was asked that it answers\n"
                "s2#4 unanswered 0: slow:\n"},
        {/* no h: what is sent again is not known */
         ON "1c " MESSAGE "1e\n2c <resume" NS " previd='x'/>\n2s <resumed" NS
            " previd='x'/>\n2s " A("9") "2c " A("9"),
         ON_LOG SENT(5) "s1#6 unanswered 0: slow: 3+10\ns2#3 c2s sm.resume previd=x\n"
                        "s2#4 s2c sm.resumed re 3 +10 previd=x resumes=s1\n"
                        "s2#5 s2c sm.answer.server h=9\ns2#6 c2s sm.answer.client h=9\n"},
        {/* bytes that were lost do not matter any more */
         ON "1g\n1e\n" RESUME("2", "x", "0") RESUMED("2", "x", "4") "2c " MESSAGE "2s " A("5"),
         ON_LOG "s1#5 c2s gap\ns1#6 unanswered 0: slow: 3+10\n"
                "s2#3 c2s sm.resume previd=x h=0 sent=0 unacked=0\n"
                "s2#4 s2c sm.resumed re 3 +10 previd=x h=4 resumes=s1\ns2#5 c2s message.chat.sent\n"
                "s2#6 s2c sm.answer.server h=5 sent=5 unacked=0\n"},
    };

    (void)state;
    script_rows(ROWS(rows), true);
}

/* An id is its server's. */
static void test_domain(void **state)
{
    static const char open[] = "c <stream:stream xmlns='jabber:client' version='1.0' to='%s' "
                               "xmlns:stream='http://etherx.jabber.org/streams'>\n";
    static const struct {
        const char *domain;
        bool tied;
    } rows[] = {{"example.org", true}, {"EXAMPLE.org", true}, {"example.net", false}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char header[256] = "2";
        struct script s;

        script_begin(&s, true);
        script_play(&s, ON, 0);
        snprintf(header + 1, sizeof header - 1, open, rows[i].domain);
        script_play(&s, header, 0);
        script_play(&s,
                    "2s <stream:stream xmlns='jabber:client' version='1.0'"
                    " xmlns:stream='http://etherx.jabber.org/streams'>\n" //
                    RESUME("2", "x", "0") RESUMED("2", "x", "0"),
                    0);
        assert_int_equal(strstr(script_log(&s), "resumes=s1") != NULL, rows[i].tied);
        script_finish(&s);
    }
}

/* Counters are modulo 2^32. */
static void test_wrap(void **state)
{
    static const struct script_row rows[] = {
        {RESUME("1", "z", "0") RESUMED("1", "z", "4294967294") "1c " MESSAGE "1c " MESSAGE "1s " A(
             "4294967295") "1c " MESSAGE "1s " A("1") "1s " A("4294967295") "1s " A("2"),
         "s1#3 c2s sm.resume previd=z h=0\n"
         "s1#4 s2c sm.resumed re 3 +10 previd=z h=4294967294\n" SENT(5)
             SENT(6) "s1#7 s2c sm.answer.server h=4294967295 sent=0 unacked=1\n" SENT(
                 8) "s1#9 s2c sm.answer.server h=1 sent=1 unacked=0\n"
                    "s1#10 s2c sm.answer.server h=4294967295 sent=1 unacked=2"
                    " ! sm-h: it says h=4294967295, but h=1 was said before\n"
                    "s1#11 s2c sm.answer.server h=2 sent=1"
                    " ! sm-h: it says h=2, but only 1 stanza was sent\n"},
        {RESUME("1", "z", "4294967295") RESUMED("1", "z", "0") "1s " MESSAGE "1s " R
                                                               "1c " A("4294967295"),
         "s1#3 c2s sm.resume previd=z h=4294967295\ns1#4 s2c sm.resumed re 3 +10 previd=z "
         "h=0\n" GOT(
             5) "s1#6 s2c sm.request.server\n"
                "s1#7 c2s sm.answer.client re 6 +10 h=4294967295 sent=0 unacked=1"
                " ! sm-h: it says h=4294967295, but 0 stanzas were sent before it was asked\n"},
    };

    (void)state;
    script_rows(ROWS(rows), true);
}

/* ---- within SASL2 ---- */

#define AUTH(n, in)                                                                                \
    n "c <authenticate xmlns='urn:xmpp:sasl:2' mechanism='EXTERNAL'>" in "</authenticate>\n"
#define SUCCESS(n, in) n "s <success xmlns='urn:xmpp:sasl:2'>" in "</success>\n"
#define BIND(in)       "<bind xmlns='urn:xmpp:bind:0'>" in "</bind>"
#define BOUND(in)      "<bound xmlns='urn:xmpp:bind:0'>" in "</bound>"

/* Other facts of such items are not looked at here. */
static void assert_has(struct script *s, const char *const *words)
{
    const char *log = script_log(s), *at = log;

    for (; *words; words++) {
        const char *found = strstr(at, *words);

        if (!found)
            fail_msg("no \"%s\" in its place in\n%s", *words, log);
        at = found + strlen(*words);
    }
}

static void test_inline(void **state)
{
    static const struct {
        const char *script;
        const char *words[12];
    } rows[] = {
        {AUTH("1", BIND("<enable" NS " resume='true' max='60'/>")) SUCCESS(
             "1", BOUND("<enabled" NS " id='x' resume='true'/>")) "1s " MESSAGE "1c " MESSAGE
                                                                  "1c " R "1s " A("1") "1s " R
                                                                                       "1c " A("2"),
         {"sasl2.auth", "resume=true max=60", "sasl2.success.bound re 3", "sm-id=x resume=true",
          "sm.answer.server re 7 +10 h=1 sent=1 unacked=0\n",
          "h=2 sent=1 ! sm-h: it says h=2, but only 1 stanza was sent\n"}},
        {ON "1c " MESSAGE "1e\n" AUTH("2", "<resume" NS " previd='x' h='0'/>")
             SUCCESS("2", "<resumed" NS " previd='x' h='1'/>") "2s " A("1") "2e\n",
         {"sasl2.auth", "previd=x h=0 sent=0 unacked=0", "sasl2.success",
          "previd=x h=1 sent=1 unacked=0 resumes=s1", "h=1 sent=1 unacked=0\n", "resumes s1"}},
        {/* both asked; the first is refused */
         ON "1e\n" AUTH("2", BIND("<enable" NS "/>") "<resume" NS " previd='x' h='0'/>")
             SUCCESS("2", "<failed" NS "><item-not-found"
                          " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>" //
                     BOUND("<enabled" NS " id='y' resume='true'/>")) "2c " MESSAGE "2s " A("1"),
         {"sasl2.auth", "previd=x h=0 sent=0 unacked=0", "sasl2.success",
          "condition=item-not-found", "sm-id=y resume=true", "h=1 sent=1 unacked=0\n"}},
        {/* both asked; the first is granted */
         ON "1e\n" AUTH("2", BIND("<enable" NS "/>") "<resume" NS " previd='x' h='0'/>")
             SUCCESS("2", "<resumed" NS " previd='x' h='0'/>") "2c " MESSAGE "2s " A("1"),
         {"resumes=s1", "h=1 sent=1 unacked=0\n"}},
        {/* elsewhere they mean nothing */
         "1c <iq type='set' id='1'><enable" NS "/></iq>\n1s <iq type='result' id='1'><enabled" NS
         "/></iq>\n1c " R,
         {"sm.request.client ! sm-off"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t step = 0; step < 2; step++) {
            struct script s;

            script_begin(&s, true);
            script_play(&s, rows[i].script, step);
            assert_has(&s, rows[i].words);
            script_finish(&s);
        }
}

/* ---- how much is held ---- */

static bool resumes(struct script *s, int id)
{
    char script[512];

    snprintf(script, sizeof script, RESUME("2", "%d", "0") RESUMED("2", "%d", "0") "2e\n", id, id);
    script_play(s, script, 0);
    return strstr(script_log(s), " resumes s") != NULL;
}

/* One stream too many: the one longest unused is forgotten. */
static void test_table_full(void **state)
{
    char script[512];
    struct script s;

    (void)state;
    script_begin(&s, false);
    for (int i = 0; i <= SM_STREAMS_MAX; i++) {
        snprintf(script, sizeof script,
                 "1c <enable" NS "/>\n1s <enabled" NS " id='%d' resume='true'/>\n1e\n", i);
        script_play(&s, script, 0);
        if (i == SM_STREAMS_MAX - 1)
            assert_true(resumes(&s, 0)); /* used again */
    }
    script_log(&s);
    assert_true(resumes(&s, 0));
    assert_false(resumes(&s, 1));
    assert_true(resumes(&s, SM_STREAMS_MAX));
    assert_true(resumes(&s, SM_STREAMS_MAX / 2));
    script_finish(&s);
}

/* The stream that is being resumed is forgotten meanwhile; then it is known again. */
static void test_forgotten_meanwhile(void **state)
{
    char script[512];
    struct script s;

    (void)state;
    script_begin(&s, false);
    script_play(&s, ON "1c " MESSAGE "1e\n" RESUME("2", "x", "0"), 0);
    for (int i = 0; i < SM_STREAMS_MAX; i++) {
        snprintf(script, sizeof script,
                 "3c <enable" NS "/>\n3s <enabled" NS " id='%d' resume='true'/>\n3e\n", i);
        script_play(&s, script, 0);
    }
    script_log(&s);
    script_play(&s, RESUMED("2", "x", "2") "2e\n", 0);
    assert_string_equal(script_log(&s), "s2#4 s2c sm.resumed re 3 +30730"
                                        " ! sm-h: it says h=2, but only 1 stanza was sent\n"
                                        "s2#5 resumes s1 unanswered 0: slow: 3+30730\n");
    script_play(&s, RESUME("3", "x", "0") RESUMED("3", "x", "2"), 0);
    assert_non_null(strstr(script_log(&s), "s3#4 s2c sm.resumed re 3 +10\n"));
    script_play(&s, "3e\n", 0);
    assert_non_null(strstr(script_log(&s), " resumes s2 "));
    script_finish(&s);
}

/* Without a table, and with too long an id, counters work; nothing is tied. */
static void test_untied(void **state)
{
    char script[2048];
    struct script s;

    (void)state;
    script_begin(&s, false);
    for (int n = SM_ID_MAX; n <= SM_ID_MAX + 1; n++) {
        snprintf(script, sizeof script,
                 "1c <enable" NS "/>\n1s <enabled" NS " id='%0*d' resume='true'/>\n1e\n", n, 0);
        script_play(&s, script, 0);
        script_log(&s);
        snprintf(script, sizeof script,
                 "2c <resume" NS " previd='%0*d' h='0'/>\n2s <resumed" NS
                 " previd='%0*d' h='0'/>\n2e\n",
                 n, 0, n, 0);
        script_play(&s, script, 0);
        assert_int_equal(strstr(script_log(&s), "resumes s1") != NULL, n == SM_ID_MAX);
    }
    sm_table_free(s.table);
    s.table = NULL;
    script_play(&s,
                ON "1c " MESSAGE "1s " A("2") "1e\n" RESUME("2", "x", "0") //
                RESUMED("2", "x", "1") "2e\n",
                0);
    assert_string_equal(
        script_log(&s),
        "s1#3 c2s sm.enable\ns1#4 s2c sm.enabled re 3 +10\ns1#5 c2s message.chat.sent\n"
        "s1#6 s2c sm.answer.server ! sm-h: it says h=2, but only 1 stanza was sent\n"
        "s1#7 unanswered 0: slow: 3+10\n"
        "s2#3 c2s sm.resume\ns2#4 s2c sm.resumed re 3 +10\ns2#5 unanswered 0: slow: 3+10\n");
    script_finish(&s);
}

/* A session may get the memory of the one that it resumes. */
static void test_same_memory(void **state)
{
    static const struct {
        const char *name, *attr, *value;
        enum dir dir;
    } items[] = {
        {"enable", "resume", "true", DIR_C2S},
        {"enabled", "id", "x", DIR_S2C},
        {"resume", "previd", "x", DIR_C2S},
        {"resumed", "previd", "x", DIR_S2C},
    };
    struct sm_table *t = sm_table_new();
    struct fact_list facts, remarks;
    struct sm s;

    (void)state;
    sm_init(&s, "s1", t);
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        struct item it = {.nodes = 1,
                          .attrs = 2,
                          .node[0] = {.ns = "urn:xmpp:sm:3", .name = items[i].name},
                          .attr = {{0, items[i].attr, items[i].value}, {0, "resume", "true"}}};

        if (i == 2) {
            sm_free(&s);
            sm_init(&s, "s2", t);
        }
        fact_init(&facts);
        fact_init(&remarks);
        assert_int_equal(sm_item(&s, &it, items[i].dir, "", &facts, &remarks), i == 3);
    }
    assert_string_equal(s.resumes, "s1");
    sm_free(&s);
    sm_table_free(t);
}

static void hear(struct sm *s, const char *name, const char *attr, enum dir dir,
                 struct fact_list *facts, struct fact_list *remarks)
{
    struct item it = {.nodes = 1,
                      .attrs = 3,
                      .node[0] = {.ns = "urn:xmpp:sm:3", .name = name},
                      .attr = {{0, attr, "x"}, {0, "resume", "true"}, {0, "h", "7"}}};

    fact_init(facts);
    fact_init(remarks);
    sm_item(s, &it, dir, "example.org", facts, remarks);
}

/* Sessions of two recorders: who is resumed is known, what was counted elsewhere is not looked at;
 * nor are one's own counters, once another has had the stream. */
static void test_elsewhere(void **state)
{
    struct sm_holders *holders = sm_holders_new();
    struct sm_table *t[2] = {sm_table_new(), sm_table_new()};
    struct fact_list facts, remarks;
    static const char *const names[] = {"s1", "s2", "s3", "s4"};
    static const int table[] = {0, 1, 0, 0}; /* the last one resumes in its own */
    struct sm s[4];

    (void)state;
    assert_non_null(holders);
    for (int i = 0; i < 2; i++)
        sm_table_share(t[i], holders);
    for (int i = 0; i < 4; i++)
        sm_init(&s[i], names[i], t[table[i]]);
    hear(&s[0], "enable", "none", DIR_C2S, &facts, &remarks);
    hear(&s[0], "enabled", "id", DIR_S2C, &facts, &remarks);
    for (int i = 1; i < 4; i++) {
        bool counted = i == 3;

        hear(&s[i], "resume", "previd", DIR_C2S, &facts, &remarks);
        assert_int_equal(fact_get(&facts, "sent") != NULL, counted);
        assert_int_equal(remarks.n, 0);
        hear(&s[i], "resumed", "previd", DIR_S2C, &facts, &remarks);
        assert_int_equal(fact_get(&facts, "sent") != NULL, counted);
        assert_int_equal(remarks.n, 0);
        assert_string_equal(fact_get(&facts, "resumes"), names[i - 1]);
        assert_string_equal(s[i].resumes, names[i - 1]);
    }
    for (int i = 0; i < 4; i++)
        sm_free(&s[i]);
    for (int i = 0; i < 2; i++)
        sm_table_free(t[i]);
    sm_holders_free(holders);
}

static void test_idle(void **state)
{
    struct sm s;

    (void)state;
    sm_init(&s, "s1", NULL);
    assert_true(sizeof s <= 96);
    assert_null(s.stream);
    sm_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_unread),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_domain),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_inline),
        cmocka_unit_test(test_table_full),
        cmocka_unit_test(test_forgotten_meanwhile),
        cmocka_unit_test(test_untied),
        cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_same_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

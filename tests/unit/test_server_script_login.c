/* A captured server, played by the embedded one: its streams and features, logins of every kind,
 * and what is said of what cannot be played. */
#include "served_tests.h"

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
    expect(&l.link,
           HEADER_LIVE " xml:lang='de' version='1.0'><stream:features>" PLAIN_ALONE SASL2_OURS
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
     "<stream:features>" PLAIN_ALONE SASL2_OURS "<x"},
    {"a capture without TLS has none", LOGIN(MECH("PLAIN"), "PLAIN") BINDS, false, false,
     "<stream:features>" PLAIN_ALONE SASL2_OURS "<x xmlns='urn:other'>1</x></stream:features>"},
    {"with TLS from the first byte there is none to begin",
     "t\n" LOGIN(MECH("PLAIN"), "PLAIN") BINDS, true, false,
     "<stream:features>" PLAIN_ALONE SASL2_OURS "<x xmlns='urn:other'>1</x></stream:features>"},
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

/* SASL2 has bound its client along with the login. */
static const char captured_sasl2[] = LOGIN_TLS
    "s0 <stream:features><authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism>"
    "</authentication></stream:features>\n"
    "c0=PLAIN <authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>\n"
    "s0 <success xmlns='urn:xmpp:sasl:2'><authorization-identifier>alice@old.example/r"
    "</authorization-identifier></success>\n"
    "s0 <stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>\n"
    "s0 <message to='alice@old.example/r' n='1'/>\n"
    "c0 " ASK("1", PING) "\ns10 <iq type='result' id='1' n='ping'/>\n";

/* The live one logs in, and binds, in the older way. */
static void session_of_sasl2_is_played(void **state)
{
    struct live l;

    (void)state;
    open_live(&l, script_of(captured_sasl2, ""), false);
    server_tls(l.link.s);
    feed(&l.link, OPEN_NEW AUTH_PLAIN OPEN_NEW);
    assert_non_null(strstr(got(&l.link),
                           "<stream:features><sm xmlns='urn:xmpp:sm:3'/><bind xmlns='" NS_B
                           "'/></stream:features>"));
    feed(&l.link, BIND("here"));
    assert_non_null(
        strstr(got(&l.link), "<jid>" MY "</jid></bind></iq><message to='" MY "' n='1'/>"));
    feed(&l.link, ASK("9", PING));
    expect(&l.link, "<iq type='result' id='9' n='ping'/>");
    assert_int_equal(l.unanswered, 0);
    close_live(&l);
}

/* It does as the captured one did. */
static void sasl2_binds_and_is_played(void **state)
{
    struct live l;

    (void)state;
    open_live(&l, script_of(captured_sasl2, ""), false);
    server_tls(l.link.s);
    feed(&l.link, OPEN_NEW);
    assert_non_null(strstr(got(&l.link), "<stream:features>" SASL2_OURS));
    feed(&l.link,
         "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>"
         "AGFubgBzZWNyZXQ=</initial-response><bind xmlns='urn:xmpp:bind:0'/></authenticate>");
    assert_non_null(strstr(got(&l.link),
                           "<stream:features><sm xmlns='urn:xmpp:sm:3'/></stream:features>"
                           "<message to='ann@new.example/"));
    feed(&l.link, ASK("9", PING));
    expect(&l.link, "<iq type='result' id='9' n='ping'/>");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_the_captured_ones),
        cmocka_unit_test(no_password_before_tls),
        cmocka_unit_test(features_are_what_can_be_played),
        cmocka_unit_test(session_of_sasl2_is_played),
        cmocka_unit_test(sasl2_binds_and_is_played),
        cmocka_unit_test(session_of_legacy_login_is_played),
        cmocka_unit_test(what_has_no_answer_is_named),
        cmocka_unit_test(sessions_that_cannot_be_played_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

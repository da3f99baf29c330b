/* A captured server, played by the embedded one to a live client: what is answered to what, when,
 * and with whose names. */
#include "served_tests.h"

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

/* ---- anything, in any order ---- */

static unsigned dice(unsigned *state, unsigned n)
{
    *state = *state * 1664525 + 1013904223;
    return (*state >> 8) % n;
}

static const char *const asked[] = {
    ASK("%d", PING),
    ASK("%d", "to='bob@%s'" PING),
    ASK("%d", "to='%s'><query xmlns='http://jabber.org/protocol/disco#info' node='n'/>"),
    SET("%d", "><query xmlns='jabber:iq:roster'><item jid='a@%s'/></query>"),
    "<presence><priority>%d</priority></presence>",
    "<message to='bob@%s'><body>%d</body></message>",
    "<enable xmlns='urn:xmpp:sm:3'/>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "<a xmlns='urn:xmpp:sm:3' h='%d'/>",
    "<inactive xmlns='urn:xmpp:csi:0'/>",
    "<iq type='result' id='%d'/>",
};

/* One of them, about `domain`, to `xml`. */
static const char *say(unsigned *state, const char *domain, char xml[512])
{
    const char *form = asked[dice(state, sizeof asked / sizeof *asked)];
    size_t n = 0;

    for (; *form; form++) {
        if (form[0] == '%')
            n += (size_t)(form[1] == 'd' ? snprintf(xml + n, 512 - n, "%u", dice(state, 4))
                                         : snprintf(xml + n, 512 - n, "%s", domain));
        else
            xml[n++] = *form;
        form += *form == '%';
    }
    xml[n] = '\0';
    return xml;
}

/* A capture of them, with answers and pushes where it happens. */
static struct script *any_capture(unsigned *state)
{
    static const char *const said[] = {
        "<iq type='result' id='%d'/>", "<a xmlns='urn:xmpp:sm:3' h='1'/>",
        "<enabled xmlns='urn:xmpp:sm:3' id='i'/>", "<iq type='error' id='%d'><error/></iq>"};
    static const char *const unasked[] = {
        "<message from='bob@old.example'/>", "<r xmlns='urn:xmpp:sm:3'/>",
        "<iq type='get' id='2'><ping xmlns='urn:xmpp:ping'/></iq>", "<presence/>"};
    struct buf text;
    struct script *s;
    char xml[512];

    buf_init(&text, 1u << 20);
    for (unsigned i = FIRST; i < FIRST + 60; i++) {
        unsigned what = dice(state, 3);
        int err =
            what == 0
                ? buf_printf(&text, "c0+%u %s\n", dice(state, 50), say(state, "old.example", xml))
            : what == 1
                ? buf_printf(&text, "s%u+%u %s\n", i - 1, dice(state, 50), said[dice(state, 4)])
                : buf_printf(&text, "s0+%u %s\n", dice(state, 50), unasked[dice(state, 4)]);

        assert_int_equal(err, 0);
    }
    assert_int_equal(buf_add(&text, "", 1), 0);
    s = script_of(LOGGED_IN, text.p);
    s->speed = dice(state, 2);
    buf_free(&text);
    return s;
}

/* What is sent stays a well-formed stream, and what is due is never due without coming. */
static void anything_in_any_order(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 60; seed++) {
        unsigned luck = seed;
        struct live l;
        char xml[512];

        open_live(&l, any_capture(&luck), false);
        server_tls(l.link.s);
        feed(&l.link, OPEN_NEW AUTH_PLAIN OPEN_NEW BIND("here"));
        for (int i = 0; i < 150 && !server_done(l.link.s); i++) {
            int64_t due = server_due_us(l.link.s);

            feed(&l.link, say(&luck, "new.example", xml));
            if (due >= 0 && dice(&luck, 2)) {
                l.link.now_us = due > l.link.now_us ? due : l.link.now_us;
                assert_int_equal(server_tick(l.link.s, l.link.now_us), 0);
                assert_true(server_due_us(l.link.s) < 0 || server_due_us(l.link.s) > l.link.now_us);
            }
        }
        take(&l.link);
        assert_well_formed(l.link.got.p, l.link.got.len);
        close_live(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plays_as_captured),
        cmocka_unit_test(much_goes_out_as_it_is_fetched),
        cmocka_unit_test(many_wait_and_none_is_lost),
        cmocka_unit_test(anything_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The gate: what passes, what waits, what is refused, and when it steps aside. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../proxy/gate.h"

#define OPEN                                                                                       \
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "        \
    "to='example.org'>"
#define NS_TLS    "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL   "urn:ietf:params:xml:ns:xmpp-sasl"
#define STARTTLS  "<starttls xmlns='" NS_TLS "'/>"
#define PROCEED   "<proceed xmlns='" NS_TLS "'/>"
#define FEATURES1 "<stream:features><starttls xmlns='" NS_TLS "'/></stream:features>"
#define FEATURES2 "<stream:features><mechanisms xmlns='" NS_SASL "'/></stream:features>"
#define FEATURES3 "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"
#define PLUS      "<stream:features><mechanisms xmlns='" NS_SASL "'><mechanism>X-PLUS</mechanism></mechanisms></stream:features>"
#define BARE      "<stream:features><mechanisms xmlns='" NS_SASL "'></mechanisms></stream:features>"
#define ZLIB      "<stream:features><compression xmlns='http://jabber.org/features/compress'><method>zlib</method></compression><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"
#define AUTH      "<auth xmlns='" NS_SASL "' mechanism='X'>eA==</auth>"
#define LEGACY     "<iq type='set' id='1'><query xmlns='jabber:iq:auth'><username>u</username></query></iq>"
#define COMPRESSED "<compressed xmlns='http://jabber.org/protocol/compress'/>"
#define CHALLENGE "<challenge xmlns='" NS_SASL "'/>"
#define SUCCESS   "<success xmlns='" NS_SASL "'/>"

struct seen {
    struct gate gate;
    struct reader *reader;
    struct buf out[2]; /* what was forwarded, by direction */
    struct buf log;    /* everything but forwarding */
    unsigned wishes;   /* how features are edited */
    bool server_secures, client_secures; /* at once, when asked */
    bool named;        /* the server is the one it should be */
};

static void note(struct seen *s, const char *what, const char *p, size_t n)
{
    assert_int_equal(buf_printf(&s->log, "%s[%.*s] ", what, (int)n, p), 0);
}

static void on_forward(void *arg, enum dir dir, const char *p, size_t n)
{
    assert_int_equal(buf_add(&((struct seen *)arg)->out[dir], p, n), 0);
}

static void on_edit(void *arg, enum dir dir, const char *p, size_t n, const char *sent,
                    size_t sent_len, const char *reason)
{
    struct seen *s = arg;

    assert_true(strlen(reason) > 0);
    note(s, dir == DIR_C2S ? "edit-c2s" : "edit-s2c", p, n);
    assert_int_equal(buf_add(&s->out[dir], sent, sent_len), 0);
}

static bool on_features(void *arg, struct reader_stream *st, const char *p, size_t n,
                        struct features_edit *fe)
{
    struct seen *s = arg;
    const struct item *it;

    if (!s->wishes)
        return false;
    assert_int_equal(reader_item_deep(s->reader, st, p, n, &it, NULL), 0);
    assert_int_equal(features_edit(fe, it, s->wishes), 0);
    return fe->changed;
}

static void on_restart(void *arg, enum label_phase phase)
{
    note(arg, phase == PHASE_TLS ? "restart-tls" : "restart-bound", "", 0);
}

static void on_bound(void *arg)
{
    note(arg, "bound", "", 0);
}

static void on_secure_server(void *arg, const char *p, size_t n)
{
    struct seen *s = arg;

    note(s, "secure-server", p, n);
    if (s->server_secures)
        gate_server_secured(&s->gate);
}

static void on_secure_client(void *arg, const char *p, size_t n)
{
    struct seen *s = arg;

    note(s, "secure-client", p, n);
    if (s->client_secures)
        gate_client_secured(&s->gate);
}

static void on_refuse(void *arg, const char *p, size_t n)
{
    note(arg, "refuse", p, n);
}

static void on_insecure(void *arg, const char *p, size_t n)
{
    note(arg, "insecure", p, n);
}

static void on_unbridged(void *arg, enum dir dir, const char *p, size_t n, const struct error *e)
{
    struct seen *s = arg;

    note(s, dir == DIR_C2S ? "unbridged-c2s" : "unbridged-s2c", p, n);
    note(s, "why", error_name(e->code), strlen(error_name(e->code)));
}

static void on_aside(void *arg, enum dir dir, const struct error *e)
{
    (void)dir;
    note(arg, "aside", error_name(e->code), strlen(error_name(e->code)));
}

static bool on_named(void *arg)
{
    return ((struct seen *)arg)->named;
}

static void on_misnamed(void *arg, const char *p, size_t n)
{
    note(arg, "misnamed", p, n);
}

/* A bridge that asks the server at once and lets in whom the server lets in. */
static enum gate_phase on_bridge(void *arg, enum dir dir, struct reader_stream *st,
                                 const struct features_edit *features, const char *p, size_t n)
{
    struct seen *s = arg;

    assert_non_null(st);
    note(s, features ? "bridge-features" : dir == DIR_C2S ? "bridge-c2s" : "bridge-s2c", p, n);
    if (features)
        return s->gate.phase; /* who asked before waits for the server, still */
    if (dir == DIR_C2S)
        return memmem(p, n, "abort", 5) ? GATE_NEGOTIATING : GATE_SASL_ASKED;
    return memmem(p, n, "<success", 8)   ? GATE_LOGGED_IN
           : memmem(p, n, "<failure", 8) ? GATE_NEGOTIATING
                                         : GATE_SASL_ASKED;
}

static const struct gate_user user = {
    .forward = on_forward,
    .edit = on_edit,
    .features = on_features,
    .restart = on_restart,
    .bound = on_bound,
    .secure_server = on_secure_server,
    .secure_client = on_secure_client,
    .refuse = on_refuse,
    .named = on_named,
    .misnamed = on_misnamed,
    .insecure = on_insecure,
    .bridge = on_bridge,
    .unbridged = on_unbridged,
    .aside = on_aside,
};

static void begin(struct seen *s)
{
    *s = (struct seen){.reader = reader_new(), .server_secures = true, .client_secures = true};
    buf_init(&s->out[0], 1 << 20);
    buf_init(&s->out[1], 1 << 20);
    buf_init(&s->log, 1 << 20);
    gate_init(&s->gate, s->reader, &user, s);
}

static void finish(struct seen *s)
{
    gate_free(&s->gate);
    reader_free(s->reader);
    buf_free(&s->out[0]);
    buf_free(&s->out[1]);
    buf_free(&s->log);
}

static void assert_text(struct buf *b, const char *want)
{
    assert_int_equal(buf_add(b, "", 1), 0);
    assert_string_equal(b->p, want);
    b->len--;
}

/* A script: "c" or "s" lines in turn; `c2s` and `s2c` what must have gone on; `log` the rest. A
 * piece is fed whole, or in pieces of `step` where that must make no difference. */
struct piece {
    enum dir dir;
    const char *bytes;
};

static const struct row {
    const char *name;
    struct piece pieces[12];
    const char *c2s, *s2c, *log;
    bool whole; /* what was read together matters */
} rows[] = {
    {"login with STARTTLS",
     {{DIR_C2S, OPEN},
      {DIR_S2C, OPEN FEATURES1},
      {DIR_C2S, STARTTLS},
      {DIR_S2C, PROCEED},
      {DIR_C2S, "\x16hello"},
      {DIR_C2S, OPEN},
      {DIR_S2C, OPEN FEATURES2},
      {DIR_C2S, AUTH},
      {DIR_S2C, SUCCESS},
      {DIR_C2S, OPEN},
      {DIR_S2C, OPEN FEATURES3},
      {DIR_C2S, "<half"}},
     OPEN STARTTLS OPEN AUTH OPEN "<half",
     OPEN FEATURES1 PROCEED OPEN FEATURES2 SUCCESS OPEN FEATURES3,
     "secure-server[] secure-client[\x16hello] restart-tls[] restart-bound[] aside[none] ", true},
    {"a new stream that came before success waits for it",
     {{DIR_C2S, OPEN AUTH "\n" OPEN "<a/>"}, {DIR_S2C, OPEN FEATURES2}, {DIR_S2C, SUCCESS}},
     OPEN AUTH "\n" OPEN "<a/>", OPEN FEATURES2 SUCCESS, "restart-bound[] ", false},
    {"nothing passes while the answer is owed",
     {{DIR_C2S, OPEN AUTH "<presence/>"}, {DIR_S2C, OPEN FEATURES2}},
     OPEN AUTH, OPEN FEATURES2, "", false},
    {"a failure lets the client go on",
     {{DIR_C2S, OPEN AUTH AUTH}, {DIR_S2C, OPEN "<failure xmlns='" NS_SASL "'/>"}},
     OPEN AUTH AUTH, OPEN "<failure xmlns='" NS_SASL "'/>", "", false},
    {"white space with starttls goes with it",
     {{DIR_C2S, OPEN STARTTLS "\n "}},
     OPEN STARTTLS "\n ", "", "", true},
    {"white space behind starttls is dropped",
     {{DIR_C2S, OPEN STARTTLS}, {DIR_C2S, "\n"}, {DIR_S2C, OPEN PROCEED}, {DIR_C2S, " \x16h"}},
     OPEN STARTTLS, OPEN PROCEED,
     "edit-c2s[\n] secure-server[] edit-c2s[ ] secure-client[\x16h] restart-tls[] ", true},
    {"plaintext with starttls is refused, and starttls with it",
     {{DIR_C2S, OPEN STARTTLS "<iq/>"}}, OPEN, "", "refuse[" STARTTLS "<iq/>] ", true},
    {"plaintext behind starttls is refused",
     {{DIR_C2S, OPEN STARTTLS}, {DIR_C2S, "<iq/>"}, {DIR_S2C, PROCEED}},
     OPEN STARTTLS, "", "refuse[<iq/>] ", true},
    {"plaintext behind proceed is refused",
     {{DIR_C2S, OPEN STARTTLS}, {DIR_S2C, OPEN PROCEED}, {DIR_C2S, "<iq/>"}},
     OPEN STARTTLS, OPEN PROCEED, "secure-server[] refuse[<iq/>] ", true},
    {"what comes behind proceed is TLS",
     {{DIR_C2S, OPEN STARTTLS}, {DIR_S2C, OPEN PROCEED "\x16 server"}},
     OPEN STARTTLS, OPEN PROCEED, "secure-server[\x16 server] ", true},
    {"a server that refuses TLS",
     {{DIR_C2S, OPEN STARTTLS}, {DIR_S2C, OPEN "<failure xmlns='" NS_TLS "'/>"}, {DIR_C2S, "<a/>"}},
     OPEN STARTTLS "<a/>", OPEN "<failure xmlns='" NS_TLS "'/>", "", true},
    {"proceed that nobody asked for changes nothing",
     {{DIR_C2S, OPEN}, {DIR_S2C, OPEN PROCEED}},
     OPEN, OPEN PROCEED, "", false},
    {"starttls of another namespace is nothing",
     {{DIR_C2S, OPEN "<starttls/><iq/>"}}, OPEN "<starttls/><iq/>", "", "", false},
    {"a prefix is not a name",
     {{DIR_C2S, OPEN}, {DIR_C2S, "<t:starttls xmlns:t='" NS_TLS "'/>"}, {DIR_S2C, OPEN PROCEED}},
     OPEN "<t:starttls xmlns:t='" NS_TLS "'/>", OPEN PROCEED, "secure-server[] ", false},
    {"nothing to negotiate",
     {{DIR_C2S, OPEN}, {DIR_S2C, OPEN "<stream:features/>"}, {DIR_C2S, "<ha"}},
     OPEN "<ha", OPEN "<stream:features/>", "aside[none] ", false},
    {"logged in by other means",
     {{DIR_C2S, OPEN "<presence/><ha"}}, OPEN "<presence/><ha", "", "bound[] aside[none] ", false},
    {"SASL2",
     {{DIR_C2S, OPEN "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='X'/>"},
      {DIR_S2C, OPEN FEATURES2 "<success xmlns='urn:xmpp:sasl:2'/>" FEATURES3 "<x"}},
     OPEN "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='X'/>",
     OPEN FEATURES2 "<success xmlns='urn:xmpp:sasl:2'/>" FEATURES3 "<x", "bound[] aside[none] ",
     false},
    {"not well-formed: both pass raw",
     {{DIR_C2S, OPEN "<a></b><ha"}, {DIR_S2C, "x<"}},
     OPEN "<a></b><ha", "x<", "aside[not-well-formed] ", false},
    {"a DTD: both pass raw",
     {{DIR_C2S, "<!DOCTYPE a>"}, {DIR_S2C, "x<"}},
     "<!DOCTYPE a>", "x<", "aside[restricted-xml] ", false},
    {"bridged: features and SASL are the bridge's, the rest passes",
     {{DIR_C2S, OPEN "<a/>"},
      {DIR_S2C, OPEN FEATURES2},
      {DIR_C2S, AUTH OPEN "<b/>"},
      {DIR_S2C, CHALLENGE SUCCESS OPEN FEATURES3 "<half"}},
     OPEN "<a/>" OPEN "<b/>", OPEN OPEN FEATURES3 "<half",
     "bridge-features[" FEATURES2 "] bridge-c2s[" AUTH "] bridge-s2c[" CHALLENGE "] bridge-s2c["
     SUCCESS "] restart-bound[] aside[none] ", false},
    {"bridged: refused, then another try",
     {{DIR_C2S, OPEN AUTH},
      {DIR_S2C, OPEN FEATURES2 "<failure xmlns='" NS_SASL "'/>"},
      {DIR_C2S, "<abort xmlns='" NS_SASL "'/>" AUTH "<c/>"}},
     OPEN, OPEN,
     "bridge-c2s[" AUTH "] bridge-features[" FEATURES2 "] bridge-s2c[<failure xmlns='" NS_SASL
     "'/>] bridge-c2s[<abort xmlns='" NS_SASL "'/>] bridge-c2s[" AUTH "] ", true},
    {"bridged: what the server says unasked is the bridge's, too",
     {{DIR_C2S, OPEN}, {DIR_S2C, OPEN FEATURES2 "<failure xmlns='" NS_SASL "'/><d/>"}},
     OPEN, OPEN "<d/>",
     "bridge-features[" FEATURES2 "] bridge-s2c[<failure xmlns='" NS_SASL "'/>] ", false},
    {"bridged: features without a login are nobody's",
     {{DIR_C2S, OPEN}, {DIR_S2C, OPEN FEATURES3 "<half"}},
     OPEN, OPEN FEATURES3, "", false},
    {"bridged: a login behind such features is the bridge's",
     {{DIR_C2S, OPEN}, {DIR_S2C, OPEN FEATURES3}, {DIR_C2S, AUTH}},
     OPEN, OPEN FEATURES3, "bridge-c2s[" AUTH "] ", false},
    {"bridged: a stanza before the login",
     {{DIR_C2S, OPEN}, {DIR_S2C, OPEN FEATURES2}, {DIR_C2S, "<presence/>" AUTH}},
     OPEN, OPEN, "bridge-features[" FEATURES2 "] unbridged-c2s[<presence/>" AUTH "] why[sasl] ",
     true},
    {"bridged: a legacy login", {{DIR_C2S, OPEN LEGACY}, {DIR_S2C, OPEN}},
     OPEN, "", "unbridged-c2s[" LEGACY "] why[sasl] ", false},
    {"bridged: what the client sends cannot be read",
     {{DIR_C2S, OPEN "<!--a-->" AUTH}, {DIR_S2C, OPEN}},
     OPEN, "", "unbridged-c2s[<!--a-->" AUTH "] why[restricted-xml] ", true},
    {"bridged: not well-formed", {{DIR_C2S, OPEN "<a></b>" AUTH}},
     OPEN, "", "unbridged-c2s[<a></b>" AUTH "] why[not-well-formed] ", true},
    {"bridged: no stream at all", {{DIR_C2S, "x" AUTH}},
     "", "", "unbridged-c2s[x" AUTH "] why[unreadable] ", true},
    {"bridged: what the server sends cannot be read",
     {{DIR_C2S, OPEN}, {DIR_S2C, OPEN "<!--a-->"}, {DIR_C2S, AUTH}},
     OPEN, OPEN, "unbridged-s2c[<!--a-->] why[restricted-xml] ", true},
    {"bridged: compression before the login",
     {{DIR_C2S, OPEN}, {DIR_S2C, OPEN COMPRESSED}, {DIR_C2S, AUTH}},
     OPEN, OPEN, "unbridged-s2c[" COMPRESSED "] why[none] ", false},
    {"bridged: behind the login it steps aside as ever",
     {{DIR_C2S, OPEN AUTH}, {DIR_S2C, OPEN SUCCESS}, {DIR_C2S, OPEN "<a></b>" AUTH}},
     OPEN OPEN "<a></b>" AUTH, OPEN,
     "bridge-c2s[" AUTH "] bridge-s2c[" SUCCESS "] restart-bound[] aside[not-well-formed] ", true},
    {"a legacy login passes", {{DIR_C2S, OPEN LEGACY "<presence/><ha"}},
     OPEN LEGACY "<presence/><ha", "", "bound[] aside[none] ", false},
    {"required: the client goes on in clear",
     {{DIR_C2S, OPEN}, {DIR_S2C, OPEN FEATURES1}, {DIR_C2S, AUTH}},
     OPEN, OPEN FEATURES1, "insecure[" AUTH "] ", false},
    {"required: a comment does not lead past it",
     {{DIR_C2S, OPEN "<!--a-->" AUTH}, {DIR_S2C, OPEN}},
     OPEN, "", "insecure[<!--a-->" AUTH "] ", true},
    {"required: a DTD", {{DIR_C2S, "<!DOCTYPE a>" OPEN}, {DIR_S2C, OPEN}},
     "", "", "insecure[<!DOCTYPE a>" OPEN "] ", true},
    {"required: not well-formed", {{DIR_C2S, OPEN "<a></b>" AUTH}},
     OPEN, "", "insecure[<a></b>" AUTH "] ", true},
    {"required: the server leads nobody past it",
     {{DIR_C2S, OPEN}, {DIR_S2C, OPEN "<!--a-->"}, {DIR_C2S, AUTH}},
     OPEN, OPEN, "insecure[] ", true},
    {"required: features that offer nothing",
     {{DIR_C2S, OPEN}, {DIR_S2C, OPEN FEATURES3}, {DIR_C2S, "<presence/>"}},
     OPEN, OPEN FEATURES3, "insecure[<presence/>] ", false},
    {"required: inside TLS it steps aside as ever",
     {{DIR_C2S, OPEN STARTTLS},
      {DIR_S2C, OPEN PROCEED},
      {DIR_C2S, "\x16h"},
      {DIR_C2S, OPEN "<!--a-->" AUTH}},
     OPEN STARTTLS OPEN "<!--a-->" AUTH, OPEN PROCEED,
     "secure-server[] secure-client[\x16h] restart-tls[] aside[restricted-xml] ", true},
    {"a half item waits", {{DIR_C2S, OPEN "<a>"}}, OPEN, "", "", false},
    {"keepalives pass", {{DIR_C2S, OPEN " "}, {DIR_C2S, "\n"}}, OPEN " \n", "", "", false},
};

/* The same with features edited. */
static const struct {
    unsigned wishes;
    struct row row;
} edits[] = {
    {FEATURES_NO_BINDING | FEATURES_NO_COMPRESSION,
     {"features are edited, before the login and behind it",
      {{DIR_C2S, OPEN},
       {DIR_S2C, OPEN PLUS},
       {DIR_C2S, AUTH},
       {DIR_S2C, SUCCESS},
       {DIR_C2S, OPEN},
       {DIR_S2C, OPEN ZLIB "<half"}},
      OPEN AUTH OPEN, OPEN BARE SUCCESS OPEN FEATURES3 "<half",
      "edit-s2c[" PLUS "] restart-bound[] edit-s2c[" ZLIB "] aside[none] ", false}},
    {FEATURES_NO_BINDING | FEATURES_NO_COMPRESSION,
     {"features that hold nothing of it pass",
      {{DIR_C2S, OPEN}, {DIR_S2C, OPEN FEATURES2}, {DIR_C2S, AUTH}}, OPEN AUTH, OPEN FEATURES2, "",
      false}},
    {0,
     {"features that nobody wants edited pass",
      {{DIR_C2S, OPEN}, {DIR_S2C, OPEN PLUS}, {DIR_C2S, AUTH}}, OPEN AUTH, OPEN PLUS, "", false}},
    {FEATURES_NO_COMPRESSION,
     {"edited features in which nothing is left to negotiate",
      {{DIR_C2S, OPEN}, {DIR_S2C, OPEN ZLIB}, {DIR_C2S, "<ha"}}, OPEN "<ha", OPEN FEATURES3,
      "edit-s2c[" ZLIB "] aside[none] ", false}},
};

static void run(const struct row *r, unsigned wishes, size_t step, bool open_first)
{
    struct seen s;

    begin(&s);
    s.wishes = wishes;
    s.gate.bridged = strncmp(r->name, "bridged:", 8) == 0;
    s.gate.wishes = strncmp(r->name, "required:", 9) == 0 ? FEATURES_REQUIRE_STARTTLS : 0;
    if (open_first)
        gate_open(&s.gate);
    for (const struct piece *p = r->pieces; p < r->pieces + 12 && p->bytes; p++) {
        size_t len = strlen(p->bytes), at = 0;

        while (at < len) {
            size_t n = step && len - at > step ? step : len - at;
            assert_int_equal(gate_input(&s.gate, p->dir, p->bytes + at, n), 0);
            at += n;
        }
        if (p == r->pieces && !open_first) {
            assert_int_equal(s.out[0].len, 0); /* it waits for the server's leg */
            gate_open(&s.gate);
        }
    }
    print_message("%s, steps of %zu\n", r->name, step);
    assert_text(&s.out[0], r->c2s);
    assert_text(&s.out[1], r->s2c);
    assert_text(&s.log, r->log);
    finish(&s);
}

static void run_all(const struct row *r, unsigned wishes)
{
    run(r, wishes, 0, true);
    run(r, wishes, 0, false);
    for (size_t step = 1; step <= 5 && !r->whole; step++)
        run(r, wishes, step, true);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        run_all(&rows[i], 0);
}

static void test_edits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++)
        run_all(&edits[i].row, edits[i].wishes);
}

/* The bridge goes on by itself, when a password has been salted: then what waited does, too. */
static void test_bridged(void **state)
{
    struct seen s;

    (void)state;
    begin(&s);
    s.gate.bridged = true;
    gate_open(&s.gate);
    assert_int_equal(gate_input(&s.gate, DIR_C2S, OPEN AUTH "<a/>", strlen(OPEN AUTH "<a/>")), 0);
    assert_text(&s.out[0], OPEN);
    gate_bridged(&s.gate, GATE_SASL_ASKED);
    assert_text(&s.out[0], OPEN);
    gate_bridged(&s.gate, GATE_NEGOTIATING);
    assert_text(&s.out[0], OPEN "<a/>");
    gate_bridged(&s.gate, GATE_LOGGED_IN); /* nobody is asked any more */
    assert_string_equal(gate_phase_name(&s.gate), "negotiation");
    gate_stop(&s.gate);
    gate_bridged(&s.gate, GATE_SASL_ASKED);
    finish(&s);
}

/* Until the name of the server was checked nothing goes to it, whatever either side says first. */
static void test_named(void **state)
{
    static const char bad[] = "<!DOCTYPE a>";
    static const struct {
        struct piece pieces[2];
        bool named;
        const char *c2s, *s2c, *log;
    } cases[] = {
        {{{DIR_C2S, OPEN}, {DIR_S2C, OPEN}}, false, "", "", "misnamed[" OPEN "] "},
        {{{DIR_C2S, OPEN}, {DIR_S2C, OPEN}}, true, OPEN, OPEN, ""},
        {{{DIR_S2C, bad}, {DIR_C2S, OPEN}}, false, "", "", "misnamed[" OPEN "] "},
        {{{DIR_S2C, OPEN}, {DIR_C2S, OPEN}}, true, OPEN, OPEN, ""},
        {{{DIR_C2S, bad}, {DIR_C2S, AUTH}}, false, "", "", "misnamed[<!DOCTYPE a>] "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct seen s;

        begin(&s);
        s.gate.name_due = true;
        s.named = cases[i].named;
        gate_open(&s.gate);
        for (size_t j = 0; j < 2; j++) {
            const struct piece *p = &cases[i].pieces[j];

            assert_int_equal(gate_input(&s.gate, p->dir, p->bytes, strlen(p->bytes)), 0);
        }
        gate_eof(&s.gate, DIR_C2S);
        assert_text(&s.out[DIR_C2S], cases[i].c2s);
        assert_text(&s.out[DIR_S2C], cases[i].s2c);
        assert_text(&s.log, cases[i].log);
        finish(&s);
    }
}

/* A server that ends first: what it said reaches nobody whose server it may not be. */
static void test_unnamed_end(void **state)
{
    struct seen s;

    (void)state;
    begin(&s);
    s.gate.name_due = true;
    gate_open(&s.gate);
    assert_int_equal(gate_input(&s.gate, DIR_S2C, OPEN "<a", strlen(OPEN "<a")), 0);
    gate_eof(&s.gate, DIR_S2C);
    assert_text(&s.out[DIR_S2C], "");
    finish(&s);
}

/* Its end in the middle of its header: no name. */
static void test_named_never(void **state)
{
    struct seen s;

    (void)state;
    begin(&s);
    s.gate.name_due = true;
    gate_open(&s.gate);
    assert_int_equal(gate_input(&s.gate, DIR_C2S, "<stream", strlen("<stream")), 0);
    gate_eof(&s.gate, DIR_C2S);
    assert_text(&s.out[DIR_C2S], "");
    assert_text(&s.log, "misnamed[<stream] ");
    finish(&s);
}

/* The client's end in the middle of what the gate must read: it is not sent on. */
static void test_end_unread(void **state)
{
    static const struct {
        bool bridged;
        unsigned wishes;
        const char *c2s, *waits;
    } cases[] = {
        {false, 0, OPEN "<auth", ""},
        {true, 0, OPEN, "<auth"},
        {false, FEATURES_REQUIRE_STARTTLS, OPEN, "<auth"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct seen s;
        const char *p;
        size_t n;

        begin(&s);
        s.gate.bridged = cases[i].bridged;
        s.gate.wishes = cases[i].wishes;
        gate_open(&s.gate);
        assert_int_equal(gate_input(&s.gate, DIR_C2S, OPEN "<auth", strlen(OPEN "<auth")), 0);
        gate_eof(&s.gate, DIR_C2S);
        assert_text(&s.out[DIR_C2S], cases[i].c2s);
        p = gate_waiting(&s.gate, DIR_C2S, &n);
        assert_int_equal(n, strlen(cases[i].waits));
        assert_memory_equal(p, cases[i].waits, n);
        finish(&s);
    }
}

/* The domain is known while the server's leg is still being dialled. */
static void test_domain(void **state)
{
    struct seen s;

    (void)state;
    begin(&s);
    assert_int_equal(gate_input(&s.gate, DIR_C2S, OPEN, strlen(OPEN) - 1), 0);
    assert_string_equal(gate_domain(&s.gate), "");
    assert_int_equal(gate_input(&s.gate, DIR_C2S, ">", 1), 0);
    assert_string_equal(gate_domain(&s.gate), "example.org");
    finish(&s);
}

/* What may not pass yet is held up to a bound, then its source is told to pause. */
static void test_blocked(void **state)
{
    static char many[GATE_HELD_BYTES];
    struct seen s;

    (void)state;
    memset(many, ' ', sizeof many);
    begin(&s);
    assert_int_equal(gate_input(&s.gate, DIR_C2S, many, sizeof many - 1), 0);
    assert_false(gate_blocked(&s.gate, DIR_C2S));
    assert_int_equal(gate_input(&s.gate, DIR_C2S, many, 1), 0);
    assert_true(gate_blocked(&s.gate, DIR_C2S));
    gate_open(&s.gate);
    assert_false(gate_blocked(&s.gate, DIR_C2S));
    assert_int_equal(s.out[0].len, sizeof many);
    finish(&s);
}

/* Other caps than the usual ones. */
static void test_caps(void **state)
{
    static char many[3 * GATE_HELD_BYTES];
    struct seen s;

    (void)state;
    memset(many, ' ', sizeof many);
    begin(&s);
    gate_caps(&s.gate, 4096, sizeof many);
    for (size_t at = 0; at < sizeof many; at += 4096) {
        assert_false(gate_blocked(&s.gate, DIR_C2S));
        assert_int_equal(gate_input(&s.gate, DIR_C2S, many + at, 4096), 0);
    }
    assert_true(gate_blocked(&s.gate, DIR_C2S));
    gate_open(&s.gate);
    memset(many, 'x', sizeof many);
    assert_int_equal(gate_input(&s.gate, DIR_C2S, OPEN "<a>", strlen(OPEN "<a>")), 0);
    assert_int_equal(gate_input(&s.gate, DIR_C2S, many, 4096), 0);
    assert_text(&s.log, "aside[item-over-cap] ");
    finish(&s);
}

/* An item over the cap ends the gate's work; every byte goes on. */
static void test_too_large(void **state)
{
    static char many[GATE_ITEM_BYTES];
    struct seen s;

    (void)state;
    memset(many, 'x', sizeof many);
    begin(&s);
    gate_open(&s.gate);
    assert_int_equal(gate_input(&s.gate, DIR_C2S, OPEN "<a>", strlen(OPEN "<a>")), 0);
    for (size_t at = 0; at < sizeof many; at += 4096)
        assert_int_equal(gate_input(&s.gate, DIR_C2S, many, 4096), 0);
    assert_text(&s.log, "aside[item-over-cap] ");
    assert_int_equal(s.out[0].len, strlen(OPEN "<a>") + sizeof many);
    finish(&s);
}

/* Where it must stay, the session ends instead, and no byte of it goes on. */
static void test_too_large_to_pass(void **state)
{
    static char many[4096];

    (void)state;
    memset(many, 'x', sizeof many);
    for (int bridged = 0; bridged < 2; bridged++) {
        struct seen s;

        begin(&s);
        gate_caps(&s.gate, sizeof many, sizeof many);
        s.gate.bridged = bridged;
        s.gate.wishes = bridged ? 0 : FEATURES_REQUIRE_STARTTLS;
        gate_open(&s.gate);
        assert_int_equal(gate_input(&s.gate, DIR_C2S, OPEN "<a>", strlen(OPEN "<a>")), 0);
        assert_int_equal(gate_input(&s.gate, DIR_C2S, many, sizeof many), 0);
        assert_int_equal(gate_input(&s.gate, DIR_C2S, AUTH, strlen(AUTH)), 0);
        assert_text(&s.out[0], OPEN);
        assert_int_equal(buf_add(&s.log, "", 1), 0);
        assert_non_null(strstr(s.log.p, bridged ? "why[item-over-cap] " : "insecure[<a>xxx"));
        finish(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_edits),
        cmocka_unit_test(test_bridged),
        cmocka_unit_test(test_named),
        cmocka_unit_test(test_named_never), cmocka_unit_test(test_unnamed_end),
        cmocka_unit_test(test_end_unread),
        cmocka_unit_test(test_domain),
        cmocka_unit_test(test_blocked),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_too_large_to_pass),
        cmocka_unit_test(test_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

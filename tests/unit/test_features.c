/* Features as the client gets them: what is asked for is taken out, every other byte stays. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../proxy/features.h"

#define F(inner)   "<stream:features>" inner "</stream:features>"
#define SASL       "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
#define M(name)    "<mechanism>" name "</mechanism>"
#define CB(types)  "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>" types "</sasl-channel-binding>"
#define ENDP       "<channel-binding type='tls-server-end-point'/>"
#define EXPR       "<channel-binding type='tls-exporter'/>"
#define SASL2      "<authentication xmlns='urn:xmpp:sasl:2'>"
#define FAST       "<inline><fast xmlns='urn:xmpp:fast:0' tls-0rtt='true'>"
#define TLS        "xmlns='urn:ietf:params:xml:ns:xmpp-tls'"
#define COMPRESS   "<compression xmlns='http://jabber.org/features/compress'><method>zlib</method></compression>"
#define BIND       "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"

#define NO_CB  FEATURES_NO_BINDING
#define KEEP   (FEATURES_NO_BINDING | FEATURES_END_POINT)

static const struct row {
    const char *name;
    unsigned wishes;
    const char *in, *out;      /* out NULL: not changed */
    const char *reason;        /* is part of it; NULL: not looked at */
    bool none_left;            /* the reason says so */
} rows[] = {
    {"-PLUS goes, the rest stays", NO_CB,
     F(SASL M("SCRAM-SHA-1-PLUS") M("SCRAM-SHA-1") M("PLAIN") "</mechanisms>" BIND),
     F(SASL M("SCRAM-SHA-1") M("PLAIN") "</mechanisms>" BIND), "taken out: SCRAM-SHA-1-PLUS", false},
    {"no -PLUS, no edit", NO_CB, F(SASL M("SCRAM-SHA-1") M("X-PLUS-Y") "</mechanisms>"), NULL,
     NULL, false},
    {"nothing asked for", 0, F(SASL M("SCRAM-SHA-1-PLUS") "</mechanisms>" COMPRESS), NULL, NULL,
     false},
    {"all gone", NO_CB, F(SASL M("SCRAM-SHA-1-PLUS") M("SCRAM-SHA-256-PLUS") "</mechanisms>"),
     F(SASL "</mechanisms>"), "SCRAM-SHA-1-PLUS, SCRAM-SHA-256-PLUS", true},
    {"white space, attributes, quotes and what stands between", NO_CB,
     "<stream:features\n xmlns:stream=\"http://etherx.jabber.org/streams\" >\r\n"
     "<mechanisms xmlns = \"urn:ietf:params:xml:ns:xmpp-sasl\" a='>'>\t<mechanism b=\"'/>\" "
     ">\n SCRAM-SHA-1-PLUS\n</mechanism > \n <mechanism>EXTERNAL</mechanism>"
     "<hostname xmlns='urn:x'>a</hostname></mechanisms  >\n</stream:features >",
     "<stream:features\n xmlns:stream=\"http://etherx.jabber.org/streams\" >\r\n"
     "<mechanisms xmlns = \"urn:ietf:params:xml:ns:xmpp-sasl\" a='>'>\t"
     " \n <mechanism>EXTERNAL</mechanism>"
     "<hostname xmlns='urn:x'>a</hostname></mechanisms  >\n</stream:features >", NULL, false},
    {"prefixes, CDATA and entities", NO_CB,
     F("<s:mechanisms xmlns:s='urn:ietf:params:xml:ns:xmpp-sasl'>"
       "<s:mechanism><![CDATA[SCRAM-SHA-1-PLUS]]></s:mechanism>"
       "<s:mechanism>SCRAM-SHA-256&#45;PLUS</s:mechanism>"
       "<s:mechanism>SCRAM-<![CDATA[SHA-512-]]>&#x50;LUS</s:mechanism>"
       "<mechanism>NOT-IN-IT-PLUS</mechanism></s:mechanisms>"),
     F("<s:mechanisms xmlns:s='urn:ietf:params:xml:ns:xmpp-sasl'>"
       "<mechanism>NOT-IN-IT-PLUS</mechanism></s:mechanisms>"),
     "SCRAM-SHA-1-PLUS, SCRAM-SHA-256-PLUS, SCRAM-SHA-512-PLUS", true},
    {"XEP-0440", NO_CB, F(CB(EXPR ENDP) SASL M("PLAIN") "</mechanisms>"),
     F(SASL M("PLAIN") "</mechanisms>"), "taken out: sasl-channel-binding", false},
    {"SASL2 and FAST", NO_CB,
     F(SASL2 M("SCRAM-SHA-1-PLUS") M("SCRAM-SHA-1") FAST M("HT-SHA-256-UNIQ") M("HT-SHA-256-NONE")
       M("HT-SHA-256-EXPR") M("HT-SHA-256-ENDP") "</fast></inline></authentication>"),
     F(SASL2 M("SCRAM-SHA-1") FAST M("HT-SHA-256-NONE") "</fast></inline></authentication>"),
     "SCRAM-SHA-1-PLUS, HT-SHA-256-UNIQ, HT-SHA-256-EXPR, HT-SHA-256-ENDP", false},
    {"the end point holds", KEEP,
     F(SASL M("SCRAM-SHA-1-PLUS") "</mechanisms>" CB(EXPR ENDP) SASL2 M("SCRAM-SHA-1-PLUS") FAST
       M("HT-SHA-256-EXPR") M("HT-SHA-256-ENDP") "</fast></inline></authentication>"),
     F(SASL M("SCRAM-SHA-1-PLUS") "</mechanisms>" CB(ENDP) SASL2 M("SCRAM-SHA-1-PLUS") FAST
       M("HT-SHA-256-ENDP") "</fast></inline></authentication>"),
     "taken out: tls-exporter, HT-SHA-256-EXPR", false},
    {"the end point is the only one", KEEP,
     F(SASL M("SCRAM-SHA-1-PLUS") "</mechanisms>" CB(ENDP)), NULL, NULL, false},
    {"the end point is not listed", KEEP,
     F(SASL M("SCRAM-SHA-1-PLUS") M("PLAIN") "</mechanisms>" CB(EXPR)),
     F(SASL M("PLAIN") "</mechanisms>"), NULL, false},
    {"no list of bindings", KEEP, F(SASL M("SCRAM-SHA-1-PLUS") M("PLAIN") "</mechanisms>"),
     F(SASL M("PLAIN") "</mechanisms>"), NULL, false},
    {"compression", FEATURES_NO_COMPRESSION, F(BIND COMPRESS "<sm xmlns='urn:xmpp:sm:3'/>"),
     F(BIND "<sm xmlns='urn:xmpp:sm:3'/>"), "no compression is asked for, taken out: compression",
     false},
    {"two reasons", NO_CB | FEATURES_NO_COMPRESSION,
     F(COMPRESS SASL M("A-PLUS") M("B") "</mechanisms>"), F(SASL M("B") "</mechanisms>"),
     "taken out: compression; channel binding cannot pass", false},
    {"no STARTTLS", FEATURES_NO_STARTTLS, F("<starttls " TLS "><required/></starttls>" BIND),
     F(BIND), "taken out: starttls", false},
    {"STARTTLS is required", FEATURES_REQUIRE_STARTTLS, F("<starttls " TLS "/>" BIND),
     F("<starttls " TLS "><required/></starttls>" BIND), "put in: required", false},
    {"open tags", FEATURES_REQUIRE_STARTTLS, F("<starttls " TLS " >\n</starttls>"),
     F("<starttls " TLS " ><required/>\n</starttls>"), NULL, false},
    {"a prefix", FEATURES_REQUIRE_STARTTLS, F("<t:starttls xmlns:t='urn:ietf:params:xml:ns:xmpp-tls' />"),
     F("<t:starttls xmlns:t='urn:ietf:params:xml:ns:xmpp-tls' ><t:required/></t:starttls>"), NULL,
     false},
    {"it is required already", FEATURES_REQUIRE_STARTTLS,
     F("<starttls " TLS "><required/></starttls>"), NULL, NULL, false},
    {"a namespace that only looks like it", NO_CB | FEATURES_NO_STARTTLS,
     F("<starttls/><mechanisms xmlns='urn:x'>" M("A-PLUS") "</mechanisms>"), NULL, NULL, false},
};

/* What `in` becomes; `r` is kept for the next. */
static int edit(struct reader *r, const char *in, unsigned wishes, struct features_edit *fe)
{
    struct reader_stream st;
    const struct item *it;
    int err;

    reader_stream_init(&st);
    features_edit_init(fe);
    assert_int_equal(reader_item_deep(r, &st, in, strlen(in), &it, NULL), 0);
    err = features_edit(fe, it, wishes);
    reader_stream_free(&st);
    return err;
}

static void test_rows(void **state)
{
    struct reader *r = reader_new();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        struct features_edit fe;

        assert_int_equal(edit(r, row->in, row->wishes, &fe), 0);
        if (fe.changed != (row->out != NULL) ||
            (strstr(fe.reason, "; no mechanism is left") != NULL) != row->none_left ||
            (row->reason && !strstr(fe.reason, row->reason)))
            fail_msg("%s: changed %d, reason \"%s\"", row->name, fe.changed, fe.reason);
        if (row->out && (fe.bytes.len != strlen(row->out) ||
                         memcmp(fe.bytes.p, row->out, fe.bytes.len) != 0))
            fail_msg("%s: became\n%.*s\nnot\n%s", row->name, (int)fe.bytes.len, fe.bytes.p,
                     row->out);
        features_edit_free(&fe);
    }
    reader_free(r);
}

/* What becomes of `n` mechanisms, which are -PLUS from `first_plus` on: `err` is what the edit
 * returns. Returns how many bytes were offered. */
static size_t offer(int n, const char *name, int first_plus, int err, struct features_edit *fe)
{
    struct reader *r = reader_new();
    struct buf in;
    size_t len;

    buf_init(&in, 1 << 20);
    assert_int_equal(buf_str(&in, "<stream:features>" SASL), 0);
    for (int i = 0; i < n; i++)
        assert_int_equal(buf_printf(&in, M("%s-%d%s"), name, i, i < first_plus ? "" : "-PLUS"), 0);
    assert_int_equal(buf_str(&in, "</mechanisms></stream:features>"), 0);
    len = in.len;
    assert_int_equal(buf_add(&in, "", 1), 0);
    assert_int_equal(edit(r, in.p, NO_CB, fe), err);
    buf_free(&in);
    reader_free(r);
    return len;
}

/* More than 48 elements: what an ordinary read would not describe. */
static void test_many(void **state)
{
    struct features_edit fe;
    size_t len = offer(100, "M", 99, 0, &fe);

    (void)state;
    assert_true(fe.changed);
    assert_int_equal(fe.bytes.len, len - strlen(M("M-99-PLUS")));
    features_edit_free(&fe);
}

/* A reason that is too long is cut, and its end still tells that nothing is left. */
static void test_long_reason(void **state)
{
    static const char left[] = "; no mechanism is left";
    struct features_edit fe;

    (void)state;
    offer(60, "MECHANISM-NUMBER", 0, 0, &fe);
    assert_int_equal(strlen(fe.reason), sizeof fe.reason - 1);
    assert_string_equal(fe.reason + sizeof fe.reason - sizeof left, left);
    features_edit_free(&fe);
}

/* More than can be described: that is said, nothing is half done. */
static void test_too_many(void **state)
{
    struct features_edit fe;

    (void)state;
    offer(READER_DEEP_NODES, "M", 0, ERR_CAP, &fe);
    assert_false(fe.changed);
    features_edit_free(&fe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_long_reason),
        cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Replay's items by themselves: a captured one as it is sent again, and two that answer the same
 * question compared. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../proxy/replay/diff.h"
#include "../../proxy/replay/even.h"
#include "../../proxy/replay/rewrite.h"

static const struct names old = {"alice@old.example", "alice@old.example/Psi+", "old.example"};
static const struct names new = {"carol@new.example", "carol@new.example/1x", "new.example"};

/* ---- sent again ---- */

static const struct {
    const char *captured, *sent; /* sent NULL: as it was */
} sent_again[] = {
    {"<presence/>", NULL},
    {"<iq to='alice@old.example' id='1'/>", "<iq to='carol@new.example' id='1'/>"},
    {"<iq to=\"ALICE@Old.example\"/>", "<iq to=\"carol@new.example\"/>"},
    {"<iq to='alice@old.example/Psi+'/>", "<iq to='carol@new.example/1x'/>"},
    {"<iq to='alice@old.example/other'/>", "<iq to='carol@new.example/other'/>"},
    {"<iq to='old.example'/>", "<iq to='new.example'/>"},
    {"<iq to='rooms.old.example'/>", "<iq to='rooms.new.example'/>"},
    {"<iq to='a@rooms.old.example/nick'/>", "<iq to='a@rooms.new.example/nick'/>"},
    {"<iq to='bob@old.example'/>", "<iq to='bob@new.example'/>"},
    {"<iq to='bob@told.example'/>", NULL},
    {"<iq to='alice@old.example.org'/>", NULL},
    {"<iq to='b&apos;s@old.example'/>", "<iq to='b&apos;s@new.example'/>"},
    {"<x xmlns='old.example' xmlns:p='old.example'/>", NULL},
    {"<x a='1' jid = 'old.example' b='2' ><y/></x >", "<x a='1' jid = 'new.example' b='2' "
                                                      "><y/></x >"},
    {"<m><body>alice@old.example</body></m>", "<m><body>carol@new.example</body></m>"},
    {"<m><j>\n alice@old.example\n</j></m>", "<m><j>\n carol@new.example\n</j></m>"},
    {"<m><body>I am alice@old.example</body></m>", NULL},
    {"<m><body>old.example<b/></body></m>", NULL},
    {"<m><body><![CDATA[old.example]]></body></m>", NULL},
    {"<m a='>'><![CDATA[</m>]]><j>old.example</j></m>",
     "<m a='>'><![CDATA[</m>]]><j>new.example</j></m>"},
    {"<m a='/'><j b='x/'/>old.example</m>", NULL},
};

static void items_are_sent_again(void **state)
{
    const struct rewrite w = {.from = &old, .to = &new};

    (void)state;
    for (size_t i = 0; i < sizeof sent_again / sizeof *sent_again; i++) {
        const char *p = sent_again[i].captured;
        const char *wanted = sent_again[i].sent ? sent_again[i].sent : p;
        struct buf out;

        buf_init(&out, 4096);
        assert_int_equal(rewrite_item(&w, p, strlen(p), &out), 0);
        assert_int_equal(buf_add(&out, "", 1), 0);
        assert_string_equal(out.p, wanted);
        buf_free(&out);
    }
}

static void an_answer_goes_to_who_asked(void **state)
{
    static const char item[] = "<iq type='result' id='a' to='old.example'><q id='a' to='x'/></iq>";
    const struct rewrite w = {.from = &old, .to = &new, .id = "<7>", .address = "b@c/d"};
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    assert_int_equal(rewrite_item(&w, item, sizeof item - 1, &out), 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    assert_string_equal(out.p, "<iq type='result' id='&lt;7&gt;' to='b@c/d'><q id='a' "
                               "to='x'/></iq>");
    buf_free(&out);
}

/* ---- compared ---- */

#define RESULT(inner) "<iq type='result'>" inner "</iq>"
#define ERROR(inner)  "<iq type='error'><error " inner "</error></iq>"
#define CONDITION(c)  "<" c " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
#define TEXT(t)       "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>" t "</text>"
#define INFO(inner)   RESULT("<query xmlns='disco#info'>" inner "</query>")
#define MECHANISMS(inner) "<mechanisms xmlns='sasl'>" inner "</mechanisms>"

static const struct {
    const char *captured, *live, *differences;
} compared[] = {
    /* What means nothing. */
    {RESULT(""), RESULT(""), ""},
    {"<iq type='result' id='a' to='alice@old.example/Psi+'/>", "<iq id='b' type=\"result\"/>", ""},
    {"<iq type='result' from='alice@old.example'/>", "<iq type='result'/>", ""},
    {"<iq type='result' from='old.example'/>", "<iq type='result' from='carol@new.example'/>", ""},
    {"<iq type='result' xml:lang='en'/>", "<iq type='result'/>", ""},
    {"<iq type='result' from='bob@old.example'/>", "<iq type='result' "
                                                   "from='bob@new.example'/>", ""},
    {RESULT("<b xmlns='b'><jid>alice@old.example/Psi+</jid></b>"),
     RESULT("<b xmlns='b'>\n<jid>carol@new.example/1x</jid></b>\n"), ""},
    {RESULT("<d xmlns='d' stamp='2026-11-26T17:54:10Z'/>"), RESULT("<d xmlns='d' stamp='x'/>"), ""},
    {RESULT("<d xmlns='d'><utc>2026-11-26T17:54:10Z</utc></d>"),
     RESULT("<d xmlns='d'><utc>2027-01-01T00:00:00.5+01:00</utc></d>"), ""},
    {RESULT("<q xmlns='q' ver='1'/>"), RESULT("<q xmlns='q' ver='2'/>"), ""},
    {RESULT("<i xmlns='i' id='8f4b1c2d3e'/>"), RESULT("<i xmlns='i' id='0a1b2c3d4e'/>"), ""},
    {"<enabled xmlns='urn:xmpp:sm:3' id='x' resume='true'/>",
     "<enabled xmlns='urn:xmpp:sm:3' resume='true' id='y' location='h'/>", ""},
    {INFO("<feature var='a'/><feature var='b'/>"), INFO("<feature var='b'/><feature "
                                                        "var='a'/>"), ""},
    {"<iq type='result'><p:q xmlns:p='n'/></iq>", RESULT("<q xmlns='n'/>"), ""},
    {RESULT("<q xmlns='n'>a&amp;b</q>"), RESULT("<q xmlns='n'><![CDATA[a&b]]></q>"), ""},
    {ERROR("type='cancel'>" CONDITION("item-not-found") TEXT("none")),
     "<iq type='error'><query xmlns='q'/><error type='cancel'>" CONDITION("item-not-found")
     "</error></iq>", ""},

    /* What does. */
    {RESULT(""), ERROR("type='cancel'>" CONDITION("service-unavailable")),
     "captured result, live error service-unavailable (cancel)\n"},
    {ERROR("type='cancel'>" CONDITION("item-not-found")),
     ERROR("type='cancel'>" CONDITION("service-unavailable")),
     "captured error item-not-found (cancel), live error service-unavailable (cancel)\n"},
    {ERROR("type='cancel'>" CONDITION("forbidden")), ERROR("type='auth'>" CONDITION("forbidden")),
     "captured error forbidden (cancel), live error forbidden (auth)\n"},
    {ERROR("type='cancel'>" CONDITION("conflict") "<own xmlns='o'/>"),
     ERROR("type='cancel'>" CONDITION("conflict")), "only captured: <own xmlns='o'/>\n"},
    {"<enabled xmlns='urn:xmpp:sm:3'/>", "<failed xmlns='urn:xmpp:sm:3'/>",
     "captured <enabled/>, live <failed/>\n"},
    {"<enabled xmlns='urn:xmpp:sm:3' id='x' max='300'/>", "<enabled xmlns='urn:xmpp:sm:3' id='y'/>",
     "<enabled> max: captured '300', live none\n"},
    {"<iq type='result' from='bob@old.example'/>", "<iq type='result' from='dave@new.example'/>",
     "<iq> from: captured 'bob@old.example', live 'dave@new.example'\n"},
    {INFO("<feature var='a'/><feature var='b'/>"), INFO("<feature var='b'/><feature var='c'/>"),
     "only captured: <feature var='a'/>\nonly live: <feature var='c'/>\n"},
    {INFO("<identity category='server' name='Prosody'/><identity category='pubsub'/>"),
     INFO("<identity category='server' name='ejabberd'/><identity category='pubsub'/>"),
     "only captured: <identity category='server' name='Prosody'/>\n"
     "only live: <identity category='server' name='ejabberd'/>\n"},
    {INFO("<item jid='a@b' sub='both'/>"), INFO("<item jid='a@b' sub='to'/>"),
     "<item> sub: captured 'both', live 'to'\n"},
    {RESULT("<q xmlns='n'><name>a</name></q>"), RESULT("<q xmlns='n'><name>b</name></q>"),
     "<name> text: captured 'a', live 'b'\n"},
    {"<f><bind xmlns='b'><required/></bind></f>", "<f><bind xmlns='b'/></f>",
     "only captured: <required/> in <bind>\n"},
    {RESULT("<q xmlns='n'/>"), RESULT(""), "only captured: <q xmlns='n'/>\n"},
    {RESULT("<q xmlns='n'/>"), RESULT("<q xmlns='m'/>"),
     "only captured: <q xmlns='n'/>\nonly live: <q xmlns='m'/>\n"},
    {RESULT("<q xmlns='n' id='current'/>"), RESULT("<q xmlns='n' id='other'/>"),
     "<q> id: captured 'current', live 'other'\n"},
    {INFO("<feature var='a'/><feature var='a'/>"), INFO("<feature var='a'/>"),
     "only captured: <feature var='a'/>\n"},
    {"<f>" MECHANISMS("<mechanism>A</mechanism><mechanism>B</mechanism>") "</f>",
     "<f>" MECHANISMS("<mechanism>B</mechanism><mechanism>C</mechanism>") "</f>",
     "only captured: <mechanism>A</mechanism>\nonly live: <mechanism>C</mechanism>\n"},
    {RESULT("<q xmlns='n'>a&#10;# b</q>"), RESULT("<q xmlns='n'/>"),
     "only captured: a&#xA;# b\n"},
};

static void read_even(struct tree *t, const char *p, const struct names *whose)
{
    tree_init(t);
    assert_int_equal(tree_read(t, NULL, 0, p, strlen(p)), 0);
    even_tree(t, whose);
}

static void answers_are_compared(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof compared / sizeof *compared; i++) {
        struct tree captured, live;
        struct diff d;

        read_even(&captured, compared[i].captured, &old);
        read_even(&live, compared[i].live, &new);
        diff_init(&d);
        assert_int_equal(diff_items(&captured, &live, &d), 0);
        assert_int_equal(buf_add(&d.lines, "", 1), 0);
        assert_string_equal(d.lines.p, compared[i].differences);
        assert_int_equal(d.count == 0, !*compared[i].differences);
        diff_free(&d);
        tree_free(&captured);
        tree_free(&live);
    }
}

/* Many differences are counted, a few are shown. */
static void a_long_list_is_cut(void **state)
{
    struct tree captured, live;
    struct diff d;
    struct buf b;

    (void)state;
    buf_init(&b, 1u << 20);
    assert_int_equal(buf_str(&b, "<iq type='result'>"), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf_printf(&b, "<i xmlns='i' v='%d'/>", i), 0);
    assert_int_equal(buf_add(&b, "</iq>", 6), 0);
    read_even(&captured, b.p, &old);
    read_even(&live, "<iq type='result'/>", &new);
    diff_init(&d);
    assert_int_equal(diff_items(&captured, &live, &d), 0);
    assert_int_equal(d.count, 1000);
    assert_int_equal(buf_add(&d.lines, "", 1), 0);
    assert_non_null(strstr(d.lines.p, "\nand 960 more\n"));
    diff_free(&d);
    tree_free(&captured);
    tree_free(&live);
    buf_free(&b);
}

/* Prefixes that the stream's header declares mean what they mean there. */
static void prefixes_are_the_headers(void **state)
{
    static const char root[] = "<?xml version='1.0'?><s:stream xmlns='jabber:client' "
                               "xmlns:s='http://etherx.jabber.org/streams' xmlns:x='urn:x'>";
    static const char item[] = "<iq><x:q a='1'>t</x:q></iq>";
    struct tree t;

    (void)state;
    tree_init(&t);
    assert_int_equal(tree_read(&t, root, sizeof root - 1, item, sizeof item - 1), 0);
    assert_true(tree_is(&t, 0, "jabber:client", "iq"));
    assert_int_not_equal(tree_find(&t, 0, "urn:x", "q"), TREE_NONE);
    assert_string_equal(tree_value(&t, tree_find(&t, 0, NULL, NULL), "a"), "1");
    assert_int_equal(tree_read(&t, NULL, 0, item, sizeof item - 1), ERR_NOT_WELL_FORMED);
    assert_int_equal(t.nodes, 0);
    tree_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_sent_again), cmocka_unit_test(an_answer_goes_to_who_asked),
        cmocka_unit_test(answers_are_compared), cmocka_unit_test(a_long_list_is_cut),
        cmocka_unit_test(prefixes_are_the_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* An item's bytes as printed lines: the layout, the escapes, and that no bytes whatever get past
 * them or break the reader. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../logs/xml_lines.h"

#define MAX (256u << 20)

/* ---- layout ---- */

static const struct {
    const char *item, *want;
} layouts[] = {
    {"<a/>", "<a/>\n"},
    {"<a></a>", "<a></a>\n"},
    {"<a>text</a>", "<a>text</a>\n"},
    {"<a>  </a>", "<a>  </a>\n"},
    {"<a>\n</a>", "<a>\n</a>\n"},
    {"<a><b/></a>", "<a>\n<b/>\n</a>\n"},
    {"<a> \t\r\n<b/>\n </a>", "<a>\n<b/>\n</a>\n"},
    {"<a><b>1</b><c></c></a>", "<a>\n<b>1</b>\n<c></c>\n</a>\n"},
    {"<a><b><c><d> </d></c></b></a>", "<a>\n<b>\n<c>\n<d> </d>\n</c>\n</b>\n</a>\n"},
    /* Attributes as they were written. */
    {"<a  x='1'\ty=\"2\" ><b z = '\"' /></a >", "<a  x='1'\ty=\"2\" >\n<b z = '\"' />\n</a >\n"},
    {"<a x='>'><b y='</a>'/></a>", "<a x='>'>\n<b y='</a>'/>\n</a>\n"},
    {"<a x=\"'/>\"><b y='/'>t</b></a>", "<a x=\"'/>\">\n<b y='/'>t</b>\n</a>\n"},
    /* Mixed content stays as it is, also inside what is not mixed, also with what it holds. */
    {"<a>x<b/></a>", "<a>x<b/></a>\n"},
    {"<a><b/>x</a>", "<a><b/>x</a>\n"},
    {"<a> <b> x <i> <u/> </i> </b> <c/> </a>", "<a>\n<b> x <i> <u/> </i> </b>\n<c/>\n</a>\n"},
    {"<a><b>x<c><d/><e/></c></b><f><g/></f></a>",
     "<a>\n<b>x<c><d/><e/></c></b>\n<f>\n<g/>\n</f>\n</a>\n"},
    {"<a><b><c/>x</b></a>", "<a>\n<b><c/>x</b>\n</a>\n"},
    {"<a><b/><c><d/><e/>x<f/></c><g/></a>", "<a>\n<b/>\n<c><d/><e/>x<f/></c>\n<g/>\n</a>\n"},
    {"<a> <b/></a>x<c><d/></c>", "<a>\n<b/>\n</a>\nx\n<c>\n<d/>\n</c>\n"},
    {"<a>x\n<b><a><a/></a></b>\ny</a>", "<a>x\n<b><a><a/></a></b>\ny</a>\n"},
    /* A reference is text, and so is CDATA, whatever is in it. */
    {"<a>&#32;<b/></a>", "<a>&#32;<b/></a>\n"},
    {"<a><![CDATA[ ]]><b/></a>", "<a><![CDATA[ ]]><b/></a>\n"},
    {"<a><![CDATA[</a><b>]]></a>", "<a><![CDATA[</a><b>]]></a>\n"},
    {"<a><b><![CDATA[]]]]></b><c/></a>", "<a>\n<b><![CDATA[]]]]></b>\n<c/>\n</a>\n"},
    /* A `#` at a line's beginning, and nowhere else. */
    {"<a>#\n#\n\n##\n #</a>", "<a>#\n&#35;\n\n&#35;#\n #</a>\n"},
    {"<a b='\n#'>\n#<c/></a>", "<a b='\n&#35;'>\n&#35;<c/></a>\n"},
    {"#", "&#35;\n"},
    /* What is no element at all still comes out. */
    {"", ""},
    {"text", "text\n"},
    {"</a></b>", "</a>\n</b>\n"},
    {"<a><b>", "<a>\n<b>\n"},
    {"<a", "<a\n"},
    {"<a x='>", "<a x='>\n"},
    {"<", "<\n"},
    {"<>", "<>\n"},
    {"<a><![CDATA[", "<a><![CDATA[\n"},
    {"<a><!-- <b> --></a>", "<a><!-- <b> --></a>\n"},
    {"<a> <!-- <b> --></a>", "<a> <!-- <b> --></a>\n"},
    {"<a><!b></a>", "<a>\n<!b></a>\n"},
    {"<a><b", "<a><b\n"},
};

static void items_are_laid_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        struct buf out;

        buf_init(&out, MAX);
        assert_int_equal(buf_str(&out, "before\n"), 0);
        assert_int_equal(xml_lines_item(&out, layouts[i].item, strlen(layouts[i].item)), 0);
        assert_int_equal(buf_add(&out, "", 1), 0);
        if (strncmp(out.p, "before\n", 7) != 0 || strcmp(out.p + 7, layouts[i].want) != 0)
            fail_msg("%s\n-- gives\n%s-- instead of\n%s", layouts[i].item, out.p, layouts[i].want);
        buf_free(&out);
    }
}

/* ---- escapes ---- */

#define BYTES(s) s, sizeof(s) - 1

static const struct {
    const char *bytes;
    size_t n;
    const char *want; /* in a line; NULL: as it is */
} escapes[] = {
    {BYTES("\x1b]0;title\x07"), "&#x1B;]0;title&#x7;"},
    {BYTES("a\0b"), "a&#x0;b"},
    {BYTES("\t"), NULL},
    {BYTES("\n"), "&#xA;"},
    {BYTES("\r\n"), "&#xD;&#xA;"},
    {BYTES("\x0b\x0c\x1f\x7f"), "&#xB;&#xC;&#x1F;&#x7F;"},
    {BYTES("\xc2\x80\xc2\x85\xc2\x9b\xc2\x9f"), "&#x80;&#x85;&#x9B;&#x9F;"},
    {BYTES("\xc2\xa0"), NULL},
    {BYTES("\xe2\x80\xa8\xe2\x80\xa9"), "&#x2028;&#x2029;"},
    {BYTES("\xe2\x80\xaa\xe2\x80\xae"), "&#x202A;&#x202E;"},
    {BYTES("\xe2\x81\xa6\xe2\x81\xa9"), "&#x2066;&#x2069;"},
    {BYTES("\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa"), NULL},
    {BYTES("\xe5\x87\xba\xe5\xb8\xad \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb"), NULL},
    {BYTES("\xf4\x8f\xbf\xbd"), NULL},
    {BYTES("\x80\xff"), "\\x80\\xFF"},
    {BYTES("\x9b"
           "31m"),
     "\\x9B31m"},
    {BYTES("\xc0\x8a\xc1\xbf"), "\\xC0\\x8A\\xC1\\xBF"}, /* overlong */
    {BYTES("\xe0\x80\x8a"), "\\xE0\\x80\\x8A"},
    {BYTES("\xf0\x80\x80\x8a"), "\\xF0\\x80\\x80\\x8A"},
    {BYTES("\xed\xa0\x80"), "\\xED\\xA0\\x80"},                   /* a surrogate */
    {BYTES("\xf4\x90\x80\x80\xf5"), "\\xF4\\x90\\x80\\x80\\xF5"}, /* beyond U+10FFFF */
    {BYTES("\xe5\x87"), "\\xE5\\x87"},                            /* cut off */
    {BYTES("\xe5\n"), "\\xE5&#xA;"},
    {BYTES("#\n#"), "#&#xA;#"},
};

static void what_harms_is_escaped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        const char *want = escapes[i].want ? escapes[i].want : escapes[i].bytes;
        char *exact = malloc(escapes[i].n); /* so that reading beyond it is seen */
        struct buf out;

        assert_non_null(exact);
        memcpy(exact, escapes[i].bytes, escapes[i].n);
        buf_init(&out, MAX);
        assert_int_equal(xml_lines_inline(&out, exact, escapes[i].n), 0);
        assert_int_equal(buf_add(&out, "", 1), 0);
        assert_string_equal(out.p, want);
        buf_free(&out);
        free(exact);
    }
}

static void raw_bytes_keep_their_lines(void **state)
{
    static const struct {
        const char *bytes, *prefix, *want;
    } rows[] = {
        {"a\n#b\n", NULL, "a\n&#35;b\n"},           {"#a\r\nb", NULL, "&#35;a&#xD;\nb\n"},
        {"<a> <b/> </a>", NULL, "<a> <b/> </a>\n"}, {"", NULL, ""},
        {"#a\n\nb", "| ", "| #a\n| \n| b\n"},       {"", "| ", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;

        buf_init(&out, MAX);
        assert_int_equal(xml_lines_raw(&out, rows[i].bytes, strlen(rows[i].bytes), rows[i].prefix),
                         0);
        assert_int_equal(buf_add(&out, "", 1), 0);
        assert_string_equal(out.p, rows[i].want);
        buf_free(&out);
    }
}

/* ---- sizes ---- */

static void append(struct buf *b, const char *s, size_t times)
{
    while (times--)
        assert_int_equal(buf_str(b, s), 0);
}

static size_t count_lines(const struct buf *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->len; i++)
        n += b->p[i] == '\n';
    return n;
}

/* Deep nesting takes no stack, and mixed content on every level is not read once for each. */
static void depth_is_no_danger(void **state)
{
    enum { DEPTH = 200000 };
    struct buf in, out;

    (void)state;
    for (int mixed = 0; mixed < 2; mixed++) {
        buf_init(&in, MAX);
        buf_init(&out, MAX);
        append(&in, mixed ? "<a>t" : "<a> ", DEPTH);
        append(&in, "<b/>", 1);
        append(&in, "</a>", DEPTH);
        assert_int_equal(xml_lines_item(&out, in.p, in.len), 0);
        assert_int_equal(count_lines(&out), mixed ? 1 : 2 * DEPTH + 1);
        buf_free(&in);
        buf_free(&out);
    }
}

static void a_cap_is_an_error(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 8);
    assert_int_equal(xml_lines_item(&out, "<a><b/></a>", 11), ERR_CAP);
    assert_true(out.len <= 8);
    buf_free(&out);
}

/* ---- any bytes ---- */

/* No line begins with `#`, no control character is left, all ends in a newline, and it grew no
 * more than the escapes allow. */
static void assert_harmless(const struct buf *out, size_t n)
{
    bool fresh = true;

    for (size_t i = 0; i < out->len; i++) {
        unsigned char c = (unsigned char)out->p[i];
        assert_false(fresh && c == '#');
        assert_false((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F);
        fresh = c == '\n';
    }
    assert_true(out->len == 0 || fresh);
    assert_true(out->len <= 7 * n + 1);
}

static void any_bytes_are_harmless(void **state)
{
    static const char *const parts[] = {
        "<a>",  "</a>", "<b x='", "'/>",  "\n#",      "#",    "<![CDATA[", "]]>",
        "<!--", "-->",  "<?",     "?>",   "<",        ">",    "/",         "\"",
        "'",    " ",    "\r",     "\xe5", "\x87\xba", "\x1b", "]",
    };
    enum { PARTS = sizeof parts / sizeof *parts };
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct buf in, out;
        char *exact;
        size_t n;

        buf_init(&in, MAX);
        for (unsigned k = 0; k < 1 + (unsigned)round % 24; k++) {
            seed = seed * 1664525 + 1013904223;
            append(&in, parts[(seed >> 16) % PARTS], 1);
        }
        n = in.len;
        exact = malloc(n);
        assert_non_null(exact);
        memcpy(exact, in.p, n);
        buf_init(&out, MAX);
        assert_int_equal(xml_lines_item(&out, exact, n), 0);
        assert_harmless(&out, n);
        out.len = 0;
        assert_int_equal(xml_lines_raw(&out, exact, n, NULL), 0);
        assert_harmless(&out, n);
        free(exact);
        buf_free(&in);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_are_laid_out),         cmocka_unit_test(what_harms_is_escaped),
        cmocka_unit_test(raw_bytes_keep_their_lines), cmocka_unit_test(depth_is_no_danger),
        cmocka_unit_test(a_cap_is_an_error),          cmocka_unit_test(any_bytes_are_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

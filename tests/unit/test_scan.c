/* The scanner finds the same tokens however the bytes are split, and expat reads them as such. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../decoder/reader.h"
#include "../../decoder/scan.h"

#define ROOT "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

#define DECL "<?xml version='1.0'?>"
#define BOM  "\xEF\xBB\xBF"

/* In the bytes `@` stands for NUL. Tokens as letters: H header, I item, C close, S white space,
 * x one of H, I and C that expat refuses, F flawed item, B bad, + unfinished. */
static const struct row {
    const char *name, *bytes, *tokens;
    enum error_code code; /* of the last x, F or B */
} rows[] = {
    {"header", ROOT, "H", ERR_NONE},
    {"declaration", "<?xml version='1.0'?>\n" ROOT, "H", ERR_NONE},
    {"space before", " \n" ROOT, "SH", ERR_NONE},
    {"newline behind the header", ROOT "\n", "HS", ERR_NONE},
    {"items", ROOT "<a/><b></b>", "HII", ERR_NONE},
    {"nested", ROOT "<a><b><c/></b>text</a>", "HI", ERR_NONE},
    {"keepalive", ROOT "<a/> <b/>", "HISI", ERR_NONE},
    {"> in a value", ROOT "<a b='>' c=\"/>\"/>", "HI", ERR_NONE},
    {"the other quote in a value", ROOT "<a b='\"' c=\"'\"/><b/>", "HII", ERR_NONE},
    {"slash in a tag", ROOT "<a b='/'></a>", "HI", ERR_NONE},
    {"CDATA", ROOT "<a><![CDATA[</a>]]]]></a>", "HI", ERR_NONE},
    {"close", ROOT "</stream:stream>", "HC", ERR_NONE},
    {"space behind the close", ROOT "</stream:stream>\n", "HCS", ERR_NONE},
    {"behind the close", ROOT "</stream:stream><a/>", "HCB", ERR_UNREADABLE},
    {"text between items", ROOT "x", "HB", ERR_UNREADABLE},
    {"text first", "GET / HTTP/1.1", "B", ERR_UNREADABLE},
    {"DTD first", "<!DOCTYPE a [<!ENTITY b 'c'>]>" ROOT, "B", ERR_RESTRICTED_XML},
    {"DTD inside", ROOT "<a><!DOCTYPE a></a>", "HB", ERR_RESTRICTED_XML},
    {"comment inside", ROOT "<a><!-- </a> - -- > --></a><b/>", "HFI", ERR_RESTRICTED_XML},
    {"comment between", ROOT "<!-- <a/> --><b/>", "HFI", ERR_RESTRICTED_XML},
    {"instruction inside", ROOT "<a><?x > ?></a><b/>", "HFI", ERR_RESTRICTED_XML},
    {"two declarations", "<?xml version='1.0'?><?xml version='1.0'?>" ROOT, "B",
     ERR_RESTRICTED_XML},
    {"CDATA between", ROOT "<![CDATA[x]]>", "HB", ERR_UNREADABLE},
    {"< in a tag", ROOT "<a <b/>", "HB", ERR_NOT_WELL_FORMED},
    {"empty tag", ROOT "<>", "HB", ERR_NOT_WELL_FORMED},
    {"end tag first", "</a>", "B", ERR_NOT_WELL_FORMED},
    {"root that is empty", "<stream:stream/>", "B", ERR_UNREADABLE},

    /* What a stream begins with. */
    {"U+FEFF", BOM ROOT "<a/>", "HI", ERR_NONE},
    {"U+FEFF and declaration", BOM DECL ROOT "<a/>", "HI", ERR_NONE},
    {"U+FEFF behind space", " " BOM DECL ROOT, "SH", ERR_NONE},
    {"space behind U+FEFF", BOM " " ROOT, "H", ERR_NONE},
    {"declaration behind U+FEFF and space", BOM "\n" DECL ROOT, "x", ERR_NOT_WELL_FORMED},
    {"U+FEFF twice", BOM BOM ROOT, "B", ERR_UNREADABLE},
    {"U+FEFF cut", "\xEF\xBB" ROOT, "B", ERR_UNREADABLE},
    {"U+FEFF between items", ROOT BOM "<a/>", "HB", ERR_UNREADABLE},
    {"UTF-16, big end first", "\xFE\xFF@<@s", "B", ERR_ENCODING},
    {"UTF-16, little end first", "\xFF\xFE<@s@", "B", ERR_ENCODING},
    {"UTF-16 without a mark", "<@s@", "B", ERR_ENCODING},
    {"UTF-16 without a mark, big end first", "@<@s", "B", ERR_ENCODING},
    {"UTF-16 behind space", "\n<@?@", "SB", ERR_ENCODING},
    {"NUL behind U+FEFF", BOM "<@" ROOT, "B", ERR_NOT_WELL_FORMED},
    {"telnet's first byte", "\xFF\xFD\x01", "B", ERR_UNREADABLE},
    {"zeroes", "@@@", "B", ERR_UNREADABLE},
    {"a cut beginning of another encoding", "\xFE<", "B", ERR_UNREADABLE},
    {"space between declaration and root", DECL " \r\n\t" ROOT "<a/>", "HI", ERR_NONE},
    {"space before the declaration", "\n" DECL ROOT, "SH", ERR_NONE},
    {"another encoding declared", "<?xml version='1.0' encoding='ISO-8859-1'?>" ROOT "<a/>", "HI",
     ERR_NONE},
    {"another encoding, which it is", "<?xml version='1.0' encoding='ISO-8859-1'?>" ROOT
     "<a>\xE4</a>", "Hx", ERR_NOT_WELL_FORMED},
    {"standalone", "<?xml version=\"1.0\" encoding='UTF-8' standalone='yes' ?>" ROOT, "H",
     ERR_NONE},
    {"declaration that is wrong", "<?xml encoding='UTF-8'?>" ROOT, "x", ERR_NOT_WELL_FORMED},
    {"another instruction first", "<?php echo '?>'?>" ROOT, "B", ERR_UNREADABLE},
    {"stylesheet first", "<?xml-stylesheet href='>'?>" ROOT, "x", ERR_RESTRICTED_XML},
    {"comment before the root", DECL "<!-- -->" ROOT, "B", ERR_RESTRICTED_XML},
    {"DTD before the root", DECL "<!DOCTYPE a>" ROOT, "B", ERR_RESTRICTED_XML},
    {"text before the root", DECL "x" ROOT, "B", ERR_UNREADABLE},
    {"another prefix", "<s:stream xmlns:s='http://etherx.jabber.org/streams'><a/></s:stream>",
     "HIC", ERR_NONE},
    {"no prefix, stanzas with a default namespace",
     "<stream xmlns='http://etherx.jabber.org/streams'><iq xmlns='jabber:client'/></stream >",
     "HIC", ERR_NONE},
    {"prefix that nothing binds", "<stream:stream><a/>", "xI", ERR_NOT_WELL_FORMED},
    {"a second stream inside the first", ROOT ROOT "<a/></stream:stream><b/></stream:stream>",
     "HIIC", ERR_NONE},
    {"a second declaration and header", ROOT "<a/>" DECL ROOT "<b/>", "HIF+", ERR_RESTRICTED_XML},

    /* Items. */
    {"items with both quotes", ROOT "<a b='\"' c = \"'>/\"\n/><b></b\n>", "HII", ERR_NONE},
    {"> in text", ROOT "<a> > />]] ></a>", "HI", ERR_NONE},
    {"the end of CDATA in text", ROOT "<a>]]></a><b/>", "HxI", ERR_NOT_WELL_FORMED},
    {"CDATA with what looks like tags", ROOT "<a><![CDATA[<b>]]</a>]>]]]></a><b/>", "HII",
     ERR_NONE},
    {"CDATA with half an end", ROOT "<a><![CDATA[]></a>]]></a><b/>", "HII", ERR_NONE},
    {"CDATA that is empty", ROOT "<a><![CDATA[]]></a>", "HI", ERR_NONE},
    {"CDATA that is none", ROOT "<a><![CDATAx]]></a>", "HB", ERR_RESTRICTED_XML},
    {"character references", ROOT "<a b='&#x22;&#39;'>&#60;&#x1F600;&amp;</a>", "HI", ERR_NONE},
    {"a reference to no character", ROOT "<a>&#0;</a><b/>", "HxI", ERR_NOT_WELL_FORMED},
    {"an entity that is not defined", ROOT "<a>&nbsp;</a><b c='&x;'/><d/>", "HxxI",
     ERR_NOT_WELL_FORMED},
    {"a reference between items", ROOT "&#32;", "HB", ERR_UNREADABLE},
    {"an end tag of another name", ROOT "<a></b><c/>", "HxI", ERR_NOT_WELL_FORMED},
    {"end tags that cross", ROOT "<a><b></a></b><c/>", "HxI", ERR_NOT_WELL_FORMED},
    {"an attribute twice", ROOT "<a b='' b=''/><c/>", "HxI", ERR_NOT_WELL_FORMED},
    {"a prefix that nothing binds", ROOT "<p:a/><c/>", "HxI", ERR_NOT_WELL_FORMED},
    {"a prefix bound by an item before", ROOT "<p:a xmlns:p='x'/><p:a/>", "HIx",
     ERR_NOT_WELL_FORMED},
    {"< in a value", ROOT "<a b='<'/><c/>", "HxI", ERR_NOT_WELL_FORMED},
    {"a slash that ends nothing", ROOT "<a / ></a><c/>", "HxI", ERR_NOT_WELL_FORMED},
    {"a slash before a quote", ROOT "<a/''></a><c/>", "HxI", ERR_NOT_WELL_FORMED},
    {"a slash behind a value", ROOT "<a b='c'/><a b=''></a>", "HII", ERR_NONE},
    {"NUL", ROOT "<a>@</a><c/>", "HxI", ERR_NOT_WELL_FORMED},
    {"NUL in a tag", ROOT "<a @='1'/><c/>", "HxI", ERR_NOT_WELL_FORMED},
    {"NUL between items", ROOT "<a/>@", "HIB", ERR_UNREADABLE},
    {"bytes that are not UTF-8", ROOT "<a>\xC3(</a><b>\xED\xA0\x80</b><c/>", "HxxI",
     ERR_NOT_WELL_FORMED},
    {"a character that the tag's end cuts", ROOT "<a \xF3/><b \xE4></b><c/></stream:stream\xE4>",
     "HxxIx", ERR_NOT_WELL_FORMED},
    {"UTF-8", ROOT "<\xC3\xA4 b='\xF0\x9F\x98\x80'>\xE4\xB8\xAD</\xC3\xA4>", "HI", ERR_NONE},
    {"text between items", ROOT "<a/>junk<b/>", "HIB", ERR_UNREADABLE},
    {"instruction between", ROOT "<?x <a> ?><b/>", "HFI", ERR_RESTRICTED_XML},
    {"comment with half an end", ROOT "<a><!-- -></a> --></a><b/>", "HFI", ERR_RESTRICTED_XML},
    {"comment that is none", ROOT "<a><!- --></a>", "HB", ERR_RESTRICTED_XML},
    {"item that does not end", ROOT "<a><b></b>", "H+", ERR_NONE},
    {"keepalives", ROOT " <a/>\n\r\n\t<b/> ", "HSISIS", ERR_NONE},
    {"space longer than an item may be", ROOT
     "                                                                                        "
     "                                                                                        ",
     "HS", ERR_NONE},

    /* What a stream ends with. */
    {"close with space in it", ROOT "</stream:stream \n>", "HC", ERR_NONE},
    {"close of another name", ROOT "<a/></stream>", "HIx", ERR_NOT_WELL_FORMED},
    {"close, space, more", ROOT "</stream:stream> \n" DECL ROOT, "HCSB", ERR_UNREADABLE},
    {"close twice", ROOT "</stream:stream></stream:stream>", "HCB", ERR_UNREADABLE},
    {"tag at its cap",
     ROOT "<a b='12345678901234567890123456789012345678901234567890123456789012345678901234"
          "56789012345678901'/>",
     "HI", ERR_NONE},
    {"tag over its cap",
     ROOT "<a b='12345678901234567890123456789012345678901234567890123456789012345678901234"
          "567890123456789012'/><b/>",
     "HFI", ERR_TAG_CAP},
    {"item at its cap",
     ROOT "<a>12345678901234567890123456789012345678901234567890123456789012345678901234567"
          "8901234567890123456789012345678901234567890123456789012345678901234567890123</a>"
          "<b/>",
     "HII", ERR_NONE},
    {"item over its cap",
     ROOT "<a>12345678901234567890123456789012345678901234567890123456789012345678901234567"
          "89012345678901234567890123456789012345678901234567890123456789012345678901234</a"
          "><b/>",
     "HFI", ERR_ITEM_CAP},
    {"depth at its cap", ROOT "<a><b><c/></b></a><b/>", "HII", ERR_NONE},
    {"depth over its cap", ROOT "<a><b><c><d></d></c></b></a><b/>", "HFI", ERR_DEPTH_CAP},
};

static const struct scan_limits limits = {.tag_bytes = 100, .item_bytes = 160, .depth = 4};

static enum error_code read_token(struct reader *r, struct reader_stream *st, enum scan_what what,
                                  const char *p, size_t n)
{
    const struct item *it;
    struct error e = {0};

    if (what == SCAN_HEADER)
        return (enum error_code)reader_header(r, st, p, n, &it, &e);
    if (what == SCAN_CLOSE)
        return (enum error_code)reader_close(r, st, p, n, &e);
    return (enum error_code)reader_item(r, st, p, n, &it, &e);
}

/* A stream read in pieces. */
struct reading {
    struct scan scan;
    struct reader *reader;
    struct reader_stream stream;
    const char *token; /* where the token now read begins */
    char out[64];
    size_t n;
    enum error_code code;
};

/* The token that ends before `end`. White space that was split is one token again. */
static void take(struct reading *g, enum scan_what what, const char *end)
{
    static const char letters[] = {
        [SCAN_HEADER] = 'H', [SCAN_ITEM] = 'I', [SCAN_CLOSE] = 'C', [SCAN_SPACE] = 'S',
        [SCAN_BAD] = 'B',
    };
    enum error_code code = what == SCAN_BAD ? g->scan.error : g->scan.flaw;
    char letter = what != SCAN_BAD && code ? 'F' : letters[what];

    if (what == SCAN_SPACE && g->n && g->out[g->n - 1] == 'S')
        letter = '\0';
    else if (what != SCAN_SPACE && !code)
        code = read_token(g->reader, &g->stream, what, g->token, (size_t)(end - g->token));
    if (strchr("HIC", letter) && code)
        letter = 'x';
    if (code)
        g->code = code;
    if (letter)
        g->out[g->n++] = letter;
    g->token = end;
}

static void feed(struct reading *g, const char *p, size_t n)
{
    while (n && g->scan.error == ERR_NONE) {
        size_t used;
        enum scan_what what = scan_next(&g->scan, p, n, &used);

        assert_true(used > 0 || what == SCAN_BAD);
        p += used;
        n -= used;
        if (what != SCAN_MORE)
            take(g, what, p);
    }
}

/* `bytes`, fed in pieces of `first`, then `step` bytes, must give the row's tokens. */
static void check(struct reader *reader, const struct row *r, const char *bytes, size_t first,
                  size_t step)
{
    size_t len = strlen(r->bytes), at = 0, piece = first;
    struct reading g = {.reader = reader, .token = bytes};

    scan_init(&g.scan, &limits);
    reader_stream_init(&g.stream);
    while (at < len) {
        size_t n = len - at < piece ? len - at : piece;

        feed(&g, bytes + at, n);
        at += n;
        piece = step;
    }
    if (g.scan.error == ERR_NONE && !scan_between(&g.scan))
        g.out[g.n++] = '+';
    reader_stream_free(&g.stream);
    if (strcmp(g.out, r->tokens) != 0 || g.code != r->code)
        fail_msg("%s, split %zu/%zu: %s (%s), not %s (%s)", r->name, first, step, g.out,
                 error_name(g.code), r->tokens, error_name(r->code));
}

static void test_tokens(void **state)
{
    struct reader *reader = reader_new();

    (void)state;
    assert_non_null(reader);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t len = strlen(rows[i].bytes);
        char *bytes = strdup(rows[i].bytes);

        assert_non_null(bytes);
        for (char *at = bytes; (at = strchr(at, '@')) != NULL;)
            *at++ = '\0';
        for (size_t at = 1; at <= len; at++)
            check(reader, &rows[i], bytes, at, len);
        for (size_t step = 1; step <= 7; step++)
            check(reader, &rows[i], bytes, step, step);
        free(bytes);
    }
    reader_free(reader);
}

/* An unfinished token is no token, and says so. */
static void test_unfinished(void **state)
{
    static const char *const pieces[] = {"<", "<a", "<a b='", "<a>", "<a>x</a", "<a><![CDATA[</a>"};
    size_t used;

    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct scan s;

        scan_init(&s, NULL);
        assert_int_equal(scan_next(&s, ROOT, strlen(ROOT), &used), SCAN_HEADER);
        assert_true(scan_between(&s));
        assert_int_equal(scan_next(&s, pieces[i], strlen(pieces[i]), &used), SCAN_MORE);
        assert_int_equal(used, strlen(pieces[i]));
        assert_false(scan_between(&s));
        assert_int_equal(s.offset, strlen(ROOT) + strlen(pieces[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_unfinished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

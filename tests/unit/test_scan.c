/* The scanner finds the same tokens however the bytes are split. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../decoder/scan.h"

#define ROOT "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

/* Tokens as letters: H header, I item, C close, S white space, F flawed item, B bad. */
static const struct row {
    const char *name, *bytes, *tokens;
    enum error_code code; /* of F or B */
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
    {"root that is empty", "<stream:stream/>", "B", ERR_NOT_WELL_FORMED},
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

/* The token letters of `bytes` fed in pieces of `first`, then `step`. White space that was split
 * is one token again. */
static void tokens_of(const char *bytes, size_t first, size_t step, char *out,
                      enum error_code *code)
{
    static const char letters[] = {[SCAN_HEADER] = 'H',
                                   [SCAN_ITEM] = 'I',
                                   [SCAN_CLOSE] = 'C',
                                   [SCAN_SPACE] = 'S',
                                   [SCAN_BAD] = 'B'};
    size_t len = strlen(bytes), at = 0, n = 0, piece = first;
    struct scan s;

    *code = ERR_NONE;
    scan_init(&s, &limits);
    while (at < len) {
        size_t to = at + piece < len ? at + piece : len;
        while (at < to) {
            size_t used;
            enum scan_what what = scan_next(&s, bytes + at, to - at, &used);
            bool flawed = s.flaw != ERR_NONE;

            if (what == SCAN_BAD) {
                *code = s.error;
                out[n++] = 'B';
                out[n] = '\0';
                return;
            }
            assert_true(used > 0);
            at += used;
            if (what == SCAN_MORE || (what == SCAN_SPACE && n && out[n - 1] == 'S'))
                continue;
            if (flawed)
                *code = s.flaw;
            out[n++] = flawed ? 'F' : letters[what];
        }
        piece = step;
    }
    out[n] = '\0';
    assert_true(scan_between(&s));
}

static void check(const struct row *r, size_t first, size_t step)
{
    char got[64];
    enum error_code code;

    tokens_of(r->bytes, first, step, got, &code);
    if (strcmp(got, r->tokens) != 0 || code != r->code)
        fail_msg("%s, split %zu/%zu: %s (%s), not %s (%s)", r->name, first, step, got,
                 error_name(code), r->tokens, error_name(r->code));
}

static void test_tokens(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t len = strlen(rows[i].bytes);

        for (size_t at = 1; at <= len; at++)
            check(&rows[i], at, len);
        for (size_t step = 1; step <= 7; step++)
            check(&rows[i], step, step);
    }
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

/* The comment lines above a wire item: facts in words, and what a SASL message says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../logs/notes.h"

#define HEAD "#-- #3 1970-01-01T00:00:00.000000Z c2s "

static const struct {
    const char *label, *data;
    bool secrets;
    struct event_fact fact[3];
    const char *want;
} rows[] = {
    {"roster.request", "<iq/>", true, {{0}}, HEAD "5 bytes\n"},
    {"roster.request",
     "<iq/>",
     false,
     {{"condition", "gone"}, {"text", "by\n#--"}},
     HEAD "5 bytes\n#-- facts: condition gone, text by&#xA;#--\n"},
    {"sasl.auth",
     "<auth>eA==</auth>",
     false,
     {{"mechanism", "PLAIN"}, {"user", "a b"}},
     HEAD "17 bytes\n#-- sasl: mechanism PLAIN, user a b\n"},
    {"sasl.auth",
     "<auth>eA==</auth>",
     true,
     {{"mechanism", "X"}},
     HEAD "17 bytes\n#-- sasl: mechanism X\n#-- sasl says: x\n"},
    {"sasl.auth", "<auth>[redacted]</auth>", true, {{0}}, HEAD "23 bytes\n"},
    {"sasl.success", "<success/>", true, {{0}}, HEAD "10 bytes\n"},
    {"sasl.success", "<success", true, {{0}}, HEAD "8 bytes\n"},
    {"sasl2.auth",
     "<a><d>eA==</d><initial-response>eQo=</initial-response></a>",
     true,
     {{"mechanism", "X"}},
     HEAD "59 bytes\n#-- sasl: mechanism X\n#-- sasl says: y&#xA;\n"},
    {"legacy.auth.request", "<iq>eA==</iq>", true, {{0}}, HEAD "13 bytes\n"},
};

static void test_comments(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct event ev = {.kind = EVENT_STANZA, .n = 3, .label = rows[i].label,
                           .data = rows[i].data, .len = strlen(rows[i].data),
                           .fact = rows[i].fact};
        struct text x;

        while (ev.facts < 3 && rows[i].fact[ev.facts].name)
            ev.facts++;
        text_init(&x, 1 << 16, false);
        notes_comment(&x, &ev, rows[i].secrets);
        assert_int_equal(x.err, 0);
        assert_int_equal(buf_add(&x.buf, "", 1), 0);
        assert_string_equal(x.buf.p, rows[i].want);
        text_free(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_comments)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

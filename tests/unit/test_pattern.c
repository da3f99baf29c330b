/* Patterns: what they ask of an item's elements, and that the quick no never says no wrongly. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../decoder/pattern.h"

#define XML                                                                                        \
    "<message type='chat'><body>hi</body><a xmlns='urn:a:1' n='one' m=''><deep xmlns='urn:d'/>"    \
    "</a><b xmlns='urn:b'><deep xmlns='urn:d'/></b></message>"

static const struct row {
    const char *pattern;
    unsigned depth;
    bool holds;
} rows[] = {
    {"jabber:client message", 1, true},
    {"jabber:client message type=chat", 1, true},
    {"jabber:client message type=cha", 1, false},
    {"jabber:client message typ=chat", 1, false},
    {"jabber:client messages", 1, false},
    {"jabber:client", 2, true},
    {"jabber:clien", 2, false},
    {"jabber:client2", 2, false},
    {"jabber:client body", 2, true},
    {"jabber:client body", 1, false},
    {"jabber:client body", 3, false},
    {"urn:a:1 a n=one", 2, true},
    {"urn:a:1 a n=on*", 2, true},
    {"urn:a:1 a n=*", 2, true},
    {"urn:a:1 a n=one*", 2, false}, /* nothing is left for the star */
    {"urn:a:1 a m=*", 2, false},
    {"urn:a:1 a x=*", 2, false},
    {"urn:b b n=one", 2, false}, /* another element's attribute */
    {"urn:a:* a", 2, true},
    {"urn:a:1* a", 2, false},
    {"urn:a:*", 2, true},
    {"urn:c:* a", 2, false},
    {"urn:a:1 a & urn:b b", 2, true},
    {"urn:a:1 a & urn:b a", 2, false},
    {"urn:x x | urn:b b", 2, true},
    {"urn:b b | urn:x x", 2, true},
    {"urn:x x | urn:y y", 2, false},
    {"urn:x x & urn:a:1 a | urn:b b", 2, true},
    {"urn:a:1 a & urn:x x | urn:y y & urn:b b", 2, false},
    {"urn:x x | urn:a:*", 2, true},
    {"urn:a:* & urn:b b", 2, true},
    {"urn:d deep", 3, true},
};

static const struct item *read_item(struct reader *r, struct reader_stream *st)
{
    const struct item *it;
    struct error e = {0};

    reader_stream_init(st);
    if (reader_item(r, st, XML, strlen(XML), &it, &e))
        fail_msg("%s", e.detail);
    return it;
}

static void test_rows(void **state)
{
    struct reader *reader = reader_new();
    struct reader_stream st;
    const struct item *it = read_item(reader, &st);
    struct pattern_marks marks = pattern_marks(it);

    (void)state;
    for (const struct row *r = rows; r < rows + sizeof rows / sizeof *rows; r++) {
        struct pattern_needs needs = pattern_needs(r->pattern, r->depth);

        if (pattern_holds(r->pattern, it, r->depth, 0, it->nodes) != r->holds)
            fail_msg("%s at depth %u: not %d", r->pattern, r->depth, r->holds);
        if (r->holds && !pattern_may_hold(&needs, &marks))
            fail_msg("%s at depth %u is left out wrongly", r->pattern, r->depth);
    }
    reader_stream_free(&st);
    reader_free(reader);
}

/* Only the elements that are named are looked at. */
static void test_range(void **state)
{
    struct reader *reader = reader_new();
    struct reader_stream st;
    const struct item *it = read_item(reader, &st);

    (void)state; /* message, body, a, deep, b, deep */
    assert_int_equal(it->nodes, 6);
    assert_false(pattern_holds("urn:b b", it, 2, 0, 4));
    assert_true(pattern_holds("urn:b b", it, 2, 4, 5));
    assert_false(pattern_holds("urn:d deep", it, 3, 4, 5));
    assert_true(pattern_holds("urn:d deep", it, 3, 5, 6));
    reader_stream_free(&st);
    reader_free(reader);
}

/* The quick no is worth its while: it sees that most of what is asked for is not there. */
static void test_marks(void **state)
{
    static const char *const absent[] = {"urn:xmpp:receipts received",
                                         "urn:xmpp:carbons:2 sent",
                                         "urn:xmpp:mam:2 result",
                                         "urn:xmpp:reactions:0 reactions",
                                         "jabber:x:conference x",
                                         "urn:xmpp:ping ping",
                                         "urn:xmpp:sid:0",
                                         "urn:xmpp:omemo:* encrypted"};
    struct reader *reader = reader_new();
    struct reader_stream st;
    struct pattern_marks marks = pattern_marks(read_item(reader, &st));
    unsigned no = 0;

    (void)state;
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        struct pattern_needs needs = pattern_needs(absent[i], 2);

        no += !pattern_may_hold(&needs, &marks);
    }
    assert_true(no >= 6);
    reader_stream_free(&st);
    reader_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

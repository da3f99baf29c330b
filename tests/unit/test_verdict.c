/* The two languages of a row of verdicts, and what a story keeps. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "../../decoder/verdict.h"

/* What all rows below are asked of. */
static void set_up(struct story *s)
{
    story_init(s);
    story_set(s, "sasl", "failure");
    story_set(s, "mechanism", "SCRAM-SHA-1-PLUS");
    story_set(s, "sasl.text", "Stanza is too big");
    story_set(s, "user", "alice");
    story_set(s, "domain", "");
}

static void conditions(void **state)
{
    static const struct {
        const char *when;
        bool holds;
    } rows[] = {
        {"", true},
        {"sasl", true},
        {"!sasl", false},
        {"end", false},
        {"!end", true},
        {"domain", false}, /* an empty value is none */
        {"sasl user", true},
        {"sasl end", false},
        {"sasl !end user", true},
        {"sasl=failure", true},
        {"sasl=FAILURE", true},
        {"sasl=fail", false},
        {"sasl=fail*", true},
        {"sasl=success|failure", true},
        {"sasl=success|abort", false},
        {"end=closed", false},
        {"sasl!=success", true},
        {"sasl!=success|failure", false},
        {"end!=closed", false}, /* what is not known is not unlike either */
        {"mechanism=*-PLUS", true},
        {"mechanism=*-PLUS !user", false},
        {"mechanism=*SHA-1", false},
        {"sasl.text=*too+big*", true},
        {"sasl.text=*toobig*", false},
        {"sasl.tex", false}, /* keys are whole */
    };
    struct story s;

    (void)state;
    set_up(&s);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (verdict_holds(&s, rows[i].when) != rows[i].holds)
            fail_msg("\"%s\" %s", rows[i].when, rows[i].holds ? "does not hold" : "holds");
    story_free(&s);
}

static void sentences(void **state)
{
    static const struct {
        const char *sentence, *reads;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"{user}", "alice"},
        {"of {user}: {sasl}", "of alice: failure"},
        {"of {end}.", "of ."},
        {"a[ of {user}]", "a of alice"},
        {"a[ of {end}]", "a"},
        {"a[ of {end}] b", "a b"},
        {"a[ of {user}, {end}] b", "a b"}, /* one that is not known is enough */
        {"a[ {end}][ {user}]", "a alice"},
        {"[{domain} ]logged in", "logged in"},
        {"a[ always]", "a always"},
    };
    char out[64];
    struct story s;

    (void)state;
    set_up(&s);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        verdict_write(&s, rows[i].sentence, out, sizeof out);
        assert_string_equal(out, rows[i].reads);
    }
    story_free(&s);
}

/* What finds no room is cut, between characters. */
static void sentences_are_cut_between_characters(void **state)
{
    static const struct {
        size_t size;
        const char *reads;
    } rows[] = {
        {1, ""},
        {2, "a"},
        {3, "a"}, /* \xc3\xbc has no room */
        {4, "a\xc3\xbc"},
        {5, "a\xc3\xbc"},
        {7, "a\xc3\xbc\xe2\x82\xac"},
        {8, "a\xc3\xbc\xe2\x82\xac"},
    };
    char out[8];
    struct story s;

    (void)state;
    set_up(&s);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        verdict_write(&s, "a\xc3\xbc\xe2\x82\xac", out, rows[i].size);
        assert_string_equal(out, rows[i].reads);
    }
    story_free(&s);
}

static void values(void **state)
{
    char text[2 * STORY_VALUE_MAX + 1];
    struct story s;

    (void)state;
    set_up(&s);
    assert_null(story_get(&s, "domain"));
    story_set(&s, "user", "bob");
    assert_string_equal(story_get(&s, "user"), "bob");
    story_set(&s, "user", NULL); /* says nothing: what was known stays */
    assert_string_equal(story_get(&s, "user"), "bob");

    for (size_t i = 0; i < STORY_VALUE_MAX; i++) /* characters of two bytes, at odd places */
        memcpy(text + 1 + 2 * i, "\xc3\xbc", i + 1 < STORY_VALUE_MAX ? 2 : 0);
    text[0] = 'a';
    text[2 * STORY_VALUE_MAX - 1] = '\0';
    story_set(&s, "user", text);
    assert_int_equal(strlen(story_get(&s, "user")), STORY_VALUE_MAX - 1);
    assert_memory_equal(story_get(&s, "user"), text, STORY_VALUE_MAX - 1);
    story_free(&s);
}

/* What a peer says is short in a sentence, and goes on behind it. */
static void what_peers_say(void **state)
{
    char text[400];
    struct event_fact fact = {"text", "Too many connections."};
    struct event ev = {.kind = EVENT_STANZA, .dir = DIR_S2C, .n = 1, .label = "stream.error.server",
                       .fact = &fact, .facts = 1, .data = "", .session = "s"};
    struct story s;

    (void)state;
    story_init(&s);
    story_event(&s, &ev);
    assert_string_equal(story_get(&s, "error.server.text"), "Too many connections");
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    fact.value = text;
    story_event(&s, &ev);
    assert_int_equal(strlen(story_get(&s, "error.server.text")), STORY_FACT_MAX + 3);
    assert_string_equal(story_get(&s, "error.server.text") + STORY_FACT_MAX, "...");
    story_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions),
        cmocka_unit_test(sentences),
        cmocka_unit_test(sentences_are_cut_between_characters),
        cmocka_unit_test(values),
        cmocka_unit_test(what_peers_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The narrative of sessions as archives may hold them: clocks set back, texts for terminals, long
 * ids, much to tell. Each gets its verdict, whole lines, and nothing that talks to a terminal. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../logs/explain.h"
#include "../../logs/json.h"

#define TEXT_MAX (64u << 20)
#define LONG_ID  "sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss"

struct printed {
    struct buf text;
    unsigned pieces;
};

static int print(void *arg, const char *p, size_t n)
{
    struct printed *t = arg;

    assert_true(n > 0 && p[n - 1] == '\n');
    t->pieces++;
    return buf_add(&t->text, p, n);
}

static void tell(struct sink *s, const char *line)
{
    struct json_record rec = {0};
    struct error e;

    if (json_event_read(&rec, line, strlen(line), &e))
        fail_msg("%s: %s", e.detail, line);
    assert_int_equal(s->event(s, &rec.event), 0);
    json_record_free(&rec);
}

static unsigned count(const char *text, const char *word)
{
    unsigned n = 0;

    for (; (text = strstr(text, word)) != NULL; text += strlen(word))
        n++;
    return n;
}

static void begin(struct printed *t, struct sink **s)
{
    *t = (struct printed){.pieces = 0};
    buf_init(&t->text, TEXT_MAX);
    *s = explain_new(LABELS_EN, print, t);
    assert_non_null(*s);
}

static void end(struct printed *t, struct sink *s)
{
    assert_int_equal(s->close(s), 0);
    assert_int_equal(buf_add(&t->text, "", 1), 0);
    assert_null(strchr(t->text.p, '\x1b'));
}

#define AT(time, id, rest) "{\"event\":" rest ",\"t\":\"" time "\",\"session\":\"" id "\",\"n\":1}"
#define STANZA(d)          "\"stanza\",\"dir\":\"" d "\",\"label\":\"iq.other\",\"xml\":\"<a/>\""
#define END(more)          "\"end\",\"by\":\"client\",\"reason\":\"closed\"" more

static void test_hostile(void **state)
{
    static const struct {
        const char *what, *line[5];
        unsigned sessions;
        const char *holds;
    } rows[] = {
        {"a clock that is set back",
         {AT("2026-01-01T00:00:10Z", "a", "\"session\""),
          AT("2026-01-01T00:00:05Z", "a", STANZA("c2s")),
          AT("2026-01-01T00:00:09Z", "a", STANZA("s2c")), AT("2026-01-01T00:00:01Z", "a", END(""))},
         1, "#1"},
        {"the ends of time",
         {AT("0001-01-01T00:00:00Z", "a", STANZA("c2s")),
          AT("9999-12-31T23:59:59Z", "a", STANZA("s2c")),
          AT("0001-01-01T00:00:00Z", "a", STANZA("c2s")),
          AT("9999-12-31T23:59:59Z", "a", STANZA("s2c"))},
         1, "#1"},
        {"a label for a terminal",
         {AT("2026-01-01T00:00:00Z", "a",
             END(",\"unanswered\":9223372036854775807,\"open\":[{\"n\":1,\"label\":\"\\u001b[31m\"}]"))},
         1, "&#x1B;[31m"},
        {"a long id",
         {AT("2026-01-01T00:00:00Z", LONG_ID, STANZA("c2s")),
          AT("2026-01-01T00:00:01Z", LONG_ID, STANZA("s2c")),
          AT("2026-01-01T00:00:02Z", LONG_ID, END(""))},
         1, LONG_ID},
        {"one cut off, then another",
         {AT("2026-01-01T00:00:00Z", "a", STANZA("c2s")),
          AT("2026-01-01T00:00:01Z", "b", STANZA("c2s"))},
         2, "\n\nsession b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct printed t;
        struct sink *s;

        begin(&t, &s);
        for (int k = 0; k < 5 && rows[i].line[k]; k++)
            tell(s, rows[i].line[k]);
        end(&t, s);
        if (count(t.text.p, "\nVerdict (") != rows[i].sessions || !strstr(t.text.p, rows[i].holds))
            fail_msg("%s:\n%s", rows[i].what, t.text.p);
        buf_free(&t.text);
    }
}

/* More than is kept of one session: in pieces, and its verdict last. */
static void test_much(void **state)
{
    char fact[4001], line[16000];
    struct printed t;
    struct sink *s;

    (void)state;
    memset(fact, 'x', sizeof fact - 1);
    fact[sizeof fact - 1] = '\0';
    begin(&t, &s);
    for (int i = 0; i < 2 * EXPLAIN_LINES; i++) {
        snprintf(line, sizeof line,
                 "{\"event\":\"stanza\",\"t\":\"2026-01-01T00:00:00Z\",\"session\":\"a\",\"n\":%d,"
                 "\"dir\":\"c2s\",\"label\":\"iq.other\",\"facts\":{\"text\":\"%s\",\"jid\":\"%s\","
                 "\"user\":\"%s\"}}", i + 1, fact, fact, fact);
        tell(s, line);
    }
    end(&t, s);
    assert_true(t.pieces > 1);
    assert_non_null(strstr(t.text.p, "... 400 more\n"));
    assert_int_equal(count(t.text.p, "\nVerdict ("), 1);
    buf_free(&t.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

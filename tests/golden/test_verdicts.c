/* The table of verdicts: each row is well-formed, can be read to its end, and is the verdict of a
 * golden case, however the case's bytes are cut. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../decoder/verdict.h"
#include "play.h"

#define CASES     "tests/golden/cases/*.case"
#define ROWS_MAX  512
#define ENDS_MAX  8 /* sessions of a case */
#define CASE_MAX  (16u << 20)
#define ID_LETTER "abcdefghijklmnopqrstuvwxyz0123456789-"

static struct reader *the_reader;

/* ---- each row by itself ---- */

static bool known_key(const char *key, size_t n)
{
    const char *one;

    for (size_t i = 0; (one = story_key(i)) != NULL; i++)
        if (strlen(one) == n && memcmp(one, key, n) == 0)
            return true;
    return false;
}

static void ids_are_words_parted_by_dots(void **state)
{
    const struct verdict_row *r;

    (void)state;
    for (size_t i = 0; (r = verdict_row(i)) != NULL; i++)
        for (const char *p = r->id;; p++) {
            size_t n = strspn(p, ID_LETTER);

            if (n == 0 || (p[n] && p[n] != '.'))
                fail_msg("row %zu: %s", i, r->id);
            p += n;
            if (!*p)
                break;
        }
}

/* The same id is the same outcome: `list` and the transcript go by the id alone. */
static void an_id_is_good_or_bad(void **state)
{
    const struct verdict_row *r;

    (void)state;
    for (size_t i = 0; (r = verdict_row(i)) != NULL; i++)
        if (verdict_is_ok(r->id) != r->ok)
            fail_msg("row %zu: %s is WENT_WELL in one row and FAILED in another", i, r->id);
}

static void conditions_name_what_can_be_known(void **state)
{
    const struct verdict_row *r;

    (void)state;
    for (size_t i = 0; (r = verdict_row(i)) != NULL; i++)
        for (const char *p = r->when; *p;) {
            size_t len = strcspn(p, " "), key = strcspn(p + (*p == '!'), "!= ") + (*p == '!');
            const char *first = p + (*p == '!');

            if (!known_key(first, (size_t)(p + key - first)))
                fail_msg("row %zu, %s: no such key: %.*s", i, r->id, (int)len, p);
            if (p[len - 1] == '=' || p[len - 1] == '|' || memmem(p, len, "||", 2))
                fail_msg("row %zu, %s: an empty pattern: %.*s", i, r->id, (int)len, p);
            p += len + strspn(p + len, " ");
        }
}

static void check_sentence(size_t row, const struct verdict_row *r)
{
    bool bracket = false;

    for (const char *p = r->sentence; *p; p++) {
        if (*p == '[' || *p == ']') {
            if (bracket == (*p == '['))
                fail_msg("row %zu, %s: brackets at: %s", row, r->id, p);
            bracket = *p == '[';
        } else if (*p == '}') {
            fail_msg("row %zu, %s: a brace at: %s", row, r->id, p);
        } else if (*p == '{') {
            size_t n = strcspn(p + 1, "{}[]");

            if (p[n + 1] != '}' || !known_key(p + 1, n))
                fail_msg("row %zu, %s: no such key: %s", row, r->id, p);
            p += n + 1;
        }
    }
    if (bracket)
        fail_msg("row %zu, %s: a bracket is open at the end", row, r->id);
}

static void sentences_are_well_formed(void **state)
{
    const struct verdict_row *r;

    (void)state;
    for (size_t i = 0; (r = verdict_row(i)) != NULL; i++)
        check_sentence(i, r);
}

/* Is the key's value what another part of the program says in full, with a cure? */
static bool is_told(const char *key, size_t n)
{
    static const char *const ends[] = {".error", ".detail"};

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t len = strlen(ends[i]);

        if (n > len && memcmp(key + n - len, ends[i], len) == 0)
            return true;
    }
    return false;
}

static bool is_quoted(const char *sentence)
{
    size_t n = strcspn(sentence, "}");

    return *sentence == '{' && is_told(sentence + 1, n - 1) &&
           (sentence[n + 1] == '\0' || sentence[n + 1] == '[');
}

static void failures_have_a_cure(void **state)
{
    const struct verdict_row *r;

    (void)state;
    for (size_t i = 0; (r = verdict_row(i)) != NULL; i++) {
        const char *semicolon = strrchr(r->sentence, ';');

        if (!r->ok && !is_quoted(r->sentence) && (!semicolon || strlen(semicolon) < 10))
            fail_msg("row %zu, %s: no cure: %s", i, r->id, r->sentence);
    }
}

/* With all that is known as long as it can be, the end of the sentence is still there. */
static void no_sentence_is_cut(void **state)
{
    const struct verdict_row *r;
    char value[ERROR_DETAIL_MAX], sentence[VERDICT_SENTENCE_MAX], whole[4 * VERDICT_SENTENCE_MAX];
    struct story s;
    const char *key;

    (void)state;
    story_init(&s);
    memset(value, 'x', sizeof value);
    for (size_t i = 0; (key = story_key(i)) != NULL; i++) {
        size_t n = is_told(key, strlen(key)) ? sizeof value - 1 : STORY_FACT_MAX + 3;

        value[n] = '\0';
        story_set(&s, key, value);
        value[n] = 'x';
    }
    for (size_t i = 0; (r = verdict_row(i)) != NULL; i++) {
        verdict_write(&s, r->sentence, sentence, sizeof sentence);
        verdict_write(&s, r->sentence, whole, sizeof whole);
        if (strcmp(sentence, whole) != 0)
            fail_msg("row %zu, %s: of %zu bytes there is room for %zu", i, r->id, strlen(whole),
                     sizeof sentence - 1);
    }
    story_free(&s);
}

/* ---- the verdicts of cases ---- */

struct told {
    struct story story;
    struct verdict verdict[ENDS_MAX];
    size_t n;
    size_t until; /* the event before which the recording stops; 0: none */
    bool in;      /* ... and whether a resource was bound by then */
};

static void tell(void *arg, struct event *ev)
{
    struct told *t = arg;

    if (t->until && ev->n >= t->until)
        return;
    story_event(&t->story, ev);
    t->in = story_get(&t->story, "bound") != NULL;
    if (ev->kind != EVENT_END)
        return;
    assert_true(t->n < ENDS_MAX);
    verdict_give(&t->story, &t->verdict[t->n++]);
    story_free(&t->story);
}

static void tell_case(const struct case_file *c, size_t piece, struct told *t)
{
    story_init(&t->story);
    t->n = 0;
    play(c, true, the_reader, &(struct play_cuts){.piece = piece}, tell, t);
}

static void load(const char *path, struct case_file *c)
{
    FILE *f = fopen(path, "rb");
    struct buf text;
    struct error e;
    char piece[65536];
    size_t n;

    assert_non_null(f);
    buf_init(&text, CASE_MAX);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        assert_int_equal(buf_add(&text, piece, n), 0);
    fclose(f);
    if (case_parse(c, path, text.p ? text.p : "", text.len, &e))
        fail_msg("%s", e.detail);
    buf_free(&text);
}

/* The n-th `verdict=` that the case's file expects: is it `id`? */
static bool expects(const struct case_file *c, size_t nth, const char *id)
{
    static const char key[] = "\tverdict=";
    const struct case_section *events = case_section(c, "events");
    const char *p = events ? events->text : "", *end = p + (events ? events->len : 0);

    for (size_t i = 0; (p = memmem(p, (size_t)(end - p), key, sizeof key - 1)) != NULL; i++) {
        p += sizeof key - 1;
        if (i == nth)
            return strcspn(p, "\t\n") == strlen(id) && memcmp(p, id, strlen(id)) == 0;
    }
    return false;
}

/* For each row: a case that it gave the verdict of. */
static bool proven[ROWS_MAX];

static void check_case(const char *path)
{
    static const size_t pieces[] = {1, 7};
    static struct told whole, cut;
    struct case_file c;

    load(path, &c);
    tell_case(&c, PLAY_WHOLE, &whole);
    assert_true(whole.n > 0);
    for (size_t i = 0; i < whole.n; i++) {
        if (!*whole.verdict[i].id)
            fail_msg("%s: no row holds", path);
        if (!expects(&c, i, whole.verdict[i].id))
            fail_msg("%s: expects another verdict than %s", path, whole.verdict[i].id);
        proven[whole.verdict[i].row] = true;
    }
    for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++) {
        tell_case(&c, pieces[k], &cut);
        assert_int_equal(cut.n, whole.n);
        for (size_t i = 0; i < whole.n; i++)
            if (cut.verdict[i].row != whole.verdict[i].row ||
                strcmp(cut.verdict[i].sentence, whole.verdict[i].sentence) != 0)
                fail_msg("%s: in pieces of %zu: %s\nnot: %s", path, pieces[k],
                         cut.verdict[i].sentence, whole.verdict[i].sentence);
    }
    case_free(&c);
}

/* A case always has an end; what a recording without one comes to is seen by leaving it out: cut
 * off anywhere, a good login has not been over yet, or has been. */
static void a_recording_may_stop_anywhere(void **state)
{
    static const char *const ids[] = {"cut-off", "cut-off.logged-in"};
    static struct told t;
    struct case_file c;
    struct verdict v;
    bool seen[2] = {false, false};

    (void)state;
    load("tests/golden/cases/verdict-login.case", &c);
    for (t.until = 2; t.until == 2 || t.n == 0; t.until++) {
        tell_case(&c, PLAY_WHOLE, &t);
        if (t.n)
            break; /* this is the end's */
        verdict_give(&t.story, &v);
        assert_string_equal(v.id, ids[t.in]);
        proven[v.row] = seen[t.in] = true;
        story_free(&t.story);
    }
    assert_true(seen[false] && seen[true]);
    case_free(&c);
}

static void each_row_is_the_verdict_of_a_case(void **state)
{
    const struct verdict_row *r;
    glob_t found = {0};
    unsigned missing = 0;

    (void)state;
    assert_int_equal(glob(CASES, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        check_case(found.gl_pathv[i]);
    globfree(&found);
    for (size_t i = 0; (r = verdict_row(i)) != NULL; i++) {
        assert_true(i < ROWS_MAX);
        if (proven[i])
            continue;
        missing++;
        fprintf(stderr, "%s: no golden case of this row: %s\n", r->id, r->when);
    }
    if (missing)
        fail_msg("%u rows", missing);
}

/* A rule whose label is never looked at would never apply. */
static void each_rule_is_looked_at(void **state)
{
    bool looked_at;
    const char *label;

    (void)state;
    for (size_t i = 0; (label = story_rule_label(i, &looked_at)) != NULL; i++)
        if (!looked_at)
            fail_msg("no event of %s is looked at: FIRST_LETTERS lacks its letter", label);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_words_parted_by_dots),
        cmocka_unit_test(an_id_is_good_or_bad),
        cmocka_unit_test(conditions_name_what_can_be_known),
        cmocka_unit_test(sentences_are_well_formed),
        cmocka_unit_test(failures_have_a_cure),
        cmocka_unit_test(no_sentence_is_cut),
        cmocka_unit_test(a_recording_may_stop_anywhere),
        cmocka_unit_test(each_row_is_the_verdict_of_a_case),
        cmocka_unit_test(each_rule_is_looked_at),
    };
    int failed;

    the_reader = reader_new();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    reader_free(the_reader);
    return failed;
}

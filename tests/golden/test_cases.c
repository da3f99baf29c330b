/* Golden cases: what comes of a session's bytes is what the case's file expects, and the events are
 * the same however the bytes are cut, and where expat alone reads them. docs/testing.md tells how
 * to add one.
 *
 *   test_cases [FILE.case...]    these alone; none: all of tests/golden/cases/
 *
 * With GOLDEN_UPDATE=1 in the environment the expected sections are written instead.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../decoder/verdict.h"
#include "../../logs/json.h"
#include "../../logs/tally.h"
#include "../fuzz/lines.h"
#include "play.h"
#include "sections.h"

#define CASES     "tests/golden/cases/*.case"
#define UPDATE    "GOLDEN_UPDATE=1 build/release/tests/golden/test_cases"
#define TEXT_MAX  (64u << 20)
#define DIFF_MAX  6  /* lines shown of either text */
#define SANITIZED 11 /* where each turn costs so much more, one in so many is taken */

static struct reader *the_reader, *strict_reader;

/* ---- files ---- */

static void load(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    char piece[65536];
    size_t n;

    if (!f)
        fail_msg("%s: %s (run from the repository's root)", path, strerror(errno));
    buf_init(out, TEXT_MAX);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        assert_int_equal(buf_add(out, piece, n), 0);
    assert_int_equal(ferror(f), 0);
    fclose(f);
}

/* Whole or not at all. */
static void save(const char *path, const struct buf *text)
{
    char new[4096];
    FILE *f;

    snprintf(new, sizeof new, "%s.new", path);
    f = fopen(new, "wb");
    if (!f)
        fail_msg("%s: %s", new, strerror(errno));
    assert_int_equal(fwrite(text->p, 1, text->len, f), text->len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(new, path), 0);
}

/* ---- the whole case, as the recorder takes it in ---- */

struct whole {
    struct tally tally;
    struct story story;
    struct buf archive;      /* lines of JSON */
    struct sink *transcript; /* live */
    int fd;
    struct buf live;
    struct json_record *record; /* read back */
    struct event *event;
    size_t events;
};

static void whole_event(void *arg, struct event *ev)
{
    struct whole *w = arg;
    struct verdict verdict;

    if (ev->kind == EVENT_SESSION)
        tally_init(&w->tally);
    tally_event(&w->tally, ev);
    story_event(&w->story, ev);
    if (ev->kind == EVENT_END) {
        verdict_give(&w->story, &verdict);
        ev->u.end.verdict = verdict.id;
        ev->u.end.sentence = verdict.sentence;
        story_free(&w->story);
    }
    if (ev->kind == EVENT_END)
        tally_free(&w->tally);
    assert_int_equal(json_event_write(&w->archive, ev), 0);
    assert_int_equal(w->transcript->event(w->transcript, ev), 0);
}

/* What is read back must be what was written. */
static void read_back(struct whole *w)
{
    const char *p = w->archive.p, *end = p + w->archive.len;
    struct buf again;
    size_t lines = 0;

    for (size_t i = 0; i < w->archive.len; i++)
        lines += p[i] == '\n';
    w->record = calloc(lines, sizeof *w->record);
    w->event = calloc(lines, sizeof *w->event);
    assert_true(w->record && w->event);
    buf_init(&again, TEXT_MAX);
    for (; p < end; w->events++) {
        size_t n = (size_t)((const char *)memchr(p, '\n', (size_t)(end - p)) + 1 - p);
        struct json_record *r = &w->record[w->events];
        char why[2048];
        struct error e;

        if (!lines_agree(p, n, why, sizeof why))
            fail_msg("its record depends on who reads it: %s", why);
        if (json_event_read(r, p, n, &e))
            fail_msg("its record is not read back: %s: %.*s", e.detail, (int)n, p);
        again.len = 0;
        assert_int_equal(json_event_write(&again, &r->event), 0);
        if (again.len != n || memcmp(again.p, p, n) != 0)
            fail_msg("its record is another read back: %.*sinstead of %.*s", (int)again.len,
                     again.p, (int)n, p);
        w->event[w->events] = r->event;
        p += n;
    }
    buf_free(&again);
}

static void whole_run(struct whole *w, const struct case_file *c)
{
    const struct play_cuts uncut = {.piece = PLAY_WHOLE};

    *w = (struct whole){0};
    buf_init(&w->archive, TEXT_MAX);
    buf_init(&w->live, TEXT_MAX);
    w->transcript = section_transcript(&w->fd);
    assert_non_null(w->transcript);
    play(c, true, the_reader, &uncut, whole_event, w);
    assert_int_equal(section_transcript_end(w->transcript, w->fd, &w->live), 0);
    read_back(w);
}

static void whole_free(struct whole *w)
{
    for (size_t i = 0; i < w->events; i++)
        json_record_free(&w->record[i]);
    free(w->record);
    free(w->event);
    buf_free(&w->archive);
    buf_free(&w->live);
}

/* ---- what it must be ---- */

static size_t line_length(const char *p, size_t n)
{
    const char *nl = memchr(p, '\n', n);

    return nl ? (size_t)(nl + 1 - p) : n;
}

static void show_lines(char mark, const char *p, size_t n)
{
    for (int i = 0; n && i < DIFF_MAX; i++) {
        size_t len = line_length(p, n);

        fprintf(stderr, "  %c %.*s\n", mark, (int)(len - (p[len - 1] == '\n')), p);
        p += len;
        n -= len;
    }
    if (n)
        fprintf(stderr, "  %c ...\n", mark);
}

/* Both texts from their first differing line on; their common end is left out. */
static void show_difference(const char *path, const char *name, size_t line, const char *want,
                            size_t want_len, const char *got, size_t got_len)
{
    size_t at = 0, tail = 0;

    while (at < want_len && at < got_len) {
        size_t len = line_length(want + at, want_len - at);

        if (len != line_length(got + at, got_len - at) || memcmp(want + at, got + at, len) != 0)
            break;
        at += len;
        line++;
    }
    want += at, want_len -= at, got += at, got_len -= at;
    for (size_t i = 1; i <= want_len && i <= got_len; i++) {
        if (want[want_len - i] != got[got_len - i])
            break;
        if (i < want_len && i < got_len && want[want_len - i - 1] == '\n' &&
            got[got_len - i - 1] == '\n')
            tail = i;
    }
    fprintf(stderr, "%s:%zu: %s: - expected, + got:\n", path, line, name);
    show_lines('-', want, want_len - tail);
    show_lines('+', got, got_len - tail);
}

static bool same_text(const char *path, const char *name, size_t line, const char *want,
                      size_t want_len, const struct buf *got)
{
    if (want_len == got->len && (want_len == 0 || memcmp(want, got->p, want_len) == 0))
        return true;
    show_difference(path, name, line, want, want_len, got->len ? got->p : "", got->len);
    return false;
}

static void write_section(const struct section *s, const struct whole *w, struct buf *out)
{
    buf_init(out, TEXT_MAX);
    if (s->write(out, w->event, w->events))
        fail_msg("the section %s cannot be written", s->name);
    for (size_t at = 0, n; at < out->len; at += n) {
        n = line_length(out->p + at, out->len - at);
        if (out->p[at + n - 1] != '\n')
            fail_msg("the section %s does not end with a newline", s->name);
        if (case_is_heading(out->p + at, n - 1))
            fail_msg("the section %s has a line that would begin another", s->name);
    }
}

static void check_sections(const struct case_file *c, const struct whole *w)
{
    unsigned bad = 0, missing = 0;

    for (const struct section *s = sections; s->name; s++) {
        const struct case_section *want = case_section(c, s->name);
        struct buf got;

        write_section(s, w, &got);
        if (!want) {
            missing++;
            fprintf(stderr, "%s: no section %s\n", c->path, s->name);
        } else if (!same_text(c->path, s->name, want->line, want->text, want->len, &got)) {
            bad++;
        }
        if (strcmp(s->name, "transcript") == 0 &&
            !same_text(c->path, "transcript: read back (-), live (+)", 1, got.p, got.len, &w->live))
            bad++;
        buf_free(&got);
    }
    if (bad || missing)
        fail_msg("%u sections differ, %u are missing; look at the difference that this makes:\n"
                 "  " UPDATE " %s",
                 bad, missing, c->path);
}

static void update_sections(const struct case_file *c, const struct whole *w, const struct buf *old)
{
    struct buf new, text;

    buf_init(&new, TEXT_MAX);
    assert_int_equal(buf_add(&new, old->p, c->input_len), 0);
    if (new.p[new.len - 1] != '\n')
        assert_int_equal(buf_str(&new, "\n"), 0);
    for (const struct section *s = sections; s->name; s++) {
        write_section(s, w, &text);
        assert_int_equal(buf_printf(&new, "==== %s\n", s->name), 0);
        assert_int_equal(buf_add(&new, text.p, text.len), 0);
        buf_free(&text);
    }
    save(c->path, &new);
    buf_free(&new);
}

/* ---- however it is cut, and whoever reads it ---- */

static void check_events(const struct case_file *c, bool redact, struct reader *reader,
                         const struct play_cuts *cuts, const struct play_lines *want)
{
    struct play_lines got;
    const char *line = want->text.p;

    play_lines_init(&got, want);
    play(c, redact, reader, cuts, play_lines_event, &got);
    if (!play_lines_end(&got)) {
        size_t left = want->text.len - got.at;

        fprintf(stderr, "%s: secrets %s, %s %zu: the first event that differs:\n", c->path,
                redact ? "redacted" : "kept", cuts->piece ? "in pieces of" : "cut in turn",
                cuts->piece ? cuts->piece : cuts->turn);
        show_lines('-', line + got.at, left ? line_length(line + got.at, left) : 0);
        show_lines('+', got.text.p, got.text.len);
        fail_msg("the events depend on %s",
                 reader == the_reader ? "how the bytes are cut" : "whether expat alone reads them");
    }
    play_lines_free(&got);
}

static void check_all_cuts(const struct case_file *c, bool redact)
{
    static const size_t pieces[] = {1, 2, 3, 7};
    const struct play_cuts uncut = {.piece = PLAY_WHOLE};
    size_t step = getenv("XMPPTAP_SANITIZED") ? SANITIZED : 1, turns = play_turns(c);
    struct play_lines want;

    play_lines_init(&want, NULL);
    play(c, redact, the_reader, &uncut, play_lines_event, &want);
    assert_true(play_lines_end(&want));
    check_events(c, redact, strict_reader, &uncut, &want);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        check_events(c, redact, the_reader, &(struct play_cuts){.piece = pieces[i]}, &want);
    for (size_t turn = 0; turn < turns; turn += step)
        check_events(c, redact, the_reader, &(struct play_cuts){.turn = turn}, &want);
    play_lines_free(&want);
}

static void golden_case(void **state)
{
    const char *path = *state;
    struct case_file c;
    struct whole w;
    struct buf text;
    struct error e;

    load(path, &text);
    if (case_parse(&c, path, text.p ? text.p : "", text.len, &e))
        fail_msg("%s", e.detail);
    whole_run(&w, &c);
    if (getenv("GOLDEN_UPDATE")) {
        update_sections(&c, &w, &text);
    } else {
        check_sections(&c, &w);
        check_all_cuts(&c, true);
        check_all_cuts(&c, false);
    }
    whole_free(&w);
    case_free(&c);
    buf_free(&text);
}

/* ---- a test a file ---- */

static char *test_name(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');

    return dot ? strndup(name, (size_t)(dot - name)) : strdup(name);
}

static int run_cases(char **paths, size_t n)
{
    struct CMUnitTest *tests = calloc(n, sizeof *tests);
    int failed;

    if (!tests)
        return 1;
    for (size_t i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){
            .name = test_name(paths[i]), .test_func = golden_case, .initial_state = paths[i]};
    failed = _cmocka_run_group_tests("golden cases", tests, n, NULL, NULL);
    for (size_t i = 0; i < n; i++)
        free((char *)(uintptr_t)tests[i].name);
    free(tests);
    return failed;
}

int main(int argc, char **argv)
{
    glob_t found = {0};
    int failed = 1;

    the_reader = reader_new();
    strict_reader = reader_new();
    reader_strict(strict_reader);
    if (argc > 1)
        failed = run_cases(argv + 1, (size_t)argc - 1);
    else if (glob(CASES, 0, NULL, &found) == 0)
        failed = run_cases(found.gl_pathv, found.gl_pathc);
    else
        fprintf(stderr, "no " CASES ": run from the repository's root\n");
    globfree(&found);
    reader_free(the_reader);
    reader_free(strict_reader);
    return failed;
}

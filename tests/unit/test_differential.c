/* Thousands of generated streams, each cut into random pieces: the scanner and the reader find in
 * them what expat finds in one piece (tests/fuzz/agree.h), and fail in the same item where there is
 * an error.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/agree.h"
#include "generator.h"

#define SOUND  5000
#define BROKEN 2000
#define QUICK_SHARE 12 /* at least one of so many tokens is the quick reader's, and one is not */
#define GROUP  6 /* streams that are read at the same time, more than a reader has parsers */

static unsigned share(unsigned streams)
{
    return getenv("XMPPTAP_SANITIZED") ? streams / 10 : streams;
}

struct stream {
    uint64_t seed;
    struct generated text;
    struct agree agree;
    size_t piece_max;
    bool done;
};

/* `how` < INJURIES: with one error of that kind. */
static void open_stream(struct stream *s, struct reader *r, uint64_t seed, enum injury how)
{
    static const size_t sizes[] = {1, 2, 16, 200, 5000, SIZE_MAX};

    *s = (struct stream){.seed = seed};
    generate(&s->text, seed);
    if (how < INJURIES)
        injure(&s->text, &s->seed, how);
    s->piece_max = sizes[random_below(&s->seed, sizeof sizes / sizeof *sizes)];
    agree_begin(&s->agree, r, NULL, s->text.bytes.p, s->text.bytes.len);
}

static void close_stream(struct stream *s)
{
    agree_end(&s->agree);
    generated_free(&s->text);
}

/* One piece more of it. */
static void go_on(struct stream *s, uint64_t seed)
{
    struct agree *a = &s->agree;
    size_t piece = s->piece_max > a->n ? a->n : 1 + random_below(&s->seed, s->piece_max);

    s->done = a->over || a->at == a->n;
    if (!agree_feed(a, piece))
        fail_msg("stream of seed %" PRIu64 ": %s", seed, a->why);
}

/* Reads GROUP streams in turns with one reader, beginning with `seed`; returns in how many of them
 * expat found a violation. Adds how many tokens were met, and taken by the quick reader. */
static unsigned read_group(uint64_t seed, bool broken, size_t *items, size_t *quick)
{
    struct stream streams[GROUP];
    struct reader *r = reader_new();
    uint64_t turns = seed;
    unsigned left = GROUP, violations = 0;

    assert_non_null(r);
    for (unsigned i = 0; i < GROUP; i++)
        open_stream(&streams[i], r, seed + i,
                    broken ? (enum injury)((seed + i) % INJURIES) : INJURIES);
    while (left) {
        unsigned i = random_below(&turns, GROUP);

        if (streams[i].done)
            continue;
        go_on(&streams[i], seed + i);
        left -= streams[i].done;
    }
    for (unsigned i = 0; i < GROUP; i++) {
        struct agree *a = &streams[i].agree;

        *items += a->met;
        *quick += a->quick;
        violations += a->whole.why != WHOLE_GOES_ON;
        if (!broken) /* the generator itself must be right, and all of it read */
            assert_int_equal(a->met, streams[i].text.tokens);
        close_stream(&streams[i]);
    }
    reader_free(r);
    return violations;
}

static void test_sound(void **state)
{
    size_t items = 0, quick = 0;

    (void)state;
    for (uint64_t seed = 0; seed < share(SOUND); seed += GROUP)
        assert_int_equal(read_group(seed, false, &items, &quick), 0);
    assert_in_range(quick, items / QUICK_SHARE, items - items / QUICK_SHARE);
}

static void test_broken(void **state)
{
    unsigned violations = 0, n = share(BROKEN);
    size_t items = 0, quick = 0;

    (void)state;
    for (uint64_t seed = 0; seed < n; seed += GROUP)
        violations += read_group(1000000 + seed, true, &items, &quick);
    assert_in_range(violations, n / 2, n + GROUP);
}

/* ---- behind an item that is refused ---- */

/* Items of `text` that the reader refuses, as bits; the others must be what `sound` has there. */
static uint32_t read_past(struct reader *r, const struct generated *text, const struct whole *sound,
                          uint64_t seed)
{
    const char *p = text->bytes.p;
    size_t n = text->bytes.len, used;
    struct reader_stream st;
    struct scan scan;
    uint32_t refused = 0;
    unsigned i = 0;

    reader_stream_init(&st);
    scan_init(&scan, NULL);
    for (size_t at = 0; at < n; at += used) {
        enum scan_what what = scan_next(&scan, p + at, n - at, &used);
        const struct item *it = NULL;
        struct error e;
        char why[200];
        int err = 0;

        assert_true(what != SCAN_BAD && scan.flaw == ERR_NONE);
        if (what == SCAN_HEADER)
            err = reader_header(r, &st, p + at, used, &it, &e);
        else if (what == SCAN_ITEM)
            err = reader_item(r, &st, p + at, used, &it, &e);
        else if (what == SCAN_CLOSE)
            err = reader_close(r, &st, p + at, used, &e);
        if (err)
            refused |= 1u << i;
        else if (what == SCAN_ITEM &&
                 !agree_item(it, sound, i, whole_token(sound, i)->start, why, sizeof why))
            fail_msg("stream of seed %" PRIu64 ", item %u: %s", seed, i, why);
        i += what != SCAN_SPACE && what != SCAN_MORE;
    }
    assert_int_equal(i, text->tokens);
    reader_stream_free(&st);
    return refused;
}

/* The items behind one that is refused are read as if nothing had been. */
static void test_goes_on(void **state)
{
    struct reader *r = reader_new();
    unsigned refused = 0, n = share(BROKEN) / 4;

    (void)state;
    for (uint64_t seed = 2000000; seed < 2000000 + n; seed++) {
        enum injury how = INJURY_END_TAG + (enum injury)(seed % (INJURIES - INJURY_END_TAG));
        struct generated sound, text;
        struct whole whole;
        uint64_t rest = seed;
        uint32_t bits;
        unsigned i;

        generate(&sound, seed);
        generate(&text, seed);
        whole_read(&whole, sound.bytes.p, sound.bytes.len);
        assert_int_equal(whole.why, WHOLE_GOES_ON);
        i = injure(&text, &rest, how);
        bits = read_past(r, &text, &whole, seed);
        if (bits & ~(1u << i))
            fail_msg("stream of seed %" PRIu64 ": refused %" PRIx32 ", not %u alone", seed, bits,
                     i);
        refused += bits != 0;
        whole_free(&whole);
        generated_free(&sound);
        generated_free(&text);
    }
    assert_in_range(refused, n / 2, n);
    reader_free(r);
}

/* A stream so long that its parser begins anew several times. */
static void test_long(void **state)
{
    struct reader *r = reader_new();
    struct generated part;
    struct buf all;
    struct agree a;

    (void)state;
    generate(&part, 6);
    assert_true(part.tokens > 2);
    buf_init(&all, 8u << 20);
    assert_int_equal(buf_add(&all, part.bytes.p, part.to[0]), 0);
    while (all.len < 5u << 20)
        for (unsigned i = 1; i < part.tokens; i++)
            if (part.bytes.p[part.from[i] + 1] != '/')
                assert_int_equal(
                    buf_add(&all, part.bytes.p + part.from[i], part.to[i] - part.from[i]), 0);
    agree_begin(&a, r, NULL, all.p, all.len);
    for (size_t at = 0; at <= all.len; at += 1000)
        if (!agree_feed(&a, 1000))
            fail_msg("%s", a.why);
    assert_false(a.over);
    assert_true(agree_feed(&a, 1000) && a.met == whole_tokens(&a.whole));
    agree_end(&a);
    buf_free(&all);
    generated_free(&part);
    reader_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The harness of golden cases itself: that every offset is cut, and that events which depend on the
 * cuts are seen as different. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "play.h"

static void every_offset_of_every_line_is_cut(void **state)
{
    static const size_t lengths[] = {1, 2, 3, 700, PLAY_SPAN, PLAY_SPAN + 1, PLAY_SPAN + 2, 5000};
    static const size_t lines = sizeof lengths / sizeof *lengths;
    struct case_step step[sizeof lengths / sizeof *lengths] = {0};
    struct case_file c = {.step = step, .steps = lines};
    static bool cut[5000];

    (void)state;
    for (size_t i = 0; i < lines; i++)
        step[i] = (struct case_step){.data = true, .len = lengths[i]};
    assert_int_equal(play_turns(&c), PLAY_SPAN);
    for (size_t i = 0; i < lines; i++) {
        memset(cut, 0, sizeof cut);
        for (size_t turn = 0; turn < PLAY_SPAN; turn++) {
            const struct play_cuts cuts = {.turn = turn};
            size_t pieces = 0;

            for (size_t at = 0; at < lengths[i]; pieces++) {
                size_t end = play_piece_end(&cuts, lengths[i], at);

                assert_true(end > at && end <= lengths[i]);
                if (end < lengths[i])
                    cut[end] = true;
                at = end;
            }
            if (lengths[i] <= PLAY_SPAN + 1)
                assert_int_equal(pieces, lengths[i] > 1 ? 2 : 1);
        }
        for (size_t k = 1; k < lengths[i]; k++)
            assert_true(cut[k]);
    }
}

/* ---- lines ---- */

#define BAD(nth, direction, bytes, goes_on)                                                        \
    {                                                                                              \
        .kind = EVENT_VIOLATION, .session = "s", .n = nth, .dir = direction, .data = bytes,        \
        .len = sizeof bytes - 1, .u.violation = {                                                  \
            ERR_UNREADABLE,                                                                        \
            3,                                                                                     \
            goes_on,                                                                               \
            "why"                                                                                  \
        }                                                                                          \
    }
#define ANSWER(nth, request)                                                                       \
    {                                                                                              \
        .kind = EVENT_STANZA, .session = "s", .n = nth, .dir = DIR_S2C, .label = "x",              \
        .re = request, .data = "<x/>", .len = 4                                                    \
    }

static const struct row {
    const char *name;
    struct event ev[6];
    bool same; /* as those of the first row */
} rows[] = {
    {"one violation", {BAD(1, DIR_C2S, "abc", false), ANSWER(2, 1)}, true},
    {"in three pieces, and what follows is counted on",
     {BAD(1, DIR_C2S, "a", false), BAD(2, DIR_C2S, "b", true), BAD(3, DIR_C2S, "c", true),
      ANSWER(4, 1)},
     true},
    {"other bytes",
     {BAD(1, DIR_C2S, "a", false), BAD(2, DIR_C2S, "bd", true), ANSWER(3, 1)},
     false},
    {"a byte less", {BAD(1, DIR_C2S, "a", false), BAD(2, DIR_C2S, "b", true), ANSWER(3, 1)}, false},
    {"two violations",
     {BAD(1, DIR_C2S, "a", false), BAD(2, DIR_C2S, "bc", false), ANSWER(3, 1)},
     false},
    {"another direction",
     {BAD(1, DIR_C2S, "a", false), BAD(2, DIR_S2C, "bc", true), ANSWER(3, 1)},
     false},
    {"another request", {BAD(1, DIR_C2S, "abc", false), ANSWER(2, 0)}, false},
    {"an event less", {BAD(1, DIR_C2S, "abc", false)}, false},
    {"an event more", {BAD(1, DIR_C2S, "abc", false), ANSWER(2, 1), ANSWER(3, 1)}, false},
    {"none", {{0}}, false},
};

static void give(struct play_lines *l, const struct row *r)
{
    for (size_t i = 0; i < sizeof r->ev / sizeof *r->ev && r->ev[i].session; i++) {
        struct event ev = r->ev[i];

        play_lines_event(l, &ev);
    }
}

static void only_how_a_violation_is_cut_makes_no_difference(void **state)
{
    struct play_lines want, got;

    (void)state;
    play_lines_init(&want, NULL);
    give(&want, &rows[0]);
    assert_true(play_lines_end(&want));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        play_lines_init(&got, &want);
        give(&got, &rows[i]);
        if (play_lines_end(&got) != rows[i].same)
            fail_msg("%s: %s", rows[i].name, rows[i].same ? "differs" : "no difference was seen");
        play_lines_free(&got);
    }
    play_lines_free(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_offset_of_every_line_is_cut),
        cmocka_unit_test(only_how_a_violation_is_cut_makes_no_difference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* One sink behind several recorders' doors: one event at a time, one who tells of a failure, one
 * who closes it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "../../logs/shared.h"

#define DOORS  3
#define EVENTS 20000 /* through each */

struct inner {
    struct sink sink;
    unsigned events, ticks, flushes, closes; /* no atomics: nobody else may be inside */
    atomic_bool inside;
    bool together;
    unsigned fails_at; /* this event and what follows; 0: never */
};

static int on_event(struct sink *s, const struct event *ev)
{
    struct inner *in = (struct inner *)s;

    (void)ev;
    in->together |= atomic_exchange(&in->inside, true);
    in->events++;
    atomic_store(&in->inside, false);
    if (!in->fails_at || in->events < in->fails_at)
        return 0;
    return error_set(&s->error, ERR_IO, "broken");
}

static int on_tick(struct sink *s, int64_t now_us)
{
    (void)now_us;
    ((struct inner *)s)->ticks++;
    return 0;
}

static int on_flush(struct sink *s)
{
    ((struct inner *)s)->flushes++;
    return 0;
}

static int on_close(struct sink *s)
{
    struct inner *in = (struct inner *)s;

    in->closes++;
    return in->fails_at ? ERR_IO : 0;
}

static void begin(struct inner *in, struct sink *door[DOORS])
{
    *in = (struct inner){.sink = {.event = on_event, .tick = on_tick, .flush = on_flush,
                                  .close = on_close}};
    assert_int_equal(shared_new(&in->sink, DOORS, door), 0);
}

static void *many(void *arg)
{
    struct sink *door = arg;
    struct event ev = {.kind = EVENT_STANZA};

    for (int i = 0; i < EVENTS; i++)
        door->event(door, &ev);
    return NULL;
}

static void test_one_at_a_time(void **state)
{
    struct inner in;
    struct sink *door[DOORS];
    pthread_t thread[DOORS];

    (void)state;
    begin(&in, door);
    for (int i = 0; i < DOORS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, many, door[i]), 0);
    for (int i = 0; i < DOORS; i++)
        pthread_join(thread[i], NULL);
    assert_false(in.together);
    assert_int_equal(in.events, DOORS * EVENTS);
    for (int i = 0; i < DOORS; i++) {
        assert_int_equal(door[i]->tick(door[i], 1), 0);
        assert_int_equal(door[i]->flush(door[i]), 0);
        assert_int_equal(in.closes, 0);
        assert_int_equal(door[i]->close(door[i]), 0);
    }
    assert_int_equal(in.ticks, DOORS);
    assert_int_equal(in.flushes, DOORS);
    assert_int_equal(in.closes, 1);
}

static void test_failure(void **state)
{
    struct inner in;
    struct sink *door[DOORS];
    struct event ev = {.kind = EVENT_STANZA};

    (void)state;
    begin(&in, door);
    in.fails_at = 2;
    assert_int_equal(door[0]->event(door[0], &ev), 0);
    assert_int_equal(door[1]->event(door[1], &ev), ERR_IO);
    assert_int_equal(door[2]->event(door[2], &ev), ERR_IO);
    assert_int_equal(door[0]->event(door[0], &ev), ERR_IO);
    assert_int_equal(door[0]->error.code, ERR_NONE);
    assert_int_equal(door[1]->error.code, ERR_IO);
    assert_int_equal(door[2]->error.code, ERR_NONE);
    for (int i = 0; i < DOORS; i++)
        assert_int_equal(door[i]->close(door[i]), 0); /* it has been told */
    assert_int_equal(in.closes, 1);
}

/* What only the close meets, nobody has told yet. */
static void test_failure_at_the_end(void **state)
{
    struct inner in;
    struct sink *door[DOORS];

    (void)state;
    begin(&in, door);
    in.fails_at = 1;
    for (int i = 0; i < DOORS; i++)
        assert_int_equal(door[i]->close(door[i]), i == DOORS - 1 ? ERR_IO : 0);
    assert_int_equal(in.closes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_failure_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The limits of a login and of silence, on a session that has no peers: when it is closed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "../../proxy/session.h"

struct row {
    const char *name;
    unsigned negotiation_s, idle_s;
    bool negotiated;          /* the login is over at once */
    unsigned heard_ms;        /* until then somebody speaks, now and then */
    unsigned held_ms;         /* until then the recorder holds the session up */
    unsigned after_ms;        /* it is closed then, not before; 0: never */
};

static const struct row rows[] = {
    {"a login", 1, 0, false, 0, 0, 1000},
    {"a login is over", 1, 0, true, 0, 0, 0},
    {"a login, whatever is said", 1, 2, false, 1500, 0, 1000},
    {"silence", 5, 1, false, 0, 0, 1000},
    {"silence after the login", 1, 1, true, 600, 0, 1500},
    {"a login that was held up", 1, 0, false, 0, 500, 1500},
    {"silence that was held up", 0, 1, true, 0, 500, 1500},
};

static struct session *now; /* the one being tested */
static uint64_t began_ms, closed_ms;

static void no_more(void *arg, struct leg *l)
{
    (void)arg;
    (void)l;
}

static const struct leg_user nobody = {.closed = no_more};

/* Every 100 ms: plays the row. */
static void on_tick(uv_timer_t *tick)
{
    const struct row *row = tick->data;
    uint64_t t = uv_now(tick->loop) - began_ms;

    if (now->closing || t > 4000) {
        closed_ms = now->closing ? t : 0;
        uv_close((uv_handle_t *)tick, NULL);
        if (!now->closing)
            uv_close((uv_handle_t *)&now->limits.timer, NULL);
        return;
    }
    if (t < row->heard_ms)
        limits_heard(now);
    now->paused = t < row->held_ms;
    now->limits.held_up |= now->paused;
}

static void test_row(void **state)
{
    const struct row *row = *state;
    struct proxy_options options = {PROXY_DEFAULTS};
    struct proxy proxy = {.options = &options};
    uv_loop_t loop;
    uv_timer_t tick;
    struct reader *reader = reader_new();

    options.negotiation_s = row->negotiation_s;
    options.idle_s = row->idle_s;
    assert_int_equal(uv_loop_init(&loop), 0);
    proxy.loop = &loop;
    now = calloc(1, sizeof *now);
    assert_non_null(now);
    now->proxy = &proxy;
    now->handles = 100; /* it does not free itself */
    now->gone[SIDE_CLIENT] = now->gone[SIDE_SERVER] = true;
    gate_init(&now->gate, reader, NULL, NULL);
    uv_timer_init(&loop, &now->timer);
    now->timer.data = now;
    leg_init(&now->leg[0], &loop, &nobody, now);
    leg_init(&now->leg[1], &loop, &nobody, now);
    limits_init(now);
    began_ms = uv_now(&loop);
    closed_ms = 0;
    limits_begin(now);
    if (row->negotiated)
        limits_negotiated(now);
    uv_timer_init(&loop, &tick);
    tick.data = (void *)row;
    uv_timer_start(&tick, on_tick, 0, 100);
    uv_run(&loop, UV_RUN_DEFAULT);

    if (!row->after_ms)
        assert_int_equal(closed_ms, 0);
    else if (closed_ms < row->after_ms - 150 || closed_ms > row->after_ms + 1900)
        fail_msg("closed after %lu ms, not %u", (unsigned long)closed_ms, row->after_ms);
    if (!now->finished)
        uv_close((uv_handle_t *)&now->timer, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    gate_free(&now->gate);
    reader_free(reader);
    free(now);
}

#define ROWS (sizeof rows / sizeof *rows)

int main(void)
{
    struct CMUnitTest tests[ROWS];

    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){rows[i].name, test_row, NULL, NULL,
                                       (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

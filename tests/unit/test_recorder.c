/* The recorder: what taps are given arrives in order, whole, and counted; a full queue says so. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/sha.h>

#include "../../logs/recorder.h"

#define OPEN    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
#define TAPS    20
#define STANZAS 500
#define WAIT_S  30

/* ---- a sink that checks ---- */

struct check {
    struct sink sink;
    sem_t *gate; /* if not NULL, waited for before each event */
    char ids[TAPS][TAP_ID_MAX];
    uint64_t n[TAPS];
    unsigned stanzas[TAPS];
    unsigned sessions, ends;
    struct event_count count[2]; /* of the last end */
    uint64_t gap_bytes;
    bool wrong;
    sem_t *flushed; /* if not NULL, told of each flush */
    atomic_uint flushed_stanzas; /* of the first session, given before the last flush */
};

static unsigned index_of(struct check *c, const char *id)
{
    unsigned i = 0;

    while (i < c->sessions && strcmp(c->ids[i], id) != 0)
        i++;
    return i;
}

static int on_event(struct sink *s, const struct event *ev)
{
    struct check *c = (struct check *)s;
    unsigned i;

    if (c->gate)
        sem_wait(c->gate);
    if (ev->kind == EVENT_SESSION && c->sessions < TAPS)
        snprintf(c->ids[c->sessions++], TAP_ID_MAX, "%s", ev->session);
    i = index_of(c, ev->session);
    if (i == c->sessions) {
        c->wrong = true;
        return 0;
    }
    c->wrong |= ev->n != ++c->n[i];
    if (ev->kind == EVENT_STANZA) {
        char want[64];
        int len = snprintf(want, sizeof want, "<a n='%u'/>", c->stanzas[i]++);

        c->wrong |= ev->len != (size_t)len || memcmp(ev->data, want, ev->len) != 0;
    }
    if (ev->kind == EVENT_GAP)
        c->gap_bytes += ev->u.gap.bytes;
    if (ev->kind == EVENT_END) {
        c->ends++;
        memcpy(c->count, ev->u.end.count, sizeof c->count);
    }
    return 0;
}

static int on_close(struct sink *s)
{
    (void)s;
    return 0;
}

static int on_flush(struct sink *s)
{
    struct check *c = (struct check *)s;

    atomic_store(&c->flushed_stanzas, c->stanzas[0]);
    if (c->flushed)
        sem_post(c->flushed);
    return 0;
}

static void begin(struct check *c, struct recorder_options *o)
{
    *c = (struct check){.sink = {.event = on_event, .flush = on_flush, .close = on_close}};
    *o = (struct recorder_options){.decoder = {.limits = scan_default_limits}, .sinks = {&c->sink}};
}

static struct tap *open_tap(struct recorder *r)
{
    struct event_session facts = {
        .client = "127.0.0.1:1", .listen = "", .upstream = "builtin:", .program = "test"};
    struct tap *t = tap_open(r, 1, &facts);

    assert_non_null(t);
    return t;
}

static void end_tap(struct tap *t)
{
    struct event_end end = {.code = ERR_CLOSED, .phase = "", .detail = "", .account = ""};

    tap_end(t, 2, &end);
}

static void data(struct tap *t, enum dir dir, const char *text)
{
    tap_data(t, dir, 1, text, strlen(text));
}

/* ---- tests ---- */

static void test_order(void **state)
{
    struct recorder_options o;
    struct tap *taps[TAPS];
    struct recorder *r;
    struct check c;
    char item[64];

    (void)state;
    begin(&c, &o);
    r = recorder_start(&o);
    assert_non_null(r);
    for (int i = 0; i < TAPS; i++) {
        taps[i] = open_tap(r);
        data(taps[i], DIR_C2S, OPEN);
    }
    for (int k = 0; k < STANZAS; k++) {
        snprintf(item, sizeof item, "<a n='%d'/>", k);
        for (int i = 0; i < TAPS; i++)
            data(taps[i], DIR_C2S, item);
        if (k % 50 == 0)
            recorder_publish(r);
    }
    for (int i = 0; i < TAPS; i++)
        end_tap(taps[i]);
    recorder_join(r);
    assert_int_equal(recorder_stop(r), 0);
    assert_false(c.wrong);
    assert_int_equal(c.sessions, TAPS);
    assert_int_equal(c.ends, TAPS);
    for (int i = 0; i < TAPS; i++) {
        assert_int_equal(c.stanzas[i], STANZAS);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(c.ids[i], c.ids[j]);
    }
}

static void on_room(void *arg)
{
    sem_post(arg);
}

static void wait_for(sem_t *s)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    assert_int_equal(sem_timedwait(s, &until), 0);
}

/* Full: told so, nothing lost, and told again when there is room. */
static void test_full(void **state)
{
    struct recorder_options o;
    sem_t gate, room;
    struct recorder *r;
    struct check c;
    struct tap *t;
    unsigned given = 0;
    char item[64];

    (void)state;
    sem_init(&gate, 0, 0);
    sem_init(&room, 0, 0);
    begin(&c, &o);
    c.gate = &gate;
    o.queue_bytes = 256 << 10;
    o.room = on_room;
    o.room_arg = &room;
    r = recorder_start(&o);
    assert_non_null(r);
    t = open_tap(r);
    data(t, DIR_C2S, OPEN);
    while (!recorder_full(r)) {
        snprintf(item, sizeof item, "<a n='%u'/>", given++);
        data(t, DIR_C2S, item);
        assert_true(given < 100000); /* the bound holds */
    }
    assert_int_not_equal(sem_trywait(&room), 0);
    for (unsigned i = 0; i < given + 3; i++)
        sem_post(&gate);
    wait_for(&room);
    assert_false(recorder_full(r));
    end_tap(t);
    recorder_join(r);
    recorder_stop(r);
    assert_false(c.wrong);
    assert_int_equal(c.stanzas[0], given);
    assert_int_equal(c.ends, 1);
    sem_destroy(&gate);
    sem_destroy(&room);
}

/* One session alone is told to stop long before it can make the others wait. */
static void test_one_full(void **state)
{
    struct recorder_options o;
    struct tap *greedy, *other;
    struct recorder *r;
    unsigned given = 0;
    sem_t gate, room;
    struct check c;
    char item[64];

    (void)state;
    sem_init(&gate, 0, 0);
    sem_init(&room, 0, 0);
    begin(&c, &o);
    c.gate = &gate;
    o.queue_bytes = 256 << 10;
    o.room = on_room;
    o.room_arg = &room;
    r = recorder_start(&o);
    assert_non_null(r);
    greedy = open_tap(r);
    other = open_tap(r);
    data(greedy, DIR_C2S, OPEN);
    while (!tap_full(greedy)) {
        snprintf(item, sizeof item, "<a n='%u'/>", given++);
        data(greedy, DIR_C2S, item);
        assert_true(given < 100000);
    }
    assert_false(recorder_full(r));
    assert_false(tap_full(other));
    for (unsigned i = 0; i < given + 5; i++)
        sem_post(&gate);
    wait_for(&room);
    assert_false(tap_full(greedy));
    end_tap(greedy);
    end_tap(other);
    recorder_join(r);
    recorder_stop(r);
    assert_false(c.wrong);
    assert_int_equal(c.stanzas[0], given);
    sem_destroy(&gate);
    sem_destroy(&room);
}

/* Nothing more waits: the sinks hear it, behind what was given. */
static void test_flush(void **state)
{
    struct recorder_options o;
    struct recorder *r;
    struct check c;
    struct tap *t;
    sem_t flushed;
    char item[64];

    (void)state;
    sem_init(&flushed, 0, 0);
    begin(&c, &o);
    c.flushed = &flushed;
    r = recorder_start(&o);
    assert_non_null(r);
    t = open_tap(r);
    data(t, DIR_C2S, OPEN);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(item, sizeof item, "<a n='%u'/>", i);
        data(t, DIR_C2S, item);
        recorder_publish(r);
        while (atomic_load(&c.flushed_stanzas) <= i) {
            wait_for(&flushed);
            recorder_publish(r); /* the first time the last block may not have been taken yet */
        }
    }
    end_tap(t);
    recorder_join(r);
    recorder_stop(r);
    assert_false(c.wrong);
    sem_destroy(&flushed);
}

static void hex(const char *text, char out[65])
{
    unsigned char md[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)text, strlen(text), md);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
        snprintf(out + 2 * i, 3, "%02x", md[i]);
}

static void edit(struct tap *t, enum dir dir, uint64_t bytes, const char *sent)
{
    struct mark m = {.kind = MARK_EDIT,
                     .dir = dir,
                     .bytes = bytes,
                     .sent = sent,
                     .sent_len = strlen(sent),
                     .reason = "a test"};

    tap_mark(t, 1, &m);
}

/* What a tap is given, in order: bytes, with or without an edit of them. */
struct given {
    enum dir dir;
    const char *bytes; /* NULL: an edit that covers none */
    const char *sent;  /* NULL: as they came */
    uint64_t covers;   /* bytes that the edit covers */
};

static void check_count(const struct event_count *c, const char *got, const char *sent)
{
    char want[65];

    hex(got, want);
    assert_string_equal(c->sha256, want);
    assert_int_equal(c->bytes, strlen(got));
    assert_int_equal(c->edited, sent != NULL);
    if (!sent)
        return;
    hex(sent, want);
    assert_string_equal(c->sent_sha256, want);
    assert_int_equal(c->sent_bytes, strlen(sent));
}

/* `end` counts what was received, and apart from it what was sent where that differs. */
static void test_counts(void **state)
{
    static const struct {
        struct given given[6];
        const char *got[2], *sent[2]; /* by direction; sent NULL: the same */
    } rows[] = {
        {{{DIR_C2S, OPEN, NULL, 0}, {DIR_S2C, OPEN, NULL, 0}}, {OPEN, OPEN}, {NULL, NULL}},
        {{{DIR_C2S, OPEN, NULL, 0},
          {DIR_C2S, "\n", "", 1},
          {DIR_C2S, "<a n='0'/>", "<b/>", 10},
          {DIR_C2S, "</stream:stream>", NULL, 0},
          {DIR_S2C, OPEN, NULL, 0}},
         {OPEN "\n<a n='0'/></stream:stream>", OPEN},
         {OPEN "<b/></stream:stream>", NULL}},
        {{{DIR_S2C, OPEN, NULL, 0},
          {DIR_S2C, "<a n='0'/>", "<b/>", 10},
          {DIR_S2C, "<a n='1'/>", NULL, 0},
          {DIR_S2C, NULL, "</stream:stream>", 0}},
         {"", OPEN "<a n='0'/><a n='1'/>"},
         {NULL, OPEN "<b/><a n='1'/></stream:stream>"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recorder_options o;
        struct recorder *r;
        struct check c;
        struct tap *t;

        begin(&c, &o);
        r = recorder_start(&o);
        assert_non_null(r);
        t = open_tap(r);
        for (const struct given *g = rows[i].given; g->bytes || g->sent; g++) {
            if (g->sent)
                edit(t, g->dir, g->covers, g->sent);
            if (g->bytes)
                data(t, g->dir, g->bytes);
        }
        end_tap(t);
        recorder_join(r);
        recorder_stop(r);
        assert_false(c.wrong);
        for (int dir = 0; dir < 2; dir++)
            check_count(&c.count[dir], rows[i].got[dir], rows[i].sent[dir]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_one_full),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

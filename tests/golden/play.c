#include "play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../logs/json.h"

#define BEGIN_US  INT64_C(1795435200000000) /* 2026-11-23T12:00:00Z */
#define LINES_MAX (256u << 20)

/* There is no going on without memory here. */
static void must(int err)
{
    if (err) {
        fprintf(stderr, "golden: %s\n", error_text((enum error_code)err));
        abort();
    }
}

/* ---- feeding ---- */

/* Offsets that a line's cuts turn through. */
static size_t span(size_t len)
{
    return len < 2 ? 1 : len - 1 < PLAY_SPAN ? len - 1 : PLAY_SPAN;
}

size_t play_turns(const struct case_file *c)
{
    size_t turns = 0;

    for (size_t i = 0; i < c->steps; i++)
        if (c->step[i].data && span(c->step[i].len) > turns)
            turns = span(c->step[i].len);
    return turns;
}

size_t play_piece_end(const struct play_cuts *cuts, size_t len, size_t at)
{
    size_t end = 1 + cuts->turn % span(len);

    if (cuts->piece)
        return len - at < cuts->piece ? len : at + cuts->piece;
    while (end <= at)
        end += span(len);
    return end < len ? end : len;
}

static void feed(struct decoder *d, const struct case_step *st, const struct play_cuts *cuts)
{
    for (size_t at = 0; at < st->len;) {
        size_t end = play_piece_end(cuts, st->len, at);

        decoder_data(d, st->mark.dir, BEGIN_US + st->t_us, st->p + at, end - at);
        at = end;
    }
}

void play(const struct case_file *c, bool redact, struct reader *reader,
          const struct play_cuts *cuts, decoder_emit *emit, void *arg)
{
    struct sm_table *resumptions = sm_table_new();
    struct decoder_options o = {
        .limits = scan_default_limits, .redact = redact, .resumptions = resumptions};
    struct decoder *d = NULL;
    unsigned sessions = 0;
    char id[32];

    for (size_t i = 0; i < c->steps; i++) {
        const struct case_step *st = &c->step[i];

        if (st->data) {
            feed(d, st, cuts);
            continue;
        }
        if (st->mark.kind == MARK_SESSION) {
            snprintf(id, sizeof id, "golden-%u", ++sessions);
            d = decoder_new(id, &o, reader, emit, arg);
            must(d ? 0 : ERR_NOMEM);
        }
        decoder_mark(d, BEGIN_US + st->t_us, &st->mark);
        if (st->mark.kind == MARK_END) {
            decoder_free(d);
            d = NULL;
        }
    }
    sm_table_free(resumptions);
}

/* ---- lines ---- */

void play_lines_init(struct play_lines *l, const struct play_lines *want)
{
    *l = (struct play_lines){.want = want};
    buf_init(&l->text, LINES_MAX);
    buf_init(&l->numbers, LINES_MAX);
    buf_init(&l->held_bytes, LINES_MAX);
}

void play_lines_free(struct play_lines *l)
{
    buf_free(&l->text);
    buf_free(&l->numbers);
    buf_free(&l->held_bytes);
}

static void write_line(struct play_lines *l, const struct event *ev)
{
    const struct buf *want = l->want ? &l->want->text : NULL;

    if (want)
        l->text.len = 0;
    must(json_event_write(&l->text, ev));
    if (!want)
        return;
    l->differs =
        l->text.len > want->len - l->at || memcmp(l->text.p, want->p + l->at, l->text.len) != 0;
    if (!l->differs)
        l->at += l->text.len;
}

static void write_held(struct play_lines *l)
{
    if (!l->holding)
        return;
    l->holding = false;
    l->held.data = l->held_bytes.p;
    l->held.len = l->held_bytes.len;
    /* How much of it may be kept depends on how much came before the word "password": the rest
     * counts as withheld too, but the sum must be the same. */
    if (l->held.withheld) {
        l->held.withheld += l->held.len;
        l->held.len = 0;
    }
    write_line(l, &l->held);
}

static void hold(struct play_lines *l, const struct event *ev)
{
    l->holding = true;
    l->held = *ev;
    snprintf(l->held_detail, sizeof l->held_detail, "%s", ev->u.violation.detail);
    l->held.u.violation.detail = l->held_detail;
    l->held_bytes.len = 0;
    must(buf_add(&l->held_bytes, ev->data, ev->len));
}

static bool goes_on(const struct play_lines *l, const struct event *ev)
{
    return l->holding && ev->kind == EVENT_VIOLATION && ev->u.violation.more &&
           ev->dir == l->held.dir;
}

static void renumber(const struct play_lines *l, uint64_t *n)
{
    if (*n && *n <= l->numbers.len / sizeof *n)
        memcpy(n, l->numbers.p + (*n - 1) * sizeof *n, sizeof *n);
}

static void renumber_event(const struct play_lines *l, struct event *ev)
{
    struct event_end *end = &ev->u.end;

    renumber(l, &ev->n);
    renumber(l, &ev->re);
    if (ev->kind == EVENT_EDIT)
        renumber(l, &ev->u.edit.of);
    if (ev->kind != EVENT_END)
        return;
    for (unsigned i = 0; i < end->opens; i++)
        renumber(l, &end->open[i].n);
    for (unsigned i = 0; i < end->slows; i++)
        renumber(l, &end->slow[i].n);
}

void play_lines_event(void *lines, struct event *event)
{
    struct play_lines *l = lines;
    struct event ev = *event;

    if (ev.kind == EVENT_SESSION)
        l->n = l->numbers.len = 0;
    l->n += !goes_on(l, &ev);
    must(buf_add(&l->numbers, &l->n, sizeof l->n));
    if (l->differs)
        return;
    if (goes_on(l, &ev)) {
        must(buf_add(&l->held_bytes, ev.data, ev.len));
        l->held.withheld += ev.withheld;
        return;
    }
    write_held(l);
    if (l->differs)
        return;
    renumber_event(l, &ev);
    if (ev.kind == EVENT_VIOLATION)
        hold(l, &ev);
    else
        write_line(l, &ev);
}

bool play_lines_end(struct play_lines *l)
{
    if (!l->differs)
        write_held(l);
    if (l->want && !l->differs && l->at != l->want->text.len) {
        l->text.len = 0;
        l->differs = true;
    }
    return !l->differs;
}

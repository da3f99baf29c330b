#include "decoder_emit.h"

#include <stdlib.h>
#include <string.h>

#define SPACE_GAP_US 100000 /* white space that comes later than this is an item of its own */

void emit_begin(struct event *ev, enum event_kind kind, enum dir dir, const char *p,
                        size_t n)
{
    memset(ev, 0, offsetof(struct event, u));
    ev->kind = kind;
    ev->dir = dir;
    ev->data = p;
    ev->len = n;
}

static void emit_now(struct decoder *d, struct event *ev)
{
    ev->session = d->session;
    ev->n = ++d->n;
    d->emit(d->arg, ev);
}

void emit_space(struct decoder *d, enum dir dir)
{
    struct way *w = &d->way[dir];
    struct event ev;

    if (w->space_len == 0)
        return;
    emit_begin(&ev, EVENT_SPACE, dir, w->space, w->space_len);
    ev.time_us = w->space_us;
    ev.label = "space";
    ev.edited = w->edit_reason != NULL;
    w->space_len = 0;
    emit_now(d, &ev);
}

/* White space keeps its place: it is recorded before whatever comes behind it. */
void emit_space_first(struct decoder *d)
{
    enum dir first;

    if (!d->way[0].space_len && !d->way[1].space_len)
        return;
    first = d->way[0].space_us <= d->way[1].space_us ? DIR_C2S : DIR_S2C;
    emit_space(d, first);
    emit_space(d, !first);
}

void emit_event(struct decoder *d, struct event *ev)
{
    emit_space_first(d);
    ev->time_us = d->now_us;
    emit_now(d, ev);
}

/* What an edit sent, read as an item; NULL where it is not one and no more. */
static const struct item *read_sent(struct decoder *d, struct way *w)
{
    const struct item *it;
    struct scan scan;
    size_t used;

    scan_init(&scan, &d->options.limits);
    if (!w->edit_sent.len || scan_next(&scan, "<s>", 3, &used) != SCAN_HEADER ||
        scan_next(&scan, w->edit_sent.p, w->edit_sent.len, &used) != SCAN_ITEM || scan.flaw ||
        used != w->edit_sent.len ||
        reader_item(d->reader, &w->stream, w->edit_sent.p, w->edit_sent.len, &it, NULL))
        return NULL;
    return it;
}

/* The announced edit, behind the items it covers; `of`: the last of them, 0 if there is none. */
void emit_edit(struct decoder *d, enum dir dir, uint64_t of)
{
    struct way *w = &d->way[dir];
    struct event ev = {.kind = EVENT_EDIT, .dir = dir};
    struct meaning_notes notes;

    if (!w->edit_reason)
        return;
    emit_space_first(d); /* then the edit's number is the next one */
    ev.u.edit = (struct event_edit){of, w->edit_sent.p ? w->edit_sent.p : "", w->edit_sent.len,
                                    w->edit_reason};
    meaning_sent(&d->meaning, read_sent(d, w), d->n + 1, d->now_us, &ev, &notes);
    emit_event(d, &ev);
    meaning_done(&d->meaning);
    free(w->edit_reason);
    w->edit_reason = NULL;
    buf_free(&w->edit_sent);
}

/* `received` bytes of `dir` have been recorded: is the edit that covers them complete? */
static void edit_covered(struct decoder *d, enum dir dir, size_t received)
{
    struct way *w = &d->way[dir];

    if (!w->edit_reason)
        return;
    w->edit_left -= received < w->edit_left ? received : w->edit_left;
    if (w->edit_left == 0)
        emit_edit(d, dir, d->n);
}

/* An item of the wire that was `received` bytes long (before redaction). */
void emit_wire(struct decoder *d, struct event *ev, size_t received)
{
    ev->edited = d->way[ev->dir].edit_reason != NULL;
    emit_event(d, ev);
    edit_covered(d, ev->dir, received);
}

void emit_gap(struct decoder *d, enum dir dir, uint64_t bytes)
{
    struct event ev = {.kind = EVENT_GAP, .dir = dir, .u.gap = {bytes}};

    meaning_missed(&d->meaning, dir);
    emit_event(d, &ev);
}

void emit_add_space(struct decoder *d, enum dir dir, const char *p, size_t n)
{
    struct way *w = &d->way[dir];
    size_t all = n;

    while (n) {
        size_t room = SPACE_MAX - w->space_len, take = n < room ? n : room;

        if (w->space_len && (take == 0 || d->now_us - w->space_us > SPACE_GAP_US)) {
            emit_space(d, dir);
            continue;
        }
        memcpy(w->space + w->space_len, p, take);
        w->space_len = (unsigned char)(w->space_len + take);
        w->space_us = d->now_us;
        p += take;
        n -= take;
    }
    if (w->edit_reason) {
        if (all >= w->edit_left) /* else more of it may come, in pieces */
            emit_space(d, dir);
        edit_covered(d, dir, all);
    }
}

/* ---- violations ---- */

/* Bytes that cannot be read as an item; where a password may stand in them only their length is
 * kept. */
void emit_violation(struct decoder *d, enum dir dir, enum error_code code, uint64_t offset,
                      bool more, const char *detail, const char *p, size_t n)
{
    struct event ev = {.kind = EVENT_VIOLATION, .dir = dir, .data = p, .len = n};

    if (!meaning_unreadable(&d->meaning, dir, more, &ev.data, &ev.len)) {
        ev.data = NULL;
        ev.len = 0;
        ev.withheld = n;
    }
    meaning_missed(&d->meaning, dir);
    ev.u.violation = (struct event_violation){code, offset, more, detail};
    emit_wire(d, &ev, n);
    meaning_done(&d->meaning);
}

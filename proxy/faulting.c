#include "faulting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../decoder/meaning.h"
#include "../logs/message.h"
#include "door.h"
#include "fault_kind.h"
#include "recording.h"
#include "session.h"

#define NS_STREAMS "http://etherx.jabber.org/streams"
#define REASON_MAX 1024
#define PIECE_MAX  (16u << 20) /* what is broken: far above what the gate lets an item have */
#define CLOSING    "</stream:stream>"

/* One direction. */
struct faulting_way {
    uv_timer_t timer;
    struct session *session;
    enum dir dir;
    const struct fault *note;   /* what is done to what goes on next, or NULL */
    size_t delayed;             /* bytes of the item that waits */
    const struct fault *silent; /* nothing goes on any more, or NULL */
    const struct fault *opened; /* asked for of the header, for the features behind it, */
    const char *opens;          /* which have its label; NULL: none was asked */
    bool told;                  /* of that header */
    bool headed;                /* a header has gone on in this stream */
};

struct faulting {
    struct gate_user user;      /* recording_gate, but for what is done here */
    const struct fault *fault;  /* borrowed: `faults` of them */
    unsigned faults, seen[FAULTS_MAX]; /* items of their labels */
    struct meaning meaning;
    uint64_t items;
    struct faulting_way way[2];
};

static enum dir other(enum dir dir)
{
    return dir == DIR_C2S ? DIR_S2C : DIR_C2S;
}

static bool asked_features(enum dir dir, const struct item *it)
{
    return dir == DIR_S2C && it && item_is(it, 0, NS_STREAMS, "features");
}

/* ---- which fault ---- */

/* As the decoder will label it. */
static const char *label_of(struct faulting *f, enum dir dir, enum scan_what what,
                            const struct item *it, const char *p, size_t n)
{
    struct event ev = {.kind = what == SCAN_ITEM ? EVENT_STANZA : EVENT_STREAM, .dir = dir,
                       .data = p, .len = n};
    struct meaning_notes notes;
    int64_t now_us = event_now_us();

    f->items++;
    if (what == SCAN_ITEM)
        meaning_item(&f->meaning, it, f->items, now_us, &ev, &notes);
    else if (it)
        meaning_header(&f->meaning, it, f->items, now_us, &ev, &notes);
    else
        meaning_close(&f->meaning, &ev);
    meaning_done(&f->meaning);
    return ev.label;
}

/* The first whose turn it is; each counts what it asks for. */
static const struct fault *choose(struct faulting *f, const char *label)
{
    const struct fault *chosen = NULL;

    for (unsigned i = 0; i < f->faults; i++) {
        const struct fault *x = &f->fault[i];

        if (strcmp(x->label, label) != 0)
            continue;
        f->seen[i]++;
        if (!chosen && (!x->nth || x->nth == f->seen[i]))
            chosen = x;
    }
    return chosen;
}

/* A server's header and the features behind it have one label, and are one phase: it is counted once,
 * what stops it does so at the header, errors and broken XML are the features'. */
static const struct fault *fault_for(struct faulting *f, enum dir dir, enum scan_what what,
                                     const struct item *it, const char *label)
{
    struct faulting_way *w = &f->way[dir];
    const struct fault *x;

    if (asked_features(dir, it) && w->opens && strcmp(w->opens, label) == 0) {
        w->opens = NULL;
        return w->opened && w->opened->action != FAULT_DELAY ? w->opened : NULL;
    }
    w->told = false;
    x = choose(f, label);
    if (dir == DIR_C2S || what != SCAN_HEADER)
        return x;
    w->opens = label;
    w->opened = x;
    w->told = x && x->action != FAULT_ERROR && x->action != FAULT_MALFORMED;
    return w->told ? x : NULL;
}

/* ---- what is said of it ---- */

static const char *const done[] = {
    [FAULT_DELAY] = "it and what follows it in its direction wait",
    [FAULT_DROP] = "it is not sent on",
    [FAULT_CLOSE] = "both sides get the end of their streams instead",
    [FAULT_RESET] = "the client's connection is reset instead, the server's closed",
    [FAULT_ERROR] = "an error is sent instead",
    [FAULT_MALFORMED] = "it is sent on broken",
    [FAULT_SILENT] = "from it on nothing is sent on in its direction",
};

static void tell(const struct session *s, enum dir dir, const struct fault *x)
{
    message(LEVEL_INFO,
            PAIRS("session", s->id, "side", side_name(dir == DIR_C2S ? SIDE_CLIENT : SIDE_SERVER),
                  "phase", x->label),
            "a fault asked for: --fault %s: %s", x->text, done[x->action]);
}

/* `words`: why it would be edited without. */
static const char *reason(const struct fault *x, const char *words, char out[REASON_MAX])
{
    snprintf(out, REASON_MAX, EVENT_EDIT_FAULT "%s%s%s", x->text, *words ? "; " : "", words);
    return out;
}

static void edit(struct session *s, enum dir dir, const char *p, size_t n, const char *sent,
                 size_t sent_len, const struct fault *x)
{
    char words[REASON_MAX];

    if (!s->closing)
        session_edit(s, dir, p, n, sent, sent_len, reason(x, "", words));
}

static void end(struct session *s, const struct fault *x)
{
    session_close(s, SIDE_PROXY, ERR_FAULT, "a fault asked for: --fault %s", x->text);
}

/* ---- what is done ---- */

static void on_timer(uv_timer_t *timer)
{
    struct faulting_way *w = timer->data;
    struct session *s = w->session;

    if (s->closing)
        return;
    gate_go_on(&s->gate, w->dir);
    if (!s->closing)
        session_ready(s);
    session_flush(s);
}

static enum gate_deed delay(struct faulting_way *w, const struct fault *x, size_t n)
{
    w->note = x;
    w->delayed = n;
    uv_timer_start(&w->timer, on_timer, x->ms, 0);
    return GATE_WAIT;
}

/* Without a header before it an end tag ends nothing. */
static void say_goodbye(struct session *s, enum dir dir, const struct fault *x)
{
    struct buf b;
    int err = 0;

    buf_init(&b, 16u << 10);
    if (!s->faulting->way[dir].headed && dir == DIR_C2S)
        return;
    if (!s->faulting->way[dir].headed)
        err = door_header(&b, gate_domain(&s->gate));
    if (!err)
        err = buf_str(&b, CLOSING);
    if (!err)
        edit(s, dir, NULL, 0, b.p, b.len, x);
    buf_free(&b);
}

static void close_both(struct session *s, const struct fault *x)
{
    say_goodbye(s, DIR_S2C, x);
    say_goodbye(s, DIR_C2S, x);
    end(s, x);
}

static void reset(struct session *s, const struct fault *x)
{
    s->gone[SIDE_CLIENT] = true;
    leg_reset(CLIENT(s));
    end(s, x);
}

/* Before anything is sent: the embedded server reads with the reader that `it` is borrowed from. */
static void answer(struct session *s, enum dir dir, const struct item *it, const char *p, size_t n,
                   const struct fault *x)
{
    bool headed = s->faulting->way[DIR_S2C].headed;
    struct fault_reply r;
    int err = fault_reply(&r, x, dir, it, headed ? NULL : gate_domain(&s->gate));

    if (err) {
        session_close(s, SIDE_PROXY, (enum error_code)err, NULL);
    } else if (r.back) {
        edit(s, dir, p, n, "", 0, x);
        edit(s, other(dir), NULL, 0, r.bytes.p, r.bytes.len, x);
    } else {
        edit(s, dir, p, n, r.bytes.p, r.bytes.len, x);
    }
    if (!err && r.ends) {
        say_goodbye(s, DIR_C2S, x);
        end(s, x);
    } else if (!err && r.fails_login) {
        gate_bridged(&s->gate, GATE_NEGOTIATING); /* the client may try again */
    }
    fault_reply_free(&r);
}

static enum gate_deed take(struct session *s, enum dir dir, const struct item *it, const char *p,
                           size_t n, const struct fault *x)
{
    if (x->action == FAULT_ERROR)
        answer(s, dir, it, p, n, x);
    else
        edit(s, dir, p, n, "", 0, x);
    if (x->action == FAULT_CLOSE)
        close_both(s, x);
    else if (x->action == FAULT_RESET)
        reset(s, x);
    return GATE_TAKEN;
}

/* ---- the gate's user ---- */

/* Features may be edited, and what the bridge takes must never pass by it: what is sent in their
 * place is broken. */
static bool is_made_anew(const struct session *s, enum dir dir, const struct item *it,
                         const struct fault *x)
{
    enum fault_kind kind = fault_kind_of(x->label);

    return asked_features(dir, it) ||
           (s->gate.bridged && (kind == FAULT_KIND_SASL || kind == FAULT_KIND_SASL2));
}

static enum gate_deed on_watch(void *arg, enum dir dir, enum scan_what what, const struct item *it,
                               const char *p, size_t n)
{
    struct session *s = arg;
    struct faulting *f = s->faulting;
    struct faulting_way *w = &f->way[dir];
    const char *label = label_of(f, dir, what, it, p, n);
    const struct fault *x;

    if (w->silent)
        return take(s, dir, it, p, n, w->silent);
    x = fault_for(f, dir, what, it, label);
    if (what == SCAN_HEADER && (!x || x->action == FAULT_DELAY || x->action == FAULT_MALFORMED))
        w->headed = true;
    if (!x)
        return GATE_GO_ON;
    if (!asked_features(dir, it) || !w->told)
        tell(s, dir, x);
    if (x->action == FAULT_DELAY)
        return delay(w, x, n);
    if (x->action == FAULT_SILENT)
        w->silent = x;
    if (x->action != FAULT_MALFORMED)
        return take(s, dir, it, p, n, x);
    w->note = x;
    return is_made_anew(s, dir, it, x) ? GATE_GO_ON : GATE_PASS;
}

/* What goes on of an item with a note. Where that is nothing and it was to be broken, what is sent
 * next in its direction is. */
static void send_noted(struct session *s, enum dir dir, const char *p, size_t n, const char *sent,
                       size_t sent_len, const char *words)
{
    struct faulting_way *w = &s->faulting->way[dir];
    const struct fault *x = w->silent ? w->silent : w->note;
    char why[REASON_MAX];
    struct buf broken;
    int err = 0;

    if (x->action != FAULT_MALFORMED || sent_len)
        w->note = NULL;
    uv_timer_stop(&w->timer); /* it may be that the gate could not wait */
    buf_init(&broken, PIECE_MAX);
    if (x->action == FAULT_MALFORMED)
        err = fault_break(&broken, sent, sent_len);
    if (x->action == FAULT_MALFORMED || x == w->silent) {
        sent = broken.p;
        sent_len = broken.len;
    }
    if (err)
        session_close(s, SIDE_PROXY, (enum error_code)err, NULL);
    else
        session_edit(s, dir, p, n, sent_len ? sent : "", sent_len, reason(x, words, why));
    buf_free(&broken);
}

static void on_forward(void *arg, enum dir dir, const char *p, size_t n)
{
    struct session *s = arg;
    const struct faulting_way *w = &s->faulting->way[dir];

    if (w->note || w->silent)
        send_noted(s, dir, p, n, p, n, "");
    else
        session_forward(s, dir, p, n);
}

static void on_edit(void *arg, enum dir dir, const char *p, size_t n, const char *sent,
                    size_t sent_len, const char *words)
{
    struct session *s = arg;
    const struct faulting_way *w = &s->faulting->way[dir];
    bool breaks = w->note && w->note->action == FAULT_MALFORMED && sent_len;

    if (w->silent || breaks || (w->note && n))
        send_noted(s, dir, p, n, sent, sent_len, words);
    else
        session_edit(s, dir, p, n, sent, sent_len, words);
}

static void on_aside(void *arg, enum dir dir, const struct error *e)
{
    struct session *s = arg;

    recording_gate.aside(arg, dir, e);
    if (s->gate.phase == GATE_ASIDE)
        message(LEVEL_WARN, PAIRS("session", s->id, "phase", "stream"),
                "what follows %s: no more faults happen in this session",
                e->code ? "cannot be read" : "is compressed (XEP-0138; --compression strip takes it "
                                             "out of the offer)");
}

/* ---- the interface ---- */

void faulting_rest(struct session *s, enum dir dir, const char *p, size_t n, const char *words)
{
    struct faulting_way *w = s->faulting ? &s->faulting->way[dir] : NULL;
    const struct fault *x = w && w->note && w->note->action == FAULT_DELAY ? w->note : NULL;
    size_t first = x && w->delayed < n ? w->delayed : n;
    char why[REASON_MAX];

    if (x)
        words = reason(x, words, why);
    session_edit(s, dir, p, first, "", 0, words);
    if (n > first)
        session_edit(s, dir, p + first, n - first, "", 0, words);
}

void faulting_mark(struct session *s, const struct mark *m)
{
    struct faulting *f = s->faulting;

    if (m->kind == MARK_BOUND)
        f->meaning.phase = PHASE_BOUND;
    if (m->kind != MARK_RESTART)
        return;
    meaning_restart(&f->meaning, m->phase);
    f->way[0].headed = f->way[1].headed = false;
    if (s->entry.step == ENTRY_CLIENT_TLS && !s->entry.direct)
        f->meaning.opened[DIR_C2S] = true; /* to xmpptap itself */
}

static void begin_way(struct session *s, enum dir dir)
{
    struct faulting_way *w = &s->faulting->way[dir];

    w->session = s;
    w->dir = dir;
    uv_timer_init(s->proxy->loop, &w->timer);
    w->timer.data = w;
    s->handles++;
}

int faulting_begin(struct session *s)
{
    const struct proxy_options *o = s->proxy->options;
    struct faulting *f = calloc(1, sizeof *f);

    if (!f)
        return ERR_NOMEM;
    s->faulting = f;
    f->fault = o->fault;
    f->faults = o->faults;
    f->user = recording_gate;
    f->user.watch = on_watch;
    f->user.forward = on_forward;
    f->user.edit = on_edit;
    f->user.aside = on_aside;
    meaning_init(&f->meaning, false, o->item_bytes, "", NULL);
    begin_way(s, DIR_C2S);
    begin_way(s, DIR_S2C);
    s->gate.user = &f->user;
    s->gate.watched = true;
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    session_release(((struct faulting_way *)h->data)->session);
}

/* Was it another phase that was meant? */
static void tell_missed(const struct session *s)
{
    const struct faulting *f = s->faulting;

    for (unsigned i = 0; i < f->faults; i++)
        if (!f->seen[i] || f->seen[i] < f->fault[i].nth)
            message(LEVEL_INFO, PAIRS("session", s->id, "phase", f->fault[i].label),
                    "a fault asked for found nothing to act on: --fault %s; such items that came: %u",
                    f->fault[i].text, f->seen[i]);
}

void faulting_close(struct session *s)
{
    if (s->faulting && *s->id)
        tell_missed(s);
    for (int i = 0; i < 2 && s->faulting; i++)
        uv_close((uv_handle_t *)&s->faulting->way[i].timer, on_closed);
}

void faulting_free(struct session *s)
{
    if (s->faulting)
        meaning_free(&s->faulting->meaning);
    free(s->faulting);
    s->faulting = NULL;
}

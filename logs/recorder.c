#include "recorder.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "message.h"
#include "queue.h"
#include "../decoder/sm_holders.h"
#include "../decoder/verdict.h"
#include "tally.h"

#define TICK_MS       100
#define STRINGS_MAX   16
#define QUIET_TICKS   20 /* ticks without an entry before the thread sleeps until one comes */
#define SAY_AGAIN_US  10000000 /* a sink that keeps failing is reported this often */

enum entry_kind { ENTRY_DATA, ENTRY_MARK };

struct recorder_run {
    char id[9];                 /* this run's part of the sessions' ids */
    atomic_uint_least64_t sessions;
    struct sm_holders *streams; /* NULL: nothing is tied across recorders */
};

struct recorder {
    struct queue *queue;
    struct recorder_options options;
    struct recorder_run *own_run; /* owned: options.run where nobody else has it */
    pthread_t thread;
    atomic_bool starved;        /* the loop has stopped reading */
    /* The recorder's thread only. */
    struct reader *reader;
    int error;                  /* the first that a sink gave */
    int64_t said_us[SINKS_MAX]; /* when a sink's failure was last reported */
};

/* Made and named by the loop; from then on all but `id`, `lost` and `given` is the recorder
 * thread's, which frees it behind its MARK_END. */
struct tap {
    struct recorder *recorder;
    char id[TAP_ID_MAX];
    uint64_t lost[2];           /* loop: bytes that found no memory */
    /* Each has one writer, so that an entry costs no locked instruction. What lies in between is in
     * the queue. */
    atomic_size_t given;        /* bytes that the loop has pushed */
    atomic_size_t taken;        /* and that are decoded */
    atomic_bool starved;        /* the loop has stopped reading it */
    struct decoder *decoder;
    struct tally tally;
    struct story story;
    int64_t began_us;
};

/* ---- marks through the queue: the struct, then its strings ---- */

static size_t mark_strings(struct mark *m, const char **at[STRINGS_MAX])
{
    size_t n = 0;

    at[n++] = &m->reason;
    switch (m->kind) {
    case MARK_SESSION:
        at[n++] = &m->u.session.client;
        at[n++] = &m->u.session.listen;
        at[n++] = &m->u.session.upstream;
        at[n++] = &m->u.session.secrets;
        at[n++] = &m->u.session.program;
        break;
    case MARK_TLS:
        at[n++] = &m->u.tls.version;
        at[n++] = &m->u.tls.cipher;
        at[n++] = &m->u.tls.group;
        at[n++] = &m->u.tls.sni;
        at[n++] = &m->u.tls.cert;
        at[n++] = &m->u.tls.cert_key;
        at[n++] = &m->u.tls.cert_sha256;
        at[n++] = &m->u.tls.signature;
        at[n++] = &m->u.tls.alpn;
        at[n++] = &m->u.tls.client_cert;
        at[n++] = &m->u.tls.client_jid;
        at[n++] = &m->u.tls.verify;
        at[n++] = &m->u.tls.error;
        at[n++] = &m->u.tls.kind;
        break;
    case MARK_END:
        at[n++] = &m->u.end.phase;
        at[n++] = &m->u.end.detail;
        at[n++] = &m->u.end.account;
        at[n++] = &m->u.end.server;
        at[n++] = &m->u.end.server_name;
        break;
    case MARK_RESTART:
    case MARK_BOUND:
    case MARK_EDIT:
    case MARK_RAW:
    case MARK_GAP:
        break;
    }
    return n;
}

static struct entry *push(struct tap *t, enum entry_kind kind, enum dir dir, int64_t t_us,
                          size_t len)
{
    struct entry *e = queue_push(t->recorder->queue, len);

    if (e) {
        e->kind = (uint16_t)kind;
        e->dir = (uint16_t)dir;
        e->time_us = t_us;
        e->owner = t;
        atomic_store_explicit(
            &t->given, atomic_load_explicit(&t->given, memory_order_relaxed) + len,
            memory_order_relaxed);
    }
    return e;
}

static bool push_mark(struct tap *t, int64_t t_us, const struct mark *mark)
{
    struct mark m = *mark;
    const char **strings[STRINGS_MAX];
    size_t n = mark_strings(&m, strings), len = sizeof m + m.sent_len, at = sizeof m;
    struct entry *e;

    for (size_t i = 0; i < n; i++) {
        if (!*strings[i])
            *strings[i] = "";
        len += strlen(*strings[i]) + 1;
    }
    e = push(t, ENTRY_MARK, m.dir, t_us, len);
    if (!e)
        return false;
    memcpy(e->payload, &m, sizeof m);
    for (size_t i = 0; i < n; i++) {
        size_t size = strlen(*strings[i]) + 1;
        memcpy(e->payload + at, *strings[i], size);
        at += size;
    }
    if (m.sent_len)
        memcpy(e->payload + at, m.sent, m.sent_len);
    return true;
}

static void unpack_mark(struct entry *e, struct mark *m)
{
    const char **strings[STRINGS_MAX];
    const char *p = e->payload + sizeof *m;
    size_t n;

    memcpy(m, e->payload, sizeof *m);
    n = mark_strings(m, strings);
    for (size_t i = 0; i < n; i++) {
        *strings[i] = p;
        p += strlen(p) + 1;
    }
    m->sent = p;
}

/* ---- the loop's side ---- */

struct tap *tap_open(struct recorder *r, int64_t t_us, const struct event_session *facts)
{
    struct tap *t = calloc(1, sizeof *t);
    struct mark m = {.kind = MARK_SESSION, .u.session = *facts};

    if (!t)
        return NULL;
    t->recorder = r;
    t->began_us = t_us;
    snprintf(t->id, sizeof t->id, "%s-%" PRIu64, r->options.run->id,
             (uint64_t)atomic_fetch_add(&r->options.run->sessions, 1) + 1);
    if (!push_mark(t, t_us, &m)) {
        free(t);
        return NULL;
    }
    return t;
}

const char *tap_id(const struct tap *t)
{
    return t->id;
}

/* Says what was lost while there was no memory, as soon as there is. */
static void tell_lost(struct tap *t, int64_t t_us)
{
    for (int i = 0; i < 2; i++) {
        struct mark gap = {.kind = MARK_GAP, .dir = (enum dir)i, .bytes = t->lost[i]};

        if (t->lost[i] && push_mark(t, t_us, &gap))
            t->lost[i] = 0;
    }
}

void tap_data(struct tap *t, enum dir dir, int64_t t_us, const char *p, size_t n)
{
    tell_lost(t, t_us);
    while (n) {
        size_t take = n < QUEUE_ENTRY_MAX ? n : QUEUE_ENTRY_MAX;
        struct entry *e = push(t, ENTRY_DATA, dir, t_us, take);

        if (!e) {
            t->lost[dir] += n;
            return;
        }
        memcpy(e->payload, p, take);
        p += take;
        n -= take;
    }
}

void tap_mark(struct tap *t, int64_t t_us, const struct mark *m)
{
    tell_lost(t, t_us);
    push_mark(t, t_us, m);
}

void tap_end(struct tap *t, int64_t t_us, const struct event_end *end)
{
    struct mark m = {.kind = MARK_END, .u.end = *end};

    tell_lost(t, t_us);
    m.u.end.duration_us = t_us - t->began_us;
    push_mark(t, t_us, &m);
}

bool recorder_full(struct recorder *r)
{
    if (!queue_full(r->queue))
        return false;
    queue_publish(r->queue);
    atomic_store(&r->starved, true);
    /* Drained in between: nobody would call `room` any more. */
    if (!queue_full(r->queue) && atomic_exchange(&r->starved, false))
        return false;
    return true;
}

/* Either thread. What the other one has just changed is missing from it. */
static size_t queued(struct tap *t)
{
    size_t taken = atomic_load(&t->taken);

    return atomic_load_explicit(&t->given, memory_order_relaxed) - taken;
}

bool tap_full(struct tap *t)
{
    size_t limit = t->recorder->options.queue_bytes / 8;

    if (queued(t) < limit)
        return false;
    queue_publish(t->recorder->queue);
    atomic_store(&t->starved, true);
    if (queued(t) <= limit / 2 && atomic_exchange(&t->starved, false))
        return false; /* see recorder_full() */
    return true;
}

bool recorder_pending(const struct recorder *r)
{
    return queue_pending(r->queue);
}

void recorder_publish(struct recorder *r)
{
    queue_publish_soon(r->queue);
}

/* ---- the recorder's thread ---- */

static void sink_failed(struct recorder *r, size_t i, int err)
{
    const struct error *e = &r->options.sinks[i]->error;
    int64_t now = event_now_us();

    if (r->error == 0)
        r->error = err;
    if (e->code == ERR_NONE || (r->said_us[i] && now - r->said_us[i] < SAY_AGAIN_US))
        return;
    r->said_us[i] = now;
    message(LEVEL_ERROR, PAIRS("reason", error_name(e->code)), "%s", e->detail);
}

/* The one line that a session's end is worth. Whose record nobody asked for (--only) is not named
 * here, either: a verdict's sentence may hold what the two said. */
static void say_verdict(const struct tap *t, const struct event_end *end, const struct verdict *v,
                        bool left_out)
{
    message(v->ok ? LEVEL_INFO : LEVEL_WARN,
            PAIRS("session", t->id, "side", side_name(end->by), "phase", end->phase, "reason",
                  error_name(end->code), "account", left_out ? "" : end->account, "verdict", v->id),
            "%s", left_out ? "not recorded, because --only asks for others" : v->sentence);
}

static void on_event(void *arg, struct event *ev)
{
    struct tap *t = arg;
    struct sink **sinks = t->recorder->options.sinks;
    struct verdict v;
    bool left_out = false;

    tally_event(&t->tally, ev);
    story_event(&t->story, ev);
    if (ev->kind == EVENT_END) {
        verdict_give(&t->story, &v);
        ev->u.end.verdict = v.id;
        ev->u.end.sentence = v.sentence;
    }
    for (size_t i = 0; sinks[i]; i++) {
        int err = sinks[i]->event(sinks[i], ev);
        if (err)
            sink_failed(t->recorder, i, err);
        left_out |= sinks[i]->left_out;
    }
    if (ev->kind == EVENT_END)
        say_verdict(t, &ev->u.end, &v, left_out);
}

static void tap_free(struct tap *t)
{
    decoder_free(t->decoder);
    tally_free(&t->tally);
    story_free(&t->story);
    free(t);
}

static void room(struct recorder *r)
{
    if (r->options.room)
        r->options.room(r->options.room_arg);
}

/* `bytes` more of the session are decoded. */
static void taken(struct recorder *r, struct tap *t, size_t bytes)
{
    atomic_store(&t->taken, atomic_load_explicit(&t->taken, memory_order_relaxed) + bytes);
    if (atomic_load(&t->starved) && queued(t) <= r->options.queue_bytes / 16 &&
        atomic_exchange(&t->starved, false))
        room(r);
}

static void handle_mark(struct recorder *r, struct tap *t, int64_t t_us, const struct mark *m)
{
    if (m->kind == MARK_SESSION) {
        tally_init(&t->tally);
        story_init(&t->story);
        t->decoder = decoder_new(t->id, &r->options.decoder, r->reader, on_event, t);
        if (!t->decoder)
            message(LEVEL_ERROR, PAIRS("session", t->id, "reason", error_name(ERR_NOMEM)),
                    "no memory to record this session; it is relayed unrecorded");
    }
    if (t->decoder)
        decoder_mark(t->decoder, t_us, m);
}

/* False: it was the session's last one, and the tap is gone. */
static bool handle(struct recorder *r, struct entry *e)
{
    struct tap *t = e->owner;
    struct mark m;

    if (e->kind == ENTRY_DATA) {
        if (t->decoder)
            decoder_data(t->decoder, (enum dir)e->dir, e->time_us, e->payload, e->len);
        return true;
    }
    unpack_mark(e, &m);
    handle_mark(r, t, e->time_us, &m);
    if (m.kind != MARK_END)
        return true;
    tap_free(t);
    return false;
}

static void work(struct recorder *r, struct block *b)
{
    struct tap *t = NULL; /* whose entries these are, one behind the other, so far `bytes` */
    struct entry *e;
    size_t at = 0, bytes = 0;

    while ((e = queue_next(b, &at))) {
        if (t && e->owner != t) {
            taken(r, t, bytes);
            bytes = 0;
        }
        t = e->owner;
        bytes += e->len;
        if (!handle(r, e)) {
            t = NULL;
            bytes = 0;
        }
    }
    if (t)
        taken(r, t, bytes);
    queue_return(r->queue, b);
    if (queue_bytes(r->queue) <= r->options.queue_bytes / 2 &&
        atomic_exchange(&r->starved, false))
        room(r);
}

static void tick(struct recorder *r)
{
    struct sink **sinks = r->options.sinks;

    for (size_t i = 0; sinks[i]; i++) {
        int err = sinks[i]->tick ? sinks[i]->tick(sinks[i], event_now_us()) : 0;
        if (err)
            sink_failed(r, i, err);
    }
}

static void flush(struct recorder *r)
{
    struct sink **sinks = r->options.sinks;

    for (size_t i = 0; sinks[i]; i++) {
        int err = sinks[i]->flush ? sinks[i]->flush(sinks[i]) : 0;
        if (err)
            sink_failed(r, i, err);
    }
}

static void *run(void *arg)
{
    struct recorder *r = arg;
    int64_t ticked = event_now_us();
    bool closed = false;
    int quiet = 0;

    while (!closed) {
        struct block *b = queue_take(r->queue, 0, &closed);

        if (!b && !closed) {
            flush(r);
            b = queue_take(r->queue, quiet < QUIET_TICKS ? TICK_MS : -1, &closed);
        }
        quiet = b ? 0 : quiet + 1;
        if (b)
            work(r, b);
        if (!b || event_now_us() - ticked >= TICK_MS * 1000) {
            tick(r);
            ticked = event_now_us();
        }
    }
    return NULL;
}

/* ---- life ---- */

/* What a sink lost is said once more, as it stands at the end. */
static int close_sinks(struct recorder *r)
{
    for (struct sink **s = r->options.sinks; *s; s++) {
        struct error e = (*s)->error;
        int err = (*s)->close(*s);

        if (err && r->error == 0)
            r->error = err;
        if (err && e.code == ERR_NONE)
            error_set(&e, (enum error_code)err,
                      "what was recorded last could not be written; is the disk full?");
        if (e.code)
            message(LEVEL_ERROR, PAIRS("reason", error_name(e.code)), "at the end: %s", e.detail);
    }
    return r->error;
}

static void run_id(char id[9])
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned char random[8];

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        uint64_t t = (uint64_t)event_now_us();
        memcpy(random, &t, sizeof random);
    }
    for (int i = 0; i < 8; i++)
        id[i] = digits[random[i] % 32];
    id[8] = '\0';
}

static struct recorder_run *run_new(void)
{
    struct recorder_run *run = calloc(1, sizeof *run);

    if (run)
        run_id(run->id);
    return run;
}

struct recorder_run *recorder_run_new(void)
{
    struct recorder_run *run = run_new();

    if (run)
        run->streams = sm_holders_new(); /* without memory nothing is tied */
    return run;
}

void recorder_run_free(struct recorder_run *run)
{
    if (!run)
        return;
    sm_holders_free(run->streams);
    free(run);
}

struct recorder *recorder_start(const struct recorder_options *o)
{
    struct recorder *r = calloc(1, sizeof *r);
    sigset_t all, old;
    int err = -1;

    if (!r) {
        for (struct sink *const *s = o->sinks; *s; s++)
            (*s)->close(*s);
        return NULL;
    }
    r->options = *o;
    if (r->options.queue_bytes == 0)
        r->options.queue_bytes = RECORDER_QUEUE_BYTES;
    r->queue = queue_new(r->options.queue_bytes);
    r->reader = reader_new();
    r->options.decoder.resumptions = sm_table_new(); /* without memory nothing is tied */
    if (r->options.run)
        sm_table_share(r->options.decoder.resumptions, r->options.run->streams);
    else
        r->options.run = r->own_run = run_new();
    if (r->queue && r->reader && r->options.run) {
        sigfillset(&all); /* signals are the loop's */
        pthread_sigmask(SIG_SETMASK, &all, &old);
        err = pthread_create(&r->thread, NULL, run, r);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    if (err) {
        close_sinks(r);
        queue_free(r->queue);
        reader_free(r->reader);
        sm_table_free(r->options.decoder.resumptions);
        recorder_run_free(r->own_run);
        free(r);
        return NULL;
    }
    return r;
}

void recorder_join(struct recorder *r)
{
    queue_close(r->queue);
    pthread_join(r->thread, NULL);
}

int recorder_stop(struct recorder *r)
{
    int err = close_sinks(r);

    queue_free(r->queue);
    reader_free(r->reader);
    sm_table_free(r->options.decoder.resumptions);
    recorder_run_free(r->own_run);
    free(r);
    return err;
}

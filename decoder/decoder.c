#include "decoder_emit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "meaning.h"

#define INFLATED     16384
#define AROUND       20 /* bytes shown before and behind the place of an error */
#define NS_COMPRESS  "http://jabber.org/protocol/compress"
#define NS_SASL      "urn:ietf:params:xml:ns:xmpp-sasl"

struct decoder *decoder_new(const char *session, const struct decoder_options *o,
                            struct reader *reader, decoder_emit *emit, void *arg)
{
    struct decoder *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->session = strdup(session);
    if (!d->session) {
        free(d);
        return NULL;
    }
    d->reader = reader;
    if (o->strict)
        reader_strict(reader);
    d->emit = emit;
    d->arg = arg;
    d->options = *o;
    meaning_init(&d->meaning, o->redact, o->limits.item_bytes, d->session, o->resumptions);
    for (int i = 0; i < 2; i++) {
        scan_init(&d->way[i].scan, &o->limits);
        reader_stream_init(&d->way[i].stream);
        buf_init(&d->way[i].item, o->limits.item_bytes);
        buf_init(&d->way[i].edit_sent, o->limits.item_bytes);
    }
    return d;
}

void decoder_free(struct decoder *d)
{
    if (!d)
        return;
    for (int i = 0; i < 2; i++) {
        reader_stream_free(&d->way[i].stream);
        buf_free(&d->way[i].item);
        buf_free(&d->way[i].edit_sent);
        free(d->way[i].edit_reason);
        inflate_free(d->way[i].inflate);
    }
    meaning_free(&d->meaning);
    free(d->session);
    free(d);
}

/* ---- violations ---- */

static void go_raw(struct way *w, enum error_code code, uint64_t offset, const char *detail)
{
    w->raw = true;
    w->raw_told = false;
    w->raw_code = code;
    w->raw_offset = offset;
    snprintf(w->raw_detail, sizeof w->raw_detail, "%s", detail);
}

static void raw_bytes(struct decoder *d, enum dir dir, const char *p, size_t n)
{
    struct way *w = &d->way[dir];
    bool more = w->raw_told;

    w->raw_told = true;
    emit_violation(d, dir, w->raw_code, w->raw_offset, more, more ? "" : w->raw_detail, p, n);
    w->raw_offset += n;
}

/* ---- items ---- */

/* Bytes as printable ASCII. */
static void quote_bytes(char *out, size_t size, const char *p, size_t n)
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n && size - len > 4; i++) {
        unsigned char c = (unsigned char)p[i];

        len += (size_t)snprintf(out + len, size - len, c < 0x20 || c >= 0x7f ? "\\x%02x" : "%c", c);
    }
}

/* What is wrong, and the bytes around it where they may be shown. */
static void explain_error(struct decoder *d, const char *p, size_t n, struct error *e)
{
    size_t at = reader_error_at(d->reader), from, to, len = strlen(e->detail);
    char before[4 * AROUND + 1], behind[4 * AROUND + 1];

    if (e->code != ERR_NOT_WELL_FORMED || at > n)
        return;
    if (d->options.redact && (d->meaning.phase != PHASE_BOUND ||
                              withhold_suspects(&d->meaning.secrets, p, n))) {
        snprintf(e->detail + len, sizeof e->detail - len,
                 " (--secrets keep shows the bytes around it)");
        return;
    }
    from = at > AROUND ? at - AROUND : 0;
    to = n - at > AROUND ? at + AROUND : n;
    quote_bytes(before, sizeof before, p + from, at - from);
    quote_bytes(behind, sizeof behind, p + at, to - at);
    snprintf(e->detail + len, sizeof e->detail - len, ", behind \"%s\" and before \"%s\"", before,
             behind);
}

static void unreadable(struct decoder *d, enum dir dir, enum scan_what what, const char *p,
                       size_t n, struct error *e)
{
    struct way *w = &d->way[dir];

    explain_error(d, p, n, e);
    if (what != SCAN_HEADER && d->meaning.phase == PHASE_BOUND) {
        /* Its end is known, so what follows can be read. Before the login the gate steps aside and
         * gives no marks any more: there nothing can. */
        emit_violation(d, dir, e->code, w->scan.offset - n, false, e->detail, p, n);
    } else {
        go_raw(w, e->code, w->scan.offset - n, e->detail);
        raw_bytes(d, dir, p, n);
    }
}

/* Compression ends what the gate reads, so from there on restarts are found here: behind
 * <compressed/> itself, and behind a <success/> that comes later. */
static bool begins_streams(struct decoder *d, enum dir dir, const struct item *it)
{
    if (dir != DIR_S2C)
        return false;
    if (item_is(it, 0, NS_COMPRESS, "compressed"))
        return d->compressed = true;
    return d->compressed && item_is(it, 0, NS_SASL, "success");
}

/* An item that is read, and the event of it. */
static void item_read(struct decoder *d, struct event *ev, const struct item *it)
{
    struct meaning_notes notes;
    size_t n = ev->len;

    if (ev->kind == EVENT_STANZA) {
        meaning_item(&d->meaning, it, d->n + 1, d->now_us, ev, &notes);
        d->restarts = begins_streams(d, ev->dir, it);
    } else if (it) {
        meaning_header(&d->meaning, it, d->n + 1, d->now_us, ev, &notes);
    } else {
        meaning_close(&d->meaning, ev);
    }
    emit_wire(d, ev, n);
    meaning_done(&d->meaning);
}

static void item_done(struct decoder *d, enum dir dir, enum scan_what what, const char *p, size_t n)
{
    struct event ev;
    struct reader_stream *st = &d->way[dir].stream;
    const struct item *it = NULL;
    struct error e = {0};
    int err;

    emit_begin(&ev, what == SCAN_ITEM ? EVENT_STANZA : EVENT_STREAM, dir, p, n);
    emit_space_first(d);
    if (what == SCAN_HEADER)
        err = reader_header(d->reader, st, p, n, &it, &e);
    else if (what == SCAN_ITEM)
        err = reader_item(d->reader, st, p, n, &it, &e);
    else
        err = reader_close(d->reader, st, p, n, &e);
    if (err == ERR_NOMEM)
        emit_gap(d, dir, n);
    else if (err)
        unreadable(d, dir, what, p, n, &e);
    else
        item_read(d, &ev, it);
}

/* ---- bytes ---- */

/* The token goes on, or is over, but is one that must be recorded as a violation. */
static void flawed_bytes(struct decoder *d, enum dir dir, const char *p, size_t n)
{
    struct way *w = &d->way[dir];
    enum error_code code = w->scan.flaw;

    if (!w->flawed && w->item.len) {
        emit_violation(d, dir, code, w->scan.offset - n - w->item.len, false, "", w->item.p,
                  w->item.len);
        w->flawed = true;
        buf_free(&w->item);
    }
    if (n)
        emit_violation(d, dir, code, w->scan.offset - n, w->flawed, "", p, n);
    w->flawed = true;
}

/* Keeps an unfinished item's bytes; without memory the direction cannot be read any more. */
static void keep_bytes(struct decoder *d, enum dir dir, const char *p, size_t n)
{
    struct way *w = &d->way[dir];

    if (buf_add(&w->item, p, n) == 0)
        return;
    emit_gap(d, dir, w->item.len + n);
    buf_free(&w->item);
    go_raw(w, ERR_NOMEM, w->scan.offset, "an item could not be kept");
}

static void token_over(struct decoder *d, enum dir dir, enum scan_what what, const char *p,
                       size_t n)
{
    struct way *w = &d->way[dir];

    if (w->item.len == 0) { /* it came in one piece: no copy */
        item_done(d, dir, what, p, n);
    } else {
        keep_bytes(d, dir, p, n);
        w->likely = w->item.len;
        if (w->item.len)
            item_done(d, dir, what, w->item.p, w->item.len);
        buf_free(&w->item); /* an idle direction holds none */
    }
}

/* A whole item at the beginning of `p`, which the quick reader takes: nobody need scan it first. */
static bool item_at_once(struct decoder *d, enum dir dir, const char *p, size_t n, size_t *used)
{
    struct way *w = &d->way[dir];
    const struct item *it;
    struct event ev;

    if (w->flawed || !reader_next(d->reader, &w->stream, &w->scan, p, n, used, &it))
        return false;
    emit_begin(&ev, EVENT_STANZA, dir, p, *used);
    w->likely = *used < w->likely ? *used : w->likely;
    emit_space_first(d);
    item_read(d, &ev, it);
    return true;
}

/* One token, or the part of it that `p` holds; returns the bytes used. */
static size_t decode_some(struct decoder *d, enum dir dir, const char *p, size_t n)
{
    struct way *w = &d->way[dir];
    enum scan_what what;
    size_t used;

    if (n >= w->likely && item_at_once(d, dir, p, n, &used))
        return used;
    what = scan_next(&w->scan, p, n, &used);
    if (what == SCAN_SPACE) {
        emit_add_space(d, dir, p, used);
    } else if (what == SCAN_BAD) {
        go_raw(w, w->scan.error, w->scan.offset - used - w->item.len,
               w->scan.offset == used ? describe_no_stream(*p) : "");
        if (w->item.len)
            raw_bytes(d, dir, w->item.p, w->item.len);
        buf_free(&w->item);
        used = 0; /* they and all that follows are raw */
    } else if (w->scan.flaw || w->flawed) {
        flawed_bytes(d, dir, p, used);
        if (what != SCAN_MORE)
            w->flawed = false;
    } else if (what == SCAN_MORE) {
        keep_bytes(d, dir, p, used);
    } else {
        token_over(d, dir, what, p, used);
    }
    return used;
}

/* What a direction has begun and will not finish: it stopped, or a wrong end tag keeps it open. */
static void flush_unfinished(struct decoder *d, enum dir dir)
{
    struct way *w = &d->way[dir];
    struct error e = {0};
    bool wrong;

    if (w->item.len) {
        wrong = w->stream.id && reader_begun(d->reader, &w->stream, w->item.p, w->item.len, &e) ==
                                    ERR_NOT_WELL_FORMED;
        if (wrong)
            explain_error(d, w->item.p, w->item.len, &e);
        emit_violation(d, dir, wrong ? ERR_NOT_WELL_FORMED : ERR_INCOMPLETE,
                  w->scan.offset - w->item.len, false, wrong ? e.detail : "", w->item.p,
                  w->item.len);
    }
    buf_free(&w->item);
    w->flawed = false;
}

static void restart(struct decoder *d, enum label_phase phase);

static void begin_compression(struct decoder *d)
{
    for (int i = 0; i < 2; i++) {
        struct way *w = &d->way[i];

        if (w->inflate)
            continue;
        w->inflate = inflate_new(d->options.inflate.ratio ? &d->options.inflate : NULL);
        if (!w->inflate)
            go_raw(w, ERR_NOMEM, 0, "no memory to inflate");
    }
}

/* Plaintext, all of it or as far as the stream is not compressed; returns the bytes used. */
static size_t plain_bytes(struct decoder *d, enum dir dir, const char *p, size_t n)
{
    struct way *w = &d->way[dir];
    size_t at = 0;

    while (at < n) {
        if (w->raw) {
            raw_bytes(d, dir, p + at, n - at);
            return n;
        }
        at += decode_some(d, dir, p + at, n - at);
        if (!d->restarts)
            continue;
        d->restarts = false;
        restart(d, w->inflate ? PHASE_BOUND : d->meaning.phase);
        if (!w->inflate) {
            begin_compression(d);
            return at;
        }
    }
    return at;
}

/* Returns the bytes used: all, unless they cannot be inflated. */
static size_t compressed_bytes(struct decoder *d, enum dir dir, const char *p, size_t n)
{
    struct way *w = &d->way[dir];
    char text[INFLATED];
    struct error e;
    size_t at = 0, used, got = sizeof text;

    while (at < n || got == sizeof text) {
        int err = inflate_some(w->inflate, p + at, n - at, &used, text, sizeof text, &got, &e);

        w->compressed += used;
        at += used;
        plain_bytes(d, dir, text, got);
        if (err) { /* the violation's offset says how far it could be inflated */
            flush_unfinished(d, dir);
            inflate_free(w->inflate);
            w->inflate = NULL;
            go_raw(w, (enum error_code)err, w->compressed, e.detail);
            return at;
        }
    }
    return at;
}

void decoder_data(struct decoder *d, enum dir dir, int64_t t_us, const char *p, size_t n)
{
    d->now_us = t_us;
    while (n) {
        size_t used = d->way[dir].inflate ? compressed_bytes(d, dir, p, n)
                                          : plain_bytes(d, dir, p, n);

        p += used;
        n -= used;
    }
}

/* ---- marks ---- */

static void restart(struct decoder *d, enum label_phase phase)
{
    for (int i = 0; i < 2; i++) {
        struct way *w = &d->way[i];

        flush_unfinished(d, (enum dir)i);
        scan_init(&w->scan, &d->options.limits);
        reader_stream_free(&w->stream);
        w->raw = false;
    }
    meaning_restart(&d->meaning, phase);
}

static void announce_edit(struct decoder *d, const struct mark *m)
{
    struct way *w = &d->way[m->dir];

    emit_space(d, m->dir);
    emit_edit(d, m->dir, 0); /* one that met no item */
    if (d->meaning.phase == PHASE_BOUND) /* what was sent is not read: stanzas, it may be */
        meaning_missed(&d->meaning, m->dir);
    w->edit_left = m->bytes;
    w->edit_reason = strdup(m->reason);
    if (!w->edit_reason || buf_add(&w->edit_sent, m->sent, m->sent_len)) {
        emit_gap(d, m->dir, m->sent_len);
        buf_free(&w->edit_sent);
    }
    if (m->bytes == 0)
        emit_edit(d, m->dir, 0);
}

static void end(struct decoder *d, const struct mark *m)
{
    struct event ev = {.kind = EVENT_END, .u.end = m->u.end};

    for (int i = 0; i < 2; i++) {
        flush_unfinished(d, (enum dir)i);
        emit_edit(d, (enum dir)i, 0);
        ev.u.end.count[i].compressed = d->way[i].compressed;
    }
    meaning_end(&d->meaning, d->now_us, &ev.u.end);
    emit_event(d, &ev);
}

void decoder_mark(struct decoder *d, int64_t t_us, const struct mark *m)
{
    struct event ev = {.dir = m->dir};

    d->now_us = t_us;
    switch (m->kind) {
    case MARK_SESSION:
        ev.kind = EVENT_SESSION;
        ev.u.session_facts = m->u.session;
        ev.u.session_facts.secrets = d->options.redact ? "redact" : "keep";
        emit_event(d, &ev);
        break;
    case MARK_TLS:
        ev.kind = EVENT_TLS;
        ev.u.tls = m->u.tls;
        emit_event(d, &ev);
        break;
    case MARK_RESTART:
        restart(d, m->phase);
        break;
    case MARK_BOUND:
        d->meaning.phase = PHASE_BOUND;
        break;
    case MARK_EDIT:
        announce_edit(d, m);
        break;
    case MARK_RAW:
        flush_unfinished(d, m->dir);
        go_raw(&d->way[m->dir], m->code, d->way[m->dir].scan.offset, m->reason);
        break;
    case MARK_GAP:
        flush_unfinished(d, m->dir);
        emit_gap(d, m->dir, m->bytes);
        go_raw(&d->way[m->dir], ERR_UNREADABLE, d->way[m->dir].scan.offset, "behind a gap");
        break;
    case MARK_END:
        end(d, m);
        break;
    }
}

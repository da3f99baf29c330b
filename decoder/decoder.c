#include "decoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "meaning.h"

#define SPACE_MAX    64
#define SPACE_GAP_US 100000 /* white space that comes later than this is an item of its own */
#define INFLATED     16384
#define AROUND       20 /* bytes shown before and behind the place of an error */
#define NS_COMPRESS  "http://jabber.org/protocol/compress"
#define NS_SASL      "urn:ietf:params:xml:ns:xmpp-sasl"

/* One direction. */
struct way {
    struct scan scan;
    struct reader_stream stream;
    struct inflate *inflate;  /* owned; NULL: the stream is not compressed */
    struct buf item;          /* the unfinished item's bytes */
    size_t likely;            /* what an item may have: in fewer bytes there is hardly a whole one */
    bool flawed;              /* its beginning has been recorded as a violation */
    bool raw;                 /* no stream any more: all bytes are recorded as a violation */
    bool raw_told;            /* the first of them have been */
    enum error_code raw_code; /* why */
    char raw_detail[ERROR_DETAIL_MAX];
    uint64_t raw_offset;
    uint64_t compressed;      /* bytes that came compressed */
    unsigned char space_len;  /* white space not yet recorded */
    char space[SPACE_MAX];
    int64_t space_us;
    char *edit_reason;        /* owned; the edit of what comes next, or NULL */
    uint64_t edit_left;       /* bytes that the edit still covers */
    struct buf edit_sent;
};

struct decoder {
    char *session; /* owned */
    struct reader *reader;
    decoder_emit *emit;
    void *arg;
    struct decoder_options options;
    struct way way[2];
    struct meaning meaning;
    bool compressed;          /* <compressed/> was said (XEP-0138): no marks come from there on */
    bool restarts;            /* the item at hand begins new streams, when all is done with it */
    uint64_t n;
    int64_t now_us;
};

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

/* ---- emitting ---- */

static void emit_now(struct decoder *d, struct event *ev)
{
    ev->session = d->session;
    ev->n = ++d->n;
    d->emit(d->arg, ev);
}

static void emit_space(struct decoder *d, enum dir dir)
{
    struct way *w = &d->way[dir];
    struct event ev = {.kind = EVENT_SPACE, .time_us = w->space_us, .dir = dir, .label = "space",
                       .data = w->space, .len = w->space_len, .edited = w->edit_reason != NULL};

    if (w->space_len == 0)
        return;
    w->space_len = 0;
    emit_now(d, &ev);
}

/* White space keeps its place: it is recorded before whatever comes behind it. */
static void emit_space_first(struct decoder *d)
{
    enum dir first = d->way[0].space_us <= d->way[1].space_us ? DIR_C2S : DIR_S2C;

    emit_space(d, first);
    emit_space(d, !first);
}

static void emit(struct decoder *d, struct event *ev)
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
static void emit_edit(struct decoder *d, enum dir dir, uint64_t of)
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
    emit(d, &ev);
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
static void emit_wire(struct decoder *d, struct event *ev, size_t received)
{
    ev->edited = d->way[ev->dir].edit_reason != NULL;
    emit(d, ev);
    edit_covered(d, ev->dir, received);
}

static void emit_gap(struct decoder *d, enum dir dir, uint64_t bytes)
{
    struct event ev = {.kind = EVENT_GAP, .dir = dir, .u.gap = {bytes}};

    meaning_missed(&d->meaning, dir);
    emit(d, &ev);
}

static void space_add(struct decoder *d, enum dir dir, const char *p, size_t n)
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
static void violation(struct decoder *d, enum dir dir, enum error_code code, uint64_t offset,
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
    violation(d, dir, w->raw_code, w->raw_offset, more, more ? "" : w->raw_detail, p, n);
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
        violation(d, dir, e->code, w->scan.offset - n, false, e->detail, p, n);
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
    struct event ev = {.kind = what == SCAN_ITEM ? EVENT_STANZA : EVENT_STREAM, .dir = dir,
                       .data = p, .len = n};
    struct reader_stream *st = &d->way[dir].stream;
    const struct item *it = NULL;
    struct error e = {0};
    int err;

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
        violation(d, dir, code, w->scan.offset - n - w->item.len, false, "", w->item.p,
                  w->item.len);
        w->flawed = true;
        buf_free(&w->item);
    }
    if (n)
        violation(d, dir, code, w->scan.offset - n, w->flawed, "", p, n);
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
    struct event ev = {.kind = EVENT_STANZA, .dir = dir, .data = p};
    const struct item *it;

    if (w->flawed || !reader_next(d->reader, &w->stream, &w->scan, p, n, used, &it))
        return false;
    ev.len = *used;
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
        space_add(d, dir, p, used);
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
        violation(d, dir, wrong ? ERR_NOT_WELL_FORMED : ERR_INCOMPLETE,
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
    emit(d, &ev);
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
        emit(d, &ev);
        break;
    case MARK_TLS:
        ev.kind = EVENT_TLS;
        ev.u.tls = m->u.tls;
        emit(d, &ev);
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

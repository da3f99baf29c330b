#include "transcript.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../decoder/buf.h"
#include "notes.h"
#include "text.h"
#include "xml_lines.h"

#define TEXT_MAX  (256u << 20) /* one event's text; what would take more is not shown */
#define TITLE_MAX (64u << 10)
#define BUCKETS   1024
#define LABEL_MAX 64

/* What a session's next section depends on. */
struct session {
    struct session *next; /* in its bucket */
    char *id;
    char *title;  /* what the `#==` line says behind the id; NULL: nothing */
    bool secrets; /* they were kept */
    bool printed; /* `dir`, `header` and `label` tell of its item printed last */
    bool header;  /* it was a stream header */
    enum dir dir;
    char label[LABEL_MAX]; /* its id; "" if longer than any of ours */
    uint64_t unshown[2];   /* by dir: bytes of violations not shown and not yet counted aloud */
};

enum block { BLOCK_NONE, BLOCK_SESSION, BLOCK_NOTE, BLOCK_VIOLATION, BLOCK_ITEM };

/* Where the output stands. Restored when the text that moved it on was refused. */
struct page {
    enum block last;
    enum dir dir;            /* of BLOCK_VIOLATION */
    bool any;                /* a session has had the output */
    struct session *on;      /* whose text came last; NULL: none, or it has ended */
    struct session *item_of; /* whose item came last; NULL likewise */
};

struct transcript {
    struct sink sink;
    struct out *out;
    struct transcript_options options;
    int close_wait_ms;
    bool failed;
    struct text text; /* of the event at hand: written whole or not at all */
    struct page page;
    uint64_t lost_items, lost_notes;
    /* The smallest item that was refused, and the room that there was; 0: none. */
    size_t refused_bytes, refused_room;
    struct session *sessions[BUCKETS];
};

/* ---- sessions ---- */

static struct session **bucket(struct transcript *t, const char *id)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 16777619u;
    return &t->sessions[hash % BUCKETS];
}

/* The session with this id, new if there is none; NULL without memory. */
static struct session *session_get(struct transcript *t, const char *id)
{
    struct session **at, *s;

    if (t->page.on && strcmp(t->page.on->id, id) == 0)
        return t->page.on;
    at = bucket(t, id);
    for (s = *at; s; s = s->next)
        if (strcmp(s->id, id) == 0)
            return s;
    s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->id = strdup(id);
    if (!s->id) {
        free(s);
        return NULL;
    }
    s->next = *at;
    return *at = s;
}

static void session_drop(struct transcript *t, struct session *s)
{
    struct session **at = bucket(t, s->id);

    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    if (t->page.on == s)
        t->page.on = NULL;
    if (t->page.item_of == s)
        t->page.item_of = NULL;
    free(s->id);
    free(s->title);
    free(s);
}

/* Without memory the session's line says only its id. */
static void session_facts(struct session *s, const struct event_session *facts)
{
    struct buf title;

    s->secrets = facts->secrets && strcmp(facts->secrets, "keep") == 0;
    buf_init(&title, TITLE_MAX);
    if (buf_printf(&title, *facts->upstream ? " %s -> %s" : " %s%s", facts->client,
                   facts->upstream) || buf_add(&title, "", 1)) {
        buf_free(&title);
        return;
    }
    free(s->title);
    s->title = title.p;
}

/* ---- what stands before an event's own lines ---- */

/* The blank lines before a block of this kind. */
static void begin_block(struct transcript *t, enum block block, bool goes_on)
{
    bool first = t->page.last == BLOCK_NONE || t->page.last == BLOCK_SESSION;
    bool note = block == BLOCK_NOTE || block == BLOCK_VIOLATION;

    if (!first && (goes_on || (note && t->page.last == BLOCK_ITEM)))
        text_str(&t->text, "\n");
    else if (!first && !note)
        text_str(&t->text, "\n\n");
    t->page.last = block;
}

static void print_lost(struct transcript *t)
{
    if (!t->lost_items && !t->lost_notes)
        return;
    begin_block(t, BLOCK_NOTE, false);
    text_begin(&t->text, TEXT_NOTE);
    if (t->lost_items)
        text_put(&t->text, "%" PRIu64 " items not shown", t->lost_items);
    else
        text_put(&t->text, "%" PRIu64 " notes not shown", t->lost_notes);
    text_end(&t->text);
}

/* Counts aloud what was not shown of the session's violations. */
static void print_unshown(struct transcript *t, const struct session *s)
{
    for (int i = 0; i < 2; i++) {
        if (!s->unshown[i])
            continue;
        if (t->page.last != BLOCK_VIOLATION || t->page.dir != (enum dir)i) {
            begin_block(t, BLOCK_NOTE, false);
            text_begin(&t->text, TEXT_NOTE);
            text_put(&t->text, "violation (%s) goes on",
                     side_name(i == DIR_C2S ? SIDE_CLIENT : SIDE_SERVER));
            text_end(&t->text);
        }
        text_instead(&t->text, "... ", s->unshown[i], " more bytes");
        t->page.last = BLOCK_NOTE;
    }
}

/* Ends what the output still owes, then moves it on to `s` (NULL: to no other session). */
static void turn_to(struct transcript *t, struct session *s)
{
    if (t->page.on)
        print_unshown(t, t->page.on);
    print_lost(t);
    if (!s || s == t->page.on)
        return;
    if (t->page.any || t->options.name_first) {
        begin_block(t, BLOCK_SESSION, false);
        text_begin(&t->text, TEXT_SESSION);
        text_put(&t->text, "session ");
        text_captured(&t->text, s->id);
        text_captured(&t->text, s->title);
        text_end(&t->text);
    }
    t->page.any = true;
    t->page.on = s;
    print_unshown(t, s);
}

/* ---- wire items ---- */

static bool is_item(const struct event *ev)
{
    return ev->kind == EVENT_STREAM || ev->kind == EVENT_STANZA;
}

static bool is_header(const struct event *ev)
{
    return ev->kind == EVENT_STREAM && !ev->closing;
}

static const char *label_of(const struct event *ev)
{
    return ev->label ? ev->label : "unlabelled";
}

/* Features stand under their header: one label for both. */
static bool goes_on(const struct transcript *t, const struct session *s, const struct event *ev)
{
    return t->page.on == s && t->page.item_of == s && s->printed && s->header && !is_header(ev) &&
           s->dir == ev->dir && strcmp(s->label, label_of(ev)) == 0;
}

/* Does the documented trace leave this item without a label of its own? */
static bool is_bare(const struct transcript *t, const struct session *s, const struct label *l,
                    const struct event *ev)
{
    return t->options.language == LABELS_DOCUMENTED && l && label_bare(l) && s->printed &&
           s->dir == ev->dir;
}

static void print_label(struct transcript *t, const struct label *l, const struct event *ev)
{
    char other[512];

    text_begin(&t->text, TEXT_LABEL);
    if (!l)
        text_captured(&t->text, label_of(ev));
    else if (label_is_other(l))
        text_captured(&t->text, label_other_text(l, ev->dir, ev->type, ev->ns,
                                                 t->options.language, other, sizeof other));
    else
        text_str(&t->text, label_text(l, t->options.language));
    text_end(&t->text);
}

static void print_item(struct transcript *t, struct session *s, const struct event *ev)
{
    const struct label *l = ev->label ? label_by_id(ev->label) : NULL;
    struct text *x = &t->text;
    bool same = goes_on(t, s, ev);

    turn_to(t, s);
    begin_block(t, BLOCK_ITEM, same);
    if (!same && !is_bare(t, s, l, ev))
        print_label(t, l, ev);
    if (t->options.verbose)
        notes_comment(x, ev, s->secrets);
    if (ev->len == 0 && ev->withheld) {
        text_begin(x, TEXT_NOTE);
        text_put(x, "[redacted: %" PRIu64 " bytes]", ev->withheld);
        text_end(x);
    } else if (!x->err) {
        x->err = ev->kind == EVENT_STREAM ? xml_lines_raw(&x->buf, ev->data, ev->len, NULL)
                                          : xml_lines_item(&x->buf, ev->data, ev->len);
    }
    t->page.item_of = s;
    if (notes_below(NULL, ev)) {
        begin_block(t, BLOCK_NOTE, false);
        notes_below(x, ev);
    }
}

static void item_printed(struct session *s, const struct event *ev)
{
    size_t n = strlen(label_of(ev));

    s->printed = true;
    s->header = is_header(ev);
    s->dir = ev->dir;
    s->label[0] = '\0';
    if (n < sizeof s->label)
        memcpy(s->label, label_of(ev), n + 1);
}

/* ---- the sink ---- */

/* Has this event lines here? */
static bool is_printed(const struct transcript *t, const struct session *s, const struct event *ev)
{
    bool verbose = t->options.verbose;

    switch (ev->kind) {
    case EVENT_STREAM:
    case EVENT_STANZA:
    case EVENT_EDIT:
    case EVENT_VIOLATION:
    case EVENT_GAP:
        return true;
    case EVENT_SPACE:
        return verbose;
    case EVENT_TLS:
        return verbose || !ev->u.tls.ok;
    case EVENT_END:
        return verbose || notes_end_told(&ev->u.end) || s->unshown[0] || s->unshown[1];
    case EVENT_SESSION:
    case EVENT_KINDS:
        break;
    }
    return false;
}

static void print_note(struct transcript *t, struct session *s, const struct event *ev)
{
    bool violation = ev->kind == EVENT_VIOLATION;

    turn_to(t, s);
    if (ev->kind == EVENT_END && !notes_end_told(&ev->u.end) && !t->options.verbose)
        return; /* it only made turn_to() count what was not shown */
    begin_block(t, violation ? BLOCK_VIOLATION : BLOCK_NOTE, false);
    t->page.dir = ev->dir;
    notes_print(&t->text, ev, t->options.verbose);
}

/* Writes the text that was built. `before`: the page without it, which holds again if it is
 * refused. Returns 0, ERR_IO for ever, or another code: this text is lost. */
static int write_text(struct transcript *t, struct session *s, const struct page *before)
{
    int err = t->text.err;

    if (!err)
        err = out_add(t->out, t->text.buf.p, t->text.buf.len, &t->sink.error);
    text_reset(&t->text);
    if (err) {
        t->page = *before;
        t->failed = err == ERR_IO;
        return err;
    }
    t->lost_items = t->lost_notes = 0;
    if (before->on)
        memset(before->on->unshown, 0, sizeof before->on->unshown);
    if (s)
        memset(s->unshown, 0, sizeof s->unshown);
    return 0;
}

/* Behind a loss nothing follows from what stood before it: the session's next item is labelled. */
static void count_lost(struct transcript *t, struct session *s, const struct event *ev)
{
    if (is_item(ev) || ev->kind == EVENT_VIOLATION)
        t->lost_items++;
    else
        t->lost_notes++;
    if (s && is_item(ev))
        s->printed = false;
}

/* Is it useless to make its lines? They are hardly ever shorter than the item (white space between
 * elements goes), and one that is no smaller than one refused before will not do where no room was
 * made since. */
static bool finds_no_room(struct transcript *t, const struct event *ev)
{
    size_t room = out_room(t->out);

    if (room > t->refused_room)
        t->refused_bytes = t->refused_room = 0;
    return ev->len > room || (t->refused_room && ev->len >= t->refused_bytes);
}

static void item_refused(struct transcript *t, const struct event *ev)
{
    t->refused_bytes = ev->len;
    t->refused_room = out_room(t->out);
}

static int print_event(struct transcript *t, struct session *s, const struct event *ev)
{
    struct page before = t->page;
    int err;

    if (is_item(ev) && finds_no_room(t, ev)) {
        count_lost(t, s, ev);
        return 0;
    }
    if (is_item(ev))
        print_item(t, s, ev);
    else
        print_note(t, s, ev);
    err = write_text(t, s, &before);
    if (err == ERR_IO)
        return err;
    if (err && is_item(ev))
        item_refused(t, ev);
    if (err)
        count_lost(t, s, ev);
    else if (is_item(ev))
        item_printed(s, ev);
    else if (ev->kind == EVENT_VIOLATION && ev->len)
        s->unshown[ev->dir] = ev->len - notes_shown(ev) + ev->withheld;
    return 0;
}

static int transcript_event(struct sink *sink, const struct event *ev)
{
    struct transcript *t = (struct transcript *)sink;
    struct session *s;
    int err = 0;

    if (t->failed)
        return ERR_IO;
    s = session_get(t, ev->session);
    if (!s) {
        count_lost(t, NULL, ev);
        return 0;
    }
    if (ev->kind == EVENT_SESSION)
        session_facts(s, &ev->u.session_facts);
    else if (ev->kind == EVENT_VIOLATION && ev->u.violation.more)
        s->unshown[ev->dir] += ev->len + ev->withheld;
    else if (is_printed(t, s, ev))
        err = print_event(t, s, ev);
    if (ev->kind == EVENT_END)
        session_drop(t, s);
    return err;
}

static int transcript_flush(struct sink *sink)
{
    struct transcript *t = (struct transcript *)sink;

    if (!t->failed)
        t->failed = out_flush(t->out, &t->sink.error) != 0;
    return t->failed ? ERR_IO : 0;
}

/* Says what was lost as soon as there is room again. */
static int transcript_tick(struct sink *sink, int64_t now_us)
{
    struct transcript *t = (struct transcript *)sink;
    struct page before = t->page;

    (void)now_us;
    if (t->failed)
        return ERR_IO;
    if (t->lost_items || t->lost_notes) {
        turn_to(t, NULL);
        write_text(t, NULL, &before);
    }
    return transcript_flush(sink);
}

static int transcript_close(struct sink *sink)
{
    struct transcript *t = (struct transcript *)sink;
    int err = transcript_tick(sink, 0);

    for (size_t i = 0; i < BUCKETS; i++) {
        while (t->sessions[i]) { /* those without an end */
            struct session *s = t->sessions[i];
            struct page before = t->page;
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): session_drop() unlinks what it frees */
            if (!err && (s->unshown[0] || s->unshown[1])) {
                turn_to(t, s);
                err = write_text(t, s, &before) == ERR_IO ? ERR_IO : 0;
            }
            session_drop(t, s);
        }
    }
    if (!err)
        err = transcript_flush(sink);
    out_close(t->out, t->close_wait_ms);
    text_free(&t->text);
    free(t);
    return err;
}

struct sink *transcript_new(struct out *out, const struct transcript_options *o, int close_wait_ms)
{
    struct transcript *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->sink = (struct sink){
        .event = transcript_event, .tick = transcript_tick, .flush = transcript_flush,
        .close = transcript_close};
    t->out = out;
    t->options = *o;
    t->close_wait_ms = close_wait_ms;
    text_init(&t->text, TEXT_MAX, o->colour);
    return &t->sink;
}

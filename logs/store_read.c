#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "json.h"
#include "store.h"

/* The lines of a session whose turn has not come. */
struct text {
    char *p;
    size_t len, cap;
};

/* Members of one file, from one to another; none if the last is before the first. */
struct span {
    int64_t first, last;
};

static const struct span nothing = {0, -1};

/* Sessions that overlap, so they are read at once: the first one's events are given as they come,
 * the others' lines are kept until then. */
struct batch {
    const struct store *st;
    struct store_session *const *list;
    size_t count;
    struct ids ids;    /* of theirs: their indexes in `list` and `text` */
    struct text *text; /* unused of the first one */
    struct span *span; /* by file: all of theirs lies there */
    size_t first_file, last_file;
    size_t waiting; /* bytes that will be kept */
    bool ended;     /* the first one's `end` has come */

    int (*event)(void *arg, const struct event *ev);
    void *arg;
    struct json_record record;
    char *room; /* for what is kept */
    size_t room_bytes;
};

/* Where a session lies in this file, one of its own. */
static struct span span_in(const struct store_session *s, size_t file)
{
    return (struct span){file == s->first.file ? s->first.member : 0,
                         file == s->last.file ? s->last.member : INT64_MAX};
}

/* May it be read together with those that are gathered? Not if what lies between were read for
 * nothing. Several workers write side by side, each its own file. */
static bool may_join(const struct batch *b, const struct store_session *s)
{
    if (s->bytes > b->st->wait_bytes - b->waiting ||
        ids_find(&b->ids, s->id, strlen(s->id)) != IDS_NONE) /* it may be asked for twice */
        return false;
    for (size_t f = s->first.file; f <= s->last.file; f++) {
        struct span is = b->span[f], more = span_in(s, f);

        if (is.first <= is.last && (more.first > is.last || more.last < is.first))
            return false;
    }
    return true;
}

static int join(struct batch *b, const struct store_session *s)
{
    bool alone = b->count == 0;

    if (ids_add(&b->ids, s->id, b->count))
        return ERR_NOMEM;
    for (size_t f = s->first.file; f <= s->last.file; f++) {
        struct span *is = &b->span[f], more = span_in(s, f);
        bool any = is->first <= is->last;

        is->first = any && is->first < more.first ? is->first : more.first;
        is->last = any && is->last > more.last ? is->last : more.last;
    }
    b->first_file = alone || s->first.file < b->first_file ? s->first.file : b->first_file;
    b->last_file = alone || s->last.file > b->last_file ? s->last.file : b->last_file;
    b->text[b->count] = (struct text){.cap = alone ? 0 : s->bytes};
    b->waiting += b->text[b->count++].cap;
    return 0;
}

/* Takes as many sessions from the `count` of `list` as may be read at once, the first one in any case. */
static int gather(struct batch *b, struct store_session *const *list, size_t count)
{
    for (size_t f = b->first_file; f <= b->last_file; f++)
        b->span[f] = nothing;
    ids_clear(&b->ids);
    b->list = list;
    b->count = b->waiting = 0;
    b->ended = false;
    do {
        if (join(b, list[b->count]))
            return ERR_NOMEM;
    } while (b->count < count && may_join(b, list[b->count]));
    return 0;
}

static int make_room(struct batch *b)
{
    char *p;

    if (b->waiting > b->room_bytes) {
        free(b->room);
        b->room = malloc(b->waiting);
        b->room_bytes = b->room ? b->waiting : 0;
        if (!b->room)
            return ERR_NOMEM;
    }
    p = b->room;
    for (size_t i = 0; i < b->count; p += b->text[i++].cap)
        b->text[i].p = p;
    return 0;
}

/* The event of a line; NULL where it is none that is known. What is wrong with it the scan has told. */
static const struct event *read_line(struct batch *b, const char *line, size_t n)
{
    struct error skipped;

    return json_event_read(&b->record, line, n, &skipped) || b->record.event.kind == EVENT_KINDS
               ? NULL
               : &b->record.event;
}

/* Keeps a line, unless it is behind its session's end: there is just room for those up to it. */
static void keep(struct text *text, const char *line, size_t n)
{
    if (n >= text->cap - text->len)
        return;
    memcpy(text->p + text->len, line, n);
    text->len += n;
    text->p[text->len++] = '\n';
}

static int take_line(struct batch *b, const char *line, size_t n)
{
    const struct event *ev = NULL;
    size_t id_bytes, i;
    const char *id = b->st->odd ? NULL : json_line_session(line, n, &id_bytes);

    if (!id) {
        ev = read_line(b, line, n);
        if (!ev)
            return 0;
        id = ev->session;
        id_bytes = strlen(id);
    }
    i = ids_find(&b->ids, id, id_bytes);
    if (i != 0 && i != IDS_NONE)
        keep(&b->text[i], line, n);
    if (i != 0 || b->ended)
        return 0;
    ev = ev ? ev : read_line(b, line, n);
    if (!ev)
        return 0;
    b->ended = ev->kind == EVENT_END;
    return b->event(b->arg, ev);
}

static int read_file(struct batch *b, size_t file, struct error *e)
{
    struct archive_reader *r = archive_reader_open(b->st->file[file], e);
    struct error skipped;
    const char *line;
    size_t n;
    int got, err = 0;

    if (!r)
        return (int)e->code;
    if (b->span[file].first)
        err = archive_reader_seek(r, b->span[file].first, e);
    while (!err && !(b->ended && b->count == 1) &&
           archive_reader_tell(r) <= b->span[file].last) {
        got = archive_reader_next_line(r, &line, &n, &skipped);
        if (got == 0)
            break;
        if (got > 0)
            err = take_line(b, line, n);
    }
    archive_reader_close(r);
    return err;
}

/* Gives the events of the lines that were kept of one session. */
static int give(struct batch *b, const struct text *text)
{
    const char *p = text->p, *end = p + text->len;
    const struct event *ev;
    bool ended = false;
    int err = 0;

    for (size_t n; p < end && !err && !ended; p += n + 1) {
        n = (size_t)((const char *)memchr(p, '\n', (size_t)(end - p)) - p);
        ev = read_line(b, p, n);
        if (!ev)
            continue;
        ended = ev->kind == EVENT_END;
        err = b->event(b->arg, ev);
    }
    return err;
}

static int read_batch(struct batch *b, struct error *e)
{
    int err = make_room(b);

    if (err)
        return error_set(e, ERR_NOMEM, "no memory to read sessions that overlap");
    for (size_t f = b->first_file; f <= b->last_file && !err; f++)
        if (b->span[f].first <= b->span[f].last)
            err = read_file(b, f, e);
    for (size_t i = 1; i < b->count && !err; i++)
        err = give(b, &b->text[i]);
    return err;
}

int store_read(const struct store *st, struct store_session *const *list, size_t count,
               int (*event)(void *arg, const struct event *ev), void *arg, struct error *e)
{
    struct batch b = {.st = st, .event = event, .arg = arg};
    int err = 0;

    b.text = calloc(count + 1, sizeof *b.text);
    b.span = calloc(st->files + 1, sizeof *b.span);
    if (!b.text || !b.span)
        err = error_set(e, ERR_NOMEM, "no memory to read");
    for (size_t f = 0; f < st->files && !err; f++)
        b.span[f] = nothing;
    for (size_t i = 0; i < count && !err; i += b.count) {
        err = gather(&b, list + i, count - i);
        err = err ? error_set(e, ERR_NOMEM, "no memory to read") : read_batch(&b, e);
    }
    json_record_free(&b.record);
    ids_free(&b.ids);
    free(b.room);
    free(b.text);
    free(b.span);
    return err;
}

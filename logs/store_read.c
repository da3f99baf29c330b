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

/* Sessions that overlap, so they are read at once: the first one's events are given as they come,
 * the others' lines are kept until then. */
struct batch {
    const struct store *st;
    struct store_session *const *list;
    size_t count;
    struct ids ids;    /* of theirs: their indexes in `list` and `text` */
    struct text *text; /* unused of the first one */
    struct store_place first, last; /* all of theirs lies there */
    size_t waiting;                 /* bytes that will be kept */
    bool ended;                     /* the first one's `end` has come */

    int (*event)(void *arg, const struct event *ev);
    void *arg;
    struct json_record record;
    char *room; /* for what is kept */
    size_t room_bytes;
};

/* Is `a` before `b`? */
static bool before(struct store_place a, struct store_place b)
{
    return a.file != b.file ? a.file < b.file : a.member < b.member;
}

/* May it be read together with those that are gathered? */
static bool may_join(const struct batch *b, const struct store_session *s)
{
    return !before(b->last, s->first) && !before(s->last, b->first) &&
           s->bytes <= b->st->wait_bytes - b->waiting &&
           ids_find(&b->ids, s->id, strlen(s->id)) == IDS_NONE; /* it may be asked for twice */
}

/* Takes as many sessions from the `count` of `list` as overlap and may wait. */
static int gather(struct batch *b, struct store_session *const *list, size_t count)
{
    b->list = list;
    b->first = list[0]->first;
    b->last = list[0]->last;
    b->waiting = 0;
    b->ended = false;
    ids_clear(&b->ids);
    for (b->count = 0; b->count < count; b->count++) {
        const struct store_session *s = list[b->count];

        if (b->count && !may_join(b, s))
            break;
        if (ids_add(&b->ids, s->id, b->count))
            return ERR_NOMEM;
        b->text[b->count] = (struct text){.cap = b->count ? s->bytes : 0};
        b->waiting += b->text[b->count].cap;
        b->first = before(s->first, b->first) ? s->first : b->first;
        b->last = before(b->last, s->last) ? s->last : b->last;
    }
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
    if (file == b->first.file)
        err = archive_reader_seek(r, b->first.member, e);
    while (!err && !(b->ended && b->count == 1)) {
        if (file == b->last.file && archive_reader_tell(r) > b->last.member)
            break;
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
    for (size_t f = b->first.file; f <= b->last.file && !err; f++)
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
    if (!b.text)
        err = error_set(e, ERR_NOMEM, "no memory to read");
    for (size_t i = 0; i < count && !err; i += b.count) {
        err = gather(&b, list + i, count - i);
        err = err ? error_set(e, ERR_NOMEM, "no memory to read") : read_batch(&b, e);
    }
    json_record_free(&b.record);
    ids_free(&b.ids);
    free(b.room);
    free(b.text);
    return err;
}

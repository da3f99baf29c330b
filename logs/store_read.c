#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "json.h"
#include "store.h"

/* The lines of a session whose turn has not come. */
struct store_text {
    char *p;
    size_t len, cap;
};

/* Sessions that overlap, so they are read at once: the first one's events are given as they come,
 * the others' lines are kept until then. */
struct batch {
    const struct store *st;
    struct store_session *const *list;
    size_t count;
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

/* Takes as many sessions from the `count` of `list` as overlap and may wait. */
static void gather(struct batch *b, struct store_session *const *list, size_t count,
                   struct store_text *text)
{
    b->list = list;
    b->first = list[0]->first;
    b->last = list[0]->last;
    b->waiting = 0;
    b->ended = false;
    list[0]->text = text;
    for (b->count = 1; b->count < count; b->count++) {
        struct store_session *s = list[b->count];

        if (s->text || before(b->last, s->first) || before(s->last, b->first) ||
            s->bytes > b->st->wait_bytes - b->waiting)
            break;
        s->text = &text[b->count];
        *s->text = (struct store_text){.cap = s->bytes};
        b->waiting += s->bytes;
        b->first = before(s->first, b->first) ? s->first : b->first;
        b->last = before(b->last, s->last) ? s->last : b->last;
    }
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
    for (size_t i = 1; i < b->count; p += b->list[i++]->bytes)
        b->list[i]->text->p = p;
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

static int take_line(struct batch *b, const char *line, size_t n)
{
    const struct event *ev = NULL;
    struct store_session *s;
    size_t id_bytes;
    const char *id = b->st->odd ? NULL : json_line_session(line, n, &id_bytes);

    if (!id) {
        ev = read_line(b, line, n);
        if (!ev)
            return 0;
        id = ev->session;
        id_bytes = strlen(id);
    }
    s = store_find(b->st, id, id_bytes);
    if (!s || !s->text)
        return 0;
    if (s != b->list[0]) {
        if (n < s->text->cap - s->text->len) { /* else it is behind its end */
            memcpy(s->text->p + s->text->len, line, n);
            s->text->len += n;
            s->text->p[s->text->len++] = '\n';
        }
        return 0;
    }
    ev = ev || b->ended ? ev : read_line(b, line, n);
    if (!ev || b->ended)
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
static int give(struct batch *b, const struct store_text *text)
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
        err = give(b, b->list[i]->text);
    for (size_t i = 0; i < b->count; i++)
        b->list[i]->text = NULL;
    return err;
}

int store_read(const struct store *st, struct store_session *const *list, size_t count,
               int (*event)(void *arg, const struct event *ev), void *arg, struct error *e)
{
    struct batch b = {.st = st, .event = event, .arg = arg};
    struct store_text *text = calloc(count + 1, sizeof *text);
    int err = 0;

    if (!text)
        return error_set(e, ERR_NOMEM, "no memory to read");
    for (size_t i = 0; i < count && !err; i += b.count) {
        gather(&b, list + i, count - i, text + i);
        err = read_batch(&b, e);
    }
    json_record_free(&b.record);
    free(b.room);
    free(text);
    return err;
}

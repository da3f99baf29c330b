#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive.h"

#define FIRST_SESSIONS 64

void store_init(struct store *st)
{
    *st = (struct store){0};
}

void store_free(struct store *st)
{
    for (size_t i = 0; i < st->files; i++)
        free(st->file[i]);
    for (size_t i = 0; i < st->sessions; i++) {
        free(st->session[i].id);
        free(st->session[i].account);
        free(st->session[i].detail);
    }
    free(st->file);
    free(st->session);
    free(st->slot);
    store_init(st);
}

/* ---- sessions by id: a hash table of indexes, open addressing ---- */

static uint64_t hash(const char *s)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
}

/* The slot of `id`: its index plus 1, or 0 where it would go. */
static size_t *slot_of(const struct store *st, const char *id)
{
    size_t i = (size_t)hash(id) & (st->slots - 1);

    while (st->slot[i] && strcmp(st->session[st->slot[i] - 1].id, id) != 0)
        i = (i + 1) & (st->slots - 1);
    return &st->slot[i];
}

static int grow(struct store *st)
{
    size_t n = st->slots ? st->slots : FIRST_SESSIONS;
    bool old = st->session != NULL;
    struct store_session *sessions = realloc(st->session, n * sizeof *sessions);
    size_t *slot;

    if (!sessions)
        return ERR_NOMEM;
    st->session = sessions;
    slot = calloc(2 * n, sizeof *slot); /* never more than half full */
    if (!slot)
        return ERR_NOMEM;
    free(st->slot);
    st->slot = slot;
    st->slots = 2 * n;
    for (size_t i = 0; old && i < st->sessions; i++)
        *slot_of(st, st->session[i].id) = i + 1;
    return 0;
}

struct store_session *store_find(const struct store *st, const char *id)
{
    size_t i = st->slots ? *slot_of(st, id) : 0;

    return i ? &st->session[i - 1] : NULL;
}

static struct store_session *add(struct store *st, const char *id)
{
    struct store_session *s;

    if ((!st->session || 2 * st->sessions >= st->slots) && grow(st))
        return NULL;
    s = &st->session[st->sessions];
    *s = (struct store_session){.id = strdup(id), .account = strdup(""), .detail = strdup("")};
    if (!s->id || !s->account || !s->detail) {
        free(s->id);
        free(s->account);
        free(s->detail);
        return NULL;
    }
    *slot_of(st, id) = ++st->sessions;
    return s;
}

/* ---- scanning ---- */

static int replace(char **old, const char *s, size_t n)
{
    char *copy = strndup(s, n);

    if (!copy)
        return ERR_NOMEM;
    free(*old);
    *old = copy;
    return 0;
}

/* A session that was cut off has no `end` to name its account: the bind result does. */
static int learn_account(struct store_session *s, const struct event *ev)
{
    const char *jid, *end;

    if (!ev->label || strcmp(ev->label, "bind.result") != 0 || !ev->data)
        return 0;
    jid = memmem(ev->data, ev->len, "<jid>", 5);
    if (!jid)
        return 0;
    jid += 5;
    end = jid;
    while (end < ev->data + ev->len && *end != '<' && *end != '/')
        end++;
    return replace(&s->account, jid, (size_t)(end - jid));
}

static int note(struct store *st, const struct event *ev, struct store_place at)
{
    struct store_session *s = store_find(st, ev->session);
    int err;

    if (!s) {
        s = add(st, ev->session);
        if (!s)
            return ERR_NOMEM;
        s->begin_us = ev->time_us;
        s->first = at;
    }
    s->last = at;
    s->end_us = ev->time_us;
    s->records++;
    if (ev->kind != EVENT_END)
        return learn_account(s, ev);
    s->ended = true;
    s->by = ev->u.end.by;
    s->code = ev->u.end.code;
    err = replace(&s->detail, ev->u.end.detail, strlen(ev->u.end.detail));
    if (!err && *ev->u.end.account)
        err = replace(&s->account, ev->u.end.account, strlen(ev->u.end.account));
    return err;
}

static int add_file(struct store *st, const char *path)
{
    char **file = realloc(st->file, (st->files + 1) * sizeof *file);

    if (!file)
        return ERR_NOMEM;
    st->file = file;
    st->file[st->files] = strdup(path);
    if (!st->file[st->files])
        return ERR_NOMEM;
    st->files++;
    return 0;
}

static int scan_file(struct store *st, const char *path, void (*tell)(const char *),
                     struct error *e)
{
    struct archive_reader *r = archive_reader_open(path, e);
    struct store_place at = {.file = st->files};
    char sentence[ERROR_DETAIL_MAX + 64];
    struct event ev;
    int got, err;

    if (!r)
        return (int)e->code;
    err = add_file(st, path);
    while (!err) {
        at.member = archive_reader_tell(r);
        got = archive_reader_next(r, NULL, &ev, e);
        if (got == 0)
            break;
        if (got < 0) {
            snprintf(sentence, sizeof sentence, "skipped: %s", e->detail);
            tell(sentence);
        } else {
            err = note(st, &ev, at);
        }
    }
    if (archive_reader_torn(r)) {
        snprintf(sentence, sizeof sentence,
                 "torn: %s ends in the middle of a member; whole lines of it were read", path);
        tell(sentence);
    }
    archive_reader_close(r);
    return err ? error_set(e, ERR_NOMEM, "no memory to read %s", path) : 0;
}

static bool is_archive(const char *name)
{
    static const char end[] = ".jsonl.gz";
    size_t n = strlen(name);

    return *name != '.' && n > sizeof end - 1 && strcmp(name + n - (sizeof end - 1), end) == 0;
}

static int filter(const struct dirent *d)
{
    return is_archive(d->d_name);
}

/* Names sort by time. A file that cannot be read is told, and the others are. */
static int scan_folder(struct store *st, const char *path, void (*tell)(const char *),
                       struct error *e)
{
    struct dirent **names;
    int n = scandir(path, &names, filter, alphasort), err = 0;

    if (n < 0)
        return error_set(e, ERR_IO, "cannot read the folder %s: %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        char file[4096];

        if (!err && snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name) < 4096) {
            err = scan_file(st, file, tell, e);
            if (err && err != ERR_NOMEM) {
                tell(e->detail);
                err = 0;
            }
        }
        free(names[i]);
    }
    free(names);
    return err;
}

int store_scan(struct store *st, const char *path, void (*tell)(const char *sentence),
               struct error *e)
{
    struct stat sb;

    if (stat(path, &sb))
        return error_set(e, ERR_IO, "cannot read %s: %s; name a file or folder that is there",
                         path, strerror(errno));
    return S_ISDIR(sb.st_mode) ? scan_folder(st, path, tell, e) : scan_file(st, path, tell, e);
}

/* ---- reading one session ---- */

static int read_file(const struct store *st, const struct store_session *s, size_t file,
                     int (*event)(void *, const struct event *), void *arg, bool *ended,
                     struct error *e)
{
    struct archive_reader *r = archive_reader_open(st->file[file], e);
    struct event ev;
    struct error skipped;
    int got, err = 0;

    if (!r)
        return (int)e->code;
    if (file == s->first.file)
        err = archive_reader_seek(r, s->first.member, e);
    while (!err && !*ended) {
        if (file == s->last.file && archive_reader_tell(r) > s->last.member)
            break;
        got = archive_reader_next(r, s->id, &ev, &skipped);
        if (got == 0)
            break;
        if (got < 0)
            continue; /* the scan has told it */
        *ended = ev.kind == EVENT_END;
        err = event(arg, &ev);
    }
    archive_reader_close(r);
    return err;
}

int store_read(const struct store *st, const struct store_session *s,
               int (*event)(void *arg, const struct event *ev), void *arg, struct error *e)
{
    bool ended = false;
    int err = 0;

    for (size_t f = s->first.file; f <= s->last.file && !err && !ended; f++)
        err = read_file(st, s, f, event, arg, &ended, e);
    return err;
}

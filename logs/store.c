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

static void session_free(struct store_session *s)
{
    free(s->id);
    free(s->account);
    free(s->server);
    free(s->tls);
    free(s->mechanism);
    free(s->resumes);
    free(s->sentence);
    story_free(&s->story);
}

void store_free(struct store *st)
{
    for (size_t i = 0; i < st->files; i++)
        free(st->file[i]);
    for (size_t i = 0; i < st->sessions; i++) {
        session_free(&st->session[i]);
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
    *s = (struct store_session){.id = strdup(id)};
    if (!s->id)
        return NULL;
    *slot_of(st, id) = ++st->sessions;
    return s;
}

/* ---- scanning ---- */

/* "TLSv1.3" is "1.3". */
static const char *version(const struct story *story, const char *key)
{
    const char *v = story_get(story, key);

    return v && strncmp(v, "TLSv", 4) == 0 ? v + 4 : v;
}

static char *tls_versions(const struct story *story)
{
    const char *client = version(story, "tls.client.version");
    const char *server = version(story, "tls.server.version");
    char both[64];

    if (client && server && strcmp(client, server) != 0) {
        snprintf(both, sizeof both, "%.20s/%.20s", client, server);
        return strdup(both);
    }
    return strdup(client ? client : server ? server : "");
}

/* The first of these that is known. */
static char *known(const struct story *story, const char *key, const char *else_key)
{
    const char *v = story_get(story, key);

    if (!v && else_key)
        v = story_get(story, else_key);
    return strdup(v ? v : "");
}

int store_conclude(struct store_session *s)
{
    struct verdict v;

    if (s->concluded)
        return 0;
    verdict_give(&s->story, &v);
    s->verdict = v.id;
    s->ok = v.ok;
    s->account = story_get(&s->story, "jid") ? known(&s->story, "jid", NULL)
                                             : known(&s->story, "account", "domain");
    s->server = known(&s->story, "upstream", NULL);
    s->tls = tls_versions(&s->story);
    s->mechanism = known(&s->story, "mechanism", NULL);
    s->resumes = known(&s->story, "resumes", NULL);
    s->sentence = strdup(v.sentence);
    story_free(&s->story);
    s->concluded = true;
    return s->account && s->server && s->tls && s->mechanism && s->resumes && s->sentence
               ? 0
               : ERR_NOMEM;
}

static int note(struct store *st, const struct event *ev, struct store_place at)
{
    struct store_session *s = store_find(st, ev->session);

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
    if (s->concluded)
        return 0; /* behind its end: a damaged file */
    story_event(&s->story, ev);
    if (ev->kind != EVENT_END)
        return 0;
    s->ended = true;
    s->by = ev->u.end.by;
    s->code = ev->u.end.code;
    s->stanzas = ev->u.end.stanzas[0] + ev->u.end.stanzas[1];
    return store_conclude(s);
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

static int by_beginning(const void *a, const void *b)
{
    const struct store_session *x = a, *y = b;

    return x->begin_us < y->begin_us ? -1 : x->begin_us > y->begin_us ? 1 : strcmp(x->id, y->id);
}

/* A folder's sessions, from the one with this index on: files of several workers were read one after
 * the other, but written at the same time. One worker's are in order already, and left as they
 * are. */
static void sort_sessions(struct store *st, size_t from)
{
    size_t i = from + 1;

    while (i < st->sessions && st->session[i - 1].begin_us <= st->session[i].begin_us)
        i++;
    if (i >= st->sessions)
        return;
    qsort(st->session + from, st->sessions - from, sizeof *st->session, by_beginning);
    memset(st->slot, 0, st->slots * sizeof *st->slot);
    for (i = 0; i < st->sessions; i++)
        *slot_of(st, st->session[i].id) = i + 1;
}

int store_scan(struct store *st, const char *path, void (*tell)(const char *sentence),
               struct error *e)
{
    size_t from = st->sessions;
    struct stat sb;
    int err;

    if (stat(path, &sb))
        return error_set(e, ERR_IO, "cannot read %s: %s; name a file or folder that is there",
                         path, strerror(errno));
    if (!S_ISDIR(sb.st_mode))
        return scan_file(st, path, tell, e);
    err = scan_folder(st, path, tell, e);
    sort_sessions(st, from);
    return err;
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

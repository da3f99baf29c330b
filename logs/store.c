#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive.h"
#include "json.h"

#define FIRST_SESSIONS 64

void store_init(struct store *st)
{
    *st = (struct store){.wait_bytes = STORE_WAIT_BYTES};
}

static void story_drop(struct store_session *s)
{
    if (s->story)
        story_free(s->story);
    free(s->story);
    s->story = NULL;
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
    story_drop(s);
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
    ids_free(&st->ids);
    store_init(st);
}

/* ---- sessions by id ---- */

struct store_session *store_find(const struct store *st, const char *id)
{
    size_t i = ids_find(&st->ids, id, strlen(id));

    return i == IDS_NONE ? NULL : &st->session[i];
}

static int grow(struct store *st)
{
    size_t room = st->room ? 2 * st->room : FIRST_SESSIONS;
    struct store_session *more = realloc(st->session, room * sizeof *more);

    if (!more)
        return ERR_NOMEM;
    st->session = more;
    st->room = room;
    return 0;
}

static struct store_session *add(struct store *st, const char *id)
{
    struct store_session *s;

    if (st->sessions == st->room && grow(st))
        return NULL;
    s = &st->session[st->sessions];
    *s = (struct store_session){.id = strdup(id)};
    if (st->stories)
        s->story = calloc(1, sizeof *s->story);
    if (!s->id || (st->stories && !s->story) || ids_add(&st->ids, s->id, st->sessions)) {
        free(s->id);
        free(s->story);
        return NULL;
    }
    if (s->story)
        story_init(s->story);
    st->sessions++;
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
    verdict_give(s->story, &v);
    s->verdict = v.id;
    s->ok = v.ok;
    s->account = story_get(s->story, "jid") ? known(s->story, "jid", NULL)
                                             : known(s->story, "account", "domain");
    s->server = known(s->story, "upstream", NULL);
    s->tls = tls_versions(s->story);
    s->mechanism = known(s->story, "mechanism", NULL);
    s->resumes = known(s->story, "resumes", NULL);
    s->sentence = strdup(v.sentence);
    story_drop(s);
    s->concluded = true;
    return s->account && s->server && s->tls && s->mechanism && s->resumes && s->sentence
               ? 0
               : ERR_NOMEM;
}

static int note(struct store *st, const struct event *ev, size_t line_bytes,
                struct store_place at)
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
    if (s->ended)
        return 0; /* behind its end: a damaged file */
    s->bytes += line_bytes + 1;
    if (s->story)
        story_event(s->story, ev);
    if (ev->kind != EVENT_END)
        return 0;
    s->ended = true;
    s->by = ev->u.end.by;
    s->code = ev->u.end.code;
    s->stanzas = ev->u.end.stanzas[0] + ev->u.end.stanzas[1];
    return s->story ? store_conclude(s) : 0;
}

/* Does the line begin with another session's id than its event has? */
static bool is_odd(const struct event *ev, const char *line, size_t n)
{
    size_t id_bytes;
    const char *id = json_line_session(line, n, &id_bytes);

    return id && (strncmp(ev->session, id, id_bytes) != 0 || ev->session[id_bytes]);
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
    const char *line;
    size_t n;
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
            st->odd = true;
        } else {
            line = archive_reader_line(r, &n);
            st->odd |= is_odd(&ev, line, n);
            err = note(st, &ev, n, at);
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
 * the other, but written at the same time. */
static int sort_sessions(struct store *st, size_t from)
{
    size_t i = from + 1;
    int err = 0;

    while (i < st->sessions && st->session[i - 1].begin_us <= st->session[i].begin_us)
        i++;
    if (i >= st->sessions)
        return 0;
    qsort(st->session + from, st->sessions - from, sizeof *st->session, by_beginning);
    ids_clear(&st->ids);
    for (i = 0; i < st->sessions && !err; i++)
        err = ids_add(&st->ids, st->session[i].id, i);
    return err;
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
    if (!err && sort_sessions(st, from))
        err = error_set(e, ERR_NOMEM, "no memory to read %s", path);
    return err;
}

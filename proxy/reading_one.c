/* reading_one.c: the one session that a command is given (reading.h). */
#include "reading.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../decoder/buf.h"
#include "../logs/xml_lines.h"

/* A sentence of ours that may quote what was captured or given. */
static void say(const char *fmt, const char *a, const char *b)
{
    struct buf text, line;

    buf_init(&text, 16384);
    buf_init(&line, 65536);
    if (buf_printf(&text, fmt, a, b) == 0 && xml_lines_inline(&line, text.p, text.len) == 0)
        fprintf(stderr, "xmpptap: %.*s\n", (int)line.len, line.p);
    buf_free(&text);
    buf_free(&line);
}

/* FILE#SESSION is parted, unless there is a file of that whole name. `*session` is NULL where none
 * is named. Returns the file, NULL where a session of the store is named. */
static char *part(char *arg, const char **session)
{
    struct stat st;
    char *hash = strrchr(arg, '#');

    *session = NULL;
    if (stat(arg, &st) == 0)
        return arg;
    if (hash) {
        *hash = '\0';
        *session = hash + 1;
        if (reading_is_path(arg))
            return arg;
        *hash = '#';
    }
    *session = arg;
    if (reading_is_path(arg)) {
        *session = NULL;
        return arg;
    }
    return NULL;
}

/* By its id, or by a beginning that no other has. NULL with that said. */
static struct store_session *find(const struct store *st, const char *id, const char *where,
                                  bool file)
{
    struct store_session *s = store_find(st, id);
    size_t n = 0;

    if (s)
        return s;
    for (size_t i = 0; i < st->sessions && *id; i++)
        if (strncmp(st->session[i].id, id, strlen(id)) == 0) {
            s = &st->session[i];
            n++;
        }
    if (n == 1)
        return s;
    say(n ? "more than one session begins with %s in %s; give more of its id"
        : file
            ? "no session %s in %s; `xmpptap list FILE` shows which there are"
            : "there is no file %s, and no session of that name in %s; `xmpptap list` shows which "
              "there are",
        id, where);
    return NULL;
}

struct store_session *reading_one(struct store *st, const struct reading_options *o, char *arg)
{
    const char *session;
    char *file = part(arg, &session), dir[4096];
    char *args[] = {file ? file : arg};
    struct store_session *s;

    if (reading_open(st, o, 1, args))
        return NULL;
    if (session)
        return find(st, session, file ? file : reading_store(o, dir, sizeof dir), file);
    if (!st->sessions) {
        say("no whole record in %s%s; give an archive, NAME.jsonl.gz, or a folder of them", file,
            "");
        return NULL;
    }
    s = &st->session[st->sessions - 1];
    if (st->sessions > 1)
        say("%s holds several sessions, and this is the last; to have another: FILE#SESSION, its "
            "id "
            "is in `xmpptap list %s`",
            file, file);
    return s;
}

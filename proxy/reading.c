#include "reading.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../decoder/buf.h"
#include "../logs/xml_lines.h"

static void tell(const char *sentence)
{
    struct buf line;

    buf_init(&line, 16384);
    if (xml_lines_inline(&line, sentence, strlen(sentence)) == 0) /* it may quote what was captured */
        fprintf(stderr, "xmpptap: %.*s\n", (int)line.len, line.p ? line.p : "");
    buf_free(&line);
}

bool reading_is_path(const char *arg)
{
    struct stat st;

    return stat(arg, &st) == 0 || strchr(arg, '/');
}

const char *reading_store(const struct reading_options *o, char *out, size_t size)
{
    if (!o->archive_dir)
        return ARCHIVE_DIR(out, size);
    snprintf(out, size, "%s", o->archive_dir);
    return out;
}

static int scan(struct store *st, const char *path)
{
    struct error e;

    if (store_scan(st, path, tell, &e) == 0)
        return 0;
    tell(e.detail);
    return 1;
}

int reading_open(struct store *st, const struct reading_options *o, int n, char **args)
{
    char dir[4096];
    struct stat sb;
    int status = 0, paths = 0;

    for (int i = 0; i < n && !status; i++)
        if (reading_is_path(args[i])) {
            status = scan(st, args[i]);
            paths++;
        }
    if (paths == n && n > 0)
        return status;
    reading_store(o, dir, sizeof dir);
    if (!*dir) {
        tell("neither HOME nor XDG_STATE_HOME is set; give -d DIR");
        return 1;
    }
    if (!o->archive_dir && stat(dir, &sb))
        return status; /* nothing was captured yet */
    return status ? status : scan(st, dir);
}

static int pick(const struct store *st, int n, char **args, const char *store,
                struct store_session **list, size_t *count)
{
    bool paths = false;
    size_t k = 0;

    for (int i = 0; i < n; i++)
        paths |= reading_is_path(args[i]);
    for (size_t i = 0; i < st->sessions && paths; i++)
        list[k++] = &st->session[i];
    for (int i = 0; i < n; i++) {
        if (reading_is_path(args[i]))
            continue;
        list[k] = store_find(st, args[i]);
        if (!list[k++]) {
            fprintf(stderr,
                    "xmpptap: there is no file %s, and no session of that name in %s; `xmpptap "
                    "list` shows which there are\n",
                    args[i], store);
            return 1;
        }
    }
    if (n == 0 && st->sessions)
        list[k++] = &st->session[st->sessions - 1];
    *count = k;
    return 0;
}

int reading_select(struct store *st, const struct reading_options *o, int n, char **args,
                   struct store_session ***list, size_t *count)
{
    char dir[4096];
    int status = reading_open(st, o, n, args);

    *count = 0;
    if (status)
        return status;
    *list = calloc(st->sessions + (size_t)n + 1, sizeof **list);
    if (!*list) {
        tell("no memory to read");
        return 1;
    }
    status = pick(st, n, args, reading_store(o, dir, sizeof dir), *list, count);
    if (status || *count)
        return status;
    fputs(n ? "xmpptap: no whole record there; an archive is NAME.jsonl.gz, or a folder of them\n"
            : "xmpptap: no sessions there yet; `xmpptap demo` makes one\n",
          stderr);
    return n ? 0 : 1;
}

bool reading_is_over(void)
{
    struct pollfd p = {.fd = STDOUT_FILENO};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

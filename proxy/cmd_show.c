/* cmd_show.c: `xmpptap show`: captured sessions as a transcript. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../logs/store.h"
#include "../logs/transcript.h"
#include "reading.h"

struct show_options {
    struct reading_options reading;
    bool verbose;
    int labels;
};

#define AT(field) offsetof(struct show_options, field)

static const struct option_row rows[] = {
    {'d', "archive-dir", "DIR", OPTION_STRING, AT(reading.archive_dir),
     "the sessions kept there (default $XDG_STATE_HOME/xmpptap)"},
    {0, "labels", "documented|zh|en", OPTION_CHOICE, AT(labels),
     "the labels' language (default documented)"},
    {'v', "verbose", NULL, OPTION_FLAG, AT(verbose),
     "comment lines: time, direction, size, wait, TLS facts"},
    {0}};

static int on_event(void *arg, const struct event *ev)
{
    struct sink *s = arg;

    return s->event(s, ev);
}

/* Those that are asked for: named ones, else all of the files named, else the last. */
static int select_sessions(const struct store *st, int n, char **args, const char *store,
                           struct store_session ***out, size_t *count)
{
    struct store_session **list = calloc(st->sessions + (size_t)n + 1, sizeof *list);
    bool paths = false;
    size_t k = 0;

    if (!list)
        return 1;
    for (int i = 0; i < n; i++)
        paths |= reading_is_path(args[i]);
    for (size_t i = 0; i < st->sessions && paths; i++)
        list[k++] = &st->session[i];
    for (int i = 0; i < n; i++) {
        if (reading_is_path(args[i]))
            continue;
        list[k] = store_find(st, args[i]);
        if (!list[k++]) {
            fprintf(stderr, "xmpptap: no session %s in %s; `xmpptap list` shows which there are\n",
                    args[i], store);
            free(list);
            return 1;
        }
    }
    if (n == 0 && st->sessions)
        list[k++] = &st->session[st->sessions - 1];
    *out = list;
    *count = k;
    return 0;
}

/* `show | head`: whoever read has seen enough, which is no error worth a sentence. */
static bool reader_gone(void)
{
    struct pollfd p = {.fd = STDOUT_FILENO};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

static int print(const struct store *st, struct store_session **list, size_t count,
                 const struct show_options *o)
{
    struct transcript_options t = {.language = (enum label_language)o->labels,
                                   .verbose = o->verbose,
                                   .colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
                                   .name_first = count > 1};
    struct out *out = out_new(STDOUT_FILENO, false, OUT_WAIT, OUT_BUFFER_BYTES);
    struct sink *s = out ? transcript_new(out, &t, 0) : NULL;
    struct error e = {0};
    int err = 0;

    if (!s) {
        fputs("xmpptap: no memory to show\n", stderr);
        return 1;
    }
    for (size_t i = 0; i < count && !err; i++) {
        err = store_read(st, list[i], on_event, s, &e);
        if (err && s->error.code)
            e = s->error;
    }
    if (err && !reader_gone())
        fprintf(stderr, "xmpptap: %s\n", *e.detail ? e.detail : error_text((enum error_code)err));
    if (s->close(s) && !err)
        err = ERR_IO;
    return err ? 1 : 0;
}

static int run(int argc, char **argv, const struct command *c)
{
    struct show_options o = {0};
    struct store_session **list = NULL;
    struct store st;
    char dir[4096];
    size_t count = 0;
    int rest, status;

    status = options_parse(c, argc, argv, &o, &rest);
    if (status != OPTIONS_OK)
        return status;
    store_init(&st);
    reading_store(&o.reading, dir, sizeof dir);
    status = reading_open(&st, &o.reading, argc - rest, argv + rest);
    if (!status)
        status = select_sessions(&st, argc - rest, argv + rest, dir, &list, &count);
    if (!status && count == 0) {
        fputs(rest < argc ? "xmpptap: no whole record there\n"
                          : "xmpptap: no sessions there yet; `xmpptap demo` makes one\n",
              stderr);
        status = rest < argc ? 0 : 1;
    } else if (!status)
        status = print(&st, list, count, &o);
    free(list);
    store_free(&st);
    return status;
}

const struct command cmd_show = {
    "show", "[OPTIONS] [SESSION|FILE...]",
    "sessions as transcript (default: the last one)", rows, run,
};

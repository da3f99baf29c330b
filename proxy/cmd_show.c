/* cmd_show.c: `xmpptap show`: captured sessions as a transcript. */
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

static int print(const struct store *st, struct store_session *const *list, size_t count,
                 const struct show_options *o)
{
    struct transcript_options t = {.language = (enum label_language)o->labels,
                                   .verbose = o->verbose,
                                   .colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
                                   .name_first = count > 1};
    struct out *out = out_new(STDOUT_FILENO, false, OUT_WAIT, OUT_BUFFER_BYTES);
    struct sink *s = out ? transcript_new(out, &t, 0) : NULL;
    struct error e = {0};
    int err;

    if (!s) {
        fputs("xmpptap: no memory to show\n", stderr);
        return 1;
    }
    err = store_read(st, list, count, on_event, s, &e);
    if (err && s->error.code)
        e = s->error;
    if (err && !reading_is_over())
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
    size_t count = 0;
    int rest, status;

    status = options_parse(c, argc, argv, &o, &rest);
    if (status != OPTIONS_OK)
        return status;
    store_init(&st);
    status = reading_select(&st, &o.reading, argc - rest, argv + rest, &list, &count);
    if (!status && count)
        status = print(&st, list, count, &o);
    free(list);
    store_free(&st);
    return status;
}

const struct command cmd_show = {
    "show", "[OPTIONS] [SESSION|FILE...]",
    "sessions as transcript (default: the last one)", rows, run,
};

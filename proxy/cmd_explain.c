/* cmd_explain.c: `xmpptap explain`: what happened in a login, and why it failed. */
#include <stdio.h>
#include <stdlib.h>

#include "../logs/explain.h"
#include "reading.h"

struct explain_options {
    struct reading_options reading;
    int labels;
};

#define AT(field) offsetof(struct explain_options, field)

static const struct option_row rows[] = {
    {'d', "archive-dir", "DIR", OPTION_STRING, AT(reading.archive_dir),
     "the sessions kept there (default $XDG_STATE_HOME/xmpptap)"},
    {0, "labels", "en|zh|documented", OPTION_CHOICE, AT(labels),
     "the language of the phases (default en)"},
    {0}};

static const enum label_language languages[] = {LABELS_EN, LABELS_ZH, LABELS_DOCUMENTED};

static int on_event(void *arg, const struct event *ev)
{
    struct sink *s = arg;

    return s->event(s, ev);
}

static int print(void *arg, const char *p, size_t n)
{
    (void)arg;
    return fwrite(p, 1, n, stdout) == n && fflush(stdout) == 0 ? 0 : ERR_IO;
}

static int run(int argc, char **argv, const struct command *c)
{
    struct explain_options o = {0};
    struct store_session **list = NULL;
    struct error e = {0};
    struct store st;
    struct sink *s;
    size_t count = 0;
    int rest, status, err = 0;

    status = options_parse(c, argc, argv, &o, &rest);
    if (status != OPTIONS_OK)
        return status;
    store_init(&st);
    status = reading_select(&st, &o.reading, argc - rest, argv + rest, &list, &count);
    s = status || !count ? NULL : explain_new(languages[o.labels], print, NULL);
    if (s)
        err = store_read(&st, list, count, on_event, s, &e);
    if (s && s->close(s) && !err)
        err = ERR_IO;
    if (err && !reading_is_over())
        fprintf(stderr, "xmpptap: %s\n", *e.detail ? e.detail : error_text((enum error_code)err));
    free(list);
    store_free(&st);
    return status || err ? 1 : 0;
}

const struct command cmd_explain = {
    "explain", "[OPTIONS] [SESSION|FILE...]",
    "what happened in a login, and why it failed (default: the last one)", rows, run,
};

/* cmd_list.c: `xmpptap list`: the captured sessions, a line each. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../decoder/buf.h"
#include "../logs/store.h"
#include "../logs/xml_lines.h"
#include "reading.h"

struct list_options {
    struct reading_options reading;
};

static const struct option_row rows[] = {
    {'d', "archive-dir", "DIR", OPTION_STRING, offsetof(struct list_options, reading.archive_dir),
     "the sessions kept there (default $XDG_STATE_HOME/xmpptap)"},
    {0}};

static const char *local_time(int64_t time_us, char *out, size_t size)
{
    time_t t = (time_t)(time_us / 1000000);
    struct tm tm;

    out[0] = '\0';
    if (localtime_r(&t, &tm))
        strftime(out, size, "%Y-%m-%d %H:%M:%S", &tm);
    return out;
}

static void verdict(const struct store_session *s, char *out, size_t size)
{
    if (!s->ended)
        snprintf(out, size, "cut off");
    else if (s->code == ERR_CLOSED)
        snprintf(out, size, "closed by the %s", side_name(s->by));
    else
        snprintf(out, size, "%s (%s): %s", error_name(s->code), side_name(s->by), s->detail);
}

/* What was captured must not talk to the terminal, and may be of any length. */
static int add_captured(struct buf *line, const char *s, size_t at_most, int width)
{
    size_t n = strnlen(s, at_most), from = line->len;
    int err = xml_lines_inline(line, s, n);

    if (!err && s[n])
        err = buf_str(line, "...");
    while (!err && line->len - from < (size_t)width)
        err = buf_str(line, " ");
    return err ? err : buf_str(line, "  ");
}

static int print_session(const struct store_session *s)
{
    char time[32], words[ERROR_DETAIL_MAX + 64];
    struct buf line;
    int err;

    verdict(s, words, sizeof words);
    buf_init(&line, 1u << 20);
    err = add_captured(&line, s->id, 64, 13);
    if (!err)
        err = buf_printf(&line, "%-19s %10.3fs  ", local_time(s->begin_us, time, sizeof time),
                         (double)(s->end_us - s->begin_us) / 1e6);
    if (!err)
        err = add_captured(&line, *s->account ? s->account : "-", 256, 0);
    if (!err)
        err = xml_lines_inline(&line, words, strlen(words));
    if (!err)
        printf("%.*s\n", (int)line.len, line.p);
    buf_free(&line);
    return err;
}

static int run(int argc, char **argv, const struct command *c)
{
    struct list_options o = {0};
    struct store st;
    int rest, status;

    status = options_parse(c, argc, argv, &o, &rest);
    if (status != OPTIONS_OK)
        return status;
    store_init(&st);
    status = reading_open(&st, &o.reading, argc - rest, argv + rest);
    for (size_t i = 0; i < st.sessions && !status; i++)
        status = print_session(&st.session[i]) ? 1 : 0;
    if (!status && st.sessions == 0)
        fputs("xmpptap: no sessions there yet; `xmpptap demo` makes one\n", stderr);
    store_free(&st);
    return status || fflush(stdout) ? 1 : 0;
}

const struct command cmd_list = {
    "list", "[OPTIONS] [STORE|FILE...]",
    "the captured sessions: id, time, length, account, how they ended", rows, run,
};

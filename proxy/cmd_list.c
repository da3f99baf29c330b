/* cmd_list.c: `xmpptap list`: the captured sessions, a line each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../decoder/buf.h"
#include "../logs/json.h"
#include "../logs/xml_lines.h"
#include "reading.h"

#define CELL_MAX 64  /* characters of a cell that others stand behind */
#define LINE_MAX (1u << 20)
#define JSON_MAX (512u << 20) /* an archive's line is at most 64 MiB, and each byte six */

struct list_options {
    struct reading_options reading;
    bool json, verbose;
};

#define AT(field) offsetof(struct list_options, field)

static const struct option_row rows[] = {
    {'d', "archive-dir", "DIR", OPTION_STRING, AT(reading.archive_dir),
     "the sessions kept there (default $XDG_STATE_HOME/xmpptap)"},
    {0, "json", NULL, OPTION_FLAG, AT(json), "a JSON object a line"},
    {'v', "verbose", NULL, OPTION_FLAG, AT(verbose), "the verdict's sentence, too"},
    {0}};

/* ---- cells ---- */

static void put_time(struct buf *b, int64_t time_us, const char *fmt, bool local)
{
    time_t t = (time_t)(time_us / 1000000);
    char words[40] = "";
    struct tm tm;

    if (local ? localtime_r(&t, &tm) : gmtime_r(&t, &tm))
        strftime(words, sizeof words, fmt, &tm);
    if (buf_str(b, words))
        return; /* an empty cell */
}

/* What was captured must not talk to the terminal, and may be of any length. */
static void put_captured(struct buf *b, const char *s, size_t at_most)
{
    size_t n = strnlen(s, at_most);

    if (xml_lines_inline(b, *s ? s : "-", *s ? n : 1) || (s[n] && buf_str(b, "...")))
        return;
}

static void put_id(struct buf *b, const struct store_session *s)
{
    put_captured(b, s->id, CELL_MAX);
}

static void put_start(struct buf *b, const struct store_session *s)
{
    put_time(b, s->begin_us, "%Y-%m-%d %H:%M:%S", true);
}

static void put_length(struct buf *b, const struct store_session *s)
{
    if (buf_printf(b, "%.3fs", (double)(s->end_us - s->begin_us) / 1e6))
        return;
}

static void put_account(struct buf *b, const struct store_session *s)
{
    put_captured(b, s->account, CELL_MAX);
}

static void put_server(struct buf *b, const struct store_session *s)
{
    put_captured(b, s->server, CELL_MAX);
}

static void put_tls(struct buf *b, const struct store_session *s)
{
    put_captured(b, s->tls, CELL_MAX);
}

static void put_mechanism(struct buf *b, const struct store_session *s)
{
    put_captured(b, s->mechanism, CELL_MAX);
}

static void put_stanzas(struct buf *b, const struct store_session *s)
{
    if (s->ended ? buf_printf(b, "%" PRIu64, s->stanzas) : buf_str(b, "-"))
        return;
}

static void put_verdict(struct buf *b, const struct store_session *s)
{
    put_captured(b, s->verdict, CELL_MAX);
    if (*s->resumes && buf_str(b, " of "))
        return;
    if (*s->resumes)
        put_captured(b, s->resumes, CELL_MAX);
}

static const struct column {
    const char *head;
    bool right;
    void (*put)(struct buf *b, const struct store_session *s);
} columns[] = {
    {"SESSION", false, put_id},
    {"START", false, put_start},
    {"LENGTH", true, put_length},
    {"ACCOUNT", false, put_account},
    {"SERVER", false, put_server},
    {"TLS", false, put_tls},
    {"MECHANISM", false, put_mechanism},
    {"STANZAS", true, put_stanzas},
    {"VERDICT", false, put_verdict},
};

#define COLUMNS (sizeof columns / sizeof *columns)

/* ---- the table ---- */

/* Columns on a terminal: UTF-8's following bytes take none. Wide characters are not known. */
static size_t width_of(const char *p, size_t n)
{
    size_t width = 0;

    for (size_t i = 0; i < n; i++)
        width += ((unsigned char)p[i] & 0xC0) != 0x80;
    return width;
}

static void measure(const struct store *st, size_t width[COLUMNS])
{
    struct buf cell;

    buf_init(&cell, LINE_MAX);
    for (size_t c = 0; c < COLUMNS; c++) {
        width[c] = strlen(columns[c].head);
        for (size_t i = 0; i < st->sessions; i++) {
            size_t w;

            cell.len = 0;
            columns[c].put(&cell, &st->session[i]);
            w = width_of(cell.p, cell.len);
            width[c] = w > width[c] ? w : width[c];
        }
    }
    buf_free(&cell);
}

static void print_cell(const char *p, size_t n, size_t width, const struct column *c)
{
    int pad = (int)(width - width_of(p, n));
    bool last = c == &columns[COLUMNS - 1];

    printf("%*s%.*s%*s%s", c->right ? pad : 0, "", (int)n, p ? p : "", c->right || last ? 0 : pad,
           "", last ? "" : "  ");
}

static void print_table(const struct store *st, bool verbose)
{
    size_t width[COLUMNS];
    struct buf cell;

    measure(st, width);
    buf_init(&cell, LINE_MAX);
    for (size_t c = 0; c < COLUMNS; c++)
        print_cell(columns[c].head, strlen(columns[c].head), width[c], &columns[c]);
    putchar('\n');
    for (size_t i = 0; i < st->sessions; i++) {
        for (size_t c = 0; c < COLUMNS; c++) {
            cell.len = 0;
            columns[c].put(&cell, &st->session[i]);
            print_cell(cell.p, cell.len, width[c], &columns[c]);
        }
        cell.len = 0;
        if (verbose)
            put_captured(&cell, st->session[i].sentence, VERDICT_SENTENCE_MAX);
        printf("%s%.*s\n", verbose ? ": " : "", (int)cell.len, cell.len ? cell.p : "");
    }
    buf_free(&cell);
}

/* ---- JSON ---- */

static void put_text(struct buf *b, const char *name, const char *value)
{
    if (*value && (buf_printf(b, ",\"%s\":", name) || json_string_write(b, value, strlen(value))))
        return;
}

static int print_json(const struct store_session *s)
{
    int64_t before = s->begin_us % 1000000; /* its second began so long before; also before 1970 */
    int64_t begin_us = s->begin_us - (before < 0 ? before + 1000000 : before);
    struct buf b;
    int err;

    buf_init(&b, JSON_MAX);
    err = buf_str(&b, "{\"session\":");
    if (!err)
        err = json_string_write(&b, s->id, strlen(s->id));
    if (!err)
        err = buf_str(&b, ",\"start\":\"");
    put_time(&b, begin_us, "%Y-%m-%dT%H:%M:%S", false);
    if (!err)
        err = buf_printf(&b, ".%06" PRId64 "Z\",\"length_us\":%" PRId64 ",\"records\":%" PRIu64,
                         s->begin_us - begin_us, s->end_us - s->begin_us, s->records);
    put_text(&b, "account", s->account);
    put_text(&b, "server", s->server);
    put_text(&b, "tls", s->tls);
    put_text(&b, "mechanism", s->mechanism);
    put_text(&b, "resumes", s->resumes);
    if (s->ended) {
        if (!err)
            err = buf_printf(&b, ",\"stanzas\":%" PRIu64, s->stanzas);
        put_text(&b, "by", side_name(s->by));
        put_text(&b, "reason", error_name(s->code));
    }
    put_text(&b, "verdict", s->verdict);
    if (!err)
        err = buf_printf(&b, ",\"ok\":%s", s->ok ? "true" : "false");
    put_text(&b, "sentence", s->sentence);
    if (!err)
        printf("%.*s}\n", (int)b.len, b.p);
    buf_free(&b);
    return err;
}

static int run(int argc, char **argv, const struct command *c)
{
    struct list_options o = {0};
    struct store st;
    int rest, status, err = 0;

    status = options_parse(c, argc, argv, &o, &rest);
    if (status != OPTIONS_OK)
        return status;
    for (int i = rest; i < argc; i++)
        if (!reading_is_path(argv[i])) {
            fprintf(stderr, "xmpptap: there is no file or folder %s; list without it shows the store's "
                            "sessions, and `xmpptap show SESSION` one\n", argv[i]);
            return 1;
        }
    store_init(&st);
    st.stories = true;
    status = reading_open(&st, &o.reading, argc - rest, argv + rest);
    for (size_t i = 0; i < st.sessions && !status && !err; i++)
        err = store_conclude(&st.session[i]);
    for (size_t i = 0; i < st.sessions && !status && !err && o.json; i++)
        err = print_json(&st.session[i]);
    if (!status && !err && !o.json && st.sessions)
        print_table(&st, o.verbose);
    if (!status && st.sessions == 0)
        fputs("xmpptap: no sessions there yet; `xmpptap demo` makes one\n", stderr);
    if (err)
        fputs("xmpptap: no memory to list\n", stderr);
    store_free(&st);
    return status || err || fflush(stdout) ? 1 : 0;
}

const struct command cmd_list = {
    "list", "[OPTIONS] [STORE|FILE...]",
    "the captured sessions: id, time, length, account, server, TLS, mechanism, verdict", rows, run,
};

#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "xml_lines.h"

#define KEPT (1u << 20) /* memory kept from one event to the next */

static const struct {
    const char *mark;
    const char *ansi;
} looks[] = {
    [TEXT_LABEL] = {"####", "\x1b[1m"},
    [TEXT_SESSION] = {"#== ", "\x1b[36m"},
    [TEXT_NOTE] = {"#-- ", "\x1b[2m"},
};

#define ANSI_DIM "\x1b[2m"
#define ANSI_END "\x1b[0m"

void text_init(struct text *x, size_t max_bytes, bool colour)
{
    *x = (struct text){.colour = colour};
    buf_init(&x->buf, max_bytes);
}

void text_reset(struct text *x)
{
    x->err = 0;
    x->buf.len = 0;
    if (x->buf.cap > KEPT)
        buf_free(&x->buf);
}

void text_free(struct text *x)
{
    buf_free(&x->buf);
}

void text_str(struct text *x, const char *s)
{
    if (!x->err)
        x->err = buf_str(&x->buf, s);
}

void text_put(struct text *x, const char *fmt, ...)
{
    char line[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    text_str(x, line);
}

void text_captured(struct text *x, const char *s)
{
    if (!x->err && s)
        x->err = xml_lines_inline(&x->buf, s, strlen(s));
}

void text_begin(struct text *x, enum text_line line)
{
    if (x->colour)
        text_str(x, looks[line].ansi);
    text_str(x, looks[line].mark);
}

void text_end(struct text *x)
{
    text_str(x, x->colour ? ANSI_END "\n" : "\n");
}

void text_instead(struct text *x, const char *before, uint64_t bytes, const char *behind)
{
    text_str(x, x->colour ? ANSI_DIM "#--| " : "#--| ");
    text_put(x, "%s%" PRIu64 "%s", before, bytes, behind);
    text_end(x);
}

void text_bytes(struct text *x, const char *p, size_t n)
{
    if (!x->err)
        x->err = xml_lines_raw(&x->buf, p, n, x->colour ? ANSI_DIM "#--| " ANSI_END : "#--| ");
}

void text_time(struct text *x, int64_t time_us)
{
    int64_t us = time_us % 1000000;
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm tm;
    char text[64];

    if (us < 0) {
        us += 1000000;
        seconds--;
    }
    if (gmtime_r(&seconds, &tm) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm))
        text_put(x, "%s.%06" PRId64 "Z", text, us);
    else
        text_str(x, "?");
}

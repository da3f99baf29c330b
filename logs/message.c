#include "message.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../decoder/buf.h"
#include "out.h"
#include "plain.h"
#include "xml_lines.h"

#define LINE_MAX_BYTES   8192
#define LINE_USUAL_BYTES 512

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct out *out;
static enum message_level shown = LEVEL_INFO;
static unsigned long dropped;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void message_level(enum message_level level)
{
    shown = level;
}

void message_start(void)
{
    pthread_mutex_lock(&lock);
    if (!out)
        out = out_new(STDERR_FILENO, false, OUT_BOUNDED, 256u << 10);
    pthread_mutex_unlock(&lock);
}

void message_stop(int wait_ms)
{
    struct out *o;

    pthread_mutex_lock(&lock);
    o = out;
    out = NULL;
    pthread_mutex_unlock(&lock);
    if (o)
        out_close(o, wait_ms);
}

/* `s` without what could end the line or reach the terminal, and with what a quoted value escapes. */
static int add_escaped(struct buf *b, const char *s, size_t n)
{
    struct buf harmless;
    int err;

    buf_init(&harmless, LINE_MAX_BYTES);
    err = xml_lines_inline(&harmless, s, n);
    for (size_t i = 0; i < harmless.len && !err; i++) {
        if (strchr("\"\\", harmless.p[i]))
            err = buf_str(b, "\\");
        if (!err)
            err = buf_add(b, harmless.p + i, 1);
    }
    buf_free(&harmless);
    return err;
}

/* A value in quotes where it needs them. */
static int add_value(struct buf *b, const char *s, bool quoted)
{
    size_t n = strlen(s);
    int err = 0;

    quoted = quoted || strpbrk(s, " \"=\\");
    if (quoted)
        err = buf_str(b, "\"");
    if (!err)
        err = plain_run(s, n, PLAIN_JSON) == n ? buf_add(b, s, n) : add_escaped(b, s, n);
    return err || !quoted ? err : buf_str(b, "\"");
}

static int add_pair(struct buf *b, const char *name, const char *value)
{
    int err = buf_str(b, " ");

    if (!err)
        err = buf_str(b, name);
    if (!err)
        err = buf_str(b, "=");
    return err ? err : add_value(b, value, false);
}

static void write_line(const struct buf *b)
{
    pthread_mutex_lock(&lock);
    if (!out) {
        ssize_t n = write(STDERR_FILENO, b->p, b->len);
        (void)n; /* there is nobody left to tell */
    } else if (out_write(out, b->p, b->len, NULL)) {
        dropped++;
    } else if (dropped) {
        char note[80];
        int n = snprintf(note, sizeof note, "level=warn msg=\"%lu messages not shown\"\n", dropped);

        if (out_write(out, note, (size_t)n, NULL) == 0)
            dropped = 0;
    }
    pthread_mutex_unlock(&lock);
}

void message(enum message_level level, const char *const *pairs, const char *fmt, ...)
{
    char text[2048];
    struct buf b;
    va_list ap;
    int err;

    if (level > shown)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_init(&b, LINE_MAX_BYTES);
    err = buf_reserve(&b, LINE_USUAL_BYTES);
    if (!err)
        err = buf_str(&b, "level=");
    if (!err)
        err = buf_str(&b, level_names[level]);
    for (; pairs && pairs[0] && !err; pairs += 2)
        if (pairs[1] && *pairs[1])
            err = add_pair(&b, pairs[0], pairs[1]);
    if (!err)
        err = buf_str(&b, " msg=");
    if (!err)
        err = add_value(&b, text, true);
    if (!err)
        err = buf_str(&b, "\n");
    if (!err)
        write_line(&b);
    buf_free(&b);
}

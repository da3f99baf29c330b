#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST 256

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max = max_bytes};
}

void buf_free(struct buf *b)
{
    free(b->p);
    buf_init(b, b->max);
}

void buf_wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->cap);
    buf_free(b);
}

int buf_reserve(struct buf *b, size_t n)
{
    size_t cap;
    char *p;

    if (n > b->max - b->len)
        return ERR_CAP;
    if (b->cap - b->len >= n)
        return 0;
    cap = b->cap ? b->cap : BUF_FIRST;
    while (cap - b->len < n)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    p = realloc(b->p, cap);
    if (!p)
        return ERR_NOMEM;
    b->p = p;
    b->cap = cap;
    return 0;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
    int err;

    if (n == 0)
        return 0;
    err = buf_reserve(b, n);
    if (err)
        return err;
    memcpy(b->p + b->len, p, n);
    b->len += n;
    return 0;
}

int buf_str(struct buf *b, const char *s)
{
    return buf_add(b, s, strlen(s));
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int n, err;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return ERR_FORMAT;
    err = buf_reserve(b, (size_t)n + 1); /* vsnprintf wants room for its NUL */
    if (err)
        return err;
    va_start(ap, fmt);
    vsnprintf(b->p + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
    return 0;
}

int buf_xml(struct buf *b, const char *s)
{
    int err = 0;

    for (; *s && !err; s++)
        switch (*s) {
        case '&':
            err = buf_str(b, "&amp;");
            break;
        case '<':
            err = buf_str(b, "&lt;");
            break;
        case '>':
            err = buf_str(b, "&gt;");
            break;
        case '\'':
            err = buf_str(b, "&apos;");
            break;
        case '"':
            err = buf_str(b, "&quot;");
            break;
        default:
            err = buf_add(b, s, 1);
        }
    return err;
}

int buf_base64(struct buf *b, const void *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = p;
    int err = n > b->max ? ERR_CAP : buf_reserve(b, (n + 2) / 3 * 4);

    for (size_t i = 0; i < n && !err; i += 3) {
        size_t left = n - i;
        unsigned three = (unsigned)in[i] << 16 | (left > 1 ? (unsigned)in[i + 1] << 8 : 0) |
                         (left > 2 ? in[i + 2] : 0);

        b->p[b->len++] = digits[three >> 18];
        b->p[b->len++] = digits[three >> 12 & 63];
        b->p[b->len++] = left > 1 ? digits[three >> 6 & 63] : '=';
        b->p[b->len++] = left > 2 ? digits[three & 63] : '=';
    }
    return err;
}

void buf_drop(struct buf *b, size_t n)
{
    b->len -= n;
    if (b->len)
        memmove(b->p, b->p + n, b->len);
}

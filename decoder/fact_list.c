#include "fact_list.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void fact_init(struct fact_list *l)
{
    l->n = 0;
    l->used = 0;
}

/* Cuts not within a UTF-8 sequence. */
static size_t cut(const char *p, size_t n)
{
    if (n <= FACT_VALUE_MAX)
        return n;
    n = FACT_VALUE_MAX;
    while (n > FACT_VALUE_MAX - 4 && ((unsigned char)p[n] & 0xC0) == 0x80)
        n--;
    return n;
}

void fact_add_bytes(struct fact_list *l, const char *name, const char *p, size_t n)
{
    static const char dots[] = "...";
    const char *nul = memchr(p, '\0', n);
    size_t len = nul ? (size_t)(nul - p) : n, kept = cut(p, len);
    char *at = l->bytes + l->used;

    if (len == 0 || l->n == EVENT_FACTS_MAX || fact_get(l, name) || FACT_BYTES - l->used < kept + sizeof dots)
        return;
    memcpy(at, p, kept);
    if (kept < len) {
        memcpy(at + kept, dots, sizeof dots - 1);
        kept += sizeof dots - 1;
    }
    at[kept] = '\0';
    l->used += kept + 1;
    l->fact[l->n++] = (struct event_fact){name, at};
}

void fact_add(struct fact_list *l, const char *name, const char *value)
{
    if (value)
        fact_add_bytes(l, name, value, strlen(value));
}

static void add_words(struct fact_list *l, const char *name, const char *fmt, va_list ap)
{
    char words[2 * FACT_VALUE_MAX];

    vsnprintf(words, sizeof words, fmt, ap);
    fact_add(l, name, words);
}

void fact_printf(struct fact_list *l, const char *name, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_words(l, name, fmt, ap);
    va_end(ap);
}

const char *fact_get(const struct fact_list *l, const char *name)
{
    for (unsigned i = 0; i < l->n; i++)
        if (strcmp(l->fact[i].name, name) == 0)
            return l->fact[i].value;
    return NULL;
}

/* ---- remarks ---- */

static const struct {
    const char *name, *fmt;
} remarks[REMARKS] = {
#define REMARK(code, name, fmt) {name, fmt},
#include "remarks.def"
#undef REMARK
};

const char *remark_name(enum remark r)
{
    return remarks[r].name;
}

void remark_add(struct fact_list *l, enum remark r, ...)
{
    va_list ap;

    if (l->n == EVENT_REMARKS_MAX || fact_get(l, remarks[r].name))
        return;
    va_start(ap, r);
    add_words(l, remarks[r].name, remarks[r].fmt, ap);
    va_end(ap);
}

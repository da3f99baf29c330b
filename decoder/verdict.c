#include "verdict.h"

#include <fnmatch.h>
#include <string.h>

#define TERM_MAX 512

static const struct verdict_row rows[] = {
#define FAILED(id, when, sentence)    {id, false, when, sentence},
#define WENT_WELL(id, when, sentence) {id, true, when, sentence},
#include "verdicts.def"
};

#define ROWS (sizeof rows / sizeof *rows)

/* ---- does a row hold? ---- */

/* `patterns`: "a|b*", `+` for a space, up to `end`. */
static bool one_of(const char *patterns, const char *end, const char *value)
{
    char one[TERM_MAX];

    for (const char *bar; patterns < end; patterns = bar + 1) {
        size_t n, i;

        bar = memchr(patterns, '|', (size_t)(end - patterns));
        bar = bar ? bar : end;
        n = (size_t)(bar - patterns);
        for (i = 0; i < n && i < sizeof one - 1; i++)
            one[i] = patterns[i] == '+' ? ' ' : patterns[i];
        one[i] = '\0';
        if (fnmatch(one, value, FNM_CASEFOLD) == 0)
            return true;
    }
    return false;
}

static bool term_holds(const struct story *s, const char *term, size_t n)
{
    bool without = *term == '!', unlike;
    const char *eq = memchr(term, '=', n), *value;

    if (!eq)
        return !story_find(s, term + without, n - without) == without;
    unlike = eq[-1] == '!';
    value = story_find(s, term, (size_t)(eq - term) - unlike);
    return value && one_of(eq + 1, term + n, value) != unlike;
}

bool verdict_holds(const struct story *s, const char *when)
{
    while (*when) {
        size_t n = strcspn(when, " ");

        if (!term_holds(s, when, n))
            return false;
        when += n + strspn(when + n, " ");
    }
    return true;
}

/* ---- the sentence ---- */

struct words {
    char *p;
    size_t size, len;
};

static void put(struct words *w, const char *p, size_t n)
{
    size_t room = w->size - 1 - w->len;

    if (n > room)
        for (n = room; n > 0 && ((unsigned char)p[n] & 0xc0) == 0x80;)
            n--;
    memcpy(w->p + w->len, p, n);
    w->len += n;
    w->p[w->len] = '\0';
}

/* Writes the text up to `end`, with its {keys}; false if one of them is not known. */
static bool fill(const struct story *s, const char *text, const char *end, struct words *w)
{
    bool known = true;

    while (text < end) {
        const char *open = memchr(text, '{', (size_t)(end - text));
        const char *value, *close;

        put(w, text, (size_t)((open ? open : end) - text));
        if (!open)
            break;
        close = strchr(open, '}');
        value = story_find(s, open + 1, (size_t)(close - open - 1));
        known = known && value;
        if (value)
            put(w, value, strlen(value));
        text = close + 1;
    }
    return known;
}

void verdict_write(const struct story *s, const char *text, char *out, size_t size)
{
    struct words words = {out, size, 0}, *w = &words;

    *out = '\0';
    while (*text) {
        const char *open = strchr(text, '['), *close;
        size_t before;

        fill(s, text, open ? open : text + strlen(text), w);
        if (!open)
            return;
        close = strchr(open, ']');
        before = w->len;
        if (!fill(s, open + 1, close, w))
            w->p[w->len = before] = '\0';
        text = close + 1;
    }
}

/* ---- the interface ---- */

void verdict_give(const struct story *s, struct verdict *v)
{
    *v = (struct verdict){.id = ""};
    for (size_t i = 0; i < ROWS; i++)
        if (verdict_holds(s, rows[i].when)) {
            v->id = rows[i].id;
            v->ok = rows[i].ok;
            v->row = i;
            verdict_write(s, rows[i].sentence, v->sentence, sizeof v->sentence);
            return;
        }
}

bool verdict_is_ok(const char *id)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].ok && strcmp(rows[i].id, id) == 0)
            return true;
    return false;
}

const struct verdict_row *verdict_row(size_t i)
{
    return i < ROWS ? &rows[i] : NULL;
}

#include "rewrite.h"

#include <string.h>

#include "../../decoder/secrets.h"

#define CDATA     "<![CDATA["
#define CDATA_END "]]>"
#define VALUE_MAX (8u * NAMES_JID_MAX) /* a JID, with references in it */

/* The item is walked once: bytes before `done` are in `out`. */
struct walk {
    const struct rewrite *w;
    const char *p;
    size_t n, done;
    struct buf *out;
    bool first; /* in the item's own tag */
};

/* What the bytes mean: references become what they stand for. */
static int decode(const char *p, size_t n, struct buf *out)
{
    int err = 0;

    for (size_t i = 0; i < n && !err;) {
        char c[4];
        size_t c_len = 1, used = p[i] == '&' ? secrets_reference(p + i, n - i, c, &c_len) : 0;

        if (!used)
            c[0] = p[i];
        err = buf_add(out, c, used ? c_len : 1);
        i += used ? used : 1;
    }
    return err ? err : buf_add(out, "", 1);
}

/* Bytes [from, to) become `value`, which is written as XML. */
static int replace(struct walk *k, size_t from, size_t to, const char *value)
{
    int err = buf_add(k->out, k->p + k->done, from - k->done);

    if (!err)
        err = buf_xml(k->out, value);
    k->done = to;
    return err;
}

/* A value or a text at [from, to): is it a JID of the captured session's? */
static int take_value(struct walk *k, size_t from, size_t to)
{
    struct buf value, now;
    int err;

    if (from == to || to - from > VALUE_MAX)
        return 0;
    buf_init(&value, VALUE_MAX + 1);
    buf_init(&now, VALUE_MAX + 1);
    err = decode(k->p + from, to - from, &value);
    if (!err && names_translate(k->w->from, k->w->to, false, value.p, &now)) {
        err = buf_add(&now, "", 1);
        if (!err && strcmp(now.p, value.p) != 0)
            err = replace(k, from, to, now.p);
    }
    buf_free(&value);
    buf_free(&now);
    return err;
}

static const char *given(const struct walk *k, const char *name, size_t n)
{
    if (!k->first)
        return NULL;
    if (n == 2 && memcmp(name, "id", 2) == 0)
        return k->w->id;
    return n == 2 && memcmp(name, "to", 2) == 0 ? k->w->address : NULL;
}

/* An attribute whose name is [name, name_end), its value [from, to). Declarations of namespaces are
 * nobody's address. */
static int take_attr(struct walk *k, size_t name, size_t name_end, size_t from, size_t to)
{
    const char *value = given(k, k->p + name, name_end - name);

    if (value)
        return replace(k, from, to, value);
    if (name_end - name >= 5 && memcmp(k->p + name, "xmlns", 5) == 0)
        return 0;
    return take_value(k, from, to);
}

static size_t space(const char *p, size_t i, size_t n)
{
    while (i < n && memchr(" \t\r\n", p[i], 4))
        i++;
    return i;
}

static size_t upto(const char *p, size_t i, size_t n, const char *stop)
{
    while (i < n && !strchr(stop, p[i]))
        i++;
    return i;
}

/* A start tag at `at`; `*end` is behind its `>`. */
static int take_tag(struct walk *k, size_t at, size_t *end)
{
    const char *p = k->p;
    size_t i = upto(p, at + 1, k->n, " \t\r\n/>"), n = k->n;
    int err = 0;

    for (;;) {
        size_t name, name_end, value, close;

        i = space(p, i, n);
        if (i >= n || p[i] == '>' || p[i] == '/')
            break;
        name = i;
        name_end = upto(p, name, n, "= \t\r\n>");
        value = upto(p, name_end, n, "'\">");
        if (value >= n || p[value] == '>')
            break;
        for (close = value + 1; close < n && p[close] != p[value];)
            close++;
        if (!err)
            err = take_attr(k, name, name_end, value + 1, close);
        i = close + 1;
    }
    i = upto(p, i, n, ">");
    *end = i < n ? i + 1 : n;
    return err;
}

/* Text between two tags, which is all that its element holds where the first is a start tag and the
 * second an end tag. White space around it stays. */
static int take_text(struct walk *k, size_t from, size_t to)
{
    const char *p = k->p;

    from = space(p, from, to);
    while (to > from && memchr(" \t\r\n", p[to - 1], 4))
        to--;
    return take_value(k, from, to);
}

static size_t tag_begins(const struct walk *k, size_t i)
{
    return upto(k->p, i, k->n, "<");
}

static bool begins_with(const struct walk *k, size_t i, const char *s)
{
    size_t n = strlen(s);

    return k->n - i >= n && memcmp(k->p + i, s, n) == 0;
}

/* Behind a CDATA section, which is left alone. */
static size_t behind_cdata(const struct walk *k, size_t i)
{
    const char *end = memmem(k->p + i, k->n - i, CDATA_END, 3);

    return end ? (size_t)(end - k->p) + 3 : k->n;
}

static int take_all(struct walk *k)
{
    size_t i = 0, behind_start = 0;
    int err = 0;

    while (!err && (i = tag_begins(k, i)) < k->n) {
        bool end_tag = begins_with(k, i, "</");

        if (begins_with(k, i, CDATA)) {
            behind_start = 0;
            i = behind_cdata(k, i);
            continue;
        }
        if (end_tag && behind_start)
            err = take_text(k, behind_start, i);
        behind_start = 0;
        if (end_tag) {
            i = upto(k->p, i, k->n, ">");
        } else if (!err) {
            err = take_tag(k, i, &i);
            behind_start = k->p[i - 1] == '>' && k->p[i - 2] != '/' ? i : 0;
            k->first = false;
        }
    }
    return err ? err : buf_add(k->out, k->p + k->done, k->n - k->done);
}

int rewrite_item(const struct rewrite *w, const char *p, size_t n, struct buf *out)
{
    struct walk k = {.w = w, .p = p, .n = n, .out = out, .first = true};

    return take_all(&k);
}

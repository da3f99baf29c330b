#include "markup.h"

#include <string.h>

#define INHERITED_MAX 64
#define LEVELS        6 /* elements that the reader describes are at most 4 deep; and the root */

struct tag {
    const char *p, *end; /* from `<` to behind `>` */
};

struct tag_attr {
    const char *name, *value; /* raw, the value without its quotes */
    size_t name_len, value_len;
    size_t len; /* of all of it, quotes included */
};

int markup_escape(struct buf *out, const char *s)
{
    /* White space other than blanks would be read back as blanks (XML 1.0 §3.3.3). */
    static const char special[] = "&<>\"'\t\n\r";
    static const char *const entity[] = {"&amp;",  "&lt;", "&gt;",  "&quot;",
                                         "&apos;", "&#9;", "&#10;", "&#13;"};
    int err = 0;

    while (!err && *s) {
        size_t plain = strcspn(s, special);

        err = buf_add(out, s, plain);
        s += plain;
        if (!err && *s) {
            err = buf_str(out, entity[strchr(special, *s) - special]);
            s++;
        }
    }
    return err;
}

/* ---- raw tags: expat has accepted them, so they are well-formed ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *name_end(const char *p, const char *end)
{
    while (p < end && !is_space(*p) && *p != '=' && *p != '/' && *p != '>')
        p++;
    return p;
}

/* Reads the attribute at or behind `*p` and steps behind it; false where the tag's `/` or `>` is,
 * with `*p` there. */
static bool next_attr(const char **p, const char *end, struct tag_attr *a)
{
    const char *q = *p, *close;

    while (q < end && is_space(*q))
        q++;
    *p = q;
    a->name = q;
    q = name_end(q, end);
    a->name_len = (size_t)(q - a->name);
    while (q < end && (is_space(*q) || *q == '='))
        q++;
    if (a->name_len == 0 || q == end)
        return false;
    close = memchr(q + 1, *q, (size_t)(end - q - 1));
    if (!close)
        return false;
    a->value = q + 1;
    a->value_len = (size_t)(close - a->value);
    a->len = (size_t)(close + 1 - a->name);
    *p = close + 1;
    return true;
}

static bool is(const char *p, size_t n, const char *s)
{
    return n == strlen(s) && memcmp(p, s, n) == 0;
}

static bool is_declaration(const struct tag_attr *a)
{
    return is(a->name, a->name_len, "xmlns") ||
           (a->name_len > 6 && memcmp(a->name, "xmlns:", 6) == 0);
}

/* What our own stream header declares too. */
static bool is_ours(const struct tag_attr *a)
{
    if (is(a->name, a->name_len, "xmlns"))
        return is(a->value, a->value_len, "jabber:client");
    return is(a->name, a->name_len, "xmlns:xml") ||
           (is(a->name, a->name_len, "xmlns:stream") &&
            is(a->value, a->value_len, "http://etherx.jabber.org/streams"));
}

static const char *attrs_of(const struct tag *t)
{
    return name_end(t->p + 1, t->end);
}

static bool has_attr(const struct tag *t, const struct tag_attr *wanted)
{
    const char *p = attrs_of(t);
    struct tag_attr a = {0};

    while (next_attr(&p, t->end, &a))
        if (a.name_len == wanted->name_len && memcmp(a.name, wanted->name, a.name_len) == 0)
            return true;
    return false;
}

/* The element's own tag, its parents' outwards, the stream root's. */
static unsigned tags_around(const struct item *it, unsigned node, const struct buf *root,
                            struct tag tags[LEVELS])
{
    unsigned n = 0, depth = it->node[node].depth;

    for (unsigned i = node + 1; i-- > 0 && depth > 0 && n < LEVELS - 1;) {
        if (it->node[i].depth != depth)
            continue;
        tags[n++] = (struct tag){it->p + it->node[i].start, it->p + it->node[i].inner};
        depth--;
    }
    if (root->len)
        tags[n++] = (struct tag){root->p, root->p + root->len};
    return n;
}

static int add_attr(struct buf *out, const struct tag_attr *a)
{
    int err = buf_str(out, " ");

    return err ? err : buf_add(out, a->name, a->len);
}

static int add_inherited(struct buf *out, const struct tag *tags, unsigned n)
{
    unsigned added = 0;

    for (unsigned k = 1; k < n; k++) {
        const char *p = attrs_of(&tags[k]);
        struct tag_attr a;

        while (added < INHERITED_MAX && next_attr(&p, tags[k].end, &a)) {
            bool hidden = !is_declaration(&a) || is_ours(&a);
            int err;

            for (unsigned j = 0; j < k && !hidden; j++)
                hidden = has_attr(&tags[j], &a);
            if (hidden)
                continue;
            err = add_attr(out, &a);
            if (err)
                return err;
            added++;
        }
    }
    return 0;
}

int markup_open(struct buf *out, const struct item *it, unsigned node)
{
    const char *p = it->p + it->node[node].start;

    return buf_add(out, p, (size_t)(name_end(p + 1, it->p + it->node[node].inner) - p));
}

int markup_rest(struct buf *out, const struct item *it, unsigned node, const struct buf *root,
                bool readdress)
{
    struct tag tags[LEVELS] = {0};
    unsigned n = tags_around(it, node, root, tags);
    const char *p = attrs_of(&tags[0]);
    struct tag_attr a;
    int err = 0;

    while (!err && next_attr(&p, tags[0].end, &a)) {
        if (readdress && (is(a.name, a.name_len, "from") || is(a.name, a.name_len, "to")))
            continue;
        err = add_attr(out, &a);
    }
    if (!err)
        err = add_inherited(out, tags, n);
    return err ? err : buf_add(out, p, (size_t)(it->p + it->node[node].end - p));
}

#include "quick.h"

#include <string.h>

#include "redact.h"
#include "secrets.h"

#define DEPTH     24 /* elements open at once */
#define ATTRS     16 /* of one tag, declarations included */
#define NAMES     24 /* prefixes in scope */
#define NS_XML    "http://www.w3.org/XML/1998/namespace"
#define W3C       "http://www.w3.org/" /* the reserved namespaces are there (Namespaces, section 3) */
#define NS_END    "\1"

/* ---- bytes ---- */

enum {
    NAME_START = 1,
    NAME = 2,
    SPACE = 4,  /* in a tag */
    TEXT = 8,   /* stands for itself in text */
    VALUE = 16, /* and in a value in either quotes */
    HIGH = 32,  /* part of a longer character */
};

#define LETTER (NAME_START | NAME | TEXT | VALUE)
#define DIGIT  (NAME | TEXT | VALUE)
#define PLAIN  (TEXT | VALUE)
#define FIVE(c, k)  [c] = k, [(c) + 1] = k, [(c) + 2] = k, [(c) + 3] = k, [(c) + 4] = k
#define LETTERS(a)                                                                                 \
    FIVE(a, LETTER), FIVE((a) + 5, LETTER), FIVE((a) + 10, LETTER), FIVE((a) + 15, LETTER),        \
        FIVE((a) + 20, LETTER), [(a) + 25] = LETTER
#define EIGHT(c) FIVE(c, HIGH), [(c) + 5] = HIGH, [(c) + 6] = HIGH, [(c) + 7] = HIGH
#define HIGHS(c) EIGHT(c), EIGHT((c) + 8), EIGHT((c) + 16), EIGHT((c) + 24)

/* What is not named here is left to expat: controls, what ends a text or a value. */
static const unsigned char class[256] = {
    ['\t'] = SPACE | TEXT, ['\n'] = SPACE | TEXT, ['\r'] = SPACE, [' '] = SPACE | PLAIN,
    ['!'] = PLAIN, ['"'] = TEXT, ['#'] = PLAIN, ['$'] = PLAIN, ['%'] = PLAIN, ['\''] = TEXT,
    ['('] = PLAIN, [')'] = PLAIN, ['*'] = PLAIN, ['+'] = PLAIN, [','] = PLAIN, ['-'] = DIGIT,
    ['.'] = DIGIT, ['/'] = PLAIN, FIVE('0', DIGIT), FIVE('5', DIGIT), [':'] = PLAIN,
    [';'] = PLAIN, ['='] = PLAIN, ['>'] = PLAIN, ['?'] = PLAIN, ['@'] = PLAIN, LETTERS('A'),
    ['['] = PLAIN, ['\\'] = PLAIN, [']'] = VALUE, ['^'] = PLAIN, ['_'] = LETTER, ['`'] = PLAIN,
    LETTERS('a'), ['{'] = PLAIN, ['|'] = PLAIN, ['}'] = PLAIN, ['~'] = PLAIN,
    HIGHS(0x80), HIGHS(0xA0), HIGHS(0xC0), HIGHS(0xE0),
};

static bool is(char c, unsigned kind)
{
    return class[(unsigned char)c] & kind;
}

/* The length of the character at `p`, which is none of ASCII; 0 where it is none of XML's. */
static size_t character(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;
    unsigned lead = u[0];
    size_t len = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;

    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((u[i] & 0xC0) != 0x80)
            return 0;
    if ((lead == 0xE0 && u[1] < 0xA0) || (lead == 0xED && u[1] > 0x9F) ||
        (lead == 0xEF && u[1] == 0xBF && u[2] > 0xBD) || (lead == 0xF0 && u[1] < 0x90) ||
        (lead == 0xF4 && u[1] > 0x8F)) /* too long, half of a pair, U+FFFE and U+FFFF, too high */
        return 0;
    return len;
}

/* The same of a reference, and the character that it stands for. */
static size_t reference(const char *p, size_t n, char out[4], size_t *len)
{
    size_t used = secrets_reference(p, n, out, len);

    if (used && *len == 1)
        return is(*out, TEXT) || strchr("<&]", *out) ? used : 0;
    return used && character(out, *len) == *len ? used : 0;
}

#define EACH(c) (UINT64_C(0x0101010101010101) * (c))

/* Not 0 if one of eight bytes is no plain character of ASCII: the highest bit tells of one that is
 * longer, the differences borrow it where a byte is a control or `<`, `&`, `]`. */
static uint64_t odd(const char *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof w);
    return (w | (w - EACH(0x20)) | ((w ^ EACH('<')) - EACH(1)) | ((w ^ EACH('&')) - EACH(1)) |
            ((w ^ EACH(']')) - EACH(1))) &
           EACH(0x80);
}

/* The same in a value, where both quotes and every control count. */
static uint64_t odd_value(const char *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof w);
    return (w | (w - EACH(0x20)) | ((w ^ EACH('<')) - EACH(1)) | ((w ^ EACH('&')) - EACH(1)) |
            ((w ^ EACH('"')) - EACH(1)) | ((w ^ EACH('\'')) - EACH(1))) &
           EACH(0x80);
}

/* Behind bytes that stand for themselves in text. By eights: an item of 16 KiB of text is read in
 * 45,000 instructions, not in 100,000. */
static const char *plain_text(const char *at, const char *end)
{
    for (;;) {
        const char *near;

        while (end - at >= 8 && !odd(at))
            at += 8;
        near = end - at > 8 ? at + 8 : end;
        while (at < near && is(*at, TEXT))
            at++;
        if (at < near || at == end)
            return at;
    }
}

/* ---- one read's state ---- */

struct attr {
    const char *name, *value;
    size_t name_len, value_len;
    size_t prefix_len; /* 0: none */
    bool refs;         /* the value holds references */
    bool declares;     /* it is a namespace's */
};

struct scope { /* a prefix that the item declares */
    const char *prefix, *uri;
    size_t prefix_len, uri_len;
    unsigned depth;
};

struct quick {
    struct item_build *b;
    const struct quick_root *root;
    const struct quick_limits *limits;
    const char *p, *at, *end;
    bool refs; /* a reference was met */
    unsigned scopes, attrs;
    struct scope scope[NAMES];
    struct attr attr[ATTRS];
    struct {
        const char *name;
        size_t len;
    } open[DEPTH + 1];
};

/* ---- prefixes ---- */

/* False: nobody has declared it. */
static bool resolve(const struct quick *q, const char *prefix, size_t n, const char **uri,
                    size_t *uri_len)
{
    for (unsigned i = q->scopes; i-- > 0;) {
        const struct scope *s = &q->scope[i];

        if (s->prefix_len == n && memcmp(s->prefix, prefix, n) == 0) {
            *uri = s->uri;
            *uri_len = s->uri_len;
            return true;
        }
    }
    for (unsigned i = 0; i < q->root->n; i++) {
        const struct quick_name *s = &q->root->name[i];

        if (s->prefix_len == n && memcmp(s->prefix, prefix, n) == 0) {
            *uri = s->uri;
            *uri_len = s->uri_len;
            return true;
        }
    }
    *uri = "";
    *uri_len = 0;
    return n == 0;
}

static bool declares(const struct attr *a)
{
    return a->prefix_len == 5 ? memcmp(a->name, "xmlns", 5) == 0
                              : a->name_len == 5 && memcmp(a->name, "xmlns", 5) == 0;
}

static bool declare(struct quick *q, const struct attr *a)
{
    size_t skip = a->prefix_len ? a->prefix_len + 1 : a->name_len;
    struct scope *s = &q->scope[q->scopes];

    if (q->scopes == NAMES || a->refs)
        return false;
    *s = (struct scope){a->name + skip, a->value, a->name_len - skip, a->value_len,
                        q->b->depth + 1};
    q->scopes++;
    if (s->prefix_len && s->uri_len == 0)
        return false;
    if (s->prefix_len >= 3 && memcmp(s->prefix, "xml", 3) == 0)
        return false;
    return s->uri_len < sizeof W3C - 1 || memcmp(s->uri, W3C, sizeof W3C - 1) != 0;
}

static void leave_scopes(struct quick *q)
{
    while (q->scopes && q->scope[q->scopes - 1].depth > q->b->depth)
        q->scopes--;
}

/* ---- tags ---- */

static const char *space(const char *at, const char *end)
{
    while (at < end && is(*at, SPACE))
        at++;
    return at;
}

/* Behind a name, NULL if there is none. */
static const char *name(const char *at, const char *end, size_t *prefix_len)
{
    const char *from = at;

    *prefix_len = 0;
    if (at == end || !is(*at, NAME_START))
        return NULL;
    while (at < end && is(*at, NAME))
        at++;
    if (at == end || *at != ':')
        return at;
    *prefix_len = (size_t)(at - from);
    if (++at == end || !is(*at, NAME_START))
        return NULL;
    while (at < end && is(*at, NAME))
        at++;
    return at;
}

/* Where the value ends, NULL if it is not one to take. */
static const char *value(const char *at, const char *end, char quote, bool *refs)
{
    char c[4];
    size_t used, len;

    *refs = false;
    for (;;) {
        while (end - at >= 8 && !odd_value(at))
            at += 8;
        while (at < end && is(*at, VALUE))
            at++;
        if (at == end || *at == quote)
            return at < end ? at : NULL;
        if (*at == '"' || *at == '\'')
            used = 1;
        else if (is(*at, HIGH))
            used = character(at, (size_t)(end - at));
        else
            used = *at == '&' ? reference(at, (size_t)(end - at), c, &len) : 0;
        *refs = *refs || *at == '&';
        at += used;
        if (!used)
            return NULL;
    }
}

static bool is_new(const struct quick *q, const struct attr *a)
{
    for (const struct attr *b = q->attr; b < a; b++)
        if (b->name_len == a->name_len && memcmp(b->name, a->name, a->name_len) == 0)
            return false;
    return true;
}

/* One attribute; two with prefixes could be the same in one namespace: those are left to expat. */
static bool attribute(struct quick *q, unsigned *prefixed)
{
    struct attr *a = &q->attr[q->attrs];
    const char *at = q->at;
    char quote;

    a->name = at;
    at = q->attrs < ATTRS ? name(at, q->end, &a->prefix_len) : NULL;
    if (!at || q->end - at < 3 || at[0] != '=' || (at[1] != '"' && at[1] != '\''))
        return false;
    a->name_len = (size_t)(at - a->name);
    quote = at[1];
    a->value = at + 2;
    at = value(at + 2, q->end, quote, &a->refs);
    if (!at || !is_new(q, a))
        return false;
    q->refs |= a->refs;
    a->value_len = (size_t)(at - a->value);
    q->at = at + 1;
    q->attrs++;
    a->declares = declares(a);
    if (a->declares)
        return declare(q, a);
    *prefixed += a->prefix_len > 0;
    return *prefixed <= 1 &&
           !redact_may_attr(a->name + (a->prefix_len ? a->prefix_len + 1 : 0),
                            a->name_len - (a->prefix_len ? a->prefix_len + 1 : 0));
}

/* ---- describing ---- */

static const char *keep_value(struct item_build *b, const struct attr *a)
{
    char *out = b->arena + b->arena_len;
    size_t n = 0, len;

    if (!a->refs)
        return build_keep(b, a->value, a->value_len);
    for (size_t i = 0; i < a->value_len;) {
        size_t used = a->value[i] == '&'
                          ? secrets_reference(a->value + i, a->value_len - i, out + n, &len)
                          : 0;

        if (!used)
            out[n] = a->value[i];
        n += used ? len : 1;
        i += used ? used : 1;
    }
    out[n] = '\0';
    b->arena_len += n + 1;
    return out;
}

/* Expat's "NAMESPACE\1name". */
static const char *keep_prefixed(struct item_build *b, const struct attr *a, const char *uri,
                                 size_t uri_len)
{
    const char *start = build_keep(b, uri, uri_len);

    b->arena_len--;
    build_keep(b, NS_END, 1);
    b->arena_len--;
    build_keep(b, a->name + a->prefix_len + 1, a->name_len - a->prefix_len - 1);
    return start;
}

/* The namespace of an attribute's prefix; false if it is not declared. */
static bool attr_space(const struct quick *q, const struct attr *a, const char **uri, size_t *len)
{
    if (a->prefix_len == 3 && memcmp(a->name, "xml", 3) == 0) {
        *uri = NS_XML;
        *len = sizeof NS_XML - 1;
        return true;
    }
    return resolve(q, a->name, a->prefix_len, uri, len);
}

/* To the item, where `describe`; false: a prefix is not declared, or they are too long. */
static bool take_attrs(struct quick *q, bool describe)
{
    struct item_build *b = q->b;
    struct item *it = &b->item;
    const char *uri = "";
    size_t uri_len = 0;

    for (const struct attr *a = q->attr; a < q->attr + q->attrs; a++) {
        struct item_attr *to = &it->attr[it->attrs];

        if (a->declares)
            continue;
        if (a->prefix_len && !attr_space(q, a, &uri, &uri_len))
            return false;
        if (!describe)
            continue;
        if (it->attrs == READER_ATTRS) {
            it->partial = it->lacks = true;
            continue;
        }
        if (uri_len + a->name_len + a->value_len + 8 > BUILD_ARENA - b->arena_len)
            return false;
        it->attrs++;
        to->node = it->nodes - 1;
        to->name = a->prefix_len ? keep_prefixed(b, a, uri, uri_len)
                                 : build_keep(b, a->name, a->name_len);
        to->value = keep_value(b, a);
    }
    return true;
}

/* The tag from `tag` to q->at is read: {ns}name with q->attr. */
static bool element(struct quick *q, const char *tag, const char *full, size_t len,
                    size_t prefix_len)
{
    size_t skip = prefix_len ? prefix_len + 1 : 0, ns_len;
    struct item_build *b = q->b;
    struct node *node;
    const char *ns;

    if (redact_may_inner(full + skip, len - skip) || !resolve(q, full, prefix_len, &ns, &ns_len))
        return false;
    node = build_start(b, (size_t)(tag - q->p), (size_t)(q->at - q->p));
    if (node) {
        if (ns_len + len + 2 > BUILD_ARENA - b->arena_len)
            return false;
        node->ns = build_keep(b, ns, ns_len);
        node->name = build_keep(b, full + skip, len - skip);
        build_named(b);
    }
    return take_attrs(q, node != NULL);
}

static bool tag_fits(const struct quick *q, const char *tag)
{
    return (size_t)(q->at - tag) <= q->limits->tag_bytes;
}

static bool end_element(struct quick *q, const char *at)
{
    build_end(q->b, (size_t)(at - q->p), (size_t)(q->at - q->p));
    leave_scopes(q);
    return true;
}

/* q->at stands behind `<`. */
static bool start_tag(struct quick *q)
{
    const char *tag = q->at - 1, *full = q->at, *gap;
    unsigned depth = q->b->depth + 1, prefixed = 0;
    size_t len, prefix_len;

    q->attrs = 0;
    q->at = depth <= DEPTH && depth <= q->limits->depth ? name(full, q->end, &prefix_len) : NULL;
    if (!q->at)
        return false;
    len = (size_t)(q->at - full);
    for (;;) {
        gap = q->at;
        q->at = space(gap, q->end);
        if (q->end - q->at < 2)
            break;
        if (*q->at == '>' || *q->at == '/')
            break;
        if (q->at == gap || !attribute(q, &prefixed))
            return false;
    }
    if (q->at == q->end)
        return false;
    q->open[depth].name = full;
    q->open[depth].len = len;
    if (*q->at == '>') {
        q->at++;
        return tag_fits(q, tag) && element(q, tag, full, len, prefix_len);
    }
    if (q->end - q->at < 2 || q->at[1] != '>')
        return false;
    q->at += 2;
    return tag_fits(q, tag) && element(q, tag, full, len, prefix_len) && end_element(q, q->at);
}

/* q->at stands behind `</`. */
static bool end_tag(struct quick *q)
{
    const char *tag = q->at - 2, *full = q->at;
    size_t len = q->open[q->b->depth].len;

    if ((size_t)(q->end - full) <= len || memcmp(full, q->open[q->b->depth].name, len) != 0)
        return false;
    q->at = space(full + len, q->end);
    if (q->at == q->end || *q->at != '>')
        return false;
    q->at++;
    return tag_fits(q, tag) && end_element(q, tag);
}

/* ---- text ---- */

/* Up to the next `<`. */
static bool text(struct quick *q)
{
    const char *from = q->at, *at = from;

    for (;;) {
        size_t used = 0, left, len;
        char c[4];

        at = plain_text(at, q->end);
        left = (size_t)(q->end - at);
        if (left == 0 || *at == '<')
            break;
        if (*at == '&') {
            used = reference(at, left, c, &len);
            build_text(q->b, from, (size_t)(at - from));
            if (used)
                build_text(q->b, c, len);
            from = at + used;
            q->refs = true;
        } else if (*at == ']') {
            used = left < 3 || (at[1] == ']' && at[2] == '>') ? 0 : 1;
        } else if (is(*at, HIGH)) {
            size_t one;

            while (used < left && is(at[used], HIGH) && (one = character(at + used, left - used)))
                used += one;
        }
        if (!used)
            return false;
        at += used;
    }
    build_text(q->b, from, (size_t)(at - from));
    q->at = at;
    return at < q->end;
}

size_t quick_read(struct item_build *b, const struct quick_root *root,
                  const struct quick_limits *limits, const char *p, size_t n)
{
    struct quick q; /* not cleared: it is large, and what is used of it is set first */

    q.b = b;
    q.root = root;
    q.limits = limits;
    q.p = p;
    q.at = p + 1;
    q.end = p + n;
    q.refs = false;
    q.scopes = 0;
    if (n < 4 || *p != '<' || !start_tag(&q))
        return 0;
    while (b->depth) {
        if (!text(&q) || q.end - q.at < 3)
            return 0;
        q.at += q.at[1] == '/' ? 2 : 1;
        if (!(q.at[-1] == '/' ? end_tag(&q) : start_tag(&q)))
            return 0;
    }
    b->item.plain = !q.refs;
    return (size_t)(q.at - p);
}

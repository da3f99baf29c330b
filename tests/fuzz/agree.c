#include "agree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX   4096        /* of an element (reader.h) */
#define STRING_MAX (16u << 10) /* an item with more than that need not be kept whole */

/* ---- one item ---- */

struct compare {
    const struct item *it;
    const struct whole *w;
    const struct whole_token *t;
    size_t base;        /* where the item begins in the stream */
    bool whole_strings; /* few enough for the reader to keep them all */
    char *why;
    size_t why_len;
};

static bool differ(struct compare *c, const char *what, size_t node)
{
    snprintf(c->why, c->why_len, "%s of element %zu in the item at %zu", what, node, c->base);
    return false;
}

static bool same_name(const struct node *n, const char *joined)
{
    const char *sep = strchr(joined, '\1');
    size_t len = sep ? (size_t)(sep - joined) : 0;

    return strlen(n->ns) == len && memcmp(n->ns, joined, len) == 0 &&
           strcmp(n->name, sep ? sep + 1 : joined) == 0;
}

static bool same_text(struct compare *c, const struct node *n, const struct whole_node *x)
{
    bool cut = x->runs > 1 || x->text_len > TEXT_MAX;

    if (n->text_len > x->text_len || n->text[n->text_len] ||
        memcmp(n->text, whole_string(c->w, x->text), n->text_len) != 0)
        return false;
    if (c->whole_strings && c->t->nodes <= READER_NODES && n->text_cut != cut)
        return false;
    return n->text_cut || n->text_len == x->text_len;
}

static bool same_attrs(struct compare *c, unsigned i, unsigned *at, const struct whole_node *x,
                       size_t first)
{
    for (size_t k = 0; k < x->attrs && *at < READER_ATTRS; k++, (*at)++) {
        const struct whole_attr *a = whole_attr(c->w, first + k);
        const struct item_attr *b = &c->it->attr[*at];

        if (*at >= c->it->attrs || b->node != i)
            return false;
        if (c->whole_strings && (strcmp(b->name, whole_string(c->w, a->name)) != 0 ||
                                 strcmp(b->value, whole_string(c->w, a->value)) != 0))
            return false;
    }
    return true;
}

static bool same_node(struct compare *c, unsigned i, const struct whole_node *x)
{
    const struct node *n = &c->it->node[i];
    size_t base = c->base;

    if (n->depth != x->depth)
        return differ(c, "depth", i);
    if (n->start != x->start - base || n->inner != x->inner - base ||
        n->inner_end != x->inner_end - base || n->end != x->end - base)
        return differ(c, "range", i);
    if (c->whole_strings && !same_name(n, whole_string(c->w, x->name)))
        return differ(c, "name", i);
    if (!same_text(c, n, x))
        return differ(c, "text", i);
    return true;
}

/* `partial` says exactly that something is not described. */
static bool same_extent(struct compare *c)
{
    bool partial = c->t->deep || c->t->nodes > READER_NODES || c->t->attrs > READER_ATTRS;

    for (unsigned i = 0; i < c->it->nodes; i++)
        partial = partial || c->it->node[i].text_cut;
    return c->it->partial == partial || !c->whole_strings;
}

bool agree_item(const struct item *it, const struct whole *w, size_t i, size_t base, char *why,
                size_t why_len)
{
    const struct whole_token *t = whole_token(w, i);
    struct compare c = {it, w, t, base, t->string_bytes < STRING_MAX, why, why_len};
    size_t described = t->nodes < READER_NODES ? t->nodes : READER_NODES, first = t->attr;
    unsigned at = 0;

    if (it->nodes != described)
        return differ(&c, "number", it->nodes);
    for (unsigned k = 0; k < it->nodes; k++) {
        const struct whole_node *x = whole_node(w, t->node + k);

        if (!same_node(&c, k, x))
            return false;
        if (!same_attrs(&c, k, &at, x, first))
            return differ(&c, "attributes", k);
        first += x->attrs;
    }
    if (at != it->attrs)
        return differ(&c, "number of attributes", it->attrs);
    return same_extent(&c) || differ(&c, "extent", it->nodes);
}

/* ---- violations ---- */

static bool disagree(struct agree *a, const char *what)
{
    static const char *const stops[] = {"goes on", "has an error", "sees what XMPP forbids"};

    snprintf(a->why, sizeof a->why,
             "%s (token at %zu, fed %zu of %zu; expat %s%s%s at %zu, has %zu tokens, %zu met)",
             what, a->token, a->at, a->n, stops[a->whole.why], *a->whole.error ? ": " : "",
             a->whole.error, a->whole.stop, whole_tokens(&a->whole), a->met);
    return false;
}

static bool stops_in(const struct agree *a, size_t from, size_t to)
{
    return a->whole.why != WHOLE_GOES_ON && a->whole.stop >= from && a->whole.stop < to;
}

static const struct whole_token *next_token(const struct agree *a)
{
    return a->met < whole_tokens(&a->whole) ? whole_token(&a->whole, a->met) : NULL;
}

/* Two of a stream's first bytes that expat takes for UTF-16. */
static bool looks_like_utf16(const char *p, size_t n)
{
    return n >= 2 && (p[0] == '\0' || p[1] == '\0' || memcmp(p, "\xFE\xFF", 2) == 0 ||
                      memcmp(p, "\xFF\xFE", 2) == 0);
}

/* ---- the quick reader ---- */

static bool same_strings(const struct item *x, const struct item *y, unsigned i)
{
    const struct node *a = &x->node[i], *b = &y->node[i];

    return strcmp(a->ns, b->ns) == 0 && strcmp(a->name, b->name) == 0 &&
           a->text_len == b->text_len && memcmp(a->text, b->text, a->text_len + 1) == 0 &&
           a->text_cut == b->text_cut;
}

static bool same_ranges(const struct node *a, const struct node *b)
{
    return a->depth == b->depth && a->start == b->start && a->end == b->end &&
           a->inner == b->inner && a->inner_end == b->inner_end;
}

static bool same_items(const struct item *x, const struct item *y)
{
    if (x->p != y->p || x->len != y->len || x->nodes != y->nodes || x->attrs != y->attrs ||
        x->secrets != y->secrets || x->partial != y->partial || x->lacks != y->lacks ||
        x->stanza != y->stanza)
        return false;
    /* The search for secrets relies on it; expat never says so. */
    if ((x->plain || y->plain) &&
        (memchr(x->p, '&', x->len) || memmem(x->p, x->len, "<![CDATA[", 9)))
        return false;
    for (unsigned i = 0; i < x->nodes; i++)
        if (!same_strings(x, y, i) || !same_ranges(&x->node[i], &y->node[i]))
            return false;
    for (unsigned i = 0; i < x->attrs; i++)
        if (x->attr[i].node != y->attr[i].node || strcmp(x->attr[i].name, y->attr[i].name) != 0 ||
            strcmp(x->attr[i].value, y->attr[i].value) != 0)
            return false;
    for (unsigned i = 0; i < x->secrets; i++)
        if (x->secret[i].from != y->secret[i].from || x->secret[i].to != y->secret[i].to ||
            x->secret[i].kind != y->secret[i].kind)
            return false;
    return true;
}

typedef int read_item(struct reader *r, struct reader_stream *st, const char *p, size_t n,
                      const struct item **item, struct error *e);

static bool same_reading(struct agree *a, read_item *read, const char *p, size_t n)
{
    const struct item *x = NULL, *y = NULL;
    struct error ex = {0}, ey = {0};
    int err = read(a->reader, &a->stream, p, n, &x, &ex);

    if (read(a->expat, &a->expat_stream, p, n, &y, &ey) != err || strcmp(ex.detail, ey.detail) != 0)
        return disagree(a, "the quick reader, with expat's error");
    return err || same_items(x, y) || disagree(a, "the quick reader's item");
}

/* With what follows behind the item, and with none of its last byte. */
static bool same_at_once(struct agree *a, const char *p, size_t n)
{
    const struct item *x = NULL, *y = NULL;
    size_t used, all = a->n - a->token;
    struct error e = {0};
    struct scan s;

    scan_init(&s, &a->scan.limits);
    scan_next(&s, "<s>", 3, &used);
    if (reader_next(a->reader, &a->stream, &s, p, n - 1, &used, &x))
        return disagree(a, "read at once, before its end");
    if (!reader_next(a->reader, &a->stream, &s, a->p + a->token, all, &used, &x))
        return true;
    a->quick++;
    if (used != n || s.offset != 3 + n || !scan_between(&s))
        return disagree(a, "read at once, ends not there");
    if (a->scan.flaw)
        return disagree(a, "read at once, and flawed");
    return (reader_item(a->expat, &a->expat_stream, a->p + a->token, n, &y, &e) == 0 &&
            same_items(x, y)) ||
           disagree(a, "the item read at once");
}

static bool meet_quick(struct agree *a, enum scan_what what, const char *p, size_t n)
{
    const struct item *it;
    struct error e;

    if (what == SCAN_HEADER &&
        reader_header(a->expat, &a->expat_stream, p, n, &it, &e) != 0)
        return true; /* nobody reads on */
    return what != SCAN_ITEM || a->headerless ||
           (same_reading(a, reader_item, p, n) && same_reading(a, reader_item_deep, p, n) &&
            same_at_once(a, p, n));
}

/* ---- what is met ---- */

/* The scanner is bad; its last byte stands before `end`. */
static bool meet_bad(struct agree *a, size_t end)
{
    bool first = a->met == 0 && a->token == a->whole.skipped;

    a->over = true;
    if (first && looks_like_utf16(a->p + a->token, a->n - a->token))
        return true;
    if (a->scan.error == ERR_ENCODING)
        return disagree(a, "no UTF-16");
    if (next_token(a))
        return disagree(a, "bad, but expat reads on");
    if (a->whole.why == WHOLE_GOES_ON)
        return a->scan.error != ERR_NOT_WELL_FORMED || disagree(a, "bad, and expat not");
    if (a->whole.stop < a->token)
        return disagree(a, "bad too late");
    /* What stands between items is bad from its first byte on, whatever expat finds in it. */
    return a->scan.error != ERR_NOT_WELL_FORMED || a->whole.stop < end ||
           disagree(a, "bad too early");
}

/* The reader refused the token. */
static bool meet_refused(struct agree *a, size_t end, const struct error *e)
{
    a->over = true;
    if (!stops_in(a, a->token, end))
        return disagree(a, "refused, and expat not");
    if (a->token + reader_error_at(a->reader) != a->whole.stop)
        return disagree(a, e->detail);
    return true;
}

static bool meet_flawed(struct agree *a, enum scan_what what, size_t end)
{
    const struct whole_token *t = next_token(a);

    if (what == SCAN_ITEM && !a->headerless &&
        !same_at_once(a, a->p + a->token, end - a->token))
        return false;
    if (stops_in(a, a->token, end)) {
        a->over = true;
        return true;
    }
    if (!t || t->end != end)
        return disagree(a, "flawed, ends not there");
    if (a->scan.flaw == ERR_RESTRICTED_XML && !t->restricted)
        return disagree(a, "nothing restricted");
    if (what == SCAN_HEADER)
        a->headerless = true;
    a->met++;
    return true;
}

/* ---- tokens ---- */

static int read_token(struct agree *a, enum scan_what what, const char *p, size_t n,
                      const struct item **it, struct error *e)
{
    if (what == SCAN_CLOSE)
        return reader_close(a->reader, &a->stream, p, n, e);
    if (what == SCAN_HEADER)
        return reader_header(a->reader, &a->stream, p, n, it, e);
    return reader_item(a->reader, &a->stream, p, n, it, e);
}

static bool meet_read(struct agree *a, enum scan_what what, const char *p, size_t n)
{
    static const enum whole_kind kinds[] = {
        [SCAN_HEADER] = WHOLE_HEADER, [SCAN_ITEM] = WHOLE_ITEM, [SCAN_CLOSE] = WHOLE_CLOSE};
    const struct whole_token *t;
    const struct item *it = NULL;
    struct error e = {0};

    if (!meet_quick(a, what, p, n))
        return false;
    if (!a->headerless && read_token(a, what, p, n, &it, &e)) {
        if (e.code != ERR_CAP)
            return meet_refused(a, a->token + n, &e);
        a->headerless = true;
    }
    t = next_token(a);
    if (a->headerless && stops_in(a, a->token, a->token + n)) {
        a->over = true;
        return true;
    }
    if (!t || t->end != a->token + n || t->kind != kinds[what] || t->restricted)
        return disagree(a, "ends not there");
    if (!a->headerless && it && !agree_item(it, &a->whole, a->met, a->token, a->why, sizeof a->why))
        return false;
    a->met++;
    return true;
}

static bool is_blank(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!memchr(" \t\r\n", p[i], 4))
            return false;
    return true;
}

static bool meet(struct agree *a, enum scan_what what, size_t end)
{
    size_t n = end - a->token;
    bool ok;
    char *copy; /* so that a sanitizer sees who reads on */

    if (what == SCAN_BAD)
        return meet_bad(a, end);
    if (what == SCAN_SPACE) {
        ok = is_blank(a->p + a->token, n) && !stops_in(a, a->token, end);
        a->token = end;
        return ok || disagree(a, "no white space");
    }
    if (a->scan.flaw) {
        ok = meet_flawed(a, what, end);
    } else {
        copy = malloc(n);
        memcpy(copy, a->p + a->token, n);
        ok = meet_read(a, what, copy, n);
        free(copy);
    }
    a->token = end;
    return ok;
}

/* All bytes are fed. */
static bool meet_end(struct agree *a)
{
    if (scan_between(&a->scan) != (a->token == a->n))
        return disagree(a, "unfinished or not");
    if (next_token(a))
        return disagree(a, "a token is missing");
    if (a->whole.why == WHOLE_GOES_ON)
        return true;
    if (a->whole.stop < a->token || a->token == a->n)
        return disagree(a, "a violation is missing");
    /* Only an instruction before the root waits for the root to be refused with it. */
    return a->whole.why == WHOLE_ERROR || a->met == 0 || disagree(a, "not bad");
}

/* ---- the interface ---- */

void agree_begin(struct agree *a, struct reader *r, const struct scan_limits *limits, const char *p,
                 size_t n)
{
    *a = (struct agree){.p = p, .n = n, .reader = r};
    whole_read(&a->whole, p, n);
    scan_init(&a->scan, limits);
    reader_stream_init(&a->stream);
    a->expat = reader_new();
    reader_strict(a->expat);
    reader_stream_init(&a->expat_stream);
}

void agree_end(struct agree *a)
{
    whole_free(&a->whole);
    reader_stream_free(&a->stream);
    reader_stream_free(&a->expat_stream);
    reader_free(a->expat);
}

bool agree_feed(struct agree *a, size_t piece)
{
    size_t left = a->n - a->at, n = piece < left ? piece : left, at = 0;
    bool ok = true;
    char *copy;

    if (a->over)
        return true;
    if (left == 0)
        return meet_end(a);
    copy = malloc(n);
    memcpy(copy, a->p + a->at, n);
    while (at < n && ok && !a->over) {
        size_t used;
        enum scan_what what = scan_next(&a->scan, copy + at, n - at, &used);

        at += used;
        if (used == 0 && what != SCAN_BAD)
            ok = disagree(a, "no byte used");
        else if (what != SCAN_MORE)
            ok = meet(a, what, a->at + at);
        if (ok && a->scan.offset != a->at + at)
            ok = disagree(a, "offset");
    }
    free(copy);
    a->at += n;
    return ok;
}

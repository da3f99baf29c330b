#include "pattern.h"

#include <string.h>

/* A piece of a pattern, or of an item: not NUL-ended. */
struct piece {
    const char *p;
    size_t n;
    bool open; /* a `*` stood behind it */
};

struct term {
    struct piece ns, name, attr, value; /* p NULL: any, or no attribute wanted */
};

/* ---- reading a pattern ---- */

/* Takes the piece up to `end` or the pattern's end, and the character behind it. */
static const char *read_piece(const char *p, int end, struct piece *piece)
{
    const char *stop = strchrnul(p, end);

    piece->p = p;
    piece->n = (size_t)(stop - p);
    piece->open = stop > p && stop[-1] == '*';
    piece->n -= piece->open;
    return stop + (*stop != '\0');
}

static bool term_over(const char *p)
{
    return !*p || *p == '&' || *p == '|';
}

/* Reads one term and returns what is behind it: "& ...", "| ..." or "". */
static const char *read_term(const char *p, struct term *t)
{
    t->name.p = t->attr.p = NULL;
    t->name.n = 0;
    p = read_piece(p, ' ', &t->ns);
    if (term_over(p))
        return p;
    p = read_piece(p, ' ', &t->name);
    if (term_over(p))
        return p;
    p = read_piece(p, '=', &t->attr);
    return read_piece(p, ' ', &t->value);
}

/* ---- one element ---- */

static bool piece_is(const struct piece *want, const char *s)
{
    return *s == (want->n ? *want->p : *s) && /* mostly they differ here */
           strncmp(s, want->p, want->n) == 0 && want->open == (s[want->n] != '\0');
}

static bool attr_matches(const struct item *it, unsigned node, const struct term *t)
{
    for (unsigned i = 0; i < it->attrs; i++)
        if (it->attr[i].node == node && piece_is(&t->attr, it->attr[i].name))
            return piece_is(&t->value, it->attr[i].value);
    return false;
}

static bool term_matches(const struct item *it, unsigned node, const struct term *t)
{
    const struct node *n = &it->node[node];

    return (!t->name.p || piece_is(&t->name, n->name)) && piece_is(&t->ns, n->ns) &&
           (!t->attr.p || attr_matches(it, node, t));
}

static bool any_matches(const struct item *it, unsigned depth, unsigned from, unsigned to,
                        const struct term *t)
{
    for (unsigned i = from; i < to; i++)
        if (it->node[i].depth == depth && term_matches(it, i, t))
            return true;
    return false;
}

bool pattern_holds(const char *pattern, const struct item *it, unsigned depth, unsigned from,
                   unsigned to)
{
    bool all = true;
    struct term t;

    for (;;) {
        pattern = read_term(pattern, &t);
        all = all && any_matches(it, depth, from, to, &t);
        if (!*pattern || (*pattern == '|' && all))
            return all;
        if (*pattern == '|')
            all = true;
        pattern += 2;
    }
}

/* ---- the quick no ---- */

/* Few bytes are looked at: this is done for each element of each item, and where two fall together
 * it costs only a comparison. */
static uint32_t hash(unsigned seed, const char *p, size_t n)
{
    uint32_t h = seed * 31 + (uint32_t)n;

    return n ? h * 33 + (unsigned char)p[n - 1] + 7u * (unsigned char)p[n / 2] +
                   11u * (unsigned char)p[0]
             : h;
}

static uint64_t bit(uint32_t h)
{
    return UINT64_C(1) << (h * 0x9E3779B1u >> 26);
}

static void mark(struct pattern_marks *m, unsigned depth, const struct term *t)
{
    if (t->ns.open && !t->name.p)
        return; /* none tells of it */
    if (t->ns.open)
        m->loose |= bit(hash(depth + 4, t->name.p, t->name.n));
    else if (!t->name.p)
        m->loose |= bit(hash(depth, t->ns.p, t->ns.n));
    else
        m->exact |= bit(hash(hash(depth, t->ns.p, t->ns.n), t->name.p, t->name.n));
}

struct pattern_needs pattern_needs(const char *pattern, unsigned depth)
{
    struct pattern_needs needs = {.all = {~UINT64_C(0), ~UINT64_C(0)}};
    struct pattern_marks marks = {0};
    bool unmarked = false; /* an alternative */
    struct term t;

    for (;;) {
        pattern = read_term(pattern, &t);
        mark(&marks, depth, &t);
        if (*pattern != '&') { /* an alternative ends: what they have in common, and together */
            needs.all.exact &= marks.exact;
            needs.all.loose &= marks.loose;
            needs.any.exact |= marks.exact;
            needs.any.loose |= marks.loose;
            unmarked = unmarked || !(marks.exact | marks.loose);
            marks = (struct pattern_marks){0};
        }
        if (!*pattern)
            break;
        pattern += 2;
    }
    if (unmarked)
        needs.any = (struct pattern_marks){0};
    return needs;
}

struct pattern_marks pattern_marks(const struct item *it)
{
    struct pattern_marks m = {0};

    for (unsigned i = 0; i < it->nodes; i++) {
        const struct node *n = &it->node[i];
        size_t name_len = strlen(n->name);
        uint32_t ns;

        if (n->depth > 3)
            continue;
        ns = hash(n->depth, n->ns, strlen(n->ns));
        m.exact |= bit(hash(ns, n->name, name_len));
        m.loose |= bit(ns) | bit(hash(n->depth + 4, n->name, name_len));
    }
    return m;
}

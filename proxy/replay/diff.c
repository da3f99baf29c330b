#include "diff.h"

#include <stdlib.h>
#include <string.h>

#include "../../logs/xml_lines.h"

#define NS_STANZAS    "urn:ietf:params:xml:ns:xmpp-stanzas"
#define NS_XML        "http://www.w3.org/XML/1998/namespace"
#define LINES_BYTES   (64u << 10)
#define ELEMENT_BYTES (16u << 20) /* in full, before it is cut */

/* Both items, and where in them we are. */
struct pass {
    const struct tree *captured, *live;
    struct diff *d;
    int err;
};

void diff_init(struct diff *d)
{
    *d = (struct diff){0};
    buf_init(&d->lines, LINES_BYTES);
}

void diff_free(struct diff *d)
{
    buf_free(&d->lines);
    diff_init(d);
}

/* ---- words ---- */

/* What stands in an archive or comes from a server: escaped, and never long. */
static int put_shown(struct buf *out, const char *s, size_t n)
{
    size_t cut = n > DIFF_WORD_MAX ? DIFF_WORD_MAX : n;
    int err;

    while (cut < n && cut && ((unsigned char)s[cut] & 0xc0) == 0x80)
        cut--;
    err = xml_lines_inline(out, s, cut);
    return err || cut == n ? err : buf_str(out, "...");
}

static int put_raw(struct buf *out, const char *s)
{
    return buf_xml(out, s);
}

/* The tag, in full: cut by who shows it. */
static int put_tag(const struct tree *t, uint32_t node, struct buf *out)
{
    const struct tree_node *x = &t->node[node];
    bool named = x->parent != TREE_NONE && strcmp(t->node[x->parent].ns, x->ns) == 0;
    int err = buf_printf(out, "<%s", x->name);

    if (!err && !named && *x->ns && strcmp(x->ns, "jabber:client") != 0)
        err = buf_printf(out, " xmlns='%s'", x->ns);
    for (uint32_t i = 0; i < x->attrs && !err; i++) {
        const struct tree_attr *a = &t->attr[x->attr + i];

        err = buf_printf(out, " %s%s='", strcmp(a->ns, NS_XML) == 0 ? "xml:" : "", a->name);
        if (!err)
            err = put_raw(out, a->value);
        if (!err)
            err = buf_str(out, "'");
    }
    return err;
}

static int put_element(const struct tree *t, uint32_t node, struct buf *out)
{
    const struct tree_node *x = &t->node[node];
    int err = put_tag(t, node, out);

    if (err || x->child == TREE_NONE)
        return err ? err : buf_str(out, "/>");
    err = buf_str(out, ">");
    for (uint32_t i = x->child; i != TREE_NONE && !err && out->len < 4 * DIFF_WORD_MAX;
         i = t->node[i].next)
        err = t->node[i].name ? put_element(t, i, out) : put_raw(out, t->node[i].text);
    return err ? err : buf_printf(out, "</%s>", x->name);
}

int diff_write_element(const struct tree *t, uint32_t node, struct buf *out)
{
    struct buf b;
    int err;

    buf_init(&b, ELEMENT_BYTES);
    err = t->node[node].name ? put_element(t, node, &b) : put_raw(&b, t->node[node].text);
    if (!err)
        err = put_shown(out, b.p, b.len);
    buf_free(&b);
    return err;
}

/* Counts one more; true: there is room to show it. */
static bool one_more(struct pass *p)
{
    return ++p->d->count <= DIFF_LINES_MAX && !p->err;
}

/* <required/>: of what? */
static bool says_little(const struct tree *t, uint32_t node)
{
    const struct tree_node *x = &t->node[node], *parent = &t->node[x->parent];

    return x->name && !x->attrs && x->child == TREE_NONE && strcmp(x->ns, parent->ns) == 0;
}

static void say_only(struct pass *p, const struct tree *t, uint32_t node)
{
    struct buf *out = &p->d->lines;
    size_t len = out->len;
    int err;

    if (!one_more(p))
        return;
    err = buf_str(out, t == p->captured ? "only captured: " : "only live: ");
    if (!err)
        err = diff_write_element(t, node, out);
    if (!err && says_little(t, node)) {
        const char *parent = t->node[t->node[node].parent].name;

        err = buf_str(out, " in <");
        if (!err)
            err = put_shown(out, parent, strlen(parent));
        if (!err)
            err = buf_str(out, ">");
    }
    if (!err)
        err = buf_str(out, "\n");
    if (err)
        out->len = len;
    if (err == ERR_NOMEM)
        p->err = err;
}

/* `what` of `element` is one thing in the capture, another one live; NULL: it is not there. */
static void say_differs(struct pass *p, const char *element, const char *what, const char *captured,
                        const char *live)
{
    struct buf *out = &p->d->lines;
    size_t len = out->len;
    int err;

    if (!one_more(p))
        return;
    err = buf_str(out, "<");
    if (!err)
        err = put_shown(out, element, strlen(element));
    if (!err)
        err = buf_str(out, "> ");
    if (!err)
        err = put_shown(out, what, strlen(what));
    for (int i = 0; i < 2 && !err; i++) {
        const char *value = i ? live : captured;

        err = buf_printf(out, i ? ", live %s" : ": captured %s", value ? "'" : "none");
        if (!err && value)
            err = put_shown(out, value, strlen(value));
        if (!err && value)
            err = buf_str(out, "'");
    }
    if (!err)
        err = buf_str(out, "\n");
    if (err)
        out->len = len;
    if (err == ERR_NOMEM)
        p->err = err;
}

/* ---- attributes ---- */

static const struct tree_attr *find_attr(const struct tree *t, const struct tree_node *x,
                                         const struct tree_attr *like)
{
    for (uint32_t i = 0; i < x->attrs; i++) {
        const struct tree_attr *a = &t->attr[x->attr + i];

        if (a->even && strcmp(a->name, like->name) == 0 && strcmp(a->ns, like->ns) == 0)
            return a;
    }
    return NULL;
}

static void diff_attrs(struct pass *p, const struct tree_node *x, const struct tree_node *y)
{
    for (uint32_t i = 0; i < x->attrs; i++) {
        const struct tree_attr *a = &p->captured->attr[x->attr + i], *b;

        if (!a->even)
            continue;
        b = find_attr(p->live, y, a);
        if (!b || strcmp(a->even, b->even) != 0)
            say_differs(p, x->name, a->name, a->value, b ? b->value : NULL);
    }
    for (uint32_t i = 0; i < y->attrs; i++) {
        const struct tree_attr *b = &p->live->attr[y->attr + i];

        if (b->even && !find_attr(p->captured, x, b))
            say_differs(p, y->name, b->name, NULL, b->value);
    }
}

/* ---- children ---- */

struct child {
    const struct tree *t;
    uint32_t node;
    uint64_t hash;
};

struct children {
    struct child *list; /* owned */
    size_t n;
};

static int by_hash(const void *a, const void *b)
{
    const struct child *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

static int by_place(const void *a, const void *b)
{
    const struct child *x = a, *y = b;

    return x->node < y->node ? -1 : x->node > y->node;
}

static bool children_of(struct children *c, const struct tree *t, uint32_t node)
{
    size_t n = 0;

    for (uint32_t i = t->node[node].child; i != TREE_NONE; i = t->node[i].next)
        n += !t->node[i].ignored;
    *c = (struct children){.list = calloc(n + 1, sizeof *c->list)};
    if (!c->list)
        return false;
    for (uint32_t i = t->node[node].child; i != TREE_NONE; i = t->node[i].next)
        if (!t->node[i].ignored)
            c->list[c->n++] = (struct child){t, i, t->node[i].hash};
    qsort(c->list, c->n, sizeof *c->list, by_hash);
    return true;
}

/* Takes out what both have; the rest stands as it came. */
static void take_out_same(struct children *a, struct children *b)
{
    size_t i = 0, j = 0, x = 0, y = 0;

    while (i < a->n || j < b->n) {
        if (i < a->n && j < b->n && a->list[i].hash == b->list[j].hash) {
            i++;
            j++;
        } else if (j == b->n || (i < a->n && a->list[i].hash < b->list[j].hash)) {
            a->list[x++] = a->list[i++];
        } else {
            b->list[y++] = b->list[j++];
        }
    }
    a->n = x;
    b->n = y;
    qsort(a->list, a->n, sizeof *a->list, by_place);
    qsort(b->list, b->n, sizeof *b->list, by_place);
}

/* What tells an element from its like; "" if nothing does. */
static const char *identity(const struct child *c)
{
    static const char *const names[] = {"var", "jid", "node", "name", "category", "type"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = tree_value(c->t, c->node, names[i]);

        if (value)
            return value;
    }
    return "";
}

static bool same_name(const struct child *a, const struct child *b)
{
    const struct tree_node *x = &a->t->node[a->node], *y = &b->t->node[b->node];

    if (!x->name || !y->name)
        return !x->name && !y->name;
    return strcmp(x->name, y->name) == 0 && strcmp(x->ns, y->ns) == 0;
}

static bool same_identity(const struct child *a, const struct child *b)
{
    return same_name(a, b) && strcmp(identity(a), identity(b)) == 0;
}

static size_t count_like(const struct children *c, const struct child *like)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++)
        n += same_identity(&c->list[i], like);
    return n;
}

/* Has its parent no other of its name? */
static bool is_alone(const struct child *c)
{
    const struct tree *t = c->t;
    unsigned n = 0;

    for (uint32_t i = t->node[t->node[c->node].parent].child; i != TREE_NONE; i = t->node[i].next)
        n += same_name(&(struct child){t, i, 0}, c);
    return n == 1;
}

/* The one that `a` became: with the same identity, or where it is not one of a list. Its index, or
 * -1. */
static long partner(const struct children *from, const struct children *in, const struct child *a)
{
    bool known = *identity(a) && count_like(from, a) == 1 && count_like(in, a) == 1;

    for (size_t i = 0; i < in->n; i++)
        if (known ? same_identity(&in->list[i], a)
                  : same_name(&in->list[i], a) && is_alone(&in->list[i]) && is_alone(a))
            return (long)i;
    return -1;
}

static void diff_nodes(struct pass *p, uint32_t x, uint32_t y);

static void diff_pair(struct pass *p, const struct child *a, const struct child *b)
{
    const struct tree_node *x = &a->t->node[a->node], *y = &b->t->node[b->node];

    if (x->name)
        diff_nodes(p, a->node, b->node);
    else
        say_differs(p, a->t->node[x->parent].name, "text", x->text, y->text);
}

#define PAIRS_MAX 200 /* of more that differ, none is looked for: each is only in one */

static void diff_children(struct pass *p, uint32_t x, uint32_t y)
{
    struct children a, b;
    bool good = children_of(&a, p->captured, x), *paired = NULL;

    b = (struct children){0};
    if (!good || !children_of(&b, p->live, y)) {
        p->err = ERR_NOMEM;
        goto out;
    }
    take_out_same(&a, &b);
    paired = calloc(b.n + 1, sizeof *paired);
    if (!paired) {
        p->err = ERR_NOMEM;
        goto out;
    }
    for (size_t i = 0; i < a.n; i++) {
        long k = a.n + b.n > PAIRS_MAX ? -1 : partner(&a, &b, &a.list[i]);

        if (k >= 0)
            diff_pair(p, &a.list[i], &b.list[k]);
        else
            say_only(p, p->captured, a.list[i].node);
        if (k >= 0)
            paired[k] = true;
    }
    for (size_t i = 0; i < b.n; i++)
        if (!paired[i])
            say_only(p, p->live, b.list[i].node);
out:
    free(paired);
    free(a.list);
    free(b.list);
}

static void diff_nodes(struct pass *p, uint32_t x, uint32_t y)
{
    if (p->captured->node[x].hash == p->live->node[y].hash || p->err)
        return;
    diff_attrs(p, &p->captured->node[x], &p->live->node[y]);
    diff_children(p, x, y);
}

/* ---- answers ---- */

static bool is_error(const struct tree *t)
{
    const char *type = tree_is(t, 0, NULL, "iq") ? tree_value(t, 0, "type") : NULL;

    return type && strcmp(type, "error") == 0;
}

/* Another kind of answer: another element, another type of iq. */
static bool same_kind(const struct tree *a, const struct tree *b)
{
    return tree_is(b, 0, a->node[0].ns, a->node[0].name) && is_error(a) == is_error(b);
}

int diff_name_answer(const struct tree *t, struct buf *out)
{
    const char *type = tree_value(t, 0, "type");
    uint32_t error = tree_find(t, 0, NULL, "error"), condition = TREE_NONE;
    int err;

    if (!tree_is(t, 0, NULL, "iq") || !type) {
        err = buf_str(out, "<");
        if (!err)
            err = put_shown(out, t->node[0].name, strlen(t->node[0].name));
        return err ? err : buf_str(out, "/>");
    }
    err = put_shown(out, type, strlen(type));
    if (err || !is_error(t) || error == TREE_NONE)
        return err;
    for (uint32_t i = t->node[error].child; i != TREE_NONE && condition == TREE_NONE;
         i = t->node[i].next)
        if (tree_is(t, i, NS_STANZAS, NULL) && !tree_is(t, i, NULL, "text"))
            condition = i;
    type = tree_value(t, error, "type");
    if (condition != TREE_NONE) {
        err = buf_str(out, " ");
        if (!err)
            err = put_shown(out, t->node[condition].name, strlen(t->node[condition].name));
    }
    if (!err && type) {
        err = buf_str(out, " (");
        if (!err)
            err = put_shown(out, type, strlen(type));
        if (!err)
            err = buf_str(out, ")");
    }
    return err;
}

static void say_kinds(struct pass *p)
{
    struct buf *out = &p->d->lines;
    int err;

    one_more(p);
    err = buf_str(out, "captured ");
    if (!err)
        err = diff_name_answer(p->captured, out);
    if (!err)
        err = buf_str(out, ", live ");
    if (!err)
        err = diff_name_answer(p->live, out);
    if (!err)
        err = buf_str(out, "\n");
    p->err = err;
}

static void diff_errors(struct pass *p)
{
    uint32_t x = tree_find(p->captured, 0, NULL, "error"), y = tree_find(p->live, 0, NULL, "error");
    struct buf a, b;

    if (x == TREE_NONE || y == TREE_NONE) {
        if (x != y)
            say_kinds(p);
        return;
    }
    buf_init(&a, LINES_BYTES);
    buf_init(&b, LINES_BYTES);
    if (diff_name_answer(p->captured, &a) || diff_name_answer(p->live, &b))
        p->err = ERR_NOMEM;
    else if (a.len != b.len || memcmp(a.p, b.p, a.len) != 0)
        say_kinds(p);
    else
        diff_nodes(p, x, y);
    buf_free(&a);
    buf_free(&b);
}

int diff_items(const struct tree *captured, const struct tree *live, struct diff *d)
{
    struct pass p = {.captured = captured, .live = live, .d = d};

    if (!same_kind(captured, live))
        say_kinds(&p);
    else if (is_error(captured))
        diff_errors(&p);
    else
        diff_nodes(&p, 0, 0);
    if (d->count > DIFF_LINES_MAX && !p.err)
        p.err = buf_printf(&d->lines, "and %u more\n", d->count - DIFF_LINES_MAX);
    return p.err == ERR_NOMEM ? ERR_NOMEM : 0;
}

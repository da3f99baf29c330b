#include "tree.h"

#include <stdlib.h>
#include <string.h>

#include <expat.h>

#define NS_END      '\1'
#define CHUNK_BYTES (16u << 10)
#define ROOT                                                                                       \
    "<stream:stream xmlns='jabber:client' "                                                        \
    "xmlns:stream='http://etherx.jabber.org/streams'>"

struct tree_chunk {
    struct tree_chunk *next;
    size_t used, size;
    char bytes[];
};

struct reading {
    struct tree *tree;
    XML_Parser xml;
    struct buf text; /* the run under way */
    uint32_t open;   /* the innermost open element */
    unsigned depth;
    uint32_t last; /* the node read last: the next sibling's elder, if it has the same parent */
    bool quiet;    /* the stream's root is read */
    int err;
};

void tree_init(struct tree *t)
{
    *t = (struct tree){0};
}

void tree_free(struct tree *t)
{
    while (t->chunk) {
        struct tree_chunk *next = t->chunk->next;

        free(t->chunk);
        t->chunk = next;
    }
    free(t->node);
    free(t->attr);
    tree_init(t);
}

const char *tree_keep(struct tree *t, const char *s, size_t n)
{
    struct tree_chunk *c = t->chunk;
    char *at;

    if (!c || c->size - c->used <= n) {
        size_t size = n < CHUNK_BYTES ? CHUNK_BYTES : n + 1;

        if (t->bytes + size > TREE_BYTES_MAX)
            return NULL;
        c = malloc(sizeof *c + size);
        if (!c)
            return NULL;
        *c = (struct tree_chunk){.next = t->chunk, .size = size};
        t->chunk = c;
        t->bytes += size;
    }
    at = c->bytes + c->used;
    memcpy(at, s, n);
    at[n] = '\0';
    c->used += n + 1;
    return at;
}

/* ---- expat's handlers ---- */

static void stop(struct reading *r, int err)
{
    if (!r->err)
        r->err = err;
    XML_StopParser(r->xml, XML_FALSE);
}

/* Room for one more of `size` bytes each. Returns the list, NULL without memory. */
static void *grow(void *list, uint32_t used, uint32_t *room, size_t size)
{
    uint32_t more = *room ? 2 * *room : 16;
    void *grown;

    if (used < *room)
        return list;
    if (used >= TREE_NODES_MAX)
        return NULL;
    grown = realloc(list, more * size);
    if (grown)
        *room = more;
    return grown;
}

static uint32_t add_node(struct reading *r)
{
    struct tree *t = r->tree;
    struct tree_node *list = grow(t->node, t->nodes, &t->node_room, sizeof *list);
    uint32_t i = t->nodes;

    if (!list) {
        stop(r, i >= TREE_NODES_MAX ? ERR_CAP : ERR_NOMEM);
        return TREE_NONE;
    }
    t->node = list;
    t->node[i] = (struct tree_node){
        .parent = r->open, .next = TREE_NONE, .child = TREE_NONE, .attr = t->attrs};
    if (r->last != TREE_NONE)
        t->node[r->last].next = i;
    else if (r->open != TREE_NONE)
        t->node[r->open].child = i;
    r->last = i;
    t->nodes++;
    return i;
}

/* Most elements have the namespace of the one before, so it is not kept again. */
static const char *keep_ns(struct reading *r, uint32_t i, const char *ns, size_t n)
{
    struct tree *t = r->tree;

    if (!n)
        return "";
    for (uint32_t k = i, tries = 0; k > 0 && tries < 4; tries++) {
        const char *had = t->node[--k].ns;

        if (had && strlen(had) == n && memcmp(had, ns, n) == 0)
            return had;
    }
    return tree_keep(t, ns, n);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A run of text is over. */
static void end_text(struct reading *r)
{
    const char *p = r->text.p;
    size_t n = r->text.len;
    uint32_t i;

    while (n && is_space(p[n - 1]))
        n--;
    while (n && is_space(*p)) {
        p++;
        n--;
    }
    r->text.len = 0;
    i = n ? add_node(r) : TREE_NONE;
    if (i == TREE_NONE)
        return;
    r->tree->node[i].even = r->tree->node[i].text = tree_keep(r->tree, p, n);
    if (!r->tree->node[i].text)
        stop(r, ERR_NOMEM);
}

static void add_attr(struct reading *r, uint32_t i, const char *joined, const char *value)
{
    struct tree *t = r->tree;
    struct tree_attr *list = grow(t->attr, t->attrs, &t->attr_room, sizeof *list), *a;
    const char *end = strchr(joined, NS_END);

    if (!list) {
        stop(r, ERR_NOMEM);
        return;
    }
    t->attr = list;
    a = &list[t->attrs++];
    a->ns = end ? tree_keep(t, joined, (size_t)(end - joined)) : "";
    a->name = tree_keep(t, end ? end + 1 : joined, strlen(end ? end + 1 : joined));
    a->even = a->value = tree_keep(t, value, strlen(value));
    t->node[i].attrs++;
    if (!a->ns || !a->name || !a->value)
        stop(r, ERR_NOMEM);
}

static void XMLCALL on_start(void *arg, const XML_Char *joined, const XML_Char **attrs)
{
    struct reading *r = arg;
    const char *end = strchr(joined, NS_END), *name = end ? end + 1 : joined;
    uint32_t i;

    if (r->quiet || r->err)
        return;
    if (r->depth++ == TREE_DEPTH_MAX) {
        stop(r, ERR_CAP);
        return;
    }
    end_text(r);
    i = r->err ? TREE_NONE : add_node(r);
    if (i == TREE_NONE)
        return;
    r->tree->node[i].ns = keep_ns(r, i, joined, end ? (size_t)(end - joined) : 0);
    r->tree->node[i].name = tree_keep(r->tree, name, strlen(name));
    if (!r->tree->node[i].ns || !r->tree->node[i].name)
        stop(r, ERR_NOMEM);
    for (; attrs[0] && !r->err; attrs += 2)
        add_attr(r, i, attrs[0], attrs[1]);
    r->open = i;
    r->last = TREE_NONE;
}

static void XMLCALL on_end(void *arg, const XML_Char *joined)
{
    struct reading *r = arg;

    (void)joined;
    if (r->quiet || r->err || r->open == TREE_NONE)
        return;
    r->depth--;
    end_text(r);
    r->last = r->open;
    r->open = r->tree->node[r->open].parent;
}

static void XMLCALL on_text(void *arg, const XML_Char *s, int len)
{
    struct reading *r = arg;

    if (r->quiet || r->err || r->open == TREE_NONE)
        return;
    if (buf_add(&r->text, s, (size_t)len))
        stop(r, ERR_NOMEM);
}

/* ---- the interface ---- */

static int parse(struct reading *r, const char *root, size_t root_len, const char *p, size_t n)
{
    XML_SetUserData(r->xml, r);
    XML_SetElementHandler(r->xml, on_start, on_end);
    XML_SetCharacterDataHandler(r->xml, on_text);
#if XML_MAJOR_VERSION > 2 || (XML_MAJOR_VERSION == 2 && XML_MINOR_VERSION >= 6)
    XML_SetReparseDeferralEnabled(r->xml, XML_FALSE);
#endif
    r->quiet = true;
    if (XML_Parse(r->xml, root, (int)root_len, XML_FALSE) != XML_STATUS_OK)
        return ERR_NOT_WELL_FORMED;
    r->quiet = false;
    if (XML_Parse(r->xml, p, (int)n, XML_FALSE) != XML_STATUS_OK)
        return r->err ? r->err : ERR_NOT_WELL_FORMED;
    return r->err ? r->err : r->tree->nodes && r->open == TREE_NONE ? 0 : ERR_NOT_WELL_FORMED;
}

static int read_with(struct tree *t, const char *root, size_t root_len, const char *p, size_t n)
{
    struct reading r = {.tree = t, .open = TREE_NONE, .last = TREE_NONE};
    int err;

    tree_free(t);
    buf_init(&r.text, n + 1);
    r.xml = XML_ParserCreateNS("UTF-8", NS_END);
    err = r.xml ? parse(&r, root, root_len, p, n) : ERR_NOMEM;
    if (r.xml)
        XML_ParserFree(r.xml);
    buf_free(&r.text);
    if (err)
        tree_free(t);
    return err;
}

int tree_read(struct tree *t, const char *root, size_t root_len, const char *p, size_t n)
{
    int err = n > INT32_MAX || root_len > INT32_MAX ? ERR_CAP : ERR_NOT_WELL_FORMED;

    if (err == ERR_CAP)
        return err;
    if (root)
        err = read_with(t, root, root_len, p, n);
    return err == ERR_NOT_WELL_FORMED ? read_with(t, ROOT, sizeof ROOT - 1, p, n) : err;
}

bool tree_is(const struct tree *t, uint32_t node, const char *ns, const char *name)
{
    const struct tree_node *x = &t->node[node];

    return x->name && (!ns || strcmp(x->ns, ns) == 0) && (!name || strcmp(x->name, name) == 0);
}

uint32_t tree_find(const struct tree *t, uint32_t node, const char *ns, const char *name)
{
    for (uint32_t i = t->node[node].child; i != TREE_NONE; i = t->node[i].next)
        if (tree_is(t, i, ns, name))
            return i;
    return TREE_NONE;
}

const char *tree_value(const struct tree *t, uint32_t node, const char *name)
{
    const struct tree_node *x = &t->node[node];

    for (uint32_t i = 0; i < x->attrs; i++)
        if (!*t->attr[x->attr + i].ns && strcmp(t->attr[x->attr + i].name, name) == 0)
            return t->attr[x->attr + i].value;
    return NULL;
}

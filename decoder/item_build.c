#include "item_build.h"

#include <string.h>

void build_begin(struct item_build *b, const char *p, size_t n, bool deep)
{
    struct item *it = &b->item;

    it->p = p;
    it->len = n;
    it->nodes = it->attrs = it->secrets = 0;
    it->partial = it->lacks = it->plain = false;
    it->stanza = ITEM_NO_STANZA;
    b->arena_len = 0;
    b->depth = 0;
    b->deepest = deep ? READER_DEEP : 4;
    b->most = deep ? READER_DEEP_NODES : READER_NODES;
    for (unsigned d = 0; d <= READER_DEEP; d++)
        b->open[d] = -1;
}

const char *build_keep(struct item_build *b, const char *s, size_t n)
{
    char *p = b->arena + b->arena_len;

    if (n + 1 > BUILD_ARENA - b->arena_len) {
        b->item.partial = b->item.lacks = true;
        return "";
    }
    memcpy(p, s, n);
    p[n] = '\0';
    b->arena_len += n + 1;
    return p;
}

void build_named(struct item_build *b)
{
    static const struct {
        const char *name;
        enum item_stanza stanza;
    } kinds[] = {
        {"message", ITEM_MESSAGE}, {"presence", ITEM_PRESENCE}, {"iq", ITEM_IQ},
    };
    struct item *it = &b->item;

    if (it->nodes != 1 || strcmp(it->node[0].ns, "jabber:client") != 0)
        return;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(it->node[0].name, kinds[i].name) == 0)
            it->stanza = kinds[i].stanza;
}

struct node *build_start(struct item_build *b, size_t start, size_t inner)
{
    struct item *it = &b->item;
    struct node *node;

    b->depth++;
    if (b->depth > b->deepest || it->nodes == b->most) {
        it->partial = true;
        it->lacks |= b->depth <= b->deepest;
        return NULL;
    }
    b->open[b->depth] = (int)it->nodes;
    node = &it->node[it->nodes++];
    *node = (struct node){.depth = b->depth, .start = start, .inner = inner, .text = "",
                          .ns = "", .name = ""};
    return node;
}

/* How many of the bytes fit, none of them part of a character that does not. */
static size_t fitting(const char *s, size_t n, size_t room)
{
    if (n <= room)
        return n;
    while (room && ((unsigned char)s[room] & 0xC0) == 0x80)
        room--;
    return room;
}

void build_text(struct item_build *b, const char *s, size_t n)
{
    struct node *node;
    bool adjoins;
    size_t room, left, fits;

    if (b->depth > b->deepest || b->depth == 0 || b->open[b->depth] < 0)
        return;
    node = &b->item.node[b->open[b->depth]];
    if (node->text_cut || n == 0)
        return;
    /* Only text in one run is kept: its NUL must be the arena's last byte. */
    adjoins = node->text_len && node->text + node->text_len + 1 == b->arena + b->arena_len;
    room = BUILD_TEXT - node->text_len;
    left = BUILD_ARENA - b->arena_len + adjoins;
    room = left == 0 ? 0 : left - 1 < room ? left - 1 : room;
    fits = node->text_len && !adjoins ? 0 : fitting(s, n, room);
    if (fits < n)
        node->text_cut = b->item.partial = true;
    if (fits == 0)
        return;
    if (adjoins)
        b->arena_len--;
    else
        node->text = b->arena + b->arena_len;
    build_keep(b, s, fits);
    node->text_len += fits;
}

void build_end(struct item_build *b, size_t at, size_t end)
{
    if (b->depth <= b->deepest && b->open[b->depth] >= 0) {
        struct node *node = &b->item.node[b->open[b->depth]];

        node->inner_end = at;
        node->end = end;
        b->open[b->depth] = -1;
    }
    b->depth--;
}

void build_secret(struct item_build *b, size_t from, size_t to, enum secret_kind kind)
{
    struct item *it = &b->item;

    if (from >= to)
        return;
    if (it->secrets == READER_SECRETS) { /* rather mask what lies between than miss one */
        it->secret[READER_SECRETS - 1].to = to;
        it->secret[READER_SECRETS - 1].kind = SECRET_ONCE;
        return;
    }
    it->secret[it->secrets++] = (struct secret_range){from, to, kind};
}

/* ---- asked of a finished one (reader.h) ---- */

const char *item_attr(const struct item *it, unsigned node, const char *name)
{
    const struct item_attr *a = it->attr, *end = a + it->attrs;

    for (; a < end && a->node <= node; a++) /* they stand in the elements' order */
        if (a->node == node && *a->name == *name && strcmp(a->name, name) == 0)
            return a->value;
    return NULL;
}

bool item_is(const struct item *it, unsigned node, const char *ns, const char *name)
{
    const struct node *n = &it->node[node];

    return node < it->nodes && (!name || (*n->name == *name && strcmp(n->name, name) == 0)) &&
           (!ns || strcmp(n->ns, ns) == 0);
}

bool item_is_stanza(const struct item *it)
{
    return it->stanza != ITEM_NO_STANZA;
}

int item_find(const struct item *it, unsigned depth, const char *ns, const char *name)
{
    for (unsigned i = 0; i < it->nodes; i++)
        if (it->node[i].depth == depth && item_is(it, i, ns, name))
            return (int)i;
    return -1;
}

#include "pep.h"

#include <stdlib.h>
#include <string.h>

/* What an item may take when it is written: each byte of its id as an entity, and the tags. */
static size_t bytes_of(const char *id, size_t len)
{
    return 6 * strlen(id) + len + 64;
}

static void drop_at(struct pep *p, struct pep_node *n, unsigned i)
{
    struct pep_item *item = &n->item[i];

    p->bytes -= bytes_of(item->id, item->len);
    free(item->id);
    free(item->xml);
    n->items--;
    memmove(item, item + 1, (n->items - i) * sizeof *item);
}

void pep_trim(struct pep *p, struct pep_node *n, unsigned keep)
{
    while (n->items > keep)
        drop_at(p, n, 0);
}

void pep_remove(struct pep *p, struct pep_node *n)
{
    struct pep_node **at = &p->node;

    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
    pep_trim(p, n, 0);
    free(n->item);
    free(n->name);
    free(n);
}

void pep_free(struct pep *p)
{
    while (p->node)
        pep_remove(p, p->node);
}

struct pep_node *pep_find(const struct pep *p, const char *name)
{
    struct pep_node *n = p->node;

    while (n && strcmp(n->name, name) != 0)
        n = n->next;
    return n;
}

int pep_make(struct pep *p, const char *name, const struct pep_config *c, struct pep_node **made)
{
    struct pep_node **at = &p->node, *n;
    unsigned nodes = 0;

    for (; *at; at = &(*at)->next)
        nodes++;
    if (nodes >= PEP_NODES || strlen(name) > PEP_NAME)
        return ERR_CAP;
    n = calloc(1, sizeof *n);
    if (!n)
        return ERR_NOMEM;
    n->name = strdup(name);
    if (!n->name) {
        free(n);
        return ERR_NOMEM;
    }
    n->config = *c;
    *at = *made = n;
    return 0;
}

static int find_item(const struct pep_node *n, const char *id)
{
    for (unsigned i = 0; i < n->items; i++)
        if (strcmp(n->item[i].id, id) == 0)
            return (int)i;
    return -1;
}

const struct pep_item *pep_item(const struct pep_node *n, const char *id)
{
    int i = find_item(n, id);

    return i < 0 ? NULL : &n->item[i];
}

const struct pep_item *pep_last(const struct pep_node *n)
{
    return n->items ? &n->item[n->items - 1] : NULL;
}

bool pep_drop(struct pep *p, struct pep_node *n, const char *id)
{
    int i = find_item(n, id);

    if (i >= 0)
        drop_at(p, n, (unsigned)i);
    return i >= 0;
}

/* Which item goes when another of `id` comes: its own, the oldest of a full node, or none: -1. */
static int gives_way(const struct pep_node *n, const char *id)
{
    int i = find_item(n, id);

    return i < 0 && n->items >= n->config.value[PEP_MAX_ITEMS] ? 0 : i;
}

static char *copy(const char *p, size_t n)
{
    char *to = malloc(n + 1);

    if (!to)
        return NULL;
    memcpy(to, p, n);
    to[n] = '\0';
    return to;
}

int pep_put(struct pep *p, struct pep_node *n, const char *id, const char *xml, size_t len)
{
    int out = gives_way(n, id);
    size_t without = p->bytes - (out < 0 ? 0 : bytes_of(n->item[out].id, n->item[out].len));
    struct pep_item item = {.len = len}, *grown;

    if (strlen(id) > PEP_NAME || without + bytes_of(id, len) > PEP_BYTES)
        return ERR_CAP;
    item.id = strdup(id);
    item.xml = copy(xml, len);
    grown = realloc(n->item, (n->items + 1) * sizeof item);
    if (grown)
        n->item = grown;
    if (!item.id || !item.xml || !grown) {
        free(item.id);
        free(item.xml);
        return ERR_NOMEM;
    }
    if (out >= 0)
        drop_at(p, n, (unsigned)out);
    n->item[n->items++] = item;
    p->bytes += bytes_of(id, len);
    return 0;
}

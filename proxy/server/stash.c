#include "stash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "markup.h"

void stash_free(struct stash *s)
{
    for (int i = 0; i < STASH_ENTRIES; i++) {
        free(s->entry[i].key);
        buf_free(&s->entry[i].xml);
    }
    *s = (struct stash){.entry = {{.key = NULL}}};
}

static bool is_key(const char *key, const struct node *n)
{
    size_t ns = strlen(n->ns);

    return strncmp(key, n->ns, ns) == 0 && key[ns] == '\n' && strcmp(key + ns + 1, n->name) == 0;
}

/* The entry of that name, or -1. */
static int find(const struct stash *s, const struct node *n)
{
    for (int i = 0; i < STASH_ENTRIES; i++)
        if (s->entry[i].key && is_key(s->entry[i].key, n))
            return i;
    return -1;
}

static int find_free(const struct stash *s)
{
    for (int i = 0; i < STASH_ENTRIES; i++)
        if (!s->entry[i].key)
            return i;
    return -1;
}

static size_t bytes_besides(const struct stash *s, int one)
{
    size_t n = 0;

    for (int i = 0; i < STASH_ENTRIES; i++)
        if (i != one && s->entry[i].key)
            n += strlen(s->entry[i].key) + s->entry[i].xml.len;
    return n;
}

int stash_put(struct stash *s, const struct item *it, unsigned node, const struct buf *root)
{
    const struct node *n = &it->node[node];
    int i = find(s, n), err;
    struct buf xml;
    size_t used;
    char *key;

    if (i < 0)
        i = find_free(s);
    if (i < 0)
        return ERR_CAP;
    if (asprintf(&key, "%s\n%s", n->ns, n->name) < 0)
        return ERR_NOMEM;
    used = strlen(key) + bytes_besides(s, i);
    buf_init(&xml, used < STASH_BYTES ? STASH_BYTES - used : 0);
    err = markup_open(&xml, it, node);
    if (!err)
        err = markup_rest(&xml, it, node, root, false);
    if (err) {
        free(key);
        buf_free(&xml);
        return err;
    }
    free(s->entry[i].key);
    buf_free(&s->entry[i].xml);
    s->entry[i] = (struct stash_entry){.key = key, .xml = xml};
    return 0;
}

const struct buf *stash_get(const struct stash *s, const struct item *it, unsigned node)
{
    int i = find(s, &it->node[node]);

    return i < 0 ? NULL : &s->entry[i].xml;
}

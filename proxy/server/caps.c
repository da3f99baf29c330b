#include "caps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "markup.h"
#include "ns.h"
#include "pep_event.h"
#include "world.h"

/* ---- the cache ---- */

void caps_cache_free(struct caps_cache *c)
{
    for (int i = 0; i < CAPS_ENTRIES; i++) {
        free(c->entry[i].key);
        buf_free(&c->entry[i].wants);
    }
    *c = (struct caps_cache){.next = 0};
}

static const struct caps_entry *find(const struct caps_cache *c, const char *key)
{
    for (int i = 0; i < CAPS_ENTRIES; i++)
        if (c->entry[i].key && strcmp(c->entry[i].key, key) == 0)
            return &c->entry[i];
    return NULL;
}

/* Without memory the next client is asked again. */
static void remember(struct caps_cache *c, const char *key, const struct buf *wants)
{
    struct caps_entry *e = &c->entry[c->next];
    char *copy = find(c, key) ? NULL : strdup(key);

    if (!copy)
        return;
    free(e->key);
    buf_free(&e->wants);
    e->key = NULL;
    buf_init(&e->wants, CAPS_WANTS);
    if (buf_add(&e->wants, wants->p, wants->len)) {
        free(copy);
        return;
    }
    e->key = copy;
    c->next = (c->next + 1) % CAPS_ENTRIES;
}

/* ---- a client ---- */

void caps_free(struct caps *c)
{
    free(c->key);
    buf_free(&c->wants);
    *c = (struct caps){.key = NULL};
}

static bool has(const struct buf *names, const char *name)
{
    for (size_t at = 0; at < names->len; at += strlen(names->p + at) + 1)
        if (strcmp(names->p + at, name) == 0)
            return true;
    return false;
}

bool caps_wants(const struct client *c, const char *node)
{
    return has(&c->caps.wants, node);
}

/* It wants these from now on, and gets what it did not want before. */
static void want(struct client *c, const struct buf *names)
{
    struct buf before = c->caps.wants;
    size_t left = PEP_LAST_BYTES;
    bool all;

    buf_init(&c->caps.wants, CAPS_WANTS);
    all = !buf_add(&c->caps.wants, names->p, names->len); /* without memory it hears of none */
    for (size_t at = 0; all && c->available && at < names->len; at += strlen(names->p + at) + 1)
        if (!has(&before, names->p + at))
            pep_event_last(c, names->p + at, &left);
    buf_free(&before);
}

static int put_request(const struct client *c, struct buf *out)
{
    int err = buf_str(out, "<iq type=\"get\" from=\"");

    if (!err)
        err = markup_escape(out, c->user->bare);
    if (!err)
        err = buf_str(out, "\" to=\"");
    if (!err)
        err = client_put_jid(c, out);
    if (!err)
        err = buf_printf(out, "\" id=\"%s\"><query xmlns=\"" NS_INFO "\" node=\"", c->caps.id);
    if (!err)
        err = markup_escape(out, c->caps.key);
    return err ? err : buf_str(out, "\"/></iq>");
}

static void ask_client(struct client *c)
{
    struct buf *out = &c->world->scratch;

    if (client_random(c->caps.id)) {
        c->caps.id[0] = '\0';
        return;
    }
    out->len = 0;
    if (!put_request(c, out))
        client_send(c, out->p, out->len);
    out->len = 0;
}

void caps_need(struct client *c)
{
    const struct caps_entry *e = c->caps.key ? find(&c->world->caps, c->caps.key) : NULL;

    if (!c->caps.key || c->caps.asked || c->world->profile->ask_caps == CAPS_NEVER)
        return;
    c->caps.asked = true;
    if (e)
        want(c, &e->wants);
    else
        ask_client(c);
}

/* NODE#VER of its presence. False: it names none. */
static bool version_of(const struct ask *q, char key[CAPS_KEY])
{
    int node = item_find(q->it, 2, NS_CAPS, "c");
    const char *name = node >= 0 ? item_attr(q->it, (unsigned)node, "node") : NULL;
    const char *ver = node >= 0 ? item_attr(q->it, (unsigned)node, "ver") : NULL;
    int n = name && ver ? snprintf(key, CAPS_KEY, "%s#%s", name, ver) : -1;

    return n >= 0 && n < CAPS_KEY;
}

void caps_presence(struct ask *q)
{
    struct client *c = q->c;
    char key[CAPS_KEY];

    if (!version_of(q, key) || (c->caps.key && strcmp(c->caps.key, key) == 0))
        return;
    free(c->caps.key);
    c->caps.key = strdup(key);
    c->caps.id[0] = '\0';
    c->caps.asked = false;
    if (c->world->profile->ask_caps == CAPS_ALWAYS || pep_event_any(c))
        caps_need(c);
}

/* ---- its answer ---- */

/* The names in its features that end with +notify. */
static void collect(const struct item *it, struct buf *names)
{
    static const char notify[] = "+notify";

    for (unsigned i = 1; i < it->nodes; i++) {
        const char *var = item_attr(it, i, "var");
        size_t n = var && item_is(it, i, NS_INFO, "feature") ? strlen(var) : 0, at = names->len;

        if (n < sizeof notify || strcmp(var + n - (sizeof notify - 1), notify) != 0)
            continue;
        if (buf_add(names, var, n - (sizeof notify - 1)) || buf_add(names, "", 1))
            names->len = at; /* it has too many */
    }
}

void caps_answer(struct ask *q)
{
    struct client *c = q->c;
    const struct item *info;
    struct buf names;

    if (!*c->caps.id || strcmp(c->caps.id, q->id) != 0 || !c->caps.key)
        return;
    c->caps.id[0] = '\0';
    if (strcmp(q->type, "result") != 0 || q->it->nodes < 2 || !item_is(q->it, 1, NS_INFO, "query"))
        return;
    q->err = part_read(c->world->part, q->it, 1, q->root, &info);
    if (q->err)
        return;
    buf_init(&names, CAPS_WANTS);
    collect(info, &names);
    remember(&c->world->caps, c->caps.key, &names);
    want(c, &names);
    buf_free(&names);
}

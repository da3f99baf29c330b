/* blocking.c: whom an account blocks, as a client reads and edits it (XEP-0191). The JIDs stand for
 * themselves, before any privacy list: so neither protocol can undo what the other says. */
#include <string.h>

#include "answers.h"
#include "filter.h"
#include "ns.h"
#include "world.h"

static void put_item(struct ask *q, const char *jid)
{
    ask_put(q, "<item jid=\"");
    ask_put_text(q, jid);
    ask_put(q, "\"/>");
}

void answer_blocklist(struct ask *q)
{
    const struct privacy *p = &q->c->user->privacy;

    q->c->wants_blocks = true;
    ask_head(q, "result");
    ask_put(q, "><blocklist xmlns=\"" NS_BLOCKING "\">");
    for (unsigned i = 0; i < p->blocks; i++)
        put_item(q, p->blocked[i]);
    ask_put(q, "</blocklist></iq>");
}

/* The prepared JID of the item that `node` is, or NULL. */
static const char *jid_of(const struct ask *q, unsigned node, char out[JID_MAX + 1])
{
    const char *jid = item_attr(q->it, node, "jid");
    struct jid j;

    if (!item_is(q->it, node, NS_BLOCKING, "item") || !jid || !prep_jid(jid, &j))
        return NULL;
    prep_bare(&j, out);
    if (*j.resource)
        strcat(strcat(out, "/"), j.resource);
    return out;
}

/* Calls `each` with every item. The number of them, or -1: one is none. */
static int for_items(struct ask *q, bool (*each)(struct privacy *p, const char *jid))
{
    char jid[JID_MAX + 1];
    int n = 0;

    for (unsigned i = 0; i < q->it->nodes; i++) {
        if (q->it->node[i].depth != 3)
            continue;
        if (!jid_of(q, i, jid))
            return -1;
        if (each)
            each(&q->c->user->privacy, jid);
        n++;
    }
    return n;
}

/* What was asked is told to all clients that have asked for the list. */
static void push(struct ask *q, const char *name)
{
    char jid[JID_MAX + 1];

    for (struct client *c = q->c->user->clients; c; c = c->next) {
        struct buf *before;

        if (!c->wants_blocks)
            continue;
        before = ask_begin_push(q, c);
        ask_put(q, "<");
        ask_put(q, name);
        ask_put(q, " xmlns=\"" NS_BLOCKING "\">");
        for (unsigned i = 0; i < q->it->nodes; i++)
            if (q->it->node[i].depth == 3 && jid_of(q, i, jid))
                put_item(q, jid);
        ask_put(q, "</");
        ask_put(q, name);
        ask_put(q, "></iq>");
        ask_send(q, c);
        ask_end(q, before);
    }
}

static void change(struct ask *q, const char *name, bool (*each)(struct privacy *p, const char *jid))
{
    struct user *u = q->c->user;
    struct filter_view view;

    filter_before(u, &view);
    if (each)
        for_items(q, each);
    else
        while (u->privacy.blocks)
            privacy_unblock(&u->privacy, u->privacy.blocked[0]);
    filter_after(u, q->c->world, &view);
    ask_result(q, NULL);
    push(q, name);
}

void answer_block(struct ask *q)
{
    int n = for_items(q, NULL);

    if (n <= 0 || q->it->lacks)
        ask_error(q, n < 0           ? "jid-malformed"
                     : q->it->lacks ? "resource-constraint"
                                    : "bad-request");
    else if (q->c->user->privacy.blocks + (unsigned)n > PRIVACY_BLOCKED)
        ask_error(q, "resource-constraint");
    else
        change(q, "block", privacy_block);
}

/* Without items everybody is let in again (§3.5). */
void answer_unblock(struct ask *q)
{
    int n = for_items(q, NULL);

    if (n < 0 || q->it->lacks)
        ask_error(q, n < 0 ? "jid-malformed" : "resource-constraint");
    else
        change(q, "unblock", n ? privacy_unblock : NULL);
}

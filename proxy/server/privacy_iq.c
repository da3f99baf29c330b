/* privacy_iq.c: privacy lists as a client reads and edits them (XEP-0016). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "filter.h"
#include "ns.h"
#include "part.h"
#include "world.h"

/* ---- get ---- */

static void put_name(struct ask *q, const char *element, const char *name)
{
    if (!name)
        return;
    ask_put(q, "<");
    ask_put(q, element);
    ask_put(q, " name=\"");
    ask_put_text(q, name);
    ask_put(q, "\"/>");
}

static void get_names(struct ask *q)
{
    const struct privacy *p = &q->c->user->privacy;

    if (q->c->world->profile->holds)
        q->effects |= ASK_HOLDS;
    ask_head(q, "result");
    ask_put(q, "><query xmlns=\"" NS_PRIVACY "\">");
    for (unsigned i = 0; i < p->lists && !q->err; i++)
        q->err = privacy_write(q->text, &p->list[i], false);
    put_name(q, "default", p->preferred);
    put_name(q, "active", q->c->active_list);
    ask_put(q, "</query></iq>");
}

static unsigned children(const struct ask *q)
{
    unsigned n = 0;

    for (unsigned i = 0; i < q->it->nodes; i++)
        n += q->it->node[i].depth == 3;
    return n;
}

/* One at a time (XEP-0016 §2.3). */
void answer_privacy_get(struct ask *q)
{
    int node = item_find(q->it, 3, NULL, NULL);
    const struct privacy_list *l;

    if (node < 0) {
        get_names(q);
        return;
    }
    q->effects |= ASK_RELEASES;
    if (children(q) != 1 || !item_is(q->it, (unsigned)node, NS_PRIVACY, "list") ||
        !item_attr(q->it, (unsigned)node, "name")) {
        ask_error(q, "bad-request");
        return;
    }
    l = privacy_find(&q->c->user->privacy, item_attr(q->it, (unsigned)node, "name"));
    if (!l) {
        ask_error(q, "item-not-found");
        return;
    }
    ask_head(q, "result");
    ask_put(q, "><query xmlns=\"" NS_PRIVACY "\">");
    if (!q->err)
        q->err = privacy_write(q->text, l, true);
    ask_put(q, "</query></iq>");
}

/* ---- set ---- */

static bool is(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* Does another of the account's clients go by this list? `as_default`: by the default, too. */
static bool is_used(const struct client *c, const char *name, bool as_default)
{
    for (const struct client *o = c->user->clients; o; o = o->next)
        if (o != c && (o->active_list ? is(o->active_list, name)
                                      : as_default && is(c->user->privacy.preferred, name)))
            return true;
    return false;
}

static bool has_group(const struct roster *r, const char *name)
{
    for (unsigned i = 0; i < r->items; i++)
        for (unsigned k = 0; k < ROSTER_GROUPS && r->item[i]->group[k]; k++)
            if (is(r->item[i]->group[k], name))
                return true;
    return false;
}

/* Its groups must be the roster's (XEP-0016 §2.1). */
static bool has_groups(const struct roster *r, const struct item *list)
{
    for (unsigned i = 1; i < list->nodes; i++)
        if (is(item_attr(list, i, "type"), "group") && !has_group(r, item_attr(list, i, "value")))
            return false;
    return true;
}

/* All of the account's clients are told that it has changed. */
static void push(struct ask *q, const char *name)
{
    for (struct client *c = q->c->user->clients; c; c = c->next) {
        struct buf *before = ask_begin_push(q, c);

        ask_put(q, "<query xmlns=\"" NS_PRIVACY "\"><list name=\"");
        ask_put_text(q, name);
        ask_put(q, "\"/></query></iq>");
        ask_send(q, c);
        ask_end(q, before);
    }
}

static const char *set_list(struct ask *q, unsigned node)
{
    struct user *u = q->c->user;
    const char *name = item_attr(q->it, node, "name"), *condition;
    bool removed = q->it->node[node].inner == q->it->node[node].inner_end;
    struct filter_view view;
    const struct item *list;

    if (removed && is_used(q->c, name, true))
        return "conflict"; /* §2.8 */
    if (part_read(q->c->world->part, q->it, node, q->root, &list))
        return "bad-request";
    if (!has_groups(&u->roster, list))
        return "item-not-found";
    filter_before(u, &view);
    condition = privacy_put(&u->privacy, list, 0);
    if (!condition && removed && is(u->privacy.preferred, name))
        privacy_prefer(&u->privacy, NULL);
    if (!condition && removed && is(q->c->active_list, name))
        client_use_list(q->c, NULL);
    filter_after(u, q->c->world, &view);
    if (!condition)
        push(q, name);
    return condition;
}

static const char *set_active(struct ask *q, unsigned node)
{
    const char *name = item_attr(q->it, node, "name");
    struct filter_view view;
    bool good;

    if (name && !privacy_find(&q->c->user->privacy, name))
        return "item-not-found";
    filter_before(q->c->user, &view);
    good = client_use_list(q->c, name);
    filter_after(q->c->user, q->c->world, &view);
    return good ? NULL : "resource-constraint";
}

static const char *set_default(struct ask *q, unsigned node)
{
    struct user *u = q->c->user;
    const char *name = item_attr(q->it, node, "name");
    struct filter_view view;
    bool good;

    if (name && !privacy_find(&u->privacy, name))
        return "item-not-found";
    if (u->privacy.preferred && is_used(q->c, u->privacy.preferred, true))
        return "conflict"; /* §2.5 */
    filter_before(u, &view);
    good = privacy_prefer(&u->privacy, name);
    filter_after(u, q->c->world, &view);
    return good ? NULL : "resource-constraint";
}

void answer_privacy_set(struct ask *q)
{
    static const struct {
        const char *name;
        const char *(*set)(struct ask *q, unsigned node);
    } rows[] = {{"list", set_list}, {"active", set_active}, {"default", set_default}};
    int node = item_find(q->it, 3, NULL, NULL);
    const char *condition = "bad-request";

    for (size_t i = 0; children(q) == 1 && i < sizeof rows / sizeof rows[0]; i++)
        if (item_is(q->it, (unsigned)node, NS_PRIVACY, rows[i].name))
            condition = rows[i].set(q, (unsigned)node);
    if (condition)
        ask_error(q, condition);
    else
        ask_result(q, NULL);
}

#include "roster_iq.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "markup.h"
#include "ns.h"
#include "presence.h"
#include "world.h"

void roster_push(struct user *u, struct world *w, struct roster_item *i, bool removed)
{
    struct buf *out = &w->scratch;
    char id[RANDOM_SIZE];

    roster_touch(&u->roster, i);
    for (struct client *c = u->clients; c; c = c->next) {
        int err;

        if (!c->interested || client_random(id))
            continue;
        out->len = 0;
        err = buf_printf(out, "<iq type=\"set\" id=\"%s\" to=\"", id);
        if (!err)
            err = client_put_jid(c, out);
        if (!err)
            err = buf_printf(out, "\"><query xmlns=\"" NS_ROSTER "\" ver=\"%" PRIu64 "\">",
                             u->roster.version);
        if (!err)
            err = roster_put(out, i, removed);
        if (!err)
            err = buf_str(out, "</query></iq>");
        if (!err)
            client_send(c, out->p, out->len);
    }
}

/* ---- get ---- */

/* The client has this version already (RFC 6121 §2.6): nothing has to be said but what changed
 * since, and what was removed is not known any more; so it is all or nothing. */
static bool is_current(const struct ask *q)
{
    const char *ver = ask_attr(q, "ver");
    char now[24];

    snprintf(now, sizeof now, "%" PRIu64, q->c->user->roster.version);
    return ver && strcmp(ver, now) == 0;
}

void answer_roster_get(struct ask *q)
{
    const struct roster *r = &q->c->user->roster;
    char ver[64] = "";

    q->c->interested = true;
    if (is_current(q)) {
        ask_result(q, NULL);
        return;
    }
    ask_head(q, "result");
    if (ask_attr(q, "ver"))
        snprintf(ver, sizeof ver, " ver=\"%" PRIu64 "\"", r->version);
    ask_put(q, "><query xmlns=\"" NS_ROSTER "\"");
    ask_put(q, ver);
    ask_put(q, ">");
    for (unsigned i = 0; i < r->items && !q->err; i++)
        if (r->item[i]->listed)
            q->err = roster_put(q->text, r->item[i], false);
    ask_put(q, "</query></iq>");
}

/* ---- set ---- */

/* Its groups. False, with the condition: one is twice, empty or too long (RFC 6121 §2.3.3). */
static bool groups_of(const struct ask *q, const char *groups[ROSTER_GROUPS], unsigned *n,
                      const char **condition)
{
    *n = 0;
    for (unsigned i = 0; i < q->it->nodes; i++) {
        const struct node *node = &q->it->node[i];

        if (node->depth != 4 || !item_is(q->it, i, NS_ROSTER, "group"))
            continue;
        if (node->text_len == 0 || node->text_len > ROSTER_TEXT || *n == ROSTER_GROUPS) {
            *condition = "not-acceptable";
            return false;
        }
        for (unsigned k = 0; k < *n; k++) {
            if (strcmp(groups[k], node->text) == 0) {
                *condition = "bad-request";
                return false;
            }
        }
        groups[(*n)++] = node->text;
    }
    return true;
}

/* RFC 6121 §2.5: what is not agreed any more is told the contact, too. */
static void remove_item(struct ask *q, struct roster_item *i)
{
    struct client *c = q->c;
    char jid[JID_MAX + 1];

    snprintf(jid, sizeof jid, "%s", i->jid);
    if (i->subscription & (SUB_TO | SUB_PENDING_OUT))
        presence_subscription(c, jid, "unsubscribe");
    if (i->subscription & (SUB_FROM | SUB_PENDING_IN))
        presence_subscription(c, jid, "unsubscribed");
    roster_push(c->user, c->world, i, true);
    roster_remove(&c->user->roster, i);
    ask_result(q, NULL);
}

static void set_item(struct ask *q, const char *jid, const char *name)
{
    struct user *u = q->c->user;
    const char *groups[ROSTER_GROUPS], *condition = NULL;
    struct roster_item *i;
    unsigned n;

    if (name && strlen(name) > ROSTER_TEXT)
        condition = "not-acceptable";
    else
        groups_of(q, groups, &n, &condition);
    i = condition ? NULL : roster_make(&u->roster, jid);
    if (!i || !roster_name(i, name, groups, n)) {
        ask_error(q, condition ? condition : "resource-constraint");
        return;
    }
    i->listed = true;
    roster_push(u, q->c->world, i, false);
    ask_result(q, NULL);
}

/* RFC 6121 §2.3, §2.4, §2.5 */
void answer_roster_set(struct ask *q)
{
    int node = item_find(q->it, 3, NS_ROSTER, "item");
    const char *jid = node >= 0 ? item_attr(q->it, (unsigned)node, "jid") : NULL, *subscription;
    char bare[JID_MAX + 1];
    struct roster_item *i;
    unsigned items = 0;
    struct jid j;

    for (unsigned k = 0; k < q->it->nodes; k++)
        items += q->it->node[k].depth == 3;
    if (items != 1 || !jid || !prep_jid(jid, &j)) {
        ask_error(q, "bad-request");
        return;
    }
    prep_bare(&j, bare);
    subscription = item_attr(q->it, (unsigned)node, "subscription");
    i = roster_find(&q->c->user->roster, bare);
    if (!subscription || strcmp(subscription, "remove") != 0)
        set_item(q, bare, item_attr(q->it, (unsigned)node, "name"));
    else if (i && i->listed)
        remove_item(q, i);
    else
        ask_error(q, "item-not-found");
}

#include "filter.h"

#include <stdlib.h>
#include <string.h>

#include "ns.h"
#include "presence.h"
#include "world.h"

/* The active list, else the default (XEP-0016 §2.2). */
static bool allows(const struct user *u, const struct client *c, enum privacy_kind kind,
                   const char *bare, const char *resource)
{
    const struct privacy *p = &u->privacy;
    const struct privacy_list *l = c ? privacy_find(p, c->active_list) : NULL;

    if (privacy_blocks(p, bare, resource))
        return false;
    return privacy_allows(l ? l : privacy_find(p, p->preferred), &u->roster, kind, bare, resource);
}

bool filter_takes(const struct user *u, const struct client *to, enum privacy_kind kind,
                  const struct client *from)
{
    return u == from->user || allows(u, to, kind, from->user->bare, from->resource);
}

bool filter_takes_contact(const struct client *to, enum privacy_kind kind, const char *bare,
                          const char *resource)
{
    return allows(to->user, to, kind, bare, resource);
}

bool filter_gives(const struct client *from, enum privacy_kind kind, const char *bare,
                  const char *resource)
{
    return strcmp(bare, from->user->bare) == 0 || allows(from->user, from, kind, bare, resource);
}

bool filter_shows(const struct client *from, const struct client *to)
{
    return filter_gives(from, PRIVACY_PRESENCE_OUT, to->user->bare, to->resource) &&
           filter_takes(to->user, to, PRIVACY_PRESENCE_IN, from);
}

/* ---- what a client sends ---- */

static bool has_type(const struct ask *q, const char *type)
{
    return q->type && strcmp(q->type, type) == 0;
}

/* What it is for the sender's list; 0: nothing that a list is about. */
static unsigned kind_of(const struct ask *q)
{
    if (!item_is(q->it, 0, NS_CLIENT, "presence") || sub_by_name(q->type) < SUB_TYPES)
        return PRIVACY_OUT;
    return !q->type || has_type(q, "unavailable") ? PRIVACY_PRESENCE_OUT : 0;
}

bool filter_stops(struct ask *q)
{
    unsigned kind = kind_of(q);

    if (!q->to || !*q->peer.domain || !kind || strcmp(q->bare, q->c->user->domain) == 0 ||
        filter_gives(q->c, (enum privacy_kind)kind, q->bare, q->peer.resource))
        return false;
    ask_error_with(q, "not-acceptable",
                   privacy_blocks(&q->c->user->privacy, q->bare, q->peer.resource)
                       ? "<blocked xmlns=\"" NS_BLOCKING_ERRORS "\"/>" : "");
    return true;
}

/* ---- a change ---- */

/* Between a client and one contact: a bit for each of the contact's clients, as they stand in its
 * list, USER_CLIENTS at most. */
struct filter_sight {
    uint16_t out, in; /* it sees the client; the client sees it */
};

static unsigned count(const struct user *u)
{
    unsigned n = 0;

    for (const struct client *c = u->clients; c; c = c->next)
        n++;
    return n;
}

/* By the account's own lists alone: what the contact's say does not change. */
static struct filter_sight look(const struct client *c, const struct roster_item *i,
                                const struct user *contact)
{
    struct filter_sight sight = {0, 0};
    uint16_t bit = 1;

    for (const struct client *o = contact ? contact->clients : NULL; o; o = o->next, bit <<= 1) {
        if (!c->available || !o->available)
            continue;
        if (i->subscription & SUB_FROM &&
            filter_gives(c, PRIVACY_PRESENCE_OUT, contact->bare, o->resource))
            sight.out |= bit;
        if (i->subscription & SUB_TO && filter_takes(c->user, c, PRIVACY_PRESENCE_IN, o))
            sight.in |= bit;
    }
    return sight;
}

static struct user *directed_to(const struct client *c, int i, struct jid *j)
{
    char bare[JID_MAX + 1];

    if (!c->directed[i] || !prep_jid(c->directed[i], j))
        return NULL;
    return world_find(c->world, prep_bare(j, bare));
}

static struct filter_sight look_directed(const struct client *c, int i)
{
    struct filter_sight sight = {0, 0};
    struct jid j;
    const struct user *u = directed_to(c, i, &j);
    uint16_t bit = 1;

    for (const struct client *o = u ? u->clients : NULL; o; o = o->next, bit <<= 1)
        if ((*j.resource ? strcmp(o->resource, j.resource) == 0 : o->available) &&
            filter_gives(c, PRIVACY_PRESENCE_OUT, u->bare, o->resource))
            sight.out |= bit;
    return sight;
}

void filter_before(const struct user *u, struct filter_view *v)
{
    struct filter_sight *s;

    *v = (struct filter_view){.clients = count(u), .items = u->roster.items};
    v->sight = calloc((size_t)v->clients * (v->items + CLIENT_DIRECTED), sizeof *v->sight);
    s = v->sight;
    for (const struct client *c = u->clients; c && s; c = c->next) {
        for (unsigned i = 0; i < v->items; i++)
            *s++ = look(c, u->roster.item[i], world_find(c->world, u->roster.item[i]->jid));
        for (int i = 0; i < CLIENT_DIRECTED; i++)
            *s++ = look_directed(c, i);
    }
}

static void tell(struct client *c, struct user *contact, struct filter_sight was,
                 struct filter_sight now)
{
    uint16_t bit = 1;

    for (struct client *o = contact->clients; o; o = o->next, bit <<= 1) {
        if ((was.out ^ now.out) & bit && filter_takes(contact, o, PRIVACY_PRESENCE_IN, c))
            presence_tell(c, o, was.out & bit);
        if ((was.in ^ now.in) & bit &&
            filter_gives(o, PRIVACY_PRESENCE_OUT, c->user->bare, c->resource))
            presence_tell(o, c, was.in & bit);
    }
}

/* A contact has heard it as one. */
static void tell_directed(struct client *c, int i, struct filter_sight was)
{
    struct filter_sight now = look_directed(c, i);
    struct jid j;
    struct user *u = directed_to(c, i, &j);
    const struct roster_item *item = u ? roster_find(&c->user->roster, u->bare) : NULL;

    now.out = was.out & (uint16_t)~now.out; /* no more */
    if (!u || !now.out)
        return;
    if (!item || !c->available || !(item->subscription & SUB_FROM))
        tell(c, u, now, (struct filter_sight){0, 0});
    free(c->directed[i]);
    c->directed[i] = NULL;
}

void filter_after(struct user *u, struct world *w, struct filter_view *v)
{
    const struct filter_sight *s = v->sight;

    for (struct client *c = u->clients; c && s; c = c->next) {
        for (unsigned i = 0; i < v->items; i++, s++) {
            struct user *contact = world_find(w, u->roster.item[i]->jid);

            if (contact)
                tell(c, contact, *s, look(c, u->roster.item[i], contact));
        }
        for (int i = 0; i < CLIENT_DIRECTED; i++)
            tell_directed(c, i, *s++);
    }
    free(v->sight);
    v->sight = NULL;
}

#include "filter.h"

#include <stdlib.h>
#include <string.h>

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

bool filter_gives(const struct client *from, enum privacy_kind kind, const char *bare,
                  const char *resource)
{
    return strcmp(bare, from->user->bare) == 0 || allows(from->user, from, kind, bare, resource);
}

/* ---- a change ---- */

static unsigned count(const struct user *u)
{
    unsigned n = 0;

    for (const struct client *c = u->clients; c; c = c->next)
        n++;
    return n;
}

/* The contact gets presence, and this client's list lets it. */
static bool sees(const struct client *c, const struct roster_item *i)
{
    return c->available && i->subscription & SUB_FROM &&
           allows(c->user, c, PRIVACY_PRESENCE_OUT, i->jid, "");
}

void filter_before(const struct user *u, struct filter_view *v)
{
    unsigned n = 0;

    *v = (struct filter_view){.clients = count(u), .items = u->roster.items};
    v->sees = v->clients && v->items ? malloc((size_t)v->clients * v->items) : NULL;
    for (const struct client *c = u->clients; c && v->sees; c = c->next)
        for (unsigned i = 0; i < v->items; i++)
            v->sees[n++] = sees(c, u->roster.item[i]);
}

void filter_after(struct user *u, struct world *w, struct filter_view *v)
{
    unsigned n = 0;

    for (struct client *c = u->clients; c && v->sees; c = c->next) {
        for (unsigned i = 0; i < v->items; i++, n++) {
            struct user *contact = world_find(w, u->roster.item[i]->jid);
            bool now = sees(c, u->roster.item[i]);

            if (contact && now != v->sees[n])
                presence_show_one(c, contact, !now);
        }
    }
    free(v->sees);
    v->sees = NULL;
}

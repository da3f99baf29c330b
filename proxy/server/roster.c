#include "roster.h"

#include <stdlib.h>
#include <string.h>

#include "markup.h"

static void free_groups(struct roster_item *i)
{
    for (unsigned k = 0; k < ROSTER_GROUPS; k++) {
        free(i->group[k]);
        i->group[k] = NULL;
    }
}

static void free_item(struct roster_item *i)
{
    free(i->jid);
    free(i->name);
    free(i->asked);
    free_groups(i);
    free(i);
}

void roster_free(struct roster *r)
{
    for (unsigned i = 0; i < r->items; i++)
        free_item(r->item[i]);
    free(r->item);
    *r = (struct roster){.items = 0};
}

struct roster_item *roster_find(const struct roster *r, const char *jid)
{
    for (unsigned i = 0; i < r->items; i++)
        if (strcmp(r->item[i]->jid, jid) == 0)
            return r->item[i];
    return NULL;
}

struct roster_item *roster_make(struct roster *r, const char *jid)
{
    struct roster_item *i = roster_find(r, jid), **grown;

    if (i || r->items == ROSTER_ITEMS)
        return i;
    grown = reallocarray(r->item, r->items + 1, sizeof *grown);
    if (!grown)
        return NULL;
    r->item = grown;
    i = calloc(1, sizeof *i);
    if (!i)
        return NULL;
    i->jid = strdup(jid);
    if (!i->jid) {
        free(i);
        return NULL;
    }
    r->item[r->items++] = i;
    return i;
}

bool roster_name(struct roster_item *i, const char *name, const char *const *groups, unsigned n)
{
    struct roster_item new = {.name = name && *name ? strdup(name) : NULL};
    bool good = new.name || !name || !*name;

    for (unsigned k = 0; k < n && k < ROSTER_GROUPS && good; k++)
        good = (new.group[k] = strdup(groups[k])) != NULL;
    if (!good) {
        free(new.name);
        free_groups(&new);
        return false;
    }
    free(i->name);
    free_groups(i);
    i->name = new.name;
    memcpy(i->group, new.group, sizeof new.group);
    return true;
}

void roster_touch(struct roster *r, struct roster_item *i)
{
    i->version = ++r->version;
}

void roster_remove(struct roster *r, struct roster_item *i)
{
    for (unsigned k = 0; k < r->items; k++) {
        if (r->item[k] != i)
            continue;
        memmove(&r->item[k], &r->item[k + 1], (--r->items - k) * sizeof *r->item);
        free_item(i);
        r->version++;
        return;
    }
}

/* ---- as XML: the attributes in the order of the documented trace ---- */

static int put_attr(struct buf *out, const char *name, const char *value)
{
    int err = buf_printf(out, " %s=\"", name);

    if (!err)
        err = markup_escape(out, value);
    return err ? err : buf_str(out, "\"");
}

static int put_groups(struct buf *out, const struct roster_item *i)
{
    int err = 0;

    for (unsigned k = 0; k < ROSTER_GROUPS && i->group[k] && !err; k++) {
        err = buf_str(out, "<group>");
        if (!err)
            err = markup_escape(out, i->group[k]);
        if (!err)
            err = buf_str(out, "</group>");
    }
    return err ? err : buf_str(out, "</item>");
}

int roster_put(struct buf *out, const struct roster_item *i, bool removed)
{
    static const char *const names[] = {"none", "to", "from", "both"};
    int err = buf_printf(out, "<item subscription=\"%s\"",
                         removed ? "remove" : names[i->subscription & (SUB_TO | SUB_FROM)]);

    if (!err && !removed && i->subscription & SUB_PENDING_OUT)
        err = put_attr(out, "ask", "subscribe");
    if (!err && !removed && i->subscription & SUB_APPROVED)
        err = put_attr(out, "approved", "true");
    if (!err && !removed && i->name)
        err = put_attr(out, "name", i->name);
    if (!err)
        err = put_attr(out, "jid", i->jid);
    if (err)
        return err;
    if (removed || !i->group[0])
        return buf_str(out, "/>");
    err = buf_str(out, ">");
    return err ? err : put_groups(out, i);
}

/* ---- subscriptions ---- */

enum sub_type sub_by_name(const char *type)
{
    static const char *const names[] = {"subscribe", "subscribed", "unsubscribe", "unsubscribed"};

    for (int i = 0; i < SUB_TYPES; i++)
        if (type && strcmp(type, names[i]) == 0)
            return (enum sub_type)i;
    return SUB_TYPES;
}

/* Rows are tried in order: the first where the state has all of `with` and none of `without`; a
 * zeroed row is nothing for any state. RFC 6121 A.2.1 to A.2.4; pre-approval is §3.4. */
struct sub_row {
    unsigned with, without;
    struct sub_change change;
};

#define ROWS 4

static const struct sub_row out_rows[SUB_TYPES][ROWS] = {
    [SUB_SUBSCRIBE] = {{0, SUB_TO, {.set = SUB_PENDING_OUT, .passes = true, .push = true}},
                       {SUB_TO, 0, {.passes = true}}},
    [SUB_SUBSCRIBED] = {{SUB_PENDING_IN, SUB_FROM,
                         {SUB_FROM, SUB_PENDING_IN, .passes = true, .push = true}},
                        {0, SUB_FROM | SUB_APPROVED, {.set = SUB_APPROVED, .push = true}}},
    [SUB_UNSUBSCRIBE] = {{SUB_TO, 0,
                          {.clear = SUB_TO | SUB_PENDING_OUT, .passes = true, .push = true}},
                         {SUB_PENDING_OUT, 0,
                          {.clear = SUB_PENDING_OUT, .passes = true, .push = true}},
                         {0, 0, {.passes = true}}},
    [SUB_UNSUBSCRIBED] = {{SUB_FROM, 0,
                           {.clear = SUB_FROM | SUB_APPROVED, .passes = true, .push = true}},
                          {SUB_PENDING_IN, 0,
                           {.clear = SUB_PENDING_IN | SUB_APPROVED, .passes = true}},
                          {SUB_APPROVED, 0, {.clear = SUB_APPROVED, .push = true}}},
};

/* RFC 6121 A.3.1 to A.3.4. */
static const struct sub_row in_rows[SUB_TYPES][ROWS] = {
    [SUB_SUBSCRIBE] = {{SUB_FROM, 0, {.answered = true}},
                       {SUB_APPROVED, SUB_FROM,
                        {SUB_FROM, SUB_APPROVED | SUB_PENDING_IN, .push = true, .answered = true}},
                       {0, SUB_PENDING_IN, {.set = SUB_PENDING_IN, .passes = true}}},
    [SUB_SUBSCRIBED] = {{SUB_PENDING_OUT, SUB_TO,
                         {SUB_TO, SUB_PENDING_OUT, .passes = true, .push = true}}},
    [SUB_UNSUBSCRIBE] = {{SUB_FROM, 0,
                          {.clear = SUB_FROM | SUB_PENDING_IN, .passes = true, .push = true}},
                         {SUB_PENDING_IN, 0, {.clear = SUB_PENDING_IN, .passes = true}}},
    [SUB_UNSUBSCRIBED] = {{SUB_TO, 0,
                           {.clear = SUB_TO | SUB_PENDING_OUT, .passes = true, .push = true}},
                          {SUB_PENDING_OUT, 0,
                           {.clear = SUB_PENDING_OUT, .passes = true, .push = true}}},
};

static struct sub_change change_of(const struct sub_row rows[ROWS], unsigned state)
{
    int i = 0;

    while ((state & rows[i].with) != rows[i].with || state & rows[i].without)
        i++; /* the last row is a zeroed one */
    return rows[i].change;
}

struct sub_change sub_out(unsigned subscription, enum sub_type type)
{
    return change_of(out_rows[type], subscription);
}

struct sub_change sub_in(unsigned subscription, enum sub_type type)
{
    return change_of(in_rows[type], subscription);
}

#include "privacy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "markup.h"
#include "ns.h"

static const char *const by_names[] = {[PRIVACY_BY_JID] = "jid", [PRIVACY_BY_GROUP] = "group",
                                       [PRIVACY_BY_SUBSCRIPTION] = "subscription"};
static const struct {
    const char *name;
    enum privacy_kind kind;
} kinds[] = {{"message", PRIVACY_MESSAGE},
             {"iq", PRIVACY_IQ},
             {"presence-in", PRIVACY_PRESENCE_IN},
             {"presence-out", PRIVACY_PRESENCE_OUT}};
#define KINDS (sizeof kinds / sizeof kinds[0])

static const char *const subscriptions[] = {"none", "to", "from", "both"};

static void free_list(struct privacy_list *l)
{
    for (unsigned i = 0; i < l->rules; i++)
        free(l->rule[i].value);
    free(l->rule);
    free(l->name);
    *l = (struct privacy_list){.name = NULL};
}

void privacy_free(struct privacy *p)
{
    for (unsigned i = 0; i < p->lists; i++)
        free_list(&p->list[i]);
    for (unsigned i = 0; i < p->blocks; i++)
        free(p->blocked[i]);
    free(p->blocked);
    free(p->preferred);
    *p = (struct privacy){.lists = 0};
}

static int index_of(const struct privacy *p, const char *name)
{
    for (unsigned i = 0; name && i < p->lists; i++)
        if (strcmp(p->list[i].name, name) == 0)
            return (int)i;
    return -1;
}

const struct privacy_list *privacy_find(const struct privacy *p, const char *name)
{
    int i = index_of(p, name);

    return i < 0 ? NULL : &p->list[i];
}

bool privacy_prefer(struct privacy *p, const char *name)
{
    char *copy = name ? strdup(name) : NULL;

    if (name && !copy)
        return false;
    free(p->preferred);
    p->preferred = copy;
    return true;
}

/* ---- reading ---- */

/* What an item is matched by, prepared so that it can be compared. NULL, or the error's condition. */
static const char *read_value(struct privacy_rule *r, const char *type, const char *value)
{
    char text[JID_MAX + 1];
    struct jid j;
    unsigned i = PRIVACY_BY_JID;

    if (!type)
        return value ? "bad-request" : NULL;
    while (i <= PRIVACY_BY_SUBSCRIPTION && strcmp(by_names[i], type) != 0)
        i++;
    if (i > PRIVACY_BY_SUBSCRIPTION || !value)
        return "bad-request";
    r->by = (enum privacy_by)i;
    if (r->by == PRIVACY_BY_JID) {
        if (!prep_jid(value, &j))
            return "jid-malformed";
        prep_bare(&j, text);
        if (*j.resource)
            strcat(strcat(text, "/"), j.resource);
        value = text;
    } else if (r->by == PRIVACY_BY_GROUP && (!*value || strlen(value) > PRIVACY_NAME)) {
        return "bad-request";
    } else if (r->by == PRIVACY_BY_SUBSCRIPTION) {
        for (i = 0; i < 4 && strcmp(subscriptions[i], value) != 0; i++)
            ;
        if (i == 4)
            return "bad-request";
    }
    r->value = strdup(value);
    return r->value ? NULL : "resource-constraint";
}

/* The element behind `node` that is not in it. */
static unsigned behind(const struct item *it, unsigned node)
{
    unsigned i = node + 1;

    while (i < it->nodes && it->node[i].depth > it->node[node].depth)
        i++;
    return i;
}

static const char *read_rule(struct privacy_rule *r, const struct item *it, unsigned node)
{
    const char *action = item_attr(it, node, "action"), *order = item_attr(it, node, "order");
    char *end;
    unsigned long n;

    if (!action || !order || order[strspn(order, "0123456789")] || !*order)
        return "bad-request";
    errno = 0;
    n = strtoul(order, &end, 10);
    if (errno || n > UINT32_MAX || (strcmp(action, "allow") != 0 && strcmp(action, "deny") != 0))
        return "bad-request";
    r->order = (uint32_t)n;
    r->deny = *action == 'd';
    for (unsigned i = node + 1; i < behind(it, node); i++) {
        unsigned k = 0;

        while (k < KINDS && !item_is(it, i, NS_PRIVACY, kinds[k].name))
            k++;
        if (k == KINDS)
            return "bad-request";
        r->kinds |= kinds[k].kind;
    }
    if (!r->kinds)
        r->kinds = PRIVACY_ALL;
    return read_value(r, item_attr(it, node, "type"), item_attr(it, node, "value"));
}

static int compare_orders(const void *a, const void *b)
{
    const struct privacy_rule *x = a, *y = b;

    return (x->order > y->order) - (x->order < y->order);
}

static const char *read_rules(struct privacy_list *l, const struct item *it, unsigned node)
{
    const char *condition = NULL;

    for (unsigned i = node + 1; i < behind(it, node) && !condition; i = behind(it, i)) {
        if (!item_is(it, i, NS_PRIVACY, "item"))
            condition = "bad-request";
        else if (l->rules == PRIVACY_RULES)
            condition = "resource-constraint";
        else
            condition = read_rule(&l->rule[l->rules++], it, i);
    }
    if (condition)
        return condition;
    qsort(l->rule, l->rules, sizeof *l->rule, compare_orders);
    for (unsigned i = 1; i < l->rules; i++)
        if (l->rule[i].order == l->rule[i - 1].order) /* XEP-0016 §2.6 */
            return "bad-request";
    return NULL;
}

static void remove_list(struct privacy *p, unsigned i)
{
    free_list(&p->list[i]);
    memmove(&p->list[i], &p->list[i + 1], (--p->lists - i) * sizeof p->list[0]);
}

const char *privacy_put(struct privacy *p, const struct item *it, unsigned node)
{
    const char *name = item_attr(it, node, "name"), *condition = NULL;
    struct privacy_list new = {.name = NULL};
    int at = index_of(p, name);

    if (!name || strlen(name) > PRIVACY_NAME)
        return "bad-request";
    if (behind(it, node) == node + 1) { /* nothing in it: it is to go */
        if (at >= 0)
            remove_list(p, (unsigned)at);
        return at >= 0 ? NULL : "item-not-found";
    }
    if (it->lacks || (at < 0 && p->lists == PRIVACY_LISTS))
        return "resource-constraint";
    new.name = strdup(name);
    new.rule = calloc(PRIVACY_RULES, sizeof *new.rule);
    condition = new.name && new.rule ? read_rules(&new, it, node) : "resource-constraint";
    if (condition) {
        free_list(&new);
        return condition;
    }
    if (at >= 0)
        free_list(&p->list[at]);
    p->list[at >= 0 ? (unsigned)at : p->lists++] = new;
    return NULL;
}

/* ---- writing ---- */

static int write_rule(struct buf *out, const struct privacy_rule *r)
{
    int err = buf_str(out, "<item");

    if (!err && r->by != PRIVACY_BY_NOTHING)
        err = buf_printf(out, " type=\"%s\" value=\"", by_names[r->by]);
    if (!err && r->by != PRIVACY_BY_NOTHING)
        err = markup_escape(out, r->value);
    if (!err && r->by != PRIVACY_BY_NOTHING)
        err = buf_str(out, "\"");
    if (!err)
        err = buf_printf(out, " action=\"%s\" order=\"%u\"", r->deny ? "deny" : "allow", r->order);
    if (err || r->kinds == PRIVACY_ALL)
        return err ? err : buf_str(out, "/>");
    err = buf_str(out, ">");
    for (unsigned k = 0; k < KINDS && !err; k++)
        if (r->kinds & kinds[k].kind)
            err = buf_printf(out, "<%s/>", kinds[k].name);
    return err ? err : buf_str(out, "</item>");
}

int privacy_write(struct buf *out, const struct privacy_list *l, bool whole)
{
    int err = buf_str(out, "<list name=\"");

    if (!err)
        err = markup_escape(out, l->name);
    if (err || !whole)
        return err ? err : buf_str(out, "\"/>");
    err = buf_str(out, "\">");
    for (unsigned i = 0; i < l->rules && !err; i++)
        err = write_rule(out, &l->rule[i]);
    return err ? err : buf_str(out, "</list>");
}

/* ---- what passes ---- */

/* A JID that is asked for is a full one, a bare one, a domain with a resource, or a domain; who has
 * less in his than it says is not meant. XEP-0016 §2.2. */
static bool jid_fits(const char *wanted, const char *bare, const char *resource)
{
    const char *at = strchr(bare, '@'), *slash = strchr(wanted, '/');
    size_t n = slash ? (size_t)(slash - wanted) : strlen(wanted);

    if (slash && strcmp(slash + 1, resource) != 0)
        return false;
    if (strlen(bare) == n && memcmp(bare, wanted, n) == 0)
        return true;
    return at && !memchr(wanted, '@', n) && strlen(at + 1) == n && memcmp(at + 1, wanted, n) == 0;
}

static bool rule_fits(const struct privacy_rule *r, const struct roster *roster, const char *bare,
                      const char *resource)
{
    const struct roster_item *i = NULL;

    if (r->by == PRIVACY_BY_NOTHING)
        return true;
    if (r->by == PRIVACY_BY_JID)
        return jid_fits(r->value, bare, resource);
    i = roster_find(roster, bare);
    if (r->by == PRIVACY_BY_SUBSCRIPTION)
        return strcmp(r->value, subscriptions[i ? i->subscription & (SUB_TO | SUB_FROM) : 0]) == 0;
    for (unsigned k = 0; i && k < ROSTER_GROUPS && i->group[k]; k++)
        if (strcmp(i->group[k], r->value) == 0)
            return true;
    return false;
}

bool privacy_allows(const struct privacy_list *l, const struct roster *roster,
                    enum privacy_kind kind, const char *bare, const char *resource)
{
    for (unsigned i = 0; l && i < l->rules; i++)
        if (l->rule[i].kinds & kind && rule_fits(&l->rule[i], roster, bare, resource))
            return !l->rule[i].deny;
    return true;
}

/* ---- blocking ---- */

static int blocked_at(const struct privacy *p, const char *jid)
{
    for (unsigned i = 0; i < p->blocks; i++)
        if (strcmp(p->blocked[i], jid) == 0)
            return (int)i;
    return -1;
}

bool privacy_block(struct privacy *p, const char *jid)
{
    char **grown, *copy;

    if (blocked_at(p, jid) >= 0 || p->blocks == PRIVACY_BLOCKED)
        return false;
    grown = reallocarray(p->blocked, p->blocks + 1, sizeof *grown);
    if (!grown)
        return false;
    p->blocked = grown;
    copy = strdup(jid);
    if (!copy)
        return false;
    p->blocked[p->blocks++] = copy;
    return true;
}

bool privacy_unblock(struct privacy *p, const char *jid)
{
    int i = blocked_at(p, jid);

    if (i < 0)
        return false;
    free(p->blocked[i]);
    memmove(&p->blocked[i], &p->blocked[i + 1], (--p->blocks - (unsigned)i) * sizeof *p->blocked);
    return true;
}

bool privacy_blocks(const struct privacy *p, const char *bare, const char *resource)
{
    for (unsigned i = 0; i < p->blocks; i++)
        if (jid_fits(p->blocked[i], bare, resource))
            return true;
    return false;
}

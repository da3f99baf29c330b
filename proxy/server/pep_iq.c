/* pep_iq.c: requests to an account's PEP: who may ask what, publishing and reading (XEP-0060 §6,
 * §7, XEP-0163). */
#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "markup.h"
#include "pep_event.h"
#include "pubsub.h"
#include "world.h"

#define PAYLOAD_BYTES (320u << 10) /* an item, and what it inherits */

/* ---- publish ---- */

/* The only <item/> of the action, or 0: none, or more. */
static unsigned only_item(const struct pubsub *p)
{
    const struct item *it = p->q->it;
    unsigned found = 0;

    for (unsigned i = p->action + 1; i < it->nodes && it->node[i].depth > 3; i++) {
        if (it->node[i].depth != 4)
            continue;
        if (found || !item_is(it, i, NS_PUBSUB, "item"))
            return 0;
        found = i;
    }
    return it->lacks ? 0 : found;
}

static bool is_blank(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strchr(" \t\r\n", p[i]))
            return false;
    return true;
}

/* The payload of item element `node`: the one element in it, able to stand anywhere. NULL, or what
 * is wrong with it. */
static const char *take_payload(struct ask *q, unsigned node, struct buf *xml)
{
    static const struct buf none;
    const struct item *it;
    const struct node *outer, *n;

    q->err = part_read(q->c->world->part, q->it, node, q->root, &it);
    if (q->err)
        return NULL;
    outer = &it->node[0];
    n = &it->node[1];
    if (it->nodes < 2)
        return PUBSUB_ERROR("payload-required");
    if (!is_blank(it->p + outer->inner, n->start - outer->inner) ||
        !is_blank(it->p + n->end, outer->inner_end - n->end))
        return PUBSUB_ERROR("invalid-payload");
    q->err = markup_open(xml, it, 1);
    if (!q->err)
        q->err = markup_rest(xml, it, 1, &none, false);
    return NULL;
}

static void published(struct pubsub *p, const struct pep_item *item)
{
    struct ask *q = p->q;

    pep_event_send(q->c->world, q->user, p->node, PEP_PUBLISHED, item);
    ask_head(q, "result");
    ask_put(q, "><pubsub xmlns=\"" NS_PUBSUB "\"><publish");
    pubsub_put_node(q, p->name);
    ask_put(q, "><item id=\"");
    ask_put_text(q, item->id);
    ask_put(q, "\"/></publish></pubsub></iq>");
}

/* Keeps it, in a node that is made if it is not there. */
static void keep(struct pubsub *p, const struct pep_config *config, const struct pep_item *item)
{
    struct ask *q = p->q;
    bool made = !p->node;
    int err = made ? pep_make(p->pep, p->name, config, &p->node) : 0;

    if (!err && config->value[PEP_PERSIST])
        err = pep_put(p->pep, p->node, item->id, item->xml, item->len);
    if (err && made && p->node)
        pep_remove(p->pep, p->node);
    if (err == ERR_CAP)
        ask_error(q, "resource-constraint");
    else if (err)
        q->err = err;
    else
        published(p, item);
}

/* XEP-0060 §7.1, §7.1.5 */
static void publish(struct pubsub *p)
{
    struct ask *q = p->q;
    unsigned node = only_item(p);
    const char *id = node ? item_attr(q->it, node, "id") : NULL, *wrong;
    char random[RANDOM_SIZE];
    struct pep_config config;
    struct buf xml;

    pep_config_init(&config);
    if (p->node)
        config = p->node->config;
    buf_init(&xml, PAYLOAD_BYTES);
    wrong = node ? take_payload(q, node, &xml) : PUBSUB_ERROR("item-required");
    if (!id || !*id) {
        if (!q->err)
            q->err = client_random(random);
        id = random;
    }
    if (!q->err && wrong)
        ask_error_with(q, "bad-request", wrong);
    else if (!q->err && (!pubsub_take_form(p, NS_PUBSUB, "publish-options", &config, true) ||
                         (p->node && !pep_config_equal(&config, &p->node->config))))
        ask_error_with(q, "conflict", PUBSUB_ERROR("precondition-not-met"));
    else if (!q->err)
        keep(p, &config, &(struct pep_item){.id = (char *)id, .xml = xml.p, .len = xml.len});
    buf_free(&xml);
}

/* ---- retract and items ---- */

/* The action's own element, read on its own: its items are at depth 2. NULL: it could not be. */
static const struct item *read_action(struct pubsub *p)
{
    struct ask *q = p->q;
    const struct item *it = NULL;

    q->err = part_read(q->c->world->part, q->it, p->action, q->root, &it);
    if (!q->err && it->lacks)
        ask_error(q, "policy-violation");
    return q->err || it->lacks ? NULL : it;
}

/* The id of its element `i`, if that is an item. */
static const char *id_of(const struct item *it, unsigned i)
{
    return it->node[i].depth == 2 && item_is(it, i, NS_PUBSUB, "item") ? item_attr(it, i, "id")
                                                                       : NULL;
}

static bool is_true(const char *s)
{
    return s && (strcmp(s, "1") == 0 || strcmp(s, "true") == 0);
}

/* XEP-0060 §7.2 */
static void retract(struct pubsub *p)
{
    struct ask *q = p->q;
    const struct item *it = read_action(p);
    bool notify =
        is_true(item_attr(q->it, p->action, "notify")) || p->node->config.value[PEP_NOTIFY_RETRACT];
    unsigned ids = 0, gone = 0;

    if (!it)
        return;
    for (unsigned i = 1; i < it->nodes; i++) {
        const char *id = id_of(it, i);

        ids += id != NULL;
        if (!id || !pep_drop(p->pep, p->node, id))
            continue;
        gone++;
        if (notify)
            pep_event_send(q->c->world, q->user, p->node, PEP_RETRACTED,
                           &(struct pep_item){.id = (char *)id});
    }
    if (gone)
        ask_result(q, NULL);
    else if (ids)
        ask_error(q, "item-not-found");
    else
        ask_error_with(q, "bad-request", PUBSUB_ERROR("item-required"));
}

/* Is it asked for? `any`: whether the request names ids. */
static bool is_wanted(const struct item *it, const char *wanted, bool *any)
{
    bool found = false;

    for (unsigned i = 1; i < it->nodes; i++) {
        const char *id = id_of(it, i);

        *any |= id != NULL;
        found |= id && strcmp(id, wanted) == 0;
    }
    return found || !*any;
}

static void put_item(struct ask *q, const struct pep_item *item)
{
    ask_put(q, "<item id=\"");
    ask_put_text(q, item->id);
    ask_put(q, "\">");
    ask_put_raw(q, item->xml, item->len);
    ask_put(q, "</item>");
}

/* XEP-0060 §6.5: all, the latest, or those that are named; what is not there is left out. */
static void items(struct pubsub *p)
{
    struct ask *q = p->q;
    const char *max = item_attr(q->it, p->action, "max_items");
    unsigned long latest = max ? strtoul(max, NULL, 10) : p->node->items;
    const struct item *it;
    bool any = false;

    if (max && latest == 0) {
        ask_error(q, "bad-request");
        return;
    }
    it = read_action(p);
    if (!it)
        return;
    ask_head(q, "result");
    ask_put(q, "><pubsub xmlns=\"" NS_PUBSUB "\"><items");
    pubsub_put_node(q, p->name);
    ask_put(q, ">");
    for (unsigned i = 0; i < p->node->items; i++)
        if (is_wanted(it, p->node->item[i].id, &any) && (any || p->node->items - i <= latest))
            put_item(q, &p->node->item[i]);
    ask_put(q, "</items></pubsub></iq>");
}

/* ---- the requests ---- */

enum { GET = 1, SET = 2 };
enum {
    OWN = 1,   /* the account's alone */
    NAMED = 2, /* it must name a node */
    THERE = 4  /* which must be there, and which the client may read */
};

static const struct verb {
    const char *ns, *name;
    unsigned type, needs;
    void (*answer)(struct pubsub *p);
    const char *unsupported; /* instead: the error's element */
} verbs[] = {
#define UNSUPPORTED(feature)                                                                       \
    NULL, "<unsupported xmlns=\"" NS_PUBSUB_ERRORS "\" feature=\"" feature "\"/>"
    /* clang-format off */
    {NS_PUBSUB, "publish", SET, OWN | NAMED, publish, NULL},
    {NS_PUBSUB, "retract", SET, OWN | NAMED | THERE, retract, NULL},
    {NS_PUBSUB, "items", GET, NAMED | THERE, items, NULL},
    {NS_PUBSUB, "create", SET, OWN, pubsub_create, NULL},
    {NS_PUBSUB, "subscriptions", GET, OWN, pubsub_subscriptions, NULL},
    {NS_PUBSUB, "affiliations", GET, OWN, pubsub_affiliations, NULL},
    {NS_PUBSUB, "subscribe", SET, 0, UNSUPPORTED("subscribe")},
    {NS_PUBSUB, "unsubscribe", SET, 0, UNSUPPORTED("subscribe")},
    {NS_PUBSUB, "options", GET | SET, 0, UNSUPPORTED("subscription-options")},
    {NS_PUBSUB, "default", GET, 0, UNSUPPORTED("retrieve-default-sub")},
    {NS_PUBSUB_OWNER, "default", GET, OWN, pubsub_default, NULL},
    {NS_PUBSUB_OWNER, "configure", GET, OWN | NAMED | THERE, pubsub_configuration, NULL},
    {NS_PUBSUB_OWNER, "configure", SET, OWN | NAMED | THERE, pubsub_configure, NULL},
    {NS_PUBSUB_OWNER, "delete", SET, OWN | NAMED | THERE, pubsub_delete, NULL},
    {NS_PUBSUB_OWNER, "purge", SET, OWN | NAMED | THERE, pubsub_purge, NULL},
    {NS_PUBSUB_OWNER, "affiliations", GET, OWN | NAMED | THERE, pubsub_node_affiliations, NULL},
    {NS_PUBSUB_OWNER, "affiliations", SET, OWN, UNSUPPORTED("modify-affiliations")},
    {NS_PUBSUB_OWNER, "subscriptions", GET | SET, OWN, UNSUPPORTED("manage-subscriptions")},
    /* clang-format on */
#undef UNSUPPORTED
};

static const struct verb *find_verb(struct pubsub *p)
{
    const struct item *it = p->q->it;
    unsigned type = strcmp(p->q->type, "set") == 0 ? SET : GET;

    for (unsigned i = 2; i < it->nodes; i++)
        for (size_t v = 0; it->node[i].depth == 3 && v < sizeof verbs / sizeof verbs[0]; v++)
            if (verbs[v].type & type && item_is(it, i, verbs[v].ns, verbs[v].name) &&
                strcmp(verbs[v].ns, it->node[1].ns) == 0) {
                p->action = i;
                return &verbs[v];
            }
    return NULL;
}

/* Why the client may not read the node (XEP-0060 §6.5.9). */
static void refuse(struct pubsub *p)
{
    switch ((enum pep_access)p->node->config.value[PEP_ACCESS]) {
    case PEP_ACCESS_OPEN:
    case PEP_ACCESS_PRESENCE:
        ask_error_with(p->q, "not-authorized", PUBSUB_ERROR("presence-subscription-required"));
        return;
    case PEP_ACCESS_ROSTER:
        ask_error_with(p->q, "not-authorized", PUBSUB_ERROR("not-in-roster-group"));
        return;
    case PEP_ACCESS_WHITELIST:
        break;
    }
    ask_error_with(p->q, "not-allowed", PUBSUB_ERROR("closed-node"));
}

void answer_pubsub(struct ask *q)
{
    struct pubsub p = {.q = q, .pep = &q->user->pep};
    const struct verb *v = find_verb(&p);

    if (!v) {
        ask_error(q, "bad-request");
        return;
    }
    p.name = item_attr(q->it, p.action, "node");
    p.node = p.name ? pep_find(p.pep, p.name) : NULL;
    if (v->needs & OWN && q->user != q->c->user)
        ask_error(q, "forbidden");
    else if (v->unsupported)
        ask_error_with(q, "feature-not-implemented", v->unsupported);
    else if (v->needs & NAMED && (!p.name || !*p.name))
        ask_error_with(q, "bad-request", PUBSUB_ERROR("nodeid-required"));
    else if (v->needs & THERE && !p.node)
        ask_error(q, "item-not-found");
    else if (v->needs & THERE && !pep_event_may_read(q->user, q->c->user, p.node))
        refuse(&p);
    else
        v->answer(&p);
}

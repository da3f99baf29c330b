/* pep_owner.c: an account's PEP nodes, and what is said of them (XEP-0060 §5, §8). */
#include "answers.h"
#include "pep_event.h"
#include "pubsub.h"
#include "world.h"

void pubsub_put_node(struct ask *q, const char *name)
{
    ask_put(q, " node=\"");
    ask_put_text(q, name);
    ask_put(q, "\"");
}

/* Its <x/>, or 0. */
static unsigned find_form(const struct item *it, const char *ns, const char *name)
{
    bool in = false;

    for (unsigned i = 2; i < it->nodes; i++) {
        if (it->node[i].depth == 3)
            in = item_is(it, i, ns, name);
        else if (in && it->node[i].depth == 4 && item_is(it, i, NS_FORM, "x"))
            return i;
    }
    return 0;
}

bool pubsub_take_form(struct pubsub *p, const char *ns, const char *name, struct pep_config *c,
                      bool strict)
{
    struct ask *q = p->q;
    unsigned node = find_form(q->it, ns, name);
    const struct item *form;

    if (!node)
        return !q->it->lacks; /* it may stand where nothing is described */
    q->err = part_read(q->c->world->part, q->it, node, q->root, &form);
    return !q->err && pep_config_take(c, form, strict);
}

/* ---- nodes ---- */

static void created(struct pubsub *p, bool named)
{
    struct ask *q = p->q;

    if (named) {
        ask_result(q, NULL);
        return;
    }
    ask_head(q, "result");
    ask_put(q, "><pubsub xmlns=\"" NS_PUBSUB "\"><create");
    pubsub_put_node(q, p->node->name);
    ask_put(q, "/></pubsub></iq>");
}

/* XEP-0060 §8.1; without a name it gets one. */
void pubsub_create(struct pubsub *p)
{
    struct ask *q = p->q;
    bool named = p->name && *p->name;
    char random[RANDOM_SIZE];
    struct pep_config config;
    int err;

    pep_config_init(&config);
    if (p->node) {
        ask_error(q, "conflict");
        return;
    }
    if (!pubsub_take_form(p, NS_PUBSUB, "configure", &config, false)) {
        if (!q->err)
            ask_error(q, "not-acceptable");
        return;
    }
    err = named ? 0 : client_random(random);
    if (!err)
        err = pep_make(p->pep, named ? p->name : random, &config, &p->node);
    if (err == ERR_CAP)
        ask_error(q, "resource-constraint");
    else if (err)
        q->err = err;
    else
        created(p, named);
}

static void put_form(struct ask *q, const char *element, const char *name,
                     const struct pep_config *c)
{
    ask_head(q, "result");
    ask_put(q, "><pubsub xmlns=\"" NS_PUBSUB_OWNER "\"><");
    ask_put(q, element);
    if (name)
        pubsub_put_node(q, name);
    ask_put(q, ">");
    if (!q->err)
        q->err = pep_config_put(c, q->text);
    ask_put(q, "</");
    ask_put(q, element);
    ask_put(q, "></pubsub></iq>");
}

void pubsub_default(struct pubsub *p)
{
    struct pep_config config;

    pep_config_init(&config);
    put_form(p->q, "default", NULL, &config);
}

void pubsub_configuration(struct pubsub *p)
{
    put_form(p->q, "configure", p->name, &p->node->config);
}

/* XEP-0060 §8.2; a form of type cancel has no fields. */
void pubsub_configure(struct pubsub *p)
{
    struct ask *q = p->q;
    struct pep_config config = p->node->config;

    if (!pubsub_take_form(p, NS_PUBSUB_OWNER, "configure", &config, false)) {
        if (!q->err)
            ask_error(q, "not-acceptable");
        return;
    }
    p->node->config = config;
    pep_trim(p->pep, p->node, config.value[PEP_PERSIST] ? config.value[PEP_MAX_ITEMS] : 0);
    if (config.value[PEP_NOTIFY_CONFIG])
        pep_event_send(q->c->world, q->user, p->node, PEP_CONFIGURED, NULL);
    ask_result(q, NULL);
}

void pubsub_delete(struct pubsub *p)
{
    if (p->node->config.value[PEP_NOTIFY_DELETE])
        pep_event_send(p->q->c->world, p->q->user, p->node, PEP_DELETED, NULL);
    pep_remove(p->pep, p->node);
    ask_result(p->q, NULL);
}

void pubsub_purge(struct pubsub *p)
{
    pep_trim(p->pep, p->node, 0);
    if (p->node->config.value[PEP_NOTIFY_RETRACT])
        pep_event_send(p->q->c->world, p->q->user, p->node, PEP_PURGED, NULL);
    ask_result(p->q, NULL);
}

/* ---- whose they are ---- */

/* XEP-0060 §5.7 */
void pubsub_affiliations(struct pubsub *p)
{
    struct ask *q = p->q;

    ask_head(q, "result");
    ask_put(q, "><pubsub xmlns=\"" NS_PUBSUB "\"><affiliations>");
    for (const struct pep_node *n = p->pep->node; n; n = n->next) {
        ask_put(q, "<affiliation");
        pubsub_put_node(q, n->name);
        ask_put(q, " affiliation=\"owner\"/>");
    }
    ask_put(q, "</affiliations></pubsub></iq>");
}

/* XEP-0060 §8.9.1 */
void pubsub_node_affiliations(struct pubsub *p)
{
    struct ask *q = p->q;

    ask_head(q, "result");
    ask_put(q, "><pubsub xmlns=\"" NS_PUBSUB_OWNER "\"><affiliations");
    pubsub_put_node(q, p->name);
    ask_put(q, "><affiliation jid=\"$B\" affiliation=\"owner\"/></affiliations></pubsub></iq>");
}

/* XEP-0060 §5.6: whoever gets the presence is told; nobody subscribes. */
void pubsub_subscriptions(struct pubsub *p)
{
    ask_result(p->q, "<pubsub xmlns=\"" NS_PUBSUB "\"><subscriptions/></pubsub>");
}

/* ---- service discovery (XEP-0060 §5.1 to §5.5) ---- */

/* The node that the client asks about, if it may read it; else NULL: it has its error. */
static const struct pep_node *find_node(struct ask *q, const char *name)
{
    const struct pep_node *n = pep_find(&q->user->pep, name);

    if (n && pep_event_may_read(q->user, q->c->user, n))
        return n;
    ask_error(q, "item-not-found");
    return NULL;
}

static void open_query(struct ask *q, const char *query, const char *node)
{
    ask_head(q, "result");
    ask_put(q, query);
    if (node)
        pubsub_put_node(q, node);
    ask_put(q, ">");
}

void answer_node_info(struct ask *q)
{
    const struct pep_node *n = find_node(q, ask_attr(q, "node"));

    if (!n)
        return;
    open_query(q, "><query xmlns=\"" NS_INFO "\"", n->name);
    ask_put(q, "<identity category=\"pubsub\" type=\"leaf\"/><feature var=\"" NS_PUBSUB
               "\"/><feature var=\"" NS_INFO "\"/></query></iq>");
}

static void put_disco_item(struct ask *q, const char *attr, const char *value)
{
    ask_put(q, "<item jid=\"");
    ask_put_text(q, q->user->bare);
    ask_put(q, attr);
    ask_put_text(q, value);
    ask_put(q, "\"/>");
}

static void put_items_of(struct ask *q, const struct pep_node *n)
{
    open_query(q, "><query xmlns=\"" NS_ITEMS "\"", n->name);
    for (unsigned i = 0; i < n->items; i++)
        put_disco_item(q, "\" name=\"", n->item[i].id);
    ask_put(q, "</query></iq>");
}

void answer_node_items(struct ask *q)
{
    const char *name = ask_attr(q, "node");
    const struct pep_node *n = name ? find_node(q, name) : NULL;

    if (n) {
        put_items_of(q, n);
    } else if (!name && !q->user->pep.node) {
        ask_result(q, "<query xmlns=\"" NS_ITEMS "\"/>");
    } else if (!name) {
        open_query(q, "><query xmlns=\"" NS_ITEMS "\"", NULL);
        for (n = q->user->pep.node; n; n = n->next)
            if (pep_event_may_read(q->user, q->c->user, n))
                put_disco_item(q, "\" node=\"", n->name);
        ask_put(q, "</query></iq>");
    }
}

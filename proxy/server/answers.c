#include "answers.h"

#include <string.h>

#include "caps.h"
#include "filter.h"
#include "ns.h"
#include "presence.h"
#include "route.h"

/* A row's columns, as bits: the iq's type, how far the client is. */
enum { GET = 1, SET = 2 };
enum { NEW = 1, LOGGED_IN = 2, BOUND = 4 };

/* What answers one kind of request. */
struct row {
    const char *ns, *name;         /* the payload */
    unsigned types;                /* of the iq */
    unsigned phases;               /* in which it is answered; else: not-authorized */
    unsigned targets;              /* the addresses that answer it; else: service-unavailable */
    void (*answer)(struct ask *q); /* NULL: an empty result, or `template` */
    const char *template;
};

#define HOME   ASK_HOME
#define DOMAIN ASK_DOMAIN
#define OTHER  ASK_ACCOUNT

/* The first row that fits answers. */
static const struct row rows[] = {
    {NS_BIND, "bind", SET, LOGGED_IN, ASK_ANY, answer_bind, NULL},
    {NS_BIND, "bind", SET, BOUND, ASK_ANY, answer_bind_again, NULL},
    {NS_SESSION, "session", SET, BOUND, HOME | DOMAIN, NULL, NULL},
    {NS_ROSTER, "query", GET, BOUND, HOME, answer_roster_get, NULL},
    {NS_ROSTER, "query", SET, BOUND, HOME, answer_roster_set, NULL},
    {NS_PRIVACY, "query", GET, BOUND, HOME, answer_privacy_get, NULL},
    {NS_PRIVACY, "query", SET, BOUND, HOME, answer_privacy_set, NULL},
    {NS_BLOCKING, "blocklist", GET, BOUND, HOME, answer_blocklist, NULL},
    {NS_BLOCKING, "block", SET, BOUND, HOME, answer_block, NULL},
    {NS_BLOCKING, "unblock", SET, BOUND, HOME, answer_unblock, NULL},
    {NS_PRIVATE, "query", GET, BOUND, HOME, answer_private_get, NULL},
    {NS_PRIVATE, "query", SET, BOUND, HOME, answer_private_set, NULL},
    {NS_VCARD, "vCard", GET, BOUND, HOME | OTHER, answer_vcard_get, NULL},
    {NS_VCARD, "vCard", SET, BOUND, HOME, answer_vcard_set, NULL},
    {NS_INFO, "query", GET, BOUND, DOMAIN, answer_info_domain, NULL},
    {NS_INFO, "query", GET, BOUND, HOME | OTHER, answer_info_account, NULL},
    {NS_ITEMS, "query", GET, BOUND, DOMAIN, answer_items, NULL},
    {NS_ITEMS, "query", GET, BOUND, HOME | OTHER, answer_node_items, NULL},
    {NS_PUBSUB, "pubsub", GET | SET, BOUND, HOME | OTHER, answer_pubsub, NULL},
    {NS_PUBSUB_OWNER, "pubsub", GET | SET, BOUND, HOME | OTHER, answer_pubsub, NULL},
    {NS_PING, "ping", GET, BOUND, HOME | DOMAIN, NULL, NULL},
    {NS_VERSION, "query", GET, BOUND, DOMAIN, answer_version, NULL},
    {NS_TIME, "time", GET, BOUND, DOMAIN, answer_time, NULL},
    {NS_LAST, "query", GET, BOUND, HOME | DOMAIN | OTHER, answer_last, NULL},
    {NS_CARBONS, "enable", SET, BOUND, HOME, answer_carbons_enable, NULL},
    {NS_CARBONS, "disable", SET, BOUND, HOME, answer_carbons_disable, NULL},
    {NS_AUTH, "query", GET, NEW, ASK_ANY, answer_auth_get, NULL},
    {NS_AUTH, "query", SET, NEW, ASK_ANY, answer_auth, NULL},
    {NS_REG, "query", GET, NEW | BOUND, HOME | DOMAIN, answer_register_get, NULL},
    {NS_REG, "query", SET, NEW | BOUND, HOME | DOMAIN, answer_register_set, NULL},
};

static const struct row *find_row(const struct ask *q, unsigned type, unsigned phase)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *r = &rows[i];

        if (item_is(q->it, 1, r->ns, r->name) && r->types & type && r->phases & phase &&
            r->targets & q->target)
            return r;
    }
    return NULL;
}

static unsigned children(const struct item *it)
{
    unsigned n = 0;

    for (unsigned i = 0; i < it->nodes; i++)
        n += it->node[i].depth == 2;
    return n;
}

static const char *refusal(const struct ask *q, unsigned phase)
{
    if (phase != BOUND)
        return "not-authorized";
    return q->target != ASK_FOREIGN ? "service-unavailable"
           : *q->peer.domain        ? "remote-server-not-found"
                                    : "jid-malformed";
}

/* Another account that takes none of the client's iqs gives no answer (XEP-0191 §3.2). */
static bool is_blocked(const struct ask *q)
{
    return q->target == ASK_ACCOUNT && !filter_takes(q->user, NULL, PRIVACY_IQ, q->c);
}

/* A get or a set that is ours to answer. */
static void answer_iq(struct ask *q, unsigned type, unsigned phase)
{
    const struct row *row = phase == BOUND && is_blocked(q) ? NULL : find_row(q, type, phase);

    if (!row) {
        ask_error(q, refusal(q, phase));
    } else if (row->answer) {
        q->template = row->template;
        row->answer(q);
    } else {
        ask_result(q, row->template);
    }
}

static void take_iq(struct ask *q)
{
    unsigned phase = q->c->bound ? BOUND : q->c->user ? LOGGED_IN : NEW;
    unsigned type = !q->type                        ? 0
                    : strcmp(q->type, "get") == 0   ? GET
                    : strcmp(q->type, "set") == 0   ? SET
                                                    : 0;
    bool is_answer = q->type && (strcmp(q->type, "result") == 0 || strcmp(q->type, "error") == 0);

    if (!is_answer && (type == 0 || !*q->id || children(q->it) != 1)) /* RFC 6120 §8.2.3 */
        ask_error(q, "bad-request");
    else if (phase == BOUND && q->target == ASK_RESOURCE)
        route_iq(q);
    else if (!is_answer)
        answer_iq(q, type, phase);
    else if (phase == BOUND)
        caps_answer(q);
}

void answers_stanza(struct ask *q)
{
    if (q->c->bound && filter_stops(q))
        return;
    if (item_is(q->it, 0, NS_CLIENT, "iq"))
        take_iq(q);
    else if (!q->c->bound)
        q->stream_error = "not-authorized"; /* RFC 6120 §7.1 */
    else if (item_is(q->it, 0, NS_CLIENT, "presence"))
        presence_take(q);
    else
        route_message(q);
}

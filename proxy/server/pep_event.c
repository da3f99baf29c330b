#include "pep_event.h"

#include <string.h>

#include "filter.h"
#include "markup.h"
#include "ns.h"
#include "world.h"

#define EVENT_BYTES (384u << 10) /* a payload, and what is put around it */

static bool gets_presence(const struct user *owner, const struct user *contact)
{
    const struct roster_item *i = roster_find(&owner->roster, contact->bare);

    return i && i->subscription & SUB_FROM;
}

bool pep_event_may_read(const struct user *owner, const struct user *reader,
                        const struct pep_node *n)
{
    if (owner == reader)
        return true;
    switch ((enum pep_access)n->config.value[PEP_ACCESS]) {
    case PEP_ACCESS_OPEN:
        return true;
    case PEP_ACCESS_PRESENCE:
    case PEP_ACCESS_ROSTER:
        return gets_presence(owner, reader);
    case PEP_ACCESS_WHITELIST:
        break;
    }
    return false;
}

/* By the lists and blocks of both: the account says it, no client of its. */
static bool passes(const struct user *owner, const struct client *to)
{
    const struct client from = {.user = (struct user *)owner};

    return filter_gives(&from, PRIVACY_PRESENCE_OUT, to->user->bare, "") &&
           filter_takes(to->user, to, PRIVACY_MESSAGE, &from);
}

/* ---- the event's words ---- */

static int put_attr(struct buf *out, const char *before, const char *value)
{
    int err = buf_str(out, before);

    if (!err)
        err = markup_escape(out, value);
    return err ? err : buf_str(out, "\"");
}

static int put_item(struct buf *out, const struct pep_node *n, const struct pep_item *item,
                    bool whole)
{
    int err = put_attr(out, whole ? "><item id=\"" : "><retract id=\"", item->id);

    if (!err && whole && n->config.value[PEP_PAYLOADS] && item->len) {
        err = buf_str(out, ">");
        if (!err)
            err = buf_add(out, item->xml, item->len);
        return err ? err : buf_str(out, "</item></items>");
    }
    return err ? err : buf_str(out, "/></items>");
}

static int put_event(struct buf *out, const struct pep_node *n, enum pep_event what,
                     const struct pep_item *item)
{
    static const char *const words[] = {"<items node=\"", "<items node=\"", "<purge node=\"",
                                        "<delete node=\"", "<configuration node=\""};
    int err = buf_str(out, "<event xmlns=\"" NS_PUBSUB_EVENT "\">");

    if (!err)
        err = put_attr(out, words[what], n->name);
    if (!err)
        err = item ? put_item(out, n, item, what == PEP_PUBLISHED) : buf_str(out, "/>");
    return err ? err : buf_str(out, "</event></message>");
}

/* ---- to clients ---- */

static void send_event(const struct user *owner, const struct pep_node *n, struct client *to,
                       const struct buf *event)
{
    struct buf *out = &to->world->scratch;
    char type[32];
    int err;

    out->len = 0;
    err = buf_printf(out, "<message type=\"%s\"", pep_config_word(&n->config, PEP_MESSAGE, type));
    if (!err)
        err = put_attr(out, " from=\"", owner->bare);
    if (!err)
        err = buf_str(out, " to=\"");
    if (!err)
        err = client_put_jid(to, out);
    if (!err)
        err = buf_str(out, "\">");
    if (!err)
        err = buf_add(out, event->p, event->len);
    if (!err)
        client_send(to, out->p, out->len);
    out->len = 0;
    if (out->cap > 4096)
        buf_free(out);
}

static void send_all(const struct user *owner, const struct pep_node *n, struct user *to,
                     const struct buf *event)
{
    if (!pep_event_may_read(owner, to, n))
        return;
    for (struct client *c = to->clients; c; c = c->next) {
        if (!c->available || !passes(owner, c))
            continue;
        if (caps_wants(c, n->name))
            send_event(owner, n, c, event);
        caps_need(c); /* it hears of the last item when it has answered */
    }
}

void pep_event_send(struct world *w, struct user *owner, const struct pep_node *n,
                    enum pep_event what, const struct pep_item *item)
{
    struct buf event;

    if (!n->config.value[PEP_DELIVER])
        return;
    buf_init(&event, EVENT_BYTES);
    if (!put_event(&event, n, what, item)) {
        send_all(owner, n, owner, &event);
        for (unsigned i = 0; i < owner->roster.items; i++) {
            const struct roster_item *r = owner->roster.item[i];
            struct user *contact = r->subscription & SUB_FROM ? world_find(w, r->jid) : NULL;

            if (contact && contact != owner)
                send_all(owner, n, contact, &event);
        }
    }
    buf_free(&event);
}

/* ---- last items ---- */

/* Those of `left` bytes at most. */
static void send_last(const struct user *owner, const struct pep_node *n, struct client *to,
                      size_t *left)
{
    const struct pep_item *item = pep_last(n);
    struct buf event;

    if (!item || item->len > *left || !n->config.value[PEP_DELIVER] ||
        !pep_event_may_read(owner, to->user, n) || !passes(owner, to))
        return;
    *left -= item->len;
    buf_init(&event, EVENT_BYTES);
    if (!put_event(&event, n, PEP_PUBLISHED, item))
        send_event(owner, n, to, &event);
    buf_free(&event);
}

static void send_last_of(const struct user *owner, const char *node, struct client *to,
                         size_t *left)
{
    const struct pep_node *n = pep_find(&owner->pep, node);

    if (n && n->config.value[PEP_SEND_LAST] == PEP_LAST_PRESENCE)
        send_last(owner, n, to, left);
}

/* The account behind roster item `i` whose presence the client gets, or NULL. */
static const struct user *contact_of(const struct client *c, unsigned i)
{
    const struct roster_item *r = c->user->roster.item[i];
    const struct user *u = r->subscription & SUB_TO ? world_find(c->world, r->jid) : NULL;

    return u != c->user ? u : NULL;
}

void pep_event_last(struct client *c, const char *node, size_t *left)
{
    const struct user *u = c->user;

    send_last_of(u, node, c, left);
    for (unsigned i = 0; i < u->roster.items; i++) {
        const struct user *contact = contact_of(c, i);

        if (contact)
            send_last_of(contact, node, c, left);
    }
}

bool pep_event_any(const struct client *c)
{
    bool any = c->user->pep.node != NULL;

    for (unsigned i = 0; i < c->user->roster.items && !any; i++) {
        const struct user *contact = contact_of(c, i);

        any = contact && contact->pep.node;
    }
    return any;
}

void pep_event_subscribed(struct user *owner, struct user *contact)
{
    for (struct client *c = contact->clients; c; c = c->next) {
        size_t left = PEP_LAST_BYTES;

        for (const struct pep_node *n = owner->pep.node; n; n = n->next)
            if (n->config.value[PEP_SEND_LAST] != PEP_LAST_NEVER && c->available &&
                caps_wants(c, n->name))
                send_last(owner, n, c, &left);
        if (owner->pep.node && c->available)
            caps_need(c);
    }
}

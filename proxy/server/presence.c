#include "presence.h"

#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "markup.h"
#include "ns.h"
#include "pep_event.h"
#include "roster_iq.h"
#include "route.h"
#include "server.h"
#include "world.h"

#define SUBSCRIPTION_BYTES 4096
#define CONTACTS_US 50000 /* the profile's contacts take so long to answer */

/* ---- one presence to one client ---- */

/* A presence in two halves, between which the addresses go: `<presence` NUL, all behind its name. */
static const char unavailable_words[] = "<presence\0 type=\"unavailable\"/>";

static const char *words_of(const struct client *c)
{
    return c->presence.len ? c->presence.p : unavailable_words;
}

static void show(const struct client *from, struct client *to, const char *to_jid,
                 const char *words)
{
    struct buf *out = &to->world->scratch;
    int err;

    out->len = 0;
    err = buf_str(out, words);
    if (!err)
        err = buf_str(out, " from=\"");
    if (!err)
        err = client_put_jid(from, out);
    if (!err)
        err = buf_str(out, "\" to=\"");
    if (!err)
        err = markup_escape(out, to_jid);
    if (!err)
        err = buf_str(out, "\"");
    if (!err)
        err = buf_str(out, words + strlen(words) + 1);
    if (!err)
        client_send(to, out->p, out->len);
}

/* To all of an account's available clients, as the lists of both let it. */
static void show_all(const struct client *from, struct user *to, const char *words)
{
    for (struct client *c = to->clients; c; c = c->next)
        if (c->available && filter_shows(from, c))
            show(from, c, to->bare, words);
}

void presence_tell(const struct client *from, struct client *to, bool gone)
{
    show(from, to, to->user->bare, gone ? unavailable_words : words_of(from));
}

void presence_show(struct user *from, struct user *to, bool gone)
{
    for (const struct client *c = from->clients; c; c = c->next)
        if (c->available)
            show_all(c, to, gone ? unavailable_words : words_of(c));
}

/* ---- directed presence (RFC 6121 §4.6) ---- */

/* Where its own stands, or -1. */
static int directed_find(const struct client *c, const char *jid)
{
    for (int i = 0; i < CLIENT_DIRECTED; i++)
        if (c->directed[i] && strcmp(c->directed[i], jid) == 0)
            return i;
    return -1;
}

static void directed_note(struct client *c, const char *jid, bool available)
{
    int i = directed_find(c, jid), empty = 0;

    if (!available && i >= 0) {
        free(c->directed[i]);
        c->directed[i] = NULL;
    }
    if (!available || i >= 0)
        return;
    while (empty < CLIENT_DIRECTED && c->directed[empty])
        empty++;
    if (empty < CLIENT_DIRECTED)
        c->directed[empty] = strdup(jid); /* without memory it is not told later */
}

static void directed_gone(struct client *c, const char *words)
{
    struct jid j;
    char bare[JID_MAX + 1];

    for (int i = 0; i < CLIENT_DIRECTED; i++) {
        struct user *u = NULL;

        if (c->directed[i] && prep_jid(c->directed[i], &j))
            u = world_find(c->world, prep_bare(&j, bare));
        for (struct client *to = u ? u->clients : NULL; to; to = to->next)
            if ((*j.resource ? strcmp(to->resource, j.resource) == 0 : to->available) &&
                filter_shows(c, to))
                show(c, to, c->directed[i], words);
        free(c->directed[i]);
        c->directed[i] = NULL;
    }
}

/* The full form, as the client wrote it, to whom it is addressed to. */
static void direct(struct ask *q, bool available)
{
    struct buf *before;
    struct user *u = q->user;

    if (!u)
        return;
    directed_note(q->c, q->to, available);
    before = ask_begin(q);
    ask_put_readdressed(q, " from=\"$F\" to=\"$T\"");
    for (struct client *to = u->clients; to; to = to->next)
        if ((q->target == ASK_RESOURCE ? strcmp(to->resource, q->peer.resource) == 0
                                       : to->available) &&
            filter_takes(u, to, PRIVACY_PRESENCE_IN, q->c))
            ask_send(q, to);
    ask_end(q, before);
}

/* ---- broadcast (RFC 6121 §4.2 to §4.5) ---- */

static void broadcast(struct client *c, const char *words)
{
    struct user *u = c->user;

    show_all(c, u, words);
    for (unsigned i = 0; i < u->roster.items; i++) {
        const struct roster_item *item = u->roster.item[i];
        struct user *contact = item->subscription & SUB_FROM ? world_find(c->world, item->jid)
                                                             : NULL;

        if (contact)
            show_all(c, contact, words);
    }
}

/* What a probe would bring: the contacts' presence, the account's other clients'. */
static void probe(struct client *c)
{
    const struct user *u = c->user;

    for (unsigned i = 0; i < u->roster.items; i++) {
        const struct roster_item *item = u->roster.item[i];
        struct user *contact = item->subscription & SUB_TO ? world_find(c->world, item->jid) : NULL;

        for (const struct client *o = contact ? contact->clients : NULL; o; o = o->next)
            if (o->available && filter_shows(o, c))
                show(o, c, u->bare, words_of(o));
    }
    for (const struct client *o = u->clients; o; o = o->next)
        if (o->available && o != c)
            show(o, c, u->bare, words_of(o));
}

/* Requests that came while nobody was there (RFC 6121 §3.1.3). */
static void ask_again(struct client *c)
{
    for (unsigned i = 0; i < c->user->roster.items; i++) {
        const struct roster_item *item = c->user->roster.item[i];

        if (item->subscription & SUB_PENDING_IN && item->asked)
            client_send(c, item->asked, strlen(item->asked));
    }
}

static int priority_of(const struct ask *q)
{
    int node = item_find(q->it, 2, NS_CLIENT, "priority");
    long n = node >= 0 ? strtol(q->it->node[node].text, NULL, 10) : 0;

    return n < -128 ? -128 : n > 127 ? 127 : (int)n;
}

/* Takes the client's presence to be sent on. False: it is too large, or no memory. */
static bool keep(struct ask *q)
{
    struct buf *b = &q->c->presence;
    int err;

    b->len = 0;
    err = markup_open(b, q->it, 0);
    if (!err)
        err = buf_add(b, "", 1);
    if (!err)
        err = markup_rest(b, q->it, 0, q->root, true);
    if (!err)
        err = buf_add(b, "", 1);
    if (!err)
        return true;
    b->len = 0;
    if (err == ERR_CAP)
        ask_error(q, "policy-violation");
    else
        q->err = err;
    return false;
}

static void take_available(struct ask *q)
{
    struct client *c = q->c;
    bool was = c->available, wanted = was && c->priority >= 0;

    c->available = keep(q);
    if (!c->available)
        return;
    c->priority = priority_of(q);
    broadcast(c, c->presence.p);
    if (!was) {
        probe(c);
        ask_again(c);
        c->contacts_due_us = server_now_us(c->server) + CONTACTS_US;
    }
    if (c->priority >= 0 && !wanted)
        route_offline(c);
    caps_presence(q);
}

/* It is told to all who knew that it was there; not to itself, which is so no more. */
static void leave(struct client *c)
{
    bool was = c->available;

    c->available = false;
    c->contacts_due_us = -1;
    caps_free(&c->caps);
    if (was)
        broadcast(c, words_of(c));
    directed_gone(c, words_of(c));
    buf_free(&c->presence);
}

void presence_gone(struct client *c)
{
    buf_free(&c->presence); /* it said nothing */
    if (c->bound)
        leave(c);
}

static void take_unavailable(struct ask *q)
{
    if (keep(q))
        leave(q->c);
}

/* ---- the profile's contacts ---- */

static void send_contact(struct client *c, const struct profile_contact *contact, const char *jid)
{
    struct buf *out = &c->world->scratch;
    int err;

    out->len = 0;
    err = buf_str(out, "<presence from=\"");
    if (!err)
        err = markup_escape(out, jid);
    if (!err && contact->resource)
        err = buf_str(out, "/");
    if (!err && contact->resource)
        err = markup_escape(out, contact->resource);
    if (!err)
        err = buf_str(out, "\" to=\"");
    if (!err)
        err = markup_escape(out, c->user->bare);
    if (!err)
        err = buf_printf(out, "\">%s</presence>", contact->presence);
    if (!err)
        client_send(c, out->p, out->len);
}

/* One whose account is here speaks for itself. */
void presence_contacts(struct client *c)
{
    const struct profile *p = c->world->profile;
    char jid[JID_MAX + 1];

    c->contacts_due_us = -1;
    for (unsigned i = 0; i < p->contacts; i++) {
        const struct roster_item *item;

        profile_contact_jid(&p->contact[i], c->user, jid);
        item = roster_find(&c->user->roster, jid);
        if (p->contact[i].presence && item && item->subscription & SUB_TO &&
            !world_find(c->world, jid) &&
            filter_takes_contact(c, PRIVACY_PRESENCE_IN, jid,
                                 p->contact[i].resource ? p->contact[i].resource : ""))
            send_contact(c, &p->contact[i], jid);
    }
}

/* ---- subscriptions (RFC 6121 §3, Appendix A) ---- */

/* The stanza itself: as the client wrote it (`q`), or bare. */
static void write_subscription(struct buf *out, const char *from, struct ask *q, const char *to,
                               const char *type)
{
    int err = 0;

    out->len = 0;
    err = q ? markup_open(out, q->it, 0) : buf_printf(out, "<presence type=\"%s\"", type);
    if (!err)
        err = buf_str(out, " from=\"");
    if (!err)
        err = markup_escape(out, from);
    if (!err)
        err = buf_str(out, "\" to=\"");
    if (!err)
        err = markup_escape(out, to);
    if (!err)
        err = buf_str(out, "\"");
    if (!err)
        err = q ? markup_rest(out, q->it, 0, q->root, true) : buf_str(out, "/>");
    if (err)
        out->len = 0;
}

static void set_state(struct roster_item *i, const struct sub_change *change)
{
    i->subscription = (i->subscription & ~change->clear) | change->set;
    if (!(i->subscription & SUB_PENDING_IN)) {
        free(i->asked);
        i->asked = NULL;
    }
}

/* What an incoming one does to `u`'s roster. `xml`: the stanza; "" where it says nothing. */
static void take_in(struct user *u, struct world *w, const char *from, enum sub_type type,
                    const char *xml, bool *answered)
{
    struct roster_item *i = roster_make(&u->roster, from);
    struct sub_change change = sub_in(i ? i->subscription : 0, type);

    *answered = change.answered;
    if (!i)
        return;
    set_state(i, &change);
    if (type == SUB_SUBSCRIBE && change.set & SUB_PENDING_IN)
        i->asked = strdup(xml);
    for (struct client *c = u->clients; c && change.passes && *xml; c = c->next)
        if (type == SUB_SUBSCRIBE ? c->available : c->interested)
            client_send(c, xml, strlen(xml));
    if (change.push && i->listed)
        roster_push(u, w, i, false);
    if (!i->listed && !(i->subscription & (SUB_PENDING_IN | SUB_FROM)))
        roster_remove(&u->roster, i);
}

/* What the account has said lets presence come, or go; `was` is the state before. */
static void follow(struct user *u, struct user *contact, unsigned was, enum sub_type type)
{
    if (type == SUB_SUBSCRIBED) {
        presence_show(u, contact, false);
        pep_event_subscribed(u, contact);
    } else if (type == SUB_UNSUBSCRIBED && was & SUB_FROM) {
        presence_show(u, contact, true);
    } else if (type == SUB_UNSUBSCRIBE && was & SUB_TO) {
        presence_show(contact, u, true);
    }
}

/* The account's own side. False: the presence goes no further. */
static bool take_out(struct client *c, const char *to, enum sub_type type)
{
    struct roster *r = &c->user->roster;
    bool adds = type == SUB_SUBSCRIBE || type == SUB_SUBSCRIBED;
    struct roster_item *i = adds ? roster_make(r, to) : roster_find(r, to);
    struct sub_change change = sub_out(i ? i->subscription : 0, type);

    if (!i)
        return false;
    set_state(i, &change);
    if (change.push) {
        i->listed = true;
        roster_push(c->user, c->world, i, false);
    }
    return change.passes;
}

/* From one account to another: what it does there. `q`: the client's own words, or NULL. True: the
 * other's server agrees to it. */
static bool carry(struct user *from, struct user *to, struct world *w, struct ask *q,
                  enum sub_type type, const char *name)
{
    bool answered = false;
    struct buf xml;

    buf_init(&xml, SUBSCRIPTION_BYTES);
    write_subscription(&xml, from->bare, q, to->bare, name);
    if (!xml.len) /* too much to keep until the other is there: it goes without its words */
        write_subscription(&xml, from->bare, NULL, to->bare, name);
    if (!buf_add(&xml, "", 1))
        take_in(to, w, from->bare, type, xml.p, &answered);
    buf_free(&xml);
    return answered;
}

static void subscription(struct client *c, struct ask *q, const char *to, enum sub_type type,
                         const char *name)
{
    const struct roster_item *item = roster_find(&c->user->roster, to);
    struct user *contact = world_find(c->world, to);
    unsigned was = item ? item->subscription : 0;

    if (strcmp(to, c->user->bare) == 0 || !take_out(c, to, type) || !contact ||
        !filter_takes(contact, NULL, PRIVACY_ASKS, c))
        return;
    if (carry(c->user, contact, c->world, q, type, name)) { /* because it was agreed to before */
        carry(contact, c->user, c->world, NULL, SUB_SUBSCRIBED, "subscribed");
        follow(contact, c->user, 0, SUB_SUBSCRIBED);
    }
    follow(c->user, contact, was, type);
}

void presence_subscription(struct client *c, const char *to, const char *type)
{
    enum sub_type t = sub_by_name(type);

    if (t < SUB_TYPES)
        subscription(c, NULL, to, t, type);
}

/* ---- what the client sends ---- */

void presence_take(struct ask *q)
{
    enum sub_type type = sub_by_name(q->type);
    bool gone = q->type && strcmp(q->type, "unavailable") == 0;

    if (type < SUB_TYPES) {
        if (q->target & (ASK_ACCOUNT | ASK_STRANGER | ASK_RESOURCE))
            subscription(q->c, q, q->bare, type, q->type);
        else if (q->target == ASK_FOREIGN)
            ask_error(q, *q->peer.domain ? "remote-server-not-found" : "jid-malformed");
    } else if (q->type && !gone) {
        if (strcmp(q->type, "probe") != 0 && strcmp(q->type, "error") != 0)
            ask_error(q, "bad-request"); /* RFC 6121 §4.7.1 */
    } else if (q->target != ASK_NOBODY) {
        direct(q, !gone);
    } else if (gone) {
        take_unavailable(q);
    } else {
        take_available(q);
    }
}

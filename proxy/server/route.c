#include "route.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "carbons.h"
#include "filter.h"
#include "markup.h"
#include "ns.h"
#include "world.h"

#define FROM_TO " from=\"$F\" to=\"$T\""

/* What a message's type means for where it goes (RFC 6121 §8.5). */
enum message_type { CHAT, NORMAL, HEADLINE, GROUPCHAT, ERROR };

static enum message_type type_named(const char *name)
{
    static const char *const names[] = {"chat", "normal", "headline", "groupchat", "error"};

    for (int i = 0; i < 5; i++)
        if (name && strcmp(name, names[i]) == 0)
            return (enum message_type)i;
    return NORMAL;
}

static void deliver(struct ask *q, struct client *to)
{
    struct buf *before = ask_begin(q);

    ask_put_readdressed(q, q->to ? FROM_TO : " from=\"$F\" to=\"$B\"");
    ask_send(q, to);
    ask_end(q, before);
}

/* ---- iqs ---- */

void route_iq(struct ask *q)
{
    struct client *to = client_find(q->user, q->peer.resource);

    if (to && filter_takes(q->user, to, PRIVACY_IQ, q->c))
        deliver(q, to);
    else
        ask_error(q, "service-unavailable");
}

/* ---- messages to an account ---- */

/* The highest priority among those that want messages, and those of `from` (NULL: anybody's); -1:
 * nobody does. */
static int best_priority(const struct user *u, const struct client *from)
{
    int best = -1;

    for (const struct client *c = u->clients; c; c = c->next)
        if (c->available && c->priority > best &&
            (!from || filter_takes(u, c, PRIVACY_MESSAGE, from)))
            best = c->priority;
    return best;
}

/* To the client, or clients, that are available most (RFC 6121 §8.5.2.1.1); a headline to all. */
static void deliver_to(struct ask *q, int least)
{
    struct buf *before = ask_begin(q);

    ask_put_readdressed(q, q->to ? FROM_TO : " from=\"$F\" to=\"$B\"");
    for (struct client *c = q->user->clients; c; c = c->next)
        if (c->available && c->priority >= least &&
            filter_takes(q->user, c, PRIVACY_MESSAGE, q->c)) {
            ask_send(q, c);
            c->got = true;
        }
    ask_end(q, before);
}

/* XEP-0160 §3, with XEP-0203's time of arrival. All of it, or ERR_CAP, ERR_NOMEM. */
static int keep_text(struct user *u, const struct world *w, const char *p, size_t n)
{
    static const char end[] = "</message>";
    time_t now = (time_t)world_now_s(w);
    char stamp[sizeof "2002-09-10T23:08:25Z" + 16];
    size_t before = u->offline.len, tail = sizeof end - 1;
    struct tm tm;
    int err;

    if (n <= tail || memcmp(p + n - tail, end, tail) != 0)
        tail = 0;
    err = buf_add(&u->offline, p, n - tail);
    if (!err && tail) {
        gmtime_r(&now, &tm);
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
        err = buf_printf(&u->offline, "<delay xmlns=\"" NS_DELAY "\" from=\"%s\" stamp=\"%s\"/>%s",
                         u->domain, stamp, end);
    }
    if (!err)
        err = buf_add(&u->offline, "", 1);
    if (err)
        u->offline.len = before;
    return err;
}

static void keep(struct ask *q)
{
    struct buf *before = ask_begin(q);
    bool full;

    ask_put_readdressed(q, q->to ? FROM_TO : " from=\"$F\" to=\"$B\"");
    if (!q->err)
        q->err = keep_text(q->user, q->c->world, q->text->p, q->text->len);
    full = q->err == ERR_CAP;
    ask_end(q, before);
    if (full) /* it holds no more (XEP-0160 §3) */
        ask_error(q, "service-unavailable");
}

static bool has_body(const struct ask *q)
{
    return item_find(q->it, 2, NS_CLIENT, "body") >= 0;
}

/* Those who are there do not want it; or nobody is, and the account does not. */
static bool is_refused(const struct ask *q)
{
    return best_priority(q->user, NULL) >= 0 ||
           !filter_takes(q->user, NULL, PRIVACY_MESSAGE, q->c);
}

static void to_account(struct ask *q, enum message_type type)
{
    int best = best_priority(q->user, q->c);

    if (type == GROUPCHAT || (best < 0 && is_refused(q)))
        ask_error(q, "service-unavailable");
    else if (type == ERROR)
        return;
    else if (best >= 0)
        deliver_to(q, type == HEADLINE ? 0 : best);
    else if (type != HEADLINE && has_body(q))
        keep(q);
}

/* RFC 6121 §8.5.3 */
static void to_resource(struct ask *q, enum message_type type)
{
    struct client *to = client_find(q->user, q->peer.resource);

    if (to && !filter_takes(q->user, to, PRIVACY_MESSAGE, q->c)) {
        ask_error(q, "service-unavailable");
    } else if (to) {
        deliver(q, to);
        to->got = true;
    } else if (type == CHAT || type == NORMAL) {
        to_account(q, type);
    } else if (type == GROUPCHAT) {
        ask_error(q, "service-unavailable");
    }
}

static void route(struct ask *q)
{
    enum message_type type = type_named(q->type);

    switch ((enum ask_target)q->target) {
    case ASK_NOBODY:
    case ASK_SELF:
    case ASK_ACCOUNT:
        to_account(q, type);
        return;
    case ASK_RESOURCE:
        to_resource(q, type);
        return;
    case ASK_FOREIGN:
        ask_error(q, *q->peer.domain ? "remote-server-not-found" : "jid-malformed");
        return;
    case ASK_STRANGER: /* maybe a contact of the profile's, who listens and says nothing */
        if (!roster_find(&q->c->user->roster, q->bare))
            ask_error(q, "service-unavailable");
        return;
    case ASK_DOMAIN:
    case ASK_HOME:
    case ASK_ANY:
        return;
    }
}

void route_message(struct ask *q)
{
    route(q);
    carbons_copy(q);
}

void route_offline(struct client *c)
{
    struct buf kept = c->user->offline; /* what is sent may come back to be kept */

    buf_init(&c->user->offline, kept.max);
    for (size_t at = 0; at < kept.len; at += strlen(kept.p + at) + 1)
        client_send(c, kept.p + at, strlen(kept.p + at));
    buf_free(&kept);
}

/* ---- what a client did not get (XEP-0198 §5) ---- */

static void message_again(struct client *lost, const char *p, size_t n)
{
    struct user *u = lost->user;
    int best = best_priority(u, NULL);

    if (best < 0 && keep_text(u, lost->world, p, n))
        return; /* it holds no more */
    for (struct client *c = u->clients; c && best >= 0; c = c->next)
        if (c->available && c->priority >= best)
            client_send(c, p, n);
}

/* Who asked is told that there is no answer. */
static void iq_again(struct client *lost, const struct item *it)
{
    const char *id = item_attr(it, 0, "id"), *from = item_attr(it, 0, "from");
    struct buf *out = &lost->world->scratch;
    struct client *asker = NULL;
    char bare[JID_MAX + 1];
    struct user *u = NULL;
    struct jid j;
    int err;

    if (from && prep_jid(from, &j))
        u = world_find(lost->world, prep_bare(&j, bare));
    if (u && id)
        asker = client_find(u, j.resource);
    if (!asker)
        return;
    out->len = 0;
    err = buf_str(out, "<iq type=\"error\" from=\"");
    if (!err)
        err = client_put_jid(lost, out);
    if (!err)
        err = buf_str(out, "\" to=\"");
    if (!err)
        err = client_put_jid(asker, out);
    if (!err)
        err = buf_str(out, "\" id=\"");
    if (!err)
        err = markup_escape(out, id);
    if (!err)
        err = buf_str(out, "\"><error type=\"cancel\"><service-unavailable xmlns=\"" NS_STANZAS
                           "\"/></error></iq>");
    if (!err)
        client_send(asker, out->p, out->len);
}

void route_again(struct client *lost, const char *p, size_t n)
{
    const struct item *it = world_read(lost->world, p, n);
    const char *type = it ? item_attr(it, 0, "type") : NULL;
    enum message_type kind = type_named(type);

    if (!it)
        return;
    if (item_is(it, 0, NS_CLIENT, "message")) {
        if (item_find(it, 2, NS_CLIENT, "body") >= 0 && (kind == CHAT || kind == NORMAL))
            message_again(lost, p, n);
    } else if (item_is(it, 0, NS_CLIENT, "iq") && type &&
               (strcmp(type, "get") == 0 || strcmp(type, "set") == 0)) {
        iq_again(lost, it);
    }
}

/* about.c: what the server says of itself and of accounts (XEP-0030, XEP-0092, XEP-0202, XEP-0012). */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "answers.h"
#include "ns.h"
#include "world.h"

static void info(struct ask *q, const struct buf *children)
{
    if (ask_attr(q, "node")) {
        ask_error(q, "item-not-found");
        return;
    }
    ask_head(q, "result");
    ask_put(q, "><query xmlns=\"" NS_INFO "\">");
    ask_put_raw(q, children->p, children->len);
    ask_put(q, "</query></iq>");
}

void answer_info_domain(struct ask *q)
{
    info(q, &q->c->world->profile->domain_info);
}

void answer_info_account(struct ask *q)
{
    if (ask_attr(q, "node"))
        answer_node_info(q);
    else
        info(q, &q->c->world->profile->account_info);
}

void answer_items(struct ask *q)
{
    if (ask_attr(q, "node"))
        ask_error(q, "item-not-found");
    else
        ask_result(q, "<query xmlns=\"" NS_ITEMS "\"/>");
}

void answer_version(struct ask *q)
{
    const struct profile *p = q->c->world->profile;

    ask_head(q, "result");
    ask_put(q, "><query xmlns=\"" NS_VERSION "\"><name>");
    ask_put_text(q, p->name ? p->name : "xmpptap");
    ask_put(q, "</name><version>");
    ask_put_text(q, p->version ? p->version : XMPPTAP_VERSION);
    ask_put(q, "</version>");
    if (p->os) {
        ask_put(q, "<os>");
        ask_put_text(q, p->os);
        ask_put(q, "</os>");
    }
    ask_put(q, "</query></iq>");
}

void answer_time(struct ask *q)
{
    time_t now = (time_t)world_now_s(q->c->world);
    char utc[40];
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(utc, sizeof utc, "%Y-%m-%dT%H:%M:%SZ", &tm);
    ask_head(q, "result");
    ask_put(q, "><time xmlns=\"" NS_TIME "\"><tzo>+00:00</tzo><utc>");
    ask_put(q, utc);
    ask_put(q, "</utc></time></iq>");
}

/* Of the server: how long it has run; of an account: since its last client went (XEP-0012 §4, §5), which
 * only who gets its presence may know. */
void answer_last(struct ask *q)
{
    const struct world *w = q->c->world;
    const struct user *u = q->target == ASK_DOMAIN ? NULL : q->user;
    const struct roster_item *i = u ? roster_find(&u->roster, q->c->user->bare) : NULL;
    int64_t since = !u ? w->began_s : u->clients ? world_now_s(w) : u->left_s;
    char seconds[24];

    if (u && u != q->c->user && !(i && i->subscription & SUB_FROM)) {
        ask_error(q, "forbidden");
        return;
    }
    snprintf(seconds, sizeof seconds, "%" PRId64, since ? world_now_s(w) - since : 0);
    ask_head(q, "result");
    ask_put(q, "><query xmlns=\"" NS_LAST "\" seconds=\"");
    ask_put(q, seconds);
    ask_put(q, "\"/></iq>");
}

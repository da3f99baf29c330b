#include "scripted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../replay/even.h"
#include "../replay/rewrite.h"
#include "answers.h"
#include "ns.h"

#define SM_PREFIX "urn:xmpp:sm:"
#define ASKED_MAX 400

struct waiting {
    size_t item;      /* the captured answer */
    char *id;         /* owned: the live request's; NULL: it has none */
    int64_t due_us;   /* not before this */
    int64_t until_us; /* then it waits for the client no more */
};

struct scripted {
    struct scripted_options o;
    struct names live;
    unsigned char *used; /* owned, one an item: the client has asked it */
    int64_t *arrived;    /* owned, one an item: when the client had come so far */
    size_t reached;      /* items before this one have come, or were passed over */
    size_t push;         /* the next of the server's that may be unasked */
    struct waiting wait[SCRIPTED_WAIT];
    unsigned waits;
    bool bound, closed, over;
    bool sm;
    uint32_t sm_in; /* stanzas since stream management is on (XEP-0198 §4) */
    unsigned notes;
};

struct scripted *scripted_new(const struct scripted_options *o)
{
    const struct script *s = o->script;
    struct scripted *x = calloc(1, sizeof *x);

    if (!x)
        return NULL;
    x->o = *o;
    x->used = calloc(s->plan.items + 1, sizeof *x->used);
    x->arrived = calloc(s->plan.items + 1, sizeof *x->arrived);
    x->reached = x->push = s->begin;
    if (!x->used || !x->arrived) {
        scripted_free(x);
        return NULL;
    }
    return x;
}

void scripted_free(struct scripted *x)
{
    if (!x)
        return;
    for (unsigned i = 0; i < x->waits; i++)
        free(x->wait[i].id);
    free(x->used);
    free(x->arrived);
    free(x);
}

int scripted_header(const struct scripted *x, const char *id, struct buf *out)
{
    return script_put_header(x->o.script, &x->live, id, out);
}

bool scripted_over(const struct scripted *x)
{
    return x->over;
}

void scripted_known(struct scripted *x)
{
    const struct client *c = x->o.client;
    char jid[JID_MAX + 1];

    snprintf(x->live.domain, sizeof x->live.domain, "%s", c->domain);
    if (!c->user)
        return;
    snprintf(jid, sizeof jid, "%s%s%s", c->user->bare, c->bound ? "/" : "", c->resource);
    names_set(&x->live, jid);
    x->bound = c->bound;
}

/* ---- time ---- */

/* So much of captured time, in ours. */
static int64_t scaled(const struct scripted *x, int64_t us)
{
    return x->o.script->speed > 0 && us > 0 ? (int64_t)((double)us / x->o.script->speed) : 0;
}

static int64_t captured_us(const struct scripted *x, size_t i)
{
    return x->o.script->plan.item[i].time_us;
}

/* The client has come as far as the item before `to`. */
static void reach(struct scripted *x, size_t to, int64_t now_us)
{
    for (; x->reached < to; x->reached++)
        x->arrived[x->reached] = now_us;
}

/* Has the client come there (script_item's `after`, `needs`)? */
static bool is_reached(const struct scripted *x, size_t after)
{
    return after == SCRIPT_CLOSED ? x->closed : after <= x->reached;
}

/* ---- what waits ---- */

/* Nothing waits any longer. */
static void hold_no_more(struct scripted *x)
{
    for (unsigned i = 0; i < x->waits; i++)
        x->wait[i].due_us = x->wait[i].until_us = 0;
}

static int add_waiting(struct scripted *x, size_t request, const char *id, int64_t now_us)
{
    size_t answer = x->o.script->plan.item[request].answer;
    int64_t wait_us = scaled(x, captured_us(x, answer) - captured_us(x, request));
    struct waiting *w;

    if (x->waits == SCRIPTED_WAIT)
        return ERR_CAP;
    w = &x->wait[x->waits];
    *w = (struct waiting){.item = answer,
                          .due_us = now_us + wait_us,
                          .until_us = now_us + wait_us + SCRIPT_HOLD_US,
                          .id = id ? strdup(id) : NULL};
    if (id && !w->id)
        return ERR_NOMEM;
    if (++x->waits == SCRIPTED_WAIT) /* they have waited long enough */
        hold_no_more(x);
    return 0;
}

static int64_t release_us(const struct scripted *x, const struct waiting *w)
{
    return is_reached(x, x->o.script->of[w->item].after) ? w->due_us : w->until_us;
}

/* The one that was captured first of those that are due. */
static struct waiting *next_waiting(struct scripted *x, int64_t now_us)
{
    struct waiting *first = NULL;

    for (unsigned i = 0; i < x->waits; i++)
        if (release_us(x, &x->wait[i]) <= now_us && (!first || x->wait[i].item < first->item))
            first = &x->wait[i];
    return first;
}

/* ---- what comes unasked ---- */

static bool is_push(const struct scripted *x, size_t i)
{
    enum script_role role = x->o.script->of[i].role;

    return role == SCRIPT_PUSH || role == SCRIPT_ERROR || (role == SCRIPT_SM_PUSH && x->sm);
}

/* The next push, where the client has said what it needs; PLAN_NONE: there is none now. */
static size_t next_push(struct scripted *x)
{
    const struct script *s = x->o.script;

    while (x->push < s->plan.items && is_reached(x, s->of[x->push].needs) && !is_push(x, x->push))
        x->push++;
    return x->bound && x->push < s->plan.items && is_reached(x, s->of[x->push].needs) ? x->push
                                                                                      : PLAN_NONE;
}

/* When it is due: as long behind the client's item as it was. For a reaction that does not come it
 * does not wait longer than an answer. */
static int64_t push_due_us(const struct scripted *x, size_t i)
{
    const struct script_item *of = &x->o.script->of[i];
    bool reached = is_reached(x, of->after);
    size_t after = reached ? of->after : of->needs;

    if (after == x->o.script->begin || after == SCRIPT_CLOSED)
        return 0;
    return x->arrived[after - 1] + scaled(x, captured_us(x, i) - captured_us(x, after - 1)) +
           (reached ? 0 : SCRIPT_HOLD_US);
}

/* ---- out ---- */

static int put_item(struct scripted *x, size_t i, const char *id, struct buf *out)
{
    const struct plan *p = &x->o.script->plan;
    const struct rewrite w = {.from = &p->names, .to = &x->live, .id = id};

    if (x->o.script->of[i].role == SCRIPT_SM_ACK)
        return buf_printf(out, "<a xmlns='%s' h='%u'/>", NS_SM, x->sm_in);
    x->over |= x->o.script->of[i].role == SCRIPT_ERROR;
    return rewrite_item(&w, plan_at(p, i), p->item[i].len, out);
}

static int put_waiting(struct scripted *x, struct waiting *w, struct buf *out)
{
    int err = put_item(x, w->item, w->id, out);

    free(w->id);
    memmove(w, w + 1, (size_t)(&x->wait[--x->waits] - w) * sizeof *w);
    return err;
}

int scripted_play(struct scripted *x, int64_t now_us, size_t room, struct buf *out)
{
    int err = 0;

    while (!err && !x->over && out->len < room) {
        struct waiting *w = next_waiting(x, now_us);
        size_t push = next_push(x);

        if (push != PLAN_NONE && push_due_us(x, push) > now_us)
            push = PLAN_NONE;
        if (w && (push == PLAN_NONE || w->item < push)) {
            err = put_waiting(x, w, out);
        } else if (push != PLAN_NONE) {
            x->push++;
            err = put_item(x, push, NULL, out);
        } else {
            break;
        }
    }
    return err;
}

int64_t scripted_due_us(const struct scripted *x)
{
    struct scripted *there = (struct scripted *)x; /* its cursor moves over what is no push */
    size_t push = next_push(there);
    int64_t due = push == PLAN_NONE ? -1 : push_due_us(x, push);

    for (unsigned i = 0; i < x->waits; i++) {
        int64_t at = release_us(x, &x->wait[i]);

        due = due < 0 || at < due ? at : due;
    }
    return due;
}

void scripted_close(struct scripted *x)
{
    x->closed = true;
    hold_no_more(x);
}

/* ---- in ---- */

/* Reads an item into `t`, evened out. False where that cannot be done. */
static int read_item(const struct scripted *x, const struct item *it, const struct buf *root,
                     struct tree *t)
{
    int err;

    tree_init(t);
    err = tree_read(t, root->p, root->len, it->p, it->len);
    if (!err)
        even_tree(t, &x->live);
    return err;
}

/* What the client answers to a request of the captured server's, which has kept its id. */
static size_t find_answer(const struct scripted *x, const char *id)
{
    size_t request = script_request(x->o.script, id, x->push);

    return request == PLAN_NONE ? PLAN_NONE : x->o.script->plan.item[request].answer;
}

static bool is_answer(const struct item *it)
{
    const char *type = item_attr(it, 0, "type");

    return it->stanza == ITEM_IQ && type &&
           (strcmp(type, "result") == 0 || strcmp(type, "error") == 0);
}

/* What the client says is found in the capture, and its answer waits to be sent. `*found`: the
 * client's captured item, PLAN_NONE if there is none, or none with an answer for a request. */
static int take(struct scripted *x, const struct item *it, const struct buf *root, int64_t now_us,
                size_t *found)
{
    const struct script *s = x->o.script;
    const char *id = item_attr(it, 0, "id");
    struct script_key key;
    struct tree t;
    int err = read_item(x, it, root, &t);

    *found = PLAN_NONE;
    if (!err && is_answer(it)) {
        *found = find_answer(x, id ? id : "");
    } else if (!err) {
        script_key(&t, &x->live, &key);
        *found = script_find(s, &key, x->used);
    }
    tree_free(&t);
    if (err || *found == PLAN_NONE)
        return err == ERR_NOMEM ? err : 0;
    x->used[*found] = 1;
    reach(x, *found + 1, now_us);
    return 0;
}

/* The same, and its answer is sent; `*known` is false where it has none and needs one. */
static int answer(struct scripted *x, const struct item *it, const struct buf *root, int64_t now_us,
                  bool *known)
{
    const struct plan *p = &x->o.script->plan;
    size_t i, to;
    int err = take(x, it, root, now_us, &i);

    *known = false;
    if (err || i == PLAN_NONE)
        return err;
    to = p->item[i].answer;
    if (to == PLAN_NONE || x->o.script->of[to].role == SCRIPT_NOTHING) {
        *known = p->item[i].kind != PLAN_REQUEST;
        return 0;
    }
    *known = true;
    if (x->o.script->of[to].role == SCRIPT_ENABLED) {
        x->sm = true;
        x->sm_in = 0;
    }
    return add_waiting(x, i, item_attr(it, 0, "id"), now_us);
}

/* Says that the capture has no answer, and what the client got. */
static void note(struct scripted *x, const struct item *it, const char *given)
{
    const char *type = item_attr(it, 0, "type"), *to = item_attr(it, 0, "to");
    const char *node = it->nodes > 1 ? item_attr(it, 1, "node") : NULL;
    char asked[ASKED_MAX];

    if (!x->o.unanswered || x->notes >= SCRIPTED_NOTES)
        return;
    x->notes++;
    snprintf(asked, sizeof asked, "%s%s%.20s of {%.100s}%.60s%s%.80s%s%.80s%s", it->node[0].name,
             type ? " " : "", type ? type : "", it->node[it->nodes > 1].ns,
             it->node[it->nodes > 1].name, node ? ", node " : "", node ? node : "",
             to ? ", to " : "", to ? to : "",
             x->notes == SCRIPTED_NOTES ? "; further ones of this session are not named" : "");
    x->o.unanswered(x->o.arg, asked, given);
}

static int answer_stanza(struct scripted *x, struct ask *q, int64_t now_us)
{
    bool known, asks = q->it->stanza == ITEM_IQ && !is_answer(q->it);
    int err;

    x->sm_in += x->sm;
    err = answer(x, q->it, q->root, now_us, &known);
    if (err || known || !asks)
        return err;
    ask_error(q, "service-unavailable");
    note(x, q->it, "service-unavailable");
    return q->err;
}

/* The request that has bound it: its answer of ours goes where there is a captured one. */
static int answer_bound(struct scripted *x, struct ask *q, int64_t now_us)
{
    bool known;
    int err;

    scripted_known(x);
    err = answer(x, q->it, q->root, now_us, &known);
    if (!err && known)
        q->text->len = 0;
    return err;
}

void scripted_ask(struct scripted *x, struct ask *q, int64_t now_us)
{
    if (q->c->bound) {
        q->err = answer_stanza(x, q, now_us);
        return;
    }
    answers_stanza(q);
    if (!q->err && q->c->bound)
        q->err = answer_bound(x, q, now_us);
}

bool scripted_takes(const struct item *it)
{
    static const char *const others[] = {NS_TLS, NS_SASL, NS_SASL2, NS_COMPRESS, NS_STREAM,
                                         "jabber:server"};

    if (it->stanza != ITEM_NO_STANZA)
        return false;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(it->node[0].ns, others[i]) == 0)
            return false;
    return true;
}

/* What has no captured answer and needs one. */
static int answer_sm(struct scripted *x, const struct item *it, struct buf *text)
{
    const char *name = it->node[0].name, *ns = it->node[0].ns;
    bool resume = strcmp(name, "resume") == 0;
    const char *condition = resume ? "item-not-found" : "unexpected-request";

    if (strcmp(name, "r") == 0)
        return x->sm ? buf_printf(text, "<a xmlns='%s' h='%u'/>", ns, x->sm_in) : 0;
    if (!resume && strcmp(name, "enable") != 0)
        return 0;
    note(x, it, "failed");
    return buf_printf(text, "<failed xmlns='%s'><%s xmlns='" NS_STANZAS "'/></failed>", ns,
                      condition);
}

int scripted_element(struct scripted *x, const struct item *it, const struct buf *root,
                     int64_t now_us, struct buf *text, bool *known)
{
    bool sm = strncmp(it->node[0].ns, SM_PREFIX, sizeof SM_PREFIX - 1) == 0;
    int err = answer(x, it, root, now_us, known);

    if (err || *known)
        return err;
    *known = sm || strcmp(it->node[0].ns, NS_CSI) == 0;
    if (!*known)
        note(x, it, "unsupported-stanza-type");
    return sm ? answer_sm(x, it, text) : 0;
}

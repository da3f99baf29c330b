#include "ask.h"

#include <string.h>

#include "markup.h"
#include "ns.h"
#include "world.h"

static unsigned target_of(struct ask *q)
{
    const struct client *c = q->c;

    q->user = c->user;
    if (!q->to)
        return ASK_NOBODY;
    q->user = NULL;
    if (!prep_jid(q->to, &q->peer))
        return ASK_FOREIGN;
    prep_bare(&q->peer, q->bare);
    q->user = world_find(c->world, q->bare);
    if (!q->user && strcmp(q->peer.domain, c->domain) != 0)
        return ASK_FOREIGN;
    if (!q->user)
        return *q->peer.local || *q->peer.resource ? ASK_STRANGER : ASK_DOMAIN;
    if (*q->peer.resource)
        return ASK_RESOURCE;
    return q->user == c->user ? ASK_SELF : ASK_ACCOUNT;
}

void ask_init(struct ask *q, struct client *c, const struct item *it, const struct buf *root,
              struct buf *text)
{
    *q = (struct ask){.c = c, .it = it, .root = root, .text = text};
    q->id = item_attr(it, 0, "id");
    if (!q->id)
        q->id = "";
    q->to = item_attr(it, 0, "to");
    q->type = item_attr(it, 0, "type");
    q->target = target_of(q);
}

/* ---- words ---- */

static void put_value(struct ask *q, char letter)
{
    const struct client *c = q->c;
    const struct user *u = c->user;
    const char *value = letter == 'D'              ? c->domain
                        : letter == 'I'            ? q->id
                        : letter == 'T'            ? q->to
                        : letter == 'R'            ? c->resource
                        : !u                       ? NULL
                        : letter == 'L'            ? u->local
                        : letter == 'B'            ? u->bare
                                                   : NULL;

    if (letter == 'F' && u)
        q->err = client_put_jid(c, q->text);
    else if (value)
        q->err = markup_escape(q->text, value);
}

void ask_put(struct ask *q, const char *template)
{
    while (!q->err && *template) {
        size_t plain = strcspn(template, "$");

        q->err = buf_add(q->text, template, plain);
        template += plain;
        if (!q->err && *template) {
            put_value(q, template[1]);
            template += template[1] ? 2 : 1;
        }
    }
}

void ask_put_text(struct ask *q, const char *text)
{
    if (!q->err)
        q->err = markup_escape(q->text, text);
}

void ask_put_raw(struct ask *q, const char *xml, size_t n)
{
    if (!q->err)
        q->err = buf_add(q->text, xml, n);
}

void ask_put_element(struct ask *q, unsigned node)
{
    if (!q->err)
        q->err = markup_open(q->text, q->it, node);
    if (!q->err)
        q->err = markup_rest(q->text, q->it, node, q->root, false);
}

void ask_put_readdressed(struct ask *q, const char *template)
{
    if (!q->err)
        q->err = markup_open(q->text, q->it, 0);
    ask_put(q, template);
    if (!q->err)
        q->err = markup_rest(q->text, q->it, 0, q->root, true);
}

/* ---- the frame of an answer ---- */

void ask_head(struct ask *q, const char *type)
{
    static const char *const heads[2][2] = {{"\" id=\"$I\"", "\" id=\"$I\" to=\"$F\""},
                                            {"\" id=\"$I\"", "\" to=\"$F\" id=\"$I\""}};

    ask_put(q, q->to ? "<iq from=\"$T\" type=\"" : "<iq type=\"");
    ask_put(q, type);
    ask_put(q, heads[q->to != NULL][q->c->bound]);
}

void ask_result(struct ask *q, const char *template)
{
    ask_head(q, "result");
    ask_put(q, template ? ">" : "/>");
    if (!template)
        return;
    ask_put(q, template);
    ask_put(q, "</iq>");
}

static const char *type_of(const char *condition)
{
    static const struct {
        const char *name, *type;
    } rows[] = {
#define CONDITION(name, type) {name, type},
#include "stanza_errors.def"
#undef CONDITION
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, condition) == 0)
            return rows[i].type;
    return "cancel";
}

void ask_error_with(struct ask *q, const char *condition, const char *own)
{
    bool iq = item_is(q->it, 0, NS_CLIENT, "iq");
    const char *name = q->it->node[0].name;

    if (q->type && (strcmp(q->type, "error") == 0 || (iq && strcmp(q->type, "result") == 0)))
        return;
    if (iq) {
        ask_head(q, "error");
    } else {
        ask_put(q, "<");
        ask_put(q, name);
        ask_put(q, q->to ? " from=\"$T\" type=\"error\"" : " type=\"error\"");
        ask_put(q, *q->id ? " to=\"$F\" id=\"$I\"" : " to=\"$F\"");
    }
    ask_put(q, ">");
    if (iq && q->it->nodes > 1)
        ask_put_element(q, 1);
    ask_put(q, "<error type=\"");
    ask_put(q, type_of(condition));
    ask_put(q, "\"><");
    ask_put(q, condition);
    ask_put(q, " xmlns=\"" NS_STANZAS "\"/>");
    ask_put(q, own);
    ask_put(q, "</error></");
    ask_put(q, name);
    ask_put(q, ">");
}

void ask_error(struct ask *q, const char *condition)
{
    ask_error_with(q, condition, "");
}

const char *ask_attr(const struct ask *q, const char *name)
{
    return q->it->nodes > 1 ? item_attr(q->it, 1, name) : NULL;
}

/* ---- for somebody else ---- */

struct buf *ask_begin(struct ask *q)
{
    struct buf *before = q->text;

    q->text = &q->c->world->scratch;
    q->text->len = 0;
    return before;
}

struct buf *ask_begin_push(struct ask *q, const struct client *to)
{
    struct buf *before = ask_begin(q);
    char id[RANDOM_SIZE] = "";

    if (!q->err)
        q->err = client_random(id);
    ask_put(q, "<iq type=\"set\" id=\"");
    ask_put(q, id);
    ask_put(q, "\" to=\"");
    if (!q->err)
        q->err = client_put_jid(to, q->text);
    ask_put(q, "\">");
    return before;
}

void ask_send(struct ask *q, struct client *to)
{
    if (!q->err)
        client_send(to, q->text->p, q->text->len);
}

void ask_end(struct ask *q, struct buf *before)
{
    if (q->err == ERR_CAP) /* it does not fit: that is the other's loss */
        q->err = 0;
    if (q->text->cap > 4096)
        buf_free(q->text);
    q->text = before;
}

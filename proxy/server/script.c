#include "script.h"

#include <stdlib.h>
#include <string.h>

#include "../replay/even.h"
#include "ns.h"

#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u
#define SM_PREFIX "urn:xmpp:sm:"

struct script *script_new(void)
{
    struct script *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->end = SIZE_MAX;
    s->reader = reader_new();
    plan_init(&s->plan, s->reader);
    if (!s->reader) {
        script_free(s);
        return NULL;
    }
    return s;
}

void script_free(struct script *s)
{
    if (!s)
        return;
    plan_free(&s->plan);
    reader_free(s->reader);
    free(s->of);
    free(s);
}

int script_event(void *arg, const struct event *ev)
{
    struct script *s = arg;
    bool before = s->plan.logged_in;
    int err = plan_event(&s->plan, ev);

    if (!before && s->plan.logged_in)
        s->begin = s->plan.items;
    if (ev->kind == EVENT_STREAM && ev->closing && ev->dir == DIR_C2S)
        s->end = s->plan.items;
    return err;
}

/* ---- what is asked ---- */

static uint64_t mix(uint64_t hash, const char *s)
{
    do
        hash = (hash ^ (unsigned char)*s) * FNV_PRIME;
    while (*s++);
    return hash;
}

uint64_t script_hash(const char *text)
{
    return mix(FNV_BASIS, text);
}

/* An element's name and node (XEP-0030, XEP-0050, XEP-0060). */
static uint64_t name_of(const struct tree *t, uint32_t node)
{
    const struct tree_node *x;
    const char *at;

    if (node == TREE_NONE)
        return FNV_BASIS;
    x = &t->node[node];
    at = tree_value(t, node, "node");
    return mix(mix(mix(FNV_BASIS, x->ns), x->name), at ? at : "");
}

static uint32_t first_element(const struct tree *t, uint32_t node)
{
    uint32_t i = node == TREE_NONE ? TREE_NONE : t->node[node].child;

    while (i != TREE_NONE && !t->node[i].name)
        i = t->node[i].next;
    return i;
}

/* Whom it is for; an account's iqs to itself need no address (RFC 6120 §10.3.3). */
static uint64_t address_of(const struct tree *t, const struct names *whose)
{
    const char *to = tree_value(t, 0, "to");
    uint64_t hash;
    struct buf even;

    if (!to)
        return mix(FNV_BASIS, tree_is(t, 0, NULL, "iq") ? names_even.bare : "");
    buf_init(&even, 4 * NAMES_JID_MAX);
    if (names_translate(whose, &names_even, true, to, &even) && buf_add(&even, "", 1) == 0)
        to = even.p;
    hash = mix(FNV_BASIS, to);
    buf_free(&even);
    return hash;
}

void script_key(const struct tree *t, const struct names *whose, struct script_key *k)
{
    const char *type = tree_value(t, 0, "type");
    bool iq = tree_is(t, 0, NULL, "iq");
    uint32_t payload = first_element(t, 0);

    k->kind = mix(mix(mix(FNV_BASIS, t->node[0].ns), t->node[0].name), type ? type : "");
    k->to = address_of(t, whose);
    k->content = payload != TREE_NONE && iq ? t->node[payload].hash : t->node[0].hash;
    k->payload = name_of(t, payload);
    k->child = name_of(t, first_element(t, payload));
    k->loose = !iq ? FNV_BASIS : type && strcmp(type, "set") == 0 ? k->payload : 0;
}

static bool is_all(const struct script_key *a, const struct script_key *b)
{
    return a->content == b->content;
}

static bool is_child(const struct script_key *a, const struct script_key *b)
{
    return a->payload == b->payload && a->child == b->child;
}

static bool is_loose(const struct script_key *a, const struct script_key *b)
{
    return a->loose && a->loose == b->loose;
}

size_t script_find(const struct script *s, const struct script_key *k, const unsigned char *used)
{
    static bool (*const levels[])(const struct script_key *, const struct script_key *) = {
        is_all, is_child, is_loose};

    for (size_t level = 0; level < sizeof levels / sizeof *levels; level++) {
        size_t last = PLAN_NONE;

        for (size_t i = s->begin; i < s->plan.items; i++) {
            const struct script_key *had = &s->of[i].key;

            if (s->of[i].role != SCRIPT_CLIENT || had->kind != k->kind || had->to != k->to ||
                !levels[level](had, k))
                continue;
            if (!used[i])
                return i;
            last = i;
        }
        if (last != PLAN_NONE)
            return last;
    }
    return PLAN_NONE;
}

/* ---- making it ---- */

static bool is_sm(const struct tree *t, const char *name)
{
    return strncmp(t->node[0].ns, SM_PREFIX, sizeof SM_PREFIX - 1) == 0 &&
           strcmp(t->node[0].name, name) == 0;
}

/* What the server's item is; `compress` and what answers nothing is none of the script. */
static enum script_role role_of(const struct plan_item *x, const struct tree *t)
{
    bool answer = x->kind == PLAN_ANSWER && x->re != PLAN_NONE;

    if (x->dir == DIR_C2S)
        return SCRIPT_CLIENT;
    if (tree_is(t, 0, NS_COMPRESS, NULL) || (x->kind == PLAN_ANSWER && !answer))
        return SCRIPT_NOTHING;
    if (x->sm)
        return is_sm(t, "r")                   ? SCRIPT_SM_PUSH
               : !answer                       ? SCRIPT_NOTHING
               : is_sm(t, "a")                 ? SCRIPT_SM_ACK
               : is_sm(t, "enabled")           ? SCRIPT_ENABLED
               : is_sm(t, "failed")            ? SCRIPT_ANSWER
                                               : SCRIPT_NOTHING;
    if (tree_is(t, 0, NS_STREAM, "error"))
        return SCRIPT_ERROR;
    return answer ? SCRIPT_ANSWER : SCRIPT_PUSH;
}

/* An acknowledgement, an answer, a client that is put aside (XEP-0352). */
static bool is_reaction(const struct plan *p, size_t i, const struct tree *t)
{
    return p->item[i].kind == PLAN_ANSWER || is_sm(t, "r") || is_sm(t, "a") ||
           tree_is(t, 0, NS_CSI, NULL);
}

static int read_one(struct script *s, size_t i, struct tree *t)
{
    const struct plan_item *x = &s->plan.item[i];
    const struct buf *root = &s->plan.stream[x->dir].root;
    const char *id;
    int err;

    if (x->skip == SKIP_WITHHELD || x->skip == SKIP_UNREADABLE)
        return 0;
    err = tree_read(t, root->p, root->len, plan_at(&s->plan, i), x->len);
    if (err)
        return err == ERR_NOMEM ? err : 0;
    even_tree(t, &s->plan.names);
    id = tree_value(t, 0, "id");
    s->of[i].role = role_of(x, t);
    s->of[i].id = script_hash(id ? id : "");
    script_key(t, &s->plan.names, &s->of[i].key);
    return 0;
}

static int no_login(const struct script *s, struct error *e)
{
    const struct plan *p = &s->plan;

    return error_set(e, ERR_FORMAT, "session %.40s cannot be served: its client never logged in%s%s; "
                     "give one whose login went well, `xmpptap list` shows which did",
                     p->session, *p->failure ? ", the server refused it with " : "", p->failure);
}

int script_ready(struct script *s, struct error *e)
{
    size_t after = s->begin, needs = s->begin;
    struct tree t;
    int err = 0;

    if (!s->plan.logged_in)
        return no_login(s, e);
    s->of = calloc(s->plan.items + 1, sizeof *s->of);
    if (!s->of)
        return error_set(e, ERR_NOMEM, "no memory to start");
    tree_init(&t);
    for (size_t i = s->begin; i < s->plan.items && !err; i++) {
        err = read_one(s, i, &t);
        s->of[i].after = i < s->end ? after : SCRIPT_CLOSED;
        s->of[i].needs = i < s->end ? needs : SCRIPT_CLOSED;
        if (s->of[i].role == SCRIPT_CLIENT)
            after = i + 1;
        if (s->of[i].role == SCRIPT_CLIENT && !is_reaction(&s->plan, i, &t))
            needs = i + 1;
    }
    tree_free(&t);
    if (!err)
        err = script_read_features(s);
    reader_free(s->reader);
    s->plan.reader = s->reader = NULL;
    return err ? error_set(e, (enum error_code)err, "no memory to start") : 0;
}

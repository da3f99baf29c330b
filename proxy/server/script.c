#include "script.h"

#include <stdlib.h>
#include <string.h>

#include "../replay/even.h"
#include "ns.h"

#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u
#define SM_PREFIX "urn:xmpp:sm:"
#define HEADER                                                                                     \
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='" NS_STREAM           \
    "' from='' id='' version='1.0'>"

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
    for (int level = 0; level < SCRIPT_LEVELS; level++)
        free(s->index[level].entry);
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

static uint64_t join(uint64_t hash, uint64_t with)
{
    hash = (hash ^ with) * FNV_PRIME;
    return (hash ^ hash >> 32) | 1; /* never 0 */
}

void script_key(const struct tree *t, const struct names *whose, struct script_key *k)
{
    const char *type = tree_value(t, 0, "type");
    bool iq = tree_is(t, 0, NULL, "iq");
    uint32_t payload = first_element(t, 0);
    uint64_t kind = mix(mix(mix(FNV_BASIS, t->node[0].ns), t->node[0].name), type ? type : "");
    uint64_t whom = join(kind, address_of(t, whose)), what = join(whom, name_of(t, payload));

    k->level[LEVEL_CONTENT] = join(whom, t->node[payload != TREE_NONE && iq ? payload : 0].hash);
    k->level[LEVEL_CHILD] = join(what, name_of(t, first_element(t, payload)));
    k->level[LEVEL_LOOSE] = !iq ? whom : type && strcmp(type, "set") == 0 ? what : 0;
    k->level[LEVEL_ID] = 0;
}

static int by_hash(const void *left, const void *right)
{
    const struct script_entry *a = left, *b = right;

    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return a->item < b->item ? -1 : a->item > b->item;
}

/* The first entry of this hash; `entries` if there is none. */
static size_t first_of(const struct script_index *x, uint64_t hash)
{
    size_t low = 0, high = x->entries;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (x->entry[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low < x->entries && x->entry[low].hash == hash ? low : x->entries;
}

size_t script_find(const struct script *s, const struct script_key *k, const unsigned char *used)
{
    for (int level = LEVEL_CONTENT; level <= LEVEL_LOOSE; level++) {
        const struct script_index *x = &s->index[level];
        uint64_t hash = k->level[level];
        size_t i = hash ? first_of(x, hash) : x->entries, last = PLAN_NONE;

        for (; i < x->entries && x->entry[i].hash == hash; i++) {
            last = x->entry[i].item;
            if (!used[last])
                return last;
        }
        if (last != PLAN_NONE)
            return last;
    }
    return PLAN_NONE;
}

size_t script_request(const struct script *s, const char *id, size_t before)
{
    const struct script_index *x = &s->index[LEVEL_ID];
    uint64_t hash = join(FNV_BASIS, mix(FNV_BASIS, id));
    size_t found = PLAN_NONE;

    for (size_t i = first_of(x, hash); i < x->entries && x->entry[i].hash == hash; i++)
        if (x->entry[i].item < before)
            found = x->entry[i].item;
    return found;
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
        return is_sm(t, "r")         ? SCRIPT_SM_PUSH
               : !answer             ? SCRIPT_NOTHING
               : is_sm(t, "a")       ? SCRIPT_SM_ACK
               : is_sm(t, "enabled") ? SCRIPT_ENABLED
               : is_sm(t, "failed")  ? SCRIPT_ANSWER
                                     : SCRIPT_NOTHING;
    if (tree_is(t, 0, NS_STREAM, "error"))
        return SCRIPT_ERROR;
    return answer ? SCRIPT_ANSWER : SCRIPT_PUSH;
}

/* What a live client may have no reason to say: acknowledgements and resumption, answers, that it
 * is put aside (XEP-0352), compression. */
static bool is_reaction(const struct plan *p, size_t i, const struct tree *t)
{
    return p->item[i].kind == PLAN_ANSWER || (p->item[i].sm && !is_sm(t, "enable")) ||
           tree_is(t, 0, NS_CSI, NULL) || tree_is(t, 0, NS_COMPRESS, NULL);
}

static void add_entries(struct script *s, size_t i, const struct script_key *k)
{
    for (int level = 0; level < SCRIPT_LEVELS; level++) {
        struct script_index *x = &s->index[level];

        if (k->level[level])
            x->entry[x->entries++] = (struct script_entry){k->level[level], i};
    }
}

static int read_one(struct script *s, size_t i, struct tree *t)
{
    const struct plan_item *x = &s->plan.item[i];
    const struct buf *root = &s->plan.stream[x->dir].root;
    struct script_key key = {0};
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
    if (s->of[i].role == SCRIPT_CLIENT)
        script_key(t, &s->plan.names, &key);
    else if (s->of[i].role == SCRIPT_PUSH && x->kind == PLAN_REQUEST)
        key.level[LEVEL_ID] = join(FNV_BASIS, mix(FNV_BASIS, id ? id : ""));
    add_entries(s, i, &key);
    return 0;
}

static int no_login(const struct script *s, struct error *e)
{
    const struct plan *p = &s->plan;

    return error_set(e, ERR_FORMAT,
                     "session %.40s cannot be served: its client never logged in%s%s; "
                     "give one whose login went well, `xmpptap list` shows which did",
                     p->session, *p->failure ? ", the server refused it with " : "", p->failure);
}

static bool allocate(struct script *s)
{
    bool good;

    s->of = calloc(s->plan.items + 1, sizeof *s->of);
    good = s->of;
    for (int level = 0; level < SCRIPT_LEVELS; level++) {
        s->index[level].entry = calloc(s->plan.items + 1, sizeof *s->index[level].entry);
        good &= s->index[level].entry != NULL;
    }
    return good;
}

static int read_items(struct script *s)
{
    size_t after = s->begin, needs = s->begin;
    struct tree t;
    int err = 0;

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
    for (int level = 0; level < SCRIPT_LEVELS; level++)
        qsort(s->index[level].entry, s->index[level].entries, sizeof *s->index[level].entry,
              by_hash);
    return err;
}

int script_ready(struct script *s, struct error *e)
{
    int err = 0;

    if (!s->plan.logged_in)
        return no_login(s, e);
    if (!s->plan.header.len) /* its bytes were not kept */
        err = buf_str(&s->plan.header, HEADER);
    if (!err)
        err = allocate(s) ? read_items(s) : ERR_NOMEM;
    if (!err)
        err = script_read_features(s);
    reader_free(s->reader);
    s->plan.reader = s->reader = NULL;
    return err ? error_set(e, (enum error_code)err, "no memory to start") : 0;
}

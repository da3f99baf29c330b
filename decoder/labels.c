#include "labels.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"

enum label_when { ALWAYS, FIRST, BROADCAST, HOME, SERVER, SELF, NOBODY, EMPTY };
enum { C2S = 1 << DIR_C2S, S2C = 1 << DIR_S2C, BOTH = C2S | S2C };

struct label {
    const char *id;
    unsigned dirs;
    unsigned phases;
    const char *element;
    const char *type;
    const char *payload;
    const char *inner;
    enum label_when when;
    const char *answers; /* the request's id */
    bool bare;
    const char *zh, *en;
};

static const char HEADER[] = "header", CLOSE[] = "close";

#define SECTION(title)
#define ROW(id, dir, phase, element, type, payload, inner, when, answers, bare, zh, en)            \
    {id, dir, PHASE_##phase, element, type, payload, inner, when, answers, bare, zh, en},

static const struct label labels[] = {
#include "labels.def"
};

#define LABELS (sizeof labels / sizeof *labels)

/* ---- the index: what a row is looked for by, made at the first use ---- */

enum kind { IQ_STANZA, MESSAGE, PRESENCE, NONZA, KINDS };
static const char *const kind_names[] = {"iq", "message", "presence"};

#define SLOTS 2048                     /* of ids; a power of two, more than twice the rows */
#define CELLS (2 * LABELS + 2 * KINDS) /* rows of both directions, and one of every kind */
_Static_assert(LABELS * 2 < SLOTS, "more slots are needed");

struct cell {
    struct pattern_needs needs; /* of its patterns together */
    const struct label *label;
};

struct span {
    const struct cell *from, *to;
};

static struct {
    struct cell cell[CELLS];
    struct span span[2][KINDS];    /* of each direction and kind, in the table's order */
    uint16_t by_id[SLOTS];         /* a row's number + 1; 0: free */
    uint16_t first_answer[LABELS]; /* of a request: a row's number + 1; 0: none */
    uint16_t next_answer[LABELS];
} ix;

static size_t slot_of(const char *id)
{
    uint32_t h = 2166136261u;

    for (; *id; id++)
        h = (h ^ (unsigned char)*id) * 16777619u;
    return (h ^ h >> 15) % SLOTS;
}

/* Its number + 1, or 0. */
static uint16_t row_by_id(const char *id)
{
    size_t i = slot_of(id);

    while (ix.by_id[i] && strcmp(labels[ix.by_id[i] - 1].id, id) != 0)
        i = (i + 1) % SLOTS;
    return ix.by_id[i];
}

static void index_ids(void)
{
    for (size_t row = 0; row < LABELS; row++) {
        size_t i = slot_of(labels[row].id);

        while (ix.by_id[i])
            i = (i + 1) % SLOTS;
        ix.by_id[i] = (uint16_t)(row + 1);
    }
}

static void index_answers(void)
{
    for (size_t row = LABELS; row-- > 0;) {
        uint16_t request = labels[row].answers ? row_by_id(labels[row].answers) : 0;

        if (!request)
            continue;
        ix.next_answer[row] = ix.first_answer[request - 1];
        ix.first_answer[request - 1] = (uint16_t)(row + 1);
    }
}

static bool row_is_of(const struct label *l, enum kind kind)
{
    if (l->answers || l->element == CLOSE || l->when == FIRST)
        return false;
    if (!l->element)
        return true;
    if (l->element == HEADER || strchr(l->element, ' '))
        return kind == NONZA;
    return kind != NONZA && strcmp(l->element, kind_names[kind]) == 0;
}

static struct pattern_needs row_needs(const struct label *l)
{
    const char *at_depth[] = {l->element && strchr(l->element, ' ') ? l->element : NULL,
                              l->payload, l->inner};
    struct pattern_needs needs = {0};

    for (unsigned i = 0; i < 3; i++)
        if (at_depth[i]) {
            struct pattern_needs more = pattern_needs(at_depth[i], i + 1);

            needs.all.exact |= more.all.exact;
            needs.all.loose |= more.all.loose;
            needs.any = more.any; /* the innermost tells most */
        }
    return needs;
}

static void index_cells(void)
{
    struct cell *cell = ix.cell;

    for (int dir = 0; dir < 2; dir++)
        for (int kind = 0; kind < KINDS; kind++) {
            struct span *span = &ix.span[dir][kind];

            span->from = cell;
            for (const struct label *l = labels; l < labels + LABELS; l++) {
                if (!(l->dirs & 1u << dir) || !row_is_of(l, (enum kind)kind))
                    continue;
                if (cell == ix.cell + CELLS)
                    abort(); /* a second row of every kind: CELLS must count it */
                *cell++ = (struct cell){row_needs(l), l};
            }
            span->to = cell;
        }
}

static void index_make(void)
{
    index_ids();
    index_answers();
    index_cells();
}

static void index_need(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, index_make);
}

/* ---- matching ---- */

/* What is asked of the item more than once. */
struct asked {
    const struct item *it;
    enum kind kind;
    const char *type; /* "" if it has none */
    const char *account;
    enum label_phase phase;
};

static enum kind kind_of(const struct item *it)
{
    static const enum kind kinds[] = {
        [ITEM_NO_STANZA] = NONZA,
        [ITEM_MESSAGE] = MESSAGE,
        [ITEM_PRESENCE] = PRESENCE,
        [ITEM_IQ] = IQ_STANZA,
    };

    return kinds[it->stanza];
}

static const char *type_of(const struct item *it, enum kind kind)
{
    const char *type = item_attr(it, 0, "type");

    if (type && *type)
        return type;
    return kind == MESSAGE ? "normal" : "";
}

static bool element_matches(const struct item *it, const char *element)
{
    if (element == HEADER)
        element = NS_STREAMS " features";
    return !element || !strchr(element, ' ') || pattern_holds(element, it, 1, 0, 1);
}

/* One child that matches `payload` and has one that matches `inner`. */
static bool inner_matches(const struct item *it, const char *payload, const char *inner)
{
    for (unsigned i = 1; i < it->nodes; i++) {
        unsigned end = i + 1;

        if (it->node[i].depth != 2 || !pattern_holds(payload, it, 2, i, end))
            continue;
        while (end < it->nodes && it->node[end].depth > 2)
            end++;
        if (pattern_holds(inner, it, 3, i + 1, end))
            return true;
    }
    return false;
}

/* Is `jid` the account's bare JID, or one of its resources where these count? */
static bool is_account(const char *jid, const char *account, bool resources)
{
    size_t n = account ? strlen(account) : 0;

    return jid && n && strncmp(jid, account, n) == 0 &&
           (jid[n] == '\0' || (resources && jid[n] == '/'));
}

static bool is_domain(const char *jid, const char *account)
{
    const char *at = account ? strchr(account, '@') : NULL;

    return at && strcmp(jid, at + 1) == 0;
}

static bool when_matches(const struct asked *q, enum label_when when)
{
    const char *to = when == ALWAYS ? NULL : item_attr(q->it, 0, "to");
    bool known = q->account && *q->account;

    switch (when) {
    case ALWAYS:
        return true;
    case FIRST:
        return false; /* headers only: label_for_header() */
    case BROADCAST:
        return !to;
    case HOME: /* while the account is not known, it may well be meant */
        return !to || !known || is_account(to, q->account, false);
    case SERVER:
        return !to || !known || is_domain(to, q->account);
    case SELF:
        return is_account(item_attr(q->it, 0, "from"), q->account, true);
    case NOBODY:
        return item_find(q->it, 2, NS_CLIENT, "body") < 0;
    case EMPTY:
        return q->it->nodes == 1;
    }
    return false;
}

static bool matches(const struct label *l, const struct asked *q)
{
    const struct item *it = q->it;

    if (!(l->phases & q->phase) || (l->type && strcmp(l->type, q->type) != 0) ||
        !when_matches(q, l->when) || !element_matches(it, l->element))
        return false;
    if (l->inner)
        return inner_matches(it, l->payload, l->inner);
    return !l->payload || pattern_holds(l->payload, it, 2, 1, it->nodes);
}

static const struct label *answer_for(const struct asked *q, enum dir dir, const char *request)
{
    uint16_t row = row_by_id(request);

    for (row = row ? ix.first_answer[row - 1] : 0; row; row = ix.next_answer[row - 1])
        if (labels[row - 1].dirs & 1u << dir && matches(&labels[row - 1], q))
            return &labels[row - 1];
    return NULL;
}

const struct label *label_for(const struct item *it, enum dir dir, enum label_phase phase,
                              const char *answers, const char *account)
{
    struct asked q = {.it = it, .kind = kind_of(it), .account = account, .phase = phase};
    const struct span *span = &ix.span[dir][q.kind];
    const struct label *l;
    struct pattern_marks has;

    index_need();
    q.type = type_of(it, q.kind);
    if (answers && q.kind == IQ_STANZA && (l = answer_for(&q, dir, answers)))
        return l;
    has = pattern_marks(it);
    for (const struct cell *c = span->from; c < span->to; c++)
        if (pattern_may_hold(&c->needs, &has) && matches(c->label, &q))
            return c->label;
    return &labels[LABELS - 1];
}

const struct label *label_for_header(enum dir dir, enum label_phase phase, bool first)
{
    for (size_t i = 0; i < LABELS; i++)
        if (labels[i].element == HEADER && labels[i].dirs & 1u << dir &&
            labels[i].phases & phase && (labels[i].when != FIRST || first))
            return &labels[i];
    return &labels[LABELS - 1];
}

const struct label *label_for_close(enum dir dir)
{
    for (size_t i = 0; i < LABELS; i++)
        if (labels[i].element == CLOSE && labels[i].dirs & 1u << dir)
            return &labels[i];
    return &labels[LABELS - 1];
}

const struct label *label_by_id(const char *id)
{
    uint16_t row;

    index_need();
    row = row_by_id(id);
    return row ? &labels[row - 1] : NULL;
}

const struct label *label_at(size_t i)
{
    return i < LABELS ? &labels[i] : NULL;
}

/* ---- texts ---- */

const char *label_id(const struct label *l)
{
    return l->id;
}

const char *label_text(const struct label *l, enum label_language lang)
{
    const char *text = lang == LABELS_EN ? l->en : l->zh;

    return text ? text : l->id;
}

bool label_bare(const struct label *l)
{
    return l->bare;
}

bool label_is_other(const struct label *l)
{
    return !l->zh;
}

/* What a `*.other` item does, by its type; the last row takes every other type. */
static const struct {
    const char *type, *zh, *en;
} deeds[] = {
    {"get", "请求", "asks for"},
    {"set", "设置", "sets"},
    {"result", "返回", "returns"},
    {"error", "报告错误", "reports an error about"},
    {NULL, "发送", "sends"},
};

const char *label_other_text(const struct label *l, enum dir dir, const char *type, const char *ns,
                             enum label_language lang, char *out, size_t size)
{
    const char *who = dir == DIR_C2S ? "client" : "server";
    const char *kind_end = strchr(l->id, '.');
    int kind_len = (int)(kind_end ? kind_end - l->id : (long)strlen(l->id));
    bool has_type = type && *type, has_ns = ns && *ns;
    size_t i = 0;

    while (deeds[i].type && (!has_type || strcmp(deeds[i].type, type) != 0))
        i++;
    snprintf(out, size, "%s%s%s%s%.*s%s%s%s%s", who, lang == LABELS_EN ? " " : "",
             lang == LABELS_EN ? deeds[i].en : deeds[i].zh, " ", kind_len, l->id,
             has_type ? " " : "", has_type ? type : "", has_ns ? " " : "", has_ns ? ns : "");
    return out;
}

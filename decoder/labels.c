#include "labels.h"

#include <stdio.h>
#include <string.h>

#define NS_STREAMS "http://etherx.jabber.org/streams"
#define NS_TLS     "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL    "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_BIND    "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_SESSION "urn:ietf:params:xml:ns:xmpp-session"
#define NS_CLIENT  "jabber:client"

enum label_when { ALWAYS, FIRST, BROADCAST, SELF };
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
    const char *answers; /* the request's id; the other columns are then NULL */
    bool bare;
    const char *zh, *en;
};

static const char HEADER[] = "header", CLOSE[] = "close";

#define ROW(id, dir, phase, element, type, payload, inner, when, answers, bare, zh, en)            \
    {id, dir, PHASE_##phase, element, type, payload, inner, when, answers, bare, zh, en},
#define LABEL(id, dir, phase, element, type, payload, inner, when, zh, en)                         \
    ROW(id, dir, phase, element, type, payload, inner, when, NULL, false, zh, en)
#define BARE(id, dir, phase, element, type, payload, inner, when, zh, en)                          \
    ROW(id, dir, phase, element, type, payload, inner, when, NULL, true, zh, en)
#define ANSWER(id, dir, request, type, zh, en)                                                     \
    ROW(id, dir, ANY, "iq", type, NULL, NULL, ALWAYS, request, false, zh, en)
#define BARE_ANSWER(id, dir, request, type, zh, en)                                                \
    ROW(id, dir, ANY, "iq", type, NULL, NULL, ALWAYS, request, true, zh, en)

static const struct label labels[] = {
#include "labels.def"
};

#define LABELS (sizeof labels / sizeof *labels)

/* ---- matching ---- */

/* `pattern`: "NAMESPACE name", "NAMESPACE" or, where a bare word is meant, see labels.def. */
static bool node_matches(const struct node *n, const char *pattern)
{
    const char *space = strchr(pattern, ' ');
    size_t ns_len = space ? (size_t)(space - pattern) : strlen(pattern);

    return strlen(n->ns) == ns_len && memcmp(n->ns, pattern, ns_len) == 0 &&
           (!space || strcmp(n->name, space + 1) == 0);
}

static bool any_matches(const struct item *it, unsigned depth, const char *pattern)
{
    for (unsigned i = 1; i < it->nodes; i++)
        if (it->node[i].depth == depth && node_matches(&it->node[i], pattern))
            return true;
    return false;
}

static bool element_matches(const struct item *it, const char *element)
{
    const struct node *top = &it->node[0];

    if (!element)
        return true;
    if (element == HEADER)
        return node_matches(top, NS_STREAMS " features");
    if (element == CLOSE)
        return false;
    if (strchr(element, ' '))
        return node_matches(top, element);
    return strcmp(top->ns, NS_CLIENT) == 0 && strcmp(top->name, element) == 0;
}

static bool type_matches(const struct item *it, const char *want)
{
    const char *type;

    if (!want)
        return true;
    type = item_attr(it, 0, "type");
    if (!type || !*type)
        type = strcmp(it->node[0].name, "message") == 0 ? "normal" : "";
    return strcmp(type, want) == 0;
}

static bool from_account(const struct item *it, const char *account)
{
    const char *from = item_attr(it, 0, "from");
    size_t n;

    if (!from || !account || !*account)
        return false;
    n = strlen(account);
    return strncmp(from, account, n) == 0 && (from[n] == '\0' || from[n] == '/');
}

static bool when_matches(const struct item *it, enum label_when when, const char *account)
{
    switch (when) {
    case ALWAYS:
        return true;
    case FIRST:
        return false; /* headers only: label_for_header() */
    case BROADCAST:
        return !item_attr(it, 0, "to");
    case SELF:
        return from_account(it, account);
    }
    return false;
}

static bool matches(const struct label *l, const struct item *it, enum dir dir,
                    enum label_phase phase, const char *answers, const char *account)
{
    if (!(l->dirs & 1u << dir) || !(l->phases & phase) || !element_matches(it, l->element) ||
        !type_matches(it, l->type))
        return false;
    if (l->answers)
        return answers && strcmp(l->answers, answers) == 0;
    return (!l->payload || any_matches(it, 2, l->payload)) &&
           (!l->inner || any_matches(it, 3, l->inner)) && when_matches(it, l->when, account);
}

const struct label *label_for(const struct item *it, enum dir dir, enum label_phase phase,
                              const char *answers, const char *account)
{
    for (size_t i = 0; i < LABELS; i++)
        if (matches(&labels[i], it, dir, phase, answers, account))
            return &labels[i];
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
    for (size_t i = 0; i < LABELS; i++)
        if (strcmp(labels[i].id, id) == 0)
            return &labels[i];
    return NULL;
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

#include "even.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../../decoder/jid.h"

#define NS_STANZAS "urn:ietf:params:xml:ns:xmpp-stanzas"
#define NS_STREAMS "urn:ietf:params:xml:ns:xmpp-streams"
#define NS_XML     "http://www.w3.org/XML/1998/namespace"
#define FNV_BASIS  0xcbf29ce484222325u
#define FNV_PRIME  0x100000001b3u

/* ---- attributes ---- */

enum how {
    HOW_ID,     /* one that somebody made up */
    HOW_NEVER,  /* not compared at all */
    HOW_ALWAYS, /* that it is there counts, what it is does not */
    HOW_FROM    /* not compared where it is us or our server, who need not say so (RFC 6120
                 * §8.1.2.1) */
};

static const struct rule {
    const char *ns, *element; /* NULL: any; of a stanza: STANZA */
    const char *attr;
    enum how how;
} rules[] = {
#define STANZA "\2"
    {NULL, STANZA, "id", HOW_NEVER},
    {NULL, STANZA, "to", HOW_NEVER},
    {NULL, STANZA, "from", HOW_FROM},
    {"urn:xmpp:sid:0", NULL, "id", HOW_ALWAYS},
    {"urn:xmpp:mam:2", "result", "id", HOW_ALWAYS},
    {"urn:xmpp:sm:3", "enabled", "id", HOW_ALWAYS},
    {"urn:xmpp:sm:3", "enabled", "location", HOW_NEVER},
    {"urn:xmpp:sm:3", NULL, "h", HOW_ALWAYS},
    {"urn:xmpp:sm:2", "enabled", "id", HOW_ALWAYS},
    {"urn:xmpp:sm:2", NULL, "h", HOW_ALWAYS},
    {"jabber:iq:last", "query", "seconds", HOW_ALWAYS},
    {NULL, NULL, "ver", HOW_ALWAYS},
    {NULL, NULL, "stamp", HOW_ALWAYS},
    {NULL, NULL, "id", HOW_ID},
};

static bool is_stanza(const struct tree *t, uint32_t node)
{
    return node == 0 && (tree_is(t, 0, NULL, "iq") || tree_is(t, 0, NULL, "message") ||
                         tree_is(t, 0, NULL, "presence"));
}

static const struct rule *rule_of(const struct tree *t, uint32_t node, const char *attr)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct rule *r = &rules[i];

        if (strcmp(r->attr, attr) != 0 || (r->ns && !tree_is(t, node, r->ns, NULL)))
            continue;
        if (!r->element || (strcmp(r->element, STANZA) == 0 ? is_stanza(t, node)
                                                            : tree_is(t, node, NULL, r->element)))
            return r;
    }
    return NULL;
}

/* An id that says something is a name, an address, a node; one that was made up has digits and is
 * long. */
static bool is_made_up(const char *id)
{
    return strlen(id) >= 8 && strpbrk(id, "0123456789") && !strpbrk(id, "@./ ");
}

/* 2026-11-26T17:54:10Z (XEP-0082), 20261126T17:54:10 (XEP-0091). */
static bool is_time(const char *s)
{
    static const char *const forms[] = {"dddd-dd-ddTdd:dd:dd", "ddddddddTdd:dd:dd"};

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const char *f = forms[i], *p = s;

        while (*f && (*f == 'd' ? isdigit((unsigned char)*p) : *f == *p)) {
            f++;
            p++;
        }
        if (!*f && strspn(p, "0123456789.:+-Z") == strlen(p))
            return true;
    }
    return false;
}

static const char *even_value(struct tree *t, const struct names *whose, const char *value)
{
    const char *even = NULL;
    struct buf b;

    if (is_time(value))
        return "{time}";
    buf_init(&b, 4 * NAMES_JID_MAX);
    if (names_translate(whose, &names_even, true, value, &b))
        even = tree_keep(t, b.p, b.len);
    buf_free(&b);
    return even ? even : value;
}

/* Is it of no account, whatever it says? Servers say their language or do not (RFC 6120 §4.7.4). */
static bool is_left_out(const struct tree_attr *a, const struct rule *r, const struct names *whose)
{
    if (strcmp(a->ns, NS_XML) == 0 && strcmp(a->name, "lang") == 0)
        return true;
    return r && (r->how == HOW_NEVER || (r->how == HOW_FROM && names_own(whose, a->value)));
}

static void even_attr(struct tree *t, uint32_t node, struct tree_attr *a, const struct names *whose)
{
    const struct rule *r = *a->ns ? NULL : rule_of(t, node, a->name);

    if (is_left_out(a, r, whose))
        a->even = NULL;
    else if (r && (r->how == HOW_ALWAYS || (r->how == HOW_ID && is_made_up(a->value))))
        a->even = "{any}";
    else
        a->even = even_value(t, whose, a->value);
}

/* ---- hashes ---- */

static uint64_t mix(uint64_t hash, const char *s)
{
    do
        hash = (hash ^ (unsigned char)*s) * FNV_PRIME;
    while (*s++);
    return hash;
}

static uint64_t stir(uint64_t x) /* the finalizer of MurmurHash3: sums of these do not cancel out */
{
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdu;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53u;
    return x ^ (x >> 33);
}

/* Of the node alone; attributes in any order. */
static uint64_t hash_own(const struct tree *t, const struct tree_node *x)
{
    uint64_t sum = 0;

    if (!x->name)
        return mix(FNV_BASIS, x->even);
    for (uint32_t i = 0; i < x->attrs; i++) {
        const struct tree_attr *a = &t->attr[x->attr + i];

        if (a->even)
            sum += stir(mix(mix(mix(FNV_BASIS, a->ns), a->name), a->even));
    }
    return mix(mix(FNV_BASIS + 1, x->ns), x->name) + sum;
}

/* Words for people, which each server puts as it likes. */
static bool is_words(const struct tree *t, uint32_t node)
{
    return tree_is(t, node, NS_STANZAS, "text") || tree_is(t, node, NS_STREAMS, "text");
}

/* Children stand behind their parents, so from the end on each has its hash when its parent needs
 * it. They may come in any order. */
void even_tree(struct tree *t, const struct names *whose)
{
    for (uint32_t i = 0; i < t->nodes; i++) {
        struct tree_node *x = &t->node[i];

        x->ignored = is_words(t, i) || (x->parent != TREE_NONE && t->node[x->parent].ignored);
        if (!x->name)
            x->even = even_value(t, whose, x->text);
        for (uint32_t a = 0; a < x->attrs; a++)
            even_attr(t, i, &t->attr[x->attr + a], whose);
        x->hash = hash_own(t, x);
    }
    for (uint32_t i = t->nodes; i-- > 1;)
        if (!t->node[i].ignored)
            t->node[t->node[i].parent].hash += stir(t->node[i].hash);
}

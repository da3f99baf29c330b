/* What SASL2 puts around its messages: XEP-0388, XEP-0386, XEP-0480, XEP-0484, XEP-0198. */
#include "sasl_message.h"

#include <stdio.h>
#include <string.h>

#define NS_SASL2   "urn:xmpp:sasl:2"
#define NS_BIND2   "urn:xmpp:bind:0"
#define NS_FAST    "urn:xmpp:fast:0"
#define NS_UPGRADE "urn:xmpp:sasl:upgrade:0"
#define NS_SCRAM   "urn:xmpp:scram-upgrade:0"

/* Facts from an element inside: its text, or an attribute's value. */
static const struct {
    unsigned depth;
    const char *ns, *name;
    const char *attr; /* NULL: the text */
    const char *fact;
} rows[] = {
    {2, NS_SASL2, "user-agent", "id", "client-id"},
    {3, NS_SASL2, "software", NULL, "client-software"},
    {3, NS_SASL2, "device", NULL, "client-device"},
    {3, NS_BIND2, "tag", NULL, "bind-tag"},
    {2, NS_FAST, "request-token", "mechanism", "request-token"},
    {2, NS_FAST, "fast", "count", "fast-count"},
    {2, NS_FAST, "fast", "invalidate", "fast-invalidate"},
    {2, NS_FAST, "token", "expiry", "token-expiry"},
    {2, NS_SASL2, "authorization-identifier", NULL, "authorization-id"},
    {2, NS_SCRAM, "salt", NULL, "salt"},
    {2, NS_SCRAM, "salt", "iterations", "iterations"},
};

struct list {
    char text[FACT_VALUE_MAX];
    size_t n;
};

static void list_add(struct list *l, const char *word)
{
    int n = snprintf(l->text + l->n, sizeof l->text - l->n, "%s%s", l->n ? " " : "", word);

    if (n > 0)
        l->n += (size_t)n < sizeof l->text - l->n ? (size_t)n : sizeof l->text - l->n - 1;
}

/* One fact of the texts of all such elements. */
static void add_texts(const struct item *it, unsigned depth, const char *ns, const char *name,
                      const char *fact, struct fact_list *facts)
{
    struct list l = {.n = 0};

    for (unsigned i = 1; i < it->nodes; i++)
        if (it->node[i].depth == depth && item_is(it, i, ns, name))
            list_add(&l, it->node[i].text);
    fact_add(facts, fact, l.text);
}

/* Which requests, or answers to them, came along: `bind`, `fast`, `resume` ... and what is inside
 * of a bind, as `bind/enable`. */
static void add_inline(const struct item *it, struct fact_list *facts)
{
    char within[128];
    struct list l = {.n = 0};
    bool bind = false;

    for (unsigned i = 1; i < it->nodes; i++) {
        const struct node *n = &it->node[i];

        if (n->depth == 2) {
            bind = strcmp(n->ns, NS_BIND2) == 0;
            if (strcmp(n->ns, NS_SASL2) != 0)
                list_add(&l, n->name);
        } else if (n->depth == 3 && bind && strcmp(n->ns, NS_BIND2) != 0) {
            snprintf(within, sizeof within, "bind/%s", n->name);
            list_add(&l, within);
        }
    }
    fact_add(facts, "inline", l.text);
}

/* Of a task's data only SCRAM's salt is known to be no secret. */
static void show_salt(const struct item *it, struct secrets *secrets)
{
    if (secrets && it->nodes == 2 && item_is(it, 0, NS_SASL2, "task-data") &&
        it->node[0].text_len == 0 && item_is(it, 1, NS_SCRAM, "salt"))
        secrets->shown = (struct range){it->node[0].inner, it->node[0].inner_end};
}

void sasl2_describe(const struct item *it, struct fact_list *facts, struct secrets *secrets)
{
    bool holds = item_is(it, 0, NS_SASL2, "authenticate") || item_is(it, 0, NS_SASL2, "success");

    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        int i = item_find(it, rows[k].depth, rows[k].ns, rows[k].name);

        if (i >= 0)
            fact_add(facts, rows[k].fact,
                     rows[k].attr ? item_attr(it, (unsigned)i, rows[k].attr) : it->node[i].text);
    }
    add_texts(it, 2, NS_UPGRADE, "upgrade", "upgrade", facts);
    add_texts(it, 3, NS_SASL2, "task", "tasks", facts);
    if (item_is(it, 0, NS_SASL2, "next"))
        fact_add(facts, "task", item_attr(it, 0, "task"));
    if (item_find(it, 2, NS_SCRAM, "hash") >= 0)
        fact_add(facts, "salted-password", "present");
    if (holds)
        add_inline(it, facts);
    show_salt(it, secrets);
}

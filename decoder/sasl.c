#include "sasl.h"

#include <stdio.h>
#include <string.h>

#include "sasl_message.h"

#define NS_SASL     "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL2    "urn:xmpp:sasl:2"
#define NS_AUTH     "jabber:iq:auth"
#define MESSAGE_MAX 3072 /* what the reader keeps of a text, decoded */

/* ---- base64 ---- */

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *d = c ? memchr(digits, c, sizeof digits - 1) : NULL;

    return d ? (int)(d - digits) : -1;
}

long sasl_base64(const char *text, size_t n, char *out, size_t size)
{
    unsigned acc = 0, bits = 0;
    size_t len = 0;

    if (n % 4)
        return -1;
    for (size_t i = 0; i < n; i++) {
        int d = base64_digit(text[i]);

        if (d < 0) {
            if (text[i] != '=' || n - i > 2 || (n - i == 2 && text[i + 1] != '='))
                return -1;
            break;
        }
        acc = (acc << 6 | (unsigned)d) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            if (len == size)
                return -1;
            out[len++] = (char)(acc >> bits & 0xff);
        }
    }
    return (long)len;
}

/* ---- which mechanism ---- */

/* A name that ends in `-` is a family's. The first row that fits counts. */
static const struct {
    const char *name;
    sasl_reader *read;
} mechanisms[] = {
    {"SCRAM-", sasl_scram},       {"PLAIN", sasl_plain},         {"LOGIN", sasl_login},
    {"ANONYMOUS", sasl_anonymous}, {"EXTERNAL", sasl_external},  {"DIGEST-MD5", sasl_digest},
    {"CRAM-MD5", sasl_cram},      {"OAUTHBEARER", sasl_oauth},   {"OAUTH10A", sasl_oauth},
    {"X-OAUTH2", sasl_plain},     {"X-GOOGLE-TOKEN", sasl_plain}, {"HT-", sasl_token},
};

static sasl_reader *reader_of(const char *mechanism)
{
    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++) {
        const char *name = mechanisms[i].name;
        size_t len = strlen(name);

        if (strncmp(mechanism, name, len) == 0 && (name[len - 1] == '-' || !mechanism[len]))
            return mechanisms[i].read;
    }
    return sasl_opaque;
}

/* ---- which message ---- */

static const struct element {
    const char *ns, *name;
    enum dir dir;
    const char *child; /* whose text is the message; NULL: the element's own */
    bool begins;       /* an exchange, and names the mechanism */
} elements[] = {
    {NS_SASL, "auth", DIR_C2S, NULL, true},
    {NS_SASL, "challenge", DIR_S2C, NULL, false},
    {NS_SASL, "response", DIR_C2S, NULL, false},
    {NS_SASL, "success", DIR_S2C, NULL, false},
    {NS_SASL2, "authenticate", DIR_C2S, "initial-response", true},
    {NS_SASL2, "challenge", DIR_S2C, NULL, false},
    {NS_SASL2, "response", DIR_C2S, NULL, false},
    {NS_SASL2, "success", DIR_S2C, "additional-data", false},
    {NS_SASL2, "continue", DIR_S2C, "additional-data", false},
};

static const struct element *element_of(const struct item *it, enum dir dir)
{
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (elements[i].dir == dir && item_is(it, 0, elements[i].ns, elements[i].name))
            return &elements[i];
    return NULL;
}

static void begin(struct sasl *s, const char *mechanism, struct fact_list *facts)
{
    sasl_init(s);
    if (!mechanism || !*mechanism) {
        fact_add(facts, "malformed", "it names no mechanism");
        return;
    }
    snprintf(s->mechanism, sizeof s->mechanism, "%s", mechanism);
    fact_add(facts, "mechanism", mechanism);
}

/* Decodes the text of element `node` and has it read. */
static void read_message(struct sasl_message *m, const struct item *it, unsigned node, bool first)
{
    const struct node *at = &it->node[node];
    char text[MESSAGE_MAX + 1];
    bool inside = node + 1 < it->nodes && it->node[node + 1].depth > at->depth, shown;
    bool none = at->text_len == 1 && *at->text == '='; /* RFC 6120 §6.4.2: an empty one */
    long n = none ? 0 : sasl_base64(at->text, at->text_len, text, MESSAGE_MAX);

    if (first && (none || at->inner == at->inner_end))
        fact_add(m->facts, "initial-response", none ? "empty" : "none");
    if (m->dir == DIR_C2S && !first && m->s->said == 0 && n > 0)
        fact_add(m->facts, "mechanism", m->s->mechanism);
    if (inside || at->text_cut || n < 0) {
        sasl_malformed(m, inside         ? "elements in it"
                          : at->text_cut ? "too long to read"
                                         : "not base64");
        return;
    }
    text[n] = '\0';
    m->p = text;
    m->n = (size_t)n;
    shown = n == 0 || reader_of(m->s->mechanism)(m);
    if (shown && m->secrets && !secrets_hold(m->secrets, text, (size_t)n))
        m->secrets->shown = (struct range){at->inner, at->inner_end};
    if (m->dir == DIR_C2S && n > 0)
        m->s->said++;
    explicit_bzero(text, sizeof text);
}

static void exchange(struct sasl *s, const struct item *it, enum dir dir, struct fact_list *facts,
                     struct secrets *secrets)
{
    const struct element *e = element_of(it, dir);
    struct sasl_message m = {.dir = dir, .s = s, .facts = facts, .secrets = secrets};
    int node;

    if (e && e->begins)
        begin(s, item_attr(it, 0, "mechanism"), facts);
    if (e) {
        node = e->child ? item_find(it, 2, e->ns, e->child) : 0;
        if (node >= 0)
            read_message(&m, it, (unsigned)node, e->begins);
        else if (e->begins)
            fact_add(facts, "initial-response", "none");
    }
    if (strcmp(it->node[0].ns, NS_SASL2) != 0)
        return;
    sasl2_describe(it, facts, secrets);
    node = item_find(it, 2, NS_SASL2, "authorization-identifier");
    if (node >= 0 && dir == DIR_S2C) /* what the server made of the name */
        snprintf(s->user, sizeof s->user, "%.*s", (int)strcspn(it->node[node].text, "/"),
                 it->node[node].text);
}

/* ---- before SASL (XEP-0078) ---- */

static void legacy(struct sasl *s, const struct item *it, enum dir dir, struct fact_list *facts)
{
    int user = item_find(it, 3, NS_AUTH, "username");
    int resource = item_find(it, 3, NS_AUTH, "resource");
    bool digest = item_find(it, 3, NS_AUTH, "digest") >= 0;
    const char *type = item_attr(it, 0, "type");

    if (dir != DIR_C2S || !type)
        return;
    if (strcmp(type, "set") == 0) {
        sasl_init(s);
        snprintf(s->mechanism, sizeof s->mechanism, "iq-auth");
        fact_add(facts, "mechanism", digest ? "iq-auth-digest" : "iq-auth-plain");
        if (user >= 0)
            snprintf(s->user, sizeof s->user, "%s", it->node[user].text);
    }
    if (user >= 0)
        fact_add(facts, "user", it->node[user].text);
    if (resource >= 0)
        fact_add(facts, "resource", it->node[resource].text);
}

/* ---- the interface ---- */

void sasl_init(struct sasl *s)
{
    *s = (struct sasl){0};
}

void sasl_item(struct sasl *s, const struct item *it, enum dir dir, struct fact_list *facts,
               struct secrets *secrets)
{
    const char *ns = it->node[0].ns;

    if (secrets)
        secrets->shown = (struct range){0, 0};
    if (strcmp(ns, NS_SASL) == 0 || strcmp(ns, NS_SASL2) == 0)
        exchange(s, it, dir, facts, secrets);
    else if (it->nodes > 1 && strcmp(it->node[1].ns, NS_AUTH) == 0)
        legacy(s, it, dir, facts);
}

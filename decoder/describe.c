#include "describe.h"

#include <stdio.h>
#include <string.h>

#define NS_STREAMS   "http://etherx.jabber.org/streams"
#define NS_CLIENT    "jabber:client"
#define NS_TLS       "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL      "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL2     "urn:xmpp:sasl:2"
#define NS_BIND      "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_SESSION   "urn:ietf:params:xml:ns:xmpp-session"
#define NS_COMPRESS  "http://jabber.org/protocol/compress"
#define NS_FEATURE_Z "http://jabber.org/features/compress"
#define NS_SM        "urn:xmpp:sm:3"
#define LIST_MAX     (FACT_VALUE_MAX + 1)

/* ---- stream headers ---- */

/* The value of ` name=` in the bytes of a tag or declaration, which expat has found well-formed;
 * false if there is none. */
static bool raw_attr(const char *p, size_t n, const char *name, char *out, size_t size)
{
    size_t len = strlen(name);
    const char *end = p + n, *q;

    for (; (q = memmem(p, (size_t)(end - p), name, len)) != NULL; p = q + len) {
        const char *v = q + len, *close;

        while (v < end && strchr(" \t\r\n", *v))
            v++;
        if (v == end || *v++ != '=' || !strchr(" \t\r\n", q[-1]))
            continue;
        while (v < end && strchr(" \t\r\n", *v))
            v++;
        close = v < end ? memchr(v + 1, *v, (size_t)(end - v - 1)) : NULL;
        if (!close)
            return false;
        snprintf(out, size, "%.*s", (int)(close - v - 1), v + 1);
        return true;
    }
    return false;
}

/* What stands before the root tag, and the namespace that stanzas are in (RFC 6120 §4.8.2, §11.6). */
static void describe_bytes(const struct item *it, struct fact_list *remarks)
{
    static const char mark[] = "\xef\xbb\xbf";
    const char *tag = it->p + it->node[0].start;
    char value[128];

    if (it->len > sizeof mark && memcmp(it->p, mark, sizeof mark - 1) == 0)
        remark_add(remarks, REMARK_BOM);
    if (raw_attr(it->p, it->node[0].start, "encoding", value, sizeof value) &&
        strcasecmp(value, "UTF-8") != 0)
        remark_add(remarks, REMARK_ENCODING, value);
    if (!raw_attr(tag, it->node[0].inner - it->node[0].start, "xmlns", value, sizeof value))
        value[0] = '\0';
    if (strcmp(value, NS_CLIENT) != 0)
        remark_add(remarks, REMARK_CONTENT_NAMESPACE, value);
}

void describe_header(const struct item *it, struct fact_list *facts, struct fact_list *remarks)
{
    static const char *const names[] = {"to", "from", "id", "version"};
    const struct node *root = &it->node[0];
    const char *version = item_attr(it, 0, "version");

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        fact_add(facts, names[i], item_attr(it, 0, names[i]));
    if (!item_is(it, 0, NS_STREAMS, "stream"))
        remark_add(remarks, REMARK_STREAM_NAMESPACE, root->ns, root->name);
    describe_bytes(it, remarks);
    if (!version)
        remark_add(remarks, REMARK_NO_VERSION);
    else if (strncmp(version, "1.", 2) != 0)
        remark_add(remarks, REMARK_VERSION, version);
}

/* ---- lists of names in one fact ---- */

struct list {
    char text[LIST_MAX];
    size_t len;
};

static void list_add(struct list *l, const char *word)
{
    int n = snprintf(l->text + l->len, sizeof l->text - l->len, "%s%s", l->len ? " " : "", word);

    if (n > 0)
        l->len += (size_t)n < sizeof l->text - l->len ? (size_t)n : sizeof l->text - l->len - 1;
}

/* ---- features (RFC 6120 §4.3.2) ---- */

static bool has_child(const struct item *it, unsigned parent, const char *name)
{
    for (unsigned i = parent + 1; i < it->nodes && it->node[i].depth > it->node[parent].depth; i++)
        if (it->node[i].depth == it->node[parent].depth + 1 && strcmp(it->node[i].name, name) == 0)
            return true;
    return false;
}

/* What the texts of {any}`name` inside element `parent` say, as one list. */
static void add_texts(const struct item *it, unsigned parent, const char *name, const char *fact,
                      struct fact_list *facts)
{
    struct list l = {.len = 0};

    for (unsigned i = parent + 1; i < it->nodes && it->node[i].depth > it->node[parent].depth; i++)
        if (strcmp(it->node[i].name, name) == 0)
            list_add(&l, it->node[i].text);
    if (l.len)
        fact_add(facts, fact, l.text);
}

/* XEP-0440: what a channel binding's name stands in is an attribute. */
static void add_bindings(const struct item *it, unsigned parent, struct fact_list *facts)
{
    struct list l = {.len = 0};

    for (unsigned i = parent + 1; i < it->nodes && it->node[i].depth > it->node[parent].depth; i++) {
        const char *type = item_attr(it, i, "type");

        if (type && strcmp(it->node[i].name, "channel-binding") == 0)
            list_add(&l, type);
    }
    if (l.len)
        fact_add(facts, "cb-types", l.text);
}

/* How a feature is told: by the texts of its children, or that it is there and must be taken. */
static const struct feature {
    const char *ns, *name;
    const char *fact;
    const char *texts; /* children whose texts make the fact; NULL: "required" or "offered" */
} features[] = {
    {NS_TLS, "starttls", "starttls", NULL},
    {NS_SASL, "mechanisms", "mechanisms", "mechanism"},
    {NS_SASL2, "authentication", "sasl2-mechanisms", "mechanism"},
    {NS_FEATURE_Z, "compression", "compression", "method"},
    {NS_BIND, "bind", "bind", NULL},
    {NS_SESSION, "session", "session", NULL},
    {NS_SM, "sm", "stream-management", NULL},
    {"http://jabber.org/features/iq-auth", "auth", "iq-auth", NULL},
    {"http://jabber.org/features/iq-register", "register", "register", NULL},
};

static const struct feature *feature_of(const struct item *it, unsigned node)
{
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        if (item_is(it, node, features[i].ns, features[i].name))
            return &features[i];
    return NULL;
}

static void describe_features(const struct item *it, struct fact_list *facts)
{
    struct list others = {.len = 0};

    for (unsigned i = 1; i < it->nodes; i++) {
        const struct feature *f;

        if (it->node[i].depth != 2)
            continue;
        f = feature_of(it, i);
        if (strcmp(it->node[i].name, "sasl-channel-binding") == 0)
            add_bindings(it, i, facts);
        else if (!f)
            list_add(&others, it->node[i].name);
        else if (f->texts)
            add_texts(it, i, f->texts, f->fact, facts);
        else /* RFC 3921 §3's session is needed unless it says <optional/> */
            fact_add(facts, f->fact,
                     has_child(it, i, "required") ? "required"
                     : has_child(it, i, "optional") ? "optional"
                                                    : "offered");
    }
    if (others.len)
        fact_add(facts, "features", others.text);
}

/* ---- errors and failures ---- */

/* The children of an error element: <text/>, and the condition, which is the first other one; one
 * in another namespace than the first is the application's own. */
static void describe_error(const struct item *it, unsigned error, struct fact_list *facts)
{
    const char *condition = NULL, *ns = NULL, *own = NULL, *text = NULL;

    for (unsigned i = error + 1; i < it->nodes && it->node[i].depth > it->node[error].depth; i++) {
        const struct node *n = &it->node[i];

        if (n->depth != it->node[error].depth + 1)
            continue;
        if (strcmp(n->name, "text") == 0) {
            text = n->text;
        } else if (!condition) {
            condition = n->name;
            ns = n->ns;
            if (n->text_len) /* <see-other-host/> and <gone/> say where */
                fact_add_bytes(facts, "address", n->text, n->text_len);
        } else if (!own && strcmp(n->ns, ns) != 0) {
            own = n->name;
        }
    }
    fact_add(facts, "condition", condition);
    fact_add(facts, "own-condition", own);
    fact_add(facts, "text", text);
}

static void describe_stanza_error(const struct item *it, struct fact_list *facts)
{
    int i = item_find(it, 2, NS_CLIENT, "error");

    if (i < 0)
        return;
    fact_add(facts, "error-type", item_attr(it, (unsigned)i, "type"));
    fact_add(facts, "by", item_attr(it, (unsigned)i, "by"));
    describe_error(it, (unsigned)i, facts);
}

/* ---- binding (RFC 6120 §7) ---- */

static void describe_bind(const struct item *it, struct fact_list *facts)
{
    static const struct {
        const char *name, *fact;
    } parts[] = {{"resource", "resource"}, {"jid", "jid"}};

    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        int i = item_find(it, 3, NS_BIND, parts[k].name);

        if (i >= 0)
            fact_add(facts, parts[k].fact, it->node[i].text);
    }
}

/* ---- the table ---- */

static const struct {
    const char *ns, *name;
    bool features; /* else an error, whose children tell */
} tops[] = {
    {NS_STREAMS, "features", true}, {NS_STREAMS, "error", false},    {NS_SASL, "failure", false},
    {NS_SASL2, "failure", false},   {NS_COMPRESS, "failure", false}, {NS_TLS, "failure", false},
    {NS_SM, "failed", false},
};

void describe_item(const struct item *it, struct fact_list *facts)
{
    const char *type;

    if (strcmp(it->node[0].ns, NS_CLIENT) == 0) {
        type = item_attr(it, 0, "type");
        if (type && strcmp(type, "error") == 0)
            describe_stanza_error(it, facts);
        else if (it->nodes > 1 && strcmp(it->node[1].ns, NS_BIND) == 0)
            describe_bind(it, facts);
        return;
    }
    for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
        if (!item_is(it, 0, tops[i].ns, tops[i].name))
            continue;
        if (tops[i].features)
            describe_features(it, facts);
        else
            describe_error(it, 0, facts);
    }
}

/* ---- no stream ---- */

const char *describe_no_stream(char first)
{
    /* RFC 8446 §5.1; the methods of HTTP, and the H of its answers. */
    if (first == 0x16)
        return "it begins as a TLS handshake does";
    if (first == 0x15)
        return "it begins as a TLS alert does";
    if (first && strchr("CDGHOPT", first))
        return "it begins with a letter, as HTTP does";
    return "";
}

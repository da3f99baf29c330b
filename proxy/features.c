#include "features.h"

#include <stdio.h>
#include <string.h>

#define NS_TLS      "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL     "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL2    "urn:xmpp:sasl:2"
#define NS_FAST     "urn:xmpp:fast:0"
#define NS_BINDING  "urn:xmpp:sasl-cb:0"
#define NS_COMPRESS "http://jabber.org/features/compress"

#define FEATURES_BYTES (512u << 10) /* more than a gate's item with what may be put in */
#define END_POINT "tls-server-end-point"

/* What one edit has done so far. */
struct work {
    struct features_edit *fe;
    const struct item *it;
    unsigned wishes;
    bool end_point;          /* tls-server-end-point stays */
    size_t at;               /* bytes of the item that are done */
    unsigned mechanisms, mechanisms_gone;
    unsigned said;           /* wishes whose reason stands in fe->reason */
};

/* ---- what is unwanted ---- */

static bool begins(const char *s, size_t n, const char *what)
{
    return n >= strlen(what) && memcmp(s, what, strlen(what)) == 0;
}

static bool ends(const char *s, size_t n, const char *what)
{
    return n >= strlen(what) && memcmp(s + n - strlen(what), what, strlen(what)) == 0;
}

/* Its name without the white space around, which clients pass over. */
static const char *name_of(const struct node *node, size_t *n)
{
    const char *s = node->text + strspn(node->text, " \t\r\n");

    *n = strlen(s);
    while (*n && memchr(" \t\r\n", s[*n - 1], 4))
        (*n)--;
    return s;
}

/* SCRAM's and GS2's by their suffix (RFC 5801 §4); FAST's tokens by theirs, where NONE is bound to
 * nothing and ENDP to the server's certificate (XEP-0484 §4, the HT mechanisms). */
static bool binds(const struct work *w, const struct node *node)
{
    size_t n;
    const char *s = name_of(node, &n);

    if (begins(s, n, "HT-"))
        return ends(s, n, "-UNIQ") || ends(s, n, "-EXPR") ||
               (ends(s, n, "-ENDP") && !w->end_point);
    return ends(s, n, "-PLUS") && !w->end_point;
}

static bool lists_bindings(const struct work *w, const struct node *node)
{
    (void)node;
    return !w->end_point;
}

static bool other_binding(const struct work *w, const struct node *node)
{
    const char *type = item_attr(w->it, (unsigned)(node - w->it->node), "type");

    return !type || strcmp(type, END_POINT) != 0;
}

/* What a wish takes out: elements of this name that it holds for (NULL: any). */
static const struct unwanted {
    unsigned wish;
    const char *ns, *name;
    bool (*is)(const struct work *w, const struct node *node);
} unwanted[] = {
    {FEATURES_NO_BINDING, NS_SASL, "mechanism", binds},
    {FEATURES_NO_BINDING, NS_SASL2, "mechanism", binds},
    {FEATURES_NO_BINDING, NS_FAST, "mechanism", binds},
    {FEATURES_NO_BINDING, NS_BINDING, "sasl-channel-binding", lists_bindings},
    {FEATURES_NO_BINDING, NS_BINDING, "channel-binding", other_binding},
    {FEATURES_NO_COMPRESSION, NS_COMPRESS, "compression", NULL},
    {FEATURES_NO_STARTTLS, NS_TLS, "starttls", NULL},
};

static const struct unwanted *is_unwanted(const struct work *w, unsigned node)
{
    for (size_t i = 0; i < sizeof unwanted / sizeof *unwanted; i++) {
        const struct unwanted *u = &unwanted[i];

        if ((w->wishes & u->wish) && item_is(w->it, node, u->ns, u->name) &&
            (!u->is || u->is(w, &w->it->node[node])))
            return u;
    }
    return NULL;
}

/* ---- the reason ---- */

static const struct {
    unsigned wish;
    const char *why; /* what was done follows it */
} whys[] = {
    {FEATURES_NO_BINDING,
     "channel binding ties a login to one TLS connection and there are two here, taken out:"},
    {FEATURES_NO_COMPRESSION, "no compression is asked for, taken out:"},
    {FEATURES_NO_STARTTLS, "no TLS with the client is asked for, taken out:"},
    {FEATURES_REQUIRE_STARTTLS, "TLS with the client is asked for, put in:"},
};

static void say(struct work *w, unsigned wish, const char *what, size_t n)
{
    char *reason = w->fe->reason;
    size_t room = sizeof w->fe->reason, len = strlen(reason);
    const char *why = "";

    for (size_t i = 0; i < sizeof whys / sizeof *whys; i++)
        if (whys[i].wish == wish)
            why = whys[i].why;
    if (w->said & wish)
        snprintf(reason + len, room - len, ", %.*s", (int)(n < 64 ? n : 64), what);
    else
        snprintf(reason + len, room - len, "%s%s %.*s", w->said ? "; " : "", why,
                 (int)(n < 64 ? n : 64), what);
    w->said |= wish;
    w->fe->changed = true;
}

static void say_gone(struct work *w, const struct unwanted *u, const struct node *node)
{
    const char *type = item_attr(w->it, (unsigned)(node - w->it->node), "type");
    const char *what = u->name;
    size_t n;

    if (strcmp(u->name, "mechanism") == 0)
        what = name_of(node, &n);
    else if (strcmp(u->name, "channel-binding") == 0 && type)
        n = strlen(what = type);
    else
        n = strlen(what);
    say(w, u->wish, what, n);
}

/* verdicts.def looks for these words, so they come in even where the reason is long. */
static void say_none_left(struct work *w)
{
    static const char words[] = "; no mechanism is left";
    char *reason = w->fe->reason;
    size_t len = strlen(reason), last = sizeof w->fe->reason - sizeof words;

    memcpy(reason + (len < last ? len : last), words, sizeof words);
}

/* ---- bytes ---- */

static int copy_to(struct work *w, size_t to)
{
    int err = buf_add(&w->fe->bytes, w->it->p + w->at, to - w->at);

    w->at = to;
    return err;
}

static int take_out(struct work *w, const struct node *node)
{
    int err = copy_to(w, node->start);

    w->at = node->end;
    return err;
}

/* The element's name as it stands there, and how much of it is prefix, colon and all. */
static size_t tag_name(const struct work *w, const struct node *node, size_t *prefix)
{
    const char *name = w->it->p + node->start + 1;
    size_t n = strcspn(name, " \t\r\n/>");
    const char *colon = memchr(name, ':', n);

    *prefix = colon ? (size_t)(colon - name) + 1 : 0;
    return n;
}

static int require(struct work *w, const struct node *node)
{
    const char *name = w->it->p + node->start + 1;
    size_t prefix, n = tag_name(w, node, &prefix);
    bool empty = node->inner == node->end; /* <starttls/> */
    int err = copy_to(w, node->inner - (empty ? 2 : 0));

    if (!err && empty)
        err = buf_str(&w->fe->bytes, ">");
    if (!err)
        err = buf_printf(&w->fe->bytes, "<%.*srequired/>", (int)prefix, name);
    if (!err && empty)
        err = buf_printf(&w->fe->bytes, "</%.*s>", (int)n, name);
    w->at = node->inner;
    return err;
}

/* ---- the edit ---- */

/* Is an element {ns}name inside element `node`? */
static bool holds(const struct item *it, unsigned node, const char *ns, const char *name)
{
    for (unsigned i = node + 1; i < it->nodes && it->node[i].start < it->node[node].end; i++)
        if (item_is(it, i, ns, name))
            return true;
    return false;
}

static bool lists_end_point(const struct item *it)
{
    for (unsigned i = 0; i < it->nodes; i++) {
        const char *type = item_attr(it, i, "type");

        if (type && strcmp(type, END_POINT) == 0 && item_is(it, i, NS_BINDING, "channel-binding"))
            return true;
    }
    return false;
}

static int edit_node(struct work *w, unsigned i)
{
    const struct node *node = &w->it->node[i];
    const struct unwanted *u = is_unwanted(w, i);
    bool mechanism = item_is(w->it, i, NS_SASL, "mechanism") ||
                     item_is(w->it, i, NS_SASL2, "mechanism");

    w->mechanisms += mechanism;
    if (u) {
        w->mechanisms_gone += mechanism;
        say_gone(w, u, node);
        return take_out(w, node);
    }
    if ((w->wishes & FEATURES_REQUIRE_STARTTLS) && item_is(w->it, i, NS_TLS, "starttls") &&
        !holds(w->it, i, NS_TLS, "required")) {
        say(w, FEATURES_REQUIRE_STARTTLS, "required", strlen("required"));
        return require(w, node);
    }
    return 0;
}

void features_edit_init(struct features_edit *fe)
{
    *fe = (struct features_edit){0};
    buf_init(&fe->bytes, FEATURES_BYTES);
}

void features_edit_free(struct features_edit *fe)
{
    buf_free(&fe->bytes);
}

int features_edit(struct features_edit *fe, const struct item *it, unsigned wishes)
{
    struct work w = {.fe = fe, .it = it, .wishes = wishes};
    int err = it->lacks ? ERR_CAP : 0;

    w.end_point = (wishes & FEATURES_END_POINT) && lists_end_point(it);
    for (unsigned i = 1; i < it->nodes && !err; i++)
        if (it->node[i].start >= w.at) /* not in what was taken out */
            err = edit_node(&w, i);
    if (err || !fe->changed)
        return err;
    if (w.mechanisms && w.mechanisms == w.mechanisms_gone)
        say_none_left(&w);
    return copy_to(&w, it->len);
}

#include "answers.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "markup.h"
#include "plain.h"

#define NS_CLIENT  "jabber:client"
#define NS_BIND    "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_SESSION "urn:ietf:params:xml:ns:xmpp-session"
#define NS_ROSTER  "jabber:iq:roster"
#define NS_PRIVACY "jabber:iq:privacy"
#define NS_PRIVATE "jabber:iq:private"
#define NS_VCARD   "vcard-temp"
#define NS_INFO    "http://jabber.org/protocol/disco#info"
#define NS_ITEMS   "http://jabber.org/protocol/disco#items"
#define NS_PING    "urn:xmpp:ping"
#define NS_AUTH    "jabber:iq:auth"
#define NS_REG     "jabber:iq:register"

/* A row's columns, as bits: the iq's type, how far the client is, whom it asks. */
enum { GET = 1, SET = 2 };
enum { NEW = 1, LOGGED_IN = 2, BOUND = 4 };
enum { NOBODY = 1, SELF = 2, DOMAIN = 4, OTHER = 8, HOME = NOBODY | SELF, ANY = 15 };

struct ask;

/* What answers one kind of request. */
struct row {
    const char *ns, *name;         /* the payload */
    unsigned types;                /* of the iq */
    unsigned phases;               /* in which it is answered; else: not-authorized */
    unsigned targets;              /* the addresses that answer it; else: service-unavailable */
    void (*answer)(struct ask *q); /* NULL: the result is `template`, NULL an empty one */
    const char *template;
};

/* One stanza being answered. The first error sticks and silences what is written behind it. */
struct ask {
    struct answers *a;
    const struct item *it;
    const struct buf *root;
    struct answer *out;
    const char *id, *to; /* "" and NULL if it has none */
    const char *kind;    /* the answer's type */
    const struct row *row;
    unsigned type, target;
    int err;
};

/* ---- templates: our own text with `$` and a letter for what changes, escaped ---- */

static const char *value_of(const struct ask *q, char letter)
{
    switch (letter) {
    case 'D':
        return q->a->domain;
    case 'L':
        return q->a->local;
    case 'R':
        return q->a->resource;
    case 'I':
        return q->id;
    case 'T':
        return q->to;
    case 'K':
        return q->kind;
    default:
        return "";
    }
}

static void put(struct ask *q, const char *template)
{
    struct buf *text = q->out->text;

    while (!q->err && *template) {
        size_t plain = strcspn(template, "$");

        q->err = buf_add(text, template, plain);
        template += plain;
        if (!q->err && *template) {
            q->err = markup_escape(text, value_of(q, template[1]));
            template += 2;
        }
    }
}

/* The client's own element, as it wrote it. */
static void put_element(struct ask *q, unsigned node)
{
    if (!q->err)
        q->err = markup_open(q->out->text, q->it, node);
    if (!q->err)
        q->err = markup_rest(q->out->text, q->it, node, q->root, false);
}

/* The client's stanza, sent on with the addresses of `template`. */
static void put_readdressed(struct ask *q, const char *template)
{
    if (!q->err)
        q->err = markup_open(q->out->text, q->it, 0);
    put(q, template);
    if (!q->err)
        q->err = markup_rest(q->out->text, q->it, 0, q->root, true);
}

/* ---- the frame of an answer: the attributes in the order of the documented trace ---- */

static void put_head(struct ask *q, const char *kind)
{
    static const char *const heads[2][2] = {
        {"<iq type=\"$K\" id=\"$I\"", "<iq type=\"$K\" id=\"$I\" to=\"$L@$D/$R\""},
        {"<iq from=\"$T\" type=\"$K\" id=\"$I\"",
         "<iq from=\"$T\" type=\"$K\" to=\"$L@$D/$R\" id=\"$I\""},
    };

    q->kind = kind;
    put(q, heads[q->to != NULL][q->a->bound]);
}

/* A result with this payload; NULL: an empty one. */
static void put_result(struct ask *q, const char *template)
{
    put_head(q, "result");
    put(q, template ? ">" : "/>");
    if (!template)
        return;
    put(q, template);
    put(q, "</iq>");
}

/* RFC 6120 §8.3: `type` and `condition` are names of §8.3.2 and §8.3.3. */
static void put_error(struct ask *q, const char *type, const char *condition)
{
    put_head(q, "error");
    put(q, ">");
    if (q->it->nodes > 1)
        put_element(q, 1);
    put(q, "<error type=\"");
    put(q, type);
    put(q, "\"><");
    put(q, condition);
    put(q, " xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></error></iq>");
}

/* ---- who the client is ---- */

int answers_random(char out[RANDOM_SIZE])
{
    unsigned char r[16];

    if (getrandom(r, sizeof r, 0) != sizeof r)
        return ERR_IO;
    r[6] = (r[6] & 0x0f) | 0x40; /* RFC 9562 §5.4 */
    r[8] = (r[8] & 0x3f) | 0x80;
    snprintf(out, RANDOM_SIZE,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1],
             r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14],
             r[15]);
    return 0;
}

/* Control characters, and the two non-characters that XML cannot hold. */
static bool has_forbidden(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
            return true;
        if (n - i >= 3 &&
            (memcmp(p + i, "\xef\xbf\xbe", 3) == 0 || memcmp(p + i, "\xef\xbf\xbf", 3) == 0))
            return true;
    }
    return false;
}

bool answers_login(struct answers *a, const char *name, size_t n)
{
    size_t domain = strlen(a->domain);

    if (n > domain + 1 && name[n - domain - 1] == '@' &&
        strncasecmp(name + n - domain, a->domain, domain) == 0)
        n -= domain + 1;
    if (n == 0 || n >= JID_PART_MAX || has_forbidden(name, n) || !plain_is_utf8(name, n))
        return false; /* one byte less than allowed: the contact's is one longer */
    for (size_t i = 0; i < n; i++)
        if (strchr(" \"&'/:<>@", name[i]))
            return false;
    memcpy(a->local, name, n);
    a->local[n] = '\0';
    a->authenticated = true;
    return true;
}

static unsigned target_of(const struct answers *a, const char *to)
{
    size_t local = strlen(a->local), domain = strlen(a->domain);
    const char *rest;

    if (!to)
        return NOBODY;
    if (strcasecmp(to, a->domain) == 0)
        return DOMAIN;
    if (!a->authenticated || strncasecmp(to, a->local, local) != 0 || to[local] != '@' ||
        strncasecmp(to + local + 1, a->domain, domain) != 0)
        return OTHER;
    rest = to + local + 1 + domain;
    if (*rest == '\0' || (*rest == '/' && a->bound && strcmp(rest + 1, a->resource) == 0))
        return SELF;
    return OTHER;
}

/* Takes the text of `node` (-1 or empty: a random one) as the resource. False if it is none. */
static bool take_resource(struct ask *q, int node)
{
    const struct node *n = node < 0 ? NULL : &q->it->node[node];

    if (!n || n->text_len == 0) {
        q->err = answers_random(q->a->resource);
        return true;
    }
    if (n->text_cut || n->text_len > JID_PART_MAX || has_forbidden(n->text, n->text_len))
        return false;
    memcpy(q->a->resource, n->text, n->text_len + 1);
    return true;
}

/* RFC 6120 §7 */
static void answer_bind(struct ask *q)
{
    if (!take_resource(q, item_find(q->it, 3, NS_BIND, "resource"))) {
        put_error(q, "modify", "bad-request");
        return;
    }
    put(q, "<iq xmlns=\"" NS_CLIENT "\" type=\"result\" id=\"$I\" to=\"$L@$D/$R\">"
           "<bind xmlns=\"" NS_BIND "\"><jid>$L@$D/$R</jid></bind></iq>");
    q->a->bound = true;
}

static void answer_bind_again(struct ask *q)
{
    put_error(q, "cancel", "not-allowed");
}

/* XEP-0078 §3 */
static void answer_auth(struct ask *q)
{
    int user = item_find(q->it, 3, NS_AUTH, "username");
    int password = item_find(q->it, 3, NS_AUTH, "password");
    int resource = item_find(q->it, 3, NS_AUTH, "resource");

    if (user < 0 || password < 0 || resource < 0)
        put_error(q, "modify", "not-acceptable");
    else if (q->it->node[user].text_cut || q->it->node[password].text_len == 0 ||
             !take_resource(q, resource) ||
             !answers_login(q->a, q->it->node[user].text, q->it->node[user].text_len))
        put_error(q, "auth", "not-authorized");
    else {
        put_result(q, NULL);
        q->a->bound = true;
    }
}

static void answer_register(struct ask *q)
{
    static const char form[] =
        "<query xmlns=\"" NS_REG "\"><instructions>Any user name and any password will do."
        "</instructions><username/><password/></query>";
    static const char registered[] =
        "<query xmlns=\"" NS_REG "\"><registered/><username>$L</username><password/></query>";

    put_result(q, q->a->bound ? registered : form);
}

/* ---- what the client stores: private XML and its vCard ---- */

/* Stores element `node`; false if it does not fit. */
static bool store(struct ask *q, unsigned node)
{
    int err = q->err ? 0 : stash_put(&q->a->stash, q->it, node, q->root);

    if (err && err != ERR_CAP)
        q->err = err;
    return err != ERR_CAP;
}

/* Appends what is stored under the name of `node`; false if nothing is. */
static bool put_stored(struct ask *q, unsigned node)
{
    const struct buf *xml = stash_get(&q->a->stash, q->it, node);

    if (xml && !q->err)
        q->err = buf_add(q->out->text, xml->p, xml->len);
    return xml != NULL;
}

/* XEP-0049: what was never stored comes back empty, as the client asked for it. */
static void answer_private_get(struct ask *q)
{
    int node = item_find(q->it, 3, NULL, NULL);

    if (node < 0 || q->it->node[node].ns[0] == '\0') {
        put_error(q, "modify", "bad-request");
        return;
    }
    put_head(q, "result");
    put(q, "><query xmlns=\"" NS_PRIVATE "\">");
    if (!put_stored(q, (unsigned)node))
        put_element(q, (unsigned)node);
    put(q, "</query></iq>");
}

static void answer_private_set(struct ask *q)
{
    bool fits = true;
    unsigned n = 0;

    for (unsigned i = 0; i < q->it->nodes && fits; i++) {
        if (q->it->node[i].depth != 3 || q->it->node[i].ns[0] == '\0')
            continue;
        n++;
        fits = store(q, i);
    }
    if (!fits)
        put_error(q, "wait", "resource-constraint");
    else if (n == 0)
        put_error(q, "modify", "bad-request");
    else
        put_result(q, NULL);
}

static void answer_vcard_get(struct ask *q)
{
    put_head(q, "result");
    put(q, ">");
    if (!put_stored(q, 1))
        put(q, "<vCard xmlns=\"" NS_VCARD "\"><FN>$L</FN><NICKNAME>$L</NICKNAME></vCard>");
    put(q, "</iq>");
}

static void answer_vcard_set(struct ask *q)
{
    if (store(q, 1))
        put_result(q, NULL);
    else
        put_error(q, "wait", "resource-constraint");
}

/* ---- privacy lists (XEP-0016) and service discovery (XEP-0030) ---- */

static void answer_privacy_get(struct ask *q)
{
    int list = item_find(q->it, 3, NS_PRIVACY, "list");
    const char *name;

    if (list < 0) {
        q->out->effects |= ANSWER_HOLDS;
        put_result(q, "<query xmlns=\"" NS_PRIVACY "\"><list name=\"blocked\"/>"
                      "<default name=\"blocked\"/><active name=\"blocked\"/></query>");
        return;
    }
    q->out->effects |= ANSWER_RELEASES;
    name = item_attr(q->it, (unsigned)list, "name");
    if (name && strcmp(name, "blocked") == 0)
        put_result(q, "<query xmlns=\"" NS_PRIVACY "\"><list name=\"blocked\">"
                      "<item action=\"allow\" order=\"100\"/></list></query>");
    else
        put_error(q, "cancel", "item-not-found");
}

#define FEATURE(var) "<feature var=\"" var "\"/>"

/* The documented server's list, in its order, with what it names twice. */
/* clang-format off */
static const char domain_info[] =
    "<query xmlns=\"" NS_INFO "\">"
    "<identity category=\"server\" type=\"im\" name=\"Tigase ver. 0.0.0-0\"/>"
    FEATURE(NS_INFO)
    FEATURE(NS_ITEMS)
    FEATURE("msgoffline")
    FEATURE("http://jabber.org/protocol/stats")
    FEATURE("http://jabber.org/protocol/commands")
    FEATURE("jabber:iq:version")
    FEATURE(NS_ROSTER)
    FEATURE("jabber:iq:roster-dynamic")
    FEATURE(NS_VCARD)
    FEATURE("urn:ietf:params:xml:ns:xmpp-sasl")
    FEATURE(NS_PING)
    FEATURE("http://jabber.org/protocol/pubsub")
    FEATURE("http://jabber.org/protocol/pubsub#owner")
    FEATURE("http://jabber.org/protocol/pubsub#publish")
    "<identity category=\"pubsub\" type=\"pep\"/>"
    FEATURE(NS_SESSION)
    FEATURE("http://jabber.org/protocol/amp")
    FEATURE("msgoffline")
    FEATURE(NS_INFO)
    FEATURE(NS_ITEMS)
    FEATURE(NS_PRIVACY)
    FEATURE(NS_BIND)
    FEATURE(NS_PRIVATE)
    FEATURE(NS_AUTH)
    "</query>";

static const char account_info[] =
    "<query xmlns=\"" NS_INFO "\">"
    "<identity category=\"account\" type=\"registered\"/>"
    "<identity category=\"pubsub\" type=\"pep\"/>"
    FEATURE(NS_INFO)
    FEATURE(NS_ITEMS)
    "</query>";
/* clang-format on */

static void answer_disco(struct ask *q)
{
    if (item_attr(q->it, 1, "node")) /* neither domain nor account has any */
        put_error(q, "cancel", "item-not-found");
    else
        put_result(q, q->row->template);
}

/* ---- the table ---- */

static const struct row rows[] = {
    {NS_BIND, "bind", SET, LOGGED_IN, ANY, answer_bind, NULL},
    {NS_BIND, "bind", SET, BOUND, ANY, answer_bind_again, NULL},
    {NS_SESSION, "session", SET, BOUND, HOME | DOMAIN, NULL, NULL},
    {NS_ROSTER, "query", GET, BOUND, HOME, NULL,
     "<query xmlns=\"" NS_ROSTER "\">"
     "<item subscription=\"both\" name=\"ohno\" jid=\"$L1@$D\"/></query>"},
    {NS_ROSTER, "query", SET, BOUND, HOME, NULL, NULL},
    {NS_PRIVACY, "query", GET, BOUND, HOME, answer_privacy_get, NULL},
    {NS_PRIVACY, "query", SET, BOUND, HOME, NULL, NULL},
    {NS_PRIVATE, "query", GET, BOUND, HOME, answer_private_get, NULL},
    {NS_PRIVATE, "query", SET, BOUND, HOME, answer_private_set, NULL},
    {NS_VCARD, "vCard", GET, BOUND, HOME, answer_vcard_get, NULL},
    {NS_VCARD, "vCard", SET, BOUND, HOME, answer_vcard_set, NULL},
    {NS_INFO, "query", GET, BOUND, DOMAIN, answer_disco, domain_info},
    {NS_INFO, "query", GET, BOUND, HOME, answer_disco, account_info},
    {NS_ITEMS, "query", GET, BOUND, HOME | DOMAIN, answer_disco, "<query xmlns=\"" NS_ITEMS "\"/>"},
    {NS_PING, "ping", GET, BOUND, HOME | DOMAIN, NULL, NULL},
    {NS_AUTH, "query", GET, NEW, ANY, NULL,
     "<query xmlns=\"" NS_AUTH "\"><username/><password/><resource/></query>"},
    {NS_AUTH, "query", SET, NEW, ANY, answer_auth, NULL},
    {NS_REG, "query", GET, NEW | BOUND, HOME | DOMAIN, answer_register, NULL},
    {NS_REG, "query", SET, NEW | BOUND, HOME | DOMAIN, NULL, NULL},
};

static const struct row *find_row(const struct ask *q, unsigned phase)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *r = &rows[i];

        if (item_is(q->it, 1, r->ns, r->name) && r->types & q->type && r->phases & phase &&
            r->targets & q->target)
            return r;
    }
    return NULL;
}

static unsigned children(const struct item *it)
{
    unsigned n = 0;

    for (unsigned i = 0; i < it->nodes; i++)
        n += it->node[i].depth == 2;
    return n;
}

static void answer_iq(struct ask *q)
{
    const char *type = item_attr(q->it, 0, "type");
    unsigned phase = q->a->bound ? BOUND : q->a->authenticated ? LOGGED_IN : NEW;
    const struct row *row;

    if (type && (strcmp(type, "result") == 0 || strcmp(type, "error") == 0))
        return;
    q->type = !type ? 0 : strcmp(type, "get") == 0 ? GET : strcmp(type, "set") == 0 ? SET : 0;
    if (q->type == 0 || q->id[0] == '\0' || children(q->it) != 1) { /* RFC 6120 §8.2.3 */
        put_error(q, "modify", "bad-request");
        return;
    }
    row = find_row(q, phase);
    if (!row && phase != BOUND) {
        put_error(q, "auth", "not-authorized");
    } else if (!row) {
        put_error(q, "cancel", "service-unavailable");
    } else if (row->answer) {
        q->row = row;
        row->answer(q);
    } else {
        put_result(q, row->template);
    }
}

/* ---- presence and messages ---- */

static void answer_presence(struct ask *q)
{
    const char *type = item_attr(q->it, 0, "type");

    if (q->to) /* to somebody: nobody is there */
        return;
    if (!type) {
        q->out->effects |= q->a->available ? 0 : ANSWER_ARRIVED;
        q->a->available = true;
        put_readdressed(q, " from=\"$L@$D/$R\" to=\"$L@$D\"");
    } else if (strcmp(type, "unavailable") == 0) {
        q->out->effects |= ANSWER_LEFT;
        q->a->available = false;
    }
}

/* One to the client itself comes back; without `to` it is one (RFC 6120 §10.3.1). */
static void answer_message(struct ask *q)
{
    const char *type = item_attr(q->it, 0, "type");

    if (!(q->target & HOME) || (type && strcmp(type, "error") == 0))
        return;
    put_readdressed(q, q->to ? " from=\"$L@$D/$R\" to=\"$T\"" : " from=\"$L@$D/$R\" to=\"$L@$D\"");
}

int answers_contact(struct answers *a, struct buf *out)
{
    struct answer answer = {.text = out};
    struct ask q = {.a = a, .out = &answer, .id = ""};

    put(&q, "<presence from=\"$L1@$D/Psi+\" to=\"$L@$D\"><priority>50</priority>"
            "<c xmlns=\"http://jabber.org/protocol/caps\" "
            "node=\"http://psi-dev.googlecode.com/caps\" ver=\"0.16\" "
            "ext=\"ca cs e-time ep-notify-2 html last-act mr sxe whiteboard\"/></presence>");
    return q.err;
}

int answers_stanza(struct answers *a, const struct item *it, const struct buf *root,
                   struct answer *out)
{
    struct ask q = {.a = a, .it = it, .root = root, .out = out};

    q.id = item_attr(it, 0, "id");
    if (!q.id)
        q.id = "";
    q.to = item_attr(it, 0, "to");
    q.target = target_of(a, q.to);
    if (item_is(it, 0, NS_CLIENT, "iq"))
        answer_iq(&q);
    else if (!a->bound)
        out->stream_error = "not-authorized"; /* RFC 6120 §7.1 */
    else if (item_is(it, 0, NS_CLIENT, "presence"))
        answer_presence(&q);
    else
        answer_message(&q);
    return q.err;
}

void answers_init(struct answers *a)
{
    *a = (struct answers){.bound = false};
}

void answers_free(struct answers *a)
{
    stash_free(&a->stash);
    answers_init(a);
}

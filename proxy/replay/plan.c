#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../decoder/labels.h"
#include "../../decoder/redact.h"

#define NS_STREAMS  "http://etherx.jabber.org/streams"
#define NS_TLS      "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL     "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL2    "urn:xmpp:sasl:2"
#define NS_BIND     "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_AUTH     "jabber:iq:auth"
#define NS_COMPRESS "http://jabber.org/protocol/compress"
#define HEADER_MAX  (256u << 10)

static const char *const skip_words[SKIPS] = {
    [SKIP_NOT] = "",
    [SKIP_REDACTED] = "[redacted] stands in it; to have it played, capture with --secrets keep",
    [SKIP_WITHHELD] = "only its length was kept; to have it played, capture with --secrets keep",
    [SKIP_UNREADABLE] = "it is no XMPP",
    [SKIP_SM] = "stream management counts and resumes the captured stream, not this one",
    [SKIP_COMPRESSION] = "it is about compression, which replay does not speak",
    [SKIP_LOGIN] = "it belongs to the login, which replay does its own way",
    [SKIP_EARLY] = "the client sent it before it had logged in",
    [SKIP_STREAM] = "it ended the captured stream",
};

const char *plan_skip_words(enum plan_skip skip)
{
    return skip_words[skip];
}

void plan_init(struct plan *p, struct reader *reader)
{
    *p = (struct plan){.reader = reader};
    buf_init(&p->bytes, PLAN_BYTES_MAX);
    buf_init(&p->header, HEADER_MAX);
    reader_stream_init(&p->stream[DIR_C2S]);
    reader_stream_init(&p->stream[DIR_S2C]);
}

void plan_free(struct plan *p)
{
    free(p->item);
    buf_free(&p->bytes);
    buf_free(&p->header);
    reader_stream_free(&p->stream[DIR_C2S]);
    reader_stream_free(&p->stream[DIR_S2C]);
}

const char *plan_at(const struct plan *p, size_t i)
{
    return p->bytes.p + p->item[i].at;
}

/* ---- what an item is ---- */

/* Elements of the client that are no stanzas: what becomes of them. */
static const struct {
    const char *ns, *name; /* name NULL: any */
    enum plan_kind kind;
    enum plan_skip skip;
} elements[] = {
    {"urn:xmpp:sm:3", "enable", PLAN_REQUEST, SKIP_NOT},
    {"urn:xmpp:sm:2", "enable", PLAN_REQUEST, SKIP_NOT},
    {"urn:xmpp:sm:3", NULL, PLAN_ALONE, SKIP_SM},
    {"urn:xmpp:sm:2", NULL, PLAN_ALONE, SKIP_SM},
    {NS_COMPRESS, NULL, PLAN_ALONE, SKIP_COMPRESSION},
    {NS_SASL, NULL, PLAN_ALONE, SKIP_LOGIN},
    {NS_SASL2, NULL, PLAN_ALONE, SKIP_LOGIN},
    {NS_TLS, NULL, PLAN_ALONE, SKIP_LOGIN},
    {NS_STREAMS, NULL, PLAN_ALONE, SKIP_STREAM},
};

static int element_of(const struct item *it)
{
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (item_is(it, 0, elements[i].ns, elements[i].name ? elements[i].name : it->node[0].name))
            return (int)i;
    return -1;
}

enum plan_kind plan_kind_of(const struct item *it, enum dir dir)
{
    const char *type = item_attr(it, 0, "type");
    int i = element_of(it);

    if (it->stanza == ITEM_IQ && type && (strcmp(type, "get") == 0 || strcmp(type, "set") == 0))
        return PLAN_REQUEST;
    if (it->stanza == ITEM_IQ)
        return PLAN_ANSWER;
    return i >= 0 && dir == DIR_C2S ? elements[i].kind : PLAN_ALONE;
}

static uint64_t mix(uint64_t hash, const char *s)
{
    do
        hash = (hash ^ (unsigned char)*s) * 0x100000001b3u;
    while (*s++);
    return hash;
}

static uint64_t key_of_push(uint64_t hash, const struct item *it, const struct names *whose)
{
    const char *from = item_attr(it, 0, "from");
    struct buf even;

    if (!from || names_own(whose, from))
        return mix(hash, it->node[0].name);
    buf_init(&even, 4 * NAMES_JID_MAX);
    if (names_translate(whose, &names_even, true, from, &even) && buf_add(&even, "", 1) == 0)
        from = even.p;
    hash = mix(mix(hash, it->node[0].name), from);
    buf_free(&even);
    return hash;
}

uint64_t plan_key(const struct item *it, const struct names *whose)
{
    const char *type = item_attr(it, 0, "type");
    int payload = item_find(it, 2, NULL, NULL);
    uint64_t hash = mix(0xcbf29ce484222325u, type ? type : "");

    if (it->stanza != ITEM_IQ)
        return key_of_push(hash, it, whose);
    if (payload < 0)
        return hash;
    return mix(mix(hash, it->node[payload].ns), it->node[payload].name);
}

/* Would the server send it again? People would not: what they wrote is theirs. */
static bool is_servers(const struct item *it, const struct names *whose)
{
    const char *from = item_attr(it, 0, "from"), *type = item_attr(it, 0, "type");

    if (it->stanza != ITEM_MESSAGE)
        return it->stanza != ITEM_NO_STANZA;
    return !from || !strchr(from, '@') || names_own(whose, from) ||
           (type && strcmp(type, "groupchat") == 0);
}

static bool is_legacy_login(const struct item *it)
{
    return it->stanza == ITEM_IQ && item_find(it, 2, NS_AUTH, "query") >= 0;
}

static enum plan_skip skip_of(const struct plan *p, const struct event *ev, const struct item *it)
{
    int i = element_of(it);

    if (i >= 0 && elements[i].skip)
        return elements[i].skip;
    if (is_legacy_login(it))
        return SKIP_LOGIN;
    if (!p->logged_in && !p->sasl2) /* SASL2's client need not wait (XEP-0388 §2.6) */
        return SKIP_EARLY;
    if (ev->withheld)
        return SKIP_WITHHELD;
    if (p->redacted && memmem(ev->data, ev->len, REDACTED, sizeof REDACTED - 1))
        return SKIP_REDACTED;
    return SKIP_NOT;
}

/* ---- what is learnt on the way ---- */

/* RFC 6120 §7.6, XEP-0386 §3: the session's address, as the server gave it. */
static void learn_address(struct plan *p, const struct item *it)
{
    int bind = item_find(it, 2, NS_BIND, "bind"), jid = item_find(it, 3, NS_BIND, "jid");
    int id = item_find(it, 2, NS_SASL2, "authorization-identifier");

    if (it->stanza == ITEM_IQ && bind >= 0 && jid >= 0)
        names_set(&p->names, it->node[jid].text);
    else if (item_is(it, 0, NS_SASL2, "success") && id >= 0)
        names_set(&p->names, it->node[id].text);
}

static int keep_features(struct plan *p, const struct event *ev, const struct item *it)
{
    enum plan_stage stage = p->logged_in ? STAGE_BOUND : STAGE_LOGIN;

    if (!p->logged_in && !p->secured && item_find(it, 2, NS_TLS, "starttls") >= 0)
        stage = STAGE_OPEN;
    if (p->features[stage].len && stage == STAGE_BOUND)
        return 0; /* the first are those behind the login, others behind compression */
    p->features[stage] = (struct plan_bytes){p->bytes.len, ev->len, ev->n};
    return buf_add(&p->bytes, ev->data, ev->len);
}

static void learn_login(struct plan *p, const struct event *ev, const struct item *it)
{
    const char *ns = it->node[0].ns, *name = it->node[0].name;
    bool sasl = strcmp(ns, NS_SASL) == 0 || strcmp(ns, NS_SASL2) == 0;
    const char *mechanism = event_fact(ev, "mechanism"), *condition = event_fact(ev, "condition");

    if (ev->dir == DIR_C2S && item_is(it, 0, NS_SASL2, "authenticate"))
        p->sasl2 = true;
    if (sasl && ev->dir == DIR_C2S && mechanism)
        snprintf(p->mechanism, sizeof p->mechanism, "%s", mechanism);
    if (!sasl || ev->dir != DIR_S2C)
        return;
    if (strcmp(name, "success") == 0)
        p->logged_in = true;
    else if (strcmp(name, "failure") == 0)
        snprintf(p->failure, sizeof p->failure, "%s", condition ? condition : "failure");
}

/* ---- items ---- */

static size_t find_number(const struct plan *p, uint64_t n)
{
    size_t low = 0, high = p->items;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (p->item[middle].n < n)
            low = middle + 1;
        else
            high = middle;
    }
    return low < p->items && p->item[low].n == n ? low : PLAN_NONE;
}

static struct plan_item *add_item(struct plan *p, const struct event *ev)
{
    size_t room = p->room ? 2 * p->room : 64;
    struct plan_item *more = p->item;

    if (p->items == p->room)
        more = realloc(p->item, room * sizeof *more);
    if (!more)
        return NULL;
    if (p->items == p->room)
        p->room = room;
    p->item = more;
    more += p->items;
    *more = (struct plan_item){
        .n = ev->n,
        .time_us = ev->time_us,
        .dir = ev->dir,
        .kind = PLAN_ALONE,
        .at = p->bytes.len,
        .label = ev->label && label_by_id(ev->label) ? label_id(label_by_id(ev->label)) : NULL,
        .re = PLAN_NONE,
        .answer = PLAN_NONE};
    if (ev->len && buf_add(&p->bytes, ev->data, ev->len))
        return NULL;
    more->len = ev->len;
    p->items++;
    return more;
}

/* An answer and its request find each other. The legacy login's is the login (XEP-0078). */
static void link_answer(struct plan *p, struct plan_item *x, const struct event *ev)
{
    size_t i = (size_t)(x - p->item), re = ev->re ? find_number(p, ev->re) : PLAN_NONE;

    x->re = re;
    if (re != PLAN_NONE) {
        x->kind = PLAN_ANSWER;
        p->item[re].answer = i;
        x->bind = p->item[re].bind;
    }
    if (ev->label && strcmp(ev->label, "legacy.auth.result") == 0)
        p->logged_in = true;
}

static bool is_wanted(const struct plan *p, const struct event *ev, const struct item *it)
{
    if (ev->dir == DIR_C2S)
        return p->logged_in || element_of(it) < 0; /* the login's own elements are no loss */
    return p->logged_in || it->stanza != ITEM_NO_STANZA;
}

static int take_item(struct plan *p, const struct event *ev, const struct item *it)
{
    struct plan_item *x;

    learn_login(p, ev, it);
    learn_address(p, it);
    if (ev->dir == DIR_S2C && item_is(it, 0, NS_STREAMS, "features"))
        return keep_features(p, ev, it);
    if (!is_wanted(p, ev, it) || (ev->dir == DIR_S2C && strcmp(it->node[0].ns, NS_SASL) == 0) ||
        (ev->dir == DIR_S2C && strcmp(it->node[0].ns, NS_SASL2) == 0))
        return 0;
    x = add_item(p, ev);
    if (!x)
        return ERR_NOMEM;
    x->kind = plan_kind_of(it, ev->dir);
    x->sm = strncmp(it->node[0].ns, "urn:xmpp:sm:", 12) == 0;
    if (ev->dir == DIR_C2S)
        x->skip = skip_of(p, ev, it);
    x->key = plan_key(it, &p->names);
    if (x->kind == PLAN_REQUEST) {
        x->bind = item_find(it, 2, NS_BIND, "bind") >= 0;
        p->binds |= x->bind && !x->skip;
    }
    p->skipped[x->skip]++;
    link_answer(p, x, ev);
    x->awaited = ev->dir == DIR_S2C && x->re == PLAN_NONE && is_servers(it, &p->names);
    return 0;
}

static int take_unreadable(struct plan *p, const struct event *ev, enum plan_skip why)
{
    struct plan_item *x;

    if (ev->dir == DIR_S2C || !p->logged_in)
        return 0;
    x = add_item(p, ev);
    if (!x)
        return ERR_NOMEM;
    x->skip = why;
    p->skipped[why]++;
    return 0;
}

static int take_header(struct plan *p, const struct event *ev)
{
    const struct item *it;
    struct error e;

    if (ev->closing || ev->withheld ||
        reader_header(p->reader, &p->stream[ev->dir], ev->data, ev->len, &it, &e))
        return 0;
    if (ev->dir == DIR_C2S) {
        const char *to = item_attr(it, 0, "to");

        if (to && !*p->names.bare)
            snprintf(p->names.domain, sizeof p->names.domain, "%s", to);
        return 0;
    }
    p->header.len = 0;
    return buf_add(&p->header, ev->data, ev->len);
}

static int take_stanza(struct plan *p, const struct event *ev)
{
    const struct item *it;
    struct error e;

    if (ev->withheld)
        return take_unreadable(p, ev, SKIP_WITHHELD);
    if (reader_item(p->reader, &p->stream[ev->dir], ev->data, ev->len, &it, &e))
        return e.code == ERR_NOMEM ? ERR_NOMEM : take_unreadable(p, ev, SKIP_UNREADABLE);
    return take_item(p, ev, it);
}

static void take_end(struct plan *p, const struct event_end *end)
{
    if (!*p->names.bare && strchr(end->account, '@'))
        names_set(&p->names, end->account);
}

int plan_event(struct plan *p, const struct event *ev)
{
    switch (ev->kind) {
    case EVENT_SESSION:
        snprintf(p->session, sizeof p->session, "%s", ev->session);
        snprintf(p->upstream, sizeof p->upstream, "%s", ev->u.session_facts.upstream);
        p->redacted = strcmp(ev->u.session_facts.secrets, "keep") != 0;
        p->begin_us = ev->time_us;
        return 0;
    case EVENT_TLS:
        p->secured |= ev->u.tls.side == SIDE_SERVER && ev->u.tls.ok;
        return 0;
    case EVENT_STREAM:
        return take_header(p, ev);
    case EVENT_STANZA:
        return take_stanza(p, ev);
    case EVENT_VIOLATION:
        return take_unreadable(p, ev, ev->withheld ? SKIP_WITHHELD : SKIP_UNREADABLE);
    case EVENT_GAP:
        p->gap = true;
        return 0;
    case EVENT_END:
        take_end(p, &ev->u.end);
        return 0;
    case EVENT_SPACE:
    case EVENT_EDIT:
    case EVENT_KINDS:
        return 0;
    }
    return 0;
}

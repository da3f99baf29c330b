#include "sm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jid.h"
#include "sm_holders.h"

#define NS_SM    "urn:xmpp:sm:3"
#define NS_SM_2  "urn:xmpp:sm:2"
#define NS_SASL2 "urn:xmpp:sasl:2"

/* The stanzas of one direction, and what the peer that gets them says of them. Modulo 2^32, as the
 * counters on the wire. */
struct sm_way {
    uint32_t sent;
    uint32_t said;     /* the last `h` that can be right */
    unsigned requests; /* <r/>s that the sender has open */
    uint32_t asked;    /* sent before the oldest of them, or before one that is older still */
    bool unknown;      /* not all were read: `sent` is too low */
};

struct sm_stream {
    unsigned refs;
    const struct sm *owner;       /* the session whose items it counts; compared, never followed */
    struct sm_way way[2];         /* by enum dir: of the stanzas */
    char session[SM_SESSION_MAX]; /* the owner's */
    char *id;                     /* owned; NULL while it cannot be resumed */
    char *domain;                 /* owned, with id */
};

struct sm_table {
    struct sm_holders *holders; /* borrowed; NULL: there is no other table */
    uint64_t uses;
    unsigned n;
    struct sm_entry {
        uint64_t hash; /* of id and domain */
        uint64_t used;
        struct sm_stream *stream;
    } entry[SM_STREAMS_MAX];
};

/* ---- streams ---- */

static struct sm_stream *stream_new(const struct sm *s)
{
    struct sm_stream *st = calloc(1, sizeof *st);

    if (!st)
        return NULL;
    st->refs = 1;
    st->owner = s;
    snprintf(st->session, sizeof st->session, "%s", s->session);
    return st;
}

static void stream_drop(struct sm_stream **at)
{
    struct sm_stream *st = *at;

    *at = NULL;
    if (!st || --st->refs)
        return;
    free(st->id);
    free(st->domain);
    free(st);
}

static struct sm_stream *stream_hold(struct sm_stream *st)
{
    st->refs++;
    return st;
}

/* The stream whose items this session's are: not one that another session has resumed. */
static struct sm_stream *own_stream(const struct sm *s)
{
    return s->stream && s->stream->owner == s ? s->stream : NULL;
}

/* ---- the table ---- */

struct sm_table *sm_table_new(void)
{
    return calloc(1, sizeof(struct sm_table));
}

void sm_table_free(struct sm_table *t)
{
    if (!t)
        return;
    for (unsigned i = 0; i < t->n; i++)
        stream_drop(&t->entry[i].stream);
    free(t);
}

void sm_table_share(struct sm_table *t, struct sm_holders *holders)
{
    if (t)
        t->holders = holders;
}

static uint64_t hash_of(const char *id, const char *domain)
{
    uint64_t hash = jid_hash(0xcbf29ce484222325u, domain);

    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 0x100000001b3u;
    return hash;
}

static struct sm_entry *table_find(struct sm_table *t, const char *id, const char *domain)
{
    uint64_t hash = hash_of(id, domain);

    for (unsigned i = 0; i < t->n; i++) {
        struct sm_entry *e = &t->entry[i];

        if (e->hash == hash && strcmp(e->stream->id, id) == 0 &&
            jid_same(e->stream->domain, domain))
            return e;
    }
    return NULL;
}

static struct sm_entry *table_room(struct sm_table *t)
{
    struct sm_entry *e = &t->entry[0];

    if (t->n < SM_STREAMS_MAX)
        return &t->entry[t->n++];
    for (unsigned i = 1; i < t->n; i++)
        if (t->entry[i].used < e->used)
            e = &t->entry[i];
    stream_drop(&e->stream);
    return e;
}

static bool name_stream(struct sm_stream *st, const char *id, const char *domain)
{
    if (st->id)
        return true;
    st->id = strdup(id);
    st->domain = strdup(domain);
    if (st->id && st->domain)
        return true;
    free(st->id);
    free(st->domain);
    st->id = st->domain = NULL;
    return false;
}

/* Without memory it cannot be resumed, that is all. One that has an id already has this id. */
static void table_enter(struct sm_table *t, struct sm_stream *st, const char *id,
                        const char *domain)
{
    struct sm_entry *e;

    if (!t || strlen(id) > SM_ID_MAX || !name_stream(st, id, domain))
        return;
    stream_hold(st);
    e = table_find(t, id, domain);
    if (e) /* it is there, or the server gave the id again */
        stream_drop(&e->stream);
    else
        e = table_room(t);
    *e = (struct sm_entry){hash_of(id, domain), ++t->uses, st};
    sm_holders_set(t->holders, id, domain, st->session);
}

/* The stream with its counters, unless a session elsewhere has resumed it since: those are old. */
static struct sm_stream *table_stream(struct sm_table *t, const char *id, const char *domain)
{
    struct sm_entry *e = table_find(t, id, domain);
    char holder[SM_SESSION_MAX];

    if (!e || (sm_holders_get(t->holders, id, domain, holder) &&
               strcmp(holder, e->stream->session) != 0))
        return NULL;
    return e->stream;
}

/* ---- the session ---- */

void sm_init(struct sm *s, const char *session, struct sm_table *t)
{
    *s = (struct sm){.table = t, .session = session};
}

void sm_free(struct sm *s)
{
    struct sm_stream *st = own_stream(s);

    if (st) /* the next session may get this one's memory */
        st->owner = NULL;
    stream_drop(&s->stream);
    stream_drop(&s->resuming);
}

void sm_missed(struct sm *s, enum dir dir)
{
    struct sm_stream *st = own_stream(s);

    if (st)
        st->way[dir].unknown = true;
}

/* ---- what `h` says ---- */

static bool read_h(const char *text, uint32_t *h)
{
    uint64_t n = 0;
    const char *p = text;

    while (*p >= '0' && *p <= '9' && n <= UINT32_MAX)
        n = n * 10 + (uint64_t)(*p++ - '0');
    *h = (uint32_t)n;
    return p != text && *p == '\0' && n <= UINT32_MAX;
}

/* Counters wrap: `a` is behind `b` if less than half the circle lies between them. */
static bool behind(uint32_t a, uint32_t b)
{
    return a != b && a - b < UINT32_C(1) << 31;
}

/* What follows a resumption is counted on from `h`: what it does not confirm is sent again. */
static void go_on_from(struct sm_way *w, bool counted, uint32_t h)
{
    *w = (struct sm_way){.sent = h, .said = h, .unknown = !counted};
}

/* Why `h` cannot be right, in `words`; "" if it can. `solicited`: it answers <r/>. */
static void judge(const struct sm_way *w, uint32_t h, bool solicited, char *words, size_t size)
{
    *words = '\0';
    if (behind(h, w->sent))
        snprintf(words, size, "only %u %s sent", (unsigned)w->sent,
                 w->sent == 1 ? "stanza was" : "stanzas were");
    else if (behind(w->said, h))
        snprintf(words, size, "h=%u was said before", (unsigned)w->said);
    else if (solicited && behind(w->asked, h))
        snprintf(words, size, "%u %s sent before it was asked", (unsigned)w->asked,
                 w->asked == 1 ? "stanza was" : "stanzas were");
}

/* What element `node` says with its `h` about the stanzas of `w` (NULL: nothing is known of them).
 * Returns whether there is a number, in `h`. */
static bool hear_h(struct sm_way *w, const struct item *it, unsigned node, bool solicited,
                   uint32_t *h, struct fact_list *facts, struct fact_list *remarks)
{
    const char *text = item_attr(it, node, "h");
    char words[64];

    if (!text)
        return false;
    fact_add(facts, "h", text);
    if (!read_h(text, h)) {
        remark_add(remarks, REMARK_SM_H, text, "that is no number below 2^32");
        return false;
    }
    if (!w || w->unknown)
        return true;
    fact_printf(facts, "sent", "%u", (unsigned)w->sent);
    if (!behind(*h, w->sent))
        fact_printf(facts, "unacked", "%u", (unsigned)(w->sent - *h));
    judge(w, *h, solicited, words, sizeof words);
    if (*words)
        remark_add(remarks, REMARK_SM_H, text, words);
    else
        w->said = *h;
    return true;
}

/* ---- the elements ---- */

/* One of them: where it stands and where what it tells goes. */
struct said {
    const struct item *it;
    unsigned node;
    enum dir dir;
    const char *domain;
    struct fact_list *facts, *remarks;
};

static bool says_true(const struct said *e, const char *name)
{
    const char *value = item_attr(e->it, e->node, name);

    return value && (strcmp(value, "true") == 0 || strcmp(value, "1") == 0);
}

static void tell(const struct said *e, const char *fact, const char *name)
{
    fact_add(e->facts, fact, item_attr(e->it, e->node, name));
}

static void tell_resume(const struct said *e)
{
    if (says_true(e, "resume"))
        fact_add(e->facts, "resume", "true");
    tell(e, "max", "max");
}

static bool on_enable(struct sm *s, const struct said *e)
{
    tell_resume(e);
    if (s->state == SM_ON) /* what the server makes of it is its matter */
        return false;
    stream_drop(&s->stream);
    s->stream = stream_new(s);
    s->state = SM_ENABLING;
    return false;
}

static bool on_enabled(struct sm *s, const struct said *e)
{
    const char *id = item_attr(e->it, e->node, "id");

    tell(e, "sm-id", "id");
    tell_resume(e);
    tell(e, "location", "location");
    if (s->state != SM_ENABLING)
        return false;
    s->state = SM_ON;
    if (s->stream && id && says_true(e, "resume"))
        table_enter(s->table, s->stream, id, e->domain);
    return false;
}

static bool on_resume(struct sm *s, const struct said *e)
{
    const char *id = item_attr(e->it, e->node, "previd");
    struct sm_stream *found = s->table && id ? table_stream(s->table, id, e->domain) : NULL;

    tell(e, "previd", "previd");
    stream_drop(&s->resuming);
    s->resuming = found ? stream_hold(found) : NULL;
    s->resume_asked = true;
    s->resume_counted = hear_h(found ? &found->way[DIR_S2C] : NULL, e->it, e->node, false,
                               &s->resume_h, e->facts, e->remarks);
    return false;
}

/* The stream is this session's from here on, and not that one's any more, which may still stand. */
static bool on_resumed(struct sm *s, const struct said *e)
{
    const char *id = item_attr(e->it, e->node, "previd");
    struct sm_stream *old = s->resuming;
    uint32_t h = 0;
    bool counted;

    tell(e, "previd", "previd");
    counted =
        hear_h(old ? &old->way[DIR_C2S] : NULL, e->it, e->node, false, &h, e->facts, e->remarks);
    if (!s->resume_asked)
        return false;
    stream_drop(&s->stream);
    s->stream = old ? old : stream_new(s);
    s->resuming = NULL;
    s->resume_asked = false;
    s->state = SM_ON;
    if (old && old->owner != s) {
        memcpy(s->resumes, old->session, sizeof s->resumes);
        fact_add(e->facts, "resumes", s->resumes);
        snprintf(old->session, sizeof old->session, "%s", s->session);
        old->owner = s;
    }
    if (!old && s->table && id && sm_holders_get(s->table->holders, id, e->domain, s->resumes))
        fact_add(e->facts, "resumes", s->resumes);
    if (!s->stream)
        return true;
    go_on_from(&s->stream->way[DIR_C2S], counted, h);
    go_on_from(&s->stream->way[DIR_S2C], s->resume_counted, s->resume_h);
    if (id)
        table_enter(s->table, s->stream, id, e->domain);
    return true;
}

static void tell_condition(const struct said *e)
{
    const struct node *n = e->it->node;

    if (fact_get(e->facts, "condition"))
        return;
    for (unsigned i = e->node + 1; i < e->it->nodes && n[i].depth > n[e->node].depth; i++)
        if (n[i].depth == n[e->node].depth + 1 && strcmp(n[i].name, "text") != 0) {
            fact_add(e->facts, "condition", n[i].name);
            return;
        }
}

/* Where both were asked, <resume/> is answered first. */
static bool on_failed(struct sm *s, const struct said *e)
{
    uint32_t h;

    tell_condition(e);
    hear_h(s->resuming ? &s->resuming->way[DIR_C2S] : NULL, e->it, e->node, false, &h, e->facts,
           e->remarks);
    if (s->resume_asked) {
        stream_drop(&s->resuming);
        s->resume_asked = false;
    } else if (s->state == SM_ENABLING) {
        stream_drop(&s->stream);
        s->state = SM_OFF;
    }
    return false;
}

/* The client may ask at once behind <enable/>, the server only behind <enabled/>. */
static bool is_off(const struct sm *s, const struct said *e)
{
    if (s->state == SM_ON || (s->state == SM_ENABLING && e->dir == DIR_C2S))
        return false;
    remark_add(e->remarks, REMARK_SM_OFF);
    return true;
}

static bool on_r(struct sm *s, const struct said *e)
{
    struct sm_stream *st = is_off(s, e) ? NULL : own_stream(s);
    struct sm_way *w = st ? &st->way[e->dir] : NULL;

    if (w && w->requests++ == 0)
        w->asked = w->sent;
    return false;
}

/* Where several requests are open, `asked` is the oldest's: what is said of a later one is looked
 * at a little too kindly. One that confirms everything leaves nothing to ask for: so a peer that
 * answers several at once does not stay behind for ever. */
static bool on_a(struct sm *s, const struct said *e)
{
    struct sm_stream *st = is_off(s, e) ? NULL : own_stream(s);
    struct sm_way *w = st ? &st->way[!e->dir] : NULL;
    uint32_t h;

    if (!hear_h(w, e->it, e->node, w && w->requests, &h, e->facts, e->remarks) || !w)
        return false;
    if (w->requests)
        w->requests = h == w->sent ? 0 : w->requests - 1;
    return false;
}

static const struct {
    const char *name;
    unsigned dirs;
    bool (*hear)(struct sm *s, const struct said *e);
} elements[] = {
    {"r", 1u << DIR_C2S | 1u << DIR_S2C, on_r}, {"a", 1u << DIR_C2S | 1u << DIR_S2C, on_a},
    {"enable", 1u << DIR_C2S, on_enable},       {"enabled", 1u << DIR_S2C, on_enabled},
    {"resume", 1u << DIR_C2S, on_resume},       {"resumed", 1u << DIR_S2C, on_resumed},
    {"failed", 1u << DIR_S2C, on_failed},
};

static bool hear(struct sm *s, const struct said *e)
{
    const struct node *n = &e->it->node[e->node];

    if (strcmp(n->ns, NS_SM) != 0 && strcmp(n->ns, NS_SM_2) != 0)
        return false;
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (elements[i].dirs & 1u << e->dir && strcmp(n->name, elements[i].name) == 0)
            return elements[i].hear(s, e);
    return false;
}

static void count(struct sm *s, enum dir dir)
{
    struct sm_stream *st = own_stream(s);

    if (st && (s->state == SM_ON || dir == DIR_C2S))
        st->way[dir].sent++;
}

bool sm_item(struct sm *s, const struct item *it, enum dir dir, const char *domain,
             struct fact_list *facts, struct fact_list *remarks)
{
    struct said e = {it, 0, dir, domain, facts, remarks};
    bool inline_too = strcmp(it->node[0].ns, NS_SASL2) == 0, resumed;

    if (item_is_stanza(it)) {
        count(s, dir);
        return false;
    }
    resumed = hear(s, &e);
    /* XEP-0388's <authenticate/> and <success/> carry them, or XEP-0386's <bind/> in these. */
    for (e.node = 1; inline_too && e.node < it->nodes; e.node++)
        if (it->node[e.node].depth <= 3)
            resumed = hear(s, &e) || resumed;
    return resumed;
}

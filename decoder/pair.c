#include "pair.h"

#include <stdlib.h>
#include <string.h>

#include "jid.h"

#define NS_TLS      "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL     "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL2    "urn:xmpp:sasl:2"
#define NS_COMPRESS "http://jabber.org/protocol/compress"
#define FNV_BASIS   0xcbf29ce484222325u

/* What a request waits in. All but iqs are answered in order, without ids. */
enum slot { SLOT_IQ, SLOT_HEADER, SLOT_TLS, SLOT_SASL, SLOT_SASL2, SLOT_COMPRESS, SLOT_SM, SLOT_R };

struct pair_request {
    uint64_t n;
    int64_t time_us;
    const char *label;
    uint64_t hash;  /* of direction and id */
    char *key;      /* owned: id NUL address NUL; NULL if it is no iq */
    unsigned bytes; /* of it */
    unsigned char dir, slot;
};

struct pair_answer {
    uint64_t hash; /* of direction, id and address */
    uint64_t n;    /* the request's */
};

void pair_init(struct pair *p)
{
    *p = (struct pair){0};
}

void pair_free(struct pair *p)
{
    for (unsigned i = 0; i < p->opens; i++)
        free(p->open[i].key);
    free(p->open);
    free(p->answered);
    pair_init(p);
}

/* ---- the open requests ---- */

static void drop(struct pair *p, unsigned i)
{
    free(p->open[i].key);
    p->bytes -= p->open[i].bytes;
    p->opens--;
    memmove(&p->open[i], &p->open[i + 1], (p->opens - i) * sizeof *p->open);
    if (p->opens == 0) {
        free(p->open);
        p->open = NULL;
        p->open_room = 0;
    }
}

/* Takes `q->key`. */
static void push(struct pair *p, const struct pair_request *q)
{
    unsigned room = p->open_room ? 2 * p->open_room : 4;
    struct pair_request *more = p->open;

    if (p->opens == p->open_room)
        more = realloc(p->open, room * sizeof *more);
    if (!more) {
        free(q->key);
        pair_missed(p, (enum dir)q->dir);
        return;
    }
    if (p->opens == p->open_room)
        p->open_room = room;
    p->open = more;
    p->open[p->opens++] = *q;
    p->bytes += q->bytes;
}

/* The oldest open request of a slot, or -1. */
static int oldest(const struct pair *p, enum slot slot, enum dir dir)
{
    for (unsigned i = 0; i < p->opens; i++)
        if (p->open[i].slot == slot && p->open[i].dir == dir)
            return (int)i;
    return -1;
}

static void make_room(struct pair *p, unsigned bytes, struct fact_list *remarks)
{
    while (p->opens == PAIR_OPEN_MAX || (p->opens && p->bytes + bytes > PAIR_BYTES_MAX)) {
        remark_add(remarks, REMARK_FORGOTTEN, (unsigned long long)p->open[0].n);
        pair_missed(p, (enum dir)p->open[0].dir);
        drop(p, 0);
    }
}

static void note_slow(struct pair *p, const struct pair_match *m)
{
    unsigned at = p->slows;

    while (at && p->slow[at - 1].us < m->wait_us)
        at--;
    if (at == EVENT_SLOW_MAX)
        return;
    p->slows += p->slows < EVENT_SLOW_MAX;
    memmove(&p->slow[at + 1], &p->slow[at], (p->slows - at - 1u) * sizeof *p->slow);
    p->slow[at] = (struct event_request){m->n, m->wait_us, m->label};
}

/* Never below 0, even when the clock was set back. */
static int64_t wait_of(const struct pair_request *q, int64_t now_us)
{
    return now_us > q->time_us ? now_us - q->time_us : 0;
}

static void answered(struct pair *p, unsigned i, int64_t now_us, struct pair_match *m)
{
    const struct pair_request *q = &p->open[i];

    *m = (struct pair_match){q->n, wait_of(q, now_us), q->label};
    if (q->slot != SLOT_HEADER)
        note_slow(p, m);
    drop(p, i);
}

/* ---- answers remembered ---- */

static uint64_t hash_id(enum dir dir, const char *id)
{
    uint64_t hash = FNV_BASIS + dir;

    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 0x100000001b3u;
    return hash;
}

static uint64_t hash_request(uint64_t id_hash, const char *address)
{
    return jid_hash(id_hash * 31, address);
}

/* The ring grows up to its cap as it is needed; without memory it stays as it is. */
static void remember_answer(struct pair *p, uint64_t hash, uint64_t n)
{
    unsigned room = p->answered_room ? 2 * p->answered_room : 4;
    struct pair_answer *more;

    if (p->answers == p->answered_room && room <= PAIR_ANSWERED_MAX) {
        more = realloc(p->answered, room * sizeof *more);
        if (more) {
            p->answered = more;
            p->answered_room = room;
        }
    }
    if (p->answered_room)
        p->answered[p->answers % p->answered_room] = (struct pair_answer){hash, n};
    p->answers++;
}

/* The number of the last request with this hash that was answered, or 0. */
static uint64_t answered_before(const struct pair *p, uint64_t hash)
{
    unsigned n = p->answers < p->answered_room ? p->answers : p->answered_room;

    for (unsigned i = 1; i <= n; i++) {
        const struct pair_answer *a = &p->answered[(p->answers - i) % p->answered_room];

        if (a->hash == hash)
            return a->n;
    }
    return 0;
}

/* ---- iqs ---- */

/* The other end of an iq, whichever way it goes, and this one; "" if it is not said. */
struct ends {
    const char *other, *own, *account, *domain;
};

static const char *address(const struct item *it, const char *name)
{
    const char *value = item_attr(it, 0, name);

    return value ? value : "";
}

static const char *other_end(const struct item *it, enum dir dir)
{
    return address(it, dir == DIR_C2S ? "to" : "from");
}

/* A server before XMPP 1.0 may say no `to`: then any resource of the account is the client's. */
static bool is_own_resource(const struct ends *e)
{
    size_t n = strcspn(e->other, "/");
    char bare[1024];

    if (*e->own || !e->other[n] || n >= sizeof bare)
        return false;
    memcpy(bare, e->other, n);
    bare[n] = '\0';
    return jid_same(bare, e->account);
}

/* RFC 6120 §8.1.2.1: who answers for the client's own account and its server. The client's full
 * address does, too, as RFC 3920 had it. While the account is unknown, all of the domain do, and
 * while that is, everybody. */
static bool is_own_server(const struct ends *e)
{
    if (!*e->other || jid_same(e->other, e->account) || jid_same(e->other, e->domain) ||
        jid_same(e->other, e->own) || is_own_resource(e))
        return true;
    return !*e->account && (!*e->domain || jid_in(e->other, e->domain));
}

/* Where a request that this answer belongs to may have been sent. */
static unsigned possible_addresses(const struct ends *e, const char *out[4])
{
    unsigned n = 0;

    out[n++] = e->other;
    if (!*e->other) {
        out[n++] = e->account;
        out[n++] = e->domain;
    } else if (is_own_server(e)) {
        out[n++] = "";
    }
    return n;
}

static bool sent_to(const struct pair_request *q, const char *const *addresses, unsigned n)
{
    const char *to = q->key + strlen(q->key) + 1;

    for (unsigned i = 0; i < n; i++)
        if (jid_same(to, addresses[i]))
            return true;
    return false;
}

static bool has_id(const struct pair_request *q, uint64_t hash, const char *id)
{
    return q->hash == hash && q->slot == SLOT_IQ && strcmp(q->key, id) == 0;
}

/* The remark on an answer that has the id of an open request, but is not from whom it went to. */
static void remark_other(const struct pair_request *q, const struct ends *e, enum dir dir,
                         struct fact_list *remarks)
{
    const char *to = q->key + strlen(q->key) + 1;

    remark_add(remarks, REMARK_FROM_OTHER, (unsigned long long)q->n,
               dir == DIR_C2S ? "goes to" : "comes from", *e->other ? e->other : "the server",
               *to ? to : "the server");
}

static void remark_unasked(const struct pair *p, enum dir asked, struct fact_list *remarks)
{
    if (!p->missed[asked])
        remark_add(remarks, REMARK_UNASKED);
}

static bool find_iq(struct pair *p, const char *id, enum dir dir, int64_t now_us,
                    const struct ends *e, struct pair_match *m, struct fact_list *remarks)
{
    uint64_t hash = hash_id(!dir, id), before = 0;
    const struct pair_request *other = NULL;
    const char *addresses[4];
    unsigned n = possible_addresses(e, addresses);

    for (unsigned i = 0; i < p->opens; i++) {
        const struct pair_request *q = &p->open[i];

        if (!has_id(q, hash, id))
            continue;
        if (sent_to(q, addresses, n)) {
            remember_answer(p, hash_request(hash, q->key + strlen(id) + 1), q->n);
            answered(p, i, now_us, m);
            return true;
        }
        other = other ? other : q;
    }
    for (unsigned i = 0; i < n && !before; i++)
        before = answered_before(p, hash_request(hash, addresses[i]));
    if (before)
        remark_add(remarks, REMARK_ANSWERED, (unsigned long long)before);
    else if (other)
        remark_other(other, e, dir, remarks);
    else
        remark_unasked(p, !dir, remarks);
    return false;
}

static void note_iq(struct pair *p, const struct item *it, const char *id, struct pair_request *q,
                    struct fact_list *remarks)
{
    const char *to = other_end(it, (enum dir)q->dir);
    size_t id_len = strlen(id), to_len = strlen(to);

    if (id_len > PAIR_ID_MAX || to_len > PAIR_JID_MAX) {
        pair_missed(p, (enum dir)q->dir);
        return;
    }
    q->hash = hash_id((enum dir)q->dir, id);
    for (unsigned i = 0; i < p->opens; i++)
        if (has_id(&p->open[i], q->hash, id) && sent_to(&p->open[i], &to, 1))
            remark_add(remarks, REMARK_ID_REUSED, (unsigned long long)p->open[i].n);
    q->bytes = (unsigned)(id_len + to_len + 2);
    q->key = malloc(q->bytes);
    if (!q->key) {
        pair_missed(p, (enum dir)q->dir);
        return;
    }
    memcpy(q->key, id, id_len + 1);
    memcpy(q->key + id_len + 1, to, to_len + 1);
    make_room(p, q->bytes, remarks);
    push(p, q);
}

static bool is_iq(const struct item *it, const char *a, const char *b)
{
    const char *type = item_attr(it, 0, "type");

    return it->stanza == ITEM_IQ && type &&
           (strcmp(type, a) == 0 || strcmp(type, b) == 0);
}

/* ---- exchanges in order ---- */

enum { ASKS = 1, ANSWERS = 2, FREELY = 4 }; /* FREELY: it may come unasked, too */

/* clang-format off */
#define SM(name, dir, slot, role)                                                                  \
    {"urn:xmpp:sm:3", name, dir, slot, role}, {"urn:xmpp:sm:2", name, dir, slot, role}
/* clang-format on */

static const struct turn {
    const char *ns, *name;
    enum dir dir;
    enum slot slot;
    unsigned role;
} turns[] = {
    {NS_TLS, "starttls", DIR_C2S, SLOT_TLS, ASKS},
    {NS_TLS, "proceed", DIR_S2C, SLOT_TLS, ANSWERS},
    {NS_TLS, "failure", DIR_S2C, SLOT_TLS, ANSWERS},
    {NS_SASL, "auth", DIR_C2S, SLOT_SASL, ASKS},
    {NS_SASL, "challenge", DIR_S2C, SLOT_SASL, ANSWERS | ASKS},
    {NS_SASL, "response", DIR_C2S, SLOT_SASL, ANSWERS | ASKS},
    {NS_SASL, "abort", DIR_C2S, SLOT_SASL, ANSWERS | ASKS | FREELY},
    {NS_SASL, "success", DIR_S2C, SLOT_SASL, ANSWERS},
    {NS_SASL, "failure", DIR_S2C, SLOT_SASL, ANSWERS},
    {NS_SASL2, "authenticate", DIR_C2S, SLOT_SASL2, ASKS},
    {NS_SASL2, "challenge", DIR_S2C, SLOT_SASL2, ANSWERS | ASKS},
    {NS_SASL2, "response", DIR_C2S, SLOT_SASL2, ANSWERS | ASKS},
    {NS_SASL2, "continue", DIR_S2C, SLOT_SASL2, ANSWERS | ASKS},
    {NS_SASL2, "next", DIR_C2S, SLOT_SASL2, ANSWERS | ASKS},
    {NS_SASL2, "task-data", DIR_S2C, SLOT_SASL2, ANSWERS | ASKS},
    {NS_SASL2, "task-data", DIR_C2S, SLOT_SASL2, ANSWERS | ASKS},
    {NS_SASL2, "abort", DIR_C2S, SLOT_SASL2, ANSWERS | ASKS | FREELY},
    {NS_SASL2, "success", DIR_S2C, SLOT_SASL2, ANSWERS},
    {NS_SASL2, "failure", DIR_S2C, SLOT_SASL2, ANSWERS},
    {NS_COMPRESS, "compress", DIR_C2S, SLOT_COMPRESS, ASKS},
    {NS_COMPRESS, "compressed", DIR_S2C, SLOT_COMPRESS, ANSWERS},
    {NS_COMPRESS, "failure", DIR_S2C, SLOT_COMPRESS, ANSWERS},
    SM("enable", DIR_C2S, SLOT_SM, ASKS),
    SM("resume", DIR_C2S, SLOT_SM, ASKS),
    SM("enabled", DIR_S2C, SLOT_SM, ANSWERS),
    SM("resumed", DIR_S2C, SLOT_SM, ANSWERS),
    SM("failed", DIR_S2C, SLOT_SM, ANSWERS),
    SM("r", DIR_C2S, SLOT_R, ASKS),
    SM("r", DIR_S2C, SLOT_R, ASKS),
    SM("a", DIR_C2S, SLOT_R, ANSWERS | FREELY),
    SM("a", DIR_S2C, SLOT_R, ANSWERS | FREELY),
};

static const struct turn *turn_of(const struct item *it, enum dir dir)
{
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++)
        if (turns[i].dir == dir && item_is(it, 0, turns[i].ns, turns[i].name))
            return &turns[i];
    return NULL;
}

static bool find_turn(struct pair *p, const struct turn *t, int64_t now_us, struct pair_match *m,
                      struct fact_list *remarks)
{
    int i = oldest(p, t->slot, !t->dir);

    if (i >= 0)
        answered(p, (unsigned)i, now_us, m);
    else if (!(t->role & FREELY))
        remark_unasked(p, !t->dir, remarks);
    return i >= 0;
}

/* Stream management may have several requests under way; elsewhere a new one takes the place of
 * one that was not answered: of a mechanism that was given up, of a header. */
static void note_turn(struct pair *p, const struct pair_request *q, struct fact_list *remarks)
{
    int i = oldest(p, (enum slot)q->slot, (enum dir)q->dir);

    if (i >= 0 && q->slot < SLOT_SM)
        drop(p, (unsigned)i);
    make_room(p, 0, remarks);
    push(p, q);
}

/* ---- the interface ---- */

bool pair_find(struct pair *p, const struct item *it, enum dir dir, int64_t now_us,
               const char *account, const char *domain, struct pair_match *m,
               struct fact_list *remarks)
{
    const struct turn *t = item_is_stanza(it) ? NULL : turn_of(it, dir);
    const char *id;
    struct ends e;

    if (t)
        return t->role & ANSWERS && find_turn(p, t, now_us, m, remarks);
    if (it->stanza != ITEM_IQ)
        return false;
    id = item_attr(it, 0, "id");
    e = (struct ends){other_end(it, dir), other_end(it, !dir), account, domain};
    if (!id)
        remark_add(remarks, REMARK_ID_MISSING);
    return id && is_iq(it, "result", "error") && find_iq(p, id, dir, now_us, &e, m, remarks);
}

void pair_note(struct pair *p, const struct item *it, enum dir dir, uint64_t n, int64_t now_us,
               const char *label, struct fact_list *remarks)
{
    const struct turn *t = item_is_stanza(it) ? NULL : turn_of(it, dir);
    struct pair_request q = {.n = n, .time_us = now_us, .label = label, .dir = (unsigned char)dir};
    const char *id = it->stanza == ITEM_IQ ? item_attr(it, 0, "id") : NULL;

    if (t && t->role & ASKS) {
        q.slot = (unsigned char)t->slot;
        note_turn(p, &q, remarks);
    } else if (id && is_iq(it, "get", "set")) {
        note_iq(p, it, id, &q, remarks);
    }
}

bool pair_header(struct pair *p, enum dir dir, uint64_t n, int64_t now_us, struct pair_match *m)
{
    struct pair_request q = {.n = n, .time_us = now_us, .slot = SLOT_HEADER, .dir = DIR_C2S};
    int i = oldest(p, SLOT_HEADER, DIR_C2S);

    if (dir == DIR_S2C && i >= 0)
        answered(p, (unsigned)i, now_us, m);
    else if (i >= 0)
        drop(p, (unsigned)i);
    if (dir == DIR_C2S && p->opens < PAIR_OPEN_MAX)
        push(p, &q);
    return dir == DIR_S2C && i >= 0;
}

void pair_restart(struct pair *p)
{
    for (unsigned i = p->opens; i-- > 0;)
        if (p->open[i].slot != SLOT_IQ)
            drop(p, i);
}

void pair_missed(struct pair *p, enum dir dir)
{
    p->missed[dir] = true;
}

void pair_end(const struct pair *p, int64_t now_us, struct event_end *end)
{
    for (unsigned i = 0; i < p->opens; i++) {
        const struct pair_request *q = &p->open[i];

        if (q->slot == SLOT_HEADER)
            continue;
        if (end->opens < EVENT_OPEN_MAX)
            end->open[end->opens++] = (struct event_request){q->n, wait_of(q, now_us), q->label};
        end->unanswered++;
    }
    end->slows = p->slows;
    memcpy(end->slow, p->slow, sizeof end->slow);
}

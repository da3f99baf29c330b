/* replayer_play.c: behind the login: what the capture holds is sent, what comes is kept. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../decoder/redact.h"
#include "replayer.h"
#include "rewrite.h"

#define NS_BIND  "urn:ietf:params:xml:ns:xmpp-bind"
#define OWN_BIND "xmpptap-replay-bind" /* the id of our own request */
#define OWN      (UINT64_MAX)          /* its number in `pair` */
#define ID_MAX   1024

#define REFUSAL                                                                                    \
    "<error type='cancel'><service-unavailable "                                                   \
    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"

static const struct plan *plan_of(const struct replayer *r)
{
    return r->o->plan;
}

static void no_memory(struct replayer *r)
{
    replayer_fail(r, ERR_NOMEM, "no memory to go on");
}

void play_free(struct replayer *r)
{
    free(r->open);
}

/* ---- what is waited for ---- */

static void await(struct replayer *r, size_t i)
{
    size_t room = r->open_room ? 2 * r->open_room : 16;
    size_t *more = r->open;

    if (r->opens == r->open_room)
        more = realloc(r->open, room * sizeof *more);
    if (!more) {
        no_memory(r);
        return;
    }
    if (r->opens == r->open_room)
        r->open_room = room;
    r->open = more;
    r->open[r->opens++] = i;
}

static void await_no_more(struct replayer *r, size_t i)
{
    for (size_t k = 0; k < r->opens; k++)
        if (r->open[k] == i) {
            r->open[k] = r->open[--r->opens];
            return;
        }
}

static bool is_push(const struct replayer *r, size_t i)
{
    return plan_of(r)->item[i].dir == DIR_S2C;
}

/* Had the captured client seen the answer to request `i`, or the push `i`, before it sent item
 * `next`? Nothing goes before a resource. */
static bool comes_before(const struct replayer *r, size_t i, size_t next)
{
    const struct plan_item *x = &plan_of(r)->item[i];

    return x->bind || is_push(r, i) || x->answer < next || next == plan_of(r)->items;
}

enum block { BLOCK_NONE, BLOCK_PUSH, BLOCK_ANSWER };

static enum block block_of(const struct replayer *r, size_t next)
{
    const struct plan *p = plan_of(r);
    enum block block = BLOCK_NONE;

    if (r->pair.opens >= REPLAYER_OPEN_MAX)
        return BLOCK_ANSWER;
    if (next < p->items && p->item[next].kind == PLAN_ANSWER && p->item[next].re != PLAN_NONE &&
        !r->outcome[p->item[next].re].came)
        return BLOCK_ANSWER;
    for (size_t k = 0; k < r->opens && block != BLOCK_ANSWER; k++)
        if (comes_before(r, r->open[k], next))
            block = is_push(r, r->open[k]) ? BLOCK_PUSH : BLOCK_ANSWER;
    return block;
}

static bool is_missed(const struct replayer *r, uint64_t key)
{
    for (size_t i = 0; i < r->misses; i++)
        if (r->missed[i] == key)
            return true;
    return r->misses == REPLAYER_MISSED;
}

static void give_up(struct replayer *r, size_t next)
{
    for (size_t k = r->opens; k-- > 0;) {
        size_t i = r->open[k];

        if (!comes_before(r, i, next))
            continue;
        r->outcome[i].late = true;
        r->open[k] = r->open[--r->opens];
        if (is_push(r, i) && !is_missed(r, plan_of(r)->item[i].key))
            r->missed[r->misses++] = plan_of(r)->item[i].key;
    }
}

/* May item `next` be sent? It waits at most so long as it was told. */
static bool is_its_turn(struct replayer *r, size_t next)
{
    enum block block = block_of(r, next);
    int64_t limit_s = r->o->wait_s, until_us;

    if (block == BLOCK_PUSH && limit_s > REPLAYER_PUSH_S)
        limit_s = REPLAYER_PUSH_S;
    until_us = r->now_us + limit_s * 1000000;
    if (block) {
        if (!r->until_us || until_us < r->until_us)
            r->until_us = until_us;
        if (r->now_us < r->until_us)
            return false;
        give_up(r, next);
    }
    r->until_us = 0;
    return true;
}

/* Goes on to the client's next item; what the server had said before it is waited for. */
static void pass(struct replayer *r)
{
    const struct plan *p = plan_of(r);

    for (; r->at < p->items; r->at++) {
        const struct plan_item *x = &p->item[r->at];

        if (x->dir == DIR_C2S && !x->skip)
            return;
        if (x->awaited && !r->outcome[r->at].came && !is_missed(r, x->key))
            await(r, r->at);
    }
}

/* ---- sending ---- */

/* The bytes from `from` on in `out` go to the server: what of them asks is remembered. */
static void note_sent(struct replayer *r, size_t from, uint64_t n)
{
    struct fact_list remarks;
    const struct item *it;

    fact_init(&remarks);
    if (reader_item(r->o->reader, &r->up, r->out.p + from, r->out.len - from, &it, NULL) == 0)
        pair_note(&r->pair, it, DIR_C2S, n, r->now_us, NULL, &remarks);
}

static void note_presence(struct replayer *r, size_t from)
{
    const struct item *it;
    const char *type;

    if (reader_item(r->o->reader, &r->up, r->out.p + from, r->out.len - from, &it, NULL) ||
        it->stanza != ITEM_PRESENCE || item_attr(it, 0, "to"))
        return;
    type = item_attr(it, 0, "type");
    if (!type)
        r->available = true;
    else if (strcmp(type, "unavailable") == 0)
        r->available = false;
}

/* An answer goes to whom asked in this session, with that one's id. False: nobody has asked. */
static bool address_answer(struct replayer *r, const struct plan_item *x, struct rewrite *w,
                           char id[ID_MAX], char to[ID_MAX])
{
    size_t asked = x->re == PLAN_NONE ? 0 : r->outcome[x->re].came;
    const struct plan_bytes *b;
    const struct item *it;
    const char *value;

    if (!asked)
        return false;
    b = &r->push[asked - 1].bytes;
    if (reader_item(r->o->reader, &r->down, r->kept.p + b->at, b->len, &it, NULL))
        return false;
    value = item_attr(it, 0, "id");
    snprintf(id, ID_MAX, "%s", value ? value : "");
    value = item_attr(it, 0, "from");
    snprintf(to, ID_MAX, "%s", value ? value : "");
    w->id = id;
    w->address = *to ? to : NULL;
    return true;
}

static void send_next(struct replayer *r)
{
    const struct plan *p = plan_of(r);
    const struct plan_item *x = &p->item[r->at];
    struct replay_outcome *o = &r->outcome[r->at];
    struct rewrite w = {.from = &p->names, .to = &r->names};
    char id[ID_MAX], to[ID_MAX];
    size_t from = r->out.len;

    if (x->kind == PLAN_ANSWER && !address_answer(r, x, &w, id, to)) {
        o->why = "it answers what the server did not ask this time";
        return;
    }
    if (rewrite_item(&w, plan_at(p, r->at), x->len, &r->out)) {
        no_memory(r);
        return;
    }
    o->sent = true;
    if (x->kind == PLAN_REQUEST)
        note_sent(r, from, r->at);
    if (x->kind == PLAN_REQUEST && (x->answer != PLAN_NONE || x->bind))
        await(r, r->at);
    if (x->kind == PLAN_ALONE)
        note_presence(r, from);
}

static void say_goodbye(struct replayer *r)
{
    r->epilogue = r->available;
    if ((r->available && buf_str(&r->out, "<presence type='unavailable'/>")) ||
        buf_str(&r->out, "</stream:stream>")) {
        no_memory(r);
        return;
    }
    r->available = false;
    r->phase = REPLAY_CLOSE;
    r->until_us = r->now_us + r->o->wait_s * 1000000ll;
}

void play_on(struct replayer *r)
{
    const struct plan *p = plan_of(r);

    while (r->phase == REPLAY_PLAY && !r->full) {
        pass(r);
        if (!is_its_turn(r, r->at))
            return;
        if (r->at == p->items) {
            say_goodbye(r);
            return;
        }
        send_next(r);
        r->at++;
        r->full = r->out.len > REPLAYER_OUT_HIGH;
    }
    if (r->full && r->phase == REPLAY_PLAY && !r->until_us)
        r->until_us = r->now_us + REPLAYER_STALL_S * 1000000ll;
}

/* ---- beginning ---- */

static bool plays_anything(const struct plan *p)
{
    for (size_t i = 0; i < p->items; i++)
        if (p->item[i].dir == DIR_C2S && !p->item[i].skip)
            return true;
    return false;
}

/* Where the capture does not ask for a resource (SASL2, a stream that was resumed, the legacy
 * login) there must be one all the same. */
int play_begin(struct replayer *r)
{
    const char *resource = strchr(plan_of(r)->names.full, '/');
    size_t from = r->out.len;
    int err;

    if (plan_of(r)->binds || !plays_anything(plan_of(r))) {
        r->phase = REPLAY_PLAY;
        r->until_us = 0;
        return 0;
    }
    r->phase = REPLAY_BIND;
    err = buf_str(&r->out, "<iq type='set' id='" OWN_BIND "'><bind xmlns='" NS_BIND "'>");
    if (!err && resource)
        err = buf_str(&r->out, "<resource>");
    if (!err && resource)
        err = buf_xml(&r->out, resource + 1);
    if (!err && resource)
        err = buf_str(&r->out, "</resource>");
    if (!err)
        err = buf_str(&r->out, "</bind></iq>");
    if (!err)
        note_sent(r, from, OWN);
    return err;
}

/* ---- what comes ---- */

/* Where the capture was redacted, what comes is, too: it is compared with that, and shown. */
static int keep_item(struct replayer *r, struct plan_bytes *b, const struct item *it)
{
    struct secrets none;
    struct buf masked;
    int err;

    if (!plan_of(r)->redacted || !it->secrets)
        return replayer_keep(r, b, it->p, it->len);
    secrets_init(&none);
    buf_init(&masked, 2 * it->len + READER_SECRETS * sizeof REDACTED);
    err = redact_item(it, &none, &masked);
    if (err)
        no_memory(r);
    else
        err = replayer_keep(r, b, masked.len ? masked.p : it->p, masked.len ? masked.len : it->len);
    buf_free(&masked);
    return err;
}

/* The answer to a request for a resource; `captured`: the capture's was good, too. */
static void take_bound(struct replayer *r, const struct item *it, bool captured)
{
    const char *type = item_attr(it, 0, "type");
    int jid = item_find(it, 3, NS_BIND, "jid"), error = item_find(it, 2, NULL, "error");
    int condition = error < 0 ? -1 : item_find(it, 3, NULL, NULL);

    if (type && strcmp(type, "result") == 0) {
        if (jid >= 0)
            names_set(&r->names, it->node[jid].text);
        if (r->phase == REPLAY_BIND) {
            r->phase = REPLAY_PLAY;
            r->until_us = 0;
        }
        return;
    }
    if (captured)
        replayer_fail(r, ERR_SASL,
                      "the server gives the account no resource (%.60s), and without one "
                      "nothing can be sent; its access rules or its limit of sessions say why",
                      condition < 0 ? "no reason" : it->node[condition].name);
}

static bool was_good(const struct replayer *r, size_t request)
{
    const struct plan *p = plan_of(r);
    size_t i = p->item[request].answer;

    return i != PLAN_NONE && p->item[i].len && memmem(plan_at(p, i), p->item[i].len, "<jid", 4);
}

static void take_answer(struct replayer *r, const struct item *it, uint64_t n)
{
    size_t i = (size_t)n;

    if (n == OWN) {
        take_bound(r, it, true);
        return;
    }
    await_no_more(r, i);
    if (keep_item(r, &r->outcome[i].answer, it))
        return;
    if (plan_of(r)->item[i].bind)
        take_bound(r, it, was_good(r, i));
    if (item_is(it, 0, "urn:xmpp:sm:3", "enabled") || item_is(it, 0, "urn:xmpp:sm:2", "enabled")) {
        r->sm = true;
        r->sm_in = 0;
    }
}

static bool is_due(const struct replayer *r, size_t i)
{
    const struct plan_item *x = &plan_of(r)->item[i];

    return x->dir == DIR_S2C && x->re == PLAN_NONE && !r->outcome[i].came;
}

/* The same in the capture, one that has not come yet. */
static size_t find_captured(struct replayer *r, enum plan_kind kind, uint64_t key)
{
    const struct plan *p = plan_of(r);

    while (r->pushed < p->items && !is_due(r, r->pushed))
        r->pushed++;
    for (size_t i = r->pushed; i < p->items; i++)
        if (is_due(r, i) && p->item[i].kind == kind && p->item[i].key == key)
            return i;
    return PLAN_NONE;
}

/* RFC 6120 §8.2.3: it must have an answer. */
static void refuse(struct replayer *r, const struct item *it)
{
    const char *id = item_attr(it, 0, "id"), *from = item_attr(it, 0, "from");
    int err = buf_str(&r->out, "<iq type='error' id='");

    if (!err)
        err = buf_xml(&r->out, id ? id : "");
    if (!err && from)
        err = buf_str(&r->out, "' to='");
    if (!err && from)
        err = buf_xml(&r->out, from);
    if (!err)
        err = buf_str(&r->out, "'>" REFUSAL);
    if (err)
        no_memory(r);
}

static bool add_push(struct replayer *r, const struct item *it, enum plan_kind kind)
{
    size_t room = r->push_room ? 2 * r->push_room : 32;
    struct replay_push *more = r->push;

    if (r->pushes == r->push_room)
        more = realloc(r->push, room * sizeof *more);
    if (!more) {
        no_memory(r);
        return false;
    }
    if (r->pushes == r->push_room)
        r->push_room = room;
    r->push = more;
    r->push[r->pushes].kind = kind;
    if (keep_item(r, &r->push[r->pushes].bytes, it))
        return false;
    r->pushes++;
    return true;
}

static void take_push(struct replayer *r, const struct item *it)
{
    enum plan_kind kind = plan_kind_of(it, DIR_S2C);
    const char *type = item_attr(it, 0, "type");
    size_t i;

    if (r->epilogue && it->stanza == ITEM_PRESENCE && type && strcmp(type, "unavailable") == 0)
        return; /* of our own goodbye */
    if (!*r->ended)
        replayer_stream_error(it, r->ended, sizeof r->ended);
    if (!add_push(r, it, kind))
        return;
    i = find_captured(r, kind, plan_key(it, &r->names));
    if (i != PLAN_NONE) {
        r->outcome[i].came = r->pushes;
        await_no_more(r, i);
    } else if (kind == PLAN_REQUEST && r->phase != REPLAY_CLOSE) {
        refuse(r, it);
    }
}

static void take_sm(struct replayer *r, const struct item *it)
{
    if (strcmp(it->node[0].name, "r") == 0 && r->sm && r->phase != REPLAY_CLOSE &&
        buf_printf(&r->out, "<a xmlns='%s' h='%u'/>", it->node[0].ns, r->sm_in))
        no_memory(r);
}

void play_item(struct replayer *r, const struct item *it)
{
    struct fact_list remarks;
    struct pair_match m;

    fact_init(&remarks);
    r->sm_in += it->stanza != ITEM_NO_STANZA;
    if (pair_find(&r->pair, it, DIR_S2C, r->now_us, r->names.bare, r->names.domain, &m, &remarks))
        take_answer(r, it, m.n);
    else if (strncmp(it->node[0].ns, "urn:xmpp:sm:", 12) == 0)
        take_sm(r, it);
    else
        take_push(r, it);
}

/* What was left to play is said by who reports; the server may have ended the captured stream,
 * too. */
void play_closed(struct replayer *r)
{
    const struct plan *p = plan_of(r);
    size_t left = 0;

    if (r->phase == REPLAY_CLOSE) {
        r->phase = REPLAY_DONE;
        return;
    }
    for (size_t i = r->at; i < p->items; i++)
        left += p->item[i].dir == DIR_C2S && !p->item[i].skip;
    if (left || r->phase == REPLAY_BIND)
        replayer_fail(r, ERR_CLOSED,
                      "the server ended the stream%s%.150s%s before all of the capture was "
                      "sent (left: %zu); its log tells why",
                      *r->ended ? " (" : "", r->ended, *r->ended ? ")" : "", left);
    r->phase = REPLAY_DONE;
}

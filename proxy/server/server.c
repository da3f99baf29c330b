#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../decoder/buf.h"
#include "../../decoder/reader.h"
#include "../../decoder/scan.h"
#include "../channel_binding.h"
#include "answers.h"
#include "client.h"
#include "compression.h"
#include "login.h"
#include "markup.h"
#include "ns.h"
#include "presence.h"
#include "sasl1.h"
#include "sasl2.h"
#include "scripted.h"
#include "stream_features.h"
#include "world.h"

#define ITEM_BYTES   (256u << 10)
#define OUTPUT_BYTES (1u << 20)
#define HELD_BYTES   (256u << 10)
#define SCRIPT_BYTES (16u << 20)  /* output where captured items are played: one may have 4 MiB */
#define SCRIPT_ROOM  (256u << 10) /* with so much of it unfetched the rest waits */
#define KEEP_BYTES   4096 /* a buffer that has grown larger is given back when it is empty */
#define DEPTH        256

#define HOLD_US 500000

static const struct scan_limits limits = {
    .tag_bytes = ITEM_BYTES, .item_bytes = ITEM_BYTES, .depth = DEPTH};

struct server {
    struct server_options options; /* `stream_id` is owned */
    struct reader *reader;
    bool own_reader;
    struct scan scan;
    struct reader_stream root;
    struct client *client; /* owned */
    struct scripted *scripted; /* owned: a captured server is played; else NULL */
    struct server *next, **at; /* the world's */
    struct login login;
    struct sasl2 sasl2;
    struct buf in; /* a token that came in pieces */
    struct buf out;
    struct buf text; /* the answer being written */
    struct buf held; /* answers that wait for the hold's end */
    struct compression *compression; /* owned, NULL while there is none */
    int64_t now_us;
    int64_t hold_until_us;  /* -1: nothing is held */
    bool tls;
    bool wants_tls;
    bool opened;     /* our header of the present stream is out */
    bool done;
    bool ended;      /* by the end of its stream */
    bool full;       /* because its output was */
};

/* ---- output: straight out, or held back behind the privacy lists ---- */

static int flush_held(struct server *s)
{
    int err = buf_add(&s->out, s->held.p, s->held.len);

    buf_free(&s->held);
    return err;
}

/* Sends `n` bytes of our own making. */
static int send_out(struct server *s, const char *p, size_t n)
{
    struct buf *to = s->hold_until_us >= 0 ? &s->held : &s->out;
    int err = buf_add(to, p, n);

    if (err == ERR_CAP && to == &s->held) { /* too much to hold: the order stays, the wait ends */
        s->hold_until_us = -1;
        err = flush_held(s);
        if (!err)
            err = buf_add(&s->out, p, n);
    }
    return err;
}

/* Sends what is in s->text. */
static int emit(struct server *s)
{
    int err = send_out(s, s->text.p, s->text.len);

    s->text.len = 0;
    return err;
}

/* The same of a stanza: it is counted. */
static int emit_stanza(struct server *s)
{
    bool asks;

    if (s->text.len)
        csi_flush(s->client);
    asks = s->text.len && managed_sent(s->client, s->text.p, s->text.len);

    if (asks && buf_str(&s->text, SM_REQUEST))
        return ERR_NOMEM;
    return emit(s);
}

static int emit_str(struct server *s, const char *xml)
{
    int err = buf_str(&s->text, xml);

    return err ? err : emit(s);
}

/* The hold ends: what was held, then the contacts' presence if it is still to come. */
static int release(struct server *s)
{
    int err;

    if (s->hold_until_us < 0)
        return 0;
    s->hold_until_us = -1;
    err = flush_held(s);
    if (!err && s->client->contacts_due_us >= 0)
        presence_contacts(s->client);
    return err;
}

static int emit_header(struct server *s)
{
    char random[RANDOM_SIZE];
    const char *id = s->options.stream_id;
    int err = 0;

    if (!id) {
        err = client_random(random);
        id = random;
    }
    if (!err)
        err = s->scripted ? scripted_header(s->scripted, id, &s->text) : stream_header_put(&s->text, s->client->domain, id);
    s->opened = true;
    return err ? err : emit(s);
}


/* Ends the stream: behind what is held, with `last` before the end tag. */
static int finish(struct server *s, const char *last)
{
    int err = release(s);

    if (!err && s->scripted) {
        scripted_close(s->scripted);
        err = scripted_play(s->scripted, s->now_us, OUTPUT_BYTES, &s->text);
        err = err ? err : emit(s);
    }
    if (!err && !s->opened)
        err = emit_header(s);
    if (!err)
        err = emit_str(s, last);
    if (!err)
        err = emit_str(s, "</stream:stream>");
    s->done = true;
    s->ended = true;
    return err;
}

/* What is due of the captured server, as far as there is room. */
static int play(struct server *s)
{
    int err = 0;

    if (s->done || s->out.len >= SCRIPT_ROOM)
        return 0;
    err = scripted_play(s->scripted, s->now_us, SCRIPT_ROOM - s->out.len, &s->text);
    if (!err)
        err = emit(s);
    return !err && scripted_over(s->scripted) ? finish(s, "") : err;
}

/* RFC 6120 §4.9. `text` is our own, and may be empty. */
static int stream_error_with(struct server *s, const char *condition, const char *text)
{
    char xml[2048];

    snprintf(xml, sizeof xml,
             "<stream:error><%s xmlns=\"" NS_STREAMS "\"/>%s</stream:error>", condition, text);
    return finish(s, xml);
}

static int stream_error(struct server *s, const char *condition)
{
    return stream_error_with(s, condition, "");
}

/* XEP-0138 §3 */
#define PROCESSING_FAILED                                                                          \
    "<stream:error><undefined-condition xmlns=\"" NS_STREAMS "\"/><failure xmlns=\"" NS_COMPRESS   \
    "\"><processing-failed/></failure></stream:error>"

/* What the client is told of an item that cannot be read. */
static int unreadable(struct server *s, enum error_code code)
{
    static const struct {
        enum error_code code;
        const char *condition;
    } told[] = {
        {ERR_RESTRICTED_XML, "restricted-xml"}, {ERR_ITEM_CAP, "policy-violation"},
        {ERR_TAG_CAP, "policy-violation"},      {ERR_DEPTH_CAP, "policy-violation"},
        {ERR_INFLATE_CAP, "policy-violation"},
        {ERR_CAP, "policy-violation"},          {ERR_ENCODING, "unsupported-encoding"},
    };

    if (code == ERR_NOMEM)
        return ERR_NOMEM;
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        if (told[i].code == code)
            return stream_error(s, told[i].condition);
    return code == ERR_COMPRESSED ? finish(s, PROCESSING_FAILED) : stream_error(s, "not-well-formed");
}

/* ---- streams ---- */

static void expect_stream(struct server *s)
{
    scan_init(&s->scan, &limits);
    reader_stream_free(&s->root);
    s->opened = false;
    login_reset(&s->login);
}

static struct stream_state state_of(const struct server *s)
{
    struct stream_state state = {
        .tls = s->tls,
        .compressed = s->compression != NULL,
        .authenticated = s->client->user != NULL,
        .bound = s->client->bound,
        .accounts = s->client->world->closed,
    };
    struct scram_binding b;

    for (int t = 0; t < CB_TYPES && s->tls && s->options.binding; t++)
        if (s->options.binding(s->options.binding_arg, (enum cb_type)t, &b))
            state.bindings |= 1u << t;
    return state;
}

static int emit_features(struct server *s)
{
    struct stream_state state = state_of(s);
    const struct profile *p = s->client->world->profile;
    int err = s->scripted ? script_put_features(s->client->world->script, p, &state, &s->text)
                          : stream_features_put(&s->text, p, &state);

    return err ? err : emit(s);
}

/* The domain asked for; without `to` the one of the stream before. False if it is none. */
static bool take_domain(struct server *s, const char *to)
{
    return !to || !*to || client_domain(s->client, to);
}

static int take_header(struct server *s, const char *p, size_t n)
{
    const struct item *it;
    struct error e;
    const char *version;
    bool known;
    int err = reader_header(s->reader, &s->root, p, n, &it, &e);

    if (err)
        return unreadable(s, (enum error_code)err);
    version = item_attr(it, 0, "version");
    known = take_domain(s, item_attr(it, 0, "to"));
    if (s->scripted)
        scripted_known(s->scripted);
    if (!item_is(it, 0, NS_STREAM, "stream"))
        return stream_error(s, "invalid-namespace");
    if (!known)
        return stream_error(s, "host-unknown");
    err = emit_header(s);
    /* Without a version the client is older than features (RFC 6120 §4.7.5). */
    return err || !version ? err : emit_features(s);
}

/* ---- STARTTLS and SASL (RFC 6120 §5, §6) ---- */

static int take_starttls(struct server *s, const struct item *it)
{
    (void)it;
    if (s->tls || s->client->user)
        return finish(s, "<failure xmlns=\"" NS_TLS "\"/>");
    s->wants_tls = true;
    return emit_str(s, "<proceed xmlns=\"" NS_TLS "\"/>");
}

/* A client that goes on with weaker and weaker mechanisms was told at the first why. */
static int too_many_logins(struct server *s)
{
    char text[1536] = "";

    s->text.len = 0;
    if (s->client->world->profile->failure_text && markup_escape(&s->text, s->login.first) == 0 &&
        buf_add(&s->text, "", 1) == 0)
        snprintf(text, sizeof text, "<text xmlns=\"" NS_STREAMS "\" xml:lang=\"en\">%u logins failed in "
                 "this connection, the first: %s</text>", s->login.failures, s->text.p);
    s->text.len = 0;
    return stream_error_with(s, "policy-violation", text);
}

/* The stream goes on (XEP-0388 §2.6.3), with what waited for who has come back. */
static int go_on(struct server *s)
{
    int err = emit_features(s);

    if (!err && s->sasl2.resumed.len)
        err = send_out(s, s->sasl2.resumed.p, s->sasl2.resumed.len);
    sasl2_free(&s->sasl2);
    return err;
}

static int take_sasl(struct server *s, const struct item *it)
{
    struct stream_state state = state_of(s);
    bool second = strcmp(it->node[0].ns, NS_SASL2) == 0;
    enum login_result result;
    int err;

    if (second && !profile_has(s->client->world->profile, FEATURE_SASL2))
        return stream_error(s, "unsupported-stanza-type");
    err = second ? sasl2_take(&s->sasl2, &s->login, &state, it, &s->root.root, &s->text, &result)
                 : sasl1_take(&s->login, &state, it, &s->text, &result);

    if (!err && s->login.failures > LOGIN_FAILURES)
        return too_many_logins(s);
    if (!err)
        err = emit(s);
    if (err || result != LOGIN_DONE)
        return err;
    if (s->scripted)
        scripted_known(s->scripted);
    if (second)
        return go_on(s);
    expect_stream(s);
    return 0;
}

/* ---- items ---- */

static int take_stanza(struct server *s, const struct item *it)
{
    struct ask q;
    int err;

    ask_init(&q, s->client, it, &s->root.root, &s->text);
    if (s->scripted)
        scripted_ask(s->scripted, &q, s->now_us);
    else
        answers_stanza(&q);
    err = q.err;
    if (err)
        return err;
    if (q.stream_error)
        return stream_error(s, q.stream_error);
    if (q.effects & ASK_RELEASES)
        err = release(s);
    s->client->sm.in += s->client->sm.on;
    if (!err)
        err = emit_stanza(s);
    if (q.effects & ASK_HOLDS && s->hold_until_us < 0)
        s->hold_until_us = s->now_us + HOLD_US;
    return err || !s->scripted ? err : play(s);
}

/* An element that is no stanza, where a captured server is played. */
static int take_element(struct server *s, const struct item *it)
{
    bool known;
    int err = scripted_element(s->scripted, it, &s->root.root, s->now_us, &s->text, &known);

    if (!err && !known)
        return stream_error(s, "unsupported-stanza-type");
    return err ? err : play(s);
}

/* ---- stream management, client state ---- */

static int take_sm(struct server *s, const struct item *it)
{
    bool ends;
    int err;

    if (!profile_has(s->client->world->profile, FEATURE_SM))
        return stream_error(s, "unsupported-stanza-type");
    err = managed_take(s->client, it, &s->text, &ends);
    if (!err)
        err = emit(s);
    return !err && ends ? finish(s, "") : err;
}

void server_adopt(struct server *s, struct client *c)
{
    struct client *own = s->client;
    struct server *other = c->server;

    client_login(own, NULL);
    s->client = s->login.c = c;
    c->server = s;
    if (!other) {
        world_attach(c->world, c);
        client_free(own);
        return;
    }
    other->client = own;
    own->server = other;
    server_end(other, "conflict");
}

static int take_csi(struct server *s, const struct item *it)
{
    bool known = profile_has(s->client->world->profile, FEATURE_CSI) && csi_take(s->client, it);

    return known ? 0 : stream_error(s, "unsupported-stanza-type");
}

/* ---- compression (XEP-0138) ---- */

static int take_compress(struct server *s, const struct item *it)
{
    const char *refusal = s->compression || !s->client->user || s->client->bound
                              ? "setup-failed"
                              : compression_refusal(it);
    int err;

    if (!profile_has(s->client->world->profile, FEATURE_COMPRESSION))
        return stream_error(s, "unsupported-stanza-type");
    if (refusal) {
        err = buf_printf(&s->text, "<failure xmlns=\"" NS_COMPRESS "\"><%s/></failure>", refusal);
        return err ? err : emit(s);
    }
    err = emit_str(s, "<compressed xmlns=\"" NS_COMPRESS "\"/>");
    if (err)
        return err;
    s->compression = compression_new(&s->out);
    expect_stream(s);
    return s->compression ? 0 : ERR_NOMEM;
}

/* ---- the table ---- */

static int take_item(struct server *s, const char *p, size_t n)
{
    static const struct {
        const char *ns, *name;
        bool before_auth; /* not any more behind it */
        int (*take)(struct server *, const struct item *);
    } rows[] = {
        /* clang-format off */
        {NS_CLIENT, "iq", false, take_stanza},
        {NS_CLIENT, "message", false, take_stanza},
        {NS_CLIENT, "presence", false, take_stanza},
        {NS_TLS, "starttls", false, take_starttls},
        {NS_SASL, "auth", true, take_sasl},
        {NS_SASL, "response", true, take_sasl},
        {NS_SASL, "abort", true, take_sasl},
        {NS_SASL2, "authenticate", true, take_sasl},
        {NS_SASL2, "response", true, take_sasl},
        {NS_SASL2, "abort", true, take_sasl},
        {NS_SM, NULL, false, take_sm},
        {NS_CSI, NULL, false, take_csi},
        {NS_COMPRESS, "compress", false, take_compress},
        /* clang-format on */
    };
    const struct item *it;
    struct error e;
    int err = reader_item(s->reader, &s->root, p, n, &it, &e);

    if (err)
        return unreadable(s, (enum error_code)err);
    if (s->scripted && s->client->user && scripted_takes(it))
        return take_element(s, it);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (item_is(it, 0, rows[i].ns, rows[i].name))
            return rows[i].before_auth && s->client->user
                       ? stream_error(s, "policy-violation")
                       : rows[i].take(s, it);
    return stream_error(s, item_is(it, 0, "jabber:server", NULL) ? "invalid-namespace"
                                                                 : "unsupported-stanza-type");
}

/* The scanner counts tags; that the last one's name is the root's is for us to see. */
static int take_close(struct server *s, const char *p, size_t n)
{
    const struct buf *root = &s->root.root;
    size_t name = 1;

    while (name < root->len && !strchr(" \t\r\n/>", root->p[name]))
        name++;
    name--;
    if (n < name + 3 || memcmp(p + 2, root->p + 1, name) != 0 || !strchr(" \t\r\n>", p[name + 2]))
        return stream_error(s, "not-well-formed");
    return finish(s, "");
}

/* `used` bytes at `p` were scanned. */
static int take_token(struct server *s, enum scan_what what, const char *p, size_t used)
{
    int err;

    if (s->scan.flaw) /* it came before what SCAN_BAD found */
        return unreadable(s, s->scan.flaw);
    if (what == SCAN_BAD)
        return unreadable(s, s->scan.error);
    if (what == SCAN_SPACE)
        return 0;
    if (what == SCAN_MORE || s->in.len) {
        err = buf_add(&s->in, p, used);
        if (err || what == SCAN_MORE)
            return err;
        p = s->in.p;
        used = s->in.len;
    }
    s->in.len = 0; /* its bytes stay until the next token's */
    if (what == SCAN_HEADER)
        return take_header(s, p, used);
    return what == SCAN_ITEM ? take_item(s, p, used) : take_close(s, p, used);
}

/* ---- the interface ---- */

static void give_back(struct buf *b)
{
    if (b->len == 0 && b->cap > KEEP_BYTES)
        buf_free(b);
}

/* What a call ends with: output over its cap is the end, but no error of the caller's. */
static int settle(struct server *s, int err)
{
    s->text.len = 0;
    give_back(&s->text);
    give_back(&s->in);
    if (err)
        s->done = true;
    s->full |= err == ERR_CAP;
    return err == ERR_CAP ? 0 : err;
}

static void enlist(struct server *s, struct world *w)
{
    s->next = w->servers;
    s->at = &w->servers;
    if (s->next)
        s->next->at = &s->next;
    w->servers = s;
}

/* The first of the list keeps the world's time: there must be another. */
static void unlist(struct server *s)
{
    struct world *w = s->options.world;

    *s->at = s->next;
    if (s->next)
        s->next->at = s->at;
    if (w->waiting && w->servers)
        server_wake(w->servers);
}

static void let_go(struct client *c, bool ended)
{
    csi_active(c); /* to what is not acknowledged */
    if (!ended && managed_waits(c))
        world_wait(c->world, c);
    else
        client_gone(c);
}

struct server *server_new(const struct server_options *o)
{
    struct server *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->reader = o->reader ? o->reader : reader_new();
    s->own_reader = !o->reader;
    s->options = *o;
    s->options.stream_id = o->stream_id ? strdup(o->stream_id) : NULL;
    s->hold_until_us = -1;
    buf_init(&s->in, ITEM_BYTES);
    buf_init(&s->out, o->world->script ? SCRIPT_BYTES : OUTPUT_BYTES);
    buf_init(&s->text, s->out.max);
    buf_init(&s->held, HELD_BYTES);
    s->client = client_new(o->world, s);
    enlist(s, o->world);
    login_init(&s->login, s->client);
    sasl2_init(&s->sasl2);
    s->login.binding = o->binding;
    s->login.binding_arg = o->binding_arg;
    reader_stream_init(&s->root);
    expect_stream(s);
    if (o->world->script && s->client)
        s->scripted = scripted_new(&(struct scripted_options){
            o->world->script, s->client, o->unanswered, o->unanswered_arg});
    if (!s->client || !s->reader || (o->stream_id && !s->options.stream_id) ||
        (o->world->script && !s->scripted)) {
        server_free(s);
        return NULL;
    }
    return s;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    scripted_free(s->scripted);
    unlist(s);
    if (s->client)
        let_go(s->client, s->ended);
    if (s->own_reader)
        reader_free(s->reader);
    free((char *)s->options.stream_id);
    login_reset(&s->login);
    sasl2_free(&s->sasl2);
    reader_stream_free(&s->root);
    compression_free(s->compression);
    buf_free(&s->in);
    buf_free(&s->out);
    buf_free(&s->text);
    buf_free(&s->held);
    free(s);
}

/* Only white space may stand between <starttls/> and TLS (RFC 6120 §5.3.1). */
static bool is_blank(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] == '\0' || !strchr(" \t\r\n", p[i]))
            return false;
    return true;
}

/* Up to the end, or to where TLS or compression begins: `*n` bytes are left then. */
static int take_text(struct server *s, const char **p, size_t *n)
{
    const struct compression *before = s->compression;
    int err = 0;

    while (!err && *n && !s->done && s->compression == before) {
        enum scan_what what;
        size_t used;

        if (s->wants_tls) {
            s->done = !is_blank(*p, *n);
            s->wants_tls = !s->done;
            *n = 0;
            break;
        }
        what = scan_next(&s->scan, *p, *n, &used);
        *p += used;
        *n -= used;
        err = take_token(s, what, *p - used, used);
    }
    return err;
}

/* As much of what waits as goes in one call. */
static int take_compressed(struct server *s)
{
    char text[4096];
    size_t n, all = 0;
    int err = 0;

    do {
        const char *p = text;

        err = compression_get(s->compression, text, sizeof text, &n);
        if (err)
            return unreadable(s, (enum error_code)err);
        all += n;
        if (n)
            err = take_text(s, &p, &(size_t){n});
    } while (!err && n && !s->done && all < COMPRESSION_CALL);
    return err;
}

int server_input(struct server *s, const char *p, size_t n, int64_t now_us)
{
    int err = server_tick(s, now_us);

    if (!err && !s->compression)
        err = take_text(s, &p, &n);
    if (err || !n || s->done)
        return settle(s, err);
    err = compression_put(s->compression, p, n);
    if (err)
        err = unreadable(s, (enum error_code)err);
    else
        err = take_compressed(s);
    return settle(s, err);
}

const char *server_output(struct server *s, size_t *n)
{
    const char *p = s->out.p;

    *n = s->out.len;
    if (s->compression && compression_output(s->compression, &s->out, &p, n))
        s->done = true;
    return p;
}

void server_sent(struct server *s, size_t n)
{
    if (s->compression)
        compression_sent(s->compression, n);
    else
        buf_drop(&s->out, n);
    if (s->scripted && play(s))
        s->done = true;
    give_back(&s->text);
    give_back(&s->out);
}

bool server_wants_tls(const struct server *s)
{
    return s->wants_tls;
}

void server_tls(struct server *s)
{
    s->wants_tls = false;
    s->tls = true;
    s->in.len = 0;
    expect_stream(s);
}

bool server_is_full(const struct server *s)
{
    return s->full;
}

bool server_done(const struct server *s)
{
    return s->done;
}

static int64_t own_due_us(const struct server *s)
{
    if (s->done)
        return -1;
    if (s->compression && compression_waits(s->compression))
        return s->now_us;
    if (s->scripted) /* more goes out when there is room */
        return s->out.len < SCRIPT_ROOM ? scripted_due_us(s->scripted) : -1;
    return s->hold_until_us >= 0 ? s->hold_until_us : s->client->contacts_due_us;
}

/* Its own, and the world's if that is for it to see to. */
int64_t server_due_us(const struct server *s)
{
    const struct world *w = s->options.world;
    int64_t due = own_due_us(s), worlds = w->servers == s ? world_due_us(w) : -1;

    return due < 0 || (worlds >= 0 && worlds < due) ? worlds : due;
}

int server_tick(struct server *s, int64_t now_us)
{
    int64_t due;
    int err = 0;

    s->now_us = now_us;
    world_tick(s->options.world, now_us);
    due = own_due_us(s);
    if (due < 0 || now_us < due)
        return 0;
    if (s->compression && compression_waits(s->compression))
        err = take_compressed(s);
    else if (s->scripted)
        err = play(s);
    else if (s->hold_until_us >= 0)
        err = release(s);
    else
        presence_contacts(s->client);
    return settle(s, err);
}

/* ---- what others send ---- */

struct client *server_client(const struct server *s)
{
    return s->client;
}

bool server_has_tls(const struct server *s)
{
    return s->tls;
}

int64_t server_now_us(const struct server *s)
{
    return s->now_us;
}

void server_send(struct server *s, const char *p, size_t n)
{
    int err;

    if (s->done)
        return;
    err = send_out(s, p, n);
    s->done = err;
    s->full |= err == ERR_CAP;
    server_wake(s);
}

void server_wake(struct server *s)
{
    if (s->options.wake)
        s->options.wake(s->options.wake_arg);
}

void server_end(struct server *s, const char *condition)
{
    if (s->done)
        return;
    settle(s, stream_error(s, condition));
    server_wake(s);
}

/* takes.c: what a connection to the embedded server understands: streams, their negotiation, items.
 */
#include "inside.h"

#include <stdio.h>
#include <string.h>

#include "answers.h"
#include "client.h"
#include "markup.h"
#include "ns.h"
#include "sasl1.h"
#include "stream_features.h"
#include "world.h"

#define DEPTH 256

#define HOLD_US 500000

static const struct scan_limits limits = {
    .tag_bytes = ITEM_BYTES, .item_bytes = ITEM_BYTES, .depth = DEPTH};

/* ---- streams ---- */

void server_expect_stream(struct server *s)
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

    return err ? err : server_emit(s);
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
        return server_unreadable(s, (enum error_code)err);
    version = item_attr(it, 0, "version");
    known = take_domain(s, item_attr(it, 0, "to"));
    if (s->scripted)
        scripted_known(s->scripted);
    if (!item_is(it, 0, NS_STREAM, "stream"))
        return server_stream_error(s, "invalid-namespace");
    if (!known)
        return server_stream_error(s, "host-unknown");
    err = server_emit_header(s);
    /* Without a version the client is older than features (RFC 6120 §4.7.5). */
    return err || !version ? err : emit_features(s);
}

/* ---- STARTTLS and SASL (RFC 6120 §5, §6) ---- */

static int take_starttls(struct server *s, const struct item *it)
{
    (void)it;
    if (s->tls || s->client->user)
        return server_finish(s, "<failure xmlns=\"" NS_TLS "\"/>");
    s->wants_tls = true;
    return server_emit_text(s, "<proceed xmlns=\"" NS_TLS "\"/>");
}

/* A client that goes on with weaker and weaker mechanisms was told at the first why. */
static int too_many_logins(struct server *s)
{
    char text[1536] = "";

    s->text.len = 0;
    if (s->client->world->profile->failure_text && markup_escape(&s->text, s->login.first) == 0 &&
        buf_add(&s->text, "", 1) == 0)
        snprintf(text, sizeof text,
                 "<text xmlns=\"" NS_STREAMS "\" xml:lang=\"en\">%u logins failed in "
                 "this connection, the first: %s</text>",
                 s->login.failures, s->text.p);
    s->text.len = 0;
    return server_stream_error_with(s, "policy-violation", text);
}

/* The stream goes on (XEP-0388 §2.6.3), with what waited for who has come back. */
static int go_on(struct server *s)
{
    int err = emit_features(s);

    if (!err && s->sasl2.resumed.len)
        err = server_send_out(s, s->sasl2.resumed.p, s->sasl2.resumed.len);
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
        return server_stream_error(s, "unsupported-stanza-type");
    err = second ? sasl2_take(&s->sasl2, &s->login, &state, it, &s->root.root, &s->text, &result)
                 : sasl1_take(&s->login, &state, it, &s->text, &result);

    if (!err && s->login.failures > LOGIN_FAILURES)
        return too_many_logins(s);
    if (!err)
        err = server_emit(s);
    if (err || result != LOGIN_DONE)
        return err;
    if (s->scripted)
        scripted_known(s->scripted);
    if (second)
        return go_on(s);
    server_expect_stream(s);
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
        return server_stream_error(s, q.stream_error);
    if (q.effects & ASK_RELEASES)
        err = server_release(s);
    s->client->sm.in += s->client->sm.on;
    if (!err)
        err = server_emit_stanza(s);
    if (q.effects & ASK_HOLDS && s->hold_until_us < 0)
        s->hold_until_us = s->now_us + HOLD_US;
    return err || !s->scripted ? err : server_play(s);
}

/* An element that is no stanza, where a captured server is played. */
static int take_element(struct server *s, const struct item *it)
{
    bool known;
    int err = scripted_element(s->scripted, it, &s->root.root, s->now_us, &s->text, &known);

    if (!err && !known)
        return server_stream_error(s, "unsupported-stanza-type");
    return err ? err : server_play(s);
}

/* ---- stream management, client state ---- */

static int take_sm(struct server *s, const struct item *it)
{
    bool ends;
    int err;

    if (!profile_has(s->client->world->profile, FEATURE_SM))
        return server_stream_error(s, "unsupported-stanza-type");
    err = managed_take(s->client, it, &s->text, &ends);
    if (!err)
        err = server_emit(s);
    return !err && ends ? server_finish(s, "") : err;
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

    return known ? 0 : server_stream_error(s, "unsupported-stanza-type");
}

/* ---- compression (XEP-0138) ---- */

static int take_compress(struct server *s, const struct item *it)
{
    const char *refusal = s->compression || !s->client->user || s->client->bound
                              ? "setup-failed"
                              : compression_refusal(it);
    int err;

    if (!profile_has(s->client->world->profile, FEATURE_COMPRESSION))
        return server_stream_error(s, "unsupported-stanza-type");
    if (refusal) {
        err = buf_printf(&s->text, "<failure xmlns=\"" NS_COMPRESS "\"><%s/></failure>", refusal);
        return err ? err : server_emit(s);
    }
    err = server_emit_text(s, "<compressed xmlns=\"" NS_COMPRESS "\"/>");
    if (err)
        return err;
    s->compression = compression_new(&s->out);
    server_expect_stream(s);
    return s->compression ? 0 : ERR_NOMEM;
}

/* ---- the client gives up ---- */

/* A stream error ends the stream, whoever says it (RFC 6120 §4.9.1.1). */
static int take_error(struct server *s, const struct item *it)
{
    (void)it;
    return server_finish(s, "");
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
        {NS_STREAM, "error", false, take_error},
        /* clang-format on */
    };
    const struct item *it;
    struct error e;
    int err = reader_item(s->reader, &s->root, p, n, &it, &e);

    if (err)
        return server_unreadable(s, (enum error_code)err);
    if (s->scripted && s->client->user && scripted_takes(it))
        return take_element(s, it);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (item_is(it, 0, rows[i].ns, rows[i].name))
            return rows[i].before_auth && s->client->user
                       ? server_stream_error(s, "policy-violation")
                       : rows[i].take(s, it);
    return server_stream_error(
        s, item_is(it, 0, "jabber:server", NULL) ? "invalid-namespace" : "unsupported-stanza-type");
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
        return server_stream_error(s, "not-well-formed");
    return server_finish(s, "");
}

/* `used` bytes at `p` were scanned. */
int server_take(struct server *s, enum scan_what what, const char *p, size_t used)
{
    int err;

    if (s->scan.flaw) /* it came before what SCAN_BAD found */
        return server_unreadable(s, s->scan.flaw);
    if (what == SCAN_BAD)
        return server_unreadable(s, s->scan.error);
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

#include "bridge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "bridge_client.h"
#include "bridge_server.h"

#define OUT_MAX      (3 * SCRAM_MESSAGE_MAX)
#define FEATURES_MAX (512u << 10)
#define REASON_MAX   (ERROR_DETAIL_MAX + 64)

struct bridge {
    const struct bridge_user *user;
    void *arg;
    struct reader *reader; /* borrowed */
    bool offered;          /* the features of these streams were seen */
    struct buf early;      /* the client's item that came before them */
    struct bridge_client client;
    struct bridge_server server;
};

struct bridge *bridge_new(const struct bridge_user *user, void *arg, struct reader *reader,
                          const struct account *account)
{
    struct bridge *b = calloc(1, sizeof *b);

    if (!b)
        return NULL;
    b->user = user;
    b->arg = arg;
    b->reader = reader;
    buf_init(&b->early, OUT_MAX);
    bridge_client_init(&b->client, user, arg, account);
    bridge_server_init(&b->server, user, arg);
    return b;
}

void bridge_free(struct bridge *b)
{
    if (!b)
        return;
    bridge_client_free(&b->client);
    bridge_server_free(&b->server);
    buf_wipe(&b->early);
    OPENSSL_cleanse(b, sizeof *b);
    free(b);
}

/* ---- the features ---- */

/* The features `from`, as the client gets them. False: they can pass so. */
static bool bridge_offer(struct bridge *b, struct reader_stream *st, const char *from, size_t n,
                         struct buf *out, const char **reason)
{
    struct offer *o = &b->server.offer;
    int err = offer_read(o, b->reader, st, from, n);

    *reason = "the client is offered what the proxy can bridge";
    if (!err && !bridge_server_plan(&b->server)) {
        o->count = 0;
        *reason = "the server offers no way to log in that the proxy can bridge (SCRAM-SHA-1, -256, "
                  "-512, or PLAIN over TLS)";
    }
    bridge_client_offer(&b->client, o);
    if (!err)
        err = offer_write(&b->client.offer, b->reader, st, from, n, out);
    return !err && (out->len != n || memcmp(out->p, from, n) != 0);
}

static void edit_features(struct bridge *b, struct reader_stream *st,
                          const struct features_edit *wished, const char *p, size_t n)
{
    const char *from = wished->changed ? wished->bytes.p : p, *why;
    size_t from_n = wished->changed ? wished->bytes.len : n;
    char reason[sizeof wished->reason + REASON_MAX];
    struct buf out;

    buf_init(&out, FEATURES_MAX);
    if (bridge_offer(b, st, from, from_n, &out, &why)) {
        snprintf(reason, sizeof reason, "bridge: %s%s%s", why, wished->changed ? "; " : "",
                 wished->changed ? wished->reason : "");
        b->user->edit(b->arg, DIR_S2C, p, n, out.p, out.len, reason);
    } else if (wished->changed) {
        b->user->edit(b->arg, DIR_S2C, p, n, from, from_n, wished->reason);
    } else {
        b->user->forward(b->arg, DIR_S2C, p, n);
    }
    buf_free(&out);
}

/* ---- the two logins ---- */

static void reset(struct bridge *b)
{
    bridge_client_reset(&b->client);
    bridge_server_reset(&b->server);
}

/* The item was for us: it is recorded, if it was not when it came, and goes no further. */
static void take(struct bridge *b, enum dir dir, const char *p, size_t n)
{
    if (n && p != b->early.p)
        b->user->edit(b->arg, dir, p, n, "", 0,
                      dir == DIR_C2S ? "bridge: the client's login ends at the proxy"
                                     : "bridge: the server's answer to the proxy's login");
}

static void say(struct bridge *b, enum dir dir, const struct buf *out, const char *what,
                const char *detail)
{
    char reason[REASON_MAX];

    snprintf(reason, sizeof reason, "bridge: %s%s", what, detail);
    b->user->edit(b->arg, dir, NULL, 0, out->p, out->len, reason);
}

static void tell(struct bridge *b, const char *ns, const char *condition, const struct error *e)
{
    struct buf out;

    bridge_client_reset(&b->client);
    buf_init(&out, OUT_MAX);
    if (sasl_put_failure(&out, ns, condition) == 0)
        say(b, DIR_S2C, &out, "the proxy refuses the client's login: ", e->detail);
    buf_free(&out);
}

static enum bridge_turn refuse(struct bridge *b, const char *ns, const char *condition,
                               const struct error *e)
{
    reset(b);
    tell(b, ns, condition, e);
    return BRIDGE_CLIENT;
}

/* The client is told at once, whatever the server has to say to our <abort/>; what the client says
 * then waits for that. */
static enum bridge_turn give_up(struct bridge *b, const char *p, size_t n, const struct buf *out)
{
    take(b, DIR_S2C, p, n);
    say(b, DIR_C2S, out, "the proxy gives up its login at the server: ", b->server.why.detail);
    tell(b, SASL_NS, "temporary-auth-failure", &b->server.why);
    return BRIDGE_SERVER;
}

static enum bridge_turn let_in(struct bridge *b, const char *p, size_t n, struct buf *out)
{
    struct error e;
    int err;

    out->len = 0;
    err = bridge_client_success(&b->client, out);
    if (err) {
        error_set(&e, (enum error_code)err, "no memory");
        take(b, DIR_S2C, p, n);
        b->user->fail(b->arg, &e);
        return BRIDGE_SERVER;
    }
    b->user->edit(b->arg, DIR_S2C, p, n, out->p, out->len,
                  "bridge: the server let the proxy in, so the client is let in");
    reset(b);
    return BRIDGE_DONE;
}

/* What follows from what the server's side says; `p`: the server's item, if it was one. */
static enum bridge_turn act(struct bridge *b, enum server_says says, const char *p, size_t n,
                            struct buf *out, const struct error *e)
{
    char way[64];

    switch (says) {
    case SERVER_SEND:
        take(b, DIR_S2C, p, n);
        say(b, DIR_C2S, out,
            b->client.account ? "the proxy logs in to the server as --account with "
                              : "the proxy logs in to the server with ",
            bridge_server_way(&b->server, way, sizeof way));
        return BRIDGE_SERVER;
    case SERVER_SALTS:
        take(b, DIR_S2C, p, n);
        return BRIDGE_SERVER;
    case SERVER_ABORTS:
        return give_up(b, p, n, out);
    case SERVER_ABORTED:
        take(b, DIR_S2C, p, n);
        reset(b);
        return BRIDGE_CLIENT;
    case SERVER_LETS_IN:
        return let_in(b, p, n, out);
    case SERVER_REFUSES:
        reset(b);
        b->user->forward(b->arg, DIR_S2C, p, n);
        return BRIDGE_CLIENT;
    case SERVER_BROKEN:
    case SERVER_FATAL:
        take(b, DIR_S2C, p, n);
        if (b->server.step != SERVER_ABORTING) /* else it was told */
            refuse(b, SASL_NS, "temporary-auth-failure", e);
        if (says == SERVER_FATAL)
            b->user->fail(b->arg, e);
        return BRIDGE_CLIENT;
    }
    return BRIDGE_SERVER;
}

static enum bridge_turn from_client(struct bridge *b, const struct item *it, const char *p,
                                    size_t n, struct buf *out)
{
    struct bridge_client *c = &b->client;
    const char *condition = "temporary-auth-failure";
    struct error e = {0};
    enum client_says says;

    if (!item_is(it, 0, SASL_NS, NULL)) {
        error_set(&e, ERR_SASL, "SASL2 is not bridged, and was not offered");
        take(b, DIR_C2S, p, n);
        return refuse(b, SASL2_NS, "invalid-mechanism", &e);
    }
    says = bridge_client_item(c, it, out, &condition, &e);
    take(b, DIR_C2S, p, n);
    switch (says) {
    case CLIENT_MORE:
        say(b, DIR_S2C, out, "the proxy asks the client as a server would, with ",
            mechanism_name(c->mechanism));
        return BRIDGE_CLIENT;
    case CLIENT_REFUSED:
        return refuse(b, SASL_NS, condition, &e);
    case CLIENT_KNOWN:
        break;
    }
    out->len = 0;
    return act(b, bridge_server_begin(&b->server, c->name, c->authzid, c->password, out, &e), NULL,
               0, out, &e);
}

/* The server's SASL while nothing of ours is with it. It goes no further: to a client in the middle
 * of its login with us it would be an answer. */
static enum bridge_turn unasked(struct bridge *b, const struct item *it, const char *p, size_t n)
{
    struct error e = {0};

    if (item_is(it, 0, NULL, "success")) {
        error_set(&e, ERR_SASL, "the server let us in without a login");
        return act(b, SERVER_FATAL, p, n, NULL, &e);
    }
    b->user->edit(b->arg, DIR_S2C, p, n, "", 0, "bridge: the server was not asked");
    return b->early.len ? BRIDGE_SERVER : BRIDGE_CLIENT;
}

static enum bridge_turn read_item(struct bridge *b, enum dir dir, struct reader_stream *st,
                                  const char *p, size_t n)
{
    const struct item *it;
    struct error e = {0};
    struct buf out;
    enum bridge_turn turn = dir == DIR_C2S ? BRIDGE_CLIENT : BRIDGE_SERVER;

    buf_init(&out, OUT_MAX);
    if (buf_reserve(&out, OUT_MAX / 2) || reader_item(b->reader, st, p, n, &it, &e)) {
        take(b, dir, p, n);
        error_set(&e, ERR_NOMEM, "no memory");
        b->user->fail(b->arg, &e);
    } else if (dir == DIR_C2S) {
        turn = from_client(b, it, p, n, &out);
    } else if (b->server.step == SERVER_IDLE) {
        turn = unasked(b, it, p, n);
    } else {
        enum server_says says = bridge_server_item(&b->server, it, &out, &e);

        turn = act(b, says, p, n, &out, &e);
    }
    buf_wipe(&out);
    return turn;
}

enum bridge_turn bridge_item(struct bridge *b, enum dir dir, struct reader_stream *st,
                             const char *p, size_t n)
{
    if (dir == DIR_C2S && !b->offered && b->early.len == 0 && buf_reserve(&b->early, n) == 0) {
        take(b, dir, p, n);
        if (buf_add(&b->early, p, n) == 0)
            return BRIDGE_SERVER;
    }
    return read_item(b, dir, st, p, n);
}

enum bridge_turn bridge_features(struct bridge *b, struct reader_stream *st,
                                 const struct features_edit *wished, const char *p, size_t n)
{
    struct reader_stream none; /* the item's prefixes are its own, or it is refused */
    enum bridge_turn turn = BRIDGE_CLIENT;
    struct error e = {0};

    if (b->server.step != SERVER_IDLE) { /* they would change what the login under way is held to be */
        error_set(&e, ERR_SASL, "the server sent features in the middle of the login");
        return act(b, SERVER_FATAL, p, n, NULL, &e);
    }
    edit_features(b, st, wished, p, n);
    b->offered = true;
    if (b->early.len) {
        reader_stream_init(&none);
        turn = read_item(b, DIR_C2S, &none, b->early.p, b->early.len);
        reader_stream_free(&none);
        buf_wipe(&b->early);
    }
    return turn;
}

void bridge_restart(struct bridge *b)
{
    b->offered = false;
    buf_wipe(&b->early);
}

enum bridge_turn bridge_salted(struct bridge *b, const unsigned char *salted)
{
    struct error e = {0};
    enum bridge_turn turn = BRIDGE_SERVER;
    struct buf out;

    if (b->server.step != SERVER_SALTING)
        return BRIDGE_SERVER;
    buf_init(&out, OUT_MAX);
    if (buf_reserve(&out, OUT_MAX / 2)) {
        error_set(&e, ERR_NOMEM, "no memory");
        b->user->fail(b->arg, &e);
    } else {
        enum server_says says = bridge_server_salted(&b->server, salted, &out, &e);

        turn = act(b, says, NULL, 0, &out, &e);
    }
    buf_wipe(&out);
    return turn;
}

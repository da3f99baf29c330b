#include "bridge_client.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>

void bridge_client_init(struct bridge_client *c, const struct bridge_user *user, void *arg,
                 const struct account *account)
{
    *c = (struct bridge_client){.user = user, .arg = arg, .account = account};
    scram_init(&c->scram, SCRAM_SHA_1);
    buf_init(&c->last, SCRAM_MESSAGE_MAX);
}

void bridge_client_reset(struct bridge_client *c)
{
    c->step = CLIENT_IDLE;
    scram_free(&c->scram);
    OPENSSL_cleanse(c->name, sizeof c->name);
    OPENSSL_cleanse(c->authzid, sizeof c->authzid);
    OPENSSL_cleanse(c->password, sizeof c->password);
    buf_wipe(&c->last);
}

void bridge_client_free(struct bridge_client *c)
{
    bridge_client_reset(c);
}

/* ---- the offer ---- */

static bool has_binding(const struct bridge_client *c, enum cb_type type)
{
    struct scram_binding b;

    return c->user->binding(c->arg, SIDE_CLIENT, type, &b);
}

/* PLAIN is for TLS only, -PLUS for what can be bound; without the account's password nothing else
 * can be checked here or be of use at the server. */
static bool may_offer(const struct bridge_client *c, enum mechanism m, bool bound)
{
    if (m == MECHANISM_PLAIN)
        return c->user->secure(c->arg, SIDE_CLIENT);
    return c->account && (bound || !mechanism_is_plus(m));
}

void bridge_client_offer(struct bridge_client *c, const struct offer *server)
{
    struct offer o = {.any = server->any, .types_told = server->types_told};
    bool bound = false;

    for (int t = 0; t < CB_TYPES; t++) {
        bool has = has_binding(c, (enum cb_type)t);

        /* Where there is tls-exporter, tls-unique is taken but not announced (RFC 9266 §3). */
        o.types[t] = server->types_told && c->account && has &&
                     !(t == CB_UNIQUE && has_binding(c, CB_EXPORTER));
        bound |= has;
    }
    for (unsigned i = 0; i < server->count; i++)
        if (may_offer(c, server->list[i], bound))
            o.list[o.count++] = server->list[i];
    if (!c->account && server->count && may_offer(c, MECHANISM_PLAIN, bound)) {
        o.list[0] = MECHANISM_PLAIN; /* whatever it is at the server */
        o.count = 1;
    }
    c->offer = o;
}

/* ---- PLAIN (RFC 4616) ---- */

/* [authzid] NUL name NUL password. */
static bool split_plain(struct bridge_client *c, const char *p, size_t n)
{
    char *const fields[] = {c->authzid, c->name, c->password};
    size_t at = 0;

    for (int i = 0; i < 3; i++) {
        const char *end = i < 2 ? memchr(p + at, '\0', n - at) : p + n;
        size_t len = end ? (size_t)(end - p) - at : 0;

        if (!end || len > SCRAM_NAME_MAX || memchr(p + at, '\0', len) || (i > 0 && len == 0))
            return false;
        memcpy(fields[i], p + at, len);
        fields[i][len] = '\0';
        at += len + (i < 2);
    }
    return true;
}

/* Empty, or the account's own bare JID: whoever may act for others must say so to the server. */
static bool authzid_is_own(const struct bridge_client *c)
{
    const char *at = strrchr(c->authzid, '@');
    char name[sizeof c->authzid];

    if (!*c->authzid)
        return true;
    if (!at)
        return false;
    snprintf(name, sizeof name, "%.*s", (int)(at - c->authzid), c->authzid);
    return account_is(c->account, name, at + 1);
}

static enum client_says refused(const char **condition, const char *why, struct error *e,
                                const char *words)
{
    *condition = why;
    error_set(e, ERR_SASL, "%s", words);
    return CLIENT_REFUSED;
}

static enum client_says not_authorized(const char **condition, struct error *e)
{
    return refused(condition, "not-authorized", e,
                   "the client's name or password is not that of --account");
}

static enum client_says plain(struct bridge_client *c, const char *p, size_t n,
                              const char **condition, struct error *e)
{
    if (!split_plain(c, p, n))
        return refused(condition, "malformed-request", e, "the client's PLAIN message is malformed");
    if (c->account && (!account_is(c->account, c->name, c->user->domain(c->arg)) ||
                       !account_password_is(c->account, c->password)))
        return not_authorized(condition, e);
    if (c->account && !authzid_is_own(c))
        return refused(condition, "invalid-authzid", e,
                       "the client wants to act for another account than --account");
    return CLIENT_KNOWN;
}

/* ---- SCRAM ---- */

/* What the client did wrong, in SASL's words. */
static enum client_says scram_refused(const char **condition, struct error *e)
{
    *condition = e->kind && strcmp(e->kind, "proof") == 0       ? "not-authorized"
                 : e->code == ERR_SASL                          ? "malformed-request"
                                                                : "temporary-auth-failure";
    return CLIENT_REFUSED;
}

/* Who logs in stands in the first message already; that it is the wrong name is told with the
 * password, as a server tells it. */
static enum client_says scram_begin(struct bridge_client *c, const char *p, size_t n,
                                    struct buf *out, const char **condition, struct error *e)
{
    char nonce[BRIDGE_NONCE_BYTES];
    enum scram_hash hash;
    struct buf m;
    int err;

    mechanism_hash(c->mechanism, &hash);
    scram_init(&c->scram, hash);
    if (scram_server_read_first(&c->scram, mechanism_is_plus(c->mechanism),
                                offer_has_plus(&c->offer), p, n, e))
        return scram_refused(condition, e);
    if (c->scram.binding.flag == 'p') {
        enum cb_type type = cb_by_name(c->scram.binding.type);

        if (type == CB_TYPES || !c->user->binding(c->arg, SIDE_CLIENT, type, &c->scram.binding))
            return refused(condition, "malformed-request", e,
                           "the client binds the channel by what its TLS connection does not have");
    }
    if (!c->user->nonce(c->arg, nonce))
        return refused(condition, "temporary-auth-failure", e, "no random bytes");
    buf_init(&m, SCRAM_MESSAGE_MAX);
    err = scram_server_first(&c->scram, &c->account->keys[hash], nonce, &m, e);
    if (!err)
        err = sasl_put(out, "challenge", NULL, m.p, m.len);
    buf_free(&m);
    c->step = CLIENT_ASKED;
    return err ? scram_refused(condition, e) : CLIENT_MORE;
}

static enum client_says scram_end(struct bridge_client *c, const char *p, size_t n,
                                  const char **condition, struct error *e)
{
    const struct account *a = c->account;

    if (scram_server_final(&c->scram, &a->keys[c->scram.hash], p, n, &c->last, e))
        return scram_refused(condition, e);
    if (!account_is(a, c->scram.user, c->user->domain(c->arg)))
        return not_authorized(condition, e);
    snprintf(c->authzid, sizeof c->authzid, "%s", c->scram.authzid);
    if (!authzid_is_own(c))
        return refused(condition, "invalid-authzid", e,
                       "the client wants to act for another account than --account");
    snprintf(c->name, sizeof c->name, "%s", a->name);
    snprintf(c->password, sizeof c->password, "%s", a->password);
    return CLIENT_KNOWN;
}

/* ---- items ---- */

static enum client_says message(struct bridge_client *c, const char *p, size_t n, struct buf *out,
                                const char **condition, struct error *e)
{
    enum client_says says;

    if (c->step == CLIENT_ASKED)
        says = scram_end(c, p, n, condition, e);
    else if (c->mechanism == MECHANISM_PLAIN)
        says = plain(c, p, n, condition, e);
    else
        says = scram_begin(c, p, n, out, condition, e);
    if (says == CLIENT_KNOWN)
        c->step = CLIENT_IS_KNOWN;
    return says;
}

static enum client_says begin(struct bridge_client *c, const struct item *it,
                              const char **condition, struct error *e)
{
    const char *name = item_attr(it, 0, "mechanism");

    bridge_client_reset(c);
    c->mechanism = name ? mechanism_by_name(name) : MECHANISMS;
    c->step = CLIENT_BEGUN;
    if (c->mechanism < MECHANISMS && offer_has(&c->offer, c->mechanism))
        return CLIENT_MORE;
    if (c->mechanism == MECHANISM_PLAIN && !c->user->secure(c->arg, SIDE_CLIENT))
        return refused(condition, "encryption-required", e,
                       "the client would send its password without TLS");
    return refused(condition, "invalid-mechanism", e,
                   "the client chose a mechanism that it was not offered");
}

enum client_says bridge_client_item(struct bridge_client *c, const struct item *it, struct buf *out,
                             const char **condition, struct error *e)
{
    bool first = item_is(it, 0, SASL_NS, "auth"), none;
    char text[SASL_TEXT_MAX];
    enum client_says says = CLIENT_MORE;
    long n;

    if (item_is(it, 0, SASL_NS, "abort"))
        return refused(condition, "aborted", e, "the client aborted its login");
    if (!first && (!item_is(it, 0, SASL_NS, "response") || c->step == CLIENT_IDLE ||
                   c->step == CLIENT_IS_KNOWN))
        return refused(condition, "malformed-request", e, "the client's SASL is out of order");
    if (first)
        says = begin(c, it, condition, e);
    if (says == CLIENT_REFUSED)
        return says;
    n = sasl_get(it, text, sizeof text, &none);
    if (n < 0)
        says = refused(condition, "incorrect-encoding", e, "the client's SASL message is not base64");
    else if (first && none) /* no initial response: it waits to be asked (RFC 6120 §6.4.2) */
        says = sasl_put(out, "challenge", NULL, NULL, 0)
                   ? refused(condition, "temporary-auth-failure", e, "no memory")
                   : CLIENT_MORE;
    else
        says = message(c, text, (size_t)n, out, condition, e);
    OPENSSL_cleanse(text, sizeof text);
    return says;
}

int bridge_client_success(const struct bridge_client *c, struct buf *out)
{
    return sasl_put(out, "success", NULL, c->last.p, c->last.len);
}

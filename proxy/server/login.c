#include "login.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "../../decoder/sasl.h"
#include "client.h"
#include "plain.h"
#include "world.h"

struct mechanism {
    const char *name;
    enum login_result (*take)(struct login *l, const char *p, size_t n, struct buf *out);
    enum scram_hash hash;
    bool plus;
    bool needs_none; /* a message; some send none */
};

/* The strongest first. */
static const struct mechanism mechanisms[] = {
    {"SCRAM-SHA-512-PLUS", login_take_scram, SCRAM_SHA_512, true, false},
    {"SCRAM-SHA-256-PLUS", login_take_scram, SCRAM_SHA_256, true, false},
    {"SCRAM-SHA-1-PLUS", login_take_scram, SCRAM_SHA_1, true, false},
    {"SCRAM-SHA-512", login_take_scram, SCRAM_SHA_512, false, false},
    {"SCRAM-SHA-256", login_take_scram, SCRAM_SHA_256, false, false},
    {"SCRAM-SHA-1", login_take_scram, SCRAM_SHA_1, false, false},
    {"PLAIN", plain_take, 0, false, false},
    {"ANONYMOUS", plain_take_anonymous, 0, false, true},
};

#define MECHANISMS (sizeof mechanisms / sizeof mechanisms[0])

static const struct mechanism *by_name(const char *name)
{
    for (size_t i = 0; i < MECHANISMS; i++)
        if (strcmp(mechanisms[i].name, name) == 0)
            return &mechanisms[i];
    return NULL;
}

const char *login_mechanism(unsigned i)
{
    return i < MECHANISMS ? mechanisms[i].name : NULL;
}

bool login_knows(const char *mechanism)
{
    return by_name(mechanism) != NULL;
}

enum scram_hash login_hash(const struct login *l)
{
    return l->mechanism->hash;
}

bool login_is_plus(const struct login *l)
{
    return l->mechanism->plus;
}

bool login_needs_none(const struct login *l)
{
    return l->mechanism && l->mechanism->needs_none;
}

void login_init(struct login *l, struct client *c)
{
    *l = (struct login){.c = c};
}

void login_reset(struct login *l)
{
    login_scram_free(l->scram);
    l->scram = NULL;
    l->mechanism = NULL;
}

enum login_result login_fail(struct login *l, const char *condition, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(l->text, sizeof l->text, fmt, ap);
    va_end(ap);
    l->condition = condition;
    if (l->failures++ == 0)
        snprintf(l->first, sizeof l->first, "%s", l->text);
    login_reset(l);
    return LOGIN_FAILED;
}

/* ---- which mechanism ---- */

/* The strongest that is on offer now and has, or has not, channel binding; NULL: none. */
static const struct mechanism *offered(const struct login *l, const struct stream_state *st,
                                       bool plus)
{
    for (size_t i = 0; i < MECHANISMS; i++)
        if (mechanisms[i].plus == plus &&
            stream_features_offers(l->c->world->profile, st, mechanisms[i].name))
            return &mechanisms[i];
    return NULL;
}

/* Is there an offer, and is each stronger than `m`? */
static bool is_too_weak(const struct login *l, const struct stream_state *st,
                        const struct mechanism *m)
{
    for (const struct mechanism *o = m; o < mechanisms + MECHANISMS; o++)
        if (stream_features_offers(l->c->world->profile, st, o->name))
            return false;
    return offered(l, st, false) || offered(l, st, true);
}

/* It is not on offer: why? */
static enum login_result refuse(struct login *l, const struct stream_state *st, const char *name)
{
    const struct profile *p = l->c->world->profile;
    const struct mechanism *m = by_name(name);
    bool listed = false;

    for (int i = 0; p->mechanism[i]; i++)
        listed |= strcmp(p->mechanism[i], name) == 0;
    if (p->starttls_required && !st->tls)
        return login_fail(l, "encryption-required", "nobody logs in here before STARTTLS");
    if (!m)
        return login_fail(l, "invalid-mechanism", "%.40s is no mechanism of this server", name);
    if (!listed && is_too_weak(l, st, m))
        return login_fail(l, "mechanism-too-weak", "%s was not offered, what is stronger was",
                          name);
    return login_fail(l, "invalid-mechanism", "%s was not offered%s", name,
                      !listed ? ""
                      : strncmp(name, "SCRAM", 5) == 0 && !st->accounts
                          ? ": whoever takes any password knows none"
                          : ": this connection has nothing to bind it to");
}

enum login_result login_begin(struct login *l, const struct stream_state *st, const char *mechanism)
{
    const struct mechanism *plus = offered(l, st, true);

    login_reset(l);
    if (!mechanism || !*mechanism)
        return login_fail(l, "invalid-mechanism", "the client named no mechanism");
    if (!stream_features_offers(l->c->world->profile, st, mechanism))
        return refuse(l, st, mechanism);
    snprintf(l->plus, sizeof l->plus, "%s", plus ? plus->name : "");
    l->mechanism = by_name(mechanism);
    return l->mechanism ? LOGIN_MORE : refuse(l, st, mechanism);
}

/* ---- its messages ---- */

enum login_result login_message(struct login *l, const char *base64, size_t n, struct buf *out)
{
    char text[LOGIN_MESSAGE_MAX + 1];
    enum login_result result;
    long len;

    if (!l->mechanism)
        return login_fail(l, "malformed-request", "the client's SASL is out of order");
    len = sasl_base64(base64, n, text, LOGIN_MESSAGE_MAX);
    if (len < 0)
        return login_fail(l, "incorrect-encoding", "the client's message is not base64");
    text[len] = '\0';
    result = l->mechanism->take(l, text, (size_t)len, out);
    OPENSSL_cleanse(text, sizeof text);
    if (result == LOGIN_DONE)
        login_reset(l);
    return result;
}

/* Empty, or the bare JID that the client logs in as. */
static bool is_own(const struct user *u, const char *authzid)
{
    struct jid j;

    return !*authzid || (prep_jid(authzid, &j) && strcmp(j.local, u->local) == 0 &&
                         strcmp(j.domain, u->domain) == 0 && !*j.resource);
}

enum login_result login_enter(struct login *l, struct user *u, const char *authzid)
{
    if (!is_own(u, authzid))
        return login_fail(l, "invalid-authzid", "the client wants to act for %.100s, and is %.100s",
                          authzid, u->bare);
    client_login(l->c, u);
    return LOGIN_DONE;
}

#include "bridge_server.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "saslprep.h"

void bridge_server_init(struct bridge_server *s, const struct bridge_user *user, void *arg)
{
    *s = (struct bridge_server){.user = user, .arg = arg};
    scram_init(&s->scram, SCRAM_SHA_1);
}

void bridge_server_reset(struct bridge_server *s)
{
    s->step = SERVER_IDLE;
    scram_free(&s->scram);
    OPENSSL_cleanse(s->name, sizeof s->name);
    OPENSSL_cleanse(s->authzid, sizeof s->authzid);
    OPENSSL_cleanse(s->password, sizeof s->password);
}

void bridge_server_free(struct bridge_server *s)
{
    bridge_server_reset(s);
}

/* ---- what to try ---- */

static void plan_bound(struct bridge_server *s, enum mechanism m)
{
    struct scram_binding b;

    for (int t = 0; t < CB_TYPES; t++) {
        if (s->offer.types_told && !s->offer.types[t])
            continue;
        if (!s->user->binding(s->arg, SIDE_SERVER, (enum cb_type)t, &b))
            continue;
        s->attempt[s->attempts].mechanism = m;
        s->attempt[s->attempts++].type = (enum cb_type)t;
    }
}

bool bridge_server_plan(struct bridge_server *s)
{
    s->attempts = s->at = s->tried = 0;
    memset(s->no_type, 0, sizeof s->no_type);
    memset(s->no_mechanism, 0, sizeof s->no_mechanism);
    for (int m = 0; m < MECHANISMS; m++) {
        if (!offer_has(&s->offer, (enum mechanism)m))
            continue;
        if (mechanism_is_plus((enum mechanism)m))
            plan_bound(s, (enum mechanism)m);
        else if (m != MECHANISM_PLAIN || s->user->secure(s->arg, SIDE_SERVER))
            s->attempt[s->attempts++].mechanism = (enum mechanism)m;
    }
    return s->attempts > 0;
}

const char *bridge_server_way(const struct bridge_server *s, char *out, size_t size)
{
    enum mechanism m = s->attempt[s->at].mechanism;

    if (mechanism_is_plus(m))
        snprintf(out, size, "%s (%s)", mechanism_name(m), cb_name(s->attempt[s->at].type));
    else
        snprintf(out, size, "%s", mechanism_name(m));
    return out;
}

/* ---- what we say ---- */

static enum server_says broken(struct error *e, const char *words)
{
    error_set(e, ERR_SASL, "%s", words);
    return SERVER_BROKEN;
}

/* The server's message cannot be taken: it is told so, and its word awaited. */
static enum server_says give_up(struct bridge_server *s, const struct error *why, struct buf *out,
                                struct error *e)
{
    s->why = *why;
    s->step = SERVER_ABORTING;
    return sasl_put(out, "abort", NULL, NULL, 0) ? broken(e, "no memory") : SERVER_ABORTS;
}

static int say_plain(const struct bridge_server *s, struct buf *m)
{
    int err = buf_reserve(m, 3 * SCRAM_NAME_MAX + 2); /* it does not grow, so no copy stays behind */

    if (!err)
        err = buf_add(m, s->authzid, strlen(s->authzid) + 1);
    if (!err)
        err = buf_add(m, s->name, strlen(s->name) + 1);
    return err ? err : buf_str(m, s->password);
}

/* SCRAM's names are prepared; gs2 flag n where nothing is bound: y would say that the server has
 * no binding, which it may have. */
static int say_scram(struct bridge_server *s, enum mechanism mechanism, enum scram_hash hash,
                     struct buf *m, struct error *e)
{
    struct scram_binding b = {.flag = 'n'};
    char nonce[BRIDGE_NONCE_BYTES], name[SCRAM_NAME_MAX + 1];

    if (mechanism_is_plus(mechanism) &&
        !s->user->binding(s->arg, SIDE_SERVER, s->attempt[s->at].type, &b))
        return error_set(e, ERR_SASL, "the TLS connection lost its binding");
    if (!saslprep(s->name, name, sizeof name, false))
        return error_set(e, ERR_SASL, "the user's name has characters that no login may have "
                         "(RFC 4013)");
    if (!s->user->nonce(s->arg, nonce))
        return error_set(e, ERR_SASL, "no random bytes");
    scram_free(&s->scram);
    scram_init(&s->scram, hash);
    return scram_client_first(&s->scram, &b, name, s->authzid, nonce, m, e);
}

static enum server_says say_first(struct bridge_server *s, struct buf *out, struct error *e)
{
    enum mechanism mechanism = s->attempt[s->at].mechanism;
    enum scram_hash hash;
    struct buf m;
    int err;

    buf_init(&m, SCRAM_MESSAGE_MAX);
    err = mechanism_hash(mechanism, &hash) ? say_scram(s, mechanism, hash, &m, e)
                                           : say_plain(s, &m);
    if (!err) {
        err = sasl_put(out, "auth", mechanism_name(mechanism), m.p, m.len);
        error_set(e, ERR_NOMEM, "no memory");
    }
    buf_wipe(&m);
    s->tried++;
    s->step = SERVER_SAID;
    return err ? SERVER_BROKEN : SERVER_SEND;
}

enum server_says bridge_server_begin(struct bridge_server *s, const char *name, const char *authzid,
                              const char *password, struct buf *out, struct error *e)
{
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->authzid, sizeof s->authzid, "%s", authzid);
    snprintf(s->password, sizeof s->password, "%s", password);
    if (!bridge_server_plan(s))
        return broken(e, "the server offers no way to log in that can be bridged");
    return say_first(s, out, e);
}

/* ---- what the server says ---- */

static enum server_says ask_for_salt(struct bridge_server *s, struct buf *out, struct error *e)
{
    char password[SCRAM_NAME_MAX + 1];
    struct error why;
    bool good = saslprep(s->password, password, sizeof password, false);

    if (!good)
        error_set(&why, ERR_SASL, "the password has characters that no login may have (RFC 4013)");
    else if (!(good = s->user->salt(s->arg, s->scram.hash, password, s->scram.salt,
                                    s->scram.salt_len, s->scram.iterations)))
        error_set(&why, ERR_SASL, "no memory");
    OPENSSL_cleanse(password, sizeof password);
    if (!good)
        return give_up(s, &why, out, e);
    s->step = SERVER_SALTING;
    return SERVER_SALTS;
}

enum server_says bridge_server_salted(struct bridge_server *s, const unsigned char *salted,
                               struct buf *out, struct error *e)
{
    struct error why;
    struct buf m;
    int err;

    if (!salted) {
        error_set(&why, ERR_SASL, "the password could not be salted");
        return give_up(s, &why, out, e);
    }
    buf_init(&m, SCRAM_MESSAGE_MAX);
    err = scram_client_final(&s->scram, salted, &m, &why);
    if (!err) {
        error_set(&why, ERR_NOMEM, "no memory");
        err = sasl_put(out, "response", NULL, m.p, m.len);
    }
    buf_wipe(&m);
    s->step = SERVER_PROVEN;
    if (err)
        return broken(e, why.detail);
    return SERVER_SEND;
}

static enum server_says challenged(struct bridge_server *s, const char *p, size_t n,
                                   struct buf *out, struct error *e)
{
    struct error why;
    enum scram_hash hash;
    bool scram = mechanism_hash(s->attempt[s->at].mechanism, &hash);

    if (s->step == SERVER_SAID && scram) {
        if (scram_client_read_first(&s->scram, p, n, &why) == 0)
            return ask_for_salt(s, out, e);
    } else if (s->step == SERVER_PROVEN) { /* the last message before <success/>, by itself */
        if (scram_client_check(&s->scram, p, n, &why) == 0) {
            s->step = SERVER_CHECKED;
            return sasl_put(out, "response", NULL, NULL, 0) ? broken(e, "no memory") : SERVER_SEND;
        }
    } else {
        error_set(&why, ERR_SASL, "the server asked where nothing is left to say");
    }
    return give_up(s, &why, out, e);
}

static enum server_says succeeded(struct bridge_server *s, const char *p, size_t n,
                                  struct error *e)
{
    enum scram_hash hash;
    bool scram = mechanism_hash(s->attempt[s->at].mechanism, &hash);

    if (s->step == SERVER_CHECKED || (s->step == SERVER_SAID && !scram))
        return SERVER_LETS_IN;
    if (s->step != SERVER_PROVEN) {
        error_set(e, ERR_SASL, "the server let us in without the proof that it knows the password");
        return SERVER_FATAL;
    }
    return scram_client_check(&s->scram, p, n, e) ? SERVER_FATAL : SERVER_LETS_IN;
}

/* ---- refusals ---- */

enum refusal { REFUSES_LOGIN, REFUSES_MECHANISM, REFUSES_BINDING };

/* ejabberd says not-authorized and "Invalid channel binding", others malformed-request; whatever
 * else a server says is about the account. */
static enum refusal refusal_of(const struct bridge_server *s, const struct item *it)
{
    bool plus = mechanism_is_plus(s->attempt[s->at].mechanism);
    int text = item_find(it, 2, NULL, "text");

    if (item_find(it, 2, SASL_NS, "invalid-mechanism") >= 0)
        return REFUSES_MECHANISM;
    if (item_find(it, 2, SASL_NS, "malformed-request") >= 0)
        return plus ? REFUSES_BINDING : REFUSES_MECHANISM;
    if (plus && text >= 0 && strcasestr(it->node[text].text, "channel") &&
        strcasestr(it->node[text].text, "bind"))
        return REFUSES_BINDING;
    return REFUSES_LOGIN;
}

/* Goes on to what has not been refused; false: there is nothing left. */
static bool next_attempt(struct bridge_server *s, enum refusal r)
{
    if (r == REFUSES_BINDING)
        s->no_type[s->attempt[s->at].type] = true;
    else
        s->no_mechanism[s->attempt[s->at].mechanism] = true;
    for (unsigned i = s->at + 1; i < s->attempts && s->tried < SERVER_ATTEMPTS; i++) {
        enum mechanism m = s->attempt[i].mechanism;

        if (s->no_mechanism[m] || (mechanism_is_plus(m) && s->no_type[s->attempt[i].type]))
            continue;
        s->at = i;
        return true;
    }
    return false;
}

static enum server_says failed(struct bridge_server *s, const struct item *it, struct buf *out,
                               struct error *e)
{
    enum refusal r = refusal_of(s, it);

    if (s->step == SERVER_ABORTING)
        return SERVER_ABORTED;
    if (s->step == SERVER_SALTING || r == REFUSES_LOGIN || !next_attempt(s, r))
        return SERVER_REFUSES;
    return say_first(s, out, e);
}

enum server_says bridge_server_item(struct bridge_server *s, const struct item *it, struct buf *out,
                             struct error *e)
{
    char text[SASL_TEXT_MAX];
    struct error why;
    enum server_says says;
    bool none;
    long n;

    if (item_is(it, 0, SASL_NS, "failure"))
        return failed(s, it, out, e);
    n = sasl_get(it, text, sizeof text, &none);
    if (item_is(it, 0, SASL_NS, "success") && s->step != SERVER_ABORTING) {
        says = succeeded(s, text, n > 0 ? (size_t)n : 0, e);
    } else if (item_is(it, 0, SASL_NS, "challenge") && s->step != SERVER_ABORTING && n >= 0) {
        says = challenged(s, text, (size_t)n, out, e);
    } else if (s->step == SERVER_ABORTING) {
        *e = s->why;
        says = SERVER_FATAL;
    } else {
        error_set(&why, ERR_SASL, "the server's SASL cannot be read");
        says = give_up(s, &why, out, e);
    }
    OPENSSL_cleanse(text, sizeof text);
    return says;
}

/* login_scram.c: SCRAM as the embedded server takes it (RFC 5802, RFC 9266, RFC 5929). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "client.h"
#include "login.h"
#include "world.h"

struct login_scram {
    struct scram scram;
    struct scram_keys keys; /* a copy: the account may go between two messages */
    bool asked;
};

void login_scram_free(struct login_scram *s)
{
    if (!s)
        return;
    scram_free(&s->scram);
    OPENSSL_cleanse(s, sizeof *s);
    free(s);
}

/* What SCRAM found wrong, in SASL's words. */
static enum login_result failed(struct login *l, const struct error *e)
{
    static const struct {
        const char *kind, *condition;
    } rows[] = {{"proof", "not-authorized"}, {"binding", "not-authorized"}};

    if (e->code != ERR_SASL || !e->kind)
        return login_fail(l, "temporary-auth-failure", "no memory");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].kind, e->kind) == 0)
            return login_fail(l, rows[i].condition, "%s", e->detail);
    return login_fail(l, "malformed-request", "%s", e->detail);
}

/* ---- who is it ---- */

/* Bytes that nobody can guess and that are always the same for a name. */
static bool invent(const struct world *w, const char *what, const char *name, unsigned char *out,
                   size_t n)
{
    unsigned char mac[SCRAM_KEY_MAX];
    char text[64 + JID_MAX];
    int len = snprintf(text, sizeof text, "%s %s", what, name);

    if (!HMAC(EVP_sha512(), w->secret, sizeof w->secret, (unsigned char *)text,
              (size_t)len < sizeof text ? (size_t)len : sizeof text - 1, mac, NULL))
        return false;
    memcpy(out, mac, n);
    return true;
}

/* An account that is not there is asked for its password all the same, so that nobody learns which
 * there are (RFC 5802 §9). */
static bool invent_keys(const struct client *c, enum scram_hash hash, const char *name,
                        struct scram_keys *k)
{
    char local[JID_PART_MAX + 1];

    if (!prep_local(name, strcspn(name, "@"), local))
        snprintf(local, sizeof local, "%.*s", JID_PART_MAX, name);
    k->salt_len = CREDENTIALS_SALT;
    k->iterations = CREDENTIALS_ITERATIONS;
    return invent(c->world, scram_name(hash), local, k->salt, k->salt_len) &&
           invent(c->world, "stored", local, k->stored, sizeof k->stored) &&
           invent(c->world, "server", local, k->server, sizeof k->server);
}

static bool find_keys(struct login *l, struct login_scram *s)
{
    const char *name = s->scram.user;
    const struct user *u = client_account(l->c, name, strlen(name));

    if (!u || !u->credentials.set)
        return invent_keys(l->c, s->scram.hash, name, &s->keys);
    s->keys = u->credentials.keys[s->scram.hash];
    return true;
}

/* ---- its two messages ---- */

/* Flag y: the client can bind, and saw no -PLUS (RFC 5802 §6). */
static enum login_result stripped(struct login *l)
{
    return login_fail(
        l, "malformed-request",
        "the client says that it saw no -PLUS mechanism (gs2 flag y), but %s is offered: "
        "somebody in between took it out, or the client does not know it",
        l->plus);
}

static bool bind_channel(const struct login *l, struct scram_binding *b)
{
    enum cb_type type = cb_by_name(b->type);

    return b->flag != 'p' ||
           (type != CB_TYPES && l->binding && l->binding(l->binding_arg, type, b));
}

static enum login_result begin(struct login *l, const char *p, size_t n, struct buf *out)
{
    struct login_scram *s = calloc(1, sizeof *s);
    struct error e = {0};
    char nonce[RANDOM_SIZE];

    if (!s)
        return login_fail(l, "temporary-auth-failure", "no memory");
    l->scram = s;
    scram_init(&s->scram, login_hash(l));
    if (scram_server_read_first(&s->scram, login_is_plus(l), *l->plus, p, n, &e)) {
        if (s->scram.binding.flag == 'y' && !login_is_plus(l) && *l->plus)
            return stripped(l);
        if (e.kind && strcmp(e.kind, "binding") == 0)
            e.kind = "malformed";
        return failed(l, &e);
    }
    if (!bind_channel(l, &s->scram.binding))
        return login_fail(l, "malformed-request",
                          "the client binds by %s, which its connection does "
                          "not have",
                          s->scram.binding.type);
    if (client_random(nonce) || !find_keys(l, s))
        return login_fail(l, "temporary-auth-failure", "no random bytes");
    s->asked = true;
    return scram_server_first(&s->scram, &s->keys, nonce, out, &e) ? failed(l, &e) : LOGIN_MORE;
}

static enum login_result end(struct login *l, const char *p, size_t n, struct buf *out)
{
    struct login_scram *s = l->scram;
    const char *name = s->scram.user;
    struct user *u = client_account(l->c, name, strlen(name));
    struct error e = {0};

    if (scram_server_final(&s->scram, &s->keys, p, n, out, &e)) {
        if (!e.kind || strcmp(e.kind, "proof") != 0)
            return failed(l, &e);
        return login_fail(l, "not-authorized",
                          u && !u->credentials.set
                              ? "no password is known of this account, which SCRAM needs"
                              : "there is no such account, or it has another password");
    }
    return u ? login_enter(l, u, s->scram.authzid)
             : login_fail(l, "not-authorized", "the account has just been removed");
}

enum login_result login_take_scram(struct login *l, const char *p, size_t n, struct buf *out)
{
    return l->scram && l->scram->asked ? end(l, p, n, out) : begin(l, p, n, out);
}

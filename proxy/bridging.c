#include "bridging.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "../logs/message.h"
#include "bridge.h"

/* One password being salted; the pool's while it runs. */
struct salting {
    uv_work_t work;
    struct session *session;
    enum scram_hash hash;
    char password[SCRAM_NAME_MAX + 1];
    unsigned char salt[SCRAM_SALT_MAX], salted[SCRAM_KEY_MAX];
    size_t salt_len;
    unsigned iterations;
    bool good;
};

static enum gate_phase phase_of(enum bridge_turn turn)
{
    switch (turn) {
    case BRIDGE_CLIENT:
        return GATE_NEGOTIATING;
    case BRIDGE_SERVER:
        return GATE_SASL_ASKED;
    case BRIDGE_DONE:
        return GATE_LOGGED_IN;
    }
    return GATE_SASL_ASKED;
}

/* ---- salting ---- */

/* In the pool. */
static void on_work(uv_work_t *work)
{
    struct salting *x = work->data;

    x->good = scram_salt(x->hash, x->password, x->salt, x->salt_len, x->iterations, x->salted);
}

static void on_done(uv_work_t *work, int status)
{
    struct salting *x = work->data;
    struct session *s = x->session;
    bool ours = s->salting == x && !s->closing;

    if (s->salting == x)
        s->salting = NULL;
    if (ours) {
        gate_bridged(&s->gate, phase_of(bridge_salted(s->bridge, status == 0 && x->good ? x->salted
                                                                                        : NULL)));
        session_flush(s);
    }
    OPENSSL_cleanse(x, sizeof *x);
    free(x);
    session_release(s);
}

/* The pool's threads are made by its first work, and take no signals: those are the loop's. */
static int queue(uv_loop_t *loop, uv_work_t *work)
{
    sigset_t all, old;
    int err;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    err = uv_queue_work(loop, work, on_work, on_done);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return err;
}

/* One that is still under way belongs to a login that is over: its result is dropped. */
static bool on_salt(void *arg, enum scram_hash hash, const char *password,
                    const unsigned char *salt, size_t salt_len, unsigned iterations)
{
    struct session *s = arg;
    struct salting *x = calloc(1, sizeof *x);

    if (!x)
        return false;
    x->work.data = x;
    x->session = s;
    x->hash = hash;
    snprintf(x->password, sizeof x->password, "%s", password);
    memcpy(x->salt, salt, salt_len);
    x->salt_len = salt_len;
    x->iterations = iterations;
    if (queue(s->proxy->loop, &x->work)) {
        OPENSSL_cleanse(x, sizeof *x);
        free(x);
        return false;
    }
    s->salting = x;
    s->handles++;
    return true;
}

/* ---- what else the bridge asks ---- */

static void on_edit(void *arg, enum dir dir, const char *p, size_t n, const char *sent,
                    size_t sent_len, const char *reason)
{
    struct session *s = arg;

    if (!s->closing) /* the bytes before may have ended it */
        s->gate.user->edit(s, dir, p, n, sent, sent_len, reason);
}

static void on_forward(void *arg, enum dir dir, const char *p, size_t n)
{
    struct session *s = arg;

    if (!s->closing)
        s->gate.user->forward(s, dir, p, n);
}

static bool on_secure(void *arg, enum side side)
{
    struct session *s = arg;

    return leg_ssl(&s->leg[side]) || (side == SIDE_SERVER && leg_is_embedded(SERVER(s)));
}

static bool on_binding(void *arg, enum side side, enum cb_type type, struct scram_binding *b)
{
    struct session *s = arg;
    SSL *ssl = leg_ssl(&s->leg[side]);

    return ssl && cb_get(ssl, type, b);
}

static const char *on_domain(void *arg)
{
    return gate_domain(&((struct session *)arg)->gate);
}

static bool on_nonce(void *arg, char out[BRIDGE_NONCE_BYTES])
{
    unsigned char bytes[(BRIDGE_NONCE_BYTES - 1) / 2];

    (void)arg;
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

static void on_fail(void *arg, const struct error *e)
{
    session_close(arg, SIDE_PROXY, ERR_SASL, "the login cannot be bridged: %s", e->detail);
}

static const struct bridge_user user = {
    .edit = on_edit,
    .forward = on_forward,
    .secure = on_secure,
    .binding = on_binding,
    .domain = on_domain,
    .nonce = on_nonce,
    .salt = on_salt,
    .fail = on_fail,
};

/* ---- the interface ---- */

int bridging_begin(struct session *s)
{
    s->bridge = bridge_new(&user, s, s->proxy->reader, s->proxy->options->account);
    return s->bridge ? 0 : ERR_NOMEM;
}

void bridging_end(struct session *s)
{
    bridge_free(s->bridge);
    s->bridge = NULL;
}

void bridging_restart(struct session *s)
{
    if (s->bridge)
        bridge_restart(s->bridge);
}

enum gate_phase bridging_item(void *arg, enum dir dir, struct reader_stream *st,
                              const struct features_edit *wished, const char *p, size_t n)
{
    struct session *s = arg;

    return phase_of(wished ? bridge_features(s->bridge, st, wished, p, n)
                           : bridge_item(s->bridge, dir, st, p, n));
}

/* RFC 6120 §4.9.3.12, §4.9.3.21: what the client is told when it said something else than SASL, or the
 * server what no client may see unbridged. */
#define STREAM_ERROR(condition)                                                                    \
    "<stream:error><" condition " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"    \
    "</stream:stream>"

static const char *const refusals[] = {
    [DIR_C2S] = STREAM_ERROR("not-authorized"),
    [DIR_S2C] = STREAM_ERROR("undefined-condition"),
};

void bridging_refused(void *arg, enum dir dir, const char *p, size_t n, const struct error *e)
{
    static const char reason[] = "bridge: before the login nothing passes but what it can read";
    enum side by = dir == DIR_C2S ? SIDE_CLIENT : SIDE_SERVER;
    struct session *s = arg;
    char why[ERROR_DETAIL_MAX];

    if (e->code == ERR_SASL)
        snprintf(why, sizeof why, "%s", e->detail);
    else if (e->code)
        snprintf(why, sizeof why, "the %s sent %s%s%.200s", side_name(by), error_text(e->code),
                 *e->detail ? ": " : "", e->detail);
    else
        snprintf(why, sizeof why, "the %s began compression before it", side_name(by));
    if (n)
        session_edit(s, dir, p, n, "", 0, reason);
    session_edit(s, DIR_S2C, NULL, 0, refusals[dir], strlen(refusals[dir]), reason);
    session_close(s, by, ERR_SASL, "the login cannot be bridged: %s", why);
}

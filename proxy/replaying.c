#include "replaying.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "../certs/verify.h"
#include "../logs/event.h"
#include "../logs/message.h"
#include "facts.h"
#include "leg.h"
#include "proxy.h"

#define GOODBYE_MS   2000 /* for our last bytes and the server's end, when all is over */
#define NAME_MAX_LEN 1024

static const unsigned char ALPN[] = "\x0bxmpp-client"; /* XEP-0368 */

struct replaying {
    const struct replaying_options *o;
    uv_loop_t loop;
    struct leg leg;
    uv_timer_t timer;
    struct resolver *resolver; /* owned */
    SSL_CTX *tls;              /* owned */
    struct replayer *r;
    struct salting *salting; /* under way: the last one's result counts */
    bool begun;              /* the replayer is */
    bool tls_pushed;
    bool warned;               /* that there is no TLS */
    bool closing; /* the timer is that of the goodbye */
    bool over;
};

/* One password being salted; the pool's while it runs. */
struct salting {
    uv_work_t work;
    struct replaying *x;
    enum scram_hash hash;
    char password[SCRAM_NAME_MAX + 1];
    unsigned char salt[SCRAM_SALT_MAX], salted[SCRAM_KEY_MAX];
    size_t salt_len;
    unsigned iterations;
    bool good;
};

static void step(struct replaying *x);

/* ---- the end ---- */

static void finish(struct replaying *x)
{
    if (x->over)
        return;
    x->over = true;
    leg_close(&x->leg);
    uv_close((uv_handle_t *)&x->timer, NULL);
    resolver_free(x->resolver);
    x->resolver = NULL;
}

static void on_timer(uv_timer_t *timer);

static void say_goodbye(struct replaying *x)
{
    if (x->closing || x->over)
        return;
    x->closing = true;
    uv_timer_start(&x->timer, on_timer, GOODBYE_MS, 0);
    leg_shut(&x->leg);
}

/* There is no replayer yet, or its connection cannot be had. */
static void fail(struct replaying *x, const struct error *e)
{
    if (!x->begun)
        replayer_begin(x->r, &x->o->replay, true, event_now_us());
    x->begun = true;
    replayer_failed(x->r, e);
    finish(x);
}

/* ---- TLS ---- */

static const char *domain(const struct replaying *x, char name[NAME_MAX_LEN])
{
    return tls_domain(x->o->replay.account->domain, name, NAME_MAX_LEN);
}

static void start_tls(struct replaying *x)
{
    bool direct = leg_dialled(&x->leg)->direct_tls;
    const struct error e = {.code = ERR_NOMEM, .detail = "no memory for TLS"};
    char name[NAME_MAX_LEN];
    SSL *ssl = SSL_new(x->tls);

    x->tls_pushed = true;
    if (!ssl || !tls_set_name(ssl, domain(x, name)) ||
        (direct && SSL_set_alpn_protos(ssl, ALPN, sizeof ALPN - 1))) {
        SSL_free(ssl);
        fail(x, &e);
        return;
    }
    SSL_set_connect_state(ssl);
    if (leg_push_tls(&x->leg, ssl))
        fail(x, &e);
}

static void on_secured(void *arg, struct leg *l)
{
    struct replaying *x = arg;
    char name[NAME_MAX_LEN];
    struct error e;

    if (verify_peer(leg_ssl(l), domain(x, name), &e)) {
        if (!x->o->insecure) {
            fail(x, &e);
            return;
        }
        message(LEVEL_WARN, PAIRS("side", "server", "reason", error_name(e.code)),
                "ignored because of --insecure: %s", e.detail);
    }
    leg_settle(l);
    replayer_secured(x->r, event_now_us());
    step(x);
}

/* ---- what the login asks ---- */

static bool on_secure(void *arg, enum side side)
{
    (void)side;
    return leg_ssl(&((struct replaying *)arg)->leg);
}

static bool on_binding(void *arg, enum side side, enum cb_type type, struct scram_binding *b)
{
    SSL *ssl = leg_ssl(&((struct replaying *)arg)->leg);

    (void)side;
    return ssl && cb_get(ssl, type, b);
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

/* In the pool. */
static void on_work(uv_work_t *work)
{
    struct salting *s = work->data;

    s->good = scram_salt(s->hash, s->password, s->salt, s->salt_len, s->iterations, s->salted);
}

static void on_salted(uv_work_t *work, int status)
{
    struct salting *s = work->data;
    struct replaying *x = s->x;

    if (x->salting == s && !x->over) {
        x->salting = NULL;
        replayer_salted(x->r, event_now_us(), status == 0 && s->good ? s->salted : NULL);
        step(x);
    }
    OPENSSL_cleanse(s, sizeof *s);
    free(s);
}

static bool on_salt(void *arg, enum scram_hash hash, const char *password,
                    const unsigned char *salt, size_t salt_len, unsigned iterations)
{
    struct replaying *x = arg;
    struct salting *s = calloc(1, sizeof *s);

    if (!s)
        return false;
    *s = (struct salting){.x = x, .hash = hash, .salt_len = salt_len, .iterations = iterations};
    s->work.data = s;
    snprintf(s->password, sizeof s->password, "%s", password);
    memcpy(s->salt, salt, salt_len);
    if (uv_queue_work(&x->loop, &s->work, on_work, on_salted)) {
        OPENSSL_cleanse(s, sizeof *s);
        free(s);
        return false;
    }
    x->salting = s;
    return true;
}

static const struct bridge_user user = {
    .secure = on_secure,
    .binding = on_binding,
    .nonce = on_nonce,
    .salt = on_salt,
};

/* ---- the connection ---- */

static bool send_out(struct replaying *x)
{
    struct replayer *r = x->r;
    int err = r->out.len ? leg_send(&x->leg, r->out.p, r->out.len) : 0;

    r->out.len = 0;
    if (err)
        fail(x, &(struct error){.code = (enum error_code)err,
                                .detail = "what the capture holds cannot be sent: no memory"});
    else
        leg_flush(&x->leg);
    return !x->over && !x->closing;
}

/* It may be the server's way, or somebody in between has taken the offer away. */
static void warn_in_clear(struct replaying *x)
{
    if (x->warned || x->r->phase != REPLAY_LOGIN || x->r->secured)
        return;
    x->warned = true;
    message(LEVEL_WARN, PAIRS("side", "server", "phase", "sasl"),
            "the server offers no TLS: all but the password goes in clear; switch STARTTLS on in the "
            "server, or give tls://HOST:PORT");
}

/* After everything that moved the replayer: what it says goes out, what it waits for is waited
 * for. */
static void step(struct replaying *x)
{
    struct replayer *r = x->r;
    int64_t ms;

    if (x->over || x->closing || !send_out(x))
        return;
    warn_in_clear(x);
    while (r->full && leg_pending(&x->leg) <= LEG_HIGH_WATER) {
        replayer_more(r, event_now_us());
        if (!send_out(x))
            return;
    }
    if (r->phase == REPLAY_DONE) {
        say_goodbye(x);
        return;
    }
    ms = replayer_wait_ms(r, event_now_us());
    if (ms < 0)
        uv_timer_stop(&x->timer);
    else
        uv_timer_start(&x->timer, on_timer, (uint64_t)ms, 0);
    if (r->phase == REPLAY_TLS && !x->tls_pushed)
        start_tls(x);
}

static void no_connection(struct replaying *x)
{
    char tried[DIAL_TRIED_MAX];
    const struct dial *d = leg_dialler(&x->leg);
    struct error e;

    error_set(&e, ERR_UNREACHABLE, "no answer from the server within %u s: %s; %s", x->o->connect_s,
              d ? dial_tried(d, tried) : "", d ? dial_cure(d) : "");
    fail(x, &e);
}

static void on_timer(uv_timer_t *timer)
{
    struct replaying *x = timer->data;

    if (x->closing) {
        finish(x);
    } else if (!x->begun) {
        no_connection(x);
    } else {
        replayer_time(x->r, event_now_us());
        step(x);
    }
}

static void on_up(void *arg, struct leg *l)
{
    struct replaying *x = arg;

    replayer_begin(x->r, &x->o->replay, leg_dialled(l)->direct_tls, event_now_us());
    x->begun = true;
    leg_read(l, true);
    step(x);
}

static void on_data(void *arg, struct leg *l, const char *p, size_t n)
{
    struct replaying *x = arg;

    (void)l;
    if (x->over || x->closing)
        return;
    replayer_data(x->r, event_now_us(), p, n);
    step(x);
}

static void on_eof(void *arg, struct leg *l)
{
    struct replaying *x = arg;

    (void)l;
    if (x->closing) {
        finish(x);
        return;
    }
    replayer_eof(x->r, event_now_us());
    step(x);
}

/* Where direct TLS does not work at one of the domain's targets, the next one is tried (XEP-0368
 * §3). */
static void on_failed(void *arg, struct leg *l, const struct error *e)
{
    struct replaying *x = arg;

    if (x->closing) {
        finish(x);
    } else if (x->begun && x->r->phase == REPLAY_TLS && leg_redial(l, e->detail)) {
        replayer_free(x->r);
        x->begun = x->tls_pushed = false;
        uv_timer_start(&x->timer, on_timer, x->o->connect_s * 1000ull, 0);
    } else {
        fail(x, e);
    }
}

static void on_drained(void *arg, struct leg *l)
{
    (void)l;
    step(arg);
}

static void on_sent(void *arg, struct leg *l)
{
    (void)arg;
    (void)l;
}

static void on_closed(void *arg, struct leg *l)
{
    (void)arg;
    (void)l;
}

static const struct leg_user leg_events = {
    .up = on_up,
    .data = on_data,
    .secured = on_secured,
    .drained = on_drained,
    .eof = on_eof,
    .sent = on_sent,
    .failed = on_failed,
    .closed = on_closed,
};

/* ---- the beginning ---- */

static int prepare(struct replaying *x, struct error *e)
{
    struct sockaddr_storage server;

    if (x->o->resolver && resolver_parse(x->o->resolver, &server, e))
        return e->code;
    x->tls = verify_context(x->o->upstream_ca, e);
    if (!x->tls)
        return e->code;
    x->resolver = resolver_new(&x->loop, x->o->resolver ? &server : NULL, e);
    return x->resolver ? 0 : (int)e->code;
}

static void dial(struct replaying *x)
{
    const struct dial_options d = {
        .resolver = x->resolver,
        .upstream = &x->o->upstream,
        .domain = x->o->replay.account->domain,
        .tls = DIAL_BOTH,
        .limit_ms = x->o->connect_s * 1000,
    };

    leg_init(&x->leg, &x->loop, &leg_events, x);
    uv_timer_init(&x->loop, &x->timer);
    x->timer.data = x;
    uv_timer_start(&x->timer, on_timer, d.limit_ms, 0);
    if (leg_dial(&x->leg, &d))
        fail(x, &(struct error){.code = ERR_NOMEM, .detail = "no memory to connect"});
}

int replaying_run(struct replaying_options *o, struct replayer *r, struct error *e)
{
    static struct replaying x; /* too large for a stack */
    int err;

    x = (struct replaying){.o = o, .r = r};
    o->replay.user = &user;
    o->replay.arg = &x;
    if (uv_loop_init(&x.loop))
        return error_set(e, ERR_NOMEM, "no memory to start");
    err = prepare(&x, e);
    if (!err)
        dial(&x);
    uv_run(&x.loop, UV_RUN_DEFAULT);
    uv_loop_close(&x.loop);
    SSL_CTX_free(x.tls);
    return err;
}

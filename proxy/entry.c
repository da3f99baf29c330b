#include "entry.h"

#include <string.h>

#include "../certs/cert.h"
#include "../logs/message.h"
#include "door.h"
#include "hello.h"
#include "reach.h"
#include "secure.h"
#include "session.h"

#define TLS_HANDSHAKE 0x16
#define HELD_BYTES    (64u << 10) /* of the client's TLS, above which it pauses */

#define OUR_SERVER_TLS "xmpptap's own STARTTLS with the server"
#define OUR_CLIENT_TLS "xmpptap's own STARTTLS with the client"

static const char *const step_names[] = {
    [ENTRY_SERVER_DIRECT] = "tls-handshake",
    [ENTRY_SERVER_OPENING] = "starttls",
    [ENTRY_SERVER_TLS] = "tls-handshake",
    [ENTRY_CLIENT_OPENING] = "starttls",
    [ENTRY_CLIENT_TLS] = "tls-handshake",
    [ENTRY_OVER] = NULL,
};

const char *entry_phase_name(const struct session *s)
{
    const struct entry *en = &s->entry;

    return en->direct && en->step <= ENTRY_DIALLING ? "tls-handshake" : step_names[en->step];
}

void entry_init(struct entry *en)
{
    *en = (struct entry){.step = ENTRY_FIRST};
    buf_init(&en->held, HELLO_MAX + 4 * HELD_BYTES);
}

void entry_free(struct entry *en)
{
    opening_free(&en->opening);
    buf_free(&en->held);
}

bool entry_blocked(const struct session *s, enum side side)
{
    return side == SIDE_CLIENT && s->entry.held.len >= HELD_BYTES;
}

bool entry_in_tls(const struct session *s)
{
    const struct entry *en = &s->entry;

    return en->step != ENTRY_OVER && (en->direct || en->step > ENTRY_DIALLING);
}

static unsigned handshake_ms(const struct session *s)
{
    return s->proxy->options->handshake_s * 1000;
}

static const char *domain_of(const struct session *s)
{
    return *gate_domain(&s->gate) ? gate_domain(&s->gate) : s->upstream->host;
}

static void hold(struct session *s, const char *p, size_t n)
{
    int err = buf_add(&s->entry.held, p, n);

    if (err)
        session_close(s, SIDE_PROXY, (enum error_code)err, NULL);
}

/* ---- the client's first bytes ---- */

/* Its first words, in clear or behind its direct TLS, may be those of no client. */
static void look(struct session *s, const char *p, size_t n)
{
    const char *unread = s->entry.seen ? NULL : door_unread(p, n);

    s->entry.seen = true;
    if (unread)
        message(LEVEL_WARN, PAIRS("session", s->id, "side", "client", "phase",
                                  s->entry.direct ? "negotiation-in-tls" : "connect"), "%s", unread);
}

static void read_hello(struct session *s)
{
    struct entry *en = &s->entry;
    struct hello hello;

    en->hello = hello_read(en->held.p, en->held.len, &hello);
    if (en->hello != HELLO_WHOLE)
        return;
    en->server = hello_offers(&hello, "xmpp-server");
    gate_ask(&s->gate, hello.name);
    en->step = ENTRY_DIALLING;
}

bool entry_first(struct session *s, const char *p, size_t n)
{
    struct entry *en = &s->entry;

    en->direct |= n && *p == TLS_HANDSHAKE;
    if (!en->direct) {
        en->step = ENTRY_DIALLING;
        look(s, p, n);
        return true;
    }
    hold(s, p, n);
    if (!s->closing)
        read_hello(s);
    return false;
}

void entry_no_hello(struct session *s, enum error_code code, const char *kind, const char *why)
{
    if (s->entry.direct && s->entry.step == ENTRY_FIRST)
        secure_record(s, SIDE_CLIENT, "", why, kind);
    session_close(s, SIDE_CLIENT, code, "%s", why);
}

bool entry_needs_domain(const struct session *s)
{
    const struct proxy_options *o = s->proxy->options;
    enum upstream_kind kind = s->upstream->kind;

    return kind == UPSTREAM_TLS || kind == UPSTREAM_DOMAIN || kind == UPSTREAM_ASKED ||
           o->client_tls == CLIENT_TLS_OFF || o->server_tls != SERVER_TLS_AUTO;
}

bool entry_known(struct session *s)
{
    struct entry *en = &s->entry;

    if (en->step == ENTRY_FIRST && en->hello == HELLO_BAD)
        entry_no_hello(s, ERR_TLS, "not-tls", "the client began as TLS does, but sent no "
                       "ClientHello; is it an XMPP client?");
    else if (en->step == ENTRY_FIRST && s->wait == WAIT_NOTHING)
        session_wait(s, WAIT_CLIENT_TLS, handshake_ms(s));
    if (en->step != ENTRY_DIALLING)
        return false;
    if (en->server && !en->seen)
        message(LEVEL_WARN, PAIRS("session", s->id, "side", "client", "phase", "connect"), "%s",
                door_server_stream);
    en->seen |= en->server;
    return true;
}

/* ---- the gate's turn ---- */

static void over(struct session *s)
{
    opening_free(&s->entry.opening);
    s->entry.step = ENTRY_OVER;
    session_wait(s, WAIT_NOTHING, 0);
    session_ready(s);
}

static void restart(struct session *s, enum label_phase phase)
{
    struct mark m = {.kind = MARK_RESTART, .phase = phase};

    session_mark(s, &m);
}

/* ---- an opening of ours ---- */

static void answer(struct session *s, enum dir dir, const struct opening_step *step,
                   const char *reason)
{
    if (step->answer_len && !s->closing)
        session_edit(s, dir, NULL, 0, step->answer, step->answer_len, reason);
}

static void took(struct session *s, enum dir dir, const struct opening_step *step,
                 const char *reason)
{
    if (step->n)
        session_edit(s, dir, step->p, step->n, "", 0, reason);
    answer(s, dir == DIR_C2S ? DIR_S2C : DIR_C2S, step, reason);
}

static void server_without_tls(struct session *s)
{
    struct error e;
    struct buf rest;

    opening_take_rest(&s->entry.opening, &rest);
    if (s->proxy->options->server_tls == SERVER_TLS_AUTO && !s->entry.direct) {
        gate_skip_header(&s->gate);
        over(s);
        if (gate_input(&s->gate, DIR_S2C, rest.p, rest.len))
            session_close(s, SIDE_PROXY, ERR_NOMEM, NULL);
        buf_free(&rest);
        return;
    }
    session_edit(s, DIR_S2C, rest.p, rest.len, "", 0, OUR_SERVER_TLS);
    buf_free(&rest);
    error_set(&e, ERR_NO_TLS, "the server offers no STARTTLS, %s; give tls://HOST:PORT if it has "
              "direct TLS, or --server-tls off",
              s->entry.direct ? "and the client's TLS would go on in clear"
                              : "which --server-tls starttls demands of it");
    entry_refuse(s, "remote-connection-failed", &e);
}

static void server_refused(struct session *s)
{
    struct error e;

    if (*gate_domain(&s->gate))
        error_set(&e, ERR_REFUSED_TLS, "the server ended xmpptap's own STARTTLS with an error, which "
                  "is in the session's record: `xmpptap show` prints it");
    else
        error_set(&e, ERR_REFUSED_TLS, "the server ended xmpptap's own STARTTLS with an error (`xmpptap "
                  "show` prints it); the client named no domain before, so \"%.90s\" was asked "
                  "for: give the domain as UPSTREAM if that is not its name", s->upstream->host);
    entry_server_failed(s, &e, false);
}

static void bad(struct session *s, enum side side, const struct opening_step *step)
{
    struct error e;

    if (side == SIDE_CLIENT) {
        if (step->code == ERR_BEHIND_STARTTLS)
            session_raw(s, DIR_C2S, step->code, step->why);
        session_close(s, SIDE_CLIENT, step->code, "%s", step->why);
        return;
    }
    error_set(&e, step->code, "the server answered xmpptap's own STARTTLS with what cannot be read: "
              "%s; is UPSTREAM an XMPP server's port for clients?", step->why);
    entry_refuse(s, "remote-connection-failed", &e);
}

static void opening_secure(struct session *s, enum side side)
{
    struct buf rest;

    opening_take_rest(&s->entry.opening, &rest);
    if (side == SIDE_SERVER) {
        s->entry.step = ENTRY_SERVER_TLS;
        secure_server(s, rest.p, rest.len);
    } else {
        s->entry.step = ENTRY_CLIENT_TLS;
        session_wait(s, WAIT_CLIENT_TLS, handshake_ms(s));
        secure_client(s, rest.p, rest.len);
    }
    buf_free(&rest);
}

/* Decides what it can. */
static void run_opening(struct session *s, enum side side)
{
    enum entry_step step = s->entry.step;
    enum dir dir = side == SIDE_CLIENT ? DIR_C2S : DIR_S2C;
    const char *reason = side == SIDE_CLIENT ? OUR_CLIENT_TLS : OUR_SERVER_TLS;
    struct opening_step done;

    while (!s->closing && s->entry.step == step) {
        enum opening_what what = opening_next(&s->entry.opening, &done);

        if (what == OPENING_MORE)
            return;
        if (what != OPENING_NO_TLS)
            took(s, dir, &done, reason);
        if (!s->closing && s->entry.opening.state == OPENING_HELLO && s->wait == WAIT_NOTHING)
            session_wait(s, WAIT_CLIENT_TLS, handshake_ms(s)); /* it was told to proceed */
        if (s->closing || what == OPENING_TAKEN)
            continue;
        if (what == OPENING_SECURE)
            opening_secure(s, side);
        else if (what == OPENING_NO_TLS)
            server_without_tls(s);
        else if (what == OPENING_REFUSED && side == SIDE_SERVER)
            server_refused(s);
        else if (what == OPENING_REFUSED)
            session_close(s, SIDE_CLIENT, ERR_CLOSED, NULL);
        else
            bad(s, side, &done);
        return;
    }
}

static void feed(struct session *s, enum side side, const char *p, size_t n)
{
    int err = opening_add(&s->entry.opening, p, n);

    if (err)
        session_close(s, SIDE_PROXY, (enum error_code)err, NULL);
    else
        run_opening(s, side);
}

static void open_to_server(struct session *s)
{
    char name[1024];
    struct buf b;
    int err;

    opening_free(&s->entry.opening); /* a target's before this one */
    s->entry.step = ENTRY_SERVER_OPENING;
    opening_init(&s->entry.opening, s->proxy->reader, true, "");
    session_wait(s, WAIT_SERVER_TLS, handshake_ms(s));
    buf_init(&b, 16u << 10);
    /* SNI has A-labels, a stream does not (RFC 7622 §3.2). */
    err = opening_hello(&b, cert_u_labels(domain_of(s), name, sizeof name));
    if (err)
        session_close(s, SIDE_PROXY, (enum error_code)err, NULL);
    else
        session_edit(s, DIR_C2S, NULL, 0, b.p, b.len, OUR_SERVER_TLS);
    buf_free(&b);
}

/* The client's header waits in the gate, or is still to come. */
static void open_to_client(struct session *s)
{
    struct buf waiting;

    opening_free(&s->entry.opening);
    s->entry.step = ENTRY_CLIENT_OPENING;
    opening_init(&s->entry.opening, s->proxy->reader, false, domain_of(s));
    session_wait(s, WAIT_NOTHING, 0);
    gate_take(&s->gate, DIR_C2S, &waiting);
    feed(s, SIDE_CLIENT, waiting.len ? waiting.p : "", waiting.len);
    buf_free(&waiting);
}

/* ---- the two legs ---- */

static void begin_client_tls(struct session *s)
{
    struct entry *en = &s->entry;
    struct buf held = en->held;

    buf_init(&en->held, held.max);
    en->step = ENTRY_CLIENT_TLS;
    session_wait(s, WAIT_CLIENT_TLS, handshake_ms(s));
    secure_client(s, held.p, held.len);
    buf_free(&held);
}

/* The server's leg is as it shall be. */
static void server_ready(struct session *s)
{
    const struct proxy_options *o = s->proxy->options;
    bool in_step = !s->entry.server_secured && o->server_tls != SERVER_TLS_OFF;

    if (!in_step || o->client_tls == CLIENT_TLS_OFF || s->entry.direct)
        s->gate.wishes |= FEATURES_NO_STARTTLS;
    if (o->client_tls == CLIENT_TLS_REQUIRED)
        s->gate.wishes |= FEATURES_REQUIRE_STARTTLS;
    if (s->entry.direct)
        begin_client_tls(s);
    else if (!in_step && o->client_tls != CLIENT_TLS_OFF)
        open_to_client(s);
    else
        over(s);
}

/* TLS from the first byte: as the target or an option says, or, where nobody but the client knows
 * what is at its connection's destination (--transparent), as the client does. */
static bool server_is_direct(const struct session *s, const struct dial_target *t)
{
    enum server_tls wish = s->proxy->options->server_tls;

    return t->direct_tls || wish == SERVER_TLS_DIRECT ||
           (wish == SERVER_TLS_AUTO && s->upstream->kind == UPSTREAM_ADDRESS && s->entry.direct);
}

void entry_up(struct session *s)
{
    const struct proxy_options *o = s->proxy->options;
    const struct dial_target *t = leg_dialled(SERVER(s));
    bool alone = s->entry.direct || o->client_tls == CLIENT_TLS_OFF;

    if (t ? server_is_direct(s, t) : s->entry.direct) {
        s->entry.step = ENTRY_SERVER_DIRECT;
        secure_server(s, "", 0);
    } else if (!t) { /* the embedded server needs no TLS of ours */
        server_ready(s);
    } else if (o->server_tls == SERVER_TLS_STARTTLS ||
               (o->server_tls == SERVER_TLS_AUTO && alone)) {
        open_to_server(s);
    } else {
        server_ready(s);
    }
}

static void client_secured(struct session *s)
{
    if (s->entry.refusal.due) {
        entry_refuse(s, s->entry.refusal.condition, &s->entry.refusal.error);
        return;
    }
    s->gate.secured = true;
    if (!s->entry.direct)
        restart(s, PHASE_TLS);
    over(s);
}

void entry_secured(struct session *s, enum side side)
{
    if (side == SIDE_CLIENT) {
        client_secured(s);
        return;
    }
    if (s->entry.step == ENTRY_SERVER_TLS)
        restart(s, PHASE_TLS);
    s->entry.server_secured = true;
    server_ready(s);
}

bool entry_data(struct session *s, enum dir dir, const char *p, size_t n)
{
    struct entry *en = &s->entry;

    if (en->step == ENTRY_OVER) {
        if (dir == DIR_C2S)
            look(s, p, n);
        return false;
    }
    if (dir == DIR_S2C && en->step == ENTRY_SERVER_OPENING)
        feed(s, SIDE_SERVER, p, n);
    else if (dir == DIR_C2S && en->step == ENTRY_CLIENT_OPENING)
        feed(s, SIDE_CLIENT, p, n);
    else if (dir == DIR_C2S && en->direct)
        hold(s, p, n);
    else
        return false;
    return true;
}

/* ---- no server ---- */

void entry_rest(struct session *s)
{
    enum dir dir = s->entry.step == ENTRY_CLIENT_OPENING ? DIR_C2S : DIR_S2C;
    struct buf rest;

    opening_take_rest(&s->entry.opening, &rest);
    if (rest.len)
        session_edit(s, dir, rest.p, rest.len, "", 0, "not sent on: it was not read to its end");
    buf_free(&rest);
}

void entry_server_failed(struct session *s, const struct error *e, bool again)
{
    bool said = s->entry.step >= ENTRY_SERVER_OPENING; /* the next server begins its own stream */

    if (leg_redial(SERVER(s), again ? NULL : e->detail)) {
        entry_rest(s);
        opening_free(&s->entry.opening);
        if (said)
            restart(s, PHASE_OPEN);
        s->entry.step = ENTRY_DIALLING;
        s->eof[SIDE_SERVER] = s->end.known = false; /* that was the other one's */
        session_wait(s, WAIT_CONNECT, s->proxy->options->connect_s * 1000);
        return;
    }
    entry_refuse(s, "remote-connection-failed", e);
}

/* A client that speaks TLS from the first byte hears nothing else: it gets its handshake first. */
static bool postpone(struct session *s, const char *condition, const struct error *e)
{
    struct entry *en = &s->entry;

    if (!en->direct || en->step >= ENTRY_CLIENT_TLS || !en->held.len || s->eof[SIDE_CLIENT])
        return false;
    en->refusal.due = true;
    en->refusal.condition = condition;
    en->refusal.error = *e;
    leg_close(SERVER(s));
    s->gone[SIDE_SERVER] = true;
    begin_client_tls(s);
    return true;
}

void entry_refuse(struct session *s, const char *condition, const struct error *e)
{
    if (!s->closing && !postpone(s, condition, e))
        reach_tell(s, condition, e);
}

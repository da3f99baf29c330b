#include "session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../logs/message.h"
#include "bridging.h"
#include "faulting.h"
#include "listen.h"
#include "proxy_protocol.h"
#include "reach.h"
#include "recording.h"
#include "secure.h"

#define GOODBYE_MS 2000 /* both sides, once the session is closing; --close-timeout if that is less */

static const struct leg_user leg_events;

static enum side side_of(const struct session *s, const struct leg *l)
{
    return l == &s->leg[SIDE_CLIENT] ? SIDE_CLIENT : SIDE_SERVER;
}

static enum dir dir_from(enum side side)
{
    return side == SIDE_CLIENT ? DIR_C2S : DIR_S2C;
}

static const char *phase_name(const struct session *s)
{
    const char *entry = entry_phase_name(s);

    if (s->wait == WAIT_CONNECT)
        return "connect";
    return entry ? entry : gate_phase_name(&s->gate);
}

/* ---- the timer ---- */

static void on_timer(uv_timer_t *timer);

void session_wait(struct session *s, enum session_wait wait, unsigned ms)
{
    if (s->closing && wait != WAIT_GOODBYE)
        return; /* nothing may replace the limit of the goodbye */
    s->wait = wait;
    s->limit_ms = ms;
    s->held_up = false;
    s->pending_before = leg_pending(CLIENT(s)) + leg_pending(SERVER(s));
    if (wait == WAIT_NOTHING)
        uv_timer_stop(&s->timer);
    else if (!s->finished)
        uv_timer_start(&s->timer, on_timer, ms, 0);
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *h);

/* Nothing more can be done for either side: the handles go, and with the last of them `s`. */
static void finish(struct session *s)
{
    if (s->finished)
        return;
    s->finished = true;
    leg_close(CLIENT(s));
    leg_close(SERVER(s));
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    uv_close((uv_handle_t *)&s->limits.timer, on_timer_closed);
    faulting_close(s);
}

static bool side_over(const struct session *s, enum side side)
{
    return s->gone[side] || !s->leg[side].bottom || (s->eof[side] && s->sent[side]);
}

static void finish_if_over(struct session *s)
{
    if (s->closing && side_over(s, SIDE_CLIENT) && side_over(s, SIDE_SERVER))
        finish(s);
}

/* Who ended it and why. The first word counts, but that one side has sent its end is not yet a
 * reason where something goes wrong later. */
static void ended_by(struct session *s, enum side by, enum error_code code, const char *detail)
{
    bool went_wrong = code != ERR_CLOSED && code != ERR_STOPPED && code != ERR_RESET;

    if (s->end.known && !(s->end.code == ERR_CLOSED && went_wrong))
        return;
    s->end.known = true;
    s->end.by = by;
    s->end.code = code;
    s->end.phase = phase_name(s);
    if (code == ERR_CLOSED || code == ERR_RESET)
        snprintf(s->end.detail, sizeof s->end.detail, "the %s %s%s%s", side_name(by),
                 error_text(code), *detail ? ": " : "", detail);
    else
        snprintf(s->end.detail, sizeof s->end.detail, "%s",
                 *detail ? detail : error_text(code));
}

static unsigned goodbye_ms(const struct session *s)
{
    unsigned limit_ms = s->proxy->options->close_s * 1000;

    return limit_ms < GOODBYE_MS ? limit_ms : GOODBYE_MS;
}

void session_close(struct session *s, enum side by, enum error_code code, const char *fmt, ...)
{
    char detail[ERROR_DETAIL_MAX] = "";
    va_list ap;

    if (s->closing)
        return;
    if (fmt) {
        va_start(ap, fmt);
        vsnprintf(detail, sizeof detail, fmt, ap);
        va_end(ap);
    }
    s->closing = true;
    s->gone[SIDE_SERVER] |= s->wait == WAIT_CONNECT;
    ended_by(s, by, code, detail);
    gate_stop(&s->gate);
    if (s->tap) {
        recording_rest(s);
        recording_end(s);
    } else {
        atomic_fetch_add(&s->proxy->empty, 1);
    }
    for (int i = 0; i < 2; i++)
        if (!s->gone[i])
            leg_shut(&s->leg[i]);
    session_wait(s, WAIT_GOODBYE, goodbye_ms(s));
    session_reading(s); /* what still comes is read and dropped, until the peer closes too */
    finish_if_over(s);
}

static void set_paused(struct session *s, bool paused);

void session_release(struct session *s)
{
    if (--s->handles > 0)
        return;
    if (s->prev)
        s->prev->next = s->next;
    else
        s->proxy->sessions = s->next;
    if (s->next)
        s->next->prev = s->prev;
    set_paused(s, false);
    gate_free(&s->gate);
    entry_free(&s->entry);
    arrival_free(&s->arrival);
    bridging_end(s);
    faulting_free(s);
    free(s->server);
    free(s->server_name);
    own_leave(&s->proxy->member.crew->own, &s->own);
    crew_gone(s->proxy);
    free(s);
}

static void on_timer_closed(uv_handle_t *h)
{
    session_release(h->data);
}

static void on_leg_closed(void *arg, struct leg *l)
{
    (void)l;
    session_release(arg);
}

static void on_leg_sent(void *arg, struct leg *l)
{
    struct session *s = arg;

    s->sent[side_of(s, l)] = true;
    finish_if_over(s);
}

void session_flush(struct session *s)
{
    leg_flush(CLIENT(s));
    leg_flush(SERVER(s));
    proxy_check_queue(s->proxy);
    session_reading(s);
}

/* ---- the server's leg begins ---- */

/* `side` sends no more: the other is told, and gets its time to answer; once nothing waits before it. */
static void other_side(struct session *s, enum side side)
{
    if (gate_waits(&s->gate, dir_from(side)))
        return;
    gate_eof(&s->gate, dir_from(side));
    if (s->closing)
        return;
    leg_shut(&s->leg[side == SIDE_CLIENT ? SIDE_SERVER : SIDE_CLIENT]);
    session_wait(s, WAIT_OTHER_SIDE, s->proxy->options->close_s * 1000);
}

/* The address that is kept goes first, before TLS; it is no part of what the two say. */
static void send_header(struct session *s)
{
    char header[PROXY_HEADER_OUT];
    size_t n = s->upstream->kind == UPSTREAM_BUILTIN ? 0 : arrival_header(&s->arrival, header);
    int err = leg_send(SERVER(s), header, n);

    if (err)
        session_close(s, SIDE_PROXY, (enum error_code)err, NULL);
}

static void on_up(void *arg, struct leg *l)
{
    struct session *s = arg;

    (void)l;
    if (s->closing)
        return;
    reach_up(s);
    send_header(s);
    session_wait(s, WAIT_NOTHING, 0);
    if (!s->closing)
        entry_up(s);
    session_flush(s);
}

void session_ready(struct session *s)
{
    gate_open(&s->gate);
    for (int i = 0; i < 2; i++)
        if (s->eof[i] && !s->closing)
            other_side(s, (enum side)i);
}

/* The first bytes make it a session: now it is recorded. */
static bool record_begin(struct session *s, const char *p, size_t n)
{
    const struct arrival *a = &s->arrival;
    char entry[ADDRESS_TEXT], peer[ADDRESS_TEXT], asked[REACH_ASKED];
    struct event_session facts = {
        .client = address_text(&a->client, s->client, sizeof s->client),
        .listen = address_text(&a->entry, entry, sizeof entry),
        .upstream = reach_upstream(s, p, n, asked),
        .program = "xmpptap " XMPPTAP_VERSION,
    };

    s->tap = tap_open(s->proxy->recorder, event_now_us(), &facts);
    if (!s->tap) {
        message(LEVEL_ERROR, PAIRS("reason", error_name(ERR_NOMEM)), "no memory for a session");
        session_close(s, SIDE_PROXY, ERR_NOMEM, NULL);
        return false;
    }
    limits_begin(s);
    snprintf(s->id, sizeof s->id, "%s", tap_id(s->tap));
    address_text(&a->peer, peer, sizeof peer);
    message(LEVEL_INFO, PAIRS("session", s->id, "client", s->client, "via",
                              strcmp(peer, s->client) ? peer : ""),
            "session begins, to %s",
            *facts.upstream ? facts.upstream : "the domain it asks for");
    return true;
}

/* ---- what the legs say ---- */

static void on_secured(void *arg, struct leg *l)
{
    struct session *s = arg;

    if (s->closing)
        return;
    if (side_of(s, l) == SIDE_SERVER)
        secure_server_done(s);
    else
        secure_client_done(s);
    session_flush(s);
}

/* Until then it has no record, and no limit of a login runs. */
static void wait_first_byte(struct session *s, unsigned limit_s)
{
    if (limit_s)
        session_wait(s, WAIT_FIRST_BYTE, limit_s * 1000);
}

/* Whose connection it is comes before its first byte, where it goes behind that: false if that is
 * not known yet, or never will be. */
static bool arrived(struct session *s, const char **p, size_t *n, bool ended)
{
    struct error e;
    enum arrival_state state = arrival_take(&s->arrival, p, n, ended, &e);

    if (state == ARRIVAL_WAITS)
        return false;
    session_wait(s, WAIT_NOTHING, 0);
    s->upstream = arrival_upstream(&s->arrival);
    if (state == ARRIVAL_OVER && *n == 0) { /* so far a load balancer that asks whether we live */
        wait_first_byte(s, s->proxy->options->negotiation_s);
        return false;
    }
    if (state == ARRIVAL_OVER && !listen_circle(s, &e))
        return true;
    if (record_begin(s, *p, *n))
        session_close(s, SIDE_CLIENT, e.code, "%s", e.detail);
    return false;
}

/* What comes before the gate's turn is the entry's, but for what waits in the gate. */
static void take_in(struct session *s, enum dir dir, const char *p, size_t n)
{
    if (s->entry.step == ENTRY_FIRST ? !entry_first(s, p, n) : entry_data(s, dir, p, n))
        return;
    if (gate_input(&s->gate, dir, p, n))
        session_close(s, SIDE_PROXY, ERR_NOMEM, NULL);
}

static void on_data(void *arg, struct leg *l, const char *p, size_t n)
{
    struct session *s = arg;

    limits_heard(s);
    if (s->closing || (!s->tap && (!arrived(s, &p, &n, false) || !record_begin(s, p, n))))
        return;
    take_in(s, dir_from(side_of(s, l)), p, n);
    reach_server(s);
    session_flush(s);
}

static void on_eof(void *arg, struct leg *l)
{
    struct session *s = arg;
    enum side side = side_of(s, l), other = side == SIDE_CLIENT ? SIDE_SERVER : SIDE_CLIENT;
    const char *rest = "";
    size_t n = 0;
    struct error e;

    s->eof[side] = true;
    if (!s->closing && !s->tap && arrived(s, &rest, &n, true) && record_begin(s, rest, n)) {
        take_in(s, DIR_C2S, rest, n);
        reach_server(s);
    }
    if (s->closing) {
        finish_if_over(s);
        return;
    }
    ended_by(s, side, ERR_CLOSED, "");
    if (side == SIDE_SERVER && s->entry.step == ENTRY_SERVER_OPENING) {
        error_set(&e, ERR_REFUSED_TLS, "the server closed the connection before xmpptap's own "
                  "STARTTLS with it was over; look at its log, and is UPSTREAM its port for STARTTLS?");
        entry_server_failed(s, &e, false);
    } else if (side == SIDE_CLIENT && s->entry.direct && s->entry.step == ENTRY_FIRST) {
        entry_no_hello(s, ERR_CLOSED, "closed", "the client closed the connection in the middle of "
                       "its ClientHello");
    } else if (s->eof[other] || !s->tap || gate_in_tls(&s->gate) || entry_in_tls(s))
        session_close(s, side, ERR_CLOSED, NULL);
    else if (s->wait != WAIT_CONNECT) /* else when the server's leg stands */
        other_side(s, side);
    else
        reach_server(s);
    session_flush(s);
}

static bool in_server_tls(const struct session *s)
{
    return s->gate.phase == GATE_TLS_SERVER ||
           (s->entry.step >= ENTRY_SERVER_DIRECT && s->entry.step <= ENTRY_SERVER_TLS);
}

static bool in_client_tls(const struct session *s)
{
    return s->gate.phase == GATE_TLS_CLIENT || s->entry.step == ENTRY_CLIENT_TLS;
}

static void on_failed(void *arg, struct leg *l, const struct error *e)
{
    struct session *s = arg;
    enum side side = side_of(s, l);

    if (s->closing) {
        s->gone[side] = true;
        finish_if_over(s);
    } else if (s->wait == WAIT_CONNECT && side == SIDE_SERVER) {
        reach_failed(s, REACH_FAILED, e);
    } else if (side == SIDE_SERVER && in_server_tls(s)) {
        secure_refused(s, SIDE_SERVER, e);
    } else if (side == SIDE_CLIENT && s->entry.direct && s->entry.step == ENTRY_FIRST) {
        s->gone[side] = true;
        entry_no_hello(s, e->code, e->kind, "the client reset the connection in the middle of its "
                       "ClientHello");
    } else {
        if (side == SIDE_CLIENT && in_client_tls(s) && leg_ssl(l) && !s->entry.refusal.due)
            secure_record(s, side, "", e->detail, e->kind);
        s->gone[side] = true;
        if (s->entry.refusal.due) /* it did not want to hear it */
            e = &s->entry.refusal.error;
        session_close(s, side, e->code, "%s", e->detail);
    }
}

static void on_drained(void *arg, struct leg *l)
{
    (void)l;
    limits_heard(arg); /* a slow reader is not a silent one */
    session_reading(arg);
}

/* A slow reader that still takes what is pending is no reason to end. */
static bool gets_on(struct session *s)
{
    return leg_pending(CLIENT(s)) + leg_pending(SERVER(s)) < s->pending_before;
}

/* It said nothing, or not enough to know whose connection it is. */
static void no_first_byte(struct session *s)
{
    const char *p = "";
    size_t n = 0;

    /* A load balancer's mistake, or no client: it has a record. */
    if (s->arrival.held.len && arrived(s, &p, &n, true) && record_begin(s, p, n))
        take_in(s, DIR_C2S, p, n);
    session_close(s, SIDE_CLIENT, ERR_TIMEOUT, NULL);
}

static void on_timer(uv_timer_t *timer)
{
    struct session *s = timer->data;
    struct error e;

    /* It was us who did not read: when we do again, the whole limit begins anew. */
    if (s->held_up && s->wait != WAIT_GOODBYE) {
        session_wait(s, s->wait, s->limit_ms);
        s->held_up = s->paused;
        return;
    }
    switch (s->wait) {
    case WAIT_NOTHING:
        break;
    case WAIT_FIRST_BYTE:
        no_first_byte(s);
        break;
    case WAIT_CONNECT:
        reach_timeout(s);
        break;
    case WAIT_SERVER_TLS:
        error_set(&e, ERR_TIMEOUT, "the server did not finish the TLS handshake within "
                  "--handshake-timeout (%u s); is it overloaded, or is a firewall in between?",
                  s->proxy->options->handshake_s);
        e.kind = "handshake-ended";
        secure_refused(s, SIDE_SERVER, &e);
        break;
    case WAIT_CLIENT_TLS:
        if (s->entry.refusal.due) /* it did not wait to hear it */
            session_close(s, SIDE_PROXY, s->entry.refusal.error.code, "%s",
                          s->entry.refusal.error.detail);
        error_set(&e, ERR_TIMEOUT, "the client did not finish %s within --handshake-timeout (%u s)",
                  s->entry.step == ENTRY_FIRST ? "its ClientHello" : "the TLS handshake",
                  s->proxy->options->handshake_s);
        if (!s->closing && in_client_tls(s) && leg_ssl(CLIENT(s)))
            secure_record(s, SIDE_CLIENT, "", e.detail, "handshake-ended");
        entry_no_hello(s, e.code, "handshake-ended", e.detail);
        break;
    case WAIT_OTHER_SIDE:
        if (gets_on(s))
            session_wait(s, WAIT_OTHER_SIDE, s->limit_ms);
        else
            session_close(s, s->end.by, ERR_CLOSED, NULL);
        break;
    case WAIT_GOODBYE:
        if (gets_on(s) && !s->proxy->stopping)
            session_wait(s, WAIT_GOODBYE, s->limit_ms);
        else
            finish(s);
        break;
    }
}

static const struct leg_user leg_events = {
    .up = on_up,
    .data = on_data,
    .secured = on_secured,
    .drained = on_drained,
    .eof = on_eof,
    .failed = on_failed,
    .sent = on_leg_sent,
    .closed = on_leg_closed,
};

/* ---- the beginning ---- */

/* Those that the recorder holds up are few, and found without looking at all. */
static void set_paused(struct session *s, bool paused)
{
    struct session **first = &s->proxy->paused;

    if (paused == s->paused)
        return;
    s->paused = paused;
    if (paused) {
        s->paused_prev = NULL;
        s->paused_next = *first;
        if (*first)
            (*first)->paused_prev = s;
        *first = s;
        return;
    }
    *(s->paused_prev ? &s->paused_prev->paused_next : first) = s->paused_next;
    if (s->paused_next)
        s->paused_next->paused_prev = s->paused_prev;
}

void session_reading(struct session *s)
{
    set_paused(s, s->proxy->options->wait_when_full &&
                      (s->proxy->starved || (s->tap && tap_full(s->tap))));
    s->held_up |= s->paused;
    s->limits.held_up |= s->paused;

    for (int i = 0; i < 2; i++) {
        bool pause = s->paused || s->leg[!i].above_water || entry_blocked(s, (enum side)i) ||
                     gate_blocked(&s->gate, dir_from((enum side)i));

        leg_read(&s->leg[i], !s->eof[i] && (s->closing || !pause));
    }
}

static void refuse(struct proxy *p, const char *why)
{
    message(LEVEL_ERROR, PAIRS("reason", error_name(ERR_NOMEM)), "%s", why);
    crew_gone(p);
}

static struct session *new_session(struct proxy *p)
{
    struct session *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->proxy = p;
    s->handles = 4; /* two legs and two timers */
    s->next = p->sessions;
    if (s->next)
        s->next->prev = s;
    p->sessions = s;
    entry_init(&s->entry);
    gate_init(&s->gate, p->reader, &recording_gate, s);
    gate_caps(&s->gate, p->options->item_bytes, p->options->wait_bytes);
    s->gate.bridged = p->options->channel_binding == CHANNEL_BINDING_BRIDGE;
    uv_timer_init(p->loop, &s->timer);
    s->timer.data = s;
    limits_init(s);
    leg_init(CLIENT(s), p->loop, &leg_events, s);
    leg_init(SERVER(s), p->loop, &leg_events, s);
    return s;
}

/* Its client's leg stands (`failed`: it does not). */
static void arrives(struct session *s, int failed)
{
    const struct proxy_options *o = s->proxy->options;

    if (failed || (s->gate.bridged && bridging_begin(s)) || (o->faults && faulting_begin(s)) ||
        !arrival_init(&s->arrival, o, leg_fd(CLIENT(s)))) {
        finish(s); /* it was gone before it was there */
        return;
    }
    wait_first_byte(s, s->arrival.due ? o->handshake_s : o->negotiation_s);
    session_reading(s);
}

void session_accept(struct proxy *p, uv_stream_t *listener)
{
    struct session *s = new_session(p);

    if (s)
        arrives(s, leg_accept(CLIENT(s), listener));
    else
        refuse(p, "no memory for a connection; it waits");
}

void session_adopt(struct proxy *p, int fd)
{
    struct session *s = new_session(p);

    if (s) {
        arrives(s, leg_adopt(CLIENT(s), fd));
    } else {
        close(fd);
        refuse(p, "no memory for a connection");
    }
}

#include "limits.h"

#include "session.h"

static void on_timer(uv_timer_t *timer);

static uint64_t now_ms(const struct session *s)
{
    return uv_now(s->proxy->loop);
}

/* 0: there is none. */
static uint64_t login_deadline(const struct session *s)
{
    const struct limits *l = &s->limits;
    unsigned limit_s = s->proxy->options->negotiation_s;

    return l->negotiated || !limit_s ? 0 : l->began_ms + (uint64_t)limit_s * 1000;
}

static uint64_t idle_deadline(const struct session *s)
{
    unsigned limit_s = s->proxy->options->idle_s;

    return limit_s ? s->limits.heard_ms + (uint64_t)limit_s * 1000 : 0;
}

static bool is_over(uint64_t deadline, uint64_t now)
{
    return deadline && deadline <= now;
}

static void arm(struct session *s)
{
    uint64_t login = login_deadline(s), idle = idle_deadline(s), now = now_ms(s);
    uint64_t first = !login || (idle && idle < login) ? idle : login;

    if (!first)
        uv_timer_stop(&s->limits.timer);
    else
        uv_timer_start(&s->limits.timer, on_timer, first > now ? first - now : 1, 0);
}

/* Whose word is missing. */
static const char *who_owes(const struct session *s)
{
    switch (s->gate.phase) {
    case GATE_TLS_ASKED:
    case GATE_TLS_SERVER:
    case GATE_SASL_ASKED:
        return "the server owes an answer: look at its log";
    case GATE_TLS_CLIENT:
        return "the client has not finished TLS: look at its log";
    case GATE_NEGOTIATING:
    case GATE_LOGGED_IN:
    case GATE_WATCHED:
    case GATE_ASIDE:
        break;
    }
    return "the transcript shows who was silent";
}

static void on_timer(uv_timer_t *timer)
{
    struct session *s = timer->data;
    struct limits *l = &s->limits;
    uint64_t now = now_ms(s);

    if (s->closing)
        return;
    if (l->held_up) {
        l->began_ms = l->heard_ms = now;
        l->held_up = s->paused;
    }
    if (is_over(login_deadline(s), now))
        session_close(s, SIDE_PROXY, ERR_NEGOTIATION_TIMEOUT,
                      "the login was not over within --negotiation-timeout (%u s); %s, or give it "
                      "more time",
                      s->proxy->options->negotiation_s, who_owes(s));
    else if (is_over(idle_deadline(s), now))
        session_close(s, SIDE_PROXY, ERR_IDLE_TIMEOUT,
                      "no byte came from either side for --idle-timeout (%u s); let the client send "
                      "keepalives or pings, or give it more time",
                      s->proxy->options->idle_s);
    else
        arm(s);
}

void limits_init(struct session *s)
{
    uv_timer_init(s->proxy->loop, &s->limits.timer);
    s->limits.timer.data = s;
}

void limits_begin(struct session *s)
{
    s->limits.running = true;
    s->limits.began_ms = s->limits.heard_ms = now_ms(s);
    arm(s);
}

void limits_heard(struct session *s)
{
    s->limits.heard_ms = now_ms(s);
}

void limits_negotiated(struct session *s)
{
    s->limits.negotiated = true;
    if (s->limits.running && !s->closing)
        arm(s);
}

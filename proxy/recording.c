#include "recording.h"

#include "../logs/message.h"
#include "bridging.h"
#include "editing.h"
#include "faulting.h"
#include "reach.h"
#include "secure.h"

/* What was not recorded is told before anything that is. */
static void tell_gap(struct session *s)
{
    for (int i = 0; i < 2; i++) {
        struct mark gap = {.kind = MARK_GAP, .dir = (enum dir)i, .bytes = s->unrecorded[i]};

        if (s->unrecorded[i])
            tap_mark(s->tap, event_now_us(), &gap);
        s->unrecorded[i] = 0;
    }
}

void session_mark(struct session *s, const struct mark *m)
{
    if (s->faulting)
        faulting_mark(s, m);
    tell_gap(s);
    tap_mark(s->tap, event_now_us(), m);
}

static void record(struct session *s, enum dir dir, const char *p, size_t n)
{
    if (s->proxy->starved && !s->proxy->options->wait_when_full) {
        s->unrecorded[dir] += n;
        return;
    }
    tell_gap(s);
    tap_data(s->tap, dir, event_now_us(), p, n);
}

static void send_to(struct session *s, enum dir dir, const char *p, size_t n)
{
    int err = leg_send(dir == DIR_C2S ? SERVER(s) : CLIENT(s), p, n);

    if (err)
        session_close(s, SIDE_PROXY, (enum error_code)err, NULL);
}

void session_forward(void *arg, enum dir dir, const char *p, size_t n)
{
    struct session *s = arg;

    record(s, dir, p, n);
    send_to(s, dir, p, n);
}

void session_edit(struct session *s, enum dir dir, const char *p, size_t n, const char *sent,
                  size_t sent_len, const char *reason)
{
    struct mark m = {.kind = MARK_EDIT, .dir = dir, .bytes = n, .sent = sent,
                     .sent_len = sent_len, .reason = reason};

    session_mark(s, &m);
    if (n) /* an edit's bytes are few, and recorded whatever else is not */
        tap_data(s->tap, dir, event_now_us(), p, n);
    if (sent_len)
        send_to(s, dir, sent, sent_len);
}

static void on_edit(void *arg, enum dir dir, const char *p, size_t n, const char *sent,
                    size_t sent_len, const char *reason)
{
    session_edit(arg, dir, p, n, sent, sent_len, reason);
}

static void on_restart(void *arg, enum label_phase phase)
{
    struct session *s = arg;
    struct mark m = {.kind = MARK_RESTART, .phase = phase};

    bridging_restart(s);
    session_mark(s, &m);
}

static void on_bound(void *arg)
{
    struct session *s = arg;
    struct mark m = {.kind = MARK_BOUND};

    session_mark(s, &m);
}

static void on_aside(void *arg, enum dir dir, const struct error *e)
{
    struct session *s = arg;

    limits_negotiated(s);
    reach_settle(s);
    if (e->code)
        message(LEVEL_WARN,
                PAIRS("session", s->id, "side", side_name(dir == DIR_C2S ? SIDE_CLIENT : SIDE_SERVER),
                      "phase", s->gate.secured ? "negotiation-in-tls" : "negotiation", "reason",
                      error_name(e->code)),
                "%s%s%s; from here on both directions pass unread by the gate, STARTTLS too",
                error_text(e->code), *e->detail ? ": " : "", e->detail);
}

void session_raw(struct session *s, enum dir dir, enum error_code code, const char *why)
{
    struct mark raw = {.kind = MARK_RAW, .dir = dir, .code = code, .reason = why};

    session_mark(s, &raw);
}

/* RFC 6120 §5.3.1: the client may be told why. */
static void on_insecure(void *arg, const char *p, size_t n)
{
    static const char error[] =
        "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        "</stream:error></stream:stream>";
    static const char why[] = "--client-tls required";
    struct session *s = arg;

    if (n)
        session_edit(s, DIR_C2S, p, n, "", 0, why);
    session_edit(s, DIR_S2C, NULL, 0, error, sizeof error - 1, why);
    session_close(s, SIDE_CLIENT, ERR_NO_TLS, "the client went on without TLS, which --client-tls "
                  "required demands of it; switch TLS on in it, give --server-tls off if the server "
                  "has none to offer, or leave that option out");
}

static void on_refuse(void *arg, const char *p, size_t n)
{
    static const char why[] = "plaintext arrived behind <starttls/>, where TLS must begin; it was "
                              "not sent on (RFC 6120 section 5.3.1). Mend the client, or look for "
                              "who injects it";
    struct session *s = arg;

    session_raw(s, DIR_C2S, ERR_BEHIND_STARTTLS, why);
    session_edit(s, DIR_C2S, p, n, "", 0, "plaintext behind <starttls/> is never sent on");
    session_close(s, SIDE_CLIENT, ERR_BEHIND_STARTTLS, "%s", why);
}

/* ---- STARTTLS of the gate ---- */

static void on_secure_server(void *arg, const char *p, size_t n)
{
    secure_server(arg, p, n);
}

static void on_secure_client(void *arg, const char *p, size_t n)
{
    secure_client(arg, p, n);
}

const struct gate_user recording_gate = {
    .forward = session_forward,
    .edit = on_edit,
    .features = editing_features,
    .restart = on_restart,
    .bound = on_bound,
    .secure_server = on_secure_server,
    .secure_client = on_secure_client,
    .refuse = on_refuse,
    .insecure = on_insecure,
    .named = secure_named,
    .misnamed = secure_misnamed,
    .bridge = bridging_item,
    .unbridged = bridging_refused,
    .aside = on_aside,
};


/* ---- the end ---- */

void recording_rest(struct session *s)
{
    static const char words[] = "not sent on: the session ended first";
    struct buf *proceed = &s->gate.proceed;

    entry_rest(s);
    if (proceed->len)
        faulting_rest(s, DIR_S2C, proceed->p, proceed->len, words);
    buf_free(proceed);
    for (int i = 0; i < 2; i++) {
        size_t n;
        const char *p = gate_waiting(&s->gate, (enum dir)i, &n);

        if (n)
            faulting_rest(s, (enum dir)i, p, n, words);
    }
}

void recording_end(struct session *s)
{
    struct event_end end = {.by = s->end.by, .code = s->end.code, .phase = s->end.phase,
                            .detail = s->end.detail, .account = ""};

    reach_end(s, &end);
    tell_gap(s); /* the recorder says how it ended: it knows the verdict */
    tap_end(s->tap, event_now_us(), &end);
    s->tap = NULL;
}

#include "reach.h"

#include "../logs/message.h"
#include "door.h"
#include "listen.h"
#include "server/server.h"

#define NO_DOMAIN "the client has named no domain, and no UPSTREAM was given; give one"

void reach_tell(struct session *s, const char *condition, const struct error *e)
{
    static const char reason[] = "no server could be reached";
    struct buf b;
    size_t n;
    const char *p = gate_waiting(&s->gate, DIR_C2S, &n);
    int err;

    buf_init(&b, 16u << 10);
    err = door_unreachable(&b, s->gate.domain, condition);
    gate_stop(&s->gate);
    if (n)
        session_edit(s, DIR_C2S, p, n, "", 0, reason);
    if (!err)
        session_edit(s, DIR_S2C, NULL, 0, b.p, b.len, reason);
    buf_free(&b);
    gate_free(&s->gate); /* it was recorded just now, and not sent */
    s->gone[SIDE_SERVER] = true;
    session_close(s, SIDE_PROXY, e->code, "%s", e->detail);
}

void reach_failed(struct session *s, const char *condition, const char *detail)
{
    const char *text = s->upstream->text;
    const char *name = *text ? text : s->gate.domain;
    struct error e;

    if (*name)
        error_set(&e, ERR_UNREACHABLE, "the server %.90s cannot be reached: %s", name, detail);
    else
        error_set(&e, ERR_UNREACHABLE, "%s", detail);
    entry_refuse(s, condition, &e);
}

void reach_timeout(struct session *s)
{
    char tried[DIAL_TRIED_MAX];
    struct error e;

    if (!SERVER(s)->bottom) {
        reach_failed(s, REACH_NO_DOMAIN, NO_DOMAIN);
        return;
    }
    leg_tried(SERVER(s), tried);
    error_set(&e, ERR_UNREACHABLE, "no answer within --connect-timeout (%u s)%s%s; is it running, "
              "and is UPSTREAM right?", s->proxy->options->connect_s, *tried ? ": " : "", tried);
    reach_failed(s, REACH_FAILED, e.detail);
}

static void begin(struct session *s)
{
    const struct proxy_options *po = s->proxy->options;
    const struct server_options o = {.stream_id = po->stream_id, .reader = s->proxy->reader};
    const struct dial_options d = {
        .resolver = s->proxy->resolver,
        .upstream = s->upstream,
        .domain = s->gate.domain,
        .socket = {.source = arrival_source(&s->arrival), .spoof = true, .loops = listen_loops,
                   .loops_arg = s->proxy},
        .limit_ms = po->connect_s * 1000,
    };

    session_wait(s, WAIT_CONNECT, d.limit_ms);
    if (s->upstream->kind == UPSTREAM_BUILTIN ? leg_serve(SERVER(s), &o) : leg_dial(SERVER(s), &d))
        session_close(s, SIDE_PROXY, ERR_NOMEM, NULL);
}

void reach_server(struct session *s)
{
    if (s->closing || SERVER(s)->bottom || s->entry.step != ENTRY_DIALLING)
        return;
    if (s->upstream->kind != UPSTREAM_ASKED || *s->gate.domain)
        begin(s);
    else if (s->gate.peeked || s->eof[SIDE_CLIENT])
        reach_failed(s, REACH_NO_DOMAIN, NO_DOMAIN);
    else if (s->wait != WAIT_CONNECT)
        session_wait(s, WAIT_CONNECT, s->proxy->options->connect_s * 1000);
}

void reach_up(struct session *s)
{
    const struct dial_target *t = leg_dialled(SERVER(s));
    socklen_t len = sizeof s->own;

    getsockname(leg_fd(SERVER(s)), (struct sockaddr *)&s->own, &len);
    if (t)
        message(LEVEL_INFO, PAIRS("session", s->id, "side", "server", "addr", t->address),
                "connected to %s port %u%s", t->host, t->port, t->direct_tls ? ", direct TLS" : "");
}

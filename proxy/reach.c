#include "reach.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../logs/message.h"
#include "door.h"
#include "hello.h"
#include "listen.h"
#include "server/server.h"

#define TLS_HANDSHAKE 0x16

static void peek(struct reader *r, const char *p, size_t n, char asked[REACH_ASKED])
{
    struct gate g; /* never open: it calls nobody */

    gate_init(&g, r, NULL, NULL);
    if (gate_input(&g, DIR_C2S, p, n) == 0)
        snprintf(asked, REACH_ASKED, "%s", gate_domain(&g));
    gate_free(&g);
}

const char *reach_upstream(const struct session *s, const char *p, size_t n,
                           char asked[REACH_ASKED])
{
    struct hello hello;

    asked[0] = '\0';
    if (s->upstream->kind != UPSTREAM_ASKED || !n)
        return s->upstream->text;
    if (*p != TLS_HANDSHAKE)
        peek(s->proxy->reader, p, n, asked);
    else if (hello_read(p, n, &hello) == HELLO_WHOLE)
        snprintf(asked, REACH_ASKED, "%s", hello.name);
    return asked;
}

/* For the client's user: the cause without the cure, which is ours; and of the way to the server,
 * which may be nobody's business, nothing. */
static const char *words(const struct error *e, char out[ERROR_DETAIL_MAX])
{
    bool reached = e->code != ERR_UNREACHABLE && e->code != ERR_LOOP;

    snprintf(out, ERROR_DETAIL_MAX, "%.*s", (int)strcspn(e->detail, ";"), e->detail);
    return reached && *out ? out : error_text(e->code);
}

void reach_tell(struct session *s, const char *condition, const struct error *e)
{
    const char *reason =
        e->code == ERR_UNREACHABLE ? "no server could be reached" : error_text(e->code);
    char text[ERROR_DETAIL_MAX];
    struct buf b, waiting;
    size_t n;
    int err;

    gate_waiting(&s->gate, DIR_C2S, &n);
    gate_take(&s->gate, DIR_C2S, &waiting); /* recorded here, and not sent */
    buf_init(&b, 16u << 10);
    err = door_unreachable(&b, gate_domain(&s->gate), condition, words(e, text));
    gate_stop(&s->gate);
    if (n)
        session_edit(s, DIR_C2S, waiting.p, n, "", 0, reason);
    if (!err)
        session_edit(s, DIR_S2C, NULL, 0, b.p, b.len, reason);
    buf_free(&waiting);
    buf_free(&b);
    s->gone[SIDE_SERVER] = true;
    session_close(s, SIDE_PROXY, e->code, "%s", e->detail);
}

void reach_failed(struct session *s, const char *condition, const struct error *e)
{
    const char *text = s->upstream->text;
    const char *name = *text ? text : gate_domain(&s->gate);
    struct error named;

    if (*name)
        error_set(&named, e->code, "the server %.90s cannot be reached: %s", name, e->detail);
    entry_refuse(s, condition, *name ? &named : e);
}

static void no_domain(struct session *s)
{
    struct error e;

    error_set(&e, ERR_UNREACHABLE, "the client has named no domain, and no UPSTREAM was given; "
              "give one");
    reach_failed(s, REACH_NO_DOMAIN, &e);
}

void reach_timeout(struct session *s)
{
    char tried[DIAL_TRIED_MAX];
    const struct dial *d = leg_dialler(SERVER(s));
    struct error e;

    if (!d) {
        error_set(&e, ERR_TIMEOUT, "the client sent no whole stream header within "
                  "--connect-timeout (%u s), and without its domain no server can be found; is "
                  "it an XMPP client?", s->proxy->options->connect_s);
        entry_refuse(s, "connection-timeout", &e);
        return;
    }
    error_set(&e, ERR_UNREACHABLE, "no answer within --connect-timeout (%u s): %s; %s",
              s->proxy->options->connect_s, dial_tried(d, tried), dial_cure(d));
    reach_failed(s, REACH_FAILED, &e);
}

/* What TLS the server's leg shall have says which of a domain's targets will do. */
static const enum dial_tls wanted[] = {
    [SERVER_TLS_AUTO] = DIAL_BOTH,
    [SERVER_TLS_STARTTLS] = DIAL_STREAM,
    [SERVER_TLS_DIRECT] = DIAL_DIRECT,
    [SERVER_TLS_OFF] = DIAL_STREAM,
};

/* The embedded server takes its TLS from us: what binds it is the client's. */
static bool client_binding(void *arg, enum cb_type type, struct scram_binding *b)
{
    struct session *s = arg;
    SSL *ssl = leg_ssl(CLIENT(s));

    return ssl && s->proxy->options->channel_binding != CHANNEL_BINDING_BRIDGE &&
           cb_get(ssl, type, b);
}

/* The embedded server plays a captured one, which was not asked that. */
static void on_unanswered(void *arg, const char *asked, const char *given)
{
    struct session *s = arg;

    message(LEVEL_WARN, PAIRS("session", s->id, "side", "client", "phase", "open"),
            "the capture has no answer to %s: the client got %s", asked, given);
}

static void begin(struct session *s)
{
    const struct proxy_options *po = s->proxy->options;
    const struct server_options o = {.world = po->world, .stream_id = po->stream_id,
                                     .reader = s->proxy->reader, .binding = client_binding,
                                     .binding_arg = s, .unanswered = on_unanswered,
                                     .unanswered_arg = s};
    const struct dial_options d = {
        .resolver = s->proxy->resolver,
        .upstream = s->upstream,
        .domain = gate_domain(&s->gate),
        .socket = {.source = arrival_source(&s->arrival), .spoof = true, .loops = listen_loops,
                   .loops_arg = s->proxy},
        .tls = wanted[po->server_tls],
        .limit_ms = po->connect_s * 1000,
    };

    session_wait(s, WAIT_CONNECT, d.limit_ms);
    if (s->upstream->kind == UPSTREAM_BUILTIN ? leg_serve(SERVER(s), &o) : leg_dial(SERVER(s), &d))
        session_close(s, SIDE_PROXY, ERR_NOMEM, NULL);
}

void reach_server(struct session *s)
{
    if (s->closing || SERVER(s)->bottom || !entry_known(s))
        return;
    if (!s->gate.peeked && !s->eof[SIDE_CLIENT] && entry_needs_domain(s)) {
        if (s->wait != WAIT_CONNECT)
            session_wait(s, WAIT_CONNECT, s->proxy->options->connect_s * 1000);
    } else if (s->upstream->kind == UPSTREAM_ASKED && !*gate_domain(&s->gate)) {
        no_domain(s);
    } else {
        begin(s);
    }
}

void reach_up(struct session *s)
{
    const struct dial *d = leg_dialler(SERVER(s));
    const struct dial_target *t = leg_dialled(SERVER(s));
    bool named = d && dial_by_name(d);
    struct sockaddr_storage own = {0};
    socklen_t len = sizeof own;

    if (s->proxy->options->transparent &&
        getsockname(leg_fd(SERVER(s)), (struct sockaddr *)&own, &len) == 0)
        own_enter(&s->proxy->member.crew->own, &s->own, &own);
    if (d)
        message(LEVEL_INFO, PAIRS("session", s->id, "side", "server", "addr", t->address),
                "connected to %s%s%s", named ? t->host : t->address,
                named ? strrchr(t->address, ':') : "", t->direct_tls ? ", direct TLS" : "");
}

void reach_settle(struct session *s)
{
    const struct dial *d = leg_dialler(SERVER(s));

    if (!d)
        return;
    s->server = strdup(dial_target(d)->address);
    s->server_name = strdup(dial_by_name(d) ? dial_target(d)->host : "");
    if (s->server && s->server_name) /* else the dial goes on knowing it */
        leg_settle(SERVER(s));
}

void reach_end(const struct session *s, struct event_end *end)
{
    const struct dial *d = leg_dialler(SERVER(s));

    if (!d) {
        end->server = s->server; /* NULL: none was dialled */
        end->server_name = s->server_name;
    } else if (*dial_target(d)->address) {
        end->server = dial_target(d)->address;
        end->server_name = dial_by_name(d) ? dial_target(d)->host : "";
    }
}

#include "gate.h"

#include <stdlib.h>
#include <string.h>

#include "gate_steps.h"

#define READ_BYTES (192u << 10) /* more than one read brings */
#define DOMAIN_MAX 1024 /* bytes; none is longer (RFC 7622 §3.2) */

static const char *const phase_names[] = {
    [GATE_NEGOTIATING] = "negotiation",
    [GATE_TLS_ASKED] = "starttls",
    [GATE_TLS_SERVER] = "tls-handshake",
    [GATE_TLS_CLIENT] = "tls-handshake",
    [GATE_SASL_ASKED] = "sasl",
    [GATE_LOGGED_IN] = "features-after-login",
    [GATE_WATCHED] = "stream",
    [GATE_ASIDE] = "stream",
};

const char *gate_phase_name(const struct gate *g)
{
    return phase_names[g->phase];
}

/* ---- the two directions ---- */

/* Behind <starttls/>, until the client's TLS begins: white space is dropped, because a server that
 * is waiting for a ClientHello resets on it. */
static bool run_before_tls(struct gate *g)
{
    static const char reason[] = "white space behind <starttls/>, where TLS must begin";
    struct gate_way *w = &g->way[DIR_C2S];
    size_t space = gate_space(w, 0), at;
    struct buf hello;
    const char *p;

    if (space) {
        p = gate_bytes(w);
        gate_drop(w, space);
        g->user->edit(g->arg, DIR_C2S, p, space, "", 0, reason);
        return true;
    }
    if (*gate_bytes(w) != TLS_HANDSHAKE) {
        gate_refuse(g);
        return false;
    }
    if (g->phase != GATE_TLS_CLIENT)
        return false; /* it came early and waits */
    hello = gate_cut(w, &at);
    g->user->secure_client(g->arg, hello.p + at, hello.len - at);
    buf_free(&hello);
    return true;
}

static bool held(const struct gate *g, enum dir dir)
{
    if (g->name_due) /* a server that says first what cannot be read must not end the gate's work */
        return dir == DIR_S2C;
    switch (g->phase) {
    case GATE_SASL_ASKED:
        return dir == DIR_C2S;
    case GATE_TLS_SERVER:
    case GATE_TLS_CLIENT:
        return dir == DIR_S2C;
    case GATE_NEGOTIATING:
    case GATE_TLS_ASKED:
    case GATE_LOGGED_IN:
    case GATE_WATCHED:
    case GATE_ASIDE:
        return false;
    }
    return false;
}

bool gate_in_tls(const struct gate *g)
{
    return g->phase >= GATE_TLS_ASKED && g->phase <= GATE_TLS_CLIENT;
}

static bool before_tls(const struct gate *g, enum dir dir)
{
    return dir == DIR_C2S && gate_in_tls(g);
}

static bool scan_some(struct gate *g, enum dir dir)
{
    struct gate_way *w = &g->way[dir];
    struct error e = {0};
    size_t used, n;
    enum scan_what what;

    if (w->scanned == gate_left(w))
        return false;
    what = scan_next(&w->scan, gate_bytes(w) + w->scanned, gate_left(w) - w->scanned, &used);
    n = w->scanned += used;
    if (what == SCAN_BAD || w->scan.flaw) {
        e.code = what == SCAN_BAD ? w->scan.error : w->scan.flaw;
        gate_step_aside(g, dir, &e);
    } else if (what == SCAN_SPACE) {
        gate_pass(g, dir, n);
    } else if (what != SCAN_MORE) {
        gate_item(g, dir, what, n);
    } else {
        return false;
    }
    return true;
}

/* One token of `dir`, if one may pass. True: something changed, for the other direction too. */
static bool run_some(struct gate *g, enum dir dir)
{
    struct gate_way *w = &g->way[dir];
    size_t space;

    if (g->stopped || g->phase == GATE_ASIDE || gate_left(w) == 0 || w->waits)
        return false;
    if (w->due) {
        gate_item(g, dir, w->what, w->item);
        return true;
    }
    if (before_tls(g, dir))
        return run_before_tls(g);
    if (!held(g, dir))
        return scan_some(g, dir);
    space = w->scanned == 0 ? gate_space(w, 0) : 0;
    if (space) { /* a keepalive waits for nobody, and must not end up before a header */
        gate_pass(g, dir, space);
        return true;
    }
    return false;
}

static void run(struct gate *g)
{
    if (g->running || !g->open)
        return; /* called from within: the outer loop sees the change */
    g->running = true;
    while (run_some(g, DIR_C2S) || run_some(g, DIR_S2C))
        ;
    g->running = false;
    for (int i = 0; i < 2; i++) {
        struct gate_way *w = &g->way[i];

        buf_drop(&w->in, w->at);
        w->at = 0;
        if (w->in.len == 0)
            buf_free(&w->in);
    }
}

/* ---- the interface ---- */

const char *gate_domain(const struct gate *g)
{
    return g->domain ? g->domain : "";
}

/* Without memory it is none. */
void gate_name(struct gate *g, const char *domain)
{
    if (strlen(domain) >= DOMAIN_MAX)
        return;
    free(g->domain);
    g->domain = strdup(domain);
}

void gate_init(struct gate *g, struct reader *reader, const struct gate_user *user, void *arg)
{
    *g = (struct gate){.user = user, .arg = arg, .reader = reader};
    for (int i = 0; i < 2; i++)
        reader_stream_init(&g->way[i].stream);
    gate_caps(g, GATE_ITEM_BYTES, GATE_HELD_BYTES);
}

void gate_caps(struct gate *g, size_t item_max, size_t held_max)
{
    struct scan_limits limits = scan_default_limits;

    g->item_max = limits.item_bytes = item_max;
    g->held_max = held_max;
    buf_init(&g->proceed, item_max);
    for (int i = 0; i < 2; i++) {
        scan_init(&g->way[i].scan, &limits);
        /* An item, and one read more: its source pauses before that (gate_blocked). */
        buf_init(&g->way[i].in, item_max + held_max + READ_BYTES);
    }
}

void gate_free(struct gate *g)
{
    for (int i = 0; i < 2; i++) {
        buf_free(&g->way[i].in);
        reader_stream_free(&g->way[i].stream);
    }
    buf_free(&g->proceed);
    free(g->domain);
}

void gate_stop(struct gate *g)
{
    g->stopped = true;
}

/* Learns the domain from a header that still waits for the server's leg. */
static void peek_domain(struct gate *g)
{
    struct gate_way *w = &g->way[DIR_C2S];
    struct reader_stream st;
    const struct item *it;
    struct scan scan;
    enum scan_what what;
    size_t used, at = gate_space(w, 0);

    scan_init(&scan, NULL);
    reader_stream_init(&st);
    what = scan_next(&scan, gate_bytes(w) + at, gate_left(w) - at, &used);
    g->peeked = what == SCAN_HEADER || what == SCAN_BAD;
    if (what == SCAN_HEADER &&
        reader_header(g->reader, &st, gate_bytes(w) + at, used, &it, NULL) == 0)
        gate_learn_domain(g, it);
    reader_stream_free(&st);
}

int gate_input(struct gate *g, enum dir dir, const char *p, size_t n)
{
    int err;

    if (g->stopped)
        return 0;
    if (g->phase == GATE_ASIDE) {
        g->user->forward(g->arg, dir, p, n);
        return 0;
    }
    err = buf_add(&g->way[dir].in, p, n);
    if (err)
        return err;
    if (!g->open && dir == DIR_C2S && !g->peeked &&
        (memchr(p, '>', n) || gate_left(&g->way[dir]) == n))
        peek_domain(g);
    run(g);
    return 0;
}

void gate_eof(struct gate *g, enum dir dir)
{
    size_t n = gate_left(&g->way[dir]);

    if (g->stopped || !n || g->way[dir].waits || before_tls(g, dir) || (dir == DIR_C2S && gate_misnamed(g, n)))
        return;
    /* Else it waits until the session ends: nobody has said yet that this is the client's server, or
     * it may not pass unread. */
    if (!g->name_due && !gate_stays(g))
        gate_pass(g, dir, n);
}

void gate_ask(struct gate *g, const char *domain)
{
    gate_name(g, domain);
    g->peeked = true;
}

void gate_skip_header(struct gate *g)
{
    g->skip_header = true;
}

void gate_take(struct gate *g, enum dir dir, struct buf *out)
{
    size_t at;

    *out = gate_cut(&g->way[dir], &at);
    buf_drop(out, at);
}

void gate_open(struct gate *g)
{
    g->open = true;
    run(g);
}

void gate_server_secured(struct gate *g)
{
    g->phase = GATE_TLS_CLIENT;
    g->user->forward(g->arg, DIR_S2C, g->proceed.p, g->proceed.len);
    buf_free(&g->proceed);
    run(g);
}

void gate_client_secured(struct gate *g)
{
    g->phase = GATE_NEGOTIATING;
    g->secured = true;
    gate_restart(g, PHASE_TLS);
    run(g);
}

void gate_bridged(struct gate *g, enum gate_phase next)
{
    if (g->stopped || g->phase != GATE_SASL_ASKED)
        return;
    g->phase = next;
    run(g);
}

void gate_go_on(struct gate *g, enum dir dir)
{
    struct gate_way *w = &g->way[dir];

    if (g->stopped || !w->waits)
        return;
    w->waits = false;
    w->due = true;
    run(g);
}

bool gate_waits(const struct gate *g, enum dir dir)
{
    return g->way[dir].waits;
}

bool gate_blocked(const struct gate *g, enum dir dir)
{
    bool waits = !g->open || held(g, dir) || before_tls(g, dir) || g->way[dir].waits;

    return waits && gate_left(&g->way[dir]) >= g->held_max;
}

const char *gate_waiting(const struct gate *g, enum dir dir, size_t *n)
{
    *n = before_tls(g, dir) ? 0 : gate_left(&g->way[dir]); /* TLS is no plaintext */
    return *n ? gate_bytes(&g->way[dir]) : "";
}

#include "gate.h"

#include <stdio.h>
#include <string.h>

#include "gate_item.h"

#define READ_BYTES    (192u << 10) /* more than one read brings */
#define TLS_HANDSHAKE 0x16 /* the first byte of a ClientHello's record (RFC 8446 §5.1) */

/* ---- what the phase table does ---- */

/* Each takes the first `n` bytes of the direction's buffer: one whole item. */
static void pass(struct gate *g, enum dir dir, size_t n);
static void ask_tls(struct gate *g, enum dir dir, size_t n);
static void proceed(struct gate *g, enum dir dir, size_t n);
static void features(struct gate *g, enum dir dir, size_t n);
static void success(struct gate *g, enum dir dir, size_t n);
static void success2(struct gate *g, enum dir dir, size_t n);
static void stanza(struct gate *g, enum dir dir, size_t n);
static void last(struct gate *g, enum dir dir, size_t n);
static void last_features(struct gate *g, enum dir dir, size_t n);

#define C2S DIR_C2S
#define S2C DIR_S2C

/* What may happen next. An item that no row names passes and changes nothing. */
static const struct {
    enum gate_phase phase;
    enum dir dir;
    enum item_kind kind;
    void (*act)(struct gate *g, enum dir dir, size_t n);
    enum gate_phase next;
} steps[] = {
    {GATE_NEGOTIATING, C2S, ITEM_STARTTLS,     ask_tls,  GATE_TLS_ASKED},
    {GATE_TLS_ASKED,   S2C, ITEM_PROCEED,      proceed,  GATE_TLS_SERVER},
    {GATE_TLS_ASKED,   S2C, ITEM_TLS_FAILURE,  pass,     GATE_NEGOTIATING},
    {GATE_NEGOTIATING, C2S, ITEM_SASL_SAYS,    pass,     GATE_SASL_ASKED},
    {GATE_SASL_ASKED,  S2C, ITEM_SASL_ASKS,    pass,     GATE_NEGOTIATING},
    {GATE_SASL_ASKED,  S2C, ITEM_SASL_FAILURE, pass,     GATE_NEGOTIATING},
    {GATE_SASL_ASKED,  S2C, ITEM_SUCCESS,      success,  GATE_LOGGED_IN},
    {GATE_SASL_ASKED,  S2C, ITEM_SUCCESS2,     success2, GATE_LOGGED_IN},
    {GATE_LOGGED_IN,   S2C, ITEM_FEATURES,     last_features, GATE_LOGGED_IN},
    {GATE_NEGOTIATING, S2C, ITEM_FEATURES,     features, GATE_NEGOTIATING},
    {GATE_NEGOTIATING, C2S, ITEM_STANZA,       stanza,   GATE_NEGOTIATING},
    {GATE_LOGGED_IN,   C2S, ITEM_STANZA,       last,     GATE_LOGGED_IN},
    {GATE_NEGOTIATING, S2C, ITEM_COMPRESSED,   last,     GATE_NEGOTIATING},
    {GATE_LOGGED_IN,   S2C, ITEM_COMPRESSED,   last,     GATE_LOGGED_IN},
};

static const char *const phase_names[] = {
    [GATE_NEGOTIATING] = "negotiation",
    [GATE_TLS_ASKED] = "starttls",
    [GATE_TLS_SERVER] = "tls-handshake",
    [GATE_TLS_CLIENT] = "tls-handshake",
    [GATE_SASL_ASKED] = "sasl",
    [GATE_LOGGED_IN] = "features-after-login",
    [GATE_ASIDE] = "stream",
};

const char *gate_phase_name(const struct gate *g)
{
    return phase_names[g->phase];
}

/* ---- bytes ---- */

/* What is still to be decided. */
static const char *bytes(const struct gate_way *w)
{
    return w->in.p + w->at;
}

static size_t left(const struct gate_way *w)
{
    return w->in.len - w->at;
}

static void drop(struct gate_way *w, size_t n)
{
    w->at += n;
    w->scanned = 0;
}

static void pass(struct gate *g, enum dir dir, size_t n)
{
    const char *p = bytes(&g->way[dir]);

    drop(&g->way[dir], n); /* first: the user may ask what still waits */
    g->user->forward(g->arg, dir, p, n);
}

/* Where the server's name is still to be checked, it is now, before the client's first `n` bytes go
 * on: false if they may. */
static bool misnamed(struct gate *g, size_t n)
{
    const char *p = bytes(&g->way[DIR_C2S]);

    if (!g->name_due)
        return false;
    g->name_due = false;
    if (g->user->named(g->arg))
        return false;
    drop(&g->way[DIR_C2S], n);
    g->stopped = true;
    g->user->misnamed(g->arg, p, n);
    return true;
}

static void step_aside(struct gate *g, enum dir dir, const struct error *e)
{
    if (misnamed(g, left(&g->way[DIR_C2S])))
        return;
    g->phase = GATE_ASIDE;
    for (int i = 0; i < 2; i++) {
        struct gate_way *w = &g->way[i];

        if (left(w) && !g->stopped)
            pass(g, (enum dir)i, left(w));
        buf_free(&w->in);
        w->at = w->scanned = 0;
        reader_stream_free(&w->stream);
    }
    buf_free(&g->proceed);
    if (!g->stopped)
        g->user->aside(g->arg, dir, e);
}

static void edit(struct gate *g, enum dir dir, size_t n, const char *sent, size_t sent_len,
                 const char *reason)
{
    const char *p = bytes(&g->way[dir]);

    drop(&g->way[dir], n);
    g->user->edit(g->arg, dir, p, n, sent, sent_len, reason);
}

/* The direction's bytes, for a user that may come back to this gate while it reads them. */
static struct buf take(struct gate_way *w, size_t *at)
{
    struct buf b = w->in;

    *at = w->at;
    w->at = w->scanned = 0;
    buf_init(&w->in, b.max);
    return b;
}

/* Plaintext where TLS must begin. */
static void refuse(struct gate *g)
{
    size_t at;
    struct buf b = take(&g->way[DIR_C2S], &at);

    g->stopped = true;
    g->user->refuse(g->arg, b.p + at, b.len - at);
    buf_free(&b);
}

static size_t leading_space(const struct gate_way *w, size_t from)
{
    size_t n = from;

    while (n < left(w) && memchr(" \t\r\n", bytes(w)[n], 4))
        n++;
    return n - from;
}

/* ---- actions ---- */

/* White space that was read with <starttls/> goes with it (some clients send a newline there);
 * a ClientHello that came early waits; anything else is an attempt to have plaintext taken for
 * what came under TLS (CVE-2011-0411's kind). */
static void ask_tls(struct gate *g, enum dir dir, size_t n)
{
    struct gate_way *w = &g->way[dir];
    size_t space = leading_space(w, n);

    if (n + space < left(w) && bytes(w)[n + space] != TLS_HANDSHAKE) {
        refuse(g);
        return;
    }
    pass(g, dir, n);
    if (space && !g->stopped)
        pass(g, dir, space);
}

static void proceed(struct gate *g, enum dir dir, size_t n)
{
    struct gate_way *w = &g->way[dir];
    struct buf rest;
    size_t at;

    if (buf_add(&g->proceed, bytes(w), n))
        return; /* the user finds nothing to send and ends by its time-out */
    drop(w, n);
    rest = take(w, &at);
    g->phase = GATE_TLS_SERVER;
    g->user->secure_server(g->arg, rest.p + at, rest.len - at);
    buf_free(&rest);
}

static void restart(struct gate *g, enum label_phase phase)
{
    struct scan_limits limits = scan_default_limits;

    limits.item_bytes = g->item_max;
    for (int i = 0; i < 2; i++) {
        scan_init(&g->way[i].scan, &limits);
        g->way[i].scanned = 0;
        reader_stream_free(&g->way[i].stream);
    }
    g->user->restart(g->arg, phase);
}

static void success(struct gate *g, enum dir dir, size_t n)
{
    pass(g, dir, n);
    if (!g->stopped)
        restart(g, PHASE_BOUND);
}

static void success2(struct gate *g, enum dir dir, size_t n)
{
    pass(g, dir, n);
    if (!g->stopped)
        g->user->bound(g->arg);
}

static void last(struct gate *g, enum dir dir, size_t n)
{
    struct error none = {0};

    pass(g, dir, n);
    if (!g->stopped)
        step_aside(g, dir, &none);
}

static void stanza(struct gate *g, enum dir dir, size_t n)
{
    g->user->bound(g->arg);
    last(g, dir, n);
}

/* The item is the bridge's. What may be a password in it is wiped. */
static void bridge(struct gate *g, enum dir dir, size_t n)
{
    struct gate_way *w = &g->way[dir];
    char *p = w->in.p + w->at;
    enum gate_phase next;

    drop(w, n);
    next = g->user->bridge(g->arg, dir, &w->stream, NULL, p, n);
    explicit_bzero(p, n);
    if (g->stopped)
        return;
    g->phase = next;
    if (next == GATE_LOGGED_IN)
        restart(g, PHASE_BOUND);
}

/* Features that something is to be negotiated with: as they came, as they are wished, or as the
 * bridge has them. */
static void pass_features(struct gate *g, enum dir dir, size_t n, bool bridged)
{
    struct gate_way *w = &g->way[dir];
    const char *p = bytes(w);
    struct features_edit fe;

    features_edit_init(&fe);
    if (g->user->features)
        fe.changed = g->user->features(g->arg, &w->stream, p, n, &fe);
    if (bridged) {
        drop(w, n);
        g->phase = g->user->bridge(g->arg, dir, &w->stream, &fe, p, n);
    } else if (fe.changed) {
        edit(g, dir, n, fe.bytes.p, fe.bytes.len, fe.reason);
    } else {
        pass(g, dir, n);
    }
    features_edit_free(&fe);
}

static void last_features(struct gate *g, enum dir dir, size_t n)
{
    struct error none = {0};

    pass_features(g, dir, n, false);
    if (!g->stopped)
        step_aside(g, dir, &none);
}

static void features(struct gate *g, enum dir dir, size_t n)
{
    const struct item *it;

    if (reader_item(g->reader, &g->way[dir].stream, bytes(&g->way[dir]), n, &it, NULL) == 0 &&
        gate_item_negotiable(it))
        pass_features(g, dir, n, g->bridged);
    else
        last_features(g, dir, n); /* nothing is left to negotiate */
}

/* ---- items ---- */

static void learn_domain(struct gate *g, const struct item *it)
{
    const char *to = item_attr(it, 0, "to");

    if (to && strlen(to) < sizeof g->domain)
        memcpy(g->domain, to, strlen(to) + 1);
}

static int read_item(struct gate *g, enum dir dir, enum scan_what what, size_t n,
                     enum item_kind *kind, struct error *e)
{
    struct gate_way *w = &g->way[dir];
    const struct item *it;
    int err;

    *kind = ITEM_OTHER;
    if (what == SCAN_CLOSE)
        return 0;
    if (what == SCAN_HEADER) {
        err = reader_header(g->reader, &w->stream, bytes(w), n, &it, e);
        *kind = ITEM_HEADER;
        if (!err && dir == DIR_C2S)
            learn_domain(g, it);
        return err;
    }
    err = reader_item(g->reader, &w->stream, bytes(w), n, &it, e);
    if (!err)
        *kind = gate_item_kind(it);
    return err;
}

/* The client says something else than <starttls/>, and must have TLS. */
static bool is_insecure(const struct gate *g, enum dir dir, enum scan_what what,
                        enum item_kind kind)
{
    return g->wishes & FEATURES_REQUIRE_STARTTLS && !g->secured && dir == DIR_C2S &&
           what == SCAN_ITEM && kind != ITEM_STARTTLS;
}

/* Is it the bridge's? The server's is in any turn: what nobody asked for must not reach the client. */
static bool is_sasl(const struct gate *g, enum dir dir, enum item_kind kind)
{
    return dir == DIR_C2S ? g->phase == GATE_NEGOTIATING && kind == ITEM_SASL_SAYS
                          : (g->phase == GATE_NEGOTIATING || g->phase == GATE_SASL_ASKED) &&
                                kind >= ITEM_SASL_ASKS && kind <= ITEM_SUCCESS2;
}

static void take_item(struct gate *g, enum dir dir, enum scan_what what, size_t n)
{
    enum item_kind kind;
    struct error e = {0};

    if (read_item(g, dir, what, n, &kind, &e)) {
        step_aside(g, dir, &e);
        return;
    }
    if (kind == ITEM_HEADER && dir == DIR_C2S && misnamed(g, n))
        return;
    if (is_insecure(g, dir, what, kind)) {
        const char *p = bytes(&g->way[dir]);

        drop(&g->way[dir], n);
        g->stopped = true;
        g->user->insecure(g->arg, p, n);
        return;
    }
    if (kind == ITEM_STARTTLS && g->secured) /* the server will refuse it */
        kind = ITEM_OTHER;
    if (kind == ITEM_HEADER && dir == DIR_C2S && g->skip_header) {
        g->skip_header = false;
        edit(g, dir, n, "", 0, "xmpptap has opened the stream with the server already");
        return;
    }
    if (g->bridged && is_sasl(g, dir, kind)) {
        bridge(g, dir, n);
        return;
    }
    if (g->bridged && kind == ITEM_FEATURES && g->phase == GATE_SASL_ASKED) {
        pass_features(g, dir, n, g->bridged); /* the client did not wait for them */
        return;
    }
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (steps[i].phase == g->phase && steps[i].dir == dir && steps[i].kind == kind) {
            steps[i].act(g, dir, n);
            if (g->phase == steps[i].phase && !g->stopped)
                g->phase = steps[i].next;
            return;
        }
    pass(g, dir, n);
}

/* ---- the two directions ---- */

/* Behind <starttls/>, until the client's TLS begins: white space is dropped, because a server that
 * is waiting for a ClientHello resets on it. */
static bool run_before_tls(struct gate *g)
{
    static const char reason[] = "white space behind <starttls/>, where TLS must begin";
    struct gate_way *w = &g->way[DIR_C2S];
    size_t space = leading_space(w, 0), at;
    struct buf hello;
    const char *p;

    if (space) {
        p = bytes(w);
        drop(w, space);
        g->user->edit(g->arg, DIR_C2S, p, space, "", 0, reason);
        return true;
    }
    if (*bytes(w) != TLS_HANDSHAKE) {
        refuse(g);
        return false;
    }
    if (g->phase != GATE_TLS_CLIENT)
        return false; /* it came early and waits */
    hello = take(w, &at);
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

    if (w->scanned == left(w))
        return false;
    what = scan_next(&w->scan, bytes(w) + w->scanned, left(w) - w->scanned, &used);
    n = w->scanned += used;
    if (what == SCAN_BAD || w->scan.flaw) {
        e.code = what == SCAN_BAD ? w->scan.error : w->scan.flaw;
        step_aside(g, dir, &e);
    } else if (what == SCAN_SPACE) {
        pass(g, dir, n);
    } else if (what != SCAN_MORE) {
        take_item(g, dir, what, n);
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

    if (g->stopped || g->phase == GATE_ASIDE || left(w) == 0)
        return false;
    if (before_tls(g, dir))
        return run_before_tls(g);
    if (!held(g, dir))
        return scan_some(g, dir);
    space = w->scanned == 0 ? leading_space(w, 0) : 0;
    if (space) { /* a keepalive waits for nobody, and must not end up before a header */
        pass(g, dir, space);
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
    size_t used, at = leading_space(w, 0);

    scan_init(&scan, NULL);
    reader_stream_init(&st);
    what = scan_next(&scan, bytes(w) + at, left(w) - at, &used);
    g->peeked = what == SCAN_HEADER || what == SCAN_BAD;
    if (what == SCAN_HEADER &&
        reader_header(g->reader, &st, bytes(w) + at, used, &it, NULL) == 0)
        learn_domain(g, it);
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
        (memchr(p, '>', n) || left(&g->way[dir]) == n))
        peek_domain(g);
    run(g);
    return 0;
}

void gate_eof(struct gate *g, enum dir dir)
{
    size_t n = left(&g->way[dir]);

    if (!g->stopped && n && !before_tls(g, dir) && (dir == DIR_S2C || !misnamed(g, n)))
        pass(g, dir, n);
}

void gate_ask(struct gate *g, const char *domain)
{
    snprintf(g->domain, sizeof g->domain, "%s", domain);
    g->peeked = true;
}

void gate_skip_header(struct gate *g)
{
    g->skip_header = true;
}

void gate_take(struct gate *g, enum dir dir, struct buf *out)
{
    size_t at;

    *out = take(&g->way[dir], &at);
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
    restart(g, PHASE_TLS);
    run(g);
}

void gate_bridged(struct gate *g, enum gate_phase next)
{
    if (g->stopped || g->phase != GATE_SASL_ASKED)
        return;
    g->phase = next;
    run(g);
}

bool gate_blocked(const struct gate *g, enum dir dir)
{
    bool waits = !g->open || held(g, dir) || before_tls(g, dir);

    return waits && left(&g->way[dir]) >= g->held_max;
}

const char *gate_waiting(const struct gate *g, enum dir dir, size_t *n)
{
    *n = before_tls(g, dir) ? 0 : left(&g->way[dir]); /* TLS is no plaintext */
    return *n ? bytes(&g->way[dir]) : "";
}

#include "gate_steps.h"

#include <string.h>

#include "gate_item.h"

/* ---- what the phase table does ---- */

/* Each takes the first `n` bytes of the direction's buffer: one whole item. */
static void ask_tls(struct gate *g, enum dir dir, size_t n);
static void proceed(struct gate *g, enum dir dir, size_t n);
static void features(struct gate *g, enum dir dir, size_t n);
static void success(struct gate *g, enum dir dir, size_t n);
static void success2(struct gate *g, enum dir dir, size_t n);
static void stanza(struct gate *g, enum dir dir, size_t n);
static void legacy(struct gate *g, enum dir dir, size_t n);
static void last(struct gate *g, enum dir dir, size_t n);
static void last_features(struct gate *g, enum dir dir, size_t n);
static void compressed(struct gate *g, enum dir dir, size_t n);

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
    {GATE_NEGOTIATING, C2S, ITEM_STARTTLS,     ask_tls,       GATE_TLS_ASKED},
    {GATE_TLS_ASKED,   S2C, ITEM_PROCEED,      proceed,       GATE_TLS_SERVER},
    {GATE_TLS_ASKED,   S2C, ITEM_TLS_FAILURE,  gate_pass,     GATE_NEGOTIATING},
    {GATE_NEGOTIATING, C2S, ITEM_SASL_SAYS,    gate_pass,     GATE_SASL_ASKED},
    {GATE_SASL_ASKED,  S2C, ITEM_SASL_ASKS,    gate_pass,     GATE_NEGOTIATING},
    {GATE_SASL_ASKED,  S2C, ITEM_SASL_FAILURE, gate_pass,     GATE_NEGOTIATING},
    {GATE_SASL_ASKED,  S2C, ITEM_SUCCESS,      success,       GATE_LOGGED_IN},
    {GATE_SASL_ASKED,  S2C, ITEM_SUCCESS2,     success2,      GATE_LOGGED_IN},
    {GATE_LOGGED_IN,   S2C, ITEM_FEATURES,     last_features, GATE_LOGGED_IN},
    {GATE_NEGOTIATING, S2C, ITEM_FEATURES,     features,      GATE_NEGOTIATING},
    {GATE_NEGOTIATING, C2S, ITEM_STANZA,       stanza,        GATE_NEGOTIATING},
    {GATE_NEGOTIATING, C2S, ITEM_LEGACY_LOGIN, legacy,        GATE_NEGOTIATING},
    {GATE_LOGGED_IN,   C2S, ITEM_STANZA,       last,          GATE_LOGGED_IN},
    {GATE_NEGOTIATING, S2C, ITEM_COMPRESSED,   compressed,    GATE_NEGOTIATING},
    {GATE_LOGGED_IN,   S2C, ITEM_COMPRESSED,   compressed,    GATE_LOGGED_IN},
    {GATE_WATCHED,     S2C, ITEM_COMPRESSED,   compressed,    GATE_WATCHED},
};

/* ---- bytes ---- */

const char *gate_bytes(const struct gate_way *w)
{
    return w->in.p + w->at;
}

size_t gate_left(const struct gate_way *w)
{
    return w->in.len - w->at;
}

void gate_drop(struct gate_way *w, size_t n)
{
    w->at += n;
    w->scanned = 0;
}

void gate_pass(struct gate *g, enum dir dir, size_t n)
{
    const char *p = gate_bytes(&g->way[dir]);

    gate_drop(&g->way[dir], n); /* first: the user may ask what still waits */
    g->user->forward(g->arg, dir, p, n);
}

bool gate_misnamed(struct gate *g, size_t n)
{
    const char *p = gate_bytes(&g->way[DIR_C2S]);

    if (!g->name_due)
        return false;
    g->name_due = false;
    if (g->user->named(g->arg))
        return false;
    gate_drop(&g->way[DIR_C2S], n);
    g->stopped = true;
    g->user->misnamed(g->arg, p, n);
    return true;
}

/* Must have TLS, and has none yet. */
static bool lacks_tls(const struct gate *g)
{
    return g->wishes & FEATURES_REQUIRE_STARTTLS && !g->secured;
}

bool gate_stays(const struct gate *g)
{
    return lacks_tls(g) || (g->bridged && g->phase < GATE_LOGGED_IN);
}

/* The client's first `n` bytes are said without TLS. */
static void insecure(struct gate *g, size_t n)
{
    const char *p = gate_bytes(&g->way[DIR_C2S]);

    gate_drop(&g->way[DIR_C2S], n);
    g->stopped = true;
    g->user->insecure(g->arg, p, n);
}

static void unbridged(struct gate *g, enum dir dir, const struct error *e)
{
    struct gate_way *w = &g->way[dir];
    const char *p = gate_bytes(w);
    size_t n = gate_left(w);

    gate_drop(w, n);
    g->stopped = true;
    g->user->unbridged(g->arg, dir, p, n, e);
}

/* The session ends where the gate may not step aside; then nothing of what waits is sent on. */
static bool shut(struct gate *g, enum dir dir, const struct error *e)
{
    if (!gate_stays(g))
        return false;
    if (lacks_tls(g))
        insecure(g, gate_left(&g->way[DIR_C2S]));
    else
        unbridged(g, dir, e);
    return true;
}

void gate_step_aside(struct gate *g, enum dir dir, const struct error *e)
{
    if (gate_misnamed(g, gate_left(&g->way[DIR_C2S])) || shut(g, dir, e))
        return;
    if (g->watched && !e->code) {
        g->phase = GATE_WATCHED;
        g->user->aside(g->arg, dir, e);
        return;
    }
    g->phase = GATE_ASIDE;
    for (int i = 0; i < 2; i++) {
        struct gate_way *w = &g->way[i];

        if (gate_left(w) && !g->stopped)
            gate_pass(g, (enum dir)i, gate_left(w));
        buf_free(&w->in);
        w->at = w->scanned = 0;
        w->waits = w->due = false;
        reader_stream_free(&w->stream);
    }
    buf_free(&g->proceed);
    if (!g->stopped)
        g->user->aside(g->arg, dir, e);
}

static void edit(struct gate *g, enum dir dir, size_t n, const char *sent, size_t sent_len,
                 const char *reason)
{
    const char *p = gate_bytes(&g->way[dir]);

    gate_drop(&g->way[dir], n);
    g->user->edit(g->arg, dir, p, n, sent, sent_len, reason);
}

struct buf gate_cut(struct gate_way *w, size_t *at)
{
    struct buf b = w->in;

    *at = w->at;
    w->at = w->scanned = 0;
    buf_init(&w->in, b.max);
    return b;
}

void gate_refuse(struct gate *g)
{
    size_t at;
    struct buf b = gate_cut(&g->way[DIR_C2S], &at);

    g->stopped = true;
    g->user->refuse(g->arg, b.p + at, b.len - at);
    buf_free(&b);
}

size_t gate_space(const struct gate_way *w, size_t from)
{
    size_t n = from;

    while (n < gate_left(w) && memchr(" \t\r\n", gate_bytes(w)[n], 4))
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
    size_t space = gate_space(w, n);

    if (n + space < gate_left(w) && gate_bytes(w)[n + space] != TLS_HANDSHAKE) {
        gate_refuse(g);
        return;
    }
    gate_pass(g, dir, n);
    if (space && !g->stopped)
        gate_pass(g, dir, space);
}

static void proceed(struct gate *g, enum dir dir, size_t n)
{
    struct gate_way *w = &g->way[dir];
    struct buf rest;
    size_t at;

    if (buf_add(&g->proceed, gate_bytes(w), n))
        return; /* the user finds nothing to send and ends by its time-out */
    gate_drop(w, n);
    rest = gate_cut(w, &at);
    g->phase = GATE_TLS_SERVER;
    g->user->secure_server(g->arg, rest.p + at, rest.len - at);
    buf_free(&rest);
}

void gate_restart(struct gate *g, enum label_phase phase)
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
    gate_pass(g, dir, n);
    if (!g->stopped)
        gate_restart(g, PHASE_BOUND);
}

static void success2(struct gate *g, enum dir dir, size_t n)
{
    gate_pass(g, dir, n);
    if (!g->stopped)
        g->user->bound(g->arg);
}

static void last(struct gate *g, enum dir dir, size_t n)
{
    struct error none = {0};

    if (shut(g, dir, &none))
        return;
    gate_pass(g, dir, n);
    if (!g->stopped)
        gate_step_aside(g, dir, &none);
}

/* Nothing of what follows can be read. */
static void compressed(struct gate *g, enum dir dir, size_t n)
{
    g->watched = false;
    last(g, dir, n);
}

static void stanza(struct gate *g, enum dir dir, size_t n)
{
    struct error e;

    error_set(&e, ERR_SASL, "the client sent a stanza before it had logged in");
    if (shut(g, dir, &e))
        return;
    g->user->bound(g->arg);
    last(g, dir, n);
}

/* XEP-0078: a login that knows no SASL. */
static void legacy(struct gate *g, enum dir dir, size_t n)
{
    struct error e;

    error_set(&e, ERR_SASL, "the client logs in the legacy way (XEP-0078), without SASL");
    if (!shut(g, dir, &e))
        gate_pass(g, dir, n);
}

/* The item is the bridge's. What may be a password in it is wiped. */
static void bridge(struct gate *g, enum dir dir, size_t n)
{
    struct gate_way *w = &g->way[dir];
    char *p = w->in.p + w->at;
    enum gate_phase next;

    gate_drop(w, n);
    next = g->user->bridge(g->arg, dir, &w->stream, NULL, p, n);
    explicit_bzero(p, n);
    if (g->stopped)
        return;
    g->phase = next;
    if (next == GATE_LOGGED_IN)
        gate_restart(g, PHASE_BOUND);
}

/* Features that something is to be negotiated with: as they came, as they are wished, or as the
 * bridge has them. */
static void pass_features(struct gate *g, enum dir dir, size_t n, bool bridged)
{
    struct gate_way *w = &g->way[dir];
    const char *p = gate_bytes(w);
    struct features_edit fe;

    features_edit_init(&fe);
    if (g->user->features)
        fe.changed = g->user->features(g->arg, &w->stream, p, n, &fe);
    if (bridged) {
        gate_drop(w, n);
        g->phase = g->user->bridge(g->arg, dir, &w->stream, &fe, p, n);
    } else if (fe.changed) {
        edit(g, dir, n, fe.bytes.p, fe.bytes.len, fe.reason);
    } else {
        gate_pass(g, dir, n);
    }
    features_edit_free(&fe);
}

static void last_features(struct gate *g, enum dir dir, size_t n)
{
    struct error none = {0};

    pass_features(g, dir, n, false);
    if (!g->stopped)
        gate_step_aside(g, dir, &none);
}

static void features(struct gate *g, enum dir dir, size_t n)
{
    const struct item *it;

    if (reader_item(g->reader, &g->way[dir].stream, gate_bytes(&g->way[dir]), n, &it, NULL) == 0 &&
        gate_item_negotiable(it))
        pass_features(g, dir, n, g->bridged);
    else if (gate_stays(g))
        pass_features(g, dir, n, false); /* nothing is offered: what the client says now counts */
    else
        last_features(g, dir, n); /* nothing is left to negotiate */
}

/* ---- items ---- */

void gate_learn_domain(struct gate *g, const struct item *it)
{
    const char *to = item_attr(it, 0, "to");

    if (to)
        gate_name(g, to);
}

/* `*it`: NULL for the end tag of a stream. */
static int read_item(struct gate *g, enum dir dir, enum scan_what what, size_t n,
                     const struct item **item, enum item_kind *kind, struct error *e)
{
    struct gate_way *w = &g->way[dir];
    const struct item *it;
    int err;

    *item = NULL;
    *kind = ITEM_OTHER;
    if (what == SCAN_CLOSE)
        return 0;
    if (what == SCAN_HEADER) {
        err = reader_header(g->reader, &w->stream, gate_bytes(w), n, &it, e);
        *kind = ITEM_HEADER;
        if (!err && dir == DIR_C2S)
            gate_learn_domain(g, it);
    } else {
        err = reader_item(g->reader, &w->stream, gate_bytes(w), n, &it, e);
        if (!err)
            *kind = gate_item_kind(it);
    }
    if (!err)
        *item = it;
    return err;
}

/* Asks who watches; true: no more is to be done with the item. It is cut off meanwhile, because the
 * session may end. */
static bool watched(struct gate *g, enum dir dir, enum scan_what what, const struct item *it, size_t n)
{
    struct gate_way *w = &g->way[dir];
    enum gate_deed deed;

    if (!g->watched || w->due) {
        w->due = false;
        return false;
    }
    gate_drop(w, n);
    deed = g->user->watch(g->arg, dir, what, it, gate_bytes(w) - n, n);
    if (deed == GATE_TAKEN) {
        if (g->bridged) /* as bridge() does */
            explicit_bzero(w->in.p + w->at - n, n);
        return true;
    }
    w->at -= n;
    w->scanned = n;
    if (deed == GATE_PASS)
        gate_pass(g, dir, n);
    if (deed == GATE_WAIT) {
        w->waits = true;
        w->what = what;
        w->item = n;
    }
    return deed != GATE_GO_ON;
}

/* The client says something else than <starttls/>, and must have TLS. */
static bool is_insecure(const struct gate *g, enum dir dir, enum scan_what what,
                        enum item_kind kind)
{
    return lacks_tls(g) && dir == DIR_C2S && what == SCAN_ITEM && kind != ITEM_STARTTLS;
}

/* Is it the bridge's? The server's is in any turn: what nobody asked for must not reach the client. */
static bool is_sasl(const struct gate *g, enum dir dir, enum item_kind kind)
{
    return dir == DIR_C2S ? g->phase == GATE_NEGOTIATING && kind == ITEM_SASL_SAYS
                          : (g->phase == GATE_NEGOTIATING || g->phase == GATE_SASL_ASKED) &&
                                kind >= ITEM_SASL_ASKS && kind <= ITEM_SUCCESS2;
}

void gate_item(struct gate *g, enum dir dir, enum scan_what what, size_t n)
{
    const struct item *it;
    enum item_kind kind;
    struct error e = {0};

    if (read_item(g, dir, what, n, &it, &kind, &e)) {
        gate_step_aside(g, dir, &e);
        return;
    }
    if (kind == ITEM_HEADER && dir == DIR_C2S && gate_misnamed(g, n))
        return;
    if (is_insecure(g, dir, what, kind)) {
        insecure(g, n);
        return;
    }
    if (watched(g, dir, what, it, n))
        return;
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
    gate_pass(g, dir, n);
}


#include "replayer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../opening.h"

#define NS_STREAMS "http://etherx.jabber.org/streams"
#define NS_ERRORS  "urn:ietf:params:xml:ns:xmpp-streams"
#define NS_TLS     "urn:ietf:params:xml:ns:xmpp-tls"
#define STARTTLS   "<starttls xmlns='" NS_TLS "'/>"
#define OUT_MAX    (64u << 20)
#define HEADER_MAX (256u << 10)

void replayer_fail(struct replayer *r, enum error_code code, const char *fmt, ...)
{
    char text[ERROR_DETAIL_MAX];
    va_list ap;

    if (r->phase == REPLAY_DONE)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!r->error.code)
        error_set(&r->error, code, "%s", text);
    r->phase = REPLAY_DONE;
    r->until_us = 0;
}

static void no_memory(struct replayer *r)
{
    replayer_fail(r, ERR_NOMEM, "no memory to go on");
}

int replayer_keep(struct replayer *r, struct plan_bytes *b, const char *p, size_t n)
{
    int err = buf_add(&r->kept, p, n);

    if (err)
        replayer_fail(r, (enum error_code)err, "the server says more than can be kept (%u MiB)",
                      REPLAYER_KEPT_MAX >> 20);
    else
        *b = (struct plan_bytes){r->kept.len - n, n, 0};
    return err;
}

const char *replayer_stream_error(const struct item *it, char *out, size_t size)
{
    const char *condition = "no reason", *text = "";

    out[0] = '\0';
    if (!item_is(it, 0, NS_STREAMS, "error"))
        return out;
    for (unsigned i = 1; i < it->nodes; i++) {
        if (it->node[i].depth != 2 || strcmp(it->node[i].ns, NS_ERRORS) != 0)
            continue;
        if (strcmp(it->node[i].name, "text") == 0)
            text = it->node[i].text;
        else
            condition = it->node[i].name;
    }
    snprintf(out, size, "%.60s%s%.120s", condition, *text ? ": " : "", text);
    return out;
}

/* ---- streams ---- */

static void open_stream(struct replayer *r, enum replay_phase phase)
{
    scan_init(&r->scan, NULL);
    reader_stream_free(&r->down);
    reader_stream_free(&r->up);
    r->phase = phase;
    if (opening_hello(&r->out, r->o->account->domain))
        no_memory(r);
}

static const char *offered(const struct item *it, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (unsigned i = 1; i < it->nodes; i++)
        if (item_is(it, i, SASL_NS, "mechanism") && used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%.40s", used ? ", " : "",
                                     it->node[i].text);
    return out;
}

/* ---- the login ---- */

static void refused(struct replayer *r, const struct item *it)
{
    const struct account *a = r->o->account;
    int condition = item_find(it, 2, SASL_NS, NULL), text = item_find(it, 2, NULL, "text");
    const char *name = condition >= 0 ? it->node[condition].name : "no reason";
    const char *words = text >= 0 ? it->node[text].text : "";
    bool password = strcmp(name, "not-authorized") == 0;

    if (password)
        replayer_fail(r, ERR_SASL,
                      "the server does not accept --account with the password in "
                      "--password-file (%s, %.40s)%s%.80s; check both, and that the account is on "
                      "this server (%.60s)",
                      r->mechanism, name, *words ? ": " : "", words, a->domain);
    else
        replayer_fail(r, ERR_SASL,
                      "the server refuses the login (%s, %.40s)%s%.120s; its log tells "
                      "why",
                      r->mechanism, name, *words ? ": " : "", words);
}

static void login_over(struct replayer *r)
{
    bridge_server_reset(&r->login);
    r->logged_in = true;
    open_stream(r, REPLAY_BOUND);
}

static void follow(struct replayer *r, enum server_says says, const struct item *it,
                   const struct error *e)
{
    if (r->login.attempts)
        bridge_server_way(&r->login, r->mechanism, sizeof r->mechanism);
    switch (says) {
    case SERVER_SEND:
    case SERVER_SALTS:
    case SERVER_ABORTS:
        break;
    case SERVER_LETS_IN:
        login_over(r);
        break;
    case SERVER_REFUSES:
        if (it) /* always: it is the refusal */
            refused(r, it);
        break;
    case SERVER_ABORTED:
        replayer_fail(r, ERR_SASL, "the login was given up (%s): %s", r->mechanism,
                      r->login.why.detail);
        break;
    case SERVER_BROKEN:
    case SERVER_FATAL:
        replayer_fail(r, ERR_SASL, "the login cannot go on (%s): %s", r->mechanism, e->detail);
        break;
    }
}

static void begin_login(struct replayer *r, const struct item *it)
{
    const struct account *a = r->o->account;
    struct error e = {0};
    char list[160];

    offered(it, list, sizeof list);
    if (offer_read(&r->login.offer, r->o->reader, &r->down, it->p, it->len)) {
        no_memory(r);
        return;
    }
    if (!bridge_server_plan(&r->login)) {
        replayer_fail(r, ERR_SASL,
                      "the server offers no way to log in that replay knows%s%s%s; it "
                      "knows SCRAM, and inside TLS PLAIN: allow one in the server",
                      *list ? " (" : "", list, *list ? ")" : "");
        return;
    }
    r->phase = REPLAY_LOGIN;
    follow(r, bridge_server_begin(&r->login, a->name, "", a->password, &r->out, &e), NULL, &e);
}

/* ---- items before playing ---- */

static void take_features(struct replayer *r, const struct item *it)
{
    bool tls = !r->secured && item_find(it, 2, NS_TLS, "starttls") >= 0;
    enum plan_stage stage = r->phase == REPLAY_BOUND ? STAGE_BOUND : tls ? STAGE_OPEN : STAGE_LOGIN;

    if (replayer_keep(r, &r->features[stage], it->p, it->len))
        return;
    if (stage == STAGE_BOUND) {
        if (play_begin(r))
            no_memory(r);
    } else if (stage == STAGE_LOGIN) {
        begin_login(r, it);
    } else if (buf_str(&r->out, STARTTLS)) {
        no_memory(r);
    } else {
        r->phase = REPLAY_PROCEED;
    }
}

static void take_proceed(struct replayer *r, const struct item *it)
{
    if (item_is(it, 0, NS_TLS, "proceed"))
        r->phase = REPLAY_TLS;
    else
        replayer_fail(r, ERR_REFUSED_TLS,
                      "the server offers STARTTLS and refuses it; its log tells "
                      "why, often it has no certificate for %.100s",
                      r->o->account->domain);
}

static void take_item(struct replayer *r, const struct item *it)
{
    char words[200];
    struct error e = {0};

    if (r->phase >= REPLAY_BIND) {
        play_item(r, it);
    } else if (*replayer_stream_error(it, words, sizeof words)) {
        replayer_fail(r, ERR_CLOSED,
                      "the server ended the stream before the login was over (%s); "
                      "the account's domain must be one that it serves (%.60s)",
                      words, r->o->account->domain);
    } else if (r->phase == REPLAY_PROCEED) {
        take_proceed(r, it);
    } else if (r->phase == REPLAY_LOGIN && strcmp(it->node[0].ns, SASL_NS) == 0) {
        follow(r, bridge_server_item(&r->login, it, &r->out, &e), it, &e);
    } else if (item_is(it, 0, NS_STREAMS, "features")) {
        take_features(r, it);
    }
}

/* ---- what was received ---- */

static bool reads(const struct replayer *r)
{
    return r->phase != REPLAY_TLS && r->phase != REPLAY_DONE;
}

static void take_token(struct replayer *r, enum scan_what what, const char *p, size_t n)
{
    const struct item *it;
    struct error e;
    int err = 0;

    if (what == SCAN_HEADER) {
        err = reader_header(r->o->reader, &r->down, p, n, &it, &e);
        r->header.len = 0;
        if (!err)
            err = buf_add(&r->header, p, n);
    } else if (what == SCAN_ITEM) {
        err = reader_item(r->o->reader, &r->down, p, n, &it, &e);
        if (!err)
            take_item(r, it);
    } else if (what == SCAN_CLOSE && r->phase >= REPLAY_BIND) {
        play_closed(r);
    } else if (what == SCAN_CLOSE) {
        replayer_fail(r, ERR_CLOSED,
                      "the server closed the stream before the login was over; its log "
                      "tells why");
    }
    if (err)
        replayer_fail(r, (enum error_code)err, "what the server sends cannot be read: %s%s%.150s",
                      error_text((enum error_code)err), err == (int)e.code ? ": " : "",
                      err == (int)e.code ? e.detail : "");
}

static void take_input(struct replayer *r)
{
    while (r->scanned < r->in.len && reads(r)) {
        size_t used;
        enum scan_what what =
            scan_next(&r->scan, r->in.p + r->scanned, r->in.len - r->scanned, &used);
        size_t from = r->taken;

        r->scanned += used;
        if (what == SCAN_MORE)
            break;
        if (what == SCAN_BAD || r->scan.flaw) {
            replayer_fail(r, what == SCAN_BAD ? r->scan.error : r->scan.flaw,
                          "what the server sends is no XMPP; UPSTREAM must be the port for clients "
                          "(5222, or 5223 with tls://)");
            break;
        }
        r->taken = r->scanned;
        take_token(r, what, r->in.p + from, r->taken - from);
    }
    buf_drop(&r->in, r->taken);
    r->scanned -= r->taken;
    r->taken = 0;
    if (r->phase == REPLAY_TLS && r->in.len)
        replayer_fail(r, ERR_BEHIND_STARTTLS,
                      "the server sent plaintext behind <proceed/>, where TLS "
                      "must begin (RFC 6120 section 5.3.1); mend the server, or look for who "
                      "injects it");
}

/* ---- the interface ---- */

void replayer_begin(struct replayer *r, const struct replayer_options *o, bool direct,
                    int64_t now_us)
{
    *r = (struct replayer){.o = o, .now_us = now_us};
    buf_init(&r->out, OUT_MAX);
    buf_init(&r->kept, REPLAYER_KEPT_MAX);
    buf_init(&r->header, HEADER_MAX);
    buf_init(&r->in, REPLAYER_IN_MAX);
    reader_stream_init(&r->up);
    reader_stream_init(&r->down);
    pair_init(&r->pair);
    bridge_server_init(&r->login, o->user, o->arg);
    snprintf(r->names.domain, sizeof r->names.domain, "%s", o->account->domain);
    snprintf(r->names.bare, sizeof r->names.bare, "%s@%s", o->account->name, o->account->domain);
    r->until_us = now_us + REPLAYER_LOGIN_S * 1000000ll;
    r->outcome = calloc(o->plan->items + 1, sizeof *r->outcome);
    if (direct)
        r->phase = REPLAY_TLS;
    else
        open_stream(r, REPLAY_OPEN);
    if (!r->outcome)
        no_memory(r);
}

void replayer_free(struct replayer *r)
{
    play_free(r);
    pair_free(&r->pair);
    bridge_server_free(&r->login);
    reader_stream_free(&r->up);
    reader_stream_free(&r->down);
    buf_free(&r->out);
    buf_free(&r->kept);
    buf_free(&r->header);
    buf_free(&r->in);
    free(r->outcome);
    free(r->push);
}

void replayer_data(struct replayer *r, int64_t now_us, const char *p, size_t n)
{
    int err;

    r->now_us = now_us;
    if (!reads(r))
        return;
    err = buf_add(&r->in, p, n);
    if (err)
        replayer_fail(r, (enum error_code)err, "the server sends an item that is too large");
    else
        take_input(r);
    play_on(r);
}

void replayer_secured(struct replayer *r, int64_t now_us)
{
    r->now_us = now_us;
    if (r->phase != REPLAY_TLS)
        return;
    r->secured = true;
    open_stream(r, REPLAY_OPEN);
}

void replayer_salted(struct replayer *r, int64_t now_us, const unsigned char *salted)
{
    struct error e = {0};

    r->now_us = now_us;
    if (r->phase == REPLAY_LOGIN)
        follow(r, bridge_server_salted(&r->login, salted, &r->out, &e), NULL, &e);
}

void replayer_eof(struct replayer *r, int64_t now_us)
{
    r->now_us = now_us;
    if (r->phase >= REPLAY_BIND)
        play_closed(r);
    else
        replayer_fail(r, ERR_CLOSED,
                      "the server closed the connection before the login was over; its "
                      "log tells why");
}

void replayer_failed(struct replayer *r, const struct error *e)
{
    if (r->phase == REPLAY_CLOSE) /* all was said */
        r->phase = REPLAY_DONE;
    replayer_fail(r, e->code, "%s", *e->detail ? e->detail : error_text(e->code));
}

void replayer_more(struct replayer *r, int64_t now_us)
{
    r->now_us = now_us;
    if (!r->full)
        return;
    r->full = false;
    r->until_us = 0;
    play_on(r);
}

void replayer_time(struct replayer *r, int64_t now_us)
{
    r->now_us = now_us;
    if (!r->until_us || now_us < r->until_us)
        return;
    if (r->full) {
        replayer_fail(r, ERR_TIMEOUT,
                      "the server has read nothing for %d s; look at its limits of rate",
                      REPLAYER_STALL_S);
        return;
    }
    if (r->phase < REPLAY_PLAY)
        replayer_fail(r, ERR_NEGOTIATION_TIMEOUT,
                      "the login did not end within %d s: the server no "
                      "longer answers; look at its log",
                      REPLAYER_LOGIN_S);
    else if (r->phase == REPLAY_CLOSE)
        r->phase = REPLAY_DONE;
    else
        play_on(r);
}

int64_t replayer_wait_ms(const struct replayer *r, int64_t now_us)
{
    if (!r->until_us || r->phase == REPLAY_DONE)
        return -1;
    return r->until_us > now_us ? (r->until_us - now_us + 999) / 1000 : 0;
}

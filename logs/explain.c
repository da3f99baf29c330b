#include "explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../decoder/verdict.h"
#include "xml_lines.h"

#define BAR       24          /* columns of the waterfall */
#define TEXT_MAX  (1u << 20)  /* one session's narrative */
#define WHAT_MAX  (VERDICT_SENTENCE_MAX + 64)
#define PIECE     (64u << 10) /* text that is printed before more is made */
#define WAIT_MAX  (INT64_MAX / 2)
#define QUICK_US  500         /* a wait shorter than this is not worth a figure */

/* Who a line is of: `who` waited for by the other side while it took its time. */
struct line {
    int64_t time_us, wait_us;
    enum side who;
    unsigned times;     /* the same again */
    bool header;        /* a stream header: features take its line */
    uint64_t n;
    char label[64];
    char *what;         /* owned */
};

struct explain {
    struct sink sink;
    explain_print *print;
    void *arg;
    enum label_language language;
    bool open;          /* a session's events have come */
    char *session;      /* its id, owned; NULL without memory */
    char upstream[256], client[80], account[256];
    int64_t begin_us, end_us, last_us[3];
    int64_t waited_us[3]; /* for the client, for the server */
    struct story story;
    struct line *lines;
    unsigned n;
    uint64_t more;      /* lines that found no room */
    bool printed;       /* another session stands before */
    struct buf text;
};

/* ---- what a line says ---- */

/* How a fact reads; what is not here is not shown. */
static const struct {
    const char *name, *fmt;
} shown[] = {
    {"to", "to %s"},
    {"starttls", "STARTTLS %s"},
    {"mechanisms", "mechanisms %s"},
    {"sasl2-mechanisms", "SASL2 %s"},
    {"cb-types", "channel binding %s"},
    {"compression", "compression %s"},
    {"iq-auth", "legacy login %s"},
    {"session", "session %s"},
    {"mechanism", "%s"},
    {"user", "as %s"},
    {"authzid", "for %s"},
    {"gs2", "gs2 %s"},
    {"cb-type", "channel binding %s"},
    {"iterations", "%s iterations"},
    {"scram-error", "SCRAM error %s"},
    {"malformed", "malformed: %s"},
    {"resource", "resource %s"},
    {"jid", "%s"},
    {"condition", "%s"},
    {"own-condition", "%s"},
    {"address", "to %s"},
    {"text", "\"%s\""},
    {"by", "by %s"},
    {"sm-id", "id %s"},
    {"previd", "of %s"},
    {"h", "h=%s"},
    {"resumes", "session %s"},
};

static void put_captured(struct buf *b, const char *fmt, const char *value)
{
    char words[WHAT_MAX];

    /* NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): the formats stand in `shown` */
    snprintf(words, sizeof words, fmt, value);
    if (xml_lines_inline(b, words, strlen(words)))
        return; /* a line cut short is still a line */
}

static void put_facts(struct buf *b, const struct event *ev)
{
    const char *before = " (";

    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        const char *value = event_fact(ev, shown[i].name);

        if (!value || buf_str(b, before))
            continue;
        put_captured(b, shown[i].fmt, value);
        before = ", ";
    }
    if (*before == ',' && buf_str(b, ")"))
        return;
    for (unsigned i = 0; i < ev->remarks; i++)
        put_captured(b, i ? "; %s" : "; odd: %s", ev->remark[i].value);
}

static void put_label(struct buf *b, const struct event *ev, enum label_language language)
{
    const struct label *l = ev->label ? label_by_id(ev->label) : NULL;
    char other[512];
    const char *text = ev->label ? ev->label : "unlabelled";

    if (l && label_is_other(l))
        text = label_other_text(l, ev->dir, ev->type, ev->ns, language, other, sizeof other);
    else if (l)
        text = label_text(l, language);
    put_captured(b, "%s", text);
}

static void put_tls(struct buf *b, const struct event_tls *t)
{
    put_captured(b, "TLS with the %s ", side_name(t->side));
    put_captured(b, t->ok ? "stands: %s" : "failed: %s", t->ok ? t->version : t->error);
    if (t->ok && *t->cipher)
        put_captured(b, ", %s", t->cipher);
    if (t->ok && t->side == SIDE_SERVER && *t->verify)
        put_captured(b, ", certificate %s", t->verify);
}

static void put_violation(struct buf *b, const struct event *ev)
{
    put_captured(b, "VIOLATION: %s", error_text(ev->u.violation.code));
    if (*ev->u.violation.detail)
        put_captured(b, ": %s", ev->u.violation.detail);
}

static void put_end(struct buf *b, const struct event_end *end)
{
    put_captured(b, "the %s ", side_name(end->by));
    put_captured(b, "ends it: %s", error_text(end->code));
}

/* ---- lines ---- */

/* Does the event go on with what the last line says: features behind their header, the same once
 * more? Then it gets no line of its own. */
static bool joins(struct line *last, const struct event *ev, enum side who, struct buf *what)
{
    if (ev->kind != EVENT_STANZA || last->who != who || !ev->label ||
        strcmp(last->label, ev->label) != 0 || (!last->header && (ev->facts || ev->remarks)))
        return false;
    if (!last->header) {
        last->times++;
        buf_free(what);
        return true;
    }
    if (buf_add(what, "", 1))
        return false;
    free(last->what);
    last->what = what->p;
    last->n = ev->n;
    last->header = false;
    return true;
}

static void add_line(struct explain *x, const struct event *ev, enum side who, struct buf *what)
{
    const char *label = ev->label ? ev->label : "";
    enum side other = who == SIDE_CLIENT ? SIDE_SERVER : SIDE_CLIENT;
    int64_t since = x->last_us[other] > x->last_us[who] ? x->last_us[other] : 0;
    int64_t wait = 0;
    struct line *l;

    if (ev->kind == EVENT_TLS) /* both took part; the peer's flight is what was waited for */
        since = x->end_us;
    if (since && who != SIDE_PROXY && ev->time_us > since) /* a clock may be set back */
        wait = ev->time_us - since;
    if (x->n && joins(&x->lines[x->n - 1], ev, who, what)) {
        x->lines[x->n - 1].time_us = ev->time_us;
    } else if (x->n == EXPLAIN_LINES || buf_add(what, "", 1)) {
        x->more++;
        buf_free(what);
    } else {
        l = &x->lines[x->n++];
        *l = (struct line){.time_us = ev->time_us, .who = who, .times = 1, .n = ev->n,
                           .header = ev->kind == EVENT_STREAM && !ev->closing};
        l->wait_us = wait;
        snprintf(l->label, sizeof l->label, "%s", label);
        l->what = what->p;
    }
    if (x->waited_us[who] < WAIT_MAX)
        x->waited_us[who] += wait;
    if (who != SIDE_PROXY)
        x->last_us[who] = ev->time_us;
    x->end_us = ev->time_us;
}

static void narrate(struct explain *x, const struct event *ev)
{
    enum side who = ev->dir == DIR_C2S ? SIDE_CLIENT : SIDE_SERVER;
    struct buf what;

    buf_init(&what, TEXT_MAX);
    switch (ev->kind) {
    case EVENT_STREAM:
    case EVENT_STANZA:
        put_label(&what, ev, x->language);
        put_facts(&what, ev);
        break;
    case EVENT_TLS:
        who = ev->u.tls.side;
        put_tls(&what, &ev->u.tls);
        break;
    case EVENT_EDIT:
        who = SIDE_PROXY;
        put_captured(&what, "xmpptap edits: %s", ev->u.edit.reason);
        break;
    case EVENT_VIOLATION:
        if (ev->u.violation.more)
            return;
        put_violation(&what, ev);
        break;
    case EVENT_GAP:
        who = SIDE_PROXY;
        put_captured(&what, "bytes of %s were not recorded", dir_name(ev->dir));
        break;
    case EVENT_END:
        who = SIDE_PROXY;
        put_end(&what, &ev->u.end);
        break;
    case EVENT_SESSION:
    case EVENT_SPACE:
    case EVENT_KINDS:
        return;
    }
    add_line(x, ev, who, &what);
}

/* ---- printing ---- */

static void print_wait(struct buf *b, const struct line *l)
{
    char words[32] = "";

    if (l->wait_us >= QUICK_US)
        snprintf(words, sizeof words, "%s %" PRId64 ".%" PRId64 " ms",
                 l->who == SIDE_CLIENT ? "client" : "server", l->wait_us / 1000,
                 l->wait_us % 1000 / 100);
    if (buf_printf(b, "%-17s ", words))
        return;
}

static int64_t column(const struct explain *x, int64_t time_us)
{
    int64_t whole = x->end_us > x->begin_us ? x->end_us - x->begin_us : 1;
    int64_t at = (time_us - x->begin_us) * BAR / whole;

    return at < 0 ? 0 : at >= BAR ? BAR - 1 : at;
}

/* Where in the session's time it lies: `=` the server took its time, `-` the client. */
static void print_bar(struct buf *b, const struct explain *x, const struct line *l)
{
    int64_t from = column(x, l->time_us - l->wait_us), to = column(x, l->time_us);
    char bar[BAR + 1];

    memset(bar, ' ', BAR);
    bar[BAR] = '\0';
    for (int64_t i = from; i <= to; i++)
        bar[i] = l->wait_us < QUICK_US ? '.' : l->who == SIDE_CLIENT ? '-' : '=';
    if (buf_printf(b, "|%s| ", bar))
        return;
}

static void print_line(struct buf *b, const struct explain *x, const struct line *l)
{
    static const char *const arrows[] = {"C>", "<S", "--"};
    int64_t us = l->time_us - x->begin_us;
    char times[24] = "";

    if (l->times > 1)
        snprintf(times, sizeof times, " (%u times)", l->times);
    if (buf_printf(b, "%4" PRId64 ".%03" PRId64 "  ", us / 1000000, us / 1000 % 1000))
        return;
    print_wait(b, l);
    print_bar(b, x, l);
    if (buf_printf(b, "%s #%-3" PRIu64 " %s%s\n", arrows[l->who], l->n, l->what, times))
        return;
}

static void print_head(struct buf *b, const struct explain *x)
{
    time_t t = (time_t)(x->begin_us / 1000000);
    char when[40] = "";
    struct tm tm;

    if (gmtime_r(&t, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &tm);
    put_captured(b, "session %s", x->session ? x->session : "");
    put_captured(b, ", %s", when);
    put_captured(b, *x->account ? ", %s" : "%s", x->account);
    put_captured(b, ", %s", x->client);
    put_captured(b, *x->upstream ? " -> %s" : "%s", x->upstream);
    if (buf_str(b, "\n\n   time  waiting for       when                        what\n"))
        return;
}

static void print_sums(struct buf *b, const struct explain *x)
{
    const char *unanswered = story_get(&x->story, "unanswered");
    int err = 0;

    if (x->more)
        err = buf_printf(b, "... %" PRIu64 " more\n", x->more);
    if (!err)
        err = buf_printf(b,
                         "\nThe client waited %" PRId64 ".%03" PRId64 " s for the server, the "
                         "server %" PRId64 ".%03" PRId64 " s for the client.\n",
                         x->waited_us[SIDE_SERVER] / 1000000,
                         x->waited_us[SIDE_SERVER] / 1000 % 1000,
                         x->waited_us[SIDE_CLIENT] / 1000000,
                         x->waited_us[SIDE_CLIENT] / 1000 % 1000);
    if (err || !unanswered)
        return;
    put_captured(b, "%s.", unanswered); /* labels of an archive may be anything */
    if (buf_str(b, "\n"))
        return;
}

static void print_verdict(struct buf *b, const struct explain *x)
{
    struct verdict v;

    verdict_give(&x->story, &v);
    if (buf_printf(b, "\nVerdict (%s): ", v.id))
        return;
    put_captured(b, "%s", v.sentence);
    if (buf_str(b, "\n"))
        return;
}

/* What was made so far, unless it is little and more is to come. */
static int print_piece(struct explain *x, size_t at_least)
{
    int err = 0;

    if (x->text.len >= at_least)
        err = x->print(x->arg, x->text.p, x->text.len);
    if (err || x->text.len >= at_least)
        buf_free(&x->text);
    return err;
}

static int print_session(struct explain *x)
{
    struct buf *b = &x->text;
    int err = x->printed ? buf_str(b, "\n") : 0;

    x->printed = true;
    print_head(b, x);
    for (unsigned i = 0; i < x->n && !err; i++) {
        print_line(b, x, &x->lines[i]);
        err = print_piece(x, PIECE);
    }
    print_sums(b, x);
    print_verdict(b, x);
    return err ? err : print_piece(x, 1);
}

/* ---- the sink ---- */

static void forget(struct explain *x)
{
    for (unsigned i = 0; i < x->n; i++)
        free(x->lines[i].what);
    x->n = 0;
    x->more = 0;
    x->open = false;
    free(x->session);
    x->session = NULL;
    *x->account = *x->client = *x->upstream = '\0';
    memset(x->last_us, 0, sizeof x->last_us);
    memset(x->waited_us, 0, sizeof x->waited_us);
    story_free(&x->story);
}

static int explain_event(struct sink *sink, const struct event *ev)
{
    struct explain *x = (struct explain *)sink;
    const char *jid;
    int err = 0;

    if (x->open && (!x->session || strcmp(x->session, ev->session) != 0)) { /* it was cut off */
        err = print_session(x);
        forget(x);
    }
    if (!x->open) {
        x->open = true;
        x->begin_us = x->end_us = ev->time_us;
        x->session = strdup(ev->session);
        if (!x->session)
            err = ERR_NOMEM;
    }
    story_event(&x->story, ev);
    if (ev->kind == EVENT_SESSION) {
        snprintf(x->client, sizeof x->client, "%s", ev->u.session_facts.client);
        snprintf(x->upstream, sizeof x->upstream, "%s", ev->u.session_facts.upstream);
    }
    narrate(x, ev);
    jid = story_get(&x->story, "jid") ? story_get(&x->story, "jid") : story_get(&x->story, "account");
    if (jid)
        snprintf(x->account, sizeof x->account, "%s", jid);
    if (ev->kind != EVENT_END || err)
        return err;
    err = print_session(x);
    forget(x);
    return err;
}

static int explain_close(struct sink *sink)
{
    struct explain *x = (struct explain *)sink;
    int err = x->open ? print_session(x) : 0;

    forget(x);
    free(x->lines);
    free(x);
    return err;
}

struct sink *explain_new(enum label_language language, explain_print *print, void *arg)
{
    struct explain *x = calloc(1, sizeof *x);

    if (!x)
        return NULL;
    x->lines = calloc(EXPLAIN_LINES, sizeof *x->lines);
    if (!x->lines) {
        free(x);
        return NULL;
    }
    x->sink = (struct sink){.event = explain_event, .close = explain_close};
    x->language = language;
    x->print = print;
    x->arg = arg;
    story_init(&x->story);
    buf_init(&x->text, TEXT_MAX);
    return &x->sink;
}

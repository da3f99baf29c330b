#include "notes.h"

#include <inttypes.h>
#include <string.h>

#include "../decoder/sasl.h"
#include "../decoder/verdict.h"
#include "xml_lines.h"

#define VIOLATION_SHOWN 2048 /* bytes of a violation that are printed */
#define SASL_SHOWN      4096 /* the longest decoded SASL message that is printed */

/* `: DETAIL` where there is one. */
static void put_detail(struct text *x, const char *detail)
{
    if (!detail || !detail[0])
        return;
    text_put(x, ": ");
    text_captured(x, detail);
}

/* `, NAME VALUE` where there is a value. */
static void put_fact(struct text *x, const char *name, const char *value)
{
    if (!value || !value[0])
        return;
    text_put(x, ", %s ", name);
    text_captured(x, value);
}

static void put_tls(struct text *x, const struct event_tls *tls)
{
    text_begin(x, TEXT_NOTE);
    text_put(x, "tls %s: handshake %s", side_name(tls->side), tls->ok ? "done" : "failed");
    put_detail(x, tls->ok ? NULL : tls->error);
    put_fact(x, "version", tls->version);
    put_fact(x, "cipher", tls->cipher);
    put_fact(x, "group", tls->group);
    put_fact(x, "SNI", tls->sni);
    put_fact(x, "certificate", tls->cert);
    put_fact(x, "its key", tls->cert_key);
    put_fact(x, "its SHA-256", tls->cert_sha256);
    put_fact(x, "signed with", tls->signature);
    put_fact(x, "ALPN", tls->alpn);
    if (tls->resumed)
        text_put(x, ", resumed");
    if (tls->client_asked)
        text_put(x, ", client certificate asked for");
    put_fact(x, "client certificate", tls->client_cert);
    put_fact(x, "its JID", tls->client_jid);
    put_fact(x, "verification", tls->verify);
    text_end(x);
}

static bool is_sasl(const struct event *ev)
{
    return ev->label && strncmp(ev->label, "sasl", 4) == 0;
}

/* `#-- sasl: NAME VALUE, ...` of a SASL message, `#-- sent: ...` of what was sent instead of an item,
 * `#-- facts: ...` of any other item. */
static void put_facts(struct text *x, const struct event *ev)
{
    if (ev->facts == 0)
        return;
    text_begin(x, TEXT_NOTE);
    text_put(x, is_sasl(ev) ? "sasl:" : ev->kind == EVENT_EDIT ? "sent:" : "facts:");
    for (unsigned i = 0; i < ev->facts; i++) {
        text_put(x, i ? ", " : " ");
        text_captured(x, ev->fact[i].name);
        text_put(x, " ");
        text_captured(x, ev->fact[i].value);
    }
    text_end(x);
}

static void put_edit(struct text *x, const struct event *ev, bool verbose)
{
    const struct event_edit *edit = &ev->u.edit;

    text_begin(x, TEXT_NOTE);
    text_put(x, "edit %s", dir_name(ev->dir));
    if (edit->of)
        text_put(x, " #%" PRIu64, edit->of);
    put_detail(x, edit->reason);
    text_put(x, "; %zu bytes sent %s", edit->sent_len,
             event_delayed(edit) ? "on as they were" : "instead");
    text_end(x);
    if (!verbose || event_delayed(edit))
        return;
    put_facts(x, ev);
    text_bytes(x, edit->sent, edit->sent_len);
}

size_t notes_shown(const struct event *ev)
{
    size_t n = ev->len;

    if (n <= VIOLATION_SHOWN)
        return n;
    n = VIOLATION_SHOWN;
    /* Not within a UTF-8 sequence: its halves would be printed as bytes. */
    while (n > VIOLATION_SHOWN - 3 && ((unsigned char)ev->data[n] & 0xC0) == 0x80)
        n--;
    return n;
}

static void put_violation(struct text *x, const struct event *ev)
{
    const struct event_violation *v = &ev->u.violation;

    text_begin(x, TEXT_NOTE);
    text_put(x, "violation (%s, offset %" PRIu64 "): %s",
             side_name(ev->dir == DIR_C2S ? SIDE_CLIENT : SIDE_SERVER), v->offset,
             error_text(v->code));
    put_detail(x, v->detail);
    text_end(x);
    if (ev->len == 0 && ev->withheld)
        text_instead(x, "[redacted: ", ev->withheld, " bytes]");
    else
        text_bytes(x, ev->data, notes_shown(ev));
}

static void put_gap(struct text *x, const struct event *ev)
{
    text_begin(x, TEXT_NOTE);
    text_put(x, "gap: %" PRIu64 " bytes of %s forwarded but not recorded", ev->u.gap.bytes,
             dir_name(ev->dir));
    text_end(x);
}

bool notes_end_told(const struct event_end *end)
{
    return end->code != ERR_CLOSED || (end->verdict && *end->verdict && !verdict_is_ok(end->verdict));
}

static void put_end(struct text *x, const struct event_end *end, bool verbose)
{
    text_begin(x, TEXT_NOTE);
    text_put(x, "end: %s: %s", side_name(end->by), error_text(end->code));
    if (!end->sentence || !end->detail || !strstr(end->sentence, end->detail))
        put_detail(x, end->detail); /* else the verdict says it */
    put_fact(x, "phase", end->phase);
    if (verbose) {
        uint64_t ms = end->duration_us > 0 ? (uint64_t)end->duration_us / 1000 : 0;
        put_fact(x, "account", end->account);
        put_fact(x, "server", end->server);
        text_put(x, ", after %" PRIu64 ".%03u s", ms / 1000, (unsigned)(ms % 1000));
        for (int dir = 0; dir < 2; dir++) {
            const struct event_count *count = &end->count[dir];
            text_put(x, ", %s %" PRIu64 " bytes", dir_name((enum dir)dir), count->bytes);
            if (count->edited)
                text_put(x, " (%" PRIu64 " sent on)", count->sent_bytes);
        }
    }
    text_end(x);
    if (!end->verdict || !*end->verdict)
        return;
    text_begin(x, TEXT_NOTE);
    text_put(x, "verdict ");
    text_captured(x, end->verdict);
    put_detail(x, end->sentence);
    text_end(x);
}

/* `#-- #N TIME DIR SIZE bytes[, +WAIT ms after #RE]` */
static void put_comment(struct text *x, const struct event *ev, const char *more)
{
    uint64_t us = ev->wait_us > 0 ? (uint64_t)ev->wait_us : 0; /* an archive may hold anything */

    text_begin(x, TEXT_NOTE);
    text_put(x, "#%" PRIu64 " ", ev->n);
    text_time(x, ev->time_us);
    text_put(x, " %s %" PRIu64 " bytes", dir_name(ev->dir), (uint64_t)ev->len + ev->withheld);
    if (ev->re)
        text_put(x, ", +%" PRIu64 ".%03u ms after #%" PRIu64, us / 1000, (unsigned)(us % 1000),
                 ev->re);
    text_put(x, "%s", more);
    text_end(x);
}

/* Where the message's base64 begins: SASL2 has it in an element of its own. */
static const char *sasl_text(const struct event *ev)
{
    static const char *const inside[] = {"initial-response", "additional-data"};
    const char *p = ev->data, *end = p + ev->len, *at;

    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        at = memmem(ev->data, ev->len, inside[i], strlen(inside[i]));
        p = at ? at : p;
    }
    at = memchr(p, '>', (size_t)(end - p));
    return at ? at + 1 : NULL;
}

/* What the base64 in a SASL element says, nothing where it is none. */
static void put_says(struct text *x, const struct event *ev)
{
    char message[SASL_SHOWN];
    const char *from = ev->len && is_sasl(ev) ? sasl_text(ev) : NULL, *to;
    long n;

    if (!from)
        return;
    to = memchr(from, '<', (size_t)(ev->data + ev->len - from));
    n = to ? sasl_base64(from, (size_t)(to - from), message, sizeof message) : 0;
    if (n <= 0)
        return;
    text_begin(x, TEXT_NOTE);
    text_put(x, "sasl says: ");
    if (!x->err)
        x->err = xml_lines_inline(&x->buf, message, (size_t)n);
    text_end(x);
}

void notes_comment(struct text *x, const struct event *ev, bool secrets)
{
    put_comment(x, ev, "");
    put_facts(x, ev);
    if (secrets)
        put_says(x, ev);
}

bool notes_below(struct text *x, const struct event *ev)
{
    const char *resumes = event_fact(ev, "resumes");

    if (!x)
        return ev->remarks || resumes;
    for (unsigned i = 0; i < ev->remarks; i++) {
        text_begin(x, TEXT_NOTE);
        text_put(x, "#%" PRIu64 " is odd (", ev->n);
        text_captured(x, ev->remark[i].name);
        text_put(x, ")");
        put_detail(x, ev->remark[i].value);
        text_end(x);
    }
    if (resumes) {
        text_begin(x, TEXT_NOTE);
        text_put(x, "goes on with session ");
        text_captured(x, resumes);
        text_end(x);
    }
    return true;
}

void notes_print(struct text *x, const struct event *ev, bool verbose)
{
    switch (ev->kind) {
    case EVENT_TLS:
        put_tls(x, &ev->u.tls);
        break;
    case EVENT_SPACE:
        put_comment(x, ev, ", white space");
        break;
    case EVENT_EDIT:
        put_edit(x, ev, verbose);
        break;
    case EVENT_VIOLATION:
        put_violation(x, ev);
        break;
    case EVENT_GAP:
        put_gap(x, ev);
        break;
    case EVENT_END:
        put_end(x, &ev->u.end, verbose);
        break;
    case EVENT_SESSION:
    case EVENT_STREAM:
    case EVENT_STANZA:
    case EVENT_KINDS:
        break;
    }
}

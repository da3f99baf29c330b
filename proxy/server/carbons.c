#include "carbons.h"

#include <string.h>

#include "answers.h"
#include "filter.h"
#include "markup.h"
#include "ns.h"
#include "world.h"

#define COPY_BYTES (512u << 10)

/* ---- enable, disable (XEP-0280 §4, §5) ---- */

static void set(struct ask *q, bool on)
{
    if (!profile_says(q->c->world->profile, NS_CARBONS)) {
        ask_error(q, "service-unavailable");
        return;
    }
    q->c->carbons = on;
    ask_result(q, NULL);
}

void answer_carbons_enable(struct ask *q)
{
    set(q, true);
}

void answer_carbons_disable(struct ask *q)
{
    set(q, false);
}

/* ---- which messages (XEP-0280 §6) ---- */

static bool has(const struct ask *q, const char *ns, const char *name)
{
    return item_find(q->it, 2, ns, name) >= 0;
}

static bool is_eligible(const struct ask *q)
{
    if (has(q, NS_CARBONS, NULL) || has(q, NS_HINTS, "no-copy")) /* a copy itself, <private/> */
        return false;
    if (!q->type || strcmp(q->type, "normal") == 0)
        return has(q, NS_CLIENT, "body") || has(q, NS_CHATSTATES, NULL) ||
               has(q, NS_RECEIPTS, NULL) || has(q, NS_MARKERS, NULL);
    return strcmp(q->type, "chat") == 0;
}

/* ---- the copies ---- */

/* Does the start tag at `p` say its default namespace? */
static bool says_namespace(const char *p, size_t n)
{
    char quote = 0;

    for (size_t i = 0; i < n; i++) {
        if (quote) {
            quote = p[i] == quote ? 0 : quote;
        } else if (p[i] == '\'' || p[i] == '"') {
            quote = p[i];
        } else if (p[i] == '>') {
            return false;
        } else if (strchr(" \t\r\n", p[i]) && n - i > 7 && memcmp(p + i + 1, "xmlns", 5) == 0 &&
                   strchr("= \t\r\n", p[i + 6])) {
            return true;
        }
    }
    return false;
}

/* Of `message`, to client `to`: `kind` is "sent" or "received". */
static int write_copy(struct buf *out, const struct client *to, const char *kind,
                      const struct buf *message)
{
    size_t name = 0;
    int err = buf_str(out, "<message type=\"chat\" from=\"");

    while (name < message->len && !strchr(" \t\r\n/>", message->p[name]))
        name++;
    if (!err)
        err = markup_escape(out, to->user->bare);
    if (!err)
        err = buf_str(out, "\" to=\"");
    if (!err)
        err = client_put_jid(to, out);
    if (!err)
        err = buf_printf(
            out, "\"><%s xmlns=\"" NS_CARBONS "\"><forwarded xmlns=\"" NS_FORWARD "\">", kind);
    if (!err)
        err = buf_add(out, message->p, name);
    if (!err && !says_namespace(message->p, message->len))
        err = buf_str(out, " xmlns=\"" NS_CLIENT "\"");
    if (!err)
        err = buf_add(out, message->p + name, message->len - name);
    return err ? err : buf_printf(out, "</forwarded></%s></message>", kind);
}

/* To those of the account's who want it and did not get it otherwise. */
static void copy_to(struct ask *q, struct user *u, const char *kind)
{
    struct buf copy;

    buf_init(&copy, COPY_BYTES);
    for (struct client *c = u->clients; c; c = c->next) {
        if (!c->carbons || c->got || c == q->c ||
            (u != q->c->user && !filter_takes(u, c, PRIVACY_MESSAGE, q->c)))
            continue;
        copy.len = 0;
        if (!write_copy(&copy, c, kind, q->text))
            client_send(c, copy.p, copy.len);
    }
    buf_free(&copy);
}

/* Has it gone to one of the account's itself? */
static bool has_got(const struct user *u)
{
    for (const struct client *c = u ? u->clients : NULL; c; c = c->next)
        if (c->got)
            return true;
    return false;
}

static void unmark(struct user *u)
{
    for (struct client *c = u ? u->clients : NULL; c; c = c->next)
        c->got = false;
}

/* Is there one to whom a copy must go? */
static bool wants(const struct user *u, const struct client *but)
{
    for (const struct client *c = u ? u->clients : NULL; c; c = c->next)
        if (c->carbons && !c->got && c != but)
            return true;
    return false;
}

static void copy(struct ask *q, bool sent, bool received)
{
    struct buf *before = ask_begin(q);

    ask_put_readdressed(q, q->to ? " from=\"$F\" to=\"$T\"" : " from=\"$F\" to=\"$B\"");
    if (!q->err && sent)
        copy_to(q, q->c->user, "sent");
    if (!q->err && received)
        copy_to(q, q->user, "received");
    ask_end(q, before);
}

void carbons_copy(struct ask *q)
{
    bool sent = wants(q->c->user, q->c);
    bool received = q->user != q->c->user && has_got(q->user) && wants(q->user, NULL);

    /* One that was refused is not copied. */
    if (!q->err && q->text->len == 0 && (sent || received) && is_eligible(q))
        copy(q, sent, received);
    unmark(q->user);
}

#include "only.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../decoder/jid.h"
#include "../decoder/story.h"
#include "json.h"
#include "message.h"
#include "session_map.h"

#define JID_BYTES 3072 /* RFC 7622 section 3.1 */

enum pattern_kind { PATTERN_JID, PATTERN_DOMAIN, PATTERN_ADDRESS };

struct pattern {
    enum pattern_kind kind;
    const char *text; /* borrowed */
};

/* Between its `session` and its `end`. */
struct held {
    struct session_key key; /* first */
    enum { WAITS, RECORDED, LEFT_OUT } state;
    struct story story; /* while it waits; so is the next */
    struct buf lines;
};

struct only {
    struct sink sink; /* first */
    struct sink *inner[ONLY_SINKS_MAX + 1];
    size_t bytes, all_bytes; /* of one session, and of all, that may wait */
    struct pattern pattern[ONLY_PATTERNS_MAX];
    unsigned patterns;
    bool accounts, domains; /* some pattern is one */
    struct session_map held;
    size_t waiting;         /* bytes of all that waits */
    uint64_t left_out;      /* sessions */
};

/* ---- patterns ---- */

/* An address as bytes: 4, 16, or 0 if it is none. */
static size_t address_bytes(const char *text, size_t n, unsigned char out[16])
{
    char copy[INET6_ADDRSTRLEN] = "";

    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if (n == 0 || n >= sizeof copy)
        return 0;
    memcpy(copy, text, n);
    if (inet_pton(AF_INET, copy, out) == 1)
        return 4;
    return inet_pton(AF_INET6, copy, out) == 1 ? 16 : 0;
}

static enum pattern_kind kind_of(const char *pattern)
{
    unsigned char bytes[16];

    if (strchr(pattern, '@'))
        return PATTERN_JID;
    return address_bytes(pattern, strlen(pattern), bytes) ? PATTERN_ADDRESS : PATTERN_DOMAIN;
}

int only_check(const char *pattern, struct error *e)
{
    const char *at = strchr(pattern, '@');
    bool address = kind_of(pattern) == PATTERN_ADDRESS;

    if (!*pattern || at == pattern || (at && !at[1]) || strlen(pattern) >= JID_BYTES ||
        (!address && strpbrk(pattern, "/: \t\r\n")))
        return error_set(e, ERR_USAGE, "--only \"%s\": give a bare JID (alice@example.org), a domain "
                         "(example.org) or a client's IP address without port", pattern);
    return 0;
}

static bool is_from(const char *client, const char *address)
{
    const char *colon = strrchr(client, ':');
    unsigned char a[16], b[16];
    size_t n = address_bytes(client, colon ? (size_t)(colon - client) : strlen(client), a);

    return n && n == address_bytes(address, strlen(address), b) && memcmp(a, b, n) == 0;
}

/* Is `account`, with or without resource, the bare `jid`? */
static bool is_account(const char *account, const char *jid)
{
    char bare[JID_BYTES];
    size_t n = account ? strcspn(account, "/") : sizeof bare;

    if (n >= sizeof bare)
        return false;
    memcpy(bare, account, n);
    bare[n] = '\0';
    return jid_same(bare, jid);
}

/* The one that logs in says a name, mostly without its domain. */
static bool is_user(const struct story *s, const char *jid)
{
    const char *user = story_get(s, "user"), *domain = story_get(s, "domain");
    char account[JID_BYTES];

    if (!user || strchr(user, '@') || !domain)
        return is_account(user, jid);
    return (size_t)snprintf(account, sizeof account, "%s@%s", user, domain) < sizeof account &&
           is_account(account, jid);
}

static bool is_asked_for(const struct only *o, const struct held *h, const struct event *ev)
{
    const char *domain = story_get(&h->story, "domain"), *jid = story_get(&h->story, "jid");

    for (const struct pattern *p = o->pattern; p < o->pattern + o->patterns; p++) {
        bool yes = false;

        switch (p->kind) {
        case PATTERN_ADDRESS:
            yes = ev->kind == EVENT_SESSION && is_from(ev->u.session_facts.client, p->text);
            break;
        case PATTERN_DOMAIN:
            yes = (domain && jid_same(domain, p->text)) || (jid && jid_in(jid, p->text)) ||
                  (ev->kind == EVENT_TLS && ev->u.tls.side == SIDE_CLIENT &&
                   jid_same(ev->u.tls.sni, p->text));
            break;
        case PATTERN_JID:
            yes = is_account(jid, p->text) || is_user(&h->story, p->text) ||
                  (ev->kind == EVENT_END && is_account(ev->u.end.account, p->text));
            break;
        }
        if (yes)
            return true;
    }
    return false;
}

/* Can no pattern match any more? Addresses decide at once, domains with the header, accounts when
 * the login is over: until then another may log in. */
static bool is_hopeless(const struct only *o, const struct held *h, const struct event *ev)
{
    const struct story *s = &h->story;

    if (ev->kind == EVENT_END)
        return true;
    if (o->accounts)
        return story_get(s, "bound") && (story_get(s, "jid") || story_get(s, "user"));
    return !o->domains || story_get(s, "domain");
}

/* ---- what waits ---- */

/* NULL without memory. */
static struct held *held_new(struct only *o, const char *id)
{
    struct held *h = session_map_add(&o->held, id, sizeof *h);

    if (!h)
        return NULL;
    story_init(&h->story);
    buf_init(&h->lines, o->bytes);
    return h;
}

static void settle(struct only *o, struct held *h, int state)
{
    o->waiting -= h->lines.len;
    o->left_out += state == LEFT_OUT;
    h->state = state;
    buf_free(&h->lines);
    story_free(&h->story);
}

static int hold(struct only *o, struct held *h, const struct event *ev)
{
    size_t before = h->lines.len;
    int err = json_event_write(&h->lines, ev);

    o->waiting += h->lines.len - before;
    return err ? err : o->waiting > o->all_bytes ? ERR_CAP : 0;
}

/* ---- to the other sinks ---- */

static int pass(struct only *o, const struct event *ev)
{
    int first = 0;

    for (struct sink **s = o->inner; *s; s++) {
        int err = (*s)->event(*s, ev);

        if (err && (*s)->error.code)
            o->sink.error = (*s)->error;
        if (err && !first)
            first = err;
    }
    return first;
}

/* What waited goes on, in order. */
static int pass_held(struct only *o, struct held *h)
{
    struct json_record record = {0};
    int first = 0, err;

    for (size_t at = 0; at < h->lines.len;) {
        const char *line = h->lines.p + at, *end = memchr(line, '\n', h->lines.len - at);
        size_t n = end ? (size_t)(end - line) + 1 : h->lines.len - at;

        err = json_event_read(&record, line, n, &o->sink.error);
        if (!err)
            err = pass(o, &record.event);
        if (err && !first)
            first = err;
        at += n;
    }
    json_record_free(&record);
    settle(o, h, RECORDED);
    return first;
}

/* ---- the sink ---- */

/* A session that is not decided yet hears one event more. */
static int wait_on(struct only *o, struct held *h, const struct event *ev)
{
    int err, first;

    story_event(&h->story, ev);
    if (is_asked_for(o, h, ev)) {
        first = pass_held(o, h);
        err = pass(o, ev);
        return first ? first : err;
    }
    if (is_hopeless(o, h, ev)) {
        settle(o, h, LEFT_OUT);
        return 0;
    }
    if (hold(o, h, ev) == 0)
        return 0;
    message(LEVEL_WARN, PAIRS("session", h->key.id),
            "nobody has told yet whose session this is, and too much of it waits for that (--only); "
            "it is recorded, whosever it is");
    first = pass_held(o, h);
    err = pass(o, ev);
    return first ? first : err;
}

static int only_event(struct sink *sink, const struct event *ev)
{
    struct only *o = (struct only *)sink;
    struct held *h = ev->kind == EVENT_SESSION ? held_new(o, ev->session)
                                               : session_map_get(&o->held, ev->session);
    int err = 0;

    sink->left_out = false;
    if (!h)
        return pass(o, ev); /* no memory to wait */
    if (h->state == WAITS)
        err = wait_on(o, h, ev);
    else if (h->state == RECORDED)
        err = pass(o, ev);
    sink->left_out = h->state == LEFT_OUT;
    if (ev->kind == EVENT_END)
        session_map_drop(&o->held, &h->key);
    return err;
}

static int only_tick(struct sink *sink, int64_t now_us)
{
    struct only *o = (struct only *)sink;
    int first = 0;

    for (struct sink **s = o->inner; *s; s++) {
        int err = (*s)->tick ? (*s)->tick(*s, now_us) : 0;

        if (err && (*s)->error.code)
            o->sink.error = (*s)->error;
        if (err && !first)
            first = err;
    }
    return first;
}

static int only_flush(struct sink *sink)
{
    struct only *o = (struct only *)sink;
    int first = 0;

    for (struct sink **s = o->inner; *s; s++) {
        int err = (*s)->flush ? (*s)->flush(*s) : 0;

        if (err && (*s)->error.code)
            o->sink.error = (*s)->error;
        if (err && !first)
            first = err;
    }
    return first;
}

/* A session without an end was cut off: nobody knows whose it would have been. */
static void pass_cut_off(struct only *o)
{
    for (size_t i = 0; i < o->held.buckets; i++)
        while (o->held.bucket[i]) {
            struct held *h = (struct held *)(void *)o->held.bucket[i];

            if (h->state == WAITS && pass_held(o, h))
                o->sink.error.code = o->sink.error.code ? o->sink.error.code : ERR_IO;
            session_map_drop(&o->held, &h->key);
        }
    session_map_free(&o->held);
}

static int only_close(struct sink *sink)
{
    struct only *o = (struct only *)sink;
    int first = 0;

    pass_cut_off(o);
    for (struct sink **s = o->inner; *s; s++) {
        int err = (*s)->close(*s);

        if (err && !first)
            first = err;
    }
    free(o);
    return first;
}

struct sink *only_new(const char *const *patterns, struct sink *const *inner, size_t bytes,
                      unsigned recorders)
{
    struct only *o = calloc(1, sizeof *o);

    if (!o)
        return NULL;
    o->bytes = bytes ? bytes : ONLY_SESSION_BYTES;
    o->all_bytes = ONLY_SESSIONS * o->bytes / recorders;
    o->sink.event = only_event;
    o->sink.tick = only_tick;
    o->sink.flush = only_flush;
    o->sink.close = only_close;
    for (; patterns[o->patterns] && o->patterns < ONLY_PATTERNS_MAX; o->patterns++) {
        enum pattern_kind kind = kind_of(patterns[o->patterns]);

        o->pattern[o->patterns] = (struct pattern){kind, patterns[o->patterns]};
        o->accounts |= kind == PATTERN_JID;
        o->domains |= kind == PATTERN_DOMAIN;
    }
    for (size_t i = 0; i < ONLY_SINKS_MAX && inner[i]; i++)
        o->inner[i] = inner[i];
    return &o->sink;
}

uint64_t only_left_out(const struct sink *s)
{
    return ((const struct only *)s)->left_out;
}

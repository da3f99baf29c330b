#include "story.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "labels.h"

#define UNBOUND    "channel binding cannot pass" /* in the reasons of edits (proxy/features.c) */
#define BRIDGE     "bridge: " /* begins the reasons of the bridge's edits (proxy/bridge.c) */
#define BRIDGED_TO ", bridged to "
#define QUIET_US 3000000 /* nobody spoke for so long before the end: worth saying */

/* ---- values ---- */

void story_init(struct story *s)
{
    *s = (struct story){0};
}

void story_free(struct story *s)
{
    for (unsigned i = 0; i < s->n; i++)
        free(s->values[i].value);
    free(s->values);
    story_init(s);
}

const char *story_find(const struct story *s, const char *key, size_t n)
{
    for (unsigned i = 0; i < s->n; i++) {
        const char *k = s->values[i].key;

        if (*k == *key && strncmp(k, key, n) == 0 && k[n] == '\0')
            return s->values[i].value;
    }
    return NULL;
}

const char *story_get(const struct story *s, const char *key)
{
    return story_find(s, key, strlen(key));
}

static struct story_value *place(struct story *s, const char *key)
{
    struct story_value *more;

    for (unsigned i = 0; i < s->n; i++)
        if (strcmp(s->values[i].key, key) == 0)
            return &s->values[i];
    if (s->n == s->cap) {
        more = realloc(s->values, (s->cap + 16) * sizeof *more);
        if (!more)
            return NULL;
        s->values = more;
        s->cap += 16;
    }
    s->values[s->n] = (struct story_value){key, NULL};
    return &s->values[s->n++];
}

/* Where a text must end that has room for `max` bytes: never inside a character of UTF-8. */
static size_t whole(const char *p, size_t max)
{
    size_t n = strnlen(p, max + 1);

    if (n <= max)
        return n;
    for (n = max; n > 0 && ((unsigned char)p[n] & 0xc0) == 0x80;)
        n--;
    return n;
}

void story_set(struct story *s, const char *key, const char *value)
{
    struct story_value *v;
    char *copy;

    if (!value || !*value)
        return;
    copy = strndup(value, whole(value, STORY_VALUE_MAX));
    v = copy ? place(s, key) : NULL;
    if (!v) {
        free(copy);
        return;
    }
    free(v->value);
    v->value = copy;
}

/* Forgets all keys that begin with `prefix`. */
static void forget(struct story *s, const char *prefix)
{
    size_t len = strlen(prefix);

    for (unsigned i = 0; i < s->n;)
        if (strncmp(s->values[i].key, prefix, len) == 0) {
            free(s->values[i].value);
            s->values[i] = s->values[--s->n];
        } else {
            i++;
        }
}

/* ---- what is learnt from wire items ---- */

static const char FORGET[] = "forget";
static const struct rule {
    const char *label, *fact, *key, *word;
} rules[] = {
#define RULE(label, fact, key, word) {label, fact, key, word},
#include "story.def"
#undef RULE
};

static bool label_matches(const char *pattern, const char *label)
{
    for (; *pattern == *label; pattern++, label++)
        if (!*pattern)
            return true;
    return *pattern == '*';
}

/* A fact's value, or (`!name`) a remark's words. */
static const char *told(const struct event *ev, const char *fact)
{
    if (*fact != '!')
        return event_fact(ev, fact);
    for (unsigned i = 0; i < ev->remarks; i++)
        if (strcmp(ev->remark[i].name, fact + 1) == 0)
            return ev->remark[i].value;
    return NULL;
}

/* Sentences go on behind it, so a full stop at its end is left out. */
static void set_fact(struct story *s, const char *key, const char *value)
{
    size_t n = value ? strlen(value) : 0, max = whole(value ? value : "", STORY_FACT_MAX);
    char cut[STORY_FACT_MAX + 4];

    if (n > max)
        snprintf(cut, sizeof cut, "%.*s...", (int)max, value);
    else if (n)
        snprintf(cut, sizeof cut, "%.*s", (int)(n - (value[n - 1] == '.')), value);
    story_set(s, key, n ? cut : NULL);
}

/* With what letters the rules' labels begin: most stanzas of a session are of none. */
static const char FIRST_LETTERS[] = "bcflrst";

const char *story_rule_label(size_t i, bool *looked_at)
{
    if (i >= sizeof rules / sizeof *rules)
        return NULL;
    *looked_at = strchr(FIRST_LETTERS, *rules[i].label) != NULL;
    return rules[i].label;
}

static bool apply(struct story *s, const struct event *ev)
{
    bool applied = false;

    if (!strchr(FIRST_LETTERS, *ev->label))
        return false;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct rule *r = &rules[i];

        if (*r->label != *ev->label || !label_matches(r->label, ev->label))
            continue;
        applied = true;
        if (r->word == FORGET)
            forget(s, r->key);
        else if (r->fact)
            set_fact(s, r->key, told(ev, r->fact));
        else
            story_set(s, r->key, r->word);
    }
    return applied;
}

/* What was answered to one who is logged in: was anything granted, what was refused? */
static void answered(struct story *s, const struct event *ev)
{
    if (!ev->re || ev->dir != DIR_S2C || label_matches("session.*", ev->label) ||
        label_matches("sm.*", ev->label))
        return;
    story_set(s, event_fact(ev, "condition") ? "iq.refused" : "iq.granted", ev->label);
    set_fact(s, "iq.condition", event_fact(ev, "condition"));
}

/* Who is logged in may try again what makes a login: whatever comes of it, that one stands. */
static bool is_of_login(const char *label)
{
    static const char *const labels[] = {"sasl.*", "sasl2.*", "legacy.*", "bind.*", "tls.*"};

    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (label_matches(labels[i], label))
            return true;
    return false;
}

static bool value_is(const struct story *s, const char *key, const char *value)
{
    const char *is = story_get(s, key);

    return is && strcmp(is, value) == 0;
}

/* A client that goes on to another mechanism hides what was wrong with the first: the server took its
 * gs2 flag y for an attack (RFC 5802 §6). */
static void refused(struct story *s)
{
    if (value_is(s, "sasl", "failure") && value_is(s, "sasl.condition", "malformed-request") &&
        value_is(s, "sasl.gs2", "y") && !story_get(s, "sasl.challenged") &&
        !story_get(s, "refused.y"))
        story_set(s, "refused.y", story_get(s, "mechanism"));
}

/* The login: what it says is learnt until it is over, and of what comes later all but another. */
static void learn(struct story *s, const struct event *ev)
{
    bool over = s->login_us != 0;

    if (over && is_of_login(ev->label))
        return;
    if (over)
        answered(s, ev);
    if (!apply(s, ev))
        return;
    refused(s);
    if (!over && story_get(s, "bound")) {
        s->login_us = ev->time_us;
        s->login_n = ev->n;
    }
}

static void wire(struct story *s, const struct event *ev)
{
    if (!ev->label)
        return;
    learn(s, ev);
    /* Direct TLS (XEP-0368): what a client sends once TLS stands is inside it, and it needs no second
     * stream. */
    if (s->tls_client && !s->secured && ev->dir == DIR_C2S) {
        story_set(s, "stream.secured", "yes");
        s->secured = true;
    }
    if (ev->closing) { /* who was the first to say goodbye? */
        if (!story_get(s, "left"))
            story_set(s, "left", ev->dir == DIR_C2S ? "client" : "server");
        return;
    }
    if (label_matches("stream.error.*", ev->label))
        return; /* what was before it is more worth knowing */
    s->last_us = ev->time_us;
    s->last_dir = ev->dir;
    s->last_n = ev->n;
    if (!memccpy(s->last, ev->label, '\0', sizeof s->last))
        s->last[sizeof s->last - 1] = '\0';
}

/* ---- what is learnt from the other events ---- */

static void tls(struct story *s, const struct event_tls *t)
{
    static const struct {
        const char *failed, *error, *version, *verify, *shown, *asked;
    } keys[] = {
        [SIDE_CLIENT] = {"tls.client", "tls.client.error", "tls.client.version", NULL,
                         "certificate.client", "certificate.client.asked"},
        [SIDE_SERVER] = {"tls.server", "tls.server.error", "tls.server.version",
                         "tls.server.verify", "certificate.shown", "certificate.asked"},
    };

    if (t->side == SIDE_PROXY)
        return;
    if (t->ok) /* it makes up for one that failed: another server was found */
        forget(s, keys[t->side].failed);
    story_set(s, keys[t->side].version, t->version);
    s->tls_client |= t->side == SIDE_CLIENT && t->version && *t->version;
    story_set(s, keys[t->side].shown, t->client_cert);
    if (t->client_asked)
        story_set(s, keys[t->side].asked, "yes");
    if (!t->ok) {
        story_set(s, keys[t->side].failed, *t->kind ? t->kind : "failed");
        story_set(s, keys[t->side].error, t->error);
    } else if (keys[t->side].verify && *t->kind) {
        story_set(s, keys[t->side].verify, t->kind);
    }
}

static void violation(struct story *s, const struct event *ev)
{
    const struct event_violation *v = &ev->u.violation;

    if (v->more || story_get(s, "violation"))
        return; /* the first one is the cause of the others */
    if (story_get(s, ev->dir == DIR_C2S ? "closed.client" : "closed.server"))
        return; /* what a side sends behind its goodbye is no cause of anything */
    story_set(s, "violation", error_name(v->code));
    story_set(s, "violation.text", error_text(v->code));
    story_set(s, "violation.side", ev->dir == DIR_C2S ? "client" : "server");
    story_set(s, "violation.detail", v->detail);
}

/* The proxy logs in for the client (--channel-binding bridge): what it sent to either side. */
static void bridged(struct story *s, const struct event *ev, const char *words)
{
    const char *mechanism, *mine, *colon;
    char both[STORY_VALUE_MAX];

    if (strncmp(words, BRIDGE, strlen(BRIDGE)) != 0 || s->login_us)
        return;
    words += strlen(BRIDGE);
    story_set(s, "bridge", "yes");
    if (strstr(words, "--account"))
        story_set(s, "bridge.account", "yes");
    mine = ev->dir == DIR_C2S ? event_fact(ev, "mechanism") : NULL;
    mechanism = story_get(s, "mechanism");
    if (mine && mechanism) {
        colon = strstr(mechanism, BRIDGED_TO);
        snprintf(both, sizeof both, "%.*s" BRIDGED_TO "%s",
                 (int)(colon ? (size_t)(colon - mechanism) : strlen(mechanism)), mechanism, mine);
        story_set(s, "mechanism", both);
    }
    if (ev->dir == DIR_S2C && event_fact(ev, "condition")) {
        colon = strstr(words, ": ");
        set_fact(s, "bridge.refused", event_fact(ev, "condition"));
        set_fact(s, "bridge.why", colon ? colon + 2 : NULL);
    }
}

/* What --fault did, each once. What made the login and did not come through made none. Returns the
 * words behind it: why it was edited besides. */
static const char *faulted(struct story *s, const struct event *ev)
{
    const char *words = ev->u.edit.reason + strlen(EVENT_EDIT_FAULT), *before = story_get(s, "fault");
    size_t n = strcspn(words, ";");
    char all[STORY_VALUE_MAX];

    if (!before || !memmem(before, strlen(before), words, n)) {
        snprintf(all, sizeof all, "%s%s%.*s", before ? before : "", before ? ", --fault " : "", (int)n,
                 words);
        story_set(s, "fault", all);
    }
    if (s->login_n && ev->u.edit.of == s->login_n &&
        (!ev->u.edit.sent_len || !memmem(words, n, "=delay:", 7))) {
        forget(s, "bound");
        s->login_us = 0;
        s->login_n = 0;
    }
    return words + n + strspn(words + n, "; ");
}

/* That a stream's features were edited is worth knowing, that white space was is not. */
static void edited(struct story *s, const struct event *ev)
{
    const char *words = ev->u.edit.reason;

    if (strncmp(words, EVENT_EDIT_FAULT, strlen(EVENT_EDIT_FAULT)) == 0)
        words = faulted(s, ev);
    bridged(s, ev, words);
    if (ev->u.edit.of && ev->u.edit.of == s->last_n && label_matches("features.*", s->last)) {
        story_set(s, "edit", ev->u.edit.reason);
        if (strstr(ev->u.edit.reason, UNBOUND))
            story_set(s, "edit.binding", ev->u.edit.reason);
    }
}

static void seconds(char *out, size_t size, int64_t us)
{
    int64_t ms = us > 0 ? us / 1000 : 0;

    if (ms < 1000)
        snprintf(out, size, "%" PRId64 " ms", ms);
    else
        snprintf(out, size, "%" PRId64 ".%" PRId64 " s", ms / 1000, ms % 1000 / 100);
}

static void requests(struct story *s, const struct event_end *end)
{
    char words[STORY_VALUE_MAX], wait[32];
    int len = 0;

    if (end->slows) {
        seconds(wait, sizeof wait, end->slow[0].us);
        snprintf(words, sizeof words, "#%" PRIu64 "%s%s after %s", end->slow[0].n,
                 end->slow[0].label ? " " : "", end->slow[0].label ? end->slow[0].label : "", wait);
        story_set(s, "slowest", words);
    }
    if (!end->unanswered)
        return;
    len = snprintf(words, sizeof words, "%" PRIu64 " request%s had no answer:", end->unanswered,
                   end->unanswered == 1 ? "" : "s");
    for (unsigned i = 0; i < end->opens && i < 5; i++)
        len += snprintf(words + len, sizeof words - (size_t)len, "%s #%" PRIu64 "%s%.40s",
                        i ? "," : "", end->open[i].n, end->open[i].label ? " " : "",
                        end->open[i].label ? end->open[i].label : "");
    story_set(s, "unanswered", words);
}

static void ended(struct story *s, const struct event *ev)
{
    const struct event_end *end = &ev->u.end;
    const struct label *l;
    char words[STORY_VALUE_MAX];

    story_set(s, "end", error_name(end->code));
    story_set(s, "end.text", error_text(end->code));
    story_set(s, "end.by", side_name(end->by));
    story_set(s, "end.phase", end->phase);
    story_set(s, "end.detail", end->detail);
    story_set(s, "account", end->account);
    if (s->login_us && !story_get(s, "jid")) /* a legacy login is told none (XEP-0078) */
        story_set(s, "jid", end->account);
    if (!story_get(s, "left"))
        story_set(s, "left", side_name(end->by));
    requests(s, end);
    if (*s->last && ev->time_us - s->last_us >= QUIET_US) {
        seconds(words, sizeof words, ev->time_us - s->last_us);
        story_set(s, "quiet", words);
    }
    if (s->login_us) {
        seconds(words, sizeof words, s->login_us - s->begin_us);
        story_set(s, "login.time", words);
    }
    if (*s->last) {
        l = label_by_id(s->last);
        snprintf(words, sizeof words, "\"%s\"", l ? label_text(l, LABELS_EN) : s->last);
        story_set(s, "last", s->last);
        story_set(s, "last.words", words);
        story_set(s, "last.by", s->last_dir == DIR_C2S ? "client" : "server");
    }
}

/* ---- the interface ---- */

/* Keys that are not of `rules`. */
static const char *const own_keys[] = {
    "tls.client", "tls.client.error", "tls.client.version", "tls.server", "tls.server.error",
    "tls.server.version", "tls.server.verify", "certificate.client", "certificate.client.asked",
    "certificate.shown", "certificate.asked", "violation", "violation.text", "violation.side",
    "violation.detail", "edit", "edit.binding", "refused.y", "bridge", "bridge.account",
    "bridge.refused", "bridge.why", "fault", "gap", "upstream", "iq.refused", "iq.granted", "iq.condition",
    "left", "end", "end.text", "end.by", "end.phase", "end.detail", "account", "slowest",
    "unanswered", "quiet", "login.time", "last", "last.words",
    "last.by",
};

const char *story_key(size_t i)
{
    size_t n = sizeof rules / sizeof *rules;

    while (i < n && rules[i].word == FORGET) /* such a row makes nothing known: the next one does */
        i++;
    if (i < n)
        return rules[i].key;
    return i - n < sizeof own_keys / sizeof *own_keys ? own_keys[i - n] : NULL;
}

void story_event(struct story *s, const struct event *ev)
{
    switch (ev->kind) {
    case EVENT_SESSION:
        s->begin_us = ev->time_us;
        story_set(s, "upstream", ev->u.session_facts.upstream);
        break;
    case EVENT_TLS:
        tls(s, &ev->u.tls);
        break;
    case EVENT_STREAM:
    case EVENT_STANZA:
        wire(s, ev);
        break;
    case EVENT_VIOLATION:
        violation(s, ev);
        break;
    case EVENT_EDIT:
        edited(s, ev);
        break;
    case EVENT_GAP:
        story_set(s, "gap", "yes");
        break;
    case EVENT_END:
        ended(s, ev);
        break;
    case EVENT_SPACE:
    case EVENT_KINDS:
        break;
    }
}

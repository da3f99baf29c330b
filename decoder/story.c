#include "story.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

const char *story_get(const struct story *s, const char *key)
{
    for (unsigned i = 0; i < s->n; i++)
        if (strcmp(s->values[i].key, key) == 0)
            return s->values[i].value;
    return NULL;
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

/* An empty value is none. */
static void set(struct story *s, const char *key, const char *value)
{
    struct story_value *v;
    char *copy;

    if (!value || !*value)
        return;
    copy = strndup(value, STORY_VALUE_MAX);
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

/* From an event whose label is `label` (or begins with what stands before a `*`): `key` gets the
 * value of the fact, or the word. FORGET: all keys that begin with `key` are forgotten. */
static const char FORGET[] = "forget";
static const struct rule {
    const char *label, *fact, *key, *word;
} rules[] = {
    {"stream.open", "to", "domain", NULL},
    {"stream.open", NULL, "stream.client", "yes"},
    {"stream.restart.tls", NULL, "stream.secured", "yes"},
    {"stream.close.client", NULL, "closed.client", "yes"},
    {"stream.close.server", NULL, "closed.server", "yes"},
    {"stream.error.server*", NULL, "error.server", "unknown"},
    {"stream.error.server*", "condition", "error.server", NULL},
    {"stream.error.server*", "text", "error.server.text", NULL},
    {"stream.error.server*", "address", "error.server.address", NULL},
    {"stream.error.server*", "own-condition", "error.server.own", NULL},
    {"stream.error.client*", NULL, "error.client", "unknown"},
    {"stream.error.client*", "condition", "error.client", NULL},
    {"stream.error.client*", "text", "error.client.text", NULL},

    {"features.*", NULL, "stream.server", "yes"},
    {"features.*", NULL, "offer.", FORGET},
    {"features.*", "version", "version", NULL},
    {"features.*", "starttls", "offer.starttls", NULL},
    {"features.*", "mechanisms", "offer.mechanisms", NULL},
    {"features.*", "sasl2-mechanisms", "offer.mechanisms2", NULL},
    {"features.*", "cb-types", "offer.cb-types", NULL},
    {"features.*", "compression", "offer.compression", NULL},
    {"features.*", "bind", "offer.bind", NULL},
    {"features.*", "session", "offer.session", NULL},
    {"features.*", "iq-auth", "offer.iq-auth", NULL},

    {"tls.request", NULL, "starttls", "asked"},
    {"tls.proceed", NULL, "starttls", "proceed"},
    {"tls.failure", NULL, "starttls", "failure"},

    {"sasl.auth", NULL, "sasl", FORGET},
    {"sasl.auth", NULL, "sasl", "asked"},
    {"sasl.auth", "mechanism", "mechanism", NULL},
    {"sasl.auth", "user", "user", NULL},
    {"sasl.auth", "gs2", "sasl.gs2", NULL},
    {"sasl.auth", "cb-type", "sasl.cb-type", NULL},
    {"sasl.auth", "malformed", "sasl.malformed", NULL},
    {"sasl.challenge", NULL, "sasl", "challenge"},
    {"sasl.challenge", NULL, "sasl.challenged", "yes"},
    {"sasl.challenge", "downgrade-hash", "sasl.downgrade", NULL},
    {"sasl.response", NULL, "sasl", "response"},
    {"sasl.response", "user", "user", NULL},
    {"sasl.response", "malformed", "sasl.malformed", NULL},
    {"sasl.abort", NULL, "sasl", "abort"},
    {"sasl.success", NULL, "sasl", "success"},
    {"sasl.success", NULL, "login", "yes"},
    {"sasl.success", "scram-error", "scram-error", NULL},
    {"sasl.failure*", NULL, "sasl", "failure"},
    {"sasl.failure*", NULL, "sasl.condition", "unknown"},
    {"sasl.failure*", "condition", "sasl.condition", NULL},
    {"sasl.failure*", "text", "sasl.text", NULL},
    {"sasl.failure*", "scram-error", "scram-error", NULL},

    {"sasl2.auth*", NULL, "sasl", FORGET},
    {"sasl2.auth*", NULL, "sasl", "asked"},
    {"sasl2.auth*", "mechanism", "mechanism", NULL},
    {"sasl2.auth*", "user", "user", NULL},
    {"sasl2.auth*", "gs2", "sasl.gs2", NULL},
    {"sasl2.auth*", "cb-type", "sasl.cb-type", NULL},
    {"sasl2.challenge", NULL, "sasl", "challenge"},
    {"sasl2.challenge", NULL, "sasl.challenged", "yes"},
    {"sasl2.challenge", "downgrade-hash", "sasl.downgrade", NULL},
    {"sasl2.response", NULL, "sasl", "response"},
    {"sasl2.abort", NULL, "sasl", "abort"},
    {"sasl2.success*", NULL, "sasl", "success"},
    {"sasl2.success*", NULL, "login", "yes"},
    {"sasl2.success*", "authorization-id", "jid", NULL},
    {"sasl2.failure*", NULL, "sasl", "failure"},
    {"sasl2.failure*", NULL, "sasl.condition", "unknown"},
    {"sasl2.failure*", "condition", "sasl.condition", NULL},
    {"sasl2.failure*", "text", "sasl.text", NULL},

    {"legacy.auth.request", NULL, "sasl", FORGET},
    {"legacy.auth.request", NULL, "sasl", "asked"},
    {"legacy.auth.request", NULL, "mechanism", "iq-auth"},
    {"legacy.auth.request", "user", "user", NULL},
    {"legacy.auth.result", NULL, "sasl", "success"},
    {"legacy.auth.result", NULL, "login", "yes"},
    {"legacy.auth.result", NULL, "bind", "result"},
    {"legacy.auth.error", NULL, "sasl", "failure"},
    {"legacy.auth.error", "condition", "sasl.condition", NULL},
    {"legacy.auth.error", "text", "sasl.text", NULL},

    {"register.error", "condition", "register.condition", NULL},
    {"register.error", "text", "register.text", NULL},

    {"bind.request", NULL, "bind", "asked"},
    {"bind.request", "resource", "resource", NULL},
    {"bind.result", NULL, "bind", "result"},
    {"bind.result", "jid", "jid", NULL},
    {"bind.error", NULL, "bind", "error"},
    {"bind.error", "condition", "bind.condition", NULL},
    {"bind.error", "text", "bind.text", NULL},
    {"session.request", NULL, "session", "asked"},
    {"session.result", NULL, "session", "result"},
    {"session.error", NULL, "session", "error"},
    {"session.error", "condition", "session.condition", NULL},

    {"compression.request", NULL, "compression", "asked"},
    {"compression.start", NULL, "compression", "started"},
    {"compression.failure*", NULL, "compression", "failure"},
    {"compression.failure*", "condition", "compression.condition", NULL},
    {"sm.resume", NULL, "resume", "asked"},
    {"sm.resumed", NULL, "resume", "resumed"},
    {"sm.resumed", NULL, "bind", "result"},
    {"sm.resumed", "resumes", "resumes", NULL},
    {"sm.failed*", NULL, "sm", "failed"},
    {"sm.failed*", "condition", "sm.condition", NULL},
};

static bool label_matches(const char *pattern, const char *label)
{
    for (; *pattern == *label; pattern++, label++)
        if (!*pattern)
            return true;
    return *pattern == '*';
}

static void apply(struct story *s, const struct event *ev)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct rule *r = &rules[i];

        if (*r->label != *ev->label || !label_matches(r->label, ev->label))
            continue;
        if (r->word == FORGET)
            forget(s, r->key);
        else
            set(s, r->key, r->fact ? event_fact(ev, r->fact) : r->word);
    }
}

static void wire(struct story *s, const struct event *ev)
{
    bool was_in = s->login_us != 0;

    if (!ev->label)
        return;
    s->items++;
    s->last_us = ev->time_us;
    s->last_dir = ev->dir;
    snprintf(s->last, sizeof s->last, "%s", ev->label);
    apply(s, ev);
    if (ev->re && event_fact(ev, "condition"))
        set(s, "iq-error", ev->label);
    if (!was_in && story_get(s, "bind") && strcmp(story_get(s, "bind"), "result") == 0)
        s->login_us = ev->time_us;
}

/* ---- what is learnt from the other events ---- */

static void tls(struct story *s, const struct event_tls *t)
{
    static const struct {
        const char *failed, *error, *version, *verify;
    } keys[] = {
        [SIDE_CLIENT] = {"tls.client", "tls.client.error", "tls.client.version", NULL},
        [SIDE_SERVER] = {"tls.server", "tls.server.error", "tls.server.version", "tls.server.verify"},
    };

    if (t->side == SIDE_PROXY)
        return;
    set(s, keys[t->side].version, t->version);
    if (!t->ok) {
        set(s, keys[t->side].failed, *t->kind ? t->kind : "failed");
        set(s, keys[t->side].error, t->error);
    } else if (keys[t->side].verify && *t->kind) {
        set(s, keys[t->side].verify, t->kind);
    }
}

static void violation(struct story *s, const struct event *ev)
{
    const struct event_violation *v = &ev->u.violation;

    if (v->more || story_get(s, "violation"))
        return; /* the first one is the cause of the others */
    set(s, "violation", error_name(v->code));
    set(s, "violation.text", error_text(v->code));
    set(s, "violation.side", ev->dir == DIR_C2S ? "client" : "server");
    set(s, "violation.detail", v->detail);
    if (s->login_us)
        set(s, "violation.late", "yes");
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
        set(s, "slowest", words);
    }
    if (!end->unanswered)
        return;
    len = snprintf(words, sizeof words, "%" PRIu64 " request%s had no answer:", end->unanswered,
                   end->unanswered == 1 ? "" : "s");
    for (unsigned i = 0; i < end->opens && i < 5; i++)
        len += snprintf(words + len, sizeof words - (size_t)len, "%s #%" PRIu64 "%s%.40s",
                        i ? "," : "", end->open[i].n, end->open[i].label ? " " : "",
                        end->open[i].label ? end->open[i].label : "");
    set(s, "unanswered", words);
}

static void ended(struct story *s, const struct event *ev)
{
    const struct event_end *end = &ev->u.end;
    char words[32];

    set(s, "end", error_name(end->code));
    set(s, "end.text", error_text(end->code));
    set(s, "end.by", side_name(end->by));
    set(s, "end.phase", end->phase);
    set(s, "end.detail", end->detail);
    set(s, "account", end->account);
    requests(s, end);
    if (s->items && ev->time_us - s->last_us >= QUIET_US) {
        seconds(words, sizeof words, ev->time_us - s->last_us);
        set(s, "quiet", words);
    }
    if (s->login_us) {
        seconds(words, sizeof words, s->login_us - s->begin_us);
        set(s, "login.time", words);
    }
    if (s->items) {
        set(s, "last", s->last);
        set(s, "last.by", s->last_dir == DIR_C2S ? "client" : "server");
    }
}

void story_event(struct story *s, const struct event *ev)
{
    switch (ev->kind) {
    case EVENT_SESSION:
        s->begin_us = ev->time_us;
        set(s, "upstream", ev->u.session_facts.upstream);
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
        set(s, "edit", ev->u.edit.reason);
        break;
    case EVENT_GAP:
        set(s, "gap", "yes");
        break;
    case EVENT_END:
        ended(s, ev);
        break;
    case EVENT_SPACE:
    case EVENT_KINDS:
        break;
    }
}

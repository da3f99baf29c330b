#include "meaning.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "redact.h"

#define REDACTED_KEPT 4096 /* bytes of buffer an idle session may keep */
#define NS_TLS        "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL       "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_BIND       "urn:ietf:params:xml:ns:xmpp-bind"

void meaning_init(struct meaning *m, bool redact, size_t item_bytes, const char *session,
                  struct sm_table *resumptions)
{
    *m = (struct meaning){.redact = redact, .phase = PHASE_OPEN};
    pair_init(&m->pair);
    sm_init(&m->sm, session, resumptions);
    sasl_init(&m->sasl);
    sasl_init(&m->bridged);
    secrets_init(&m->secrets);
    withhold_init(&m->withhold[0]);
    withhold_init(&m->withhold[1]);
    /* A masked secret may be shorter than its mask. */
    buf_init(&m->redacted, 2 * item_bytes + READER_SECRETS * sizeof REDACTED);
}

void meaning_free(struct meaning *m)
{
    pair_free(&m->pair);
    sm_free(&m->sm);
    secrets_free(&m->secrets);
    withhold_free(&m->withhold[0]);
    withhold_free(&m->withhold[1]);
    buf_free(&m->redacted);
    free(m->domain);
    free(m->account);
}

void meaning_restart(struct meaning *m, enum label_phase phase)
{
    m->phase = phase;
    pair_restart(&m->pair);
}

void meaning_missed(struct meaning *m, enum dir dir)
{
    pair_missed(&m->pair, dir);
    sm_missed(&m->sm, dir);
}

/* ---- what later items are understood by ---- */

static const char *known(const char *s)
{
    return s ? s : "";
}

/* Without memory what was known stands. */
static void learn(char **is, const char *s, size_t n)
{
    char *copy = *is && strlen(*is) == n && memcmp(*is, s, n) == 0 ? NULL : strndup(s, n);

    if (!copy)
        return;
    free(*is);
    *is = copy;
}

static void learn_domain(struct meaning *m, const struct item *it)
{
    const char *to = item_attr(it, 0, "to");

    if (to && strlen(to) < MEANING_DOMAIN_MAX)
        learn(&m->domain, to, strlen(to));
}

static void set_account(struct meaning *m, const char *user)
{
    char account[MEANING_ACCOUNT_MAX];
    bool bare = strchr(user, '@') != NULL;

    snprintf(account, sizeof account, "%s%s%s", user, bare ? "" : "@", bare ? "" : known(m->domain));
    learn(&m->account, account, strlen(account));
}

static void learn_account(struct meaning *m, const struct item *it, enum dir dir)
{
    int i = item_find(it, 3, NS_BIND, "jid");
    size_t n = i >= 0 ? strcspn(it->node[i].text, "/") : 0;

    if (dir == DIR_S2C && i >= 0)
        learn(&m->account, it->node[i].text, n < MEANING_ACCOUNT_MAX ? n : MEANING_ACCOUNT_MAX - 1);
    else if (*m->sasl.user && (m->phase != PHASE_BOUND || !*known(m->account)))
        set_account(m, m->sasl.user);
}

/* ---- one item ---- */

/* Type and payload namespace for the text of a `*.other` item; a nonza's own name and namespace. */
static void describe_other(const struct item *it, struct event *ev)
{
    bool stanza = strcmp(it->node[0].ns, "jabber:client") == 0;

    ev->type = stanza ? item_attr(it, 0, "type") : it->node[0].name;
    if (!stanza)
        ev->ns = it->node[0].ns;
    else if (it->nodes > 1)
        ev->ns = it->node[1].ns;
}

static const char *mask_text(const struct meaning *m, const char *s)
{
    return s && secrets_hold(&m->secrets, s, strlen(s)) ? REDACTED : s;
}

/* What is told of the item, and its bytes; false: without memory nothing of them may be shown. */
static bool mask_item(struct meaning *m, const struct item *it, struct meaning_notes *notes,
                      const char **p, size_t *n)
{
    redact_learn(it, &m->secrets);
    secrets_hide(&m->secrets, &notes->facts);
    secrets_hide(&m->secrets, &notes->remarks);
    m->redacted.len = 0;
    if (redact_item(it, &m->secrets, &m->redacted))
        return false;
    if (m->redacted.len) { /* else there was nothing to mask */
        *p = m->redacted.p;
        *n = m->redacted.len;
    }
    return true;
}

static void mask(struct meaning *m, const struct item *it, struct event *ev,
                 struct meaning_notes *notes)
{
    if (!m->redact)
        return;
    if (!mask_item(m, it, notes, &ev->data, &ev->len)) {
        ev->data = NULL;
        ev->withheld = ev->len;
        ev->len = 0;
    }
    ev->type = mask_text(m, ev->type);
    ev->ns = mask_text(m, ev->ns);
}

static void put_answer(struct event *ev, const struct pair_match *asked)
{
    ev->re = asked->n;
    ev->wait_us = asked->wait_us;
}

bool meaning_mask(struct meaning *m, const char **p, size_t *n)
{
    m->redacted.len = 0;
    if (!m->redact)
        return true;
    if (redact_bytes(*p, *n, &m->secrets, &m->redacted))
        return false;
    if (m->redacted.len) {
        *p = m->redacted.p;
        *n = m->redacted.len;
    }
    return true;
}

bool meaning_unreadable(struct meaning *m, enum dir dir, bool more, const char **p, size_t *n)
{
    bool kept;

    if (!m->redact)
        return true;
    m->redacted.len = 0;
    kept = withhold_bytes(&m->withhold[dir], &m->secrets, more, *p, *n, &m->redacted);
    *p = m->redacted.p;
    *n = m->redacted.len;
    return kept && m->phase == PHASE_BOUND;
}

static void put_notes(struct event *ev, const struct meaning_notes *notes)
{
    ev->fact = notes->facts.fact;
    ev->facts = notes->facts.n;
    ev->remark = notes->remarks.fact;
    ev->remarks = notes->remarks.n;
}

void meaning_header(struct meaning *m, const struct item *it, uint64_t n, int64_t now_us,
                    struct event *ev, struct meaning_notes *notes)
{
    struct pair_match asked;

    fact_init(&notes->facts);
    fact_init(&notes->remarks);
    if (pair_header(&m->pair, ev->dir, n, now_us, &asked))
        put_answer(ev, &asked);
    ev->label = label_id(label_for_header(ev->dir, m->phase, !m->opened[ev->dir]));
    m->opened[ev->dir] = true;
    describe_header(it, &notes->facts, &notes->remarks);
    if (ev->dir == DIR_C2S)
        learn_domain(m, it);
    put_notes(ev, notes);
    mask(m, it, ev, notes);
}

void meaning_close(struct meaning *m, struct event *ev)
{
    (void)m;
    ev->label = label_id(label_for_close(ev->dir));
    ev->closing = true;
}

/* Where the proxy logs in for the client there are two logins: what the client sends and is sent,
 * and what the server does. Before that, and without, there is one. */
static struct sasl *login_of(struct meaning *m, enum dir dir, bool sent)
{
    bool server = (dir == DIR_C2S) == sent;

    return server && (sent || *m->bridged.mechanism) ? &m->bridged : &m->sasl;
}

/* STARTTLS and SASL that the proxy says itself: answers are those to it. */
static void pair_sent(struct meaning *m, const struct item *it, enum dir dir, uint64_t n,
                      int64_t now_us)
{
    struct fact_list none;
    struct pair_match asked = {0};

    if (strcmp(it->node[0].ns, NS_SASL) != 0 && strcmp(it->node[0].ns, NS_TLS) != 0)
        return;
    fact_init(&none);
    pair_find(&m->pair, it, dir, now_us, known(m->account), known(m->domain), &asked, &none);
    pair_note(&m->pair, it, dir, n, now_us,
              label_id(label_for(it, dir, m->phase, NULL, known(m->account))), &none);
}

void meaning_sent(struct meaning *m, const struct item *it, uint64_t n, int64_t now_us,
                  struct event *ev, struct meaning_notes *notes)
{
    struct event_edit *edit = &ev->u.edit;
    bool shown = true;

    fact_init(&notes->facts);
    fact_init(&notes->remarks);
    if (it) {
        describe_item(it, &notes->facts);
        if (!event_delayed(edit)) { /* else nobody says it anew */
            pair_sent(m, it, ev->dir, n, now_us);
            sasl_item(login_of(m, ev->dir, true), it, ev->dir, &notes->facts,
                      m->redact ? &m->secrets : NULL);
        }
        if (m->redact)
            shown = mask_item(m, it, notes, &edit->sent, &edit->sent_len);
    } else if (m->redact) {
        shown = !redact_names(edit->sent, edit->sent_len) &&
                meaning_mask(m, &edit->sent, &edit->sent_len);
    }
    if (!shown) {
        edit->sent = REDACTED;
        edit->sent_len = sizeof REDACTED - 1;
    }
    put_notes(ev, notes);
}

void meaning_item(struct meaning *m, const struct item *it, uint64_t n, int64_t now_us,
                  struct event *ev, struct meaning_notes *notes)
{
    struct pair_match asked = {0};
    const struct label *label;

    fact_init(&notes->facts);
    fact_init(&notes->remarks);
    m->stanzas[ev->dir] += item_is_stanza(it);
    if (pair_find(&m->pair, it, ev->dir, now_us, known(m->account), known(m->domain), &asked,
                  &notes->remarks))
        put_answer(ev, &asked);
    label = label_for(it, ev->dir, m->phase, asked.label, known(m->account));
    ev->label = label_id(label);
    pair_note(&m->pair, it, ev->dir, n, now_us, ev->label, &notes->remarks);
    describe_item(it, &notes->facts);
    sasl_item(login_of(m, ev->dir, false), it, ev->dir, &notes->facts,
              m->redact ? &m->secrets : NULL);
    if (sm_item(&m->sm, it, ev->dir, known(m->domain), &notes->facts, &notes->remarks)) {
        pair_missed(&m->pair, DIR_C2S); /* what the earlier session has open is answered here */
        pair_missed(&m->pair, DIR_S2C);
    }
    if (label_is_other(label))
        describe_other(it, ev);
    learn_account(m, it, ev->dir);
    put_notes(ev, notes);
    mask(m, it, ev, notes);
}

void meaning_done(struct meaning *m)
{
    if (m->redacted.cap > REDACTED_KEPT)
        buf_free(&m->redacted);
}

void meaning_end(struct meaning *m, int64_t now_us, struct event_end *end)
{
    end->account = mask_text(m, *known(m->account) ? m->account : known(m->domain));
    snprintf(m->mechanism, sizeof m->mechanism, "%s%s%s", m->sasl.mechanism,
             *m->bridged.mechanism ? ", bridged to " : "", m->bridged.mechanism);
    end->mechanism = mask_text(m, m->mechanism);
    end->resumes = m->sm.resumes;
    memcpy(end->stanzas, m->stanzas, sizeof end->stanzas);
    pair_end(&m->pair, now_us, end);
}

#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../decoder/labels.h"
#include "fault_kind.h"

#define WORD_MAX  96   /* a phase's, an action's and a condition's name */
#define NEAR_MAX  3    /* names that are suggested */
#define ACTIONS   "delay:MS, drop, close, reset, error:CONDITION, malformed or silent"

static const struct {
    const char *name;
    enum fault_action action;
    bool takes; /* a value behind `:` */
} actions[] = {
    {"delay", FAULT_DELAY, true},
    {"drop", FAULT_DROP, false},
    {"close", FAULT_CLOSE, false},
    {"reset", FAULT_RESET, false},
    {"error", FAULT_ERROR, true},
    {"malformed", FAULT_MALFORMED, false},
    {"silent", FAULT_SILENT, false},
};

/* ---- what was meant ---- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* How many letters differ (Levenshtein). */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[WORD_MAX + 1], n = (unsigned)strlen(b);

    if (n > WORD_MAX)
        return n;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; *a; a++, i++) {
        unsigned before = row[0];

        row[0] = i;
        for (unsigned j = 1; j <= n; j++) {
            unsigned above = row[j];

            row[j] = least(least(row[j - 1], above) + 1, before + (*a != b[j - 1]));
            before = above;
        }
    }
    return row[n];
}

struct near {
    const char *name[NEAR_MAX];
    unsigned off[NEAR_MAX], n;
};

static bool is_farther(const struct near *near, unsigned i, const char *name, unsigned off)
{
    return near->off[i] > off || (near->off[i] == off && strlen(near->name[i]) > strlen(name));
}

/* The nearest, the shortest before others; what begins as `word` does is near, what differs too much
 * is none. */
static void near_add(struct near *near, const char *word, const char *name)
{
    size_t len = strlen(word);
    unsigned off = len && strncmp(word, name, len) == 0 ? 0 : distance(word, name), i;

    if (off > 1 + len / 4)
        return;
    for (i = near->n; i > 0 && is_farther(near, i - 1, name, off); i--)
        if (i < NEAR_MAX) {
            near->name[i] = near->name[i - 1];
            near->off[i] = near->off[i - 1];
        }
    if (i == NEAR_MAX)
        return;
    near->name[i] = name;
    near->off[i] = off;
    near->n += near->n < NEAR_MAX;
}

/* "; did you mean A, B or C?", of those that are about as near as the nearest; or ";". */
static const char *near_words(const struct near *near, char *out, size_t size)
{
    unsigned n = near->n;
    int len = 0;

    while (n > 1 && near->off[n - 1] > near->off[0] + 1)
        n--;
    for (unsigned i = 0; i < n && (size_t)len < size; i++)
        len += snprintf(out + len, size - (size_t)len, "%s%s",
                        i == 0 ? "; did you mean " : i + 1 < n ? ", " : " or ", near->name[i]);
    if ((size_t)len < size)
        snprintf(out + len, size - (size_t)len, n ? "?" : ";");
    return out;
}

/* ---- reading ---- */

static int no_phase(struct error *e, const char *text, const char *phase)
{
    struct near near = {0};
    const struct label *l;
    char words[200], group[20];
    bool none;

    snprintf(group, sizeof group, "%.*s", (int)strcspn(phase, ".") + 1, phase);
    for (size_t i = 0; (l = label_at(i)) != NULL; i++)
        near_add(&near, phase, label_id(l));
    none = near.n == 0 && strchr(group, '.');
    for (size_t i = 0; none && (l = label_at(i)) != NULL; i++)
        if (strncmp(label_id(l), group, strlen(group)) == 0)
            near_add(&near, group, label_id(l)); /* of what has its first word, the shortest */
    return error_set(e, ERR_USAGE, "--fault %.60s: there is no phase \"%.60s\"%s docs/labels.md "
                     "lists them all", text, phase, near_words(&near, words, sizeof words));
}

static int no_condition(struct error *e, const char *text, const char *label, const char *condition)
{
    enum fault_kind kind = fault_kind_of(label);
    const struct fault_condition *c;
    struct near near = {0};
    char words[120];

    for (size_t i = 0; (c = fault_condition_at(kind, i)) != NULL; i++)
        near_add(&near, condition, c->name);
    near_words(&near, words, sizeof words);
    return error_set(e, ERR_USAGE, "--fault %.60s: errors of %.40s have no condition \"%.40s\"%s "
                     "give one of %s, such as %s", text, label, condition, words,
                     fault_kind_source(kind), fault_condition_at(kind, 0)->name);
}

/* Digits alone, from 1 to `max`; 0: it is no such number. */
static unsigned number(const char *s, unsigned max)
{
    char *end;
    unsigned long n = strtoul(s, &end, 10);

    return *s < '0' || *s > '9' || *end || n > max ? 0 : (unsigned)n;
}

/* Takes "@N" off the end of `word`. False: what stands there is no number, or one is known already. */
static bool take_nth(char *word, struct fault *f)
{
    char *at = strchr(word, '@');

    if (!at)
        return true;
    if (f->nth)
        return false;
    *at = '\0';
    f->nth = number(at + 1, 1000000);
    return f->nth != 0;
}

static int read_action(char *word, const char *text, struct fault *f, struct error *e)
{
    char *colon = strchr(word, ':');
    const char *value = colon ? colon + 1 : "";
    size_t i = 0, n = sizeof actions / sizeof *actions;
    const struct fault_condition *c;

    if (colon)
        *colon = '\0';
    while (i < n && (strcmp(actions[i].name, word) != 0 || actions[i].takes != (colon != NULL)))
        i++;
    if (i == n)
        return error_set(e, ERR_USAGE, "--fault %.80s: give %s behind the =", text, ACTIONS);
    f->action = actions[i].action;
    if (f->action == FAULT_DELAY && !(f->ms = number(value, FAULT_MS_MAX)))
        return error_set(e, ERR_USAGE, "--fault %.80s: give the delay in milliseconds, 1 to %u, such "
                         "as delay:500", text, FAULT_MS_MAX);
    if (f->action != FAULT_ERROR)
        return 0;
    c = fault_condition(fault_kind_of(f->label), value);
    if (!c)
        return no_condition(e, text, f->label, value);
    f->condition = c->name;
    return 0;
}

static void put_text(struct fault *f, const char *action)
{
    char value[WORD_MAX] = "", nth[16] = "";

    if (f->action == FAULT_DELAY)
        snprintf(value, sizeof value, ":%u", f->ms);
    else if (f->action == FAULT_ERROR)
        snprintf(value, sizeof value, ":%s", f->condition);
    if (f->nth)
        snprintf(nth, sizeof nth, "@%u", f->nth);
    snprintf(f->text, sizeof f->text, "%.64s=%.16s%.48s%s", f->label, action, value, nth);
}

int fault_parse(const char *text, struct fault *f, struct error *e)
{
    char phase[WORD_MAX], action[WORD_MAX];
    const char *eq = strchr(text, '=');
    const struct label *l;
    int err;

    *f = (struct fault){.label = ""};
    if (!eq || (size_t)(eq - text) >= sizeof phase || strlen(eq + 1) >= sizeof action)
        return error_set(e, ERR_USAGE, "--fault %.80s: give PHASE=ACTION, such as "
                         "roster.result=drop; docs/labels.md lists the phases, ACTION is " ACTIONS,
                         text);
    snprintf(phase, sizeof phase, "%.*s", (int)(eq - text), text);
    snprintf(action, sizeof action, "%s", eq + 1);
    if (!take_nth(phase, f) || !take_nth(action, f))
        return error_set(e, ERR_USAGE, "--fault %.80s: give @N once, with a number from 1 behind the "
                         "@, such as roster.result=drop@2", text);
    l = label_by_id(phase);
    if (!l)
        return no_phase(e, text, phase);
    f->label = label_id(l);
    err = read_action(action, text, f, e);
    if (!err)
        put_text(f, action);
    return err;
}

#include "pair.h"

#include <stdlib.h>
#include <string.h>

struct pair_request {
    struct pair_request *next;
    struct pair_match match;
    enum dir dir;
    char id[];
};

void pair_init(struct pair *p)
{
    *p = (struct pair){0};
}

static void drop_first(struct pair *p)
{
    struct pair_request *q = p->first;

    p->first = q->next;
    if (!p->first)
        p->last = NULL;
    p->open--;
    free(q);
}

void pair_free(struct pair *p)
{
    while (p->first)
        drop_first(p);
}

static void pair_asked(struct pair *p, enum dir dir, const char *id, uint64_t n, int64_t time_us,
                const char *label)
{
    size_t len = strlen(id);
    struct pair_request *q;

    if (len > PAIR_ID_MAX)
        return;
    q = malloc(sizeof *q + len + 1);
    if (!q)
        return;
    if (p->open == PAIR_OPEN_MAX)
        drop_first(p);
    *q = (struct pair_request){.match = {n, time_us, label}, .dir = dir};
    memcpy(q->id, id, len + 1);
    if (p->last)
        p->last->next = q;
    else
        p->first = q;
    p->last = q;
    p->open++;
}

static bool pair_answered(struct pair *p, enum dir dir, const char *id, struct pair_match *m)
{
    struct pair_request *before = NULL, *q = p->first;

    while (q && (q->dir == dir || strcmp(q->id, id) != 0)) {
        before = q;
        q = q->next;
    }
    if (!q)
        return false;
    *m = q->match;
    if (before)
        before->next = q->next;
    else
        p->first = q->next;
    if (p->last == q)
        p->last = before;
    p->open--;
    free(q);
    return true;
}

static bool is_iq(const struct item *it, const char *a, const char *b)
{
    const char *type = item_attr(it, 0, "type");

    return strcmp(it->node[0].name, "iq") == 0 && type &&
           (strcmp(type, a) == 0 || strcmp(type, b) == 0);
}

bool pair_find(struct pair *p, const struct item *it, enum dir dir, const char *account,
               const char *domain, struct pair_match *m, struct fact_list *remarks)
{
    const char *id = item_attr(it, 0, "id");

    (void)account;
    (void)domain;
    (void)remarks;
    return id && is_iq(it, "result", "error") && pair_answered(p, dir, id, m);
}

void pair_note(struct pair *p, const struct item *it, enum dir dir, uint64_t n, int64_t time_us,
               const char *label)
{
    const char *id = item_attr(it, 0, "id");

    if (id && is_iq(it, "get", "set"))
        pair_asked(p, dir, id, n, time_us, label);
}

void pair_end(const struct pair *p, int64_t now_us, struct event_end *end)
{
    for (const struct pair_request *q = p->first; q; q = q->next) {
        if (end->opens < EVENT_OPEN_MAX)
            end->open[end->opens++] = (struct event_request){q->match.n, now_us - q->match.time_us, q->match.label};
        end->unanswered++;
    }
}

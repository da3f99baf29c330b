/* report_pushes.c: what came unasked: the same in both sessions, in another form, or in one alone.
 */
#include <stdlib.h>
#include <string.h>

#include "report_writing.h"

struct pushed {
    size_t i;           /* in the plan, or in the replayer's list */
    uint64_t hash, key; /* key: of the same kind, from the same */
    bool done;
};

struct pushes {
    struct pushed *list; /* owned */
    size_t n;
};

static uint64_t mix(uint64_t hash, const char *s)
{
    do
        hash = (hash ^ (unsigned char)*s) * 0x100000001b3u;
    while (*s++);
    return hash;
}

static uint64_t key_of(const struct tree *t)
{
    const struct tree_node *x = &t->node[0];
    const char *type = tree_value(t, 0, "type");
    uint32_t payload = tree_find(t, 0, NULL, NULL);
    uint64_t key = mix(mix(0xcbf29ce484222325u, x->name), type ? type : "");

    for (uint32_t i = 0; i < x->attrs; i++)
        if (strcmp(t->attr[x->attr + i].name, "from") == 0 && t->attr[x->attr + i].even)
            key = mix(key, t->attr[x->attr + i].even);
    return payload == TREE_NONE ? key : mix(mix(key, t->node[payload].ns), t->node[payload].name);
}

static void add_pushed(struct pushes *list, size_t i, const struct tree *t)
{
    list->list[list->n++] = (struct pushed){i, t->node[0].hash, key_of(t), false};
}

static bool collect(struct writing *w, struct pushes *captured, struct pushes *live)
{
    const struct plan *p = w->plan;

    captured->list = calloc(p->items + 1, sizeof *captured->list);
    live->list = calloc(w->r->pushes + 1, sizeof *live->list);
    if (!captured->list || !live->list)
        return false;
    for (size_t i = 0; i < p->items; i++) {
        const struct plan_item *x = &p->item[i];

        if (x->dir == DIR_S2C && x->re == PLAN_NONE && !x->sm &&
            report_read(w, p->bytes.p + x->at, x->len, NULL, 0))
            add_pushed(captured, i, &w->captured);
    }
    for (size_t i = 0; i < w->r->pushes; i++) {
        const struct plan_bytes *b = &w->r->push[i].bytes;

        if (report_read(w, NULL, 0, w->r->kept.p + b->at, b->len))
            add_pushed(live, i, &w->live);
    }
    return true;
}

static int by_hash(const void *a, const void *b)
{
    const struct pushed *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->i < y->i ? -1 : x->i > y->i;
}

static int by_place(const void *a, const void *b)
{
    const struct pushed *x = a, *y = b;

    return x->i < y->i ? -1 : x->i > y->i;
}

/* Takes out what both have. */
static void take_out_same(struct writing *w, struct pushes *a, struct pushes *b)
{
    size_t i = 0, j = 0;

    qsort(a->list, a->n, sizeof *a->list, by_hash);
    qsort(b->list, b->n, sizeof *b->list, by_hash);
    while (i < a->n && j < b->n) {
        if (a->list[i].hash == b->list[j].hash) {
            a->list[i++].done = b->list[j++].done = true;
            w->counts->pushes_same++;
        } else if (a->list[i].hash < b->list[j].hash) {
            i++;
        } else {
            j++;
        }
    }
    qsort(a->list, a->n, sizeof *a->list, by_place);
    qsort(b->list, b->n, sizeof *b->list, by_place);
}

static struct pushed *like(struct pushes *in, uint64_t key)
{
    for (size_t i = 0; i < in->n; i++)
        if (!in->list[i].done && in->list[i].key == key)
            return &in->list[i];
    return NULL;
}

/* One that came to one of them alone, or to each in another form. Either may be NULL. */
static void write_push(struct writing *w, const struct pushed *a, const struct pushed *b)
{
    const struct plan_item *x = a ? &w->plan->item[a->i] : NULL;
    const struct plan_bytes *y = b ? &w->r->push[b->i].bytes : NULL;
    char name[300] = "came unasked";
    struct entry e = {.what = "push",
                      .name = name,
                      .verdict = "only",
                      .n = x ? x->n : 0,
                      .label = x ? x->label : NULL,
                      .captured = x ? w->plan->bytes.p + x->at : NULL,
                      .captured_len = x ? x->len : 0,
                      .live = y ? w->r->kept.p + y->at : NULL,
                      .live_len = y ? y->len : 0};
    struct buf shown;

    if (x)
        report_name(w, x, name, sizeof name);
    if (x && y) {
        w->counts->pushes_differ += !report_compared(w, &e);
        return;
    }
    buf_init(&shown, 4096);
    e.verdict = x ? "captured" : "live";
    if (report_read(w, e.captured, e.captured_len, e.live, e.live_len))
        report_add(w, diff_write_element(x ? &w->captured : &w->live, 0, &shown));
    report_add(w, buf_add(&shown, "", 1));
    e.more = shown.p;
    e.words = x ? "not this time" : "not in the capture";
    report_entry(w, &e);
    buf_free(&shown);
    if (x)
        w->counts->only_captured++;
    else
        w->counts->only_live++;
}

void report_pushes(struct writing *w)
{
    struct pushes a = {0}, b = {0};

    if (!collect(w, &a, &b)) {
        report_add(w, ERR_NOMEM);
    } else {
        take_out_same(w, &a, &b);
        for (size_t i = 0; i < a.n && !w->err; i++) {
            struct pushed *other = a.list[i].done ? NULL : like(&b, a.list[i].key);

            if (!a.list[i].done)
                write_push(w, &a.list[i], other);
            if (other)
                other->done = true;
        }
        for (size_t i = 0; i < b.n && !w->err; i++)
            if (!b.list[i].done)
                write_push(w, NULL, &b.list[i]);
    }
    free(a.list);
    free(b.list);
}

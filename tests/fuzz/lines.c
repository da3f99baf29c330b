#include "lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../logs/json.h"

#define FOREIGN "{\"new\":[],"
#define LINE_MAX (64u << 20)

/* One way of reading. */
struct way {
    struct json_record rec;
    struct buf again; /* the event, written */
    struct error e;
    int err;
};

static void read_way(struct way *w, const char *line, size_t n)
{
    *w = (struct way){0};
    buf_init(&w->again, LINE_MAX);
    w->err = json_event_read(&w->rec, line, n, &w->e);
    /* What is written must not fail: a time that no line can tell is as good as any other. */
    if (!w->err && w->rec.event.kind != EVENT_KINDS && json_event_write(&w->again, &w->rec.event))
        w->again.len = 0;
}

static void free_way(struct way *w)
{
    json_record_free(&w->rec);
    buf_free(&w->again);
}

static bool same(const struct way *a, const struct way *b, char *why, size_t size)
{
    bool same = a->err == b->err &&
                (a->err || (a->rec.event.kind == b->rec.event.kind &&
                            a->rec.event.time_us == b->rec.event.time_us &&
                            a->again.len == b->again.len &&
                            (!a->again.len || !memcmp(a->again.p, b->again.p, a->again.len))));

    if (!same)
        snprintf(why, size, "straight %d (%s) %.*s, through jansson %d (%s) %.*s", a->err,
                 a->e.detail, (int)a->again.len, a->again.len ? a->again.p : "", b->err,
                 b->e.detail, (int)b->again.len, b->again.len ? b->again.p : "");
    return same;
}

bool lines_agree(const char *line, size_t n, char *why, size_t size)
{
    size_t front = sizeof FOREIGN - 1;
    struct way straight, tree;
    char *foreign;
    bool ok;

    if (n < 2 || line[0] != '{' || line[1] == '}')
        return true; /* a field in front would make another line of it */
    foreign = malloc(front + n);
    if (!foreign)
        abort();
    memcpy(foreign, FOREIGN, front);
    memcpy(foreign + front, line + 1, n - 1);
    read_way(&straight, line, n);
    read_way(&tree, foreign, front + n - 1);
    ok = same(&straight, &tree, why, size);
    free_way(&straight);
    free_way(&tree);
    free(foreign);
    return ok;
}

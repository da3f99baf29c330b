/* report_writing.h: what the parts of the report share. Only they include it.
 */
#ifndef XMPPTAP_REPLAY_REPORT_WRITING_H
#define XMPPTAP_REPLAY_REPORT_WRITING_H

#include "diff.h"
#include "report.h"

struct writing {
    const struct replayer *r;
    const struct plan *plan;
    const struct report_options *o;
    struct report *counts;
    FILE *to;
    struct buf line;
    struct tree captured, live; /* the pair at hand */
    int err;
};

/* One line of the report: what it is about. Empty and NULL: there is none. */
struct entry {
    const char *verdict, *what, *name;
    uint64_t n; /* in the archive; 0: it has none */
    const char *label;
    const char *captured, *live; /* bytes */
    size_t captured_len, live_len;
    const char *words; /* behind the name */
    const struct diff *diff;
    const char *more; /* lines like diff's */
};

/* The first error counts. */
void report_add(struct writing *w, int err);

void report_entry(struct writing *w, const struct entry *e);

/* One or both (NULL: not that one) as trees, evened out, in `w`. False: one cannot be read. */
bool report_read(struct writing *w, const char *captured, size_t captured_len, const char *live,
                 size_t live_len);

/* Compares the entry's two items and writes it. True: they are the same. */
bool report_compared(struct writing *w, const struct entry *about);

/* What the item is called, to `out`. Returns it. */
const char *report_name(struct writing *w, const struct plan_item *x, char *out, size_t size);

/* What came unasked to one of them alone, or differs (report_pushes.c). */
void report_pushes(struct writing *w);

#endif

/* sections.h: what a golden case expects, a section each: the table of views on its events.
 *
 * To add one, write a function of struct section's kind and a row in sections.c; then
 * GOLDEN_UPDATE=1 build/release/tests/golden/test_cases writes it into each case.
 */
#ifndef XMPPTAP_TESTS_SECTIONS_H
#define XMPPTAP_TESTS_SECTIONS_H

#include "../../decoder/buf.h"
#include "../../logs/event.h"
#include "../../logs/sink.h"

/* A view: appends its text, whole lines, to `out`. `ev` are all events of the case (of all its
 * sessions) as an archive gives them back, in order. Returns 0 or an error code. */
struct section {
    const char *name; /* [a-z]+ */
    int (*write)(struct buf *out, const struct event *ev, size_t n);
};

/* A row without a name ends it. */
extern const struct section sections[];

/* The transcript that a case expects, on memory: a sink, and its text at the end. */
struct sink *section_transcript(int *fd);
int section_transcript_end(struct sink *s, int fd, struct buf *out) MUST_CHECK;

#endif

/* diff.h: how two items that answer the same question differ, in words.
 *
 * Both were evened out (even.h). Elements and attributes may stand in any order. An iq's error is
 * compared by its type and conditions alone (RFC 6120 §8.3), not by its words or by what it quotes
 * of the request. One thread; pure.
 */
#ifndef XMPPTAP_REPLAY_DIFF_H
#define XMPPTAP_REPLAY_DIFF_H

#include "tree.h"

#define DIFF_LINES_MAX 40  /* of one pair; the rest is counted */
#define DIFF_WORD_MAX  300 /* bytes of a value or an element that are shown */

struct diff {
    struct buf lines; /* a newline behind each; what was captured is escaped (logs/xml_lines.h) */
    unsigned count;   /* differences, also those that are not shown */
};

void diff_init(struct diff *d);
void diff_free(struct diff *d); /* can be used again */

/* Errors: ERR_NOMEM; the count is right all the same, 0 only where they are the same. */
int diff_items(const struct tree *captured, const struct tree *live, struct diff *d) MUST_CHECK;

/* "result", "error item-not-found (cancel)", "<enabled/>": an answer in short, appended. */
int diff_name_answer(const struct tree *t, struct buf *out) MUST_CHECK;

/* Appends an element in short, on one line, escaped. */
int diff_write_element(const struct tree *t, uint32_t node, struct buf *out) MUST_CHECK;

#endif

/* verdict.h: what came of a session, and why, in one sentence with cause and cure.
 *
 * The table is verdicts.def; what it asks for are the values of a story. Pure, any thread.
 */
#ifndef XMPPTAP_VERDICT_H
#define XMPPTAP_VERDICT_H

#include "story.h"

#define VERDICT_SENTENCE_MAX 1024

struct verdict {
    const char *id; /* static; "" if no row holds */
    bool ok;        /* nothing failed */
    size_t row;     /* of verdicts.def that gave it */
    char sentence[VERDICT_SENTENCE_MAX];
};

struct verdict_row {
    const char *id;
    bool ok;
    const char *when, *sentence;
};

void verdict_give(const struct story *s, struct verdict *v);

/* Did nothing fail, by the id of an archived verdict? */
bool verdict_is_ok(const char *id);

/* Every row in order, NULL behind the last; for tests and docs. */
const struct verdict_row *verdict_row(size_t i);

/* The two languages of a row, by themselves: does `when` hold? What does `sentence` say? `out` ends
 * in NUL; what finds no room is cut, never inside a character. */
bool verdict_holds(const struct story *s, const char *when);
void verdict_write(const struct story *s, const char *sentence, char *out, size_t size);

#endif

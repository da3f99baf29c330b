/* verdict.h: what came of a session, and why, in one sentence with cause and cure.
 *
 * The table is verdicts.def; what it asks for are the values of a story. Pure, any thread.
 */
#ifndef XMPPTAP_VERDICT_H
#define XMPPTAP_VERDICT_H

#include "story.h"

#define VERDICT_SENTENCE_MAX 640

struct verdict {
    const char *id; /* static; "" if no row holds */
    bool ok;        /* nothing failed */
    char sentence[VERDICT_SENTENCE_MAX];
};

void verdict_give(const struct story *s, struct verdict *v);

/* Did nothing fail, by the id of an archived verdict? */
bool verdict_is_ok(const char *id);

/* Every row's id, for tests and docs: NULL behind the last. `wants`: its condition. */
const char *verdict_at(size_t i, const char **wants);

#endif

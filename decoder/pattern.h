/* pattern.h: the patterns of labels.def, asked of an item's elements. Pure functions: any thread.
 *
 *   "NAMESPACE", "NAMESPACE name", "NAMESPACE name attribute=value"
 *
 * A `*` at the end of namespace or value stands for any rest but none. Terms are joined by " & "
 * (all must match, each any of the elements) and " | " (alternatives); & binds closer.
 */
#ifndef XMPPTAP_PATTERN_H
#define XMPPTAP_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "reader.h"

/* Does `pattern` hold among the elements [from, to) of `it` that stand at `depth`? */
bool pattern_holds(const char *pattern, const struct item *it, unsigned depth, unsigned from,
                   unsigned to);

/* A quick no: of each element there are marks, which may fall together with another's. `exact`: of
 * namespace and name; `loose`: of one of them. A pattern cannot hold where the item lacks a mark of
 * `all`, or has none of `any` where that is not empty. Elements down to depth 3 are marked. */
struct pattern_marks {
    uint64_t exact, loose;
};
struct pattern_needs {
    struct pattern_marks all, any;
};

struct pattern_needs pattern_needs(const char *pattern, unsigned depth);
struct pattern_marks pattern_marks(const struct item *it);

static inline bool pattern_may_hold(const struct pattern_needs *n, const struct pattern_marks *has)
{
    return !(n->all.exact & ~has->exact) && !(n->all.loose & ~has->loose) &&
           (!(n->any.exact | n->any.loose) ||
            (n->any.exact & has->exact) | (n->any.loose & has->loose));
}

#endif

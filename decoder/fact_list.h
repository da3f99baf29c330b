/* fact_list.h: named facts in the order they were learnt, in memory of a fixed size.
 *
 * Made on the stack for one item (facts and remarks of an event point into it). What does not fit
 * is left out, a value that is too long is cut; there is no failure. Any thread.
 */
#ifndef XMPPTAP_FACT_LIST_H
#define XMPPTAP_FACT_LIST_H

#include "../logs/event.h"

#define FACT_BYTES     4096 /* all values */
#define FACT_VALUE_MAX 512  /* one of them; a cut one ends in "..." */

struct fact_list {
    unsigned n;
    struct event_fact fact[EVENT_FACTS_MAX];
    size_t used;
    char bytes[FACT_BYTES];
};

void fact_init(struct fact_list *l);

/* `name` is static. An empty value adds nothing, nor does a name that the list has already: what was
 * said first counts. What is not UTF-8, and control characters, stay:
 * whoever prints or writes escapes. */
void fact_add(struct fact_list *l, const char *name, const char *value);
void fact_add_bytes(struct fact_list *l, const char *name, const char *p, size_t n);
void fact_printf(struct fact_list *l, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* NULL if there is none. */
const char *fact_get(const struct fact_list *l, const char *name);

/* ---- what is odd about an item: remarks.def ---- */

enum remark {
#define REMARK(code, name, fmt) REMARK_##code,
#include "remarks.def"
#undef REMARK
    REMARKS
};

/* Adds the remark with its words, which take the arguments that remarks.def gives. A remark that
 * the list has already is not added again. */
void remark_add(struct fact_list *l, enum remark r, ...);
const char *remark_name(enum remark r);

#endif

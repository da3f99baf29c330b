/* pair.h: open requests, so that an answer finds its question (RFC 6120 §8.2.3).
 *
 * One session's, in the recorder thread. Bounded: the oldest open request is forgotten when a new
 * one finds the table full.
 */
#ifndef XMPPTAP_PAIR_H
#define XMPPTAP_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "fact_list.h"
#include "reader.h"

#define PAIR_OPEN_MAX 256
#define PAIR_ID_MAX   255 /* longer ids are not paired */

struct pair_request; /* owned by its table */

struct pair {
    struct pair_request *first, *last; /* oldest first */
    unsigned open;
};

struct pair_match {
    uint64_t n;
    int64_t time_us;
    const char *label; /* the request's id, static */
};

void pair_init(struct pair *p);
void pair_free(struct pair *p);

/* Before an item is labelled: does it answer an open request? True and the request in `m`, which
 * is closed by it. `account` (bare JID) and `domain`: who an answer without `from` may come from,
 * "" while unknown (RFC 6120 §8.1.2.1). What is odd about ids is added to `remarks`. */
bool pair_find(struct pair *p, const struct item *it, enum dir dir, const char *account,
               const char *domain, struct pair_match *m, struct fact_list *remarks);

/* When it is labelled: a request is remembered. Without memory it is not: its answer goes
 * unpaired. */
void pair_note(struct pair *p, const struct item *it, enum dir dir, uint64_t n, int64_t time_us,
               const char *label);

/* Which requests are still open, and which answers were the slowest. */
void pair_end(const struct pair *p, int64_t now_us, struct event_end *end);

#endif

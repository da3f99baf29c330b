/* pair.h: open requests, so that an answer finds its question (RFC 6120 §8.2.3).
 *
 * One session's, in the recorder thread. Bounded: the oldest open request is forgotten when a new
 * one finds the table full.
 */
#ifndef XMPPTAP_PAIR_H
#define XMPPTAP_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "../logs/event.h"

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

/* A request was sent in `dir`. Without memory it is not remembered: its answer goes unpaired. */
void pair_asked(struct pair *p, enum dir dir, const char *id, uint64_t n, int64_t time_us,
                const char *label);

/* An answer came in `dir`: true and the request in `m` (which is closed by it), or false. */
bool pair_answered(struct pair *p, enum dir dir, const char *id, struct pair_match *m);

#endif

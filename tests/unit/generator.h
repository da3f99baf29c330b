/* generator.h: random XMPP streams for tests, the same for the same seed: nested stanzas, prefixes
 * bound, bound again and unbound, both quotes, references, CDATA, white space, UTF-8, long text.
 */
#ifndef XMPPTAP_GENERATOR_H
#define XMPPTAP_GENERATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "../../decoder/buf.h"

#define GENERATED_ITEMS 24

struct generated {
    struct buf bytes;
    unsigned tokens;                  /* header, items and close, if there is one */
    size_t from[GENERATED_ITEMS + 2]; /* where each begins */
    size_t to[GENERATED_ITEMS + 2];
};

enum injury {
    INJURY_FLIP,    /* one byte is another one */
    INJURY_CUT,     /* a few bytes are missing */
    INJURY_ILLEGAL, /* a byte is inserted that no XML has */
    INJURY_END_TAG, /* an end tag of another name */
    INJURY_TWICE,   /* an attribute twice */
    INJURY_UNBOUND, /* a prefix that nothing binds */
    INJURIES
};

/* A number below `n`. */
unsigned random_below(uint64_t *seed, size_t n);

/* Well-formed, and nothing in it that XMPP forbids. */
void generate(struct generated *g, uint64_t seed);
void generated_free(struct generated *g);

/* Puts one error into the stream (INJURY_FLIP may be none); returns the token's index. Where the
 * bytes stand afterwards `from` and `to` do not know. From INJURY_END_TAG on, tags end as before.
 */
unsigned injure(struct generated *g, uint64_t *seed, enum injury how);

#endif

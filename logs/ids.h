/* ids.h: numbers of sessions, found by their ids.
 *
 * A hash table with open addressing, at most a quarter full, so that most ids that are not in it are
 * told by one look, without their text. Not for threads.
 */
#ifndef XMPPTAP_IDS_H
#define XMPPTAP_IDS_H

#include <stddef.h>
#include <stdint.h>

#include "../decoder/errors.h"

#define IDS_NONE SIZE_MAX

struct ids_slot {
    uint64_t hash;
    const char *id; /* NULL: free */
    size_t number;
};

struct ids {
    struct ids_slot *slot; /* owned */
    size_t slots, used;
};

/* Zeroed before its first use. */
void ids_free(struct ids *ids);

/* Forgets all, keeps the memory. */
void ids_clear(struct ids *ids);

/* Adds an id that is not there; borrowed until ids_clear() or ids_free(). ERR_NOMEM. */
int ids_add(struct ids *ids, const char *id, size_t number) MUST_CHECK;

/* The number of the id of `n` bytes; IDS_NONE: it is not there. */
size_t ids_find(const struct ids *ids, const char *id, size_t n);

#endif

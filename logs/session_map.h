/* session_map.h: what a sink keeps for each session, found by the session's id.
 *
 * Embedded in the sink, zeroed at first; one thread. It grows with the sessions, so that finding
 * one costs the same among ten and ten thousand.
 */
#ifndef XMPPTAP_SESSION_MAP_H
#define XMPPTAP_SESSION_MAP_H

#include <stddef.h>
#include <stdint.h>

/* First in what is kept. */
struct session_key {
    struct session_key *next; /* in its bucket */
    uint32_t hash;
    char *id;
};

struct session_map {
    struct session_key **bucket; /* owned */
    size_t buckets, count;
};

/* NULL: there is none. */
void *session_map_get(const struct session_map *m, const char *id);

/* `size` bytes, zeroed but for the key; they belong to the map. NULL without memory. There must be
 * none with this id. */
void *session_map_add(struct session_map *m, const char *id, size_t size);

/* Takes it out and frees it. */
void session_map_drop(struct session_map *m, struct session_key *key);

/* Frees the map, which must be empty: its user goes through the buckets. */
void session_map_free(struct session_map *m);

#endif

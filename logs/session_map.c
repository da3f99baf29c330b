#include "session_map.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_FIRST 64

static uint32_t hash_of(const char *id)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 16777619u;
    return hash;
}

static struct session_key **bucket(const struct session_map *m, uint32_t hash)
{
    return &m->bucket[hash % m->buckets];
}

void *session_map_get(const struct session_map *m, const char *id)
{
    uint32_t hash = hash_of(id);
    struct session_key *key = m->count ? *bucket(m, hash) : NULL;

    while (key && (key->hash != hash || strcmp(key->id, id) != 0))
        key = key->next;
    return key;
}

/* As many buckets as sessions, or more. Where there is no memory for it the old ones will do. */
static void grow(struct session_map *m)
{
    size_t buckets = m->buckets ? 2 * m->buckets : BUCKETS_FIRST;
    struct session_map new = {.bucket = calloc(buckets, sizeof *new.bucket), .buckets = buckets};
    struct session_key *key, *next;

    if (!new.bucket)
        return;
    for (size_t i = 0; i < m->buckets; i++) {
        for (key = m->bucket[i]; key; key = next) {
            next = key->next;
            key->next = *bucket(&new, key->hash);
            *bucket(&new, key->hash) = key;
        }
    }
    free(m->bucket);
    m->bucket = new.bucket;
    m->buckets = buckets;
}

void *session_map_add(struct session_map *m, const char *id, size_t size)
{
    size_t n = strlen(id) + 1;
    struct session_key *key, **at;

    if (m->count >= m->buckets)
        grow(m);
    key = m->buckets ? calloc(1, size + n) : NULL;
    if (!key)
        return NULL;
    key->id = (char *)key + size;
    memcpy(key->id, id, n);
    key->hash = hash_of(id);
    at = bucket(m, key->hash);
    key->next = *at;
    *at = key;
    m->count++;
    return key;
}

void session_map_drop(struct session_map *m, struct session_key *key)
{
    struct session_key **at = bucket(m, key->hash);

    while (*at != key)
        at = &(*at)->next;
    *at = key->next;
    m->count--;
    free(key);
}

void session_map_free(struct session_map *m)
{
    free(m->bucket);
}

#include "ids.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 256

void ids_free(struct ids *ids)
{
    free(ids->slot);
    *ids = (struct ids){0};
}

void ids_clear(struct ids *ids)
{
    if (ids->used)
        memset(ids->slot, 0, ids->slots * sizeof *ids->slot);
    ids->used = 0;
}

/* Ids differ in their last bytes, so each step must reach all bits. */
static uint64_t hash(const char *p, size_t n)
{
    uint64_t h = n, w;

    for (; n >= sizeof w; p += sizeof w, n -= sizeof w) {
        memcpy(&w, p, sizeof w);
        h = (h ^ w) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
    }
    w = 0;
    memcpy(&w, p, n);
    h = (h ^ w) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

/* The id's slot, or the free one where it would go. */
static struct ids_slot *slot_of(const struct ids *ids, uint64_t h, const char *id, size_t n)
{
    size_t i = (size_t)h & (ids->slots - 1);

    for (;; i = (i + 1) & (ids->slots - 1)) {
        struct ids_slot *s = &ids->slot[i];
        if (!s->id || (s->hash == h && strlen(s->id) == n && memcmp(s->id, id, n) == 0))
            return s;
    }
}

static int grow(struct ids *ids)
{
    struct ids more = {.slots = ids->slots ? 2 * ids->slots : FIRST_SLOTS, .used = ids->used};

    more.slot = calloc(more.slots, sizeof *more.slot);
    if (!more.slot)
        return ERR_NOMEM;
    for (size_t i = 0; i < ids->slots; i++) {
        const struct ids_slot *s = &ids->slot[i];
        if (s->id)
            *slot_of(&more, s->hash, s->id, strlen(s->id)) = *s;
    }
    free(ids->slot);
    *ids = more;
    return 0;
}

int ids_add(struct ids *ids, const char *id, size_t number)
{
    size_t n = strlen(id);
    uint64_t h = hash(id, n);

    if (4 * ids->used >= ids->slots && grow(ids))
        return ERR_NOMEM;
    *slot_of(ids, h, id, n) = (struct ids_slot){h, id, number};
    ids->used++;
    return 0;
}

size_t ids_find(const struct ids *ids, const char *id, size_t n)
{
    const struct ids_slot *s = ids->slots ? slot_of(ids, hash(id, n), id, n) : NULL;

    return s && s->id ? s->number : IDS_NONE;
}

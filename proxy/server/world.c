#include "world.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "../../decoder/jid.h"

#define SCRATCH_BYTES (512u << 10) /* an item, and what is put around it */

static unsigned bucket_of(const char *bare)
{
    return (unsigned)(jid_hash(1469598103934665603u, bare) % WORLD_BUCKETS);
}

struct world *world_new(const struct profile *p)
{
    struct world *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    if (RAND_bytes(w->secret, sizeof w->secret) != 1) {
        free(w);
        return NULL;
    }
    w->profile = p;
    w->began_s = world_now_s(w);
    buf_init(&w->scratch, SCRATCH_BYTES);
    return w;
}

void world_free(struct world *w)
{
    if (!w)
        return;
    for (unsigned i = 0; i < WORLD_BUCKETS; i++) {
        while (w->bucket[i]) {
            struct user *u = w->bucket[i];

            w->bucket[i] = u->next;
            user_free(u);
        }
    }
    buf_free(&w->scratch);
    OPENSSL_cleanse(w->secret, sizeof w->secret);
    free(w);
}

struct user *world_find(const struct world *w, const char *bare)
{
    struct user *u = w->bucket[bucket_of(bare)];

    while (u && strcmp(u->bare, bare) != 0)
        u = u->next;
    return u;
}

struct user *world_user(const struct world *w, const char *local, const char *domain)
{
    struct jid j = {.local = ""};
    char bare[JID_MAX + 1];

    strcpy(j.local, local);
    strcpy(j.domain, domain);
    return world_find(w, prep_bare(&j, bare));
}

struct user *world_make(struct world *w, const char *local, const char *domain)
{
    struct user *u = w->users < WORLD_USERS ? user_new(local, domain) : NULL;
    unsigned b;

    if (!u)
        return NULL;
    if (profile_begin(w->profile, u)) {
        user_free(u);
        return NULL;
    }
    b = bucket_of(u->bare);
    u->next = w->bucket[b];
    w->bucket[b] = u;
    w->users++;
    return u;
}

void world_remove(struct world *w, struct user *u)
{
    struct user **at = &w->bucket[bucket_of(u->bare)];

    while (*at != u)
        at = &(*at)->next;
    *at = u->next;
    w->users--;
    user_free(u);
}

bool world_serves(const struct world *w, const char *domain)
{
    if (!w->closed)
        return true;
    for (unsigned i = 0; i < WORLD_BUCKETS; i++)
        for (const struct user *u = w->bucket[i]; u; u = u->next)
            if (strcmp(u->domain, domain) == 0)
                return true;
    return false;
}

int64_t world_now_s(const struct world *w)
{
    return w->fixed_s ? w->fixed_s : (int64_t)time(NULL);
}

#include "world.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "../../decoder/jid.h"
#include "../../decoder/reader.h"
#include "client.h"
#include "part.h"
#include "server.h"

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
    strcpy(w->domain, "localhost");
    buf_init(&w->scratch, SCRATCH_BYTES);
    w->part = part_new();
    if (!w->part) {
        world_free(w);
        return NULL;
    }
    return w;
}

void world_free(struct world *w)
{
    if (!w)
        return;
    while (w->waiting) {
        struct client *c = w->waiting;

        world_attach(w, c);
        client_free(c);
    }
    reader_free(w->reader);
    for (unsigned i = 0; i < WORLD_BUCKETS; i++) {
        while (w->bucket[i]) {
            struct user *u = w->bucket[i];

            w->bucket[i] = u->next;
            user_free(u);
        }
    }
    caps_cache_free(&w->caps);
    part_free(w->part);
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
    if (profile_begin(w->profile, u, w->part)) {
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

/* ---- clients without a connection ---- */

static void enlist(struct world *w, struct client *c)
{
    struct client **at = &w->waiting;

    while (*at && (*at)->until_us <= c->until_us)
        at = &(*at)->next_waiting;
    c->next_waiting = *at;
    *at = c;
    w->waits++;
    if (w->servers)
        server_wake(w->servers);
}

void world_wait(struct world *w, struct client *c)
{
    if (w->waits >= WORLD_WAITING)
        world_forget(w, w->waiting);
    c->server = NULL;
    c->until_us = w->now_us + (int64_t)w->profile->sm_max_s * 1000000;
    enlist(w, c);
}

void world_attach(struct world *w, struct client *c)
{
    struct client **at = &w->waiting;

    while (*at && *at != c)
        at = &(*at)->next_waiting;
    if (!*at)
        return;
    *at = c->next_waiting;
    w->waits--;
}

void world_forget(struct world *w, struct client *c)
{
    world_attach(w, c);
    client_gone(c);
}

void world_hurry(struct world *w, struct client *c)
{
    if (c->until_us == 0)
        return;
    world_attach(w, c);
    c->until_us = 0;
    enlist(w, c);
}

int64_t world_due_us(const struct world *w)
{
    return w->waiting ? w->waiting->until_us : -1;
}

void world_tick(struct world *w, int64_t now_us)
{
    w->now_us = now_us;
    while (w->waiting && w->waiting->until_us <= now_us)
        world_forget(w, w->waiting);
}

const struct item *world_read(struct world *w, const char *p, size_t n)
{
    struct reader_stream none;
    const struct item *it = NULL;
    struct error e;
    int err;

    if (!w->reader)
        w->reader = reader_new();
    if (!w->reader)
        return NULL;
    reader_stream_init(&none);
    err = reader_item_deep(w->reader, &none, p, n, &it, &e);
    reader_stream_free(&none);
    return err ? NULL : it;
}

int64_t world_now_s(const struct world *w)
{
    return w->fixed_s ? w->fixed_s : (int64_t)time(NULL);
}

#include "sm_holders.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jid.h"

struct held {
    char *id, *domain; /* owned; NULL: free */
    uint64_t hash;     /* of both */
    uint64_t used;
    char session[SM_SESSION_MAX];
};

struct sm_holders {
    pthread_mutex_t lock;
    uint64_t uses;
    struct held held[SM_STREAMS_MAX];
};

struct sm_holders *sm_holders_new(void)
{
    struct sm_holders *h = calloc(1, sizeof *h);

    if (h)
        pthread_mutex_init(&h->lock, NULL);
    return h;
}

static void empty(struct held *e)
{
    free(e->id);
    free(e->domain);
    *e = (struct held){0};
}

void sm_holders_free(struct sm_holders *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < SM_STREAMS_MAX; i++)
        empty(&h->held[i]);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

static uint64_t hash_of(const char *id, const char *domain)
{
    uint64_t hash = jid_hash(0xcbf29ce484222325u, domain); /* FNV-1a */

    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 0x100000001b3u;
    return hash;
}

/* Under the lock: the stream's, or what to use for it: free, or the one longest untouched. */
static struct held *find(struct sm_holders *h, const char *id, const char *domain, bool *found)
{
    uint64_t hash = hash_of(id, domain);
    struct held *oldest = &h->held[0];

    *found = true;
    for (struct held *e = h->held; e < h->held + SM_STREAMS_MAX; e++) {
        if (e->id && e->hash == hash && strcmp(e->id, id) == 0 && jid_same(e->domain, domain))
            return e;
        if (e->used < oldest->used)
            oldest = e;
    }
    *found = false;
    return oldest;
}

static void fill(struct held *e, const char *id, const char *domain)
{
    empty(e);
    e->id = strdup(id);
    e->domain = strdup(domain);
    e->hash = hash_of(id, domain);
    if (!e->id || !e->domain)
        empty(e);
}

void sm_holders_set(struct sm_holders *h, const char *id, const char *domain, const char *session)
{
    struct held *e;
    bool found;

    if (!h || strlen(id) > SM_ID_MAX)
        return;
    pthread_mutex_lock(&h->lock);
    e = find(h, id, domain, &found);
    if (!found)
        fill(e, id, domain);
    e->used = e->id ? ++h->uses : 0;
    snprintf(e->session, sizeof e->session, "%s", session);
    pthread_mutex_unlock(&h->lock);
}

bool sm_holders_get(struct sm_holders *h, const char *id, const char *domain,
                    char session[SM_SESSION_MAX])
{
    const struct held *e;
    bool found;

    if (!h)
        return false;
    pthread_mutex_lock(&h->lock);
    e = find(h, id, domain, &found);
    if (found)
        memcpy(session, e->session, sizeof e->session);
    pthread_mutex_unlock(&h->lock);
    return found;
}

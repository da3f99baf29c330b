#include "own.h"

static struct own_end **bucket(struct own_ends *o, const struct sockaddr_storage *a)
{
    return &o->bucket[address_port(a) % OWN_BUCKETS];
}

void own_init(struct own_ends *o)
{
    *o = (struct own_ends){0};
    pthread_mutex_init(&o->lock, NULL);
}

void own_free(struct own_ends *o)
{
    pthread_mutex_destroy(&o->lock);
}

/* Under the lock. */
static void unlink_end(struct own_end *end)
{
    *end->prev = end->next;
    if (end->next)
        end->next->prev = end->prev;
}

void own_enter(struct own_ends *o, struct own_end *end, const struct sockaddr_storage *a)
{
    struct own_end **at = bucket(o, a);

    pthread_mutex_lock(&o->lock);
    if (end->entered)
        unlink_end(end);
    end->entered = true;
    end->address = *a;
    end->next = *at;
    end->prev = at;
    if (end->next)
        end->next->prev = &end->next;
    *at = end;
    pthread_mutex_unlock(&o->lock);
}

void own_leave(struct own_ends *o, struct own_end *end)
{
    if (!end->entered)
        return;
    end->entered = false;
    pthread_mutex_lock(&o->lock);
    unlink_end(end);
    pthread_mutex_unlock(&o->lock);
}

bool own_has(struct own_ends *o, const struct sockaddr_storage *a)
{
    const struct own_end *end;

    pthread_mutex_lock(&o->lock);
    end = *bucket(o, a);
    while (end && !address_equal(&end->address, a))
        end = end->next;
    pthread_mutex_unlock(&o->lock);
    return end != NULL;
}

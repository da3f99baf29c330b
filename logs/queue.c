#include "queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define BLOCK_BYTES (sizeof(struct entry) + QUEUE_ENTRY_MAX + 8)
#define SPARE_MAX   4

struct queue {
    size_t max_bytes;
    atomic_size_t bytes;         /* published, and not given back by the consumer */
    struct block *filling;       /* the producer's own */
    pthread_mutex_t lock;        /* guards what follows */
    pthread_cond_t ready;
    struct block *first, *last;
    struct block *spare;
    unsigned spares;
    bool closed;
};

struct queue *queue_new(size_t max_bytes)
{
    struct queue *q = calloc(1, sizeof *q);
    pthread_condattr_t attr;

    if (!q)
        return NULL;
    q->max_bytes = max_bytes;
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->ready, &attr);
    pthread_condattr_destroy(&attr);
    return q;
}

static void free_blocks(struct block *b)
{
    while (b) {
        struct block *next = b->next;
        free(b);
        b = next;
    }
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    free_blocks(q->filling);
    free_blocks(q->first);
    free_blocks(q->spare);
    pthread_cond_destroy(&q->ready);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

static struct block *block_new(struct queue *q)
{
    struct block *b;

    pthread_mutex_lock(&q->lock);
    b = q->spare;
    if (b) {
        q->spare = b->next;
        q->spares--;
    }
    pthread_mutex_unlock(&q->lock);
    if (!b)
        b = malloc(sizeof *b + BLOCK_BYTES);
    if (b)
        *b = (struct block){.cap = BLOCK_BYTES, .bytes = (char *)(b + 1)};
    return b;
}

/* With its header, up to where the next one begins. */
static size_t entry_size(size_t len)
{
    return (sizeof(struct entry) + len + 7) & ~(size_t)7;
}

struct entry *queue_push(struct queue *q, size_t len)
{
    size_t size = entry_size(len);
    struct entry *e;

    if (len > QUEUE_ENTRY_MAX)
        return NULL;
    if (q->filling && q->filling->cap - q->filling->len < size)
        queue_publish(q);
    if (!q->filling)
        q->filling = block_new(q);
    if (!q->filling)
        return NULL;
    e = (struct entry *)(void *)(q->filling->bytes + q->filling->len);
    e->len = (uint32_t)len;
    q->filling->len += size;
    return e;
}

bool queue_pending(const struct queue *q)
{
    return q->filling != NULL;
}

void queue_publish(struct queue *q)
{
    if (!q->filling)
        return;
    atomic_fetch_add(&q->bytes, q->filling->len);
    pthread_mutex_lock(&q->lock);
    if (q->last)
        q->last->next = q->filling;
    else
        q->first = q->filling;
    q->last = q->filling;
    q->filling = NULL;
    pthread_cond_signal(&q->ready);
    pthread_mutex_unlock(&q->lock);
}

void queue_publish_soon(struct queue *q)
{
    bool behind;

    pthread_mutex_lock(&q->lock);
    behind = q->first != NULL;
    pthread_mutex_unlock(&q->lock);
    if (!behind)
        queue_publish(q);
}

size_t queue_bytes(struct queue *q)
{
    return atomic_load(&q->bytes);
}

bool queue_full(struct queue *q)
{
    return queue_bytes(q) + (q->filling ? q->filling->len : 0) >= q->max_bytes;
}

void queue_close(struct queue *q)
{
    queue_publish(q);
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_signal(&q->ready);
    pthread_mutex_unlock(&q->lock);
}

static void deadline_in(int wait_ms, struct timespec *ts)
{
    clock_gettime(CLOCK_MONOTONIC, ts);
    ts->tv_sec += wait_ms / 1000;
    ts->tv_nsec += wait_ms % 1000 * 1000000L;
    if (ts->tv_nsec >= 1000000000L) {
        ts->tv_sec++;
        ts->tv_nsec -= 1000000000L;
    }
}

struct block *queue_take(struct queue *q, int wait_ms, bool *closed)
{
    struct timespec deadline;
    struct block *b;
    int err = 0;

    if (wait_ms > 0)
        deadline_in(wait_ms, &deadline);
    pthread_mutex_lock(&q->lock);
    while (wait_ms && !q->first && !q->closed && err != ETIMEDOUT)
        err = wait_ms < 0 ? pthread_cond_wait(&q->ready, &q->lock)
                          : pthread_cond_timedwait(&q->ready, &q->lock, &deadline);
    b = q->first;
    if (b) {
        q->first = b->next;
        if (!q->first)
            q->last = NULL;
        b->next = NULL;
    }
    *closed = !b && q->closed;
    pthread_mutex_unlock(&q->lock);
    return b;
}

struct entry *queue_next(const struct block *b, size_t *at)
{
    struct entry *e = (struct entry *)(void *)(b->bytes + *at);

    if (*at == b->len)
        return NULL;
    *at += entry_size(e->len);
    return e;
}

void queue_return(struct queue *q, struct block *b)
{
    atomic_fetch_sub(&q->bytes, b->len);
    pthread_mutex_lock(&q->lock);
    if (q->spares < SPARE_MAX) {
        b->next = q->spare;
        q->spare = b;
        q->spares++;
        b = NULL;
    }
    pthread_mutex_unlock(&q->lock);
    free(b);
}

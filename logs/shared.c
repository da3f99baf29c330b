#include "shared.h"

#include <pthread.h>
#include <stdlib.h>

struct door {
    struct sink sink; /* first */
    struct shared *shared;
};

struct shared {
    pthread_mutex_t lock;
    struct sink *inner; /* owned; under the lock, as the next two */
    const struct door *teller; /* whose `error` is the inner one's; NULL before a failure */
    unsigned open;
    struct door door[];
};

/* Under the lock, behind a call of the inner sink. */
static int tell(struct door *d, int err)
{
    struct shared *s = d->shared;

    if (s->inner->error.code && !s->teller)
        s->teller = d;
    if (s->teller == d)
        d->sink.error = s->inner->error;
    return err;
}

static int door_event(struct sink *sink, const struct event *ev)
{
    struct door *d = (struct door *)sink;
    struct shared *s = d->shared;
    int err;

    pthread_mutex_lock(&s->lock);
    err = tell(d, s->inner->event(s->inner, ev));
    pthread_mutex_unlock(&s->lock);
    return err;
}

static int door_flush(struct sink *sink)
{
    struct door *d = (struct door *)sink;
    struct shared *s = d->shared;
    int err;

    pthread_mutex_lock(&s->lock);
    err = tell(d, s->inner->flush ? s->inner->flush(s->inner) : 0);
    pthread_mutex_unlock(&s->lock);
    return err;
}

static int door_tick(struct sink *sink, int64_t now_us)
{
    struct door *d = (struct door *)sink;
    struct shared *s = d->shared;
    int err;

    pthread_mutex_lock(&s->lock);
    err = tell(d, s->inner->tick ? s->inner->tick(s->inner, now_us) : 0);
    pthread_mutex_unlock(&s->lock);
    return err;
}

/* What the teller has told is not told again by who closes last. */
static int door_close(struct sink *sink)
{
    struct shared *s = ((struct door *)sink)->shared;
    bool last, told;
    int err;

    pthread_mutex_lock(&s->lock);
    last = --s->open == 0;
    told = s->teller != NULL;
    pthread_mutex_unlock(&s->lock);
    if (!last)
        return 0;
    err = s->inner->close(s->inner);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return told ? 0 : err;
}

int shared_new(struct sink *inner, unsigned n, struct sink **doors)
{
    struct shared *s = calloc(1, sizeof *s + n * sizeof s->door[0]);

    if (!s)
        return ERR_NOMEM;
    pthread_mutex_init(&s->lock, NULL);
    s->inner = inner;
    s->open = n;
    for (unsigned i = 0; i < n; i++) {
        s->door[i] = (struct door){
            .sink = {.event = door_event, .tick = door_tick, .flush = door_flush,
                     .close = door_close},
            .shared = s};
        doors[i] = &s->door[i].sink;
    }
    return 0;
}

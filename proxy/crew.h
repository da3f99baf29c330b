/* crew.h: the workers of one run: how each gets its connections, and what only all of them know.
 *
 * A worker is a loop thread with a proxy of its own. The first one's thread is the main one: it
 * accepts for all and hears the signals. A connection goes to the worker that has the fewest.
 * (Sockets of each worker's own on one address, SO_REUSEPORT, would leave that to a hash, which puts
 * two busy sessions on one worker while another has none, and would let any process of the same user
 * take a share of the clients.) Functions are for the thread of the worker whose proxy they get; what
 * they share is locked for the time of a few instructions.
 */
#ifndef XMPPTAP_CREW_H
#define XMPPTAP_CREW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <uv.h>

#include "../decoder/errors.h"
#include "options.h"
#include "own.h"

#define CREW_MAX      OPTION_COUNT_MAX /* workers */
#define CREW_INBOX    256 /* connections that may wait for a worker; the first keeps what is more */
#define LISTENERS_MAX 16

struct proxy;

struct crew {
    unsigned workers;
    struct proxy *proxy[CREW_MAX]; /* borrowed */
    unsigned last;                 /* who got the last connection; the first worker's, as the rest */
    unsigned room;                 /* connections that descriptors are there for */
    unsigned long refused;         /* that none were there for */
    int64_t told_us;               /* when that was said */
    struct sockaddr_storage address[LISTENERS_MAX]; /* where the first one listens */
    unsigned addresses;
    struct own_ends own;           /* with --transparent */
};

/* A worker's place in its crew, embedded in its proxy. */
struct crew_member {
    struct crew *crew;       /* borrowed */
    unsigned number;         /* from 0 */
    atomic_uint connections; /* handed to it and not gone */
    uv_async_t async;        /* something is in the inbox */
    pthread_mutex_t lock;
    unsigned waiting;        /* under `lock`, as the next two */
    int inbox[CREW_INBOX];
    bool told_to_stop;
};

void crew_init(struct crew *c, unsigned workers);
void crew_free(struct crew *c);

/* The proxy's loop serves its inbox from now on; crew_leave() closes that. */
void crew_join(struct crew *c, struct proxy *p, unsigned number);
void crew_leave(struct proxy *p);

/* When all that stays open is: connections that would leave too few descriptors are closed at once. */
void crew_count_room(struct crew *c);
/* Somebody could not be taken: said now and then. */
void crew_refused(struct proxy *first, const char *why);

/* The first worker: somebody connects. */
void crew_accept(struct proxy *first, uv_stream_t *listener);
/* A connection is gone. */
void crew_gone(struct proxy *p);

/* The first worker, behind its last connection: the others stop, too. */
void crew_stop(struct proxy *first);

/* Connections without a byte, of all workers. */
unsigned long crew_empty(const struct crew *c);

#endif

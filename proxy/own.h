/* own.h: our own ends of the connections to servers, to know them when they come back as clients.
 *
 * One for all workers of a run: what one of them connects the firewall may send to another. Any
 * thread; locked for the time of a few instructions.
 */
#ifndef XMPPTAP_OWN_H
#define XMPPTAP_OWN_H

#include <pthread.h>
#include <stdbool.h>

#include "address.h"

#define OWN_BUCKETS 1024

/* Embedded in its session; all 0 while it is not entered. */
struct own_end {
    bool entered;                 /* its session's thread only */
    struct own_end *next, **prev; /* in its bucket, under the lock */
    struct sockaddr_storage address;
};

struct own_ends {
    pthread_mutex_t lock;
    struct own_end *bucket[OWN_BUCKETS];
};

void own_init(struct own_ends *o);
void own_free(struct own_ends *o);

/* In place of where it was. Borrows `end` until own_leave(). */
void own_enter(struct own_ends *o, struct own_end *end, const struct sockaddr_storage *a);
void own_leave(struct own_ends *o, struct own_end *end);
bool own_has(struct own_ends *o, const struct sockaddr_storage *a);

#endif

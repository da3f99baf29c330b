/* queue.h: the byte-bounded queue from the loop thread to the recorder's thread.
 *
 * One producer, one consumer. Entries are written into blocks; a block changes hands when it is
 * full or when the producer publishes it (every 20 ms), so an entry costs neither a lock nor a
 * wake-up. The bound is soft by one read: whoever fills it asks queue_full() before it reads on.
 */
#ifndef XMPPTAP_QUEUE_H
#define XMPPTAP_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../decoder/errors.h"

#define QUEUE_ENTRY_MAX (96u << 10) /* payload of one entry */

struct queue;

/* They lie in their block one behind the other: queue_next() goes from one to the next. */
struct entry {
    uint32_t len;      /* of the payload */
    uint16_t kind;     /* the user's; so are the next three */
    uint16_t dir;
    int64_t time_us;
    void *owner;
    char payload[];
};

struct block {
    struct block *next;
    size_t len, cap;
    char *bytes;       /* entries */
};

struct queue *queue_new(size_t max_bytes); /* returns owned, NULL without memory */
void queue_free(struct queue *q);          /* both threads are done with it */

/* Producer. Room for an entry of `len` bytes (at most QUEUE_ENTRY_MAX), header set but for the
 * user's fields; NULL without memory. It belongs to the queue at once; fill it before the next
 * call. */
struct entry *queue_push(struct queue *q, size_t len);
bool queue_pending(const struct queue *q); /* entries are waiting to be published */
void queue_publish(struct queue *q);
/* The same unless the consumer has not taken the last one yet: then the block goes on filling. */
void queue_publish_soon(struct queue *q);
bool queue_full(struct queue *q);
void queue_close(struct queue *q);         /* publishes; no more will come */

/* Consumer. The next block, waiting at most `wait_ms` (-1: for ever); NULL: none came in time.
 * `*closed`: nothing will ever come. Give each block back. */
struct block *queue_take(struct queue *q, int wait_ms, bool *closed);
struct entry *queue_next(const struct block *b, size_t *at); /* from `*at` 0 on; NULL: no more */
void queue_return(struct queue *q, struct block *b);
size_t queue_bytes(struct queue *q); /* published and not given back */

#endif

/* pair.h: open requests, so that an answer finds its question (RFC 6120 §8.2.3).
 *
 * An iq's answer has its id and comes from whom it was sent to; STARTTLS, SASL, compression and
 * stream management answer in order. One session's, embedded; the recorder's thread. Bounded: the
 * oldest open request is forgotten where a new one finds no room. Nothing is held for what is not
 * open, but for a ring of the last answers.
 */
#ifndef XMPPTAP_PAIR_H
#define XMPPTAP_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "fact_list.h"
#include "reader.h"

#define PAIR_OPEN_MAX     256
#define PAIR_ID_MAX       255         /* a longer id is not paired, */
#define PAIR_JID_MAX      1023        /* nor is an iq to a longer address */
#define PAIR_BYTES_MAX    (64u << 10) /* ids and addresses of all open requests */
#define PAIR_ANSWERED_MAX 64          /* answers remembered, to know one that comes again */

struct pair_request; /* owned by its table */
struct pair_answer;

struct pair {
    struct pair_request *open;    /* owned, oldest first; NULL while none is open */
    struct pair_answer *answered; /* owned ring; NULL while there was none */
    unsigned opens, open_room;
    unsigned answers, answered_room; /* `answers`: all there ever were */
    unsigned bytes;                  /* of ids and addresses */
    bool missed[2];                  /* by enum dir: there may have been requests we do not know */
    unsigned char slows;
    struct event_request slow[EVENT_SLOW_MAX]; /* slowest first */
};

struct pair_match {
    uint64_t n;
    int64_t wait_us;
    const char *label; /* the request's id, static; NULL if it had none */
};

void pair_init(struct pair *p);
void pair_free(struct pair *p);

/* Before an item is labelled: does it answer an open request? True and the request in `m`, which
 * is closed by it. `account` (bare JID) and `domain`: who an answer without `from` may come from,
 * "" while unknown (RFC 6120 §8.1.2.1). What is odd about ids is added to `remarks`. */
bool pair_find(struct pair *p, const struct item *it, enum dir dir, int64_t now_us,
               const char *account, const char *domain, struct pair_match *m,
               struct fact_list *remarks);

/* When it is labelled: a request is remembered. Without memory it is not: its answer goes
 * unpaired. `label` is static. */
void pair_note(struct pair *p, const struct item *it, enum dir dir, uint64_t n, int64_t now_us,
               const char *label, struct fact_list *remarks);

/* A stream header: the server's answers the client's. */
bool pair_header(struct pair *p, enum dir dir, uint64_t n, int64_t now_us, struct pair_match *m);

/* A new stream: what was open in order on the old one will not be answered. Iqs stay open. */
void pair_restart(struct pair *p);

/* Items of `dir` were not read, or were asked in an earlier session: from now on an answer to
 * nothing is not called so. */
void pair_missed(struct pair *p, enum dir dir);

/* Which requests are still open, and which answers were the slowest. */
void pair_end(const struct pair *p, int64_t now_us, struct event_end *end);

#endif

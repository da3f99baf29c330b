/* world.h: what the embedded server's connections share: its profile, the accounts, who is online.
 *
 * One loop's. Closed: only the accounts that it was given, and those that registered, log in. Open:
 * whoever logs in has an account from then on. Nothing is written to a disk.
 */
#ifndef XMPPTAP_WORLD_H
#define XMPPTAP_WORLD_H

#include "caps.h"
#include "part.h"
#include "profile.h"
#include "user.h"

struct item;
struct reader;
struct server;

#define WORLD_USERS   10000
#define WORLD_BUCKETS 1024
#define WORLD_WAITING 256 /* clients without a connection */

struct world {
    const struct profile *profile; /* borrowed */
    const struct script *script;   /* borrowed: a captured server that is played; NULL: none */
    struct user *bucket[WORLD_BUCKETS]; /* owned */
    unsigned users;
    bool closed;
    char domain[JID_PART_MAX + 1]; /* of who names none: the first account's */
    unsigned char secret[32]; /* random: what accounts that are not there are asked with */
    int64_t began_s;     /* seconds since the epoch */
    int64_t fixed_s;     /* for tests: the wall clock's time, 0: as it is */
    struct caps_cache caps;
    struct part *part;   /* owned */
    struct server *servers; /* its connections, borrowed */
    struct client *waiting; /* without a connection (stream_management.h), owned, the next to end first */
    unsigned waits;
    int64_t now_us;         /* of the last call of any connection */
    struct reader *reader;  /* for what was sent; owned, made when it is needed */
    struct buf scratch;  /* a stanza for somebody else being written; taken and given back at once */
};

/* Returns owned, NULL without memory. Borrows `p` while it lives. */
struct world *world_new(const struct profile *p);
void world_free(struct world *w); /* behind its last connection */

/* By prepared parts. NULL: there is none. Borrowed while it lives. */
struct user *world_user(const struct world *w, const char *local, const char *domain);
/* By a prepared bare JID. */
struct user *world_find(const struct world *w, const char *bare);

/* Makes it as the profile's accounts begin. NULL: no memory, or WORLD_USERS. */
struct user *world_make(struct world *w, const char *local, const char *domain);
void world_remove(struct world *w, struct user *u);

/* Is it a domain of ours? In an open world each is that somebody asked for. */
bool world_serves(const struct world *w, const char *domain);

/* The client's connection broke: it waits, and is the world's. `server_*` of a living connection ends
 * it when its time is over; without any nobody is there to notice. */
void world_wait(struct world *w, struct client *c);
void world_attach(struct world *w, struct client *c);  /* it waits no more, and is the caller's */
void world_forget(struct world *w, struct client *c);  /* it is ended now */
void world_hurry(struct world *w, struct client *c);   /* it is ended soon, not from within */

/* When the next must be ended, -1: none waits. */
int64_t world_due_us(const struct world *w);
void world_tick(struct world *w, int64_t now_us);

/* A stanza that was written for somebody, read. NULL: no memory, or it cannot be. Borrowed until the
 * next call. */
const struct item *world_read(struct world *w, const char *p, size_t n);

/* Seconds since the epoch. */
int64_t world_now_s(const struct world *w);

#endif

/* world.h: what the embedded server's connections share: its profile, the accounts, who is online.
 *
 * One loop's. Closed: only the accounts that it was given, and those that registered, log in. Open:
 * whoever logs in has an account from then on. Nothing is written to a disk.
 */
#ifndef XMPPTAP_WORLD_H
#define XMPPTAP_WORLD_H

#include "profile.h"
#include "user.h"

#define WORLD_USERS   10000
#define WORLD_BUCKETS 1024

struct world {
    const struct profile *profile; /* borrowed */
    const struct script *script;   /* borrowed: a captured server that is played; NULL: none */
    struct user *bucket[WORLD_BUCKETS]; /* owned */
    unsigned users;
    bool closed;
    unsigned char secret[32]; /* random: what accounts that are not there are asked with */
    int64_t began_s;     /* seconds since the epoch */
    int64_t fixed_s;     /* for tests: the wall clock's time, 0: as it is */
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

/* Seconds since the epoch. */
int64_t world_now_s(const struct world *w);

#endif

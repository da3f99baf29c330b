/* user.h: an account of the embedded server: who it is and what it keeps.
 *
 * Owned by the world; one thread. Each part has its own cap, so an account has one.
 */
#ifndef XMPPTAP_USER_H
#define XMPPTAP_USER_H

#include "credentials.h"
#include "pep.h"
#include "prep.h"
#include "privacy.h"
#include "roster.h"
#include "stream_management.h"
#include "stash.h"

#define USER_CLIENTS 16 /* resources at once */

struct client;

struct user {
    struct user *next;       /* of the same bucket */
    char *bare, *local;      /* owned, prepared */
    const char *domain;      /* in `bare` */
    struct credentials credentials;
    struct roster roster;
    struct privacy privacy;
    struct stash stash;      /* private XML, the vCard */
    struct pep pep;          /* what it publishes */
    struct buf offline;      /* messages for it while nobody is there, each with a NUL behind it */
    struct client *clients;  /* bound, the latest first */
    unsigned holders;        /* clients that are logged in as it, bound or not */
    bool temporary;          /* goes with its last client: ANONYMOUS */
    char sm_id[SM_ID_SIZE];  /* the last session that was not resumed in time, "": none */
    uint32_t sm_in;          /* and the stanzas of it that were handled */
    int64_t left_s;          /* wall clock, when its last client went; 0: never */
};

/* Returns owned, NULL without memory. */
struct user *user_new(const char *local, const char *domain);
void user_free(struct user *u);

#endif

/* client.h: one client of the embedded server: what its connection is about once it is logged in,
 * and what others see of it (a resource, RFC 6120 §7, RFC 6121 §4).
 *
 * Owned by its connection; while it is bound it stands in its account's list, so that others can
 * send to it. One that can be resumed (stream_management.h) outlives its connection: then it is the world's, until
 * its time is over. One thread.
 */
#ifndef XMPPTAP_CLIENT_H
#define XMPPTAP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "../../decoder/buf.h"
#include "caps.h"
#include "csi.h"
#include "prep.h"
#include "stream_management.h"
#include "user.h"

#define CLIENT_DIRECTED 64 /* addresses it sent its presence to */

struct item;
struct server;
struct world;

struct client {
    struct world *world;      /* borrowed */
    struct server *server;    /* its connection, borrowed; NULL: it waits for its client */
    struct user *user;        /* NULL before the login; borrowed from the world */
    struct client *next;      /* the account's */
    struct client *next_waiting; /* the world's, and until when it waits */
    int64_t until_us;
    struct managed sm;
    struct csi csi;
    char domain[JID_PART_MAX + 1];   /* that the client asked for, prepared */
    char resource[JID_PART_MAX + 1]; /* prepared; "" until it is bound */
    bool bound;
    bool available;
    bool interested;          /* it has asked for the roster: gets pushes (RFC 6121 §2.1.6) */
    bool wants_blocks;        /* it has asked for the blocked JIDs: gets pushes (XEP-0191 §3.3) */
    char *active_list;        /* owned: the privacy list it goes by, or NULL: the default */
    bool carbons;             /* it wants copies (carbons.h) */
    bool got;                 /* for the length of a call: the message that is routed */
    int priority;
    struct buf presence;      /* its last one, to be sent on: `<presence`, NUL, all behind its name */
    struct caps caps;         /* while it is available: of what it wants to hear */
    char *directed[CLIENT_DIRECTED]; /* owned: who got its presence besides (RFC 6121 §4.6) */
    int64_t contacts_due_us;  /* when the profile's contacts answer its presence, -1: never */
};

/* Returns owned, NULL without memory. */
struct client *client_new(struct world *w, struct server *s);
void client_free(struct client *c); /* its account no longer has it, and nobody is told */

/* It does not come back: who had its presence is told, what it did not get goes elsewhere; freed. */
void client_gone(struct client *c);

/* The domain asked for in a stream header. False: it is none, or not served here. */
bool client_domain(struct client *c, const char *to);

/* The account that logs in as `name` (n bytes: a localpart, or a bare JID of the domain); made where
 * the world is open. NULL: there is none, or no memory. */
struct user *client_account(const struct client *c, const char *name, size_t n);

/* It has logged in; NULL: it is nobody any more. A temporary account goes with its last one. */
void client_login(struct client *c, struct user *u);

/* It has a resource now, prepared: it stands in its account's list. False: too many are. */
bool client_bind(struct client *c, const char *resource);

/* Somebody else has its resource now: its stream ends with <conflict/> and it is in no list any more. */
void client_replace(struct client *c);

/* The privacy list that it goes by from here on, NULL: none. False: no memory. */
bool client_use_list(struct client *c, const char *name);

/* The account's client of that resource, or NULL. */
struct client *client_find(const struct user *u, const char *resource);

/* Sends a stanza to it, whole; may be held back, never refused: a connection that cannot take it is
 * over. For what comes from others, and pushes; the answer to its own request is the ask's. */
void client_send(struct client *c, const char *p, size_t n);

/* The same at once, whatever its state (csi.h). */
void client_pass(struct client *c, const char *p, size_t n);

/* Appends its full JID, escaped. Errors: ERR_NOMEM, ERR_CAP. */
int client_put_jid(const struct client *c, struct buf *out) MUST_CHECK;

/* A random UUID. 0 or ERR_IO. */
#define RANDOM_SIZE 37 /* 36 characters and the NUL */
int client_random(char out[RANDOM_SIZE]) MUST_CHECK;

#endif

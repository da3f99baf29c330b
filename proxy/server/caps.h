/* caps.h: what a client has said that it can, and of which PEP nodes it wants to hear (XEP-0115,
 * XEP-0163 §4.3.2). Where the profile asks, a client whose presence names a version that nobody has
 * told of is asked once.
 *
 * The cache is a world's, by node and version; what a client wants stands with the client. One
 * thread.
 */
#ifndef XMPPTAP_CAPS_H
#define XMPPTAP_CAPS_H

#include <stdbool.h>

#include "../../decoder/buf.h"

#define CAPS_ENTRIES 256  /* versions that a world remembers; then the oldest goes */
#define CAPS_WANTS   4096 /* bytes of names that a client wants to hear of; the rest is not taken */
#define CAPS_KEY     512  /* bytes of a version's name */

struct ask;
struct client;

/* Of a world. Zeroed: empty. */
struct caps_cache {
    struct caps_entry {
        char *key;        /* owned: NODE#VER; NULL: free */
        struct buf wants; /* names, each with a NUL */
    } entry[CAPS_ENTRIES];
    unsigned next;
};

void caps_cache_free(struct caps_cache *c);

/* Of a client. Zeroed: it has said nothing. */
struct caps {
    char *key;   /* owned: the version of its presence, or NULL */
    bool asked;  /* for that version, or known without */
    char id[40]; /* of the request that is out, or "" */
    struct buf wants;
};

void caps_free(struct caps *c);

/* The client's own presence has come: asks it, or knows. What it wants is sent to it then. */
void caps_presence(struct ask *q);

/* There is something that it may want to hear: asks it, if nobody has. */
void caps_need(struct client *c);

/* An iq result or error of a client's to its server. */
void caps_answer(struct ask *q);

/* Does it want to hear of that node? */
bool caps_wants(const struct client *c, const char *node);

#endif

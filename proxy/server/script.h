/* script.h: a captured session as the embedded server plays its server's side: what the client
 * asked, what it was answered, what came unasked and behind which of the client's items.
 *
 * Made at the start from the session's events, then only read, by any thread; all connections
 * play the same one (scripted.h). What is asked is found by what it says, never by its place.
 */
#ifndef XMPPTAP_SERVER_SCRIPT_H
#define XMPPTAP_SERVER_SCRIPT_H

#include "../replay/plan.h"
#include "../replay/tree.h"

#define SCRIPT_FEATURES 48 /* children of <stream:features/>; more are left out */
#define SCRIPT_HOLD_US  1000000
#define SCRIPT_CLOSED   (SIZE_MAX - 1)

struct profile;
struct stream_state;

/* How exactly an item of the client's is the same as a captured one: all of it; its payload, with
 * its node, and what is first in that; and, of sets, payload and node alone, of what is no iq, its
 * kind. Kind and whom it is for are the same always. The last is for requests of the server: by
 * their id. */
enum script_level { LEVEL_CONTENT, LEVEL_CHILD, LEVEL_LOOSE, LEVEL_ID, SCRIPT_LEVELS };

/* What an item asks: for each level a hash of what stays the same in every session (even.h); 0: it
 * is not found by that. */
struct script_key {
    uint64_t level[SCRIPT_LEVELS];
};

/* Items by the hash of a level, then in their order. */
struct script_index {
    struct script_entry {
        uint64_t hash;
        size_t item;
    } * entry; /* owned */
    size_t entries;
};

enum script_role {
    SCRIPT_NOTHING, /* not played: no answer to anything, or what cannot be read */
    SCRIPT_CLIENT,  /* the client's */
    SCRIPT_ANSWER,
    SCRIPT_PUSH,    /* unasked, or a request to the client */
    SCRIPT_SM_PUSH, /* the same, while stream management is on */
    SCRIPT_SM_ACK,  /* <a/>, whose count is the live one */
    SCRIPT_ENABLED, /* an answer: stream management is on from here */
    SCRIPT_ERROR    /* <stream:error/>: the stream ends behind it */
};

struct script_item {
    enum script_role role;
    size_t after; /* 1 + the client's item before it, at least `begin`; or SCRIPT_CLOSED: the
                   * client's end of the stream */
    size_t needs; /* the same without what not every client says: acknowledgements, answers */
};

enum script_feature_kind { PLAYED_AS_IS, PLAYED_MECHANISMS, PLAYED_SASL2, PLAYED_TLS, PLAYED_BIND };

struct script_features {
    size_t open, open_len; /* its own start tag in plan.bytes; 0: an empty element */
    struct {
        size_t at, len;
        enum script_feature_kind kind;
    } child[SCRIPT_FEATURES];
    unsigned children;
};

struct script {
    struct plan plan;
    struct script_item *of; /* owned, one an item of the plan */
    struct script_index index[SCRIPT_LEVELS];
    size_t begin; /* the first item behind the login */
    size_t end;   /* the first behind the client's end of the stream; SIZE_MAX: it sent none */
    double speed; /* 1: at the captured times, 2: twice as fast; 0: at once */
    struct script_features features[STAGES];
    char mechanisms[1024]; /* those of the capture that we can do, its own first */
    struct reader *reader; /* owned; until script_ready() */
};

/* Returns owned, NULL without memory. */
struct script *script_new(void);
void script_free(struct script *s);

/* The session's next event; `arg` is the script. ERR_NOMEM, ERR_CAP. */
int script_event(void *arg, const struct event *ev) MUST_CHECK;

/* Behind the last one. ERR_FORMAT: there is no login in it; ERR_NOMEM. */
int script_ready(struct script *s, struct error *e) MUST_CHECK;

/* What an item of the session of `whose` says, `t` behind even_tree(). */
void script_key(const struct tree *t, const struct names *whose, struct script_key *k);

/* The client's item that asks the same as `k`, by the first level that has one. Of several the
 * first that is not in `used`, else the last. PLAN_NONE: there is none. */
size_t script_find(const struct script *s, const struct script_key *k, const unsigned char *used);

/* The server's request that has this id, the last before item `before`; PLAN_NONE. */
size_t script_request(const struct script *s, const char *id, size_t before);

/* ---- script_stream.c ---- */

/* The children of the features of each stage, and the mechanisms. */
int script_read_features(struct script *s) MUST_CHECK;

/* The captured server's stream header with another id and the live addresses. ERR_NOMEM, ERR_CAP.
 */
int script_put_header(const struct script *s, const struct names *live, const char *id,
                      struct buf *out) MUST_CHECK;

/* Its features for where the stream is now; SASL's mechanisms are `p`'s, what cannot be played
 * (compression, TLS bindings) is left out. ERR_NOMEM, ERR_CAP. */
int script_put_features(const struct script *s, const struct profile *p,
                        const struct stream_state *state, struct buf *out) MUST_CHECK;

/* Makes `p` offer what the captured server did, as far as we can do it. `open`: any password is let
 * in, which PLAIN alone can. ERR_NOMEM. */
int script_profile(const struct script *s, struct profile *p, bool open,
                   struct error *e) MUST_CHECK;

#endif

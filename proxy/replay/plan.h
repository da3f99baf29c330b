/* plan.h: what a captured session holds, as far as it can be played again.
 *
 * Made from the session's events in order; afterwards only read. Everything that came behind the
 * login is an item; what the client sent of it is played or skipped, and why. One thread.
 */
#ifndef XMPPTAP_REPLAY_PLAN_H
#define XMPPTAP_REPLAY_PLAN_H

#include "../../decoder/reader.h"
#include "../../logs/event.h"
#include "names.h"

#define PLAN_BYTES_MAX (512u << 20)
#define PLAN_NONE      SIZE_MAX

enum plan_kind {
    PLAN_REQUEST, /* an iq get or set; or another element that is answered */
    PLAN_ANSWER,  /* an iq result or error; `re` is what it answers, PLAN_NONE if nobody knows */
    PLAN_ALONE /* messages, presences, other elements; PLAN_ANSWER without `re` from the server */
};

/* Why an item of the client is not played. Words: plan_skip_words(). */
enum plan_skip {
    SKIP_NOT,
    SKIP_REDACTED,
    SKIP_WITHHELD,
    SKIP_UNREADABLE,
    SKIP_SM,
    SKIP_COMPRESSION,
    SKIP_LOGIN,
    SKIP_EARLY,
    SKIP_STREAM,
    SKIPS
};

struct plan_item {
    uint64_t n; /* its number in the archive */
    int64_t time_us; /* when it came */
    enum dir dir;
    enum plan_kind kind;
    enum plan_skip skip;
    size_t at, len;    /* its bytes in `bytes` */
    const char *label; /* its label's id, static; NULL if it has none */
    size_t re;         /* an answer's request: an index */
    size_t answer;     /* a request's answer: an index */
    uint64_t key;      /* the same for what asks, or tells, the same */
    bool bind;         /* it asks for a resource, or was asked to */
    bool sm;           /* of stream management: not compared */
    bool awaited;      /* the server's own doing: it is waited for, like an answer */
};

/* The features that a server gives, before TLS, before the login, and behind it. */
enum plan_stage { STAGE_OPEN, STAGE_LOGIN, STAGE_BOUND, STAGES };

struct plan_bytes {
    size_t at, len; /* len 0: there are none */
    uint64_t n;
};

struct plan {
    struct plan_item *item; /* owned */
    size_t items, room;
    struct buf bytes;
    struct buf header; /* the server's last stream header */
    struct plan_bytes features[STAGES];
    struct names names;
    char session[64], upstream[256], mechanism[64];
    char failure[64]; /* the last SASL condition */
    int64_t begin_us;
    bool redacted; /* secrets were not kept */
    bool logged_in;
    bool binds; /* the client asks for a resource, by an item that is played */
    bool sasl2;
    bool gap; /* bytes are missing */

    struct reader *reader; /* borrowed */
    struct reader_stream stream[2];
    bool secured; /* TLS stands at the server's side */
    size_t skipped[SKIPS];
};

void plan_init(struct plan *p, struct reader *reader);
void plan_free(struct plan *p);

/* The session's next event. Errors: ERR_NOMEM, ERR_CAP. */
int plan_event(struct plan *p, const struct event *ev) MUST_CHECK;

const char *plan_at(const struct plan *p, size_t i); /* the item's bytes */

/* "stream management: ..."; static. */
const char *plan_skip_words(enum plan_skip skip);

/* Of an iq get or set: what it asks, as far as its kind and its payload's name tell. Of any other:
 * what it is, and from whom; `whose` session it is. */
uint64_t plan_key(const struct item *it, const struct names *whose);
enum plan_kind plan_kind_of(const struct item *it, enum dir dir);

#endif

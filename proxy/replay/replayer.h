/* replayer.h: plays a captured client's side against a server: its own login, then what the capture
 * holds, item by item.
 *
 * Sans-I/O: what was received goes in, `out` is what goes to the server. The next item is sent when
 * all answers have come that the captured client had seen before it, or after a bounded wait. One
 * thread, the loop's. After every call look at `phase`, `out` and replayer_wait_ms().
 */
#ifndef XMPPTAP_REPLAYER_H
#define XMPPTAP_REPLAYER_H

#include "../../decoder/pair.h"
#include "../../decoder/scan.h"
#include "../account.h"
#include "../bridge_server.h"
#include "plan.h"

#define REPLAYER_LOGIN_S  30         /* everything up to the login's end */
#define REPLAYER_IN_MAX   (8u << 20) /* received and not read yet: an item is at most 4 MiB */
#define REPLAYER_KEPT_MAX (512u << 20)
#define REPLAYER_OPEN_MAX 200         /* requests under way: fewer than pair.h remembers */
#define REPLAYER_PUSH_S   1           /* what came unasked is waited for so long, or as long as */
#define REPLAYER_MISSED   10          /* answers if that is less; of so many kinds */
#define REPLAYER_OUT_HIGH (64u << 10) /* more in `out`: the rest waits for replayer_more() */
#define REPLAYER_STALL_S  30          /* a server that reads nothing for so long is given up */

enum replay_phase {
    REPLAY_OPEN,    /* a stream header is out, features are awaited */
    REPLAY_PROCEED, /* <starttls/> is out */
    REPLAY_TLS,     /* TLS must begin now; replayer_secured() follows */
    REPLAY_LOGIN,
    REPLAY_BOUND, /* logged in, a header is out */
    REPLAY_BIND,  /* our own request for a resource is out */
    REPLAY_PLAY,
    REPLAY_CLOSE, /* our end of the stream is out */
    REPLAY_DONE   /* `error` says whether it came so far */
};

/* What became of an item of the plan. */
struct replay_outcome {
    bool sent;
    bool late;                /* its answer did not come in time; it may have come later */
    const char *why;          /* it was to be played and was not; static */
    struct plan_bytes answer; /* in `kept`; len 0: none came */
    size_t came;              /* what came unasked: 1 + the index of the live one, 0: it did not */
};

/* What came unasked. */
struct replay_push {
    struct plan_bytes bytes; /* in `kept` */
    enum plan_kind kind;
};

struct replayer_options {
    const struct plan *plan; /* all is borrowed for the replayer's life */
    const struct account *account;
    struct reader *reader;
    const struct bridge_user *user; /* binding, secure, nonce and salt are called, with `arg` */
    void *arg;
    unsigned wait_s;
};

struct replayer {
    const struct replayer_options *o;
    enum replay_phase phase;
    struct error error; /* code 0: none */
    bool secured;       /* TLS stands */
    bool logged_in;
    struct buf out; /* the caller sends and empties it */

    struct names names; /* of the live session */
    struct buf kept;    /* what was received and counts */
    struct buf header;  /* the server's last stream header */
    struct plan_bytes features[STAGES];
    struct replay_outcome *outcome; /* owned, one an item of the plan */
    struct replay_push *push;       /* owned */
    size_t pushes, push_room;
    char mechanism[64]; /* "SCRAM-SHA-256-PLUS (tls-exporter)" */

    /* The streams. */
    struct scan scan;
    struct reader_stream up, down;
    struct buf in;
    size_t taken, scanned;    /* of `in` */
    int64_t now_us, until_us; /* until: what is awaited now is awaited so long; 0: for ever */

    struct bridge_server login;

    /* Playing. */
    struct pair pair;
    size_t at;     /* the plan's next item */
    size_t pushed; /* before this one, all that the plan's server pushed came again */
    size_t *open;  /* owned: requests whose answers are waited for, and pushes */
    size_t opens, open_room;
    uint64_t missed[REPLAYER_MISSED]; /* keys of pushes that did not come: not waited for again */
    size_t misses;
    bool full;       /* `out` is: replayer_more() when that is sent */
    bool available;  /* presence was sent */
    bool epilogue;   /* the end of its presence is ours, not the capture's */
    char ended[200]; /* the server's stream error in words, "" */
    bool sm;
    uint32_t sm_in; /* stanzas received since it was enabled */
};

/* `direct`: TLS stands before the stream begins. Writes the first header, or asks for TLS (phase).
 * Without memory the phase is REPLAY_DONE with the error. */
void replayer_begin(struct replayer *r, const struct replayer_options *o, bool direct,
                    int64_t now_us);
void replayer_free(struct replayer *r);

void replayer_data(struct replayer *r, int64_t now_us, const char *p, size_t n);
void replayer_secured(struct replayer *r, int64_t now_us);
/* bridge_user's `salt` is done; NULL: it failed. */
void replayer_salted(struct replayer *r, int64_t now_us, const unsigned char *salted);
/* The server sends no more. */
void replayer_eof(struct replayer *r, int64_t now_us);
/* The connection is of no use any more. */
void replayer_failed(struct replayer *r, const struct error *e);
/* Where `full` is set: `out` is empty again, and the connection takes more. */
void replayer_more(struct replayer *r, int64_t now_us);
/* Time has passed. */
void replayer_time(struct replayer *r, int64_t now_us);

/* In how many milliseconds replayer_time() is due; -1: never. */
int64_t replayer_wait_ms(const struct replayer *r, int64_t now_us);

/* The stream error's condition and text in words; "" for any other item. Returns `out`. */
const char *replayer_stream_error(const struct item *it, char *out, size_t size);

/* ---- for replayer_play.c ---- */

void replayer_fail(struct replayer *r, enum error_code code, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
int replayer_keep(struct replayer *r, struct plan_bytes *b, const char *p, size_t n) MUST_CHECK;
int play_begin(struct replayer *r) MUST_CHECK;
void play_item(struct replayer *r, const struct item *it);
void play_closed(struct replayer *r); /* by the server */
void play_on(struct replayer *r);
void play_free(struct replayer *r);

#endif

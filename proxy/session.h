/* session.h: one client and its server.
 *
 * Loop thread only. A session frees itself: it is closed in one place, session_close(), once, and
 * the last of its handles' close callbacks frees it.
 */
#ifndef XMPPTAP_SESSION_H
#define XMPPTAP_SESSION_H

#include "arrival.h"
#include "entry.h"
#include "gate.h"
#include "leg.h"
#include "limits.h"
#include "proxy.h"

/* What a session's timer is running for. */
enum session_wait {
    WAIT_NOTHING,
    WAIT_FIRST_BYTE, /* of a client, or of a load balancer's PROXY protocol header */
    WAIT_CONNECT,
    WAIT_SERVER_TLS,
    WAIT_CLIENT_TLS,
    WAIT_OTHER_SIDE, /* one side sends no more */
    WAIT_GOODBYE     /* closing: both sides are being told */
};

struct session {
    struct proxy *proxy;
    struct session *prev, *next;
    struct session *paused_prev, *paused_next; /* while `paused` */
    struct leg leg[2];       /* by SIDE_CLIENT, SIDE_SERVER */
    struct entry entry;      /* what comes before the gate */
    struct gate gate;
    struct faulting *faulting; /* owned; NULL without --fault */
    struct bridge *bridge;   /* owned; NULL without --channel-binding bridge */
    struct salting *salting; /* its password under way in the pool, or NULL */
    struct tap *tap;         /* NULL before the first byte and behind the end */
    char id[TAP_ID_MAX];
    struct arrival arrival;  /* whose connection it is */
    const struct upstream *upstream; /* where it goes */
    struct own_end own;      /* our end of the server's leg, with --transparent */
    char client[64];         /* address:port */
    char *server, *server_name; /* owned: where it was dialled, once that is settled; or NULL */
    struct limits limits;    /* of the login, and of silence */
    uv_timer_t timer;
    enum session_wait wait;
    unsigned limit_ms;       /* its time */
    size_t pending_before;   /* what was pending when the timer began */
    bool paused;             /* the recorder holds us up: we do not read */
    bool held_up;            /* it did while the timer ran */
    bool eof[2];             /* this side sends no more */
    bool gone[2];            /* this side failed: nothing more can be sent to it */
    bool sent[2];            /* our FIN to this side is out */
    bool closing;            /* session_close() was called */
    bool finished;           /* the handles are being closed */
    int handles;             /* that are still open */
    uint64_t unrecorded[2];  /* bytes that found the recorder's queue full (--when-full gap) */
    struct {
        bool known;          /* somebody has ended it, or stopped sending first */
        enum side by;
        enum error_code code;
        const char *phase;
        char detail[ERROR_DETAIL_MAX];
    } end;
};

/* Accepts a connection, or takes one (`fd`) that another worker has accepted; without memory it is
 * refused and said. */
void session_accept(struct proxy *p, uv_stream_t *listener);
void session_adopt(struct proxy *p, int fd);

/* Ends it: what is pending goes out, both sides learn of it, who and why is recorded. As often as
 * you like: the first reason counts. `fmt` NULL: no detail. */
void session_close(struct session *s, enum side by, enum error_code code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* ---- for the parts of a session ---- */

#define CLIENT(s) (&(s)->leg[SIDE_CLIENT])
#define SERVER(s) (&(s)->leg[SIDE_SERVER])

/* From now on its timer runs for `wait`. */
void session_wait(struct session *s, enum session_wait wait, unsigned ms);

/* A mark for the recorder, behind what is still to be told. */
void session_mark(struct session *s, const struct mark *m);

/* `p` was received and is recorded; `sent` goes on instead, maybe nothing. */
void session_edit(struct session *s, enum dir dir, const char *p, size_t n, const char *sent,
                  size_t sent_len, const char *reason);

/* Bytes of `dir` that are a violation follow, as an edit. */
void session_raw(struct session *s, enum dir dir, enum error_code code, const char *why);

/* Both legs stand as they shall: the gate's turn. */
void session_ready(struct session *s);

/* Received: recorded and sent on. `arg` is the session. */
void session_forward(void *arg, enum dir dir, const char *p, size_t n);

/* What was queued goes out, behind whatever came from elsewhere than the legs. */
void session_flush(struct session *s);

/* One of its handles is no more; the last frees it. */
void session_release(struct session *s);

/* Reads where it may: after anything that changes what is pending, held or full. */
void session_reading(struct session *s);

#endif

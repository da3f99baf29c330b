/* decoder.h: one session's bytes and marks become events. Sans-I/O.
 *
 * Used by one thread (the recorder's). Where TLS begins or a stream restarts is never guessed: the
 * marks say it (DESIGN: the tap). Memory: an item being received, up to its cap; between items
 * only the headers' root tags and the open requests.
 */
#ifndef XMPPTAP_DECODER_H
#define XMPPTAP_DECODER_H

#include "../logs/event.h"
#include "inflate.h"
#include "labels.h"
#include "reader.h"
#include "scan.h"
#include "sm.h"

struct decoder;

struct decoder_options {
    struct scan_limits limits;
    struct inflate_limits inflate; /* ratio 0: the default */
    bool redact;
    bool strict;          /* expat reads everything (reader.h) */
    struct sm_table *resumptions; /* shared by the thread's decoders, borrowed; NULL: none */
};

enum mark_kind {
    MARK_SESSION, /* u.session */
    MARK_TLS,     /* u.tls */
    MARK_RESTART, /* both directions begin a new stream, in `phase` */
    MARK_BOUND,   /* authenticated without a restart (XEP-0388, XEP-0078) */
    MARK_EDIT,    /* the next `bytes` of `dir` (0: nothing) were sent as `sent`, for `reason` */
    MARK_RAW,     /* from here on `dir` is no stream: `code`, `reason` */
    MARK_GAP,     /* `bytes` of `dir` were not recorded */
    MARK_END      /* u.end; what is unfinished is recorded first */
};

struct mark {
    enum mark_kind kind;
    enum dir dir;
    enum label_phase phase;
    enum error_code code;
    uint64_t bytes;
    const char *reason;
    const char *sent;
    size_t sent_len;
    union {
        struct event_session session;
        struct event_tls tls;
        struct event_end end; /* account and counts are filled in on the way */
    } u;
};

/* Called for each event; borrowed, and the receiver may fill in `u.end.count`. */
typedef void decoder_emit(void *arg, struct event *ev);

/* Returns owned, NULL without memory. Borrows `reader` (shared by all decoders of the thread)
 * until decoder_free(); copies `session` and `o`. */
struct decoder *decoder_new(const char *session, const struct decoder_options *o,
                            struct reader *reader, decoder_emit *emit, void *arg);
void decoder_free(struct decoder *d);

/* Plaintext of `dir` that came at `t_us` (Unix, microseconds), in any pieces. What cannot be kept
 * for want of memory becomes a gap event; there is no failure. */
void decoder_data(struct decoder *d, enum dir dir, int64_t t_us, const char *p, size_t n);
void decoder_mark(struct decoder *d, int64_t t_us, const struct mark *m);

#endif

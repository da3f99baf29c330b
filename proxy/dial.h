/* dial.h: from an upstream to a connected socket: its targets in order, each one's addresses raced.
 *
 * A domain's targets are its SRV records (RFC 2782, XEP-0368 §3), without any its own addresses at
 * port 5222 (RFC 6120 §3.2), where only direct TLS will do at 5223. Loop thread. One of `connected`
 * and `failed` is called, in a later turn of the loop; after `connected` the dial can go on with
 * what is left.
 */
#ifndef XMPPTAP_DIAL_H
#define XMPPTAP_DIAL_H

#include "address.h"
#include "race.h"
#include "upstream.h"

#define DIAL_TRIED_MAX 180 /* leaves room for the sentence around it: ERROR_DETAIL_MAX */

/* Which targets a domain has for us: with both, its sets of SRV records are mixed (XEP-0368 §3). */
enum dial_tls {
    DIAL_BOTH,
    DIAL_STREAM, /* those that begin with a stream: STARTTLS, or none */
    DIAL_DIRECT  /* those with TLS from the first byte */
};

struct dial_options {
    struct resolver *resolver;       /* borrowed for the dial's life */
    const struct upstream *upstream; /* borrowed for the call; not UPSTREAM_BUILTIN */
    const char *domain;              /* with UPSTREAM_ASKED: which. Borrowed for the call */
    struct race_socket socket;
    enum dial_tls tls;
    unsigned limit_ms;               /* its user's limit for the whole: while another target
                                      * follows, one gets a third of it; so do SRV look-ups */
};

struct dial_target {
    char host[SRV_NAME];        /* as it was looked up: in A-labels */
    uint16_t port;
    bool direct_tls;            /* TLS from the first byte (XEP-0368) */
    char address[ADDRESS_TEXT]; /* "ADDR:PORT" it is connected to, "" before */
};

struct dial_user {
    void (*connected)(void *arg, uv_tcp_t *handle); /* takes it: close it, then free() */
    void (*failed)(void *arg, const struct error *e); /* ERR_UNREACHABLE, ERR_LOOP: what was
                                                       * tried, and what to do */
};

struct dial;

/* `user` for ever. NULL without memory. Returns owned. */
struct dial *dial_start(uv_loop_t *loop, const struct dial_options *o,
                        const struct dial_user *user, void *arg);

/* The target's host was looked up: it is no address. */
bool dial_by_name(const struct dial *d);

/* What it is connected to was of no use, because of `why`: on with the next target, and
 * `connected` or `failed` follows. False if there is none: nothing has changed. `why` NULL: the same
 * target once more. */
bool dial_again(struct dial *d, const char *why);

/* Ends it, nobody is called any more. NULL is allowed. */
void dial_free(struct dial *d);

/* The target being tried, or connected to. Borrowed. */
const struct dial_target *dial_target(const struct dial *d);

/* What to do when it fails, in words. Borrowed for ever. */
const char *dial_cure(const struct dial *d);

/* What was tried so far and what is under way, in words. Returns `out`. */
const char *dial_tried(const struct dial *d, char out[DIAL_TRIED_MAX]);

#endif

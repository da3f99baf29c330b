/* gate.h: reads what must be understood before it is forwarded, and steps aside.
 *
 * Sans-I/O, loop thread. Until the login is over whole items pass, in order; STARTTLS is taken
 * apart here (RFC 6120 §5), stream restarts are found (§4.3.3), and nothing of it depends on how
 * the bytes were split. After authentication and the features that follow, or after something it
 * cannot read, the gate is `aside`: its user then forwards bytes as they come and never asks it
 * again; where that would let the client past --client-tls required or the bridge, the session ends
 * instead. What it does with an item is a table (gate_steps.c). Where its user watches the items
 * (faults on purpose), it stays for the whole session, as long as it can read.
 */
#ifndef XMPPTAP_GATE_H
#define XMPPTAP_GATE_H

#include "../decoder/decoder.h"
#include "features.h"

/* The caps, unless gate_caps() sets others. */
#define GATE_ITEM_BYTES (256u << 10) /* an item over this, before the login, ends the gate's work */
#define GATE_HELD_BYTES (64u << 10)  /* waiting bytes above which the source must pause */

enum gate_phase {
    GATE_NEGOTIATING,   /* streams before the login; SASL between its rounds */
    GATE_TLS_ASKED,     /* <starttls/> went to the server */
    GATE_TLS_SERVER,    /* <proceed/> came; the server's leg is being secured */
    GATE_TLS_CLIENT,    /* <proceed/> went to the client; its leg is being secured */
    GATE_SASL_ASKED,    /* the server owes an answer */
    GATE_LOGGED_IN,     /* success; the features that follow are still to come */
    GATE_WATCHED,       /* the login is over; where `watched`, whole items still pass */
    GATE_ASIDE
};

/* What becomes of an item that its user watches. */
enum gate_deed {
    GATE_GO_ON, /* what becomes of it without */
    GATE_PASS,  /* it is forwarded, and what it would begin does not */
    GATE_WAIT,  /* it and what follows in its direction wait for gate_go_on(); then it goes on */
    GATE_TAKEN  /* the user has recorded it, and sent on what it will; it began nothing */
};

/* What the gate tells its user to do. Bytes are borrowed for the call. */
struct gate_user {
    /* Received, record them; send them on. */
    void (*forward)(void *arg, enum dir dir, const char *p, size_t n);
    /* Received, record them; `sent` goes on instead (maybe nothing). */
    void (*edit)(void *arg, enum dir dir, const char *p, size_t n, const char *sent,
                 size_t sent_len, const char *reason);
    /* The server's features, `p`: true if they go on as `fe` says. It may read them with the gate's
     * reader. NULL: they go on as they are. */
    bool (*features)(void *arg, struct reader_stream *st, const char *p, size_t n,
                     struct features_edit *fe);
    /* Both directions begin a new stream in `phase`. */
    void (*restart)(void *arg, enum label_phase phase);
    /* Logged in without a new stream. */
    void (*bound)(void *arg);
    /* The server said <proceed/>: secure its leg; `p` came behind it and is TLS. */
    void (*secure_server)(void *arg, const char *p, size_t n);
    /* The client's TLS begins with these bytes. */
    void (*secure_client)(void *arg, const char *p, size_t n);
    /* Plaintext behind <starttls/>: record it as a violation and end the session. */
    void (*refuse)(void *arg, const char *p, size_t n);
    /* The client went on without TLS, which it must have, or it can no longer be seen whether it
     * does: record `p` (maybe nothing), tell it, end the session. */
    void (*insecure)(void *arg, const char *p, size_t n);
    /* Where `name_due`: the client's first header names the domain, or none will. False: the server
     * is not the one it should be; then `misnamed` follows: record `p`, tell the client, end the
     * session. */
    bool (*named)(void *arg);
    void (*misnamed)(void *arg, const char *p, size_t n);
    /* Where `bridged`: the proxy logs in for the client (bridge.h). Features before the login (then
     * `wished` is what they would pass as), and items of SASL (NULL), are the user's: it records
     * them and sends on what it will. It returns the phase that follows: negotiating (the client's
     * turn), asked (it is not), logged in. */
    enum gate_phase (*bridge)(void *arg, enum dir dir, struct reader_stream *st,
                              const struct features_edit *wished, const char *p, size_t n);
    /* Where `bridged`, before the login: `p` cannot be read or is no login that the bridge knows, and
     * with what follows would pass by it. `e` tells why, code 0: what it asks for ends the reading.
     * Record it, tell the client, end the session. */
    void (*unbridged)(void *arg, enum dir dir, const char *p, size_t n, const struct error *e);
    /* Where `watched`, before anything else is done with `p`, a whole header, item or end tag (`it`
     * NULL) of `dir`. */
    enum gate_deed (*watch)(void *arg, enum dir dir, enum scan_what what, const struct item *it,
                            const char *p, size_t n);
    /* The gate is aside, all it held has been forwarded; or, where `watched`, would be. `e` tells why,
     * code 0: login over. */
    void (*aside)(void *arg, enum dir dir, const struct error *e);
};

struct gate_way {
    struct scan scan;
    struct reader_stream stream;
    struct buf in;      /* received; what is decided is cut off once a run */
    size_t at;          /* of them, decided */
    size_t scanned;     /* behind `at`, seen by the scanner */
    enum scan_what what; /* of the item that waits, of `item` bytes, */
    size_t item;
    bool waits;         /* until gate_go_on(), */
    bool due;           /* or no longer: it is the next */
};

struct gate {
    const struct gate_user *user;
    void *arg;
    struct reader *reader; /* borrowed: the loop's */
    enum gate_phase phase;
    bool peeked;           /* the client's first header was seen, or that there will be none */
    bool open;             /* the server's leg stands */
    bool secured;          /* TLS was negotiated */
    unsigned wishes;       /* of STARTTLS, enum features_wish: what the client is not to see as it
                            * came; FEATURES_REQUIRE_STARTTLS: it gets no further without */
    bool skip_header;      /* gate_skip_header() */
    bool name_due;         /* set by the user */
    bool bridged;          /* set by the user, behind gate_init() */
    bool watched;          /* the same */
    bool running;
    bool stopped;          /* the session ends: nothing more is decided */
    struct gate_way way[2];
    struct buf proceed;    /* held back until the server's leg is secured */
    size_t item_max, held_max; /* bytes */
    char *domain;          /* owned: gate_domain() */
};

/* The `to` of the client's last header, "" before it. Borrowed until the next one. */
const char *gate_domain(const struct gate *g);

void gate_init(struct gate *g, struct reader *reader, const struct gate_user *user, void *arg);
/* Before the first byte: other caps. */
void gate_caps(struct gate *g, size_t item_max, size_t held_max);
void gate_free(struct gate *g);
void gate_stop(struct gate *g); /* call nobody any more */

/* Bytes received. ERR_NOMEM: end the session. */
int gate_input(struct gate *g, enum dir dir, const char *p, size_t n) MUST_CHECK;

/* Before it is open. The client asks for this domain (SNI), "": for none. */
void gate_ask(struct gate *g, const char *domain);
/* The client's next header is not sent on: somebody has opened the stream with the server. */
void gate_skip_header(struct gate *g);
/* What waits of `dir`, to `out`, which is then the caller's. */
void gate_take(struct gate *g, enum dir dir, struct buf *out);

void gate_open(struct gate *g);           /* the server's leg stands: what waited goes on */
void gate_eof(struct gate *g, enum dir dir); /* no more will come: what waits goes on as it is */
void gate_server_secured(struct gate *g); /* sends <proceed/> on */
void gate_client_secured(struct gate *g); /* new streams begin */
void gate_bridged(struct gate *g, enum gate_phase next); /* while asked: the bridge went on by itself,
                                                          * or a watcher has answered */
void gate_go_on(struct gate *g, enum dir dir); /* what was told to wait goes on */
bool gate_waits(const struct gate *g, enum dir dir); /* was it told to? Then gate_eof() comes later */

/* STARTTLS was asked for and TLS does not stand yet. */
bool gate_in_tls(const struct gate *g);

/* Must `dir` pause? Too much of it waits. */
bool gate_blocked(const struct gate *g, enum dir dir);
/* What waits, for the end of the session: then it will not be decided any more. Borrowed. */
const char *gate_waiting(const struct gate *g, enum dir dir, size_t *n);

/* "tls-asked", ...: for messages and the `end` event. Borrowed for ever. */
const char *gate_phase_name(const struct gate *g);

#endif

/* proxy.h: what all sessions of a loop share, and its life: listening, running, stopping.
 *
 * Loop thread only; one a worker (crew.h), made by capture.c.
 */
#ifndef XMPPTAP_PROXY_H
#define XMPPTAP_PROXY_H

#include <uv.h>

#include "../certs/ca.h"
#include "../certs/resume.h"
#include "../logs/recorder.h"
#include "crew.h"
#include "gate.h"
#include "address.h"
#include "resolver.h"
#include "upstream.h"

#define BALANCERS_MAX 16
#define FAULTS_MAX    16

struct session;

/* --channel-binding: what becomes of the -PLUS mechanisms that a server offers. */
enum channel_binding {
    CHANNEL_BINDING_AUTO,  /* taken out where TLS ends here */
    CHANNEL_BINDING_STRIP, /* taken out */
    CHANNEL_BINDING_PASS,
    CHANNEL_BINDING_BRIDGE /* ended here: two logins (bridge.h) */
};

struct account;
struct world;
struct fault;

struct proxy_options {
    const char *listen[LISTENERS_MAX]; /* ADDR:PORT, NULL-ended */
    unsigned inherited;      /* listening sockets besides: activation.h */
    struct upstream upstream; /* UPSTREAM_ASKED with `transparent`: where each was going */
    const char *resolver;    /* ADDR:PORT; NULL: as the system is configured */
    int transparent;         /* enum transparent */
    struct cidr balancer[BALANCERS_MAX]; /* whose connections begin with a PROXY header */
    unsigned balancers;
    int client_tls, server_tls; /* enum client_tls, enum server_tls: entry.h */
    int send_header;         /* 0, or 1 + enum proxy_header_version */
    const char *upstream_ca; /* NULL: the system's store */
    bool insecure;
    bool wait_when_full;     /* else record a gap */
    bool strict;             /* expat reads all that the gate does (decoder/reader.h) */
    unsigned connect_s, handshake_s; /* time-outs */
    unsigned negotiation_s;  /* for the login; 0: none */
    unsigned idle_s;         /* for silence of both sides; 0: none */
    unsigned close_s;        /* for one side's goodbye behind the other's */
    size_t item_bytes, wait_bytes; /* the gate's caps */
    const char *server_cert, *server_key; /* the server's own, shown to clients; or NULL */
    const char *client_cert, *client_key; /* shown to the server when it asks; or NULL */
    bool full_handshakes;    /* TLS sessions do not go on, on either side */
    const char *keylog;      /* file for TLS secrets, or NULL */
    int channel_binding;     /* enum channel_binding */
    int strip_compression;   /* 1: XEP-0138 is taken out of the features */
    const struct account *account; /* bridge: borrowed; NULL: the client's own */
    const struct fault *fault; /* borrowed: `faults` of them; none is the rule */
    unsigned faults;
    const char *stream_id;   /* builtin: a fixed stream id, or NULL */
    struct world *world;     /* builtin: borrowed; its loop is ours */
};

/* What options do not say. */
#define PROXY_DEFAULTS                                                                             \
    .connect_s = 10, .handshake_s = 15, .negotiation_s = 300, .close_s = 30,                       \
    .item_bytes = GATE_ITEM_BYTES, .wait_bytes = GATE_HELD_BYTES

struct proxy {
    const struct proxy_options *options; /* borrowed */
    struct crew_member member;
    uv_loop_t *loop;
    struct recorder *recorder;  /* borrowed */
    struct ca *ca;              /* borrowed, all workers'; NULL with --server-cert */
    SSL_CTX *upstream_tls;      /* owned; NULL for builtin: */
    struct resume *resume;      /* owned: its sessions; NULL for builtin:, or not wanted */
    SSL_CTX *server_tls;        /* --server-cert, a reference to all workers'; NULL: leaves are
                                 * forged */
    struct keylog *keylog;      /* all workers', the first one's own; or NULL */
    struct resolver *resolver;  /* owned; NULL for builtin: */
    struct reader *reader;      /* owned: the gates' */
    struct session *sessions;   /* list */
    struct session *paused;     /* list: those that the recorder holds up */
    atomic_ulong empty;         /* connections without a byte */
    bool starved;               /* the recorder's queue is full: nobody reads */
    bool stopping;
    unsigned listeners;         /* the first worker's */
    uv_tcp_t listener[LISTENERS_MAX];
    uv_timer_t publish;
    uv_prepare_t prepare;
    uv_async_t room;
    uv_signal_t signals[2];     /* the first worker's */
};

/* "ADDR:PORT" of a DNS server to a socket's address. ERR_USAGE with `e` filled. */
int resolver_parse(const char *text, struct sockaddr_storage *a, struct error *e) MUST_CHECK;

/* The crew's first worker: opens the listeners; connections wait until the loop runs. Errors:
 * ERR_USAGE, ERR_CA (certificates, keys), ERR_IO (names the address and the cure), ERR_NOMEM;
 * proxy_free() it all the same. Borrows `o` and `c`. */
int proxy_listen(struct proxy *p, uv_loop_t *loop, const struct proxy_options *o, struct crew *c,
                 struct error *e) MUST_CHECK;

/* Worker `number` of `first`'s crew, when that has all that can fail: files are read once. ERR_NOMEM;
 * proxy_free() it all the same, before the first. */
int proxy_follow(struct proxy *p, uv_loop_t *loop, const struct proxy *first, unsigned number,
                 struct error *e) MUST_CHECK;

/* --keylog, behind proxy_listen(): what can fail without a trace goes first. ERR_IO, ERR_NOMEM. */
int proxy_open_keylog(struct proxy *p, struct error *e) MUST_CHECK;

/* Ready for sessions; the first worker says on which addresses. Borrows both until proxy_free(). Errors:
 * ERR_NOMEM, ERR_IO (the resolver). */
int proxy_start(struct proxy *p, struct recorder *recorder, struct ca *ca, struct error *e)
    MUST_CHECK;

/* "ADDR:PORT" of the first listener. Returns `out`. */
const char *proxy_address(const struct proxy *p, char *out, size_t size);

/* No new connections; all sessions end (by us, ERR_STOPPED); then the loop runs out. The first
 * worker's tells the others. */
void proxy_stop(struct proxy *p);

/* After the loop has run out. */
void proxy_free(struct proxy *p);

/* For recorder_options.room; `arg` is the proxy. The recorder's thread may call it. */
void proxy_room(void *arg);

/* The recorder took bytes: is its queue full? Then all sessions pause. */
void proxy_check_queue(struct proxy *p);

#endif

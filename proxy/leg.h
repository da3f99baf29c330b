/* leg.h: one side's connection: a stack of layers behind one small interface.
 *
 * At the bottom TCP or the embedded server, on top of it TLS once it was pushed (RFC 6120 §5.4:
 * STARTTLS is nothing but that). The user of a leg sends plaintext, hears plaintext, and never
 * asks which layers there are. Loop thread only. A leg is embedded in its user's struct, whose
 * memory must stay until `closed` was called. After every call upward look again whether you are
 * closing: the user may have closed the leg.
 */
#ifndef XMPPTAP_LEG_H
#define XMPPTAP_LEG_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>
#include <uv.h>

#include "dial.h"

#define LEG_HIGH_WATER (256u << 10) /* pending bytes above which the source must pause */

struct leg;
struct layer;

struct leg_user {
    void (*up)(void *arg, struct leg *l);      /* dialled and connected */
    void (*data)(void *arg, struct leg *l, const char *p, size_t n); /* borrowed for the call */
    void (*secured)(void *arg, struct leg *l); /* the TLS pushed last stands */
    void (*drained)(void *arg, struct leg *l); /* pending fell to half the high-water mark */
    void (*eof)(void *arg, struct leg *l);     /* the peer sends no more; we still may */
    void (*sent)(void *arg, struct leg *l);    /* all is sent, and our end (leg_shut) */
    void (*failed)(void *arg, struct leg *l, const struct error *e); /* close it now */
    void (*closed)(void *arg, struct leg *l);  /* its memory may go */
};

struct leg {
    const struct leg_user *user;
    void *arg;
    uv_loop_t *loop;
    struct layer *top, *bottom; /* owned; NULL before it was begun */
    struct layer *retired;      /* owned: of a connection that leg_redial() gave up */
    bool reading;
    bool closing;
    bool shut;                  /* nothing more will be sent */
    bool above_water;
};

void leg_init(struct leg *l, uv_loop_t *loop, const struct leg_user *user, void *arg);

/* One of these begins it. Errors: ERR_NOMEM, ERR_IO; the leg is unbegun then. After dialling and
 * serving `up` or `failed` follows. */
int leg_accept(struct leg *l, uv_stream_t *listener) MUST_CHECK;
int leg_adopt(struct leg *l, int fd) MUST_CHECK; /* takes a connected socket, on failure too */
int leg_dial(struct leg *l, const struct dial_options *o) MUST_CHECK;
struct server_options;
int leg_serve(struct leg *l, const struct server_options *o) MUST_CHECK;

/* What `up` was about: where it is connected to. NULL as leg_dialler(). Borrowed. */
const struct dial_target *leg_dialled(const struct leg *l);

/* What it is connected to was of no use, because of `why` (XEP-0368 §3: its TLS failed): that
 * connection goes, with the layers on it, and what was sent on it; it dials on with the next
 * target (`why` NULL: with the same), and `up` or `failed` follows. Inside `secured` and `failed`,
 * too. False if no target is left or it was not dialled: nothing has changed. */
bool leg_redial(struct leg *l, const char *why);

/* It stays where it is connected to: what dialling on would need goes. */
void leg_settle(struct leg *l);

/* The dial under the leg; NULL unless it was dialled, and once it has settled. Borrowed. */
const struct dial *leg_dialler(const struct leg *l);

/* Puts TLS on top; the handshake begins (client role) or waits for the peer. Takes `ssl`, also on
 * failure (ERR_NOMEM). The embedded server takes no TLS from us: `ssl` NULL, `secured` follows. */
int leg_push_tls(struct leg *l, SSL *ssl) MUST_CHECK;
SSL *leg_ssl(const struct leg *l); /* borrowed; NULL without TLS */
bool leg_is_embedded(const struct leg *l);

/* Bytes that were read from below before TLS was pushed and belong to it. */
void leg_inject(struct leg *l, const char *p, size_t n);

/* Queues a copy; leg_flush() hands it to the kernel. ERR_NOMEM, ERR_IO: close the leg. */
int leg_send(struct leg *l, const char *p, size_t n) MUST_CHECK;
void leg_flush(struct leg *l);
size_t leg_pending(const struct leg *l); /* bytes not yet taken by the kernel */

void leg_read(struct leg *l, bool on); /* a new leg does not read */
void leg_shut(struct leg *l);          /* what is pending, close_notify, FIN */

/* Ends it, pending bytes and all. As often as you like; `closed` comes once, later, also for a leg
 * that was never begun. */
void leg_close(struct leg *l);

/* The same, and its peer gets a TCP RST. */
void leg_reset(struct leg *l);

/* The socket; -1 if there is none. */
int leg_fd(const struct leg *l);

/* "ADDR:PORT" of the peer or of our end; "" if there is none. Returns `out`. */
const char *leg_peer_name(const struct leg *l, char *out, size_t size);
const char *leg_own_name(const struct leg *l, char *out, size_t size);

/* ---- for layers ---- */

struct layer_ops {
    int (*send)(struct layer *y, const char *p, size_t n);
    void (*flush)(struct layer *y);
    void (*shut)(struct layer *y);
    void (*read)(struct layer *y, bool on); /* bottom only */
    size_t (*pending)(const struct layer *y);
    void (*received)(struct layer *y, const char *p, size_t n); /* from below */
    void (*ended)(struct layer *y);                             /* from below */
    void (*close)(struct layer *y); /* bottom: ends in leg_closed(); others: frees at once */
};

struct layer {
    const struct layer_ops *ops;
    struct leg *leg;
    struct layer *below, *above;
    bool retired; /* says and hears nothing any more */
};

/* After calling upward: is there still something to go on with? */
bool layer_over(const struct layer *y);

/* Upward from layer `y`: to the layer above it or to the user. */
void layer_up(struct layer *y, const char *p, size_t n);
void layer_up_ended(struct layer *y);

void leg_failed(struct leg *l, const struct error *e);
void leg_check_water(struct leg *l); /* the bottom's pending bytes became fewer */
void leg_closed(struct leg *l);      /* the bottom is gone */

/* tcp.c, inproc.c, tls.c. Return owned by the leg, NULL without memory (or on failure). */
struct layer *tcp_accept(struct leg *l, uv_stream_t *listener);
struct layer *tcp_adopt(struct leg *l, int fd);
struct layer *tcp_dial(struct leg *l, const struct dial_options *o);
const struct dial *tcp_dialler(const struct layer *y);   /* NULL: it was accepted */
bool tcp_redial(struct layer *y, const char *why);
void tcp_settle(struct layer *y);
struct layer *inproc_new(struct leg *l, const struct server_options *o);
struct layer *tls_new(struct leg *l, SSL *ssl);
int tcp_fd(const struct layer *y);
const char *tcp_name(const struct layer *y, bool peer, char *out, size_t size);
void inproc_secure(struct layer *y); /* TLS stands, as far as the server is concerned */
bool layer_is_inproc(const struct layer *y);
bool layer_is_tls(const struct layer *y);
SSL *tls_ssl(const struct layer *y);
void tls_begin(struct layer *y);     /* the client role's first flight */

#endif

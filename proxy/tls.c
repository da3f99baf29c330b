/* tls.c: the TLS layer. OpenSSL reads from the bytes that came and writes into the layer below. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "../certs/verify.h"
#include "leg.h"

#define PLAIN_BYTES (64u << 10) /* handed up at once: four full records (RFC 8446 §5.1) */

struct tls {
    struct layer layer;
    SSL *ssl;         /* owned */
    const char *in;   /* what came and OpenSSL has not read; during received() only */
    size_t in_len;
    bool up;          /* the handshake is over */
    bool over;        /* failed, or ended by the peer: nothing more is read */
    int send_error;
};

static const struct layer_ops tls_ops;

/* ---- OpenSSL's way to the wire ---- */

static int bio_read(BIO *b, char *out, int size)
{
    struct tls *t = BIO_get_data(b);
    size_t n = (size_t)size < t->in_len ? (size_t)size : t->in_len;

    BIO_clear_retry_flags(b);
    if (n == 0) {
        BIO_set_retry_read(b);
        return -1;
    }
    memcpy(out, t->in, n);
    t->in += n;
    t->in_len -= n;
    return (int)n;
}

static int bio_write(BIO *b, const char *p, int n)
{
    struct tls *t = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    t->send_error = t->layer.below->ops->send(t->layer.below, p, (size_t)n);
    return t->send_error ? -1 : n;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)b;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method; /* made once, for the life of the program; NULL without memory */

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "leg");
    if (!method)
        return;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
}

static const BIO_METHOD *bio_method(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_method);
    return method;
}

struct layer *tls_new(struct leg *l, SSL *ssl)
{
    struct tls *t = calloc(1, sizeof *t);
    BIO *bio = bio_method() ? BIO_new(bio_method()) : NULL;

    if (!t || !bio) {
        free(t);
        BIO_free(bio);
        SSL_free(ssl);
        return NULL;
    }
    t->layer.ops = &tls_ops;
    t->layer.leg = l;
    t->ssl = ssl;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    return &t->layer;
}

SSL *tls_ssl(const struct layer *y)
{
    return ((const struct tls *)y)->ssl;
}

/* ---- reading ---- */

/* Why OpenSSL has failed, from its queue: ask before anything else touches that. */
static void why(struct tls *t, struct error *e)
{
    const char *peer = SSL_is_server(t->ssl) ? "client" : "server";
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    if (t->up)
        error_set(e, ERR_TLS_BROKEN, "the TLS connection with the %s broke: %s", peer,
                  reason ? reason : "no reason is known");
    else
        verify_handshake_error(t->ssl, peer, e);
}

/* What is written may itself fail, and then the user has heard of that: false when this layer is
 * over, closed or given up for another connection, about which nothing is to be said here. */
static bool flush(struct tls *t)
{
    leg_flush(t->layer.leg);
    return !layer_over(&t->layer);
}

static void failed(struct tls *t, const struct error *e)
{
    t->over = true;
    if (flush(t)) /* the alert */
        leg_failed(t->layer.leg, e);
}

/* True when the handshake is over and the leg still stands. */
static bool handshake(struct tls *t)
{
    struct leg *l = t->layer.leg;
    struct error e;
    int n;

    ERR_clear_error();
    n = SSL_do_handshake(t->ssl);
    if (n == 1) {
        t->up = true;
        if (flush(t))
            l->user->secured(l->arg, l);
        return !layer_over(&t->layer);
    }
    if (SSL_get_error(t->ssl, n) != SSL_ERROR_WANT_READ) {
        why(t, &e);
        failed(t, &e);
        return false;
    }
    leg_flush(l);
    return false;
}

/* Hands up what `plain` holds; false when the leg is gone. */
static bool hand_up(struct tls *t, const char *plain, size_t *len)
{
    size_t n = *len;

    *len = 0;
    if (n)
        layer_up(&t->layer, plain, n);
    return !layer_over(&t->layer);
}

static void read_records(struct tls *t)
{
    static _Thread_local char plain[PLAIN_BYTES]; /* borrowed for this call only */
    struct error e;
    size_t len = 0;
    int n, err;

    for (;;) {
        if (len == sizeof plain && !hand_up(t, plain, &len))
            return;
        ERR_clear_error();
        n = SSL_read(t->ssl, plain + len, (int)(sizeof plain - len));
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    err = SSL_get_error(t->ssl, n);
    if (err != SSL_ERROR_WANT_READ)
        why(t, &e);
    if (!hand_up(t, plain, &len))
        return;
    if (err == SSL_ERROR_ZERO_RETURN) {
        t->over = true;
        layer_up_ended(&t->layer);
    } else if (err != SSL_ERROR_WANT_READ) {
        failed(t, &e);
    }
}

static void tls_received(struct layer *y, const char *p, size_t n)
{
    struct tls *t = (struct tls *)y;

    if (t->over)
        return;
    t->in = p;
    t->in_len = n;
    if (t->up || handshake(t))
        read_records(t);
    t->in_len = 0;
}

/* The peer's FIN. Without close_notify before it (RFC 8446 §6.1) it is taken as the end too:
 * whether the stream was over is for its reader to say. In a handshake it is a failure. */
static void tls_ended(struct layer *y)
{
    struct tls *t = (struct tls *)y;
    struct error e;

    if (t->over)
        return;
    t->over = true;
    if (t->up) {
        layer_up_ended(y);
        return;
    }
    if (SSL_is_server(t->ssl))
        error_set(&e, ERR_TLS, "the client closed the connection in the middle of the TLS handshake "
                  "without saying why; most often it does not trust our CA: `xmpptap ca export` "
                  "prints the certificate to install in it");
    else
        error_set(&e, ERR_TLS, "the server closed the connection in the middle of the TLS handshake; "
                  "is it an XMPP server with TLS 1.2 or later? Its log may say more");
    e.kind = "closed";
    leg_failed(y->leg, &e);
}

void tls_begin(struct layer *y)
{
    struct tls *t = (struct tls *)y;

    if (!SSL_is_server(t->ssl))
        handshake(t);
}

/* ---- writing ---- */

static int tls_send(struct layer *y, const char *p, size_t n)
{
    struct tls *t = (struct tls *)y;

    if (n == 0)
        return 0;
    ERR_clear_error();
    if (SSL_write(t->ssl, p, (int)n) == (int)n)
        return 0;
    return t->send_error ? t->send_error : ERR_TLS_BROKEN;
}

static void tls_shut(struct layer *y)
{
    struct tls *t = (struct tls *)y;

    ERR_clear_error();
    if (t->up)
        SSL_shutdown(t->ssl);
    y->below->ops->shut(y->below);
}

static void tls_close(struct layer *y)
{
    struct tls *t = (struct tls *)y;

    SSL_free(t->ssl);
    free(t);
}

static const struct layer_ops tls_ops = {
    .send = tls_send,
    .shut = tls_shut,
    .received = tls_received,
    .ended = tls_ended,
    .close = tls_close,
};

bool layer_is_tls(const struct layer *y)
{
    return y->ops == &tls_ops;
}

#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536

void peer_init(struct peer *p, const char *name)
{
    *p = (struct peer){.name = name, .fd = -1, .timeout_ms = PEER_TIMEOUT_MS};
}

static void drop(struct peer *p)
{
    SSL_free(p->ssl);
    p->ssl = NULL;
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    bytes_free(&p->in);
}

void peer_close(struct peer *p)
{
    drop(p);
}

void peer_abort(struct peer *p)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (p->fd >= 0)
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    drop(p);
}

__attribute__((format(printf, 2, 3))) static int flunk(struct peer *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(p->error, sizeof(p->error), fmt, args);
    va_end(args);
    return -1;
}

int peer_shutdown(struct peer *p)
{
    if (shutdown(p->fd, SHUT_WR) < 0)
        return flunk(p, "shutdown: %s", strerror(errno));
    return 0;
}

/* Waits until `fd` is ready or the deadline has passed. */
static int wait_for(struct peer *p, int fd, short events, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - now_ms();
        struct pollfd pfd = {.fd = fd, .events = events};
        int n = left > 0 ? poll(&pfd, 1, (int)left) : 0;
        if (n > 0)
            return 0;
        if (n == 0)
            return flunk(p, "nothing happened within %d ms", p->timeout_ms);
        if (errno != EINTR)
            return flunk(p, "poll: %s", strerror(errno));
    }
}

/* ---- connecting ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Returns its length. */
static socklen_t loopback(int family, int port, union address *a)
{
    memset(a, 0, sizeof(*a));
    a->any.sa_family = (sa_family_t)family;
    if (family == AF_INET6) {
        a->v6.sin6_port = htons((uint16_t)port);
        a->v6.sin6_addr = in6addr_loopback;
        return sizeof(a->v6);
    }
    a->v4.sin_port = htons((uint16_t)port);
    a->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sizeof(a->v4);
}

static int listen_in(int family, int *port)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    union address a;
    socklen_t len = loopback(family, 0, &a);
    if (fd < 0)
        return -1;
    if (bind(fd, &a.any, len) < 0 || listen(fd, 128) < 0 || getsockname(fd, &a.any, &len) < 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
    return fd;
}

int peer_listen(int *port)
{
    return listen_in(AF_INET, port);
}

int peer_listen6(int *port)
{
    return listen_in(AF_INET6, port);
}

static void no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int peer_accept(struct peer *p, int listener)
{
    if (wait_for(p, listener, POLLIN, now_ms() + p->timeout_ms))
        return -1;
    p->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (p->fd < 0)
        return flunk(p, "accept: %s", strerror(errno));
    no_delay(p->fd);
    return 0;
}

static int connect_in(struct peer *p, int family, int port)
{
    union address a;
    socklen_t a_len = loopback(family, port, &a);
    p->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->fd < 0)
        return flunk(p, "socket: %s", strerror(errno));
    no_delay(p->fd);
    if (connect(p->fd, &a.any, a_len) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return flunk(p, "connect: %s", strerror(errno));
    if (wait_for(p, p->fd, POLLOUT, now_ms() + p->timeout_ms))
        return -1;
    int err = 0;
    socklen_t len = sizeof(err);
    getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    return err ? flunk(p, "connect: %s", strerror(err)) : 0;
}

int peer_connect(struct peer *p, int port)
{
    return connect_in(p, AF_INET, port);
}

int peer_connect6(struct peer *p, int port)
{
    return connect_in(p, AF_INET6, port);
}

/* ---- the socket as OpenSSL sees it, so that even TLS records can go out byte by byte ---- */

static int bio_write(BIO *bio, const char *data, int n)
{
    struct peer *p = BIO_get_data(bio);
    size_t most = p->wire_max && p->wire_max < (size_t)n ? p->wire_max : (size_t)n;
    BIO_clear_retry_flags(bio);
    ssize_t w = send(p->fd, data, most, MSG_NOSIGNAL);
    if (w < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)w;
}

static int bio_read(BIO *bio, char *data, int n)
{
    struct peer *p = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t r = recv(p->fd, data, (size_t)n, 0);
    if (r < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    if (r < 0 && errno == ECONNRESET) {
        p->reset = true;
        r = 0;
    }
    if (r == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return (int)r;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)num;
    (void)ptr;
    if (cmd == BIO_CTRL_EOF)
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method;

__attribute__((constructor)) static void make_bio_method(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "peer");
    if (!bio_method || !BIO_meth_set_write(bio_method, bio_write) ||
        !BIO_meth_set_read(bio_method, bio_read) || !BIO_meth_set_ctrl(bio_method, bio_ctrl)) {
        fprintf(stderr, "the test has no TLS\n");
        _exit(1);
    }
}

__attribute__((destructor)) static void free_bio_method(void)
{
    BIO_meth_free(bio_method);
}

static int tls_flunk(struct peer *p, const char *what)
{
    char text[200] = "the connection ended";
    unsigned long e = ERR_peek_last_error();
    if (e)
        ERR_error_string_n(e, text, sizeof(text));
    ERR_clear_error();
    return flunk(p, "%s: %s", what, text);
}

/* Waits for what the last SSL call wants: 0, 1 (the end), or -1. */
static int tls_wait(struct peer *p, int ret, int64_t deadline, const char *what)
{
    switch (SSL_get_error(p->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(p, p->fd, POLLIN, deadline);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(p, p->fd, POLLOUT, deadline);
    case SSL_ERROR_ZERO_RETURN:
        return 1;
    default:
        return tls_flunk(p, what);
    }
}

static int handshake(struct peer *p, SSL_CTX *ctx, const char *host, bool server)
{
    int64_t deadline = now_ms() + p->timeout_ms;
    BIO *bio = BIO_new(bio_method);
    ERR_clear_error();
    p->ssl = SSL_new(ctx);
    if (!p->ssl || !bio) {
        BIO_free(bio);
        return tls_flunk(p, "TLS");
    }
    BIO_set_data(bio, p);
    BIO_set_init(bio, 1);
    SSL_set_bio(p->ssl, bio, bio);
    SSL_set_mode(p->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_options(p->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (host && (!SSL_set_tlsext_host_name(p->ssl, host) || !SSL_set1_host(p->ssl, host)))
        return tls_flunk(p, "TLS name");
    if (p->session && !SSL_set_session(p->ssl, p->session))
        return tls_flunk(p, "TLS session");
    int ret;
    while ((ret = server ? SSL_accept(p->ssl) : SSL_connect(p->ssl)) != 1) {
        int w = tls_wait(p, ret, deadline, "TLS handshake");
        if (w)
            return w < 0 ? -1 : flunk(p, "TLS handshake: the connection ended");
    }
    const char *sni = SSL_get_servername(p->ssl, TLSEXT_NAMETYPE_host_name);
    snprintf(p->sni, sizeof(p->sni), "%s", sni ? sni : "");
    return 0;
}

int peer_tls_connect(struct peer *p, SSL_CTX *ctx, const char *host)
{
    return handshake(p, ctx, host, false);
}

int peer_tls_accept(struct peer *p, SSL_CTX *ctx)
{
    return handshake(p, ctx, NULL, true);
}

/* ---- bytes ---- */

/* Writes some of it: bytes written, or -1. */
static ssize_t write_some(struct peer *p, const char *s, size_t n, int64_t deadline)
{
    for (;;) {
        ssize_t w;
        if (p->ssl) {
            ERR_clear_error();
            w = SSL_write(p->ssl, s, (int)n);
            if (w > 0)
                return w;
            int wait = tls_wait(p, (int)w, deadline, "TLS write");
            if (wait)
                return wait < 0 ? -1 : flunk(p, "write: the other end has closed TLS");
            continue;
        }
        w = send(p->fd, s, n, MSG_NOSIGNAL);
        if (w >= 0)
            return w;
        if (errno != EAGAIN && errno != EINTR)
            return flunk(p, "write: %s", strerror(errno));
        if (wait_for(p, p->fd, POLLOUT, deadline))
            return -1;
    }
}

int peer_send(struct peer *p, const void *bytes, size_t n)
{
    int64_t deadline = now_ms() + p->timeout_ms;
    const char *s = bytes;
    while (n) {
        size_t part = p->write_max && p->write_max < n ? p->write_max : n;
        if (part > (1u << 20))
            part = 1u << 20;
        ssize_t w = write_some(p, s, part, deadline);
        if (w < 0)
            return -1;
        s += w;
        n -= (size_t)w;
    }
    return 0;
}

int peer_sends(struct peer *p, const char *s)
{
    return peer_send(p, s, strlen(s));
}

/* Reads once into `in`: 0, 1 at the end, or -1. */
static int read_some(struct peer *p, int64_t deadline)
{
    char part[READ_BYTES];
    for (;;) {
        ssize_t n;
        if (p->ssl) {
            ERR_clear_error();
            n = SSL_read(p->ssl, part, sizeof(part));
        } else {
            n = recv(p->fd, part, sizeof(part), 0);
        }
        if (n > 0) {
            bytes_add(&p->in, part, (size_t)n);
            return 0;
        }
        if (p->ssl) {
            int w = tls_wait(p, (int)n, deadline, "TLS read");
            if (w)
                return w;
            continue;
        }
        if (n < 0 && errno == ECONNRESET)
            p->reset = true;
        if (n == 0 || p->reset)
            return 1;
        if (errno != EAGAIN && errno != EINTR)
            return flunk(p, "read: %s", strerror(errno));
        if (wait_for(p, p->fd, POLLIN, deadline))
            return -1;
    }
}

static int mismatch(struct peer *p, const char *want, size_t n, size_t at)
{
    int have = p->in.len < 120 ? (int)p->in.len : 120;
    int left = n - at < 120 ? (int)(n - at) : 120;
    return flunk(p, "byte %zu of %zu: expected \"%.*s\", got \"%.*s\"", at, n, left, want + at,
                 have, p->in.p);
}

int peer_expect(struct peer *p, const void *bytes, size_t n)
{
    int64_t deadline = now_ms() + p->timeout_ms;
    const char *want = bytes;
    for (size_t at = 0; at < n;) {
        if (!p->in.len) {
            char words[sizeof(p->error)];
            int r = read_some(p, deadline);
            if (r == 0)
                continue;
            snprintf(words, sizeof(words), "%s", r > 0 ? "the connection ended" : p->error);
            int left = n - at < 120 ? (int)(n - at) : 120;
            return flunk(p, "%.150s at byte %zu of %zu, expecting \"%.*s\"", words, at, n, left,
                         want + at);
        }
        size_t part = p->in.len < n - at ? p->in.len : n - at;
        if (memcmp(p->in.p, want + at, part) != 0)
            return mismatch(p, want, n, at);
        bytes_drop(&p->in, part);
        at += part;
    }
    return 0;
}

int peer_expects(struct peer *p, const char *s)
{
    return peer_expect(p, s, strlen(s));
}

int peer_rest(struct peer *p, struct bytes *all)
{
    int64_t deadline = now_ms() + p->timeout_ms;
    int r;
    do {
        bytes_add(all, p->in.len ? p->in.p : "", p->in.len);
        bytes_drop(&p->in, p->in.len);
    } while ((r = read_some(p, deadline)) == 0);
    return r < 0 ? -1 : 0;
}

int peer_expect_end(struct peer *p)
{
    struct bytes all = {0};
    int r = peer_rest(p, &all);
    if (r == 0 && all.len)
        r = flunk(p, "expected the end, got \"%.120s\"", all.p);
    bytes_free(&all);
    return r;
}

int peer_some(struct peer *p, struct bytes *some)
{
    int r = p->in.len ? 0 : read_some(p, now_ms() + p->timeout_ms);
    bytes_add(some, p->in.len ? p->in.p : "", p->in.len);
    bytes_drop(&p->in, p->in.len);
    return r;
}

int peer_quiet(struct peer *p, int ms)
{
    if (p->in.len || (p->ssl && SSL_pending(p->ssl)))
        return flunk(p, "expected silence, got \"%.120s\"", p->in.len ? p->in.p : "TLS data");
    struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
    return poll(&pfd, 1, ms) == 0 ? 0 : flunk(p, "expected silence");
}

#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int loop = -1;

void loop_open(void)
{
    loop = epoll_create1(EPOLL_CLOEXEC);
    if (loop < 0) {
        perror("load: epoll");
        exit(1);
    }
}

void loop_turn(int timeout_ms)
{
    struct epoll_event events[256];
    int count = epoll_wait(loop, events, sizeof events / sizeof *events, timeout_ms);

    for (int i = 0; i < count; i++) {
        struct conn *conn = events[i].data.ptr;
        conn->ready(conn);
    }
}

int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

struct conn *conn_new(int fd, void (*ready)(struct conn *conn), void *owner)
{
    struct conn *conn = calloc(1, sizeof *conn);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

    if (!conn || epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event)) {
        free(conn);
        close(fd);
        return NULL;
    }
    conn->fd = fd;
    conn->ready = ready;
    conn->owner = owner;
    conn->events = EPOLLIN;
    return conn;
}

void conn_free(struct conn *conn)
{
    if (!conn)
        return;
    SSL_free(conn->ssl);
    close(conn->fd);
    free(conn);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int tcp_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;

    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

int listen_on(uint16_t *port)
{
    struct sockaddr_in address = loopback(*port);
    socklen_t length = sizeof address;
    int fd = tcp_socket(); // what it accepts has TCP_NODELAY, too
    int one = 1;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, length) || listen(fd, SOMAXCONN) ||
        getsockname(fd, (struct sockaddr *)&address, &length)) {
        close(fd);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

int connect_to(uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    int fd = tcp_socket();

    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) &&
        errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

bool conn_start_tls(struct conn *conn, SSL_CTX *context, bool server)
{
    conn->ssl = SSL_new(context);
    if (!conn->ssl || !SSL_set_fd(conn->ssl, conn->fd))
        return false;
    conn->handshaking = true;
    conn->in_len = 0;
    if (server) {
        SSL_set_accept_state(conn->ssl);
        return true;
    }
    SSL_set_connect_state(conn->ssl);
    return SSL_set1_host(conn->ssl, BENCH_DOMAIN) &&
           SSL_set_tlsext_host_name(conn->ssl, BENCH_DOMAIN);
}

static enum conn_io ssl_result(struct conn *conn, int result)
{
    switch (SSL_get_error(conn->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return CONN_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return CONN_CLOSED;
    default:
        return CONN_FAILED;
    }
}

enum conn_io conn_handshake(struct conn *conn)
{
    if (!conn->handshaking)
        return CONN_OK;
    ERR_clear_error();
    int result = SSL_do_handshake(conn->ssl);
    if (result != 1)
        return ssl_result(conn, result);
    conn->handshaking = false;
    return CONN_OK;
}

enum conn_io conn_read(struct conn *conn, void *buffer, size_t size, size_t *length)
{
    if (conn->ssl) {
        ERR_clear_error();
        return SSL_read_ex(conn->ssl, buffer, size, length) ? CONN_OK : ssl_result(conn, 0);
    }
    ssize_t got = recv(conn->fd, buffer, size, 0);
    if (got > 0) {
        *length = (size_t)got;
        return CONN_OK;
    }
    if (got == 0)
        return CONN_CLOSED;
    return errno == EAGAIN || errno == EINTR ? CONN_AGAIN : CONN_FAILED;
}

enum conn_io conn_fill(struct conn *conn)
{
    size_t room = CONN_IN_BYTES - conn->in_len, length = 0;

    if (room == 0)
        return CONN_FAILED;
    enum conn_io io = conn_read(conn, conn->in + conn->in_len, room, &length);
    if (io == CONN_OK) {
        conn->in_len += length;
        conn->in[conn->in_len] = '\0';
    }
    return io;
}

enum conn_io conn_write(struct conn *conn, const void *bytes, size_t length)
{
    size_t written;

    if (conn->ssl) {
        ERR_clear_error();
        return SSL_write_ex(conn->ssl, bytes, length, &written) ? CONN_OK : ssl_result(conn, 0);
    }
    // Only in the clear and before TLS: so little that it goes whole.
    return send(conn->fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length ? CONN_OK : CONN_FAILED;
}

bool conn_say(struct conn *conn, const char *text)
{
    return conn_write(conn, text, strlen(text)) == CONN_OK;
}

void conn_finish(struct conn *conn)
{
    if (conn->ssl) {
        ERR_clear_error();
        SSL_shutdown(conn->ssl);
    }
    shutdown(conn->fd, SHUT_WR);
}

void conn_want_write(struct conn *conn, bool want)
{
    uint32_t events = EPOLLIN | (want ? EPOLLOUT : 0);
    struct epoll_event event = {.events = events, .data.ptr = conn};

    if (events != conn->events && epoll_ctl(loop, EPOLL_CTL_MOD, conn->fd, &event) == 0)
        conn->events = events;
}

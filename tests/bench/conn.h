// The load generator's connections: one epoll loop, nonblocking sockets, TLS 1.3 by OpenSSL on the
// socket itself. One thread. Nothing here is of the program under test.
#ifndef BENCH_CONN_H
#define BENCH_CONN_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_DOMAIN "bench.example"

enum conn_io { CONN_OK, CONN_AGAIN, CONN_CLOSED, CONN_FAILED };

// What one exchange of the login may take, the longest reply and its request with room to spare.
enum { CONN_IN_BYTES = 4096 };

struct conn {
    int fd;
    SSL *ssl; // NULL while in the clear
    bool handshaking;
    uint32_t events; // what epoll was asked for
    void (*ready)(struct conn *conn);
    void *owner;
    char in[CONN_IN_BYTES + 1]; // what was read and not yet understood, always a string
    size_t in_len;
};

// The process's only loop. Ends the process where it cannot be made.
void loop_open(void);
// Calls `ready` of what is ready, waiting at most so long.
void loop_turn(int timeout_ms);

int64_t now_us(void);

// As many descriptors as the hard limit lets.
void raise_fd_limit(void);

// Takes `fd`; returns owned, or NULL without memory (`fd` is closed then).
struct conn *conn_new(int fd, void (*ready)(struct conn *conn), void *owner);
// Closes the socket as it is: bytes that were not read make it a reset.
void conn_free(struct conn *conn);

// A nonblocking socket that listens on a port of loopback (0: any; written back), or -1.
int listen_on(uint16_t *port);
// A nonblocking socket on its way to a port of loopback, or -1.
int connect_to(uint16_t port);

// Begins TLS: as a server with `context`'s certificate, else as a client that checks the server's.
bool conn_start_tls(struct conn *conn, SSL_CTX *context, bool server);
// CONN_OK when the handshake is done, or none is under way.
enum conn_io conn_handshake(struct conn *conn);

// Up to `size` bytes; CONN_OK with at least one.
enum conn_io conn_read(struct conn *conn, void *buffer, size_t size, size_t *length);
// Appends what there is to `in`; CONN_FAILED when it is full.
enum conn_io conn_fill(struct conn *conn);
// Whole or not at all. CONN_AGAIN: call it again with the same bytes when the socket takes more.
enum conn_io conn_write(struct conn *conn, const void *bytes, size_t length);
// What never fills a socket's buffer: anything but CONN_OK is a failure.
bool conn_say(struct conn *conn, const char *text);
// Says that nothing more comes from here: close_notify, then FIN.
void conn_finish(struct conn *conn);
// Asks to be called when the socket takes more, too.
void conn_want_write(struct conn *conn, bool want);

#endif

/* server.h: the embedded server, one connection of it. Sans-I/O: bytes in, bytes out, no sockets,
 * no clock but the one it is told, no threads. The proxy puts it where the server's leg would be.
 *
 * It answers as the server of the documented trace did (tests/data/trace): features in that order,
 * the roster entry, the privacy list `blocked`, the vCard, the contact's presence. Any account and
 * password is let in; the domain is the one the client asks for. One thread (the loop's).
 */
#ifndef XMPPTAP_SERVER_H
#define XMPPTAP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader;
struct server;

struct server_options {
    const char *stream_id; /* fixed id for every stream (the demo); NULL: a random one each */
    struct reader *reader; /* borrowed while the server lives, its thread's; NULL: one of its own.
                            * Shared, an idle connection costs 8 KiB instead of 60 */
};

/* Returns owned, NULL if there is no memory. Borrows `o` for the call only. */
struct server *server_new(const struct server_options *o);
void server_free(struct server *s);

/* Bytes from the client, in any pieces. `now_us`: any steady clock. 0 or an error code (ERR_NOMEM,
 * ERR_IO: no random bytes), the server is done then; a client's mistake is no error here but gets
 * its stream error (RFC 6120 §4.9). An item over 256 KiB is one; 1 MiB of output that is not
 * fetched ends the server. */
int server_input(struct server *s, const char *p, size_t n, int64_t now_us);

/* What the server wants sent: borrowed until the next call that is not server_output(). */
const char *server_output(struct server *s, size_t *n);
void server_sent(struct server *s, size_t n); /* the first n of them are gone */

/* True once <proceed/> is in the output: behind it TLS begins; tell server_tls() when it stands,
 * then a new stream is expected. */
bool server_wants_tls(const struct server *s);
void server_tls(struct server *s);

/* True once the server is done: send its output, then close. */
bool server_done(const struct server *s);

/* When server_tick() must be called at the latest (same clock), or -1 if nothing is due. */
int64_t server_due_us(const struct server *s);
int server_tick(struct server *s, int64_t now_us);

#endif

/* server.h: the embedded server, one connection of it. Sans-I/O: bytes in, bytes out, no sockets,
 * no clock but the one it is told, no threads. The proxy puts it where the server's leg would be.
 *
 * What its connections share, accounts and who is online, is the world (world.h); how it answers is
 * the world's profile. One thread (the loop's); all connections of a world are one loop's.
 */
#ifndef XMPPTAP_SERVER_H
#define XMPPTAP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../channel_binding.h"

struct client;
struct reader;
struct server;
struct world;

struct server_options {
    struct world *world;   /* borrowed while the server lives */
    const char *stream_id; /* fixed id for every stream (the demo); NULL: a random one each */
    struct reader *reader; /* borrowed while the server lives, its thread's; NULL: one of its own.
                            * Shared, an idle connection costs 8 KiB instead of 60 */
    /* Somebody else's call has made output, or the server is done: fetch it soon, not from within. May
     * be NULL. */
    void (*wake)(void *arg);
    void *wake_arg;
    /* What the client's TLS connection is bound by, as cb_get(). May be NULL: nothing. */
    bool (*binding)(void *arg, enum cb_type type, struct scram_binding *b);
    void *binding_arg;
    /* Where a captured server is played: it has no answer to `asked`; the client got `given`. May be
     * NULL. */
    void (*unanswered)(void *arg, const char *asked, const char *given);
    void *unanswered_arg;
};

/* Returns owned, NULL if there is no memory. Borrows `o` for the call only. */
struct server *server_new(const struct server_options *o);
/* Tell it the time before with server_tick(): a client that can be resumed waits from then on. */
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

/* True once it is done because nobody fetched its output. */
bool server_is_full(const struct server *s);

/* When server_tick() must be called at the latest (same clock), or -1 if nothing is due. */
int64_t server_due_us(const struct server *s);
int server_tick(struct server *s, int64_t now_us);

/* ---- for client.h: inside another connection's call, too ---- */

/* The client it has now: another, behind server_adopt(). */
struct client *server_client(const struct server *s);
bool server_has_tls(const struct server *s);
int64_t server_now_us(const struct server *s); /* of the last call */

/* A stanza, whole. One that cannot take it is done. */
void server_send(struct server *s, const char *p, size_t n);

/* It has something due: its timer must be set again. */
void server_wake(struct server *s);

/* The connection, logged in and not bound, goes on with client `c` (XEP-0198 §5), whose other
 * connection ends with <conflict/>, if it has one. Its own client is gone behind this. */
void server_adopt(struct server *s, struct client *c);

/* Ends the stream with this condition (RFC 6120 §4.9.3). */
void server_end(struct server *s, const char *condition);

#endif

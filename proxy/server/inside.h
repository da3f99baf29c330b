/* inside.h: the inside of a connection to the embedded server, for the files that it is made of:
 * server.c its life and interface, says.c what it says, takes.c what it understands.
 *
 * Errors of all of them: ERR_NOMEM, ERR_CAP (the output is full), ERR_IO (no random bytes).
 */
#ifndef XMPPTAP_INSIDE_H
#define XMPPTAP_INSIDE_H

#include "../../decoder/buf.h"
#include "../../decoder/reader.h"
#include "../../decoder/scan.h"
#include "compression.h"
#include "login.h"
#include "sasl2.h"
#include "scripted.h"
#include "server.h"

#define ITEM_BYTES   (256u << 10)
#define OUTPUT_BYTES (1u << 20)
#define HELD_BYTES   (256u << 10)
#define SCRIPT_BYTES (16u << 20)  /* output where captured items are played: one may have 4 MiB */
#define SCRIPT_ROOM  (256u << 10) /* with so much of it unfetched the rest waits */

struct server {
    struct server_options options; /* `stream_id` is owned */
    struct reader *reader;
    bool own_reader;
    struct scan scan;
    struct reader_stream root;
    struct client *client;     /* owned */
    struct scripted *scripted; /* owned: a captured server is played; else NULL */
    struct server *next, **at; /* the world's */
    struct login login;
    struct sasl2 sasl2;
    struct buf in; /* a token that came in pieces */
    struct buf out;
    struct buf text;                 /* the answer being written */
    struct buf held;                 /* answers that wait for the hold's end */
    struct compression *compression; /* owned, NULL while there is none */
    int64_t now_us;
    int64_t hold_until_us; /* -1: nothing is held */
    bool tls;
    bool wants_tls;
    bool opened; /* our header of the present stream is out */
    bool done;
    bool ended; /* by the end of its stream */
    bool full;  /* because its output was */
};

/* ---- says.c ---- */

/* Bytes of our own making: straight out, or held back behind the privacy lists. */
int server_send_out(struct server *s, const char *p, size_t n) MUST_CHECK;
/* What is in s->text; the same of a stanza, which is counted; this. */
int server_emit(struct server *s) MUST_CHECK;
int server_emit_stanza(struct server *s) MUST_CHECK;
int server_emit_text(struct server *s, const char *xml) MUST_CHECK;
int server_emit_header(struct server *s) MUST_CHECK;
/* What was held goes out. */
int server_release(struct server *s) MUST_CHECK;
/* What is due of the captured server, as far as there is room. */
int server_play(struct server *s) MUST_CHECK;
/* Ends the stream: behind what is held, with `last` before the end tag; or with an error (RFC 6120
 * §4.9), whose text is our own and may be empty; or with what an item is that cannot be read. */
int server_finish(struct server *s, const char *last) MUST_CHECK;
int server_stream_error(struct server *s, const char *condition) MUST_CHECK;
int server_stream_error_with(struct server *s, const char *condition, const char *text) MUST_CHECK;
int server_unreadable(struct server *s, enum error_code code) MUST_CHECK;

/* ---- takes.c ---- */

/* A new stream begins. */
void server_expect_stream(struct server *s);
/* `used` bytes at `p` were scanned. */
int server_take(struct server *s, enum scan_what what, const char *p, size_t used) MUST_CHECK;

#endif

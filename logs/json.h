/* json.h: an event as one line of JSON, and back. The schema: docs/archive.md.
 *
 * Writing builds no tree and copies plain bytes in runs; reading makes none of what we have
 * written, of other JSON through jansson. What is read back equals what was written. Pure functions on the caller's data; any thread.
 */
#ifndef XMPPTAP_JSON_H
#define XMPPTAP_JSON_H

#include "../decoder/buf.h"
#include "event.h"

/* Appends the event as one line, newline included. Errors: ERR_NOMEM, ERR_CAP (the buffer's cap),
 * ERR_FORMAT (a time outside of the years 0 to 9999); on error nothing was appended. */
int json_event_write(struct buf *b, const struct event *ev) MUST_CHECK;

/* Appends the `n` bytes as a JSON string in quotes; what is not UTF-8 becomes U+FFFD. Errors:
 * ERR_NOMEM, ERR_CAP; on error nothing was appended. */
int json_string_write(struct buf *b, const char *p, size_t n) MUST_CHECK;

struct json_t;

#define JSON_SECOND_CHARS 19 /* of 2026-11-23T01:02:03.000004Z */

/* A record read from a line. Zeroed before its first use. */
struct json_record {
    struct event event;  /* all it points to is the record's */
    char *text;          /* owned, `room` bytes: its texts */
    size_t room;
    struct json_t *root; /* owned: the tree, where jansson read it */
    char *bytes;         /* owned: what stood in base64 */
    struct event_fact fact[EVENT_FACTS_MAX], remark[EVENT_REMARKS_MAX];
    char second[JSON_SECOND_CHARS + 1]; /* the time read last, up to its seconds, or "" */
    int64_t second_us;
};

/* Reads one line (with or without its newline) over what the record held. Unknown fields are
 * passed over. An unknown kind of event, of a later version, is no error: event.kind is
 * EVENT_KINDS then. Errors: ERR_FORMAT with `e` telling what is wrong, ERR_NOMEM. */
int json_event_read(struct json_record *rec, const char *line, size_t n,
                    struct error *e) MUST_CHECK;

/* The session's id in a line that begins as ours do, `*id_bytes` in the line; NULL: only
 * json_event_read() can tell. (A line may name its session again further on, which is not seen.) */
const char *json_line_session(const char *line, size_t n, size_t *id_bytes);

/* Frees what the record holds; it can be used again. */
void json_record_free(struct json_record *rec);

#endif

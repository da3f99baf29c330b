/* door.h: what is said at the door: what knocks that is no XMPP stream, and that nobody is in.
 * Pure.
 */
#ifndef XMPPTAP_DOOR_H
#define XMPPTAP_DOOR_H

#include <stddef.h>

#include "../decoder/buf.h"

/* A sentence that says what it is and that it is not read, or NULL: it may well be a stream. What
 * becomes of it is not told: TLS of ours and the gate decide that. Borrowed for ever. */
const char *door_unread(const char *p, size_t n);

extern const char door_server_stream[]; /* the same, of a server-to-server stream */

/* Appends the header of a stream as a server's, from `domain` ("": from nobody). Errors: ERR_NOMEM,
 * ERR_CAP. */
int door_header(struct buf *b, const char *domain) MUST_CHECK;

/* Appends what a client gets that no server answers: a stream header from `domain` ("": from
 * nobody), the error with `why` in it, which many clients show, the end (RFC 6120 §4.9.3.15).
 * Errors: ERR_NOMEM, ERR_CAP. */
int door_unreachable(struct buf *b, const char *domain, const char *condition, const char *why)
    MUST_CHECK;

#endif

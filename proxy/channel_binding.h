/* channel_binding.h: what a TLS connection can be bound by (RFC 5929, RFC 9266).
 *
 * Pure functions on a connection whose handshake is over; the thread that owns it. The connection
 * may be ours in either role.
 */
#ifndef XMPPTAP_CHANNEL_BINDING_H
#define XMPPTAP_CHANNEL_BINDING_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include "scram.h"

/* In the order in which we choose: the stronger first. */
enum cb_type { CB_EXPORTER, CB_UNIQUE, CB_END_POINT, CB_TYPES };

/* "tls-exporter", ...; borrowed for ever. */
const char *cb_name(enum cb_type type);
/* CB_TYPES if there is none of this name. */
enum cb_type cb_by_name(const char *name);

/* Fills `b` with flag p, type and data. False where the connection has no such binding: tls-exporter
 * before TLS 1.3, tls-server-end-point where the server showed no certificate or one whose signature
 * names no hash. `b` is left alone then. tls-unique is no standard from TLS 1.3 on: there it is
 * for who asks for it. */
bool cb_get(SSL *ssl, enum cb_type type, struct scram_binding *b);

#endif

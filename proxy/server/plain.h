/* plain.h: SASL PLAIN as the embedded server takes it: RFC 4616, RFC 6120 §6.4.
 *
 * One thread, the world's.
 */
#ifndef XMPPTAP_PLAIN_H
#define XMPPTAP_PLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "client.h"

/* Reads the base64 of a PLAIN message and logs `c` in. Returns NULL, or the condition of the
 * <failure/> (a string constant). */
const char *plain_login(struct client *c, const char *base64, size_t n);

/* Is it base64 of at most 3 KiB? For mechanisms whose message says nothing more. */
bool plain_is_base64(const char *base64, size_t n);

/* Is it UTF-8 (RFC 3629)? */
bool plain_is_utf8(const char *p, size_t n);

#endif

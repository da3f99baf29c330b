/* door.h: what knocks that is no XMPP stream over TCP, told by its first bytes. Pure.
 */
#ifndef XMPPTAP_DOOR_H
#define XMPPTAP_DOOR_H

#include <stddef.h>

/* A sentence that says what it is and that it is not read, or NULL: it may well be a stream.
 * Borrowed for ever. */
const char *door_unread(const char *p, size_t n);

#endif

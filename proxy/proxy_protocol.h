/* proxy_protocol.h: the header in which a load balancer says whose connection it passes on.
 *
 * The PROXY protocol of HAProxy (doc/proxy-protocol.txt), version 1 (a line of text) and 2
 * (binary), read and written. Pure functions, any thread.
 */
#ifndef XMPPTAP_PROXY_PROTOCOL_H
#define XMPPTAP_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "../decoder/errors.h"

#define PROXY_HEADER_MAX 4096 /* the longest that is read; its TLVs are most of it */
#define PROXY_HEADER_OUT 128  /* room for the longest that is written */

enum proxy_header_version { PROXY_HEADER_V2, PROXY_HEADER_V1 };

enum proxy_header_state {
    PROXY_HEADER_MORE, /* it may be one, its end has not come */
    PROXY_HEADER_WHOLE,
    PROXY_HEADER_NONE, /* these bytes begin no header */
    PROXY_HEADER_BAD   /* they do, and what follows is wrong: `e` */
};

struct proxy_header {
    bool known;  /* false (LOCAL, UNKNOWN, UNSPEC): the connection's own addresses count */
    struct sockaddr_storage from, to;
    size_t size; /* bytes it takes; data follows them */
};

/* Reads all bytes that a connection has brought so far; ask again with more of them. Fills `h` for
 * WHOLE, `e` (ERR_PROXY_HEADER) for BAD. */
enum proxy_header_state proxy_header_read(const char *p, size_t n, struct proxy_header *h,
                                          struct error *e) MUST_CHECK;

/* Writes the header of a TCP connection `from` a client `to` where it went. IPv4 beside IPv6 is
 * written as a mapped address (RFC 4291 §2.5.5.2); other families say that nothing is known.
 * Returns the bytes written to `out`. */
size_t proxy_header_write(enum proxy_header_version version, const struct sockaddr_storage *from,
                          const struct sockaddr_storage *to, char out[PROXY_HEADER_OUT]);

#endif

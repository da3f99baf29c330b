/* srv.h: the order in which the targets of SRV records are tried (RFC 2782, XEP-0368 §3).
 *
 * Pure functions, any thread. `_xmpps-client` and `_xmpp-client` records are mixed: priorities and
 * weights count across both sets, and each target knows which it came from.
 */
#ifndef XMPPTAP_SRV_H
#define XMPPTAP_SRV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SRV_NAME 256 /* a DNS name and its NUL (RFC 1035 §2.3.4) */

struct srv {
    char host[SRV_NAME];   /* "." or "": none (RFC 2782, "Target") */
    uint16_t port, priority, weight;
    bool direct_tls;       /* it stood in the `_xmpps-client` set */
};

/* A number from 0 to `most`, both included. */
typedef uint32_t srv_random(void *arg, uint32_t most);

/* The service is decidedly not offered: one record, whose target is ".". */
bool srv_refused(const struct srv *s, size_t n);

/* Drops targets that are "." or have no port; the rest keeps its order. Returns how many stay. */
size_t srv_usable(struct srv *s, size_t n);

/* Puts them in the order in which they are to be tried. */
void srv_order(struct srv *s, size_t n, srv_random *rnd, void *arg);

#endif

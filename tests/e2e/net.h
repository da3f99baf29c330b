/* net.h: a small DNS server of the test's own (dnsmasq on a port of loopback), and the servers that
 * it names. Functions fail the running test: main thread only.
 */
#ifndef XMPPTAP_E2E_NET_H
#define XMPPTAP_E2E_NET_H

#include "peer.h"
#include "run.h"

#define SERVERS 3 /* the last one on [::1], or missing where there is no IPv6 */

/* What of a zone varies: ports are those of the servers, %D one on which nobody listens. */
struct net {
    struct run *dns;
    int dns_port;
    int listener[SERVERS], port[SERVERS];
    int deaf, deaf_port;
};

#define HOST(name, address) "host-record=" name "," address "\n"

/* `zone`: dnsmasq's lines, in which %0, %1, %2 and %D become ports; NULL: no DNS server. */
void net_start(struct box *b, struct net *n, const char *zone);
void net_stop(struct net *n);

/* A socket on loopback, not blocking, and `*port` (0: a free one); or -1. */
int net_bound(int family, int type, int *port);
/* A port that was free a moment ago for both of DNS's transports. */
int net_free_port(void);

/* The proxy asks this DNS. `upstream` NULL: none. */
struct run *net_proxy(struct box *b, const struct net *n, const char *upstream);
struct run *net_proxy_tls(struct box *b, const struct net *n, const char *client_tls,
                          const char *upstream);
/* The server that is dialled: its number, or -1. */
int net_dialled(const struct net *n);
/* The same, and it accepts. */
int net_accept(struct peer *server, const struct net *n);

#endif

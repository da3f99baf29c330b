/* arrival.h: whose connection it is, and where it was going, before its first byte is read.
 *
 * The two ends of the socket are not always the answer: a load balancer in front tells the
 * client's address in a PROXY protocol header, and the firewall that sent the connection here
 * knows where it was going. Loop thread; embedded in its session.
 */
#ifndef XMPPTAP_ARRIVAL_H
#define XMPPTAP_ARRIVAL_H

#include "../decoder/buf.h"
#include "proxy.h"

struct arrival {
    const struct proxy_options *options; /* borrowed */
    struct sockaddr_storage peer;   /* who connected to us */
    struct sockaddr_storage client; /* whose connection it is: the peer's, or as its header says */
    struct sockaddr_storage entry;  /* our end of it, or as the header says */
    struct sockaddr_storage to;     /* where it was going: the entry, or as the firewall knows */
    bool due;             /* the peer must begin with a header */
    bool over;            /* all this is known: bytes are the session's own */
    struct buf held;      /* what may still be a header */
    struct upstream original; /* `to`, where no UPSTREAM was given */
    char original_text[80];
};

enum arrival_state {
    ARRIVAL_WAITS,  /* for more bytes */
    ARRIVAL_OVER,   /* what is left of them is the session's */
    ARRIVAL_REFUSED /* `e`: close it */
};

/* `fd`: the accepted socket. False: it is gone already. */
bool arrival_init(struct arrival *a, const struct proxy_options *o, int fd);
void arrival_free(struct arrival *a);

/* The connection brought these bytes; `ended`: there will be no more. With ARRIVAL_OVER they are
 * replaced by what follows a header: maybe nothing; borrowed until the next call. */
enum arrival_state arrival_take(struct arrival *a, const char **p, size_t *n, bool ended,
                                struct error *e) MUST_CHECK;

/* Where its server is: UPSTREAM, else with --transparent where it was going. Borrowed as long as `a` lives. */
const struct upstream *arrival_upstream(struct arrival *a);

/* The address that the server is to see, AF_UNSPEC: ours. Any port: with the client's own, the
 * kernel's connection table could not tell the two connections apart. */
struct sockaddr_storage arrival_source(const struct arrival *a);

/* Begins the server's leg, if --send-proxy-protocol says so: to `out` (PROXY_HEADER_OUT bytes).
 * Returns how many. */
size_t arrival_header(const struct arrival *a, char *out);

#endif

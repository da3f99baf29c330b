/* race.h: a connection to one target: its addresses looked up, and tried so that a family or an
 * address that does not work costs a quarter of a second (RFC 8305, "happy eyeballs").
 *
 * Loop thread. One of `won` and `lost` is called, once, in a later turn of the loop; whoever is
 * called frees the race.
 */
#ifndef XMPPTAP_RACE_H
#define XMPPTAP_RACE_H

#include "resolver.h"

/* How each connection is made. */
struct race_socket {
    struct sockaddr_storage source; /* our end; family AF_UNSPEC: the system's choice */
    bool spoof;                     /* `source` is not ours: IP_TRANSPARENT */
    /* Would a connection with these ends lead to ourselves? NULL: never. */
    bool (*loops)(void *arg, const struct sockaddr_storage *peer,
                  const struct sockaddr_storage *own);
    void *loops_arg;
};

enum race_end {
    RACE_LOST,
    RACE_NO_NAME, /* the target's name does not exist */
    RACE_LOOP     /* an address is our own */
};

struct race_user {
    void (*won)(void *arg, uv_tcp_t *handle); /* takes it: close it, then free() */
    void (*lost)(void *arg, enum race_end end);
};

struct race;

/* To `address`, or if that is NULL to `host` (a name in A-labels, or an address) and `port`.
 * Borrows `resolver` and `socket`; `user` for ever. NULL without memory. Returns owned. */
struct race *race_start(uv_loop_t *loop, struct resolver *resolver,
                        const struct race_socket *socket, const struct sockaddr_storage *address,
                        const char *host, uint16_t port, const struct race_user *user, void *arg);

/* Ends it, nobody is called any more; also after it was won or lost. NULL is allowed. */
void race_free(struct race *r);

/* "127.0.0.1:5222: connection refused, [::1]:5222: no answer": what was tried, cut to `size`.
 * Returns `out`. */
const char *race_tried(const struct race *r, char *out, size_t size);

#endif

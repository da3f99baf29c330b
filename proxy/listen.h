/* listen.h: the sockets on which clients arrive.
 *
 * Loop thread; they are embedded in `struct proxy`, which closes them.
 */
#ifndef XMPPTAP_LISTEN_H
#define XMPPTAP_LISTEN_H

#include "proxy.h"

/* "ADDR:PORT" of this machine to a socket's address. ERR_USAGE with `e` filled. */
int listen_parse(const char *text, struct sockaddr_storage *a, struct error *e) MUST_CHECK;

/* Opens those of p->options, and takes those that were inherited; connections wait until the loop
 * runs. ERR_USAGE, ERR_NOMEM, ERR_IO (names the address and the cure). */
int listen_open(struct proxy *p, struct error *e) MUST_CHECK;

/* Says where. */
void listen_tell(const struct proxy *p);

/* With --transparent: does the session lead in a circle, because the client connected to us, or
 * because the firewall sends us our own connections? ERR_LOOP with the cure. */
int listen_circle(const struct session *s, struct error *e) MUST_CHECK;

/* Would a connection with these ends lead here? `arg` is the proxy: race_socket.loops. */
bool listen_loops(void *arg, const struct sockaddr_storage *peer,
                  const struct sockaddr_storage *own);

#endif

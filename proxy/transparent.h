/* transparent.h: connections that were going elsewhere, and that a firewall sends here.
 *
 * Linux: REDIRECT keeps where they were going in its connection table, TPROXY leaves it on the
 * socket; a socket that is to use an address of somebody else must be marked (ip(7),
 * IP_TRANSPARENT), which is a privilege. docs/transparent.md has the rules. Any thread.
 */
#ifndef XMPPTAP_TRANSPARENT_H
#define XMPPTAP_TRANSPARENT_H

#include <stdbool.h>
#include <sys/socket.h>

#include "../decoder/errors.h"

/* As --transparent has them, in its order. */
enum transparent {
    TRANSPARENT_OFF,
    TRANSPARENT_REDIRECT,
    TRANSPARENT_TPROXY,
    TRANSPARENT_TPROXY_SPOOF /* and towards the server with the client's address */
};

/* Can this be done here? ERR_IO with the cure. */
int transparent_check(enum transparent mode, struct error *e) MUST_CHECK;

/* Before bind(2): the socket may have any address. ERR_IO with the cure. */
int transparent_mark(int fd, int family, struct error *e) MUST_CHECK;

/* Where the accepted socket's connection was going before REDIRECT; `to` stays as it is if it was
 * not redirected. */
void transparent_original(int fd, struct sockaddr_storage *to);

#endif

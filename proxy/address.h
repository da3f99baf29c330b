/* address.h: addresses as text, both ways. Pure functions, any thread.
 */
#ifndef XMPPTAP_ADDRESS_H
#define XMPPTAP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define ADDRESS_TEXT 64 /* "[IPv6]:PORT" and its NUL */

/* "HOST:PORT", "[HOST]:PORT" to host and port. False if it is neither. */
bool address_split(const char *text, char *host, size_t host_size, char *port, size_t port_size);

/* "ADDR:PORT" of this machine, "[ADDR]:PORT" for IPv6, to a socket's address. False if it is
 * neither. */
bool address_parse(const char *text, struct sockaddr_storage *a);

/* A socket's address as "ADDR:PORT"; "" if it is of no known family. Returns `out`. */
const char *address_text(const struct sockaddr_storage *a, char *out, size_t size);

#endif

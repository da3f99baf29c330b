/* address.h: addresses as text, both ways. Pure functions, any thread.
 */
#ifndef XMPPTAP_ADDRESS_H
#define XMPPTAP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_TEXT 64 /* "[IPv6]:PORT" and its NUL */

/* "HOST:PORT", "[HOST]:PORT" to host and port. False if it is neither. */
bool address_split(const char *text, char *host, size_t host_size, char *port, size_t port_size);

/* "ADDR:PORT" of this machine, "[ADDR]:PORT" for IPv6, to a socket's address. False if it is
 * neither. */
bool address_parse(const char *text, struct sockaddr_storage *a);

/* The port; 0 if it is of no known family. */
unsigned address_port(const struct sockaddr_storage *a);
void address_set_port(struct sockaddr_storage *a, unsigned port);

/* Family, address and port are the same. */
bool address_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

/* Family and address are the same, whatever the ports. */
bool address_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

/* 0.0.0.0 or [::]; 127.0.0.0/8 or [::1]. */
bool address_is_any(const struct sockaddr_storage *a);
bool address_is_loopback(const struct sockaddr_storage *a);

/* An IPv4 address in IPv6 clothes, as a socket for both has its peers (RFC 4291 §2.5.5.2), becomes
 * the IPv4 address that it is. */
void address_unmap(struct sockaddr_storage *a);

/* Addresses that share their first bits. */
struct cidr {
    int family;
    unsigned char bytes[16];
    unsigned bits;
};

/* "192.0.2.0/24", "2001:db8::/32", or one address. False if it is neither. Bits behind the prefix
 * must be 0: whoever sets them means something else than is written. */
bool cidr_parse(const char *text, struct cidr *c);
bool cidr_has(const struct cidr *c, const struct sockaddr_storage *a); /* unmapped */

/* The address alone, "192.0.2.7" or "2001:db8::7". Returns `out`. */
const char *address_host(const struct sockaddr_storage *a, char *out, size_t size);

/* A socket's address as "ADDR:PORT"; "" if it is of no known family. Returns `out`. */
const char *address_text(const struct sockaddr_storage *a, char *out, size_t size);

#endif

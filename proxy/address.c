#include "address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

bool address_split(const char *text, char *host, size_t host_size, char *port, size_t port_size)
{
    const char *colon = strrchr(text, ':'), *from = text, *to = colon;

    if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strtoul(colon + 1, NULL, 10) > 65535)
        return false;
    if (*text == '[') {
        from++;
        to--;
        if (to <= from || *to != ']')
            return false;
    } else if (memchr(text, ':', (size_t)(colon - text))) {
        return false; /* an IPv6 address stands in brackets */
    }
    if (to <= from || (size_t)(to - from) >= host_size || strlen(colon + 1) >= port_size)
        return false;
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return true;
}

bool address_parse(const char *text, struct sockaddr_storage *a)
{
    char host[ADDRESS_TEXT], port[8];
    int number;

    if (!address_split(text, host, sizeof host, port, sizeof port))
        return false;
    number = (int)strtoul(port, NULL, 10);
    return uv_ip4_addr(host, number, (struct sockaddr_in *)a) == 0 ||
           uv_ip6_addr(host, number, (struct sockaddr_in6 *)a) == 0;
}

const char *address_host(const struct sockaddr_storage *a, char *out, size_t size)
{
    out[0] = '\0';
    uv_ip_name((const struct sockaddr *)a, out, size);
    return out;
}

const char *address_text(const struct sockaddr_storage *a, char *out, size_t size)
{
    bool v6 = a->ss_family == AF_INET6;
    char host[INET6_ADDRSTRLEN];

    out[0] = '\0';
    if (uv_ip_name((const struct sockaddr *)a, host, sizeof host) == 0)
        snprintf(out, size, "%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "",
                 ntohs(v6 ? ((const struct sockaddr_in6 *)a)->sin6_port
                          : ((const struct sockaddr_in *)a)->sin_port));
    return out;
}

static const unsigned char *bytes_of(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET6
               ? ((const struct sockaddr_in6 *)a)->sin6_addr.s6_addr
               : (const unsigned char *)&((const struct sockaddr_in *)a)->sin_addr;
}

static size_t size_of(int family)
{
    return family == AF_INET6 ? 16 : family == AF_INET ? 4 : 0;
}

unsigned address_port(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET6  ? ntohs(((const struct sockaddr_in6 *)a)->sin6_port)
           : a->ss_family == AF_INET ? ntohs(((const struct sockaddr_in *)a)->sin_port)
                                     : 0;
}

void address_set_port(struct sockaddr_storage *a, unsigned port)
{
    if (a->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)a)->sin6_port = htons((uint16_t)port);
    else if (a->ss_family == AF_INET)
        ((struct sockaddr_in *)a)->sin_port = htons((uint16_t)port);
}

bool address_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    return address_port(a) == address_port(b) && address_same_host(a, b);
}

bool address_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    return a->ss_family == b->ss_family &&
           memcmp(bytes_of(a), bytes_of(b), size_of(a->ss_family)) == 0;
}

bool address_is_any(const struct sockaddr_storage *a)
{
    static const unsigned char any[16];

    return size_of(a->ss_family) && memcmp(bytes_of(a), any, size_of(a->ss_family)) == 0;
}

bool address_is_loopback(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
    return a->ss_family == AF_INET && bytes_of(a)[0] == 127;
}

void address_unmap(struct sockaddr_storage *a)
{
    struct sockaddr_in6 v6 = *(struct sockaddr_in6 *)a;
    struct sockaddr_in *v4 = (struct sockaddr_in *)a;

    if (a->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
        return;
    *a = (struct sockaddr_storage){.ss_family = AF_INET};
    v4->sin_port = v6.sin6_port;
    memcpy(&v4->sin_addr, v6.sin6_addr.s6_addr + 12, 4);
}

/* ---- prefixes ---- */

/* Bit `i`, from the first on. */
static unsigned bit(const unsigned char *bytes, unsigned i)
{
    return bytes[i / 8] >> (7 - i % 8) & 1u;
}

bool cidr_parse(const char *text, struct cidr *c)
{
    char host[ADDRESS_TEXT];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    unsigned all;

    *c = (struct cidr){.family = memchr(text, ':', len) ? AF_INET6 : AF_INET};
    all = 8 * (unsigned)size_of(c->family);
    if (len >= sizeof host)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    if (uv_inet_pton(c->family, host, c->bytes))
        return false;
    c->bits = slash ? (unsigned)strtoul(slash + 1, NULL, 10) : all;
    if (slash && (!slash[1] || strlen(slash + 1) > 3 ||
                  strspn(slash + 1, "0123456789") != strlen(slash + 1)))
        return false;
    for (unsigned i = c->bits; i < all; i++)
        if (bit(c->bytes, i))
            return false;
    return c->bits <= all;
}

bool cidr_has(const struct cidr *c, const struct sockaddr_storage *a)
{
    if (a->ss_family != c->family)
        return false;
    for (unsigned i = 0; i < c->bits; i++)
        if (bit(c->bytes, i) != bit(bytes_of(a), i))
            return false;
    return true;
}

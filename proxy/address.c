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

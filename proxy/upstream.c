#include "upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"

#define GIVE "give DOMAIN, tcp://HOST:PORT, tls://HOST:PORT or builtin:"

static const struct {
    const char *prefix;
    enum upstream_kind kind;
} schemes[] = {
    {"tcp://", UPSTREAM_TCP},
    {"tls://", UPSTREAM_TLS},
};

static int with_scheme(const char *text, struct upstream *u, struct error *e)
{
    char port[8];

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t n = strlen(schemes[i].prefix);

        if (strncmp(text, schemes[i].prefix, n) != 0)
            continue;
        if (!address_split(text + n, u->host, sizeof u->host, port, sizeof port) ||
            strtoul(port, NULL, 10) == 0)
            return error_set(e, ERR_USAGE, "%s is no UPSTREAM; give %sHOST:PORT", text,
                             schemes[i].prefix);
        u->kind = schemes[i].kind;
        u->port = (uint16_t)strtoul(port, NULL, 10);
        return 0;
    }
    return error_set(e, ERR_USAGE, "%s is no UPSTREAM; " GIVE, text);
}

static int domain(const char *text, struct upstream *u, struct error *e)
{
    size_t n = strlen(text);

    if (strchr(text, '@'))
        return error_set(e, ERR_USAGE, "%s is an account and no UPSTREAM; give what stands behind "
                         "the @", text);
    if (strchr(text, ':'))
        return error_set(e, ERR_USAGE, "%s is no UPSTREAM; for a host and a port give "
                         "tcp://HOST:PORT or, with TLS from the first byte, tls://HOST:PORT (an "
                         "IPv6 address stands in brackets)", text);
    if (n == 0 || n >= sizeof u->host || text[0] == '.' || strpbrk(text, " \t\r\n/"))
        return error_set(e, ERR_USAGE, "%s is no UPSTREAM; " GIVE, n ? text : "nothing");
    u->kind = UPSTREAM_DOMAIN;
    snprintf(u->host, sizeof u->host, "%s", text);
    return 0;
}

int upstream_parse(const char *text, struct upstream *u, struct error *e)
{
    *u = (struct upstream){.text = text ? text : ""};
    if (!text)
        return 0;
    if (strcmp(text, "builtin:") == 0) {
        u->kind = UPSTREAM_BUILTIN;
        snprintf(u->host, sizeof u->host, "localhost");
        return 0;
    }
    return strstr(text, "://") ? with_scheme(text, u, e) : domain(text, u, e);
}

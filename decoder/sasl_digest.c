/* DIGEST-MD5: RFC 2831 §2.1. */
#include "sasl_message.h"

#include <string.h>
#include <strings.h>

/* What is told of a directive, and how. */
static const struct {
    const char *name, *fact;
    bool secret; /* only that it is there */
} directives[] = {
    {"realm", "realm", false},         {"nonce", "nonce", false},
    {"cnonce", "cnonce", false},       {"nc", "nc", false},
    {"qop", "qop", false},             {"digest-uri", "digest-uri", false},
    {"charset", "charset", false},     {"algorithm", "algorithm", false},
    {"authzid", "authzid", false},     {"username", "user", false},
    {"response", "digest", true},      {"rspauth", "rspauth", true},
};

struct directive {
    const char *name;
    size_t name_len;
    char value[FACT_VALUE_MAX];
    size_t n; /* of the value; what is longer is cut */
};

static void put(struct directive *d, char c)
{
    if (d->n < sizeof d->value)
        d->value[d->n++] = c;
}

static const char *skip(const char *p, const char *end, const char *set)
{
    while (p < end && *p && strchr(set, *p))
        p++;
    return p;
}

/* Reads `name=token` or `name="text"` at `p`; returns where it ends, or NULL if there is none. */
static const char *read_directive(struct directive *d, const char *p, const char *end)
{
    const char *equals = memchr(p, '=', (size_t)(end - p));

    if (!equals || equals == p)
        return NULL;
    d->name = p;
    d->name_len = (size_t)(equals - p);
    d->n = 0;
    while (d->name_len && strchr(" \t", p[d->name_len - 1]))
        d->name_len--;
    p = skip(equals + 1, end, " \t");
    if (p < end && *p == '"') {
        for (p++; p < end && *p != '"'; p++) {
            p += *p == '\\' && p + 1 < end;
            put(d, *p);
        }
        return p < end ? p + 1 : NULL;
    }
    for (; p < end && !strchr(", \t\r\n", *p); p++)
        put(d, *p);
    return p;
}

/* Returns whether the directive is a secret. */
static bool tell(const struct sasl_message *m, const struct directive *d)
{
    for (size_t i = 0; i < sizeof directives / sizeof *directives; i++) {
        const char *name = directives[i].name, *fact = directives[i].fact;

        if (strlen(name) != d->name_len || strncasecmp(name, d->name, d->name_len) != 0)
            continue;
        if (directives[i].secret)
            fact_add(m->facts, fact, "present");
        else if (strcmp(fact, "user") == 0)
            sasl_set_user(m, d->value, d->n);
        else if (!fact_get(m->facts, fact)) /* a server may offer several realms */
            fact_add_bytes(m->facts, fact, d->value, d->n);
        return directives[i].secret;
    }
    return false;
}

bool sasl_digest(const struct sasl_message *m)
{
    const char *p = m->p, *end = m->p + m->n;
    bool secret = m->dir == DIR_C2S;
    struct directive d;

    for (p = skip(p, end, ", \t\r\n"); p < end; p = skip(p, end, ", \t\r\n")) {
        p = read_directive(&d, p, end);
        if (!p)
            return sasl_malformed(m, "not a list of directives");
        secret = tell(m, &d) || secret;
    }
    if (m->dir == DIR_S2C && !fact_get(m->facts, "nonce") && !fact_get(m->facts, "rspauth"))
        return sasl_malformed(m, "neither nonce nor rspauth");
    if (m->dir == DIR_C2S && !fact_get(m->facts, "digest"))
        return sasl_malformed(m, "no response");
    return !secret;
}

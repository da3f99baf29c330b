/* SCRAM: RFC 5802 §5 and §7, RFC 7677, XEP-0474. */
#include "sasl_message.h"

#include <stdio.h>
#include <string.h>

/* One of `a=...,b=...`. */
struct attr {
    char name;
    const char *value;
    size_t n;
};

enum take { TAKE_FACT, TAKE_PRESENT, TAKE_BASE64, TAKE_NUMBER, TAKE_NAME, TAKE_NONCE, TAKE_BINDING };

/* Which attributes a message has, in what order its facts come, and how each is told. What has no
 * row is an extension. */
struct row {
    char name;
    enum take take;
    const char *fact;
    const char *missing; /* what is wrong without it; NULL: it may be left out */
};

static const struct row client_first[] = {
    {'n', TAKE_NAME, "user", "no user name"},
    {'r', TAKE_NONCE, "client-nonce", "no nonce"},
    {0},
};
static const struct row server_first[] = {
    {'r', TAKE_NONCE, "server-nonce", "no nonce"},
    {'s', TAKE_BASE64, "salt", "no salt"},
    {'i', TAKE_NUMBER, "iterations", "no iteration count"},
    {'d', TAKE_FACT, "downgrade-hash", NULL}, /* older versions of XEP-0474 */
    {'h', TAKE_FACT, "downgrade-hash", NULL},
    {0},
};
static const struct row client_final[] = {
    {'c', TAKE_BINDING, NULL, "no channel binding"},
    {'r', TAKE_FACT, "nonce", "no nonce"},
    {'p', TAKE_PRESENT, "proof", "no proof"},
    {0},
};
static const struct row server_final[] = {
    {'v', TAKE_PRESENT, "server-signature", NULL},
    {'e', TAKE_FACT, "scram-error", NULL},
    {0},
};

static bool next_attr(const char **p, const char *end, struct attr *a)
{
    const char *comma = memchr(*p, ',', (size_t)(end - *p));
    const char *to = comma ? comma : end;

    if (to - *p < 2 || (*p)[1] != '=')
        return false;
    *a = (struct attr){**p, *p + 2, (size_t)(to - *p) - 2};
    *p = comma ? comma + 1 : end;
    return true;
}

static bool take_number(const struct sasl_message *m, const char *fact, const struct attr *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->value[i] < '0' || a->value[i] > '9')
            return sasl_malformed(m, "the iteration count is no number");
    fact_add_bytes(m->facts, fact, a->value, a->n);
    return true;
}

/* The client's is kept: the server's whole nonce begins with it. */
static bool take_nonce(const struct sasl_message *m, const char *fact, const struct attr *a)
{
    struct sasl *s = m->s;

    if (m->dir == DIR_C2S) {
        s->nonce_len = a->n <= sizeof s->nonce ? (unsigned short)a->n : 0;
        memcpy(s->nonce, a->value, s->nonce_len);
    } else if (a->n < s->nonce_len || memcmp(a->value, s->nonce, s->nonce_len) != 0) {
        fact_add_bytes(m->facts, fact, a->value, a->n);
        return sasl_malformed(m, "the nonce does not begin with the client's");
    }
    fact_add_bytes(m->facts, fact, a->value + (m->dir == DIR_S2C ? s->nonce_len : 0),
                   a->n - (m->dir == DIR_S2C ? s->nonce_len : 0));
    return true;
}

/* The gs2 header again, and what the channel is bound by. */
static bool take_binding(const struct sasl_message *m, const struct attr *a)
{
    char text[1024];
    long n = sasl_base64(a->value, a->n, text, sizeof text);
    const char *data;
    struct sasl_gs2 g;

    if (n < 0)
        return sasl_malformed(m, "the channel binding is not base64");
    data = sasl_gs2(text, text + n, &g);
    if (!data)
        return sasl_malformed(m, "the channel binding begins with no gs2 header");
    sasl_gs2_facts(&g, m->facts);
    if (g.flag == 'p')
        fact_printf(m->facts, "cb-bytes", "%zu", (size_t)(text + n - data));
    if (m->s->gs2 && m->s->gs2 != g.flag)
        return sasl_malformed(m, "the gs2 header is not that of the first message");
    return true;
}

static bool take(const struct sasl_message *m, const struct row *row, const struct attr *a)
{
    char text[SASL_USER_MAX > 512 ? SASL_USER_MAX : 512];

    switch (row->take) {
    case TAKE_FACT:
        if (!fact_get(m->facts, row->fact))
            fact_add_bytes(m->facts, row->fact, a->value, a->n);
        break;
    case TAKE_PRESENT:
        fact_add(m->facts, row->fact, "present");
        break;
    case TAKE_BASE64:
        fact_add_bytes(m->facts, row->fact, a->value, a->n);
        if (sasl_base64(a->value, a->n, text, sizeof text) < 0)
            return sasl_malformed(m, "the salt is not base64");
        break;
    case TAKE_NUMBER:
        return take_number(m, row->fact, a);
    case TAKE_NAME:
        if (!sasl_name(a->value, a->n, text, sizeof text))
            return sasl_malformed(m, a->n ? "the user name is not escaped" : "no user name");
        sasl_set_user(m, text, strlen(text));
        break;
    case TAKE_NONCE:
        return take_nonce(m, row->fact, a);
    case TAKE_BINDING:
        return take_binding(m, a);
    }
    return true;
}

struct extensions {
    char text[256];
    size_t n;
};

static void extensions_add(struct extensions *e, const struct attr *a)
{
    int n = snprintf(e->text + e->n, sizeof e->text - e->n, "%s%c=%.*s", e->n ? "," : "", a->name,
                     (int)(a->n < 64 ? a->n : 64), a->value);

    if (n > 0)
        e->n += (size_t)n < sizeof e->text - e->n ? (size_t)n : sizeof e->text - e->n - 1;
}

/* The attributes of [p, end), row by row. False if something is wrong. */
static bool read_attrs(const struct sasl_message *m, const struct row *rows, const char *p)
{
    const char *end = m->p + m->n;
    struct extensions more = {.n = 0};
    struct attr a;
    bool good = true;
    unsigned met = 0;

    while (p < end) {
        unsigned i = 0;

        if (!next_attr(&p, end, &a))
            return sasl_malformed(m, "not a list of attributes");
        while (rows[i].name && rows[i].name != a.name)
            i++;
        if (!rows[i].name && strchr("pv", a.name))
            good = sasl_malformed(m, "a proof where none is due");
        else if (!rows[i].name)
            extensions_add(&more, &a);
        else if (met >> i & 1)
            good = sasl_malformed(m, "an attribute stands twice");
        else
            good = take(m, &rows[i], &a) && good;
        met |= 1u << i;
    }
    for (unsigned i = 0; rows[i].name; i++)
        if (rows[i].missing && !(met >> i & 1))
            good = sasl_malformed(m, rows[i].missing);
    fact_add(m->facts, "scram-extensions", more.text);
    return good;
}

static void add_hash(const struct sasl_message *m)
{
    static const char plus[] = "-PLUS";
    const char *hash = m->s->mechanism + strlen("SCRAM-");
    size_t n = strlen(hash);

    if (n > sizeof plus - 1 && strcmp(hash + n - (sizeof plus - 1), plus) == 0)
        n -= sizeof plus - 1;
    fact_add_bytes(m->facts, "hash", hash, n);
}

static bool read_client_first(const struct sasl_message *m)
{
    char authzid[512];
    struct sasl_gs2 g;
    const char *bare = sasl_gs2(m->p, m->p + m->n, &g);
    bool good;

    if (!bare)
        return sasl_malformed(m, "no gs2 header");
    m->s->gs2 = g.flag;
    good = read_attrs(m, client_first, bare);
    if (g.authzid_len && sasl_name(g.authzid, g.authzid_len, authzid, sizeof authzid))
        fact_add(m->facts, "authzid", authzid);
    else if (g.authzid_len)
        good = sasl_malformed(m, "the authorization identity is not escaped");
    sasl_gs2_facts(&g, m->facts);
    add_hash(m);
    return good;
}

/* Only the proof and the server's signature let the password be guessed; a client's last message
 * and one with such a signature are masked whatever else is in them. */
bool sasl_scram(const struct sasl_message *m)
{
    bool final = m->n > 1 && m->p[1] == '=' && (*m->p == 'v' || *m->p == 'e');
    bool good;

    if (m->dir == DIR_C2S) {
        fact_add(m->facts, "message", m->s->said ? "client-final" : "client-first");
        good = m->s->said ? read_attrs(m, client_final, m->p) : read_client_first(m);
        return good && m->s->said == 0;
    }
    fact_add(m->facts, "message", final ? "server-final" : "server-first");
    good = read_attrs(m, final ? server_final : server_first, m->p);
    return good && !fact_get(m->facts, "server-signature");
}

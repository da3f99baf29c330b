/* OAUTHBEARER and its kin: RFC 7628 §3. */
#include "sasl_message.h"

#include <string.h>

#define SEPARATOR '\1'

/* `name=value` of the client's message that is told. */
static const struct {
    const char *name, *fact;
} told[] = {{"host", "host"}, {"port", "port"}};

/* Of the server's JSON. */
static const struct {
    const char *key, *fact;
} of_json[] = {
    {"\"status\"", "oauth-status"},
    {"\"scope\"", "oauth-scope"},
    {"\"openid-configuration\"", "oauth-configuration"},
};

/* `SCHEME SP TOKEN`. */
static void take_auth(const struct sasl_message *m, const char *value, size_t n)
{
    const char *space = memchr(value, ' ', n);
    const char *token = space ? space + 1 : value;

    if (space)
        fact_add_bytes(m->facts, "auth-scheme", value, (size_t)(space - value));
    secrets_learn(m->secrets, token, n - (size_t)(token - value), true);
}

static void take_pair(const struct sasl_message *m, const char *p, size_t n)
{
    const char *equals = memchr(p, '=', n);
    size_t name = equals ? (size_t)(equals - p) : n;

    if (!equals) {
        sasl_malformed(m, "a value without a name");
        return;
    }
    if (name == 4 && memcmp(p, "auth", 4) == 0)
        take_auth(m, equals + 1, n - name - 1);
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        if (strlen(told[i].name) == name && memcmp(told[i].name, p, name) == 0)
            fact_add_bytes(m->facts, told[i].fact, equals + 1, n - name - 1);
}

static bool read_client(const struct sasl_message *m)
{
    const char *end = m->p + m->n, *p;
    char user[512];
    struct sasl_gs2 g;

    if (m->n == 1 && *m->p == SEPARATOR) /* it has read why it failed (§3.2.3) */
        return true;
    p = sasl_gs2(m->p, end, &g);
    if (!p)
        sasl_malformed(m, "no gs2 header");
    if (p && g.authzid_len && sasl_name(g.authzid, g.authzid_len, user, sizeof user))
        sasl_set_user(m, user, strlen(user));
    else if (p && g.authzid_len)
        sasl_malformed(m, "the user name is not escaped");
    if (p)
        sasl_gs2_facts(&g, m->facts);
    if (p && (p == end || *p != SEPARATOR))
        sasl_malformed(m, "no separator behind the gs2 header");
    p = p ? p : m->p;
    for (p += p < end && *p == SEPARATOR; p < end && *p != SEPARATOR;) {
        const char *to = memchr(p, SEPARATOR, (size_t)(end - p));
        size_t n = (size_t)((to ? to : end) - p);

        take_pair(m, p, n);
        p += n + (to != NULL);
    }
    return false;
}

/* The string that follows the key, if there is one; escapes stay as they are. */
static void take_json(const struct sasl_message *m, const char *key, const char *fact)
{
    const char *end = m->p + m->n, *p = memmem(m->p, m->n, key, strlen(key)), *close;

    if (!p)
        return;
    for (p += strlen(key); p < end && *p && strchr(" \t\r\n:", *p);)
        p++;
    if (p == end || *p != '"')
        return;
    for (close = ++p; close < end && *close != '"'; close++)
        close += *close == '\\' && close + 1 < end;
    fact_add_bytes(m->facts, fact, p, (size_t)(close - p));
}

bool sasl_oauth(const struct sasl_message *m)
{
    if (m->dir == DIR_C2S)
        return read_client(m);
    if (*m->p != '{')
        return sasl_malformed(m, "not a JSON object");
    for (size_t i = 0; i < sizeof of_json / sizeof *of_json; i++)
        take_json(m, of_json[i].key, of_json[i].fact);
    return fact_get(m->facts, "oauth-status") != NULL;
}

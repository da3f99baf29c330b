/* The mechanisms of one or two short messages, and what readers share. */
#include "sasl_message.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool sasl_malformed(const struct sasl_message *m, const char *words)
{
    if (!fact_get(m->facts, "malformed")) /* the first that was met */
        fact_add(m->facts, "malformed", words);
    return false;
}

void sasl_set_user(const struct sasl_message *m, const char *p, size_t n)
{
    if (n < sizeof m->s->user && !memchr(p, '\0', n)) {
        memcpy(m->s->user, p, n);
        m->s->user[n] = '\0';
    }
    secrets_name(m->secrets, p, n);
    fact_add_bytes(m->facts, "user", p, n);
}

bool sasl_printable(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
            return false;
    return true;
}

const char *sasl_gs2(const char *p, const char *end, struct sasl_gs2 *g)
{
    const char *comma;

    *g = (struct sasl_gs2){.type = "", .authzid = ""};
    if (p == end || !memchr("nyp", *p, 3))
        return NULL;
    g->flag = *p++;
    comma = memchr(p, ',', (size_t)(end - p));
    if (!comma || (g->flag == 'p' ? comma - p < 2 || *p != '=' : comma != p))
        return NULL;
    if (g->flag == 'p') {
        g->type = p + 1;
        g->type_len = (size_t)(comma - g->type);
    }
    p = comma + 1;
    comma = memchr(p, ',', (size_t)(end - p));
    if (!comma || (comma != p && (comma - p < 3 || p[0] != 'a' || p[1] != '=')))
        return NULL;
    if (comma != p) {
        g->authzid = p + 2;
        g->authzid_len = (size_t)(comma - g->authzid);
    }
    return comma + 1;
}

void sasl_gs2_facts(const struct sasl_gs2 *g, struct fact_list *facts)
{
    fact_add_bytes(facts, "gs2", &g->flag, 1);
    fact_add_bytes(facts, "cb-type", g->type, g->type_len);
}

bool sasl_name(const char *p, size_t n, char *out, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++, len++) {
        if (len + 1 >= size || p[i] == '\0')
            return false;
        out[len] = p[i];
        if (p[i] != '=')
            continue;
        if (n - i < 3 || (memcmp(p + i, "=2C", 3) != 0 && memcmp(p + i, "=3D", 3) != 0))
            return false;
        out[len] = p[i + 1] == '2' ? ',' : '=';
        i += 2;
    }
    out[len] = '\0';
    return len > 0;
}

/* A message that is one fact. */
static bool words(const struct sasl_message *m, const char *fact)
{
    fact_add_bytes(m->facts, fact, m->p, m->n);
    return sasl_printable(m->p, m->n) || sasl_malformed(m, "control characters");
}

static bool unasked(const struct sasl_message *m)
{
    return sasl_malformed(m, "the mechanism has no challenge");
}

/* authzid NUL authcid NUL passwd. Whatever stands where the password should is one. */
bool sasl_plain(const struct sasl_message *m)
{
    const char *end = m->p + m->n, *user = memchr(m->p, '\0', m->n), *password;

    if (m->dir == DIR_S2C)
        return unasked(m);
    if (!user) {
        secrets_learn(m->secrets, m->p, m->n, true);
        return sasl_malformed(m, "no NUL");
    }
    user++;
    password = memchr(user, '\0', (size_t)(end - user));
    if (!password) {
        secrets_learn(m->secrets, user, (size_t)(end - user), true);
        return sasl_malformed(m, "no second NUL");
    }
    if (password == user)
        sasl_malformed(m, "no user name");
    else
        sasl_set_user(m, user, (size_t)(password - user));
    fact_add_bytes(m->facts, "authzid", m->p, (size_t)(user - 1 - m->p));
    password++;
    if (password == end)
        sasl_malformed(m, "no password");
    else if (memchr(password, '\0', (size_t)(end - password)))
        sasl_malformed(m, "a third NUL");
    secrets_learn(m->secrets, password, (size_t)(end - password), true);
    return false;
}

/* The server asks for "Username:", then for "Password:". Only what the client says first, and was
 * not asked for a password, is its name: some answer the first prompt twice. */
bool sasl_login(const struct sasl_message *m)
{
    if (m->dir == DIR_S2C) {
        m->s->asked_password = strncasecmp(m->p, "pass", 4) == 0;
        return words(m, "prompt");
    }
    if (m->s->said == 0 && !m->s->asked_password) {
        if (memchr(m->p, '\0', m->n)) {
            sasl_malformed(m, "a message of PLAIN");
            return sasl_plain(m);
        }
        sasl_set_user(m, m->p, m->n);
        return true;
    }
    secrets_learn(m->secrets, m->p, m->n, true);
    fact_add(m->facts, "password", "present");
    return false;
}

bool sasl_anonymous(const struct sasl_message *m)
{
    return m->dir == DIR_C2S ? words(m, "trace") : unasked(m);
}

bool sasl_external(const struct sasl_message *m)
{
    return m->dir == DIR_C2S ? words(m, "authzid") : unasked(m);
}

/* The server's challenge; `user SP digest`, 32 hexadecimal digits. */
bool sasl_cram(const struct sasl_message *m)
{
    const char *space = memrchr(m->p, ' ', m->n);

    if (m->dir == DIR_S2C)
        return words(m, "challenge");
    if (!space || space == m->p)
        return sasl_malformed(m, "no user name and digest");
    if (m->n - (size_t)(space - m->p) != 33 ||
        strspn(space + 1, "0123456789abcdefABCDEF") != 32)
        return sasl_malformed(m, "the digest is not 32 hexadecimal digits");
    sasl_set_user(m, m->p, (size_t)(space - m->p));
    fact_add(m->facts, "digest", "present");
    return false;
}

/* authcid NUL HMAC of the token; the server's answer is one alone. Both let the token be guessed.
 * HT-SHA-256-ENDP: the hash, then what the channel is bound by. */
bool sasl_token(const struct sasl_message *m)
{
    static const struct {
        const char *end, *type;
    } bindings[] = {
        {"-ENDP", "tls-server-end-point"}, {"-UNIQ", "tls-unique"}, {"-EXPR", "tls-exporter"},
    };
    const char *hash = m->s->mechanism + strlen("HT-"), *end = strrchr(hash, '-');
    const char *nul = memchr(m->p, '\0', m->n);

    if (m->dir == DIR_S2C) {
        fact_add(m->facts, "server-signature", "present");
        return false;
    }
    if (!nul || nul == m->p)
        return sasl_malformed(m, nul ? "no user name" : "no NUL");
    sasl_set_user(m, m->p, (size_t)(nul - m->p));
    if (end)
        fact_add_bytes(m->facts, "hash", hash, (size_t)(end - hash));
    for (size_t i = 0; end && i < sizeof bindings / sizeof *bindings; i++)
        if (strcmp(end, bindings[i].end) == 0)
            fact_add(m->facts, "cb-type", bindings[i].type);
    return false;
}

bool sasl_opaque(const struct sasl_message *m)
{
    fact_printf(m->facts, "bytes", "%zu", m->n);
    return false;
}

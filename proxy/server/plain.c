#include "plain.h"

#include <string.h>

#include "../../decoder/sasl.h"

#define MESSAGE_MAX 3072 /* what 4 KiB of base64 hold, the most the reader keeps of a text */

/* How many bytes the sequence behind lead byte `c` has, 0: no lead byte. `*low` and `*high` limit
 * its second byte, so that overlong forms, surrogates and what is above U+10FFFF are out. */
static unsigned tail_of(unsigned char c, unsigned char *low, unsigned char *high)
{
    *low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    *high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (c >= 0xc2 && c <= 0xdf)
        return 1;
    if (c >= 0xe0 && c <= 0xef)
        return 2;
    return c >= 0xf0 && c <= 0xf4 ? 3 : 0;
}

bool plain_is_utf8(const char *p, size_t n)
{
    size_t i = 0;

    while (i < n) {
        unsigned char c = (unsigned char)p[i++], low, high;
        unsigned tail;

        if (c < 0x80)
            continue;
        tail = tail_of(c, &low, &high);
        if (tail == 0 || tail > n - i)
            return false;
        for (; tail > 0; tail--, low = 0x80, high = 0xbf) {
            c = (unsigned char)p[i++];
            if (c < low || c > high)
                return false;
        }
    }
    return true;
}

bool plain_is_base64(const char *base64, size_t n)
{
    char message[MESSAGE_MAX];

    return sasl_base64(base64, n, message, sizeof message) >= 0;
}

/* Empty, or the bare JID that the client logs in as. */
static bool authzid_allowed(const struct user *u, const char *authzid)
{
    struct jid j;

    return !*authzid || (prep_jid(authzid, &j) && strcmp(j.local, u->local) == 0 &&
                         strcmp(j.domain, u->domain) == 0 && !*j.resource);
}

const char *plain_login(struct client *c, const char *base64, size_t n)
{
    char message[MESSAGE_MAX + 1];
    struct user *u;
    const char *authcid, *password, *end;
    long len = sasl_base64(base64, n, message, MESSAGE_MAX);

    if (len < 0)
        return "incorrect-encoding";
    end = message + len;
    authcid = memchr(message, '\0', (size_t)len);
    password = authcid ? memchr(authcid + 1, '\0', (size_t)(end - authcid - 1)) : NULL;
    if (!password || memchr(password + 1, '\0', (size_t)(end - password - 1)) ||
        !plain_is_utf8(message, (size_t)len))
        return "malformed-request";
    authcid++;
    message[len] = '\0';
    u = client_account(c, authcid, (size_t)(password - authcid));
    if (!u || !credentials_allow(&u->credentials, password + 1))
        return "not-authorized";
    if (!authzid_allowed(u, message))
        return "invalid-authzid";
    client_login(c, u);
    return NULL;
}

#include "plain.h"

#include <string.h>

#include "client.h"
#include "world.h"

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

enum login_result plain_take(struct login *l, const char *p, size_t n, struct buf *out)
{
    const char *end = p + n, *name = memchr(p, '\0', n);
    const char *password = name ? memchr(name + 1, '\0', (size_t)(end - name - 1)) : NULL;
    struct user *u;

    (void)out;
    if (!password || memchr(password + 1, '\0', (size_t)(end - password - 1)) ||
        !plain_is_utf8(p, n))
        return login_fail(l, "malformed-request",
                          "PLAIN's message is not AUTHZID NUL NAME NUL PASSWORD "
                          "in UTF-8");
    name++;
    password++;
    if (!*password)
        return login_fail(l, "not-authorized", "the password is empty");
    u = client_account(l->c, name, (size_t)(password - 1 - name));
    if (!u || !credentials_allow(&u->credentials, password))
        return login_fail(l, "not-authorized",
                          "there is no such account, or it has another password");
    return login_enter(l, u, p);
}

/* What it says of itself, if anything, changes nothing. */
enum login_result plain_take_anonymous(struct login *l, const char *p, size_t n, struct buf *out)
{
    char name[RANDOM_SIZE];
    struct user *u = NULL;

    (void)p;
    (void)n;
    (void)out;
    if (client_random(name) == 0)
        u = world_make(l->c->world, name, l->c->domain);
    if (!u)
        return login_fail(l, "temporary-auth-failure", "no memory, or too many accounts");
    u->temporary = true;
    return login_enter(l, u, "");
}

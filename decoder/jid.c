#include "jid.h"

#include <stddef.h>
#include <string.h>

#define FNV_PRIME 0x100000001b3u

/* Capitals: from, to, each `step`th of them; the small letter is `add` behind it. */
static const struct {
    unsigned from, to, step, add;
} capitals[] = {
    {0x41, 0x5A, 1, 32},   {0xC0, 0xD6, 1, 32},   {0xD8, 0xDE, 1, 32},   {0x100, 0x12E, 2, 1},
    {0x132, 0x136, 2, 1},  {0x139, 0x147, 2, 1},  {0x14A, 0x176, 2, 1},  {0x179, 0x17D, 2, 1},
    {0x391, 0x3A9, 1, 32}, {0x400, 0x40F, 1, 80}, {0x410, 0x42F, 1, 32}, {0x460, 0x480, 2, 1},
    {0x48A, 0x4BE, 2, 1},  {0x4D0, 0x52E, 2, 1},  {0x531, 0x556, 1, 48},
};

static unsigned small(unsigned c)
{
    for (size_t i = 0; i < sizeof capitals / sizeof *capitals && c >= capitals[i].from; i++)
        if (c <= capitals[i].to && (c - capitals[i].from) % capitals[i].step == 0)
            return c + capitals[i].add;
    return c;
}

/* The next character of a JID, folded, 0 at its end. All capitals that are folded have one byte or
 * two; a longer character comes byte by byte, and so does what is no UTF-8. */
static unsigned next(const char **p, bool *resource)
{
    unsigned c = (unsigned char)(*p)[0], second;

    if (c == '\0')
        return 0;
    (*p)++;
    *resource = *resource || c == '/';
    if (*resource || c < 'A')
        return c;
    second = (unsigned char)(*p)[0];
    if (c < 0xC2 || c > 0xDF || (second & 0xC0) != 0x80)
        return c < 0x80 ? small(c) : c << 16; /* apart from any character */
    (*p)++;
    return small((c & 0x1F) << 6 | (second & 0x3F));
}

bool jid_same(const char *a, const char *b)
{
    bool in_a = false, in_b = false;
    unsigned c;

    do {
        c = next(&a, &in_a);
        if (c != next(&b, &in_b))
            return false;
    } while (c);
    return true;
}

bool jid_in(const char *jid, const char *domain)
{
    const char *slash = strchrnul(jid, '/'), *at = memchr(jid, '@', (size_t)(slash - jid));
    bool in_jid = false, in_domain = false;
    unsigned c;

    for (jid = at ? at + 1 : jid; jid < slash;) {
        c = next(&jid, &in_jid);
        if (c != next(&domain, &in_domain))
            return false;
    }
    return *domain == '\0';
}

uint64_t jid_hash(uint64_t hash, const char *jid)
{
    bool resource = false;
    unsigned c;

    while ((c = next(&jid, &resource)) != 0)
        hash = (hash ^ c) * FNV_PRIME;
    return hash;
}

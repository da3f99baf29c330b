/* hex.h: bytes as lower-case hex digits: a digest is written for every session, and 32 snprintf()s
 * for each cost more than the digest. Any thread; no state.
 */
#ifndef XMPPTAP_HEX_H
#define XMPPTAP_HEX_H

#include <stddef.h>

/* `out` gets 2 * n + 1 bytes. */
static inline void hex_write(char *out, const unsigned char *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
}

#endif

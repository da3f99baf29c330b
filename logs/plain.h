/* plain.h: how many bytes can be copied as they are. Pure; any thread.
 *
 * Sixteen at a time, in the vectors that gcc and clang have for every machine. Internal to logs/.
 */
#ifndef XMPPTAP_PLAIN_H
#define XMPPTAP_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum plain {
    PLAIN_ASCII, /* printable ASCII and the space */
    PLAIN_JSON   /* of those, what stands in a JSON string as it is: not `"` and `\` */
};

typedef signed char plain_vector __attribute__((vector_size(16)));

static inline bool plain_byte(char c, enum plain what)
{
    return c >= 0x20 && c < 0x7f && (what != PLAIN_JSON || (c != '"' && c != '\\'));
}

/* Are all sixteen? */
static inline bool plain_sixteen(const char *p, enum plain what)
{
    plain_vector v, bad;
    uint64_t half[2];

    memcpy(&v, p, sizeof v);
    bad = (v < 0x20) | (v == 0x7f); /* signed: what is not ASCII is below, too */
    if (what == PLAIN_JSON)
        bad |= (v == '"') | (v == '\\');
    memcpy(half, &bad, sizeof half);
    return (half[0] | half[1]) == 0;
}

/* How many of the `n` bytes are, up to the first that is not. */
static inline size_t plain_run(const char *p, size_t n, enum plain what)
{
    size_t i = 0;

    while (n - i >= sizeof(plain_vector) && plain_sixteen(p + i, what))
        i += sizeof(plain_vector);
    /* The last ones again, with those before them. */
    if (i && n - i < sizeof(plain_vector) && plain_sixteen(p + n - sizeof(plain_vector), what))
        return n;
    while (i < n && plain_byte(p[i], what))
        i++;
    return i;
}

#endif

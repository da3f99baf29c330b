/* inflate.h: a compressed stream (XEP-0138, method zlib: RFC 1950) is inflated for reading.
 *
 * One direction's; the recorder's thread. The bytes that are forwarded are none of its business.
 * About 40 KiB while it lives. What is inflated is capped against what came, so that a bomb costs
 * its own session only: more than `burst` bytes of text must not be more than `ratio` times the
 * bytes they came in.
 */
#ifndef XMPPTAP_INFLATE_H
#define XMPPTAP_INFLATE_H

#include <stddef.h>
#include <stdint.h>

#include "errors.h"

struct inflate;

struct inflate_limits {
    uint64_t burst; /* bytes */
    unsigned ratio;
};

extern const struct inflate_limits inflate_default_limits;

/* Returns owned, NULL without memory. `limits` NULL: the default. */
struct inflate *inflate_new(const struct inflate_limits *limits);
void inflate_free(struct inflate *z);

/* Reads on in `p`: `*used` bytes gave `*got` bytes of text in `out`. Call again while used < n, or
 * got == size. Errors: ERR_COMPRESSED (no zlib stream, or its end), ERR_INFLATE_CAP, ERR_NOMEM;
 * `e` tells what exactly. */
int inflate_some(struct inflate *z, const char *p, size_t n, size_t *used, char *out, size_t size,
                 size_t *got, struct error *e) MUST_CHECK;

#endif

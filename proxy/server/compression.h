/* compression.h: what goes through a stream that is compressed (XEP-0138, method zlib: RFC 1950),
 * both ways. Sans-I/O; owned by its connection; one thread.
 *
 * Output costs 11 KiB of state (a window of 1 KiB: what zlib's largest saves besides is a few
 * hundredths), input 7, and up to 32 of window, which is the client's choice.
 */
#ifndef XMPPTAP_COMPRESSION_H
#define XMPPTAP_COMPRESSION_H

#include <stdbool.h>

#include "../../decoder/buf.h"

#define COMPRESSION_IN   (1u << 20)  /* bytes that came and are not inflated yet */
#define COMPRESSION_CALL (1u << 20)  /* bytes inflated for one call */
#define COMPRESSION_OUT  (64u << 10) /* bytes deflated for one call */

struct compression;
struct item;

/* Which failure a <compress/> has ("unsupported-method", "setup-failed"); NULL: none. */
const char *compression_refusal(const struct item *it);

/* Returns owned, NULL without memory. Takes what is in `out`: it goes out first, as it is. */
struct compression *compression_new(struct buf *out);
void compression_free(struct compression *z);

/* Bytes from the client. ERR_CAP: too many wait already. ERR_NOMEM. */
int compression_put(struct compression *z, const char *p, size_t n) MUST_CHECK;

/* More of them, inflated, into `text`; `*got` 0: there are none. Errors: as inflate_some(). */
int compression_get(struct compression *z, char *text, size_t size, size_t *got) MUST_CHECK;

/* Does some of the input wait? */
bool compression_waits(const struct compression *z);

/* What is to be sent, made of as much of `out` as goes in one call; borrowed. ERR_NOMEM. */
int compression_output(struct compression *z, struct buf *out, const char **p,
                       size_t *n) MUST_CHECK;
void compression_sent(struct compression *z, size_t n);

#endif

/* deflater.h: whole blocks as raw deflate (RFC 1951), and their CRC-32 (RFC 1952 §8).
 *
 * libdeflate where the build found it (HAVE_LIBDEFLATE), zlib otherwise. One for the archive's
 * life: its tables are reused, and it knows nothing of a block once the next one comes. One thread.
 */
#ifndef XMPPTAP_DEFLATER_H
#define XMPPTAP_DEFLATER_H

#include <stdbool.h>
#include <stdint.h>

#include "../decoder/buf.h"

struct deflater;

/* Returns owned, NULL without memory. `zlib`: not libdeflate, even where it is there. */
struct deflater *deflater_new(bool zlib);
void deflater_free(struct deflater *d);

/* Appends the `n` bytes, deflated. Errors: ERR_NOMEM, ERR_CAP; on error nothing was appended. */
int deflater_add(struct deflater *d, struct buf *out, const void *p, size_t n) MUST_CHECK;

uint32_t deflater_crc32(const struct deflater *d, const void *p, size_t n);

#endif

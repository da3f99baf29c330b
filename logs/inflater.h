/* inflater.h: a member of the archive, inflated at one go.
 *
 * By libdeflate, where the build found it (HAVE_LIBDEFLATE); elsewhere, and whatever is odd about a
 * member, is the stream reader's (logs/archive_read.c), which is zlib's. One thread.
 */
#ifndef XMPPTAP_INFLATER_H
#define XMPPTAP_INFLATER_H

#include <stdbool.h>
#include <stddef.h>

struct inflater;

/* Returns owned; NULL without memory, or without the library: nothing is inflated here then. */
struct inflater *inflater_new(void);
void inflater_free(struct inflater *i);

/* The `n` bytes of deflate data (RFC 1951) as exactly `text_bytes` of text. False: they are not, or
 * their CRC-32 is another. */
bool inflater_whole(struct inflater *i, const void *p, size_t n, char *text, size_t text_bytes,
                    unsigned crc);

#endif

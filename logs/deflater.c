#include "deflater.h"

#include <stdlib.h>
#include <zlib.h>

#ifdef HAVE_LIBDEFLATE
#include <libdeflate.h>
#else
struct libdeflate_compressor; /* there is never one */
#endif

/* Of both libraries. On an archive's text libdeflate's 1 makes less than zlib's 1 does, three times
 * as fast; its next level halves the speed for 3 to 5 in 100 of the size. */
#define LEVEL 1

struct deflater {
    struct libdeflate_compressor *whole; /* NULL: `stream` is used */
    z_stream stream;
};

struct deflater *deflater_new(bool zlib)
{
    struct deflater *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
#ifdef HAVE_LIBDEFLATE
    if (!zlib)
        d->whole = libdeflate_alloc_compressor(LEVEL);
    zlib = !d->whole;
#else
    zlib = true;
#endif
    if (zlib && deflateInit2(&d->stream, LEVEL, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY)) {
        free(d);
        return NULL;
    }
    return d;
}

void deflater_free(struct deflater *d)
{
    if (!d)
        return;
#ifdef HAVE_LIBDEFLATE
    libdeflate_free_compressor(d->whole);
#endif
    if (!d->whole)
        deflateEnd(&d->stream);
    free(d);
}

static size_t bound(struct deflater *d, size_t n)
{
#ifdef HAVE_LIBDEFLATE
    if (d->whole)
        return libdeflate_deflate_compress_bound(d->whole, n);
#endif
    return deflateBound(&d->stream, (uLong)n);
}

/* Returns how many bytes it made, 0 if it could not. */
static size_t compress_block(struct deflater *d, char *out, size_t room, const void *p, size_t n)
{
    z_stream *z = &d->stream;

#ifdef HAVE_LIBDEFLATE
    if (d->whole)
        return libdeflate_deflate_compress(d->whole, p, n, out, room);
#endif
    z->next_in = (Bytef *)(uintptr_t)p;
    z->avail_in = (uInt)n;
    z->next_out = (Bytef *)out;
    z->avail_out = (uInt)room;
    if (deflateReset(z) != Z_OK || deflate(z, Z_FINISH) != Z_STREAM_END)
        return 0;
    return room - z->avail_out;
}

int deflater_add(struct deflater *d, struct buf *out, const void *p, size_t n)
{
    size_t room = bound(d, n), made;
    int err = buf_reserve(out, room);

    if (err)
        return err;
    made = compress_block(d, out->p + out->len, room, p, n);
    out->len += made;
    return made ? 0 : ERR_NOMEM;
}

uint32_t deflater_crc32(const struct deflater *d, const void *p, size_t n)
{
#ifdef HAVE_LIBDEFLATE
    if (d->whole)
        return libdeflate_crc32(0, p, n);
#endif
    (void)d;
    return (uint32_t)crc32(0, p, (uInt)n);
}

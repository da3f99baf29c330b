#include "inflater.h"

#ifdef HAVE_LIBDEFLATE

#include <libdeflate.h>

/* The library's own struct goes by our name: there is nothing to add to it. */
struct inflater *inflater_new(void)
{
    return (struct inflater *)libdeflate_alloc_decompressor();
}

void inflater_free(struct inflater *i)
{
    libdeflate_free_decompressor((struct libdeflate_decompressor *)i);
}

bool inflater_whole(struct inflater *i, const void *p, size_t n, char *text, size_t text_bytes,
                    unsigned crc)
{
    size_t used;

    return libdeflate_deflate_decompress_ex((struct libdeflate_decompressor *)i, p, n, text,
                                            text_bytes, &used, NULL) == LIBDEFLATE_SUCCESS &&
           used == n && libdeflate_crc32(0, text, text_bytes) == crc;
}

#else

struct inflater *inflater_new(void)
{
    return NULL;
}

void inflater_free(struct inflater *i)
{
    (void)i;
}

bool inflater_whole(struct inflater *i, const void *p, size_t n, char *text, size_t text_bytes,
                    unsigned crc)
{
    (void)i;
    (void)p;
    (void)n;
    (void)text;
    (void)text_bytes;
    (void)crc;
    return false;
}

#endif

#include "inflate.h"

#include <stdlib.h>

#include <zlib.h>

struct inflate {
    z_stream z;
    struct inflate_limits limits;
    uint64_t in, out;
};

const struct inflate_limits inflate_default_limits = {.burst = 4u << 20, .ratio = 100};

struct inflate *inflate_new(const struct inflate_limits *limits)
{
    struct inflate *z = calloc(1, sizeof *z);

    if (!z)
        return NULL;
    z->limits = limits ? *limits : inflate_default_limits;
    if (inflateInit(&z->z) != Z_OK) {
        free(z);
        return NULL;
    }
    return z;
}

void inflate_free(struct inflate *z)
{
    if (!z)
        return;
    inflateEnd(&z->z);
    free(z);
}

int inflate_some(struct inflate *z, const char *p, size_t n, size_t *used, char *out, size_t size,
                 size_t *got, struct error *e)
{
    int status;

    z->z.next_in = (Bytef *)(uintptr_t)p;
    z->z.avail_in = (uInt)n;
    z->z.next_out = (Bytef *)out;
    z->z.avail_out = (uInt)size;
    status = inflate(&z->z, Z_SYNC_FLUSH);
    *used = n - z->z.avail_in;
    *got = size - z->z.avail_out;
    z->in += *used;
    z->out += *got;
    if (status == Z_MEM_ERROR)
        return error_set(e, ERR_NOMEM, "while a compressed stream was inflated");
    if (status == Z_STREAM_END)
        return error_set(e, ERR_COMPRESSED, "the zlib stream ended before the XMPP stream did");
    if (status != Z_OK && status != Z_BUF_ERROR)
        return error_set(e, ERR_COMPRESSED, "not a zlib stream: %s",
                         z->z.msg ? z->z.msg : "a preset dictionary is asked for");
    if (z->out > z->limits.burst && z->out / z->limits.ratio > z->in)
        return error_set(e, ERR_INFLATE_CAP, "%llu bytes became %llu",
                         (unsigned long long)z->in, (unsigned long long)z->out);
    return 0;
}

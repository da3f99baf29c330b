/* fuzz_scan: any bytes, in any pieces: scanner and reader find what expat finds in one piece, the
 * same ends and the same violations. agree.h says exactly what that means, and what is not
 * compared.
 *
 * Input: the first byte chooses the pieces' size (its lower four bits) and the limits (the fifth:
 * tight ones), so that seeds can be text: `a` small pieces, `o` large ones, `q` tight limits.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "agree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(struct reader *r, const struct scan_limits *limits, const char *p, size_t n,
                size_t piece)
{
    struct agree a;
    bool ok;

    agree_begin(&a, r, limits, p, n);
    do
        ok = agree_feed(&a, piece);
    while (ok && !a.over && a.at < n);
    ok = ok && agree_feed(&a, 0);
    if (!ok) {
        fprintf(stderr, "%s, in pieces of %zu\n", a.why, piece);
        abort();
    }
    agree_end(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct scan_limits tight = {.tag_bytes = 120, .item_bytes = 200, .depth = 4};
    const struct scan_limits *limits;
    struct reader *r;

    if (size < 2)
        return 0;
    limits = data[0] & 0x10 ? &tight : NULL;
    r = reader_new();
    if (!r)
        abort();
    run(r, limits, (const char *)data + 1, size - 1, size);
    run(r, limits, (const char *)data + 1, size - 1, 1u + data[0] % 16);
    reader_free(r);
    return 0;
}

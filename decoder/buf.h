/* buf.h: a growable run of bytes that cannot exist without its limit.
 *
 * Owned by whoever embeds it; one thread at a time. Nothing is allocated before the first byte,
 * and buf_free() leaves an empty buffer that can be used again.
 */
#ifndef XMPPTAP_BUF_H
#define XMPPTAP_BUF_H

#include <stddef.h>

#include "errors.h"

struct buf {
    char *p;     /* owned; NULL while empty and never grown */
    size_t len;  /* bytes in use */
    size_t cap;  /* bytes allocated */
    size_t max;  /* bytes it may ever hold */
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_free(struct buf *b);

/* Room for `n` more bytes at p + len. Errors: ERR_NOMEM, ERR_CAP (nothing changed then). */
int buf_reserve(struct buf *b, size_t n) MUST_CHECK;

/* Append. Errors: ERR_NOMEM, ERR_CAP; on error nothing was appended. */
int buf_add(struct buf *b, const void *p, size_t n) MUST_CHECK;
int buf_str(struct buf *b, const char *s) MUST_CHECK;
int buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_CHECK;

/* Appends with `&`, `<`, `>`, `'` and `"` as entities: for text and attribute values. */
int buf_xml(struct buf *b, const char *s) MUST_CHECK;

/* Appends the bytes as base64 (RFC 4648 §4); sasl_base64() reads it back. */
int buf_base64(struct buf *b, const void *p, size_t n) MUST_CHECK;

/* buf_free() for what holds a secret: all its memory is wiped first. One that grows may leave a copy
 * behind: buf_reserve() before the secret comes. */
void buf_wipe(struct buf *b);

/* Drops the first `n` bytes (n <= len); an emptied buffer keeps its memory. */
void buf_drop(struct buf *b, size_t n);

#endif

/* bytes.h: a growable run of bytes for the end-to-end tests, and small readings of it.
 *
 * Nothing of the program is linked into these tests, so they have their own. Without memory the
 * test ends at once. One thread at a time.
 */
#ifndef XMPPTAP_E2E_BYTES_H
#define XMPPTAP_E2E_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    char *p; /* owned; always a NUL behind `len`; NULL while empty and never grown */
    size_t len, cap;
};

void bytes_free(struct bytes *b);
void bytes_add(struct bytes *b, const void *p, size_t n);
void bytes_str(struct bytes *b, const char *s);
void bytes_fill(struct bytes *b, char c, size_t n);
void bytes_drop(struct bytes *b, size_t n); /* the first `n` */

/* Appends the file; false if it cannot be read. */
bool bytes_file(struct bytes *b, const char *path);
/* Makes or replaces a file; false if it cannot. */
bool bytes_save(const char *path, const void *p, size_t n, unsigned mode);

bool bytes_has(const struct bytes *b, const char *text);
bool bytes_are(const struct bytes *b, const void *p, size_t n);
size_t bytes_lines(const struct bytes *b); /* newlines */

/* The transcript without its blank lines, which carry no meaning. */
void bytes_without_blank_lines(const struct bytes *from, struct bytes *to);

/* Steady clock, milliseconds. */
int64_t now_ms(void);

#endif

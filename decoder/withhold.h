/* withhold.h: what of bytes that cannot be read as items may be kept under `--secrets redact`.
 *
 * They may hold a password that no reader can find in them, and come in pieces. One direction's,
 * embedded; the recorder's thread.
 */
#ifndef XMPPTAP_WITHHOLD_H
#define XMPPTAP_WITHHOLD_H

#include "buf.h"
#include "secrets.h"

struct withhold {
    bool suspect;     /* the run of bytes under way names a password */
    struct buf tail;  /* its last bytes: the word, or a known secret, may go on in the next ones */
    size_t masked;    /* of them, at their end: masked, for a known secret may begin there */
};

void withhold_init(struct withhold *w);
void withhold_free(struct withhold *w); /* can be used again */

/* Do these bytes name a password, or hold a known secret? */
bool withhold_suspects(const struct secrets *s, const char *p, size_t n);

/* `more`: the bytes go on from those of the call before. Appends to `out` what may be kept of them;
 * false: nothing may, because a password is named in them or they could not be masked. */
bool withhold_bytes(struct withhold *w, const struct secrets *s, bool more, const char *p, size_t n,
                    struct buf *out);

#endif

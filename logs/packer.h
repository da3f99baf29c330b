/* packer.h: makes the archive's members, each while the next one's records are written.
 *
 * Deflating is a third of what a stanza costs, so it has a thread of its own, made when it is first
 * needed; one packer, one member at a time. All functions are for the thread of its archive.
 */
#ifndef XMPPTAP_PACKER_H
#define XMPPTAP_PACKER_H

#include <stdbool.h>

#include "../decoder/buf.h"
#include "archive_member.h"

struct packer;

enum packer_state {
    PACKER_EMPTY,
    PACKER_WORKING,
    PACKER_PACKED,
    PACKER_FAILED /* there was no memory: packer_retry() */
};

/* `zlib`: as in deflater_new(). Returns owned, NULL without memory. */
struct packer *packer_new(bool zlib);
void packer_free(struct packer *p);

/* An empty one takes the first `m->text` bytes of `text`, which holds the rest behind it. `now`: it is
 * made before this returns. ERR_NOMEM: nothing has changed. */
int packer_give(struct packer *p, struct buf *text, const struct archive_member *m,
                bool now) MUST_CHECK;

/* `wait`: never PACKER_WORKING. */
enum packer_state packer_state(struct packer *p, bool wait);

/* Bytes of text that it holds, in any state. */
size_t packer_text(const struct packer *p);

/* Of one that is packed: its bytes, and what it is; borrowed until packer_empty(). */
const struct buf *packer_bytes(const struct packer *p);
const struct archive_member *packer_member(const struct packer *p);
void packer_empty(struct packer *p);

/* Of one that failed: makes it now. ERR_NOMEM. */
int packer_retry(struct packer *p) MUST_CHECK;

#endif

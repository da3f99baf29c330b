/* tally.h: counts and SHA-256 of what was received and of what was sent, for the `end` event.
 *
 * One session's; the recorder's thread. Counts are of the recorded bytes (docs/archive.md).
 */
#ifndef XMPPTAP_TALLY_H
#define XMPPTAP_TALLY_H

#include <openssl/evp.h>

#include "event.h"

struct tally {
    EVP_MD_CTX *got[2];  /* owned; NULL: without memory, no digest is given */
    EVP_MD_CTX *sent[2]; /* owned; NULL until the first edit: the same as `got` */
    uint64_t got_bytes[2], sent_bytes[2];
};

void tally_init(struct tally *t);
void tally_free(struct tally *t);

/* Takes in what `ev` says; an `end` event gets its counts. */
void tally_event(struct tally *t, struct event *ev);

#endif

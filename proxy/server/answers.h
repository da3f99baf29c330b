/* answers.h: what the embedded server answers to a stanza, as a table (answers.c, docs/serve.md).
 *
 * It keeps what one connection's answers depend on: who the client is and what it stored. The
 * server embeds it; one thread. Nothing is sent here: the text goes to a buffer, and `effects` say
 * what it means for the order of what is sent.
 */
#ifndef XMPPTAP_ANSWERS_H
#define XMPPTAP_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>

#include "../../decoder/buf.h"
#include "../../decoder/reader.h"
#include "stash.h"

#define JID_PART_MAX 1023 /* bytes, RFC 7622 §3 */
#define RANDOM_SIZE  37   /* a UUID's 36 characters and the NUL */

struct answers {
    char domain[JID_PART_MAX + 1];
    char local[JID_PART_MAX + 1];
    char resource[JID_PART_MAX + 1];
    bool authenticated; /* `local` is set */
    bool bound;         /* `resource` is set */
    bool available;
    struct stash stash; /* private XML, the vCard */
};

enum answer_effect {
    ANSWER_HOLDS = 1,    /* what comes behind this answer may be held back */
    ANSWER_RELEASES = 2, /* what is held must go out before this answer */
    ANSWER_ARRIVED = 4,  /* the client is available now: its contact's presence is due */
    ANSWER_LEFT = 8      /* it is no longer */
};

struct answer {
    struct buf *text; /* borrowed; the answer is appended, it may be empty */
    unsigned effects;
    const char *stream_error; /* the stream's end with this condition, or NULL */
};

void answers_init(struct answers *a);
void answers_free(struct answers *a);

/* The answer to `it`, an iq, message or presence of jabber:client; `root` is the root tag of the
 * client's stream. Errors: ERR_NOMEM, ERR_IO (no random bytes), ERR_CAP (`out->text` is full); the
 * text is not complete then. */
int answers_stanza(struct answers *a, const struct item *it, const struct buf *root,
                   struct answer *out) MUST_CHECK;

/* Appends the presence of the roster's contact. Errors: ERR_NOMEM, ERR_CAP. */
int answers_contact(struct answers *a, struct buf *out) MUST_CHECK;

/* Takes `name` (n bytes: a localpart, or a bare JID of the domain) as who the client is. False if
 * it is none (RFC 7622 §3.3.1, and not UTF-8 that XML can hold): nothing is changed then. */
bool answers_login(struct answers *a, const char *name, size_t n);

/* A random UUID. 0 or ERR_IO. */
int answers_random(char out[RANDOM_SIZE]) MUST_CHECK;

#endif

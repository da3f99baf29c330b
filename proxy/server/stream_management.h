/* stream_management.h: stream management of one client (XEP-0198): what was sent and got is
 * counted, what is not acknowledged is kept, and a client whose connection broke can come back to
 * it.
 *
 * Embedded in its client; one thread. At most SM_BYTES and SM_STANZAS are kept; over that nothing
 * is kept any more, and it cannot be resumed.
 */
#ifndef XMPPTAP_STREAM_MANAGEMENT_H
#define XMPPTAP_STREAM_MANAGEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "../../decoder/buf.h"

#define SM_BYTES   (256u << 10)
#define SM_STANZAS 1000
#define SM_ID_SIZE 37 /* a UUID and the NUL */

struct client;
struct item;

struct managed {
    bool on;
    bool asked;          /* our <r/> is not answered yet */
    bool lost;           /* too much was not acknowledged: nothing is kept */
    char id[SM_ID_SIZE]; /* "": it cannot be resumed */
    uint32_t in;         /* stanzas handled, modulo 2^32, as all counts */
    uint32_t out;        /* stanzas sent */
    uint32_t acked;      /* of them, acknowledged */
    struct buf queue;    /* those that are not, each with a NUL behind it */
    unsigned since;      /* stanzas since our last <r/> */
    size_t since_bytes;
};

#define SM_REQUEST "<r xmlns=\"urn:xmpp:sm:3\"/>"

void managed_init(struct managed *m);
void managed_free(struct managed *m);

/* Answers one of the protocol's elements, appended to `out`; it may give the connection another
 * client. `*ends`: the answer is a stream error. Errors: ERR_NOMEM, ERR_CAP, ERR_IO. */
int managed_take(struct client *c, const struct item *it, struct buf *out, bool *ends) MUST_CHECK;

/* A stanza goes to the client, or would. True: SM_REQUEST must follow it. */
bool managed_sent(struct client *c, const char *p, size_t n);

/* May it wait for its client to come back? */
bool managed_waits(const struct client *c);

/* It will not come back: what was not acknowledged goes to somebody else (XEP-0198 §5). It must
 * stand in its account's list no more. */
void managed_give_up(struct client *c);

#endif

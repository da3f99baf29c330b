/* opening.h: STARTTLS that xmpptap negotiates on one side alone (RFC 6120 §5.4.2), because the
 * other side has its TLS otherwise: from the first byte (XEP-0368), or not at all.
 *
 * Sans-I/O, loop thread. Towards the server it is a client, towards the client a server. Nothing
 * of it passes from one side to the other: its user records what was received as not sent on, and
 * what it answers as xmpptap's own.
 */
#ifndef XMPPTAP_OPENING_H
#define XMPPTAP_OPENING_H

#include <stdbool.h>

#include "../decoder/reader.h"
#include "../decoder/scan.h"

#define OPENING_BYTES (256u << 10) /* received and not decided: above that it is OPENING_BAD */

enum opening_state { OPENING_HEADER, OPENING_ITEM, OPENING_PROCEED, OPENING_HELLO, OPENING_DONE };

struct opening {
    struct reader *reader;  /* borrowed */
    enum opening_state state;
    bool to_server;         /* our peer is a server */
    const char *domain;     /* borrowed: for the header that a client gets */
    struct scan scan;
    struct reader_stream stream;
    struct buf in;
    size_t scanned;         /* of them, seen by the scanner */
    size_t taken;           /* of them, decided: the next call drops them */
    size_t header;          /* bytes of the server's header: it counts when its features are known */
    struct buf answer;
};

enum opening_what {
    OPENING_MORE,    /* nothing can be decided yet */
    OPENING_TAKEN,   /* `p`, `n`: received, and no further; `answer` goes back, maybe nothing */
    OPENING_SECURE,  /* as taken; what follows, opening_rest(), is TLS */
    OPENING_NO_TLS,  /* the server offers no STARTTLS; nothing was taken, opening_rest() has all */
    OPENING_REFUSED, /* `p`, `n` as taken: the server refuses, or ends the stream with an error */
    OPENING_BAD      /* `p`, `n` as taken: what came has no place here; `why` */
};

struct opening_step {
    const char *p;      /* borrowed until the next call */
    size_t n;
    const char *answer;
    size_t answer_len;
    enum error_code code; /* OPENING_BAD, with `why`: a sentence's end */
    const char *why;
};

void opening_init(struct opening *o, struct reader *reader, bool to_server, const char *domain);
void opening_free(struct opening *o);

/* What goes to the server first: a stream header. Appends. Errors: ERR_NOMEM, ERR_CAP. */
int opening_hello(struct buf *b, const char *domain) MUST_CHECK;

int opening_add(struct opening *o, const char *p, size_t n) MUST_CHECK; /* received */
enum opening_what opening_next(struct opening *o, struct opening_step *step) MUST_CHECK;

/* All that was received and not taken. Borrowed until the next call. */
const char *opening_rest(struct opening *o, size_t *n);
/* The same, to `rest`, which is then the caller's: the opening may be freed while it is read. */
void opening_take_rest(struct opening *o, struct buf *rest);

#endif

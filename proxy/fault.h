/* fault.h: `--fault PHASE=ACTION`: what is asked for, and the bytes that come of it. Pure, any thread.
 *
 * PHASE is the id of a label (docs/labels.md). What acts on a session by it is faulting.c.
 */
#ifndef XMPPTAP_FAULT_H
#define XMPPTAP_FAULT_H

#include <stdbool.h>

#include "../decoder/reader.h"
#include "../logs/event.h"

#define FAULT_TEXT_MAX 160
#define FAULT_MS_MAX   3600000u

enum fault_action {
    FAULT_DELAY,
    FAULT_DROP,
    FAULT_CLOSE,
    FAULT_RESET,
    FAULT_ERROR,
    FAULT_MALFORMED,
    FAULT_SILENT
};

struct fault {
    const char *label;         /* static: its id */
    enum fault_action action;
    unsigned ms;               /* delay */
    const char *condition;     /* error: static */
    unsigned nth;              /* of the session's items of that label; 0: each */
    char text[FAULT_TEXT_MAX]; /* PHASE=ACTION[@N], as it is told */
};

/* Reads "PHASE=ACTION"; `@N` may stand behind either. ERR_USAGE, `e` says what to give. */
int fault_parse(const char *text, struct fault *f, struct error *e) MUST_CHECK;

/* Appends the `n` bytes, a whole item, header or end tag, so that they are not well-formed: the end
 * tag is </malformed>, and a start tag without one ends in a word without a value. Errors:
 * buf_add()'s. */
int fault_break(struct buf *b, const char *p, size_t n) MUST_CHECK;

/* What is said in place of an item of `dir`. */
struct fault_reply {
    struct buf bytes; /* owned: fault_reply_free() */
    bool back;        /* to who sent the item, not to who should get it */
    bool ends;        /* the stream: RFC 6120 §4.9, §5.4.2.2 */
    bool fails_login; /* the client's SASL is over */
};

/* By the fault's condition. `it`: NULL for a header or an end tag; `domain`: of a header that the
 * client needs before it, NULL where it has had one. Errors: buf_add()'s; free `r` all the same. */
int fault_reply(struct fault_reply *r, const struct fault *f, enum dir dir, const struct item *it,
                const char *domain) MUST_CHECK;
void fault_reply_free(struct fault_reply *r);

#endif

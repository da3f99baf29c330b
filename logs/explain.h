/* explain.h: events as the narrative of a login: a line a phase, who made whom wait, the verdict.
 *
 * A sink: what it is given is one session after the other, each printed when it ends, or at
 * close() where it was cut off. Bounded: EXPLAIN_LINES lines a session, the rest is counted.
 */
#ifndef XMPPTAP_EXPLAIN_H
#define XMPPTAP_EXPLAIN_H

#include "../decoder/buf.h"
#include "../decoder/labels.h"
#include "sink.h"

#define EXPLAIN_LINES 400

/* Prints the next piece of text, whole lines: 0, or an error code. Sessions are parted by a blank
 * line. */
typedef int explain_print(void *arg, const char *p, size_t n);

/* NULL without memory. */
struct sink *explain_new(enum label_language language, explain_print *print, void *arg);

#endif

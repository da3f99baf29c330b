/* notes.h: the `#--` lines of the transcript, one event's at a time. Any thread; no state.
 */
#ifndef XMPPTAP_NOTES_H
#define XMPPTAP_NOTES_H

#include "event.h"
#include "text.h"

/* The lines of an event that is no wire item: tls, space, edit, violation, gap, end. */
void notes_print(struct text *x, const struct event *ev, bool verbose);

/* Is this end worth lines of its own? Not where all went well. */
bool notes_end_told(const struct event_end *end);

/* How many of a violation's bytes those lines show. */
size_t notes_shown(const struct event *ev);

/* The comment lines above a wire item: time, direction, size, wait, facts; with `secrets` the
 * decoded SASL message, too. */
void notes_comment(struct text *x, const struct event *ev, bool secrets);

/* The lines below a wire item: what is odd about it, which session it goes on with. Returns
 * whether there are any; `x` NULL: only that. */
bool notes_below(struct text *x, const struct event *ev);

#endif

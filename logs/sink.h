/* sink.h: where events go. A sink is embedded first in its own struct.
 *
 * All calls come from one thread: the recorder's when live, the command's when an archive is read.
 * A sink that fails keeps failing quietly after it has said so once through `error`; the recorder
 * goes on with the others.
 */
#ifndef XMPPTAP_SINK_H
#define XMPPTAP_SINK_H

#include "event.h"

struct sink {
    /* Takes one event (borrowed for the call). Returns 0 or an error code. */
    int (*event)(struct sink *s, const struct event *ev);
    /* Called now and then (at least every 100 ms while live) with Unix time in microseconds:
     * what has waited long enough is written now. May be NULL. */
    int (*tick)(struct sink *s, int64_t now_us);
    /* Called when nothing more waits to be given: what was gathered for those who watch goes out.
     * Returns 0 or an error code. May be NULL. */
    int (*flush)(struct sink *s);
    /* Completes what is open and frees the sink. Returns 0 or an error code. */
    int (*close)(struct sink *s);
    struct error error; /* the first failure, for the message */
    bool left_out;      /* the last event's session is not recorded, because nobody asks for it */
};

#endif

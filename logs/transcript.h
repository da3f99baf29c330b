/* transcript.h: events as the annotated transcript (docs/transcript.md).
 *
 * A sink. `####label` lines over wire items, two blank lines between sections, `#==` lines where
 * the session changes, `#--` lines for edits, violations, gaps and (verbose) comments.
 */
#ifndef XMPPTAP_TRANSCRIPT_H
#define XMPPTAP_TRANSCRIPT_H

#include "../decoder/labels.h"
#include "out.h"
#include "sink.h"

struct transcript_options {
    enum label_language language;
    bool verbose;    /* `#--` comment lines: time, direction, size, wait, TLS facts */
    bool colour;     /* labels, #== and #-- lines coloured (ANSI) */
    bool name_first; /* a `#== session` line also before the first session (several are coming) */
};

/* Takes `out`; sink->close() closes it, waiting at most `close_wait_ms`. NULL without memory. */
struct sink *transcript_new(struct out *out, const struct transcript_options *o,
                            int close_wait_ms);

#endif

/* text.h: the lines of one event, under way in the transcript.
 *
 * Embedded in the transcript, one thread. The first failure (ERR_NOMEM, ERR_CAP) stays in `err` and
 * makes the calls after it do nothing, so it is looked at once, at the end.
 */
#ifndef XMPPTAP_TEXT_H
#define XMPPTAP_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "../decoder/buf.h"

/* Kinds of line, by what they are coloured with. */
enum text_line { TEXT_LABEL, TEXT_SESSION, TEXT_NOTE };

struct text {
    struct buf buf;
    bool colour; /* ANSI colours */
    int err;
};

void text_init(struct text *x, size_t max_bytes, bool colour);

/* Empties it for the next event; memory beyond what most events need is given back. */
void text_reset(struct text *x);
void text_free(struct text *x);

/* Our own words as they are, then formatted, at most 512 bytes of them. Nothing captured comes this
 * way. */
void text_str(struct text *x, const char *s);
void text_put(struct text *x, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A captured string within a line, escaped (xml_lines.h). NULL: nothing. */
void text_captured(struct text *x, const char *s);

/* A line of ours: its mark (`####`, `#== `, `#-- `), then what is put, then its end. */
void text_begin(struct text *x, enum text_line line);
void text_end(struct text *x);

/* `#--| ` lines. A count of bytes, our own words in their place; captured bytes. */
void text_instead(struct text *x, const char *before, uint64_t bytes, const char *behind);
void text_bytes(struct text *x, const char *p, size_t n);

/* Unix time as RFC 3339, UTC. */
void text_time(struct text *x, int64_t time_us);

#endif

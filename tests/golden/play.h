/* play.h: a golden case through a decoder, its bytes cut in a given way; and its events as lines
 * that are the same however they were cut.
 *
 * One thread; the caller's. `reader` is shared by all plays, as the recorder's sessions share it.
 */
#ifndef XMPPTAP_TESTS_PLAY_H
#define XMPPTAP_TESTS_PLAY_H

#include "case.h"

#define PLAY_WHOLE SIZE_MAX
#define PLAY_SPAN  1024

/* How the bytes of a line are fed: in pieces of `piece` bytes, or (0) in two. Where the cut stands
 * turns: in turn 0 behind the first byte, in turn 1 behind the second ... and at the end of the
 * line from the front again, so that each offset of each line is cut in one of play_turns(). A
 * line longer than PLAY_SPAN is cut at all that are PLAY_SPAN apart. */
struct play_cuts {
    size_t piece;
    size_t turn;
};

size_t play_turns(const struct case_file *c);

/* Where the piece of a line of `len` bytes ends that begins at `at`. */
size_t play_piece_end(const struct play_cuts *cuts, size_t len, size_t at);

void play(const struct case_file *c, bool redact, struct reader *reader,
          const struct play_cuts *cuts, decoder_emit *emit, void *arg);

/* The events as lines of JSON (logs/json.h). Bytes that are no stream become as many violations as
 * there were pieces: one that goes on is joined to the one before it, and what is counted behind
 * it is numbered as if there had been one. Zeroed, then play_lines_init(). */
struct play_lines {
    const struct play_lines *want; /* compared with these, not kept; NULL: kept */
    struct buf text;               /* all lines; compared: the line at hand */
    size_t at;                     /* compared so far */
    bool differs;                  /* from then on nothing is done; the line is in `text` */
    uint64_t n;
    struct buf numbers; /* uint64_t: the joined number of each event */
    bool holding;       /* a violation that may go on */
    struct event held;
    struct buf held_bytes;
    char held_detail[ERROR_DETAIL_MAX];
};

void play_lines_init(struct play_lines *l, const struct play_lines *want);
void play_lines_free(struct play_lines *l);
void play_lines_event(void *lines, struct event *ev); /* a decoder_emit */
/* Behind the last event. False: something differs (`differs` is set). */
bool play_lines_end(struct play_lines *l);

#endif

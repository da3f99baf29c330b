/* out.h: standard output (or a file) behind its own thread and bounded buffer.
 *
 * A terminal stopped with Ctrl-S or a pipe that nobody reads blocks whoever writes to it. Here
 * that is a thread of its own: what does not fit the buffer is refused, never waited for, and the
 * way out does not wait longer than it is told. Calls come from one thread (the sink's).
 * In `OUT_WAIT` mode (files, `show`) nothing is refused: the caller writes itself and waits.
 * Small pieces may be gathered: out_add() and out_flush() instead of out_write().
 */
#ifndef XMPPTAP_OUT_H
#define XMPPTAP_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../decoder/errors.h"

struct out;

enum out_mode { OUT_WAIT, OUT_BOUNDED };

#define OUT_BUFFER_BYTES (1u << 20)
#define OUT_GATHER_BYTES (16u << 10)

/* Takes no ownership of `fd` unless `own`. NULL without memory or thread. `OUT_WAIT` gathers in
 * `buffer_bytes`, at most OUT_GATHER_BYTES; 0: it gathers nothing. */
struct out *out_new(int fd, bool own, enum out_mode mode, size_t buffer_bytes);

/* All of it or nothing: 0; ERR_CAP (bounded: no room now); ERR_IO (the reader is gone: EPIPE or
 * an error; said once in `e`, then quietly). */
int out_write(struct out *o, const char *p, size_t n, struct error *e);

/* The same, but it may wait here for more, until out_flush() or OUT_GATHER_BYTES are together. An
 * error may be that of earlier pieces. */
int out_add(struct out *o, const char *p, size_t n, struct error *e);

/* What was gathered is written, or left to the thread that writes it. 0, ERR_IO. */
int out_flush(struct out *o, struct error *e);

/* How much would find room now; where nothing is refused, SIZE_MAX. */
size_t out_room(const struct out *o);

/* Waits at most `wait_ms` for what is buffered, then lets go: a thread stuck in write(2) is left
 * to the process's end. */
void out_close(struct out *o, int wait_ms);

#endif

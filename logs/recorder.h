/* recorder.h: the recorder's thread, and the taps that feed it from the loop thread.
 *
 * The loop thread makes a tap for each session, gives it bytes and marks in order, and ends it; it
 * never waits and never touches the disk. The recorder's thread decodes and feeds the sinks.
 * Unless said otherwise, functions are for the loop thread.
 */
#ifndef XMPPTAP_RECORDER_H
#define XMPPTAP_RECORDER_H

#include "../decoder/decoder.h"
#include "sink.h"

#define RECORDER_QUEUE_BYTES (32u << 20)
#define RECORDER_PUBLISH_MS  20 /* how often to call recorder_publish() while it is needed */
#define TAP_ID_MAX           32
#define SINKS_MAX            4

struct recorder;
struct recorder_run; /* what the recorders of one run share: the ids of their sessions, and which of
                      * these resumed which */
struct tap; /* one session's */

struct recorder_options {
    struct decoder_options decoder;
    size_t queue_bytes;      /* 0: RECORDER_QUEUE_BYTES */
    struct sink *sinks[SINKS_MAX]; /* taken; NULL-ended */
    void (*room)(void *arg); /* recorder's thread: what was full is half empty; or NULL */
    void *room_arg;
    struct recorder_run *run; /* borrowed; NULL: this is the run's only recorder */
};

/* Returns owned, NULL without memory. Freed behind its recorders. */
struct recorder_run *recorder_run_new(void);
void recorder_run_free(struct recorder_run *run);

/* Returns owned with its thread running, or NULL without memory (the sinks are closed then). */
struct recorder *recorder_start(const struct recorder_options *o);

/* Waits until all that was given is in the sinks; its thread ends, and the sinks may be asked. */
void recorder_join(struct recorder *r);

/* Behind recorder_join(): closes the sinks, frees all. 0, or the first error code that a sink
 * gave. Taps not ended are lost without their `end`. */
int recorder_stop(struct recorder *r);

bool recorder_full(struct recorder *r);    /* all stop reading; `room` will be called */
bool recorder_pending(const struct recorder *r);
void recorder_publish(struct recorder *r); /* what was given so far may be read */

/* A session begins. NULL without memory: then it must not go on. */
struct tap *tap_open(struct recorder *r, int64_t t_us, const struct event_session *facts);
const char *tap_id(const struct tap *t); /* "q7xk3mza-12"; unique across runs and workers */

/* Without memory the bytes are lost to the record and a gap says so. */
void tap_data(struct tap *t, enum dir dir, int64_t t_us, const char *p, size_t n);
void tap_mark(struct tap *t, int64_t t_us, const struct mark *m);

/* This session alone holds an eighth of the queue: it stops reading, so that no session can make
 * the others wait; `room` will be called. */
bool tap_full(struct tap *t);

/* The session is over: its `end`. The tap must not be used again. */
void tap_end(struct tap *t, int64_t t_us, const struct event_end *end);

#endif

/* capture.h: what the commands that record have in common: sinks, recorder, CA, proxy, loop.
 */
#ifndef XMPPTAP_CAPTURE_H
#define XMPPTAP_CAPTURE_H

#include "../decoder/labels.h"
#include "options.h"
#include "proxy.h"

/* The embedded server's; NULL: not given. */
struct serving_options {
    const char *profile;  /* a built-in one's name, or a file */
    const char *accounts; /* a file */
    char *mechanisms;     /* cut up */
    bool modern;          /* SASL2 and Bind 2, too */
    char *replay;         /* FILE[#SESSION] to be played, cut up */
    const char *speed;    /* of it: "max", or how many times as fast */
};

struct capture_options {
    struct proxy_options proxy;
    struct serving_options serving;
    const char *balancers[OPTION_STRINGS_MAX]; /* CIDRs, NULL-ended */
    const char *fault[OPTION_STRINGS_MAX]; /* PHASE=ACTION, NULL-ended */
    const char *archive_dir; /* NULL: the default */
    const char *ca_dir;      /* NULL: the default */
    const char *only[OPTION_STRINGS_MAX]; /* whose sessions are recorded; none: all */
    const char *output;      /* NULL: standard output */
    bool no_archive, quiet, verbose;
    int labels;              /* enum label_language */
    int secrets;             /* 0: redact, 1: keep */
    int decoder;             /* 0: quick, 1: strict */
    int when_full;           /* 0: wait, 1: gap */
    unsigned workers;        /* 0: one */
    size_t queue_bytes;      /* of all workers; 0: the default */
    size_t only_bytes;       /* 0: the default */
    const char *account, *password_file; /* bridge: NULL: the client's own */
};

/* One loop thread and its recorder's. */
struct worker {
    pthread_t thread;        /* not the first's, which is the main thread's */
    bool started;            /* so is that */
    uv_loop_t loop;
    struct proxy proxy;
    struct sink *sinks[SINKS_MAX]; /* NULL-ended; the recorder's, once that has started */
    struct sink *archive, *only;   /* those among them, or NULL */
    struct recorder *recorder;
};

/* What a capture is made of, for whoever adds to the first worker's loop before it runs (the
 * demo). */
struct capture {
    struct worker *worker;   /* owned: `crew.workers` of them */
    unsigned loops;          /* of them that have theirs */
    struct crew crew;
    struct ca *ca;
    struct recorder_run *run;
    char archive_file[4096]; /* after the end: what the first worker has written, "" if nothing */
    char archive_dir[4096];
};

/* Prepares everything in an order in which nothing half-made is left behind, runs `begin` (may be
 * NULL), then the loops until they are stopped, then completes archive and transcript. Returns the
 * exit status; errors were said. */
int capture_run(struct capture_options *o, int (*begin)(void *arg, struct capture *cap), void *arg,
                struct capture *cap);

#endif

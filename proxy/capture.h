/* capture.h: what the commands that record have in common: sinks, recorder, CA, proxy, loop.
 */
#ifndef XMPPTAP_CAPTURE_H
#define XMPPTAP_CAPTURE_H

#include "../decoder/labels.h"
#include "options.h"
#include "proxy.h"

struct capture_options {
    struct proxy_options proxy;
    const char *balancers[OPTION_STRINGS_MAX]; /* CIDRs, NULL-ended */
    const char *archive_dir; /* NULL: the default */
    const char *ca_dir;      /* NULL: the default */
    const char *only[OPTION_STRINGS_MAX]; /* whose sessions are recorded; none: all */
    const char *output;      /* NULL: standard output */
    bool no_archive, quiet, verbose;
    int labels;              /* enum label_language */
    int secrets;             /* 0: redact, 1: keep */
    int decoder;             /* 0: quick, 1: strict */
    int when_full;           /* 0: wait, 1: gap */
    size_t queue_bytes;      /* 0: the default */
    size_t only_bytes;       /* 0: the default */
    const char *account, *password_file; /* bridge: NULL: the client's own */
};

/* What a capture is made of, for whoever adds to the loop before it runs (the demo). */
struct capture {
    uv_loop_t loop;
    struct proxy proxy;
    struct ca *ca;
    struct recorder *recorder;
    struct sink *archive;    /* NULL with --no-archive; the recorder's */
    char archive_file[4096]; /* after the end: what was written, "" if nothing */
    char archive_dir[4096];
};

/* Prepares everything in an order in which nothing half-made is left behind, runs `begin` (may be
 * NULL), then the loop until it is stopped, then completes archive and transcript. Returns the
 * exit status; errors were said. */
int capture_run(struct capture_options *o, int (*begin)(void *arg, struct capture *cap), void *arg,
                struct capture *cap);

#endif

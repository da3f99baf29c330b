#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../logs/archive.h"
#include "../logs/message.h"
#include "../logs/only.h"
#include "../logs/transcript.h"

#define GOODBYE_MS 300 /* for a terminal that takes nothing, on the way out */

static int failed(const struct error *e)
{
    message(LEVEL_ERROR, PAIRS("reason", error_name(e->code)), "%s", e->detail);
    return e->code == ERR_USAGE ? 2 : 1;
}

/* Where the transcript goes. A regular file is written straight and whole; anything else can get
 * stuck and has its bounded buffer. */
static struct out *open_output(const struct capture_options *o, bool *terminal, struct error *e)
{
    int fd = STDOUT_FILENO;
    struct stat st;
    bool regular;
    struct out *out;

    if (o->output) {
        fd = open(o->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0600);
        if (fd < 0) {
            error_set(e, ERR_IO, "cannot write %s: %s; give another file with -o", o->output,
                      strerror(errno));
            return NULL;
        }
    }
    regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    *terminal = isatty(fd) && !getenv("NO_COLOR");
    out = out_new(fd, fd != STDOUT_FILENO, regular ? OUT_WAIT : OUT_BOUNDED, OUT_BUFFER_BYTES);
    if (!out)
        error_set(e, ERR_NOMEM, "no memory to start");
    return out;
}

static struct sink *open_transcript(const struct capture_options *o, struct error *e)
{
    struct transcript_options t = {.language = (enum label_language)o->labels,
                                   .verbose = o->verbose};
    struct out *out = open_output(o, &t.colour, e);
    struct sink *s = out ? transcript_new(out, &t, GOODBYE_MS) : NULL;

    if (out && !s)
        error_set(e, ERR_NOMEM, "no memory to start");
    return s;
}

static int find_dirs(const struct capture_options *o, struct capture *cap, char *ca_dir,
                     size_t size, struct error *e)
{
    if (o->archive_dir)
        snprintf(cap->archive_dir, sizeof cap->archive_dir, "%s", o->archive_dir);
    else
        ARCHIVE_DIR(cap->archive_dir, sizeof cap->archive_dir);
    if (o->ca_dir)
        snprintf(ca_dir, size, "%s", o->ca_dir);
    else
        CA_DIR(ca_dir, size);
    if (!*cap->archive_dir || !*ca_dir)
        return error_set(e, ERR_USAGE, "neither HOME nor the XDG directories are set; give "
                         "-d DIR and --ca-dir DIR");
    return 0;
}

/* In front of all of them. */
static int put_only_before(const struct capture_options *o, struct sink **sinks, struct error *e)
{
    struct sink *only = only_new(o->only, sinks, o->only_bytes);

    if (!only)
        return error_set(e, ERR_NOMEM, "no memory to start");
    sinks[0] = only;
    sinks[1] = NULL;
    return 0;
}

static int open_sinks(const struct capture_options *o, struct capture *cap, struct sink **sinks,
                      struct error *e)
{
    size_t n = 0;

    if (!o->no_archive) {
        cap->archive = archive_open(cap->archive_dir, 0, e);
        if (!cap->archive)
            return (int)e->code;
        sinks[n++] = cap->archive;
    }
    if (!o->quiet) {
        sinks[n] = open_transcript(o, e);
        if (!sinks[n])
            return (int)e->code;
    }
    return o->only[0] ? put_only_before(o, sinks, e) : 0;
}

/* Everything but the loop's run, what makes nothing first: what fails leaves nothing half-made. */
static int prepare(struct capture_options *o, struct capture *cap, struct error *e)
{
    struct recorder_options r = {
        .decoder = {.limits = scan_default_limits, .redact = o->secrets == 0,
                    .strict = o->decoder == 1},
        .queue_bytes = o->queue_bytes,
        .room = proxy_room,
        .room_arg = &cap->proxy,
    };
    char ca_dir[4096];
    bool made = false;
    int err = find_dirs(o, cap, ca_dir, sizeof ca_dir, e);

    o->proxy.wait_when_full = o->when_full == 0;
    o->proxy.strict = o->decoder == 1;
    if (!err)
        err = proxy_listen(&cap->proxy, &cap->loop, &o->proxy, e);
    if (!err && !o->proxy.server_cert) {
        cap->ca = ca_open(ca_dir, &made, e);
        err = cap->ca ? 0 : (int)e->code;
    }
    if (!err)
        err = proxy_open_keylog(&cap->proxy, e);
    if (!err)
        err = open_sinks(o, cap, r.sinks, e);
    if (err) {
        for (struct sink **s = r.sinks; *s; s++)
            (*s)->close(*s);
        return err;
    }
    if (made)
        message(LEVEL_INFO, PAIRS("file", ca_path(cap->ca)),
                "made a CA; clients must trust it: `xmpptap ca export` prints its certificate");
    cap->recorder = recorder_start(&r);
    if (!cap->recorder)
        return error_set(e, ERR_NOMEM, "no memory to start");
    return proxy_start(&cap->proxy, cap->recorder, cap->ca, e);
}

static int finish(struct capture *cap)
{
    int err = 0;

    proxy_free(&cap->proxy);
    if (cap->recorder) {
        recorder_join(cap->recorder);
        if (cap->archive)
            snprintf(cap->archive_file, sizeof cap->archive_file, "%s", archive_path(cap->archive));
        err = recorder_stop(cap->recorder);
    }
    ca_free(cap->ca);
    uv_loop_close(&cap->loop);
    return err ? 1 : 0;
}

int capture_run(struct capture_options *o, int (*begin)(void *arg, struct capture *cap), void *arg,
                struct capture *cap)
{
    struct error e = {0};
    int status, err;

    memset(cap, 0, sizeof *cap);
    if (uv_loop_init(&cap->loop)) {
        error_set(&e, ERR_NOMEM, "no memory to start");
        return failed(&e);
    }
    message_level(o->verbose ? LEVEL_DEBUG : LEVEL_INFO);
    err = prepare(o, cap, &e);
    if (!err) {
        message_start();
        status = begin ? begin(arg, cap) : 0;
        if (status)
            proxy_stop(&cap->proxy);
        uv_run(&cap->loop, UV_RUN_DEFAULT);
    } else {
        status = failed(&e);
    }
    err = finish(cap);
    message_stop(GOODBYE_MS);
    return status ? status : err;
}

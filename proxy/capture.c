#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../logs/archive.h"
#include "../logs/message.h"
#include "../logs/only.h"
#include "../logs/shared.h"
#include "../logs/transcript.h"

#define GOODBYE_MS 300 /* for a terminal that takes nothing, on the way out */

static int failed(const struct error *e)
{
    message(LEVEL_ERROR, PAIRS("reason", error_name(e->code)), "%s", e->detail);
    return e->code == ERR_USAGE ? 2 : 1;
}

/* /dev/null: nobody will ever read there. */
static bool is_nowhere(const struct stat *st)
{
    struct stat null;

    return S_ISCHR(st->st_mode) && stat("/dev/null", &null) == 0 && null.st_rdev == st->st_rdev;
}

/* Where the transcript goes; NULL without an error: nowhere. A regular file is written straight and
 * whole; anything else can get stuck and has its bounded buffer. */
static struct out *open_output(const struct capture_options *o, bool *terminal, struct error *e)
{
    int fd = STDOUT_FILENO;
    bool own = o->output != NULL, regular;
    struct stat st;
    struct out *out;

    if (own) {
        fd = open(o->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0600);
        if (fd < 0) {
            error_set(e, ERR_IO, "cannot write %s: %s; give another file with -o", o->output,
                      strerror(errno));
            return NULL;
        }
    }
    if (fstat(fd, &st))
        st = (struct stat){0};
    if (is_nowhere(&st)) {
        if (own)
            close(fd);
        return NULL;
    }
    regular = S_ISREG(st.st_mode);
    *terminal = isatty(fd) && !getenv("NO_COLOR");
    out = out_new(fd, own, regular ? OUT_WAIT : OUT_BOUNDED, OUT_BUFFER_BYTES);
    if (!out)
        error_set(e, ERR_NOMEM, "no memory to start");
    return out;
}

/* `*s`: NULL where it would go nowhere. */
static int open_transcript(const struct capture_options *o, struct sink **s, struct error *e)
{
    struct transcript_options t = {.language = (enum label_language)o->labels,
                                   .verbose = o->verbose};
    struct out *out = open_output(o, &t.colour, e);

    *s = out ? transcript_new(out, &t, GOODBYE_MS) : NULL;
    if (out && !*s)
        error_set(e, ERR_NOMEM, "no memory to start");
    return (int)e->code;
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

static int no_memory(struct error *e)
{
    return error_set(e, ERR_NOMEM, "no memory to start");
}

/* ---- sinks ---- */

static void append(struct worker *w, struct sink *s)
{
    struct sink **at = w->sinks;

    while (*at)
        at++;
    *at = s;
}

static int open_archives(struct capture *cap, struct error *e)
{
    for (unsigned i = 0; i < cap->crew.workers; i++) {
        struct worker *w = &cap->worker[i];

        w->archive = archive_open(cap->archive_dir, (int)i, e);
        if (!w->archive)
            return (int)e->code;
        append(w, w->archive);
    }
    return 0;
}

/* One for all: its text stands in one place. */
static int share_transcript(const struct capture_options *o, struct capture *cap, struct error *e)
{
    struct sink *door[CREW_MAX], *s;

    if (open_transcript(o, &s, e))
        return (int)e->code;
    if (!s) /* nobody will ever read it */
        return 0;
    door[0] = s;
    if (cap->crew.workers > 1 && shared_new(s, cap->crew.workers, door)) {
        s->close(s);
        return no_memory(e);
    }
    for (unsigned i = 0; i < cap->crew.workers; i++)
        append(&cap->worker[i], door[i]);
    return 0;
}

/* In front of all of them. */
static int put_only_before(const struct capture_options *o, struct capture *cap, struct error *e)
{
    for (unsigned i = 0; i < cap->crew.workers; i++) {
        struct worker *w = &cap->worker[i];

        w->only = only_new(o->only, w->sinks, o->only_bytes, cap->crew.workers);
        if (!w->only)
            return no_memory(e);
        memset(w->sinks, 0, sizeof w->sinks);
        append(w, w->only);
    }
    return 0;
}

static int open_sinks(const struct capture_options *o, struct capture *cap, struct error *e)
{
    int err = o->no_archive ? 0 : open_archives(cap, e);

    if (!err && !o->quiet)
        err = share_transcript(o, cap, e);
    return !err && o->only[0] ? put_only_before(o, cap, e) : err;
}

/* ---- workers ---- */

static int make_workers(const struct capture_options *o, struct capture *cap, struct error *e)
{
    unsigned n = o->workers ? o->workers : 1;

    cap->worker = calloc(n, sizeof *cap->worker);
    for (unsigned i = 0; cap->worker && i < n; i++) {
        struct worker *w = &cap->worker[i];

        if (uv_loop_init(&w->loop))
            break;
        cap->loops++;
    }
    if (cap->loops < n)
        return no_memory(e);
    crew_init(&cap->crew, n);
    return 0;
}

/* What the recorders may hold is the run's, whatever their number. */
static size_t queue_share(const struct capture_options *o, unsigned workers)
{
    return (o->queue_bytes ? o->queue_bytes : RECORDER_QUEUE_BYTES) / workers;
}

static int start_recorder(const struct capture_options *o, struct capture *cap, struct worker *w,
                          struct error *e)
{
    struct recorder_options r = {
        .decoder = {.limits = scan_default_limits, .redact = o->secrets == 0,
                    .strict = o->decoder == 1},
        .queue_bytes = queue_share(o, cap->crew.workers),
        .room = proxy_room,
        .room_arg = &w->proxy,
        .run = cap->run,
    };

    memcpy(r.sinks, w->sinks, sizeof r.sinks);
    memset(w->sinks, 0, sizeof w->sinks);
    w->recorder = recorder_start(&r);
    return w->recorder ? 0 : no_memory(e);
}

static int start_proxies(const struct capture_options *o, struct capture *cap, struct error *e)
{
    unsigned n = cap->crew.workers;
    int err = 0;

    if (n > 1) {
        cap->run = recorder_run_new();
        err = cap->run ? 0 : no_memory(e);
    }
    for (unsigned i = 1; i < n && !err; i++)
        err = proxy_follow(&cap->worker[i].proxy, &cap->worker[i].loop, &cap->worker->proxy, i, e);
    for (unsigned i = 0; i < n && !err; i++)
        err = start_recorder(o, cap, &cap->worker[i], e);
    for (unsigned i = n; i-- > 0 && !err;) /* the first one last: it says that all are ready */
        err = proxy_start(&cap->worker[i].proxy, cap->worker[i].recorder, cap->ca, e);
    return err;
}

static void *work(void *arg)
{
    struct worker *w = arg;

    uv_run(&w->loop, UV_RUN_DEFAULT);
    return NULL;
}

static int start_threads(struct capture *cap, struct error *e)
{
    sigset_t all, old;
    int err = 0;

    sigfillset(&all); /* signals are the first one's */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (unsigned i = 1; i < cap->crew.workers && !err; i++) {
        struct worker *w = &cap->worker[i];

        w->started = pthread_create(&w->thread, NULL, work, w) == 0;
        if (!w->started)
            err = no_memory(e);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return err;
}

/* ---- the run ---- */

/* Everything but the loops' run, what makes nothing first: what fails leaves nothing half-made. */
static int prepare(struct capture_options *o, struct capture *cap, struct error *e)
{
    struct worker *first;
    char ca_dir[4096];
    bool made = false;
    int err = make_workers(o, cap, e);

    if (!err)
        err = find_dirs(o, cap, ca_dir, sizeof ca_dir, e);
    if (err)
        return err;
    first = cap->worker;
    o->proxy.wait_when_full = o->when_full == 0;
    o->proxy.strict = o->decoder == 1;
    err = proxy_listen(&first->proxy, &first->loop, &o->proxy, &cap->crew, e);
    if (!err && !o->proxy.server_cert) {
        cap->ca = ca_open(ca_dir, &made, e);
        err = cap->ca ? 0 : (int)e->code;
    }
    if (!err)
        err = proxy_open_keylog(&first->proxy, e);
    if (!err)
        err = open_sinks(o, cap, e);
    if (err)
        return err;
    if (made)
        message(LEVEL_INFO, PAIRS("file", ca_path(cap->ca)),
                "made a CA; clients must trust it: `xmpptap ca export` prints its certificate");
    return start_proxies(o, cap, e);
}

static void say_left_out(const struct capture *cap)
{
    uint64_t n = 0;
    char count[24];

    for (unsigned i = 0; i < cap->loops; i++)
        n += cap->worker[i].recorder && cap->worker[i].only ? only_left_out(cap->worker[i].only) : 0;
    snprintf(count, sizeof count, "%" PRIu64, n);
    if (n)
        message(LEVEL_INFO, PAIRS("sessions", count),
                "relayed and not recorded, because --only asks for others");
}

/* The recorder's sinks go with it; 0, or the first error that one of them gave. */
static int close_recorder(struct worker *w)
{
    if (w->recorder)
        return recorder_stop(w->recorder);
    for (struct sink **s = w->sinks; *s; s++)
        (*s)->close(*s);
    return 0;
}

static int finish(struct capture *cap)
{
    struct worker *first = cap->worker;
    int err = 0;

    for (unsigned i = cap->loops; i-- > 0;) {
        if (cap->worker[i].started)
            pthread_join(cap->worker[i].thread, NULL);
        proxy_free(&cap->worker[i].proxy); /* the first one last: the others use what it has */
    }
    for (unsigned i = 0; i < cap->loops; i++)
        if (cap->worker[i].recorder)
            recorder_join(cap->worker[i].recorder);
    if (cap->loops && first->recorder && first->archive)
        snprintf(cap->archive_file, sizeof cap->archive_file, "%s", archive_path(first->archive));
    say_left_out(cap);
    for (unsigned i = 0; i < cap->loops; i++) {
        int e = close_recorder(&cap->worker[i]);

        err = err ? err : e;
        uv_loop_close(&cap->worker[i].loop);
    }
    recorder_run_free(cap->run);
    ca_free(cap->ca);
    if (cap->crew.workers)
        crew_free(&cap->crew);
    free(cap->worker);
    cap->worker = NULL;
    return err ? 1 : 0;
}

int capture_run(struct capture_options *o, int (*begin)(void *arg, struct capture *cap), void *arg,
                struct capture *cap)
{
    struct error e = {0};
    int status, err;

    memset(cap, 0, sizeof *cap);
    message_level(o->verbose ? LEVEL_DEBUG : LEVEL_INFO);
    err = prepare(o, cap, &e);
    if (!err) {
        message_start();
        err = start_threads(cap, &e);
        status = err ? failed(&e) : begin ? begin(arg, cap) : 0;
        if (status)
            proxy_stop(&cap->worker->proxy);
        uv_run(&cap->worker->loop, UV_RUN_DEFAULT);
    } else {
        status = failed(&e);
    }
    err = finish(cap);
    message_stop(GOODBYE_MS);
    return status ? status : err;
}

#include "archive.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../decoder/buf.h"
#include "json.h"
#include "packer.h"

#define US_PER_S 1000000

/* Text that waits while nothing can be written; what comes on top of it is lost. One record that
 * is longer by itself may wait alone. */
#define PENDING_TEXT (8u << 20)

/* While some wait, only size completes a member, so two neighbours are longer than one full one:
 * this many cannot be reached before PENDING_TEXT is. */
#define PENDING_MEMBERS (2 * (PENDING_TEXT / ARCHIVE_MEMBER_TEXT) + 4)

/* Text that may wait for the packer; with more it is waited for. */
#define AHEAD_TEXT (4 * ARCHIVE_MEMBER_TEXT)

#define RETRY_US    US_PER_S /* between two tries to write */
#define NAMES_TRIED 1000

struct archive {
    struct sink sink; /* first: a sink is cast to its archive */
    struct archive_limits limits;
    int worker;
    int dir_fd;
    int fd; /* the file being written, or -1 */
    char *dir;
    char *path; /* of that file; "" before the first */
    size_t path_size;
    unsigned serial;     /* files made so far */
    uint64_t file_bytes; /* whole members in the file */
    int64_t file_first_us;

    struct packer *packer; /* owned: the member that is next on disk, if one is complete */
    struct buf text; /* whole lines behind that one's, of `member` one after another */
    struct archive_member member[PENDING_MEMBERS];
    unsigned members;
    bool open; /* the last of them is still being filled */

    int64_t now_us;   /* the latest time heard of */
    int64_t retry_us; /* no try to write before this time */
    uint64_t lost_records, lost_bytes;
    struct error failure; /* of the last try to write */
};

static struct archive *archive_of(struct sink *s)
{
    return (struct archive *)(void *)s;
}

/* ---- the file ---- */

static void write_failed(struct archive *a, int number)
{
    error_set(&a->failure, ERR_IO, "%.200s: %s; make room, or use another folder (-d DIR)", a->path,
              strerror(number));
}

static int open_file(struct archive *a, int64_t first_us)
{
    time_t s = (time_t)(first_us / US_PER_S);
    char *name = a->path + strlen(a->dir) + 1;
    size_t room = a->path_size - (size_t)(name - a->path);
    char when[32];
    struct tm tm;
    unsigned tries;

    if (!gmtime_r(&s, &tm) || !strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &tm))
        return error_set(&a->failure, ERR_FORMAT, "%s: a file's time is out of range", a->dir);
    snprintf(a->path, a->path_size, "%s/", a->dir);
    for (tries = 0; tries < NAMES_TRIED; tries++) {
        snprintf(name, room, "%s-%ld-w%d-%03u.jsonl.gz", when, (long)getpid(), a->worker,
                 a->serial + 1 + tries);
        a->fd = openat(a->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (a->fd >= 0 || errno != EEXIST)
            break;
    }
    if (a->fd < 0) {
        write_failed(a, errno);
        a->path[0] = 0;
        return ERR_IO;
    }
    a->serial += 1 + tries;
    fsync(a->dir_fd); /* best effort: the name survives a power cut */
    a->file_bytes = 0;
    a->file_first_us = first_us;
    return 0;
}

static int finish_file(struct archive *a)
{
    int failed = 0;

    if (a->fd < 0)
        return 0;
    if (a->file_bytes == 0)
        unlinkat(a->dir_fd, a->path + strlen(a->dir) + 1, 0); /* nothing ever got into it */
    else if (fsync(a->fd))
        failed = errno;
    if (close(a->fd) && errno != EINTR)
        failed = errno;
    a->fd = -1;
    if (failed)
        return error_set(&a->sink.error, ERR_IO, "%s: %s", a->path, strerror(failed));
    return 0;
}

/* ---- members ---- */

/* All of `out` behind the file's last whole member, or nothing of it. */
static int write_out(struct archive *a, const struct buf *out)
{
    size_t done = 0;
    ssize_t n;

    while (done < out->len) {
        n = pwrite(a->fd, out->p + done, out->len - done, (off_t)(a->file_bytes + done));
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            write_failed(a, n == 0 ? ENOSPC : errno);
            /* Should this fail, the next try writes over the torn piece all the same. */
            (void)!ftruncate(a->fd, (off_t)a->file_bytes);
            return ERR_IO;
        }
    }
    a->file_bytes += done;
    return 0;
}

static bool complete_ones(const struct archive *a)
{
    return a->members > (a->open ? 1 : 0);
}

static int no_memory(struct archive *a)
{
    return error_set(&a->failure, ERR_NOMEM, "%s: no memory to compress", a->dir);
}

static int pack_member(struct archive *a, bool now)
{
    if (packer_give(a->packer, &a->text, &a->member[0], now))
        return no_memory(a);
    a->members--;
    memmove(a->member, a->member + 1, a->members * sizeof a->member[0]);
    return 0;
}

static int write_member(struct archive *a)
{
    int err = a->fd < 0 ? open_file(a, packer_member(a->packer)->first_us) : 0;

    if (!err)
        err = write_out(a, packer_bytes(a->packer));
    if (err)
        return err;
    packer_empty(a->packer);
    if (a->file_bytes >= a->limits.file_bytes ||
        a->now_us - a->file_first_us >= a->limits.file_age_us)
        finish_file(a);
    return 0;
}

/* Is it the packer that keeps text waiting? */
static bool is_ahead(const struct archive *a)
{
    return a->text.len + packer_text(a->packer) > AHEAD_TEXT;
}

/* One step towards the disk. `*more`: another can follow at once. */
static int step(struct archive *a, bool now, bool *more)
{
    *more = true;
    switch (packer_state(a->packer, now || is_ahead(a))) {
    case PACKER_EMPTY:
        *more = complete_ones(a);
        return *more ? pack_member(a, now) : 0;
    case PACKER_FAILED:
        return packer_retry(a->packer) ? no_memory(a) : 0;
    case PACKER_PACKED:
        return write_member(a);
    case PACKER_WORKING:
        break;
    }
    *more = false;
    return 0;
}

/* Writes what is complete, unless a try has failed just now; `now`: without leaving any of it to the
 * packer's thread. The clock may have been set back. */
static void write_complete(struct archive *a, bool now)
{
    bool more = true;

    if (a->now_us < a->retry_us && a->now_us >= a->retry_us - RETRY_US)
        return;
    while (more)
        if (step(a, now, &more)) {
            a->retry_us = a->now_us + RETRY_US;
            return;
        }
}

/* ---- the sink ---- */

static int lose(struct archive *a, size_t bytes, int err)
{
    a->lost_records++;
    a->lost_bytes += bytes;
    return error_set(&a->sink.error, (enum error_code)err,
                     "lost %" PRIu64 " records (%" PRIu64 " bytes): %s", a->lost_records,
                     a->lost_bytes, a->failure.detail);
}

/* Counts the last `bytes` of text, one record, to the open member or to a new one. */
static void count_record(struct archive *a, size_t bytes, int64_t time_us)
{
    struct archive_member *m;

    if (!a->open) {
        a->member[a->members++] = (struct archive_member){.first_us = time_us};
        a->open = true;
    }
    m = &a->member[a->members - 1];
    m->text += (uint32_t)bytes;
    m->records++;
    if (m->text >= ARCHIVE_MEMBER_TEXT)
        a->open = false;
}

static int take_event(struct sink *s, const struct event *ev)
{
    struct archive *a = archive_of(s);
    size_t bytes, waiting, before = a->text.len;
    int err = json_event_write(&a->text, ev);

    a->now_us = ev->time_us;
    bytes = a->text.len - before;
    if (!err && bytes > ARCHIVE_LINE_BYTES)
        err = ERR_CAP;
    if (err) {
        a->text.len = before;
        error_set(&a->failure, (enum error_code)err, "%s: a record of %zu bytes: %s", a->dir,
                  ev->len, error_text((enum error_code)err));
        return lose(a, ev->len, err);
    }
    if (a->open && a->member[a->members - 1].text + bytes > ARCHIVE_MEMBER_TEXT)
        a->open = false;
    write_complete(a, false);
    before = a->text.len - bytes;
    waiting = before + packer_text(a->packer);
    if (waiting && (waiting + bytes > PENDING_TEXT || a->members == PENDING_MEMBERS)) {
        a->text.len = before;
        return lose(a, bytes, ERR_IO);
    }
    count_record(a, bytes, ev->time_us);
    if (a->fd < 0 && a->members == 1 && a->member[0].records == 1 && packer_text(a->packer) == 0 &&
        open_file(a, ev->time_us))
        a->retry_us = a->now_us + RETRY_US;
    write_complete(a, false);
    return (int)a->sink.error.code;
}

static int take_tick(struct sink *s, int64_t now_us)
{
    struct archive *a = archive_of(s);
    int64_t age_us;

    a->now_us = now_us;
    write_complete(a, true);
    if (a->open && a->members == 1) {
        age_us = now_us - a->member[0].first_us;
        /* Below zero: the clock was set back, and nobody knows how old it is. */
        if (age_us >= ARCHIVE_MEMBER_AGE_US || age_us <= -ARCHIVE_MEMBER_AGE_US) {
            a->open = false;
            write_complete(a, true);
        }
    }
    return (int)a->sink.error.code;
}

static void free_archive(struct archive *a)
{
    if (a->dir_fd >= 0)
        close(a->dir_fd);
    packer_free(a->packer);
    buf_free(&a->text);
    free(a->dir);
    free(a->path);
    free(a);
}

static int close_sink(struct sink *s)
{
    struct archive *a = archive_of(s);
    int err;

    a->open = false;
    a->retry_us = 0;
    write_complete(a, true);
    err = complete_ones(a) || packer_state(a->packer, true) != PACKER_EMPTY ? ERR_IO : 0;
    if (finish_file(a))
        err = ERR_IO;
    if (a->sink.error.code)
        err = (int)a->sink.error.code;
    free_archive(a);
    return err;
}

/* ---- opening ---- */

/* Makes the folder and its missing parents, `made` of them, or nothing: then -1 with errno, and
 * `path` is cut. */
static int make_dir(char *path, unsigned *made)
{
    char *slash = strrchr(path, '/');
    int failed;

    failed = mkdir(path, 0700) ? errno : 0;
    if (failed == ENOENT && slash && slash != path) {
        *slash = 0;
        if (make_dir(path, made))
            return -1;
        *slash = '/';
        failed = mkdir(path, 0700) ? errno : 0;
    }
    if (failed == 0)
        ++*made;
    if (failed == 0 || failed == EEXIST)
        return 0;
    for (; *made > 0 && (slash = strrchr(path, '/')); --*made) {
        *slash = 0;
        rmdir(path);
    }
    errno = failed;
    return -1;
}

static int open_dir(struct archive *a)
{
    unsigned made = 0;

    if (make_dir(a->dir, &made))
        return -1;
    a->dir_fd = open(a->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (a->dir_fd < 0)
        return -1;
    return faccessat(a->dir_fd, ".", W_OK | X_OK, AT_EACCESS);
}

struct sink *archive_open_limits(const char *dir, int worker, const struct archive_limits *limits,
                                 struct error *e)
{
    struct archive *a = calloc(1, sizeof *a);

    if (!a) {
        error_set(e, ERR_NOMEM, "no memory for the archive");
        return NULL;
    }
    a->sink.event = take_event;
    a->sink.tick = take_tick;
    a->sink.close = close_sink;
    a->worker = worker;
    a->dir_fd = a->fd = -1;
    a->limits.file_bytes = limits && limits->file_bytes ? limits->file_bytes : ARCHIVE_FILE_BYTES;
    a->limits.file_age_us =
        limits && limits->file_age_us ? limits->file_age_us : ARCHIVE_FILE_AGE_US;
    buf_init(&a->text, PENDING_TEXT + ARCHIVE_LINE_BYTES);
    a->dir = strdup(dir);
    a->path_size = strlen(dir) + 96;
    a->path = calloc(1, a->path_size);
    a->packer = packer_new(limits && limits->zlib);
    if (!a->packer || !a->dir || !a->path) {
        error_set(e, ERR_NOMEM, "no memory for the archive");
        free_archive(a);
        return NULL;
    }
    if (open_dir(a)) {
        error_set(e, ERR_IO,
                  "the archive's folder %.180s cannot be written: %s; choose another one "
                  "with -d DIR, or use --no-archive",
                  dir, strerror(errno));
        free_archive(a);
        return NULL;
    }
    return &a->sink;
}

struct sink *archive_open(const char *dir, int worker, struct error *e)
{
    return archive_open_limits(dir, worker, NULL, e);
}

const char *archive_path(const struct sink *s)
{
    return ((const struct archive *)(const void *)s)->path;
}

/* store.h: the sessions in archive files, and the events of some of them, across files.
 *
 * For commands that read: one thread. A session's records lie in one run's files, mixed with those
 * of others; the scan notes where each begins and ends, so reading them seeks. Memory grows
 * with the number of sessions, never with their length.
 */
#ifndef XMPPTAP_STORE_H
#define XMPPTAP_STORE_H

#include "../decoder/verdict.h"
#include "event.h"
#include "ids.h"

#define STORE_WAIT_BYTES (64u << 20)

struct store_place {
    size_t file;        /* index in store->file */
    int64_t member;     /* offset for archive_reader_seek() */
};

struct store_session {
    char *id;           /* owned by the store, like all strings here */
    struct story *story; /* as far as it was read; given up by store_conclude() */
    int64_t begin_us, end_us; /* end: of its last record */
    uint64_t records;
    size_t bytes;       /* of its lines, newlines included, up to its `end` */
    bool ended;         /* has its `end`; else it was cut off */
    enum side by;
    enum error_code code;
    uint64_t stanzas;   /* of both directions, where it ended */
    struct store_place first, last; /* members of its first and last record */

    /* From store_conclude() on, where stories are told; "" where nothing is known. */
    bool concluded;
    char *account;      /* full or bare JID, or domain */
    char *server;       /* the upstream as it was given */
    char *tls;          /* "1.3", or "1.2/1.3": the client's and the server's */
    char *mechanism;
    char *resumes;      /* the session that it resumed */
    char *sentence;
    const char *verdict; /* its id, static */
    bool ok;            /* nothing failed */
};

struct store {
    bool stories;       /* set before the first scan: they are collected, for store_conclude() */
    size_t wait_bytes;  /* of lines that store_read() keeps at once; STORE_WAIT_BYTES */
    bool odd;           /* a line could not be read, or begins as if it were another session's */
    char **file;        /* paths, in the order of time */
    size_t files;
    struct store_session *session; /* in the order of their beginning */
    size_t sessions, room;
    struct ids ids;     /* of the sessions: their indexes */
};

/* Reads `path`, a file or a folder of files. Told to `tell` (one sentence each, reading goes on):
 * torn files and records that cannot be read. Errors: ERR_IO (names the path and the cure),
 * ERR_FORMAT, ERR_NOMEM. Adds to what was scanned before. */
int store_scan(struct store *st, const char *path, void (*tell)(const char *sentence),
               struct error *e) MUST_CHECK;

struct store_session *store_find(const struct store *st, const char *id);

/* What became of it: account, TLS, mechanism and verdict, from all that was scanned. ERR_NOMEM. */
int store_conclude(struct store_session *s) MUST_CHECK;

/* The events of these sessions, all of one behind all of another, each borrowed for the call of
 * `event`, which returns 0 to go on. Where sessions overlap, several are read at once: the lines of
 * those whose turn has not come wait in memory, `wait_bytes` at most; so a file is read once for each
 * so many bytes of its text that overlap. */
int store_read(const struct store *st, struct store_session *const *list, size_t count,
               int (*event)(void *arg, const struct event *ev), void *arg, struct error *e)
    MUST_CHECK;

void store_init(struct store *st);
void store_free(struct store *st);

#endif

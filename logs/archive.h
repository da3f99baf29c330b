/* archive.h: the archive's writer (a sink) and reader. The format: docs/archive.md.
 *
 * Writer: *.jsonl.gz in a folder, JSON Lines in independent gzip members of about 256 KiB of text
 * (RFC 1952), each with an extra field "XT": sizes, first time, record count. A member is written
 * by one write(2). The file is made (0600, O_EXCL) at the first record, never appended to by a
 * later run, and followed by a next one when it grows past its size or age. One thread, but for the
 * one of its own in which members are deflated (packer.h).
 */
#ifndef XMPPTAP_ARCHIVE_H
#define XMPPTAP_ARCHIVE_H

#include "sink.h"

#define ARCHIVE_MEMBER_TEXT   (256u * 1024)       /* text that completes a member */
#define ARCHIVE_MEMBER_AGE_US 1000000             /* and the age that does */
#define ARCHIVE_FILE_BYTES    (1024ull << 20)     /* compressed bytes that complete a file */
#define ARCHIVE_FILE_AGE_US   (24ll * 3600 * 1000000)

/* A sink that writes to the folder `dir`, which is made (0700) if missing. The folder is checked
 * for being writable now; no file is made before the first record. Returns NULL and fills `e`
 * (ERR_IO, ERR_NOMEM). `worker` keeps the names of several writers of one run apart. */
struct sink *archive_open(const char *dir, int worker, struct error *e);

/* The same with other limits, for rotation (0: the default). */
struct archive_limits {
    uint64_t file_bytes;
    int64_t file_age_us;
    bool zlib; /* members are zlib's even where libdeflate is there */
};
struct sink *archive_open_limits(const char *dir, int worker, const struct archive_limits *limits,
                                 struct error *e);

/* The file being written, "" before the first record. Borrowed until the next call. */
const char *archive_path(const struct sink *s);

/* ---- reading ---- */

struct archive_reader;

/* Opens one file. `errors` go to `e`: ERR_IO (cannot be opened), ERR_FORMAT (no gzip at all). */
struct archive_reader *archive_reader_open(const char *path, struct error *e);

/* The next event, borrowed until the next call: 1; at the end: 0; a record that cannot be read:
 * -1 with `e` filled (names file and line; reading can go on). A torn last member is read as far
 * as its whole lines go; archive_reader_torn() is true then.
 * `session`: NULL, or only this session's events (others are skipped without being parsed). */
int archive_reader_next(struct archive_reader *r, const char *session, struct event *ev,
                        struct error *e);

/* The line of the event given last, without its newline; borrowed as that is. */
const char *archive_reader_line(const struct archive_reader *r, size_t *n);

/* The same as archive_reader_next() without reading the line: what stands in it may be no record.
 * A last line without its newline may be torn. */
int archive_reader_next_line(struct archive_reader *r, const char **line, size_t *n,
                             struct error *e);

bool archive_reader_torn(const struct archive_reader *r);

/* Where the next event's member begins, and back to it: members are independent. */
int64_t archive_reader_tell(const struct archive_reader *r);
int archive_reader_seek(struct archive_reader *r, int64_t offset, struct error *e) MUST_CHECK;

void archive_reader_close(struct archive_reader *r);

#endif

/* records.h: the archive as anybody reads it: gzip -dc, then JSON Lines.
 *
 * Only what the tests ask for is read of the JSON: the values of a record's own keys. Functions
 * fail the running test: main thread only.
 */
#ifndef XMPPTAP_E2E_RECORDS_H
#define XMPPTAP_E2E_RECORDS_H

#include "bytes.h"
#include "run.h"

struct records {
    struct bytes text;
    char **line; /* NUL-ended, into `text` */
    size_t lines;
};

/* The paths of `dir`'s *.jsonl.gz, sorted; at most `max` of them. Returns how many. Texts of the
 * box. */
size_t records_files(struct box *b, const char *dir, const char **path, size_t max);

/* All records of all files in `dir`. */
void records_load(struct records *r, struct box *b, const char *dir);
/* Those in text that was unpacked already; takes `text`. A last line without its newline is
 * dropped. */
void records_parse(struct records *r, struct bytes *text);
void records_free(struct records *r);

/* The string value of `key`, decoded and appended to `out`; false if the record has none. */
bool record_string(const char *line, const char *key, struct bytes *out);
bool record_is(const char *line, const char *key, const char *value);
/* The number, or -1. */
long long record_number(const char *line, const char *key);

size_t records_count(const struct records *r, const char *event);
/* The first record of this event, or NULL. */
const char *records_find(const struct records *r, const char *event);

/* The id of the nth session begun (from 0), appended to `id`; false if there are not so many. */
bool records_session(const struct records *r, size_t nth, struct bytes *id);

/* All wire bytes of one direction, joined (`xml` and `b64` of what has `dir`, but for edits).
 * `session` NULL: of all sessions. */
void records_bytes(const struct records *r, const char *session, const char *dir,
                   struct bytes *out);

/* Every session counts 1, 2, 3 ... without holes, begins with `session`, and has nothing behind
 * its `end`. Returns the number of sessions. */
size_t records_check(const struct records *r);

#endif

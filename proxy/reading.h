/* reading.h: what the commands that read archives have in common.
 */
#ifndef XMPPTAP_READING_H
#define XMPPTAP_READING_H

#include "../logs/store.h"
#include "options.h"

struct reading_options {
    const char *archive_dir; /* NULL: the default store */
};

/* Is there a file or folder of this name? Else it names a session. */
bool reading_is_path(const char *arg);

/* Scans the paths among `args`, or the store if there is none. 0, or 1 with the error said. A
 * store that is not there yet is empty. */
int reading_open(struct store *st, const struct reading_options *o, int n, char **args);

/* The same, and those sessions that are asked for: named ones, else all of the files named, else
 * the last. `*list` is owned, its entries are the store's; 0 with `*count` 0 where a file was named
 * and holds none. Everything that is wrong was said. */
int reading_select(struct store *st, const struct reading_options *o, int n, char **args,
                   struct store_session ***list, size_t *count);

/* The session that `arg` (cut up) names: FILE, of which it is the last, FILE#SESSION or a session of the
 * store, by its id or a beginning that no other has. Scans what it needs; NULL with that said. */
struct store_session *reading_one(struct store *st, const struct reading_options *o, char *arg);

/* `show | head`: whoever read standard output has seen enough, which is no error worth a
 * sentence. */
bool reading_is_over(void);

/* The folder of the store, "" if there is none. Returns `out`. */
const char *reading_store(const struct reading_options *o, char *out, size_t size);

#endif

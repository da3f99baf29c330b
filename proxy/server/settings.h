/* settings.h: plain files of settings: `[section]`, `key = value`, comments behind `#` or `;` at a
 * line's beginning. docs/serve.md. Pure; any thread.
 */
#ifndef XMPPTAP_SETTINGS_H
#define XMPPTAP_SETTINGS_H

#include <stddef.h>

#include "../../decoder/errors.h"

struct setting {
    const char *section; /* "" before the first */
    const char *key;     /* NULL: the section begins */
    char *value;         /* may be cut up */
    unsigned line;
};

/* Reads `text` (cut up), which `name` calls by its name in errors. `take` may refuse with `e` filled
 * (ERR_USAGE, ERR_NOMEM): then the file's name and the line are put before it. */
int settings_read(char *text, const char *name,
                  int (*take)(void *arg, const struct setting *s, struct error *e), void *arg,
                  struct error *e) MUST_CHECK;

/* The file's text, owned, at most 1 MiB. NULL with `e` filled: ERR_IO, ERR_USAGE, ERR_NOMEM. */
char *settings_load(const char *file, struct error *e);

/* The next word of `*p`, cut off, which may stand in double quotes; NULL behind the last. */
char *settings_word(char **p);

#endif

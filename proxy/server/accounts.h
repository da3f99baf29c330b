/* accounts.h: the accounts that a world begins with, from a plain file (docs/serve.md). */
#ifndef XMPPTAP_ACCOUNTS_H
#define XMPPTAP_ACCOUNTS_H

#include "world.h"

/* Adds those of `file` to `w`, which is closed from then on. Errors: ERR_USAGE, ERR_IO, ERR_NOMEM, with
 * the file's name and line. */
int accounts_load(struct world *w, const char *file, struct error *e) MUST_CHECK;

#endif

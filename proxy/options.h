/* options.h: command lines from tables. One table makes both the parsing and the `--help`.
 */
#ifndef XMPPTAP_OPTIONS_H
#define XMPPTAP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "../decoder/errors.h"

enum option_type {
    OPTION_FLAG,    /* bool: set to true */
    OPTION_UNFLAG,  /* bool: set to false */
    OPTION_STRING,  /* const char *: points into argv */
    OPTION_STRINGS, /* const char *[OPTION_STRINGS_MAX]: one more each time, NULL-ended */
    OPTION_SECONDS, /* unsigned, 1 to 86400 */
    OPTION_COUNT,   /* unsigned, 1 to OPTION_COUNT_MAX */
    OPTION_BYTES,   /* size_t, 4k to 1g: a number, and k, m or g behind it for powers of 1024 */
    OPTION_CHOICE,  /* int: the index in `arg` */
    OPTION_OPTIONAL /* int: 1 + the index in `arg`; without a value, which stands behind a `=`, 1 */
};

#define OPTION_STRINGS_MAX 16
#define OPTION_COUNT_MAX   64

struct option_row {
    char letter;         /* 0: none */
    const char *name;    /* NULL behind the last row */
    const char *arg;     /* its name in --help; for a choice "a|b|c", which it is read by */
    enum option_type type;
    size_t offset;       /* in the command's struct */
    const char *help;
};

struct command {
    const char *name;
    const char *usage;   /* behind the name: "[OPTIONS] [UPSTREAM]" */
    const char *help;    /* one sentence */
    const struct option_row *rows;
    int (*run)(int argc, char **argv, const struct command *c);
};

#define OPTIONS_OK (-1)

/* Reads argv[1...] into `into`; `*rest` is the index of the first that is no option. OPTIONS_OK, or
 * the exit status: 0 when --help was printed, 2 when it was said what is wrong. */
int options_parse(const struct command *c, int argc, char **argv, void *into, int *rest);

/* "xmpptap: TEXT; see `xmpptap NAME --help`" on standard error; returns 2. */
int usage_error(const struct command *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* $NAME/xmpptap if NAME is set and absolute, else $HOME/`fallback`/xmpptap; "" without either.
 * XDG Base Directory Specification. Returns `out`. */
const char *default_dir(const char *name, const char *fallback, char *out, size_t size);
#define ARCHIVE_DIR(out, size) default_dir("XDG_STATE_HOME", ".local/state", out, size)
#define CA_DIR(out, size)      default_dir("XDG_DATA_HOME", ".local/share", out, size)

/* The commands, one a file. */
extern const struct command cmd_proxy, cmd_serve, cmd_demo, cmd_list, cmd_show, cmd_explain,
    cmd_replay, cmd_ca;

#endif

/* message.h: the program's own messages, on standard error, one logfmt line each.
 *
 * Levelled, key=value, what to do next in `msg`. Any thread. After message_start() the lines go
 * through a bounded buffer and a thread of their own, so that a stopped terminal delays nobody;
 * what does not fit is dropped and counted. Control characters are escaped.
 */
#ifndef XMPPTAP_MESSAGE_H
#define XMPPTAP_MESSAGE_H

#include <stdbool.h>

#include "../decoder/errors.h"

enum message_level { LEVEL_ERROR, LEVEL_WARN, LEVEL_INFO, LEVEL_DEBUG };

/* From here on lines do not block. Without memory for it, they go on doing so. */
void message_start(void);
/* Waits at most `wait_ms` for what is buffered; lines block again afterwards. */
void message_stop(int wait_ms);

/* Lines above this level are left out. Default LEVEL_INFO. */
void message_level(enum message_level level);

/* One line: level=..., then `pairs` NULL-ended name, value, ... (a NULL or empty value leaves the
 * pair out), then msg="...". */
void message(enum message_level level, const char *const *pairs, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* The pairs of a call: message(LEVEL_INFO, PAIRS("session", id), "..."). */
#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL, NULL})

#endif

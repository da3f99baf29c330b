/* errors.h: error codes, and the record that carries a reason to the user's eye.
 *
 * Codes, names and texts come from errors.def. 0 is success everywhere. A function that can fail
 * for a reason worth reading takes a `struct error` and fills it; the record then travels with the
 * session to the event and the message. Any thread; no state.
 */
#ifndef XMPPTAP_ERRORS_H
#define XMPPTAP_ERRORS_H

#define ERROR_DETAIL_MAX 320

enum error_code {
    ERR_NONE = 0,
#define ERR(code, name, text) ERR_##code,
#include "errors.def"
#undef ERR
    ERR_COUNT
};

struct error {
    enum error_code code;
    const char *kind;              /* static: a stable name finer than the code's, or NULL */
    char detail[ERROR_DETAIL_MAX]; /* what exactly, and what to do next; may be empty */
};

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* The code's stable name ("unreachable"); "none" for 0. Borrowed for ever. */
const char *error_name(enum error_code code);

/* The code's text. Borrowed for ever. */
const char *error_text(enum error_code code);

/* The code with this name, ERR_NONE if there is none. */
enum error_code error_by_name(const char *name);

/* Fills `e`, its kind with NULL (NULL is allowed) and returns `code`, so that `return error_set(e, ...)` reads well. */
int error_set(struct error *e, enum error_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif

/* case.h: a golden case as its file tells it: what the tap heard of a session, in order, and the
 * sections that must come of it. The format: docs/testing.md.
 *
 * Strings and bytes are the case's and live until case_free(). Any one thread.
 */
#ifndef XMPPTAP_TESTS_CASE_H
#define XMPPTAP_TESTS_CASE_H

#include "../../decoder/decoder.h"

#define CASE_SECTIONS_MAX 8

/* One line of input: bytes of `mark.dir`, or a mark. */
struct case_step {
    int64_t t_us; /* since the first session's begin, never less than the step's before */
    bool data;
    const char *p; /* if `data` */
    size_t len;
    struct mark mark; /* the end's duration is filled in */
};

/* What stands behind a line `==== NAME`, up to the next or to the file's end. */
struct case_section {
    const char *name;
    const char *text;
    size_t len;
    size_t line; /* number of its first line */
};

struct case_file {
    const char *path; /* borrowed */
    char *bytes;      /* owned: what steps and sections point into */
    size_t input_len; /* of the file: what stands before the sections */
    struct case_step *step;
    size_t steps;
    struct case_section section[CASE_SECTIONS_MAX];
    size_t sections;
};

/* Copies the text. Errors: ERR_FORMAT with "PATH:LINE: why" in `e`, ERR_NOMEM; nothing to free
 * then. */
int case_parse(struct case_file *c, const char *path, const char *text, size_t n,
               struct error *e) MUST_CHECK;
void case_free(struct case_file *c);

/* NULL if there is none. */
const struct case_section *case_section(const struct case_file *c, const char *name);

/* Appends the bytes as a case writes them: with \\ \n \r \t, and \xNN for other control characters
 * and what is not UTF-8. Errors: ERR_NOMEM, ERR_CAP. */
int case_escape(struct buf *b, const char *p, size_t n) MUST_CHECK;

/* Is this line (without its newline) the first of a section? */
bool case_is_heading(const char *p, size_t n);

#endif

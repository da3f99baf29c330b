/* whole.h: expat reads a stream in one piece, with handlers of its own. What it finds is what
 * scanner and reader are held against (agree.h); nothing of theirs is used here.
 */
#ifndef XMPPTAP_WHOLE_H
#define XMPPTAP_WHOLE_H

#include <stdbool.h>
#include <stddef.h>

#include "../../decoder/buf.h"

#define WHOLE_DEPTH 4 /* elements are described down to it, 1: the item itself (or the root) */

enum whole_kind { WHOLE_HEADER, WHOLE_ITEM, WHOLE_CLOSE };

struct whole_node {
    unsigned depth;
    size_t start, inner, inner_end, end; /* offsets in the stream */
    size_t name;                         /* in `strings`, as expat joins it */
    size_t text, text_len;               /* in `strings`: its own character data */
    unsigned runs;                       /* in how many runs, parted by described elements */
    size_t attrs;                        /* how many of the token's attributes are its own */
};

struct whole_attr {
    size_t name, value; /* in `strings` */
};

/* A header, an item (restricted: a comment or instruction between items, too), a close. */
struct whole_token {
    enum whole_kind kind;
    size_t start, end;
    bool restricted;    /* holds a comment or an instruction */
    bool deep;          /* holds elements that are not described */
    size_t node, nodes; /* its elements, in document order */
    size_t attr, attrs;
    size_t string_bytes; /* of names, values and text */
};

enum whole_stop {
    WHOLE_GOES_ON,  /* all was read, the last token may be unfinished */
    WHOLE_ERROR,    /* expat has an error at `stop` */
    WHOLE_FORBIDDEN /* XML, but no stream from `stop` on: a DTD, text, references or CDATA between
                     * items, a root that is empty, anything before the root or behind its end */
};

struct whole {
    struct buf tokens, nodes, attrs, strings;
    enum whole_stop why;
    size_t stop;
    const char *error; /* expat's words */

    /* While it reads. */
    void *xml;
    const char *p;
    size_t n;
    size_t skipped; /* white space first */
    unsigned depth; /* elements open */
    size_t open[WHOLE_DEPTH + 1];
    bool broken[WHOLE_DEPTH + 1];
    struct buf text[WHOLE_DEPTH + 1];
};

/* Reads all of it; white space before the first other byte is no part of the document. */
void whole_read(struct whole *w, const char *p, size_t n);
void whole_free(struct whole *w);

size_t whole_tokens(const struct whole *w);
const struct whole_token *whole_token(const struct whole *w, size_t i);
const struct whole_node *whole_node(const struct whole *w, size_t i);
const struct whole_attr *whole_attr(const struct whole *w, size_t i);
const char *whole_string(const struct whole *w, size_t at);

#endif

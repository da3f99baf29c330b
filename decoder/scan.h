/* scan.h: the scanner. It finds where stream headers, items and stream ends are, at memory speed
 * and in constant memory, however the bytes are split (RFC 6120 §4, §11).
 *
 * It frames and does not judge: whether an item is well-formed XML is for expat, which then reads
 * it whole (reader.h). Both must agree on every end (tests/fuzz/agree.h). Owned by whoever embeds
 * it, one direction of one stream; no allocation, no failure; any one thread.
 */
#ifndef XMPPTAP_SCAN_H
#define XMPPTAP_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "errors.h"

struct scan_limits {
    size_t tag_bytes;  /* one tag, from `<` to `>` */
    size_t item_bytes; /* one item */
    unsigned depth;    /* elements open at once, the stream's root included */
};

/* What proxy, recorder and tests use where nobody asked for other limits. */
extern const struct scan_limits scan_default_limits;

enum scan_what {
    SCAN_MORE,   /* all bytes are used, the token goes on */
    SCAN_HEADER, /* [U+FEFF] [XML declaration] and the stream's root tag */
    SCAN_ITEM,   /* one element below the root, whole */
    SCAN_CLOSE,  /* the root's end tag */
    SCAN_SPACE,  /* white space between items, as far as it was given */
    SCAN_BAD,    /* not a stream any more: `error` tells why; nothing is read from here on */
};

struct scan {
    unsigned char state;
    unsigned char match;     /* how much of a delimiter was seen */
    char quote;              /* of the attribute's value; in a mark, its first byte */
    bool self_closing;       /* the last byte in this tag was `/` outside quotes */
    bool declared;           /* depth 0: the XML declaration is over */
    unsigned depth;
    size_t tag;              /* bytes of the tag so far */
    size_t item;             /* bytes of the token so far, over all calls */
    uint64_t offset;         /* bytes used since scan_init() */
    enum error_code flaw;    /* the token now read must be recorded as a violation: ERR_TAG_CAP,
                              * ERR_ITEM_CAP, ERR_DEPTH_CAP, ERR_RESTRICTED_XML; framing goes on.
                              * Set as soon as it is known, cleared when the next token begins */
    enum error_code error;   /* after SCAN_BAD */
    struct scan_limits limits; /* copied: no pointer to outlive */
};

/* A new stream is expected: at the beginning, and after each restart. `limits` NULL: default. */
void scan_init(struct scan *s, const struct scan_limits *limits);

/* Reads on in `p`. `*used` bytes belong to the token that the result names (together with those
 * that earlier SCAN_MOREs used). Give the rest again. With n == 0: SCAN_MORE. */
enum scan_what scan_next(struct scan *s, const char *p, size_t n, size_t *used);

/* At depth 1 between tokens; and over `n` bytes that are one whole item, found by who reads. */
bool scan_before_item(const struct scan *s);
void scan_skip(struct scan *s, size_t n);

/* Between tokens: no byte of an unfinished one has been used. */
bool scan_between(const struct scan *s);

#endif

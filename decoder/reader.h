/* reader.h: one framed item is read into its elements, names and byte ranges.
 *
 * The quick reader (quick.h) takes what it knows to be well-formed, expat reads all the rest; both
 * give the same items, and every error is expat's.
 *
 * A `reader` is one thread's: it keeps a few warm parsers and one `item`, which each read
 * overwrites. A `stream` is what one direction must remember of its header so that prefixes mean
 * what they meant; it holds no parser, so an idle direction costs only its header.
 * Item and strings are borrowed until the reader's next read. RFC 6120 §4.8, §11.
 */
#ifndef XMPPTAP_READER_H
#define XMPPTAP_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define READER_NODES   48 /* elements described of an item, in document order, depth 1 to 4 */
#define READER_DEEP    8  /* the same of reader_item_deep() */
#define READER_DEEP_NODES 192
#define READER_ATTRS   96
#define READER_SECRETS 16

struct node {
    unsigned depth;       /* 1: the item itself */
    const char *ns;       /* "" if none */
    const char *name;     /* without prefix */
    const char *text;     /* its own character data, NUL-ended: one run, at most 4 KiB */
    size_t text_len;
    bool text_cut;        /* there was more */
    size_t start, end;    /* the element's bytes in the item */
    size_t inner, inner_end; /* those between its tags */
};

struct item_attr {
    unsigned node;        /* index of the element */
    const char *name;     /* "xml:lang" style prefixes come as "NAMESPACE\1lang" */
    const char *value;
};

struct range {
    size_t from, to;      /* bytes [from, to) of the item */
};

enum secret_kind {
    SECRET_NONE,
    SECRET_TEXT,  /* in clear: known from here on (secrets.h) */
    SECRET_LOGIN, /* the same, and it opens the account */
    SECRET_FORM,  /* a form's field: its values are known from here on */
    SECRET_ONCE,  /* a digest or a proof, which does not come again */
    SECRET_SASL   /* a SASL message, which sasl_item() may find to hold none */
};

struct secret_range {
    size_t from, to;
    enum secret_kind kind;
};

enum item_stanza { ITEM_NO_STANZA, ITEM_MESSAGE, ITEM_PRESENCE, ITEM_IQ };

struct item {
    const char *p;        /* the item's bytes, as given */
    size_t len;
    unsigned nodes, attrs, secrets;
    struct node node[READER_DEEP_NODES];
    struct item_attr attr[READER_ATTRS];
    struct secret_range secret[READER_SECRETS]; /* what must be masked, ascending (redact.h) */
    bool plain;           /* no reference and no CDATA section: its bytes are what they mean */
    enum item_stanza stanza;
    bool partial;         /* more nodes, attributes or text than are described */
    bool lacks;           /* of them, nodes that are not too deep, or attributes */
};

struct reader;
struct scan;
struct reader_stream {
    struct buf root;      /* the header's root tag; what it declares is behind `len` */
    unsigned names;       /* bytes of that: prefix NUL namespace NUL, ... */
    bool many;            /* there are more than the quick reader takes */
    uint64_t id;          /* ties warm parsers to it; 0: no header yet */
};

struct reader *reader_new(void); /* returns owned, NULL without memory */
void reader_free(struct reader *r);

/* From here on expat reads everything. */
void reader_strict(struct reader *r);

void reader_stream_init(struct reader_stream *st);
void reader_stream_free(struct reader_stream *st); /* can be used again */

/* Reads a stream header ([U+FEFF] [XML declaration] and root tag), as UTF-8 whatever it declares;
 * `item->node[0]` is the root. Errors: ERR_NOT_WELL_FORMED and ERR_RESTRICTED_XML with the offset
 * in `detail`, ERR_NOMEM, ERR_CAP. */
int reader_header(struct reader *r, struct reader_stream *st, const char *p, size_t n,
                  const struct item **item, struct error *e) MUST_CHECK;

/* Reads one whole item of `st`. Same errors. Without a header yet, jabber:client is assumed. */
int reader_item(struct reader *r, struct reader_stream *st, const char *p, size_t n,
                const struct item **item, struct error *e) MUST_CHECK;

/* Reads the item at the beginning of `p`, if all of it is there, `s` stands before it and the quick
 * reader takes it: `s` is behind its `*used` bytes then. False: nothing was done or said; scan_next()
 * finds the item's end, and reader_item() reads it. */
bool reader_next(struct reader *r, struct reader_stream *st, struct scan *s, const char *p,
                 size_t n, size_t *used, const struct item **item);

/* The same as reader_item(), and describes more: to depth READER_DEEP, READER_DEEP_NODES elements. For who must see
 * all of an item (stream features: XEP-0388 nests FAST's mechanisms at depth 5). */
int reader_item_deep(struct reader *r, struct reader_stream *st, const char *p, size_t n,
                     const struct item **item, struct error *e) MUST_CHECK;

/* Reads the root's end tag: does it end what the header began? Same errors. */
int reader_close(struct reader *r, struct reader_stream *st, const char *p, size_t n,
                 struct error *e) MUST_CHECK;

/* Reads the beginning of an item whose end never came: 0 if it is well-formed as far as it goes.
 * Same errors. A start tag that a wrong end tag closed for the scanner shows only here. */
int reader_begun(struct reader *r, struct reader_stream *st, const char *p, size_t n,
                 struct error *e) MUST_CHECK;

/* Where the item that was not well-formed stops to be: an offset in its bytes. */
size_t reader_error_at(const struct reader *r);

/* An attribute of element `node`, NULL if it has none of that name. */
const char *item_attr(const struct item *it, unsigned node, const char *name);

/* Is element `node` {ns}name? */
bool item_is(const struct item *it, unsigned node, const char *ns, const char *name);

/* Is it a message, presence or iq? */
bool item_is_stanza(const struct item *it);

/* The first element {ns}name at `depth` (name or ns NULL: any), or -1. */
int item_find(const struct item *it, unsigned depth, const char *ns, const char *name);

#endif

/* quick.h: a strict reader of what streams mostly hold, several times as fast as expat.
 *
 * It takes an item only if each byte of it is one that it knows to be well-formed (XML 1.0,
 * Namespaces in XML 1.0): tags with names of ASCII, quoted values, text of valid UTF-8, the five
 * entities and plain character references. Anything else, and anything in which a secret may stand,
 * it leaves to expat, whose word is final: an error is never told here. What it takes it describes
 * as reader.c does from expat (tests/fuzz/agree.h holds both to that). Pure: any thread.
 */
#ifndef XMPPTAP_QUICK_H
#define XMPPTAP_QUICK_H

#include "item_build.h"

#define QUICK_ROOT_NAMES 8

/* What a stream's header declares. */
struct quick_root {
    unsigned n;
    struct quick_name {
        const char *prefix, *uri; /* borrowed; prefix "": the default namespace */
        size_t prefix_len, uri_len;
    } name[QUICK_ROOT_NAMES];
};

struct quick_limits {
    size_t tag_bytes;
    unsigned depth; /* elements open inside the item, itself included */
};

/* Reads the whole item at the beginning of `p` into `b`, which build_begin() has prepared. Returns
 * its length; 0: it is left to expat, and `b` holds nothing of use. */
size_t quick_read(struct item_build *b, const struct quick_root *root,
                  const struct quick_limits *limits, const char *p, size_t n);

#endif

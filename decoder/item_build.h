/* item_build.h: how an item is put together from what is read of it, whoever reads.
 *
 * Expat's handlers (reader.c) and the quick reader (quick.c) both build through this, so what an
 * item holds, where its text is cut and when it is `partial` is said once. Part of a reader; its
 * thread. Nothing fails: what does not fit makes the item partial.
 */
#ifndef XMPPTAP_ITEM_BUILD_H
#define XMPPTAP_ITEM_BUILD_H

#include "reader.h"

#define BUILD_ARENA (24u << 10) /* names, values and text of one item */
#define BUILD_TEXT  4096        /* of one element */

struct item_build {
    struct item item;
    char arena[BUILD_ARENA];
    size_t arena_len;
    unsigned depth;         /* elements open inside the item */
    unsigned deepest, most; /* elements described: to this depth, so many */
    int open[READER_DEEP + 1]; /* node index of the open element at each described depth, or -1 */
};

/* A new item, of these bytes; `deep`: as reader_item_deep() describes it. */
void build_begin(struct item_build *b, const char *p, size_t n, bool deep);

/* A copy that lives as long as the item; "" where there is no room left. */
const char *build_keep(struct item_build *b, const char *s, size_t n);

/* A start tag at bytes [start, inner). Returns the node whose names are to be filled in, NULL where
 * the element is not described. */
struct node *build_start(struct item_build *b, size_t start, size_t inner);

/* Namespace and name of that node are filled in. */
void build_named(struct item_build *b);

/* Character data of the innermost open element, in any pieces of whole characters. */
void build_text(struct item_build *b, const char *s, size_t n);

/* An end tag at bytes [at, end); of an empty element both are its end. */
void build_end(struct item_build *b, size_t at, size_t end);

/* Bytes [from, to) are a secret; of more than READER_SECRETS the last takes in what lies between. */
void build_secret(struct item_build *b, size_t from, size_t to, enum secret_kind kind);

#endif

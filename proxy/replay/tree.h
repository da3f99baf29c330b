/* tree.h: one whole item as a tree of elements, texts and attributes, for comparing.
 *
 * Where the decoder's reader describes what a proxy must know of an item, this has all of it, to a
 * cap. White space between elements is left out. What a comparison takes a value for stands beside
 * it (even.h). Owned by whoever embeds it; one thread.
 */
#ifndef XMPPTAP_REPLAY_TREE_H
#define XMPPTAP_REPLAY_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "../../decoder/buf.h"

#define TREE_NODES_MAX (1u << 20)
#define TREE_DEPTH_MAX 256          /* as the scanner frames them */
#define TREE_BYTES_MAX (256u << 20) /* of names and values */
#define TREE_NONE      UINT32_MAX

struct tree_attr {
    const char *ns, *name; /* ns "" if it has no prefix */
    const char *value;
    const char *even; /* what it is compared as; NULL: it is not */
};

struct tree_node {
    const char *ns, *name;        /* name NULL: a run of text */
    const char *text;             /* of a run, without white space at its ends */
    const char *even;             /* of a run, as of an attribute */
    bool ignored;                 /* it is not compared, with all that is in it */
    uint32_t attr, attrs;         /* the first, and how many */
    uint32_t parent, next, child; /* TREE_NONE: there is none */
    uint64_t hash;                /* the same for what is compared as the same: even.h */
};

struct tree_chunk;
struct tree {
    struct tree_node *node; /* owned; 0 is the root */
    struct tree_attr *attr; /* owned */
    uint32_t nodes, node_room, attrs, attr_room;
    struct tree_chunk *chunk; /* owned: strings */
    size_t bytes;
};

void tree_init(struct tree *t);
void tree_free(struct tree *t); /* can be used again */

/* Reads one whole item; `root` is the root tag of its stream, for the prefixes that it declares
 * (NULL: that of jabber:client). ERR_NOMEM, ERR_CAP, ERR_NOT_WELL_FORMED; the tree is empty then.
 */
int tree_read(struct tree *t, const char *root, size_t root_len, const char *p,
              size_t n) MUST_CHECK;

/* A copy that lives as long as the tree; NULL without memory. */
const char *tree_keep(struct tree *t, const char *s, size_t n);

/* The first child {ns}name (NULL: any) of `node`, TREE_NONE if there is none. */
uint32_t tree_find(const struct tree *t, uint32_t node, const char *ns, const char *name);
/* An attribute without prefix, NULL if there is none. */
const char *tree_value(const struct tree *t, uint32_t node, const char *name);
bool tree_is(const struct tree *t, uint32_t node, const char *ns, const char *name);

#endif

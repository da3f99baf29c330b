/* markup.h: writing XML that holds something the client wrote.
 *
 * Values are escaped; elements are handed back in the client's own bytes, with the namespace
 * declarations they had inherited, so that a prefix still means what it meant. Pure functions on
 * the caller's data; any thread.
 */
#ifndef XMPPTAP_MARKUP_H
#define XMPPTAP_MARKUP_H

#include "../../decoder/buf.h"
#include "../../decoder/reader.h"

/* Appends `s` so that it can stand in an attribute's value, in either quotes, and as text. Errors:
 * ERR_NOMEM, ERR_CAP. */
int markup_escape(struct buf *out, const char *s) MUST_CHECK;

/* Appends `<` and the name of element `node` as the client wrote it, prefix included. The caller
 * may add attributes, then calls markup_rest(). Same errors. */
int markup_open(struct buf *out, const struct item *it, unsigned node) MUST_CHECK;

/* Appends the rest of the element: its attributes but, if `readdress`, `from` and `to`; the
 * declarations it inherits from its parents and from `root` (the tag of the client's stream header)
 * where our own stream does not make them already, at most 64; and its content to the end. */
int markup_rest(struct buf *out, const struct item *it, unsigned node, const struct buf *root,
                bool readdress) MUST_CHECK;

#endif

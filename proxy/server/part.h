/* part.h: one element of a client's stanza read as an item of its own, so that what stands deep in the
 * stanza is described, too, and keeps the namespaces that it had inherited.
 *
 * A world's; one part at a time, borrowed until the next. The stanza's own item stays. One thread.
 */
#ifndef XMPPTAP_PART_H
#define XMPPTAP_PART_H

#include "../../decoder/reader.h"

struct part;

struct part *part_new(void); /* returns owned, NULL without memory */
void part_free(struct part *p);

/* Reads element `node` of `it`; `root` as in markup_rest(), NULL: none. Its bytes are the part's, too.
 * Errors: ERR_NOMEM, ERR_CAP, those of reader_item(). */
int part_read(struct part *p, const struct item *it, unsigned node, const struct buf *root,
              const struct item **out) MUST_CHECK;

/* The same of an element that is text of ours. */
int part_text(struct part *p, const char *xml, const struct item **out) MUST_CHECK;

#endif

/* xml_lines.h: captured bytes as printed lines.
 *
 * Whatever was captured comes out as lines that begin with no `#` of its own and hold no control
 * character: `#` at a line's beginning is printed `&#35;`; C0 but newline and tab, DEL, C1, U+2028,
 * U+2029 and the bidi controls are printed `&#xNN;`, bytes that are not UTF-8 `\xNN`. Linear time,
 * no recursion, any bytes at all. All append to `out`; errors: ERR_NOMEM, ERR_CAP (then `out` holds
 * a part of it). Any thread; no state.
 */
#ifndef XMPPTAP_XML_LINES_H
#define XMPPTAP_XML_LINES_H

#include "../decoder/buf.h"

/* One whole element, one tag a line: an element that holds only text, or nothing, takes one line;
 * white space between elements is dropped; mixed content stays as it is. Tags are copied, never
 * put together anew. Where text comes behind an element, takes at most 8 bytes of memory for each `<`
 * besides `out`. */
int xml_lines_item(struct buf *out, const char *p, size_t n) MUST_CHECK;

/* As it was sent, but for escaping, and with a newline at its end. Nothing for n == 0. `prefix`
 * (NULL: none) is put before every line. */
int xml_lines_raw(struct buf *out, const char *p, size_t n, const char *prefix) MUST_CHECK;

/* Captured bytes inside a line of ours: newlines are escaped too. */
int xml_lines_inline(struct buf *out, const char *p, size_t n) MUST_CHECK;

#endif

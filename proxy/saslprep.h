/* saslprep.h: names and passwords as SASL compares them (RFC 4013), by libidn's stringprep.
 *
 * Pure, any thread.
 */
#ifndef XMPPTAP_SASLPREP_H
#define XMPPTAP_SASLPREP_H

#include <stdbool.h>
#include <stddef.h>

#define SASLPREP_MAX 1024 /* a longer name or password is refused (RFC 4616 §2) */

/* The NUL-ended UTF-8 text `in` to `out`. `stored`: it is kept to compare with, so code points that
 * Unicode 3.2 does not know are refused (RFC 3454 §7). False: it is empty, too long, no UTF-8, or
 * has what SASLprep forbids; nothing of it stays in `out`. */
bool saslprep(const char *in, char *out, size_t size, bool stored);

#endif

/* sasl.h: what a SASL message says. Pure functions, any thread.
 */
#ifndef XMPPTAP_SASL_H
#define XMPPTAP_SASL_H

#include <stddef.h>

/* Decodes base64 (RFC 4648 §4) into `out`; returns the bytes written, or -1 if it is none or does
 * not fit `size`. */
long sasl_base64(const char *text, size_t n, char *out, size_t size);

/* The user name in a client's first message of `mechanism` (PLAIN: RFC 4616, SCRAM-*: RFC 5802
 * §5), NUL-ended in `out`. Returns 0, or -1 if the message names none. */
int sasl_username(const char *mechanism, const char *text, size_t n, char *out, size_t size);

#endif

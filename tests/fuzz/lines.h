/* lines.h: is a line read straight into its fields what jansson makes of it?
 */
#ifndef XMPPTAP_FUZZ_LINES_H
#define XMPPTAP_FUZZ_LINES_H

#include <stdbool.h>
#include <stddef.h>

/* Reads the line as it is, and with an unknown field of a kind that only jansson reads put in
 * front. Both must fail with the same code, or give the same event. Else false, with `why`. */
bool lines_agree(const char *line, size_t n, char *why, size_t size);

#endif

/* bridge_options.h: `--channel-binding bridge` with `--account` and `--password-file`, up to the end of
 * the capture. Made for the command that has these options.
 */
#ifndef XMPPTAP_BRIDGE_OPTIONS_H
#define XMPPTAP_BRIDGE_OPTIONS_H

#include "capture.h"

/* capture_run(), with the account read before and wiped afterwards where sessions are bridged. What is
 * wrong with the options is said. Returns the exit status. */
int bridge_run(const struct command *c, struct capture_options *o, struct capture *cap);

#endif

/* serving.h: the embedded server as options ask for it: profile and accounts, for a command's run. */
#ifndef XMPPTAP_SERVING_H
#define XMPPTAP_SERVING_H

#include "capture.h"

/* Makes o->proxy.world, where UPSTREAM is builtin:, and checks that the options fit. 0, or the exit
 * status with that said. serving_end() it all the same. */
int serving_begin(const struct command *c, struct capture_options *o);
void serving_end(struct capture_options *o);

#endif

/* served.h: a captured session, read from an archive for `serve --replay`. The main thread, at the
 * start. */
#ifndef XMPPTAP_SERVED_H
#define XMPPTAP_SERVED_H

#include "capture.h"

struct script;

/* What --replay names, owned, with --speed in it. 0, or the exit status with all said that is
 * wrong. */
int served_open(const struct command *c, struct capture_options *o, struct script **script);

#endif

/* report.h: the captured session's answers beside the live one's, for people or for programs.
 *
 * Made when all has been played, or as far as it came behind the login. One thread.
 */
#ifndef XMPPTAP_REPLAY_REPORT_H
#define XMPPTAP_REPLAY_REPORT_H

#include <stdio.h>

#include "replayer.h"

struct report_options {
    bool json;          /* a JSON object a line */
    const char *target; /* the server, as the user gave it */
};

struct report {
    size_t same, differ, missing; /* answers, features among them */
    size_t skipped;               /* of the client's items */
    size_t pushes_same, pushes_differ, only_captured, only_live;
};

/* Writes it to `to`, the summary last. Errors: ERR_NOMEM, ERR_IO. */
int report_write(const struct replayer *r, const struct report_options *o, FILE *to,
                 struct report *counts) MUST_CHECK;

/* Is there nothing in which the two sessions differ? */
bool report_all_same(const struct report *counts);

#endif

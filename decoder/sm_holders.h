/* sm_holders.h: which session has each stream that can be resumed (XEP-0198), for all threads.
 *
 * A stream's counters are its recorder's (sm.h), and the recorders of one run are not equally far:
 * what one has counted of a stream when another reads its resumption says nothing. That the one
 * resumes the other can be said all the same. Any thread; locked for the time of a look-up.
 */
#ifndef XMPPTAP_SM_HOLDERS_H
#define XMPPTAP_SM_HOLDERS_H

#include <stdbool.h>

#include "sm.h"

struct sm_holders;

struct sm_holders *sm_holders_new(void); /* returns owned, NULL without memory */
void sm_holders_free(struct sm_holders *h);

/* The stream is `session`'s from here on. Without memory the next to resume it is not tied. The one
 * longest untouched of SM_STREAMS_MAX is forgotten. */
void sm_holders_set(struct sm_holders *h, const char *id, const char *domain, const char *session);
/* Its session's id to `session`; false if the stream is unknown. */
bool sm_holders_get(struct sm_holders *h, const char *id, const char *domain,
                    char session[SM_SESSION_MAX]);

#endif

/* only.h: `--only`: a sink in front of the others, which passes on the sessions that are asked for.
 *
 * What a session is about shows late: its client's address at once, its domain with the stream's
 * header or SNI, its account with SASL or binding. Until one of the patterns matches or none can,
 * its records wait as lines of JSON, up to a cap; above it the session is recorded, so that nothing
 * asked for is lost. The recorder's thread, as for every sink.
 */
#ifndef XMPPTAP_ONLY_H
#define XMPPTAP_ONLY_H

#include "sink.h"

#define ONLY_SESSION_BYTES (1u << 20) /* of one session that wait: the default */
#define ONLY_SESSIONS      64         /* of all of a run's: so many times a session's */
#define ONLY_PATTERNS_MAX  16
#define ONLY_SINKS_MAX     4

/* Is it a bare JID, a domain or an IP address? ERR_USAGE with `e` saying what to give. */
int only_check(const char *pattern, struct error *e) MUST_CHECK;

/* In front of `inner` (NULL-ended, taken on success), for `patterns` (NULL-ended, borrowed; they
 * passed only_check()). `bytes`: of one session that may wait; 0: the default. `recorders`: so many
 * share what may wait of all sessions. Returns owned, NULL without memory. */
struct sink *only_new(const char *const *patterns, struct sink *const *inner, size_t bytes,
                      unsigned recorders);

/* Sessions that were not recorded so far. */
uint64_t only_left_out(const struct sink *s);

#endif

/* shared.h: one sink for several recorders: each gets a door to it, a sink of its own.
 *
 * Events of all doors come to it one at a time and whole; each session's come in their order,
 * because one recorder has them all. A recorder waits while another's event is taken: so this is
 * for sinks that wait for nobody (transcript.h on a bounded out.h), or whose wait all must share.
 */
#ifndef XMPPTAP_SHARED_H
#define XMPPTAP_SHARED_H

#include "sink.h"

/* `n` doors to `inner`, which is taken; closing the last closes it. A failure is told through the
 * door that met it, once and not by all. ERR_NOMEM: nothing is taken. */
int shared_new(struct sink *inner, unsigned n, struct sink **doors) MUST_CHECK;

#endif

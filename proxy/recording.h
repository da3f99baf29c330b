/* recording.h: what passes a session: to the recorder, and on to the other leg.
 *
 * What the gate says is done here: session_forward(), session_edit() and the marks (session.h) in
 * the order in which it says them. Loop thread. Each may end the session.
 */
#ifndef XMPPTAP_RECORDING_H
#define XMPPTAP_RECORDING_H

#include "session.h"

/* The user of a session's gate; its `arg` is the session. */
extern const struct gate_user recording_gate;

/* At the session's end: what the gate still held is recorded, and that it was not sent. */
void recording_rest(struct session *s);
/* The last record: who ended it, and why. */
void recording_end(struct session *s);

#endif

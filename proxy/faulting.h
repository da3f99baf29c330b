/* faulting.h: `--fault` in a session: its items are labelled before they are sent on, and what is asked
 * for of one is done.
 *
 * Loop thread. The gate then stays in the path; a session without --fault has none of this. Labels
 * come of the decoder's own tables (decoder/meaning.h), so they are those of the transcript.
 */
#ifndef XMPPTAP_FAULTING_H
#define XMPPTAP_FAULTING_H

#include "fault.h"
#include "gate.h"

struct session;
struct faulting;

/* Before the first byte: the gate is watched from here on, `s->faulting` is owned by the session, and
 * two handles more are. ERR_NOMEM: nothing has changed. */
int faulting_begin(struct session *s) MUST_CHECK;

/* Its handles go; each is session_release()d. Without faulting it does nothing. */
void faulting_close(struct session *s);
void faulting_free(struct session *s);

/* `n` bytes wait in `dir` when the session ends: they are recorded, and that they are not sent on, for
 * `words` and the delay that was asked for. The item that was delayed has an edit of its own. */
void faulting_rest(struct session *s, enum dir dir, const char *p, size_t n, const char *words);

/* A mark of the session. Only where it is faulting. */
void faulting_mark(struct session *s, const struct mark *m);

#endif

/* editing.h: which of a session's stream features cannot pass as they came: where it is we who end
 * TLS, and what options ask for.
 *
 * Loop thread.
 */
#ifndef XMPPTAP_EDITING_H
#define XMPPTAP_EDITING_H

#include "session.h"

/* For gate_user.features; `arg` is the session. */
bool editing_features(void *arg, struct reader_stream *st, const char *p, size_t n,
                      struct features_edit *fe);

#endif

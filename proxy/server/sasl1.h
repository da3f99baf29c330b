/* sasl1.h: a login in the elements of RFC 6120 §6.4: <auth/>, <response/>, <abort/>. One thread. */
#ifndef XMPPTAP_SASL1_H
#define XMPPTAP_SASL1_H

#include "../../decoder/reader.h"
#include "login.h"

/* Takes one of them and appends the answer to it to `out`. `*result` is what came of it. Errors:
 * ERR_NOMEM, ERR_CAP. */
int sasl1_take(struct login *l, const struct stream_state *st, const struct item *it,
               struct buf *out, enum login_result *result) MUST_CHECK;

/* The message in the text of element `node`: `=` stands for an empty one. As login_message(). */
enum login_result sasl1_message(struct login *l, const struct item *it, unsigned node,
                                struct buf *data);

/* Why it failed, for a person, where the profile says so: in <text/>. */
int sasl1_put_text(const struct login *l, struct buf *out) MUST_CHECK;

#endif

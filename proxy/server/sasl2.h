/* sasl2.h: a login in the elements of SASL2 (XEP-0388), which may ask to be bound at once (XEP-0386).
 * Embedded in its connection; one thread. */
#ifndef XMPPTAP_SASL2_H
#define XMPPTAP_SASL2_H

#include "../../decoder/reader.h"
#include "login.h"

struct sasl2 {
    bool binds;     /* the login under way wants a resource */
    char *resource; /* owned: which, prepared */
};

void sasl2_free(struct sasl2 *x);

/* As sasl1_take(), of <authenticate/>, <response/>, <abort/>. Behind LOGIN_DONE the client is bound if
 * it asked to be and can be; features follow in the same stream. */
int sasl2_take(struct sasl2 *x, struct login *l, const struct stream_state *st, const struct item *it,
               struct buf *out, enum login_result *result) MUST_CHECK;

#endif

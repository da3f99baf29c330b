/* sasl2.h: a login in the elements of SASL2 (XEP-0388), which may ask to be bound at once (XEP-0386).
 * Embedded in its connection; one thread. */
#ifndef XMPPTAP_SASL2_H
#define XMPPTAP_SASL2_H

#include "../../decoder/reader.h"
#include "login.h"

struct sasl2 {
    bool binds;         /* the login under way wants a resource */
    char *resource;     /* owned: which, prepared */
    bool carbons, inactive; /* what else it wants to be once it is bound (XEP-0280, XEP-0352) */
    bool resumes;       /* it wants to come back */
    struct buf sm;      /* its <resume/>, else the <enable/> in its <bind/> (XEP-0198 §6) */
    struct buf resumed; /* behind LOGIN_DONE: what is to be sent behind the features */
};

void sasl2_init(struct sasl2 *x);
void sasl2_free(struct sasl2 *x);

/* As sasl1_take(), of <authenticate/>, <response/>, <abort/>. `root` is the tag of the client's stream
 * header. Behind LOGIN_DONE the client is bound, or resumed, if it asked to be and can be, and `l->c`
 * may be another; features follow in the same stream, then x->resumed. */
int sasl2_take(struct sasl2 *x, struct login *l, const struct stream_state *st, const struct item *it,
               const struct buf *root, struct buf *out, enum login_result *result) MUST_CHECK;

#endif

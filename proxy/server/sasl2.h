/* sasl2.h: a login in the elements of SASL2 (XEP-0388), which may ask to be bound at once
 * (XEP-0386). Embedded in its connection; one thread. */
#ifndef XMPPTAP_SASL2_H
#define XMPPTAP_SASL2_H

#include "../../decoder/reader.h"
#include "login.h"

struct sasl2 {
    bool binds;         /* the login under way wants a resource */
    char *resource;     /* owned: which, prepared */
    bool carbons;       /* and copies (XEP-0280) */
    bool inactive;      /* nobody looks at it (XEP-0352) */
    struct buf resume;  /* what it would come back to, its element and a NUL (XEP-0198) */
    struct buf enable;  /* the same of the new session's stream management */
    struct buf resumed; /* behind LOGIN_DONE: what is to be sent behind the features */
};

void sasl2_init(struct sasl2 *x);
void sasl2_free(struct sasl2 *x);

/* As sasl1_take(), of <authenticate/>, <response/>, <abort/>. `root` is the tag of the client's
 * stream header. Behind LOGIN_DONE the client is bound, or resumed, if it asked to be and can be,
 * and `l->c` may be another; features follow in the same stream, then x->resumed. */
int sasl2_take(struct sasl2 *x, struct login *l, const struct stream_state *st,
               const struct item *it, const struct buf *root, struct buf *out,
               enum login_result *result) MUST_CHECK;

#endif

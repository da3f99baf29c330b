/* plain.h: the mechanisms of one message, as the embedded server takes them: PLAIN (RFC 4616) and
 * ANONYMOUS (RFC 4505).
 *
 * One thread, the world's.
 */
#ifndef XMPPTAP_PLAIN_H
#define XMPPTAP_PLAIN_H

#include "login.h"

/* Their message, n bytes with a NUL behind them; as login_message(). */
enum login_result plain_take(struct login *l, const char *p, size_t n, struct buf *out);
enum login_result plain_take_anonymous(struct login *l, const char *p, size_t n, struct buf *out);

/* Is it UTF-8 (RFC 3629)? */
bool plain_is_utf8(const char *p, size_t n);

#endif

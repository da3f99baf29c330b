/* names.h: whose session it is: an account, its resource, its domain; and the same said of another.
 *
 * A captured session's addresses become the live one's, and in comparisons both become the same
 * words. Only a value that is a whole JID (RFC 7622) is touched. Pure, any thread.
 */
#ifndef XMPPTAP_REPLAY_NAMES_H
#define XMPPTAP_REPLAY_NAMES_H

#include <stdbool.h>

#include "../../decoder/buf.h"

#define NAMES_JID_MAX 3071 /* RFC 7622 §3.1 */

struct names {
    char bare[NAMES_JID_MAX + 1]; /* "" while unknown, like the others */
    char full[NAMES_JID_MAX + 1];
    char domain[NAMES_JID_MAX + 1];
};

/* Takes a bare or full JID as the account's; what does not fit is not taken. A bare one leaves the
 * resource unknown. */
void names_set(struct names *n, const char *jid);

/* What both sides are called in a comparison: words that no JID is made of. */
extern const struct names names_even;

/* Is `value` a whole JID of `from`'s account (then also: its resource), of its domain or of a
 * domain below it? Then it is appended as `to`'s. `any_resource`: each resource of the account
 * becomes that of `to`, else only the session's own. False: nothing was appended. */
bool names_translate(const struct names *from, const struct names *to, bool any_resource,
                     const char *value, struct buf *out);

/* Is it the account, the session or their domain? */
bool names_own(const struct names *n, const char *jid);

#endif

/* jid.h: comparing addresses, as an answer is compared with what was asked (RFC 6122 §2).
 *
 * Local part and domain are the same in either case, a resource is taken as it is. Case is folded
 * for Latin, Greek, Cyrillic and Armenian letters; other differences that the profiles of RFC 7622
 * take away are not. Pure functions, any thread.
 */
#ifndef XMPPTAP_JID_H
#define XMPPTAP_JID_H

#include <stdbool.h>
#include <stdint.h>

bool jid_same(const char *a, const char *b);

/* Is `domain` that of `jid`? */
bool jid_in(const char *jid, const char *domain);

/* FNV-1a over the folded form, going on from `hash`: the same for what jid_same() calls so. */
uint64_t jid_hash(uint64_t hash, const char *jid);

#endif

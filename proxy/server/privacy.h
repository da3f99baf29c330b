/* privacy.h: an account's privacy lists (XEP-0016) and whom it blocks (XEP-0191): data, and what may
 * pass. How clients edit them is privacy_iq.c's and blocking.c's.
 *
 * Owned by its account; one thread. A zeroed one lets everything pass.
 */
#ifndef XMPPTAP_PRIVACY_H
#define XMPPTAP_PRIVACY_H

#include <stdint.h>

#include "../../decoder/reader.h"
#include "roster.h"

#define PRIVACY_LISTS   16
#define PRIVACY_RULES   64   /* of a list */
#define PRIVACY_BLOCKED 256
#define PRIVACY_NAME    255  /* bytes of a list's name, and of a group's */

/* What a rule is about, joined with |; the last two only where it is about everything (XEP-0016 §2.1,
 * §2.13). */
enum privacy_kind {
    PRIVACY_MESSAGE = 1,
    PRIVACY_IQ = 2,
    PRIVACY_PRESENCE_IN = 4,  /* available, unavailable */
    PRIVACY_PRESENCE_OUT = 8,
    PRIVACY_OUT = 16,         /* messages, iqs, subscriptions that go out */
    PRIVACY_ASKS = 32,        /* subscriptions that come in */
    PRIVACY_ALL = 63
};

enum privacy_by { PRIVACY_BY_NOTHING, PRIVACY_BY_JID, PRIVACY_BY_GROUP, PRIVACY_BY_SUBSCRIPTION };

struct privacy_rule {
    enum privacy_by by;
    char *value;           /* owned: a prepared JID, a group, a subscription; or NULL */
    bool deny;
    unsigned kinds;        /* enum privacy_kind */
    uint32_t order;
};

struct privacy_list {
    char *name;                /* owned */
    struct privacy_rule *rule; /* owned, by their order */
    unsigned rules;
};

struct privacy {
    struct privacy_list list[PRIVACY_LISTS];
    unsigned lists;
    char *preferred;       /* owned: the default list's name, or NULL */
    char **blocked;        /* owned: prepared JIDs */
    unsigned blocks;
};

void privacy_free(struct privacy *p);

/* The list of that name (NULL: none), borrowed until one is put or removed; or NULL. */
const struct privacy_list *privacy_find(const struct privacy *p, const char *name);

/* Reads the list that element `node` of `it` is, whose items are described with their children, into
 * the account's, in place of one of its name; without items it is removed. NULL, or the condition of
 * the error: nothing is changed then. */
const char *privacy_put(struct privacy *p, const struct item *it, unsigned node);

/* Copies the name; NULL: there is none any more. False: no memory. */
bool privacy_prefer(struct privacy *p, const char *name);

/* Appends <list name='..'>, its rules if `whole`, as XML. Errors: ERR_NOMEM, ERR_CAP. */
int privacy_write(struct buf *out, const struct privacy_list *l, bool whole) MUST_CHECK;

/* Blocks, or no longer, a prepared JID. False: no memory, or PRIVACY_BLOCKED; or it was so. */
bool privacy_block(struct privacy *p, const char *jid);
bool privacy_unblock(struct privacy *p, const char *jid);

/* Is whoever has this bare JID and resource ("": none) blocked? */
bool privacy_blocks(const struct privacy *p, const char *bare, const char *resource);

/* Does this list (NULL: none) let it pass? The first rule that fits says so; without one it does. */
bool privacy_allows(const struct privacy_list *l, const struct roster *r, enum privacy_kind kind,
                    const char *bare, const char *resource);

#endif

/* roster.h: an account's roster and its subscriptions (RFC 6121 §2, §3, Appendix A).
 *
 * Data alone: who is told of a change is presence.c's and roster_iq.c's. Owned by its account; one
 * thread. A zeroed one is empty.
 */
#ifndef XMPPTAP_ROSTER_H
#define XMPPTAP_ROSTER_H

#include <stdint.h>

#include "../../decoder/buf.h"
#include "prep.h"

#define ROSTER_ITEMS  1000
#define ROSTER_GROUPS 16
#define ROSTER_TEXT   1023 /* bytes of a name or a group (RFC 6121 §2.1.2) */

/* Of an item, joined with |. With none of SUB_TO, SUB_FROM the subscription is "none". */
enum subscription {
    SUB_TO = 1,          /* the account gets the contact's presence */
    SUB_FROM = 2,        /* the contact gets the account's */
    SUB_PENDING_OUT = 4, /* ask='subscribe' */
    SUB_PENDING_IN = 8,  /* the contact has asked, nobody has answered */
    SUB_APPROVED = 16    /* pre-approved (RFC 6121 §3.4) */
};

struct roster_item {
    char *jid;            /* owned: bare, prepared */
    char *name;           /* owned, or NULL */
    char *group[ROSTER_GROUPS]; /* owned, NULL-ended */
    unsigned subscription;
    uint64_t version;     /* of the roster when it changed last */
    bool listed;          /* shown to the client: not where the contact has only asked */
    char *asked;          /* owned: its request for the client, while SUB_PENDING_IN */
};

struct roster {
    struct roster_item **item; /* owned, in the order in which they came */
    unsigned items;
    uint64_t version;
};

void roster_free(struct roster *r);

/* NULL: there is none. Borrowed until it is removed. */
struct roster_item *roster_find(const struct roster *r, const char *jid);

/* Finds or makes it, not listed yet. NULL: no memory, or ROSTER_ITEMS. */
struct roster_item *roster_make(struct roster *r, const char *jid);

/* Takes what it is called and its groups, copied. False: no memory; nothing is changed then. */
bool roster_name(struct roster_item *i, const char *name, const char *const *groups, unsigned n);

/* It has changed: the roster's next version is its. */
void roster_touch(struct roster *r, struct roster_item *i);
void roster_remove(struct roster *r, struct roster_item *i);

/* Appends <item .../> as a roster result or push has it; `removed`: with subscription='remove'.
 * Errors: ERR_NOMEM, ERR_CAP. */
int roster_put(struct buf *out, const struct roster_item *i, bool removed) MUST_CHECK;

/* ---- the states: what a presence of these types does to an item ---- */

enum sub_type { SUB_SUBSCRIBE, SUB_SUBSCRIBED, SUB_UNSUBSCRIBE, SUB_UNSUBSCRIBED, SUB_TYPES };

/* SUB_TYPES: it is none of them. */
enum sub_type sub_by_name(const char *type);

struct sub_change {
    unsigned set, clear; /* enum subscription */
    bool passes;         /* it goes on: to the contact (out), or to the client (in) */
    bool push;           /* the client's roster shows it */
    bool answered;       /* in, subscribe: the server says subscribed by itself */
};

/* A.2: the account's client sends it. A.3: the contact sent it. */
struct sub_change sub_out(unsigned subscription, enum sub_type type);
struct sub_change sub_in(unsigned subscription, enum sub_type type);

#endif

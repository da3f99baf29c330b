/* filter.h: what may pass between two accounts, by the lists and blocks of both (privacy.h), and what
 * a change of them means for who sees whom. One thread.
 */
#ifndef XMPPTAP_FILTER_H
#define XMPPTAP_FILTER_H

#include "client.h"
#include "privacy.h"

/* Does the account take this from `from`? By the list that is active in `to`, the account's default
 * where that has none or nobody is there (`to` NULL). */
bool filter_takes(const struct user *u, const struct client *to, enum privacy_kind kind,
                  const struct client *from);

/* Does `from` let this go out to the account, its client `resource` ("": the account itself)? */
bool filter_gives(const struct client *from, enum privacy_kind kind, const char *bare,
                  const char *resource);

/* Around a change of the account's lists or blocks: who may no longer see its clients is told that
 * they are gone, who may again sees them (XEP-0016 §2.11, XEP-0191 §3). */
struct filter_view {
    unsigned char *sees; /* owned: by client and roster item */
    unsigned clients, items;
};

/* Without memory nobody is told. */
void filter_before(const struct user *u, struct filter_view *v);
void filter_after(struct user *u, struct world *w, struct filter_view *v);

#endif

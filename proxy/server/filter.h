/* filter.h: what may pass between two accounts, by the lists and blocks of both (privacy.h), and what
 * a change of them means for who sees whom. One thread.
 */
#ifndef XMPPTAP_FILTER_H
#define XMPPTAP_FILTER_H

#include "ask.h"
#include "privacy.h"

/* Does the account take this from `from`? By the list that is active in `to`, the account's default
 * where that has none or nobody is there (`to` NULL). */
bool filter_takes(const struct user *u, const struct client *to, enum privacy_kind kind,
                  const struct client *from);

/* Does the client take it from somebody who is no client: a contact of the profile's? */
bool filter_takes_contact(const struct client *to, enum privacy_kind kind, const char *bare,
                          const char *resource);

/* Does `from` let this go out to the account, its client `resource` ("": the account itself)? */
bool filter_gives(const struct client *from, enum privacy_kind kind, const char *bare,
                  const char *resource);

/* May `to` see the presence of `from`: do both let it? */
bool filter_shows(const struct client *from, const struct client *to);

/* What the client may not send to anybody by its own lists: it is told so (XEP-0016 §2.13, XEP-0191
 * §3.2), and the stanza goes nowhere. False: it goes on. Its own account and server are never kept
 * from it. */
bool filter_stops(struct ask *q);

/* Around a change of the account's lists or blocks: who may no longer see its clients is told that
 * they are gone, who may again sees them; its clients are told the same of its contacts. Who got
 * presence without a subscription hears the end of it alone (XEP-0016 §2.10, §2.11, XEP-0191 §3). */
struct filter_view {
    struct filter_sight *sight; /* owned: by client, its contacts, then who got its presence besides */
    unsigned clients, items;
};

/* Without memory nobody is told. */
void filter_before(const struct user *u, struct filter_view *v);
void filter_after(struct user *u, struct world *w, struct filter_view *v);

#endif

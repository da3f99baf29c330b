/* pep_event.h: who is told of what an account publishes (XEP-0163 §4.3): its own clients and those
 * of contacts that get its presence, where they are available, want to hear of the node (caps.h),
 * and may read it.
 *
 * Each function sends; who cannot be told for lack of memory is not. One thread.
 */
#ifndef XMPPTAP_PEP_EVENT_H
#define XMPPTAP_PEP_EVENT_H

#include "pep.h"

#define PEP_LAST_BYTES (256u << 10) /* of last items that a client gets at once; it may fetch more */

struct client;
struct user;
struct world;

enum pep_event {
    PEP_PUBLISHED, /* with the item */
    PEP_RETRACTED, /* with the item's id alone */
    PEP_PURGED,
    PEP_DELETED,
    PEP_CONFIGURED
};

/* `item`: NULL for those without. */
void pep_event_send(struct world *w, struct user *owner, const struct pep_node *n,
                    enum pep_event what, const struct pep_item *item);

/* The client wants to hear of that node from now on: last items of its account and its contacts.
 * `left`: bytes that it may still get, from PEP_LAST_BYTES on; counted down. */
void pep_event_last(struct client *c, const char *node, size_t *left);

/* Is there a node that it may be told of? */
bool pep_event_any(const struct client *c);

/* `contact` gets the account's presence from now on: its last items. */
void pep_event_subscribed(struct user *owner, struct user *contact);

/* May `reader` see the items of that node of `owner`'s? */
bool pep_event_may_read(const struct user *owner, const struct user *reader,
                        const struct pep_node *n);

#endif

/* pep.h: what an account publishes: nodes with their configuration and items (XEP-0163, XEP-0060).
 *
 * Data alone: requests are pep_iq.c's and pep_owner.c's, who is notified pep_event.c's. Owned by
 * its account; one thread. A zeroed one is empty.
 */
#ifndef XMPPTAP_PEP_H
#define XMPPTAP_PEP_H

#include "pep_config.h"

#define PEP_NODES 64
#define PEP_NAME  1023         /* bytes of a node's name, or an item's id */
#define PEP_BYTES (512u << 10) /* all items together, as they may be written */

struct pep_item {
    char *id;  /* owned */
    char *xml; /* owned: the payload, as the account wrote it */
    size_t len;
};

struct pep_node {
    struct pep_node *next;
    char *name; /* owned */
    struct pep_config config;
    struct pep_item *item; /* owned, the latest last */
    unsigned items;
};

struct pep {
    struct pep_node *node; /* owned, in the order in which they came */
    size_t bytes;
};

void pep_free(struct pep *p);

/* NULL: there is none. Borrowed until it is removed. */
struct pep_node *pep_find(const struct pep *p, const char *name);

/* Makes one that is not there. Errors: ERR_NOMEM; ERR_CAP: there are PEP_NODES, or PEP_NAME. */
int pep_make(struct pep *p, const char *name, const struct pep_config *c,
             struct pep_node **made) MUST_CHECK;
void pep_remove(struct pep *p, struct pep_node *n);

/* Puts an item with a copy of its payload, in place of the one of that id; the oldest over
 * max_items goes. Errors: ERR_NOMEM; ERR_CAP: PEP_BYTES or PEP_NAME; nothing is changed then. */
int pep_put(struct pep *p, struct pep_node *n, const char *id, const char *xml,
            size_t len) MUST_CHECK;

/* NULL: there is none. Borrowed until the node's next change. */
const struct pep_item *pep_item(const struct pep_node *n, const char *id);
const struct pep_item *pep_last(const struct pep_node *n);

/* False: there is none. */
bool pep_drop(struct pep *p, struct pep_node *n, const char *id);

/* Keeps the latest `keep` at most. */
void pep_trim(struct pep *p, struct pep_node *n, unsigned keep);

#endif

/* pubsub.h: one request of XEP-0060 to an account's PEP, between pep_iq.c, which finds what is
 * asked for, and pep_owner.c. For the length of one call.
 */
#ifndef XMPPTAP_PUBSUB_H
#define XMPPTAP_PUBSUB_H

#include "ask.h"
#include "ns.h"
#include "pep.h"

#define PUBSUB_ERROR(name) "<" name " xmlns=\"" NS_PUBSUB_ERRORS "\"/>"

struct pubsub {
    struct ask *q;
    unsigned action;       /* its element in the stanza */
    const char *name;      /* the node that it names, or NULL */
    struct pep *pep;       /* of the account that is asked */
    struct pep_node *node; /* of that name, or NULL */
};

/* Takes the data form in the child {ns}name of <pubsub/> into `c`, if there is one. False: it has a
 * value that cannot be, or, `strict`, a field that is unknown. */
bool pubsub_take_form(struct pubsub *p, const char *ns, const char *name, struct pep_config *c,
                      bool strict) MUST_CHECK;

/* ` node="..."` */
void pubsub_put_node(struct ask *q, const char *name);

/* pep_owner.c: §8 */
void pubsub_create(struct pubsub *p);
void pubsub_default(struct pubsub *p);
void pubsub_configuration(struct pubsub *p);
void pubsub_configure(struct pubsub *p);
void pubsub_delete(struct pubsub *p);
void pubsub_purge(struct pubsub *p);
void pubsub_affiliations(struct pubsub *p);
void pubsub_node_affiliations(struct pubsub *p);
void pubsub_subscriptions(struct pubsub *p);

#endif

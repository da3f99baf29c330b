/* answers.h: what the embedded server answers to a stanza, as a table (answers.c, docs/serve.md).
 *
 * The rows' functions live with what they are about; each writes its answer with ask.h.
 */
#ifndef XMPPTAP_ANSWERS_H
#define XMPPTAP_ANSWERS_H

#include "ask.h"

/* Answers, or routes, an iq, message or presence of jabber:client. */
void answers_stanza(struct ask *q);

/* ---- the rows' functions, by their files ---- */

/* session.c: RFC 6120 §7, XEP-0078 */
void answer_bind(struct ask *q);
void answer_bind_again(struct ask *q);
void answer_auth_get(struct ask *q);
void answer_auth(struct ask *q);

/* registration.c: XEP-0077 */
void answer_register_get(struct ask *q);
void answer_register_set(struct ask *q);

/* roster_iq.c: RFC 6121 §2 */
void answer_roster_get(struct ask *q);
void answer_roster_set(struct ask *q);

/* storage.c: XEP-0049, XEP-0054 */
void answer_private_get(struct ask *q);
void answer_private_set(struct ask *q);
void answer_vcard_get(struct ask *q);
void answer_vcard_set(struct ask *q);

/* about.c: XEP-0030, XEP-0092, XEP-0202, XEP-0012 */
void answer_info_domain(struct ask *q);
void answer_info_account(struct ask *q);
void answer_items(struct ask *q);
void answer_version(struct ask *q);
void answer_time(struct ask *q);
void answer_last(struct ask *q);

/* carbons.c: XEP-0280 */
void answer_carbons_enable(struct ask *q);
void answer_carbons_disable(struct ask *q);

/* pep_iq.c, pep_owner.c: XEP-0060, XEP-0163 */
void answer_pubsub(struct ask *q);
/* Its nodes, and a node's items (XEP-0030), behind about.c's answers. */
void answer_node_info(struct ask *q);
void answer_node_items(struct ask *q);

/* privacy_iq.c: XEP-0016 */
void answer_privacy_get(struct ask *q);
void answer_privacy_set(struct ask *q);

/* blocking.c: XEP-0191 */
void answer_blocklist(struct ask *q);
void answer_block(struct ask *q);
void answer_unblock(struct ask *q);

#endif

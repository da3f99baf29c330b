/* csi.h: a client that says nobody looks at it is spared what can wait (XEP-0352): presence, of
 * which the last of each sender's is kept, chat states and PEP events. It gets them before the next
 * stanza that cannot wait, before the answer to one of its own, or when it is active again.
 *
 * Embedded in its client; one thread. At most CSI_BYTES are held; over that they are sent.
 */
#ifndef XMPPTAP_CSI_H
#define XMPPTAP_CSI_H

#include <stdbool.h>

#include "../../decoder/buf.h"

#define CSI_BYTES (64u << 10)

struct client;
struct item;

struct csi {
    bool inactive;
    struct buf held; /* what it replaces, NUL, the stanza, NUL; and so on */
};

void csi_init(struct csi *s);
void csi_free(struct csi *s);

/* <active/> or <inactive/>. False: it is neither. */
bool csi_take(struct client *c, const struct item *it);

/* From here on it is active: what was held is sent. */
void csi_active(struct client *c);

/* What was held is sent. */
void csi_flush(struct client *c);

/* The stanza is for the client: is it held now? If not, what was held is sent before it. */
bool csi_holds(struct client *c, const char *p, size_t n);

#endif

/* bridge_client.h: the bridge's side towards the client: the server of its login.
 *
 * Sans-I/O; embedded in the bridge, which gives it the client's SASL items and sends what it writes.
 * With an account the client must know its password, by SCRAM or PLAIN; without one PLAIN tells
 * name and password, and whether they are right only the server knows.
 */
#ifndef XMPPTAP_BRIDGE_CLIENT_H
#define XMPPTAP_BRIDGE_CLIENT_H

#include "bridge.h"
#include "bridge_sasl.h"

enum client_step { CLIENT_IDLE, CLIENT_BEGUN, CLIENT_ASKED, CLIENT_IS_KNOWN };

struct bridge_client {
    const struct bridge_user *user;
    void *arg;
    const struct account *account; /* NULL: none */
    struct offer offer;            /* what the client was offered */
    enum client_step step;
    enum mechanism mechanism;
    struct scram scram;
    char name[SCRAM_NAME_MAX + 1]; /* who logs in, as sent; so is the rest */
    char authzid[SCRAM_NAME_MAX + 1];
    char password[SCRAM_NAME_MAX + 1];
    struct buf last;               /* what <success/> is to hold */
};

enum client_says {
    CLIENT_MORE,    /* `out` goes to the client, who then goes on */
    CLIENT_KNOWN,   /* name, authzid and password are known, the client knows them, too */
    CLIENT_REFUSED  /* `condition` tells why (RFC 6120 §6.5) */
};

void bridge_client_init(struct bridge_client *c, const struct bridge_user *user, void *arg,
                 const struct account *account);
void bridge_client_free(struct bridge_client *c); /* wipes it */
void bridge_client_reset(struct bridge_client *c); /* the exchange is over; the offer stays */

/* What of the server's offer the client gets. */
void bridge_client_offer(struct bridge_client *c, const struct offer *server);

/* An item of the client's. `*condition` is static. */
enum client_says bridge_client_item(struct bridge_client *c, const struct item *it, struct buf *out,
                             const char **condition, struct error *e);

/* Appends the <success/> that is due. */
int bridge_client_success(const struct bridge_client *c, struct buf *out) MUST_CHECK;

#endif

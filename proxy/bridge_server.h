/* bridge_server.h: the bridge's side towards the server: the client of its login.
 *
 * Sans-I/O; embedded in the bridge, which sends what it writes and gives it the server's SASL items.
 * The strongest mechanism that the server offers comes first. Where the server refuses a mechanism
 * or a channel binding, and not the password, the next one is tried, at most SERVER_ATTEMPTS in all;
 * a server that cannot show that it knows the password gets no other try.
 */
#ifndef XMPPTAP_BRIDGE_SERVER_H
#define XMPPTAP_BRIDGE_SERVER_H

#include "bridge.h"
#include "bridge_sasl.h"

#define SERVER_ATTEMPTS 5

enum server_step {
    SERVER_IDLE,
    SERVER_SAID,     /* <auth/> is out */
    SERVER_SALTING,
    SERVER_PROVEN,   /* our proof is out */
    SERVER_CHECKED,  /* the server's is good */
    SERVER_ABORTING  /* <abort/> is out: the server did something we cannot take */
};

struct bridge_server {
    const struct bridge_user *user;
    void *arg;
    struct offer offer;              /* the server's */
    struct {
        enum mechanism mechanism;
        enum cb_type type;           /* of a -PLUS */
    } attempt[MECHANISMS * CB_TYPES];
    unsigned attempts, at, tried;
    bool no_type[CB_TYPES], no_mechanism[MECHANISMS]; /* what the server refused */
    enum server_step step;
    struct scram scram;
    struct error why;                /* SERVER_ABORTING */
    char name[SCRAM_NAME_MAX + 1], authzid[SCRAM_NAME_MAX + 1], password[SCRAM_NAME_MAX + 1];
};

enum server_says {
    SERVER_SEND,    /* `out` goes to the server */
    SERVER_SALTS,   /* nothing; bridge_server_salted() follows */
    SERVER_ABORTS,  /* `out` goes to the server, which we refuse for what `why` says */
    SERVER_ABORTED, /* and that is over */
    SERVER_LETS_IN,
    SERVER_REFUSES, /* the item is the answer that the client gets */
    SERVER_BROKEN,  /* we refuse the server; it is done with this exchange */
    SERVER_FATAL    /* the same, but it takes us for logged in */
};

void bridge_server_init(struct bridge_server *s, const struct bridge_user *user, void *arg);
void bridge_server_free(struct bridge_server *s); /* wipes it */
void bridge_server_reset(struct bridge_server *s); /* the exchange is over; the offer stays */

/* Reads what can be tried from `s->offer`; false: nothing. */
bool bridge_server_plan(struct bridge_server *s);

/* Begins the login. Errors in `e` with SERVER_BROKEN and SERVER_FATAL. */
enum server_says bridge_server_begin(struct bridge_server *s, const char *name, const char *authzid,
                              const char *password, struct buf *out, struct error *e);
enum server_says bridge_server_item(struct bridge_server *s, const struct item *it, struct buf *out,
                             struct error *e);
enum server_says bridge_server_salted(struct bridge_server *s, const unsigned char *salted,
                               struct buf *out, struct error *e);

/* "SCRAM-SHA-256-PLUS (tls-exporter)": what is being tried. Returns `out`. */
const char *bridge_server_way(const struct bridge_server *s, char *out, size_t size);

#endif

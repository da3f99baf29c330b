/* bridge.h: `--channel-binding bridge`: the proxy authenticates the client as a server would, and
 * itself at the server as a client, with the strongest mechanism and the channel binding of that TLS.
 *
 * Sans-I/O, the loop's thread; one a session, the session's. The gate gives it the features and all
 * of SASL before the login; it says what goes on instead and whose turn it is. The client gets its
 * answer only when the server's is known, and a refusal of the server in the server's own bytes.
 *
 *   client                    bridge_client.h | bridge_server.h                   server
 *   <auth/>, <response/>  -->  who it is, is known   -->  <auth/>
 *                                                    <--  <challenge/>
 *                                                    -->  <response/>
 *   <success/>            <--                        <--  <success/>
 */
#ifndef XMPPTAP_BRIDGE_H
#define XMPPTAP_BRIDGE_H

#include "../logs/event.h"
#include "account.h"
#include "bridge_offer.h"
#include "features.h"

#define BRIDGE_NONCE_BYTES 33 /* 32 characters */

/* What the bridge tells and asks its session. Bytes are borrowed for the call. */
struct bridge_user {
    /* Received, record them; `sent` goes on instead, maybe nothing. `n` 0: inserted. */
    void (*edit)(void *arg, enum dir dir, const char *p, size_t n, const char *sent,
                 size_t sent_len, const char *reason);
    /* Received, record them; send them on. */
    void (*forward)(void *arg, enum dir dir, const char *p, size_t n);
    /* May a password be shown to this side: is there TLS, or no wire at all? */
    bool (*secure)(void *arg, enum side side);
    bool (*binding)(void *arg, enum side side, enum cb_type type, struct scram_binding *b);
    const char *(*domain)(void *arg); /* that the client asked for */
    bool (*nonce)(void *arg, char out[BRIDGE_NONCE_BYTES]);
    /* scram_salt() somewhere else; bridge_salted() is called with the result, never from within.
     * False: it cannot be begun. */
    bool (*salt)(void *arg, enum scram_hash hash, const char *password, const unsigned char *salt,
                 size_t salt_len, unsigned iterations);
    /* The login cannot go on; both sides were told what there is to tell. Ends the session. */
    void (*fail)(void *arg, const struct error *e);
};

enum bridge_turn {
    BRIDGE_CLIENT, /* the client may speak */
    BRIDGE_SERVER, /* the server, or the salting, is waited for */
    BRIDGE_DONE    /* logged in on both sides: new streams begin */
};

struct bridge;

/* `account` NULL: the client's own name and password, by PLAIN, are used. All is borrowed as long
 * as it lives. Returns owned, NULL without memory. */
struct bridge *bridge_new(const struct bridge_user *user, void *arg, struct reader *reader,
                          const struct account *account);
void bridge_free(struct bridge *b); /* wipes it; NULL is allowed */

/* New streams begin, before the login. */
void bridge_restart(struct bridge *b);

/* Features from the server before the login; where `wished` changed them, it is what the client would
 * get without a bridge. A login that the client began before it had them waits for them. */
enum bridge_turn bridge_features(struct bridge *b, struct reader_stream *st,
                                 const struct features_edit *wished, const char *p, size_t n);

/* A SASL or SASL2 item of either side. */
enum bridge_turn bridge_item(struct bridge *b, enum dir dir, struct reader_stream *st,
                             const char *p, size_t n);

/* NULL: it failed. Ignored where nothing was being salted. */
enum bridge_turn bridge_salted(struct bridge *b, const unsigned char *salted);

#endif

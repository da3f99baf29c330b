/* login.h: a client's SASL exchange with the embedded server, whatever elements it comes in
 * (RFC 6120 §6: sasl1.h; XEP-0388: sasl2.h): the mechanisms, their messages, what comes of them.
 *
 * Embedded in its connection; one thread, the world's. A mechanism's state is made when it begins
 * and wiped when it ends, so a connection that is idle holds none.
 */
#ifndef XMPPTAP_LOGIN_H
#define XMPPTAP_LOGIN_H

#include "../channel_binding.h"
#include "stream_features.h"

#define LOGIN_MESSAGE_MAX 3072 /* what 4 KiB of base64 hold, the most of a text that is kept */
#define LOGIN_FAILURES    5    /* more end the stream (RFC 6120 §6.4.5) */
#define LOGIN_TEXT_MAX    256

struct client;
struct login_scram;

enum login_result {
    LOGIN_MORE,   /* the client is to go on */
    LOGIN_DONE,   /* it has logged in */
    LOGIN_FAILED, /* `condition` and `text` say why */
};

struct login {
    struct client *c; /* borrowed: who logs in */
    /* What the client's TLS connection is bound by, as cb_get(). May be NULL: nothing. */
    bool (*binding)(void *arg, enum cb_type type, struct scram_binding *b);
    void *binding_arg;

    const struct mechanism *mechanism; /* under way, or NULL */
    const char *ns;                    /* and in whose elements, static */
    struct login_scram *scram;         /* owned, of SCRAM under way */
    char plus[SCRAM_BINDING_NAME_MAX]; /* a -PLUS one that was offered then; "": none */
    unsigned failures;
    char first[LOGIN_TEXT_MAX]; /* why the first failed */

    const char *condition;     /* of the last failure (RFC 6120 §6.5), static */
    char text[LOGIN_TEXT_MAX]; /* and in a sentence, not escaped */
};

/* The name of mechanism `i`, the strongest first; NULL behind the last. */
const char *login_mechanism(unsigned i);
bool login_knows(const char *mechanism);

void login_init(struct login *l, struct client *c);
/* Whatever is under way is over, and wiped. */
void login_reset(struct login *l);

/* The client chose `mechanism` (NULL: none). LOGIN_MORE: its first message may come. */
enum login_result login_begin(struct login *l, const struct stream_state *st,
                              const char *mechanism);
/* May the mechanism under way end without a message? */
bool login_needs_none(const struct login *l);

/* The mechanism's next message, n bytes of base64. Appends what the server says to it, as it is
 * before base64. LOGIN_DONE: the client is its account's now. */
enum login_result login_message(struct login *l, const char *base64, size_t n, struct buf *out);

/* Ends it with this condition and, in a sentence, why. */
enum login_result login_fail(struct login *l, const char *condition, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- for the mechanisms ---- */

/* The account that the client has proved to be, unless it asks to act for another. */
enum login_result login_enter(struct login *l, struct user *u, const char *authzid);

/* login_scram.c: RFC 5802 */
enum login_result login_take_scram(struct login *l, const char *p, size_t n, struct buf *out);
void login_scram_free(struct login_scram *s);

/* Of the mechanism under way. */
enum scram_hash login_hash(const struct login *l);
bool login_is_plus(const struct login *l);

#endif

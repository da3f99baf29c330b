/* entry.h: what a session does before its gate opens: which client it is, its server's leg, and TLS
 * that only one side has by STARTTLS.
 *
 * Loop thread; embedded in its session. Where both sides do STARTTLS in step, or neither has TLS,
 * it is over as soon as the server's leg stands, and the gate does the rest. The server's
 * handshake and its certificate always come first (XEP-0368, RFC 6120 §13.7.2). Each call may end
 * the session.
 */
#ifndef XMPPTAP_ENTRY_H
#define XMPPTAP_ENTRY_H

#include <stdbool.h>

#include "../logs/event.h"
#include "hello.h"
#include "opening.h"

struct session;

enum client_tls { CLIENT_TLS_AUTO, CLIENT_TLS_OFF, CLIENT_TLS_REQUIRED };
enum server_tls { SERVER_TLS_AUTO, SERVER_TLS_STARTTLS, SERVER_TLS_DIRECT, SERVER_TLS_OFF };

enum entry_step {
    ENTRY_FIRST,          /* the client's first bytes: direct TLS, or a stream */
    ENTRY_DIALLING,
    ENTRY_SERVER_DIRECT,  /* the server's handshake, from the first byte */
    ENTRY_SERVER_OPENING, /* our own STARTTLS with the server */
    ENTRY_SERVER_TLS,     /* its handshake */
    ENTRY_CLIENT_OPENING, /* our own STARTTLS with the client */
    ENTRY_CLIENT_TLS,     /* the client's handshake */
    ENTRY_OVER            /* the gate's turn */
};

struct entry {
    enum entry_step step;
    bool direct;            /* the client's TLS begins with its first byte */
    enum hello_state hello; /* what its first bytes are, then */
    bool server;            /* it is a server: to be said */
    bool seen;              /* its first words were looked at, or it was said what it is */
    bool server_secured;
    struct buf held;        /* the client's TLS, until it is its turn */
    struct opening opening; /* in its steps */
    struct {
        bool due;           /* no server: the client hears it as soon as it has TLS */
        const char *condition;
        struct error error;
    } refusal;
};

void entry_init(struct entry *en);
void entry_free(struct entry *en);

/* The client's bytes while its first ones are not understood. True: a stream begins, they are the
 * gate's. Records nothing yet. */
bool entry_first(struct session *s, const char *p, size_t n);
/* It is understood which client it is, and the server may be dialled. Until then it has the time of
 * a handshake. */
bool entry_known(struct session *s);
/* The client's TLS ends before it has begun: `why`, as for secure_record(); the session ends. */
void entry_no_hello(struct session *s, enum error_code code, const char *kind, const char *why);
/* One of the legs gets TLS, or a header of ours, before the client's header goes to the server: both
 * name the domain that the client asks for. */
bool entry_needs_domain(const struct session *s);

/* Bytes of either side before the gate's turn. False: they are the gate's all the same. */
bool entry_data(struct session *s, enum dir dir, const char *p, size_t n);

void entry_up(struct session *s);      /* the server's leg is connected */
void entry_secured(struct session *s, enum side side); /* a handshake of ours is over, and valid */

/* The server's TLS or the way to it failed: on with the next target, `again` with the same, else the
 * client is told. */
void entry_server_failed(struct session *s, const struct error *e, bool again);
/* What an opening has received and not decided is recorded, and that it was not sent on. */
void entry_rest(struct session *s);
/* No server: the client gets a stream with this condition, and the end (RFC 6120 §4.9.3). */
void entry_refuse(struct session *s, const char *condition, const struct error *e);

/* Does what this side sends wait, so much that it must pause? */
bool entry_blocked(const struct session *s, enum side side);
/* TLS is being negotiated: who closes now ends the session. */
bool entry_in_tls(const struct session *s);
/* "server-starttls", ...: for messages; NULL: the gate's phase counts. */
const char *entry_phase_name(const struct session *s);

#endif

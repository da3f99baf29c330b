/* event.h: the one record that everything downstream of the decoder reads.
 *
 * A live session and an archive read back give the same events, so every view works on both.
 * An event and all it points to are borrowed for the length of the call that passes it; whoever
 * wants to keep something copies it. Built and read in the recorder thread, or in the single
 * thread of a command that reads an archive. Strings are UTF-8 and end in NUL; `data` does not.
 * The archive's form of each field is written down in docs/archive.md.
 */
#ifndef XMPPTAP_EVENT_H
#define XMPPTAP_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../decoder/errors.h"

enum dir { DIR_C2S, DIR_S2C };

/* The two peers, and ourselves where we are the one who acts. */
enum side { SIDE_CLIENT, SIDE_SERVER, SIDE_PROXY };

enum event_kind {
    EVENT_SESSION,   /* first of its session */
    EVENT_TLS,       /* a handshake ended, well or not */
    EVENT_STREAM,    /* a stream header, or </stream:stream> */
    EVENT_STANZA,    /* any other whole item of a stream: stanzas, features, SASL, ... */
    EVENT_SPACE,     /* white space between items */
    EVENT_EDIT,      /* what was sent is not what was received */
    EVENT_VIOLATION, /* bytes that are not XMPP, as they came */
    EVENT_GAP,       /* bytes that were forwarded but not recorded */
    EVENT_END,       /* last of its session */
    EVENT_KINDS
};

#define EVENT_FACTS_MAX   32
#define EVENT_REMARKS_MAX 8
#define EVENT_OPEN_MAX    16
#define EVENT_SLOW_MAX    3

/* What was understood of an item, or what is odd about it: ("mechanism", "SCRAM-SHA-1"). No value
 * is a secret, and none is empty. Names: docs/archive.md. */
struct event_fact {
    const char *name, *value;
};

/* A request that was asked: not answered by the end, or answered slowly. */
struct event_request {
    uint64_t n;           /* its number */
    int64_t us;           /* since it was asked: up to the end, or to the answer */
    const char *label;    /* its label's id, or NULL */
};

struct event_session {
    const char *client;   /* address:port of the client */
    const char *listen;   /* address:port it connected to */
    const char *upstream; /* the upstream as the user gave it; none: the domain asked for, or "" */
    const char *secrets;  /* "redact" or "keep" */
    const char *program;  /* "xmpptap 0.1.0" */
};

struct event_tls {
    enum side side;      /* the peer of this leg: SIDE_CLIENT or SIDE_SERVER */
    bool ok;
    const char *version; /* "TLSv1.3"; "" if it never got so far; so are the next two */
    const char *cipher;
    const char *group;
    const char *sni;     /* name sent (server's leg) or received (client's leg), or "" */
    const char *cert;    /* subject of the certificate the server showed, or of our leaf; or "" */
    const char *cert_key;    /* its key's type and bits, "RSA 2048"; so far as known; or "" */
    const char *cert_sha256; /* its fingerprint, hex; or "" */
    const char *signature;   /* what the handshake was signed with, "ECDSA-SHA256"; or "" */
    const char *alpn;        /* protocol agreed on (RFC 7301), or "" */
    const char *client_cert; /* subject of the certificate that the client showed (client's leg) or
                              * that we showed the server; or "" */
    const char *client_jid;  /* its xmppAddr (XEP-0178), or "" */
    bool client_asked;       /* a client's certificate was asked for on this leg */
    bool resumed;            /* an earlier session of TLS goes on */
    const char *verify;  /* server's leg: "ok", or why not, in words; client's leg: "" */
    const char *error;   /* why the handshake failed, in words; "" if ok */
    const char *kind;    /* the failure's stable name: an alert's ("unknown_ca"), "self-signed",
                          * "expired", "wrong-name" ...: certs/verify.h; "" if ok or unknown */
};

#define EVENT_EDIT_FAULT "fault: " /* begins the reason of what --fault asked for (proxy/fault.h) */

struct event_edit {
    uint64_t of;         /* the `n` of the item it replaces; 0: it replaces none (inserted) */
    const char *sent;    /* bytes sent instead; an empty run: the item was dropped */
    size_t sent_len;
    const char *reason;
};

struct event_violation {
    enum error_code code;
    uint64_t offset;     /* bytes of this direction, since the stream's or TLS's begin, before it */
    bool more;           /* goes on from the violation before it: `data` continues its bytes */
    const char *detail;
};

struct event_gap {
    uint64_t bytes;
};

struct event_count {
    uint64_t bytes;          /* received and recorded */
    uint64_t compressed;     /* of the wire: what of it came compressed (XEP-0138); 0: nothing */
    char sha256[65];         /* of them, hex */
    uint64_t sent_bytes;     /* sent on; meaningful if `edited` */
    char sent_sha256[65];
    bool edited;             /* what was sent differs from what was received */
};

struct event_end {
    enum side by;            /* who ended it */
    enum error_code code;    /* ERR_CLOSED: an ordinary close */
    const char *phase;       /* "tls-handshake", "sasl", ... : where the session stood */
    const char *detail;      /* what exactly, and what to do next; may be empty */
    const char *account;     /* bare JID if known, else the domain, else "" */
    const char *server;      /* "ADDR:PORT" that was dialled, "" if nobody was reached */
    const char *server_name; /* the host that this is an address of, "" where none was looked up */
    int64_t duration_us;
    const char *verdict;     /* its id in decoder/verdicts.def; "" if none was given */
    const char *sentence;    /* the verdict in words: cause and cure */
    const char *mechanism;   /* SASL mechanism last tried, "" if none */
    const char *resumes;     /* id of the session that this one resumed (XEP-0198), "" */
    uint64_t stanzas[2];     /* by enum dir: message, presence, iq */
    uint64_t unanswered;     /* requests without an answer; the oldest of them: */
    struct event_request open[EVENT_OPEN_MAX];
    unsigned opens;
    struct event_request slow[EVENT_SLOW_MAX]; /* slowest answers, slowest first */
    unsigned slows;
    struct event_count count[2]; /* by enum dir */
};

struct event {
    enum event_kind kind;
    int64_t time_us;         /* Unix time, microseconds: of the item's last byte */
    const char *session;     /* the session's id */
    uint64_t n;              /* 1, 2, 3 ... within the session, no holes */

    /* Wire items (stream, stanza, space, violation), and edit and gap for `dir`. */
    enum dir dir;
    const char *label;       /* the label's id, "roster.request"; NULL on what has none */
    const char *data;        /* exactly what was received (after redaction) */
    size_t len;
    uint64_t withheld;       /* bytes received here but kept as a length only (redact) */
    bool closing;            /* EVENT_STREAM: it is </stream:stream> */
    bool edited;             /* an edit of it follows (live only, not archived) */
    uint64_t re;             /* the `n` of the request this answers; 0: no answer */
    int64_t wait_us;         /* since that request; meaningful if re is not 0 */
    const struct event_fact *fact;   /* what was understood of it, in order */
    unsigned facts;
    const struct event_fact *remark; /* what is odd about it (decoder/remarks.def): name, words */
    unsigned remarks;
    const char *type;        /* items labelled "*.other": type attribute, or NULL */
    const char *ns;          /* items labelled "*.other": payload's namespace, or NULL */

    union {
        struct event_session session_facts;
        struct event_tls tls;
        struct event_edit edit;
        struct event_violation violation;
        struct event_gap gap;
        struct event_end end;
    } u;
};

/* Unix time now, in microseconds. Any thread. */
int64_t event_now_us(void);

/* The value of the fact with this name, NULL if there is none. Borrowed like the event. */
const char *event_fact(const struct event *ev, const char *name);

/* Is what was sent the item itself, later (`--fault ...=delay`), and for no second reason edited? */
bool event_delayed(const struct event_edit *edit);

/* "c2s", "s2c". "client", "server", "proxy". "session", "tls", ... Borrowed for ever. */
const char *dir_name(enum dir dir);
const char *side_name(enum side side);
const char *event_name(enum event_kind kind);

#endif

/* ask.h: one stanza of a client's being answered, and the words that answers are made of.
 *
 * For the length of one call; borrowed by whoever answers. The first error sticks (`err`: ERR_NOMEM,
 * ERR_IO, ERR_CAP) and silences what is written behind it.
 *
 * Templates are our own XML with `$` and a letter for what changes, escaped: $D the domain, $L the
 * localpart, $B the bare JID, $R the resource, $F the full JID, $I the stanza's id, $T its `to`.
 */
#ifndef XMPPTAP_ASK_H
#define XMPPTAP_ASK_H

#include <stdbool.h>
#include <stddef.h>

#include "../../decoder/buf.h"
#include "../../decoder/reader.h"
#include "client.h"

/* Whom it is for. */
enum ask_target {
    ASK_NOBODY = 1,   /* no `to`: the account itself */
    ASK_SELF = 2,     /* its bare JID */
    ASK_DOMAIN = 4,   /* the server */
    ASK_ACCOUNT = 8,  /* the bare JID of another account here */
    ASK_RESOURCE = 16, /* a full JID of an account here, its own, too */
    ASK_STRANGER = 32, /* of our domain, but there is no such account */
    ASK_FOREIGN = 64, /* of another domain, or no JID */
    ASK_HOME = ASK_NOBODY | ASK_SELF,
    ASK_ANY = 127
};

/* What it means for the order of what is sent (server.c). */
enum ask_effect {
    ASK_HOLDS = 1,   /* what comes behind this answer may be held back */
    ASK_RELEASES = 2 /* what is held must go out before this answer */
};

struct ask {
    struct client *c;
    const struct item *it;
    const struct buf *root;  /* the root tag of the client's stream */
    struct buf *text;        /* the answer, appended; it may be empty */
    const char *id, *to, *type; /* "", NULL, NULL if it has none */
    unsigned target;         /* enum ask_target */
    struct jid peer;         /* `to`, prepared, behind ASK_SELF to ASK_STRANGER */
    char bare[JID_MAX + 1];  /* its bare JID */
    struct user *user;       /* the peer's account; the client's own if there is no `to`; or NULL */
    const char *template;    /* the row's */
    unsigned effects;
    const char *stream_error; /* the stream ends with this condition, or NULL */
    int err;
};

/* Fills `q` for stanza `it`. */
void ask_init(struct ask *q, struct client *c, const struct item *it, const struct buf *root,
              struct buf *text);

void ask_put(struct ask *q, const char *template);
void ask_put_text(struct ask *q, const char *text); /* escaped */
void ask_put_raw(struct ask *q, const char *xml, size_t n);
/* The client's own element, as it wrote it. */
void ask_put_element(struct ask *q, unsigned node);
/* The client's stanza, sent on with the addresses of `template` in place of its own. */
void ask_put_readdressed(struct ask *q, const char *template);

/* An iq's answer: its beginning up to the `>`, attributes in the order of the documented trace. The
 * caller adds `>`, the payload, `</iq>`. */
void ask_head(struct ask *q, const char *type);
/* A result with this payload; NULL: an empty one. */
void ask_result(struct ask *q, const char *template);
/* RFC 6120 §8.3: an error of the stanza's kind, with its payload; the type is the condition's
 * (stanza_errors.def). None is sent for an error, nor for a result. */
void ask_error(struct ask *q, const char *condition);
/* The same with an application's own element in it, a template. */
void ask_error_with(struct ask *q, const char *condition, const char *own);

/* What the client's iq set or get asks with: its first child, NULL attributes as item_attr(). */
const char *ask_attr(const struct ask *q, const char *name);

/* A stanza for somebody else: begun with begin, written by the functions above, sent by send as often
 * as there are receivers, then ended. Not nested. */
struct buf *ask_begin(struct ask *q);
/* The same of a push to `to`, an iq with an id of its own: its beginning up to the `>`. */
struct buf *ask_begin_push(struct ask *q, const struct client *to);
void ask_send(struct ask *q, struct client *to);
void ask_end(struct ask *q, struct buf *before);

#endif

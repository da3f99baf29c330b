/* scripted.h: one connection to which a captured server is played (script.h).
 *
 * Sans-I/O, its server's. The client's items go in; what is due comes out of scripted_play(), in
 * the captured order where several things are due. An answer waits until the client has said what
 * its like had said before that answer came, for a second at most, so that what went out together
 * is recorded together again. Nine bytes an item of the capture, and what waits. Errors: ERR_NOMEM,
 * ERR_CAP.
 */
#ifndef XMPPTAP_SERVER_SCRIPTED_H
#define XMPPTAP_SERVER_SCRIPTED_H

#include "ask.h"
#include "script.h"

#define SCRIPTED_WAIT  256 /* answers that wait; a further one goes out at once */
#define SCRIPTED_NOTES 100 /* requests without an answer that are named */

struct scripted;

struct scripted_options {
    const struct script *script; /* borrowed for its life */
    const struct client *client; /* so is this */
    /* The capture has no answer to `asked`, and the client got `given`. May be NULL. */
    void (*unanswered)(void *arg, const char *asked, const char *given);
    void *arg;
};

/* Returns owned, NULL without memory. */
struct scripted *scripted_new(const struct scripted_options *o);
void scripted_free(struct scripted *x);

/* It is whom its client is: behind the login, and behind bind. */
void scripted_known(struct scripted *x);

/* A stanza of the client's. As long as it is not bound our own answers are given (answers.h); of
 * the request that binds it, the captured one if there is one. What the capture has no answer for
 * is answered in q->text. */
void scripted_ask(struct scripted *x, struct ask *q, int64_t now_us);

/* Is it an element behind the login that is ours: no stanza, nothing of TLS or SASL? Then, what is
 * answered at once is appended to `text`; `*known` is false where nobody knows it. */
bool scripted_takes(const struct item *it);
int scripted_element(struct scripted *x, const struct item *it, const struct buf *root,
                     int64_t now_us, struct buf *text, bool *known) MUST_CHECK;

/* The client says no more: no answer waits any longer. */
void scripted_close(struct scripted *x);

/* Appends what is due, until `out` holds `room` bytes or more. */
int scripted_play(struct scripted *x, int64_t now_us, size_t room, struct buf *out) MUST_CHECK;
bool scripted_over(const struct scripted *x); /* the captured server has ended its stream */

/* When scripted_play() has more at the latest, or -1. */
int64_t scripted_due_us(const struct scripted *x);

/* The captured server's stream header, as far as its client is known. */
int scripted_header(const struct scripted *x, const char *id, struct buf *out) MUST_CHECK;

#endif

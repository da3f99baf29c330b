/* meaning.h: what an item means in its session: label, request, facts, remarks, secrets.
 *
 * Embedded in the decoder, which frames the items and gives them here in the order of the wire.
 * The recorder's thread. It remembers what a later item is understood by: open requests, the SASL
 * exchange, stream management's counters, the secrets that were seen.
 */
#ifndef XMPPTAP_MEANING_H
#define XMPPTAP_MEANING_H

#include "fact_list.h"
#include "labels.h"
#include "pair.h"
#include "reader.h"
#include "redact.h"
#include "sasl.h"
#include "sm.h"
#include "withhold.h"

#define MEANING_DOMAIN_MAX  1024
#define MEANING_ACCOUNT_MAX 2048

struct meaning {
    bool redact;
    enum label_phase phase;
    bool opened[2];           /* by enum dir: a header was seen on this connection */
    struct pair pair;
    struct sm sm;
    struct sasl sasl;         /* the client's login */
    struct sasl bridged;      /* the proxy's own at the server, where it logs in for the client */
    struct secrets secrets;
    struct withhold withhold[2]; /* by enum dir */
    struct buf redacted;
    uint64_t stanzas[2];
    char *domain, *account; /* owned; NULL while unknown. A bare JID: the second */
    char mechanism[2 * SASL_MECHANISM_MAX + 16]; /* at the end: of both logins */
};

/* One item's: on the stack of whoever decodes it; the event borrows from it. */
struct meaning_notes {
    struct fact_list facts, remarks;
};

/* `item_bytes`: the cap of an item. `resumptions` (may be NULL): shared, borrowed. */
void meaning_init(struct meaning *m, bool redact, size_t item_bytes, const char *session,
                  struct sm_table *resumptions);
void meaning_free(struct meaning *m);

/* A header, </stream:stream>, an item: fills the event's label, re, facts, remarks, type and ns,
 * and masks its data. `ev` has kind, dir, data and len; `n` will be its number. */
void meaning_header(struct meaning *m, const struct item *it, uint64_t n, int64_t now_us,
                    struct event *ev, struct meaning_notes *notes);
void meaning_close(struct meaning *m, struct event *ev);
void meaning_item(struct meaning *m, const struct item *it, uint64_t n, int64_t now_us,
                  struct event *ev, struct meaning_notes *notes);
/* What an edit sent instead: `it`, or (NULL) bytes that are no item. Fills its facts and masks them.
 * The edit's number will be `n`. */
void meaning_sent(struct meaning *m, const struct item *it, uint64_t n, int64_t now_us,
                  struct event *ev, struct meaning_notes *notes);
/* Masks known secrets in bytes that are no item (until meaning_done() or the next item they are
 * borrowed from here); false: it failed, and they may not be shown. */
bool meaning_mask(struct meaning *m, const char **p, size_t *n);
/* Bytes of a violation; `more`: they go on from the last ones of `dir`. The same, and false where a
 * password may stand in them. */
bool meaning_unreadable(struct meaning *m, enum dir dir, bool more, const char **p, size_t *n);
/* Behind the event's way to the sinks: memory beyond what most items need is given back. */
void meaning_done(struct meaning *m);

/* A new stream, in both directions. */
void meaning_restart(struct meaning *m, enum label_phase phase);

/* Bytes of `dir` were not read: there may have been items of which nothing is known. */
void meaning_missed(struct meaning *m, enum dir dir);

/* The session is over: account, mechanism, requests and counts. Strings are borrowed. */
void meaning_end(struct meaning *m, int64_t now_us, struct event_end *end);

#endif

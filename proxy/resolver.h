/* resolver.h: names looked up in the DNS and the hosts file, by c-ares on the loop.
 *
 * Loop thread only, one a loop. It never blocks: a question is answered in a later turn of the
 * loop, once, unless it was dropped; who asks and goes away drops it. Names are A-labels.
 */
#ifndef XMPPTAP_RESOLVER_H
#define XMPPTAP_RESOLVER_H

#include <netinet/in.h>

#include <uv.h>

#include "../decoder/errors.h"
#include "srv.h"

#define RESOLVER_RECORDS 32 /* most records looked at of one answer */

struct resolver;
struct question;

enum answer_kind {
    ANSWER_FOUND,
    ANSWER_NO_DATA,   /* the name is there, or may be, but has no such records */
    ANSWER_NO_NAME,   /* there is no such name */
    ANSWER_FAILED     /* nobody knows: `why` */
};

struct answer {
    enum answer_kind kind;
    const char *why;  /* why it was not found, in words; static */
    size_t n;
    union {
        struct srv srv[RESOLVER_RECORDS];               /* of resolver_srv(), as they came */
        struct sockaddr_storage addr[RESOLVER_RECORDS]; /* of resolver_addresses(), best first */
    };
};

typedef void question_answered(void *arg, const struct answer *a); /* borrowed for the call */

/* `server` NULL: as the system is configured, also when that changes later. Errors: ERR_NOMEM,
 * ERR_IO. Returns owned. */
struct resolver *resolver_new(uv_loop_t *loop, const struct sockaddr_storage *server,
                              struct error *e);

/* What is still asked is dropped. Its handles close while the loop runs on. NULL is allowed. */
void resolver_free(struct resolver *r);

/* `direct_tls` says what the records are marked as. NULL without memory. */
struct question *resolver_srv(struct resolver *r, const char *name, bool direct_tls,
                              question_answered *answered, void *arg);

/* `family`: AF_INET or AF_INET6. `port` is put into the addresses. NULL without memory. */
struct question *resolver_addresses(struct resolver *r, const char *name, int family, uint16_t port,
                                    question_answered *answered, void *arg);

/* Nobody is called for it any more. NULL is allowed; not after it was answered. */
void question_drop(struct question *q);

#endif

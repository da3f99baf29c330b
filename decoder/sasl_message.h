/* sasl_message.h: one decoded SASL message, and the readers that tell what it says.
 *
 * Inside of sasl.h; nobody else needs it. A reader adds facts, learns secrets, and returns true
 * where it understood the message whole and found no secret in it: then it may stand as it was
 * sent. Pure functions but for what they are given.
 */
#ifndef XMPPTAP_SASL_MESSAGE_H
#define XMPPTAP_SASL_MESSAGE_H

#include "sasl.h"

struct sasl_message {
    const char *p; /* decoded, and a NUL behind it */
    size_t n;      /* never 0 */
    enum dir dir;
    struct sasl *s;
    struct fact_list *facts;
    struct secrets *secrets; /* may be NULL */
};

typedef bool sasl_reader(const struct sasl_message *m);

sasl_reader sasl_plain;     /* PLAIN (RFC 4616), X-OAUTH2 */
sasl_reader sasl_login;     /* LOGIN */
sasl_reader sasl_anonymous; /* ANONYMOUS (RFC 4505) */
sasl_reader sasl_external;  /* EXTERNAL (RFC 4422 appendix A) */
sasl_reader sasl_cram;      /* CRAM-MD5 (RFC 2195) */
sasl_reader sasl_digest;    /* DIGEST-MD5 (RFC 2831) */
sasl_reader sasl_scram;     /* SCRAM-* (RFC 5802, RFC 7677, XEP-0474) */
sasl_reader sasl_oauth;     /* OAUTHBEARER (RFC 7628) */
sasl_reader sasl_token;     /* HT-* (XEP-0484) */
sasl_reader sasl_opaque;    /* those that nobody reads here */

/* What SASL2 puts around its messages: client, inline requests, tasks (XEP-0388, XEP-0386,
 * XEP-0480, XEP-0484). */
void sasl2_describe(const struct item *it, struct fact_list *facts, struct secrets *secrets);

/* Adds the fact and returns false, so that `return sasl_malformed(...)` reads well. */
bool sasl_malformed(const struct sasl_message *m, const char *words);

/* Who logs in. */
void sasl_set_user(const struct sasl_message *m, const char *p, size_t n);

/* The header that SCRAM and OAUTHBEARER share (RFC 5801 §4). */
struct sasl_gs2 {
    char flag; /* n, y or p */
    const char *type, *authzid; /* in the message; "" with length 0 if there is none */
    size_t type_len, authzid_len;
};

/* Reads it at the beginning of [p, end); returns its end, NULL if there is none. */
const char *sasl_gs2(const char *p, const char *end, struct sasl_gs2 *g);
/* Its facts: gs2, cb-type. */
void sasl_gs2_facts(const struct sasl_gs2 *g, struct fact_list *facts);

/* A saslname (RFC 5802 §5.1) as it is meant, NUL-ended; false if it is none or too long. */
bool sasl_name(const char *p, size_t n, char *out, size_t size);

/* Do these bytes look like words: no control character? */
bool sasl_printable(const char *p, size_t n);

#endif

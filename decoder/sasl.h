/* sasl.h: what a SASL message says. Pure functions, any thread.
 */
#ifndef XMPPTAP_SASL_H
#define XMPPTAP_SASL_H

#include <stddef.h>

#include "fact_list.h"
#include "reader.h"
#include "redact.h"

#define SASL_MECHANISM_MAX 64
#define SASL_USER_MAX      256

/* What a session's SASL exchange has shown so far; embedded. */
struct sasl {
    char mechanism[SASL_MECHANISM_MAX]; /* last tried, "" */
    char user[SASL_USER_MAX];           /* who logs in, "" while unknown */
};

void sasl_init(struct sasl *s);

/* Every item, in the order of the wire: of SASL's, SASL2's, legacy auth's the facts are added
 * (docs/archive.md names them), and the secrets in them are given to `secrets`. */
void sasl_item(struct sasl *s, const struct item *it, enum dir dir, struct fact_list *facts,
               struct secrets *secrets);

/* Decodes base64 (RFC 4648 §4) into `out`; returns the bytes written, or -1 if it is none or does
 * not fit `size`. */
long sasl_base64(const char *text, size_t n, char *out, size_t size);

/* The user name in a client's first message of `mechanism` (PLAIN: RFC 4616, SCRAM-*: RFC 5802
 * §5), NUL-ended in `out`. Returns 0, or -1 if the message names none. */
int sasl_username(const char *mechanism, const char *text, size_t n, char *out, size_t size);

#endif

/* sasl.h: what a session's SASL exchange says (RFC 6120 §6, XEP-0388, XEP-0078), as facts.
 *
 * docs/archive.md names the facts; none is a secret. Each message has its mechanism's reader
 * (sasl_message.h), which also finds whether it holds a secret: one that was understood and holds
 * none may stand as it was sent, any other is masked. The recorder's thread.
 */
#ifndef XMPPTAP_SASL_H
#define XMPPTAP_SASL_H

#include <stddef.h>

#include "fact_list.h"
#include "reader.h"
#include "redact.h"

#define SASL_MECHANISM_MAX 64
#define SASL_USER_MAX      256
#define SASL_NONCE_MAX     128

/* What a session's SASL exchange has shown so far; embedded. */
struct sasl {
    char mechanism[SASL_MECHANISM_MAX]; /* last tried, "" */
    char user[SASL_USER_MAX];           /* who logs in, "" while unknown */

    /* The exchange under way. */
    unsigned said;              /* messages with content that the client has sent */
    bool asked_password;        /* LOGIN: the server's last prompt */
    char gs2;                   /* SCRAM: the client's channel binding flag, or 0 */
    char nonce[SASL_NONCE_MAX]; /* SCRAM: the client's */
    unsigned short nonce_len;   /* 0: none that would fit */
};

void sasl_init(struct sasl *s);

/* Every item, in the order of the wire: of SASL's, SASL2's, legacy auth's the facts are added, and
 * the secrets in them are given to `secrets` (NULL: nobody masks), as is whether the item's SASL
 * message may be shown. */
void sasl_item(struct sasl *s, const struct item *it, enum dir dir, struct fact_list *facts,
               struct secrets *secrets);

/* Decodes base64 (RFC 4648 §4) into `out`; returns the bytes written, or -1 if it is none or does
 * not fit `size`. */
long sasl_base64(const char *text, size_t n, char *out, size_t size);

#endif

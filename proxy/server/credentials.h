/* credentials.h: what the embedded server keeps of an account's password: SCRAM keys (RFC 5802 §3),
 * and a salted digest that PLAIN is checked by without the cost of salting. Never the password.
 *
 * Embedded in its account; one thread. A zeroed one lets any password in.
 */
#ifndef XMPPTAP_CREDENTIALS_H
#define XMPPTAP_CREDENTIALS_H

#include "../scram.h"

#define CREDENTIALS_ITERATIONS 4096 /* RFC 7677 §4: clients refuse less */
#define CREDENTIALS_SALT       16

struct credentials {
    bool set;
    struct scram_keys keys[SCRAM_HASHES];
    unsigned char salt[CREDENTIALS_SALT], digest[32]; /* SHA-256 of salt and password */
};

/* It takes some 10 ms: at the start, or where an account is made. Errors: ERR_USAGE (SASLprep
 * forbids it, RFC 4013), ERR_NOMEM (also: no random bytes). */
int credentials_set(struct credentials *c, const char *password, struct error *e) MUST_CHECK;

/* Is this the password? True for any that is not empty where none is set. It takes no longer for
 * one that is nearly right. */
bool credentials_allow(const struct credentials *c, const char *password);

void credentials_wipe(struct credentials *c);

#endif

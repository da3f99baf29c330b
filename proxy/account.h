/* account.h: the account that the proxy logs in to for its user, with its password.
 *
 * Made at start, one a program; afterwards only read, by any thread. account_free() wipes it.
 */
#ifndef XMPPTAP_ACCOUNT_H
#define XMPPTAP_ACCOUNT_H

#include "scram.h"

#define ACCOUNT_ITERATIONS 4096 /* for clients of this machine: a login costs them little */

struct account {
    char name[SCRAM_NAME_MAX + 1];     /* the localpart, prepared (saslprep.h) */
    char domain[SCRAM_NAME_MAX + 1];
    char password[SCRAM_NAME_MAX + 1]; /* as it stands in the file */
    struct scram_keys keys[SCRAM_HASHES]; /* what its clients are asked by */
};

/* `jid` is LOCALPART@DOMAIN; the password is the first line of `file`, which nobody else may read
 * (mode 0600 or stricter). Returns owned, or NULL with `e` filled: ERR_USAGE, ERR_IO, ERR_NOMEM. */
struct account *account_open(const char *jid, const char *file, struct error *e);
void account_free(struct account *a);

/* Is this it? `name` is a localpart as sent, `domain` the stream's. */
bool account_is(const struct account *a, const char *name, const char *domain);
/* Is this its password, as sent? Takes no longer for one that is nearly right. */
bool account_password_is(const struct account *a, const char *password);

#endif

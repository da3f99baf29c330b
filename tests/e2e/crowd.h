/* crowd.h: many clients that log in and leave, one after the other each, several at a time.
 */
#ifndef XMPPTAP_E2E_CROWD_H
#define XMPPTAP_E2E_CROWD_H

#include "login.h"

#define CROWD_MAX 8 /* at a time */

/* Fails the running test if one of them fails or takes longer than 10 s; main thread only. `ctx`
 * NULL: plaintext. */
void crowd_log_in(int port, SSL_CTX *ctx, int logins, int at_a_time);

#endif

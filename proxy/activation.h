/* activation.h: listening sockets that whoever starts the program has opened for it.
 *
 * What systemd's .socket units do, by the protocol of sd_listen_fds(3). Once, at the start.
 */
#ifndef XMPPTAP_ACTIVATION_H
#define XMPPTAP_ACTIVATION_H

#include "../decoder/errors.h"

#define ACTIVATION_FIRST 3 /* the first one's descriptor; the others follow it */

/* How many there are to `*count`, 0 if they are none or for another process; at most `max`. They are
 * closed on exec and the environment no longer names them. ERR_USAGE: one is no listening TCP
 * socket. */
int activation_take(unsigned *count, unsigned max, struct error *e) MUST_CHECK;

#endif

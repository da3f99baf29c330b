/* keylog.h: TLS secrets of both legs for other tools (Wireshark), in NSS's key log format.
 *
 * The loop's thread gives lines; a thread of its own writes them, so the disk holds nobody up.
 * Lines that find its buffer full are counted and said.
 */
#ifndef XMPPTAP_KEYLOG_H
#define XMPPTAP_KEYLOG_H

#include <openssl/ssl.h>

#include "../decoder/errors.h"

struct keylog;

/* Opens `path` (made 0600; appended to; refused where others may read it). Returns owned, NULL with
 * `e` filled (ERR_IO, ERR_NOMEM). */
struct keylog *keylog_open(const char *path, struct error *e);

/* Handshakes of `ctx` are logged; as often as you like. `k` NULL: nothing happens. */
void keylog_watch(struct keylog *k, SSL_CTX *ctx);

/* Writes what is left, behind the last handshake. */
void keylog_close(struct keylog *k);

#endif

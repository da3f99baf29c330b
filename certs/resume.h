/* resume.h: TLS sessions with servers that go on instead of a full handshake (RFC 8446 §2.2,
 * RFC 5077, RFC 5246 §7.3).
 *
 * One cache for one upstream context: its CAs, its versions and its client certificate are the same
 * for all of its handshakes and no part of a key. A session is kept only once verify_peer() has
 * found the certificate right, and goes on only under its own key, until a certificate of its chain
 * ends, and RESUME_MAX_S behind the full handshake that it came from at the latest: then the
 * certificate is seen again. Not kept are sessions of servers that asked for our certificate (they
 * would not ask again), and those of TLS 1.2 without an extended master secret (RFC 7627 §5.4).
 * The thread of its worker's loop.
 */
#ifndef XMPPTAP_RESUME_H
#define XMPPTAP_RESUME_H

#include <stdbool.h>

#include <openssl/ssl.h>

#define RESUME_KEYS     64 /* the least recently used goes first */
#define RESUME_SESSIONS 16 /* a key's; TLS 1.3's serve once each (RFC 8446 appendix C.4) */
#define RESUME_MAX_S    600

struct resume;

/* NULL without memory. Borrows `upstream`, whose connections must be gone before the cache is;
 * returns owned. */
struct resume *resume_new(SSL_CTX *upstream);
void resume_free(struct resume *r);

/* Before `ssl`'s handshake: goes on with a session kept under `key`, which says all that the check
 * of the certificate depends on. Without one, without memory, and with `r` NULL it will be a full
 * one. */
void resume_offer(struct resume *r, SSL *ssl, const char *key);

/* After it: verify_peer() has found the certificate right. `asked`: for our certificate. */
void resume_keep(SSL *ssl, bool asked);

/* It broke. True if a session had been offered: maybe because of that, so from now on the key gets
 * full handshakes. */
bool resume_broke(SSL *ssl);

#endif

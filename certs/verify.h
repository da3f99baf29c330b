/* verify.h: checking the server's certificate, and saying the result in words.
 *
 * The upstream context does not let OpenSSL break the handshake on a bad certificate: the
 * handshake ends first, then verify_peer() decides, so that the reason is known in full before a
 * byte of the stream is sent over it. One thread (the loop's).
 *
 * Errors carry a kind: an alert's name as RFC 8446 §6 spells it ("unknown_ca"), or one of
 * self-signed, unknown-issuer, expired, not-yet-valid, wrong-name, no-certificate, untrusted (the
 * certificate), handshake-ended, no-cipher, no-curve, old-tls, not-tls, http, bad-data, weak. The
 * connection itself (proxy/tcp.c, tls.c): reset, closed.
 */
#ifndef XMPPTAP_VERIFY_H
#define XMPPTAP_VERIFY_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "../decoder/errors.h"

/* A client-side context, TLS 1.2 and 1.3. `ca_file`: PEM of trusted CAs, or NULL for the system's
 * store. NULL with `e` filled (ERR_CA: names the file and the cure). Owned by the caller. */
SSL_CTX *verify_context(const char *ca_file, struct error *e);
/* Another that trusts and shows the same, for another thread: what `of` has read is not read again.
 * Owned by the caller; NULL with `e` filled. */
SSL_CTX *verify_context_like(SSL_CTX *of, struct error *e);

/* After a handshake: is the peer's chain trusted and its name `domain` (NULL: any)? Names are taken from DNS
 * SANs, SRVName `_xmpp-client.DOMAIN` (RFC 4985), xmppAddr (RFC 6120 §13.7.1.4), IP SANs for an
 * address; from the subject only where the certificate has no SAN of these kinds. 0, or
 * ERR_CERTIFICATE with `e` a sentence with cause and cure ("self-signed certificate ...; give its
 * CA with --upstream-ca FILE, or ..."). */
int verify_peer(SSL *ssl, const char *domain, struct error *e) MUST_CHECK;

/* The same of the name alone. */
bool verify_names(X509 *cert, const char *domain);

/* Why a handshake with `peer` ("client" or "server") broke, in words, from OpenSSL's error queue,
 * which is emptied: alerts are named with what they mean and what to do ("the client does not
 * trust our CA (alert unknown_ca); install …: xmpptap ca export"). Fills `e` with ERR_TLS. */
void verify_handshake_error(SSL *ssl, const char *peer, struct error *e);

#endif

/* hello.h: the name and the protocols in a TLS ClientHello, before any TLS is spoken.
 *
 * Pure, any thread. It reads and does not judge: whether the handshake can go on is OpenSSL's
 * word. RFC 8446 §4.1.2, RFC 6066 §3 (SNI), RFC 7301 (ALPN), XEP-0368.
 */
#ifndef XMPPTAP_HELLO_H
#define XMPPTAP_HELLO_H

#include <stdbool.h>
#include <stddef.h>

#define HELLO_MAX      (16u << 10) /* bytes, records and all; above that it is HELLO_BAD */
#define HELLO_NAME_MAX 256
#define HELLO_ALPN_MAX 256

struct hello {
    char name[HELLO_NAME_MAX]; /* SNI, "" if there is none or none that a host can have */
    unsigned char alpn[HELLO_ALPN_MAX]; /* the protocols, each behind its length */
    size_t alpn_len;
};

enum hello_state {
    HELLO_MORE,  /* so far it may be one */
    HELLO_WHOLE, /* `hello` is filled */
    HELLO_BAD    /* it is none */
};

/* Reads what a connection began with; call again with all of it when more has come. */
enum hello_state hello_read(const void *p, size_t n, struct hello *hello);

/* Does the client offer this protocol? */
bool hello_offers(const struct hello *h, const char *protocol);

#endif

/* scram.h: SCRAM (RFC 5802, RFC 7677) in both roles, with SHA-1, SHA-256 or SHA-512, with and without
 * channel binding.
 *
 * Sans-I/O: messages come and go as they are before base64. No call here takes long but
 * scram_salt(), which computes for as long as the iteration count says and is pure: it can run in
 * any thread. One login's `struct scram` is one thread's; scram_free() wipes it. Names and passwords
 * are given as saslprep() makes them.
 *
 *   client                               server
 *   scram_client_first()  ------------>  scram_server_read_first()
 *   scram_client_read_first()  <-------  scram_server_first()
 *   scram_salt(), then
 *   scram_client_final()  ------------>  scram_server_final()
 *   scram_client_check()  <------------
 *
 * Errors are ERR_SASL with `kind`, static: "malformed", "extension" (one that we must know, and do
 * not), "nonce", "iterations" (fewer or more than we accept), "binding", "proof" (the client has
 * another password), "signature" (the server does not know the password), "refused" (the server
 * says e=, `detail` quotes it); or ERR_NOMEM, ERR_CAP. Calls out of this order: "malformed".
 */
#ifndef XMPPTAP_SCRAM_H
#define XMPPTAP_SCRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "../decoder/buf.h"

#define SCRAM_KEY_MAX        64
#define SCRAM_SALT_MAX       256
#define SCRAM_NAME_MAX       1024
#define SCRAM_NONCE_MAX      256      /* of both sides together */
#define SCRAM_MESSAGE_MAX    4096
#define SCRAM_ITERATIONS_MIN 4096     /* RFC 7677 §4 */
#define SCRAM_ITERATIONS_MAX 1000000  /* a second of one core; a hostile server asks for more */
#define SCRAM_BINDING_MAX    64
#define SCRAM_BINDING_NAME_MAX 32

enum scram_hash { SCRAM_SHA_1, SCRAM_SHA_256, SCRAM_SHA_512, SCRAM_HASHES };

/* "SCRAM-SHA-1", borrowed for ever. */
const char *scram_name(enum scram_hash hash);
size_t scram_size(enum scram_hash hash); /* bytes of its keys */

/* What the TLS connection is bound by. */
struct scram_binding {
    char flag;                         /* n, y or p (RFC 5802 §6) */
    char type[SCRAM_BINDING_NAME_MAX]; /* p: its name */
    unsigned char data[SCRAM_BINDING_MAX];
    size_t len;
};

/* What a server keeps of a password. */
struct scram_keys {
    unsigned char salt[SCRAM_SALT_MAX];
    size_t salt_len;
    unsigned iterations;
    unsigned char stored[SCRAM_KEY_MAX], server[SCRAM_KEY_MAX];
};

struct scram {
    enum scram_hash hash;
    int step;
    bool plus;                      /* server: the mechanism is a -PLUS */
    struct scram_binding binding;   /* ours; the server's is what its user says we have */
    char user[SCRAM_NAME_MAX + 1];  /* server: who logs in, as sent; prepare it before comparing */
    char authzid[SCRAM_NAME_MAX + 1];
    char nonce[SCRAM_NONCE_MAX + 1];
    unsigned char salt[SCRAM_SALT_MAX]; /* client: what to give scram_salt() */
    size_t salt_len;
    unsigned iterations;
    unsigned iterations_min;        /* client: SCRAM_ITERATIONS_MIN, may be set */
    unsigned char signature[SCRAM_KEY_MAX]; /* client: what the server must show */
    struct buf gs2;                 /* its header, "p=tls-exporter,," */
    struct buf auth;                /* AuthMessage as far as it is known */
};

void scram_init(struct scram *s, enum scram_hash hash);
void scram_free(struct scram *s); /* wipes it; as often as you like */

/* Hi() of RFC 5802 §2.2: scram_size(hash) bytes to `salted`. False: OpenSSL failed. */
bool scram_salt(enum scram_hash hash, const char *password, const unsigned char *salt,
                size_t salt_len, unsigned iterations, unsigned char salted[SCRAM_KEY_MAX]);
/* StoredKey and ServerKey of it, to `keys`; salt and iterations are left alone. */
bool scram_keys(enum scram_hash hash, const unsigned char *salted, struct scram_keys *keys);

/* ---- the client ---- */

/* `nonce`: printable ASCII without comma, ours. Sets what it is bound by, appends the message. */
int scram_client_first(struct scram *s, const struct scram_binding *b, const char *user,
                       const char *authzid, const char *nonce, struct buf *out,
                       struct error *e) MUST_CHECK;
int scram_client_read_first(struct scram *s, const char *p, size_t n, struct error *e) MUST_CHECK;
int scram_client_final(struct scram *s, const unsigned char *salted, struct buf *out,
                       struct error *e) MUST_CHECK;
/* 0: the server knows the password, too. */
int scram_client_check(struct scram *s, const char *p, size_t n, struct error *e) MUST_CHECK;

/* ---- the server ---- */

/* `plus`: the client chose a -PLUS mechanism. `offered`: some were on offer, so that y is a lie of
 * somebody in between (RFC 5802 §6). Then s->user, s->authzid and s->binding's flag and type are
 * what the client said; s->binding's data and len are for the caller to fill in before
 * scram_server_final(): empty where it does not have that type, which fails as "binding". */
int scram_server_read_first(struct scram *s, bool plus, bool offered, const char *p, size_t n,
                            struct error *e) MUST_CHECK;
/* `nonce` as above. */
int scram_server_first(struct scram *s, const struct scram_keys *keys, const char *nonce,
                       struct buf *out, struct error *e) MUST_CHECK;
/* Reads the client's last message; 0: it knows the password, and `out` got our signature. */
int scram_server_final(struct scram *s, const struct scram_keys *keys, const char *p, size_t n,
                       struct buf *out, struct error *e) MUST_CHECK;

#endif

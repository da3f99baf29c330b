#include "scram.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "../decoder/sasl.h"

#define BINDING_TEXT_MAX (2048 + SCRAM_BINDING_MAX) /* a gs2 header and its data */

static const struct {
    const char *name, *digest;
    size_t size;
} hashes[] = {
    [SCRAM_SHA_1] = {"SCRAM-SHA-1", "SHA1", 20},
    [SCRAM_SHA_256] = {"SCRAM-SHA-256", "SHA256", 32},
    [SCRAM_SHA_512] = {"SCRAM-SHA-512", "SHA512", 64},
};

/* What a login has behind it. */
enum { STEP_NEW, STEP_SAID, STEP_ASKED, STEP_PROVEN, STEP_OVER };

const char *scram_name(enum scram_hash hash)
{
    return hashes[hash].name;
}

size_t scram_size(enum scram_hash hash)
{
    return hashes[hash].size;
}

void scram_init(struct scram *s, enum scram_hash hash)
{
    *s = (struct scram){.hash = hash, .iterations_min = SCRAM_ITERATIONS_MIN};
    buf_init(&s->gs2, SCRAM_MESSAGE_MAX);
    buf_init(&s->auth, 3 * SCRAM_MESSAGE_MAX);
}

void scram_free(struct scram *s)
{
    buf_wipe(&s->gs2);
    buf_wipe(&s->auth);
    OPENSSL_cleanse(s, sizeof *s);
    scram_init(s, SCRAM_SHA_1);
}

static int wrong(struct error *e, const char *kind, const char *words)
{
    error_set(e, ERR_SASL, "%s", words);
    if (e)
        e->kind = kind;
    return ERR_SASL;
}

static int failed(struct error *e, int err)
{
    return error_set(e, (enum error_code)err, "%s", error_text((enum error_code)err));
}

/* ---- keys (RFC 5802 §3) ---- */

static const EVP_MD *digest(enum scram_hash hash)
{
    return EVP_get_digestbyname(hashes[hash].digest);
}

static bool hmac(enum scram_hash hash, const unsigned char *key, const void *p, size_t n,
                 unsigned char out[SCRAM_KEY_MAX])
{
    return HMAC(digest(hash), key, (int)hashes[hash].size, p, n, out, NULL) != NULL;
}

static bool hash_of(enum scram_hash hash, const unsigned char *p, unsigned char out[SCRAM_KEY_MAX])
{
    return EVP_Digest(p, hashes[hash].size, out, NULL, digest(hash), NULL) == 1;
}

bool scram_salt(enum scram_hash hash, const char *password, const unsigned char *salt,
                size_t salt_len, unsigned iterations, unsigned char salted[SCRAM_KEY_MAX])
{
    return iterations <= SCRAM_ITERATIONS_MAX &&
           PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, (int)salt_len, (int)iterations,
                             digest(hash), (int)hashes[hash].size, salted) == 1;
}

bool scram_keys(enum scram_hash hash, const unsigned char *salted, struct scram_keys *keys)
{
    unsigned char client[SCRAM_KEY_MAX];
    bool good = hmac(hash, salted, "Client Key", 10, client) &&
                hash_of(hash, client, keys->stored) &&
                hmac(hash, salted, "Server Key", 10, keys->server);

    OPENSSL_cleanse(client, sizeof client);
    return good;
}

static void xor_into(unsigned char *a, const unsigned char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] ^= b[i];
}

/* ---- messages (RFC 5802 §7) ---- */

/* What is still to be read of one. */
struct cursor {
    const char *p, *end;
};

/* The next `name=value`, which must be this one; the cursor goes behind its comma. */
static bool attr(struct cursor *c, char name, const char **value, size_t *n)
{
    const char *to;

    if (c->end - c->p < 2 || c->p[0] != name || c->p[1] != '=')
        return false;
    *value = c->p + 2;
    to = memchr(*value, ',', (size_t)(c->end - *value));
    *n = (size_t)((to ? to : c->end) - *value);
    c->p = to ? to + 1 : c->end;
    return true;
}

/* What comes where RFC 5802 §5.1 has only `m=` yet: an extension that must be understood. */
static bool must_know(const struct cursor *c)
{
    return c->end - c->p >= 2 && memcmp(c->p, "m=", 2) == 0;
}

static bool is_nonce(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0x21 || p[i] > 0x7e || p[i] == ',')
            return false;
    return n > 0 && n <= SCRAM_NONCE_MAX;
}

/* A saslname (§5.1: =2C and =3D) as it is meant. */
static bool read_name(const char *p, size_t n, char *out, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        char c = p[i];

        if (c == '=') {
            if (n - i < 3 || (memcmp(p + i, "=2C", 3) && memcmp(p + i, "=3D", 3)))
                return false;
            c = p[i + 2] == 'C' ? ',' : '=';
            i += 2;
        }
        if (c == '\0' || len + 1 >= size)
            return false;
        out[len++] = c;
    }
    out[len] = '\0';
    return len > 0;
}

static int add_name(struct buf *b, const char *name)
{
    int err = 0;

    for (; *name && !err; name++)
        err = *name == ',' ? buf_str(b, "=2C") : *name == '=' ? buf_str(b, "=3D") : buf_add(b, name, 1);
    return err;
}

/* `c=`: the gs2 header and, where the channel is bound, its data (§5.1). */
static int add_binding(const struct scram *s, struct buf *b)
{
    struct buf raw;
    int err;

    buf_init(&raw, BINDING_TEXT_MAX + SCRAM_MESSAGE_MAX);
    err = buf_add(&raw, s->gs2.p, s->gs2.len);
    if (!err && s->binding.flag == 'p')
        err = buf_add(&raw, s->binding.data, s->binding.len);
    if (!err)
        err = buf_str(b, "c=");
    if (!err)
        err = buf_base64(b, raw.p, raw.len);
    buf_wipe(&raw);
    return err;
}

/* ClientProof and ServerSignature over the whole AuthMessage. */
static bool sign(const struct scram *s, const unsigned char *stored, const unsigned char *server,
                 unsigned char proof[SCRAM_KEY_MAX], unsigned char signature[SCRAM_KEY_MAX])
{
    return hmac(s->hash, stored, s->auth.p, s->auth.len, proof) &&
           hmac(s->hash, server, s->auth.p, s->auth.len, signature);
}

/* ---- the client ---- */

static int put_first(struct scram *s, const char *user, const char *authzid, struct buf *out)
{
    int err = s->binding.flag == 'p' ? buf_printf(&s->gs2, "p=%s,", s->binding.type)
                                     : buf_printf(&s->gs2, "%c,", s->binding.flag);

    if (!err && *authzid) {
        err = buf_str(&s->gs2, "a=");
        if (!err)
            err = add_name(&s->gs2, authzid);
    }
    if (!err)
        err = buf_str(&s->gs2, ",");
    if (!err)
        err = buf_str(&s->auth, "n=");
    if (!err)
        err = add_name(&s->auth, user);
    if (!err)
        err = buf_printf(&s->auth, ",r=%s", s->nonce);
    if (!err)
        err = buf_add(out, s->gs2.p, s->gs2.len);
    return err ? err : buf_add(out, s->auth.p, s->auth.len);
}

int scram_client_first(struct scram *s, const struct scram_binding *b, const char *user,
                       const char *authzid, const char *nonce, struct buf *out, struct error *e)
{
    int err;

    if (s->step != STEP_NEW || !is_nonce(nonce, strlen(nonce)))
        return wrong(e, "malformed", "SCRAM was begun out of order");
    s->binding = *b;
    snprintf(s->nonce, sizeof s->nonce, "%s", nonce);
    err = put_first(s, user, authzid, out);
    if (err)
        return failed(e, err);
    s->step = STEP_SAID;
    return 0;
}

static bool read_number(const char *p, size_t n, unsigned *out)
{
    unsigned v = 0;

    if (n == 0 || n > 9 || *p == '0')
        return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        v = 10 * v + (unsigned)(p[i] - '0');
    }
    *out = v;
    return true;
}

static int take_first(struct scram *s, const char *p, size_t n, struct error *e)
{
    struct cursor c = {p, p + n};
    const char *nonce, *salt, *count;
    size_t nonce_n, salt_n, count_n, own = strlen(s->nonce);
    long len;

    if (must_know(&c))
        return wrong(e, "extension", "the server demands a SCRAM extension that is not known here");
    if (!attr(&c, 'r', &nonce, &nonce_n) || !is_nonce(nonce, nonce_n) ||
        !attr(&c, 's', &salt, &salt_n) || !attr(&c, 'i', &count, &count_n))
        return wrong(e, "malformed", "the server's first SCRAM message is malformed");
    if (nonce_n <= own || memcmp(nonce, s->nonce, own) != 0)
        return wrong(e, "nonce", "the server's nonce does not go on from ours");
    len = sasl_base64(salt, salt_n, (char *)s->salt, sizeof s->salt);
    if (len <= 0)
        return wrong(e, "malformed", "the server's salt is empty, too long or not base64");
    s->salt_len = (size_t)len;
    if (!read_number(count, count_n, &s->iterations))
        return wrong(e, count_n > 9 ? "iterations" : "malformed",
                     "the server's iteration count is no number, or far too large");
    if (s->iterations < s->iterations_min || s->iterations > SCRAM_ITERATIONS_MAX)
        return wrong(e, "iterations", s->iterations < s->iterations_min
                         ? "the server asks for fewer iterations than is safe (RFC 7677: 4096)"
                         : "the server asks for more than 1000000 iterations");
    memcpy(s->nonce, nonce, nonce_n);
    s->nonce[nonce_n] = '\0';
    return 0;
}

int scram_client_read_first(struct scram *s, const char *p, size_t n, struct error *e)
{
    int err;

    if (s->step != STEP_SAID || n > SCRAM_MESSAGE_MAX)
        return wrong(e, "malformed", "SCRAM's messages came out of order, or are too long");
    err = take_first(s, p, n, e);
    if (err)
        return err;
    err = buf_str(&s->auth, ",");
    if (!err)
        err = buf_add(&s->auth, p, n);
    if (err)
        return failed(e, err);
    s->step = STEP_ASKED;
    return 0;
}

/* client-final-message-without-proof, to `out` and to the AuthMessage. */
static int put_final(struct scram *s, struct buf *out)
{
    size_t at = out->len;
    int err = add_binding(s, out);

    if (!err)
        err = buf_printf(out, ",r=%s", s->nonce);
    if (!err)
        err = buf_str(&s->auth, ",");
    return err ? err : buf_add(&s->auth, out->p + at, out->len - at);
}

int scram_client_final(struct scram *s, const unsigned char *salted, struct buf *out,
                       struct error *e)
{
    unsigned char client[SCRAM_KEY_MAX], proof[SCRAM_KEY_MAX];
    struct scram_keys keys;
    int err;

    if (s->step != STEP_ASKED)
        return wrong(e, "malformed", "SCRAM's messages came out of order");
    err = put_final(s, out);
    if (!err && !(scram_keys(s->hash, salted, &keys) &&
                  hmac(s->hash, salted, "Client Key", 10, client) &&
                  sign(s, keys.stored, keys.server, proof, s->signature)))
        err = ERR_NOMEM;
    if (!err) {
        xor_into(proof, client, scram_size(s->hash));
        err = buf_str(out, ",p=");
    }
    if (!err)
        err = buf_base64(out, proof, scram_size(s->hash));
    OPENSSL_cleanse(client, sizeof client);
    OPENSSL_cleanse(proof, sizeof proof);
    OPENSSL_cleanse(&keys, sizeof keys);
    if (err)
        return failed(e, err);
    s->step = STEP_PROVEN;
    return 0;
}

int scram_client_check(struct scram *s, const char *p, size_t n, struct error *e)
{
    struct cursor c = {p, p + n};
    unsigned char theirs[SCRAM_KEY_MAX + 2];
    const char *value;
    size_t len;

    if (s->step != STEP_PROVEN)
        return wrong(e, "malformed", "SCRAM's messages came out of order");
    if (attr(&c, 'e', &value, &len)) {
        error_set(e, ERR_SASL, "%.*s", (int)(len < 64 ? len : 64), value);
        if (e)
            e->kind = "refused";
        return ERR_SASL;
    }
    if (!attr(&c, 'v', &value, &len) ||
        sasl_base64(value, len, (char *)theirs, sizeof theirs) < 0)
        return wrong(e, "malformed", "the server's last SCRAM message is malformed");
    if (sasl_base64(value, len, (char *)theirs, sizeof theirs) != (long)scram_size(s->hash) ||
        CRYPTO_memcmp(theirs, s->signature, scram_size(s->hash)) != 0)
        return wrong(e, "signature", "the server could not prove that it knows the password");
    s->step = STEP_OVER;
    return 0;
}

/* ---- the server ---- */

/* The gs2 header (RFC 5801 §4); the cursor goes behind it. */
static int read_gs2(struct scram *s, bool plus, bool offered, struct cursor *c, struct error *e)
{
    const char *value = NULL, *from = c->p;
    size_t n = 0;
    char flag = c->p < c->end ? *c->p : '\0';

    if (flag == 'p' && !attr(c, 'p', &value, &n))
        flag = '\0';
    else if ((flag == 'y' || flag == 'n') && c->end - c->p >= 2 && c->p[1] == ',')
        c->p += 2;
    else if (flag != 'p')
        flag = '\0';
    if (!flag || n >= SCRAM_BINDING_NAME_MAX || (flag == 'p' && n == 0))
        return wrong(e, "malformed", "the client's gs2 header is malformed");
    s->binding.flag = flag;
    snprintf(s->binding.type, sizeof s->binding.type, "%.*s", (int)n, value ? value : "");
    if (attr(c, 'a', &value, &n)) {
        if (!read_name(value, n, s->authzid, sizeof s->authzid))
            return wrong(e, "malformed", "the client's authorization identity is malformed");
    } else if (c->p < c->end && *c->p == ',') {
        c->p++;
    } else {
        return wrong(e, "malformed", "the client's gs2 header is malformed");
    }
    if ((flag == 'p') != plus || (flag == 'y' && offered))
        return wrong(e, "binding", flag == 'y'
                         ? "the client saw no channel binding on offer, and there is some (RFC 5802 section 6)"
                         : "the client's gs2 flag does not fit its mechanism (RFC 5802 section 6)");
    n = (size_t)(c->p - from);
    return buf_add(&s->gs2, from, n) ? failed(e, ERR_NOMEM) : 0;
}

int scram_server_read_first(struct scram *s, bool plus, bool offered, const char *p, size_t n,
                            struct error *e)
{
    struct cursor c = {p, p + n};
    const char *bare, *value;
    size_t len;
    int err;

    if (s->step != STEP_NEW || n > SCRAM_MESSAGE_MAX)
        return wrong(e, "malformed", "SCRAM's messages came out of order, or are too long");
    s->plus = plus;
    err = read_gs2(s, plus, offered, &c, e);
    if (err)
        return err;
    bare = c.p;
    if (must_know(&c))
        return wrong(e, "extension", "the client demands a SCRAM extension that is not known here");
    if (!attr(&c, 'n', &value, &len) || !read_name(value, len, s->user, sizeof s->user) ||
        !attr(&c, 'r', &value, &len) || !is_nonce(value, len))
        return wrong(e, "malformed", "the client's first SCRAM message is malformed");
    snprintf(s->nonce, sizeof s->nonce, "%.*s", (int)len, value);
    if (buf_add(&s->auth, bare, (size_t)(p + n - bare)))
        return failed(e, ERR_NOMEM);
    s->step = STEP_SAID;
    return 0;
}

int scram_server_first(struct scram *s, const struct scram_keys *keys, const char *nonce,
                       struct buf *out, struct error *e)
{
    size_t at = out->len, n = strlen(s->nonce);
    int err;

    if (s->step != STEP_SAID || !is_nonce(nonce, strlen(nonce)) ||
        n + strlen(nonce) > SCRAM_NONCE_MAX)
        return wrong(e, "malformed", "SCRAM's messages came out of order, or the nonce is too long");
    snprintf(s->nonce + n, sizeof s->nonce - n, "%s", nonce);
    err = buf_printf(out, "r=%s,s=", s->nonce);
    if (!err)
        err = buf_base64(out, keys->salt, keys->salt_len);
    if (!err)
        err = buf_printf(out, ",i=%u", keys->iterations);
    if (!err)
        err = buf_str(&s->auth, ",");
    if (!err)
        err = buf_add(&s->auth, out->p + at, out->len - at);
    if (err)
        return failed(e, err);
    s->step = STEP_ASKED;
    return 0;
}

/* Is `c=` the gs2 header of the first message, and the data that we bind the channel by? */
static bool same_binding(const struct scram *s, const char *value, size_t n)
{
    struct buf ours;
    bool same = s->binding.flag != 'p' || s->binding.len > 0;

    buf_init(&ours, 2 * (BINDING_TEXT_MAX + SCRAM_MESSAGE_MAX));
    same = same && add_binding(s, &ours) == 0 && ours.len == n + 2 &&
           CRYPTO_memcmp(ours.p + 2, value, n) == 0;
    buf_wipe(&ours);
    return same;
}

/* Where `,p=` begins, the last attribute; the proof is `*proof`. NULL: there is none. */
static const char *find_proof(const struct scram *s, const char *p, size_t n,
                              unsigned char proof[SCRAM_KEY_MAX + 2])
{
    for (size_t i = n; i-- > 0;)
        if (p[i] == ',')
            return n - i > 3 && memcmp(p + i, ",p=", 3) == 0 &&
                           sasl_base64(p + i + 3, n - i - 3, (char *)proof, SCRAM_KEY_MAX + 2) ==
                               (long)scram_size(s->hash)
                       ? p + i
                       : NULL;
    return NULL;
}

/* Does the proof hold? Then `signature` is ours. 0, "proof", or what went wrong. */
static int check_proof(struct scram *s, const struct scram_keys *keys, unsigned char *proof,
                       unsigned char signature[SCRAM_KEY_MAX], struct error *e)
{
    unsigned char expected[SCRAM_KEY_MAX], stored[SCRAM_KEY_MAX];
    bool good = sign(s, keys->stored, keys->server, expected, signature), same = false;

    if (good) {
        xor_into(proof, expected, scram_size(s->hash)); /* the client's key, if it knows it */
        good = hash_of(s->hash, proof, stored);
        same = good && CRYPTO_memcmp(stored, keys->stored, scram_size(s->hash)) == 0;
    }
    OPENSSL_cleanse(expected, sizeof expected);
    OPENSSL_cleanse(stored, sizeof stored);
    if (!good)
        return failed(e, ERR_NOMEM);
    return same ? 0 : wrong(e, "proof", "the client has another password");
}

static int take_final(struct scram *s, const char *p, const char *proof_at, struct error *e)
{
    struct cursor c = {p, proof_at};
    const char *value;
    size_t len;

    if (!attr(&c, 'c', &value, &len))
        return wrong(e, "malformed", "the client's last SCRAM message is malformed");
    if (!same_binding(s, value, len))
        return wrong(e, "binding", s->binding.flag == 'p'
                         ? "the client's channel binding is not that of this TLS connection"
                         : "the client's gs2 header is not that of its first message");
    if (must_know(&c))
        return wrong(e, "extension", "the client demands a SCRAM extension that is not known here");
    if (!attr(&c, 'r', &value, &len))
        return wrong(e, "malformed", "the client's last SCRAM message is malformed");
    if (len != strlen(s->nonce) || memcmp(value, s->nonce, len) != 0)
        return wrong(e, "nonce", "the client's nonce is not the one agreed on");
    if (buf_str(&s->auth, ",") || buf_add(&s->auth, p, (size_t)(proof_at - p)))
        return failed(e, ERR_NOMEM);
    return 0;
}

int scram_server_final(struct scram *s, const struct scram_keys *keys, const char *p, size_t n,
                       struct buf *out, struct error *e)
{
    unsigned char proof[SCRAM_KEY_MAX + 2], signature[SCRAM_KEY_MAX];
    const char *proof_at;
    int err;

    if (s->step != STEP_ASKED || n > SCRAM_MESSAGE_MAX)
        return wrong(e, "malformed", "SCRAM's messages came out of order, or are too long");
    s->step = STEP_OVER;
    proof_at = find_proof(s, p, n, proof);
    if (!proof_at)
        return wrong(e, "malformed", "the client's last SCRAM message has no proof");
    err = take_final(s, p, proof_at, e);
    if (!err)
        err = check_proof(s, keys, proof, signature, e);
    if (!err && (buf_str(out, "v=") || buf_base64(out, signature, scram_size(s->hash))))
        err = failed(e, ERR_NOMEM);
    OPENSSL_cleanse(proof, sizeof proof);
    OPENSSL_cleanse(signature, sizeof signature);
    return err;
}

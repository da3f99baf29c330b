#include "credentials.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "../saslprep.h"

static bool digest_of(const struct credentials *c, const char *password, unsigned char out[32])
{
    unsigned char text[CREDENTIALS_SALT + SASLPREP_MAX + 1];
    size_t n = strlen(password);
    bool good;

    memcpy(text, c->salt, CREDENTIALS_SALT);
    memcpy(text + CREDENTIALS_SALT, password, n);
    good = EVP_Digest(text, CREDENTIALS_SALT + n, out, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_cleanse(text, sizeof text);
    return good;
}

static bool make_keys(struct credentials *c, enum scram_hash hash, const char *password)
{
    struct scram_keys *k = &c->keys[hash];
    unsigned char salted[SCRAM_KEY_MAX];
    bool good;

    k->salt_len = CREDENTIALS_SALT;
    k->iterations = CREDENTIALS_ITERATIONS;
    good = RAND_bytes(k->salt, CREDENTIALS_SALT) == 1 &&
           scram_salt(hash, password, k->salt, k->salt_len, k->iterations, salted) &&
           scram_keys(hash, salted, k);
    OPENSSL_cleanse(salted, sizeof salted);
    return good;
}

int credentials_set(struct credentials *c, const char *password, struct error *e)
{
    char prepared[SASLPREP_MAX + 1];
    bool good;

    if (!saslprep(password, prepared, sizeof prepared, true))
        return error_set(e, ERR_USAGE, "the password is empty, or has characters that no login may "
                         "have (RFC 4013)");
    good = RAND_bytes(c->salt, CREDENTIALS_SALT) == 1 && digest_of(c, prepared, c->digest);
    for (int h = 0; h < SCRAM_HASHES && good; h++)
        good = make_keys(c, (enum scram_hash)h, prepared);
    OPENSSL_cleanse(prepared, sizeof prepared);
    c->set = good;
    return good ? 0 : error_set(e, ERR_NOMEM, "no random bytes, or no memory");
}

bool credentials_allow(const struct credentials *c, const char *password)
{
    char prepared[SASLPREP_MAX + 1];
    unsigned char digest[32];
    bool same;

    if (!c->set)
        return *password;
    same = saslprep(password, prepared, sizeof prepared, false) &&
           digest_of(c, prepared, digest) &&
           CRYPTO_memcmp(digest, c->digest, sizeof digest) == 0;
    OPENSSL_cleanse(prepared, sizeof prepared);
    return same;
}

void credentials_wipe(struct credentials *c)
{
    OPENSSL_cleanse(c, sizeof *c);
}

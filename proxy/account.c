#include "account.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "saslprep.h"

#define SALT_BYTES 16

static int read_jid(struct account *a, const char *jid, struct error *e)
{
    const char *at = strchr(jid, '@');
    char name[SCRAM_NAME_MAX + 1];
    size_t n = at ? (size_t)(at - jid) : 0;

    if (!at || n == 0 || n >= sizeof name || !at[1] || strlen(at + 1) >= sizeof a->domain ||
        strpbrk(at + 1, "@/"))
        return error_set(e, ERR_USAGE, "--account %.100s is no bare JID; give LOCALPART@DOMAIN", jid);
    memcpy(name, jid, n);
    name[n] = '\0';
    snprintf(a->domain, sizeof a->domain, "%s", at + 1);
    if (!saslprep(name, a->name, sizeof a->name, true))
        return error_set(e, ERR_USAGE, "--account %.100s: its name has characters that no login may "
                         "have (RFC 4013)", jid);
    return 0;
}

/* The first line of what `fd` holds, without its end. */
static int read_line(struct account *a, int fd, const char *file, struct error *e)
{
    char text[sizeof a->password + 2];
    ssize_t n = 0, got;
    char *end;
    int err = 0;

    while ((got = read(fd, text + n, sizeof text - (size_t)n)) > 0 && (size_t)(n += got) < sizeof text)
        ;
    if (got < 0)
        err = error_set(e, ERR_IO, "cannot read --password-file %.150s: %s", file, strerror(errno));
    end = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;
    if (end)
        n = end - text;
    if (n > 0 && text[n - 1] == '\r')
        n--;
    if (!err && (n == 0 || (size_t)n >= sizeof a->password || memchr(text, '\0', (size_t)n)))
        err = error_set(e, ERR_USAGE, "--password-file %.150s: its first line must be the password, 1 "
                        "to %zu bytes", file, sizeof a->password - 1);
    if (!err) {
        memcpy(a->password, text, (size_t)n);
        a->password[n] = '\0';
    }
    OPENSSL_cleanse(text, sizeof text);
    return err;
}

static int read_password(struct account *a, const char *file, struct error *e)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY), err;
    struct stat st;

    if (fd < 0)
        return error_set(e, ERR_IO, "cannot read --password-file %.150s: %s", file, strerror(errno));
    if (fstat(fd, &st))
        err = error_set(e, ERR_IO, "cannot read --password-file %.150s: %s", file, strerror(errno));
    else if (S_ISREG(st.st_mode) && (st.st_mode & 077))
        err = error_set(e, ERR_USAGE, "--password-file %.150s may be read by others (mode %03o); make "
                        "it yours alone: chmod 600", file, (unsigned)(st.st_mode & 0777));
    else
        err = read_line(a, fd, file, e);
    close(fd);
    return err;
}

static int make_keys(struct account *a, struct error *e)
{
    unsigned char salted[SCRAM_KEY_MAX];
    char password[sizeof a->password];
    bool good = true;

    if (!saslprep(a->password, password, sizeof password, true))
        return error_set(e, ERR_USAGE, "the password has characters that no login may have (RFC 4013)");
    for (int h = 0; h < SCRAM_HASHES && good; h++) {
        struct scram_keys *k = &a->keys[h];

        k->salt_len = SALT_BYTES;
        k->iterations = ACCOUNT_ITERATIONS;
        good = RAND_bytes(k->salt, SALT_BYTES) == 1 &&
               scram_salt((enum scram_hash)h, password, k->salt, k->salt_len, k->iterations, salted) &&
               scram_keys((enum scram_hash)h, salted, k);
    }
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(password, sizeof password);
    return good ? 0 : error_set(e, ERR_NOMEM, "no random bytes, or no memory to start");
}

struct account *account_open(const char *jid, const char *file, struct error *e)
{
    struct account *a = calloc(1, sizeof *a);
    int err;

    if (!a) {
        error_set(e, ERR_NOMEM, "no memory to start");
        return NULL;
    }
    err = read_jid(a, jid, e);
    if (!err)
        err = read_password(a, file, e);
    if (!err)
        err = make_keys(a, e);
    if (!err)
        return a;
    account_free(a);
    return NULL;
}

void account_free(struct account *a)
{
    if (!a)
        return;
    OPENSSL_cleanse(a, sizeof *a);
    free(a);
}

bool account_is(const struct account *a, const char *name, const char *domain)
{
    char prepared[SCRAM_NAME_MAX + 1];

    return strcasecmp(domain, a->domain) == 0 &&
           saslprep(name, prepared, sizeof prepared, false) && strcasecmp(prepared, a->name) == 0;
}

bool account_password_is(const struct account *a, const char *password)
{
    char ours[SCRAM_NAME_MAX + 1] = "", theirs[SCRAM_NAME_MAX + 1] = "";
    bool same = saslprep(a->password, ours, sizeof ours, true) &&
                saslprep(password, theirs, sizeof theirs, false) &&
                CRYPTO_memcmp(ours, theirs, sizeof ours) == 0;

    OPENSSL_cleanse(ours, sizeof ours);
    OPENSSL_cleanse(theirs, sizeof theirs);
    return same;
}

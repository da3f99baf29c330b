#include "ca.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "cert.h"
#include "leaf.h"

#define CA_FILE       "ca.pem"
#define CERTIFICATE_FILE "xmpptap-ca.crt"
#define CA_DAYS       3650
#define CA_FILE_BYTES (64 * 1024) /* a key and a certificate take 2 KiB */
#define CA_HOST_MAX   38          /* so that the common name keeps within CERT_CN_MAX */

struct ca {
    char *path;
    X509 *cert;
    EVP_PKEY *key;
    struct leaf_cache *leaves;
};

/* ---- reading ---- */

/* A key that others can read, or that others gave us, is no secret of ours. */
static int check_file(const char *path, const struct stat *st, struct error *e)
{
    if (!S_ISREG(st->st_mode))
        return error_set(e, ERR_CA,
                         "%s is no file; move it away, or name another folder with "
                         "--ca-dir",
                         path);
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return error_set(e, ERR_CA,
                         "%s belongs to user %ld, not to you or root; chown it if the "
                         "key is yours, else name another folder with --ca-dir",
                         path, (long)st->st_uid);
    if (st->st_mode & (S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH))
        return error_set(e, ERR_CA,
                         "%s holds the CA's key and is open to others (mode %04o): "
                         "chmod 600 %s",
                         path, st->st_mode & 07777u, path);
    if (st->st_size > CA_FILE_BYTES)
        return error_set(e, ERR_CA,
                         "%s is too long for a key and a certificate; move it away, and "
                         "a new CA is made",
                         path);
    return 0;
}

/* Reads the file into `text` (CA_FILE_BYTES), `*n` bytes. `*missing`, and no error, if there is
 * none. */
static int read_file(const char *path, char *text, size_t *n, bool *missing, struct error *e)
{
    struct stat st;
    ssize_t got = 1;
    int err = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    *missing = fd < 0 && errno == ENOENT;
    if (*missing)
        return 0;
    if (fd < 0 || fstat(fd, &st)) {
        err = error_set(e, ERR_IO,
                        "cannot open %s: %s; run as the file's owner, or name another "
                        "folder with --ca-dir",
                        path, strerror(errno));
        goto out;
    }
    err = check_file(path, &st, e);
    while (!err && got != 0 && *n < CA_FILE_BYTES) {
        got = read(fd, text + *n, CA_FILE_BYTES - *n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            err = error_set(e, ERR_IO,
                            "cannot read %s: %s; restore it, or name another folder "
                            "with --ca-dir",
                            path, strerror(errno));
        else
            *n += (size_t)got;
    }
out:
    if (fd >= 0)
        close(fd);
    return err;
}

/* An encrypted key: nobody is there to be asked for its password. */
static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

static int parse_pem(struct ca *ca, const char *text, size_t n, struct error *e)
{
    BIO *key = BIO_new_mem_buf(text, (int)n); /* one each: they may stand in any order */
    BIO *cert = BIO_new_mem_buf(text, (int)n);
    bool no_memory;

    if (key && cert) {
        ca->key = PEM_read_bio_PrivateKey(key, NULL, no_password, NULL);
        ca->cert = PEM_read_bio_X509(cert, NULL, NULL, NULL);
    }
    BIO_free(key);
    BIO_free(cert);
    no_memory = !key || !cert || ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
    ERR_clear_error();
    if (no_memory)
        return error_set(e, ERR_NOMEM, "while reading %s", ca->path);
    if (!ca->key || !ca->cert)
        return error_set(e, ERR_CA,
                         "%s: no readable %s in it (PEM, the key not encrypted); put "
                         "the right file there, or move it away, and a new CA is made",
                         ca->path, ca->key ? "certificate" : "private key");
    return 0;
}

static int check_ca(const struct ca *ca, struct error *e)
{
    char date[CERT_DATE_MAX];
    const ASN1_TIME *from = X509_get0_notBefore(ca->cert), *to = X509_get0_notAfter(ca->cert);

    if (X509_check_private_key(ca->cert, ca->key) != 1) {
        ERR_clear_error();
        return error_set(e, ERR_CA,
                         "%s: key and certificate do not belong together; restore the "
                         "file, or move it away, and a new CA is made",
                         ca->path);
    }
    if (X509_check_ca(ca->cert) != 1)
        return error_set(e, ERR_CA,
                         "%s: the certificate is no CA's and cannot sign; move it away, "
                         "and a new CA is made",
                         ca->path);
    if (X509_cmp_current_time(to) <= 0)
        return error_set(e, ERR_CA,
                         "%s: the CA expired on %s; move it away, start again, and let "
                         "clients trust the new one",
                         ca->path, cert_date(to, date));
    if (X509_cmp_current_time(from) >= 0)
        return error_set(e, ERR_CA, "%s: the CA is not valid before %s; set this machine's clock",
                         ca->path, cert_date(from, date));
    return 0;
}

/* `*missing` instead of an error if there is no file. */
static int load(struct ca *ca, bool *missing, struct error *e)
{
    size_t n = 0;
    char *text = OPENSSL_malloc(CA_FILE_BYTES);
    int err;

    if (!text)
        return error_set(e, ERR_NOMEM, "for the CA");
    err = read_file(ca->path, text, &n, missing, e);
    if (!err && !*missing)
        err = parse_pem(ca, text, n, e);
    if (!err && !*missing)
        err = check_ca(ca, e);
    OPENSSL_clear_free(text, CA_FILE_BYTES);
    return err;
}

/* ---- making ---- */

/* The folder and its parents, as `mkdir -p` makes them. */
static int make_folders(const char *dir, struct error *e)
{
    char *path = strdup(dir);
    struct stat st;
    int err = 0;

    if (!path)
        return error_set(e, ERR_NOMEM, "for the CA's folder");
    for (char *p = path + 1; *path; p++) {
        char c = *p;

        if (c && c != '/')
            continue;
        *p = '\0';
        /* What cannot be made may still be there: a parent on a read-only file system. */
        if (mkdir(path, 0700) && errno != EEXIST && stat(path, &st)) {
            err = error_set(e, ERR_IO,
                            "cannot make the folder %s: %s; make it, or name another "
                            "one with --ca-dir",
                            path, strerror(errno));
            break;
        }
        if (!c)
            break;
        *p = c;
    }
    free(path);
    return err;
}

/* "xmpptap CA (HOSTNAME, DATE)": people must find it in a list of authorities, and tell it from
 * the one of another machine. */
static void common_name(char out[CERT_CN_MAX + 1], time_t now)
{
    char host[CA_HOST_MAX + 1] = "", date[sizeof "2026-01-31"] = "";
    struct tm tm;

    if (gethostname(host, sizeof host) && errno != ENAMETOOLONG)
        host[0] = '\0';
    host[CA_HOST_MAX] = '\0';
    for (char *p = host; *p; p++)
        if (*p <= ' ' || *p >= 0x7f)
            *p = '?';
    if (gmtime_r(&now, &tm))
        strftime(date, sizeof date, "%Y-%m-%d", &tm);
    snprintf(out, CERT_CN_MAX + 1, "xmpptap CA (%s, %s)", host[0] ? host : "no host name", date);
}

/* A new key and certificate as PEM. Returns owned, NULL with OpenSSL's queue filled. */
static BIO *new_pem(void)
{
    time_t now = time(NULL);
    char cn[CERT_CN_MAX + 1];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct cert_request r = {
        .cn = cn, .key = key, .from = now - DAY_S, .to = now + (time_t)CA_DAYS * DAY_S};
    X509 *cert = NULL;
    BIO *pem = NULL;

    common_name(cn, now);
    if (key)
        cert = cert_make(&r);
    if (cert)
        pem = BIO_new(BIO_s_mem());
    if (pem && (!PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) ||
                !PEM_write_bio_X509(pem, cert))) {
        BIO_free(pem);
        pem = NULL;
    }
    X509_free(cert);
    EVP_PKEY_free(key);
    return pem;
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, p, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return -1;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

/* Without it a power cut could take the name away again. Not every file system can. */
static void sync_folder(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

/* Puts `text` under `path` in one step. `*won` is false where somebody else's CA came first. */
static int install(const char *dir, const char *path, const char *text, size_t n, bool *won,
                   struct error *e)
{
    char *temp = NULL;
    int fd = -1, err = 0;

    if (asprintf(&temp, "%s/." CA_FILE ".XXXXXX", dir) < 0)
        return error_set(e, ERR_NOMEM, "for the CA");
    fd = mkostemp(temp, O_CLOEXEC); /* O_EXCL, 0600 */
    if (fd < 0) {
        err = error_set(e, ERR_IO,
                        "cannot write in %s: %s; make it writable (chmod u+w %s), or "
                        "name another folder with --ca-dir",
                        dir, strerror(errno), dir);
        goto out;
    }
    if (fchmod(fd, 0600) || write_all(fd, text, n) || fsync(fd)) {
        err = error_set(e, ERR_IO,
                        "cannot write %s: %s; make room, or name another folder with "
                        "--ca-dir",
                        temp, strerror(errno));
        goto out;
    }
    *won = link(temp, path) == 0;
    if (*won)
        sync_folder(dir);
    else if (errno != EEXIST)
        err = error_set(e, ERR_IO,
                        "cannot put the new CA at %s: %s; name a folder on another file "
                        "system with --ca-dir",
                        path, strerror(errno));
out:
    if (fd >= 0) {
        unlink(temp);
        close(fd);
    }
    free(temp);
    return err;
}

static int make_ca(const char *dir, const char *path, bool *won, struct error *e)
{
    struct ca trial = {.path = (char *)path};
    char *text;
    long n;
    BIO *pem;
    int err = make_folders(dir, e);

    if (err)
        return err;
    pem = new_pem();
    if (!pem)
        return cert_error(e, "cannot make a CA");
    /* OpenSSL can take half a text for a whole one when memory fails: first read it back. */
    n = BIO_get_mem_data(pem, &text);
    err = parse_pem(&trial, text, (size_t)n, e);
    if (!err)
        err = check_ca(&trial, e);
    if (!err)
        err = install(dir, path, text, (size_t)n, won, e);
    X509_free(trial.cert);
    EVP_PKEY_free(trial.key);
    BIO_free(pem);
    return err;
}

/* ---- the interface ---- */

struct ca *ca_open(const char *dir, bool *made, struct error *e)
{
    struct ca *ca;
    bool missing = false, won = false;
    int err;

    if (!dir[0]) { /* an unset variable, which must not come to mean the root */
        error_set(e, ERR_IO, "no folder for the CA; name one with --ca-dir");
        return NULL;
    }
    ca = calloc(1, sizeof *ca);
    if (!ca || asprintf(&ca->path, "%s/" CA_FILE, dir) < 0) {
        error_set(e, ERR_NOMEM, "for the CA");
        free(ca);
        return NULL;
    }
    err = load(ca, &missing, e);
    if (!err && missing) {
        err = make_ca(dir, ca->path, &won, e);
        /* Ours or a faster one's: what counts is what stands in the folder now. */
        if (!err)
            err = load(ca, &missing, e);
        if (!err && missing)
            err = error_set(e, ERR_IO,
                            "%s is taken but cannot be opened, a link to nowhere perhaps; remove "
                            "it and start again",
                            ca->path);
    }
    if (!err) {
        ca->leaves = leaf_cache_new(ca->cert, ca->key, e);
        err = ca->leaves ? 0 : -1;
    }
    if (err) {
        ca_free(ca);
        return NULL;
    }
    if (made)
        *made = won;
    return ca;
}

void ca_free(struct ca *ca)
{
    if (!ca)
        return;
    leaf_cache_free(ca->leaves);
    EVP_PKEY_free(ca->key);
    X509_free(ca->cert);
    free(ca->path);
    free(ca);
}

const char *ca_path(const struct ca *ca)
{
    return ca->path;
}

X509 *ca_certificate(const struct ca *ca)
{
    return ca->cert;
}

/* Under a name of its own first, so that nobody reads half of it. */
static int write_public(const char *path, const char *text, size_t n, struct error *e)
{
    char *temp = NULL;
    int fd, err = 0;

    if (asprintf(&temp, "%s.XXXXXX", path) < 0)
        return error_set(e, ERR_NOMEM, "for the CA's certificate");
    fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0644) || write_all(fd, text, n) || rename(temp, path))
        err = error_set(e, ERR_IO,
                        "cannot write %s: %s; make its folder writable, or print the certificate "
                        "with `xmpptap ca export`",
                        path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (err && fd >= 0)
        unlink(temp);
    free(temp);
    return err;
}

int ca_write_certificate(const struct ca *ca, char *path, size_t size, struct error *e)
{
    char *real = realpath(ca->path, NULL), *text;
    BIO *pem = BIO_new(BIO_s_mem());
    int err, n;

    if (!real || !pem || !PEM_write_bio_X509(pem, ca->cert)) {
        err = cert_error(e, "no memory for the CA's certificate");
        goto out;
    }
    n = snprintf(path, size, "%.*s/" CERTIFICATE_FILE, (int)(strrchr(real, '/') - real), real);
    if (n < 0 || (size_t)n >= size) {
        err = error_set(e, ERR_IO, "the name of the CA's folder is too long; name another one with "
                        "--ca-dir");
        goto out;
    }
    n = (int)BIO_get_mem_data(pem, &text);
    err = write_public(path, text, (size_t)n, e);
out:
    BIO_free(pem);
    free(real);
    return err;
}

void ca_prepare_leaves(struct ca *ca, leaf_prepare *prepare, void *arg)
{
    leaf_cache_prepare(ca->leaves, prepare, arg);
}

SSL_CTX *ca_leaf_context(struct ca *ca, const char *domain, X509 *upstream, struct error *e)
{
    return leaf_cache_context(ca->leaves, domain, upstream, e);
}

#include "identity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>

#include "leaf.h"

static const char *key_file(const struct identity_files *f)
{
    return f->key ? f->key : f->cert;
}

bool identity_key_is_shared(const struct identity_files *f)
{
    struct stat st;

    return stat(key_file(f), &st) == 0 && (st.st_mode & (S_IRGRP | S_IWGRP));
}

/* Can it be read, and (a key) by nobody else? */
static int check_file(const char *path, const char *what, const struct identity_files *f, bool key,
                      struct error *e)
{
    struct stat st;
    FILE *in = fopen(path, "re");

    if (!in || fstat(fileno(in), &st)) {
        error_set(e, ERR_IO, "cannot read %s: %s; give --%s-%s a readable PEM file", path,
                  strerror(errno), f->option, what);
        if (in)
            fclose(in);
        return ERR_IO;
    }
    fclose(in);
    if (!S_ISREG(st.st_mode))
        return error_set(e, ERR_IO, "%s is no file; give --%s-%s a PEM file", path, f->option,
                         what);
    if (key && (st.st_mode & (S_IROTH | S_IWOTH)))
        return error_set(e, ERR_CA, "%s holds a key and is open to everybody (mode %04o): chmod 600 "
                         "%s", path, st.st_mode & 07777u, path);
    return 0;
}

/* An encrypted key: nobody is there to be asked for its password. */
static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

/* OpenSSL's reason, with what to do about the usual ones. */
static int refused(const char *path, const char *what, const struct identity_files *f,
                   struct error *e)
{
    unsigned long err = ERR_peek_last_error();
    int reason = ERR_GET_REASON(err);
    const char *why = ERR_reason_error_string(err);

    if (reason == ERR_R_MALLOC_FAILURE)
        error_set(e, ERR_NOMEM, "while reading %s", path);
    else if (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH)
        error_set(e, ERR_CA, "%s is not the key of the certificate in %s; give the pair with "
                  "--%s-cert and --%s-key, the certificate first in its file", path, f->cert,
                  f->option, f->option);
    else
        error_set(e, ERR_CA, "%s: no usable %s in it%s (%s); give --%s-%s the right PEM file", path,
                  strcmp(what, "key") == 0 ? "private key" : "certificate",
                  strcmp(what, "key") == 0 ? " that is not encrypted" : "",
                  why ? why : "no reason given", f->option, what);
    return (int)e->code;
}

int identity_use(SSL_CTX *ctx, const struct identity_files *f, struct error *e)
{
    const char *key = key_file(f);
    const char *what = f->key ? "key" : "cert";
    int err = check_file(f->cert, "cert", f, false, e);

    if (!err)
        err = check_file(key, what, f, true, e);
    if (err)
        return err;
    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    if (SSL_CTX_use_certificate_chain_file(ctx, f->cert) != 1)
        err = refused(f->cert, "cert", f, e);
    else if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
             SSL_CTX_check_private_key(ctx) != 1)
        err = refused(key, "key", f, e);
    ERR_clear_error();
    return err;
}

SSL_CTX *identity_server_context(const struct identity_files *f, struct error *e)
{
    SSL_CTX *ctx = leaf_bare_context();

    if (!ctx) {
        error_set(e, ERR_NOMEM, "for the server's certificate");
        return NULL;
    }
    if (identity_use(ctx, f, e)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/* cmd_ca.c: `xmpptap ca show|export`. */
#include <stdio.h>
#include <string.h>

#include <openssl/pem.h>

#include "../certs/ca.h"
#include "options.h"

struct ca_options {
    const char *ca_dir;
};

static const struct option_row rows[] = {
    {0, "ca-dir", "DIR", OPTION_STRING, offsetof(struct ca_options, ca_dir),
     "where the CA is (default $XDG_DATA_HOME/xmpptap)"},
    {0}};

static int show(const struct ca *ca)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    X509 *cert = ca_certificate(ca);
    BIO *out = BIO_new_fp(stdout, BIO_NOCLOSE);

    if (!out || X509_digest(cert, EVP_sha256(), md, &n) != 1) {
        BIO_free(out);
        return 1;
    }
    BIO_printf(out, "file:        %s\nsubject:     ", ca_path(ca));
    X509_NAME_print_ex(out, X509_get_subject_name(cert), 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
    BIO_puts(out, "\nvalid until: ");
    ASN1_TIME_print(out, X509_get0_notAfter(cert));
    BIO_puts(out, "\nSHA-256:     ");
    for (unsigned i = 0; i < n; i++)
        BIO_printf(out, "%s%02X", i ? ":" : "", md[i]);
    BIO_puts(out, "\n");
    BIO_free(out);
    return fflush(stdout) ? 1 : 0;
}

static int export(const struct ca *ca)
{
    return PEM_write_X509(stdout, ca_certificate(ca)) == 1 && fflush(stdout) == 0 ? 0 : 1;
}

static int run(int argc, char **argv, const struct command *c)
{
    struct ca_options o = {0};
    char dir[4096];
    struct error e;
    struct ca *ca;
    int rest, status;
    bool is_show;

    status = options_parse(c, argc, argv, &o, &rest);
    if (status != OPTIONS_OK)
        return status;
    is_show = rest < argc && strcmp(argv[rest], "show") == 0;
    if (rest == argc)
        return usage_error(c, "say what to do: show or export");
    if (!is_show && strcmp(argv[rest], "export") != 0)
        return usage_error(c, "%s is not to be had; say show or export", argv[rest]);
    if (rest + 1 < argc)
        return usage_error(c, "%s is too much", argv[rest + 1]);
    if (!o.ca_dir)
        o.ca_dir = CA_DIR(dir, sizeof dir);
    if (!*o.ca_dir)
        return usage_error(c, "neither HOME nor XDG_DATA_HOME is set; give --ca-dir DIR");
    ca = ca_open(o.ca_dir, NULL, &e);
    if (!ca) {
        fprintf(stderr, "xmpptap: %s\n", e.detail);
        return 1;
    }
    status = is_show ? show(ca) : export(ca);
    if (status)
        fprintf(stderr, "xmpptap: standard output takes nothing; is the disk full?\n");
    ca_free(ca);
    return status;
}

const struct command cmd_ca = {
    "ca", "[OPTIONS] show|export",
    "the CA: where it is, or its certificate (PEM) on standard output", rows, run,
};

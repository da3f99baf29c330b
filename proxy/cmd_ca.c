/* cmd_ca.c: `xmpptap ca show|export|help-trust`. */
#include <stdio.h>
#include <string.h>

#include <openssl/pem.h>

#include "../certs/ca.h"
#include "../certs/cert.h"
#include "options.h"
#include "trust.h"

struct ca_options {
    const char *ca_dir;
};

static const struct option_row rows[] = {
    {0, "ca-dir", "DIR", OPTION_STRING, offsetof(struct ca_options, ca_dir),
     "where the CA is (default $XDG_DATA_HOME/xmpptap)"},
    {0}};

static int show(const struct ca *ca, const char *argument)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    X509 *cert = ca_certificate(ca);
    BIO *out = BIO_new_fp(stdout, BIO_NOCLOSE);

    (void)argument;
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

static int export(const struct ca *ca, const char *argument)
{
    (void)argument;
    return PEM_write_X509(stdout, ca_certificate(ca)) == 1 && fflush(stdout) == 0 ? 0 : 1;
}

/* The certificate gets a file of its own: ca.pem holds the key, which must go nowhere. */
static int help_trust(const struct ca *ca, const char *system)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char file[4096], sha1[2 * EVP_MAX_MD_SIZE + 1] = "", name[128];
    struct trust_facts facts = {file, sha1, name};
    struct error e;

    if (ca_write_certificate(ca, file, sizeof file, &e)) {
        fprintf(stderr, "xmpptap: %s\n", e.detail);
        return -1;
    }
    X509_digest(ca_certificate(ca), EVP_sha1(), md, &n);
    for (unsigned i = 0; i < n; i++)
        snprintf(sha1 + 2 * i, 3, "%02X", md[i]);
    cert_common_name(ca_certificate(ca), name, sizeof name);
    printf("The CA's certificate, without its key: %s\n"
           "Its name in lists of authorities: %s\n"
           "Whoever has the key beside it can read the connections of every client that trusts it:\n"
           "take the trust away again when you are done.\n", file, name);
    trust_print(stdout, system, &facts);
    return fflush(stdout) ? 1 : 0;
}

static const struct action {
    const char *name;
    int (*run)(const struct ca *ca, const char *argument); /* 1: standard output failed; -1: said */
    bool takes_argument;
} actions[] = {
    {"show", show, false},
    {"export", export, false},
    {"help-trust", help_trust, true},
};

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

static int usage(const struct command *c, char **argv, int rest, int argc)
{
    const struct action *a = rest < argc ? find_action(argv[rest]) : NULL;
    char names[256];

    if (rest == argc)
        return usage_error(c, "say what to do: show, export or help-trust");
    if (!a)
        return usage_error(c, "%s is not to be had; say show, export or help-trust", argv[rest]);
    if (rest + 1 + a->takes_argument < argc)
        return usage_error(c, "%s is too much", argv[argc - 1]);
    if (rest + 1 < argc && !trust_knows(argv[rest + 1]))
        return usage_error(c, "%s is none of those that help-trust knows: %s", argv[rest + 1],
                           trust_names(names, sizeof names));
    return 0;
}

static int run(int argc, char **argv, const struct command *c)
{
    struct ca_options o = {0};
    char dir[4096];
    struct error e;
    struct ca *ca;
    int rest, status;

    status = options_parse(c, argc, argv, &o, &rest);
    if (status != OPTIONS_OK)
        return status;
    status = usage(c, argv, rest, argc);
    if (status)
        return status;
    if (!o.ca_dir)
        o.ca_dir = CA_DIR(dir, sizeof dir);
    if (!*o.ca_dir)
        return usage_error(c, "neither HOME nor XDG_DATA_HOME is set; give --ca-dir DIR");
    ca = ca_open(o.ca_dir, NULL, &e);
    if (!ca) {
        fprintf(stderr, "xmpptap: %s\n", e.detail);
        return 1;
    }
    status = find_action(argv[rest])->run(ca, rest + 1 < argc ? argv[rest + 1] : NULL);
    if (status > 0)
        fprintf(stderr, "xmpptap: standard output takes nothing; is the disk full?\n");
    ca_free(ca);
    return status ? 1 : 0;
}

const struct command cmd_ca = {
    "ca", "[OPTIONS] show|export|help-trust [SYSTEM]",
    "the CA: where it is, its certificate (PEM) on standard output, or how to trust it", rows, run,
};

/* The CA's file: made, refused, raced for. */
#include "certs_tests.h"

#include <grp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <idn2.h>
#include <openssl/sha.h>

/* ---- the CA's file ---- */

static void the_ca_is_made_once(void **state)
{
    char dir[PATH_SIZE * 2], path[PATH_SIZE * 2];
    struct error e = {0};
    struct stat st;
    bool made = false;
    struct ca *ca, *again;

    (void)state;
    umask(0); /* nothing may depend on a kind one */
    ca = ca_open(in_test_dir("a/b/ca", dir), &made, &e);
    umask(022);
    assert_non_null(ca);
    assert_true(made);
    assert_string_equal(ca_path(ca), in_test_dir("a/b/ca/ca.pem", path));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_nlink, 1); /* the temporary name is gone */
    assert_int_equal(stat(in_test_dir("a/b/ca", path), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(in_test_dir("a", path), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);

    again = ca_open(dir, &made, &e);
    assert_non_null(again);
    assert_false(made);
    assert_int_equal(X509_cmp(ca_certificate(ca), ca_certificate(again)), 0);
    ca_free(again);
    ca_free(ca);
    ca_free(NULL);
}

static void the_ca_says_what_it_is(void **state)
{
    struct ca *ca = open_ca("ca");
    X509 *x = ca_certificate(ca);
    char cn[128], host[256] = "", group[32];
    int critical = -1;
    BASIC_CONSTRAINTS *bc = X509_get_ext_d2i(x, NID_basic_constraints, &critical, NULL);

    (void)state;
    gethostname(host, sizeof host - 1);
    host[20] = '\0';
    assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof cn) >
                0);
    assert_memory_equal(cn, "xmpptap CA (", 12);
    assert_says(cn, host);
    assert_in_range(strlen(cn), 20, 64);
    assert_non_null(bc);
    assert_int_equal(critical, 1);
    assert_true(bc->ca);
    assert_non_null(bc->pathlen);
    assert_int_equal(ASN1_INTEGER_get(bc->pathlen), 0);
    BASIC_CONSTRAINTS_free(bc);
    assert_int_equal(X509_get_key_usage(x), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    assert_non_null(X509_get0_subject_key_id(x));
    assert_int_equal(ASN1_STRING_length(X509_get0_serialNumber(x)), 16);
    assert_int_equal(X509_get_signature_nid(x), NID_ecdsa_with_SHA256);
    assert_true(EVP_PKEY_get_group_name(X509_get0_pubkey(x), group, sizeof group, NULL));
    assert_string_equal(group, "prime256v1");
    assert_days(X509_get0_notBefore(x), -1);
    assert_days(X509_get0_notAfter(x), 3650);
    assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
    ca_free(ca);
}

static void spoil_mode(const char *path, struct identity *id)
{
    (void)id;
    assert_int_equal(chmod(path, 0644), 0);
}

static void spoil_group(const char *path, struct identity *id)
{
    (void)id;
    assert_int_equal(chmod(path, 0620), 0);
}

static void spoil_owner(const char *path, struct identity *id)
{
    (void)id;
    assert_int_equal(chown(path, 65534, 65534), 0);
}

static void spoil_text(const char *path, struct identity *id)
{
    (void)id;
    assert_int_equal(truncate(path, 40), 0);
}

static void spoil_empty(const char *path, struct identity *id)
{
    (void)id;
    assert_int_equal(truncate(path, 0), 0);
}

static void spoil_long(const char *path, struct identity *id)
{
    (void)id;
    assert_int_equal(truncate(path, 1 << 20), 0);
}

static void spoil_key_only(const char *path, struct identity *id)
{
    write_ca(path, id->key, NULL, NULL);
}

static void spoil_cert_only(const char *path, struct identity *id)
{
    write_ca(path, NULL, id->cert, NULL);
}

static void spoil_encrypted(const char *path, struct identity *id)
{
    write_ca(path, id->key, id->cert, "secret");
}

static void spoil_match(const char *path, struct identity *id)
{
    EVP_PKEY *other = EVP_EC_gen("P-256");

    write_ca(path, other, id->cert, NULL);
    EVP_PKEY_free(other);
}

static void spoil_expired(const char *path, struct identity *id)
{
    struct identity old = make_identity("old", NULL, NULL, -20, -10);

    (void)id;
    write_ca(path, old.key, old.cert, NULL);
    free_identity(&old);
}

static void spoil_future(const char *path, struct identity *id)
{
    struct identity early = make_identity("early", NULL, NULL, 10, 20);

    (void)id;
    write_ca(path, early.key, early.cert, NULL);
    free_identity(&early);
}

static void spoil_leaf(const char *path, struct identity *id)
{
    struct identity leaf = make_identity("leaf", NULL, id, -1, 10);

    write_ca(path, leaf.key, leaf.cert, NULL);
    free_identity(&leaf);
}

static void spoil_folder(const char *path, struct identity *id)
{
    (void)id;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void spoil_fifo(const char *path, struct identity *id)
{
    (void)id;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
}

static void spoil_link(const char *path, struct identity *id)
{
    (void)id;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("nowhere", path), 0);
}

static void spoil_nothing(const char *path, struct identity *id)
{
    write_ca(path, id->key, id->cert, NULL);
}

static const struct {
    const char *name;
    void (*spoil)(const char *path, struct identity *id);
    enum error_code code;
    const char *says;
} refusals[] = {
    {"control", spoil_nothing, ERR_NONE, ""},
    {"mode 0644", spoil_mode, ERR_CA, "(mode 0644): chmod 600 "},
    {"mode 0620", spoil_group, ERR_CA, "(mode 0620): chmod 600 "},
    {"owner", spoil_owner, ERR_CA, "belongs to user 65534|chown"},
    {"garbage", spoil_text, ERR_CA, "no readable private key|move it away"},
    {"empty", spoil_empty, ERR_CA, "no readable private key|move it away"},
    {"too long", spoil_long, ERR_CA, "too long|move it away"},
    {"key only", spoil_key_only, ERR_CA, "no readable certificate|move it away"},
    {"certificate only", spoil_cert_only, ERR_CA, "no readable private key|move it away"},
    {"encrypted key", spoil_encrypted, ERR_CA, "no readable private key|not encrypted"},
    {"mismatch", spoil_match, ERR_CA, "do not belong together|restore the file"},
    {"expired", spoil_expired, ERR_CA, "expired on 20|move it away, start again"},
    {"not yet valid", spoil_future, ERR_CA, "not valid before 20|clock"},
    {"no CA", spoil_leaf, ERR_CA, "is no CA's|move it away"},
    {"a folder in its place", spoil_folder, ERR_CA, "is no file|--ca-dir"},
    {"a FIFO in its place", spoil_fifo, ERR_CA, "is no file|--ca-dir"},
    {"a link to nowhere", spoil_link, ERR_IO, "link to nowhere|remove it"},
};

static int files_in(const char *dir)
{
    char path[PATH_SIZE * 3], line[16] = "0";
    FILE *f;

    snprintf(path, sizeof path, "ls -A '%s' | wc -l", dir);
    f = popen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    pclose(f);
    return (int)strtol(line, NULL, 10);
}

static void bad_files_are_refused_with_a_cure(void **state)
{
    struct identity id = make_identity("test CA", NULL, NULL, -1, 10);

    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        char dir[PATH_SIZE * 2], path[PATH_SIZE * 2], name[64];
        struct error e = {0};
        struct ca *ca;

        if (refusals[i].spoil == spoil_owner && geteuid() != 0)
            continue; /* only root can give files away */
        snprintf(name, sizeof name, "%zu", i);
        in_test_dir(name, dir);
        ca = ca_open(dir, NULL, &e);
        assert_non_null(ca);
        ca_free(ca);
        snprintf(name, sizeof name, "%zu/ca.pem", i);
        in_test_dir(name, path);
        refusals[i].spoil(path, &id);
        ca = ca_open(dir, NULL, &e);
        if (e.code != refusals[i].code)
            fail_msg("%s: %s", refusals[i].name, e.detail);
        assert_true(ca ? e.code == ERR_NONE : e.code != ERR_NONE);
        if (!ca)
            assert_says(e.detail, path);
        assert_says(e.detail, refusals[i].says);
        assert_int_equal(files_in(dir), 1); /* nothing half-made is left */
        assert_int_equal(ERR_peek_error(), 0);
        ca_free(ca);
    }
    free_identity(&id);
}

#define UNREACHABLE (-1) /* root's $TMPDIR may be closed to others */

/* What root is never refused, seen as somebody else. Returns 0, or a line's number. */
static int as_a_plain_user(const char *dir)
{
    struct error e = {0};
    char path[PATH_SIZE * 3];
    struct ca *ca;

    if (geteuid() == 0 && (setgroups(0, NULL) || setgid(65534) || setuid(65534)))
        return __LINE__;
    if (access(dir, W_OK))
        return UNREACHABLE;
    ca = ca_open(dir, NULL, &e);
    if (!ca)
        return __LINE__;
    snprintf(path, sizeof path, "%s/ca.pem", dir);
    if (chmod(path, 0) || ca_open(dir, NULL, &e) || e.code != ERR_IO ||
        !strstr(e.detail, "cannot open") || !strstr(e.detail, "--ca-dir"))
        return __LINE__;
    if (unlink(path) || chmod(dir, 0500) || ca_open(dir, NULL, &e) || e.code != ERR_IO ||
        !strstr(e.detail, "cannot write in") || !strstr(e.detail, "chmod u+w"))
        return __LINE__;
    snprintf(path, sizeof path, "%s/below", dir);
    if (ca_open(path, NULL, &e) || e.code != ERR_IO ||
        !strstr(e.detail, "cannot make the folder") || !strstr(e.detail, "--ca-dir"))
        return __LINE__;
    ca_free(ca);
    return 0;
}

static void folders_without_rights_are_named(void **state)
{
    char dir[PATH_SIZE * 2];
    int status;
    pid_t child;

    (void)state;
    assert_int_equal(chmod(test_dir, 0755), 0);
    assert_int_equal(mkdir(in_test_dir("plain", dir), 0700), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(dir, 65534, 65534), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int line = as_a_plain_user(dir);

        if (line)
            print_error("as_a_plain_user: line %d\n", line);
        _exit(line == UNREACHABLE ? 2 : line != 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(chmod(dir, 0700), 0);
    if (geteuid() == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 2)
        skip();
    assert_int_equal(status, 0);
}

static void no_folder_is_no_root_folder(void **state)
{
    struct error e = {0};

    (void)state;
    assert_null(ca_open("", NULL, &e));
    assert_int_equal(e.code, ERR_IO);
    assert_says(e.detail, "--ca-dir");
}

/* ---- two at once ---- */

#define RACERS 8

struct racer {
    const char *dir;
    pthread_barrier_t *start;
    bool made;
    unsigned char digest[SHA256_DIGEST_LENGTH]; /* of the CA it got */
    struct error e;
    bool ok;
};

static void run_racer(struct racer *r)
{
    struct ca *ca;

    pthread_barrier_wait(r->start);
    ca = ca_open(r->dir, &r->made, &r->e);
    r->ok = ca && X509_digest(ca_certificate(ca), EVP_sha256(), r->digest, NULL);
    ca_free(ca);
}

static void *racer_thread(void *arg)
{
    run_racer(arg);
    return NULL;
}

static void assert_one_won(const struct racer *r)
{
    int made = 0;

    for (int i = 0; i < RACERS; i++) {
        if (!r[i].ok)
            fail_msg("racer %d: %s", i, r[i].e.detail);
        assert_memory_equal(r[i].digest, r[0].digest, sizeof r[0].digest);
        made += r[i].made;
    }
    assert_int_equal(made, 1);
}

static void threads_at_once_agree(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        char dir[PATH_SIZE * 2], name[32];
        struct racer r[RACERS] = {0};
        pthread_t thread[RACERS];
        pthread_barrier_t start;

        snprintf(name, sizeof name, "threads%d", round);
        in_test_dir(name, dir);
        pthread_barrier_init(&start, NULL, RACERS);
        for (int i = 0; i < RACERS; i++) {
            r[i].dir = dir;
            r[i].start = &start;
            assert_int_equal(pthread_create(&thread[i], NULL, racer_thread, &r[i]), 0);
        }
        for (int i = 0; i < RACERS; i++)
            pthread_join(thread[i], NULL);
        pthread_barrier_destroy(&start);
        assert_one_won(r);
        assert_int_equal(files_in(dir), 1);
    }
}

static void processes_at_once_agree(void **state)
{
    char dir[PATH_SIZE * 2];
    struct {
        pthread_barrier_t start;
        struct racer racer[RACERS];
    } *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_barrierattr_t attr;
    pid_t child[RACERS];

    (void)state;
    assert_true(shared != MAP_FAILED);
    in_test_dir("processes", dir);
    pthread_barrierattr_init(&attr);
    pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&shared->start, &attr, RACERS);
    for (int i = 0; i < RACERS; i++) {
        shared->racer[i].dir = dir;
        shared->racer[i].start = &shared->start;
        child[i] = fork();
        assert_true(child[i] >= 0);
        if (child[i] == 0) {
            run_racer(&shared->racer[i]);
            _exit(0);
        }
    }
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(waitpid(child[i], NULL, 0), child[i]);
    assert_one_won(shared->racer);
    assert_int_equal(files_in(dir), 1);
    munmap(shared, sizeof *shared);
}

/* ---- forms of a domain ---- */

/* What is written without libidn2 is what that makes of it. */
static void a_plain_domain_has_one_form(void **state)
{
    static const char letters[] = "abcxn019.-.-z";
    const int flags = IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT;
    unsigned random = 1;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char domain[128], a_labels[128], u_labels[128], *a = NULL, *u = NULL;
        unsigned n = (unsigned)i % 100;

        for (unsigned k = 0; k < n; k++) {
            random = random * 1103515245u + 12345u;
            domain[k] = letters[(random >> 16) % (sizeof letters - 1)];
        }
        domain[n] = '\0';
        cert_a_labels(domain, a_labels, sizeof a_labels);
        cert_u_labels(domain, u_labels, sizeof u_labels);
        if (idn2_to_ascii_8z(domain, &a, flags) == IDN2_OK)
            assert_string_equal(a_labels, a);
        else
            assert_string_equal(a_labels, domain);
        if (!strstr(domain, "--") && idn2_to_unicode_8z8z(domain, &u, 0) == IDN2_OK)
            assert_string_equal(u_labels, u);
        idn2_free(a);
        idn2_free(u);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_ca_is_made_once),
        TEST(the_ca_says_what_it_is),
        TEST(bad_files_are_refused_with_a_cure),
        TEST(folders_without_rights_are_named),
        TEST(no_folder_is_no_root_folder),
        TEST(threads_at_once_agree),
        TEST(processes_at_once_agree),
        TEST(a_plain_domain_has_one_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

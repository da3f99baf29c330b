/* The nth allocation of OpenSSL fails, for every n: an error comes back, and nothing is lost. */
#include "certs_tests.h"

#include <errno.h>

static long fail_at; /* counts down; the allocation that makes it 0 fails */

/* Nine tenths of what reading a key allocates is OpenSSL looking up algorithms by name, and big
 * numbers: not counted, or the test takes a minute. */
static bool counts(const char *file)
{
    static const char *const passed_over[] = {"core_namemap.c", "property.c", "stack.c", "/bn/"};

    for (size_t i = 0; file && i < COUNT(passed_over); i++)
        if (strstr(file, passed_over[i]))
            return false;
    return true;
}

static bool failing(const char *file)
{
    return fail_at > 0 && counts(file) && --fail_at == 0;
}

static void *hooked_malloc(size_t n, const char *file, int line)
{
    (void)line;
    return failing(file) ? NULL : malloc(n);
}

static void *hooked_realloc(void *p, size_t n, const char *file, int line)
{
    (void)line;
    return failing(file) ? NULL : realloc(p, n);
}

static void hooked_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

/* In place of the C library's: thousands of CAs are made here, and the disk is not the matter. */
int fsync(int fd)
{
    (void)fd;
    return 0;
}

/* Did the countdown reach its end? Switches it off. */
static bool has_failed(void)
{
    bool reached = fail_at == 0;

    fail_at = 0;
    ERR_clear_error();
    return reached;
}

static void a_leaf_survives_failed_allocations(void **state)
{
    static const char *const names[] = {"a.example", "b.example", "*.c.example"};
    struct identity upstream = make_identity("up", dns_names(names, 3), NULL, -1, 1);
    struct ca *ca = open_ca("ca");
    char domain[32];
    bool reached = true;
    int refused = 0;

    (void)state;
    SSL_CTX_free(ca_leaf_context(ca, "warm.example", upstream.cert, NULL)); /* OpenSSL's own */
    for (long n = 1; reached && n < 20000; n++) {
        struct error e = {0};
        SSL_CTX *ctx;

        snprintf(domain, sizeof domain, "n%ld.example", n);
        fail_at = n;
        ctx = ca_leaf_context(ca, domain, upstream.cert, &e);
        reached = has_failed();
        if (!ctx) {
            refused++;
            assert_true(e.code == ERR_NOMEM || e.code == ERR_CA);
        } else {
            GENERAL_NAMES *san =
                X509_get_ext_d2i(SSL_CTX_get0_certificate(ctx), NID_subject_alt_name, NULL, NULL);

            assert_true(sk_GENERAL_NAME_num(san) >= 1);
            GENERAL_NAMES_free(san);
        }
        SSL_CTX_free(ctx);
    }
    assert_false(reached);
    assert_true(refused > 50);
    free_identity(&upstream);
    ca_free(ca);
}

static void the_ca_survives_failed_allocations(void **state)
{
    char dir[PATH_SIZE * 2], path[PATH_SIZE * 2];
    bool reached = true;
    int refused = 0;

    (void)state;
    ca_free(open_ca("warm"));
    in_test_dir("ca", dir);
    for (long n = 1; reached && n < 20000; n++) {
        struct error e = {0};
        bool made = false;
        struct ca *ca;

        fail_at = n;
        ca = ca_open(dir, &made, &e);
        reached = has_failed();
        refused += !ca;
        assert_true(ca || e.code == ERR_NOMEM || e.code == ERR_CA || e.code == ERR_IO);
        ca_free(ca);
        /* Whatever failed: what stands there now is a whole CA or nothing. */
        if (access(in_test_dir("ca/ca.pem", path), F_OK) == 0) {
            ca = ca_open(dir, NULL, &e);
            if (!ca)
                fail_msg("allocation %ld: %s", n, e.detail);
            ca_free(ca);
            assert_int_equal(unlink(path), 0);
        }
        assert_true(rmdir(dir) == 0 || errno == ENOENT); /* empty: no temporary file stayed */
    }
    assert_false(reached);
    assert_true(refused > 50);
}

static void verifying_survives_failed_allocations(void **state)
{
    static const char *const san[] = {"example.org"};
    struct identity id = make_identity("example.net", dns_names(san, 1), NULL, -1, 1);
    char path[PATH_SIZE * 2];
    SSL_CTX *server = server_context(&id, NULL), *client;
    bool reached = true;
    struct pair p;

    (void)state;
    write_certificate(in_test_dir("trusted.pem", path), id.cert);
    client = verify_context(path, NULL);
    assert_non_null(client);
    p = new_pair(client, server);
    shake(&p);
    assert_true(p.client_ok);
    for (long n = 1; reached && n < 20000; n++) {
        struct error e = {0};

        fail_at = n;
        /* Without memory a wrong name does not become a right one, nor the subject a SAN. */
        assert_int_equal(verify_peer(p.client, "example.net", &e), ERR_CERTIFICATE);
        reached = has_failed();
    }
    assert_false(reached);
    reached = true;
    for (long n = 1; reached && n < 20000; n++) {
        struct error e = {0};
        SSL_CTX *ctx;

        fail_at = n;
        ctx = verify_context(path, &e);
        reached = has_failed();
        assert_true(ctx || e.code);
        SSL_CTX_free(ctx);
    }
    assert_false(reached);
    free_pair(&p);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    free_identity(&id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_leaf_survives_failed_allocations),
        TEST(the_ca_survives_failed_allocations),
        TEST(verifying_survives_failed_allocations),
    };

    if (!CRYPTO_set_mem_functions(hooked_malloc, hooked_realloc, hooked_free))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

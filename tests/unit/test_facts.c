/* A domain as TLS names it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../proxy/facts.h"

static void test_domain(void **state)
{
    static const struct {
        const char *asked, *named;
    } rows[] = {
        {"example.org", "example.org"},
        {"b\xc3\xbc"
         "cher.example",
         "xn--bcher-kva.example"},
        {"B\xc3\x9c"
         "CHER.example",
         "xn--bcher-kva.example"},
        {"xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"xumatomacbook-pro.local", "xumatomacbook-pro.local"},
        {"127.0.0.1", "127.0.0.1"},
        {"::1", "::1"},
        {"\xff.example", "\xff.example"}, /* no UTF-8: as it is, for the checks to refuse */
        {"", ""},
    };
    char out[1024];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(tls_domain(rows[i].asked, out, sizeof out), rows[i].named);
}

/* Whatever a client asks for fits, or is cut, and ends. */
static void test_long(void **state)
{
    char asked[3000], out[64];

    (void)state;
    memset(asked, 'a', sizeof asked - 1);
    asked[sizeof asked - 1] = '\0';
    tls_domain(asked, out, sizeof out);
    assert_int_equal(strlen(out), sizeof out - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_domain),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

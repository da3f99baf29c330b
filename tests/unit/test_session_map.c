/* What is kept for each session is found by its id, however many there are, and gone when dropped. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "../../logs/session_map.h"

#define SESSIONS 5000

struct kept {
    struct session_key key;
    unsigned number;
};

static const char *id_of(unsigned i)
{
    static char id[32];

    snprintf(id, sizeof id, "q7xk3mza-%u", i);
    return id;
}

static void each_is_found(void **state)
{
    struct session_map m = {0};
    struct kept *k;

    (void)state;
    assert_null(session_map_get(&m, id_of(0)));
    for (unsigned i = 0; i < SESSIONS; i++) {
        k = session_map_add(&m, id_of(i), sizeof *k);
        assert_non_null(k);
        assert_string_equal(k->key.id, id_of(i));
        assert_int_equal(k->number, 0);
        k->number = i;
    }
    assert_true(m.buckets >= SESSIONS);
    for (unsigned i = 0; i < SESSIONS; i += 2)
        session_map_drop(&m, session_map_get(&m, id_of(i)));
    assert_int_equal(m.count, SESSIONS / 2);
    for (unsigned i = 0; i < SESSIONS; i++) {
        k = session_map_get(&m, id_of(i));
        if (i % 2 == 0) {
            assert_null(k);
            continue;
        }
        assert_non_null(k);
        assert_int_equal(k->number, i);
    }
    assert_null(session_map_get(&m, id_of(SESSIONS)));
    assert_null(session_map_get(&m, ""));
    for (size_t i = 0; i < m.buckets; i++)
        while (m.bucket[i])
            session_map_drop(&m, m.bucket[i]);
    assert_int_equal(m.count, 0);
    session_map_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

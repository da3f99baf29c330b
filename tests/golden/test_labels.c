/* Golden cases of the label table: labels.tsv has at least one for every row, so that each is known
 * to be reached, and none stands behind one that takes everything; labels_not.tsv has what looks
 * like another phase. The bytes are what clients and servers send, so a wrong namespace is seen. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../decoder/labels.h"

#define ACCOUNT "anna@example.org"
#define ROWS    1024 /* at most, of the table */

enum { ID, DIR, PHASE, REQUEST, BYTES, FIELDS };

struct phase_name {
    const char *name;
    enum label_phase phase;
};

static const struct phase_name phases[] = {
    {"open", PHASE_OPEN}, {"tls", PHASE_TLS}, {"bound", PHASE_BOUND}};

static enum label_phase phase_of(const char *name)
{
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
        if (strncmp(name, phases[i].name, strlen(phases[i].name)) == 0)
            return phases[i].phase;
    fail_msg("no such phase: %s", name);
    return PHASE_ANY;
}

/* The id of what a case's fields describe. */
static const char *label_of(struct reader *reader, char *const f[FIELDS])
{
    enum dir dir = strcmp(f[DIR], "s2c") == 0 ? DIR_S2C : DIR_C2S;
    enum label_phase phase = phase_of(f[PHASE]);
    const char *request = strcmp(f[REQUEST], "-") == 0 ? NULL : f[REQUEST];
    const char *id;
    struct reader_stream st;
    const struct item *it;
    struct error e = {0};

    if (strcmp(f[BYTES], "</stream:stream>") == 0)
        return label_id(label_for_close(dir));
    if (strstr(f[BYTES], "<stream:stream "))
        return label_id(label_for_header(dir, phase, strstr(f[PHASE], "+first")));
    if (request && !label_by_id(request))
        fail_msg("there is no %s to be answered", request);
    reader_stream_init(&st);
    if (reader_item(reader, &st, f[BYTES], strlen(f[BYTES]), &it, &e))
        fail_msg("%s: %s: %s", f[ID], f[BYTES], e.detail);
    id = label_id(label_for(it, dir, phase, request, phase == PHASE_BOUND ? ACCOUNT : NULL));
    reader_stream_free(&st);
    return id;
}

/* Calls `each` with the tab-separated fields of every line that is no comment; returns how many. */
static unsigned each_case(const char *path, size_t fields,
                          void (*each)(struct reader *r, char *f[], void *arg), void *arg)
{
    struct reader *reader = reader_new();
    FILE *in = fopen(path, "r");
    char *line = NULL, *f[FIELDS + 1];
    size_t size = 0, n;
    unsigned cases = 0;

    if (!in)
        fail_msg("%s cannot be read: run from the repository's root", path);
    while (getline(&line, &size, in) > 0) {
        char *rest = line;

        if (*line == '#')
            continue;
        line[strcspn(line, "\n")] = '\0';
        for (n = 0; n < fields && rest; n++)
            f[n] = strsep(&rest, "\t");
        if (n < fields || rest)
            fail_msg("%s: not %zu fields: %s", path, fields, f[0]);
        each(reader, f, arg);
        cases++;
    }
    free(line);
    fclose(in);
    reader_free(reader);
    return cases;
}

static void is_labelled(struct reader *reader, char *f[], void *arg)
{
    bool *seen = arg;
    const char *id = label_of(reader, f);
    size_t row = 0;

    if (strcmp(id, f[ID]) != 0)
        fail_msg("not %s but %s: %s", f[ID], id, f[BYTES]);
    while (label_at(row) && label_at(row) != label_by_id(id))
        row++;
    assert_true(row < ROWS);
    seen[row] = true;
}

static void every_row_has_a_case(void **state)
{
    static bool seen[ROWS];

    (void)state;
    each_case("tests/golden/labels.tsv", FIELDS, is_labelled, seen);
    for (size_t row = 0; label_at(row); row++)
        if (!seen[row])
            fail_msg("%s has no case in tests/golden/labels.tsv", label_id(label_at(row)));
}

static void is_not_mistaken(struct reader *reader, char *f[], void *arg)
{
    char *fields[FIELDS] = {f[0], f[2], f[3], f[4], f[5]};
    const char *id = label_of(reader, fields);

    (void)arg;
    if (!label_by_id(f[1]))
        fail_msg("there is no %s to mistake it for", f[1]);
    if (strcmp(id, f[0]) != 0)
        fail_msg("%s, not %s: %s", id, f[0], f[5]);
    assert_string_not_equal(id, f[1]);
}

static void nothing_is_taken_for_another(void **state)
{
    (void)state;
    assert_true(each_case("tests/golden/labels_not.tsv", FIELDS + 1, is_not_mistaken, NULL) > 50);
}

/* Several recorder threads may ask first at the same moment. */
static void *ask_all(void *arg)
{
    static const char ping[] = "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>";
    struct reader *reader = reader_new();
    struct reader_stream st;
    const struct item *it;
    const char *id = "unread";

    (void)arg;
    reader_stream_init(&st);
    if (reader_item(reader, &st, ping, sizeof ping - 1, &it, NULL) == 0)
        id = label_id(label_for(it, DIR_C2S, PHASE_BOUND, NULL, NULL));
    reader_stream_free(&st);
    reader_free(reader);
    return (void *)(uintptr_t)id;
}

static void threads_may_ask_at_once(void **state)
{
    pthread_t threads[4];
    void *id;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_all, NULL), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &id), 0);
        assert_string_equal(id, "ping.client.request");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_may_ask_at_once), /* first: the table has not been used yet */
        cmocka_unit_test(every_row_has_a_case),
        cmocka_unit_test(nothing_is_taken_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The label table: the documented ids and texts byte for byte, and nothing missing. Whether each
 * row is reached: tests/golden/test_labels.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "../../decoder/labels.h"

/* labels.tsv: id, direction, documented label (- for none), English, what it stands on. */
static void test_documented(void **state)
{
    FILE *f = fopen("tests/data/trace/labels.tsv", "r");
    char line[1024];
    int rows = 0;

    (void)state;
    if (!f)
        fail_msg("tests/data/trace/labels.tsv cannot be read: run from the repository's root");
    while (fgets(line, sizeof line, f)) {
        char *save, *id = strtok_r(line, "\t", &save);
        const struct label *l;

        if (*id == '#')
            continue;
        strtok_r(NULL, "\t", &save);
        char *text = strtok_r(NULL, "\t", &save), *en = strtok_r(NULL, "\t", &save);
        l = label_by_id(id);
        if (!l)
            fail_msg("%s is missing in labels.def", id);
        assert_string_equal(label_id(l), id);
        assert_string_equal(label_text(l, LABELS_EN), en);
        assert_int_equal(label_bare(l), strcmp(text, "-") == 0);
        if (!label_bare(l))
            assert_string_equal(label_text(l, LABELS_DOCUMENTED), text);
        rows++;
    }
    fclose(f);
    assert_int_equal(rows, 30);
}

/* Every row has an id of its own and both texts, in the style: client..., server... */
static void test_complete(void **state)
{
    (void)state;
    for (size_t i = 0; label_at(i); i++) {
        const struct label *l = label_at(i);

        assert_ptr_equal(label_by_id(label_id(l)), l);
        if (label_is_other(l))
            continue;
        for (int lang = LABELS_DOCUMENTED; lang <= LABELS_EN; lang++) {
            const char *text = label_text(l, (enum label_language)lang);

            if (strcmp(text, label_id(l)) == 0 || strpbrk(text, "\n#"))
                fail_msg("%s has no text in language %d", label_id(l), lang);
            if (strncmp(text, "client", 6) != 0 && strncmp(text, "server", 6) != 0 &&
                strcmp(label_id(l), "stream.restart.tls") != 0)
                fail_msg("%s does not say who: %s", label_id(l), text);
        }
    }
}

/* Whatever is asked, and answered by an iq, has a result and an error; ids are what archives may
 * carry, dotted and lower case, and short enough for the transcript to remember. */
static void test_ids(void **state)
{
    static const char *const unanswered[] = {"tls.request", "compression.request"};
    char base[128], answer[160];

    (void)state;
    for (size_t i = 0; label_at(i); i++) {
        const char *id = label_id(label_at(i)), *request = strstr(id, ".request");
        bool asks = request && request[strlen(".request")] == '\0';

        assert_int_equal(strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789.-"), strlen(id));
        assert_non_null(strchr(id, '.'));
        assert_true(strlen(id) < 64);
        for (size_t k = 0; k < sizeof unanswered / sizeof *unanswered; k++)
            asks = asks && strcmp(id, unanswered[k]) != 0;
        if (!asks)
            continue;
        snprintf(base, sizeof base, "%.*s", (int)(request - id), id);
        for (int k = 0; k < 2; k++) {
            snprintf(answer, sizeof answer, "%s.%s", base, k ? "error" : "result");
            if (!label_by_id(answer))
                fail_msg("%s is missing", answer);
        }
    }
}

static void test_other(void **state)
{
    static const struct {
        const char *id;
        enum dir dir;
        const char *type, *ns, *zh, *en;
    } texts[] = {
        {"iq.other", DIR_C2S, "get", "jabber:iq:version", "client请求 iq get jabber:iq:version",
         "client asks for iq get jabber:iq:version"},
        {"iq.other", DIR_S2C, "error", "urn:x", "server报告错误 iq error urn:x",
         "server reports an error about iq error urn:x"},
        {"message.other", DIR_S2C, "odd", NULL, "server发送 message odd",
         "server sends message odd"},
        {"nonza.other", DIR_C2S, "enable", "urn:xmpp:sm:3", "client发送 nonza enable urn:xmpp:sm:3",
         "client sends nonza enable urn:xmpp:sm:3"},
        {"presence.other", DIR_C2S, NULL, NULL, "client发送 presence", "client sends presence"},
    };
    char out[256], small[8];

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct label *l = label_by_id(texts[i].id);

        assert_true(label_is_other(l));
        assert_string_equal(label_other_text(l, texts[i].dir, texts[i].type, texts[i].ns,
                                             LABELS_DOCUMENTED, out, sizeof out),
                            texts[i].zh);
        assert_string_equal(label_other_text(l, texts[i].dir, texts[i].type, texts[i].ns, LABELS_EN,
                                             out, sizeof out),
                            texts[i].en);
        label_other_text(l, texts[i].dir, texts[i].type, texts[i].ns, LABELS_EN, small,
                         sizeof small);
        assert_int_equal(strlen(small), sizeof small - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documented),
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

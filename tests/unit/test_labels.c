/* The label table: the documented ids and texts byte for byte, and nothing missing. */
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

/* ---- every row names an item of its own: none is shadowed by an earlier one ---- */

#define NS_STREAMS "http://etherx.jabber.org/streams"
#define NS_TLS     "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL    "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_BIND    "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_SESSION "urn:ietf:params:xml:ns:xmpp-session"
#define HEADER     "header"
#define CLOSE      "close"
#define ACCOUNT    "a@b"

enum { C2S = 1 << DIR_C2S, S2C = 1 << DIR_S2C, BOTH = C2S | S2C };
enum when { ALWAYS, FIRST, BROADCAST, SELF };

static const struct row {
    const char *id;
    unsigned dirs, phases;
    const char *element, *type, *payload, *inner;
    enum when when;
    const char *answers;
} rows[] = {
#define LABEL(id, dir, phase, element, type, payload, inner, when, zh, en)                         \
    {id, dir, PHASE_##phase, element, type, payload, inner, when, NULL},
#define BARE LABEL
#define ANSWER(id, dir, request, type, zh, en)                                                     \
    {id, dir, PHASE_ANY, "iq", type, NULL, NULL, ALWAYS, request},
#define BARE_ANSWER ANSWER
#include "../../decoder/labels.def"
};

/* <NAME xmlns='NS'>BODY</NAME> of "NS NAME" or "NS". */
static void element(char *out, size_t size, const char *pattern, const char *body)
{
    const char *space = strchr(pattern, ' ');
    int ns = space ? (int)(space - pattern) : (int)strlen(pattern);
    const char *name = space ? space + 1 : "x";

    snprintf(out, size, "<%s xmlns='%.*s'>%s</%s>", name, ns, pattern, body, name);
}

static void item_of(const struct row *r, char *out, size_t size)
{
    char inner[512] = "", payload[1024] = "";

    if (r->inner)
        element(inner, sizeof inner, r->inner, "");
    if (r->payload)
        element(payload, sizeof payload, r->payload, inner);
    if (strchr(r->element, ' '))
        element(out, size, r->element, payload);
    else
        snprintf(out, size, "<%s id='1'%s%s%s%s>%s</%s>", r->element,
                 r->type && *r->type ? " type='" : "", r->type ? r->type : "",
                 r->type && *r->type ? "'" : "",
                 r->when == SELF        ? " from='" ACCOUNT "/c'"
                 : r->when == BROADCAST ? ""
                                        : " from='x@y' to='z@y'",
                 payload, r->element);
}

static void check_row(struct reader *reader, const struct row *r, enum dir dir)
{
    enum label_phase phase = r->phases == PHASE_ANY ? PHASE_BOUND : (enum label_phase)r->phases;
    const struct item *it;
    const struct label *l;
    struct reader_stream st;
    struct error e = {0};
    char xml[2048];

    if (strcmp(r->element, HEADER) == 0) {
        l = label_for_header(dir, phase, r->when == FIRST);
    } else if (strcmp(r->element, CLOSE) == 0) {
        l = label_for_close(dir);
    } else {
        reader_stream_init(&st);
        item_of(r, xml, sizeof xml);
        if (reader_item(reader, &st, xml, strlen(xml), &it, &e))
            fail_msg("%s: %s: %s", r->id, xml, e.detail);
        l = label_for(it, dir, phase, r->answers, ACCOUNT);
        reader_stream_free(&st);
    }
    if (strcmp(label_id(l), r->id) != 0)
        fail_msg("%s is shadowed by %s", r->id, label_id(l));
}

static void test_not_shadowed(void **state)
{
    struct reader *reader = reader_new();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int dir = 0; dir < 2; dir++)
            if (rows[i].dirs & 1u << dir && strncmp(strchr(rows[i].id, '.'), ".other", 6) != 0)
                check_row(reader, &rows[i], (enum dir)dir);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].answers && !label_by_id(rows[i].answers))
            fail_msg("%s answers %s, which there is not", rows[i].id, rows[i].answers);
    reader_free(reader);
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
        cmocka_unit_test(test_not_shadowed),
        cmocka_unit_test(test_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Logins that fail in front of the running program: the verdict is the same in its messages, the
 * transcript, the archive, `list` and `explain`. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>


#include "pair.h"
#include "records.h"
#include "run.h"

#define NS_SASL "urn:ietf:params:xml:ns:xmpp-sasl"
#define AUTH    "<auth xmlns='" NS_SASL "' mechanism='PLAIN'>AGFsaWNlAHdyb25n</auth>"
#define STREAMS "xmlns='urn:ietf:params:xml:ns:xmpp-streams'"
#define STEPS   8

enum who { NOBODY, CLIENT, SERVER };

struct row {
    const char *name;
    struct {
        enum who says;
        const char *what;
    } step[STEPS];
    enum who leaves; /* first: closes its connection; the server: with a reset if `resets` */
    bool resets;
    const char *verdict;
    const char *words[2]; /* that the sentence must hold */
};

#define OPEN {CLIENT, STREAM_HEADER}, {SERVER, SERVER_HEADER FEATURES_SASL}

static const struct row rows[] = {
    {"wrong password",
     {OPEN,
      {CLIENT, AUTH},
      {SERVER, "<failure xmlns='" NS_SASL "'><not-authorized/><text>Go away</text></failure>"},
      {CLIENT, STREAM_CLOSE}},
     CLIENT, false, "sasl.password", {"alice", "Go away"}},
    {"unknown host",
     {{CLIENT, STREAM_HEADER},
      {SERVER, SERVER_HEADER "<stream:error><host-unknown " STREAMS "/></stream:error>" STREAM_CLOSE}},
     SERVER, false, "stream.host-unknown", {DOMAIN, "UPSTREAM"}},
    {"mechanism not offered",
     {OPEN,
      {CLIENT, "<auth xmlns='" NS_SASL "' mechanism='X-OWN'>=</auth>"},
      {SERVER, "<failure xmlns='" NS_SASL "'><invalid-mechanism/></failure>"}},
     CLIENT, false, "sasl.invalid-mechanism", {"X-OWN", "PLAIN"}},
    {"the server dies in SASL",
     {OPEN, {CLIENT, AUTH}},
     SERVER, true, "reset.server", {"the server", "client starts SASL"}},
    {"the client leaves after the features",
     {OPEN},
     CLIENT, false, "mechanisms.none-in-common", {"PLAIN", "client"}},
    {"not well-formed",
     {{CLIENT, STREAM_HEADER}, {SERVER, SERVER_HEADER "<stream:features></a>"}},
     CLIENT, false, "xml.not-well-formed", {"the server", "mismatched tag"}},
};

#define ROWS (sizeof rows / sizeof *rows)

/* From the second step on: the first one made the proxy dial. */
static void play(const struct row *row, struct peer *client, struct peer *server)
{
    for (int i = 1; i < STEPS && row->step[i].says; i++) {
        struct peer *from = row->step[i].says == CLIENT ? client : server;
        struct peer *to = from == client ? server : client;

        pair_says(from, to, row->step[i].what);
    }
}

static void end(const struct row *row, struct peer *client, struct peer *server)
{
    struct peer *first = row->leaves == CLIENT ? client : server;
    struct peer *second = first == client ? server : client;

    if (row->resets)
        peer_abort(first);
    else
        peer_close(first);
    PEER_OK(second, peer_expect_end(second));
    peer_close(second);
}

static void assert_in(const struct bytes *text, const char *wanted, const char *where)
{
    if (!bytes_has(text, wanted))
        fail_msg("%s does not say %s:\n%.*s", where, wanted, (int)text->len, text->p);
}

static void assert_record(struct box *b, const struct row *row)
{
    struct bytes sentence = {0};
    struct records r;

    records_load(&r, b, b->archive);
    const char *record = records_find(&r, "end");
    assert_non_null(record);
    if (!record_is(record, "verdict", row->verdict))
        fail_msg("the archive says: %s", record);
    assert_true(record_string(record, "sentence", &sentence));
    for (int i = 0; i < 2; i++)
        assert_in(&sentence, row->words[i], "the sentence");
    bytes_free(&sentence);
    records_free(&r);
}

static void test_verdict(void **state)
{
    struct box *b = *state;
    const struct row *row = b->row;
    struct pair p;
    pair_init(&p);
    struct run *proxy = run_proxy(b, p.port, "--labels", "en", NULL);

    PEER_OK(&p.client, peer_connect(&p.client, proxy->port));
    pair_meet(&p, row->step[0].what, row->step[0].what);
    play(row, &p.client, &p.server);
    end(row, &p.client, &p.server);
    run_says(proxy, box_text(b, "verdict=%s", row->verdict));
    run_stop(proxy);
    pair_free(&p);

    assert_in(&proxy->out.text, box_text(b, "\n#-- verdict %s: ", row->verdict), "the transcript");
    assert_record(b, row);
    struct run *list = run_program(b, "list", "-d", b->archive, NULL);
    assert_in(&list->out.text, box_text(b, " %s\n", row->verdict), "list");
    list = run_program(b, "list", "--json", "-d", b->archive, NULL);
    assert_in(&list->out.text, box_text(b, "\"verdict\":\"%s\",\"ok\":false", row->verdict),
              "list --json");
    struct run *explain = run_program(b, "explain", "-d", b->archive, NULL);
    assert_int_equal(explain->status, 0);
    assert_in(&explain->out.text, box_text(b, "\nVerdict (%s): ", row->verdict), "explain");
    assert_in(&explain->out.text, row->words[0], "explain");
    assert_false(bytes_has(&explain->out.text, "wrong\""));
    box_done(b);
}

/* A login that went well: one line that says so, and none in the transcript. */
static void test_well(void **state)
{
    struct box *b = *state;
    struct pair p;
    pair_init(&p);
    struct run *proxy = run_proxy(b, p.port, NULL);

    pair_login(&p, proxy->port);
    pair_leave(&p);
    peer_close(&p.client);
    PEER_OK(&p.server, peer_expect_end(&p.server));
    peer_close(&p.server);
    run_says(proxy, "verdict=login");
    run_stop(proxy);
    pair_free(&p);
    assert_false(bytes_has(&proxy->out.text, "#--"));
    struct run *list = run_program(b, "list", "--json", "-d", b->archive, NULL);
    assert_in(&list->out.text, "\"verdict\":\"login\",\"ok\":true", "list --json");
    box_done(b);
}

int main(void)
{
    struct CMUnitTest tests[ROWS + 1];

    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){rows[i].name, test_verdict, box_setup, box_teardown,
                                       (void *)(uintptr_t)&rows[i]};
    tests[ROWS] = (struct CMUnitTest){"a login that went well", test_well, box_setup,
                                      box_teardown, NULL};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

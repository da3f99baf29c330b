/* --only: sessions of other accounts, domains or addresses are relayed and leave no record. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "pair.h"
#include "records.h"
#include "run.h"

#define AUTH(base64)                                                                               \
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" base64 "</auth>"
#define ALICE   AUTH("AGFsaWNlAHNlY3JldA==")
#define BOB     AUTH("AGJvYgBzZWNyZXQ=")
#define SUCCESS "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
#define BOUND(user)                                                                                \
    "<iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>" user "@" DOMAIN \
    "/x</jid></bind></iq>"

static const struct row {
    const char *name, *only;
    bool alice, bob; /* are recorded */
} rows[] = {
    {"--only an account", "alice@" DOMAIN, true, false},
    {"--only an account in another case", "ALICE@" DOMAIN, true, false},
    {"--only a domain", DOMAIN, true, true},
    {"--only another domain", "example.org", false, false},
    {"--only an address", "127.0.0.1", true, true},
    {"--only another address", "192.0.2.1", false, false},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* What one says the other gets, whoever is recorded. */
static void open_pair(struct pair *p, struct run *proxy)
{
    PEER_OK(&p->client, peer_connect(&p->client, proxy->port));
    pair_meet(p, STREAM_HEADER, STREAM_HEADER);
    pair_says(&p->server, &p->client, SERVER_HEADER FEATURES_SASL);
}

static void log_in(struct pair *p, const char *auth, const char *bound)
{
    pair_says(&p->client, &p->server, auth);
    pair_says(&p->server, &p->client, SUCCESS);
    pair_says(&p->client, &p->server, STREAM_HEADER);
    pair_says(&p->server, &p->client, SERVER_HEADER "<stream:features/>");
    pair_says(&p->client, &p->server, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    pair_says(&p->server, &p->client, bound);
}

static void leave(struct pair *p)
{
    pair_leave(p);
    peer_close(&p->client);
    PEER_OK(&p->server, peer_expect_end(&p->server));
    peer_close(&p->server);
}

static void assert_recorded(struct box *b, struct run *proxy, const struct row *row)
{
    struct records r;
    struct bytes all = {0};
    int recorded = row->alice + row->bob;
    const char *left_out = box_text(b, "sessions=%d msg=\"relayed and not recorded", 2 - recorded);
    const char *file;
    assert_int_equal(bytes_has(&proxy->out.text, "<jid>alice@"), row->alice);
    assert_int_equal(bytes_has(&proxy->out.text, "<jid>bob@"), row->bob);
    assert_int_equal(bytes_has(&proxy->err.text, left_out), recorded < 2);
    assert_int_equal(bytes_has(&proxy->err.text, "account=alice@"), row->alice);
    assert_int_equal(bytes_has(&proxy->err.text, "account=bob@"), row->bob);
    assert_int_equal(bytes_has(&proxy->err.text, "alice"), row->alice);
    assert_int_equal(bytes_has(&proxy->err.text, "bob"), row->bob);
    assert_int_equal(records_files(b, b->archive, &file, 1), recorded > 0);
    if (!recorded)
        return;
    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), recorded);
    assert_int_equal(records_count(&r, "end"), recorded);
    records_bytes(&r, NULL, "s2c", &all);
    assert_int_equal(bytes_has(&all, "<jid>alice@"), row->alice);
    assert_int_equal(bytes_has(&all, "<jid>bob@"), row->bob);
    bytes_free(&all);
    records_free(&r);
}

static void test_row(void **state)
{
    struct box *b = *state;
    const struct row *row = b->row;
    struct pair alice, bob;
    pair_init(&alice);
    bob = alice; /* another connection to the same server */
    struct run *proxy = run_proxy(b, alice.port, "--only", row->only, NULL);
    open_pair(&alice, proxy);
    open_pair(&bob, proxy);
    log_in(&bob, BOB, BOUND("bob"));
    log_in(&alice, ALICE, BOUND("alice"));
    leave(&bob);
    leave(&alice);
    run_stop(proxy);
    pair_free(&alice);
    assert_recorded(b, proxy, row);
    box_done(b);
}

/* A session that nobody has named yet is recorded when too much of it waits: items of 40 KiB. */
static void too_much_waits(struct box *b, const char *limit, int items)
{
    struct bytes many = {0};
    struct pair p;
    struct records r;
    pair_init(&p);
    struct run *proxy = run_proxy(b, p.port, "-q", "--only", "alice@" DOMAIN,
                                  limit ? "--only-bytes" : NULL, limit, NULL);
    bytes_str(&many, "<a>");
    bytes_fill(&many, 'x', 40 << 10);
    bytes_str(&many, "</a>");
    open_pair(&p, proxy);
    for (int i = 0; i < items; i++)
        pair_says(&p.client, &p.server, many.p);
    run_says(proxy, "too much of it waits for that");
    leave(&p);
    run_stop(proxy);
    pair_free(&p);
    records_load(&r, b, b->archive);
    assert_int_equal(records_check(&r), 1);
    records_free(&r);
    bytes_free(&many);
    box_done(b);
}

static void test_cap(void **state)
{
    too_much_waits(*state, NULL, 40);
}

static void test_small_cap(void **state)
{
    too_much_waits(*state, "64k", 3);
}

int main(void)
{
    struct CMUnitTest tests[ROWS + 2] = {
        cmocka_unit_test_setup_teardown(test_cap, box_setup, box_teardown),
        cmocka_unit_test_setup_teardown(test_small_cap, box_setup, box_teardown)};
    for (size_t i = 0; i < ROWS; i++)
        tests[i + 2] = (struct CMUnitTest){rows[i].name, test_row, box_setup, box_teardown,
                                           (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

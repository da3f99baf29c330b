/* Sessions in archives, and the events of some of them: in their order, whoever they overlap with
 * and however little may wait. */
#include "archive_tests.h"

#include "../../logs/store.h"

/* What was given: "ID:N " for each event. */
struct heard {
    char words[64 * KIB];
    size_t events, stop_at; /* 0: never */
};

static struct heard heard;
static unsigned told;

static void tell(const char *sentence)
{
    (void)sentence;
    told++;
}

static int on_event(void *arg, const struct event *ev)
{
    struct heard *h = arg;
    size_t len = strlen(h->words);

    snprintf(h->words + len, sizeof h->words - len, "%s:%" PRIu64 " ", ev->session, ev->n);
    return ++h->events == h->stop_at ? ERR_IO : 0;
}

static void line(FILE *f, const char *id, unsigned n, const char *rest)
{
    fprintf(f,
            "{\"v\":1,\"event\":\"stanza\",\"t\":\"2026-11-23T01:02:03.000004Z\",\"session\":\"%s\","
            "\"n\":%u,\"dir\":\"c2s\",%s\"xml\":\"<a>%0*d</a>\"}\n",
            id, n, rest, (int)(n * 37 % 50) + 1, 7);
}

static void end(FILE *f, const char *id, unsigned n)
{
    fprintf(f,
            "{\"v\":1,\"event\":\"end\",\"t\":\"2026-11-23T01:02:04.000004Z\",\"session\":\"%s\","
            "\"n\":%u,\"by\":\"client\",\"reason\":\"closed\"}\n",
            id, n);
}

/* The same session's events, as on_event() writes them. */
static void expect(char *words, size_t size, const char *id, unsigned from, unsigned to)
{
    for (unsigned n = from; n <= to; n++) {
        size_t len = strlen(words);
        snprintf(words + len, size - len, "%s:%u ", id, n);
    }
}

/* Asks for sessions by their ids, parted by spaces, with so many bytes that may wait. */
static void heard_of(struct store *st, const char *ids, size_t wait_bytes, const char *words)
{
    struct store_session *list[64];
    struct error e = {0};
    char copy[256], *id, *rest = copy;
    size_t count = 0;

    snprintf(copy, sizeof copy, "%s", ids);
    while ((id = strsep(&rest, " "))) {
        list[count] = store_find(st, id);
        assert_non_null(list[count++]);
    }
    st->wait_bytes = wait_bytes;
    heard = (struct heard){0};
    assert_int_equal(store_read(st, list, count, on_event, &heard, &e), 0);
    assert_string_equal(heard.words, words);
}

static void scan(struct store *st, const char *name)
{
    struct error e = {0};

    if (store_scan(st, in_home(name), tell, &e))
        fail_msg("%s", e.detail);
}

enum oddity { PLAIN, SAYS_OTHER, UNREADABLE, ODDITIES };

/* a, b and c side by side in two files, d behind them, e without an end; b goes on behind its end.
 * SAYS_OTHER: a line of c's begins as if it were b's. UNREADABLE: one of c's is no JSON. */
static void write_files(enum oddity odd)
{
    FILE *f = fopen(in_home("1.jsonl"), "w");

    assert_non_null(f);
    for (unsigned n = 1; n <= 20; n++) {
        line(f, "a", n, "");
        if (n <= 10)
            line(f, "b", n, "\"facts\":{\"session\":\"offered\"},");
        if (n == 10)
            end(f, "b", 11);
        if (n > 10)
            line(f, "b", n + 1, "");
        if (odd == SAYS_OTHER && n == 7)
            line(f, "b", n, "\"session\":\"c\",");
        else
            line(f, "c", n, "");
        if (odd == UNREADABLE && n == 8)
            fprintf(f, "{\"v\":1,\"event\":\"stanza\",\"t\":\"2026-11-23T01:02:03Z\",\"session\":"
                       "\"c\",\"n\":}\n");
        line(f, "e", n, "");
    }
    fclose(f);
    f = fopen(in_home("2.jsonl"), "w");
    assert_non_null(f);
    for (unsigned n = 21; n <= 30; n++) {
        line(f, "c", n, "");
        line(f, "a", n, "");
    }
    end(f, "a", 31);
    fprintf(f, "{\"n\":1,\"session\":\"d\",\"event\":\"end\",\"t\":\"2026-11-23T01:02:03Z\","
               "\"by\":\"proxy\",\"reason\":\"closed\"}\n");
    end(f, "c", 31);
    fclose(f);
}

static void test_overlapping(void **state)
{
    static const size_t waits[] = {0, 1, 500, 2000, 4000, 1u << 20};
    char all[4 * KIB];
    struct store st;

    (void)state;
    for (int odd = PLAIN; odd < ODDITIES; odd++) {
        write_files((enum oddity)odd);
        store_init(&st);
        told = 0;
        scan(&st, "1.jsonl");
        scan(&st, "2.jsonl");
        assert_int_equal(told, odd == UNREADABLE);
        assert_int_equal(st.sessions, 5);
        assert_int_equal(st.odd, odd != PLAIN);
        assert_string_equal(st.session[0].id, "a");
        assert_string_equal(st.session[4].id, "d");
        assert_false(store_find(&st, "e")->ended);
        assert_null(store_find(&st, "f"));
        for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
            all[0] = '\0';
            expect(all, sizeof all, "a", 1, 31);
            expect(all, sizeof all, "b", 1, 11);
            expect(all, sizeof all, "c", 1, 31);
            expect(all, sizeof all, "e", 1, 20);
            expect(all, sizeof all, "d", 1, 1);
            heard_of(&st, "a b c e d", waits[i], all);
            all[0] = '\0'; /* backwards, one of them twice */
            expect(all, sizeof all, "d", 1, 1);
            expect(all, sizeof all, "c", 1, 31);
            expect(all, sizeof all, "b", 1, 11);
            expect(all, sizeof all, "c", 1, 31);
            heard_of(&st, "d c b c", waits[i], all);
            all[0] = '\0';
            expect(all, sizeof all, "b", 1, 11);
            heard_of(&st, "b", waits[i], all);
        }
        store_free(&st);
    }
}

/* Three workers' files side by side; one's goes on in a next file, behind which another's begins. */
static void test_workers(void **state)
{
    static const char *const file[] = {"1-w0-001.jsonl.gz", "1-w1-001.jsonl.gz", "2-w0-002.jsonl.gz",
                                       "3-w2-001.jsonl.gz"};
    static const size_t waits[] = {0, 3000, 1u << 20};
    struct store st;
    char all[4 * KIB];
    FILE *f[4];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        f[i] = fopen(in_home(file[i]), "w");
        assert_non_null(f[i]);
    }
    for (unsigned n = 1; n <= 20; n++) {
        line(f[n <= 10 ? 0 : 2], "a", n, "");
        line(f[1], "b", n, "");
        line(f[n <= 10 ? 0 : 2], "c", n, "");
        line(f[1], "d", n, "");
        line(f[3], "e", n, "");
    }
    line(f[2], "g", 1, "");
    for (size_t i = 0; i < 4; i++)
        fclose(f[i]);
    store_init(&st);
    scan(&st, "");
    assert_int_equal(st.sessions, 6);
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        all[0] = '\0';
        for (char id[] = "a"; *id < 'f'; ++*id)
            expect(all, sizeof all, id, 1, 20);
        expect(all, sizeof all, "g", 1, 1);
        heard_of(&st, "a b c d e g", waits[i], all);
        all[0] = '\0';
        expect(all, sizeof all, "e", 1, 20);
        expect(all, sizeof all, "g", 1, 1);
        expect(all, sizeof all, "a", 1, 20);
        heard_of(&st, "e g a", waits[i], all);
    }
    store_free(&st);
}

/* Who has heard enough hears nothing more, whoever waits. */
static void test_enough(void **state)
{
    struct store_session *list[2];
    struct error e = {0};
    struct store st;

    (void)state;
    write_files(PLAIN);
    store_init(&st);
    scan(&st, "1.jsonl");
    list[0] = store_find(&st, "a");
    list[1] = store_find(&st, "b");
    for (size_t enough = 1; enough <= 31; enough += 6) {
        heard = (struct heard){.stop_at = enough};
        assert_int_equal(store_read(&st, list, 2, on_event, &heard, &e), ERR_IO);
        assert_int_equal(heard.events, enough);
    }
    store_free(&st);
}

/* Many sessions in an archive of ours, whose members are read whole, and of which few may wait. */
static void test_many_sessions(void **state)
{
    enum { SESSIONS = 300, RECORDS = 40 };
    struct store_session *list[SESSIONS];
    struct sink *s = open_sink(NULL);
    struct error e = {0};
    struct store st;
    char id[16], words[1024];

    (void)state;
    for (unsigned n = 1; n <= RECORDS; n++)
        for (unsigned i = 0; i < SESSIONS; i++) {
            struct event ev = stanza(n, "<presence/>", 11);

            snprintf(id, sizeof id, "s-%u", i);
            ev.session = id;
            give(s, &ev);
        }
    assert_int_equal(s->close(s), 0);
    store_init(&st);
    if (store_scan(&st, home, tell, &e))
        fail_msg("%s", e.detail);
    assert_int_equal(st.sessions, SESSIONS);
    st.wait_bytes = 100 * KIB;
    for (size_t i = 0; i < SESSIONS; i++) {
        assert_int_equal(st.session[i].records, RECORDS);
        list[i] = &st.session[i];
    }
    for (size_t i = 0; i < SESSIONS; i += 50) {
        words[0] = '\0';
        expect(words, sizeof words, st.session[i].id, 1, RECORDS);
        heard_of(&st, st.session[i].id, st.wait_bytes, words);
    }
    heard = (struct heard){0};
    assert_int_equal(store_read(&st, list, SESSIONS, on_event, &heard, &e), 0);
    assert_int_equal(heard.events, SESSIONS * RECORDS);
    store_free(&st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_overlapping, make_home, remove_home),
        cmocka_unit_test_setup_teardown(test_workers, make_home, remove_home),
        cmocka_unit_test_setup_teardown(test_enough, make_home, remove_home),
        cmocka_unit_test_setup_teardown(test_many_sessions, make_home, remove_home),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

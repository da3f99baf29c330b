/* The embedded server: the documented exchange byte for byte, negotiation, caps, noise. */
#include "server_tests.h"

#include <malloc.h>

static void run_exchange(size_t piece, bool joined)
{
    static struct line lines[64];
    static char batch[16384], answers[16384];
    size_t n = read_exchange(lines, 64), i = 1;
    struct link l;

    assert_int_equal(n, 33);
    open_link(&l);
    l.piece = piece;
    while (i < n) {
        batch[0] = answers[0] = '\0';
        for (; i < n && lines[i].dir == 'c'; i++) {
            strncat(batch, lines[i].bytes, sizeof batch - strlen(batch) - 1);
            if (!joined)
                feed(&l, lines[i].bytes);
        }
        if (joined)
            feed(&l, batch);
        for (; i < n && lines[i].dir == 's'; i++)
            strncat(answers, lines[i].bytes, sizeof answers - strlen(answers) - 1);
        expect(&l, answers);
        if (server_wants_tls(l.s))
            server_tls(l.s);
    }
    assert_int_equal(server_due_us(l.s), -1);
    feed(&l, lines[0].bytes); /* the document's first, the wire's last */
    expect(&l, "");
    assert_false(server_done(l.s));
    feed(&l, "</stream:stream>");
    expect(&l, "</stream:stream>");
    assert_true(server_done(l.s));
    close_link(&l);
}

static void test_exchange(void **state)
{
    (void)state;
    run_exchange(0, true);
    run_exchange(0, false);
    run_exchange(1, true);
    for (size_t piece = 2; piece < 400; piece += 7)
        run_exchange(piece, true);
}

/* ---- SASL ---- */

/* clang-format off */
static const struct {
    const char *in, *out; /* behind header and features */
} sasl_rows[] = {
    {AUTH_PLAIN, SUCCESS},
    {"<auth" SASL " mechanism='PLAIN'>YW5uQGV4YW1wbGUub3JnAGFubgBwdw==</auth>", SUCCESS},
    {"<auth" SASL " mechanism='PLAIN'>AGFubkBleGFtcGxlLm9yZwBwdw==</auth>", SUCCESS},
    {"<auth" SASL " mechanism='PLAIN'>Ym9iQGV4YW1wbGUub3JnAGFubgBwdw==</auth>",
     FAILURE("invalid-authzid")},
    {"<auth" SASL " mechanism='PLAIN'>AAAAcHc=</auth>", FAILURE("malformed-request")},
    {"<auth" SASL " mechanism='PLAIN'>AABwdw==</auth>", FAILURE("not-authorized")}, /* no name */
    {"<auth" SASL " mechanism='PLAIN'>AGFubgA=</auth>", FAILURE("not-authorized")}, /* no pw */
    {"<auth" SASL " mechanism='PLAIN'>AGEmYgBwdw==</auth>", FAILURE("not-authorized")}, /* a&b */
    {"<auth" SASL " mechanism='PLAIN'>AGHDKGIAcHc=</auth>", FAILURE("malformed-request")},
    {"<auth" SASL " mechanism='PLAIN'>AGEHYgBwdw==</auth>", FAILURE("not-authorized")}, /* BEL */
    {"<auth" SASL " mechanism='PLAIN'>AGHvv79iAHB3</auth>", FAILURE("not-authorized")},
    {"<auth" SASL " mechanism='PLAIN'>YW5u</auth>", FAILURE("malformed-request")},
    {"<auth" SASL " mechanism='PLAIN'>=</auth>", FAILURE("malformed-request")},
    {"<auth" SASL " mechanism='PLAIN'>AGFubgBzZWNyZXQ</auth>", FAILURE("incorrect-encoding")},
    {"<auth" SASL " mechanism='PLAIN'>AGFu bgBzZWNyZXQ=</auth>",
     FAILURE("incorrect-encoding")},
    {"<auth" SASL " mechanism='PLAIN'/><response" SASL ">AGFubgBzZWNyZXQ=</response>",
     CHALLENGE SUCCESS},
    {"<auth" SASL " mechanism='PLAIN'/><response" SASL "/>",
     CHALLENGE FAILURE("malformed-request")},
    {"<auth" SASL " mechanism='PLAIN'/><abort" SASL "/><response" SASL ">AGFubgBw</response>",
     CHALLENGE FAILURE("aborted") FAILURE("malformed-request")},
    {"<response" SASL ">AGFubgBzZWNyZXQ=</response>", FAILURE("malformed-request")},
    {"<auth" SASL " mechanism='SCRAM-SHA-1'>biwsbj1hLHI9Yg==</auth>",
     FAILURE("invalid-mechanism")},
    {"<auth" SASL ">AGFubgBzZWNyZXQ=</auth>", FAILURE("invalid-mechanism")},
    {"<auth" SASL " mechanism='ANONYMOUS'/>", SUCCESS},
    {"<auth" SASL " mechanism='ANONYMOUS'>=</auth>", SUCCESS},
    {"<auth" SASL " mechanism='ANONYMOUS'>dHJhY2U=</auth>", SUCCESS},
    {"<auth" SASL " mechanism='ANONYMOUS'>trace</auth>", FAILURE("incorrect-encoding")},
};

static void test_sasl(void **state)
{

    (void)state;
    for (size_t i = 0; i < sizeof sasl_rows / sizeof sasl_rows[0]; i++) {
        bool lets_in = strstr(sasl_rows[i].out, SUCCESS) != NULL;
        struct link l;

        open_link(&l);
        feed(&l, OPEN);
        expect(&l, HEADER FEATURES_TLS); /* SASL is offered before TLS too */
        feed(&l, sasl_rows[i].in);
        expect(&l, sasl_rows[i].out);
        feed(&l, lets_in ? " \n" OPEN : AUTH_PLAIN); /* a failure is not the end */
        expect(&l, lets_in ? HEADER FEATURES_BIND : SUCCESS);
        close_link(&l);
    }
}

static void test_sasl_failures_are_counted(void **state)
{
    struct link l;

    (void)state;
    open_link(&l);
    feed(&l, OPEN);
    got(&l);
    for (int i = 0; i < 5; i++) {
        feed(&l, "<auth" SASL " mechanism='PLAIN'>=</auth>");
        expect(&l, FAILURE("malformed-request"));
    }
    feed(&l, "<auth" SASL " mechanism='PLAIN'>=</auth>");
    expect(&l, STREAM_ERROR("policy-violation"));
    assert_true(server_done(l.s));
    close_link(&l);
}

/* A name as long as a JID allows (the contact's, with a `1` behind it, is none then), and one byte more. */
static void test_long_names(void **state)
{
    /* clang-format off */
    static const struct {
        size_t n;
        bool fits;
    } rows[] = {{1022, true}, {1023, true}, {1024, false}};
    char name[1100], xml[2048];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct link l;

        open_link(&l);
        feed(&l, OPEN);
        got(&l);
        memset(name, 'a', rows[i].n);
        name[rows[i].n] = '\0';
        snprintf(xml, sizeof xml,
                 "<iq type='set' id='1'><query xmlns='jabber:iq:auth'><username>%s</username>"
                 "<password>p</password><resource>r</resource></query></iq>", name);
        feed(&l, xml);
        assert_int_equal(strstr(got(&l), "result") != NULL, rows[i].fits);
        close_link(&l);
    }
}

/* ---- TLS ---- */

static void test_starttls(void **state)
{
    static const char starttls[] = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    static const char proceed[] = "<proceed xmlns=\"urn:ietf:params:xml:ns:xmpp-tls\"/>";
    static const char failure[] =
        "<failure xmlns=\"urn:ietf:params:xml:ns:xmpp-tls\"/></stream:stream>";
    /* clang-format off */
    static const struct {
        const char *behind;
        bool wants_tls;
    } rows[] = {{"", true}, {" \r\n\t", true}, {"x", false}, {" <", false}, {OPEN, false}};
    struct link l;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int together = 0; together < 2; together++) {
            char xml[512];

            open_link(&l);
            feed(&l, OPEN);
            got(&l);
            snprintf(xml, sizeof xml, "%s%s", starttls, together ? rows[i].behind : "");
            feed(&l, xml);
            if (!together)
                feed(&l, rows[i].behind);
            expect(&l, proceed);
            assert_int_equal(server_wants_tls(l.s), rows[i].wants_tls);
            assert_int_equal(server_done(l.s), !rows[i].wants_tls);
            close_link(&l);
        }
    }
    open_link(&l);
    server_tls(l.s); /* direct TLS */
    feed(&l, OPEN);
    feed(&l, starttls);
    expect(&l, HEADER FEATURES_SASL
               "<failure xmlns=\"urn:ietf:params:xml:ns:xmpp-tls\"/></stream:stream>");
    assert_true(server_done(l.s));
    close_link(&l);
    open_link(&l);
    feed(&l, OPEN AUTH_PLAIN OPEN);
    got(&l);
    feed(&l, starttls);
    expect(&l, failure);
    close_link(&l);
}

/* ---- streams and their errors ---- */

static const char no_to[] =
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='" STREAM_NS
    "' from='localhost' id='" STREAM_ID "' version='1.0' xml:lang='en'>";

/* clang-format off */
static const struct {
    const char *in;
    bool known; /* our header says example.org, not localhost */
    const char *out;
} stream_rows[] = {
    {"\n" OPEN, true, FEATURES_TLS},
    {"<s:stream to='example.org' version='1.0' xmlns:s='" STREAM_NS "'>", true, FEATURES_TLS},
    {"<stream to='example.org' version='1.0' xmlns='" STREAM_NS "'></stream>", true,
     FEATURES_TLS "</stream:stream>"},
    {"<s:stream to='example.org' xmlns:s='" STREAM_NS "'>", true, ""},
    {"<s:stream version='1.0' xmlns:s='" STREAM_NS "'>", false, FEATURES_TLS},
    {"<s:stream to='' version='1.0' xmlns:s='" STREAM_NS "'>", false, FEATURES_TLS},
    {"<s:stream to='a@b' version='1.0' xmlns:s='" STREAM_NS "'>", false,
     STREAM_ERROR("host-unknown")},
    {"<stream to='example.org' version='1.0'>", true, STREAM_ERROR("invalid-namespace")},
    {"<s:steam to='example.org' xmlns:s='" STREAM_NS "'>", true,
     STREAM_ERROR("invalid-namespace")},
    {"<stream:stream to='example.org'>", false, STREAM_ERROR("not-well-formed")},
    {"GET / HTTP/1.1\r\n\r\n", false, STREAM_ERROR("not-well-formed")},
    {"\xff\xfe<", false, STREAM_ERROR("unsupported-encoding")}, /* RFC 6120 §4.9.3.22 */
    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", false, STREAM_ERROR("not-well-formed")},
    {"<!DOCTYPE x [<!ENTITY a 'b'>]>", false, STREAM_ERROR("restricted-xml")},
    {"<!-- x -->", false, STREAM_ERROR("restricted-xml")},
    {OPEN "</iq>", true, FEATURES_TLS STREAM_ERROR("not-well-formed")},
    {OPEN "</stream:straem>", true, FEATURES_TLS STREAM_ERROR("not-well-formed")},
    {OPEN "</stream:stream2>", true, FEATURES_TLS STREAM_ERROR("not-well-formed")},
    {OPEN "</stream:stream >", true, FEATURES_TLS "</stream:stream>"},
    {OPEN "text", true, FEATURES_TLS STREAM_ERROR("not-well-formed")},
    {OPEN "<iq></presence>", true, FEATURES_TLS STREAM_ERROR("not-well-formed")},
    {OPEN "<iq a='1' a='2'/>", true, FEATURES_TLS STREAM_ERROR("not-well-formed")},
    {OPEN "<x:iq/>", true, FEATURES_TLS STREAM_ERROR("not-well-formed")},
    {OPEN "<iq>&undefined;</iq>", true, FEATURES_TLS STREAM_ERROR("not-well-formed")},
    {OPEN "<iq>\xff</iq>", true, FEATURES_TLS STREAM_ERROR("not-well-formed")},
    {OPEN "<!-- x -->", true, FEATURES_TLS STREAM_ERROR("restricted-xml")},
    {OPEN "<iq><!-- x --></iq>", true, FEATURES_TLS STREAM_ERROR("restricted-xml")},
    {OPEN "<?x y?>", true, FEATURES_TLS STREAM_ERROR("restricted-xml")},
    {OPEN "<iq xmlns='jabber:server'/>", true, FEATURES_TLS STREAM_ERROR("invalid-namespace")},
    {OPEN "<foo xmlns='bar'/>", true, FEATURES_TLS STREAM_ERROR("unsupported-stanza-type")},
    {OPEN "<stream:error><not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
          "</stream:error>",
     true, FEATURES_TLS "</stream:stream>"},
    {OPEN "<message/>", true, FEATURES_TLS STREAM_ERROR("not-authorized")},
    {OPEN "<presence/>", true, FEATURES_TLS STREAM_ERROR("not-authorized")},
    {OPEN AUTH_PLAIN OPEN "<presence/>", true,
     FEATURES_TLS SUCCESS HEADER FEATURES_BIND STREAM_ERROR("not-authorized")},
    {OPEN AUTH_PLAIN OPEN AUTH_PLAIN, true,
     FEATURES_TLS SUCCESS HEADER FEATURES_BIND STREAM_ERROR("policy-violation")},
    {OPEN AUTH_PLAIN "x", true, FEATURES_TLS SUCCESS HEADER STREAM_ERROR("not-well-formed")},
};

static void test_streams(void **state)
{

    (void)state;
    for (size_t i = 0; i < sizeof stream_rows / sizeof stream_rows[0]; i++) {
        for (size_t piece = 0; piece < 2; piece++) {
            char out[4096];
            struct link l;

            open_link(&l);
            l.piece = piece;
            feed(&l, stream_rows[i].in);
            snprintf(out, sizeof out, "%s%s", stream_rows[i].known ? HEADER : no_to,
                     stream_rows[i].out);
            expect(&l, out);
            assert_int_equal(server_done(l.s), strstr(out, "</stream:stream>") != NULL);
            feed(&l, OPEN AUTH_PLAIN); /* what comes behind the end is not read */
            if (server_done(l.s))
                expect(&l, "");
            close_link(&l);
        }
    }
}

/* Feeds `xml` again and again; returns how often before the server was done. */
static int feed_until_done(struct link *l, const char *xml, int max)
{
    int n = 0;

    while (n < max && !server_done(l->s)) {
        assert_int_equal(server_input(l->s, xml, strlen(xml), l->now_us), 0);
        n++;
    }
    return n;
}

static void test_caps(void **state)
{
    /* clang-format off */
    static const struct {
        const char *begin, *again;
    } rows[] = {
        {OPEN "<iq>", "0123456789abcdef"},
        {OPEN "<iq a='", "0123456789abcdef"},
        {OPEN, "<a>"},
        {OPEN "<iq>", "<a b='c'/>"},
        {"<stream:stream xmlns:stream='" STREAM_NS "' a='", "0123456789abcdef"},
    };
    static char root[20000];
    struct link l;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        open_link(&l);
        feed(&l, rows[i].begin);
        assert_in_range(feed_until_done(&l, rows[i].again, 40000), 200, 30000);
        assert_non_null(strstr(got(&l), STREAM_ERROR("policy-violation")));
        close_link(&l);
    }
    open_link(&l); /* a root tag that the scanner allows and the reader does not */
    snprintf(root, sizeof root, "<stream:stream xmlns:stream='" STREAM_NS "' a='%017000d'>", 0);
    feed(&l, root);
    assert_non_null(strstr(got(&l), STREAM_ERROR("policy-violation")));
    assert_true(server_done(l.s));
    close_link(&l);
    open_bound(&l, OPEN); /* nobody fetches the output */
    assert_in_range(feed_until_done(&l, "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/>"
                                        "</iq>", 20000), 3000, 10000);
    take(&l);
    assert_in_range(l.got.len, 1000000, 1 << 20);
    close_link(&l);
}

/* ---- ids, memory, noise ---- */

static void test_random_ids(void **state)
{
    struct world *w = new_world("documented");
    struct server_options o = {.world = w};
    char ids[4][37] = {{0}};

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct link l = {.s = server_new(&o)};
        const char *id;

        buf_init(&l.got, 1 << 20);
        feed(&l, OPEN "<auth" SASL " mechanism='ANONYMOUS'/>" OPEN
                      "<iq type='set' id='b'>"
                      "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
        id = strstr(got(&l), i % 2 ? " id='" : "<jid>");
        assert_non_null(id);
        memcpy(ids[i], id + 5, 36);
        assert_int_equal(strspn(ids[i], "0123456789abcdef-"), 36);
        assert_int_equal(ids[i][14], '4');
        for (int k = 0; k < i; k++)
            assert_string_not_equal(ids[i], ids[k]);
        close_link(&l);
    }
    free_world(w);
}

static void test_shared_reader(void **state)
{
    struct reader *reader = reader_new();
    struct server_options o = {.stream_id = STREAM_ID, .reader = reader};
    struct link l[8];

    (void)state;
    for (int i = 0; i < 8; i++) {
        struct world *w = new_world("documented");

        o.world = w;
        l[i] = (struct link){.s = server_new(&o), .own = w, .piece = 3};
        buf_init(&l[i].got, 1 << 20);
    }
    for (int i = 0; i < 8; i++)
        feed(&l[i], OPEN AUTH_PLAIN);
    for (int i = 0; i < 8; i++)
        feed(&l[i], OPEN BIND("here"));
    for (int i = 0; i < 8; i++) {
        assert_non_null(strstr(got(&l[i]), "<jid>" ME "</jid>"));
        close_link(&l[i]);
    }
    reader_free(reader);
}

/* White space keeps a connection alive; it must cost nothing, and what was large is given back. */
static void test_idle(void **state)
{
    struct link l;

    (void)state;
    open_bound(&l, OPEN);
#if defined __GLIBC__ && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    static char big[200000];
    size_t before, after;

    snprintf(big, sizeof big, "<message to='" ME "'><body>%0190000d</body></message>", 0);
    before = mallinfo2().uordblks;
    for (size_t i = 0; i < strlen(big); i += 1000)
        assert_int_equal(server_input(l.s, big + i, strnlen(big + i, 1000), 0), 0);
    take(&l);
    assert_in_range(l.got.len, 190000, 200000);
    buf_free(&l.got);
    after = mallinfo2().uordblks;
    /* expat keeps the buffer of its largest item */
    assert_true(after < before + 600000);
    before = after;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(server_input(l.s, " ", 1, i), 0);
        assert_int_equal(server_tick(l.s, i), 0);
    }
    assert_int_equal(mallinfo2().uordblks, before);
#endif
    expect(&l, "");
    close_link(&l);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* The documented client with bytes changed, doubled, left out: whatever the server makes of it is
 * well-formed, and the same input gives the same output however it is split. */
static void test_noise(void **state)
{
    static struct line lines[64];
    static char all[16384], noise[32768];
    static const char sharp[] = "<>/'\"&;= \n\0\xff:!?-[]ax";
    size_t n = read_exchange(lines, 64), len;
    uint32_t seed = 20240229;

    (void)state;
    for (size_t i = 1; i < n; i++)
        if (lines[i].dir == 'c' && lines[i].n != 5 && lines[i].n != 7)
            strncat(all, lines[i].bytes, sizeof all - strlen(all) - 1);
    for (int round = 0; round < 3000; round++) {
        struct link l[2];

        len = 0;
        for (size_t i = 0; all[i]; i++) {
            uint32_t r = next_random(&seed) % 4000;

            if (r == 0)
                continue;
            noise[len++] = r == 1 ? sharp[next_random(&seed) % (sizeof sharp - 1)] : all[i];
            if (r == 2)
                i -= i < 40 ? i : 40;
            if (len == sizeof noise)
                break;
        }
        for (int k = 0; k < 2; k++) {
            open_link(&l[k]);
            l[k].piece = k ? 1 + next_random(&seed) % 64 : 0;
            feed_bytes(&l[k], noise, len);
            assert_int_equal(server_tick(l[k].s, 1000000), 0);
            take(&l[k]);
            assert_well_formed(l[k].got.p, l[k].got.len);
        }
        if (l[0].got.len != l[1].got.len)
            fail_msg("%.*s\n%s\n----\n%s", (int)len, noise, got(&l[0]), got(&l[1]));
        if (l[0].got.len)
            assert_memory_equal(l[0].got.p, l[1].got.p, l[0].got.len);
        assert_int_equal(server_done(l[0].s), server_done(l[1].s));
        close_link(&l[0]);
        close_link(&l[1]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_sasl),
        cmocka_unit_test(test_sasl_failures_are_counted),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_starttls),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_random_ids),
        cmocka_unit_test(test_shared_reader),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* STARTTLS of our own with one side: what is taken, what is answered, what is left for TLS, however
 * the bytes were cut. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../proxy/opening.h"

#define DOMAIN "x.example"
#define HEADER "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "                        \
               "xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='" DOMAIN "'>"
#define OURS "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "                          \
             "xmlns:stream='http://etherx.jabber.org/streams' version='1.0' from='" DOMAIN "' "    \
             "id='xmpptap'><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>"    \
             "<required/></starttls></stream:features>"
#define STARTTLS "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define PROCEED  "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define FAILURE  "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
#define AUTH     "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>"
#define FEATURES(inner) "<stream:features>" inner "</stream:features>"
#define REFUSAL "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"        \
                "</stream:error>"
#define HELLO "\x16\x03\x01hello"

struct row {
    const char *name;
    bool to_server;
    const char *in;
    enum opening_what is; /* OPENING_MORE: it waits for more */
    enum error_code code;
    const char *answer;   /* all that goes back; NULL: what it begins with is of no account */
    const char *rest;     /* what was not taken */
};

#define CLIENT false
#define SERVER true

static const struct row rows[] = {
    {"client, nothing yet", CLIENT, "", OPENING_MORE, 0, "", ""},
    {"client, header", CLIENT, HEADER, OPENING_MORE, 0, OURS, ""},
    {"client, white space", CLIENT, "\n " HEADER "\n", OPENING_MORE, 0, OURS, ""},
    {"client, asks", CLIENT, HEADER STARTTLS, OPENING_MORE, 0, OURS PROCEED, ""},
    {"client, hello", CLIENT, HEADER STARTTLS HELLO, OPENING_SECURE, 0, OURS PROCEED, HELLO},
    {"client, a newline before its hello", CLIENT, HEADER STARTTLS "\r\n" HELLO, OPENING_SECURE, 0,
     OURS PROCEED, HELLO},
    {"client, does not ask", CLIENT, HEADER AUTH, OPENING_BAD, ERR_NO_TLS, NULL, ""},
    {"client, closes", CLIENT, HEADER "</stream:stream>", OPENING_REFUSED, 0, OURS, ""},
    {"client, no stream", CLIENT, "GET / HTTP/1.1\r\n", OPENING_BAD, ERR_UNREADABLE, "", ""},
    {"client, a comment", CLIENT, HEADER "<!-- a -->", OPENING_BAD, ERR_RESTRICTED_XML, OURS, ""},
    {"server, header", SERVER, HEADER, OPENING_MORE, 0, "", HEADER},
    {"server, offers", SERVER, HEADER FEATURES(STARTTLS), OPENING_MORE, 0, STARTTLS, ""},
    {"server, offers, after white space", SERVER, "\n" HEADER " " FEATURES(STARTTLS), OPENING_MORE,
     0, STARTTLS, ""},
    {"server, proceeds", SERVER, HEADER FEATURES(STARTTLS) PROCEED, OPENING_SECURE, 0, STARTTLS, ""},
    {"server, TLS behind it", SERVER, HEADER FEATURES(STARTTLS) "\n" PROCEED HELLO, OPENING_SECURE, 0,
     STARTTLS, HELLO},
    {"server, offers none", SERVER, HEADER FEATURES("<a xmlns='b'/>"), OPENING_NO_TLS, 0, "",
     HEADER FEATURES("<a xmlns='b'/>")},
    {"server, STARTTLS in another's child", SERVER, HEADER FEATURES("<a xmlns='b'>" STARTTLS "</a>"),
     OPENING_NO_TLS, 0, "", HEADER FEATURES("<a xmlns='b'>" STARTTLS "</a>")},
    {"server, refuses", SERVER, HEADER FEATURES(STARTTLS) FAILURE, OPENING_REFUSED, 0, STARTTLS, ""},
    {"server, an error instead", SERVER, HEADER REFUSAL, OPENING_REFUSED, 0, "", ""},
    {"server, closes", SERVER, HEADER "</stream:stream>", OPENING_REFUSED, 0, "", ""},
    {"server, no stream", SERVER, "220 mail ESMTP\r\n", OPENING_BAD, ERR_UNREADABLE, "", ""},
    {"server, TLS from the first byte", SERVER, "\x15\x03\x01", OPENING_BAD, ERR_UNREADABLE, "", ""},
};

/* What came of it. */
struct seen {
    struct buf taken, answer, rest;
    enum opening_what is;
    enum error_code code;
};

static void add(struct buf *b, const char *p, size_t n)
{
    assert_int_equal(buf_add(b, p, n), 0);
}

/* Decides what it can; true when it is over. */
static bool run(struct opening *o, struct seen *s)
{
    struct opening_step step;

    for (;;) {
        enum opening_what what = opening_next(o, &step);

        if (what == OPENING_MORE)
            return false;
        add(&s->taken, step.p, step.n);
        add(&s->answer, step.answer, step.answer_len);
        if (what == OPENING_TAKEN)
            continue;
        s->is = what;
        s->code = step.code;
        assert_true(what != OPENING_BAD || *step.why);
        return true;
    }
}

/* In pieces of `first`, then `then` bytes; every piece has its own memory, which a read behind it
 * would leave. */
static void feed(const struct row *row, size_t first, size_t then, struct seen *s)
{
    struct reader *reader = reader_new();
    struct opening o;
    size_t all = strlen(row->in), at = 0, n = first;
    bool over = false;

    *s = (struct seen){.is = OPENING_MORE};
    buf_init(&s->taken, 1u << 20);
    buf_init(&s->answer, 1u << 20);
    opening_init(&o, reader, row->to_server, DOMAIN);
    while (at < all) {
        char *piece;

        n = n < all - at ? n : all - at;
        piece = malloc(n);
        memcpy(piece, row->in + at, n);
        assert_int_equal(opening_add(&o, piece, n), 0);
        free(piece);
        at += n;
        n = then;
        over = over || run(&o, s);
    }
    opening_take_rest(&o, &s->rest);
    opening_free(&o);
    reader_free(reader);
}

static bool is(const struct buf *b, const char *text)
{
    return b->len == strlen(text) && (b->len == 0 || memcmp(b->p, text, b->len) == 0);
}

static void check(const struct row *row, size_t first, size_t then)
{
    struct seen s;
    size_t left = strlen(row->rest);

    feed(row, first, then, &s);
    if (s.is != row->is || s.code != row->code)
        fail_msg("%s (%zu): %d, %s", row->name, first, (int)s.is, error_name(s.code));
    if (row->answer && !is(&s.answer, row->answer))
        fail_msg("%s (%zu): answered: %.*s", row->name, first, (int)s.answer.len, s.answer.p);
    /* Nothing gets lost, and nothing that is taken waits as well. What comes behind the end of a
     * bad one is its user's. */
    if (s.is != OPENING_BAD) {
        assert_int_equal(s.taken.len + s.rest.len, strlen(row->in));
        assert_true(is(&s.rest, row->rest));
        assert_memory_equal(s.taken.len ? s.taken.p : "", row->in, strlen(row->in) - left);
    }
    buf_free(&s.taken);
    buf_free(&s.answer);
    buf_free(&s.rest);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t all = strlen(rows[i].in);

        check(&rows[i], all ? all : 1, all ? all : 1);
        check(&rows[i], 1, 1);
        for (size_t cut = 1; cut < all; cut++)
            check(&rows[i], cut, all);
    }
}

/* Who goes on without TLS is told why. */
static void test_policy(void **state)
{
    static const struct row row = {"policy", CLIENT, HEADER AUTH, OPENING_BAD, ERR_NO_TLS, NULL, ""};
    struct seen s;

    (void)state;
    feed(&row, strlen(row.in), 1, &s);
    add(&s.answer, "", 1);
    assert_non_null(strstr(s.answer.p, OURS "<stream:error><policy-violation "));
    assert_non_null(strstr(s.answer.p, "</stream:error></stream:stream>"));
    buf_free(&s.taken);
    buf_free(&s.answer);
    buf_free(&s.rest);
}

/* Plaintext that would pass for what came under TLS (CVE-2011-0411's kind), read with <starttls/> or
 * behind it: taken whole, answered by nothing but what was due. */
static void test_injected(void **state)
{
    static const struct row injected = {"injected", CLIENT, HEADER STARTTLS "\n<iq id='evil'/>",
                                        OPENING_BAD, ERR_BEHIND_STARTTLS, NULL, ""};
    size_t all = strlen(injected.in), together = strlen(HEADER STARTTLS "\n");

    (void)state;
    for (size_t cut = 1; cut <= all; cut++) {
        struct seen s;

        feed(&injected, cut, all, &s);
        assert_int_equal(s.is, OPENING_BAD);
        assert_int_equal(s.code, ERR_BEHIND_STARTTLS);
        /* Read together with <starttls/>, it is known before that is answered. */
        assert_true(is(&s.answer, OURS) || (cut <= together && is(&s.answer, OURS PROCEED)));
        buf_free(&s.taken);
        buf_free(&s.answer);
        buf_free(&s.rest);
    }
}

/* A header without an end is not read for ever. */
static void test_cap(void **state)
{
    struct reader *reader = reader_new();
    struct opening o;
    struct opening_step step;
    char many[4096];
    size_t sent = 0;
    int err = 0;

    (void)state;
    memset(many, 'a', sizeof many);
    opening_init(&o, reader, false, DOMAIN);
    assert_int_equal(opening_add(&o, "<a ", 3), 0);
    while (!err && sent <= 2 * OPENING_BYTES && opening_next(&o, &step) == OPENING_MORE) {
        err = opening_add(&o, many, sizeof many);
        sent += sizeof many;
    }
    assert_true(sent <= OPENING_BYTES + sizeof many);
    opening_free(&o);
    reader_free(reader);
}

/* What is sent to a server names the domain, and nothing that it could be taken for. */
static void test_hello(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    assert_int_equal(opening_hello(&b, DOMAIN), 0);
    assert_true(is(&b, HEADER));
    buf_drop(&b, b.len);
    assert_int_equal(opening_hello(&b, "a'><b/>"), 0);
    add(&b, "", 1);
    assert_non_null(strstr(b.p, " to='a&apos;&gt;&lt;b/&gt;'>"));
    buf_drop(&b, b.len);
    assert_int_equal(opening_hello(&b, ""), 0);
    add(&b, "", 1);
    assert_null(strstr(b.p, " to="));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows), cmocka_unit_test(test_policy), cmocka_unit_test(test_injected),
        cmocka_unit_test(test_cap),  cmocka_unit_test(test_hello),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

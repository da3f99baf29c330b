/* Streams that the embedded server compresses (XEP-0138). */
#include "server_tests.h"

#include <zlib.h>

#define COMPRESS(method)                                                                           \
    "<compress xmlns='http://jabber.org/protocol/compress'><method>" method "</method></compress>"
#define COMPRESSED "<compressed xmlns=\"http://jabber.org/protocol/compress\"/>"
#define FAILED(condition)                                                                          \
    "<failure xmlns=\"http://jabber.org/protocol/compress\"><" condition "/></failure>"
#define OFFER                                                                                      \
    "<compression "                                                                                \
    "xmlns=\"http://jabber.org/features/compress\"><method>zlib</method></compression>"
#define PROCESSING_FAILED                                                                          \
    "<stream:error><undefined-condition xmlns=\"urn:ietf:params:xml:ns:xmpp-streams\"/>"           \
    "<failure xmlns=\"http://jabber.org/protocol/compress\"><processing-failed/></failure>"        \
    "</stream:error></stream:stream>"

#define ANN1  "ann@example.org/one"
#define BIND1 BIND("one")

/* The client's side of one. */
struct zlink {
    struct link l;
    z_stream in, out;
    char text[4u << 20]; /* what came, inflated, since the last look */
};

static void begin(struct zlink *z)
{
    z->in = z->out = (z_stream){.zalloc = NULL};
    assert_int_equal(inflateInit(&z->in), Z_OK);
    assert_int_equal(deflateInit(&z->out, Z_DEFAULT_COMPRESSION), Z_OK);
}

static void end(struct zlink *z)
{
    inflateEnd(&z->in);
    deflateEnd(&z->out);
}

/* `n` bytes deflated into `out`; returns how many those are. */
static size_t deflated(struct zlink *z, const char *p, size_t n, char *out, size_t size)
{
    z->out.next_in = (Bytef *)(uintptr_t)p;
    z->out.avail_in = (uInt)n;
    z->out.next_out = (Bytef *)out;
    z->out.avail_out = (uInt)size;
    assert_int_equal(deflate(&z->out, Z_SYNC_FLUSH), Z_OK);
    assert_int_equal(z->out.avail_in, 0);
    return size - z->out.avail_out;
}

static void zfeed(struct zlink *z, const char *xml)
{
    static char out[1u << 20];

    feed_bytes(&z->l, out, deflated(z, xml, strlen(xml), out, sizeof out));
}

static const char *zgot(struct zlink *z)
{
    take(&z->l);
    z->in.next_in = (Bytef *)z->l.got.p;
    z->in.avail_in = (uInt)z->l.got.len;
    z->in.next_out = (Bytef *)z->text;
    z->in.avail_out = sizeof z->text - 1;
    inflate(&z->in, Z_SYNC_FLUSH);
    assert_int_equal(z->in.avail_in, 0);
    z->text[sizeof z->text - 1 - z->in.avail_out] = '\0';
    z->l.got.len = 0;
    return z->text;
}

/* Logged in, compressed, and bound if `resource`. */
static void zjoin(struct zlink *z, struct world *w, const char *name)
{
    log_in(&z->l, w, name);
    assert_non_null(strstr(z->l.got.p, OFFER));
    feed(&z->l, COMPRESS("zlib"));
    expect(&z->l, COMPRESSED);
    begin(z);
    zfeed(z, OPEN);
    assert_null(strstr(zgot(z), OFFER));
    assert_non_null(strstr(z->text, "<bind "));
    zfeed(z, BIND1);
    assert_non_null(strstr(zgot(z), "/one</jid>"));
}

static void zpart(struct zlink *z)
{
    end(z);
    close_link(&z->l);
}

static void test_refused(void **state)
{
    struct world *w = new_world("modern");
    struct link l;

    (void)state;
    open_in(&l, w);
    server_tls(l.s);
    feed(&l, OPEN);
    got(&l);
    feed(&l, COMPRESS("zlib")); /* not before the login */
    expect(&l, FAILED("setup-failed"));
    close_link(&l);
    log_in(&l, w, "ann");
    feed(&l, COMPRESS("lzw"));
    expect(&l, FAILED("unsupported-method"));
    feed(&l, "<compress xmlns='http://jabber.org/protocol/compress'/>");
    expect(&l, FAILED("setup-failed"));
    feed(&l, BIND1);
    got(&l);
    feed(&l, COMPRESS("zlib"));
    expect(&l, FAILED("setup-failed"));
    feed(&l, "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"); /* goes on in clear */
    expect(&l, "<iq type=\"result\" id=\"p\" to=\"" ANN1 "\"/>");
    close_link(&l);
    free_world(w);
}

static void test_documented_has_none(void **state)
{
    struct link l;

    (void)state;
    open_bound(&l, OPEN);
    feed(&l, COMPRESS("zlib"));
    expect(&l, STREAM_ERROR("unsupported-stanza-type"));
    close_link(&l);
}

/* Whole and byte by byte; a second time is refused. */
static void test_compressed(void **state)
{
    static struct zlink ann, bob;

    (void)state;
    for (size_t piece = 0; piece < 2; piece++) {
        struct world *w = new_world("modern");

        zjoin(&ann, w, "ann");
        zjoin(&bob, w, "bob");
        ann.l.piece = bob.l.piece = piece;
        for (int i = 0; i < 3; i++) {
            zfeed(&ann, "<message to='bob@example.org/one'><body>x</body></message>");
            assert_string_equal(zgot(&bob), "<message from=\"" ANN1 "\" to=\"bob@example.org/one\">"
                                            "<body>x</body></message>");
        }
        zfeed(&ann, COMPRESS("zlib"));
        assert_string_equal(zgot(&ann), FAILED("setup-failed"));
        zfeed(&ann, "</stream:stream>");
        assert_string_equal(zgot(&ann), "</stream:stream>");
        assert_true(server_done(ann.l.s));
        zpart(&ann);
        zpart(&bob);
        free_world(w);
    }
}

/* What stands right behind <compress/> is compressed already. */
static void test_at_once(void **state)
{
    static struct zlink z;
    struct world *w = new_world("modern");
    char all[1024] = COMPRESS("zlib");
    size_t n = strlen(all);

    (void)state;
    log_in(&z.l, w, "ann");
    begin(&z);
    n += deflated(&z, OPEN, strlen(OPEN), all + n, sizeof all - n);
    feed_bytes(&z.l, all, n);
    take(&z.l);
    n = strlen(COMPRESSED);
    assert_memory_equal(z.l.got.p, COMPRESSED, n);
    buf_drop(&z.l.got, n);
    assert_non_null(strstr(zgot(&z), "<stream:features>"));
    zpart(&z);
    free_world(w);
}

/* Once for all that goes out together: many small stanzas cost less than their flushes would. */
static void test_one_flush(void **state)
{
    static struct zlink z;
    struct world *w = new_world("modern");
    static char xml[100 * 80];
    size_t n = 0, together, alone;

    (void)state;
    zjoin(&z, w, "ann");
    for (int i = 0; i < 100; i++)
        n += (size_t)snprintf(xml + n, sizeof xml - n,
                              "<iq type='get' id='%d'><ping xmlns='urn:xmpp:ping'/></iq>", i);
    zfeed(&z, xml);
    together = z.l.got.len;
    zgot(&z);
    for (int i = 0; i < 100; i++) {
        snprintf(xml, sizeof xml, "<iq type='get' id='%d'><ping xmlns='urn:xmpp:ping'/></iq>", i);
        zfeed(&z, xml);
    }
    alone = z.l.got.len;
    zgot(&z);
    assert_true(together + 99 * 4 <= alone); /* 00 00 ff ff each */
    zpart(&z);
    free_world(w);
}

static void test_no_zlib(void **state)
{
    static struct zlink z;
    struct world *w = new_world("modern");

    (void)state;
    zjoin(&z, w, "ann");
    feed(&z.l, "<presence/>");
    assert_string_equal(zgot(&z), PROCESSING_FAILED);
    assert_true(server_done(z.l.s));
    zpart(&z);
    free_world(w);
}

/* A great deal of white space in few bytes: no call does all of it, and it ends the stream. */
static void test_bomb(void **state)
{
    static struct zlink z;
    static char space[32u << 20], out[1u << 20];
    struct world *w = new_world("modern");
    size_t n;

    (void)state;
    zjoin(&z, w, "ann");
    memset(space, ' ', sizeof space);
    n = deflated(&z, space, sizeof space, out, sizeof out);
    feed_bytes(&z.l, out, n);
    assert_false(server_done(z.l.s));
    assert_int_equal(server_due_us(z.l.s), z.l.now_us);
    for (int i = 0; i < 8 && !server_done(z.l.s); i++)
        assert_int_equal(server_tick(z.l.s, z.l.now_us), 0);
    assert_string_equal(zgot(&z), STREAM_ERROR("policy-violation"));
    zpart(&z);
    free_world(w);
}

/* What does not go in one call goes in the next, in order. */
static void test_goes_on_later(void **state)
{
    static struct zlink z;
    static char xml[3u << 20], out[1u << 20];
    struct world *w = new_world("modern");
    size_t n = 0;

    (void)state;
    zjoin(&z, w, "ann");
    memset(xml, ' ', sizeof xml);
    n = deflated(&z, xml, sizeof xml, out, sizeof out);
    n += deflated(&z, "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>", 56, out + n,
                  sizeof out - n);
    feed_bytes(&z.l, out, n);
    assert_string_equal(zgot(&z), "");
    for (int i = 0; i < 4 && server_due_us(z.l.s) == z.l.now_us; i++)
        assert_int_equal(server_tick(z.l.s, z.l.now_us), 0);
    assert_string_equal(zgot(&z), "<iq type=\"result\" id=\"p\" to=\"" ANN1 "\"/>");
    zpart(&z);
    free_world(w);
}

/* Output that is larger than one call's. */
static void test_much_output(void **state)
{
    static struct zlink ann, bob;
    static char body[200001], xml[sizeof body + 100];
    struct world *w = new_world("modern");
    unsigned x = 1;

    (void)state;
    zjoin(&ann, w, "ann");
    zjoin(&bob, w, "bob");
    for (size_t i = 0; i < sizeof body - 1; i++) {
        x = x * 1664525 + 1013904223;
        body[i] = (char)('a' + (x >> 16) % 26);
    }
    snprintf(xml, sizeof xml, "<message to='bob@example.org/one'><body>%s</body></message>", body);
    zfeed(&ann, xml);
    for (int i = 0; i < 8; i++)
        take(&bob.l);
    assert_non_null(strstr(zgot(&bob), body));
    zpart(&ann);
    zpart(&bob);
    free_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_documented_has_none),
        cmocka_unit_test(test_compressed),  cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_one_flush),   cmocka_unit_test(test_no_zlib),
        cmocka_unit_test(test_bomb),        cmocka_unit_test(test_goes_on_later),
        cmocka_unit_test(test_much_output),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

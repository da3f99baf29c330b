/* Compressed streams (XEP-0138): read as if they were not compressed, however they are split; what
 * cannot be inflated, and what inflates too far, is recorded as it came. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "../../decoder/decoder.h"

#define OPEN       "<stream:stream to='a.example' version='1.0' xmlns='jabber:client' "            \
                   "xmlns:stream='http://etherx.jabber.org/streams'>"
#define NS         "http://jabber.org/protocol/compress"
#define COMPRESS   "<compress xmlns='" NS "'><method>zlib</method></compress>"
#define COMPRESSED "<compressed xmlns='" NS "'/>"
#define AUTH       "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"
#define SUCCESS    "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"

/* One direction as a peer sends it: deflated with a flush behind each write. */
struct peer {
    z_stream z;
    struct buf wire;
};

struct seen {
    struct reader *reader;
    struct decoder *d;
    struct buf log;     /* labels and violation codes, a line each */
    struct buf text[2]; /* wire items, joined */
    struct event_end end;
};

static void on_event(void *arg, struct event *ev)
{
    struct seen *s = arg;

    if (ev->kind == EVENT_END)
        s->end = ev->u.end;
    if (ev->kind == EVENT_VIOLATION && !ev->u.violation.more)
        assert_int_equal(buf_printf(&s->log, "%s\n", error_name(ev->u.violation.code)), 0);
    else if (ev->label)
        assert_int_equal(buf_printf(&s->log, "%s\n", ev->label), 0);
    if (ev->data && ev->kind != EVENT_EDIT)
        assert_int_equal(buf_add(&s->text[ev->dir], ev->data, ev->len), 0);
}

static void begin(struct seen *s, const struct inflate_limits *limits)
{
    struct decoder_options o = {.limits = scan_default_limits};

    if (limits)
        o.inflate = *limits;
    *s = (struct seen){.reader = reader_new()};
    buf_init(&s->log, 1 << 20);
    buf_init(&s->text[0], 64 << 20);
    buf_init(&s->text[1], 64 << 20);
    s->d = decoder_new("test-1", &o, s->reader, on_event, s);
    assert_non_null(s->d);
}

static void end(struct seen *s)
{
    struct mark m = {.kind = MARK_END, .u.end = {.phase = "", .detail = "", .account = ""}};

    decoder_mark(s->d, 0, &m);
    decoder_free(s->d);
    reader_free(s->reader);
    assert_int_equal(buf_add(&s->log, "", 1), 0);
}

static void drop(struct seen *s)
{
    buf_free(&s->log);
    buf_free(&s->text[0]);
    buf_free(&s->text[1]);
}

static void peer_init(struct peer *p)
{
    *p = (struct peer){0};
    assert_int_equal(deflateInit(&p->z, 6), Z_OK);
    buf_init(&p->wire, 64 << 20);
}

static void peer_says(struct peer *p, const char *text, size_t n, int flush)
{
    p->z.next_in = (Bytef *)(uintptr_t)text;
    p->z.avail_in = (uInt)n;
    do {
        assert_int_equal(buf_reserve(&p->wire, 65536), 0);
        p->z.next_out = (Bytef *)p->wire.p + p->wire.len;
        p->z.avail_out = 65536;
        assert_true(deflate(&p->z, flush) >= Z_OK);
        p->wire.len += 65536 - p->z.avail_out;
    } while (p->z.avail_out == 0);
}

static void peer_free(struct peer *p)
{
    deflateEnd(&p->z);
    buf_free(&p->wire);
}

static void feed(struct seen *s, enum dir dir, const char *p, size_t n, size_t piece)
{
    for (size_t at = 0; at < n; at += piece)
        decoder_data(s->d, dir, 0, p + at, n - at < piece ? n - at : piece);
}

static void says(struct seen *s, enum dir dir, const char *text)
{
    feed(s, dir, text, strlen(text), SIZE_MAX);
}

/* Up to <compressed/>; `behind`: in one piece with it. */
static void until_compressed(struct seen *s, enum label_phase phase, const struct buf *behind)
{
    struct mark m = {.kind = MARK_RESTART, .phase = phase};
    struct buf last;

    decoder_mark(s->d, 0, &m);
    says(s, DIR_C2S, OPEN COMPRESS);
    buf_init(&last, 1 << 20);
    assert_int_equal(buf_str(&last, OPEN COMPRESSED), 0);
    if (behind)
        assert_int_equal(buf_add(&last, behind->p, behind->len), 0);
    feed(s, DIR_S2C, last.p, last.len, SIZE_MAX);
    buf_free(&last);
}

static void test_read(void **state)
{
    static const char client[] = OPEN "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>";
    static const char server[] = OPEN "<iq type='result' id='1'/></stream:stream>";
    struct peer c, p;

    (void)state;
    peer_init(&c);
    peer_init(&p);
    peer_says(&c, client, strlen(client), Z_SYNC_FLUSH);
    peer_says(&p, server, strlen(server), Z_SYNC_FLUSH);
    for (size_t piece = 1; piece < c.wire.len + 2; piece++) {
        struct seen s;

        begin(&s, NULL);
        until_compressed(&s, PHASE_BOUND, NULL);
        feed(&s, DIR_C2S, c.wire.p, c.wire.len, piece);
        feed(&s, DIR_S2C, p.wire.p, p.wire.len, piece);
        end(&s);
        assert_string_equal(s.log.p,
                            "stream.open\ncompression.request\nfeatures.bind\ncompression.start\n"
                            "stream.restart.sasl\nping.client.request\nfeatures.bind\n"
                            "ping.client.result\nstream.close.server\n");
        assert_memory_equal(s.text[0].p + strlen(OPEN COMPRESS), client, strlen(client));
        assert_int_equal(s.end.count[0].compressed, c.wire.len);
        assert_int_equal(s.end.count[1].compressed, p.wire.len);
        drop(&s);
    }
    peer_free(&c);
    peer_free(&p);
}

/* The server's first compressed bytes come together with <compressed/>; the login comes after it:
 * nobody marks where the streams begin anew then. */
static void test_login_inside(void **state)
{
    struct peer c, p;
    struct seen s;

    (void)state;
    peer_init(&c);
    peer_init(&p);
    peer_says(&p, OPEN, strlen(OPEN), Z_SYNC_FLUSH);
    begin(&s, NULL);
    until_compressed(&s, PHASE_TLS, &p.wire);
    peer_says(&c, OPEN AUTH, strlen(OPEN AUTH), Z_SYNC_FLUSH);
    feed(&s, DIR_C2S, c.wire.p, c.wire.len, SIZE_MAX);
    p.wire.len = c.wire.len = 0;
    peer_says(&p, SUCCESS OPEN, strlen(SUCCESS OPEN), Z_SYNC_FLUSH);
    feed(&s, DIR_S2C, p.wire.p, p.wire.len, SIZE_MAX);
    peer_says(&c, OPEN "<presence/>", strlen(OPEN "<presence/>"), Z_SYNC_FLUSH);
    feed(&s, DIR_C2S, c.wire.p, c.wire.len, SIZE_MAX);
    end(&s);
    assert_string_equal(s.log.p,
                        "stream.open\ncompression.request\nfeatures.sasl\ncompression.start\n"
                        "features.sasl\nstream.restart.tls\nsasl.auth\nsasl.success\n"
                        "features.bind\nstream.restart.sasl\npresence.broadcast\n");
    drop(&s);
    peer_free(&c);
    peer_free(&p);
}

/* What does not inflate is recorded byte for byte, in the direction where it stands. */
static void test_broken(void **state)
{
    static const char junk[] = "this is no zlib stream\xff\x01 at all";
    struct seen s;

    (void)state;
    begin(&s, NULL);
    until_compressed(&s, PHASE_BOUND, NULL);
    feed(&s, DIR_C2S, junk, strlen(junk), 3);
    end(&s);
    assert_non_null(strstr(s.log.p, "\ncompressed\n"));
    /* The first bytes may have gone into zlib's header before it failed. */
    assert_true(s.text[0].len + 3 >= strlen(OPEN COMPRESS) + strlen(junk));
    drop(&s);
}

/* A bomb: 64 MiB of spaces between items, in 64 KiB. */
static void test_cap(void **state)
{
    struct inflate_limits limits = {.burst = 1 << 20, .ratio = 50};
    char *spaces = malloc(1 << 20);
    struct peer c;
    struct seen s;

    (void)state;
    assert_non_null(spaces);
    memset(spaces, ' ', 1 << 20);
    peer_init(&c);
    peer_says(&c, OPEN, strlen(OPEN), Z_SYNC_FLUSH);
    for (int i = 0; i < 64; i++)
        peer_says(&c, spaces, 1 << 20, Z_SYNC_FLUSH);
    begin(&s, &limits);
    until_compressed(&s, PHASE_BOUND, NULL);
    feed(&s, DIR_C2S, c.wire.p, c.wire.len, 4096);
    end(&s);
    assert_non_null(strstr(s.log.p, "\ninflate-over-cap\n"));
    assert_true(s.text[0].len < 3u << 20);
    drop(&s);
    peer_free(&c);
    free(spaces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_login_inside),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

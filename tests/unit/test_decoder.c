/* The decoder: the documented exchange however it is split, redaction, edits, violations. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../decoder/decoder.h"
#include "../../logs/transcript.h"

#define TRACE    "tests/data/trace/"
#define ITEMS    40
#define NO_SPLIT SIZE_MAX

static struct item_row {
    enum dir dir;
    char bytes[4096];
    size_t len;
} items[ITEMS];
static size_t item_count;
static char documented[16384]; /* without blank lines, its first section last */

/* ---- the trace ---- */

static void load_items(void)
{
    FILE *f = fopen(TRACE "exchange.tsv", "r");
    char line[8192];

    if (!f)
        fail_msg(TRACE "exchange.tsv cannot be read: run from the repository's root");
    while (fgets(line, sizeof line, f)) {
        char *save, *dir;
        struct item_row *it = &items[item_count];

        if (*line == '#')
            continue;
        strtok_r(line, "\t", &save);
        dir = strtok_r(NULL, "\t", &save);
        strtok_r(NULL, "\t", &save);
        it->dir = strcmp(dir, "c2s") == 0 ? DIR_C2S : DIR_S2C;
        for (const char *p = save; *p && *p != '\n'; p++) {
            bool newline = p[0] == '\\' && p[1] == 'n';

            it->bytes[it->len++] = newline ? '\n' : *p;
            p += newline;
        }
        item_count++;
    }
    fclose(f);
    assert_int_equal(item_count, 33);
}

static void add_without_blank(const char *from, const char *to, char *out)
{
    size_t n = strlen(out);

    while (from < to) {
        const char *end = memchr(from, '\n', (size_t)(to - from));
        size_t len = (size_t)((end ? end + 1 : to) - from);

        if (len > 1) {
            memcpy(out + n, from, len);
            n += len;
            if (!end)
                out[n++] = '\n';
        }
        from += len;
    }
    out[n] = '\0';
}

static void load_documented(void)
{
    static char text[16384];
    FILE *f = fopen(TRACE "documented.txt", "r");
    const char *second;

    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    second = strstr(text + 4, "####");
    add_without_blank(second, text + strlen(text), documented);
    add_without_blank(text, second, documented);
}

static int load(void **state)
{
    (void)state;
    load_items();
    load_documented();
    return 0;
}

/* ---- a decoder whose events are seen ---- */

struct seen {
    struct sink *transcript;
    int fd;
    struct reader *reader;
    struct decoder *decoder;
    struct buf log;     /* one line an event */
    struct buf wire[2]; /* what the wire items hold, joined */
    uint64_t n;
};

static void on_event(void *arg, struct event *ev)
{
    struct seen *s = arg;

    assert_int_equal(ev->n, ++s->n);
    assert_string_equal(ev->session, "test-1");
    assert_int_equal(buf_printf(&s->log, "%s", event_name(ev->kind)), 0);
    switch (ev->kind) {
    case EVENT_STREAM:
    case EVENT_STANZA:
    case EVENT_SPACE:
        assert_int_equal(buf_printf(&s->log, " %s %s", dir_name(ev->dir), ev->label), 0);
        if (ev->re)
            assert_int_equal(buf_printf(&s->log, " re %d", (int)ev->re), 0);
        break;
    case EVENT_VIOLATION:
        assert_int_equal(buf_printf(&s->log, " %s %s at %d%s", dir_name(ev->dir),
                                    error_name(ev->u.violation.code), (int)ev->u.violation.offset,
                                    ev->u.violation.more ? " more" : ""),
                         0);
        break;
    case EVENT_EDIT:
        assert_int_equal(buf_printf(&s->log, " %s of %d: %.*s", dir_name(ev->dir),
                                    (int)ev->u.edit.of, (int)ev->u.edit.sent_len, ev->u.edit.sent),
                         0);
        break;
    case EVENT_END:
        assert_int_equal(buf_printf(&s->log, " %s", ev->u.end.account), 0);
        break;
    case EVENT_SESSION:
    case EVENT_TLS:
    case EVENT_GAP:
    case EVENT_KINDS:
        break;
    }
    assert_int_equal(buf_str(&s->log, "\n"), 0);
    if (ev->data)
        assert_int_equal(buf_add(&s->wire[ev->dir], ev->data, ev->len), 0);
    if (s->transcript)
        assert_int_equal(s->transcript->event(s->transcript, ev), 0);
}

static void begin(struct seen *s, bool redact, bool transcript, const struct scan_limits *limits)
{
    struct decoder_options o = {.limits = limits ? *limits : scan_default_limits, .redact = redact};
    struct transcript_options t = {.language = LABELS_DOCUMENTED};

    *s = (struct seen){0};
    buf_init(&s->log, 1 << 20);
    buf_init(&s->wire[0], 64 << 20);
    buf_init(&s->wire[1], 64 << 20);
    if (transcript) {
        s->fd = memfd_create("transcript", 0);
        assert_true(s->fd >= 0);
        s->transcript = transcript_new(out_new(s->fd, false, OUT_WAIT, 0), &t, 0);
        assert_non_null(s->transcript);
    }
    s->reader = reader_new();
    s->decoder = decoder_new("test-1", &o, s->reader, on_event, s);
    assert_non_null(s->decoder);
}

static void finish(struct seen *s)
{
    struct mark end = {.kind = MARK_END,
                       .u.end = {.code = ERR_CLOSED, .phase = "", .detail = "", .account = ""}};

    decoder_mark(s->decoder, 0, &end);
    if (s->transcript)
        assert_int_equal(s->transcript->close(s->transcript), 0);
    decoder_free(s->decoder);
    reader_free(s->reader);
}

static void drop(struct seen *s)
{
    if (s->transcript)
        close(s->fd);
    buf_free(&s->log);
    buf_free(&s->wire[0]);
    buf_free(&s->wire[1]);
}

static void restart(struct seen *s, enum label_phase phase)
{
    struct mark m = {.kind = MARK_RESTART, .phase = phase};

    decoder_mark(s->decoder, 0, &m);
}

static void feed(struct seen *s, enum dir dir, const char *text)
{
    decoder_data(s->decoder, dir, 0, text, strlen(text));
}

static void assert_log(struct seen *s, const char *want)
{
    assert_int_equal(buf_add(&s->log, "", 1), 0);
    assert_string_equal(s->log.p, want);
}

/* ---- the documented exchange ---- */

/* Chunks as they can come: all that one side says before the other, or TLS or a new stream,
 * speaks. Split at `split` bytes of direction `dir`, or into pieces of `step`. */
struct chunk {
    enum dir dir;
    char *p; /* owned */
    size_t len;
    enum label_phase restart; /* behind it; 0: none */
};

static size_t make_chunks(struct chunk *c)
{
    size_t n = 0;

    for (size_t k = 0; k < item_count; k++) {
        const struct item_row *it = &items[(k + 1) % item_count]; /* the first comes last */

        if (n == 0 || c[n - 1].dir != it->dir || c[n - 1].restart)
            c[n++] = (struct chunk){.dir = it->dir};
        c[n - 1].p = realloc(c[n - 1].p, c[n - 1].len + it->len);
        assert_non_null(c[n - 1].p);
        memcpy(c[n - 1].p + c[n - 1].len, it->bytes, it->len);
        c[n - 1].len += it->len;
        if (strncmp(it->bytes, "<proceed", 8) == 0)
            c[n - 1].restart = PHASE_TLS;
        else if (strncmp(it->bytes, "<success", 8) == 0)
            c[n - 1].restart = PHASE_BOUND;
    }
    return n;
}

static void feed_chunks(struct seen *s, const struct chunk *c, size_t n, enum dir dir, size_t split,
                        size_t step)
{
    size_t at[2] = {0, 0};

    for (size_t i = 0; i < n; i++) {
        size_t from = 0;

        while (from < c[i].len) {
            size_t to = c[i].len;

            if (step && to - from > step)
                to = from + step;
            if (c[i].dir == dir && split > at[dir] + from && split < at[dir] + to)
                to = split - at[dir];
            decoder_data(s->decoder, c[i].dir, 0, c[i].p + from, to - from);
            from = to;
        }
        at[c[i].dir] += c[i].len;
        if (c[i].restart)
            restart(s, c[i].restart);
    }
}

/* How much of both is the same. */
static size_t same_bytes(const char *a, const char *b)
{
    size_t n = 0;

    while (a[n] && a[n] == b[n])
        n++;
    return n;
}

static void check_documented(const struct chunk *c, size_t n, enum dir dir, size_t split,
                             size_t step)
{
    static char text[32768], got[32768];
    struct seen s;
    ssize_t len;

    begin(&s, false, true, NULL);
    feed_chunks(&s, c, n, dir, split, step);
    finish(&s);
    len = pread(s.fd, text, sizeof text, 0);
    assert_true(len > 0);
    got[0] = '\0';
    add_without_blank(text, text + len, got);
    if (strcmp(got, documented) != 0) {
        size_t at = same_bytes(got, documented);

        fail_msg("%s split at %zu, steps of %zu: at byte %zu\n%.200s\nnot\n%.200s", dir_name(dir),
                 split, step, at, got + at, documented + at);
    }
    drop(&s);
}

static void test_documented(void **state)
{
    struct chunk c[ITEMS] = {0};
    size_t n = make_chunks(c), total[2] = {0, 0};

    (void)state;
    for (size_t i = 0; i < n; i++)
        total[c[i].dir] += c[i].len;
    check_documented(c, n, DIR_C2S, NO_SPLIT, 0);
    for (size_t step = 1; step <= 9; step++)
        check_documented(c, n, DIR_C2S, NO_SPLIT, step);
    for (int dir = 0; dir < 2; dir++)
        for (size_t at = 1; at < total[dir]; at++)
            check_documented(c, n, (enum dir)dir, at, 0);
    for (size_t i = 0; i < n; i++)
        free(c[i].p);
}

/* Answers name the request's number; the account is learnt; joined items are the plaintext. */
static void test_events(void **state)
{
    struct chunk c[ITEMS] = {0};
    size_t n = make_chunks(c);
    struct seen s;

    (void)state;
    begin(&s, false, false, NULL);
    feed_chunks(&s, c, n, DIR_C2S, NO_SPLIT, 0);
    finish(&s);
    assert_int_equal(buf_add(&s.log, "", 1), 0);
    assert_non_null(strstr(s.log.p, "stanza c2s bind.request\nstanza s2c bind.result re 14\n"));
    assert_non_null(strstr(s.log.p, "stanza s2c disco.result re 24\n"));
    assert_non_null(strstr(s.log.p, "stanza s2c privacy.list.result re 27\n"));
    assert_non_null(strstr(s.log.p, "end guanfei@xumatomacbook-pro.local\n"));
    for (int dir = 0; dir < 2; dir++) {
        size_t at = 0;

        for (size_t i = 0; i < n; i++)
            if (c[i].dir == (enum dir)dir) {
                assert_memory_equal(s.wire[dir].p + at, c[i].p, c[i].len);
                at += c[i].len;
            }
        assert_int_equal(s.wire[dir].len, at);
    }
    for (size_t i = 0; i < n; i++)
        free(c[i].p);
    drop(&s);
}

/* ---- redaction ---- */

#define OPEN    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
#define NS_SASL "urn:ietf:params:xml:ns:xmpp-sasl"

static void test_redact(void **state)
{
    static const struct {
        const char *item, *kept;
    } rows[] = {
        {"<auth xmlns='" NS_SASL "' mechanism='PLAIN'>AHNlY3JldAA=</auth>",
         "<auth xmlns='" NS_SASL "' mechanism='PLAIN'>[redacted]</auth>"},
        {"<s:auth xmlns:s='" NS_SASL "' mechanism='PLAIN'>secret</s:auth>",
         "<s:auth xmlns:s='" NS_SASL "' mechanism='PLAIN'>[redacted]</s:auth>"},
        {"<response xmlns='" NS_SASL "'>&#115;ecret</response>",
         "<response xmlns='" NS_SASL "'>[redacted]</response>"},
        {"<response xmlns='" NS_SASL "'/>", "<response xmlns='" NS_SASL "'/>"},
        {"<iq type='set' id='1'><query xmlns='jabber:iq:auth'><username>u</username>"
         "<password>secret</password><digest>secret</digest></query></iq>",
         "<iq type='set' id='1'><query xmlns='jabber:iq:auth'><username>u</username>"
         "<password>[redacted]</password><digest>[redacted]</digest></query></iq>"},
        {"<iq type='set' id='1'><query "
         "xmlns='jabber:iq:register'><password>a<b>secret</b></password>"
         "</query></iq>",
         "<iq type='set' id='1'><query xmlns='jabber:iq:register'><password>[redacted]</password>"
         "</query></iq>"},
        {"<iq type='set' id='1'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data'>"
         "<field var='password'><value>secret</value></field></x></query></iq>",
         "<iq type='set' id='1'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data'>"
         "<field var='password'>[redacted]</field></x></query></iq>"},
        {"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>secret"
         "</initial-response></authenticate>",
         "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>[redacted]"
         "</initial-response></authenticate>"},
        {"<token xmlns='urn:xmpp:fast:0' expiry='2030' token = \"secret\" />",
         "<token xmlns='urn:xmpp:fast:0' expiry='2030' token = \"[redacted]\" />"},
        {"<presence to='r@m/n'><x xmlns='http://jabber.org/protocol/muc'><password>secret"
         "</password></x></presence>",
         "<presence to='r@m/n'><x xmlns='http://jabber.org/protocol/muc'><password>[redacted]"
         "</password></x></presence>"},
        {"<message><x xmlns='jabber:x:conference' password='secret' jid='r@m'/></message>",
         "<message><x xmlns='jabber:x:conference' password='[redacted]' jid='r@m'/></message>"},
        {"<iq><services xmlns='urn:xmpp:extdisco:2'><service host='h' password='secret'/>"
         "</services></iq>",
         "<iq><services xmlns='urn:xmpp:extdisco:2'><service host='h' password='[redacted]'/>"
         "</services></iq>"},
        {"<message><body>secret</body></message>", "<message><body>secret</body></message>"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int redact = 0; redact < 2; redact++) {
            struct seen s;

            begin(&s, redact, false, NULL);
            feed(&s, DIR_C2S, OPEN);
            feed(&s, DIR_C2S, rows[i].item);
            finish(&s);
            assert_int_equal(buf_add(&s.wire[0], "", 1), 0);
            assert_string_equal(s.wire[0].p + strlen(OPEN), redact ? rows[i].kept : rows[i].item);
            drop(&s);
        }
}

/* Bytes that nobody can read may hold a password: before the login only their length is kept. */
static void test_withheld(void **state)
{
    struct seen s;

    (void)state;
    begin(&s, true, false, NULL);
    feed(&s, DIR_C2S, OPEN "<auth xmlns='" NS_SASL "' mechanism='PLAIN'>secret</wrong>");
    finish(&s);
    assert_int_equal(s.wire[0].len, strlen(OPEN));
    drop(&s);
    begin(&s, true, false, NULL);
    restart(&s, PHASE_BOUND);
    feed(&s, DIR_C2S, OPEN "<a>x</wrong>");
    finish(&s);
    assert_int_equal(s.wire[0].len, strlen(OPEN "<a>x</wrong>"));
    drop(&s);
    begin(&s, true, false, NULL); /* after it, wherever one is named */
    restart(&s, PHASE_BOUND);
    feed(&s, DIR_C2S, OPEN "<iq><!-- x --><password>secret</password></iq><iq><password>secr");
    finish(&s);
    assert_int_equal(s.wire[0].len, strlen(OPEN));
    drop(&s);
}

/* The word may be split between two reads. */
static void test_withheld_split(void **state)
{
    static const char raw[] = "junk <password>secret</password> and more";
    size_t len = strlen(raw), named = (size_t)(strstr(raw, "assword") - raw) + 7;

    (void)state;
    for (size_t at = 1; at < len; at++) {
        struct seen s;

        begin(&s, true, false, NULL);
        restart(&s, PHASE_BOUND);
        feed(&s, DIR_C2S, OPEN);
        decoder_data(s.decoder, DIR_C2S, 0, raw, at);
        decoder_data(s.decoder, DIR_C2S, 0, raw + at, len - at);
        finish(&s);
        assert_true(s.wire[0].len <= strlen(OPEN) + named);
        assert_null(memmem(s.wire[0].p, s.wire[0].len, "secret", 6));
        drop(&s);
    }
}

/* One item that cannot be read costs no other; a request is known by its own number. */
static void test_goes_on(void **state)
{
    struct seen s;

    (void)state;
    begin(&s, false, false, NULL);
    restart(&s, PHASE_BOUND);
    feed(&s, DIR_C2S, OPEN "<message><y xmlns='u&#10;v'/></message><a></b>");
    feed(&s, DIR_S2C, OPEN);
    feed(&s, DIR_C2S, "\n<iq type='get' id='q'><query xmlns='jabber:iq:roster'/></iq>");
    feed(&s, DIR_S2C, "<iq type='result' id='q'/>");
    finish(&s);
    assert_log(&s, "stream c2s stream.open\nstanza c2s message.normal.sent\n"
                   "violation c2s not-well-formed at 124\nstream s2c features.bind re 1\n"
                   "space c2s space\nstanza c2s roster.request\n"
                   "stanza s2c roster.result re 6\nend \n");
    drop(&s);
}

/* ---- edits, white space, violations ---- */

static void edit(struct seen *s, enum dir dir, uint64_t bytes, const char *sent)
{
    struct mark m = {.kind = MARK_EDIT,
                     .dir = dir,
                     .bytes = bytes,
                     .sent = sent,
                     .sent_len = strlen(sent),
                     .reason = "a test"};

    decoder_mark(s->decoder, 0, &m);
}

static void test_edits(void **state)
{
    struct seen s;

    (void)state;
    begin(&s, false, false, NULL);
    feed(&s, DIR_C2S, OPEN " ");
    edit(&s, DIR_C2S, 1, "");
    feed(&s, DIR_C2S, "\n");
    edit(&s, DIR_C2S, 8, "<x/>");
    feed(&s, DIR_C2S, "<a/>");
    feed(&s, DIR_C2S, "<b/>");
    edit(&s, DIR_S2C, 0, "<y/>");
    feed(&s, DIR_C2S, "<c/>");
    finish(&s);
    assert_log(&s, "stream c2s stream.open\nspace c2s space\nspace c2s space\n"
                   "edit c2s of 3: \nstanza c2s nonza.other\nstanza c2s nonza.other\n"
                   "edit c2s of 6: <x/>\nedit s2c of 0: <y/>\nstanza c2s nonza.other\nend \n");
    drop(&s);
}

static const struct scan_limits tight = {.tag_bytes = 200, .item_bytes = 300, .depth = 4};

static void test_violations(void **state)
{
    static const struct {
        const char *bytes, *log;
    } rows[] = {
        {OPEN "<a></b>", "stream c2s stream.open\nviolation c2s not-well-formed at 85\nend \n"},
        {OPEN "<a>&undefined;</a>",
         "stream c2s stream.open\nviolation c2s not-well-formed at 85\nend \n"},
        {OPEN "<a b='1' b='2'/>",
         "stream c2s stream.open\nviolation c2s not-well-formed at 85\nend \n"},
        {OPEN "<a>\xff</a>", "stream c2s stream.open\nviolation c2s not-well-formed at 85\nend \n"},
        {OPEN "<p:a/>", "stream c2s stream.open\nviolation c2s not-well-formed at 85\nend \n"},
        {OPEN "</stream>", "stream c2s stream.open\nviolation c2s not-well-formed at 85\nend \n"},
        {"<!DOCTYPE x [<!ENTITY y 'z'>]>", "violation c2s restricted-xml at 0\nend \n"},
        {"GET / HTTP/1.1", "violation c2s unreadable at 0\nend \n"},
        {OPEN "<a><!-- x --></a><message/>", "stream c2s stream.open\nviolation c2s restricted-xml "
                                             "at 85\nstanza c2s message.normal.sent\nend \n"},
        {OPEN "<a><b><c><d/></c></b></a><a><b><c><d></d></c></b></a><message/>",
         "stream c2s stream.open\nstanza c2s nonza.other\nviolation c2s depth-over-cap at 110\n"
         "stanza c2s message.normal.sent\nend \n"},
        {OPEN "<message", "stream c2s stream.open\nviolation c2s incomplete at 85\nend \n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct seen s;

        begin(&s, false, false, &tight);
        feed(&s, DIR_C2S, rows[i].bytes);
        finish(&s);
        assert_log(&s, rows[i].log);
        assert_int_equal(s.wire[0].len, strlen(rows[i].bytes));
        assert_memory_equal(s.wire[0].p, rows[i].bytes, s.wire[0].len);
        drop(&s);
    }
}

/* Whatever is fed, split anywhere: every byte is recorded, in order. */
static void test_every_byte(void **state)
{
    static const char *const streams[] = {
        OPEN "<a><!-- x --></a> <message/>\n</stream:stream> x",
        OPEN "<a><b><c><d></d></c></b></a><a></b><c/>",
        OPEN "<message><body>0123456789012345678901234567890123456789012345678901234567890123456789"
             "0123456789012345678901234567890123456789012345678901234567890123456789012345678901"
             "2345678901234567890123456789012345678901234567890123456789012345678901234567890123"
             "45678901234567890123456789012345678901234567890123456789</body></message> <a/>",
        "\x16\x03\x01 not a stream",
    };

    (void)state;
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        size_t len = strlen(streams[i]);

        for (size_t at = 0; at <= len; at++) {
            struct seen s;

            begin(&s, false, false, &tight);
            decoder_data(s.decoder, DIR_C2S, 0, streams[i], at);
            decoder_data(s.decoder, DIR_C2S, 0, streams[i] + at, len - at);
            finish(&s);
            assert_int_equal(s.wire[0].len, len);
            assert_memory_equal(s.wire[0].p, streams[i], len);
            drop(&s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documented),     cmocka_unit_test(test_events),
        cmocka_unit_test(test_redact),         cmocka_unit_test(test_withheld),
        cmocka_unit_test(test_withheld_split), cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_edits),          cmocka_unit_test(test_violations),
        cmocka_unit_test(test_every_byte),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}

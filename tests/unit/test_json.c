/* An event as a line of JSON, and back. */
#include "archive_tests.h"

#include <time.h>

#include "../fuzz/lines.h"

/* A line, read back, into `rec`. */
static void through_json(const struct event *ev, struct buf *line, struct json_record *rec)
{
    struct error e = {0};

    assert_int_equal(json_event_write(line, ev), 0);
    assert_true(memchr(line->p, '\n', line->len) == line->p + line->len - 1);
    if (json_event_read(rec, line->p, line->len, &e))
        fail_msg("%s: %.*s", e.detail, (int)line->len, line->p);
    same_event(ev, &rec->event);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(dir_name(DIR_C2S), "c2s");
    assert_string_equal(dir_name(DIR_S2C), "s2c");
    assert_string_equal(side_name(SIDE_CLIENT), "client");
    assert_string_equal(side_name(SIDE_SERVER), "server");
    assert_string_equal(side_name(SIDE_PROXY), "proxy");
    assert_string_equal(event_name(EVENT_SESSION), "session");
    assert_string_equal(event_name(EVENT_VIOLATION), "violation");
    assert_string_equal(event_name(EVENT_END), "end");
}

static void test_every_kind(void **state)
{
    struct json_record rec = {0};
    struct buf line;
    unsigned seen = 0;
    size_t i;

    (void)state;
    buf_init(&line, MIB);
    for (i = 0; i < SAMPLES; i++) {
        line.len = 0;
        through_json(&samples[i], &line, &rec);
        seen |= 1u << samples[i].kind;
    }
    assert_int_equal(seen, (1u << EVENT_KINDS) - 1);
    json_record_free(&rec);
    buf_free(&line);
}

/* The schema as other programs know it: these lines must not change. */
static void test_schema(void **state)
{
    static const struct {
        size_t sample;
        const char *line;
    } row[] = {
        {1,
         "{\"v\":1,\"event\":\"session\",\"t\":\"2026-11-23T01:02:03.000006Z\",\"session\":\"s1\","
         "\"n\":2}\n"},
        {6,
         "{\"v\":1,\"event\":\"stanza\",\"t\":\"2026-11-23T01:02:03.000011Z\",\"session\":\"s1\","
         "\"n\":7,\"dir\":\"s2c\",\"label\":\"iq.other\",\"re\":5,\"wait_us\":-12,"
         "\"type\":\"get\",\"ns\":\"urn:x\",\"xml\":\"<iq/>\"}\n"},
        {12, "{\"v\":1,\"event\":\"edit\",\"t\":\"2026-11-23T01:02:03.000017Z\",\"session\":\"s1\","
             "\"n\":13,\"dir\":\"c2s\",\"sent_b64\":\"/wA=\",\"reason\":\"inserted\"}\n"},
        {13,
         "{\"v\":1,\"event\":\"violation\",\"t\":\"2026-11-23T01:02:03.000018Z\","
         "\"session\":\"s1\",\"n\":14,\"dir\":\"s2c\",\"code\":\"restricted-xml\",\"offset\":77,"
         "\"detail\":\"a comment\",\"b64\":\"PCEtLf4=\"}\n"},
        {17, "{\"v\":1,\"event\":\"end\",\"t\":\"2026-11-23T01:02:03.000022Z\",\"session\":\"s1\","
             "\"n\":18,\"by\":\"client\",\"reason\":\"closed\",\"duration_us\":0,"
             "\"c2s\":{\"bytes\":0,\"stanzas\":0},\"s2c\":{\"bytes\":0,\"stanzas\":0}}\n"},
        {16,
         "{\"v\":1,\"event\":\"end\",\"t\":\"2026-11-23T01:02:03.000021Z\",\"session\":\"s1\","
         "\"n\":17,\"by\":\"proxy\",\"reason\":\"timeout\",\"phase\":\"sasl\","
         "\"detail\":\"no answer\",\"account\":\"a@example.org\",\"server\":\"192.0.2.7:5223\","
         "\"server_name\":\"xmpp1.example.org\",\"duration_us\":5000001,"
         "\"verdict\":\"server.silent\",\"sentence\":\"the server was silent\","
         "\"mechanism\":\"SCRAM-SHA-1\",\"resumes\":\"s0\",\"unanswered\":20,"
         "\"open\":[{\"n\":12,\"label\":\"roster.request\",\"us\":3000000},{\"n\":15,\"us\":1}],"
         "\"slow\":[{\"n\":7,\"label\":\"ping.client.request\",\"wait_us\":900000}],"
         "\"c2s\":{\"bytes\":10,\"sha256\":\"" HEX64 "\",\"stanzas\":3,\"compressed\":7},"
         "\"s2c\":{\"bytes\":20,\"sha256\":\"" HEX64 "\",\"stanzas\":4,\"sent_bytes\":21,"
         "\"sent_sha256\":\"" HEX64 "\"}}\n"},
        {19,
         "{\"v\":1,\"event\":\"stanza\",\"t\":\"2026-11-23T01:02:03.000024Z\",\"session\":\"s1\","
         "\"n\":20,\"dir\":\"s2c\",\"label\":\"sasl.auth\","
         "\"facts\":{\"mechanism\":\"PLAIN\",\"user\":\"\\\"a\\u0001\xc3\xa9\"},"
         "\"remarks\":{\"unasked\":\"nothing was asked\"},\"xml\":\"<auth/>\"}\n"},
    };
    struct buf line;
    size_t i;

    (void)state;
    buf_init(&line, MIB);
    for (i = 0; i < sizeof row / sizeof row[0]; i++) {
        line.len = 0;
        assert_int_equal(json_event_write(&line, &samples[row[i].sample]), 0);
        assert_int_equal(buf_add(&line, "", 1), 0);
        assert_string_equal(line.p, row[i].line);
    }
    buf_free(&line);
}

static void test_awkward_content(void **state)
{
#define ROW(s, form)                                                                               \
    {                                                                                              \
        s, sizeof(s) - 1, form                                                                     \
    }
    static const struct {
        const char *p;
        size_t len;
        const char *form; /* how it stands in the line */
    } row[] = {
        ROW("", "\"label\":\"message.chat\"}"),
        ROW("\0", "\"xml\":\"\\u0000\""),
        ROW("a\0b\"c\\d/\b\f\n\r\t\x1f\x7f", "\"xml\":\"a\\u0000b\\\"c\\\\d/"),
        ROW("12345678\"12345678\\12345678\x7f",
            "\"xml\":\"12345678\\\"12345678\\\\12345678\\u007f"),
        ROW("123\x7f"
            "5678",
            "\"xml\":\"123\\u007f5678\""),
        ROW("\xe2\x80\xa8", "\"xml\":\"\xe2\x80\xa8\""), /* U+2028 */
        ROW("\xc2\x9b"
            "1m\xc2\xa0",
            "\"xml\":\"\\u009b1m\xc2\xa0\""), /* a C1 control */
        ROW("\xe4\xbd\xa0\xe5\xa5\xbd", "\"xml\":\"\xe4\xbd\xa0\xe5\xa5\xbd\""),
        ROW("\xf4\x8f\xbf\xbf\xef\xbf\xbe", "\"xml\":\"\xf4\x8f\xbf\xbf\xef\xbf\xbe\""),
        ROW("\x80", "\"b64\":\"gA==\""),
        ROW("\xc0\x80", "\"b64\":\"wIA=\""), /* overlong */
        ROW("\xe0\x9f\xbf", "\"b64\":\"4J+/\""),
        ROW("\xf0\x8f\xbf\xbf", "\"b64\":\"8I+/vw==\""),
        ROW("\xed\xa0\x80", "\"b64\":\"7aCA\""),         /* a surrogate */
        ROW("\xf4\x90\x80\x80", "\"b64\":\"9JCAgA==\""), /* beyond Unicode */
        ROW("<a>\xe4\xbd", "\"b64\":\"PGE+5L0=\""),      /* cut */
    };
    struct json_record rec = {0};
    struct event ev;
    struct buf line;
    char *big = malloc(MIB);
    size_t i, len;

    (void)state;
    assert_non_null(big);
    buf_init(&line, 16 * MIB);
    for (i = 0; i < sizeof row / sizeof row[0]; i++) {
        line.len = 0;
        ev = stanza(1, row[i].p, row[i].len);
        through_json(&ev, &line, &rec);
        if (!memmem(line.p, line.len, row[i].form, strlen(row[i].form)))
            fail_msg("row %zu: no %s in %.*s", i, row[i].form, (int)line.len, line.p);
    }
    for (i = 0; i < MIB; i++)
        big[i] = (char)(i % 251 * (i / 251 % 5 + 1));
    for (len = MIB; len > MIB - 3; len--) { /* all byte values, each base64 padding */
        line.len = 0;
        ev = stanza(1, big, len);
        through_json(&ev, &line, &rec);
    }
    for (i = 0; i < MIB; i++)
        big[i] &= 0x7f;
    for (len = 128; len <= MIB; len *= 2) {
        line.len = 0;
        ev = stanza(1, big, len);
        through_json(&ev, &line, &rec);
    }
    free(big);
    json_record_free(&rec);
    buf_free(&line);
}

/* `xxx`, `what`, `xxx`: `at` and `behind` of them. */
static void put_between(struct buf *b, size_t at, const char *what, size_t behind)
{
    assert_int_equal(buf_reserve(b, at + behind + 1), 0); /* memory even for none */
    memset(b->p + b->len, 'x', at);
    b->len += at;
    assert_int_equal(buf_str(b, what), 0);
    memset(b->p + b->len, 'x', behind);
    b->len += behind;
}

/* Bytes are looked at many at a time: one that is escaped is found wherever it stands. */
static void test_every_place(void **state)
{
    static const struct {
        const char *p, *form; /* NULL: it makes all of it base64 */
    } row[] = {
        {"\"", "\\\""},          {"\\", "\\\\"},         {"\x1f", "\\u001f"},
        {"\x7f", "\\u007f"},    {"\xc2\x80", "\\u0080"}, {"\xc3\xa9", "\xc3\xa9"},
        {" ", " "},              {"~", "~"},             {"!", "!"},
        {"\x80", NULL},          {"\xff", NULL},         {"\xe4\xbd", NULL},
    };
    struct buf text, form, line;
    struct event ev;
    size_t i, len, at;

    (void)state;
    buf_init(&text, KIB);
    buf_init(&form, KIB);
    buf_init(&line, KIB);
    for (i = 0; i < sizeof row / sizeof row[0]; i++) {
        for (len = 0; len <= 50; len++) {
            for (at = 0; at <= len; at++) {
                text.len = form.len = line.len = 0;
                put_between(&text, at, row[i].p, len - at);
                ev = stanza(1, text.p, text.len);
                assert_int_equal(json_event_write(&line, &ev), 0);
                assert_int_equal(buf_str(&form, row[i].form ? "\"xml\":\"" : "\"b64\":\""), 0);
                if (row[i].form)
                    put_between(&form, at, row[i].form, len - at);
                if (!memmem(line.p, line.len, form.p, form.len))
                    fail_msg("no %.*s in %.*s", (int)form.len, form.p, (int)line.len, line.p);
            }
        }
    }
    buf_free(&text);
    buf_free(&form);
    buf_free(&line);
}

/* Against the library's calendar, each day that a leap year can move, in all years there are. */
static void test_times(void **state)
{
    static const int days[] = {0, 58, 59, 60, 61, 364, 365};
    struct event ev = stanza(1, "", 0);
    char form[64];
    struct tm tm;
    struct buf line;
    time_t t;

    (void)state;
    buf_init(&line, KIB);
    for (int year = 0; year < 10000; year++) {
        for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
            tm = (struct tm){.tm_year = year - 1900, .tm_mday = 1};
            t = timegm(&tm) + days[i] * 86400 + year * 8;
            if (!gmtime_r(&t, &tm) || tm.tm_year > 9999 - 1900)
                continue;
            ev.time_us = (int64_t)t * 1000000 + year * 100 + 1;
            line.len = 0;
            assert_int_equal(json_event_write(&line, &ev), 0);
            snprintf(form, sizeof form, "\"t\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"",
                     tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                     year * 100 + 1);
            if (!memmem(line.p, line.len, form, strlen(form)))
                fail_msg("%s in %.*s", form, (int)line.len, line.p);
        }
    }
    ev.time_us = -62167219200000001; /* the year before 0 */
    assert_int_equal(json_event_write(&line, &ev), ERR_FORMAT);
    buf_free(&line);
}

/* A text (not the captured bytes) that is not UTF-8 must not spoil its line. */
static void test_bad_text(void **state)
{
    struct json_record rec = {0};
    struct event ev = {COMMON(EVENT_TLS, 1), .u.tls = {.sni = "a\xff.b"}};
    struct buf line;

    (void)state;
    buf_init(&line, MIB);
    assert_int_equal(json_event_write(&line, &ev), 0);
    assert_int_equal(json_event_read(&rec, line.p, line.len, NULL), 0);
    assert_string_equal(rec.event.u.tls.sni, "a\xef\xbf\xbd.b");
    line.len = 0;
    ev.time_us = 253402300800000000; /* the year 10000 */
    assert_int_equal(json_event_write(&line, &ev), ERR_FORMAT);
    assert_int_equal(line.len, 0);
    json_record_free(&rec);
    buf_free(&line);
}

static void test_full_buffer(void **state)
{
    struct event ev = stanza(1, "\"\xff\"", 3);
    struct buf whole, b;
    size_t max;

    (void)state;
    buf_init(&whole, MIB);
    assert_int_equal(json_event_write(&whole, &ev), 0);
    for (max = 2; max < whole.len; max++) {
        buf_init(&b, max);
        assert_int_equal(buf_str(&b, "x\n"), 0);
        assert_int_equal(json_event_write(&b, &ev), ERR_CAP);
        assert_int_equal(b.len, 2);
        buf_free(&b);
    }
    buf_free(&whole);
}

#define HEAD(event)                                                                                \
    "{\"event\":\"" event "\",\"t\":\"2026-01-01T00:00:00Z\",\"session\":\"s\",\"n\":1"

/* {"event":"omen","x":[[],[],...[]]}: its length. */
static size_t list_of_lists(char *p, size_t n)
{
    static const char head[] = "{\"event\":\"omen\",\"x\":[";
    size_t i, len = sizeof head - 1;

    memcpy(p, head, len);
    for (i = 0; i < n; i++, len += 3)
        memcpy(p + len, "[],", 3);
    memcpy(p + len - 1, "]}", 2);
    return len + 1;
}

static void test_foreign_lines(void **state)
{
    static const struct {
        const char *line;
        int err;
        int kind;
    } row[] = {
        {HEAD("stanza") ",\"dir\":\"c2s\",\"new\":{\"a\":[1,null]},\"v\":9}", 0, EVENT_STANZA},
        {HEAD("stanza") ", \"dir\" : \"c2s\" }\r\n", 0, EVENT_STANZA},
        {HEAD("end") ",\"by\":\"proxy\",\"reason\":\"of-2031\"}", 0, EVENT_END},
        {"{\"event\":\"weather\",\"session\":5}", 0, EVENT_KINDS},
        {HEAD("stanza") "}", ERR_FORMAT, 0},
        {HEAD("stanza") ",\"dir\":\"up\"}", ERR_FORMAT, 0},
        {HEAD("stanza") ",\"dir\":\"c2s\",\"xml\":5}", ERR_FORMAT, 0},
        {HEAD("stanza") ",\"dir\":\"c2s\",\"b64\":\"a\"}", ERR_FORMAT, 0},
        {HEAD("stanza") ",\"dir\":\"c2s\",\"b64\":\"a=aa\"}", ERR_FORMAT, 0},
        {HEAD("stanza") ",\"dir\":\"c2s\",\"withheld\":-1}", ERR_FORMAT, 0},
        {HEAD("stanza") ",\"dir\":\"c2s\",\"re\":1.5}", ERR_FORMAT, 0},
        {HEAD("stream") ",\"dir\":\"c2s\",\"closing\":1}", ERR_FORMAT, 0},
        {HEAD("tls") ",\"side\":\"left\"}", ERR_FORMAT, 0},
        {HEAD("end") ",\"by\":\"proxy\",\"c2s\":{\"sha256\":\"" HEX64 "0\"}}", ERR_FORMAT, 0},
        {HEAD("end") ",\"by\":\"proxy\",\"c2s\":7}", ERR_FORMAT, 0},
        {HEAD("gap") ",\"dir\":\"c2s\",\"bytes\":99999999999999999999}", ERR_FORMAT, 0},
        {"{\"event\":\"gap\",\"t\":\"yesterday\",\"session\":\"s\",\"n\":1,\"dir\":\"c2s\"}",
         ERR_FORMAT, 0},
        {"{\"event\":\"gap\",\"session\":\"s\",\"n\":1,\"dir\":\"c2s\"}", ERR_FORMAT, 0},
        {"{\"event\":\"gap\",\"t\":\"2026-01-01T00:00:00Z\",\"n\":1,\"dir\":\"c2s\"}", ERR_FORMAT,
         0},
        {"{\"t\":\"2026-01-01T00:00:00Z\"}", ERR_FORMAT, 0},
        {"[]", ERR_FORMAT, 0},
        {"{", ERR_FORMAT, 0},
        {"", ERR_FORMAT, 0},
        {"{}{}", ERR_FORMAT, 0},
    };
    struct json_record rec = {0};
    struct error e;
    char *many;
    size_t i, len;

    (void)state;
    for (i = 0; i < sizeof row / sizeof row[0]; i++) {
        e = (struct error){0};
        if (json_event_read(&rec, row[i].line, strlen(row[i].line), &e) != row[i].err)
            fail_msg("%s: %s", row[i].line, e.detail);
        assert_int_equal(e.detail[0] != 0, row[i].err != 0);
        if (!row[i].err)
            assert_int_equal(rec.event.kind, row[i].kind);
    }
    many = malloc(3 * KIB * 400); /* cheap to store, dear to hold as a tree */
    assert_non_null(many);
    len = list_of_lists(many, 399 * KIB);
    assert_int_equal(json_event_read(&rec, many, len, &e), ERR_FORMAT);
    len = list_of_lists(many, 100);
    assert_int_equal(json_event_read(&rec, many, len, &e), 0);
    free(many);
    json_record_free(&rec);
}

/* What is read straight into its fields is what jansson makes of it, and is refused where jansson
 * refuses it: our lines, whole and with any byte, and any two neighbours, changed or left out. */
static void test_both_ways(void **state)
{
    static const char marks[] = "\"\\{}[]:,u0e-. \n\x01\xc3\xed\xa4";
    char line[2049], why[2048];
    struct buf b;

    (void)state;
    buf_init(&b, MIB);
    for (size_t i = 0; i < SAMPLES; i++) {
        b.len = 0;
        assert_int_equal(json_event_write(&b, &samples[i]), 0);
        if (b.len >= sizeof line)
            continue;
        if (!lines_agree(b.p, b.len, why, sizeof why))
            fail_msg("%s", why);
        for (size_t at = 0; at < b.len; at++)
            for (size_t m = 0; m < sizeof marks; m++) {
                size_t gone = m % 3; /* bytes left out behind it */

                gone = gone < b.len - at ? gone : 0;
                memcpy(line, b.p, at);
                line[at] = marks[m];
                memcpy(line + at + 1, b.p + at + gone, b.len - at - gone);
                if (b.len - gone + 1 <= sizeof line &&
                    !lines_agree(line, b.len - gone + 1, why, sizeof why))
                    fail_msg("%.*s: %s", (int)(b.len - gone + 1), line, why);
            }
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),         cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_schema),        cmocka_unit_test(test_awkward_content),
        cmocka_unit_test(test_every_place),   cmocka_unit_test(test_times),
        cmocka_unit_test(test_bad_text),      cmocka_unit_test(test_full_buffer),
        cmocka_unit_test(test_foreign_lines), cmocka_unit_test(test_both_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The format of golden cases: what is wrong with one is said with its line; escapes come back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "case.h"

#define BEGIN "0\tsession\tclient=a:1\n"
#define END   "9\tend\tby=client\treason=closed\tphase=bound\n"

static const struct {
    const char *text, *why;
} bad[] = {
    {"", "x:0: no session"},
    {"# nothing\n", "x:1: no session"},
    {BEGIN, "x:1: the last session has no end"},
    {"0\tc2s\ta\n", "x:1: no session yet"},
    {BEGIN BEGIN, "x:2: the session before it has no end"},
    {BEGIN END "9\tbound\n", "x:3: no session yet"},
    {BEGIN "5\tc2s\ta\n4\tc2s\tb\n" END, "x:3: its time is before that of the line before it"},
    {BEGIN "c2s\ta\n", "x:2: not TIME<tab>KIND: c2s"},
    {BEGIN "-1\tc2s\ta\n", "x:2: not TIME<tab>KIND: -1"},
    {BEGIN "1\n", "x:2: not TIME<tab>KIND: 1"},
    {BEGIN "1\tc2c\ta\n", "x:2: no such kind of line: c2c"},
    {BEGIN "1\tc2s\n", "x:2: one field of bytes must follow: c2s"},
    {BEGIN "1\tc2s\ta\tb\n", "x:2: one field of bytes must follow: c2s"},
    {BEGIN "1\tc2s\ta\\q\n", "x:2: no such escape: \\q"},
    {BEGIN "1\tc2s\t\\x0\n", "x:2: no such escape: \\x0"},
    {BEGIN "1\tc2s\ta\\\n", "x:2: no such escape: \\"},
    {BEGIN "1\tc2s\ta\r\n", "x:2: a control character must be written as \\xNN"},
    {BEGIN "1\trestart\n", "x:2: open, tls or bound must follow: restart"},
    {BEGIN "1\trestart\tsasl\n", "x:2: open, tls or bound must follow: restart"},
    {BEGIN "1\tgap\tbytes=1\n", "x:2: c2s or s2c must follow: gap"},
    {BEGIN "1\tgap\tc2s\tbytes=many\n", "x:2: the key has no such value: bytes"},
    {BEGIN "1\tgap\tc2s\tsent=1\n", "x:2: this line has no such key: sent"},
    {BEGIN "1\ttls\tok\n", "x:2: not key=value: ok"},
    {BEGIN "1\ttls\tok=yes\n", "x:2: the key has no such value: ok"},
    {BEGIN "1\ttls\tsni=a\\x00b\n", "x:2: the key has no such value: sni"},
    {BEGIN "1\tend\tby=me\n", "x:2: the key has no such value: by"},
    {BEGIN "1\tend\treason=bored\n", "x:2: the key has no such value: reason"},
    {BEGIN END "==== a\n1\n==== b\n==== a\n", "x:6: a second section of this name: a"},
};

static void what_is_wrong_is_said_with_its_line(void **state)
{
    struct case_file c;
    struct error e;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int err = case_parse(&c, "x", bad[i].text, strlen(bad[i].text), &e);

        if (err != ERR_FORMAT || strcmp(e.detail, bad[i].why) != 0)
            fail_msg("row %zu: %s\nnot: %s", i, err ? e.detail : "(none)", bad[i].why);
    }
}

static void a_whole_case_is_read(void **state)
{
    static const char text[] =
        "# why\n" BEGIN "1\tc2s\t\\\\n\\n\\r\\t\\x00\\xff\xc3\xa9\n"
        "\n# between\n"
        "2\ttls\tside=server\tok=true\tcert=CN=a, O=b\tverify=\n"
        "3\trestart\ttls\n"
        "4\tedit\ts2c\tbytes=7\treason=why\tsent=\\x00=\n"
        "5\traw\tc2s\tcode=data-behind-starttls\treason=r\n"
        "6\tgap\ts2c\tbytes=12\n" END "20\tsession\n25\tend\tby=proxy\treason=stopped\n"
        "==== transcript\n\n# not a comment\n==== Not one\n==== events\n1\n2";
    struct case_file c;
    struct error e;
    const struct case_section *s;

    (void)state;
    if (case_parse(&c, "x", text, sizeof text - 1, &e))
        fail_msg("%s", e.detail);
    assert_int_equal(c.steps, 10);
    assert_string_equal(c.step[0].mark.u.session.client, "a:1");
    assert_string_equal(c.step[0].mark.u.session.upstream, "");
    assert_true(c.step[1].data && c.step[1].t_us == 1 && c.step[1].mark.dir == DIR_C2S);
    assert_int_equal(c.step[1].len, 9);
    assert_memory_equal(c.step[1].p, "\\n\n\r\t\0\xff\xc3\xa9", 9);
    assert_string_equal(c.step[2].mark.u.tls.cert, "CN=a, O=b");
    assert_true(c.step[2].mark.u.tls.ok && c.step[2].mark.u.tls.side == SIDE_SERVER);
    assert_string_equal(c.step[2].mark.u.tls.error, "");
    assert_int_equal(c.step[3].mark.phase, PHASE_TLS);
    assert_true(c.step[4].mark.bytes == 7 && c.step[4].mark.sent_len == 2);
    assert_memory_equal(c.step[4].mark.sent, "\0=", 2);
    assert_int_equal(c.step[5].mark.code, ERR_BEHIND_STARTTLS);
    assert_int_equal(c.step[6].mark.bytes, 12);
    assert_int_equal(c.step[7].mark.u.end.duration_us, 9);
    assert_int_equal(c.step[9].mark.u.end.duration_us, 5);
    s = case_section(&c, "transcript");
    assert_non_null(s);
    assert_int_equal(s->len, strlen("\n# not a comment\n==== Not one\n"));
    assert_int_equal(s->line, 15);
    s = case_section(&c, "events");
    assert_non_null(s);
    assert_int_equal(s->len, 3);
    assert_memory_equal(s->text, "1\n2", 3);
    assert_null(case_section(&c, "explain"));
    assert_memory_equal(text + c.input_len, "==== transcript", 15);
    case_free(&c);
}

static void every_byte_comes_back(void **state)
{
    char bytes[256 + 8];
    struct case_file c;
    struct error e;
    struct buf b;

    (void)state;
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    memcpy(bytes + 256, "\xe2\x82\xac\xed\xa0\x80\xc2\x85", 8); /* a euro, a surrogate, C1 */
    buf_init(&b, 1 << 20);
    assert_int_equal(buf_str(&b, BEGIN "1\ts2c\t"), 0);
    assert_int_equal(case_escape(&b, bytes, sizeof bytes), 0);
    assert_int_equal(buf_str(&b, "\n" END), 0);
    assert_int_equal(case_parse(&c, "x", b.p, b.len, &e), 0);
    assert_int_equal(c.step[1].len, sizeof bytes);
    assert_memory_equal(c.step[1].p, bytes, sizeof bytes);
    assert_non_null(memmem(b.p, b.len, "\xe2\x82\xac\\xed\\xa0\\x80\\xc2\\x85\n", 23));
    case_free(&c);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_said_with_its_line),
        cmocka_unit_test(a_whole_case_is_read),
        cmocka_unit_test(every_byte_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

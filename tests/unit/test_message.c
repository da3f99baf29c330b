/* The program's own messages: one line each, whatever is in them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../logs/message.h"

/* What `level`, a pair and a text give on standard error. */
static void say(const char *value, const char *text, char *line, size_t size)
{
    int fds[2], before = dup(STDERR_FILENO);
    ssize_t n;

    assert_int_equal(pipe(fds), 0);
    assert_true(before >= 0 && dup2(fds[1], STDERR_FILENO) >= 0);
    message(LEVEL_WARN, PAIRS("session", value, "empty", "", "side", "client"), "%s", text);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    close(fds[1]);
    n = read(fds[0], line, size - 1);
    assert_true(n > 0);
    line[n] = '\0';
    close(fds[0]);
}

static void values_are_quoted(void **state)
{
    static const struct {
        const char *value, *want;
    } rows[] = {
        {"abc-1", "session=abc-1 "},
        {NULL, ""},
        {"", ""},
        {"a b", "session=\"a b\" "},
        {"a=b", "session=\"a=b\" "},
        {"a\"b", "session=\"a\\\"b\" "},
        {"a\\b", "session=\"a\\\\b\" "},
        {"a\nb", "session=a&#xA;b "},
        {"\x1b[1m", "session=&#x1B;[1m "},
        {"a \x7f", "session=\"a &#x7F;\" "},
        {"\xc3\xa9", "session=\xc3\xa9 "},
        {"\xff", "session=\\\\xFF "},
    };
    char line[512], want[512];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        say(rows[i].value, "why", line, sizeof line);
        snprintf(want, sizeof want, "level=warn %sside=client msg=\"why\"\n", rows[i].want);
        assert_string_equal(line, want);
    }
}

static void texts_are_always_quoted(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "msg=\"\"\n"},
        {"word", "msg=\"word\"\n"},
        {"a \"b\" \\ c\r\n", "msg=\"a \\\"b\\\" \\\\ c&#xD;&#xA;\"\n"},
        {"\xe2\x80\xae", "msg=\"&#x202E;\"\n"},
    };
    char line[512];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        say("s", rows[i].text, line, sizeof line);
        assert_string_equal(strstr(line, "msg="), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_quoted),
        cmocka_unit_test(texts_are_always_quoted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

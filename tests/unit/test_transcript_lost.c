/* The transcript on an output that refuses: what was left out is counted and said, an item is
 * printed whole or not at all, and a broken output is said once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../logs/transcript.h"

#define PRESENCE "<presence from='x'/>"

static char many[301]; /* more than the buffer takes */

static struct event wire(const char *label, const char *xml)
{
    return (struct event){.kind = EVENT_STANZA,
                          .session = "1",
                          .dir = DIR_S2C,
                          .label = label,
                          .data = xml,
                          .len = strlen(xml)};
}

/* A transcript on a pipe that is full: what the buffer takes stays in it. `*filled`: how much of
 * ours stands in the pipe before it. */
static struct sink *open_stuck(int fds[2], size_t *filled, size_t buffer_bytes)
{
    struct transcript_options options = {.language = LABELS_DOCUMENTED};
    struct out *out;
    struct sink *s;
    char block[512];
    ssize_t n;

    memset(block, '.', sizeof block);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    for (*filled = 0; (n = write(fds[1], block, sizeof block)) > 0; *filled += (size_t)n)
        continue;
    assert_int_equal(fcntl(fds[1], F_SETFL, 0), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    out = out_new(fds[1], true, OUT_BOUNDED, buffer_bytes);
    assert_non_null(out);
    s = transcript_new(out, &options, 5000);
    assert_non_null(s);
    return s;
}

/* Reads what is in the pipe now, behind what `text` holds. */
static void read_more(int fd, char *text, size_t size)
{
    size_t len = strlen(text);
    ssize_t n;

    while (len + 1 < size && (n = read(fd, text + len, size - len - 1)) > 0)
        len += (size_t)n;
    text[len] = '\0';
}

/* Ticks until `want` has been printed; 10 s at most. */
static void tick_until(struct sink *s, int fd, char *text, size_t size, const char *want)
{
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(s->tick(s, 0), 0);
        read_more(fd, text, size);
        if (strstr(text, want))
            return;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    fail_msg("never printed: %s", want);
}

static void lost_items_are_counted(void **state)
{
    static char text[256 * 1024];
    struct event header = wire("features.tls", "<s>"), features = wire("features.tls", "<f/>");
    struct event contact = wire("presence.contact", PRESENCE), big = wire("roster.result", many);
    struct event gap = {.kind = EVENT_GAP, .session = "1", .u.gap = {1}};
    size_t filled;
    int fds[2];
    struct sink *s = open_stuck(fds, &filled, 200);

    (void)state;
    text[0] = '\0';
    memset(many, 'x', sizeof many - 1);
    big.len = sizeof many - 1;
    header.kind = EVENT_STREAM;
    assert_int_equal(s->event(s, &header), 0);  /* fits */
    assert_int_equal(s->event(s, &big), 0);     /* never fits: all of it is left out */
    assert_int_equal(s->event(s, &contact), 0); /* would fit, but the notice comes first */
    assert_int_equal(s->event(s, &big), 0);
    tick_until(s, fds[0], text, sizeof text, "not shown\n");
    assert_int_equal(s->event(s, &features), 0); /* lost its header's company */
    tick_until(s, fds[0], text, sizeof text, "<f/>\n");
    big.session = "2"; /* never had the output: no line says that it changed */
    assert_int_equal(s->event(s, &big), 0);
    assert_int_equal(s->event(s, &gap), 0);
    tick_until(s, fds[0], text, sizeof text, "gap: ");
    assert_int_equal(s->close(s), 0);
    read_more(fds[0], text, sizeof text);
    assert_string_equal(text + filled,
                        "####server相应并回复验证的features\n<s>\n\n"
                        "#-- 1 items not shown\n\n\n"
                        "####server转发联系人出席信息\n" PRESENCE "\n\n"
                        "#-- 1 items not shown\n\n\n"
                        "####server相应并回复验证的features\n<f/>\n\n"
                        "#-- 1 items not shown\n#-- gap: 1 bytes of c2s forwarded but not "
                        "recorded\n");
    close(fds[0]);
}

static void a_broken_output_is_said_once(void **state)
{
    struct event ev = wire("roster.result", "<iq/>");
    struct transcript_options options = {.language = LABELS_DOCUMENTED};
    int fds[2];
    struct sink *s;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    s = transcript_new(out_new(fds[1], true, OUT_WAIT, 0), &options, 0);
    assert_non_null(s);
    assert_int_equal(s->event(s, &ev), ERR_IO);
    assert_int_equal(s->error.code, ERR_IO);
    assert_non_null(strstr(s->error.detail, "Broken pipe"));
    s->error.detail[0] = '\0';
    assert_int_equal(s->event(s, &ev), ERR_IO);
    assert_string_equal(s->error.detail, "");
    assert_int_equal(s->close(s), ERR_IO);
}

/* At most 2 KiB of a violation, no character cut in two, and the rest counted. */
static void long_violations_are_cut(void **state)
{
    static char bytes[5000], text[8192];
    struct transcript_options options = {.language = LABELS_DOCUMENTED};
    struct event ev = wire(NULL, "");
    struct sink *s;
    char *shown;
    int fds[2];

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes + 2047, "\xE4\xB8\xAD", 3);
    ev.kind = EVENT_VIOLATION;
    ev.data = bytes;
    ev.len = sizeof bytes;
    ev.u.violation = (struct event_violation){.code = ERR_UNREADABLE, .detail = ""};
    assert_int_equal(pipe(fds), 0);
    s = transcript_new(out_new(fds[1], true, OUT_WAIT, 0), &options, 0);
    assert_non_null(s);
    assert_int_equal(s->event(s, &ev), 0);
    assert_int_equal(s->close(s), 0);
    read_more(fds[0], text, sizeof text);
    shown = strstr(text, "#--| ") + 5;
    assert_int_equal(strspn(shown, "x"), 2047);
    assert_string_equal(shown + 2047, "\n#--| ... 2953 more bytes\n");
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_items_are_counted),
        cmocka_unit_test(long_violations_are_cut),
        cmocka_unit_test(a_broken_output_is_said_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The archive's writer: its files, its members, and what it does when the disk is full. */
#include "archive_tests.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define SECOND 1000000

static off_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void close_sink(struct sink *s)
{
    assert_int_equal(s->close(s), 0);
}

/* Text that deflate cannot make much smaller, valid UTF-8; the same for the same `n`. */
static void noise(char *p, size_t len, uint64_t n)
{
    uint64_t x = n * 0x9e3779b97f4a7c15u + 1;
    size_t i;

    for (i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        p[i] = (char)(' ' + x % 95);
    }
}

static void give_noise(struct sink *s, uint64_t n, size_t len)
{
    char *p = malloc(len + 1);
    struct event ev;

    assert_non_null(p);
    noise(p, len, n);
    ev = stanza(n, p, len);
    give(s, &ev);
    free(p);
}

/* Checks each member of a file by itself; returns how many there are. The records' `n` go on from
 * `*n`. */
static unsigned check_members(const char *path, uint64_t *n)
{
    struct json_record rec = {0};
    struct buf file = load(path);
    unsigned members = 0;
    struct member m;
    char *line, *end;
    uint64_t records;
    size_t at;

    for (at = 0; at < file.len; at += m.size, members++) {
        m = member_at(&file, at);
        records = 0;
        for (line = m.text; line < m.text + m.text_bytes; line = end + 1, records++) {
            end = memchr(line, '\n', (size_t)(m.text + m.text_bytes - line));
            assert_non_null(end);
            assert_int_equal(json_event_read(&rec, line, (size_t)(end - line), NULL), 0);
            assert_int_equal(rec.event.n, ++*n);
            if (line == m.text)
                assert_int_equal(rec.event.time_us, m.first_us);
        }
        assert_int_equal(records, m.records);
        assert_true(m.text_bytes <= ARCHIVE_MEMBER_TEXT || records == 1);
        free(m.text);
    }
    json_record_free(&rec);
    buf_free(&file);
    return members;
}

static void test_nothing_recorded(void **state)
{
    struct sink *s = open_sink(NULL);

    (void)state;
    assert_string_equal(archive_path(s), "");
    assert_int_equal(s->tick(s, T0), 0);
    assert_int_equal(s->tick(s, T0 + 5 * SECOND), 0);
    close_sink(s);
    assert_string_equal(names(home), "");
}

static void test_file_and_modes(void **state)
{
    char expected[700], dir[600];
    struct event ev = stanza(1, "<a/>", 4);
    struct error e = {0};
    struct sink *s;
    struct stat st;

    (void)state;
    snprintf(dir, sizeof dir, "%s/made/by/it/", home);
    s = archive_open(dir, 3, &e);
    assert_non_null(s);
    give(s, &ev);
    snprintf(expected, sizeof expected, "%s/20261123T010203Z-%ld-w3-001.jsonl.gz", dir,
             (long)getpid());
    assert_string_equal(archive_path(s), expected);
    assert_int_equal(stat(expected, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    close_sink(s);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(in_home("made"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_name_taken(void **state)
{
    struct event ev = stanza(1, "<a/>", 4);
    char name[100], path[600];
    struct sink *s;

    (void)state;
    snprintf(name, sizeof name, "20261123T010203Z-%ld-w0-001.jsonl.gz", (long)getpid());
    snprintf(path, sizeof path, "%s", in_home(name));
    save(path, "mine", 4);
    s = open_sink(NULL);
    give(s, &ev);
    assert_non_null(strstr(archive_path(s), "-w0-002.jsonl.gz"));
    close_sink(s);
    assert_int_equal(size_of(path), 4);
}

/* Root may write everywhere: such folders are tried as somebody else then. */
static struct sink *open_as_nobody(const char *dir, struct error *e)
{
    bool root = geteuid() == 0;
    struct sink *s;

    if (root)
        assert_int_equal(seteuid(65534), 0);
    s = archive_open(dir, 0, e);
    if (root)
        assert_int_equal(seteuid(0), 0);
    return s;
}

static void test_unusable_folders(void **state)
{
    static const char *const row[] = {"file", "file/below", "shut", "shut/below/it", "new/newer/"};
    char dir[800], long_name[300];
    struct error e;
    unsigned i;

    (void)state;
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = 0;
    save(in_home("file"), "", 0);
    assert_int_equal(mkdir(in_home("shut"), 0500), 0);
    assert_int_equal(geteuid() == 0 ? chown(home, 65534, 65534) : 0, 0);
    assert_int_equal(geteuid() == 0 ? chown(in_home("shut"), 65534, 65534) : 0, 0);
    for (i = 0; i < sizeof row / sizeof row[0]; i++) {
        e = (struct error){0};
        snprintf(dir, sizeof dir, "%s/%s%s", home, row[i], i == 4 ? long_name : "");
        assert_null(open_as_nobody(dir, &e));
        assert_int_equal(e.code, ERR_IO);
        dir[strlen(home) + 1 + strlen(row[i])] = 0;
        if (!strstr(e.detail, dir) || !strstr(e.detail, "-d DIR") ||
            !strstr(e.detail, "--no-archive"))
            fail_msg("%s: %s", dir, e.detail);
    }
    assert_null(archive_open("", 0, &e));
    assert_string_equal(names(home), "file\nshut\n"); /* "new" was not left behind */
    assert_string_equal(names(in_home("shut")), "");
}

/* Member boundaries follow size; a record longer than a member stands alone. */
static void test_members(void **state)
{
    static const size_t length[] = {100, 200000, 700000, 10, 20, 300000, 400000, 1};
    struct sink *s = open_sink(NULL);
    uint64_t n, seen = 0;
    char path[600];

    (void)state;
    for (n = 1; n <= sizeof length / sizeof length[0]; n++) {
        give_noise(s, n, length[n - 1]);
        if (n == 3) { /* what is complete does not wait longer than for a look at the clock */
            assert_int_equal(s->tick(s, T0), 0);
            assert_int_equal(check_members(archive_path(s), &seen), 2);
        }
    }
    seen = 0;
    for (; n <= 2000; n++)
        give_noise(s, n, 600);
    snprintf(path, sizeof path, "%s", archive_path(s));
    close_sink(s);
    /* {1, 2} {3} {4, 5} {6} {7} {8 ...}, and 1.5 MB of records of 760 bytes */
    assert_int_equal(check_members(path, &seen), 5 + 6);
    assert_int_equal(seen, 2000);
    assert_memory_equal(names(home), strrchr(path, '/') + 1, strlen(names(home)) - 1);
}

static void test_one_second(void **state)
{
    struct sink *s = open_sink(NULL);
    struct event ev = stanza(1, "<a/>", 4);
    int64_t t = ev.time_us;
    off_t size;

    (void)state;
    give(s, &ev);
    ev.n = 2;
    ev.time_us += 900000;
    give(s, &ev);
    assert_int_equal(s->tick(s, t + SECOND - 1), 0);
    assert_int_equal(size_of(archive_path(s)), 0);
    assert_int_equal(s->tick(s, t + SECOND), 0);
    size = size_of(archive_path(s));
    assert_true(size > 44);
    assert_int_equal(s->tick(s, t + 9 * SECOND), 0);
    assert_int_equal(size_of(archive_path(s)), size);
    ev.n = 3;
    give(s, &ev);
    assert_int_equal(s->tick(s, t - 3600ll * SECOND), 0); /* the clock was set back */
    assert_true(size_of(archive_path(s)) > size);
    close_sink(s);
}

/* A file is followed by the next when it is large or old enough; names sort as time does. */
static void test_rotation(void **state)
{
    static const struct archive_limits limits[] = {
        {.file_bytes = 1}, {.file_age_us = 3 * SECOND}, {0}};
    static const unsigned files[] = {6, 2, 1};
    struct dirent **entry = NULL;
    struct event ev;
    struct sink *s;
    uint64_t n, seen;
    unsigned i;
    int k, found;

    (void)state;
    for (i = 0; i < sizeof files / sizeof files[0]; i++) {
        s = open_sink(&limits[i]);
        for (n = 1; n <= 6; n++) {
            ev = stanza(n, "<a/>", 4);
            ev.time_us = T0 + (int64_t)n * SECOND;
            give(s, &ev);
            assert_int_equal(s->tick(s, ev.time_us + SECOND), 0);
        }
        close_sink(s);
        found = scandir(home, &entry, NULL, alphasort);
        assert_int_equal(found - 2, files[i]);
        for (seen = 0, k = 0; k < found; k++) {
            if (entry[k]->d_name[0] != '.') {
                check_members(in_home(entry[k]->d_name), &seen);
                unlink(in_home(entry[k]->d_name));
            }
            free(entry[k]);
        }
        free(entry);
        assert_int_equal(seen, 6);
    }
}

/* ---- a full disk ---- */

static void limit_files(rlim_t bytes)
{
    struct rlimit l;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
    l.rlim_cur = bytes < l.rlim_max ? bytes : l.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

/* The disk fills up within a member: nothing of that member stays in the file, nothing is lost. */
static void test_disk_full_for_a_while(void **state)
{
    struct sink *s = open_sink(NULL);
    uint64_t n, seen = 0;
    off_t whole, after;
    char path[600];
    int64_t t = T0;
    int failed;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    for (n = 1; n <= 100; n++)
        give_noise(s, n, 500);
    assert_int_equal(s->tick(s, t += 2 * SECOND), 0);
    snprintf(path, sizeof path, "%s", archive_path(s));
    whole = size_of(path);
    for (; n <= 200; n++)
        give_noise(s, n, 500);
    limit_files((rlim_t)whole + 1000);
    failed = s->tick(s, t += 2 * SECOND);
    after = size_of(path);
    limit_files(RLIM_INFINITY);
    assert_int_equal(failed, 0);
    assert_int_equal(after, whole);
    for (; n <= 3000; n++)
        give_noise(s, n, 500);
    assert_int_equal(s->tick(s, t += 2 * SECOND), 0);
    assert_true(size_of(path) > whole);
    close_sink(s);
    check_members(path, &seen);
    assert_int_equal(seen, 3000);
}

/* It stays full: 8 MiB of text wait, the rest is counted; what waited is written in the end. */
static void test_disk_full_for_long(void **state)
{
    struct sink *s = open_sink(NULL);
    uint64_t n, first_lost = 0, seen = 0;
    char path[600], told[32], *p = malloc(100000);
    struct event ev;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_non_null(p);
    noise(p, 100000, 1);
    limit_files(0);
    for (n = 1; n <= 150; n++) {
        ev = stanza(n, p, 100000);
        ev.time_us = T0 + (int64_t)n * 1000;
        if (s->event(s, &ev) && !first_lost)
            first_lost = n;
    }
    snprintf(path, sizeof path, "%s", archive_path(s));
    limit_files(RLIM_INFINITY);
    free(p);
    assert_in_range(first_lost, 8 * MIB / 110000, 8 * MIB / 100000 + 1);
    assert_int_equal(s->error.code, ERR_IO);
    snprintf(told, sizeof told, "lost %u records", (unsigned)(150 - first_lost + 1));
    if (!strstr(s->error.detail, told) || !strstr(s->error.detail, home))
        fail_msg("no \"%s\" in: %s", told, s->error.detail);
    assert_int_equal(s->close(s), ERR_IO); /* the loss is not forgotten */
    check_members(path, &seen);
    assert_int_equal(seen, first_lost - 1);
}

/* A record that is deflated for long, for it is a long one: nothing is lost for that. */
static void test_long_record(void **state)
{
    struct sink *s = open_sink(NULL);
    uint64_t n, seen = 0;
    char path[600], *p = malloc(4 * MIB);
    struct event ev;

    (void)state;
    assert_non_null(p);
    memset(p, 0x7f, 4 * MIB); /* six bytes each in JSON */
    ev = stanza(1, p, 4 * MIB);
    give(s, &ev);
    free(p);
    for (n = 2; n <= 21; n++)
        give_noise(s, n, 100);
    snprintf(path, sizeof path, "%s", archive_path(s));
    close_sink(s);
    check_members(path, &seen);
    assert_int_equal(seen, 21);
}

/* Nothing could ever be written: the end tells, and no empty file stays. */
static void test_disk_full_to_the_end(void **state)
{
    struct sink *s = open_sink(NULL);
    int err;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    give_noise(s, 1, 100);
    limit_files(0);
    err = s->close(s);
    limit_files(RLIM_INFINITY);
    assert_int_equal(err, ERR_IO);
    assert_string_equal(names(home), "");
}

/* ---- other programs ---- */

static struct buf output_of(const char *command)
{
    FILE *f = popen(command, "r");
    struct buf b;
    size_t n;

    buf_init(&b, 64 * MIB);
    assert_non_null(f);
    do {
        assert_int_equal(buf_reserve(&b, 64 * KIB), 0);
        n = fread(b.p + b.len, 1, 64 * KIB, f);
        b.len += n;
    } while (n > 0);
    assert_int_equal(pclose(f), 0);
    return b;
}

static void test_zcat_and_jq(void **state)
{
    static const char *const item[] = {"<a b='\"'>\\</a>", " \r\n\t",
                                       "<x>\xe4\xbd\xa0\xe2\x80\xa8</x>", "\x01\x7f\xc2\x85&amp;",
                                       "<!-- a violation -->"};
    struct sink *s = open_sink(NULL);
    struct buf plain, told;
    struct event ev;
    char command[600];
    unsigned i;

    (void)state;
    if (system("command -v jq >/dev/null && command -v zcat >/dev/null")) {
        print_message("skipped: jq or zcat is not installed\n");
        close_sink(s);
        skip();
    }
    buf_init(&plain, MIB);
    for (i = 0; i < SAMPLES; i++) /* what has no plaintext must not add any */
        if (samples[i].len == 0)
            give(s, &samples[i]);
    for (i = 0; i < 1000; i++) {
        ev = stanza(i, item[i % 5], strlen(item[i % 5]));
        ev.dir = i % 2 ? DIR_S2C : DIR_C2S;
        ev.kind = i % 5 == 1 ? EVENT_SPACE : i % 5 == 4 ? EVENT_VIOLATION : EVENT_STANZA;
        if (ev.dir == DIR_C2S)
            assert_int_equal(buf_add(&plain, ev.data, ev.len), 0);
        give(s, &ev);
        if (i % 300 == 0)
            assert_int_equal(s->tick(s, ev.time_us + SECOND), 0);
    }
    snprintf(command, sizeof command, "zcat '%s' | jq -j 'select(.dir==\"c2s\")|.xml//empty'",
             archive_path(s));
    close_sink(s);
    told = output_of(command);
    assert_int_equal(told.len, plain.len);
    assert_memory_equal(told.p, plain.p, plain.len);
    buf_free(&told);
    buf_free(&plain);
}

#define IN_HOME(test) cmocka_unit_test_setup_teardown(test, make_home, remove_home)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(test_nothing_recorded),
        IN_HOME(test_file_and_modes),
        IN_HOME(test_name_taken),
        IN_HOME(test_unusable_folders),
        IN_HOME(test_members),
        IN_HOME(test_one_second),
        IN_HOME(test_rotation),
        IN_HOME(test_disk_full_for_a_while),
        IN_HOME(test_disk_full_for_long),
        IN_HOME(test_disk_full_to_the_end), IN_HOME(test_long_record),
        IN_HOME(test_zcat_and_jq),
    };
    int failed = cmocka_run_group_tests_name("as built", tests, NULL, NULL);

    with_zlib = true;
    return failed + cmocka_run_group_tests_name("with zlib", tests, NULL, NULL);
}

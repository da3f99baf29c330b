/* The archive's reader: whole files, cut ones, damaged ones, and those that others compressed. */
#include "archive_tests.h"

#include <sys/stat.h>

#define CALLS_MAX 20000

/* A small archive: three members of five records, n = 1 to 15. */
struct small {
    char path[600];
    struct buf file;
    size_t at[4]; /* where its members begin, and the file's length */
    char *text[3];
};

static int make_small(void **state)
{
    struct small *a = calloc(1, sizeof *a);
    struct sink *s;
    struct event ev;
    struct member m;
    char data[64];
    uint64_t n;
    unsigned i;

    if (!a || make_home(state))
        return -1;
    s = open_sink(NULL);
    for (n = 1; n <= 15; n++) {
        snprintf(data, sizeof data, "<message><body>%" PRIu64 "</body></message>", n * 7919);
        ev = stanza(n, data, strlen(data));
        ev.session = n % 2 ? "s1" : "s22";
        give(s, &ev);
        if (n % 5 == 0)
            assert_int_equal(s->tick(s, ev.time_us + 2000000), 0);
    }
    snprintf(a->path, sizeof a->path, "%s", archive_path(s));
    assert_int_equal(s->close(s), 0);
    a->file = load(a->path);
    for (i = 0; i < 3; i++) {
        m = member_at(&a->file, a->at[i]);
        a->at[i + 1] = m.at + m.size;
        m.text[m.text_bytes] = 0;
        a->text[i] = m.text;
    }
    assert_int_equal(a->at[3], a->file.len);
    *state = a;
    return 0;
}

static int remove_small(void **state)
{
    struct small *a = *state;
    unsigned i;

    for (i = 0; i < 3; i++)
        free(a->text[i]);
    buf_free(&a->file);
    free(a);
    return remove_home(state);
}

static struct archive_reader *open_reader(const char *path)
{
    struct error e = {0};
    struct archive_reader *r = archive_reader_open(path, &e);

    if (!r)
        fail_msg("%s", e.detail);
    return r;
}

/* What a whole reading gave. */
struct reading {
    uint64_t n[64]; /* of the records, in order */
    unsigned records, errors;
    bool torn;
    struct error error; /* the last */
};

static struct reading read_all(const char *path, const char *session)
{
    struct reading all = {0};
    struct archive_reader *r = open_reader(path);
    struct event ev;
    unsigned calls;
    int rc = 1;

    for (calls = 0; calls < CALLS_MAX && rc != 0; calls++) {
        rc = archive_reader_next(r, session, &ev, &all.error);
        if (rc > 0 && all.records < 64)
            all.n[all.records++] = ev.n;
        all.errors += rc < 0;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(archive_reader_next(r, session, &ev, &all.error), 0); /* it stays so */
    all.torn = archive_reader_torn(r);
    archive_reader_close(r);
    return all;
}

static struct reading read_bytes(const char *p, size_t n)
{
    save(in_home("copy"), p, n);
    return read_all(in_home("copy"), NULL);
}

/* The records from..to, and nothing else. */
static void assert_records(const struct reading *all, uint64_t from, uint64_t to)
{
    unsigned i;

    assert_int_equal(all->records, to - from + 1);
    for (i = 0; i < all->records; i++)
        assert_int_equal(all->n[i], from + i);
}

/* ---- whole files ---- */

static void test_every_kind(void **state)
{
    struct archive_reader *r;
    struct error e = {0};
    struct sink *s = open_sink(NULL);
    struct event ev;
    char path[600];
    unsigned i;

    (void)state;
    for (i = 0; i < SAMPLES; i++)
        give(s, &samples[i]);
    snprintf(path, sizeof path, "%s", archive_path(s));
    assert_int_equal(s->close(s), 0);
    r = open_reader(path);
    for (i = 0; i < SAMPLES; i++) {
        assert_int_equal(archive_reader_next(r, NULL, &ev, &e), 1);
        same_event(&samples[i], &ev);
    }
    assert_int_equal(archive_reader_next(r, NULL, &ev, &e), 0);
    assert_false(archive_reader_torn(r));
    archive_reader_close(r);
}

static void test_one_session(void **state)
{
    struct small *a = *state;
    struct reading all = read_all(a->path, "s22");
    unsigned i;

    assert_int_equal(all.records, 7);
    for (i = 0; i < 7; i++)
        assert_int_equal(all.n[i], 2 * i + 2);
    assert_int_equal(read_all(a->path, "s2").records, 0);
    assert_int_equal(read_all(a->path, "s\"1").records, 0);
}

/* tell() names the next event's member, and seek() goes there, also back from the end. */
static void test_tell_and_seek(void **state)
{
    struct small *a = *state;
    struct archive_reader *r = open_reader(a->path);
    struct error e = {0};
    struct event ev;
    unsigned i;

    for (i = 0; i < 15; i++) {
        assert_int_equal(archive_reader_tell(r), a->at[i / 5]);
        assert_int_equal(archive_reader_next(r, NULL, &ev, &e), 1);
    }
    assert_int_equal(archive_reader_tell(r), a->at[3]);
    assert_int_equal(archive_reader_next(r, NULL, &ev, &e), 0);
    for (i = 3; i-- > 0;) {
        assert_int_equal(archive_reader_seek(r, (int64_t)a->at[i], &e), 0);
        assert_int_equal(archive_reader_tell(r), a->at[i]);
        assert_int_equal(archive_reader_next(r, NULL, &ev, &e), 1);
        assert_int_equal(ev.n, i * 5 + 1);
    }
    assert_int_equal(archive_reader_seek(r, -1, &e), ERR_IO);
    archive_reader_close(r);
}

/* Lines that end where the reader's pieces of text do: a member is told to its last line. */
static void test_tell_in_full_member(void **state)
{
    struct sink *s = open_sink(NULL);
    struct archive_reader *r;
    struct error e = {0};
    char x[KIB], path[600];
    struct event ev, read;
    struct buf line;
    struct stat st;
    unsigned i;

    (void)state;
    memset(x, 'x', sizeof x);
    buf_init(&line, MIB);
    ev = stanza(1, x, 1);
    assert_int_equal(json_event_write(&line, &ev), 0);
    ev = stanza(1, x, sizeof x - line.len + 1);
    for (i = 0; i < ARCHIVE_MEMBER_TEXT / KIB; i++)
        give(s, &ev);
    assert_int_equal(s->tick(s, ev.time_us), 0);
    snprintf(path, sizeof path, "%s", archive_path(s));
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > 0); /* the member is complete */
    give(s, &ev);
    assert_int_equal(s->close(s), 0);
    r = open_reader(path);
    for (i = 0; i < ARCHIVE_MEMBER_TEXT / KIB; i++) {
        assert_int_equal(archive_reader_tell(r), 0);
        assert_int_equal(archive_reader_next(r, NULL, &read, &e), 1);
    }
    assert_int_equal(archive_reader_tell(r), st.st_size);
    archive_reader_close(r);
    buf_free(&line);
}

static void test_tell_in_plain_text(void **state)
{
    struct small *a = *state;
    struct archive_reader *r;
    struct error e = {0};
    struct event ev;
    int64_t at;

    save(in_home("plain"), a->text[0], strlen(a->text[0]));
    r = open_reader(in_home("plain"));
    assert_int_equal(archive_reader_next(r, NULL, &ev, &e), 1);
    at = archive_reader_tell(r);
    assert_int_equal(at, strchr(a->text[0], '\n') + 1 - a->text[0]);
    while (archive_reader_next(r, NULL, &ev, &e) > 0)
        continue;
    assert_int_equal(archive_reader_tell(r), strlen(a->text[0]));
    assert_int_equal(archive_reader_seek(r, at, &e), 0);
    assert_int_equal(archive_reader_next(r, NULL, &ev, &e), 1);
    assert_int_equal(ev.n, 2);
    archive_reader_close(r);
}

/* ---- what others make of an archive ---- */

static void add_gzip(struct buf *b, const char *p, size_t n)
{
    z_stream z = {0};

    assert_int_equal(buf_reserve(b, n + 1000), 0);
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)p;
    z.avail_in = (uInt)n;
    z.next_out = (Bytef *)b->p + b->len;
    z.avail_out = (uInt)(n + 1000);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    b->len += z.total_out;
    deflateEnd(&z);
}

/* The same records as one plain text, as one gzip member, and in blocks that cut lines anywhere. */
static void test_other_forms(void **state)
{
    struct small *a = *state;
    struct buf text, gz;
    struct reading all;
    size_t at, block, i;

    buf_init(&text, MIB);
    buf_init(&gz, MIB);
    for (i = 0; i < 3; i++)
        assert_int_equal(buf_str(&text, a->text[i]), 0);
    all = read_bytes(text.p, text.len);
    assert_records(&all, 1, 15);
    assert_false(all.torn);
    for (block = 1; block < 2 * text.len; block += 97) {
        gz.len = 0;
        for (at = 0; at < text.len; at += block)
            add_gzip(&gz, text.p + at, block < text.len - at ? block : text.len - at);
        all = read_bytes(gz.p, gz.len);
        assert_records(&all, 1, 15);
        assert_false(all.torn);
        assert_int_equal(all.errors, 0);
    }
    buf_free(&text);
    buf_free(&gz);
}

static void test_plain_cut_anywhere(void **state)
{
    struct small *a = *state;
    const char *p = a->text[0];
    struct reading all;
    size_t cut, lines;

    for (lines = 0, cut = 0; p[cut]; lines += p[cut++] == '\n') {
        all = read_bytes(p, cut);
        assert_int_equal(all.errors, 0);
        /* A record that lacks only its newline is whole. */
        assert_records(&all, 1, lines + (p[cut] == '\n'));
        assert_int_equal(all.torn, cut > 0 && p[cut - 1] != '\n' && p[cut] != '\n');
    }
}

static void test_unusable_files(void **state)
{
    struct error e = {0};

    (void)state;
    assert_null(archive_reader_open(in_home("missing"), &e));
    assert_int_equal(e.code, ERR_IO);
    assert_non_null(strstr(e.detail, "missing"));
    assert_null(archive_reader_open(home, &e));
    assert_int_equal(e.code, ERR_IO);
    save(in_home("text"), "Dear diary,\n", 12);
    assert_null(archive_reader_open(in_home("text"), &e));
    assert_int_equal(e.code, ERR_FORMAT);
    assert_non_null(strstr(e.detail, "text"));
}

/* A bad line is named, a later version's kinds and blank lines are passed over in silence. */
static void test_bad_lines(void **state)
{
    static const char lines[] = "{\"event\":\"gap\",\"t\":\"2026-01-01T00:00:00Z\",\"session\":"
                                "\"s\",\"n\":1,\"dir\":\"c2s\"}\n"
                                "\r\n{\"event\":\"omen\"}\n"
                                "{\"event\":\n"
                                "{\"event\":\"gap\",\"t\":\"2026-01-01T00:00:00Z\",\"session\":"
                                "\"s\",\"n\":2,\"dir\":\"c2s\"}\n";
    struct reading all = read_bytes(lines, sizeof lines - 1);

    (void)state;
    assert_records(&all, 1, 2);
    assert_int_equal(all.errors, 1);
    assert_int_equal(all.error.code, ERR_FORMAT);
    assert_non_null(strstr(all.error.detail, "copy: line 4 from byte 0: "));
    all = read_all(in_home("copy"), "s"); /* the others are not even parsed */
    assert_records(&all, 1, 2);
    assert_int_equal(all.errors, 0);
}

/* In a compressed file the member is named, and the line in it. */
static void test_bad_line_in_member(void **state)
{
    struct small *a = *state;
    struct reading all;
    char place[40];
    struct buf b;

    buf_init(&b, MIB);
    assert_int_equal(buf_add(&b, a->file.p, a->file.len), 0);
    add_gzip(&b, "{\"event\":\"omen\"}\n{\n", 19);
    all = read_bytes(b.p, b.len);
    assert_records(&all, 1, 15);
    assert_int_equal(all.errors, 1);
    snprintf(place, sizeof place, "copy: line 2 from byte %zu: ", a->at[3]);
    assert_non_null(strstr(all.error.detail, place));
    buf_free(&b);
}

/* A line without end: it is left out in bounded memory, and what follows is read. */
static void test_endless_line(void **state)
{
    struct small *a = *state;
    struct buf gz;
    char *x = malloc(MIB);
    struct reading all;
    unsigned i;

    assert_non_null(x);
    memset(x, 'x', MIB);
    buf_init(&gz, 2 * MIB);
    add_gzip(&gz, a->text[0], strlen(a->text[0]));
    for (i = 0; i < 66; i++)
        add_gzip(&gz, x, MIB);
    add_gzip(&gz, "\n", 1);
    add_gzip(&gz, a->text[1], strlen(a->text[1]));
    all = read_bytes(gz.p, gz.len);
    assert_records(&all, 1, 10);
    assert_int_equal(all.errors, 1);
    assert_int_equal(all.error.code, ERR_CAP);
    free(x);
    buf_free(&gz);
}

/* ---- cut and damaged files ---- */

static void test_cut_anywhere(void **state)
{
    struct small *a = *state;
    struct reading all;
    size_t cut;
    unsigned whole;

    for (whole = 0, cut = 0; cut <= a->file.len; cut++) {
        whole += cut == a->at[whole + 1];
        all = read_bytes(a->file.p, cut);
        assert_int_equal(all.errors, 0);
        assert_in_range(all.records, whole * 5, whole < 3 ? whole * 5 + 5 : 15);
        assert_records(&all, 1, all.records);
        assert_int_equal(all.torn, cut != a->at[whole]);
        if (cut + 8 == a->at[whole + 1 < 3 ? whole + 1 : 3])
            assert_int_equal(all.records, whole * 5 + 5); /* all but the checksum is there */
    }
    assert_int_equal(whole, 3);
}

static void test_zeros_behind(void **state)
{
    struct small *a = *state;
    struct reading all;

    assert_int_equal(buf_reserve(&a->file, 300000), 0);
    memset(a->file.p + a->file.len, 0, 300000);
    all = read_bytes(a->file.p, a->file.len + 300000);
    assert_records(&all, 1, 15);
    assert_int_equal(all.errors, 0);
    assert_true(all.torn);
}

/* `n` bytes of garbage in place of `gone` bytes at `at`: told once, with the place, and the other
 * members are read. */
static void test_garbage_between(void **state)
{
    static const struct {
        unsigned member; /* before which */
        size_t n, gone;
        uint64_t first_left;
    } row[] = {
        {0, 1000, 0, 1}, {1, 1, 0, 6},   {1, 1000, 0, 6}, {1, 300000, 0, 6},
        {1, 0, 1, 11},   {1, 0, 60, 11}, {2, 7, 10, 0},
    };
    struct small *a = *state;
    struct reading all;
    struct buf b;
    unsigned i, k, expected;
    char place[40];

    buf_init(&b, MIB);
    for (i = 0; i < sizeof row / sizeof row[0]; i++) {
        b.len = 0;
        assert_int_equal(buf_add(&b, a->file.p, a->at[row[i].member]), 0);
        assert_int_equal(buf_reserve(&b, row[i].n), 0);
        memset(b.p + b.len, '~', row[i].n);
        b.len += row[i].n;
        assert_int_equal(buf_add(&b, a->file.p + a->at[row[i].member] + row[i].gone,
                                 a->at[3] - a->at[row[i].member] - row[i].gone),
                         0);
        all = read_bytes(b.p, b.len);
        assert_int_equal(all.errors, 1);
        assert_int_equal(all.error.code, ERR_FORMAT);
        snprintf(place, sizeof place, "in the member at byte %zu: ", a->at[row[i].member]);
        if (!strstr(all.error.detail, place) || !strstr(all.error.detail, "/copy: "))
            fail_msg("%s: %s", place, all.error.detail);
        expected = row[i].member * 5 + (row[i].first_left ? 16 - (unsigned)row[i].first_left : 0);
        assert_int_equal(all.records, expected);
        for (k = 0; k < all.records; k++)
            assert_int_equal(all.n[k], k < row[i].member * 5
                                           ? k + 1
                                           : row[i].first_left + k - row[i].member * 5);
        assert_false(all.torn);
    }
    buf_free(&b);
}

/* A member that stops in the middle and others behind it: files put together with cat. */
static void test_cut_and_more(void **state)
{
    struct small *a = *state;
    struct reading all;
    struct buf b;
    size_t cut;

    buf_init(&b, MIB);
    for (cut = 1; cut < a->at[1]; cut++) {
        b.len = 0;
        assert_int_equal(buf_add(&b, a->file.p, cut), 0);
        assert_int_equal(buf_add(&b, a->file.p + a->at[1], a->at[3] - a->at[1]), 0);
        all = read_bytes(b.p, b.len);
        /* What lies behind the cut is inflated, too: what lines that gives is the library's. */
        assert_in_range(all.errors, 1, with_zlib ? 5 : 20);
        assert_true(all.records >= 10);
        assert_int_equal(all.n[all.records - 10], 6);
        assert_int_equal(all.n[all.records - 1], 15);
    }
    buf_free(&b);
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* One flipped bit costs at most its own member; bits of every byte are tried. */
static void test_each_bit(void **state)
{
    struct small *a = *state;
    struct reading all;
    size_t bit, at;
    unsigned hit, k, others;

    for (bit = 0; bit < a->file.len * 8; bit += 3) {
        at = bit / 8;
        hit = at < a->at[1] ? 0 : at < a->at[2] ? 1 : 2;
        a->file.p[at] ^= (char)(1 << bit % 8);
        all = read_bytes(a->file.p, a->file.len);
        a->file.p[at] ^= (char)(1 << bit % 8);
        for (others = 0, k = 0; k < all.records; k++)
            others += all.n[k] >= 1 && all.n[k] <= 15 && (all.n[k] - 1) / 5 != hit;
        if (others < 10)
            fail_msg("bit %zu of byte %zu: %u records of the other members", bit % 8, at, others);
    }
}

/* Heavier damage, to a file and to plain text: no crash, no endless loop. */
static void test_many_bits(void **state)
{
    struct small *a = *state;
    struct archive_reader *r;
    uint64_t x = 20261123;
    struct error e;
    struct event ev;
    const char *whole;
    char *copy = malloc(a->file.len + strlen(a->text[0]));
    unsigned round, i, calls, records = 0;
    size_t len;
    int rc;

    assert_non_null(copy);
    for (round = 0; round < 3000; round++) {
        whole = round % 2 ? a->file.p : a->text[0];
        len = round % 2 ? a->file.len : strlen(a->text[0]);
        memcpy(copy, whole, len);
        for (i = 0; i < 2 + round % 30; i++)
            copy[next_random(&x) % len] ^= (char)(1 << next_random(&x) % 8);
        save(in_home("copy"), copy, len - next_random(&x) % 20);
        r = archive_reader_open(in_home("copy"), &e);
        for (rc = 1, calls = 0; r && rc != 0; calls++) {
            rc = archive_reader_next(r, NULL, &ev, &e);
            records += rc > 0;
            assert_true(calls < CALLS_MAX);
        }
        archive_reader_close(r);
    }
    assert_true(records > 3000); /* not all was lost */
    free(copy);
}

#define IN_HOME(test)    cmocka_unit_test_setup_teardown(test, make_home, remove_home)
#define WITH_SMALL(test) cmocka_unit_test_setup_teardown(test, make_small, remove_small)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(test_every_kind),
        WITH_SMALL(test_one_session),
        WITH_SMALL(test_tell_and_seek),
        IN_HOME(test_tell_in_full_member),
        WITH_SMALL(test_tell_in_plain_text),
        WITH_SMALL(test_other_forms),
        WITH_SMALL(test_plain_cut_anywhere),
        IN_HOME(test_unusable_files),
        IN_HOME(test_bad_lines),
        WITH_SMALL(test_bad_line_in_member),
        WITH_SMALL(test_endless_line),
        WITH_SMALL(test_cut_anywhere),
        WITH_SMALL(test_zeros_behind),
        WITH_SMALL(test_garbage_between),
        WITH_SMALL(test_cut_and_more),
        WITH_SMALL(test_each_bit),
        WITH_SMALL(test_many_bits),
    };
    int failed = cmocka_run_group_tests_name("as built", tests, NULL, NULL);

    with_zlib = true;
    return failed + cmocka_run_group_tests_name("with zlib", tests, NULL, NULL);
}

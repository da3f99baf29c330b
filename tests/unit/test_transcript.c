/* The transcript, from events to lines: the documented exchange byte for byte, which lines stand
 * over and between items, and that nothing captured passes for one of them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../logs/transcript.h"

#define TRACE "tests/data/trace/"

#define DOCUMENTED                                                                                 \
    {                                                                                              \
        .language = LABELS_DOCUMENTED                                                              \
    }
#define VERBOSE                                                                                    \
    {                                                                                              \
        .language = LABELS_EN, .verbose = true                                                     \
    }

/* ---- a transcript on a file of its own ---- */

static struct sink *open_transcript(int *fd, const struct transcript_options *options)
{
    const char *dir = getenv("TMPDIR");
    char path[4096];
    struct out *out;
    struct sink *s;

    snprintf(path, sizeof path, "%s/transcript.XXXXXX", dir ? dir : "/tmp");
    *fd = mkstemp(path);
    assert_true(*fd >= 0);
    unlink(path);
    out = out_new(*fd, false, OUT_WAIT, 0);
    assert_non_null(out);
    s = transcript_new(out, options, 0);
    assert_non_null(s);
    return s;
}

/* All that can be read from `fd`'s beginning, NUL-ended, owned. */
static char *read_all(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *text = malloc((size_t)size + 1);

    assert_non_null(text);
    assert_int_equal(pread(fd, text, (size_t)size, 0), size);
    text[size] = '\0';
    return text;
}

static char *close_transcript(struct sink *s, int fd)
{
    char *text;

    assert_int_equal(s->close(s), 0);
    text = read_all(fd);
    close(fd);
    return text;
}

static char *read_file(const char *path)
{
    int fd = open(path, O_RDONLY);
    char *text;

    if (fd < 0)
        fail_msg("%s cannot be read: run the test from the repository's root", path);
    text = read_all(fd);
    close(fd);
    return text;
}

/* The next line of `*rest` (its newline cut off), NULL behind the last. */
static char *next_line(char **rest)
{
    char *line = strsep(rest, "\n");

    return line && (*line || *rest) ? line : NULL;
}

/* ---- the documented trace ---- */

struct row {
    enum dir dir;
    char *label; /* documented; NULL: none */
    char *xml;
    const char *id;
};

struct name {
    char *id, *documented, *en;
};

struct trace {
    char *files[2];
    struct row row[64];
    size_t rows;
    struct name name[64];
    size_t names;
};

static void unescape(char *s)
{
    char *to = s;

    for (; *s; s++)
        *to++ = s[0] == '\\' && s[1] == 'n' ? (s++, '\n') : *s;
    *to = '\0';
}

static const struct name *name_by_id(const struct trace *tr, const char *id)
{
    for (size_t i = 0; i < tr->names; i++)
        if (strcmp(tr->name[i].id, id) == 0)
            return &tr->name[i];
    fail_msg("no such label: %s", id);
    return NULL;
}

static void find_ids(struct trace *tr)
{
    for (size_t i = 0; i < tr->rows; i++) {
        struct row *r = &tr->row[i];
        if (!r->label && strstr(r->xml, "<stream:features>"))
            r->id = tr->row[i - 1].id;
        else if (!r->label)
            r->id = strstr(r->xml, "<presence") ? "presence.contact" : "privacy.list.result";
        for (size_t k = 0; r->label && k < tr->names; k++)
            if (strcmp(tr->name[k].documented, r->label) == 0)
                r->id = tr->name[k].id;
        assert_non_null(r->id);
    }
}

static void load_trace(struct trace *tr)
{
    char *line, *rest;
    struct row first;

    memset(tr, 0, sizeof *tr);
    rest = tr->files[0] = read_file(TRACE "labels.tsv");
    while ((line = next_line(&rest)))
        if (*line != '#') {
            struct name *n = &tr->name[tr->names++];
            n->id = strsep(&line, "\t");
            strsep(&line, "\t");
            n->documented = strsep(&line, "\t");
            n->en = strsep(&line, "\t");
        }
    rest = tr->files[1] = read_file(TRACE "exchange.tsv");
    while ((line = next_line(&rest)))
        if (*line != '#') {
            struct row *r = &tr->row[tr->rows++];
            strsep(&line, "\t");
            r->dir = strcmp(strsep(&line, "\t"), "c2s") == 0 ? DIR_C2S : DIR_S2C;
            r->label = strsep(&line, "\t");
            if (strcmp(r->label, "-") == 0)
                r->label = NULL;
            r->xml = line;
            unescape(r->xml);
        }
    assert_int_equal(tr->rows, 33);
    find_ids(tr);
    first = tr->row[0]; /* on the wire it comes last */
    memmove(tr->row, tr->row + 1, (tr->rows - 1) * sizeof first);
    tr->row[tr->rows - 1] = first;
}

static void free_trace(struct trace *tr)
{
    free(tr->files[0]);
    free(tr->files[1]);
}

static char *print_trace(const struct trace *tr, const struct transcript_options *options)
{
    int fd;
    struct sink *s = open_transcript(&fd, options);
    struct event begin = {.kind = EVENT_SESSION,
                          .session = "1",
                          .u.session_facts = {.client = "", .upstream = "", .secrets = "keep"}};

    assert_int_equal(s->event(s, &begin), 0);
    for (size_t i = 0; i < tr->rows; i++) {
        const struct row *r = &tr->row[i];
        bool header = strstr(r->xml, "<stream:stream") != NULL;
        struct event ev = {.kind = header ? EVENT_STREAM : EVENT_STANZA,
                           .session = "1",
                           .n = i + 1,
                           .dir = r->dir,
                           .label = r->id,
                           .data = r->xml,
                           .len = strlen(r->xml)};
        assert_int_equal(s->event(s, &ev), 0);
    }
    return close_transcript(s, fd);
}

/* Without blank lines and, if asked, without comments; in place. */
static void only_text(char *text, bool comments)
{
    char *to = text;

    for (char *line = text, *end; *line; line = end) {
        end = strchr(line, '\n');
        end = end ? end + 1 : line + strlen(line);
        if (*line == '\n' || (!comments && strncmp(line, "#--", 3) == 0))
            continue;
        memmove(to, line, (size_t)(end - line));
        to += end - line;
    }
    *to = '\0';
}

/* documented.txt without blank lines, its first section moved to the end. Owned. */
static char *documented(void)
{
    char *file = read_file(TRACE "documented.txt"), *text, *second;
    size_t n;

    only_text(file, true);
    n = strlen(file);
    text = malloc(n + 1);
    assert_non_null(text);
    second = strstr(file + 1, "\n####") + 1;
    snprintf(text, n + 1, "%s%.*s", second, (int)(second - file), file);
    free(file);
    return text;
}

static void documented_trace_comes_out_as_published(void **state)
{
    struct trace tr;
    char *got, *want = documented();

    (void)state;
    load_trace(&tr);
    got = print_trace(&tr, &(struct transcript_options)DOCUMENTED);
    only_text(got, true);
    assert_string_equal(got, want);
    free(got);
    free(want);
    free_trace(&tr);
}

static void sections_are_parted_by_two_blank_lines(void **state)
{
    struct trace tr;
    char *got;
    size_t labels = 0;

    (void)state;
    load_trace(&tr);
    got = print_trace(&tr, &(struct transcript_options)DOCUMENTED);
    assert_int_equal(strncmp(got, "####", 4), 0);
    for (char *at = got + 1; (at = strstr(at, "\n####")); at++, labels++)
        assert_int_equal(strncmp(at - 2, "\n\n\n####", 7), 0);
    assert_int_equal(labels, 27); /* 28 of the document's, one before the first newline */
    assert_non_null(strstr(got, "</iq>\n\n\n<presence from=\"guanfei1@"));
    assert_null(strstr(got, "\n\n\n\n"));
    free(got);
    free_trace(&tr);
}

/* In `zh` and `en` every section has its label, also the two that the trace leaves bare. */
static void other_languages_label_everything(void **state)
{
    static const enum label_language languages[] = {LABELS_EN, LABELS_ZH};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct transcript_options options = {.language = languages[k]};
        struct trace tr;
        char *got, *rest, *line;

        load_trace(&tr);
        rest = got = print_trace(&tr, &options);
        for (size_t i = 0; i < tr.rows; i++) {
            const struct name *n = name_by_id(&tr, tr.row[i].id);
            if (strstr(tr.row[i].xml, "<stream:features>"))
                continue; /* under its header's label */
            while ((line = next_line(&rest)) && strncmp(line, "####", 4) != 0)
                continue;
            assert_non_null(line);
            if (languages[k] == LABELS_EN)
                assert_string_equal(line + 4, n->en);
            else if (strcmp(n->documented, "-") != 0)
                assert_string_equal(line + 4, n->documented);
            else
                assert_int_equal(strncmp(line, "####server", 10), 0);
        }
        while ((line = next_line(&rest)))
            assert_int_not_equal(strncmp(line, "####", 4), 0);
        free(got);
        free_trace(&tr);
    }
}

static void verbose_only_adds_comments(void **state)
{
    struct transcript_options options = DOCUMENTED;
    struct trace tr;
    char *got, *want = documented();

    (void)state;
    options.verbose = true;
    load_trace(&tr);
    got = print_trace(&tr, &options);
    assert_non_null(strstr(got, "#-- sasl says: &#x0;guanfei&#x0;guanfei\n"));
    only_text(got, false);
    assert_string_equal(got, want);
    free(got);
    free(want);
    free_trace(&tr);
}

/* ---- single scenes ---- */

#define WIRE(k, s, d, l, text)                                                                     \
    .kind = (k), .session = (s), .dir = (d), .label = (l), .data = (text), .len = sizeof(text) - 1
#define C2S(l, text)                                                                               \
    {                                                                                              \
        WIRE(EVENT_STANZA, "1", DIR_C2S, l, text)                                                  \
    }
#define S2C(l, text)                                                                               \
    {                                                                                              \
        WIRE(EVENT_STANZA, "1", DIR_S2C, l, text)                                                  \
    }
#define BEGIN(id, from, to)                                                                        \
    {                                                                                              \
        .kind = EVENT_SESSION, .session = (id), .u.session_facts = {                               \
            .client = (from),                                                                      \
            .upstream = (to),                                                                      \
            .listen = "",                                                                          \
            .program = ""                                                                          \
        }                                                                                          \
    }
#define END(id, c)                                                                                 \
    {                                                                                              \
        .kind = EVENT_END, .session = (id), .u.end = {                                             \
            .by = SIDE_SERVER,                                                                     \
            .code = (c),                                                                           \
            .phase = "sasl",                                                                       \
            .detail = "",                                                                          \
            .account = ""                                                                          \
        }                                                                                          \
    }
#define BAD(d, text, goes_on)                                                                      \
    {                                                                                              \
        WIRE(EVENT_VIOLATION, "1", d, NULL, text), .u.violation = {                                \
            .code = ERR_UNREADABLE,                                                                \
            .offset = 7,                                                                           \
            .more = (goes_on),                                                                     \
            .detail = "why\n#"                                                                     \
        }                                                                                          \
    }

#define HEADER   "<?xml version='1.0'?>\n\n<stream:stream to='a'>"
#define FEATURES "<stream:features><a/></stream:features>"
#define PRESENCE "<presence from='x'/>"
#define ROSTER   "<iq/>"

struct scene {
    const char *name;
    struct transcript_options options;
    struct event ev[9];
    const char *want;
};

static const struct scene scenes[] = {
    {"features stand under their header, two headers do not",
     DOCUMENTED,
     {{WIRE(EVENT_STREAM, "1", DIR_S2C, "features.tls", HEADER)},
      S2C("features.tls", FEATURES),
      S2C("features.tls", FEATURES),
      {WIRE(EVENT_STREAM, "1", DIR_S2C, "features.tls", HEADER)},
      {WIRE(EVENT_STREAM, "1", DIR_S2C, "features.tls", HEADER)}},
     "####server相应并回复验证的features\n" HEADER "\n\n"
     "<stream:features>\n<a/>\n</stream:features>\n\n\n"
     "####server相应并回复验证的features\n<stream:features>\n<a/>\n</stream:features>\n\n\n"
     "####server相应并回复验证的features\n" HEADER "\n\n\n"
     "####server相应并回复验证的features\n" HEADER "\n"},
    {"bare only behind an item of the same direction",
     DOCUMENTED,
     {S2C("presence.contact", PRESENCE), S2C("presence.contact", PRESENCE),
      C2S("roster.request", ROSTER), S2C("presence.contact", PRESENCE)},
     "####server转发联系人出席信息\n" PRESENCE "\n\n\n" PRESENCE "\n\n\n"
     "####client端请求roster列表\n" ROSTER "\n\n\n"
     "####server转发联系人出席信息\n" PRESENCE "\n"},
    {"an id from a later version is its own label, and cannot break the line",
     DOCUMENTED,
     {C2S("moon.landing", ROSTER), C2S("a\n####b", ROSTER), C2S(NULL, ROSTER)},
     "####moon.landing\n" ROSTER "\n\n\n####a&#xA;####b\n" ROSTER "\n\n\n####unlabelled\n" ROSTER
     "\n"},
    {"a session's line stands where the session changes",
     DOCUMENTED,
     {BEGIN("A", "127.0.0.1:1", "tls://x:5223"),
      BEGIN("B", "[::1]:2", "builtin:\n#"),
      {WIRE(EVENT_STANZA, "A", DIR_S2C, "roster.result", ROSTER)},
      {WIRE(EVENT_STANZA, "B", DIR_C2S, "roster.request", ROSTER)},
      {WIRE(EVENT_STANZA, "B", DIR_C2S, "roster.request", ROSTER)},
      END("B", ERR_CLOSED),
      {WIRE(EVENT_STANZA, "A", DIR_S2C, "presence.contact", PRESENCE)},
      {WIRE(EVENT_STANZA, "C", DIR_S2C, "presence.contact", PRESENCE)}},
     "####server端返回\n" ROSTER "\n\n\n#== session B [::1]:2 -> builtin:&#xA;#\n"
     "####client端请求roster列表\n" ROSTER "\n\n\n####client端请求roster列表\n" ROSTER "\n\n\n"
     "#== session A 127.0.0.1:1 -> tls://x:5223\n" PRESENCE "\n\n\n"
     "#== session C\n####server转发联系人出席信息\n" PRESENCE "\n"},
    {"features do not go on where another session came between",
     DOCUMENTED,
     {{WIRE(EVENT_STREAM, "A", DIR_S2C, "features.tls", "<s>")},
      {WIRE(EVENT_STREAM, "B", DIR_S2C, "features.tls", "<s>")},
      {WIRE(EVENT_STANZA, "A", DIR_S2C, "features.tls", "<f/>")}},
     "####server相应并回复验证的features\n<s>\n\n\n"
     "#== session B\n####server相应并回复验证的features\n<s>\n\n\n"
     "#== session A\n####server相应并回复验证的features\n<f/>\n"},
    {"nor where one came between and only a note followed; nor in the other direction",
     DOCUMENTED,
     {{WIRE(EVENT_STREAM, "1", DIR_S2C, "x", "<s>")},
      {WIRE(EVENT_STANZA, "2", DIR_S2C, "x", "<f/>")},
      {.kind = EVENT_GAP, .session = "1", .u.gap = {1}},
      S2C("x", "<f/>"),
      {WIRE(EVENT_STREAM, "1", DIR_S2C, "x", "<s>")},
      C2S("x", "<f/>")},
     "####x\n<s>\n\n\n#== session 2\n####x\n<f/>\n\n\n"
     "#== session 1\n#-- gap: 1 bytes of c2s forwarded but not recorded\n\n\n"
     "####x\n<f/>\n\n\n####x\n<s>\n\n\n####x\n<f/>\n"},
    {"what goes on of a violation is counted once, where its session has the output",
     DOCUMENTED,
     {BAD(DIR_S2C, "ab", false),
      {WIRE(EVENT_STANZA, "2", DIR_S2C, "x", "<f/>")},
      BAD(DIR_S2C, "123", true),
      S2C("x", "<f/>"),
      S2C("x", "<f/>"),
      END("1", ERR_CLOSED)},
     "#-- violation (server, offset 7): bytes that cannot be read as a stream: why&#xA;#\n"
     "#--| ab\n\n\n#== session 2\n####x\n<f/>\n\n\n"
     "#== session 1\n#-- violation (server) goes on\n#--| ... 3 more bytes\n\n\n"
     "####x\n<f/>\n\n\n####x\n<f/>\n"},
    {"the first session is named if asked",
     {.language = LABELS_EN, .name_first = true},
     {BEGIN("A", "c", "u"), {WIRE(EVENT_STANZA, "A", DIR_C2S, "roster.request", ROSTER)}},
     "#== session A c -> u\n####client asks for the roster\n" ROSTER "\n"},
    {"edits, gaps and bad ends are notes; white space and ordinary ends are nothing",
     DOCUMENTED,
     {C2S("tls.request", ROSTER),
      {WIRE(EVENT_SPACE, "1", DIR_C2S, NULL, " ")},
      {.kind = EVENT_EDIT,
       .session = "1",
       .dir = DIR_S2C,
       .u.edit = {.of = 4, .sent = "abc", .sent_len = 3, .reason = "no\x1b[31m\n####x"}},
      {.kind = EVENT_EDIT, .session = "1", .dir = DIR_C2S, .u.edit = {.reason = "dropped"}},
      {.kind = EVENT_GAP, .session = "1", .dir = DIR_S2C, .u.gap = {12}},
      {.kind = EVENT_TLS, .session = "1", .u.tls = {.ok = true, .version = "TLSv1.3"}},
      {.kind = EVENT_TLS,
       .session = "1",
       .u.tls = {.side = SIDE_SERVER, .version = "", .sni = "a\r", .error = "unknown_ca"}},
      END("1", ERR_RESET)},
     "####client启动tls验证\n" ROSTER "\n\n"
     "#-- edit s2c #4: no&#x1B;[31m&#xA;####x; 3 bytes sent instead\n"
     "#-- edit c2s: dropped; 0 bytes sent instead\n"
     "#-- gap: 12 bytes of s2c forwarded but not recorded\n"
     "#-- tls server: handshake failed: unknown_ca, SNI a&#xD;\n"
     "#-- end: server: reset the connection, phase sasl\n"},
    {"an ordinary end says nothing", DOCUMENTED, {END("1", ERR_CLOSED)}, ""},
    {"what an archive calls a verdict, an oddity and a session talks to no terminal",
     DOCUMENTED,
     {{WIRE(EVENT_STANZA, "1", DIR_S2C, "sm.resumed", "<a/>"),
       .fact = (const struct event_fact[]){{"resumes", "x\x1b[2J\n####"}}, .facts = 1,
       .remark = (const struct event_fact[]){{"odd\x1b", "words\n"}}, .remarks = 1},
      {.kind = EVENT_END, .session = "1",
       .u.end = {.by = SIDE_CLIENT, .code = ERR_CLOSED, .phase = "", .detail = "",
                 .verdict = "\x1b[31m\n####x", .sentence = "\x1b#"}}},
     "####server恢复会话\n<a/>\n\n#-- #0 is odd (odd&#x1B;): words&#xA;\n"
     "#-- goes on with session x&#x1B;[2J&#xA;####\n"
     "#-- end: client: closed the connection\n#-- verdict &#x1B;[31m&#xA;####x: &#x1B;#\n"},
    {"a violation's bytes stand behind a mark",
     DOCUMENTED,
     {BAD(DIR_S2C, "####a\n\n#b\xff", false), C2S("roster.request", ROSTER)},
     "#-- violation (server, offset 7): bytes that cannot be read as a stream: why&#xA;#\n"
     "#--| ####a\n#--| \n#--| #b\\xFF\n\n\n####client端请求roster列表\n" ROSTER "\n"},
    {"what goes on of a violation is counted until something else is said",
     DOCUMENTED,
     {BAD(DIR_C2S, "ab", false), BAD(DIR_C2S, "123", true), BAD(DIR_C2S, "1234", true),
      S2C("roster.result", ROSTER), BAD(DIR_C2S, "12", true), END("1", ERR_CLOSED)},
     "#-- violation (client, offset 7): bytes that cannot be read as a stream: why&#xA;#\n"
     "#--| ab\n#--| ... 7 more bytes\n\n\n####server端返回\n" ROSTER "\n\n"
     "#-- violation (client) goes on\n#--| ... 2 more bytes\n"},
    {"a session without its end still counts",
     DOCUMENTED,
     {BAD(DIR_C2S, "ab", false), BAD(DIR_C2S, "123", true)},
     "#-- violation (client, offset 7): bytes that cannot be read as a stream: why&#xA;#\n"
     "#--| ab\n#--| ... 3 more bytes\n"},
    {"what was withheld is a length",
     DOCUMENTED,
     {{.kind = EVENT_STANZA, .session = "1", .label = "sasl.auth", .withheld = 9},
      {.kind = EVENT_VIOLATION, .session = "1", .withheld = 8, .u.violation = {ERR_CAP, 0, 0, ""}}},
     "####client开始sasl验证\n#-- [redacted: 9 bytes]\n\n"
     "#-- violation (client, offset 0): over its cap\n#--| [redacted: 8 bytes]\n"},
    {"verbose",
     VERBOSE,
     {{WIRE(EVENT_STANZA, "1", DIR_S2C, "roster.result", ROSTER), .n = 7, .re = 3, .wait_us = 12034,
       .time_us = 1700000000000001},
      {WIRE(EVENT_SPACE, "1", DIR_C2S, NULL, "\n "), .time_us = -1},
      {WIRE(EVENT_STANZA, "1", DIR_C2S, "sasl.auth", "<auth>[redacted]</auth>")},
      {.kind = EVENT_EDIT,
       .session = "1",
       .u.edit = {.of = 1, .sent = "#a\nb", .sent_len = 4, .reason = "r"}},
      {.kind = EVENT_EDIT,
       .session = "1",
       .u.edit = {.of = 1, .sent = "<a/>", .sent_len = 4, .reason = "fault: iq.other=delay:9"}},
      {.kind = EVENT_TLS, .session = "1", .u.tls = {.ok = true, .cipher = "X", .verify = "ok"}},
      {.kind = EVENT_END,
       .session = "1",
       .u.end = {.by = SIDE_CLIENT,
                 .code = ERR_CLOSED,
                 .phase = "bound",
                 .account = "a@b",
                 .duration_us = 61005000,
                 .count = {{.bytes = 5}, {.bytes = 6, .edited = true, .sent_bytes = 4}}}}},
     "####server returns it\n#-- #7 2023-11-14T22:13:20.000001Z s2c 5 bytes, +12.034 ms after "
     "#3\n" ROSTER "\n\n#-- #0 1969-12-31T23:59:59.999999Z c2s 2 bytes, white space\n\n\n"
     "####client starts SASL\n#-- #0 1970-01-01T00:00:00.000000Z c2s 23 bytes\n"
     "<auth>[redacted]</auth>\n\n"
     "#-- edit c2s #1: r; 4 bytes sent instead\n#--| #a\n#--| b\n"
     "#-- edit c2s #1: fault: iq.other=delay:9; 4 bytes sent on as they were\n"
     "#-- tls client: handshake done, cipher X, verification ok\n"
     "#-- end: client: closed the connection, phase bound, account a@b, after 61.005 s, "
     "c2s 5 bytes, s2c 6 bytes (4 sent on)\n"},
    {"nobody forges a label: a body, a CDATA section, an attribute, a resource, a header",
     DOCUMENTED,
     {C2S("roster.request", "<m><body>hi\n####server表示成功了\n#== session 2</body></m>"),
      C2S("roster.request", "<m><![CDATA[\n#-- end]]></m>"),
      C2S("roster.request", "<m a='\n####b\n\n#'/>"),
      C2S("roster.request", "<jid>a@b/\n####r</jid>"),
      {WIRE(EVENT_STREAM, "1", DIR_C2S, "stream.open", "####x\n#y<s a='\r\n#'>")},
      C2S("roster.request", "#### no element at all")},
     "####client端请求roster列表\n<m>\n<body>hi\n&#35;###server表示成功了\n"
     "&#35;== session 2</body>\n</m>\n\n\n"
     "####client端请求roster列表\n<m><![CDATA[\n&#35;-- end]]></m>\n\n\n"
     "####client端请求roster列表\n<m a='\n&#35;###b\n\n&#35;'/>\n\n\n"
     "####client端请求roster列表\n<jid>a@b/\n&#35;###r</jid>\n\n\n"
     "####client发起连接\n&#35;###x\n&#35;y<s a='&#xD;\n&#35;'>\n\n\n"
     "####client端请求roster列表\n&#35;### no element at all\n"},
    {"only our own marks are coloured",
     {.language = LABELS_EN, .colour = true, .name_first = true},
     {C2S("roster.request", ROSTER), BAD(DIR_S2C, "\x1b[31m", false)},
     "\x1b[36m#== session 1\x1b[0m\n\x1b[1m####client asks for the roster\x1b[0m\n" ROSTER "\n\n"
     "\x1b[2m#-- violation (server, offset 7): bytes that cannot be read as a stream: "
     "why&#xA;#\x1b[0m\n\x1b[2m#--| \x1b[0m&#x1B;[31m\n"},
};

static char *print_scene(const struct scene *sc)
{
    int fd;
    struct sink *s = open_transcript(&fd, &sc->options);

    for (size_t i = 0; i < sizeof sc->ev / sizeof *sc->ev && sc->ev[i].session; i++)
        assert_int_equal(s->event(s, &sc->ev[i]), 0);
    return close_transcript(s, fd);
}

static void scenes_print_what_they_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        char *got = print_scene(&scenes[i]);
        if (strcmp(got, scenes[i].want) != 0)
            fail_msg("%s:\n%s\n-- instead of:\n%s", scenes[i].name, got, scenes[i].want);
        free(got);
    }
}

static void other_labels_are_made_and_escaped(void **state)
{
    struct scene sc = {.options = VERBOSE,
                       .ev = {{WIRE(EVENT_STANZA, "1", DIR_C2S, "iq.other", "<iq/>"),
                               .type = "get\x1b", .ns = "urn:x\n####server"}}};
    char *got = print_scene(&sc), *end = strchr(got, '\n');

    (void)state;
    assert_int_equal(strncmp(got, "####client", 10), 0);
    assert_non_null(strstr(got, "urn:x&#xA;####server"));
    assert_true(strstr(got, "urn:x") < end);
    assert_null(strchr(got, '\x1b'));
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documented_trace_comes_out_as_published),
        cmocka_unit_test(sections_are_parted_by_two_blank_lines),
        cmocka_unit_test(other_languages_label_everything),
        cmocka_unit_test(verbose_only_adds_comments),
        cmocka_unit_test(scenes_print_what_they_should),
        cmocka_unit_test(other_labels_are_made_and_escaped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

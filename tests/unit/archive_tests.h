/* archive_tests.h: what the tests of the archive share: a folder of their own, sample events, and
 * what it means that two events are equal. Included by one test file at a time.
 */
#ifndef XMPPTAP_ARCHIVE_TESTS_H
#define XMPPTAP_ARCHIVE_TESTS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "../../decoder/buf.h"
#include "../../logs/archive.h"
#include "../../logs/json.h"

#define T0  1795395723000004 /* 2026-11-23T01:02:03.000004Z */
#define KIB 1024u
#define MIB (1024u * 1024)

static char home[256]; /* this test's folder */

static inline int make_home(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(home, sizeof home, "%s/archive-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(home) ? 0 : -1;
}

static inline int remove_home(void **state)
{
    char command[300];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", home);
    return system(command);
}

static inline struct buf load(const char *path)
{
    struct buf b;
    FILE *f = fopen(path, "rb");

    buf_init(&b, 256 * MIB);
    assert_non_null(f);
    do
        assert_int_equal(buf_reserve(&b, 64 * KIB), 0);
    while ((b.len += fread(b.p + b.len, 1, 64 * KIB, f)) % (64 * KIB) == 0 && !feof(f));
    fclose(f);
    return b;
}

static inline void save(const char *path, const char *p, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline const char *in_home(const char *name)
{
    static char path[600];

    snprintf(path, sizeof path, "%s/%s", home, name);
    return path;
}

/* The names in a folder, sorted, one a line. */
static inline const char *names(const char *dir)
{
    static char all[4096];
    struct dirent **entry;
    int i, n = scandir(dir, &entry, NULL, alphasort);

    assert_true(n >= 0);
    all[0] = 0;
    for (i = 0; i < n; i++) {
        if (entry[i]->d_name[0] != '.')
            snprintf(all + strlen(all), sizeof all - strlen(all), "%s\n", entry[i]->d_name);
        free(entry[i]);
    }
    free(entry);
    return all;
}

static inline struct event stanza(uint64_t n, const char *data, size_t len)
{
    return (struct event){.kind = EVENT_STANZA,
                          .time_us = T0 + (int64_t)n,
                          .session = "s1",
                          .n = n,
                          .dir = n % 3 ? DIR_C2S : DIR_S2C,
                          .label = "message.chat",
                          .data = data,
                          .len = len};
}

static bool with_zlib; /* instead of the library that the build found best */

static inline struct sink *open_sink(const struct archive_limits *limits)
{
    struct archive_limits l = limits ? *limits : (struct archive_limits){0};
    struct error e = {0};
    struct sink *s;

    l.zlib = with_zlib;
    s = archive_open_limits(home, 0, &l, &e);

    if (!s)
        fail_msg("%s", e.detail);
    return s;
}

static inline void give(struct sink *s, const struct event *ev)
{
    assert_int_equal(s->event(s, ev), 0);
}

static inline void same_text(const char *a, const char *b)
{
    assert_string_equal(a ? a : "", b ? b : "");
}

static inline void same_counts(const struct event_count *a, const struct event_count *b)
{
    assert_int_equal(a->bytes, b->bytes);
    assert_int_equal(a->compressed, b->compressed);
    assert_string_equal(a->sha256, b->sha256);
    assert_int_equal(a->edited, b->edited);
    assert_int_equal(a->sent_bytes, b->sent_bytes);
    assert_string_equal(a->sent_sha256, b->sent_sha256);
}

static inline void same_requests(const struct event_request *a, unsigned a_n,
                                 const struct event_request *b, unsigned b_n)
{
    assert_int_equal(a_n, b_n);
    for (unsigned i = 0; i < a_n; i++) {
        assert_int_equal(a[i].n, b[i].n);
        assert_int_equal(a[i].us, b[i].us);
        same_text(a[i].label, b[i].label);
    }
}

static inline void same_end(const struct event_end *a, const struct event_end *b)
{
    assert_int_equal(a->by, b->by);
    assert_int_equal(a->code, b->code);
    same_text(a->phase, b->phase);
    same_text(a->detail, b->detail);
    same_text(a->account, b->account);
    same_text(a->server, b->server);
    same_text(a->server_name, b->server_name);
    assert_int_equal(a->duration_us, b->duration_us);
    same_text(a->verdict, b->verdict);
    same_text(a->sentence, b->sentence);
    same_text(a->mechanism, b->mechanism);
    same_text(a->resumes, b->resumes);
    assert_int_equal(a->unanswered, b->unanswered);
    same_requests(a->open, a->opens, b->open, b->opens);
    same_requests(a->slow, a->slows, b->slow, b->slows);
    for (int dir = 0; dir < 2; dir++) {
        assert_int_equal(a->stanzas[dir], b->stanzas[dir]);
        same_counts(&a->count[dir], &b->count[dir]);
    }
}

static inline void same_pairs(const struct event_fact *a, unsigned a_n, const struct event_fact *b,
                              unsigned b_n)
{
    assert_int_equal(a_n, b_n);
    for (unsigned i = 0; i < a_n; i++) {
        assert_string_equal(a[i].name, b[i].name);
        assert_string_equal(a[i].value, b[i].value);
    }
}

static inline void same_facts(const struct event *a, const struct event *b)
{
    switch (a->kind) {
    case EVENT_SESSION:
        same_text(a->u.session_facts.client, b->u.session_facts.client);
        same_text(a->u.session_facts.listen, b->u.session_facts.listen);
        same_text(a->u.session_facts.upstream, b->u.session_facts.upstream);
        same_text(a->u.session_facts.secrets, b->u.session_facts.secrets);
        same_text(a->u.session_facts.program, b->u.session_facts.program);
        break;
    case EVENT_TLS:
        assert_int_equal(a->u.tls.side, b->u.tls.side);
        assert_int_equal(a->u.tls.ok, b->u.tls.ok);
        same_text(a->u.tls.version, b->u.tls.version);
        same_text(a->u.tls.cipher, b->u.tls.cipher);
        same_text(a->u.tls.group, b->u.tls.group);
        same_text(a->u.tls.sni, b->u.tls.sni);
        same_text(a->u.tls.cert, b->u.tls.cert);
        same_text(a->u.tls.verify, b->u.tls.verify);
        same_text(a->u.tls.error, b->u.tls.error);
        same_text(a->u.tls.kind, b->u.tls.kind);
        break;
    case EVENT_EDIT:
        assert_int_equal(a->u.edit.of, b->u.edit.of);
        assert_int_equal(a->u.edit.sent_len, b->u.edit.sent_len);
        assert_memory_equal(a->u.edit.sent, b->u.edit.sent, a->u.edit.sent_len);
        same_text(a->u.edit.reason, b->u.edit.reason);
        break;
    case EVENT_VIOLATION:
        assert_int_equal(a->u.violation.code, b->u.violation.code);
        assert_int_equal(a->u.violation.offset, b->u.violation.offset);
        assert_int_equal(a->u.violation.more, b->u.violation.more);
        same_text(a->u.violation.detail, b->u.violation.detail);
        break;
    case EVENT_GAP:
        assert_int_equal(a->u.gap.bytes, b->u.gap.bytes);
        break;
    case EVENT_END:
        same_end(&a->u.end, &b->u.end);
        break;
    case EVENT_STREAM:
    case EVENT_STANZA:
    case EVENT_SPACE:
    case EVENT_KINDS:
        break;
    }
}

static inline void same_event(const struct event *a, const struct event *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->time_us, b->time_us);
    assert_string_equal(a->session, b->session);
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->dir, b->dir);
    same_text(a->label, b->label);
    assert_int_equal(a->len, b->len);
    assert_non_null(b->data);
    if (a->len)
        assert_memory_equal(a->data, b->data, a->len);
    assert_int_equal(a->withheld, b->withheld);
    assert_int_equal(a->closing, b->closing);
    assert_int_equal(a->re, b->re);
    assert_int_equal(a->wait_us, b->wait_us);
    same_text(a->type, b->type);
    same_text(a->ns, b->ns);
    same_pairs(a->fact, a->facts, b->fact, b->facts);
    same_pairs(a->remark, a->remarks, b->remark, b->remarks);
    same_facts(a, b);
}

#define HEX64          "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define COMMON(k, num) .kind = (k), .session = "s1", .n = (num), .time_us = T0 + (num)

static const struct event samples[] = {
    {COMMON(EVENT_SESSION, 1),
     .u.session_facts = {"[::1]:5", "127.0.0.1:5222", "example.org", "keep", "xmpptap 0.1.0"}},
    {COMMON(EVENT_SESSION, 2), .u.session_facts = {NULL, "", NULL, NULL, NULL}},
    {COMMON(EVENT_TLS, 3), .u.tls = {SIDE_SERVER, true, "TLSv1.3", "TLS_AES_128_GCM_SHA256",
                                     "x25519", "example.org", "CN = \"a\\b\"\n\x01", "ok", ""}},
    {COMMON(EVENT_TLS, 4), .u.tls = {SIDE_CLIENT, false, .error = "no shared cipher",
                                     .kind = "no-cipher"}},
    {COMMON(EVENT_STREAM, 5), .dir = DIR_C2S, .label = "client.stream", .data = "<a>", .len = 3},
    {COMMON(EVENT_STREAM, 6), .dir = DIR_S2C, .closing = true, .data = "</a>", .len = 4},
    {COMMON(EVENT_STANZA, 7), .dir = DIR_S2C, .label = "iq.other", .data = "<iq/>", .len = 5,
     .re = 5, .wait_us = -12, .type = "get", .ns = "urn:x"},
    {.kind = EVENT_STANZA,
     .session = "s1",
     .n = INT64_MAX,
     .time_us = -1,
     .dir = DIR_S2C,
     .label = "sasl.auth",
     .data = "[redacted]",
     .len = 10,
     .withheld = INT64_MAX,
     .re = INT64_MAX,
     .wait_us = INT64_MAX},
    {COMMON(EVENT_SPACE, 9), .dir = DIR_C2S, .data = " \t\r\n", .len = 4},
    {.kind = EVENT_SPACE,
     .session = "s1",
     .n = 10,
     .time_us = 253402300799999999,
     .dir = DIR_S2C,
     .withheld = 3},
    {COMMON(EVENT_EDIT, 11), .dir = DIR_S2C, .u.edit = {7, "<b/>", 4, "it offered compression"}},
    {COMMON(EVENT_EDIT, 12), .dir = DIR_C2S, .u.edit = {0, "", 0, "dropped"}},
    {COMMON(EVENT_EDIT, 13), .dir = DIR_C2S, .u.edit = {0, "\xff\0", 2, "inserted"}},
    {COMMON(EVENT_VIOLATION, 14), .dir = DIR_S2C, .data = "<!--\xfe", .len = 5,
     .u.violation = {ERR_RESTRICTED_XML, 77, false, "a comment"}},
    {COMMON(EVENT_VIOLATION, 15), .dir = DIR_C2S, .data = "-->", .len = 3,
     .u.violation = {ERR_RESTRICTED_XML, 82, true, NULL}},
    {COMMON(EVENT_GAP, 16), .dir = DIR_S2C, .u.gap = {123456789012}},
    {COMMON(EVENT_END, 17),
     .u.end = {.by = SIDE_PROXY,
               .code = ERR_TIMEOUT,
               .phase = "sasl",
               .detail = "no answer",
               .account = "a@example.org",
               .server = "192.0.2.7:5223",
               .server_name = "xmpp1.example.org",
               .duration_us = 5000001,
               .verdict = "server.silent",
               .sentence = "the server was silent",
               .mechanism = "SCRAM-SHA-1",
               .resumes = "s0",
               .stanzas = {3, 4},
               .unanswered = 20,
               .open = {{12, 3000000, "roster.request"}, {15, 1, NULL}},
               .opens = 2,
               .slow = {{7, 900000, "ping.client.request"}},
               .slows = 1,
               .count = {{.bytes = 10, .sha256 = HEX64, .compressed = 7},
                         {.bytes = 20, .sha256 = HEX64, .sent_bytes = 21, .sent_sha256 = HEX64,
                          .edited = true}}}},
    {COMMON(EVENT_END, 18), .u.end = {.by = SIDE_CLIENT, .code = ERR_CLOSED, .detail = ""}},
    {COMMON(EVENT_END, 19),
     .u.end = {.by = SIDE_SERVER, .code = ERR_NONE, .count = {{.edited = true}}}},
    {COMMON(EVENT_STANZA, 20), .dir = DIR_S2C, .label = "sasl.auth", .data = "<auth/>", .len = 7,
     .fact = (const struct event_fact[]){{"mechanism", "PLAIN"}, {"user", "\"a\x01\xc3\xa9"}},
     .facts = 2,
     .remark = (const struct event_fact[]){{"unasked", "nothing was asked"}},
     .remarks = 1},
};

#define SAMPLES (sizeof samples / sizeof samples[0])

/* A member as docs/archive.md describes it, read without the reader. */
struct member {
    size_t at, size;
    uint64_t text_bytes, records;
    int64_t first_us;
    char *text; /* owned */
};

static inline uint64_t little_endian(const char *p, unsigned bytes)
{
    uint64_t v = 0;

    while (bytes--)
        v = v << 8 | (unsigned char)p[bytes];
    return v;
}

/* Takes the member at `at` apart, and decompresses it by itself. */
static inline struct member member_at(const struct buf *file, size_t at)
{
    const char *p = file->p + at;
    struct member m = {.at = at};
    z_stream z = {0};

    assert_true(file->len - at >= 44);
    assert_memory_equal(p, "\x1f\x8b\x08\x04", 4);
    assert_memory_equal(p + 10, "\x18\0XT\x14\0", 6);
    m.size = little_endian(p + 16, 4);
    m.text_bytes = little_endian(p + 20, 4);
    m.first_us = (int64_t)little_endian(p + 24, 8);
    m.records = little_endian(p + 32, 4);
    assert_int_equal(little_endian(p + 4, 4), m.first_us / 1000000);
    assert_true(m.size <= file->len - at);
    m.text = malloc(m.text_bytes + 1);
    assert_non_null(m.text);
    assert_int_equal(inflateInit2(&z, 31), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)p;
    z.avail_in = (uInt)m.size;
    z.next_out = (Bytef *)m.text;
    z.avail_out = (uInt)m.text_bytes + 1;
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    assert_int_equal(z.total_out, m.text_bytes);
    inflateEnd(&z);
    return m;
}

#endif

/* What is skipped for speed's sake while secrets are looked for, held against the long way:
 * wherever secrets_find() finds one secrets_may_hold() said yes; no name that redact_inner() and
 * redact_attr() know is passed over; and items are masked alike whoever reads them.
 * SHORTCUTS_SEED and SHORTCUTS_ROUNDS choose other texts.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "../../decoder/redact.h"

#define ROUNDS   20000
#define SEED     1
#define TEXT_MAX 8192
#define NAMES    128
#define COUNT(a) (sizeof(a) / sizeof *(a))

static uint64_t chance;

static unsigned any(size_t below)
{
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((chance >> 33) % below);
}

static unsigned long from_env(const char *name, unsigned long otherwise)
{
    const char *s = getenv(name);

    return s ? strtoul(s, NULL, 10) : otherwise;
}

static void add(struct buf *b, const char *p, size_t n)
{
    if (n)
        assert_int_equal(buf_add(b, p, n), 0);
}

static void add_str(struct buf *b, const char *s)
{
    add(b, s, strlen(s));
}

/* ---- secrets, and texts that nearly or wholly hold them ---- */

/* Few letters, so that texts are full of beginnings that lead nowhere. */
static const char *const alphabets[] = {
    "ab",
    "abcd",
    "aB3&",
    "ab]>",
    "a<b&;#]>",
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789",
    "\x61\x62\x63'\"= ",
};

struct given {
    char p[SECRETS_MAX][300];
    size_t n[SECRETS_MAX];
    unsigned count;
    const char *alphabet;
};

static void add_any(struct buf *b, const char *alphabet, size_t n)
{
    for (size_t len = strlen(alphabet); n > 0; n--)
        add(b, &alphabet[any(len)], 1);
}

static void any_secrets(struct given *g, struct secrets *s)
{
    g->alphabet = alphabets[any(COUNT(alphabets))];
    g->count = 1 + any(any(3) ? 2 : SECRETS_MAX);
    for (unsigned i = 0; i < g->count; i++) {
        struct buf b;

        buf_init(&b, sizeof g->p[i]);
        add_any(&b, g->alphabet, any(30) ? SECRET_MIN + any(20) : 200 + any(100));
        memcpy(g->p[i], b.p, b.len);
        g->n[i] = b.len;
        secrets_learn(s, b.p, b.len, any(2));
        buf_free(&b);
    }
}

/* Any way to write it that is looked for, or one that is not: with digits of either case. */
static void add_form(struct buf *b, const char *p, size_t n)
{
    char text[400] = "xyz", out[600];
    size_t before = any(4);

    switch (any(4)) {
    case 0:
        memcpy(text + before, p, n);
        memcpy(text + before + n, "uvw", 3);
        add(b, out,
            (size_t)EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text,
                                    (int)(before + n + any(4))));
        break;
    case 1:
        for (size_t i = 0, style = any(3); i < n; i++) {
            snprintf(out, sizeof out, style == 0 || (style == 1 && any(9)) ? "%02x" : "%02X",
                     (unsigned char)p[i]);
            add_str(b, out);
        }
        break;
    default:
        add(b, p, n);
    }
}

enum place { RAW, PLAIN_TEXT, PLAIN_VALUE, TEXT, VALUE };

/* As it stands there; in the plain places bytes that cannot stand as they are, are left out. */
static void write_byte(struct buf *b, char c, enum place place)
{
    bool special = strchr("<&]>\"'", c) != NULL;
    bool mark = place == PLAIN_TEXT ? strchr("<&]", c) : strchr("<&\"'", c);

    if (place == RAW) {
        add(b, &c, 1);
    } else if (place == PLAIN_TEXT || place == PLAIN_VALUE) {
        if (!mark)
            add(b, &c, 1);
    } else if (special || any(20) == 0) {
        char out[16];

        snprintf(out, sizeof out, any(2) ? "&#%u;" : "&#x%x;", (unsigned char)c);
        add_str(b, place == VALUE && strchr("]>", c) && any(2) ? (char[]){c, '\0'} : out);
    } else {
        add(b, &c, 1);
    }
}

static void write_bytes(struct buf *b, const char *p, size_t n, enum place place)
{
    bool cdata = place == TEXT && any(3) == 0 && !memmem(p, n, "]]>", 3);
    size_t from = cdata ? any(n + 1) : n, to = from + any(n - from + 1);

    if (place == PLAIN_VALUE && n > 2 && any(8) == 0) { /* looks like the end of CDATA, is none */
        write_bytes(b, p, n / 2, place);
        add_str(b, "]]>");
        write_bytes(b, p + n / 2, n - n / 2, place);
        return;
    }
    for (size_t i = 0; i < from; i++)
        write_byte(b, p[i], place);
    if (!cdata)
        return;
    add_str(b, "<![CDATA[");
    for (size_t i = from; i < to; i++) {
        if (any(10) == 0)
            add_str(b, "]]><![CDATA[");
        add(b, p + i, 1);
    }
    add_str(b, "]]>");
    for (size_t i = to; i < n; i++)
        write_byte(b, p[i], place);
}

/* Chaff, parts of forms and now and then whole ones. */
static void write_text(struct buf *b, const struct given *g, enum place place)
{
    for (unsigned left = any(6); left > 0; left--) {
        unsigned i = any(g->count), kind = any(6);
        struct buf part;

        buf_init(&part, TEXT_MAX);
        if (kind < 2)
            add_any(&part, g->alphabet, any(12));
        else
            add_form(&part, g->p[i], g->n[i]);
        if (kind == 2)
            part.len = any(part.len);
        else if (kind == 3)
            part.p[any(part.len)] = 'z';
        if (part.len)
            write_bytes(b, part.p, part.len, place);
        buf_free(&part);
    }
}

static void write_item(struct buf *b, const struct given *g)
{
    bool plain = any(2);

    b->len = 0;
    add_str(b, "<a b='");
    write_text(b, g, plain ? PLAIN_VALUE : VALUE);
    add_str(b, "' c=\"");
    write_text(b, g, plain ? PLAIN_VALUE : VALUE);
    add_str(b, "\">");
    write_text(b, g, plain ? PLAIN_TEXT : TEXT);
    add_str(b, "<d/>");
    write_text(b, g, plain ? PLAIN_TEXT : TEXT);
    add_str(b, "</a>");
}

/* ---- the prefilter ---- */

static bool found(const struct secrets *s, const struct buf *b, bool raw)
{
    struct secrets_walk w = {.raw = raw};
    struct secrets_found f;

    return secrets_find(s, &w, b->p, 0, b->len, &f) || secrets_lost(&w);
}

struct tally {
    unsigned items, plain, found, found_plain, spared;
};

static void must_say(bool yes, const char *what, unsigned long round, const struct buf *b)
{
    if (!yes)
        fail_msg("round %lu: %s is passed over: %.*s", round, what, (int)b->len, b->p);
}

/* With nothing before or behind it, too. */
static void check_raw(const struct given *g, const struct secrets *s, struct buf *b,
                      unsigned long round)
{
    b->len = 0;
    if (any(2))
        add_form(b, g->p[0], g->n[0]);
    else
        write_text(b, g, RAW);
    if (!b->len || !found(s, b, true))
        return;
    must_say(secrets_may_hold(s, b->p, b->len, false), "bytes", round, b);
    if (!memchr(b->p, '&', b->len) && !memmem(b->p, b->len, "]]>", 3))
        must_say(secrets_may_hold(s, b->p, b->len, true), "plain bytes", round, b);
}

static void mask(struct reader *r, struct reader_stream *st, const struct secrets *s,
                 const struct buf *b, struct buf *out, bool *plain)
{
    const struct item *it;
    struct error e;

    if (reader_item(r, st, b->p, b->len, &it, &e))
        fail_msg("%s in %.*s", e.detail, (int)b->len, b->p);
    *plain = it->plain;
    out->len = 0;
    assert_int_equal(redact_item(it, s, out), 0);
}

struct readers {
    struct reader *quick, *strict;
    struct reader_stream quick_stream, strict_stream;
    struct buf quick_out, strict_out;
};

static void readers_init(struct readers *r)
{
    static const char header[] = "<s:stream xmlns='jabber:client' xmlns:s='urn:s' xmlns:p='urn:p'>";
    const struct item *it;
    struct error e;

    r->quick = reader_new();
    r->strict = reader_new();
    assert_true(r->quick && r->strict);
    reader_strict(r->strict);
    reader_stream_init(&r->quick_stream);
    reader_stream_init(&r->strict_stream);
    buf_init(&r->quick_out, 4 * TEXT_MAX);
    buf_init(&r->strict_out, 4 * TEXT_MAX);
    assert_int_equal(reader_header(r->quick, &r->quick_stream, header, sizeof header - 1, &it, &e),
                     0);
    assert_int_equal(
        reader_header(r->strict, &r->strict_stream, header, sizeof header - 1, &it, &e), 0);
}

static void readers_free(struct readers *r)
{
    reader_stream_free(&r->quick_stream);
    reader_stream_free(&r->strict_stream);
    reader_free(r->quick);
    reader_free(r->strict);
    buf_free(&r->quick_out);
    buf_free(&r->strict_out);
}

/* Returns whether something was masked. */
static bool masked_alike(struct readers *r, const struct secrets *s, const struct buf *b,
                         bool *plain)
{
    bool strict_plain;

    mask(r->quick, &r->quick_stream, s, b, &r->quick_out, plain);
    mask(r->strict, &r->strict_stream, s, b, &r->strict_out, &strict_plain);
    assert_false(strict_plain);
    if (r->quick_out.len != r->strict_out.len ||
        (r->quick_out.len && memcmp(r->quick_out.p, r->strict_out.p, r->quick_out.len) != 0))
        fail_msg("%.*s: quick %.*s, strict %.*s", (int)b->len, b->p, (int)r->quick_out.len,
                 r->quick_out.p, (int)r->strict_out.len, r->strict_out.p);
    return r->strict_out.len > 0;
}

static void check_item(struct readers *r, const struct secrets *s, const struct buf *b,
                       unsigned long round, struct tally *t)
{
    bool plain, is = found(s, b, false);

    assert_int_equal(masked_alike(r, s, b, &plain), is);
    t->items++;
    t->plain += plain;
    t->found += is;
    t->found_plain += is && plain;
    if (is)
        must_say(secrets_may_hold(s, b->p, b->len, plain) &&
                     secrets_may_hold(s, b->p, b->len, false),
                 "an item", round, b);
    else
        t->spared += !secrets_may_hold(s, b->p, b->len, plain);
}

static void test_prefilter(void **state)
{
    unsigned long rounds = from_env("SHORTCUTS_ROUNDS", ROUNDS);
    struct tally t = {0};
    struct readers r;
    struct buf b;

    (void)state;
    if (getenv("XMPPTAP_SANITIZED"))
        rounds /= 10;
    readers_init(&r);
    buf_init(&b, 16 * TEXT_MAX);
    for (unsigned long i = 0; i < rounds; i++) {
        struct secrets s;
        struct given g;

        chance = from_env("SHORTCUTS_SEED", SEED) * 1000003 + i;
        secrets_init(&s);
        any_secrets(&g, &s);
        write_item(&b, &g);
        check_item(&r, &s, &b, i, &t);
        check_raw(&g, &s, &b, i);
        secrets_free(&s);
    }
    /* Both answers are asked for often, of both kinds of items. */
    assert_in_range(t.plain, t.items / 4, t.items - t.items / 4);
    assert_in_range(t.found_plain, t.items / 20, t.items);
    assert_in_range(t.found - t.found_plain, t.items / 20, t.items);
    assert_in_range(t.spared, (t.items - t.found) * 3 / 4, t.items - t.found);
    buf_free(&b);
    readers_free(&r);
}

/* ---- names ---- */

/* All that stands in quotes in redact.c, however it is used there: so a new row, or a name that the
 * code alone knows, is tried without having to be written here again. */
struct words {
    char text[65536];
    const char *word[NAMES];
    unsigned n;
};

static bool is_word(const char *s)
{
    size_t n = strlen(s);

    for (const char *c = s; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr(":/#.-_", *c))
            return false;
    return n > 1;
}

static void read_words(struct words *w)
{
    static const char path[] = "decoder/redact.c";
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f)
        fail_msg("%s: run from the repository's root", path);
    n = fread(w->text, 1, sizeof w->text - 1, f);
    fclose(f);
    assert_in_range(n, 1, sizeof w->text - 2);
    w->text[n] = '\0';
    w->n = 0;
    for (char *at = w->text, *end; (at = strchr(at, '"')) != NULL; at = end + 1) {
        end = at[-1] == '\'' ? at : strchr(at + 1, '"'); /* that one is a character */
        assert_non_null(end);
        *end = '\0';
        if (end == at || !is_word(at + 1))
            continue;
        assert_true(w->n < NAMES);
        w->word[w->n++] = at + 1;
    }
    assert_in_range(w->n, 40, NAMES);
}

/* With each word as its name, namespace and the value of what decides in forms and headers. */
static void test_marks(void **state)
{
    static struct words w;
    unsigned inner = 0, attr = 0;

    (void)state;
    read_words(&w);
    for (unsigned name = 0; name < w.n; name++)
        for (unsigned ns = 0; ns < w.n; ns++) {
            for (unsigned value = 0; value < w.n; value++) {
                const char *word = w.word[value];
                const char *const attrs[] = {"var", word, "name", word, "type", word, NULL};

                if (redact_inner(w.word[ns], w.word[name], attrs) == SECRET_NONE)
                    continue;
                inner++;
                if (!redact_may_inner(w.word[name], strlen(w.word[name])))
                    fail_msg("element {%s}%s is passed over", w.word[ns], w.word[name]);
            }
            for (unsigned of = 0; of < w.n; of++) {
                if (redact_attr(w.word[ns], w.word[of], w.word[name]) == SECRET_NONE)
                    continue;
                attr++;
                if (!redact_may_attr(w.word[name], strlen(w.word[name])))
                    fail_msg("attribute %s of {%s}%s is passed over", w.word[name], w.word[ns],
                             w.word[of]);
            }
        }
    assert_true(inner > 1000 && attr > 1000);
}

/* Names of elements and of attributes, with and without prefixes, references and inner elements. */
static void test_names(void **state)
{
    static const char *const items[] = {
        "<%2$s xmlns='%1$s' var='%3$s' name='%3$s'>a secret<b>, or none</b></%2$s>",
        "<iq><p:%2$s xmlns:p='%1$s' var='%3$s' type='%3$s'>a secret</p:%2$s></iq>",
        "<%2$s xmlns='%1$s' %3$s='a secret'/>",
        "<iq><q:%2$s xmlns:q='%1$s' p:%3$s=\"a &lt; secret\">x</q:%2$s></iq>",
    };
    unsigned masked = 0, plains = 0, all = 0;
    static struct words w;
    struct secrets s;
    struct readers r;
    struct buf b;

    (void)state;
    read_words(&w);
    readers_init(&r);
    secrets_init(&s);
    buf_init(&b, TEXT_MAX);
    chance = SEED;
    for (unsigned name = 0; name < w.n; name++)
        for (unsigned ns = 0; ns < w.n; ns++)
            for (unsigned i = 0; i < COUNT(items); i++) {
                const char *third = w.word[any(w.n)];
                bool plain;

                if (strpbrk(w.word[name], ":/#") || (i >= 2 && strpbrk(third, ":/#")))
                    continue;
                b.len = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                assert_int_equal(buf_printf(&b, items[i], w.word[ns], w.word[name], third), 0);
#pragma GCC diagnostic pop
                masked += masked_alike(&r, &s, &b, &plain);
                plains += plain;
                all++;
            }
    assert_in_range(masked, all / 20, all);
    assert_in_range(plains, all / 10, all);
    secrets_free(&s);
    buf_free(&b);
    readers_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefilter),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

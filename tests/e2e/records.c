#include "records.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <glob.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t records_files(struct box *b, const char *dir, const char **path, size_t max)
{
    glob_t g;
    size_t n = 0;
    if (glob(box_text(b, "%s/*.jsonl.gz", dir), 0, NULL, &g) == 0) {
        for (; n < g.gl_pathc && n < max; n++)
            path[n] = box_text(b, "%s", g.gl_pathv[n]);
        globfree(&g);
    }
    return n;
}

void records_parse(struct records *r, struct bytes *text)
{
    *r = (struct records){.text = *text};
    *text = (struct bytes){0};
    r->line = calloc(bytes_lines(&r->text) + 1, sizeof(*r->line));
    assert_non_null(r->line);
    char *p = r->text.p, *nl;
    for (; p && (nl = strchr(p, '\n')); p = nl + 1) {
        *nl = '\0';
        assert_int_equal(*p, '{');
        r->line[r->lines++] = p;
    }
}

void records_load(struct records *r, struct box *b, const char *dir)
{
    const char *path[16];
    struct bytes text = {0};
    size_t n = records_files(b, dir, path, 16);
    if (n == 0)
        fail_msg("no archive in %s", dir);
    for (size_t i = 0; i < n; i++) {
        struct run *gzip = run_command(b, "gzip", "-dc", path[i], NULL);
        bytes_add(&text, gzip->out.text.p, gzip->out.text.len);
    }
    records_parse(r, &text);
}

void records_free(struct records *r)
{
    free(r->line);
    bytes_free(&r->text);
}

/* ---- JSON ---- */

/* Behind the string that begins at p. */
static const char *skip_string(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && p[1])
            p++;
    return *p ? p + 1 : p;
}

static const char *skip_value(const char *p)
{
    int depth = 0;
    if (*p == '"')
        return skip_string(p);
    for (; *p; p++) {
        if (*p == '"') {
            p = skip_string(p) - 1;
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        if (*p == '}' || *p == ']') {
            if (depth == 0)
                return p;
            depth--;
        }
        if (*p == ',' && depth == 0)
            return p;
    }
    return p;
}

static const char *skip_blanks(const char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

/* Where the value of the record's own `key` begins, or NULL. */
static const char *find_value(const char *line, const char *key)
{
    size_t n = strlen(key);
    const char *p = skip_blanks(line + 1);
    while (*p == '"') {
        bool found = strncmp(p + 1, key, n) == 0 && p[1 + n] == '"';
        p = skip_blanks(skip_string(p));
        assert_int_equal(*p, ':');
        p = skip_blanks(p + 1);
        if (found)
            return p;
        p = skip_blanks(skip_value(p));
        if (*p == ',')
            p = skip_blanks(p + 1);
    }
    return NULL;
}

static void add_utf8(struct bytes *out, unsigned long c)
{
    char u[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6)
        u[i] = (char)(0x80 | (c & 0x3f));
    u[0] = (char)(lead[n] | c);
    bytes_add(out, u, n);
}

/* The four hex digits at p. */
static unsigned long hex4(const char *p)
{
    char digits[5] = {0};
    for (int i = 0; i < 4; i++) {
        assert_true(isxdigit((unsigned char)p[i]));
        digits[i] = p[i];
    }
    return strtoul(digits, NULL, 16);
}

/* One escape at p (the backslash); returns what is behind it. */
static const char *unescape(const char *p, struct bytes *out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *name = strchr(names, p[1]);
    if (name && p[1]) {
        bytes_add(out, &values[name - names], 1);
        return p + 2;
    }
    assert_int_equal(p[1], 'u');
    unsigned long c = hex4(p + 2);
    p += 6;
    if (c >= 0xd800 && c < 0xdc00) {
        assert_true(p[0] == '\\' && p[1] == 'u');
        c = 0x10000 + ((c - 0xd800) << 10) + (hex4(p + 2) - 0xdc00);
        p += 6;
    }
    add_utf8(out, c);
    return p;
}

bool record_string(const char *line, const char *key, struct bytes *out)
{
    const char *p = find_value(line, key);
    if (!p || *p != '"')
        return false;
    bytes_add(out, "", 0);
    for (p++; *p && *p != '"';) {
        if (*p == '\\') {
            p = unescape(p, out);
            continue;
        }
        size_t n = strcspn(p, "\\\"");
        bytes_add(out, p, n);
        p += n;
    }
    return true;
}

bool record_is(const char *line, const char *key, const char *value)
{
    struct bytes s = {0};
    bool is = record_string(line, key, &s) && bytes_are(&s, value, strlen(value));
    bytes_free(&s);
    return is;
}

long long record_number(const char *line, const char *key)
{
    const char *p = find_value(line, key);
    return p && (*p == '-' || isdigit((unsigned char)*p)) ? strtoll(p, NULL, 10) : -1;
}

/* ---- records ---- */

size_t records_count(const struct records *r, const char *event)
{
    size_t n = 0;
    for (size_t i = 0; i < r->lines; i++)
        n += record_is(r->line[i], "event", event);
    return n;
}

const char *records_find(const struct records *r, const char *event)
{
    for (size_t i = 0; i < r->lines; i++)
        if (record_is(r->line[i], "event", event))
            return r->line[i];
    return NULL;
}

bool records_session(const struct records *r, size_t nth, struct bytes *id)
{
    for (size_t i = 0; i < r->lines; i++)
        if (record_is(r->line[i], "event", "session") && nth-- == 0)
            return record_string(r->line[i], "session", id);
    return false;
}

static void add_base64(struct bytes *out, const struct bytes *text)
{
    unsigned char *raw = malloc(text->len + 1);
    assert_non_null(raw);
    int n = EVP_DecodeBlock(raw, (const unsigned char *)text->p, (int)text->len);
    assert_true(n >= 0);
    for (size_t i = text->len; i > 0 && text->p[i - 1] == '='; i--)
        n--;
    bytes_add(out, raw, (size_t)n);
    free(raw);
}

void records_bytes(const struct records *r, const char *session, const char *dir, struct bytes *out)
{
    bytes_add(out, "", 0);
    for (size_t i = 0; i < r->lines; i++) {
        const char *line = r->line[i];
        struct bytes b64 = {0};
        if (!record_is(line, "dir", dir) || record_is(line, "event", "edit") ||
            (session && !record_is(line, "session", session)))
            continue;
        if (!record_string(line, "xml", out) && record_string(line, "b64", &b64))
            add_base64(out, &b64);
        bytes_free(&b64);
    }
}

struct count {
    char id[100];
    long long n;
    bool ended;
};

/* The session's count; a new one at its end of the list. Ids come mostly in runs. */
static struct count *count_of(struct count *list, size_t *n, const char *id)
{
    for (size_t i = *n; i-- > 0;)
        if (strcmp(list[i].id, id) == 0)
            return &list[i];
    struct count *c = &list[(*n)++];
    snprintf(c->id, sizeof(c->id), "%s", id);
    return c;
}

size_t records_check(const struct records *r)
{
    struct count *list = calloc(r->lines + 1, sizeof(*list));
    size_t sessions = 0;
    assert_non_null(list);
    for (size_t i = 0; i < r->lines; i++) {
        const char *line = r->line[i];
        struct bytes id = {0};
        if (!record_string(line, "session", &id) || !id.len)
            fail_msg("a record without a session: %s", line);
        struct count *c = count_of(list, &sessions, id.p);
        bytes_free(&id);
        c->n++;
        if (record_number(line, "n") != c->n)
            fail_msg("session %s: expected n %lld: %.300s", c->id, c->n, line);
        if ((c->n == 1) != record_is(line, "event", "session"))
            fail_msg("session %s: `session` must be its first record: %.300s", c->id, line);
        if (c->ended)
            fail_msg("session %s goes on behind its end: %.300s", c->id, line);
        c->ended = record_is(line, "event", "end");
        if (!find_value(line, "t") || !find_value(line, "v"))
            fail_msg("a record without t or v: %.300s", line);
    }
    free(list);
    return sessions;
}

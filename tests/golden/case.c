#include "case.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 20
#define HEADING    "==== "

/* A text being read. Lines and fields are cut out of it in place. */
struct parser {
    struct case_file *c;
    struct error *e;
    char *at, *end;
    size_t line;
    int64_t began_us; /* of the session at hand */
    bool open;        /* it has not ended yet */
};

struct field {
    char *p; /* ends in NUL */
    size_t len;
};

static int complain(struct parser *ps, const char *what, const char *which)
{
    return error_set(ps->e, ERR_FORMAT, "%s:%zu: %s%s%s", ps->c->path, ps->line, what,
                     *which ? ": " : "", which);
}

/* ---- escapes ---- */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* The byte that the escape at `p` (behind the backslash) stands for, -1 if it is none. */
static int escaped_byte(const char *p, const char *end, size_t *used)
{
    static const char names[] = "\\nrt", bytes[] = "\\\n\r\t";
    const char *name = p < end && *p ? strchr(names, *p) : NULL;

    *used = name ? 1 : 3;
    if (name)
        return (unsigned char)bytes[name - names];
    if (end - p < 3 || *p != 'x' || hex_digit(p[1]) < 0 || hex_digit(p[2]) < 0)
        return -1;
    return hex_digit(p[1]) << 4 | hex_digit(p[2]);
}

/* In place: what is escaped is never shorter. */
static int unescape(struct parser *ps, struct field *f)
{
    const char *p = f->p, *end = f->p + f->len;
    char *out = f->p;

    while (p < end) {
        size_t used;
        int byte;

        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }
        byte = escaped_byte(p + 1, end, &used);
        if (byte < 0)
            return complain(ps, "no such escape", p);
        *out++ = (char)byte;
        p += 1 + used;
    }
    f->len = (size_t)(out - f->p);
    *out = '\0';
    return 0;
}

/* Length of the UTF-8 character at `p`, 0 if there is none. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    static const struct {
        unsigned char first, last, low, high;
        size_t len;
    } rows[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (p[0] < rows[i].first || p[0] > rows[i].last)
            continue;
        if (rows[i].len > n || (rows[i].len > 1 && (p[1] < rows[i].low || p[1] > rows[i].high)))
            return 0;
        for (size_t k = 2; k < rows[i].len; k++)
            if (p[k] < 0x80 || p[k] > 0xbf)
                return 0;
        return rows[i].len;
    }
    return 0;
}

int case_escape(struct buf *b, const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;
    int err = 0;

    while (n && !err) {
        size_t len = utf8_length(u, n);
        bool c1 = len == 2 && u[0] == 0xc2 && u[1] < 0xa0;

        if (*u == '\\' || *u == '\n' || *u == '\r' || *u == '\t')
            err = buf_printf(b, "\\%c",
                             *u == '\\'   ? '\\'
                             : *u == '\n' ? 'n'
                             : *u == '\r' ? 'r'
                                          : 't');
        else if (len == 0 || *u < 0x20 || *u == 0x7f || c1)
            err = buf_printf(b, "\\x%02x", *u);
        else
            err = buf_add(b, u, len);
        if (len == 0 || c1)
            len = 1;
        u += len;
        n -= len;
    }
    return err;
}

/* ---- key=value ---- */

enum value { TEXT, BYTES, COUNT, FLAG, SIDE, CODE };

/* Where a mark keeps what a key says. */
struct key {
    enum mark_kind kind;
    const char *name;
    enum value value;
    size_t offset;
};

#define KEY(kind, name, value, member)                                                             \
    {                                                                                              \
        kind, name, value, offsetof(struct mark, member)                                           \
    }

static const struct key keys[] = {
    KEY(MARK_SESSION, "client", TEXT, u.session.client),
    KEY(MARK_SESSION, "listen", TEXT, u.session.listen),
    KEY(MARK_SESSION, "upstream", TEXT, u.session.upstream),
    KEY(MARK_TLS, "side", SIDE, u.tls.side),
    KEY(MARK_TLS, "ok", FLAG, u.tls.ok),
    KEY(MARK_TLS, "version", TEXT, u.tls.version),
    KEY(MARK_TLS, "cipher", TEXT, u.tls.cipher),
    KEY(MARK_TLS, "group", TEXT, u.tls.group),
    KEY(MARK_TLS, "sni", TEXT, u.tls.sni),
    KEY(MARK_TLS, "cert", TEXT, u.tls.cert),
    KEY(MARK_TLS, "cert_key", TEXT, u.tls.cert_key),
    KEY(MARK_TLS, "cert_sha256", TEXT, u.tls.cert_sha256),
    KEY(MARK_TLS, "signature", TEXT, u.tls.signature),
    KEY(MARK_TLS, "alpn", TEXT, u.tls.alpn),
    KEY(MARK_TLS, "resumed", FLAG, u.tls.resumed),
    KEY(MARK_TLS, "client_asked", FLAG, u.tls.client_asked),
    KEY(MARK_TLS, "client_cert", TEXT, u.tls.client_cert),
    KEY(MARK_TLS, "client_jid", TEXT, u.tls.client_jid),
    KEY(MARK_TLS, "verify", TEXT, u.tls.verify),
    KEY(MARK_TLS, "error", TEXT, u.tls.error),
    KEY(MARK_TLS, "kind", TEXT, u.tls.kind),
    KEY(MARK_EDIT, "bytes", COUNT, bytes),
    KEY(MARK_EDIT, "reason", TEXT, reason),
    KEY(MARK_EDIT, "sent", BYTES, sent),
    KEY(MARK_RAW, "code", CODE, code),
    KEY(MARK_RAW, "reason", TEXT, reason),
    KEY(MARK_GAP, "bytes", COUNT, bytes),
    KEY(MARK_END, "by", SIDE, u.end.by),
    KEY(MARK_END, "reason", CODE, u.end.code),
    KEY(MARK_END, "phase", TEXT, u.end.phase),
    KEY(MARK_END, "detail", TEXT, u.end.detail),
};
#define KEYS (sizeof keys / sizeof *keys)

static const struct key *key_find(enum mark_kind kind, const char *name)
{
    for (size_t i = 0; i < KEYS; i++)
        if (keys[i].kind == kind && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

static int put_count(const struct field *f, uint64_t *to)
{
    char *end;

    *to = strtoull(f->p, &end, 10);
    return f->len == 0 || *end || *f->p == '-' ? ERR_FORMAT : 0;
}

static int put_side(const struct field *f, enum side *to)
{
    for (int side = SIDE_CLIENT; side <= SIDE_PROXY; side++)
        if (strcmp(f->p, side_name((enum side)side)) == 0) {
            *to = (enum side)side;
            return 0;
        }
    return ERR_FORMAT;
}

static int put_value(struct mark *m, const struct key *k, const struct field *f)
{
    void *to = (char *)m + k->offset;

    switch (k->value) {
    case TEXT:
        *(const char **)to = f->p;
        return strlen(f->p) == f->len ? 0 : ERR_FORMAT;
    case BYTES:
        *(const char **)to = f->p;
        m->sent_len = f->len;
        return 0;
    case COUNT:
        return put_count(f, to);
    case FLAG:
        *(bool *)to = strcmp(f->p, "true") == 0;
        return *(bool *)to || strcmp(f->p, "false") == 0 ? 0 : ERR_FORMAT;
    case SIDE:
        return put_side(f, to);
    case CODE:
        *(enum error_code *)to = error_by_name(f->p);
        return *(enum error_code *)to ? 0 : ERR_FORMAT;
    }
    return ERR_FORMAT;
}

static int parse_key(struct parser *ps, struct mark *m, struct field *f)
{
    char *equals = strchr(f->p, '=');
    const struct key *k;
    struct field value;
    int err;

    if (!equals)
        return complain(ps, "not key=value", f->p);
    *equals = '\0';
    k = key_find(m->kind, f->p);
    if (!k)
        return complain(ps, "this line has no such key", f->p);
    value = (struct field){equals + 1, f->len - (size_t)(equals + 1 - f->p)};
    err = unescape(ps, &value);
    if (!err && put_value(m, k, &value))
        err = complain(ps, "the key has no such value", f->p);
    return err;
}

/* ---- lines ---- */

enum word { WORD_NONE, WORD_DIR, WORD_PHASE }; /* what stands before the keys */

static const struct line_kind {
    const char *name;
    enum mark_kind kind;
    enum word word;
} line_kinds[] = {
    {"session", MARK_SESSION, WORD_NONE},  {"tls", MARK_TLS, WORD_NONE},
    {"restart", MARK_RESTART, WORD_PHASE}, {"bound", MARK_BOUND, WORD_NONE},
    {"edit", MARK_EDIT, WORD_DIR},         {"raw", MARK_RAW, WORD_DIR},
    {"gap", MARK_GAP, WORD_DIR},           {"end", MARK_END, WORD_NONE},
};

static bool dir_by_name(const char *name, enum dir *to)
{
    *to = strcmp(name, "s2c") == 0 ? DIR_S2C : DIR_C2S;
    return strcmp(name, dir_name(*to)) == 0;
}

static bool phase_by_name(const char *name, enum label_phase *to)
{
    static const struct {
        const char *name;
        enum label_phase phase;
    } rows[] = {{"open", PHASE_OPEN}, {"tls", PHASE_TLS}, {"bound", PHASE_BOUND}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0) {
            *to = rows[i].phase;
            return true;
        }
    return false;
}

static int parse_mark(struct parser *ps, struct mark *m, const struct line_kind *k, struct field *f,
                      size_t n)
{
    size_t i = 0;

    m->kind = k->kind;
    m->reason = m->sent = "";
    for (size_t key = 0; key < KEYS; key++)
        if (keys[key].kind == m->kind && keys[key].value == TEXT)
            *(const char **)(void *)((char *)m + keys[key].offset) = "";
    if (m->kind == MARK_SESSION)
        m->u.session.program = "xmpptap";
    if (k->word == WORD_DIR && (i == n || !dir_by_name(f[i++].p, &m->dir)))
        return complain(ps, "c2s or s2c must follow", k->name);
    if (k->word == WORD_PHASE && (i == n || !phase_by_name(f[i++].p, &m->phase)))
        return complain(ps, "open, tls or bound must follow", k->name);
    while (i < n) {
        int err = parse_key(ps, m, &f[i++]);
        if (err)
            return err;
    }
    return 0;
}

/* A session begins with `session` and is over with `end`. */
static int check_order(struct parser *ps, struct case_step *st)
{
    bool begins = !st->data && st->mark.kind == MARK_SESSION;

    if (ps->c->steps && st->t_us < st[-1].t_us)
        return complain(ps, "its time is before that of the line before it", "");
    if (begins == ps->open)
        return complain(ps, begins ? "the session before it has no end" : "no session yet", "");
    if (begins) {
        ps->began_us = st->t_us;
        ps->open = true;
    } else if (!st->data && st->mark.kind == MARK_END) {
        st->mark.u.end.account = "";
        st->mark.u.end.duration_us = st->t_us - ps->began_us;
        ps->open = false;
    }
    return 0;
}

static int parse_fields(struct parser *ps, struct case_step *st, struct field *f, size_t n)
{
    size_t i = 0, kinds = sizeof line_kinds / sizeof *line_kinds;
    uint64_t t;

    *st = (struct case_step){0};
    if (n < 2 || put_count(&f[0], &t) || t > INT64_MAX / 2)
        return complain(ps, "not TIME<tab>KIND", f[0].p);
    st->t_us = (int64_t)t;
    if (dir_by_name(f[1].p, &st->mark.dir)) {
        if (n != 3 || unescape(ps, &f[2]))
            return ps->e->code ? (int)ps->e->code
                               : complain(ps, "one field of bytes must follow", f[1].p);
        st->data = true;
        st->p = f[2].p;
        st->len = f[2].len;
        return 0;
    }
    while (i < kinds && strcmp(line_kinds[i].name, f[1].p) != 0)
        i++;
    if (i == kinds)
        return complain(ps, "no such kind of line", f[1].p);
    return parse_mark(ps, &st->mark, &line_kinds[i], f + 2, n - 2);
}

static int parse_input(struct parser *ps, char *p, size_t len)
{
    struct case_step *st = &ps->c->step[ps->c->steps];
    struct field f[FIELDS_MAX];
    char *end = p + len;
    size_t n = 0;
    int err;

    if (len == 0 || *p == '#')
        return 0;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)p[i] < 0x20 && p[i] != '\t')
            return complain(ps, "a control character must be written as \\xNN", "");
    do {
        if (n == FIELDS_MAX)
            return complain(ps, "too many fields", "");
        f[n] = (struct field){p, strcspn(p, "\t")};
        p += f[n++].len;
        *p++ = '\0';
    } while (p <= end);
    err = parse_fields(ps, st, f, n);
    if (!err)
        err = check_order(ps, st);
    if (!err)
        ps->c->steps++;
    return err;
}

/* ---- the file ---- */

bool case_is_heading(const char *p, size_t n)
{
    size_t i = sizeof HEADING - 1;

    if (n <= i || memcmp(p, HEADING, i) != 0)
        return false;
    while (i < n && p[i] >= 'a' && p[i] <= 'z')
        i++;
    return i == n;
}

/* The next line, ended by NUL in place; false at the end. */
static bool next_line(struct parser *ps, char **p, size_t *len)
{
    char *end;

    if (ps->at >= ps->end)
        return false;
    end = memchr(ps->at, '\n', (size_t)(ps->end - ps->at));
    if (!end)
        end = ps->end;
    *p = ps->at;
    *len = (size_t)(end - ps->at);
    *end = '\0';
    ps->at = end + 1;
    ps->line++;
    return true;
}

/* A section's text keeps its newlines: only the lines that begin one are cut out. */
static int parse_sections(struct parser *ps)
{
    while (ps->at < ps->end) {
        const char *nl = memchr(ps->at, '\n', (size_t)(ps->end - ps->at)), *end = nl ? nl : ps->end;
        size_t len = (size_t)(end - ps->at);
        struct case_section *s = &ps->c->section[ps->c->sections];

        ps->line++;
        if (case_is_heading(ps->at, len)) {
            if (ps->c->sections == CASE_SECTIONS_MAX)
                return complain(ps, "too many sections", "");
            ps->at[len] = '\0';
            *s = (struct case_section){.name = ps->at + sizeof HEADING - 1, .line = ps->line + 1};
            if (case_section(ps->c, s->name))
                return complain(ps, "a second section of this name", s->name);
            s->text = end < ps->end ? end + 1 : end;
            ps->c->sections++;
        } else {
            s[-1].len = (size_t)((nl ? nl + 1 : end) - s[-1].text);
        }
        ps->at += len + 1;
    }
    return 0;
}

/* Where the sections begin: `n` if there are none. */
static size_t input_length(const char *text, size_t n)
{
    for (size_t at = 0; at < n;) {
        const char *nl = memchr(text + at, '\n', n - at);
        size_t len = nl ? (size_t)(nl - text) - at : n - at;

        if (case_is_heading(text + at, len))
            return at;
        at += len + 1;
    }
    return n;
}

static int parse(struct parser *ps, size_t n)
{
    char *text = ps->at, *p;
    size_t len, lines = 1;
    int err = 0;

    for (size_t i = 0; i < ps->c->input_len; i++)
        lines += text[i] == '\n';
    ps->c->step = calloc(lines, sizeof *ps->c->step);
    if (!ps->c->step)
        return error_set(ps->e, ERR_NOMEM, "%s: no memory", ps->c->path);
    ps->end = text + ps->c->input_len;
    while (!err && next_line(ps, &p, &len))
        err = parse_input(ps, p, len);
    if (!err && (ps->open || ps->c->steps == 0))
        err = complain(ps, ps->open ? "the last session has no end" : "no session", "");
    ps->at = text + ps->c->input_len;
    ps->end = text + n;
    return err ? err : parse_sections(ps);
}

int case_parse(struct case_file *c, const char *path, const char *text, size_t n, struct error *e)
{
    struct parser ps = {.c = c, .e = e};
    int err;

    *c = (struct case_file){.path = path, .input_len = input_length(text, n)};
    *e = (struct error){0};
    c->bytes = malloc(n + 2);
    if (!c->bytes)
        return error_set(e, ERR_NOMEM, "%s: no memory", path);
    memcpy(c->bytes, text, n);
    memset(c->bytes + n, 0, 2);
    ps.at = c->bytes;
    err = parse(&ps, n);
    if (err)
        case_free(c);
    return err;
}

void case_free(struct case_file *c)
{
    free(c->bytes);
    free(c->step);
    *c = (struct case_file){0};
}

const struct case_section *case_section(const struct case_file *c, const char *name)
{
    for (size_t i = 0; i < c->sections; i++)
        if (strcmp(c->section[i].name, name) == 0)
            return &c->section[i];
    return NULL;
}

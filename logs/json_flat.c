#include "json_flat.h"

#include <string.h>

#include "json.h"

#define NUMBER_DIGITS 18 /* that many fit an int64_t, whatever they are */

/* ---- names ---- */

#define JSON_FIELD(name) {#name, sizeof #name - 1},
static const struct name {
    const char *text;
    size_t n;
} names[] = {JSON_FIELDS(JSON_FIELD)};
#undef JSON_FIELD

/* The first name of each length; names stand in the order of their lengths. */
static const unsigned char first_of[] = {
    [0] = JSON_t,         [1] = JSON_t,           [2] = JSON_re,           [3] = JSON_dir,
    [4] = JSON_type,      [5] = JSON_event,       [6] = JSON_client,       [7] = JSON_session,
    [8] = JSON_upstream,  [9] = JSON_signature,   [10] = JSON_client_jid,  [11] = JSON_cert_sha256,
    [12] = JSON_client_asked, [13] = JSON_FIELD_COUNT,
};

static enum json_field field_by_name(const char *p, size_t n)
{
    unsigned i, end;

    if (n + 1 >= sizeof first_of)
        return JSON_FIELD_COUNT;
    end = first_of[n + 1];
    for (i = first_of[n]; i < end; i++)
        if (names[i].text[0] == *p && memcmp(names[i].text, p, n) == 0)
            return (enum json_field)i;
    return JSON_FIELD_COUNT;
}

const char *json_field_name(enum json_field field)
{
    return names[field].text;
}

/* ---- a line ---- */

struct cursor {
    const unsigned char *p, *end;
    char *out; /* texts go there, one behind the other; never longer than what they were read from */
    unsigned parts;
};

/* Length of the UTF-8 character at `p` (RFC 3629 §4), 0 if there is none. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t len, i;

    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len > n)
        return 0;
    low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : low;    /* not overlong */
    high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : high; /* no surrogates, below U+110000 */
    if (p[1] < low || p[1] > high)
        return 0;
    for (i = 2; i < len; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return len;
}

/* Copies ASCII that stands for itself: eight bytes at a time; the top bit of a byte marks one that
 * needs a look (a control character, a quote, a backslash, or beyond ASCII). */
static void copy_plain(struct cursor *c)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const unsigned char *p = c->p;
    char *out = c->out;
    uint64_t w;

    while (c->end - p >= (ptrdiff_t)sizeof w) {
        memcpy(&w, p, sizeof w);
        if ((w | (w - ones * 0x20) | ((w ^ ones * '"') - ones) | ((w ^ ones * '\\') - ones)) &
            ones * 0x80)
            break;
        memcpy(out, &w, sizeof w);
        p += sizeof w;
        out += sizeof w;
    }
    while (p < c->end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
        *out++ = (char)*p++;
    c->p = p;
    c->out = out;
}

static int hex_digit(unsigned char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The four digits of \uXXXX as UTF-8 (RFC 8259 §7). Surrogates are jansson's. */
static bool copy_code_point(struct cursor *c)
{
    unsigned cp = 0;

    if (c->end - c->p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(*c->p++);
        if (digit < 0)
            return false;
        cp = cp << 4 | (unsigned)digit;
    }
    if (cp >= 0xd800 && cp <= 0xdfff)
        return false;
    if (cp < 0x80) {
        *c->out++ = (char)cp;
        return true;
    }
    if (cp >= 0x800)
        *c->out++ = (char)(0xe0 | cp >> 12);
    *c->out++ = (char)(cp >= 0x800 ? 0x80 | (cp >> 6 & 0x3f) : 0xc0 | cp >> 6);
    *c->out++ = (char)(0x80 | (cp & 0x3f));
    return true;
}

/* What stands behind a backslash. */
static bool copy_escaped(struct cursor *c)
{
    static const char escaped[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *at;

    if (c->p == c->end)
        return false;
    if (*c->p == 'u') {
        c->p++;
        return copy_code_point(c);
    }
    at = *c->p ? strchr(escaped, *c->p) : NULL;
    if (!at)
        return false;
    *c->out++ = meant[at - escaped];
    c->p++;
    return true;
}

/* A string, its opening quote being the next byte. */
static bool read_text(struct cursor *c, const char **text, size_t *n)
{
    size_t len;

    *text = c->out;
    for (c->p++;;) {
        copy_plain(c);
        if (c->p == c->end || *c->p < 0x20)
            return false;
        if (*c->p == '"')
            break;
        if (*c->p == '\\') {
            c->p++;
            if (!copy_escaped(c))
                return false;
            continue;
        }
        len = utf8_length(c->p, (size_t)(c->end - c->p));
        if (len == 0)
            return false;
        memcpy(c->out, c->p, len);
        c->p += len;
        c->out += len;
    }
    c->p++;
    *n = (size_t)(c->out - *text);
    *c->out++ = '\0';
    return true;
}

static bool read_number(struct cursor *c, int64_t *number)
{
    bool negative = *c->p == '-';
    const unsigned char *first = c->p += negative;
    int64_t v = 0;

    while (c->p < c->end && *c->p >= '0' && *c->p <= '9' && c->p - first < NUMBER_DIGITS)
        v = v * 10 + (*c->p++ - '0');
    if (c->p == first || c->p == c->end || (*first == '0' && (negative || c->p - first > 1)) ||
        (*c->p >= '0' && *c->p <= '9') || *c->p == '.' || *c->p == 'e' || *c->p == 'E')
        return false;
    *number = negative ? -v : v;
    return true;
}

static bool read_word(struct cursor *c, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n) != 0)
        return false;
    c->p += n;
    return true;
}

static void skip_space(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
        c->p++;
}

/* Passes over white space, and over `mark`, if that comes then. */
static bool read_mark(struct cursor *c, char mark)
{
    skip_space(c);
    if (c->p == c->end || *c->p != (unsigned char)mark)
        return false;
    c->p++;
    return true;
}

/* `"NAME":`, and the white space behind it. Where a name is escaped or beyond ASCII, jansson reads
 * the line. */
static bool read_name(struct cursor *c, const char **name, size_t *n)
{
    if (!read_mark(c, '"'))
        return false;
    *name = (const char *)c->p;
    while (c->p < c->end && *c->p >= 0x20 && *c->p < 0x80 && *c->p != '"' && *c->p != '\\')
        c->p++;
    *n = (size_t)(c->p - (const unsigned char *)*name);
    if (c->p == c->end || *c->p++ != '"' || !read_mark(c, ':'))
        return false;
    skip_space(c);
    return c->p < c->end && ++c->parts <= JSON_PARTS_MAX;
}

static bool is_new(const struct event_fact *pair, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(pair[i].name, name) == 0)
            return false;
    return true;
}

/* An object of texts, behind its brace. */
static bool read_pairs(struct cursor *c, struct event_fact *pair, size_t max, size_t *count)
{
    const char *name, *text;
    size_t len, n = 0;

    if (read_mark(c, '}'))
        return true;
    do {
        if (n == max || !read_name(c, &name, &len) || *c->p != '"')
            return false;
        text = c->out;
        memcpy(c->out, name, len);
        c->out += len;
        *c->out++ = '\0';
        if (!is_new(pair, n, text))
            return false;
        pair[n].name = text;
        if (!read_text(c, &pair[n++].value, &len))
            return false;
    } while (read_mark(c, ','));
    *count = n;
    return read_mark(c, '}');
}

/* A value that only its `field` decides about: what it may be and where it goes. */
static bool read_value(struct cursor *c, enum json_field field, struct json_value *v,
                       unsigned char *is, const struct json_room *room)
{
    struct event_fact *pair = field == JSON_facts    ? room->fact
                              : field == JSON_remarks ? room->remark
                                                      : NULL;

    *v = (struct json_value){0};
    switch (*c->p) {
    case '"':
        *is = JSON_IS_TEXT;
        return read_text(c, &v->u.text, &v->n);
    case 't':
        *is = JSON_IS_TRUE;
        return read_word(c, "true");
    case 'f':
        *is = JSON_IS_FALSE;
        return read_word(c, "false");
    case '{':
        c->p++;
        *is = JSON_IS_PAIRS;
        v->u.pair = pair;
        return pair && read_pairs(c, pair, pair == room->fact ? EVENT_FACTS_MAX : EVENT_REMARKS_MAX,
                                  &v->n);
    default:
        *is = JSON_IS_NUMBER;
        return read_number(c, &v->u.number);
    }
}

bool json_flat_line(struct json_flat *flat, const char *line, size_t n,
                    const struct json_room *room)
{
    struct cursor c = {.p = (const unsigned char *)line, .out = room->text};
    struct json_value v;
    enum json_field field;
    unsigned char is;
    const char *name;
    size_t len;

    c.end = c.p + n;
    memset(flat->is, JSON_IS_ABSENT, sizeof flat->is);
    if (!read_mark(&c, '{'))
        return false;
    do {
        if (!read_name(&c, &name, &len))
            return false;
        field = field_by_name(name, len);
        if (!read_value(&c, field, &v, &is, room))
            return false;
        if (field == JSON_FIELD_COUNT)
            continue;
        flat->is[field] = is; /* the last of a name counts, as with jansson */
        flat->value[field] = v;
    } while (read_mark(&c, ','));
    if (!read_mark(&c, '}'))
        return false;
    skip_space(&c);
    return c.p == c.end;
}

/* ---- a line's session ---- */

/* Passes over `before` and a text without escapes up to its quote. */
static bool pass_text(struct cursor *c, const char *before, const char **text, size_t *n)
{
    const unsigned char *end;

    if (!read_word(c, before))
        return false;
    end = memchr(c->p, '"', (size_t)(c->end - c->p));
    *text = (const char *)c->p;
    *n = end ? (size_t)(end - c->p) : 0;
    c->p = end;
    return end && !memchr(*text, '\\', *n);
}

const char *json_line_session(const char *line, size_t n, size_t *id_bytes)
{
    struct cursor c = {.p = (const unsigned char *)line, .end = (const unsigned char *)line + n};
    const char *text;

    return pass_text(&c, "{\"v\":1,\"event\":\"", &text, id_bytes) &&
                   pass_text(&c, "\",\"t\":\"", &text, id_bytes) &&
                   pass_text(&c, "\",\"session\":\"", &text, id_bytes)
               ? text
               : NULL;
}

/* ---- a tree ---- */

static void set_from_tree(struct json_value *v, unsigned char *is, const json_t *tree)
{
    *v = (struct json_value){0};
    if (json_is_string(tree)) {
        *is = JSON_IS_TEXT;
        v->u.text = json_string_value(tree);
        v->n = json_string_length(tree);
    } else if (json_is_integer(tree)) {
        *is = JSON_IS_NUMBER;
        v->u.number = json_integer_value(tree);
    } else if (json_is_boolean(tree)) {
        *is = json_is_true(tree) ? JSON_IS_TRUE : JSON_IS_FALSE;
    } else {
        *is = JSON_IS_TREE;
        v->u.tree = tree;
    }
}

void json_flat_tree(struct json_flat *flat, const json_t *object)
{
    enum json_field field;
    const char *name;
    json_t *tree;

    memset(flat->is, JSON_IS_ABSENT, sizeof flat->is);
    json_object_foreach((json_t *)(uintptr_t)object, name, tree) {
        field = field_by_name(name, strlen(name));
        if (field != JSON_FIELD_COUNT)
            set_from_tree(&flat->value[field], &flat->is[field], tree);
    }
}

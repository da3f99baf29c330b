#include "xml_lines.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plain.h"

/* Where the printed text stands; the same for all the pieces of one item. */
struct lines {
    struct buf *out;
    const char *prefix; /* before each line, or NULL */
    bool flat;          /* newlines are escaped: all of it is a part of one line */
    bool fresh;         /* the next byte is a line's first */
};

/* The length of the UTF-8 sequence at `p` and its code point; 0 if it is none (RFC 3629 §4). */
static size_t utf8(const unsigned char *p, size_t n, uint32_t *cp)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;

    if (len == 0 || len > n || p[0] > 0xF4)
        return 0;
    *cp = len == 1 ? p[0] : p[0] & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        *cp = *cp << 6 | (p[i] & 0x3Fu);
    }
    if (*cp < least[len] || *cp > 0x10FFFF || (*cp >= 0xD800 && *cp <= 0xDFFF))
        return 0;
    return len;
}

/* Would it move the cursor, end a line, or turn the direction of what follows? */
static bool harmful(uint32_t cp)
{
    return (cp < 0x20 && cp != '\t') || (cp >= 0x7F && cp <= 0x9F) || cp == 0x2028 ||
           cp == 0x2029 || (cp >= 0x202A && cp <= 0x202E) || (cp >= 0x2066 && cp <= 0x2069);
}

/* Begins a line at `*p`; a `#` there is used up. */
static int begin_line(struct lines *l, const char *p, size_t *used)
{
    l->fresh = false;
    if (l->prefix)
        return buf_str(l->out, l->prefix);
    if (*p != '#')
        return 0;
    *used = 1;
    return buf_str(l->out, "&#35;");
}

/* Prints one character that cannot stand as it is. */
static int print_escaped(struct lines *l, unsigned char byte, size_t len, uint32_t cp)
{
    char text[16];

    if (len)
        snprintf(text, sizeof text, "&#x%X;", (unsigned)cp);
    else
        snprintf(text, sizeof text, "\\x%02X", byte);
    return buf_str(l->out, text);
}

/* Prints captured bytes: runs that can stand as they are in one piece, the rest escaped. */
static int print(struct lines *l, const char *p, size_t n)
{
    size_t from = 0, i = 0;
    int err = 0;

    if (n == 0)
        return 0;
    while (i < n && !err) {
        const unsigned char *u = (const unsigned char *)p + i;
        uint32_t cp = 0;
        size_t len;

        if (l->fresh) {
            size_t used = 0;
            err = buf_add(l->out, p + from, i - from);
            if (!err)
                err = begin_line(l, p + i, &used);
            from = i += used;
            continue;
        }
        if (*u < 0x80) {
            len = plain_run(p + i, n - i, PLAIN_ASCII);
            i += len;
            if (len)
                continue;
        }
        len = utf8(u, n - i, &cp);
        if (*u == '\n' && !l->flat) {
            l->fresh = true;
            i++;
        } else if (len && !harmful(cp)) {
            i += len;
        } else {
            err = buf_add(l->out, p + from, i - from);
            if (!err)
                err = print_escaped(l, *u, len, cp);
            from = i += len ? len : 1;
        }
    }
    return err ? err : buf_add(l->out, p + from, n - from);
}

static int end_line(struct lines *l)
{
    l->fresh = true;
    return buf_add(l->out, "\n", 1);
}

int xml_lines_raw(struct buf *out, const char *p, size_t n, const char *prefix)
{
    struct lines l = {.out = out, .prefix = prefix, .fresh = true};
    int err = print(&l, p, n);

    return err || l.fresh ? err : end_line(&l);
}

int xml_lines_inline(struct buf *out, const char *p, size_t n)
{
    struct lines l = {.out = out, .flat = true};

    return print(&l, p, n);
}

/* ---- items ---- */

enum piece {
    PIECE_SPACE,
    PIECE_TEXT, /* and what must stay whole: CDATA, and what is no XML at all */
    PIECE_START,
    PIECE_EMPTY,
    PIECE_END
};

enum holds { HOLDS_TEXT = 1, HOLDS_ELEMENTS = 2 };

/* What is known of an element. They lie in document order; 0 is the document. */
struct element {
    uint32_t parent;
    uint8_t holds; /* enum holds, ored */
};

static enum piece text_piece(const char *p, size_t n, size_t *len)
{
    const char *end = memchr(p, '<', n);

    *len = end ? (size_t)(end - p) : n;
    for (size_t i = 0; i < *len; i++)
        if (!memchr(" \t\r\n", p[i], 4))
            return PIECE_TEXT;
    return PIECE_SPACE;
}

/* A piece that ends with `mark`, or with the bytes. */
static enum piece whole_piece(const char *p, size_t n, const char *mark, size_t *len)
{
    const char *end = memmem(p, n, mark, strlen(mark));

    *len = end ? (size_t)(end - p) + strlen(mark) : n;
    return PIECE_TEXT;
}

static bool begins(const char *p, size_t n, const char *with)
{
    return n >= strlen(with) && memcmp(p, with, strlen(with)) == 0;
}

/* The piece that the `n` > 0 bytes begin with, and how long it is. */
static enum piece next_piece(const char *p, size_t n, size_t *len)
{
    const char *quote;

    if (*p != '<')
        return text_piece(p, n, len);
    if (begins(p, n, "<![CDATA["))
        return whole_piece(p, n, "]]>", len);
    if (begins(p, n, "<!--"))
        return whole_piece(p, n, "-->", len);
    if (begins(p, n, "<?"))
        return whole_piece(p, n, "?>", len);
    for (size_t i = 1; i < n; i++) {
        if (p[i] == '>') {
            *len = i + 1;
            return p[1] == '/' ? PIECE_END : p[i - 1] == '/' ? PIECE_EMPTY : PIECE_START;
        }
        if (p[i] != '"' && p[i] != '\'')
            continue;
        quote = memchr(p + i + 1, p[i], n - i - 1);
        if (!quote)
            break;
        i = (size_t)(quote - p);
    }
    *len = n;
    return PIECE_TEXT;
}

/* The first pass: what each element holds. */
static void find_elements(struct element *el, const char *p, size_t n)
{
    uint32_t open = 0, last = 0;
    size_t len;

    for (size_t i = 0; i < n; i += len) {
        enum piece piece = next_piece(p + i, n - i, &len);
        if (piece == PIECE_TEXT)
            el[open].holds |= HOLDS_TEXT;
        if (piece == PIECE_START || piece == PIECE_EMPTY)
            el[open].holds |= HOLDS_ELEMENTS;
        if (piece == PIECE_START) {
            el[++last].parent = open;
            open = last;
        }
        if (piece == PIECE_END)
            open = el[open].parent;
    }
}

/* The second pass. `whole` counts the open elements of one that is printed on one line. */
static int print_elements(struct lines *l, const struct element *el, const char *p, size_t n)
{
    size_t len, whole = 0;
    int err = 0;

    for (size_t i = 0; i < n && !err; i += len) {
        enum piece piece = next_piece(p + i, n - i, &len);
        if (piece == PIECE_SPACE && whole == 0)
            continue;
        if (piece == PIECE_START && ((++el)->holds != HOLDS_ELEMENTS || whole))
            whole++;
        else if (piece == PIECE_END && whole)
            whole--;
        err = print(l, p + i, len);
        if (!err && whole == 0)
            err = end_line(l);
    }
    return err || l->fresh ? err : end_line(l);
}

/* Both passes. */
static int print_mixed(struct lines *l, const char *p, size_t n)
{
    struct element *el;
    size_t tags = 0;
    int err;

    for (const char *at = p; n && (at = memchr(at, '<', n - (size_t)(at - p))); at++)
        tags++;
    if (tags >= UINT32_MAX)
        return ERR_CAP;
    el = calloc(tags + 1, sizeof *el);
    if (!el)
        return ERR_NOMEM;
    find_elements(el, p, n);
    err = print_elements(l, el, p, n);
    free(el);
    return err;
}

/* Does an element hold elements first, as far as what begins with these bytes shows? What is not
 * certain comes out later. */
static bool elements_come(const char *p, size_t n)
{
    size_t len = 0, child;
    enum piece piece;

    if (n == 0 || (*p != '<' && text_piece(p, n, &len) == PIECE_TEXT))
        return false;
    if (n - len < 2 || p[len + 1] == '/')
        return false;
    if (p[len + 1] != '!' && p[len + 1] != '?')
        return true;
    piece = next_piece(p + len, n - len, &child);
    return piece == PIECE_START || piece == PIECE_EMPTY;
}

/* One pass, which takes it that an element in which elements come first holds no text. Sets `*mixed`
 * where one does: then it stops, and what it printed is wrong. */
static int print_at_once(struct lines *l, const char *p, size_t n, bool *mixed)
{
    size_t len, depth = 0, whole = 0, from = 0;
    int err = 0;

    for (size_t i = 0; i < n && !err; i += len) {
        enum piece piece = next_piece(p + i, n - i, &len);

        if (whole == 0) {
            from = i;
            if (piece == PIECE_SPACE)
                continue;
            if (piece == PIECE_TEXT && depth) {
                *mixed = true;
                return 0;
            }
            if (piece == PIECE_START && elements_come(p + i + len, n - i - len))
                depth++;
            else if (piece == PIECE_START)
                whole = 1;
            else if (piece == PIECE_END && depth)
                depth--;
        } else if (piece == PIECE_START) {
            whole++;
        } else if (piece == PIECE_END) {
            whole--;
        }
        if (whole && i + len < n)
            continue;
        err = print(l, p + from, i + len - from);
        if (!err && whole == 0)
            err = end_line(l);
    }
    return err || l->fresh ? err : end_line(l);
}

int xml_lines_item(struct buf *out, const char *p, size_t n)
{
    struct lines l = {.out = out, .fresh = true};
    size_t mark = out->len;
    bool mixed = false;
    int err = print_at_once(&l, p, n, &mixed);

    if (!mixed)
        return err;
    out->len = mark;
    l = (struct lines){.out = out, .fresh = true};
    return print_mixed(&l, p, n);
}

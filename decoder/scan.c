#include "scan.h"

#include <string.h>

/* Where the next byte is read. */
enum {
    IN_TEXT,    /* between tags */
    IN_MARK,    /* in what a stream's first bytes say of its encoding */
    IN_OPEN,    /* behind `<` */
    IN_TAG,     /* in a start tag, outside quotes */
    IN_QUOTE,   /* in an attribute's value */
    IN_END_TAG, /* behind `</` */
    IN_BANG,    /* behind `<!`, not yet known what it is */
    IN_CDATA,
    IN_COMMENT,
    IN_PI,      /* the XML declaration too */
    CLOSED,     /* behind the root's end tag */
    BAD
};

const struct scan_limits scan_default_limits = {
    .tag_bytes = 256u << 10,
    .item_bytes = 4u << 20,
    .depth = 256,
};

void scan_init(struct scan *s, const struct scan_limits *limits)
{
    *s = (struct scan){.state = IN_TEXT, .limits = limits ? *limits : scan_default_limits};
}

bool scan_between(const struct scan *s)
{
    return s->item == 0;
}

bool scan_before_item(const struct scan *s)
{
    return s->item == 0 && s->depth == 1 && s->state == IN_TEXT;
}

void scan_skip(struct scan *s, size_t n)
{
    s->offset += n;
    s->flaw = ERR_NONE;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static enum scan_what bad(struct scan *s, enum error_code code)
{
    s->state = BAD;
    s->error = code;
    return SCAN_BAD;
}

static void flaw(struct scan *s, enum error_code code)
{
    if (s->flaw == ERR_NONE)
        s->flaw = code;
}

static void count_tag(struct scan *s, size_t n)
{
    s->tag += n;
    if (s->tag > s->limits.tag_bytes)
        flaw(s, ERR_TAG_CAP);
}

/* A stream's first bytes where they are no `<`: U+FEFF in UTF-8 belongs to the header; UTF-16, with
 * a mark or without, is told from other rubbish (RFC 6120 §11.6). */
static enum scan_what scan_mark(struct scan *s, const char *p, size_t *i)
{
    static const char utf8[] = "\xEF\xBB\xBF", utf16[][2] = {"\xFE\xFF", "\xFF\xFE", {'\0', '<'}};
    char c = p[(*i)++];

    if (s->match == 0) {
        s->quote = c;
        s->match = 1;
        return memchr("\xEF\xFE\xFF", c, 4) ? SCAN_MORE : bad(s, ERR_UNREADABLE);
    }
    if (s->quote == utf8[0] && c == utf8[s->match]) {
        if (++s->match == sizeof utf8 - 1)
            s->state = IN_TEXT;
        return SCAN_MORE;
    }
    for (size_t k = 0; k < sizeof utf16 / sizeof *utf16; k++)
        if (s->quote == utf16[k][0] && c == utf16[k][1])
            return bad(s, ERR_ENCODING);
    return bad(s, ERR_UNREADABLE);
}

/* Text inside an item runs to the next `<`; outside one, only white space is allowed. */
static enum scan_what scan_text(struct scan *s, const char *p, size_t n, size_t *i)
{
    const char *lt;
    size_t from = *i;

    if (s->depth >= 2) {
        lt = memchr(p + from, '<', n - from);
        *i = lt ? (size_t)(lt - p) + 1 : n;
    } else {
        while (*i < n && is_space(p[*i]))
            (*i)++;
        /* Space before the header or between items is a token; behind an XML declaration not. */
        if (*i > from && s->item == 0 && from == 0)
            return SCAN_SPACE;
        if (*i == n)
            return SCAN_MORE;
        if (p[*i] != '<' && s->depth == 0 && s->state == IN_TEXT && s->item + *i == 0) {
            s->state = IN_MARK;
            s->match = 0;
            return SCAN_MORE;
        }
        if (p[*i] != '<' || s->state == CLOSED)
            return bad(s, ERR_UNREADABLE);
        lt = p + (*i)++;
    }
    if (lt) {
        s->state = IN_OPEN;
        s->tag = 1;
    }
    return SCAN_MORE;
}

static enum scan_what scan_open(struct scan *s, const char *p, size_t *i)
{
    char c = p[(*i)++];
    bool first = s->depth == 0 && !s->declared && s->match == 0; /* no U+FEFF stood before */

    s->match = 0;
    if (c == '/') {
        s->state = IN_END_TAG;
    } else if (c == '!') {
        s->state = IN_BANG;
    } else if (c == '?') {
        s->state = IN_PI;
        if (s->depth == 0 && !s->declared)
            s->declared = true;
        else if (s->depth == 0)
            return bad(s, ERR_RESTRICTED_XML);
        else
            flaw(s, ERR_RESTRICTED_XML);
    } else if (c == '<' || c == '>' || is_space(c)) {
        return bad(s, ERR_NOT_WELL_FORMED);
    } else if (c == '\0' && first) {
        return bad(s, ERR_ENCODING);
    } else {
        s->state = IN_TAG;
        s->self_closing = false;
    }
    count_tag(s, 1);
    return SCAN_MORE;
}

static enum scan_what start_tag_ends(struct scan *s)
{
    s->state = IN_TEXT;
    if (s->depth == 0) {
        if (s->self_closing) /* well-formed, but no stream */
            return bad(s, ERR_UNREADABLE);
        s->depth = 1;
        return SCAN_HEADER;
    }
    if (s->self_closing)
        return s->depth == 1 ? SCAN_ITEM : SCAN_MORE;
    s->depth++;
    if (s->depth > s->limits.depth)
        flaw(s, ERR_DEPTH_CAP);
    return SCAN_MORE;
}

static enum scan_what scan_tag(struct scan *s, const char *p, size_t n, size_t *i)
{
    static const bool stops[256] = {['<'] = true, ['>'] = true, ['"'] = true, ['\''] = true};
    size_t from = *i, at = from;

    while (at < n && !stops[(unsigned char)p[at]])
        at++;
    if (at > from)
        s->self_closing = p[at - 1] == '/';
    *i = at < n ? at + 1 : n;
    count_tag(s, *i - from);
    if (at == n)
        return SCAN_MORE;
    if (p[at] == '>')
        return start_tag_ends(s);
    if (p[at] == '<')
        return bad(s, ERR_NOT_WELL_FORMED);
    s->quote = p[at];
    s->self_closing = false;
    s->state = IN_QUOTE;
    return SCAN_MORE;
}

static void scan_quote(struct scan *s, const char *p, size_t n, size_t *i)
{
    const char *q = memchr(p + *i, s->quote, n - *i);
    size_t to = q ? (size_t)(q - p) + 1 : n;

    count_tag(s, to - *i);
    *i = to;
    if (q)
        s->state = IN_TAG;
}

static enum scan_what scan_end_tag(struct scan *s, const char *p, size_t n, size_t *i)
{
    const char *gt = memchr(p + *i, '>', n - *i);
    size_t to = gt ? (size_t)(gt - p) + 1 : n;

    count_tag(s, to - *i);
    *i = to;
    if (!gt)
        return SCAN_MORE;
    if (s->depth == 0)
        return bad(s, ERR_NOT_WELL_FORMED);
    s->depth--;
    s->state = s->depth == 0 ? CLOSED : IN_TEXT;
    return s->depth == 0 ? SCAN_CLOSE : s->depth == 1 ? SCAN_ITEM : SCAN_MORE;
}

/* `<!--`, `<![CDATA[`; anything else is a DTD, which XMPP forbids (RFC 6120 §11.1). */
static enum scan_what scan_bang(struct scan *s, const char *p, size_t *i)
{
    static const char cdata[] = "[CDATA[";
    char c = p[(*i)++];

    if (s->match == 0 && c == '-') {
        s->match = sizeof cdata; /* one `-` seen */
    } else if (s->match == sizeof cdata && c == '-') {
        if (s->depth == 0)
            return bad(s, ERR_RESTRICTED_XML);
        flaw(s, ERR_RESTRICTED_XML);
        s->state = IN_COMMENT;
        s->match = 0;
    } else if (s->match < sizeof cdata - 1 && c == cdata[s->match]) {
        if (++s->match == sizeof cdata - 1) {
            if (s->depth < 2)
                return bad(s, ERR_UNREADABLE);
            s->state = IN_CDATA;
            s->match = 0;
        }
    } else {
        return bad(s, ERR_RESTRICTED_XML);
    }
    return SCAN_MORE;
}

/* Runs to `need` times `c` and then `>`: `]]>`, `-->`, `?>`. True behind it. */
static bool scan_until(struct scan *s, const char *p, size_t n, size_t *i, char c, unsigned need)
{
    while (*i < n) {
        if (s->match == 0) {
            const char *q = memchr(p + *i, c, n - *i);
            *i = q ? (size_t)(q - p) : n;
            if (!q)
                return false;
        }
        if (p[*i] == c) {
            if (s->match < need)
                s->match++;
        } else if (p[*i] == '>' && s->match == need) {
            (*i)++;
            s->match = 0;
            s->state = IN_TEXT;
            return true;
        } else {
            s->match = 0;
        }
        (*i)++;
    }
    return false;
}

static enum scan_what scan_step(struct scan *s, const char *p, size_t n, size_t *i)
{
    switch (s->state) {
    case IN_TEXT:
    case CLOSED:
        return scan_text(s, p, n, i);
    case IN_MARK:
        return scan_mark(s, p, i);
    case IN_OPEN:
        return scan_open(s, p, i);
    case IN_TAG:
        return scan_tag(s, p, n, i);
    case IN_QUOTE:
        scan_quote(s, p, n, i);
        return SCAN_MORE;
    case IN_END_TAG:
        return scan_end_tag(s, p, n, i);
    case IN_BANG:
        return scan_bang(s, p, i);
    case IN_CDATA:
        scan_until(s, p, n, i, ']', 2);
        return SCAN_MORE;
    case IN_COMMENT:
        return scan_until(s, p, n, i, '-', 2) && s->depth == 1 ? SCAN_ITEM : SCAN_MORE;
    case IN_PI:
        return scan_until(s, p, n, i, '?', 1) && s->depth == 1 ? SCAN_ITEM : SCAN_MORE;
    default:
        return SCAN_BAD;
    }
}

enum scan_what scan_next(struct scan *s, const char *p, size_t n, size_t *used)
{
    enum scan_what what = SCAN_MORE;
    size_t i = 0;

    if (s->item == 0)
        s->flaw = ERR_NONE;
    while (what == SCAN_MORE && i < n) {
        what = scan_step(s, p, n, &i);
        if (what != SCAN_SPACE && s->item + i > s->limits.item_bytes)
            flaw(s, ERR_ITEM_CAP);
    }
    *used = i;
    s->offset += i;
    s->item = what == SCAN_MORE || what == SCAN_BAD ? s->item + i : 0;
    return what;
}

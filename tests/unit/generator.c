#include "generator.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_MAX   (64u << 20)
#define DEPTH_MAX   7
#define PREFIXES    4
#define COUNT(a)    (sizeof(a) / sizeof *(a))
#define PICK(s, of) ((of)[random_below(s, COUNT(of))])

struct writer {
    struct buf *out;
    uint64_t seed;
    unsigned bound; /* bits: which of `prefixes` mean something here */
    const char *root_prefix;
};

static const char *const prefixes[PREFIXES] = {"a", "b-c", "\xC3\xA9", "_"};
static const char *const uris[] = {
    "urn:x",         "urn:y",        "http://etherx.jabber.org/streams",
    "jabber:x:data", "\xE5\x90\x8D", "a b&amp;c"};
static const char *const names[] = {"message",      "presence",
                                    "iq",           "query",
                                    "body",         "x",
                                    "item",         "error",
                                    "\xE4\xB8\xAD", "a.b",
                                    "jid",          "features",
                                    "stream",       "very-long-name-of-an-element"};
static const char *const attr_names[] = {"to", "from", "id", "type", "n1", "n2", "\xC3\xBC", "_x"};

/* What text and values are made of; neither `<` nor a quote nor `]]>`. */
/* clang-format off */
static const char *const snippets[] = {
    "word ", "a>b/>", " />", "-->", "?>", "]]", "&amp;", "&lt;", "&gt;", "&quot;", "&apos;",
    "&#60;", "&#x1F600;", "&#10;", "\xE4\xB8\xAD\xE6\x96\x87", "\xF0\x9F\x98\x80", "\xC3\xA4",
    "\xEF\xBB\xBF", "\n", "\r\n", "\t", "  ", "x", "=", "romeo@example.net/orchard"};
/* clang-format on */
static const char *const cdatas[] = {"<a>", "</body>", "]]", "]",    "<!--",   "&amp;",
                                     "x",   "\n",      "?>", "]] >", "]></x>", "\xE4\xB8\xAD",
                                     "'\""};
static const char *const blanks[] = {" ", "\n", "\r\n", "\t ", "  "};

unsigned random_below(uint64_t *seed, size_t n)
{
    uint64_t z = *seed += 0x9E3779B97F4A7C15u; /* splitmix64 */

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (unsigned)((z ^ (z >> 31)) % n);
}

static bool one_in(struct writer *w, unsigned n)
{
    return random_below(&w->seed, n) == 0;
}

static void put(struct writer *w, const char *s)
{
    if (buf_str(w->out, s))
        abort();
}

static void put_blank(struct writer *w, unsigned one_of)
{
    if (one_in(w, one_of))
        put(w, PICK(&w->seed, blanks));
}

static void put_text(struct writer *w, unsigned count)
{
    static const char end[] = "]]>";

    for (unsigned i = 0; i < count; i++) {
        const char *s = PICK(&w->seed, snippets);
        const char *tail = w->out->p + w->out->len - 2;

        if (memcmp(tail, end, 2) == 0 || (tail[1] == ']' && *s == ']'))
            put(w, "-"); /* `]]>` is not allowed in text */
        put(w, s);
    }
}

static void put_value(struct writer *w, const char *value)
{
    const char *quote = one_in(w, 2) ? "'" : "\"";

    put_blank(w, 20);
    put(w, "=");
    put_blank(w, 20);
    put(w, quote);
    if (value)
        put(w, value);
    else
        put_text(w, random_below(&w->seed, one_in(w, 30) ? 60 : 5));
    if (!value && one_in(w, 4))
        put(w, *quote == '\'' ? "\"" : "'");
    put(w, quote);
}

static void put_cdata(struct writer *w)
{
    put(w, "<![CDATA[");
    for (unsigned i = random_below(&w->seed, 5); i > 0; i--) {
        put(w, PICK(&w->seed, cdatas));
        if (w->out->p[w->out->len - 1] == ']')
            put(w, one_in(w, 2) ? "." : "]."); /* only the last `]]>` may be one */
    }
    put(w, one_in(w, 4) ? "]]]>" : "]]>");
}

/* Bindings first: they hold for the tag itself. Returns the prefix of the name, "" for none. */
static const char *choose_bindings(struct writer *w, bool binds[PREFIXES])
{
    for (unsigned i = 0; i < PREFIXES; i++) {
        binds[i] = one_in(w, 8);
        if (binds[i])
            w->bound |= 1u << i;
    }
    if (one_in(w, 3)) {
        unsigned i = random_below(&w->seed, PREFIXES);

        if (w->bound & 1u << i)
            return prefixes[i];
    }
    return one_in(w, 12) ? w->root_prefix : "";
}

/* Each attribute has a local name of its own, so none is there twice whatever its prefix means. */
static void put_attrs(struct writer *w, const bool binds[PREFIXES])
{
    for (unsigned i = 0; i < COUNT(attr_names); i++) {
        unsigned prefix = random_below(&w->seed, 16);

        if (!one_in(w, 5))
            continue;
        put(w, PICK(&w->seed, blanks));
        if (prefix < PREFIXES && w->bound & 1u << prefix) {
            put(w, prefixes[prefix]);
            put(w, ":");
        }
        put(w, attr_names[i]);
        put_value(w, NULL);
    }
    for (unsigned i = 0; i < PREFIXES; i++)
        if (binds[i]) {
            put(w, " xmlns:");
            put(w, prefixes[i]);
            put_value(w, PICK(&w->seed, uris));
        }
    if (one_in(w, 40)) { /* the stream's own prefix may mean something else here */
        put(w, " xmlns:");
        put(w, w->root_prefix);
        put_value(w, PICK(&w->seed, uris));
    }
    if (one_in(w, 6)) {
        put(w, " xmlns");
        put_value(w, one_in(w, 4) ? "" : PICK(&w->seed, uris));
    }
    if (one_in(w, 10)) {
        put(w, " xml:lang");
        put_value(w, "de-CH");
    }
}

static void put_name(struct writer *w, const char *prefix, const char *name)
{
    put(w, prefix);
    if (*prefix)
        put(w, ":");
    put(w, name);
}

static void put_element(struct writer *w, unsigned depth);

static void put_content(struct writer *w, unsigned depth)
{
    for (unsigned i = random_below(&w->seed, one_in(w, 40) ? 60 : 5); i > 0; i--)
        switch (random_below(&w->seed, 6)) {
        case 0:
        case 1:
        case 2:
            if (depth < DEPTH_MAX && w->out->len < BYTES_MAX / 2)
                put_element(w, depth + 1);
            break;
        case 3:
            put_cdata(w);
            break;
        case 4:
            put_blank(w, 1);
            break;
        default:
            put_text(w, random_below(&w->seed, one_in(w, 60) ? 3000 : 8));
        }
}

static void put_element(struct writer *w, unsigned depth)
{
    unsigned bound = w->bound;
    const char *name = PICK(&w->seed, names), *prefix;
    bool binds[PREFIXES];

    put(w, "<");
    prefix = choose_bindings(w, binds);
    put_name(w, prefix, name);
    put_attrs(w, binds);
    put_blank(w, 10);
    if (one_in(w, 4)) {
        put(w, "/>");
    } else {
        put(w, ">");
        put_content(w, depth);
        put(w, "</");
        put_name(w, prefix, name);
        put_blank(w, 10);
        put(w, ">");
    }
    w->bound = bound;
}

static void put_header(struct writer *w)
{
    static const char *const declarations[] = {
        "", "", "<?xml version='1.0'?>", "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n",
        "<?xml version='1.0' encoding='us-ascii' standalone='yes'?>\r\n"};
    static const char *const roots[] = {"stream", "stream", "s", "\xC3\xA4"};

    if (one_in(w, 10))
        put(w, "\xEF\xBB\xBF");
    put(w, PICK(&w->seed, declarations));
    w->root_prefix = PICK(&w->seed, roots);
    put(w, "<");
    put_name(w, w->root_prefix, "stream");
    put(w, " xmlns:");
    put(w, w->root_prefix);
    put_value(w, "http://etherx.jabber.org/streams");
    if (!one_in(w, 4)) {
        put(w, " xmlns");
        put_value(w, one_in(w, 4) ? "jabber:server" : "jabber:client");
    }
    for (unsigned i = 0; i < PREFIXES; i++)
        if (one_in(w, 3)) {
            put(w, "\n xmlns:");
            put(w, prefixes[i]);
            put_value(w, PICK(&w->seed, uris));
            w->bound |= 1u << i;
        }
    put(w, " to");
    put_value(w, NULL);
    put_blank(w, 5);
    put(w, ">");
}

static void begin_token(struct generated *g)
{
    g->from[g->tokens] = g->bytes.len;
}

static void end_token(struct generated *g)
{
    g->to[g->tokens++] = g->bytes.len;
}

void generate(struct generated *g, uint64_t seed)
{
    struct writer w = {.out = &g->bytes, .seed = seed};
    unsigned items;

    buf_init(&g->bytes, BYTES_MAX);
    g->tokens = 0;
    begin_token(g);
    put_header(&w);
    end_token(g);
    items = random_below(&w.seed, one_in(&w, 4) ? GENERATED_ITEMS : 6);
    for (unsigned i = 0; i < items; i++) {
        put_blank(&w, 5);
        begin_token(g);
        put_element(&w, 1);
        end_token(g);
    }
    put_blank(&w, 5);
    if (!one_in(&w, 3))
        return;
    begin_token(g);
    put(&w, "</");
    put_name(&w, w.root_prefix, "stream");
    put_blank(&w, 5);
    put(&w, ">");
    end_token(g);
    put_blank(&w, 2);
}

void generated_free(struct generated *g)
{
    buf_free(&g->bytes);
}

/* ---- injuries ---- */

static void insert(struct generated *g, size_t at, const char *s, size_t n)
{
    struct buf *b = &g->bytes;

    if (buf_reserve(b, n))
        abort();
    memmove(b->p + at + n, b->p + at, b->len - at);
    memcpy(b->p + at, s, n);
    b->len += n;
}

static void flip(struct generated *g, uint64_t *seed, size_t from, size_t to)
{
    static const char others[] = "<>/&'\"=!?[]-: x\x01\x80\xF3";
    char *p = g->bytes.p + from + random_below(seed, to - from);

    *p = random_below(seed, 2) ? others[random_below(seed, sizeof others)]
                               : (char)(*p ^ (1 << random_below(seed, 8)));
}

static void cut(struct generated *g, uint64_t *seed, size_t from, size_t to)
{
    size_t at = from + random_below(seed, to - from), n = 1 + random_below(seed, 8);
    struct buf *b = &g->bytes;

    if (random_below(seed, 2)) /* at a tag */
        while (at > from && b->p[at] != '<' && b->p[at] != '>')
            at--;
    n = n < to - at ? n : to - at;
    memmove(b->p + at, b->p + at + n, b->len - at - n);
    b->len -= n;
}

static void illegal(struct generated *g, uint64_t *seed, size_t from, size_t to)
{
    static const char *const bytes[] = {"\x01", "\xFF", "\xC0", "\0", "\xED\xA0\x80", "\x1F"};
    const char *s = PICK(seed, bytes);

    insert(g, from + 1 + random_below(seed, to - from - 1), s, *s ? strlen(s) : 1);
}

/* Where the name of the tag at `from` ends; it may be an end tag. */
static size_t name_end(const struct generated *g, size_t from)
{
    from += 2;
    while (!strchr(" \t\r\n/>", g->bytes.p[from]))
        from++;
    return from;
}

unsigned injure(struct generated *g, uint64_t *seed, enum injury how)
{
    unsigned i = random_below(seed, g->tokens);
    size_t from = g->from[i], to = g->to[i];

    if (how >= INJURY_END_TAG) { /* of an item */
        if (g->tokens < 2)
            return 0;
        i = i ? i : 1;
        from = g->from[i], to = g->to[i];
    }
    switch (how) {
    case INJURY_FLIP:
        flip(g, seed, from, to);
        break;
    case INJURY_CUT:
        cut(g, seed, from, to);
        break;
    case INJURY_ILLEGAL:
        illegal(g, seed, from, to);
        break;
    case INJURY_END_TAG:
        if (g->bytes.p[to - 2] != '/') /* else it has no end tag */
            insert(g, name_end(g, from), "q", 1);
        break;
    case INJURY_TWICE:
        if (g->bytes.p[from + 1] != '/')
            insert(g, name_end(g, from), " q='' q=\"\"", 10);
        break;
    case INJURY_UNBOUND:
        insert(g, from + 1 + (g->bytes.p[from + 1] == '/'), "q:", 2);
        break;
    case INJURIES:
        break;
    }
    return i;
}

#include "reader.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#include "quick.h"
#include "redact.h"
#include "scan.h"

#define PARSERS     4            /* warm parsers: 10 KiB each */
#define PARSER_FED  (1u << 20)   /* expat keeps every name it has met: begin anew after so much */
#define ROOT_BYTES  (16u << 10)  /* a header's root tag */

struct parser {
    XML_Parser xml;    /* owned; NULL until first needed */
    uint64_t stream;   /* the reader_stream whose root it has read; 0: none */
    uint64_t used;     /* for finding the least recently used */
    size_t fed;        /* bytes since its reset */
};

struct reader {
    struct parser parser[PARSERS];
    uint64_t uses;
    uint64_t streams;  /* ids given out */
    bool strict;       /* nothing but expat reads */
    struct quick_root root; /* of stream `root_of`, borrowed from it */
    uint64_t root_of;  /* 0: none */
    const char *root_at; /* its bytes */
    struct item_build build;

    /* One read's state. */
    XML_Parser xml;
    size_t base;          /* expat's index of the item's first byte */
    unsigned secret_depth; /* depth of the open secret element, 0: none */
    bool quiet;           /* a root tag is fed again: describe nothing */
    struct reader_stream *naming; /* whose header is read: its declarations go there; else NULL */
    size_t error_at;      /* in the item, after a failure */
    bool restricted;      /* a comment, processing instruction or DTD was met */
};

/* ---- names ---- */

/* Expat joins namespace and name by it, and refuses a namespace that holds it: it must be a
 * character that no XML has. */
#define NS_END '\1'

/* A name without namespace has no NS_END. */
static void split_name(const char *joined, const char **ns, size_t *ns_len, const char **name)
{
    const char *end = strchr(joined, NS_END);

    *ns = end ? joined : "";
    *ns_len = end ? (size_t)(end - joined) : 0;
    *name = end ? end + 1 : joined;
}

/* ---- secrets ---- */

static bool has_secret_attr(const char *ns, const char *name, const char **attrs)
{
    for (; attrs[0]; attrs += 2) {
        const char *end = strchr(attrs[0], NS_END);

        if (redact_attr(ns, name, end ? end + 1 : attrs[0]))
            return true;
    }
    return false;
}

/* Masks secret values of attributes in the tag of {ns}name at [from, to), which is well-formed. */
static void add_secret_attrs(struct reader *r, size_t from, size_t to, const char *ns,
                             const char *name)
{
    const char *p = r->build.item.p;
    size_t i = from + 1 + strcspn(p + from, " \t\r\n>"); /* behind the element's name */

    while (i < to) {
        size_t start = i + strspn(p + i, " \t\r\n"), value, end;
        size_t name_end = start + strcspn(p + start, "= \t\r\n>");
        const char *colon = memchr(p + start, ':', name_end - start), *close;
        char attr[32] = "";
        enum secret_kind kind;

        value = name_end + strcspn(p + name_end, "\"'>");
        if (value >= to || p[value] == '>')
            return;
        close = memchr(p + value + 1, p[value], to - value - 1);
        if (!close)
            return;
        end = (size_t)(close - p);
        start = colon ? (size_t)(colon - p) + 1 : start;
        if (name_end - start < sizeof attr)
            memcpy(attr, p + start, name_end - start);
        kind = redact_attr(ns, name, attr);
        if (kind)
            build_secret(&r->build, value + 1, end, kind);
        i = end + 1;
    }
}

/* ---- expat's handlers ---- */

static void add_node(struct reader *r, const char *joined, const char **attrs, size_t start,
                     size_t inner)
{
    struct item_build *b = &r->build;
    struct item *it = &b->item;
    struct node *node = build_start(b, start, inner);
    const char *ns, *name;
    size_t ns_len;

    if (!node)
        return;
    split_name(joined, &ns, &ns_len, &name);
    node->ns = build_keep(b, ns, ns_len);
    node->name = build_keep(b, name, strlen(name));
    build_named(b);
    for (; attrs[0]; attrs += 2) {
        if (it->attrs == READER_ATTRS) {
            it->partial = it->lacks = true;
            break;
        }
        it->attr[it->attrs++] = (struct item_attr){
            .node = it->nodes - 1,
            .name = build_keep(b, attrs[0], strlen(attrs[0])),
            .value = build_keep(b, attrs[1], strlen(attrs[1])),
        };
    }
}

static void XMLCALL on_start(void *arg, const XML_Char *joined, const XML_Char **attrs)
{
    struct reader *r = arg;
    const char *ns, *name;
    char ns_copy[256];
    size_t ns_len, start, inner;
    enum secret_kind kind;

    if (r->quiet)
        return;
    start = (size_t)XML_GetCurrentByteIndex(r->xml) - r->base;
    inner = start + (size_t)XML_GetCurrentByteCount(r->xml);
    add_node(r, joined, attrs, start, inner);
    split_name(joined, &ns, &ns_len, &name);
    if (r->secret_depth)
        return;
    ns_len = ns_len < sizeof ns_copy ? ns_len : 0; /* no table has one that is so long */
    memcpy(ns_copy, ns, ns_len);
    ns_copy[ns_len] = '\0';
    if (has_secret_attr(ns_copy, name, attrs))
        add_secret_attrs(r, start, inner, ns_copy, name);
    kind = redact_inner(ns_copy, name, attrs);
    if (kind) {
        r->secret_depth = r->build.depth;
        build_secret(&r->build, inner, inner + 1, kind); /* its end is known at the end tag */
    }
}

static void XMLCALL on_end(void *arg, const XML_Char *joined)
{
    struct reader *r = arg;
    size_t at, size;

    (void)joined;
    if (r->quiet)
        return;
    at = (size_t)XML_GetCurrentByteIndex(r->xml) - r->base;
    if (r->secret_depth == r->build.depth) {
        struct secret_range *last = &r->build.item.secret[r->build.item.secrets - 1];
        r->secret_depth = 0;
        last->to = at;
        if (last->from >= last->to) /* nothing inside */
            r->build.item.secrets--;
    }
    size = (size_t)XML_GetCurrentByteCount(r->xml);
    build_end(&r->build, at, at + size);
}

static void XMLCALL on_text(void *arg, const XML_Char *s, int len)
{
    struct reader *r = arg;

    if (!r->quiet)
        build_text(&r->build, s, (size_t)len);
}

static void XMLCALL on_namespace(void *arg, const XML_Char *prefix, const XML_Char *uri)
{
    struct reader *r = arg;
    struct reader_stream *st = r->naming;

    if (!st || st->many)
        return;
    prefix = prefix ? prefix : "";
    uri = uri ? uri : "";
    st->many = buf_add(&st->root, prefix, strlen(prefix) + 1) ||
               buf_add(&st->root, uri, strlen(uri) + 1);
    st->names = (unsigned)st->root.len;
}

static void restricted(struct reader *r)
{
    r->restricted = true;
    XML_StopParser(r->xml, XML_FALSE);
}

static void XMLCALL on_comment(void *arg, const XML_Char *text)
{
    (void)text;
    restricted(arg);
}

static void XMLCALL on_pi(void *arg, const XML_Char *target, const XML_Char *data)
{
    (void)target;
    (void)data;
    restricted(arg);
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *sysid,
                               const XML_Char *pubid, int internal)
{
    (void)name;
    (void)sysid;
    (void)pubid;
    (void)internal;
    restricted(arg);
}

/* ---- parsers ---- */

static void parser_prepare(struct reader *r, struct parser *p)
{
    XML_SetUserData(p->xml, r);
    XML_SetElementHandler(p->xml, on_start, on_end);
    XML_SetCharacterDataHandler(p->xml, on_text);
    XML_SetCommentHandler(p->xml, on_comment);
    XML_SetProcessingInstructionHandler(p->xml, on_pi);
    XML_SetStartDoctypeDeclHandler(p->xml, on_doctype);
    XML_SetStartNamespaceDeclHandler(p->xml, on_namespace);
#if XML_MAJOR_VERSION > 2 || (XML_MAJOR_VERSION == 2 && XML_MINOR_VERSION >= 6)
    XML_SetReparseDeferralEnabled(p->xml, XML_FALSE);
#endif
    p->stream = 0;
    p->fed = 0;
}

/* A parser at the beginning of a document: the least recently used one. */
static struct parser *parser_fresh(struct reader *r)
{
    struct parser *p = &r->parser[0];

    for (int i = 1; i < PARSERS; i++)
        if (r->parser[i].used < p->used)
            p = &r->parser[i];
    if (!p->xml)
        p->xml = XML_ParserCreateNS("UTF-8", NS_END);
    else
        XML_ParserReset(p->xml, "UTF-8");
    if (!p->xml)
        return NULL;
    parser_prepare(r, p);
    p->used = ++r->uses;
    return p;
}

static struct parser *parser_of(struct reader *r, uint64_t stream)
{
    for (int i = 0; i < PARSERS; i++) {
        struct parser *p = &r->parser[i];
        if (p->stream != stream)
            continue;
        if (p->fed > PARSER_FED) {
            p->stream = 0;
            break;
        }
        p->used = ++r->uses;
        return p;
    }
    return NULL;
}

static int parse_on(struct reader *r, struct parser *p, const char *bytes, size_t n,
                    struct error *e)
{
    enum XML_Status status = XML_Parse(p->xml, bytes, (int)n, XML_FALSE);

    p->fed += n;
    if (status == XML_STATUS_OK)
        return 0;
    p->stream = 0;
    r->error_at = (size_t)XML_GetCurrentByteIndex(p->xml) - r->base;
    if (r->restricted)
        return error_set(e, ERR_RESTRICTED_XML, "at byte %zu of the item", r->error_at);
    if (XML_GetErrorCode(p->xml) == XML_ERROR_NO_MEMORY)
        return error_set(e, ERR_NOMEM, "while an item was read");
    return error_set(e, ERR_NOT_WELL_FORMED, "%s at byte %zu of the item",
                     XML_ErrorString(XML_GetErrorCode(p->xml)), r->error_at);
}

static int parse(struct reader *r, struct parser *p, const char *bytes, size_t n, struct error *e)
{
    r->xml = p->xml;
    r->base = p->fed;
    r->restricted = false;
    return parse_on(r, p, bytes, n, e);
}

/* The scanner saw an end where expat sees none: it waits for the rest of a UTF-8 character, which
 * is none. Shown more, it tells where. */
static int unfinished(struct reader *r, struct parser *p, struct error *e)
{
    int err = parse_on(r, p, "   ", 3, e);

    p->stream = 0;
    return err ? err : error_set(e, ERR_NOT_WELL_FORMED, "tags do not end where expected");
}

static void begin(struct reader *r, const char *p, size_t n, bool deep)
{
    build_begin(&r->build, p, n, deep);
    r->secret_depth = 0;
    r->quiet = false;
}

/* ---- the interface ---- */

struct reader *reader_new(void)
{
    return calloc(1, sizeof(struct reader));
}

void reader_free(struct reader *r)
{
    if (!r)
        return;
    for (int i = 0; i < PARSERS; i++)
        if (r->parser[i].xml)
            XML_ParserFree(r->parser[i].xml);
    free(r);
}

void reader_strict(struct reader *r)
{
    r->strict = true;
}

void reader_stream_init(struct reader_stream *st)
{
    buf_init(&st->root, 3 * ROOT_BYTES);
    st->names = 0;
    st->many = false;
    st->id = 0;
}

void reader_stream_free(struct reader_stream *st)
{
    buf_free(&st->root);
    reader_stream_init(st);
}

/* The tag, before the declarations. It lives as long as the session, in no more memory than it
 * needs. */
static int keep_root(struct reader_stream *st, const char *tag, size_t n)
{
    struct buf *b = &st->root;
    int err = n > ROOT_BYTES ? ERR_CAP : buf_reserve(b, n);
    char *p;

    if (err)
        return err;
    memmove(b->p + n, b->p, st->names);
    memcpy(b->p, tag, n);
    b->len = n;
    p = realloc(b->p, n + st->names);
    if (p) {
        b->p = p;
        b->cap = n + st->names;
    }
    return 0;
}

static int read_header(struct reader *r, struct reader_stream *st, struct parser *parser,
                       const char *p, size_t n, struct error *e)
{
    struct node *root = &r->build.item.node[0];
    int err;

    r->naming = st;
    err = parse(r, parser, p, n, e);
    r->naming = NULL;
    if (err)
        return err;
    if (r->build.depth != 1 || r->build.item.nodes != 1)
        return unfinished(r, parser, e);
    root->end = root->inner_end = root->inner;
    err = keep_root(st, p + root->start, n - root->start);
    if (err)
        return error_set(e, (enum error_code)err, "the stream header is longer than %u bytes",
                         ROOT_BYTES);
    st->id = parser->stream = ++r->streams;
    return 0;
}

int reader_header(struct reader *r, struct reader_stream *st, const char *p, size_t n,
                  const struct item **item, struct error *e)
{
    struct parser *parser = parser_fresh(r);
    int err;

    reader_stream_free(st);
    begin(r, p, n, false);
    if (!parser)
        return error_set(e, ERR_NOMEM, "while a stream header was read");
    err = read_header(r, st, parser, p, n, e);
    if (err) {
        reader_stream_free(st);
        return err;
    }
    *item = &r->build.item;
    return 0;
}

static int assume_header(struct reader *r, struct reader_stream *st)
{
    static const char names[] = "\0jabber:client\0stream\0http://etherx.jabber.org/streams";
    static const char tag[] = "<stream:stream xmlns='jabber:client' "
                              "xmlns:stream='http://etherx.jabber.org/streams'>";
    int err = buf_add(&st->root, names, sizeof names);

    st->names = sizeof names;
    err = err ? err : keep_root(st, tag, sizeof tag - 1);
    if (err)
        reader_stream_free(st);
    else
        st->id = ++r->streams;
    return err;
}

/* A parser inside the stream's root: a warm one, or one that is shown the root again. */
static struct parser *parser_inside(struct reader *r, struct reader_stream *st, struct error *e)
{
    struct parser *p;

    if (st->id == 0 && assume_header(r, st)) {
        error_set(e, ERR_NOMEM, "while an item was read");
        return NULL;
    }
    p = parser_of(r, st->id);
    if (p)
        return p;
    p = parser_fresh(r);
    if (!p) {
        error_set(e, ERR_NOMEM, "while an item was read");
        return NULL;
    }
    r->quiet = true;
    if (parse(r, p, st->root.p, st->root.len, e))
        return NULL;
    p->stream = st->id;
    return p;
}

/* What prefixes mean in the stream is in r->root; false: nothing for the quick reader. */
static bool know_root(struct reader *r, const struct reader_stream *st)
{
    const char *at, *end;
    unsigned n = 0;

    if (r->strict || st->id == 0 || st->many)
        return false;
    if (r->root_of == st->id && r->root_at == st->root.p)
        return true;
    r->root_of = 0;
    at = st->root.p + st->root.len;
    end = at + st->names;
    for (; at < end; n++) {
        struct quick_name *name = &r->root.name[n];

        if (n == QUICK_ROOT_NAMES)
            return false;
        name->prefix = at;
        name->prefix_len = strlen(at);
        name->uri = at + name->prefix_len + 1;
        name->uri_len = strlen(name->uri);
        at = name->uri + name->uri_len + 1;
    }
    r->root.n = n;
    r->root_of = st->id;
    r->root_at = st->root.p;
    return true;
}

bool reader_next(struct reader *r, struct reader_stream *st, struct scan *s, const char *p,
                 size_t n, size_t *used, const struct item **item)
{
    struct quick_limits limits = {.tag_bytes = s->limits.tag_bytes, .depth = s->limits.depth - 1};

    if (!scan_before_item(s) || s->limits.depth < 2 || !know_root(r, st))
        return false;
    n = n < s->limits.item_bytes ? n : s->limits.item_bytes;
    build_begin(&r->build, p, n, false);
    *used = quick_read(&r->build, &r->root, &limits, p, n);
    if (*used == 0)
        return false;
    r->build.item.len = *used;
    scan_skip(s, *used);
    *item = &r->build.item;
    return true;
}

/* The item at r->build, which is begun. */
static int read_begun(struct reader *r, struct reader_stream *st, bool deep,
                      const struct item **item, struct error *e)
{
    static const struct quick_limits none = {.tag_bytes = SIZE_MAX, .depth = UINT_MAX};
    const char *p = r->build.item.p;
    size_t n = r->build.item.len;
    struct parser *parser;
    int err;

    if (know_root(r, st) && quick_read(&r->build, &r->root, &none, p, n) == n) {
        *item = &r->build.item;
        return 0;
    }
    parser = parser_inside(r, st, e);
    begin(r, p, n, deep);
    if (!parser)
        return (int)(e ? e->code : ERR_NOMEM);
    err = parse(r, parser, p, n, e);
    if (err)
        return err;
    if (r->build.depth != 0 || r->build.item.nodes == 0)
        return unfinished(r, parser, e);
    *item = &r->build.item;
    return 0;
}

int reader_item(struct reader *r, struct reader_stream *st, const char *p, size_t n,
                const struct item **item, struct error *e)
{
    begin(r, p, n, false);
    return read_begun(r, st, false, item, e);
}

int reader_item_deep(struct reader *r, struct reader_stream *st, const char *p, size_t n,
                     const struct item **item, struct error *e)
{
    begin(r, p, n, true);
    return read_begun(r, st, true, item, e);
}

int reader_begun(struct reader *r, struct reader_stream *st, const char *p, size_t n,
                 struct error *e)
{
    struct parser *parser = parser_inside(r, st, e);
    int err;

    begin(r, p, n, false);
    if (!parser)
        return (int)(e ? e->code : ERR_NOMEM);
    err = parse(r, parser, p, n, e);
    parser->stream = 0; /* it stands inside an element that will not end */
    return err;
}

int reader_close(struct reader *r, struct reader_stream *st, const char *p, size_t n,
                 struct error *e)
{
    struct parser *parser = parser_inside(r, st, e);
    int err;

    begin(r, p, n, false);
    r->build.depth = 1; /* the root is open, and not described */
    r->build.open[1] = -1;
    if (!parser)
        return (int)(e ? e->code : ERR_NOMEM);
    err = parse(r, parser, p, n, e);
    parser->stream = 0; /* the document is over */
    return err || r->build.depth == 0 ? err : unfinished(r, parser, e);
}

size_t reader_error_at(const struct reader *r)
{
    return r->error_at;
}

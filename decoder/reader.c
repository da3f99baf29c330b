#include "reader.h"

#include <stdlib.h>
#include <string.h>

#include <expat.h>

#include "redact.h"

#define PARSERS     4            /* warm parsers: 10 KiB each */
#define PARSER_FED  (1u << 20)   /* expat keeps every name it has met: begin anew after so much */
#define ROOT_BYTES  (16u << 10)  /* a header's root tag */
#define ARENA_BYTES (24u << 10)  /* names, values and text of one item */
#define TEXT_BYTES  4096         /* of one element */

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
    struct item item;
    char arena[ARENA_BYTES];
    size_t arena_len;

    /* One read's state. */
    XML_Parser xml;
    size_t base;          /* expat's index of the item's first byte */
    unsigned depth;       /* elements open inside the item */
    unsigned deepest, most; /* elements described: to this depth, so many */
    int open[READER_DEEP + 1]; /* node index of the open element at each described depth, or -1 */
    unsigned secret_depth; /* depth of the open secret element, 0: none */
    bool quiet;           /* a root tag is fed again: describe nothing */
    size_t error_at;      /* in the item, after a failure */
    bool restricted;      /* a comment, processing instruction or DTD was met */
};

/* ---- strings of the item ---- */

static const char *keep(struct reader *r, const char *s, size_t n)
{
    char *p = r->arena + r->arena_len;

    if (n + 1 > ARENA_BYTES - r->arena_len) {
        r->item.partial = r->item.lacks = true;
        return "";
    }
    memcpy(p, s, n);
    p[n] = '\0';
    r->arena_len += n + 1;
    return p;
}

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

static void add_secret(struct reader *r, size_t from, size_t to, enum secret_kind kind)
{
    struct item *it = &r->item;

    if (from >= to)
        return;
    if (it->secrets == READER_SECRETS) { /* rather mask what lies between than miss one */
        it->secret[READER_SECRETS - 1].to = to;
        it->secret[READER_SECRETS - 1].kind = SECRET_ONCE;
        return;
    }
    it->secret[it->secrets++] = (struct secret_range){from, to, kind};
}

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
    const char *p = r->item.p;
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
            add_secret(r, value + 1, end, kind);
        i = end + 1;
    }
}

/* ---- expat's handlers ---- */

static void add_node(struct reader *r, const char *joined, const char **attrs, size_t start,
                     size_t inner)
{
    struct item *it = &r->item;
    struct node *node;
    const char *ns, *name;
    size_t ns_len;

    for (unsigned d = r->depth; d <= r->deepest; d++)
        r->open[d] = -1;
    if (r->depth > r->deepest || it->nodes == r->most) {
        it->partial = true;
        it->lacks |= r->depth <= r->deepest;
        return;
    }
    split_name(joined, &ns, &ns_len, &name);
    node = &it->node[it->nodes];
    *node = (struct node){.depth = r->depth, .start = start, .inner = inner, .text = ""};
    node->ns = keep(r, ns, ns_len);
    node->name = keep(r, name, strlen(name));
    for (; attrs[0]; attrs += 2) {
        if (it->attrs == READER_ATTRS) {
            it->partial = it->lacks = true;
            break;
        }
        it->attr[it->attrs++] = (struct item_attr){
            .node = it->nodes,
            .name = keep(r, attrs[0], strlen(attrs[0])),
            .value = keep(r, attrs[1], strlen(attrs[1])),
        };
    }
    r->open[r->depth] = (int)it->nodes++;
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
    r->depth++;
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
        r->secret_depth = r->depth;
        add_secret(r, inner, inner + 1, kind); /* its end is known at the end tag */
    }
}

static void XMLCALL on_end(void *arg, const XML_Char *joined)
{
    struct reader *r = arg;
    size_t at;

    (void)joined;
    if (r->quiet)
        return;
    at = (size_t)XML_GetCurrentByteIndex(r->xml) - r->base;
    if (r->secret_depth == r->depth) {
        struct secret_range *last = &r->item.secret[r->item.secrets - 1];
        r->secret_depth = 0;
        last->to = at;
        if (last->from >= last->to) /* nothing inside */
            r->item.secrets--;
    }
    if (r->depth <= r->deepest && r->open[r->depth] >= 0) {
        struct node *node = &r->item.node[r->open[r->depth]];
        node->inner_end = at;
        node->end = at + (size_t)XML_GetCurrentByteCount(r->xml);
        r->open[r->depth] = -1;
    }
    r->depth--;
}

static void XMLCALL on_text(void *arg, const XML_Char *s, int len)
{
    struct reader *r = arg;
    struct node *node;
    size_t n = (size_t)len;
    bool adjoins;

    if (r->quiet || r->depth > r->deepest || r->depth == 0 || r->open[r->depth] < 0)
        return;
    node = &r->item.node[r->open[r->depth]];
    if (node->text_cut)
        return;
    /* Only text in one run is kept: its NUL must be the arena's last byte. */
    adjoins = node->text_len && node->text + node->text_len + 1 == r->arena + r->arena_len;
    if (n > TEXT_BYTES - node->text_len || n + 1 > ARENA_BYTES - r->arena_len ||
        (node->text_len && !adjoins)) {
        node->text_cut = r->item.partial = true;
        return;
    }
    if (adjoins)
        r->arena_len--;
    else
        node->text = r->arena + r->arena_len;
    keep(r, s, n);
    node->text_len += n;
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

static void begin(struct reader *r, const char *p, size_t n)
{
    struct item *it = &r->item;

    it->p = p;
    it->len = n;
    it->nodes = it->attrs = it->secrets = 0;
    it->partial = it->lacks = false;
    r->arena_len = 0;
    r->depth = 0;
    r->deepest = 4;
    r->most = READER_NODES;
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

void reader_stream_init(struct reader_stream *st)
{
    buf_init(&st->root, ROOT_BYTES);
    st->id = 0;
}

void reader_stream_free(struct reader_stream *st)
{
    buf_free(&st->root);
    reader_stream_init(st);
}

int reader_header(struct reader *r, struct reader_stream *st, const char *p, size_t n,
                  const struct item **item, struct error *e)
{
    struct parser *parser = parser_fresh(r);
    int err;

    reader_stream_free(st);
    begin(r, p, n);
    if (!parser)
        return error_set(e, ERR_NOMEM, "while a stream header was read");
    err = parse(r, parser, p, n, e);
    if (err)
        return err;
    if (r->depth != 1 || r->item.nodes != 1)
        return unfinished(r, parser, e);
    r->item.node[0].end = r->item.node[0].inner_end = r->item.node[0].inner;
    err = buf_add(&st->root, p + r->item.node[0].start, n - r->item.node[0].start);
    if (err)
        return error_set(e, (enum error_code)err, "the stream header is longer than %u bytes",
                         ROOT_BYTES);
    st->id = parser->stream = ++r->streams;
    *item = &r->item;
    return 0;
}

/* A parser inside the stream's root: a warm one, or one that is shown the root again. */
static struct parser *parser_inside(struct reader *r, struct reader_stream *st, struct error *e)
{
    static const char assumed[] = "<stream:stream xmlns='jabber:client' "
                                  "xmlns:stream='http://etherx.jabber.org/streams'>";
    struct parser *p;

    if (st->id == 0) {
        if (buf_str(&st->root, assumed)) {
            error_set(e, ERR_NOMEM, "while an item was read");
            return NULL;
        }
        st->id = ++r->streams;
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

/* What begin() was told of it: the item, read and described. */
static int read_begun(struct reader *r, struct parser *parser, const struct item **item,
                      struct error *e)
{
    int err;

    if (!parser)
        return (int)(e ? e->code : ERR_NOMEM);
    err = parse(r, parser, r->item.p, r->item.len, e);
    if (err)
        return err;
    if (r->depth != 0 || r->item.nodes == 0)
        return unfinished(r, parser, e);
    *item = &r->item;
    return 0;
}

int reader_item(struct reader *r, struct reader_stream *st, const char *p, size_t n,
                const struct item **item, struct error *e)
{
    struct parser *parser = parser_inside(r, st, e);

    begin(r, p, n);
    return read_begun(r, parser, item, e);
}

int reader_item_deep(struct reader *r, struct reader_stream *st, const char *p, size_t n,
                     const struct item **item, struct error *e)
{
    struct parser *parser = parser_inside(r, st, e);

    begin(r, p, n);
    r->deepest = READER_DEEP;
    r->most = READER_DEEP_NODES;
    return read_begun(r, parser, item, e);
}

int reader_begun(struct reader *r, struct reader_stream *st, const char *p, size_t n,
                 struct error *e)
{
    struct parser *parser = parser_inside(r, st, e);
    int err;

    begin(r, p, n);
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

    begin(r, p, n);
    r->depth = 1; /* the root is open, and not described */
    r->open[1] = -1;
    if (!parser)
        return (int)(e ? e->code : ERR_NOMEM);
    err = parse(r, parser, p, n, e);
    parser->stream = 0; /* the document is over */
    return err || r->depth == 0 ? err : unfinished(r, parser, e);
}

size_t reader_error_at(const struct reader *r)
{
    return r->error_at;
}

const char *item_attr(const struct item *it, unsigned node, const char *name)
{
    for (unsigned i = 0; i < it->attrs; i++)
        if (it->attr[i].node == node && strcmp(it->attr[i].name, name) == 0)
            return it->attr[i].value;
    return NULL;
}

bool item_is(const struct item *it, unsigned node, const char *ns, const char *name)
{
    return node < it->nodes && (!ns || strcmp(it->node[node].ns, ns) == 0) &&
           (!name || strcmp(it->node[node].name, name) == 0);
}

bool item_is_stanza(const struct item *it)
{
    return item_is(it, 0, "jabber:client", "message") ||
           item_is(it, 0, "jabber:client", "presence") || item_is(it, 0, "jabber:client", "iq");
}

int item_find(const struct item *it, unsigned depth, const char *ns, const char *name)
{
    for (unsigned i = 0; i < it->nodes; i++)
        if (it->node[i].depth == depth && item_is(it, i, ns, name))
            return (int)i;
    return -1;
}

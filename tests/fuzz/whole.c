#include "whole.h"

#include <stdlib.h>
#include <string.h>

#include <expat.h>

#define BYTES_MAX (64u << 20)

static const char spaces[] = " \t\r\n";

static bool is_space(char c)
{
    return c && strchr(spaces, c);
}

static void must(int err)
{
    if (err)
        abort();
}

/* ---- what was found ---- */

static struct whole_token *tokens(struct whole *w)
{
    return (struct whole_token *)(void *)w->tokens.p;
}

static struct whole_node *nodes(struct whole *w)
{
    return (struct whole_node *)(void *)w->nodes.p;
}

size_t whole_tokens(const struct whole *w)
{
    return w->tokens.len / sizeof(struct whole_token);
}

const struct whole_token *whole_token(const struct whole *w, size_t i)
{
    return (const struct whole_token *)(const void *)w->tokens.p + i;
}

const struct whole_node *whole_node(const struct whole *w, size_t i)
{
    return (const struct whole_node *)(const void *)w->nodes.p + i;
}

const struct whole_attr *whole_attr(const struct whole *w, size_t i)
{
    return (const struct whole_attr *)(const void *)w->attrs.p + i;
}

const char *whole_string(const struct whole *w, size_t at)
{
    return w->strings.p + at;
}

static struct whole_token *last_token(struct whole *w)
{
    return &tokens(w)[whole_tokens(w) - 1];
}

static size_t string(struct whole *w, const char *s, size_t n)
{
    size_t at = w->strings.len;

    if (n)
        must(buf_add(&w->strings, s, n));
    must(buf_add(&w->strings, "", 1));
    last_token(w)->string_bytes += n + 1;
    return at;
}

static size_t event_start(const struct whole *w)
{
    return w->skipped + (size_t)XML_GetCurrentByteIndex(w->xml);
}

static size_t event_end(const struct whole *w)
{
    return event_start(w) + (size_t)XML_GetCurrentByteCount(w->xml);
}

static struct whole_token *begin_token(struct whole *w, enum whole_kind kind)
{
    struct whole_token t = {
        .kind = kind,
        .start = event_start(w),
        .end = event_end(w),
        .node = w->nodes.len / sizeof(struct whole_node),
        .attr = w->attrs.len / sizeof(struct whole_attr),
    };

    must(buf_add(&w->tokens, &t, sizeof t));
    return last_token(w);
}

static void forbid(struct whole *w, size_t at)
{
    if (w->why != WHOLE_GOES_ON)
        return;
    w->why = WHOLE_FORBIDDEN;
    w->stop = at;
    XML_StopParser(w->xml, XML_FALSE);
}

/* ---- elements ---- */

static void add_attrs(struct whole *w, struct whole_node *node, const XML_Char **attrs)
{
    for (; attrs[0]; attrs += 2) {
        struct whole_attr a;

        a.name = string(w, attrs[0], strlen(attrs[0]));
        a.value = string(w, attrs[1], strlen(attrs[1]));
        must(buf_add(&w->attrs, &a, sizeof a));
        node->attrs++;
        last_token(w)->attrs++;
    }
}

/* `level`: 1 for the root in its header and for an item. */
static void add_node(struct whole *w, unsigned level, const XML_Char *name, const XML_Char **attrs)
{
    struct whole_node node = {.depth = level, .start = event_start(w), .inner = event_end(w)};

    for (unsigned d = 0; d <= level; d++)
        w->broken[d] = true;
    node.inner_end = node.end = node.inner;
    node.name = string(w, name, strlen(name));
    add_attrs(w, &node, attrs);
    w->open[level] = w->nodes.len / sizeof node;
    w->text[level].len = 0;
    must(buf_add(&w->nodes, &node, sizeof node));
    last_token(w)->nodes++;
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attrs)
{
    struct whole *w = arg;
    unsigned level = w->depth++;

    if (w->why != WHOLE_GOES_ON)
        return;
    if (level == 0 && w->p[event_end(w) - 2] == '/') {
        forbid(w, event_start(w));
        return;
    }
    if (level <= 1)
        begin_token(w, level == 0 ? WHOLE_HEADER : WHOLE_ITEM);
    if (level <= WHOLE_DEPTH)
        add_node(w, level ? level : 1, name, attrs);
    else
        last_token(w)->deep = true;
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
    struct whole *w = arg;
    unsigned level = --w->depth;
    struct whole_node *node;

    (void)name;
    if (w->why != WHOLE_GOES_ON || level > WHOLE_DEPTH)
        return;
    if (level == 0) {
        begin_token(w, WHOLE_CLOSE);
        return;
    }
    node = &nodes(w)[w->open[level]];
    node->inner_end = event_start(w);
    node->end = event_end(w);
    node->text_len = w->text[level].len;
    node->text = string(w, w->text[level].p, node->text_len);
    if (level == 1)
        last_token(w)->end = node->end;
}

/* ---- the rest ---- */

static void XMLCALL on_text(void *arg, const XML_Char *s, int len)
{
    struct whole *w = arg;
    unsigned level = w->depth - 1;

    if (w->why != WHOLE_GOES_ON || level > WHOLE_DEPTH)
        return;
    if (level == 0) {
        size_t at = event_start(w);

        while (at < w->n && at < event_end(w) && is_space(w->p[at]))
            at++;
        if (at < w->n && at < event_end(w))
            forbid(w, at);
        return;
    }
    if (w->broken[level])
        nodes(w)[w->open[level]].runs++;
    w->broken[level] = false;
    must(buf_add(&w->text[level], s, (size_t)len));
}

static void XMLCALL on_cdata(void *arg)
{
    struct whole *w = arg;

    if (w->depth == 1)
        forbid(w, event_start(w));
}

/* A comment or an instruction. */
static void restricted(struct whole *w)
{
    if (w->why != WHOLE_GOES_ON)
        return;
    if (w->depth == 0)
        forbid(w, event_start(w));
    else if (w->depth == 1)
        begin_token(w, WHOLE_ITEM)->restricted = true;
    else
        last_token(w)->restricted = true;
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
    forbid(arg, event_start(arg));
}

static XML_Parser parser_for(struct whole *w)
{
    XML_Parser xml = XML_ParserCreateNS("UTF-8", '\1');

    if (!xml)
        abort();
    XML_SetUserData(xml, w);
    XML_SetElementHandler(xml, on_start, on_end);
    XML_SetCharacterDataHandler(xml, on_text);
    XML_SetStartCdataSectionHandler(xml, on_cdata);
    XML_SetCommentHandler(xml, on_comment);
    XML_SetProcessingInstructionHandler(xml, on_pi);
    XML_SetStartDoctypeDeclHandler(xml, on_doctype);
    return xml;
}

static void read_on(struct whole *w, const char *p, size_t n)
{
    if (w->why != WHOLE_GOES_ON || XML_Parse(w->xml, p, (int)n, XML_FALSE) == XML_STATUS_OK ||
        w->why != WHOLE_GOES_ON || event_start(w) >= w->n)
        return;
    w->why = WHOLE_ERROR;
    w->stop = event_start(w);
    w->error = XML_ErrorString(XML_GetErrorCode(w->xml));
}

void whole_read(struct whole *w, const char *p, size_t n)
{
    size_t skip = 0;

    *w = (struct whole){.p = p, .n = n, .error = ""};
    buf_init(&w->tokens, BYTES_MAX);
    buf_init(&w->nodes, BYTES_MAX);
    buf_init(&w->attrs, BYTES_MAX);
    buf_init(&w->strings, BYTES_MAX);
    for (unsigned d = 0; d <= WHOLE_DEPTH; d++)
        buf_init(&w->text[d], BYTES_MAX);
    while (skip < n && is_space(p[skip]))
        skip++;
    w->skipped = skip;
    w->xml = parser_for(w);
    if (skip < n) {
        read_on(w, p + skip, n - skip);
        read_on(w, "   ", 3); /* so that it does not wait for the rest of a UTF-8 character */
    }
    XML_ParserFree(w->xml);
    w->xml = NULL;
    /* An element that did not end is no token. */
    if (w->depth > 1 && whole_tokens(w))
        w->tokens.len -= sizeof(struct whole_token);
}

void whole_free(struct whole *w)
{
    buf_free(&w->tokens);
    buf_free(&w->nodes);
    buf_free(&w->attrs);
    buf_free(&w->strings);
    for (unsigned d = 0; d <= WHOLE_DEPTH; d++)
        buf_free(&w->text[d]);
}

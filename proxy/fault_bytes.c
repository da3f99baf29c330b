/* fault_bytes.c: the bytes of fault.h. */
#include <string.h>

#include "../decoder/labels.h"
#include "door.h"
#include "fault.h"
#include "fault_kind.h"

#define REPLY_MAX (64u << 10)
#define WHY       "a fault that was asked for"
#define BROKEN    "</malformed>"

/* Where the end tag of a whole item begins, NULL if it has none. */
static const char *end_tag(const char *p, size_t n)
{
    for (const char *at = p + n - 1; n >= 2 && at-- > p;)
        if (*at == '<')
            return at[1] == '/' ? at : NULL;
    return NULL;
}

int fault_break(struct buf *b, const char *p, size_t n)
{
    const char *tag = end_tag(p, n);
    int err;

    if (n < 2)
        return buf_add(b, p, n);
    if (tag)
        err = buf_add(b, p, (size_t)(tag - p));
    else if (p[n - 2] == '/')
        err = buf_add(b, p, n - 2);
    else
        err = buf_add(b, p, n - 1);
    if (err)
        return err;
    return buf_str(b, tag ? BROKEN : p[n - 2] == '/' ? ">" BROKEN : " malformed>");
}

/* ---- in place of an item ---- */

static int put_attribute(struct buf *b, const char *name, const char *value)
{
    int err;

    if (!value)
        return 0;
    err = buf_printf(b, " %s='", name);
    if (!err)
        err = buf_xml(b, value);
    return err ? err : buf_str(b, "'");
}

static bool is_request(const struct item *it)
{
    const char *type = item_attr(it, 0, "type");

    return it->stanza == ITEM_IQ && type && (!strcmp(type, "get") || !strcmp(type, "set"));
}

/* RFC 6120 §8.3: an error has the id, and comes from where the item went to; where the item itself was
 * the answer, or would come from somebody, from there. */
static int stanza_error(struct fault_reply *r, const struct fault *f, enum dir dir,
                        const struct item *it)
{
    const struct fault_condition *c = fault_condition(FAULT_KIND_STANZA, f->condition);
    bool iq = it->stanza == ITEM_IQ;
    const char *from, *to, *name = it->node[0].name;
    struct buf *b = &r->bytes;
    int err;

    r->back = iq ? is_request(it) : dir == DIR_C2S;
    from = item_attr(it, 0, r->back ? "to" : "from");
    to = item_attr(it, 0, r->back ? "from" : "to");
    err = buf_printf(b, "<%s xmlns='jabber:client' type='error'", name);
    if (!err)
        err = put_attribute(b, "id", item_attr(it, 0, "id"));
    if (!err)
        err = put_attribute(b, "from", from);
    if (!err)
        err = put_attribute(b, "to", to);
    if (err)
        return err;
    return buf_printf(b, "><error type='%s'><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
                         "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpptap: " WHY "</text>"
                         "</error></%s>", c->type, c->name, name);
}

static int stream_error(struct fault_reply *r, const char *condition, const char *domain)
{
    r->ends = true;
    if (domain)
        return door_unreachable(&r->bytes, domain, condition, WHY);
    return buf_printf(&r->bytes, "<stream:error><%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                                 "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>"
                                 "xmpptap: " WHY "</text></stream:error></stream:stream>",
                      condition);
}

int fault_reply(struct fault_reply *r, const struct fault *f, enum dir dir, const struct item *it,
                const char *domain)
{
    enum fault_kind kind = fault_kind_of(f->label);
    struct buf *b = &r->bytes;

    *r = (struct fault_reply){.back = dir == DIR_C2S, /* only the client is told */
                              .fails_login = kind == FAULT_KIND_SASL || kind == FAULT_KIND_SASL2};
    buf_init(b, REPLY_MAX);
    switch (kind) {
    case FAULT_KIND_STANZA:
        return it && item_is_stanza(it) ? stanza_error(r, f, dir, it)
                                        : stream_error(r, "undefined-condition", domain);
    case FAULT_KIND_STREAM:
        return stream_error(r, f->condition, domain);
    case FAULT_KIND_SASL:
        return buf_printf(b, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><%s/></failure>",
                          f->condition);
    case FAULT_KIND_SASL2:
        return buf_printf(b, "<failure xmlns='urn:xmpp:sasl:2'>"
                             "<%s xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></failure>",
                          f->condition);
    case FAULT_KIND_TLS:
        r->ends = true;
        return buf_str(b, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
    case FAULT_KIND_SM:
        return buf_printf(b, "<failed xmlns='urn:xmpp:sm:3'>"
                             "<%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
                          f->condition);
    case FAULT_KIND_COMPRESSION:
        return buf_printf(b, "<failure xmlns='http://jabber.org/protocol/compress'><%s/></failure>",
                          f->condition);
    }
    return 0;
}

void fault_reply_free(struct fault_reply *r)
{
    buf_free(&r->bytes);
}

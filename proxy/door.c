#include "door.h"

#include <string.h>

#define HTTP "this is HTTP (WebSocket, BOSH or a browser), which is not read yet. Point an XMPP "      \
             "client's TCP connection here"

static const struct {
    const char *bytes, *sentence;
} doors[] = {
    {"GET ", HTTP},
    {"POST ", HTTP},
    {"HEAD ", HTTP},
    {"OPTIONS ", HTTP},
    {"CONNECT ", HTTP},
};

const char door_server_stream[] =
    "this is a server-to-server stream, which is not read yet: it is treated and labelled as if a "
    "client sent it. Point clients here, not servers";

const char *door_unread(const char *p, size_t n)
{
    for (size_t i = 0; i < sizeof doors / sizeof *doors; i++) {
        size_t len = strlen(doors[i].bytes);

        if (n >= len && memcmp(p, doors[i].bytes, len) == 0)
            return doors[i].sentence;
    }
    if (memmem(p, n, "'jabber:server'", 15) || memmem(p, n, "\"jabber:server\"", 15))
        return door_server_stream;
    return NULL;
}

int door_header(struct buf *b, const char *domain)
{
    int err = buf_str(b, "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
                         "xmlns:stream='http://etherx.jabber.org/streams' id='xmpptap'");

    if (!err && *domain)
        err = buf_str(b, " from='");
    if (!err && *domain)
        err = buf_xml(b, domain);
    if (!err && *domain)
        err = buf_str(b, "'");
    return err ? err : buf_str(b, " version='1.0'>");
}

int door_unreachable(struct buf *b, const char *domain, const char *condition, const char *why)
{
    int err = door_header(b, domain);

    if (!err)
        err = buf_printf(b, "<stream:error><%s "
                         "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                         "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>"
                         "xmpptap: ", condition);
    if (!err)
        err = buf_xml(b, why);
    return err ? err : buf_str(b, "</text></stream:error></stream:stream>");
}

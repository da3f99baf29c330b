/* says.c: what a connection to the embedded server says, and how it ends. */
#include "inside.h"

#include <stdio.h>

#include "client.h"
#include "ns.h"
#include "presence.h"

/* ---- output: straight out, or held back behind the privacy lists ---- */

static int flush_held(struct server *s)
{
    int err = buf_add(&s->out, s->held.p, s->held.len);

    buf_free(&s->held);
    return err;
}

/* Sends `n` bytes of our own making. */
int server_send_out(struct server *s, const char *p, size_t n)
{
    struct buf *to = s->hold_until_us >= 0 ? &s->held : &s->out;
    int err = buf_add(to, p, n);

    if (err == ERR_CAP && to == &s->held) { /* too much to hold: the order stays, the wait ends */
        s->hold_until_us = -1;
        err = flush_held(s);
        if (!err)
            err = buf_add(&s->out, p, n);
    }
    return err;
}

/* Sends what is in s->text. */
int server_emit(struct server *s)
{
    int err = server_send_out(s, s->text.p, s->text.len);

    s->text.len = 0;
    return err;
}

/* The same of a stanza: it is counted. */
int server_emit_stanza(struct server *s)
{
    bool asks;

    if (s->text.len)
        csi_flush(s->client);
    asks = s->text.len && managed_sent(s->client, s->text.p, s->text.len);

    if (asks && buf_str(&s->text, SM_REQUEST))
        return ERR_NOMEM;
    return server_emit(s);
}

int server_emit_text(struct server *s, const char *xml)
{
    int err = buf_str(&s->text, xml);

    return err ? err : server_emit(s);
}

/* The hold ends: what was held, then the contacts' presence if it is still to come. */
int server_release(struct server *s)
{
    int err;

    if (s->hold_until_us < 0)
        return 0;
    s->hold_until_us = -1;
    err = flush_held(s);
    if (!err && s->client->contacts_due_us >= 0)
        presence_contacts(s->client);
    return err;
}

int server_emit_header(struct server *s)
{
    char random[RANDOM_SIZE];
    const char *id = s->options.stream_id;
    int err = 0;

    if (!id) {
        err = client_random(random);
        id = random;
    }
    if (!err)
        err = s->scripted ? scripted_header(s->scripted, id, &s->text)
                          : stream_header_put(&s->text, s->client->domain, id);
    s->opened = true;
    return err ? err : server_emit(s);
}

/* Ends the stream: behind what is held, with `last` before the end tag. */
int server_finish(struct server *s, const char *last)
{
    int err = server_release(s);

    if (!err && s->scripted) {
        scripted_close(s->scripted);
        err = scripted_play(s->scripted, s->now_us, OUTPUT_BYTES, &s->text);
        err = err ? err : server_emit(s);
    }
    if (!err && !s->opened)
        err = server_emit_header(s);
    if (!err)
        err = server_emit_text(s, last);
    if (!err)
        err = server_emit_text(s, "</stream:stream>");
    s->done = true;
    s->ended = true;
    return err;
}

/* What is due of the captured server, as far as there is room. */
int server_play(struct server *s)
{
    int err = 0;

    if (s->done || s->out.len >= SCRIPT_ROOM)
        return 0;
    err = scripted_play(s->scripted, s->now_us, SCRIPT_ROOM - s->out.len, &s->text);
    if (!err)
        err = server_emit(s);
    return !err && scripted_over(s->scripted) ? server_finish(s, "") : err;
}

/* RFC 6120 §4.9. `text` is our own, and may be empty. */
int server_stream_error_with(struct server *s, const char *condition, const char *text)
{
    char xml[2048];

    snprintf(xml, sizeof xml, "<stream:error><%s xmlns=\"" NS_STREAMS "\"/>%s</stream:error>",
             condition, text);
    return server_finish(s, xml);
}

int server_stream_error(struct server *s, const char *condition)
{
    return server_stream_error_with(s, condition, "");
}

/* XEP-0138 §3 */
#define PROCESSING_FAILED                                                                          \
    "<stream:error><undefined-condition xmlns=\"" NS_STREAMS "\"/><failure xmlns=\"" NS_COMPRESS   \
    "\"><processing-failed/></failure></stream:error>"

/* What the client is told of an item that cannot be read. */
int server_unreadable(struct server *s, enum error_code code)
{
    static const struct {
        enum error_code code;
        const char *condition;
    } told[] = {
        {ERR_RESTRICTED_XML, "restricted-xml"}, {ERR_ITEM_CAP, "policy-violation"},
        {ERR_TAG_CAP, "policy-violation"},      {ERR_DEPTH_CAP, "policy-violation"},
        {ERR_INFLATE_CAP, "policy-violation"},  {ERR_CAP, "policy-violation"},
        {ERR_ENCODING, "unsupported-encoding"},
    };

    if (code == ERR_NOMEM)
        return ERR_NOMEM;
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        if (told[i].code == code)
            return server_stream_error(s, told[i].condition);
    return code == ERR_COMPRESSED ? server_finish(s, PROCESSING_FAILED)
                                  : server_stream_error(s, "not-well-formed");
}

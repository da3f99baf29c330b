#include "opening.h"

#include <string.h>

#define TLS_HANDSHAKE 0x16 /* the first byte of a ClientHello's record (RFC 8446 §5.1) */
#define NS_TLS        "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_STREAMS    "http://etherx.jabber.org/streams"

#define STREAM "<?xml version='1.0'?><stream:stream xmlns='jabber:client' " \
               "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'"
#define STARTTLS "<starttls xmlns='" NS_TLS "'/>"
#define PROCEED  "<proceed xmlns='" NS_TLS "'/>"
#define FEATURES "<stream:features><starttls xmlns='" NS_TLS "'><required/></starttls>" \
                 "</stream:features>"
#define POLICY "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>" \
               "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>STARTTLS is " \
               "required</text></stream:error></stream:stream>"

void opening_init(struct opening *o, struct reader *reader, bool to_server, const char *domain)
{
    *o = (struct opening){.reader = reader, .to_server = to_server, .domain = domain};
    scan_init(&o->scan, NULL);
    reader_stream_init(&o->stream);
    buf_init(&o->in, OPENING_BYTES);
    buf_init(&o->answer, 16u << 10);
}

void opening_free(struct opening *o)
{
    reader_stream_free(&o->stream);
    buf_free(&o->in);
    buf_free(&o->answer);
}

static int add_header(struct buf *b, const char *side, const char *domain, const char *more)
{
    int err = buf_str(b, STREAM);

    if (!err && *domain)
        err = buf_printf(b, " %s='", side);
    if (!err && *domain)
        err = buf_xml(b, domain);
    if (!err && *domain)
        err = buf_str(b, "'");
    return err ? err : buf_str(b, more);
}

int opening_hello(struct buf *b, const char *domain)
{
    return add_header(b, "to", domain, ">");
}

static void drop_taken(struct opening *o)
{
    buf_drop(&o->in, o->taken);
    o->scanned -= o->taken < o->scanned ? o->taken : o->scanned;
    o->taken = 0;
}

int opening_add(struct opening *o, const char *p, size_t n)
{
    drop_taken(o);
    return buf_add(&o->in, p, n);
}

const char *opening_rest(struct opening *o, size_t *n)
{
    drop_taken(o);
    *n = o->in.len;
    return o->in.len ? o->in.p : "";
}

void opening_take_rest(struct opening *o, struct buf *rest)
{
    drop_taken(o);
    *rest = o->in;
    buf_init(&o->in, rest->max);
    o->scanned = 0;
}

/* ---- steps ---- */

/* The first `n` bytes are decided; the next call drops them. */
static enum opening_what take(struct opening *o, struct opening_step *step, size_t n,
                              const char *answer, size_t len, enum opening_what what)
{
    step->p = o->in.len ? o->in.p : "";
    step->n = n;
    step->answer = answer;
    step->answer_len = len;
    o->taken = n;
    return what;
}

static enum opening_what bad(struct opening *o, struct opening_step *step, enum error_code code,
                             const char *why)
{
    bool insecure = code == ERR_NO_TLS;

    o->state = OPENING_DONE;
    step->code = code;
    step->why = why;
    return take(o, step, o->in.len, insecure ? POLICY : "", insecure ? sizeof POLICY - 1 : 0,
                OPENING_BAD);
}

static size_t space(const struct opening *o, size_t from)
{
    size_t n = from;

    while (n < o->in.len && memchr(" \t\r\n", o->in.p[n], 4))
        n++;
    return n - from;
}

/* ---- towards the client ---- */

static enum opening_what client_header(struct opening *o, struct opening_step *step, size_t n)
{
    o->state = OPENING_ITEM;
    if (add_header(&o->answer, "from", o->domain, " id='xmpptap'>" FEATURES))
        return bad(o, step, ERR_NOMEM, "no memory is left");
    return take(o, step, n, o->answer.p, o->answer.len, OPENING_TAKEN);
}

/* As the gate does it: white space that was read with <starttls/> goes with it, a ClientHello may
 * have come early, anything else would pass for what came under TLS. */
static enum opening_what client_item(struct opening *o, struct opening_step *step, size_t n,
                                     const struct item *it)
{
    size_t all = n + space(o, n);

    if (!item_is(it, 0, NS_TLS, "starttls"))
        return bad(o, step, ERR_NO_TLS, "the client went on without TLS, which it must have "
                   "here; switch TLS on in it, or give --client-tls off");
    if (all < o->in.len && o->in.p[all] != TLS_HANDSHAKE)
        return bad(o, step, ERR_BEHIND_STARTTLS, "plaintext arrived behind <starttls/>, where TLS "
                   "must begin (RFC 6120 section 5.3.1). Mend the client, or look for who injects "
                   "it");
    o->state = OPENING_HELLO;
    return take(o, step, all, PROCEED, sizeof PROCEED - 1, OPENING_TAKEN);
}

/* Behind <starttls/>. */
static enum opening_what client_hello(struct opening *o, struct opening_step *step)
{
    size_t n = space(o, 0);

    if (o->in.len == 0)
        return OPENING_MORE;
    if (n)
        return take(o, step, n, "", 0, OPENING_TAKEN);
    if (o->in.p[0] != TLS_HANDSHAKE)
        return bad(o, step, ERR_BEHIND_STARTTLS, "plaintext arrived behind <starttls/>, where TLS "
                   "must begin (RFC 6120 section 5.3.1). Mend the client, or look for who injects "
                   "it");
    o->state = OPENING_DONE;
    return take(o, step, 0, "", 0, OPENING_SECURE);
}

/* ---- towards the server ---- */

static enum opening_what server_item(struct opening *o, struct opening_step *step, size_t n,
                                     const struct item *it)
{
    if (!item_is(it, 0, NS_STREAMS, "features")) {
        o->state = OPENING_DONE;
        return take(o, step, n, "", 0, OPENING_REFUSED);
    }
    if (item_find(it, 2, NS_TLS, "starttls") < 0) {
        o->state = OPENING_DONE;
        return OPENING_NO_TLS;
    }
    o->state = OPENING_PROCEED;
    return take(o, step, n, STARTTLS, sizeof STARTTLS - 1, OPENING_TAKEN);
}

static enum opening_what server_proceed(struct opening *o, struct opening_step *step, size_t n,
                                        const struct item *it)
{
    bool proceed = item_is(it, 0, NS_TLS, "proceed");

    o->state = OPENING_DONE;
    return take(o, step, n, "", 0, proceed ? OPENING_SECURE : OPENING_REFUSED);
}

/* ---- what was received ---- */

static enum opening_what take_header(struct opening *o, struct opening_step *step, size_t n)
{
    const struct item *it;
    struct error e;

    if (reader_header(o->reader, &o->stream, o->in.p, n, &it, &e))
        return bad(o, step, e.code, error_text(e.code));
    if (!o->to_server)
        return client_header(o, step, n);
    o->header = n;
    o->state = OPENING_ITEM;
    return OPENING_MORE;
}

static enum opening_what take_item(struct opening *o, struct opening_step *step, size_t n)
{
    const struct item *it;
    struct error e;

    if (reader_item(o->reader, &o->stream, o->in.p + o->header, n - o->header, &it, &e))
        return bad(o, step, e.code, error_text(e.code));
    o->header = 0;
    if (!o->to_server)
        return client_item(o, step, n, it);
    return o->state == OPENING_PROCEED ? server_proceed(o, step, n, it)
                                       : server_item(o, step, n, it);
}

static enum opening_what one_more(struct opening *o, struct opening_step *step)
{
    while (o->scanned < o->in.len) {
        size_t used;
        enum scan_what what =
            scan_next(&o->scan, o->in.p + o->scanned, o->in.len - o->scanned, &used);
        enum opening_what done = OPENING_MORE;

        o->scanned += used;
        if (what == SCAN_BAD || o->scan.flaw)
            return bad(o, step, what == SCAN_BAD ? o->scan.error : o->scan.flaw,
                       "what came is no stream");
        if (what == SCAN_HEADER)
            done = take_header(o, step, o->scanned);
        else if (what == SCAN_ITEM)
            done = take_item(o, step, o->scanned);
        else if (what == SCAN_CLOSE)
            done = take(o, step, o->scanned, "", 0, OPENING_REFUSED);
        else if (what == SCAN_SPACE && o->header)
            o->header = o->scanned;
        else if (what == SCAN_SPACE)
            done = take(o, step, o->scanned, "", 0, OPENING_TAKEN);
        if (done != OPENING_MORE)
            return done;
    }
    return OPENING_MORE;
}

enum opening_what opening_next(struct opening *o, struct opening_step *step)
{
    *step = (struct opening_step){.p = "", .answer = "", .why = ""};
    drop_taken(o);
    if (o->state == OPENING_DONE)
        return OPENING_MORE;
    return o->state == OPENING_HELLO ? client_hello(o, step) : one_more(o, step);
}

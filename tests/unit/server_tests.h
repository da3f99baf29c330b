/* server_tests.h: what the tests of the embedded server share: a connection to it, the documented
 * exchange, and the pieces of which its answers are made. Included by one test file at a time.
 */
#ifndef XMPPTAP_SERVER_TESTS_H
#define XMPPTAP_SERVER_TESTS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../decoder/buf.h"
#include "../../decoder/reader.h"
#include "../../proxy/server/server.h"
#include "../../proxy/server/world.h"

#define EXCHANGE  "tests/data/trace/exchange.tsv"
#define STREAM_NS "http://etherx.jabber.org/streams"
#define STREAM_ID "675c6847-c13d-4710-9844-d9339e4df087"

#define OPEN                                                                                       \
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "        \
    "to='example.org' version='1.0'>"
#define HEADER                                                                                     \
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "                                   \
    "xmlns:stream='http://etherx.jabber.org/streams' from='example.org' id='" STREAM_ID            \
    "' version='1.0' xml:lang='en'>"
#define REGISTER "<register xmlns=\"http://jabber.org/features/iq-register\"/>"
#define VER      "<ver xmlns=\"urn:xmpp:features:rosterver\"/>"
#define LOGINS                                                                                     \
    "<mechanisms xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\"><mechanism>PLAIN</mechanism>"          \
    "<mechanism>ANONYMOUS</mechanism></mechanisms>" REGISTER                                       \
    "<auth xmlns=\"http://jabber.org/features/iq-auth\"/>"
#define FEATURES_TLS                                                                               \
    "<stream:features>" VER "<starttls xmlns=\"urn:ietf:params:xml:ns:xmpp-tls\"/>" LOGINS         \
    "</stream:features>"
#define FEATURES_SASL "<stream:features>" VER LOGINS "</stream:features>"
#define FEATURES_BIND                                                                              \
    "<stream:features>" VER "<session xmlns=\"urn:ietf:params:xml:ns:xmpp-session\"/>" REGISTER    \
    "<bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"/></stream:features>"
#define STREAM_ERROR(condition)                                                                    \
    "<stream:error><" condition " xmlns=\"urn:ietf:params:xml:ns:xmpp-streams\"/></stream:error>"  \
    "</stream:stream>"

#define SASL       " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
#define AUTH_PLAIN "<auth" SASL " mechanism='PLAIN'>AGFubgBzZWNyZXQ=</auth>" /* ann, secret */
#define SUCCESS    "<success xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\"/>"
#define FAILURE(condition)                                                                         \
    "<failure xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\"><" condition "/></failure>"
#define CHALLENGE "<challenge xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\"/>"
#define BIND(resource)                                                                             \
    "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" resource     \
    "</resource></bind></iq>"
#define ME "ann@example.org/here"

#define STANZA_ERROR(type, condition)                                                              \
    "<error type=\"" type "\"><" condition                                                         \
    " xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></error></iq>"

/* ---- a connection ---- */

struct link {
    struct server *s;
    struct world *own;  /* owned, or NULL */
    struct buf got; /* what the server sent since the last look */
    size_t piece;   /* bytes fed at a time, 0: all */
    int64_t now_us;
};

static inline void take(struct link *l)
{
    size_t n;
    const char *p = server_output(l->s, &n);

    assert_int_equal(buf_add(&l->got, p, n), 0);
    server_sent(l->s, n);
}

static inline void feed_bytes(struct link *l, const char *p, size_t n)
{
    size_t step = l->piece ? l->piece : n;

    for (size_t i = 0; i < n; i += step) {
        assert_int_equal(server_input(l->s, p + i, step < n - i ? step : n - i, l->now_us), 0);
        take(l);
    }
}

static inline void feed(struct link *l, const char *xml)
{
    feed_bytes(l, xml, strlen(xml));
}

static inline const char *got(struct link *l)
{
    take(l);
    assert_int_equal(buf_add(&l->got, "", 1), 0);
    l->got.len = 0;
    return l->got.p;
}

static inline void expect(struct link *l, const char *xml)
{
    assert_string_equal(got(l), xml);
}

static inline struct world *new_world(const char *profile)
{
    struct error e = {0};
    struct profile *p = profile_open(profile, &e);
    struct world *w;

    if (!p)
        fail_msg("%s", e.detail);
    w = world_new(p);
    assert_non_null(w);
    return w;
}

static inline void free_world(struct world *w)
{
    struct profile *p = w ? (struct profile *)w->profile : NULL;

    world_free(w);
    profile_free(p);
}

/* One more connection to `w`. */
static inline void open_in(struct link *l, struct world *w)
{
    struct server_options o = {.world = w, .stream_id = STREAM_ID};

    *l = (struct link){.s = server_new(&o)};
    assert_non_null(l->s);
    buf_init(&l->got, 64u << 20);
}

/* The only one to a world of its own, as the documented server. */
static inline void open_link(struct link *l)
{
    struct world *w = new_world("documented");

    open_in(l, w);
    l->own = w;
}

static inline void close_link(struct link *l)
{
    server_free(l->s);
    buf_free(&l->got);
    free_world(l->own);
}

/* To where stanzas flow: ann@example.org/here. */
static inline void open_bound(struct link *l, const char *header)
{
    open_link(l);
    server_tls(l->s);
    feed(l, OPEN AUTH_PLAIN);
    expect(l, HEADER FEATURES_SASL SUCCESS);
    feed(l, header);
    feed(l, BIND("here"));
    assert_non_null(strstr(got(l), "<jid>" ME "</jid>"));
}

/* Logs `name` in, with any password: a new stream is open, not bound. */
static inline void log_in(struct link *l, struct world *w, const char *name)
{
    char plain[256], xml[1024];
    struct buf base64;
    int n = snprintf(plain, sizeof plain, "%c%s%csecret", 0, name, 0);

    buf_init(&base64, 1024);
    assert_int_equal(buf_base64(&base64, plain, (size_t)n), 0);
    open_in(l, w);
    server_tls(l->s);
    snprintf(xml, sizeof xml, OPEN "<auth" SASL " mechanism='PLAIN'>%.*s</auth>" OPEN,
             (int)base64.len, base64.p);
    buf_free(&base64);
    feed(l, xml);
    assert_non_null(strstr(got(l), SUCCESS));
}

/* The same, and binds `resource`. */
static inline void open_as(struct link *l, struct world *w, const char *name, const char *resource)
{
    char xml[1024];

    log_in(l, w, name);
    snprintf(xml, sizeof xml, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                              "<resource>%s</resource></bind></iq>", resource);
    feed(l, xml);
    snprintf(xml, sizeof xml, "<jid>%s@example.org/%s</jid>", name, resource);
    if (!strstr(got(l), xml))
        fail_msg("no %s in %s", xml, l->got.p);
}

/* `text` with each id="UUID" of a push as id="", so that it can be compared. */
static inline const char *without_ids(const char *text)
{
    static char out[16384];
    const char *p = text;
    size_t n = 0;

    while (*p && n < sizeof out - 1) {
        if (strncmp(p, "id=\"", 4) == 0 && strcspn(p + 4, "\"") == 36) {
            memcpy(out + n, "id=\"", 4);
            n += 4;
            p += 40;
        } else {
            out[n++] = *p++;
        }
    }
    out[n] = '\0';
    return out;
}

/* Every stream the server sent is well-formed as far as it goes. */
static inline void assert_well_formed(const char *p, size_t n)
{
    static const char decl[] = "<?xml version='1.0'?>";
    const char *end = p + n;

    while (p < end) {
        const char *next = memmem(p + 1, (size_t)(end - p - 1), decl, sizeof decl - 1);
        XML_Parser x = XML_ParserCreateNS("UTF-8", '\n');

        next = next ? next : end;
        if (!XML_Parse(x, p, (int)(next - p), 0))
            fail_msg("%s: %.*s", XML_ErrorString(XML_GetErrorCode(x)), (int)(next - p), p);
        XML_ParserFree(x);
        p = next;
    }
}

/* ---- the documented exchange ---- */

struct line {
    int n;
    char dir;
    char bytes[4096];
};

static inline size_t read_exchange(struct line *lines, size_t max)
{
    FILE *f = fopen(EXCHANGE, "r");
    char row[8192];
    size_t n = 0;

    if (!f)
        fail_msg("%s: run the tests from the top of the checkout", EXCHANGE);
    while (fgets(row, sizeof row, f)) {
        char *dir = strchr(row, '\t'), *from, *to;

        if (row[0] == '#')
            continue;
        assert_true(dir && n < max);
        lines[n].n = (int)strtol(row, NULL, 10);
        lines[n].dir = dir[1];
        to = lines[n++].bytes;
        for (from = strrchr(row, '\t') + 1; *from && *from != '\n'; from++, to++) {
            bool newline = from[0] == '\\' && from[1] == 'n';
            *to = newline ? '\n' : *from;
            from += newline;
        }
        *to = '\0';
    }
    fclose(f);
    return n;
}

/* `joined`: what the client sends until it waits comes as one piece, else each item as one. */

#endif

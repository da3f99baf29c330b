/* Random secrets in every place that holds one, however written and however split: none of them is
 * found again, in no form, in what the transcript and the archive say. SECRETS_SEED and
 * SECRETS_ROUNDS choose other ones.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "../../decoder/decoder.h"
#include "../../logs/json.h"
#include "../../logs/transcript.h"

#define ROUNDS   2500
#define SEED     20061
#define HEADER   "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
#define NS_SASL  "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL2 "urn:xmpp:sasl:2"
#define ITEM_MAX 65536

/* ---- where secrets stand ---- */

/* In an item: %T the secret as text, %A as an attribute's value, %M the base64 of the message. In a
 * message: % the secret, # its base64, ~ its hexadecimal. */
static const struct place {
    const char *name;
    const char *before; /* what the client sends first, or NULL */
    const char *item;
    const char *message;
    size_t n;
    bool once;    /* a proof or a digest: it does not come again */
    size_t bytes; /* the secret's length; 0: any */
} places[] = {
#define MESSAGE(m) (m), sizeof(m) - 1
#define AUTH(m)    "<auth xmlns='" NS_SASL "' mechanism='" m "'>%M</auth>"
#define AUTH2(m)                                                                                   \
    "<authenticate xmlns='" NS_SASL2 "' mechanism='" m "'><initial-response>%M</initial-response>" \
    "<user-agent id='1'><software>eA==</software></user-agent></authenticate>"
#define BEGUN(m)    "<auth xmlns='" NS_SASL "' mechanism='" m "'>biwsbj11LHI9YWJj</auth>"
#define RESPONSE(x) "<response xmlns='" NS_SASL "'>" x "</response>"
#define SUCCESS(x)  "<success xmlns='" NS_SASL "'>" x "</success>"
#define IQ(x)       "<iq type='set' id='1'>" x "</iq>"
#define FORM(x)     IQ("<x xmlns='jabber:x:data' type='submit'>" x "</x>")
#define VALUE       "<value>%T</value>"
    {"PLAIN", NULL, AUTH("PLAIN"), MESSAGE("\0user\0%"), false, 0},
    {"PLAIN with authzid", NULL, AUTH("PLAIN"), MESSAGE("a@b\0user\0%"), false, 0},
    {"PLAIN later", "<auth xmlns='" NS_SASL "' mechanism='PLAIN'/>", RESPONSE("%M"),
     MESSAGE("\0user\0%"), false, 0},
    {"PLAIN without NUL", NULL, AUTH("PLAIN"), MESSAGE("%"), false, 0},
    {"PLAIN with one NUL", NULL, AUTH("PLAIN"), MESSAGE("user\0%"), false, 0},
    {"PLAIN in SASL2", NULL, AUTH2("PLAIN"), MESSAGE("\0user\0%"), false, 0},
    {"X-OAUTH2", NULL, AUTH("X-OAUTH2"), MESSAGE("\0user\0%"), false, 0},
    {"LOGIN", "<auth xmlns='" NS_SASL "' mechanism='LOGIN'>dXNlcg==</auth>", RESPONSE("%M"),
     MESSAGE("%"), false, 0},
    {"PLAIN's in LOGIN", NULL, AUTH("LOGIN"), MESSAGE("\0user\0%"), false, 0},
    {"OAUTHBEARER", NULL, AUTH("OAUTHBEARER"), MESSAGE("n,a=u@b,\1auth=Bearer %\1\1"), false, 0},
    {"OAUTHBEARER in SASL2", NULL, AUTH2("OAUTHBEARER"), MESSAGE("n,,\1auth=Bearer %\1\1"), false,
     0},
    {"OAUTHBEARER without gs2", NULL, AUTH("OAUTHBEARER"), MESSAGE("auth=Bearer %\1\1"), false, 0},
    {"SCRAM's proof", BEGUN("SCRAM-SHA-1"), RESPONSE("%M"), MESSAGE("c=biws,r=abc,p=#"), true, 0},
    {"SCRAM's proof in SASL2", NULL, "<response xmlns='" NS_SASL2 "'>%M</response>",
     MESSAGE("c=biws,r=abc,p=#"), true, 0},
    {"SCRAM's signature in a challenge of SASL2", NULL,
     "<challenge xmlns='" NS_SASL2 "'>%M</challenge>", MESSAGE("v=#"), true, 0},
    {"SCRAM's signature in a challenge", BEGUN("SCRAM-SHA-1"),
     "<challenge xmlns='" NS_SASL "'>%M</challenge>", MESSAGE("v=#"), true, 0},
    {"SCRAM's signature", BEGUN("SCRAM-SHA-1"), SUCCESS("%M"), MESSAGE("v=#"), true, 0},
    {"SCRAM's signature in SASL2", NULL,
     "<success xmlns='" NS_SASL2 "'><additional-data>%M</additional-data></success>",
     MESSAGE("v=#"), true, 0},
    {"SCRAM's proof too early", NULL, AUTH("SCRAM-SHA-1"), MESSAGE("n,,n=u,r=abc,p=#"), true, 0},
    {"DIGEST-MD5", "<auth xmlns='" NS_SASL "' mechanism='DIGEST-MD5'/>", RESPONSE("%M"),
     MESSAGE("username=\"u\",nonce=\"n\",response=~"), true, 16},
    {"rspauth", "<auth xmlns='" NS_SASL "' mechanism='DIGEST-MD5'/>", SUCCESS("%M"),
     MESSAGE("rspauth=~"), true, 16},
    {"CRAM-MD5", "<auth xmlns='" NS_SASL "' mechanism='CRAM-MD5'/>", RESPONSE("%M"),
     MESSAGE("user ~"), true, 16},
    {"CRAM-MD5, a password instead", "<auth xmlns='" NS_SASL "' mechanism='CRAM-MD5'/>",
     RESPONSE("%M"), MESSAGE("user %"), true, 0},
    {"HT", NULL, AUTH2("HT-SHA-256-NONE"), MESSAGE("user\0%"), true, 0},
    {"GSSAPI", NULL, AUTH("GSSAPI"), MESSAGE("%"), true, 0},
    {"unknown", NULL, AUTH("X-NEW"), MESSAGE("user\0%"), true, 0},
    {"a password in the place of a message", NULL,
     "<auth xmlns='" NS_SASL "' mechanism='PLAIN'>%T</auth>", NULL, 0, true, 0},
    {"salted password", NULL,
     "<task-data xmlns='" NS_SASL2 "'><hash xmlns='urn:xmpp:scram-upgrade:0'>%M</hash></task-data>",
     MESSAGE("%"), true, 0},
    {"salted password elsewhere", NULL,
     "<x xmlns='urn:x'><hash xmlns='urn:xmpp:scram-upgrade:0'>%M</hash></x>", MESSAGE("%"), true, 0},
    {"one-time password", NULL,
     "<next xmlns='" NS_SASL2 "' task='T'><t xmlns='urn:x'>%T</t></next>", NULL, 0, true, 0},
    {"FAST token", NULL,
     "<success xmlns='" NS_SASL2 "'><token xmlns='urn:xmpp:fast:0' expiry='1' token='%A'/></success>",
     NULL, 0, false, 0},
    {"legacy password", NULL,
     IQ("<query xmlns='jabber:iq:auth'><username>u</username><password>%T</password></query>"),
     NULL, 0, false, 0},
    {"legacy digest", NULL, IQ("<query xmlns='jabber:iq:auth'><digest>%T</digest></query>"), NULL,
     0, true, 0},
    {"registration", NULL,
     IQ("<query xmlns='jabber:iq:register'><password>%T</password></query>"), NULL, 0, false, 0},
    {"registration by form", NULL,
     IQ("<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data'><field var='password'>" VALUE
        "</field></x></query>"), NULL, 0, false, 0},
    {"ad-hoc command", NULL,
     IQ("<command xmlns='http://jabber.org/protocol/commands'><x xmlns='jabber:x:data'>"
        "<field var='password-verify'>" VALUE "</field></x></command>"), NULL, 0, false, 0},
    {"private field", NULL,
     FORM("<field type=\"text-private\" var='x'><desc>Your word</desc>" VALUE "</field>"), NULL, 0,
     false, 0},
    {"room's configuration", NULL,
     FORM("<f:field xmlns:f='jabber:x:data' var='muc#roomconfig_roomsecret'><f:value>%T</f:value>"
          "</f:field>"), NULL, 0, false, 0},
    {"push", NULL, FORM("<field var='secret'>" VALUE "</field>"), NULL, 0, false, 0},
    {"room", NULL,
     "<presence to='r@m/n'><x xmlns='http://jabber.org/protocol/muc'><password>%T</password></x>"
     "</presence>", NULL, 0, false, 0},
    {"invitation", NULL,
     "<message><x xmlns='http://jabber.org/protocol/muc#user'><password>%T</password></x></message>",
     NULL, 0, false, 0},
    {"direct invitation", NULL,
     "<message><x xmlns='jabber:x:conference' jid='r@m' password=\"%A\" reason='b'/></message>",
     NULL, 0, false, 0},
    {"bookmark", NULL,
     IQ("<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><conference jid='r@m'>"
        "<nick>n</nick><password>%T</password></conference></storage></query>"), NULL, 0, false, 0},
    {"bookmark 2", NULL,
     IQ("<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish><item id='r@m'><conference "
        "xmlns='urn:xmpp:bookmarks:1'><password>%T</password></conference></item></publish>"
        "</pubsub>"), NULL, 0, false, 0},
    {"bookmark's extension", NULL,
     IQ("<conference xmlns='urn:xmpp:bookmarks:1'><extensions><x:password xmlns:x='urn:x'>%T"
        "</x:password></extensions></conference>"), NULL, 0, false, 0},
    {"external service", NULL,
     IQ("<services xmlns='urn:xmpp:extdisco:2'><service host='h' password = '%A' port='1'/>"
        "</services>"), NULL, 0, false, 0},
    {"upload: authorization", NULL,
     IQ("<slot xmlns='urn:xmpp:http:upload:0'><put url='u'><header name='Authorization'>%T</header>"
        "</put></slot>"), NULL, 0, false, 0},
    {"upload: cookie", NULL,
     IQ("<slot xmlns='urn:xmpp:http:upload:0'><put url='u'><header name='cookie'>%T</header></put>"
        "</slot>"), NULL, 0, false, 0},
    {"private field's kin", NULL, FORM("<field var='x#Passphrase'>" VALUE "</field>"), NULL, 0, false,
     0},
    {"passwd", NULL, IQ("<q xmlns='urn:x'><field var='passwd'/><passwd>%T</passwd></q>"), NULL, 0,
     false, 0},
    {"passwd in a form", NULL, FORM("<field var='passwd'>" VALUE "</field>"), NULL, 0, false, 0},
    {"legacy hash", NULL, IQ("<query xmlns='jabber:iq:auth'><hash>%T</hash></query>"), NULL, 0, true,
     0},
    {"ISR token", NULL,
     "<enabled xmlns='urn:xmpp:sm:3'><isr-enabled xmlns='urn:xmpp:isr:0' token='%A'/></enabled>",
     NULL, 0, false, 0},
    {"preauth", NULL, IQ("<preauth xmlns='urn:xmpp:pars:0' token='%A'/>"), NULL, 0, false, 0},
};

/* Where a secret that was seen comes again. %B: in base64, %I: inside of a longer base64, %X, %x: in
 * hexadecimal, %H: the base64 of that; the rest as above. */
static const char *const echoes[] = {
    "<message type='chat'><body>%T</body></message>",
    "<message><body>the word is: %T, or %T.</body></message>",
    "<presence><status a=\"%A\" b='%A'>x%Ty</status></presence>",
    "<iq type='error' id='%A'><error><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>%T</gone>"
    "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>not %T</text></error></iq>",
    "<iq type='%A' id='2'><q xmlns='%A'/></iq>",
    "<message><body>%B</body><x a='%I'>%I</x></message>",
    "<message><body>%x</body><x a='%X'>y%Xy</x></message>",
    "<failure xmlns='" NS_SASL "'><not-authorized/><text>%T is wrong</text></failure>",
    "<auth xmlns='" NS_SASL "' mechanism='ANONYMOUS'>%B</auth>",
    "<auth xmlns='" NS_SASL "' mechanism='EXTERNAL'>%I</auth>",
    "<auth xmlns='" NS_SASL "' mechanism='EXTERNAL'>%H</auth>",
    "<a><!-- %T --><b c='%A'/></a>",
    "<a b='%A'>%T</c>",
    "<?x %B %X?>",
};

/* ---- chance ---- */

static uint64_t chance;

static unsigned any(unsigned below)
{
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(chance >> 33) % below;
}

static unsigned long any_character(void)
{
    static const char special[] = "<>&'\"\\]=+/%#";
    static const struct {
        unsigned long from, n;
    } ranges[] = {{0x21, 94}, {0x21, 94}, {0xa1, 90}, {0x410, 60}, {0x4e00, 20000}, {0x1f300, 200}};
    unsigned k = any(8);

    if (k < 2)
        return (unsigned char)special[any(sizeof special - 1)];
    return ranges[k - 2].from + any((unsigned)ranges[k - 2].n);
}

static size_t put_character(unsigned long c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

struct secret {
    unsigned long c[320];
    unsigned characters;
    char p[1280];
    size_t n;
};

/* Of at least four bytes: shorter ones would be met by chance. */
static void any_secret(struct secret *s, size_t bytes)
{
    size_t want = bytes ? bytes : any(20) == 0 ? 200 + any(100) : 4 + any(40);

    *s = (struct secret){0};
    while (s->n < want) {
        unsigned long c = bytes ? 0x21 + any(94) : any_character();

        s->c[s->characters++] = c;
        s->n += put_character(c, s->p + s->n);
    }
}

/* ---- ways to write it ---- */

static void add(struct buf *b, const char *p, size_t n)
{
    assert_int_equal(buf_add(b, p, n), 0);
}

static void add_str(struct buf *b, const char *s)
{
    add(b, s, strlen(s));
}

/* As character data: literally where that may be, or by any reference. */
static void add_characters(struct buf *b, const struct secret *s, unsigned from, unsigned to)
{
    static const char *const names[] = {"&lt;", "&gt;", "&amp;", "&apos;", "&quot;"};
    bool literal = any(2);

    for (unsigned i = from; i < to; i++) {
        static const char special[] = "<>&'\"";
        const char *at = s->c[i] < 0x80 ? strchr(special, (int)s->c[i]) : NULL;
        char out[4];

        if (!literal && any(3) == 0)
            assert_int_equal(buf_printf(b, any(2) ? "&#%lu;" : "&#x%lX;", s->c[i]), 0);
        else if (at)
            add_str(b, names[at - special]);
        else
            add(b, out, put_character(s->c[i], out));
    }
}

static void add_text(struct buf *b, const struct secret *s)
{
    unsigned half = any(s->characters + 1);
    unsigned how = any(3);

    if (how == 0 || memmem(s->p, s->n, "]]>", 3)) {
        add_characters(b, s, 0, s->characters);
        return;
    }
    if (how == 1)
        half = 0;
    add_characters(b, s, 0, half);
    add_str(b, "<![CDATA[");
    for (unsigned i = half; i < s->characters; i++) {
        char out[4];

        if (how == 2 && i + 1 == s->characters) { /* its end is outside again */
            add_str(b, "]]>");
            add_characters(b, s, i, i + 1);
            return;
        }
        add(b, out, put_character(s->c[i], out));
    }
    add_str(b, "]]>");
}

static void add_base64(struct buf *b, const char *p, size_t n)
{
    char out[4096];

    add(b, out, (size_t)EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)p, (int)n));
}

static void add_hex(struct buf *b, const struct secret *s, const char *format)
{
    for (size_t i = 0; i < s->n; i++)
        assert_int_equal(buf_printf(b, format, (unsigned char)s->p[i]), 0);
}

static void add_message(struct buf *b, const struct place *p, const struct secret *s)
{
    struct buf m;

    buf_init(&m, ITEM_MAX);
    for (size_t i = 0; i < p->n; i++) {
        if (p->message[i] == '%')
            add(&m, s->p, s->n);
        else if (p->message[i] == '#')
            add_base64(&m, s->p, s->n);
        else if (p->message[i] == '~')
            add_hex(&m, s, "%02x");
        else
            add(&m, p->message + i, 1);
    }
    add_base64(b, m.p, m.len);
    buf_free(&m);
}

static void add_hex_inside(struct buf *b, const struct secret *s)
{
    struct buf hex;

    buf_init(&hex, ITEM_MAX);
    add_hex(&hex, s, "%02x");
    add_base64(b, hex.p, hex.len);
    buf_free(&hex);
}

/* The secret between up to four other bytes. */
static void add_inside(struct buf *b, const struct secret *s)
{
    char text[1300] = "abcd";
    size_t before = any(5);

    memcpy(text + before, s->p, s->n);
    memcpy(text + before + s->n, "efgh", 4);
    add_base64(b, text, before + s->n + any(5));
}

static void fill(struct buf *b, const char *item, const struct place *p, const struct secret *s)
{
    for (; *item; item++) {
        if (*item != '%') {
            add(b, item, 1);
            continue;
        }
        switch (*++item) {
        case 'T':
            add_text(b, s);
            break;
        case 'A':
            add_characters(b, s, 0, s->characters);
            break;
        case 'M':
            add_message(b, p, s);
            break;
        case 'B':
            add_base64(b, s->p, s->n);
            break;
        case 'I':
            add_inside(b, s);
            break;
        case 'H':
            add_hex_inside(b, s);
            break;
        case 'X':
            add_hex(b, s, "%02X");
            break;
        case 'x':
            add_hex(b, s, "%02x");
            break;
        default:
            fail_msg("%%%c", *item);
        }
    }
}

/* ---- what comes out ---- */

struct run {
    struct reader *reader, *again;
    struct decoder *decoder;
    struct sink *transcript;
    int fd;
    struct buf in[2], wire[2]; /* what was fed; what the events hold of it */
    struct buf out;            /* all that they say, as it is */
    struct buf json;
};

/* What is masked in an item leaves it well-formed. */
static void read_again(struct run *r, const struct event *ev)
{
    struct reader_stream stream;
    const struct item *it;
    struct error e;

    reader_stream_init(&stream);
    if (reader_item(r->again, &stream, ev->data, ev->len, &it, &e))
        fail_msg("%s in %.*s", e.detail, (int)ev->len, ev->data);
    reader_stream_free(&stream);
}

static void on_event(void *arg, struct event *ev)
{
    struct run *r = arg;

    if (ev->kind == EVENT_STANZA)
        read_again(r, ev);
    if (ev->data && ev->kind != EVENT_EDIT)
        add(&r->wire[ev->dir], ev->data, ev->len);
    add(&r->out, ev->len ? ev->data : "", ev->len);
    add_str(&r->out, "\n");
    for (unsigned i = 0; i < ev->facts; i++)
        assert_int_equal(buf_printf(&r->out, "%s\n", ev->fact[i].value), 0);
    for (unsigned i = 0; i < ev->remarks; i++)
        assert_int_equal(buf_printf(&r->out, "%s\n", ev->remark[i].value), 0);
    if (ev->kind == EVENT_VIOLATION)
        add_str(&r->out, ev->u.violation.detail);
    assert_int_equal(json_event_write(&r->json, ev), 0);
    assert_int_equal(r->transcript->event(r->transcript, ev), 0);
}

static void begin(struct run *r, bool redact)
{
    struct decoder_options o = {.limits = scan_default_limits, .redact = redact};
    struct transcript_options t = {.language = LABELS_EN, .verbose = true};
    struct mark session = {.kind = MARK_SESSION,
                           .u.session = {.client = "", .listen = "", .upstream = "", .program = ""}};

    *r = (struct run){.fd = memfd_create("transcript", 0), .reader = reader_new(), .again = reader_new()};
    for (int i = 0; i < 2; i++) {
        buf_init(&r->in[i], 1u << 20);
        buf_init(&r->wire[i], 1u << 20);
    }
    buf_init(&r->out, 1u << 22);
    buf_init(&r->json, 1u << 22);
    r->transcript = transcript_new(out_new(r->fd, false, OUT_WAIT, 0), &t, 0);
    r->decoder = decoder_new("test-1", &o, r->reader, on_event, r);
    assert_non_null(r->decoder);
    decoder_mark(r->decoder, 1, &session);
}

static void feed(struct run *r, enum dir dir, const char *p, size_t n)
{
    add(&r->in[dir], p, n);
    while (n) {
        size_t piece = any(3) ? n : 1 + any((unsigned)n);

        decoder_data(r->decoder, dir, 1, p, piece);
        p += piece;
        n -= piece;
    }
}

static void feed_str(struct run *r, enum dir dir, const char *s)
{
    feed(r, dir, s, strlen(s));
}

static void open_streams(struct run *r, enum label_phase phase)
{
    struct mark m = {.kind = MARK_RESTART, .phase = phase};

    decoder_mark(r->decoder, 1, &m);
    for (int i = 0; i < 2; i++)
        feed_str(r, (enum dir)i, HEADER " id='1'>");
}

static void finish(struct run *r)
{
    struct mark end = {.kind = MARK_END,
                       .u.end = {.code = ERR_CLOSED, .phase = "", .detail = "", .account = ""}};
    char text[4096];
    ssize_t n;

    decoder_mark(r->decoder, 1, &end);
    assert_int_equal(r->transcript->close(r->transcript), 0);
    for (off_t at = 0; (n = pread(r->fd, text, sizeof text, at)) > 0; at += n)
        add(&r->out, text, (size_t)n);
    decoder_free(r->decoder);
    reader_free(r->reader);
    reader_free(r->again);
}

static void drop(struct run *r)
{
    close(r->fd);
    buf_free(&r->out);
    buf_free(&r->json);
    for (int i = 0; i < 2; i++) {
        buf_free(&r->in[i]);
        buf_free(&r->wire[i]);
    }
}

/* ---- looking for it ---- */

static const char *where; /* the round's place, for the message */

static void look(const char *form, const struct buf *out, const char *p, size_t n)
{
    const char *at = memmem(out->p, out->len, p, n);

    if (at)
        fail_msg("%s: found %s: %.*s\n in ...%.300s", where, form, (int)n, p,
                 at - out->p > 100 ? at - 100 : out->p);
}

/* Every run of base64 digits, at each of the four places it may begin. */
static void look_in_base64(const struct buf *out, const struct secret *s)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct buf hex;

    buf_init(&hex, ITEM_MAX);
    add_hex(&hex, s, "%02x");
    for (size_t i = 0; i < out->len;) {
        size_t n = 0;

        while (i + n < out->len && out->p[i + n] && strchr(digits, out->p[i + n]))
            n++;
        for (size_t from = i; from < i + n && from < i + 4 && i + n - from >= 4; from++) {
            unsigned char text[ITEM_MAX];
            size_t len = (i + n - from) / 4 * 4;
            const struct buf decoded = {.p = (char *)text, .len = len / 4 * 3};

            assert_true(len < sizeof text);
            EVP_DecodeBlock(text, (const unsigned char *)out->p + from, (int)len);
            look("in base64", &decoded, s->p, s->n);
            look("in hexadecimal in base64", &decoded, hex.p, hex.len);
        }
        i += n + 1;
    }
    buf_free(&hex);
}

/* Without CDATA's marks, and each reference as what it stands for. */
static void look_in_xml(const struct buf *out, const struct secret *s)
{
    static const struct {
        const char *from, *to;
    } marks[] = {{"<![CDATA[", ""}, {"]]>", ""},     {"&lt;", "<"},
                 {"&gt;", ">"},     {"&amp;", "&"}, {"&apos;", "'"}, {"&quot;", "\""}};
    struct buf plain;

    buf_init(&plain, 1u << 22);
    for (size_t i = 0; i < out->len;) {
        size_t k = 0, count = sizeof marks / sizeof *marks;
        const char *p = out->p + i;
        char *end, c[4];

        while (k < count && strncmp(p, marks[k].from, strlen(marks[k].from)) != 0)
            k++;
        if (k < count) {
            add_str(&plain, marks[k].to);
            i += strlen(marks[k].from);
        } else if (p[0] == '&' && p[1] == '#') {
            unsigned long v = p[2] == 'x' ? strtoul(p + 3, &end, 16) : strtoul(p + 2, &end, 10);

            add(&plain, c, put_character(v, c));
            i += (size_t)(end - p) + 1;
        } else {
            add(&plain, p, 1);
            i++;
        }
    }
    look("behind references", &plain, s->p, s->n);
    buf_free(&plain);
}

static void look_everywhere(struct run *r, const struct secret *s)
{
    struct buf form;

    add(&r->out, "", 1); /* where strings are compared nothing is read behind it */
    buf_init(&form, ITEM_MAX);
    look("in clear", &r->out, s->p, s->n);
    add_base64(&form, s->p, s->n / 3 * 3);
    look("in base64, alone", &r->out, form.p, form.len);
    form.len = 0;
    add_hex(&form, s, "%02x");
    look("in hexadecimal", &r->out, form.p, form.len);
    form.len = 0;
    add_hex(&form, s, "%02X");
    look("in hexadecimal", &r->out, form.p, form.len);
    form.len = 0;
    assert_int_equal(json_string_write(&form, s->p, s->n), 0);
    look("in the archive", &r->json, form.p + 1, form.len - 2);
    buf_free(&form);
    look_in_base64(&r->out, s);
    look_in_xml(&r->out, s);
}

/* ---- the rounds ---- */

/* Only what is learnt is masked where it comes again. */
static void feed_echoes(struct run *r, const struct place *p, const struct secret *s)
{
    struct buf b;

    buf_init(&b, ITEM_MAX);
    if (!p->once && s->n >= 6 && s->n <= 256) {
        open_streams(r, PHASE_BOUND);
        for (unsigned i = 0, n = 1 + any(4); i < n; i++) {
            b.len = 0;
            fill(&b, echoes[any(sizeof echoes / sizeof *echoes)], p, s);
            feed(r, any(2) ? DIR_C2S : DIR_S2C, b.p, b.len);
        }
        /* And in a header: in one that is read, and in one that is not. */
        decoder_mark(r->decoder, 1, &(struct mark){.kind = MARK_RESTART, .phase = PHASE_BOUND});
        b.len = 0;
        fill(&b, HEADER " id='%A' to=\"%A\" version='%A'>", p, s);
        feed(r, DIR_C2S, b.p, b.len);
        feed_str(r, DIR_C2S, "</stream:stream>");
        feed(r, DIR_C2S, b.p, b.len);
    }
    buf_free(&b);
}

static void one_round(const struct place *p, const struct secret *s, bool redact)
{
    /* Clients' and servers' messages differ; what is a mere stanza goes either way. */
    bool server = strstr(p->item, "<success") || strstr(p->item, "<challenge");
    bool stanza = strstr(p->item, NS_SASL) == NULL && strstr(p->item, NS_SASL2) == NULL;
    struct run r;
    struct buf b, m;

    buf_init(&b, ITEM_MAX);
    buf_init(&m, ITEM_MAX);
    begin(&r, redact);
    open_streams(&r, stanza ? PHASE_BOUND : PHASE_TLS);
    if (p->before)
        feed_str(&r, DIR_C2S, p->before);
    fill(&b, p->item, p, s);
    feed(&r, server || (stanza && any(2)) ? DIR_S2C : DIR_C2S, b.p, b.len);
    feed_echoes(&r, p, s);
    finish(&r);
    if (redact)
        look_everywhere(&r, s);
    if (redact && p->message) {
        add_message(&m, p, s);
        look("the whole message", &r.out, m.p, m.len);
    }
    for (int i = 0; !redact && i < 2; i++) {
        assert_int_equal(r.wire[i].len, r.in[i].len);
        assert_memory_equal(r.wire[i].p, r.in[i].p, r.in[i].len);
    }
    buf_free(&b);
    buf_free(&m);
    drop(&r);
}

static unsigned long from_env(const char *name, unsigned long otherwise)
{
    const char *s = getenv(name);

    return s ? strtoul(s, NULL, 10) : otherwise;
}

static void test_nowhere(void **state)
{
    unsigned long rounds = from_env("SECRETS_ROUNDS", ROUNDS);
    char text[200];

    (void)state;
    for (unsigned long i = 0; i < rounds; i++) {
        const struct place *p = &places[i % (sizeof places / sizeof *places)];
        struct secret s;

        chance = from_env("SECRETS_SEED", SEED) * 1000003 + i;
        any_secret(&s, p->bytes);
        snprintf(text, sizeof text, "round %lu, %s", i, p->name);
        where = text;
        one_round(p, &s, true);
    }
}

/* Where secrets are kept, every byte is. */
static void test_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4 * (sizeof places / sizeof *places); i++) {
        const struct place *p = &places[i % (sizeof places / sizeof *places)];
        struct secret s;

        chance = i;
        any_secret(&s, p->bytes);
        one_round(p, &s, false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nowhere), cmocka_unit_test(test_kept)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

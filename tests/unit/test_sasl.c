/* SASL in words: the exchanges of the RFCs, malformed ones, SASL2's inline forms, legacy auth. Which
 * facts each message gives, and whether it stands as it was sent or is masked. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "../../decoder/decoder.h"
#include "../../decoder/sasl.h"

#define NS_SASL  "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL2 "urn:xmpp:sasl:2"
#define HEADER   "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

/* ---- what the decoder tells of an item ---- */

struct told {
    struct reader *reader;
    struct decoder *decoder;
    char facts[4096]; /* of the last item: `name=value`, one a line */
    char item[8192];
    char mechanism[SASL_MECHANISM_MAX], account[256];
};

static void on_event(void *arg, struct event *ev)
{
    struct told *t = arg;
    size_t n = 0;

    if (ev->kind == EVENT_END) {
        snprintf(t->mechanism, sizeof t->mechanism, "%s", ev->u.end.mechanism);
        snprintf(t->account, sizeof t->account, "%s", ev->u.end.account);
        return;
    }
    t->facts[0] = '\0';
    for (unsigned i = 0; i < ev->facts; i++) {
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(ev->fact[j].name, ev->fact[i].name);
        n += (size_t)snprintf(t->facts + n, sizeof t->facts - n, "%s=%s\n", ev->fact[i].name,
                              ev->fact[i].value);
    }
    snprintf(t->item, sizeof t->item, "%.*s", (int)ev->len, ev->len ? ev->data : "");
}

static void begin(struct told *t, bool redact)
{
    struct decoder_options o = {.limits = scan_default_limits, .redact = redact};

    *t = (struct told){0};
    t->reader = reader_new();
    assert_non_null(t->reader);
    t->decoder = decoder_new("test-1", &o, t->reader, on_event, t);
    assert_non_null(t->decoder);
    decoder_data(t->decoder, DIR_C2S, 0, HEADER, strlen(HEADER));
    decoder_data(t->decoder, DIR_S2C, 0, HEADER, strlen(HEADER));
}

static void finish(struct told *t)
{
    struct mark end = {.kind = MARK_END,
                       .u.end = {.code = ERR_CLOSED, .phase = "", .detail = "", .account = ""}};

    decoder_mark(t->decoder, 0, &end);
    decoder_free(t->decoder);
    reader_free(t->reader);
}

/* ---- exchanges ---- */

enum shown { SHOWN, MASKED };

struct step {
    const char *tag; /* with its attributes */
    const char *message; /* NULL: none */
    size_t n;
    const char *facts;
    enum shown shown;
};

#define SAYS(text)  (text), sizeof(text) - 1
#define SILENT      NULL, 0
#define AUTH(m)     "auth mechanism='" m "'"
#define CHALLENGE   "challenge"
#define RESPONSE    "response"
#define SUCCESS     "success"
#define STEPS       6
#define SCRAM_NONCE "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"

static const struct exchange {
    const char *name, *mechanism, *account;
    struct step step[STEPS];
} exchanges[] = {
    {"RFC 4616, without an authorization identity",
     "PLAIN",
     "tim@",
     {{AUTH("PLAIN"), SAYS("\0tim\0tanstaaftanstaaf"), "mechanism=PLAIN\nuser=tim\n", MASKED},
      {SUCCESS, SILENT, "", SHOWN}}},
    {"RFC 4616, with one",
     "PLAIN",
     "Kurt@",
     {{AUTH("PLAIN"), SAYS("Ursel\0Kurt\0xipj3plmq"),
       "mechanism=PLAIN\nuser=Kurt\nauthzid=Ursel\n", MASKED}}},
    {"PLAIN behind an empty challenge",
     "PLAIN",
     "tim@",
     {{AUTH("PLAIN"), SILENT, "mechanism=PLAIN\ninitial-response=none\n", SHOWN},
      {CHALLENGE, SILENT, "", SHOWN},
      {RESPONSE, SAYS("\0tim\0tanstaaftanstaaf"), "mechanism=PLAIN\nuser=tim\n", MASKED}}},
    {"RFC 5802",
     "SCRAM-SHA-1",
     "user@",
     {{AUTH("SCRAM-SHA-1"), SAYS("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"),
       "mechanism=SCRAM-SHA-1\nmessage=client-first\nuser=user\n"
       "client-nonce=fyko+d2lbbFgONRv9qkxdawL\ngs2=n\nhash=SHA-1\n", SHOWN},
      {CHALLENGE, SAYS("r=" SCRAM_NONCE ",s=QSXCR+Q6sek8bf92,i=4096"),
       "message=server-first\nserver-nonce=3rfcNHYJY1ZVvWVs7j\nsalt=QSXCR+Q6sek8bf92\n"
       "iterations=4096\n", SHOWN},
      {RESPONSE, SAYS("c=biws,r=" SCRAM_NONCE ",p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
       "message=client-final\ngs2=n\nnonce=" SCRAM_NONCE "\nproof=present\n", MASKED},
      {SUCCESS, SAYS("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="),
       "message=server-final\nserver-signature=present\n", MASKED}}},
    {"RFC 7677",
     "SCRAM-SHA-256",
     "user@",
     {{AUTH("SCRAM-SHA-256"), SAYS("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"),
       "mechanism=SCRAM-SHA-256\nmessage=client-first\nuser=user\n"
       "client-nonce=rOprNGfwEbeRWgbNEkqO\ngs2=n\nhash=SHA-256\n", SHOWN},
      {CHALLENGE, SAYS("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                       "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
       "message=server-first\nserver-nonce=%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0\n"
       "salt=W22ZaJ0SNY7soEsUEjb6gQ==\niterations=4096\n", SHOWN},
      {RESPONSE, SAYS("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                      "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
       "message=client-final\ngs2=n\n"
       "nonce=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0\nproof=present\n", MASKED},
      {CHALLENGE, SAYS("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
       "message=server-final\nserver-signature=present\n", MASKED},
      {RESPONSE, SILENT, "", SHOWN}}},
    {"SCRAM: channel binding, authorization identity, escapes, extensions, XEP-0474, an error",
     "SCRAM-SHA-512-PLUS",
     "a,b=c@",
     {{AUTH("SCRAM-SHA-512-PLUS"), SAYS("p=tls-exporter,a=ad=2Cmin,n=a=2Cb=3Dc,r=abc,x=1,y=2"),
       "mechanism=SCRAM-SHA-512-PLUS\nmessage=client-first\nuser=a,b=c\nclient-nonce=abc\n"
       "scram-extensions=x=1,y=2\nauthzid=ad,min\ngs2=p\ncb-type=tls-exporter\nhash=SHA-512\n",
       SHOWN},
      {CHALLENGE, SAYS("r=abcdef,s=AAAA,i=1,h=aGFzaA=="),
       "message=server-first\nserver-nonce=def\nsalt=AAAA\niterations=1\ndowngrade-hash=aGFzaA==\n",
       SHOWN},
      {RESPONSE, SAYS("c=cD10bHMtZXhwb3J0ZXIsYT1hZD0yQ21pbixBQUFB,r=abcdef,p=AAAA"),
       "message=client-final\ngs2=p\ncb-type=tls-exporter\ncb-bytes=4\nnonce=abcdef\n"
       "proof=present\n", MASKED},
      {CHALLENGE, SAYS("e=channel-bindings-dont-match"),
       "message=server-final\nscram-error=channel-bindings-dont-match\n", SHOWN}}},
    {"SCRAM: the client could bind the channel; then the other gs2 flag",
     "SCRAM-SHA-1",
     "u@",
     {{AUTH("SCRAM-SHA-1"), SAYS("y,,n=u,r=abc"),
       "mechanism=SCRAM-SHA-1\nmessage=client-first\nuser=u\nclient-nonce=abc\ngs2=y\nhash=SHA-1\n",
       SHOWN},
      {CHALLENGE, SAYS("r=abcd,s=AAAA,i=9,d=old"),
       "message=server-first\nserver-nonce=d\nsalt=AAAA\niterations=9\ndowngrade-hash=old\n", SHOWN},
      {RESPONSE, SAYS("c=biws,r=abcd,p=AAAA"),
       "message=client-final\ngs2=n\n"
       "malformed=the gs2 header is not that of the first message\nnonce=abcd\nproof=present\n",
       MASKED}}},
    {"SCRAM: proofs where none are due are not told",
     "SCRAM-SHA-1",
     "u@",
     {{AUTH("SCRAM-SHA-1"), SAYS("n,,n=u,r=abc,p=AAAA"),
       "mechanism=SCRAM-SHA-1\nmessage=client-first\nuser=u\nclient-nonce=abc\n"
       "malformed=a proof where none is due\ngs2=n\nhash=SHA-1\n", MASKED},
      {CHALLENGE, SAYS("r=abcd,s=AAAA,i=9,v=BBBB"),
       "message=server-first\nserver-nonce=d\nsalt=AAAA\niterations=9\n"
       "malformed=a proof where none is due\n", MASKED},
      {AUTH("SCRAM-SHA-1"), SAYS("c=biws,r=abcd,p=AAAA"),
       "mechanism=SCRAM-SHA-1\nmessage=client-first\nmalformed=no gs2 header\n", MASKED}}},
    {"RFC 2831",
     "DIGEST-MD5",
     "chris@",
     {{AUTH("DIGEST-MD5"), SILENT, "mechanism=DIGEST-MD5\ninitial-response=none\n", SHOWN},
      {CHALLENGE, SAYS("realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",qop=\"auth\","
                       "algorithm=md5-sess,charset=utf-8"),
       "realm=elwood.innosoft.com\nnonce=OA6MG9tEQGm2hh\nqop=auth\nalgorithm=md5-sess\n"
       "charset=utf-8\n", SHOWN},
      {RESPONSE, SAYS("charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\","
                      "nonce=\"OA6MG9tEQGm2hh\",nc=00000001,cnonce=\"OA6MHXh6VqTrRk\","
                      "digest-uri=\"imap/elwood.innosoft.com\","
                      "response=d388dad90d4bbd760a152321f2143af7,qop=auth"),
       "mechanism=DIGEST-MD5\ncharset=utf-8\nuser=chris\nrealm=elwood.innosoft.com\n"
       "nonce=OA6MG9tEQGm2hh\nnc=00000001\ncnonce=OA6MHXh6VqTrRk\n"
       "digest-uri=imap/elwood.innosoft.com\ndigest=present\nqop=auth\n", MASKED},
      {CHALLENGE, SAYS("rspauth=ea40f60335c427b5527b84dbabcdfffd"), "rspauth=present\n", MASKED},
      {RESPONSE, SILENT, "", SHOWN},
      {SUCCESS, SILENT, "", SHOWN}}},
    {"DIGEST-MD5: quoted pairs, white space, several realms, authzid",
     "DIGEST-MD5",
     "a\"b@",
     {{AUTH("DIGEST-MD5"), SILENT, "mechanism=DIGEST-MD5\ninitial-response=none\n", SHOWN},
      {CHALLENGE, SAYS("realm=\"x\", realm=\"y\" , nonce = \"n,\\\"\", unheard=of"),
       "realm=x\nnonce=n,\"\n", SHOWN},
      {RESPONSE, SAYS("username=\"a\\\"b\",authzid=\"c\",response=00"),
       "mechanism=DIGEST-MD5\nuser=a\"b\nauthzid=c\ndigest=present\n", MASKED}}},
    {"RFC 2195",
     "CRAM-MD5",
     "tim@",
     {{AUTH("CRAM-MD5"), SILENT, "mechanism=CRAM-MD5\ninitial-response=none\n", SHOWN},
      {CHALLENGE, SAYS("<1896.697170952@postoffice.reston.mci.net>"),
       "challenge=<1896.697170952@postoffice.reston.mci.net>\n", SHOWN},
      {RESPONSE, SAYS("tim b913a602c7eda7a495b4e6e7334d3890"),
       "mechanism=CRAM-MD5\nuser=tim\ndigest=present\n", MASKED}}},
    {"RFC 7628, refused",
     "OAUTHBEARER",
     "user@example.com",
     {{AUTH("OAUTHBEARER"), SAYS("n,a=user@example.com,\1host=server.example.com\1port=143\1"
                                 "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1"),
       "mechanism=OAUTHBEARER\nuser=user@example.com\ngs2=n\nhost=server.example.com\nport=143\n"
       "auth-scheme=Bearer\n", MASKED},
      {CHALLENGE, SAYS("{\"status\":\"invalid_token\",\"scope\":\"example_scope\","
                       "\"openid-configuration\":\"https://example.com/.well-known/openid-config\"}"),
       "oauth-status=invalid_token\noauth-scope=example_scope\n"
       "oauth-configuration=https://example.com/.well-known/openid-config\n", SHOWN},
      {RESPONSE, SAYS("\1"), "", SHOWN}}},
    {"X-OAUTH2",
     "X-OAUTH2",
     "a@b",
     {{AUTH("X-OAUTH2"), SAYS("\0a@b\0token-token"), "mechanism=X-OAUTH2\nuser=a@b\n", MASKED}}},
    {"LOGIN, asked for both",
     "LOGIN",
     "tim@",
     {{AUTH("LOGIN"), SILENT, "mechanism=LOGIN\ninitial-response=none\n", SHOWN},
      {CHALLENGE, SAYS("Username:"), "prompt=Username:\n", SHOWN},
      {RESPONSE, SAYS("tim"), "mechanism=LOGIN\nuser=tim\n", SHOWN},
      {CHALLENGE, SAYS("Password:"), "prompt=Password:\n", SHOWN},
      {RESPONSE, SAYS("tanstaaf"), "password=present\n", MASKED},
      {SUCCESS, SILENT, "", SHOWN}}},
    {"LOGIN, the name first, and a server that asks for it again",
     "LOGIN",
     "tim@",
     {{AUTH("LOGIN"), SAYS("tim"), "mechanism=LOGIN\nuser=tim\n", SHOWN},
      {CHALLENGE, SAYS("Username:"), "prompt=Username:\n", SHOWN},
      {RESPONSE, SAYS("tanstaaf"), "password=present\n", MASKED}}},
    {"LOGIN, asked for the password only",
     "LOGIN",
     "",
     {{AUTH("LOGIN"), SILENT, "mechanism=LOGIN\ninitial-response=none\n", SHOWN},
      {CHALLENGE, SAYS("password"), "prompt=password\n", SHOWN},
      {RESPONSE, SAYS("tanstaaf"), "mechanism=LOGIN\npassword=present\n", MASKED}}},
    {"ANONYMOUS",
     "ANONYMOUS",
     "",
     {{AUTH("ANONYMOUS"), SAYS("sirhc"), "mechanism=ANONYMOUS\ntrace=sirhc\n", SHOWN}}},
    {"EXTERNAL, an empty one: `=`",
     "EXTERNAL",
     "",
     {{AUTH("EXTERNAL"), SAYS(""), "mechanism=EXTERNAL\ninitial-response=empty\n", SHOWN},
      {AUTH("EXTERNAL"), SAYS("a@b"), "mechanism=EXTERNAL\nauthzid=a@b\n", SHOWN}}},
    {"GSSAPI and one that nobody knows: masked",
     "X-NEW",
     "",
     {{AUTH("GSSAPI"), SAYS("\x60\x01\x02"), "mechanism=GSSAPI\nbytes=3\n", MASKED},
      {CHALLENGE, SAYS("abcd"), "bytes=4\n", MASKED},
      {AUTH("X-NEW"), SAYS("abcd"), "mechanism=X-NEW\nbytes=4\n", MASKED},
      {AUTH("PLAINER"), SAYS("\0a\0b"), "mechanism=PLAINER\nbytes=4\n", MASKED},
      {AUTH("X-NEW"), SILENT, "mechanism=X-NEW\ninitial-response=none\n", SHOWN}}},
    {"HT: the token's hash is a secret, the server's, too",
     "HT-SHA-256-EXPR",
     "tim@",
     {{AUTH("HT-SHA-256-NONE"), SAYS("tim\0hashhash"),
       "mechanism=HT-SHA-256-NONE\nuser=tim\nhash=SHA-256\n", MASKED},
      {AUTH("HT-SHA-256-ENDP"), SAYS("tim\0hashhash"),
       "mechanism=HT-SHA-256-ENDP\nuser=tim\nhash=SHA-256\ncb-type=tls-server-end-point\n", MASKED},
      {AUTH("HT-SHA-256-UNIQ"), SAYS("tim\0hashhash"),
       "mechanism=HT-SHA-256-UNIQ\nuser=tim\nhash=SHA-256\ncb-type=tls-unique\n", MASKED},
      {AUTH("HT-SHA-256-EXPR"), SAYS("tim\0hashhash"),
       "mechanism=HT-SHA-256-EXPR\nuser=tim\nhash=SHA-256\ncb-type=tls-exporter\n", MASKED},
      {SUCCESS, SAYS("hash"), "server-signature=present\n", MASKED}}},
    {"an exchange that is tried again with another mechanism",
     "PLAIN",
     "v@",
     {{AUTH("SCRAM-SHA-1"), SAYS("n,,n=u,r=abc"),
       "mechanism=SCRAM-SHA-1\nmessage=client-first\nuser=u\nclient-nonce=abc\ngs2=n\nhash=SHA-1\n",
       SHOWN},
      {AUTH("PLAIN"), SAYS("\0v\0password"), "mechanism=PLAIN\nuser=v\n", MASKED}}},
};

/* `<TAG xmlns='...'>BASE64</NAME>`; a message of no bytes is `=`. */
static void make_item(const struct step *s, char *out, size_t size)
{
    char base64[4096] = "=";
    int name = (int)strcspn(s->tag, " ");

    if (s->n)
        EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)s->message, (int)s->n);
    if (s->message)
        snprintf(out, size, "<%s xmlns='" NS_SASL "'>%s</%.*s>", s->tag, base64, name, s->tag);
    else
        snprintf(out, size, "<%s xmlns='" NS_SASL "'/>", s->tag);
}

static enum dir dir_of(const char *tag)
{
    return strncmp(tag, "auth", 4) == 0 || strcmp(tag, RESPONSE) == 0 ? DIR_C2S : DIR_S2C;
}

static void check_step(struct told *t, const char *name, const struct step *s, bool redact)
{
    char item[8192], masked[8192];
    const char *from, *to;

    make_item(s, item, sizeof item);
    decoder_data(t->decoder, dir_of(s->tag), 0, item, strlen(item));
    if (strcmp(t->facts, s->facts) != 0)
        fail_msg("%s: %s says\n%s-- instead of\n%s", name, item, t->facts, s->facts);
    from = strchr(item, '>') + 1;
    to = strstr(item, "</");
    if (redact && s->shown == MASKED) {
        snprintf(masked, sizeof masked, "%.*s[redacted]%s", (int)(from - item), item, to);
        assert_string_equal(t->item, masked);
    } else {
        assert_string_equal(t->item, item);
    }
}

static void test_exchanges(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof exchanges / sizeof *exchanges; i++)
        for (int redact = 0; redact < 2; redact++) {
            const struct exchange *e = &exchanges[i];
            struct told t;

            begin(&t, redact);
            for (size_t k = 0; k < STEPS && e->step[k].tag; k++)
                check_step(&t, e->name, &e->step[k], redact);
            finish(&t);
            assert_string_equal(t.mechanism, e->mechanism);
            assert_string_equal(t.account, e->account);
        }
}

/* ---- what is wrong, and elements around ---- */

#define A(m, text) "<auth xmlns='" NS_SASL "' mechanism='" m "'>" text "</auth>"
#define R(text)    "<response xmlns='" NS_SASL "'>" text "</response>"

static const struct {
    enum dir dir;
    const char *item;
    const char *facts;
    const char *kept; /* NULL: as it was sent */
} singles[] = {
    {DIR_C2S, A("PLAIN", "!"), "mechanism=PLAIN\nmalformed=not base64\n", A("PLAIN", "[redacted]")},
    {DIR_C2S, A("PLAIN", "AHRpbQBwYXN="), "mechanism=PLAIN\nuser=tim\n", A("PLAIN", "[redacted]")},
    {DIR_C2S, A("PLAIN", "AHRpbQBwYXN"), "mechanism=PLAIN\nmalformed=not base64\n",
     A("PLAIN", "[redacted]")},
    {DIR_C2S, A("PLAIN", "YWJj"), "mechanism=PLAIN\nmalformed=no NUL\n", A("PLAIN", "[redacted]")},
    {DIR_C2S, A("PLAIN", "YQBi"), "mechanism=PLAIN\nmalformed=no second NUL\n",
     A("PLAIN", "[redacted]")},
    {DIR_C2S, A("PLAIN", "AABi"), "mechanism=PLAIN\nmalformed=no user name\n",
     A("PLAIN", "[redacted]")},
    {DIR_C2S, A("PLAIN", "AGIA"), "mechanism=PLAIN\nuser=b\nmalformed=no password\n",
     A("PLAIN", "[redacted]")},
    {DIR_C2S, A("PLAIN", "AGIAYwBk"), "mechanism=PLAIN\nuser=b\nmalformed=a third NUL\n",
     A("PLAIN", "[redacted]")},
    {DIR_C2S, A("PLAIN", "<x>AGIAYwBk</x>"), "mechanism=PLAIN\nmalformed=elements in it\n", A("PLAIN", "[redacted]")},
    {DIR_C2S, A("ANONYMOUS", "eA=<x/>="), "mechanism=ANONYMOUS\nmalformed=elements in it\n",
     A("ANONYMOUS", "[redacted]")},
    {DIR_C2S, A("ANONYMOUS", "<![CDATA[e]]>A&#61;="), "mechanism=ANONYMOUS\ntrace=x\n", NULL},
    {DIR_C2S, A("ANONYMOUS", "AAE="), "mechanism=ANONYMOUS\nmalformed=control characters\n",
     A("ANONYMOUS", "[redacted]")},
    {DIR_C2S, "<auth xmlns='" NS_SASL "'>eA==</auth>",
     "malformed=it names no mechanism\nbytes=1\n", "<auth xmlns='" NS_SASL "'>[redacted]</auth>"},
    {DIR_C2S, A("CRAM-MD5", "YSBi"),
     "mechanism=CRAM-MD5\nmalformed=the digest is not 32 hexadecimal digits\n",
     A("CRAM-MD5", "[redacted]")},
    {DIR_C2S, A("OAUTHBEARER", "YWI="),
     "mechanism=OAUTHBEARER\nmalformed=no gs2 header\n", A("OAUTHBEARER", "[redacted]")},
    {DIR_C2S, A("SCRAM-SHA-1", "biwsbj1hPWIscj1hYmM="), /* n,,n=a=b,r=abc */
     "mechanism=SCRAM-SHA-1\nmessage=client-first\nmalformed=the user name is not escaped\n"
     "client-nonce=abc\ngs2=n\nhash=SHA-1\n", A("SCRAM-SHA-1", "[redacted]")},
    {DIR_C2S, A("SCRAM-SHA-1", "biwsYWJjLHI9YWJj"), /* n,,abc,r=abc */
     "mechanism=SCRAM-SHA-1\nmessage=client-first\nmalformed=not a list of attributes\n"
     "gs2=n\nhash=SHA-1\n", A("SCRAM-SHA-1", "[redacted]")},
    {DIR_C2S, A("SCRAM-SHA-1", "biwscj1hYmM="), /* n,,r=abc */
     "mechanism=SCRAM-SHA-1\nmessage=client-first\nclient-nonce=abc\nmalformed=no user name\n"
     "gs2=n\nhash=SHA-1\n", A("SCRAM-SHA-1", "[redacted]")},
    {DIR_C2S, A("HT-SHA-256-NONE", "YWI="), "mechanism=HT-SHA-256-NONE\nmalformed=no NUL\n",
     A("HT-SHA-256-NONE", "[redacted]")},
    {DIR_C2S, A("DIGEST-MD5", "YWI="),
     "mechanism=DIGEST-MD5\nmalformed=not a list of directives\n", A("DIGEST-MD5", "[redacted]")},
    {DIR_S2C, A("ANONYMOUS", "eA=="), "", A("ANONYMOUS", "[redacted]")}, /* the wrong way */
    {DIR_C2S, R("eA=="), "bytes=1\n", R("[redacted]")},                  /* nothing was begun */
    {DIR_S2C, "<failure xmlns='" NS_SASL "'><not-authorized/></failure>",
     "condition=not-authorized\n", NULL},
    {DIR_C2S, "<abort xmlns='" NS_SASL "'/>", "", NULL},
    {DIR_C2S, "<message><body>x</body></message>", "", NULL},

    {DIR_C2S,
     "<authenticate xmlns='" NS_SASL2 "' mechanism='SCRAM-SHA-1'>"
     "<initial-response>biwsbj11LHI9YWJj</initial-response>"
     "<user-agent id='d4565fa7'><software>AwesomeXMPP</software><device>Kiva's Phone</device>"
     "</user-agent>"
     "<bind xmlns='urn:xmpp:bind:0'><tag>AwesomeXMPP</tag>"
     "<enable xmlns='urn:xmpp:carbons:2'/><enable xmlns='urn:xmpp:sm:3'/></bind>"
     "<resume xmlns='urn:xmpp:sm:3' h='3' previd='p-1'/>"
     "<fast xmlns='urn:xmpp:fast:0' count='7'/>"
     "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-UNIQ'/>"
     "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>"
     "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade></authenticate>",
     "mechanism=SCRAM-SHA-1\nmessage=client-first\nuser=u\nclient-nonce=abc\ngs2=n\nhash=SHA-1\n"
     "client-id=d4565fa7\nclient-software=AwesomeXMPP\nclient-device=Kiva's Phone\n"
     "bind-tag=AwesomeXMPP\nrequest-token=HT-SHA-256-UNIQ\nfast-count=7\n"
     "upgrade=UPGR-SCRAM-SHA-256 UPGR-SCRAM-SHA-512\n"
     "inline=bind bind/enable bind/enable resume fast request-token upgrade upgrade\n"
     "previd=p-1\nh=3\n", NULL},
    {DIR_C2S, "<authenticate xmlns='" NS_SASL2 "' mechanism='EXTERNAL'/>",
     "mechanism=EXTERNAL\ninitial-response=none\n", NULL},
    {DIR_S2C,
     "<success xmlns='" NS_SASL2 "'><additional-data>dj1BQUFB</additional-data>"
     "<authorization-identifier>u@example.org/x</authorization-identifier>"
     "<bound xmlns='urn:xmpp:bind:0'/>"
     "<token xmlns='urn:xmpp:fast:0' expiry='2030-01-01T00:00:00Z' token='s3cr3t:token'/></success>",
     "bytes=6\ntoken-expiry=2030-01-01T00:00:00Z\nauthorization-id=u@example.org/x\n"
     "inline=bound token\n",
     "<success xmlns='" NS_SASL2 "'><additional-data>[redacted]</additional-data>"
     "<authorization-identifier>u@example.org/x</authorization-identifier>"
     "<bound xmlns='urn:xmpp:bind:0'/>"
     "<token xmlns='urn:xmpp:fast:0' expiry='2030-01-01T00:00:00Z' token='[redacted]'/></success>"},
    {DIR_S2C,
     "<continue xmlns='" NS_SASL2 "'><additional-data>dj1BQUFB</additional-data>"
     "<tasks><task>HOTP</task><task>UPGR-SCRAM-SHA-256</task></tasks></continue>",
     "bytes=6\ntasks=HOTP UPGR-SCRAM-SHA-256\n",
     "<continue xmlns='" NS_SASL2 "'><additional-data>[redacted]</additional-data>"
     "<tasks><task>HOTP</task><task>UPGR-SCRAM-SHA-256</task></tasks></continue>"},
    {DIR_C2S, "<next xmlns='" NS_SASL2 "' task='UPGR-SCRAM-SHA-256'/>",
     "task=UPGR-SCRAM-SHA-256\n", NULL},
    {DIR_C2S, "<next xmlns='" NS_SASL2 "' task='HOTP'><hotp xmlns='x'>123456</hotp></next>",
     "task=HOTP\n", "<next xmlns='" NS_SASL2 "' task='HOTP'>[redacted]</next>"},
    {DIR_S2C,
     "<task-data xmlns='" NS_SASL2 "'><salt xmlns='urn:xmpp:scram-upgrade:0' iterations='4096'>"
     "QVE=</salt></task-data>", "salt=QVE=\niterations=4096\n", NULL},
    {DIR_C2S,
     "<task-data xmlns='" NS_SASL2 "'><hash xmlns='urn:xmpp:scram-upgrade:0'>BzOnw3Pc</hash>"
     "</task-data>", "salted-password=present\n",
     "<task-data xmlns='" NS_SASL2 "'>[redacted]</task-data>"},
    {DIR_S2C, "<failure xmlns='" NS_SASL2 "'><aborted xmlns='" NS_SASL "'/></failure>",
     "condition=aborted\n", NULL},

    {DIR_C2S,
     "<iq type='set' id='1'><query xmlns='jabber:iq:auth'><username>bill</username>"
     "<digest>48fc78be9ec8f86d8ce1c39c320c97c21d62334d</digest><resource>globe</resource></query>"
     "</iq>", "mechanism=iq-auth-digest\nuser=bill\nresource=globe\n",
     "<iq type='set' id='1'><query xmlns='jabber:iq:auth'><username>bill</username>"
     "<digest>[redacted]</digest><resource>globe</resource></query></iq>"},
    {DIR_C2S,
     "<iq type='set' id='1'><query xmlns='jabber:iq:auth'><username>bill</username>"
     "<password>Calli0pe</password><resource>globe</resource></query></iq>",
     "mechanism=iq-auth-plain\nuser=bill\nresource=globe\n",
     "<iq type='set' id='1'><query xmlns='jabber:iq:auth'><username>bill</username>"
     "<password>[redacted]</password><resource>globe</resource></query></iq>"},
    {DIR_C2S,
     "<iq type='get' id='1'><query xmlns='jabber:iq:auth'><username>bill</username></query></iq>",
     "user=bill\n", NULL},
};

static void test_singles(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++)
        for (int redact = 0; redact < 2; redact++) {
            const char *item = singles[i].item;
            struct told t;

            begin(&t, redact);
            decoder_data(t.decoder, singles[i].dir, 0, item, strlen(item));
            if (strcmp(t.facts, singles[i].facts) != 0)
                fail_msg("%s says\n%s-- instead of\n%s", item, t.facts, singles[i].facts);
            assert_string_equal(t.item, redact && singles[i].kept ? singles[i].kept : item);
            finish(&t);
        }
}

/* More than the reader keeps of a text is not read, and masked. */
static void test_too_long(void **state)
{
    static char item[8192] = "<auth xmlns='" NS_SASL "' mechanism='ANONYMOUS'>";
    size_t n = strlen(item);
    struct told t;

    (void)state;
    memset(item + n, 'A', 4100);
    strcat(item, "</auth>");
    begin(&t, true);
    decoder_data(t.decoder, DIR_C2S, 0, item, strlen(item));
    assert_string_equal(t.facts, "mechanism=ANONYMOUS\nmalformed=too long to read\n");
    assert_non_null(strstr(t.item, ">[redacted]</auth>"));
    finish(&t);
}

/* SASL2 says in the end who logged in, whatever the client said. */
static void test_account(void **state)
{
    static const char asks[] = "<authenticate xmlns='" NS_SASL2 "' mechanism='EXTERNAL'/>";
    static const char in[] = "<success xmlns='" NS_SASL2 "'><authorization-identifier>"
                             "u@example.org/x</authorization-identifier></success>";
    struct told t;

    (void)state;
    begin(&t, true);
    decoder_data(t.decoder, DIR_C2S, 0, asks, strlen(asks));
    decoder_data(t.decoder, DIR_S2C, 0, in, strlen(in));
    finish(&t);
    assert_string_equal(t.account, "u@example.org");
}

static void test_session(void **state)
{
    struct sasl s;

    (void)state;
    assert_true(sizeof s < 600);
    sasl_init(&s);
    assert_string_equal(s.mechanism, "");
    assert_string_equal(s.user, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchanges),
        cmocka_unit_test(test_singles),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_account),
        cmocka_unit_test(test_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

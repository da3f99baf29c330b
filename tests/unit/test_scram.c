/* SCRAM: the vectors of RFC 5802 §5 and RFC 7677 §3, libgsasl in both roles, and all that must be
 * refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <gsasl.h>

#include "../../decoder/sasl.h"
#include "../../proxy/saslprep.h"
#include "../../proxy/scram.h"

static const struct scram_binding unbound = {.flag = 'n'};
static const struct scram_binding bound = {
    .flag = 'p', .type = "tls-exporter", .data = "12345678901234567890123456789012", .len = 32};

static struct buf text(void)
{
    struct buf b;

    buf_init(&b, 1 << 16);
    return b;
}

static void is(struct buf *b, const char *want)
{
    assert_int_equal(buf_add(b, "", 1), 0);
    assert_string_equal(b->p, want);
    b->len = 0;
}

static struct scram_keys keys_of(enum scram_hash hash, const char *password, const char *salt,
                                 unsigned iterations)
{
    struct scram_keys k = {.iterations = iterations};
    unsigned char salted[SCRAM_KEY_MAX];
    long n = sasl_base64(salt, strlen(salt), (char *)k.salt, sizeof k.salt);

    assert_true(n > 0);
    k.salt_len = (size_t)n;
    assert_true(scram_salt(hash, password, k.salt, k.salt_len, iterations, salted));
    assert_true(scram_keys(hash, salted, &k));
    return k;
}

/* ---- vectors ---- */

#define NONCE1 "fyko+d2lbbFgONRv9qkxdawL"
#define NONCE2 "rOprNGfwEbeRWgbNEkqO"
#define MORE1  "3rfcNHYJY1ZVvWVs7j"
#define MORE2  "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SALT1  "QSXCR+Q6sek8bf92"
#define SALT2  "W22ZaJ0SNY7soEsUEjb6gQ=="

/* The last one is computed by other means (Python's hashlib), of RFC 7677's values. */
static const struct vector {
    enum scram_hash hash;
    const char *nonce, *more, *salt, *proof, *signature;
} vectors[] = {
    {SCRAM_SHA_1, NONCE1, MORE1, SALT1, "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
     "rmF9pqV8S7suAoZWja4dJRkFsKQ="},
    {SCRAM_SHA_256, NONCE2, MORE2, SALT2, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
     "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
    {SCRAM_SHA_512, NONCE2, MORE2, SALT2,
     "gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
     "ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw=="},
};

static void both_roles(const struct vector *v)
{
    struct scram_keys keys = keys_of(v->hash, "pencil", v->salt, 4096);
    unsigned char salted[SCRAM_KEY_MAX];
    struct scram client, server;
    struct buf m = text(), want = text();
    struct error e;

    scram_init(&client, v->hash);
    scram_init(&server, v->hash);
    assert_int_equal(scram_client_first(&client, &unbound, "user", "", v->nonce, &m, &e), 0);
    assert_int_equal(scram_server_read_first(&server, false, false, m.p, m.len, &e), 0);
    assert_string_equal(server.user, "user");
    assert_int_equal(buf_printf(&want, "n,,n=user,r=%s%c", v->nonce, 0), 0);
    is(&m, want.p);

    assert_int_equal(scram_server_first(&server, &keys, v->more, &m, &e), 0);
    assert_int_equal(scram_client_read_first(&client, m.p, m.len, &e), 0);
    want.len = 0;
    assert_int_equal(buf_printf(&want, "r=%s%s,s=%s,i=4096%c", v->nonce, v->more, v->salt, 0), 0);
    is(&m, want.p);

    assert_int_equal(client.iterations, 4096);
    assert_true(scram_salt(v->hash, "pencil", client.salt, client.salt_len, 4096, salted));
    assert_int_equal(scram_client_final(&client, salted, &m, &e), 0);
    want.len = 0;
    assert_int_equal(buf_printf(&want, "c=biws,r=%s%s,p=%s%c", v->nonce, v->more, v->proof, 0), 0);
    assert_int_equal(buf_add(&m, "", 1), 0);
    assert_string_equal(m.p, want.p);

    want.len = 0;
    assert_int_equal(scram_server_final(&server, &keys, m.p, m.len - 1, &want, &e), 0);
    assert_int_equal(scram_client_check(&client, want.p, want.len, &e), 0);
    m.len = 0;
    assert_int_equal(buf_printf(&m, "v=%s%c", v->signature, 0), 0);
    is(&want, m.p);
    scram_free(&client);
    scram_free(&server);
    buf_free(&m);
    buf_free(&want);
}

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        both_roles(&vectors[i]);
}

/* ---- what a server sends that must be refused ---- */

#define OURS "abcdef"
#define GOOD "r=" OURS "XYZ,s=" SALT1 ",i=4096"

static const struct {
    const char *message, *kind;
} first_rows[] = {
    {GOOD, NULL},
    {GOOD ",h=extension", NULL},
    {"r=" OURS "XYZ,s=" SALT1 ",i=1000000", NULL},
    {"r=" OURS "XYZ,s=" SALT1 ",i=1000001", "iterations"},
    {"r=" OURS "XYZ,s=" SALT1 ",i=4095", "iterations"},
    {"r=" OURS "XYZ,s=" SALT1 ",i=99999999999999999999", "iterations"},
    {"r=" OURS "XYZ,s=" SALT1 ",i=0", "malformed"},
    {"r=" OURS "XYZ,s=" SALT1 ",i=-1", "malformed"},
    {"r=" OURS "XYZ,s=" SALT1 ",i=", "malformed"},
    {"r=" OURS "XYZ,s=" SALT1 ",i=4096x", "malformed"},
    {"r=" OURS "XYZ,s=" SALT1, "malformed"},
    {"r=" OURS "XYZ,i=4096", "malformed"},
    {"r=" OURS "XYZ,s=,i=4096", "malformed"},
    {"r=" OURS "XYZ,s=QSXCR+Q6sek8bf9,i=4096", "malformed"},
    {"r=" OURS "XYZ,s=!!!!,i=4096", "malformed"},
    {"r=" OURS ",s=" SALT1 ",i=4096", "nonce"},
    {"r=abcdeXYZ,s=" SALT1 ",i=4096", "nonce"},
    {"r=,s=" SALT1 ",i=4096", "malformed"},
    {"s=" SALT1 ",i=4096", "malformed"},
    {"m=x," GOOD, "extension"},
    {"v=" SALT1, "malformed"},
    {"e=unknown-user", "malformed"},
    {"r", "malformed"},
    {"", "malformed"},
};

static void test_server_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof first_rows / sizeof *first_rows; i++) {
        struct buf m = text();
        struct scram s;
        struct error e = {0};

        print_message("%s\n", first_rows[i].message);
        scram_init(&s, SCRAM_SHA_1);
        assert_int_equal(scram_client_first(&s, &unbound, "user", "", OURS, &m, &e), 0);
        assert_int_equal(scram_client_read_first(&s, first_rows[i].message,
                                                 strlen(first_rows[i].message), &e),
                         first_rows[i].kind ? ERR_SASL : 0);
        if (first_rows[i].kind) {
            assert_string_equal(e.kind, first_rows[i].kind);
            assert_int_equal(scram_client_final(&s, (const unsigned char *)"", &m, &e), ERR_SASL);
        }
        scram_free(&s);
        buf_free(&m);
    }
}

/* Whatever a server says last but the one right signature. */
static const struct {
    const char *message, *kind;
} last_rows[] = {
    {"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", NULL},
    {"v=rmF9pqV8S7suAoZWja4dJRkFsKR=", NULL}, /* base64's unused bits */
    {"v=rmF9pqV8S7suAoZWja4dJRkFsaQ=", "signature"},
    {"v=rmF9pqV8S7suAoZWja4dJRkF", "signature"},
    {"v=", "signature"},
    {"v=!!!!", "malformed"},
    {"e=other-error", "refused"},
    {"", "malformed"},
    {"r=x", "malformed"},
};

static void test_server_last(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof last_rows / sizeof *last_rows; i++) {
        static const char first[] = "r=" NONCE1 MORE1 ",s=" SALT1 ",i=4096";
        unsigned char salted[SCRAM_KEY_MAX];
        struct buf m = text();
        struct scram s;
        struct error e = {0};

        print_message("%s\n", last_rows[i].message);
        scram_init(&s, SCRAM_SHA_1);
        assert_int_equal(scram_client_first(&s, &unbound, "user", "", NONCE1, &m, &e), 0);
        assert_int_equal(scram_client_read_first(&s, first, sizeof first - 1, &e), 0);
        assert_true(scram_salt(SCRAM_SHA_1, "pencil", s.salt, s.salt_len, s.iterations, salted));
        assert_int_equal(scram_client_check(&s, "v=", 2, &e), ERR_SASL); /* too early */
        assert_int_equal(scram_client_final(&s, salted, &m, &e), 0);
        assert_int_equal(scram_client_check(&s, last_rows[i].message, strlen(last_rows[i].message),
                                            &e),
                         last_rows[i].kind ? ERR_SASL : 0);
        if (last_rows[i].kind)
            assert_string_equal(e.kind, last_rows[i].kind);
        scram_free(&s);
        buf_free(&m);
    }
}

/* ---- what a client sends ---- */

static const struct {
    const char *message, *kind;
    bool plus, offered;
    const char *user, *authzid;
} client_rows[] = {
    {"n,,n=user,r=abc", NULL, false, true, "user", ""},
    {"y,,n=user,r=abc", NULL, false, false, "user", ""},
    {"n,,n=user,r=abc,x=extension", NULL, false, false, "user", ""},
    {"n,a=boss,n=us=2Cer=3D,r=abc", NULL, false, false, "us,er=", "boss"},
    {"p=tls-unique,,n=user,r=abc", NULL, true, true, "user", ""},
    {"y,,n=user,r=abc", "binding", false, true, "", ""},
    {"n,,n=user,r=abc", "binding", true, true, "", ""},
    {"p=tls-unique,,n=user,r=abc", "binding", false, true, "", ""},
    {"n,,m=x,n=user,r=abc", "extension", false, false, "", ""},
    {"n,,n=us=2cer,r=abc", "malformed", false, false, "", ""},
    {"n,,n=us=,r=abc", "malformed", false, false, "", ""},
    {"n,,n=,r=abc", "malformed", false, false, "", ""},
    {"n,,n=user,r=", "malformed", false, false, "", ""},
    {"n,,n=user,r=a b", "malformed", false, false, "", ""},
    {"n,,n=user", "malformed", false, false, "", ""},
    {"n,,r=abc", "malformed", false, false, "", ""},
    {"n,a=,n=user,r=abc", "malformed", false, false, "", ""},
    {"n,n=user,r=abc", "malformed", false, false, "", ""},
    {"p=,,n=user,r=abc", "malformed", true, true, "", ""},
    {"p=a-name-of-a-binding-that-is-too-long,,n=user,r=abc", "malformed", true, true, "", ""},
    {"p,,n=user,r=abc", "malformed", true, true, "", ""},
    {"q,,n=user,r=abc", "malformed", false, false, "", ""},
    {"n", "malformed", false, false, "", ""},
    {"n,", "malformed", false, false, "", ""},
    {"n,,", "malformed", false, false, "", ""},
    {"", "malformed", false, false, "", ""},
};

static void test_client_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof client_rows / sizeof *client_rows; i++) {
        struct scram s;
        struct error e = {0};

        print_message("%s\n", client_rows[i].message);
        scram_init(&s, SCRAM_SHA_1);
        assert_int_equal(scram_server_read_first(&s, client_rows[i].plus, client_rows[i].offered,
                                                 client_rows[i].message,
                                                 strlen(client_rows[i].message), &e),
                         client_rows[i].kind ? ERR_SASL : 0);
        if (client_rows[i].kind) {
            assert_string_equal(e.kind, client_rows[i].kind);
        } else {
            assert_string_equal(s.user, client_rows[i].user);
            assert_string_equal(s.authzid, client_rows[i].authzid);
        }
        scram_free(&s);
    }
}

/* A client's whole login in which `change` was done to its last message. */
struct change {
    const char *name, *kind;
    const char *password;          /* the client's */
    struct scram_binding client, server; /* what each is bound by */
    const char *from, *to;         /* in the client's last message */
};

#define BOUND(bytes) {.flag = 'p', .type = "tls-exporter", .data = bytes, .len = sizeof bytes - 1}
static const struct change changes[] = {
    {"as it should be", NULL, "pencil", {.flag = 'n'}, {0}, NULL, NULL},
    {"bound", NULL, "pencil", BOUND("data"), BOUND("data"), NULL, NULL},
    {"wrong password", "proof", "pen", {.flag = 'n'}, {0}, NULL, NULL},
    {"other data", "binding", "pencil", BOUND("data"), BOUND("dat!"), NULL, NULL},
    {"longer data", "binding", "pencil", BOUND("data"), BOUND("data!"), NULL, NULL},
    {"no such binding here", "binding", "pencil", BOUND("data"), BOUND(""), NULL, NULL},
    {"empty data of a binding that is not here", "binding", "pencil", BOUND(""), BOUND(""), NULL, NULL},
    {"changed gs2 flag", "binding", "pencil", {.flag = 'n'}, {0}, "c=biws", "c=eSws"},
    {"binding not base64", "binding", "pencil", {.flag = 'n'}, {0}, "c=biws", "c=biw!"},
    {"no binding", "malformed", "pencil", {.flag = 'n'}, {0}, "c=biws,", ""},
    {"nonce changed", "nonce", "pencil", {.flag = 'n'}, {0}, "abc", "abd"},
    {"nonce cut", "nonce", "pencil", {.flag = 'n'}, {0}, "abcdef", "abc"},
    {"extension that must be known", "extension", "pencil", {.flag = 'n'}, {0}, ",r=", ",m=1,r="},
    {"proof not base64", "malformed", "pencil", {.flag = 'n'}, {0}, ",p=", ",p=!"},
    {"no proof", "malformed", "pencil", {.flag = 'n'}, {0}, ",p=", ",q="},
    {"proof too short", "malformed", "pencil", {.flag = 'n'}, {0}, ",p=", ",p=AAAA,p=AAAA,x="},
    {"something behind the proof", "malformed", "pencil", {.flag = 'n'}, {0}, ",p=", ",p=AAAA,"},
};

/* The first message as it goes, then the last with `from` made `to`. */
static void change_bytes(struct buf *m, const char *from, const char *to)
{
    struct buf out = text();
    char *at;

    assert_int_equal(buf_add(m, "", 1), 0);
    at = strstr(m->p, from);
    assert_non_null(at);
    assert_int_equal(buf_printf(&out, "%.*s%s%s", (int)(at - m->p), m->p, to, at + strlen(from)), 0);
    buf_free(m);
    *m = out;
}

static void log_in(enum scram_hash hash, const struct change *c)
{
    struct scram_keys keys = keys_of(hash, "pencil", SALT1, 4096);
    unsigned char salted[SCRAM_KEY_MAX];
    struct scram client, server;
    struct buf m = text(), answer = text();
    struct error e = {0};
    int err;

    print_message("%s, %s\n", scram_name(hash), c->name);
    scram_init(&client, hash);
    scram_init(&server, hash);
    assert_int_equal(scram_client_first(&client, &c->client, "user", "", "abc", &m, &e), 0);
    assert_int_equal(scram_server_read_first(&server, c->client.flag == 'p', true, m.p, m.len, &e),
                     0);
    m.len = 0;
    assert_int_equal(scram_server_final(&server, &keys, "c=biws", 6, &answer, &e), ERR_SASL);
    assert_string_equal(e.kind, "malformed"); /* too early */
    memcpy(server.binding.data, c->server.data, sizeof server.binding.data);
    server.binding.len = c->server.len;
    assert_int_equal(scram_server_first(&server, &keys, "def", &m, &e), 0);
    assert_int_equal(scram_client_read_first(&client, m.p, m.len, &e), 0);
    m.len = 0;
    assert_true(scram_salt(hash, c->password, client.salt, client.salt_len, client.iterations,
                           salted));
    assert_int_equal(scram_client_final(&client, salted, &m, &e), 0);
    if (c->from)
        change_bytes(&m, c->from, c->to);
    err = scram_server_final(&server, &keys, m.p, m.len, &answer, &e);
    assert_int_equal(err, c->kind ? ERR_SASL : 0);
    if (c->kind) {
        assert_string_equal(e.kind, c->kind);
        assert_int_equal(answer.len, 0);
        assert_int_equal(scram_server_final(&server, &keys, m.p, m.len, &answer, &e), ERR_SASL);
    } else {
        assert_int_equal(scram_client_check(&client, answer.p, answer.len, &e), 0);
    }
    scram_free(&client);
    scram_free(&server);
    buf_free(&m);
    buf_free(&answer);
}

static void test_client_final(void **state)
{
    (void)state;
    for (int h = 0; h < SCRAM_HASHES; h++)
        for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
            log_in((enum scram_hash)h, &changes[i]);
}

/* Cut anywhere, a client's last message is refused and nothing is read behind it. */
static void test_cut(void **state)
{
    struct scram_keys keys = keys_of(SCRAM_SHA_256, "pencil", SALT1, 4096);
    static const char whole[] = "c=biws,r=abcdef,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    (void)state;
    for (size_t n = 0; n < sizeof whole; n++) {
        char *copy = malloc(n + 1); /* exact, for the sanitizer */
        struct buf m = text();
        struct scram s;
        struct error e;

        assert_non_null(copy);
        memcpy(copy, whole, n);
        scram_init(&s, SCRAM_SHA_256);
        assert_int_equal(scram_server_read_first(&s, false, false, "n,,n=u,r=abc", 12, &e), 0);
        assert_int_equal(scram_server_first(&s, &keys, "def", &m, &e), 0);
        assert_int_equal(scram_server_final(&s, &keys, copy, n, &m, &e), ERR_SASL);
        scram_free(&s);
        buf_free(&m);
        free(copy);
    }
}

/* ---- against libgsasl ---- */

static int on_gsasl(Gsasl *g, Gsasl_session *s, Gsasl_property p)
{
    static const char data[] = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=";
    bool plus = strstr(gsasl_mechanism_name(s), "-PLUS") != NULL;

    (void)g;
    if (p == GSASL_AUTHID)
        return gsasl_property_set(s, p, "us,er=");
    if (p == GSASL_PASSWORD)
        return gsasl_property_set(s, p, "pencil");
    if (p == GSASL_SCRAM_ITER)
        return gsasl_property_set(s, p, "5000");
    if (p == GSASL_CB_TLS_EXPORTER && plus)
        return gsasl_property_set(s, p, data);
    return GSASL_NO_CALLBACK;
}

static const struct {
    enum scram_hash hash;
    const char *name;
    bool plus;
} gsasl_rows[] = {
    {SCRAM_SHA_1, "SCRAM-SHA-1", false},
    {SCRAM_SHA_1, "SCRAM-SHA-1-PLUS", true},
    {SCRAM_SHA_256, "SCRAM-SHA-256", false},
    {SCRAM_SHA_256, "SCRAM-SHA-256-PLUS", true},
};

static void begin_gsasl(Gsasl **g)
{
    assert_int_equal(gsasl_init(g), GSASL_OK);
    gsasl_callback_set(*g, on_gsasl);
}

/* `in` to libgsasl, its answer to `out`; both are used up. */
static int step(Gsasl_session *s, struct buf *in, struct buf *out)
{
    char *p = NULL;
    size_t n = 0;
    int rc = gsasl_step(s, in->p, in->len, &p, &n);

    in->len = out->len = 0;
    assert_int_equal(buf_add(out, p, n), 0);
    gsasl_free(p);
    return rc;
}

static void their_server(size_t row)
{
    unsigned char salted[SCRAM_KEY_MAX];
    enum scram_hash hash = gsasl_rows[row].hash;
    struct buf m = text(), answer = text();
    struct scram s;
    struct error e;
    Gsasl_session *server;
    Gsasl *g;

    begin_gsasl(&g);
    assert_int_equal(gsasl_server_start(g, gsasl_rows[row].name, &server), GSASL_OK);
    scram_init(&s, hash);
    assert_int_equal(scram_client_first(&s, gsasl_rows[row].plus ? &bound : &unbound, "us,er=", "",
                                        "abc", &m, &e),
                     0);
    assert_int_equal(step(server, &m, &answer), GSASL_NEEDS_MORE);
    assert_int_equal(scram_client_read_first(&s, answer.p, answer.len, &e), 0);
    assert_int_equal(s.iterations, 5000);
    assert_true(scram_salt(hash, "pencil", s.salt, s.salt_len, s.iterations, salted));
    assert_int_equal(scram_client_final(&s, salted, &m, &e), 0);
    assert_int_equal(step(server, &m, &answer), GSASL_OK);
    assert_int_equal(scram_client_check(&s, answer.p, answer.len, &e), 0);
    gsasl_finish(server);
    gsasl_done(g);
    scram_free(&s);
    buf_free(&m);
    buf_free(&answer);
}

static void their_client(size_t row)
{
    struct scram_keys keys = keys_of(gsasl_rows[row].hash, "pencil", SALT2, 4096);
    struct buf m = text(), answer = text();
    struct scram s;
    struct error e;
    Gsasl_session *client;
    Gsasl *g;

    begin_gsasl(&g);
    assert_int_equal(gsasl_client_start(g, gsasl_rows[row].name, &client), GSASL_OK);
    scram_init(&s, gsasl_rows[row].hash);
    assert_int_equal(step(client, &answer, &m), GSASL_NEEDS_MORE);
    assert_int_equal(scram_server_read_first(&s, gsasl_rows[row].plus, gsasl_rows[row].plus, m.p,
                                             m.len, &e),
                     0);
    assert_string_equal(s.user, "us,er=");
    if (gsasl_rows[row].plus) {
        assert_string_equal(s.binding.type, "tls-exporter");
        memcpy(s.binding.data, bound.data, sizeof bound.data);
        s.binding.len = bound.len;
    }
    assert_int_equal(scram_server_first(&s, &keys, "def", &answer, &e), 0);
    assert_int_equal(step(client, &answer, &m), GSASL_NEEDS_MORE);
    assert_int_equal(scram_server_final(&s, &keys, m.p, m.len, &answer, &e), 0);
    assert_int_equal(step(client, &answer, &m), GSASL_OK);
    gsasl_finish(client);
    gsasl_done(g);
    scram_free(&s);
    buf_free(&m);
    buf_free(&answer);
}

static void test_gsasl(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof gsasl_rows / sizeof *gsasl_rows; i++) {
        print_message("%s\n", gsasl_rows[i].name);
        their_server(i);
        their_client(i);
    }
}

/* ---- SASLprep: RFC 4013 §3, and its bounds ---- */

static void test_saslprep(void **state)
{
    static const struct {
        const char *in, *out;
        bool stored;
    } rows[] = {
        {"user", "user", true},
        {"USER", "USER", true},
        {"I\xc2\xadX", "IX", true},          /* soft hyphen: mapped to nothing */
        {"\xc2\xaa", "a", true},             /* NFKC */
        {"\xe2\x85\xa8", "IX", true},
        {"a\xc2\xa0" "b", "a b", true},      /* other spaces become a space */
        {"p\xc3\xa4ss", "p\xc3\xa4ss", true},
        {"pa\xcc\x88ss", "p\xc3\xa4ss", true},
        {"\x07", NULL, true},                /* control */
        {"\xd8\xa7" "1", NULL, true},        /* bidirectional */
        {"\xf0\x9f\x94\x91", NULL, true},    /* unassigned in Unicode 3.2 */
        {"\xf0\x9f\x94\x91", "\xf0\x9f\x94\x91", false},
        {"\xc3", NULL, true},                /* no UTF-8 */
        {"\xc2\xad", NULL, true},            /* nothing is left */
        {"", NULL, true},
    };
    static char many[SASLPREP_MAX + 2];
    char out[8 * SASLPREP_MAX], few[4];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        print_message("row %zu\n", i);
        assert_int_equal(saslprep(rows[i].in, out, sizeof out, rows[i].stored),
                         rows[i].out != NULL);
        assert_string_equal(out, rows[i].out ? rows[i].out : "");
    }
    memset(many, 'x', sizeof many - 1);
    assert_false(saslprep(many, out, sizeof out, true));
    many[SASLPREP_MAX] = '\0';
    assert_true(saslprep(many, out, sizeof out, true));
    assert_false(saslprep("user", few, sizeof few, true));
    assert_false(saslprep("\xe2\x85\xa7", few, sizeof few, true)); /* VIII */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_server_first),
        cmocka_unit_test(test_server_last),
        cmocka_unit_test(test_client_first),
        cmocka_unit_test(test_client_final),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_gsasl),
        cmocka_unit_test(test_saslprep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

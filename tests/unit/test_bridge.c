/* The bridge between a client and a server that are played here, both with real SCRAM. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../decoder/sasl.h"
#include "../../proxy/bridge.h"
#include "../../proxy/bridge_sasl.h"

#define EXPORTER  1u
#define UNIQUE    2u
#define END_POINT 4u
#define PLUS_AND_ALL                                                                               \
    "SCRAM-SHA-512-PLUS SCRAM-SHA-512 SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS "          \
    "SCRAM-SHA-1 PLAIN"

/* A login: what the server offers and knows, what the client does, what must come of it. */
struct row {
    const char *name;
    const char *offers;        /* the server's mechanisms, parted by spaces */
    const char *types;         /* its XEP-0440, or NULL: it has none */
    unsigned server_tls, client_tls; /* bindings of each leg; ~0u: no TLS there */
    bool account;
    const char *offered;       /* the mechanisms that the client must see */
    const char *offered_types; /* and the types; NULL: none */
    const char *mechanism, *type, *password; /* the client's */
    const char *refuse;        /* the server refuses this binding or mechanism ... */
    const char *failure;       /* ... in these words */
    const char *tried;         /* what the server must see, parted by "; " */
    const char *result;        /* "success", or what <failure/> must hold */
    char gs2;                  /* client: 0 for what fits its mechanism */
    const char *user;          /* client: NULL for alice */
    const char *v;             /* server: a wrong signature */
    unsigned iterations;       /* server: 0 for 4096 */
    bool apart;                /* server: v= in a challenge of its own */
};

#define INVALID_BINDING "<not-authorized/><text>Invalid channel binding</text>"

static const struct row rows[] = {
    {"PLAIN becomes the strongest", PLUS_AND_ALL, "tls-exporter tls-server-end-point",
     EXPORTER | END_POINT, EXPORTER | END_POINT, false, "PLAIN", NULL, "PLAIN", NULL, "pencil",
     NULL, NULL, "SCRAM-SHA-512-PLUS tls-exporter", "success", 0, NULL, NULL, 0, false},
    {"XEP-0440 decides the type", PLUS_AND_ALL, "tls-server-end-point",
     EXPORTER | END_POINT, EXPORTER | END_POINT, false, "PLAIN", NULL, "PLAIN", NULL, "pencil",
     NULL, NULL, "SCRAM-SHA-512-PLUS tls-server-end-point", "success", 0, NULL, NULL, 0, false},
    {"TLS 1.2", "SCRAM-SHA-1-PLUS SCRAM-SHA-1", NULL, UNIQUE | END_POINT, UNIQUE | END_POINT, false,
     "PLAIN", NULL, "PLAIN", NULL, "pencil", NULL, NULL, "SCRAM-SHA-1-PLUS tls-unique", "success",
     0, NULL, NULL, 0, false},
    {"no type that we have", "SCRAM-SHA-1-PLUS SCRAM-SHA-1", "tls-unique", EXPORTER, EXPORTER,
     false, "PLAIN", NULL, "PLAIN", NULL, "pencil", NULL, NULL, "SCRAM-SHA-1 n", "success", 0, NULL,
     NULL, 0, false},
    {"only PLAIN", "PLAIN", NULL, EXPORTER, EXPORTER, false, "PLAIN", NULL, "PLAIN", NULL, "pencil",
     NULL, NULL, "PLAIN", "success", 0, NULL, NULL, 0, false},
    {"unknown mechanisms are left alone", "X-OAUTH2 SCRAM-SHA-256 EXTERNAL", NULL, EXPORTER,
     EXPORTER, false, "PLAIN", NULL, "PLAIN", NULL, "pencil", NULL, NULL, "SCRAM-SHA-256 n",
     "success", 0, NULL, NULL, 0, false},
    {"wrong password", PLUS_AND_ALL, NULL, EXPORTER, EXPORTER, false, "PLAIN", NULL, "PLAIN", NULL,
     "pen", NULL, NULL, "SCRAM-SHA-512-PLUS tls-exporter", "<text>the server's own words</text>", 0,
     NULL, NULL, 0, false},
    {"binding refused: the next type", "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256", NULL,
     EXPORTER | END_POINT, EXPORTER, false, "PLAIN", NULL, "PLAIN", NULL, "pencil", "tls-exporter",
     INVALID_BINDING,
     "SCRAM-SHA-256-PLUS tls-exporter; SCRAM-SHA-256-PLUS tls-server-end-point", "success", 0, NULL,
     NULL, 0, false},
    {"binding refused: without", "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-1", NULL, EXPORTER,
     EXPORTER, false, "PLAIN", NULL, "PLAIN", NULL, "pencil", "tls-exporter",
     "<malformed-request/>", "SCRAM-SHA-256-PLUS tls-exporter; SCRAM-SHA-1 n", "success", 0, NULL,
     NULL, 0, false},
    {"mechanism refused", "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN", NULL, EXPORTER, EXPORTER, false,
     "PLAIN", NULL, "PLAIN", NULL, "pencil", "SCRAM-SHA-256", "<invalid-mechanism/>",
     "SCRAM-SHA-256 n; SCRAM-SHA-1 n", "success", 0, NULL, NULL, 0, false},
    {"a refused account is no reason to go on", "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN", NULL, EXPORTER,
     EXPORTER, false, "PLAIN", NULL, "PLAIN", NULL, "pencil", "SCRAM-SHA-256",
     "<account-disabled/>", "SCRAM-SHA-256 n", "<account-disabled/>", 0, NULL, NULL, 0, false},
    {"a server that does not know the password", "SCRAM-SHA-256 PLAIN", NULL, EXPORTER, EXPORTER,
     false, "PLAIN", NULL, "PLAIN", NULL, "pencil", NULL, NULL, "SCRAM-SHA-256 n",
     "<temporary-auth-failure", 0, NULL, "v=AAAA", 0, false},
    {"the same, in a challenge", "SCRAM-SHA-256 PLAIN", NULL, EXPORTER, EXPORTER,
     false, "PLAIN", NULL, "PLAIN", NULL, "pencil", NULL, NULL, "SCRAM-SHA-256 n; abort",
     "<temporary-auth-failure", 0, NULL, "v=AAAA", 0, true},
    {"too many iterations", "SCRAM-SHA-256 PLAIN", NULL, EXPORTER, EXPORTER, false, "PLAIN", NULL,
     "PLAIN", NULL, "pencil", NULL, NULL, "SCRAM-SHA-256 n; abort", "<temporary-auth-failure", 0,
     NULL, NULL, 10000000, false},
    {"too few", "SCRAM-SHA-256 PLAIN", NULL, EXPORTER, EXPORTER, false, "PLAIN", NULL,
     "PLAIN", NULL, "pencil", NULL, NULL, "SCRAM-SHA-256 n; abort", "<temporary-auth-failure", 0,
     NULL, NULL, 1, false},
    {"v= in a challenge", "SCRAM-SHA-256", NULL, EXPORTER, EXPORTER, false, "PLAIN", NULL, "PLAIN",
     NULL, "pencil", NULL, NULL, "SCRAM-SHA-256 n", "success", 0, NULL, NULL, 0, true},
    {"no TLS at the client: nothing for it", PLUS_AND_ALL, NULL, EXPORTER, ~0u, false, "", NULL,
     "PLAIN", NULL, "pencil", NULL, NULL, "", "<encryption-required", 0, NULL, NULL, 0, false},
    {"no TLS at the server: no PLAIN there", "PLAIN", NULL, ~0u, EXPORTER, false, "", NULL, "PLAIN",
     NULL, "pencil", NULL, NULL, "", "<invalid-mechanism", 0, NULL, NULL, 0, false},
    {"nothing that can be bridged", "EXTERNAL GSSAPI", NULL, EXPORTER, EXPORTER, false, "", NULL,
     "PLAIN", NULL, "pencil", NULL, NULL, "", "<invalid-mechanism", 0, NULL, NULL, 0, false},
    {"SCRAM without an account", PLUS_AND_ALL, NULL, EXPORTER, EXPORTER, false, "PLAIN", NULL,
     "SCRAM-SHA-1", NULL, "pencil", NULL, NULL, "", "<invalid-mechanism", 0, NULL, NULL, 0, false},

    {"account: the very list", PLUS_AND_ALL, "tls-exporter tls-server-end-point",
     EXPORTER | END_POINT, UNIQUE | END_POINT, true, PLUS_AND_ALL, "tls-unique tls-server-end-point",
     "SCRAM-SHA-1-PLUS", "tls-unique", "pencil", NULL, NULL, "SCRAM-SHA-512-PLUS tls-exporter",
     "success", 0, NULL, NULL, 0, false},
    {"account: PLUS needs TLS at the client", "SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN", "tls-exporter",
     EXPORTER, ~0u, true, "SCRAM-SHA-1", NULL, "SCRAM-SHA-1", NULL, "pencil", NULL, NULL,
     "SCRAM-SHA-1-PLUS tls-exporter", "success", 0, NULL, NULL, 0, false},
    {"account: SCRAM-SHA-512-PLUS at both ends", "SCRAM-SHA-512-PLUS", NULL, EXPORTER,
     EXPORTER, true, "SCRAM-SHA-512-PLUS", NULL, "SCRAM-SHA-512-PLUS", "tls-exporter", "pencil",
     NULL, NULL, "SCRAM-SHA-512-PLUS tls-exporter", "success", 0, NULL, NULL, 0, false},
    {"account: PLAIN", "SCRAM-SHA-256 PLAIN", NULL, EXPORTER, EXPORTER, true, "SCRAM-SHA-256 PLAIN",
     NULL, "PLAIN", NULL, "pencil", NULL, NULL, "SCRAM-SHA-256 n", "success", 0, NULL, NULL, 0,
     false},
    {"account: wrong password, SCRAM", "SCRAM-SHA-256", NULL, EXPORTER, EXPORTER, true,
     "SCRAM-SHA-256", NULL, "SCRAM-SHA-256", NULL, "pen", NULL, NULL, "", "<not-authorized", 0,
     NULL, NULL, 0, false},
    {"account: wrong password, PLAIN", "PLAIN", NULL, EXPORTER, EXPORTER, true, "PLAIN", NULL,
     "PLAIN", NULL, "pen", NULL, NULL, "", "<not-authorized", 0, NULL, NULL, 0, false},
    {"account: another name, SCRAM", "SCRAM-SHA-256", NULL, EXPORTER, EXPORTER, true,
     "SCRAM-SHA-256", NULL, "SCRAM-SHA-256", NULL, "pencil", NULL, NULL, "", "<not-authorized", 0,
     "bob", NULL, 0, false},
    {"account: another name, PLAIN", "PLAIN", NULL, EXPORTER, EXPORTER, true, "PLAIN", NULL,
     "PLAIN", NULL, "pencil", NULL, NULL, "", "<not-authorized", 0, "bob", NULL, 0, false},
    {"account: the client's binding is not ours", "SCRAM-SHA-1-PLUS", NULL, EXPORTER, EXPORTER,
     true, "SCRAM-SHA-1-PLUS", NULL, "SCRAM-SHA-1-PLUS", "tls-forged", "pencil", NULL, NULL, "",
     "<malformed-request", 0, NULL, NULL, 0, false},
    {"account: y, though there is binding", "SCRAM-SHA-1-PLUS SCRAM-SHA-1", NULL, EXPORTER,
     EXPORTER, true, "SCRAM-SHA-1-PLUS SCRAM-SHA-1", NULL, "SCRAM-SHA-1", NULL, "pencil", NULL,
     NULL, "", "<malformed-request", 'y', NULL, NULL, 0, false},
    {"account: y where there is none", "SCRAM-SHA-1", NULL, EXPORTER, EXPORTER, true, "SCRAM-SHA-1",
     NULL, "SCRAM-SHA-1", NULL, "pencil", NULL, NULL, "SCRAM-SHA-1 n", "success", 'y', NULL, NULL,
     0, false},
};

struct world {
    const struct row *r;
    struct bridge *bridge;
    struct reader *reader;
    struct reader_stream stream[2];
    struct buf to[2];         /* by enum dir, not yet read by its reader */
    struct buf reasons, tried;
    struct scram client, server;
    struct scram_keys keys;
    unsigned char salted[SCRAM_KEY_MAX];
    bool salting, server_failed, over;
    int nonces;
    char result[512];
    enum bridge_turn turn;
};

static void put(struct buf *b, const char *p, size_t n)
{
    assert_int_equal(buf_add(b, p, n), 0);
}

static const char *text_of(struct buf *b)
{
    put(b, "", 1);
    b->len--;
    return b->p;
}

/* ---- what the bridge asks and tells ---- */

static void on_edit(void *arg, enum dir dir, const char *p, size_t n, const char *sent,
                    size_t sent_len, const char *reason)
{
    struct world *w = arg;

    (void)p, (void)n;
    assert_true(strncmp(reason, "bridge: ", 8) == 0);
    put(&w->reasons, reason, strlen(reason));
    put(&w->to[dir], sent, sent_len);
}

static void on_forward(void *arg, enum dir dir, const char *p, size_t n)
{
    put(&((struct world *)arg)->to[dir], p, n);
}

static unsigned leg(const struct world *w, enum side side)
{
    return side == SIDE_CLIENT ? w->r->client_tls : w->r->server_tls;
}

static bool on_secure(void *arg, enum side side)
{
    return leg(arg, side) != ~0u;
}

static void bind_as(struct scram_binding *b, enum side side, const char *type)
{
    *b = (struct scram_binding){.flag = 'p'};
    snprintf(b->type, sizeof b->type, "%s", type);
    b->len = (size_t)snprintf((char *)b->data, sizeof b->data, "%s of the %s", type,
                              side_name(side));
}

static bool on_binding(void *arg, enum side side, enum cb_type type, struct scram_binding *b)
{
    if (leg(arg, side) == ~0u || !(leg(arg, side) >> type & 1))
        return false;
    bind_as(b, side, cb_name(type));
    return true;
}

static const char *on_domain(void *arg)
{
    (void)arg;
    return "example.org";
}

static bool on_nonce(void *arg, char out[BRIDGE_NONCE_BYTES])
{
    snprintf(out, BRIDGE_NONCE_BYTES, "nonce%d", ++((struct world *)arg)->nonces);
    return true;
}

static bool on_salt(void *arg, enum scram_hash hash, const char *password,
                    const unsigned char *salt, size_t salt_len, unsigned iterations)
{
    struct world *w = arg;

    assert_false(w->salting);
    w->salting = true;
    return scram_salt(hash, password, salt, salt_len, iterations, w->salted);
}

static void on_fail(void *arg, const struct error *e)
{
    assert_true(*e->detail);
    ((struct world *)arg)->over = true;
}

static const struct bridge_user user = {
    .edit = on_edit,
    .forward = on_forward,
    .secure = on_secure,
    .binding = on_binding,
    .domain = on_domain,
    .nonce = on_nonce,
    .salt = on_salt,
    .fail = on_fail,
};

/* ---- the server ---- */

static void server_fails(struct world *w, const char *what)
{
    assert_int_equal(buf_printf(&w->to[DIR_S2C], "<failure xmlns='" SASL_NS "'>%s</failure>", what),
                     0);
}

static void server_speaks(struct world *w, const struct item *it)
{
    const struct row *r = w->r;
    char text[SASL_TEXT_MAX], mechanism[64], answer[SCRAM_MESSAGE_MAX];
    struct error e = {0};
    struct buf m;
    bool none;
    long n = sasl_get(it, text, sizeof text, &none);

    assert_true(n >= 0);
    buf_init(&m, 1 << 16);
    if (item_is(it, 0, SASL_NS, "abort")) {
        put(&w->tried, "; abort", 7);
        server_fails(w, "<aborted/>");
    } else if (item_is(it, 0, SASL_NS, "auth")) {
        enum mechanism which = mechanism_by_name(item_attr(it, 0, "mechanism"));
        enum scram_hash hash;

        snprintf(mechanism, sizeof mechanism, "%s", mechanism_name(which));
        assert_int_equal(buf_printf(&w->tried, "%s%s", w->tried.len ? "; " : "", mechanism), 0);
        if (!mechanism_hash(which, &hash)) {
            assert_memory_equal(text, "\0alice\0", 7);
            if (n == 13 && memcmp(text + 7, "pencil", 6) == 0)
                put(&w->to[DIR_S2C], "<success xmlns='" SASL_NS "'/>",
                    strlen("<success xmlns='" SASL_NS "'/>"));
            else
                server_fails(w, "<not-authorized/><text>the server's own words</text>");
        } else {
            scram_free(&w->server);
            scram_init(&w->server, hash);
            assert_int_equal(scram_server_read_first(&w->server, mechanism_is_plus(which), true,
                                                     text, (size_t)n, &e),
                             0);
            assert_string_equal(w->server.user, "alice");
            assert_int_equal(buf_printf(&w->tried, " %s",
                                        w->server.binding.flag == 'p' ? w->server.binding.type : "n"),
                             0);
            if (r->refuse && (strcmp(r->refuse, w->server.binding.type) == 0 ||
                              strcmp(r->refuse, mechanism) == 0)) {
                server_fails(w, r->failure);
            } else {
                assert_true(scram_salt(hash, "pencil", (const unsigned char *)"salt", 4, 4096,
                                       w->salted));
                memcpy(w->keys.salt, "salt", 4);
                w->keys.salt_len = 4;
                w->keys.iterations = r->iterations ? r->iterations : 4096;
                assert_true(scram_keys(hash, w->salted, &w->keys));
                assert_int_equal(scram_server_first(&w->server, &w->keys, "server", &m, &e), 0);
                assert_int_equal(sasl_put(&w->to[DIR_S2C], "challenge", NULL, m.p, m.len), 0);
            }
        }
    } else if (n == 0) {
        assert_true(r->apart);
        assert_int_equal(sasl_put(&w->to[DIR_S2C], "success", NULL, NULL, 0), 0);
    } else {
        if (w->server.binding.flag == 'p') {
            snprintf(answer, sizeof answer, "%s", w->server.binding.type);
            bind_as(&w->server.binding, SIDE_SERVER, answer);
        }
        if (scram_server_final(&w->server, &w->keys, text, (size_t)n, &m, &e))
            server_fails(w, "<not-authorized/><text>the server's own words</text>");
        else
            assert_int_equal(sasl_put(&w->to[DIR_S2C], r->apart ? "challenge" : "success", NULL,
                                      r->v ? r->v : m.p, r->v ? strlen(r->v) : m.len),
                             0);
    }
    buf_free(&m);
}

/* ---- the client ---- */

static void client_begins(struct world *w)
{
    const struct row *r = w->r;
    const char *name = r->user ? r->user : "alice";
    struct scram_binding b = {.flag = r->gs2 ? r->gs2 : 'n'};
    struct buf m, out;
    enum scram_hash hash;
    struct error e;

    buf_init(&m, 1 << 16);
    buf_init(&out, 1 << 16);
    if (mechanism_hash(mechanism_by_name(r->mechanism), &hash)) {
        if (r->type)
            bind_as(&b, SIDE_CLIENT, r->type);
        scram_init(&w->client, hash);
        assert_int_equal(scram_client_first(&w->client, &b, name, "", "client", &m, &e), 0);
    } else {
        assert_int_equal(buf_printf(&m, "%c%s%c%s", 0, name, 0, r->password), 0);
    }
    assert_int_equal(sasl_put(&out, "auth", r->mechanism, m.p, m.len), 0);
    w->turn = bridge_item(w->bridge, DIR_C2S, &w->stream[DIR_C2S], out.p, out.len);
    buf_free(&m);
    buf_free(&out);
}

static void client_hears(struct world *w, const struct item *it)
{
    char text[SASL_TEXT_MAX];
    unsigned char salted[SCRAM_KEY_MAX];
    struct scram *s = &w->client;
    struct error e;
    struct buf m, out;
    bool none;
    long n;

    if (item_is(it, 0, SASL_NS, "failure")) {
        snprintf(w->result, sizeof w->result, "%.*s", (int)it->len, it->p);
        return;
    }
    n = sasl_get(it, text, sizeof text, &none);
    assert_true(n >= 0);
    if (item_is(it, 0, SASL_NS, "success")) {
        if (strcmp(w->r->mechanism, "PLAIN") == 0)
            assert_int_equal(n, 0);
        else
            assert_int_equal(scram_client_check(s, text, (size_t)n, &e), 0);
        snprintf(w->result, sizeof w->result, "success");
        return;
    }
    assert_true(item_is(it, 0, SASL_NS, "challenge"));
    buf_init(&m, 1 << 16);
    buf_init(&out, 1 << 16);
    assert_int_equal(scram_client_read_first(s, text, (size_t)n, &e), 0);
    assert_true(scram_salt(s->hash, w->r->password, s->salt, s->salt_len, s->iterations, salted));
    assert_int_equal(scram_client_final(s, salted, &m, &e), 0);
    assert_int_equal(sasl_put(&out, "response", NULL, m.p, m.len), 0);
    w->turn = bridge_item(w->bridge, DIR_C2S, &w->stream[DIR_C2S], out.p, out.len);
    buf_free(&m);
    buf_free(&out);
}

/* ---- a login ---- */

static void add_features(struct buf *b, const char *mechanisms, const char *types)
{
    char words[512], *word, *rest;

    assert_int_equal(buf_str(b, "<features xmlns='http://etherx.jabber.org/streams'>\n "), 0);
    if (*mechanisms) {
        snprintf(words, sizeof words, "%s", mechanisms);
        assert_int_equal(buf_str(b, "<mechanisms xmlns='" SASL_NS "'>"), 0);
        for (word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
            assert_int_equal(buf_printf(b, "<mechanism>%s</mechanism>", word), 0);
        assert_int_equal(buf_str(b, "</mechanisms>"), 0);
    }
    assert_int_equal(buf_str(b, "<ver xmlns='x'><y/></ver>"), 0);
    if (types) {
        snprintf(words, sizeof words, "%s", types);
        assert_int_equal(buf_str(b, "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"), 0);
        for (word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
            assert_int_equal(buf_printf(b, "<channel-binding type='%s'/>", word), 0);
        assert_int_equal(buf_str(b, "</sasl-channel-binding>"), 0);
    }
    assert_int_equal(buf_str(b, "</features>"), 0);
}

/* SASL2 stands between, and goes. */
static void offer(struct world *w, bool early)
{
    static const char sasl2[] = "<authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN"
                                "</mechanism><inline><a xmlns='b'/></inline></authentication>";
    struct buf got, want, all;
    struct features_edit wished;
    const char *at;

    buf_init(&all, 1 << 16);
    buf_init(&got, 1 << 16);
    buf_init(&want, 1 << 16);
    add_features(&got, w->r->offers, w->r->types);
    add_features(&want, w->r->offered, w->r->offered_types);
    at = strstr(text_of(&got), "<ver ");
    assert_int_equal(buf_printf(&w->to[DIR_C2S], "%.*s%s%s", (int)(at - got.p), got.p, sasl2, at), 0);
    if (early) { /* the client does not wait for them */
        client_begins(w);
        assert_int_equal(w->turn, BRIDGE_SERVER);
    }
    assert_int_equal(buf_add(&all, w->to[DIR_C2S].p, w->to[DIR_C2S].len), 0);
    w->to[DIR_C2S].len = 0;
    features_edit_init(&wished);
    w->turn = bridge_features(w->bridge, &w->stream[DIR_S2C], &wished, all.p, all.len);
    features_edit_free(&wished);
    text_of(&w->to[DIR_S2C]);
    assert_memory_equal(w->to[DIR_S2C].p, text_of(&want), want.len);
    buf_drop(&w->to[DIR_S2C], want.len);
    buf_free(&all);
    buf_free(&got);
    buf_free(&want);
}

/* Whoever was sent something speaks, until nobody was. */
static void play(struct world *w)
{
    const struct item *it;
    struct buf b;

    for (int i = 0; i < 40; i++) {
        if (w->salting) {
            assert_int_equal(w->turn, BRIDGE_SERVER);
            w->salting = false;
            w->turn = bridge_salted(w->bridge, w->salted);
        } else if (w->to[DIR_S2C].len) {
            buf_init(&b, 1 << 16);
            put(&b, w->to[DIR_S2C].p, w->to[DIR_S2C].len);
            w->to[DIR_S2C].len = 0;
            assert_int_equal(reader_item(w->reader, &w->stream[DIR_S2C], b.p, b.len, &it, NULL), 0);
            client_hears(w, it);
            buf_free(&b);
        } else if (w->to[DIR_C2S].len) {
            assert_int_equal(w->turn, BRIDGE_SERVER);
            assert_int_equal(reader_item(w->reader, &w->stream[DIR_C2S], w->to[DIR_C2S].p,
                                         w->to[DIR_C2S].len, &it, NULL),
                             0);
            w->to[DIR_C2S].len = 0;
            buf_init(&b, 1 << 16);
            assert_int_equal(w->to[DIR_S2C].len, 0);
            server_speaks(w, it);
            put(&b, w->to[DIR_S2C].p, w->to[DIR_S2C].len);
            w->to[DIR_S2C].len = 0;
            w->turn = bridge_item(w->bridge, DIR_S2C, &w->stream[DIR_S2C], b.p, b.len);
            buf_free(&b);
        } else {
            return;
        }
    }
    fail_msg("they never stop talking");
}

static struct account *alice(const char *mode, struct error *e)
{
    char path[] = "/tmp/xmpptap-account-XXXXXX";
    struct account *a;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "pencil\n", 7), 7);
    assert_int_equal(fchmod(fd, (mode_t)strtoul(mode, NULL, 8)), 0);
    close(fd);
    a = account_open("alice@example.org", path, e);
    unlink(path);
    return a;
}

static void begin(struct world *w, const struct row *r, struct account *a)
{
    *w = (struct world){.r = r, .reader = reader_new()};
    print_message("%s\n", r->name);
    for (int i = 0; i < 2; i++) {
        reader_stream_init(&w->stream[i]);
        buf_init(&w->to[i], 1 << 16);
    }
    buf_init(&w->reasons, 1 << 16);
    buf_init(&w->tried, 1 << 16);
    scram_init(&w->server, SCRAM_SHA_1);
    scram_init(&w->client, SCRAM_SHA_1);
    w->bridge = bridge_new(&user, w, w->reader, r->account ? a : NULL);
    assert_non_null(w->bridge);
}

static void end(struct world *w)
{
    bridge_free(w->bridge);
    scram_free(&w->server);
    scram_free(&w->client);
    for (int i = 0; i < 2; i++) {
        reader_stream_free(&w->stream[i]);
        buf_free(&w->to[i]);
    }
    buf_free(&w->reasons);
    buf_free(&w->tried);
    reader_free(w->reader);
}

static void log_in(const struct row *r, struct account *a, bool early)
{
    struct world w;

    begin(&w, r, a);
    offer(&w, early);
    if (!early)
        client_begins(&w);
    play(&w);
    assert_string_equal(text_of(&w.tried), r->tried);
    if (!strstr(w.result, r->result))
        fail_msg("the client got %s, and not %s (%s)", w.result, r->result, text_of(&w.reasons));
    assert_int_equal(w.turn == BRIDGE_DONE, strcmp(r->result, "success") == 0);
    assert_int_equal(w.over, r->v && !r->apart);
    assert_null(strstr(text_of(&w.reasons), "pencil"));
    end(&w);
}

static void test_rows(void **state)
{
    struct error e = {0};
    struct account *a = alice("600", &e);

    (void)state;
    assert_non_null(a);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int early = 0; early < 2; early++)
            log_in(&rows[i], a, early);
    account_free(a);
}

/* ---- a server that speaks when it is not its turn ---- */

static void server_says(struct world *w, const char *item)
{
    w->to[DIR_S2C].len = w->to[DIR_C2S].len = 0;
    w->turn = bridge_item(w->bridge, DIR_S2C, &w->stream[DIR_S2C], item, strlen(item));
}

static const char *heard(struct world *w)
{
    return text_of(&w->to[DIR_S2C]);
}

/* To a client in the middle of its own login with us any of it would be an answer. */
static void test_unasked(void **state)
{
    struct world w;

    (void)state;
    begin(&w, &rows[0], NULL);
    offer(&w, false);
    server_says(&w, "<failure xmlns='" SASL_NS "'><aborted/></failure>");
    assert_string_equal(heard(&w), "");
    assert_int_equal(w.turn, BRIDGE_CLIENT);
    assert_false(w.over);
    server_says(&w, "<success xmlns='" SASL_NS "'/>");
    assert_null(strstr(heard(&w), "<success"));
    assert_true(w.over);
    end(&w);
}

/* Other features would make of our SCRAM a PLAIN, which needs no proof of the server's. */
static void test_features_in_a_login(void **state)
{
    static const char features[] =
        "<features xmlns='http://etherx.jabber.org/streams'><mechanisms xmlns='" SASL_NS
        "'><mechanism>PLAIN</mechanism></mechanisms></features>";
    struct features_edit wished;
    struct world w;

    (void)state;
    begin(&w, &rows[0], NULL);
    offer(&w, false);
    client_begins(&w);
    w.to[DIR_C2S].len = 0;
    features_edit_init(&wished);
    w.turn = bridge_features(w.bridge, &w.stream[DIR_S2C], &wished, features, strlen(features));
    features_edit_free(&wished);
    assert_null(strstr(heard(&w), "<features"));
    assert_non_null(strstr(heard(&w), "<temporary-auth-failure"));
    assert_true(w.over);
    end(&w);
}

/* A server that we refuse may never answer the <abort/>. */
static void test_client_is_told_at_once(void **state)
{
    struct world w;

    (void)state;
    begin(&w, &rows[0], NULL);
    offer(&w, false);
    client_begins(&w);
    server_says(&w, "<challenge xmlns='" SASL_NS "'>!</challenge>");
    assert_non_null(strstr(text_of(&w.to[DIR_C2S]), "<abort"));
    assert_non_null(strstr(heard(&w), "<temporary-auth-failure"));
    assert_int_equal(w.turn, BRIDGE_SERVER);
    server_says(&w, "<failure xmlns='" SASL_NS "'><aborted/></failure>");
    assert_string_equal(heard(&w), "");
    assert_int_equal(w.turn, BRIDGE_CLIENT);
    assert_false(w.over);
    end(&w);
}

/* A password that others can read is none. */
static void test_account(void **state)
{
    struct error e = {0};
    struct account *a = alice("640", &e);

    (void)state;
    assert_null(a);
    assert_int_equal(e.code, ERR_USAGE);
    assert_non_null(strstr(e.detail, "chmod 600"));
    assert_null(account_open("alice", "/dev/null", &e));
    assert_non_null(strstr(e.detail, "LOCALPART@DOMAIN"));
    assert_null(account_open("alice@example.org", "/dev/null", &e));
    assert_non_null(strstr(e.detail, "first line"));
    assert_null(account_open("alice@example.org", "/nowhere", &e));
    assert_int_equal(e.code, ERR_IO);
    a = alice("400", &e);
    assert_non_null(a);
    assert_string_equal(a->password, "pencil");
    assert_true(account_is(a, "alice", "example.org"));
    assert_true(account_is(a, "Alice", "Example.org"));
    assert_false(account_is(a, "alic", "example.org"));
    assert_false(account_is(a, "alice", "example.com"));
    assert_true(account_password_is(a, "pencil"));
    assert_false(account_password_is(a, "pencils"));
    assert_false(account_password_is(a, "Pencil"));
    assert_false(account_password_is(a, ""));
    account_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_unasked),
        cmocka_unit_test(test_features_in_a_login),
        cmocka_unit_test(test_client_is_told_at_once),
        cmocka_unit_test(test_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

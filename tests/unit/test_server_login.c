/* The embedded server's logins: SCRAM with libgsasl as the client, what a client does wrong, and in
 * which words it is told. */
#include "server_tests.h"

#include <gsasl.h>

#include "../../decoder/sasl.h"
#include "../../proxy/channel_binding.h"
#include "../../proxy/server/credentials.h"

#define EXPORTER "12345678901234567890123456789012"

/* What the connection is bound by in these tests. */
static bool binding(void *arg, enum cb_type type, struct scram_binding *b)
{
    if (!arg || type != CB_EXPORTER)
        return false;
    memcpy(b->data, EXPORTER, 32);
    b->len = 32;
    return true;
}

static struct world *closed_world(void)
{
    struct world *w = new_world("modern");
    struct user *u = world_make(w, "ann", "example.org");

    assert_non_null(u);
    assert_int_equal(credentials_set(&u->credentials, "secret", NULL), 0);
    assert_non_null(world_make(w, "nopass", "example.org"));
    w->closed = true;
    return w;
}

static void open_bindable(struct link *l, struct world *w, bool bindable)
{
    struct server_options o = {.world = w, .stream_id = STREAM_ID, .binding = binding,
                               .binding_arg = bindable ? w : NULL};

    *l = (struct link){.s = server_new(&o)};
    assert_non_null(l->s);
    buf_init(&l->got, 1u << 20);
    server_tls(l->s);
    feed(l, OPEN);
    assert_non_null(strstr(got(l), "</stream:features>"));
}

static void send_base64(struct link *l, const char *open, const char *p, size_t n, const char *close)
{
    struct buf b;

    buf_init(&b, 1 << 16);
    assert_int_equal(buf_str(&b, open), 0);
    assert_int_equal(buf_base64(&b, p, n), 0);
    assert_int_equal(buf_str(&b, close), 0);
    feed_bytes(l, b.p, b.len);
    buf_free(&b);
}

/* The data of `<name ...>data</name>`, decoded. -1: it was something else. */
static long data_of(const char *xml, const char *name, char *out, size_t size)
{
    char begin[64];
    const char *p;
    int n = snprintf(begin, sizeof begin, "<%s xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\">", name);
    long len;

    if (strncmp(xml, begin, (size_t)n) != 0)
        return -1;
    p = strchr(xml + n, '<');
    len = sasl_base64(xml + n, (size_t)(p - xml - n), out, size - 1);
    assert_true(len >= 0);
    out[len] = '\0';
    return len;
}

struct client_is {
    const char *mechanism, *user, *password, *authzid;
    const char *bound; /* the data that it binds by */
    bool no_initial;
};

static int on_gsasl(Gsasl *ctx, Gsasl_session *s, Gsasl_property prop)
{
    const struct client_is *c = gsasl_session_hook_get(s);
    const char *value = NULL;

    (void)ctx;
    switch ((int)prop) {
    case GSASL_AUTHID: value = c->user; break;
    case GSASL_PASSWORD: value = c->password; break;
    case GSASL_AUTHZID: value = c->authzid; break;
    case GSASL_CB_TLS_EXPORTER: value = c->bound; break;
    default: break;
    }
    if (!value)
        return GSASL_NO_CALLBACK;
    gsasl_property_set(s, prop, value);
    return GSASL_OK;
}

/* Logs in with libgsasl; returns what the server said last. */
static const char *try_login(struct link *l, const struct client_is *c)
{
    Gsasl *g;
    Gsasl_session *s;
    char open[160], data[4096] = "", *out;
    const char *said = "";
    size_t n;
    long len = 0;
    int rc;

    assert_int_equal(gsasl_init(&g), GSASL_OK);
    gsasl_callback_set(g, on_gsasl);
    rc = gsasl_client_start(g, c->mechanism, &s);
    if (rc != GSASL_OK)
        fail_msg("%s: %s", c->mechanism, gsasl_strerror(rc));
    gsasl_session_hook_set(s, (void *)c);
    snprintf(open, sizeof open, "<auth" SASL " mechanism='%s'>", c->mechanism);
    if (c->no_initial) {
        snprintf(open, sizeof open, "<auth" SASL " mechanism='%s'/>", c->mechanism);
        feed(l, open);
        expect(l, CHALLENGE);
        strcpy(open, "<response" SASL ">");
    }
    do {
        rc = gsasl_step(s, data, (size_t)len, &out, &n);
        if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
            fail_msg("%s: %s", c->mechanism, gsasl_strerror(rc));
        send_base64(l, open, out, n, open[1] == 'a' ? "</auth>" : "</response>");
        gsasl_free(out);
        strcpy(open, "<response" SASL ">");
        said = got(l);
        len = data_of(said, "challenge", data, sizeof data);
    } while (len >= 0);
    len = data_of(said, "success", data, sizeof data);
    if (len > 0) { /* the server knows the password, too */
        rc = gsasl_step(s, data, (size_t)len, &out, &n);
        assert_int_equal(rc, GSASL_OK);
        gsasl_free(out);
    }
    gsasl_finish(s);
    gsasl_done(g);
    return said;
}

/* ---- with the password, and with another ---- */

static void test_scram(void **state)
{
    /* clang-format off */
    static const struct {
        struct client_is c;
        const char *condition; /* NULL: it is let in */
    } rows[] = {
        {{"SCRAM-SHA-1", "ann", "secret", NULL, NULL, false}, NULL},
        {{"SCRAM-SHA-256", "ann", "secret", NULL, NULL, false}, NULL},
        {{"SCRAM-SHA-1", "ann", "secret", NULL, NULL, true}, NULL},
        {{"SCRAM-SHA-1", "ANN", "secret", NULL, NULL, false}, NULL},
        {{"SCRAM-SHA-256", "ann", "secret", "ann@example.org", NULL, false}, NULL},
        {{"SCRAM-SHA-256", "ann", "secret", "bob@example.org", NULL, false}, "invalid-authzid"},
        {{"SCRAM-SHA-256", "ann", "secreT", NULL, NULL, false}, "not-authorized"},
        {{"SCRAM-SHA-1", "bob", "secret", NULL, NULL, false}, "not-authorized"},
        {{"SCRAM-SHA-1", "nopass", "secret", NULL, NULL, false}, "not-authorized"},
        {{"PLAIN", "ann", "secret", NULL, NULL, false}, NULL},
        {{"PLAIN", "ann", "other", NULL, NULL, false}, "not-authorized"},
        {{"PLAIN", "bob", "secret", NULL, NULL, false}, "not-authorized"},
        {{"SCRAM-SHA-1-PLUS", "ann", "secret", NULL, "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=", false}, NULL},
        {{"SCRAM-SHA-256-PLUS", "ann", "secret", NULL, "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=", false}, NULL},
        {{"SCRAM-SHA-256-PLUS", "ann", "secret", NULL, "WFgzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=", false},
         "not-authorized"},
        {{"SCRAM-SHA-256-PLUS", "ann", "other", NULL, "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=", false},
         "not-authorized"},
    };
    /* clang-format on */

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct client_is *c = &rows[i].c;
        struct world *w = closed_world();
        const char *said;
        char want[64];
        struct link l;

        open_bindable(&l, w, strstr(c->mechanism, "-PLUS") != NULL);
        said = try_login(&l, c);
        snprintf(want, sizeof want, rows[i].condition ? "<%s/><text xml:lang=\"en\">" : "<success ",
                 rows[i].condition);
        if (!strstr(said, want))
            fail_msg("row %zu, %s: %s", i, c->mechanism, said);
        if (!rows[i].condition) {
            feed(&l, OPEN BIND("here"));
            assert_non_null(strstr(got(&l), "<jid>" ME "</jid>"));
        }
        close_link(&l);
        free_world(w);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scram),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

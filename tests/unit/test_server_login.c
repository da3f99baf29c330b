/* The embedded server's logins: SCRAM with libgsasl as the client, what a client does wrong, and in
 * which words it is told. */
#include "server_tests.h"

#include <gsasl.h>

#include "../../decoder/sasl.h"
#include "../../proxy/channel_binding.h"
#include "../../proxy/server/client.h"

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
    struct world *goes; /* its account goes in the middle of the login */
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
        if (c->goes && len >= 0)
            world_remove(c->goes, world_user(c->goes, c->user, "example.org"));
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
        {{"SCRAM-SHA-1", "ann", "secret", NULL, NULL, false, NULL}, NULL},
        {{"SCRAM-SHA-256", "ann", "secret", NULL, NULL, false, NULL}, NULL},
        {{"SCRAM-SHA-1", "ann", "secret", NULL, NULL, true, NULL}, NULL},
        {{"SCRAM-SHA-1", "ANN", "secret", NULL, NULL, false, NULL}, NULL},
        {{"SCRAM-SHA-256", "ann", "secret", "ann@example.org", NULL, false, NULL}, NULL},
        {{"SCRAM-SHA-256", "ann", "secret", "bob@example.org", NULL, false, NULL}, "invalid-authzid"},
        {{"SCRAM-SHA-256", "ann", "secreT", NULL, NULL, false, NULL}, "not-authorized"},
        {{"SCRAM-SHA-1", "bob", "secret", NULL, NULL, false, NULL}, "not-authorized"},
        {{"SCRAM-SHA-1", "nopass", "secret", NULL, NULL, false, NULL}, "not-authorized"},
        {{"PLAIN", "ann", "secret", NULL, NULL, false, NULL}, NULL},
        {{"PLAIN", "ann", "other", NULL, NULL, false, NULL}, "not-authorized"},
        {{"PLAIN", "bob", "secret", NULL, NULL, false, NULL}, "not-authorized"},
        {{"SCRAM-SHA-1-PLUS", "ann", "secret", NULL, "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=", false, NULL}, NULL},
        {{"SCRAM-SHA-256-PLUS", "ann", "secret", NULL, "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=", false, NULL}, NULL},
        {{"SCRAM-SHA-256-PLUS", "ann", "secret", NULL, "WFgzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=", false, NULL},
         "not-authorized"},
        {{"SCRAM-SHA-256-PLUS", "ann", "other", NULL, "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=", false, NULL},
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

/* ---- what a client does wrong ---- */

static struct world *world_with(const char *mechanisms, bool closed)
{
    struct world *w = closed_world();
    char list[200];

    w->closed = closed;
    snprintf(list, sizeof list, "%s", mechanisms);
    assert_int_equal(profile_mechanisms((struct profile *)w->profile, list, NULL), 0);
    return w;
}

#define AUTH(mechanism, text) "<auth" SASL " mechanism='" mechanism "'>" text "</auth>"

static void test_refused(void **state)
{
    /* clang-format off */
    static const struct {
        const char *mechanisms, *in;
        bool open;
        const char *condition, *words;
    } rows[] = {
        {"SCRAM-SHA-1 PLAIN", AUTH("SCRAM-SHA-1", "biwsbj1hbm4scj1h"), true, "invalid-mechanism", "whoever takes any password"},
        {"SCRAM-SHA-256 SCRAM-SHA-1", AUTH("PLAIN", "AGFubgBzZWNyZXQ="), false, "mechanism-too-weak", "PLAIN was not offered"},
        {"PLAIN", AUTH("SCRAM-SHA-1", "biwsbj1hbm4scj1h"), false, "invalid-mechanism", "was not offered"},
        {"SCRAM-SHA-1-PLUS PLAIN", AUTH("SCRAM-SHA-1-PLUS", "biwsbj1hbm4scj1h"), false, "invalid-mechanism", "nothing to bind"},
        {"PLAIN", "<auth" SASL ">AGFubgBzZWNyZXQ=</auth>", false, "invalid-mechanism", "named no mechanism"},
        {"PLAIN", AUTH("X&lt;Y", "="), false, "invalid-mechanism", "X&lt;Y is no mechanism"},
        {"SCRAM-SHA-1", AUTH("SCRAM-SHA-1", "="), false, "malformed-request", "gs2 header"},
        {"SCRAM-SHA-1", AUTH("SCRAM-SHA-1", "cD10bHMtdW5pcXVlLCxuPWFubixyPWE="), false, "malformed-request", "gs2 flag"}, /* p=tls-unique without -PLUS */
        {"SCRAM-SHA-1", AUTH("SCRAM-SHA-1", "biwsbT14LG49YW5uLHI9YQ=="), false, "malformed-request", "extension"},
        {"SCRAM-SHA-1", AUTH("SCRAM-SHA-1", "!"), false, "incorrect-encoding", "not base64"},
        {"PLAIN", AUTH("PLAIN", "<a/>"), false, "malformed-request", "elements"},
        {"SCRAM-SHA-1", AUTH("SCRAM-SHA-1", "biwsbj1hbm4scj1h") "<abort" SASL "/>", false, "aborted", "aborted"},
        {"SCRAM-SHA-1", AUTH("SCRAM-SHA-1", "biwsbj1hbm4scj1h") "<response" SASL "/>", false, "malformed-request", "no proof"},
        {"SCRAM-SHA-1", "<response" SASL "/>", false, "malformed-request", "out of order"},
        {"SCRAM-SHA-1", AUTH("SCRAM-SHA-1", "biwsbj1hbm4scj1h") "<response xmlns='urn:xmpp:sasl:2'>YQ==</response>", false, "malformed-request", "began with elements of urn:ietf"},
    };
    /* clang-format on */

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world *w = world_with(rows[i].mechanisms, !rows[i].open);
        char want[64];
        const char *said;
        struct link l;

        profile_add((struct profile *)w->profile, FEATURE_SASL2);
        open_bindable(&l, w, false);
        feed(&l, rows[i].in);
        said = got(&l);
        snprintf(want, sizeof want, "<%s", rows[i].condition);
        if (!strstr(said, want) || !strstr(said, rows[i].words))
            fail_msg("row %zu: %s", i, said);
        feed(&l, AUTH("PLAIN", "AGFubgBzZWNyZXQ="));
        said = got(&l);
        assert_int_equal(strstr(said, "<success") != NULL, strstr(rows[i].mechanisms, "PLAIN") != NULL);
        close_link(&l);
        free_world(w);
    }
}

static void test_before_tls(void **state)
{
    struct world *w = closed_world();
    const char *said;
    struct link l;

    (void)state;
    profile_add((struct profile *)w->profile, FEATURE_SASL2);
    open_in(&l, w);
    feed(&l, OPEN AUTH_PLAIN);
    said = got(&l);
    assert_non_null(strstr(said, "<starttls"));
    assert_null(strstr(said, "<mechanism"));
    assert_non_null(strstr(said, "<encryption-required/><text"));
    feed(&l, "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>"
             "AGFubgBzZWNyZXQ=</initial-response></authenticate>");
    assert_non_null(strstr(got(&l), "<encryption-required "));
    feed(&l, "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>");
    assert_non_null(strstr(got(&l), "<not-authorized "));
    feed(&l, "<iq type='set' id='1'><query xmlns='jabber:iq:register'><username>x</username>"
             "<password>y</password></query></iq>");
    assert_non_null(strstr(got(&l), "<not-authorized "));
    assert_null(world_user(w, "x", "example.org"));
    feed(&l, "<iq type='get' id='1'><query xmlns='jabber:iq:auth'/></iq>");
    assert_non_null(strstr(got(&l), "<service-unavailable "));
    feed(&l, "<iq type='set' id='1'><query xmlns='jabber:iq:auth'><username>ann</username><password>"
             "secret</password><resource>r</resource></query></iq>");
    assert_non_null(strstr(got(&l), "<service-unavailable "));
    close_link(&l);
    free_world(w);
}

/* SCRAM's first message of `bare` (n=...,r=...); what the server asks is in `ask`. */
static void ask_scram(struct link *l, const char *bare, char *ask, size_t size)
{
    char text[200];

    snprintf(text, sizeof text, "n,,%s", bare);
    send_base64(l, "<auth" SASL " mechanism='SCRAM-SHA-256'>", text, strlen(text), "</auth>");
    assert_true(data_of(got(l), "challenge", ask, size) > 0);
}

static void salt_of(struct link *l, const char *bare, char out[64])
{
    char ask[512], *salt;

    ask_scram(l, bare, ask, sizeof ask);
    salt = strstr(ask, ",s=");
    assert_non_null(salt);
    assert_non_null(strstr(salt, ",i=4096"));
    snprintf(out, 64, "%.*s", (int)strcspn(salt + 3, ","), salt + 3);
}

static void test_unknown_user(void **state)
{
    struct world *w = closed_world();
    char salt[5][64];
    struct link l;

    (void)state;
    open_bindable(&l, w, false);
    salt_of(&l, "n=bob,r=a", salt[0]);
    salt_of(&l, "n=bob,r=b", salt[1]);
    salt_of(&l, "n=BOB,r=c", salt[2]); /* the same account, if there were one */
    salt_of(&l, "n=carol,r=a", salt[3]);
    salt_of(&l, "n=ann,r=a", salt[4]);
    assert_string_equal(salt[0], salt[1]);
    assert_string_equal(salt[0], salt[2]);
    assert_string_not_equal(salt[0], salt[3]);
    assert_int_equal(strlen(salt[0]), strlen(salt[4]));
    assert_null(world_user(w, "bob", "example.org"));
    close_link(&l);
    free_world(w);
}

/* The client's last message with another nonce, or with what it did not begin with. */
static void test_tampered(void **state)
{
    /* clang-format off */
    static const struct {
        const char *last; /* %s: the nonce agreed on */
        const char *condition, *words;
    } rows[] = {
        {"c=biws,r=%sx,p=YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=", "malformed-request", "nonce"},
        {"c=eSws,r=%s,p=YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=", "not-authorized", "gs2 header"},
        {"c=biws,r=%s,p=YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=", "not-authorized", "another password"},
        {"c=biws,r=%s,p=YWFh", "malformed-request", "no proof"},
    };
    /* clang-format on */
    struct world *w = closed_world();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char ask[512], last[600];
        const char *said;
        struct link l;

        open_bindable(&l, w, false);
        ask_scram(&l, "n=ann,r=abc", ask, sizeof ask);
        *strchr(ask, ',') = '\0';
        snprintf(last, sizeof last, rows[i].last, ask + 2);
        send_base64(&l, "<response" SASL ">", last, strlen(last), "</response>");
        said = got(&l);
        if (!strstr(said, rows[i].condition) || !strstr(said, rows[i].words))
            fail_msg("row %zu: %s", i, said);
        close_link(&l);
    }
    free_world(w);
}

/* Flag y is a lie where -PLUS is offered, and is not where it cannot be. */
static void test_flag_y(void **state)
{
    struct world *w = closed_world();

    (void)state;
    for (int bindable = 0; bindable < 2; bindable++) {
        const char *said;
        struct link l;

        open_bindable(&l, w, bindable);
        send_base64(&l, "<auth" SASL " mechanism='SCRAM-SHA-1'>", "y,,n=ann,r=abc", 14, "</auth>");
        said = got(&l);
        assert_int_equal(strstr(said, "<challenge") != NULL, !bindable);
        assert_int_equal(strstr(said, "(gs2 flag y), but SCRAM-SHA-512-PLUS is offered") != NULL, bindable);
        close_link(&l);
    }
    free_world(w);
}

/* An account that goes in the middle of its login is not logged in to. */
static void test_removed_meanwhile(void **state)
{
    struct world *w = closed_world();
    struct client_is c = {"SCRAM-SHA-1", "ann", "secret", NULL, NULL, false, w};
    char ask[512];
    struct link l;

    (void)state;
    open_bindable(&l, w, false);
    assert_non_null(strstr(try_login(&l, &c), "<not-authorized/><text xml:lang=\"en\">the account has just"));
    close_link(&l); /* and one that ends in the middle of it leaves nothing behind */
    open_bindable(&l, w, false);
    ask_scram(&l, "n=nopass,r=abc", ask, sizeof ask);
    close_link(&l);
    free_world(w);
}

static void test_too_many(void **state)
{
    struct world *w = closed_world();
    const char *said;
    struct link l;

    (void)state;
    open_bindable(&l, w, false);
    feed(&l, AUTH("SCRAM-SHA-1", "!"));
    for (int i = 0; i < 4; i++)
        feed(&l, "<abort" SASL "/>");
    got(&l);
    assert_false(server_done(l.s));
    feed(&l, "<abort" SASL "/>");
    said = got(&l);
    assert_non_null(strstr(said, "<policy-violation "));
    assert_non_null(strstr(said, "6 logins failed in this connection, the first: the client&apos;s message "
                                 "is not base64</text>"));
    assert_true(server_done(l.s));
    close_link(&l);
    free_world(w);
}

/* ---- SASL2 ---- */

#define SASL2 " xmlns='urn:xmpp:sasl:2'"
#define PLAIN2(more)                                                                               \
    "<authenticate" SASL2 " mechanism='PLAIN'><initial-response>AGFubgBzZWNyZXQ="                 \
    "</initial-response>" more "</authenticate>"
#define AGENT "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>"
#define BIND2(tag) "<bind xmlns='urn:xmpp:bind:0'>" tag "</bind>"

/* The full or bare JID that the server says; cut off behind `out`. */
static void said_jid(struct link *l, char out[128])
{
    const char *said = got(l), *at = strstr(said, "<authorization-identifier>");

    if (!at || strncmp(said, "<success xmlns=\"urn:xmpp:sasl:2\">", 33) != 0)
        fail_msg("%s", said);
    at += strlen("<authorization-identifier>");
    snprintf(out, 128, "%.*s", (int)strcspn(at, "<"), at);
    assert_int_equal(strstr(said, "<bound xmlns=\"urn:xmpp:bind:0\"/></success><stream:features>") != NULL,
                     strchr(out, '/') != NULL);
    assert_int_equal(strstr(said, "xmpp-bind") != NULL, strchr(out, '/') == NULL);
    assert_null(strstr(said, "<mechanism"));
}

static void test_sasl2(void **state)
{
    struct world *w = closed_world();
    char jid[4][128];
    struct link l[4];

    (void)state;
    open_bindable(&l[0], w, true);
    feed(&l[0], PLAIN2(""));
    assert_non_null(strstr(got(&l[0]), "<unsupported-stanza-type ")); /* not without the feature */
    close_link(&l[0]);
    profile_add((struct profile *)w->profile, FEATURE_SASL2);
    for (int i = 0; i < 4; i++)
        open_bindable(&l[i], w, true);
    feed(&l[0], PLAIN2(AGENT BIND2("<tag>Psi &amp; co</tag>")));
    said_jid(&l[0], jid[0]);
    feed(&l[1], PLAIN2(BIND2("")));
    said_jid(&l[1], jid[1]);
    assert_int_equal(strlen(jid[1]), strlen("ann@example.org/12345678"));
    feed(&l[2], PLAIN2(""));
    said_jid(&l[2], jid[2]);
    assert_string_equal(jid[2], "ann@example.org");
    feed(&l[2], BIND("here"));
    assert_non_null(strstr(got(&l[2]), "<jid>" ME "</jid>"));
    assert_memory_equal(jid[0], "ann@example.org/Psi &amp; co.", 29);
    feed(&l[3], PLAIN2(AGENT BIND2("<tag>Psi &amp; co</tag>"))); /* the same device again */
    said_jid(&l[3], jid[3]);
    assert_string_equal(jid[3], jid[0]);
    assert_non_null(strstr(got(&l[0]), "<conflict "));
    feed(&l[1], "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert_non_null(strstr(got(&l[1]), "type=\"result\""));
    feed(&l[1], PLAIN2(""));
    assert_non_null(strstr(got(&l[1]), "<policy-violation "));
    for (int i = 0; i < 4; i++)
        close_link(&l[i]);
    free_world(w);
}

#define SM3 " xmlns='urn:xmpp:sm:3'"

/* The value of `attr` behind `element` in what was said. */
static void value_of(const char *said, const char *element, const char *attr, char out[64])
{
    const char *at = strstr(said, element);

    at = at ? strstr(at, attr) : NULL;
    if (!at)
        fail_msg("%s of %s: %s", attr, element, said);
    at += strlen(attr) + 2;
    snprintf(out, 64, "%.*s", (int)strcspn(at, "\""), at);
}

/* Stream management begins with the bind, and the client comes back with its next login. */
static void test_sasl2_resumes(void **state)
{
    struct world *w = closed_world();
    char id[64], again[400], resource[64];
    const char *said, *message;
    struct link l[3];

    (void)state;
    profile_add((struct profile *)w->profile, FEATURE_SASL2);
    for (int i = 0; i < 3; i++)
        open_bindable(&l[i], w, true);
    feed(&l[0], PLAIN2(BIND2("<tag>x</tag><enable" SM3 " resume='true'/>")));
    said = got(&l[0]);
    value_of(said, "<bound xmlns=\"urn:xmpp:bind:0\"><enabled ", "id", id);
    said = strstr(said, "/x.");
    snprintf(resource, sizeof resource, "%.*s", (int)strcspn(said, "<"), said + 1);
    server_free(l[0].s); /* its connection breaks */
    feed(&l[1], PLAIN2(BIND2("")));
    got(&l[1]);
    snprintf(again, sizeof again, "<message to='ann@example.org/%.*s'><body>hi</body></message>",
             (int)strcspn(resource, "<"), resource);
    feed(&l[1], again);
    snprintf(again, sizeof again, PLAIN2("<resume" SM3 " previd='%s' h='0'/>" BIND2("<tag>y</tag>")), id);
    feed(&l[2], again);
    said = got(&l[2]);
    message = strstr(said, "</stream:features><message ");
    assert_non_null(message);
    assert_true(strstr(said, "<resumed ") < strstr(said, "</success><stream:features>"));
    assert_non_null(strstr(message, "<body>hi</body></message><r "));
    assert_null(strstr(said, "<bound"));
    assert_non_null(strstr(said, "ann@example.org/x."));
    feed(&l[2], "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq><r" SM3 "/>");
    assert_non_null(strstr(got(&l[2]), "h=\"1\""));
    close_link(&l[2]);
    open_bindable(&l[2], w, true); /* nothing to come back to: it is bound anew */
    feed(&l[2], PLAIN2("<resume" SM3 " previd='none' h='0'/>"
                         BIND2("<tag>y</tag><enable" SM3 "/><enable xmlns='urn:xmpp:carbons:2'/>"
                               "<inactive xmlns='urn:xmpp:csi:0'/>")));
    said = got(&l[2]);
    assert_non_null(strstr(said, "</authorization-identifier><failed "));
    assert_non_null(strstr(said, "</failed><bound xmlns=\"urn:xmpp:bind:0\"><enabled xmlns=\"urn:xmpp:sm:3\"/>"
                                 "</bound></success>"));
    assert_true(world_user(w, "ann", "example.org")->clients->carbons);
    assert_true(world_user(w, "ann", "example.org")->clients->csi.inactive);
    assert_non_null(strstr(said, "ann@example.org/y."));
    close_link(&l[2]);
    open_bindable(&l[2], w, true);
    feed(&l[2], PLAIN2("<resume" SM3 "/>"));
    said = got(&l[2]);
    assert_non_null(strstr(said, "<failed xmlns=\"urn:xmpp:sm:3\"><bad-request "));
    assert_non_null(strstr(said, "</success><stream:features>"));
    close_link(&l[2]);
    close_link(&l[1]);
    buf_free(&l[0].got);
    free_world(w);
}

static void test_sasl2_messages(void **state)
{
    struct world *w = closed_world();
    const char *said;
    struct link l;

    (void)state;
    profile_add((struct profile *)w->profile, FEATURE_SASL2);
    open_bindable(&l, w, true);
    feed(&l, "<authenticate" SASL2 " mechanism='PLAIN'/>");
    expect(&l, "<challenge xmlns=\"urn:xmpp:sasl:2\"></challenge>");
    feed(&l, "<abort" SASL2 "/>");
    said = got(&l);
    assert_non_null(strstr(said, "<failure xmlns=\"urn:xmpp:sasl:2\"><aborted xmlns=\"urn:ietf:params:xml:ns:"
                                 "xmpp-sasl\"/><text "));
    feed(&l, "<authenticate" SASL2 " mechanism='PLAIN'/><response" SASL2 ">AGFubgBzZWNyZXQ=</response>");
    said = got(&l);
    assert_non_null(strstr(said, "<authorization-identifier>ann@example.org<"));
    close_link(&l);
    free_world(w);
}

/* ---- XEP-0077 ---- */

#define REG(payload) "<iq type='set' id='1'><query xmlns='jabber:iq:register'>" payload "</query></iq>"
#define NAMED(name, password) REG("<username>" name "</username><password>" password "</password>")

static void log_in_plain(struct link *l, struct world *w, const char *base64, const char *want)
{
    char xml[200];

    open_bindable(l, w, false);
    snprintf(xml, sizeof xml, AUTH("PLAIN", "%s"), base64);
    feed(l, xml);
    assert_non_null(strstr(got(l), want));
}

static void test_registration(void **state)
{
    /* clang-format off */
    static const struct {
        const char *in, *out;
    } rows[] = {
        {NAMED("ann", "x"), "<conflict "}, {NAMED("", "x"), "<not-acceptable "},
        {NAMED("carol", ""), "<not-acceptable "}, {NAMED("a b", "x"), "<not-acceptable "},
        {NAMED("carol", "a&#x7f;"), "<not-acceptable "}, /* SASLprep forbids it */
        {REG("<username>carol</username>"), "<not-acceptable "}, {REG(""), "<not-acceptable "},
        {REG("<remove/>"), "<registration-required "},
        {NAMED("carol", "pw"), "type=\"result\""}, {NAMED("Carol", "pw"), "<conflict "},
    }, logged_in[] = {
        {NAMED("ann", "x"), "<not-allowed "}, {REG("<username>carol</username>"), "<bad-request "},
        {NAMED("carol", "a&#x7f;"), "<not-acceptable "},
        {REG("<remove/><username>carol</username>"), "<bad-request "},
        {NAMED("CAROL", "new"), "type=\"result\""},
    };
    /* clang-format on */
    struct world *w = closed_world();
    struct link l, other, unbound;

    (void)state;
    open_bindable(&l, w, false);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *said;

        feed(&l, rows[i].in);
        said = got(&l);
        if (!strstr(said, rows[i].out))
            fail_msg("row %zu: %s", i, said);
        assert_true(i == 8 || i == 9 || !world_user(w, "carol", "example.org"));
    }
    close_link(&l);
    log_in_plain(&l, w, "AGNhcm9sAHB3", "<success"); /* carol, pw */
    feed(&l, OPEN BIND("1"));
    got(&l);
    for (size_t i = 0; i < sizeof logged_in / sizeof logged_in[0]; i++) {
        feed(&l, logged_in[i].in);
        if (!strstr(got(&l), logged_in[i].out))
            fail_msg("logged in, row %zu", i);
    }
    log_in_plain(&other, w, "AGNhcm9sAHB3", "<not-authorized");
    close_link(&other);
    log_in_plain(&other, w, "AGNhcm9sAG5ldw==", "<success"); /* carol, new */
    feed(&other, OPEN BIND("2"));
    got(&other);
    log_in_plain(&unbound, w, "AGNhcm9sAG5ldw==", "<success");
    feed(&l, REG("<remove/>"));
    assert_non_null(strstr(got(&l), "<not-authorized "));
    assert_non_null(strstr(got(&other), "<not-authorized "));
    close_link(&other);
    close_link(&l);
    feed(&unbound, OPEN BIND("3")); /* it was in no list, and is the last who knows the account */
    assert_non_null(strstr(got(&unbound), "carol@example.org/3"));
    close_link(&unbound);
    assert_null(world_user(w, "carol", "example.org"));
    free_world(w);
}

/* Who takes any password still checks those that were given it. */
static void test_open_world(void **state)
{
    struct world *w = new_world("modern");
    const char *said;
    struct link l;

    (void)state;
    open_bindable(&l, w, true);
    feed(&l, OPEN);
    close_link(&l);
    log_in_plain(&l, w, "AGRhdmUAYW55", "<success"); /* dave, any */
    close_link(&l);
    open_bindable(&l, w, true);
    feed(&l, NAMED("carol", "pw"));
    assert_non_null(strstr(got(&l), "type=\"result\""));
    feed(&l, AUTH("SCRAM-SHA-256", "biwsbj1jYXJvbCxyPWE="));
    said = got(&l);
    assert_non_null(strstr(said, "<invalid-mechanism/>"));
    close_link(&l);
    log_in_plain(&l, w, "AGNhcm9sAGFueQ==", "<not-authorized"); /* carol, any */
    close_link(&l);
    log_in_plain(&l, w, "AGNhcm9sAHB3", "<success"); /* carol, pw */
    close_link(&l);
    free_world(w);
}

static void test_unknown_mechanism(void **state)
{
    struct world *w = closed_world();
    char list[] = "PLAIN,SCRAM-MD5";
    struct error e = {0};

    (void)state;
    assert_int_equal(profile_mechanisms((struct profile *)w->profile, list, &e), ERR_USAGE);
    assert_string_equal(e.detail, "SCRAM-MD5 is no mechanism of this server, which knows "
                                  "SCRAM-SHA-512-PLUS, SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-512, "
                                  "SCRAM-SHA-256, SCRAM-SHA-1, PLAIN, ANONYMOUS");
    free_world(w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scram),          cmocka_unit_test(test_refused),
        cmocka_unit_test(test_before_tls),     cmocka_unit_test(test_unknown_user),
        cmocka_unit_test(test_tampered),       cmocka_unit_test(test_flag_y),
        cmocka_unit_test(test_removed_meanwhile), cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_sasl2_resumes),
        cmocka_unit_test(test_sasl2),          cmocka_unit_test(test_sasl2_messages),
        cmocka_unit_test(test_registration),   cmocka_unit_test(test_open_world),
        cmocka_unit_test(test_unknown_mechanism),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

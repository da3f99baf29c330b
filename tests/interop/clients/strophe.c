/* strophe.c: a libstrophe client that logs in, talks and logs out.
 *
 *   strophe JID PASSWORD HOST PORT CA [OPTION...]
 *
 * Options: no-tls, direct-tls (XEP-0368), legacy-auth, no-sm, large=BYTES (a message of that
 * size before the logout), stay (no logout: wait for the end of the connection). Trusts CA alone.
 * Prints `talked` once all answers are there, and last what happened; exit status 0 if it logged in
 * and out.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <strophe.h>

#define LIMIT_S  30
#define AWAITED  3 /* roster, ping, own message */

struct client {
    xmpp_conn_t *conn;
    const char *jid;
    size_t large;
    int flags;
    bool stay;
    int answers;
    bool over;
    const char *error;
};

static const struct {
    const char *name;
    int flag;
} flag_options[] = {
    {"no-tls", XMPP_CONN_FLAG_DISABLE_TLS},
    {"direct-tls", XMPP_CONN_FLAG_LEGACY_SSL},
    {"legacy-auth", XMPP_CONN_FLAG_LEGACY_AUTH},
    {"no-sm", XMPP_CONN_FLAG_DISABLE_SM},
};

static void send_xml(struct client *c, const char *xml)
{
    xmpp_send_raw_string(c->conn, "%s", xml);
}

static void send_large(struct client *c)
{
    char *body = calloc(1, c->large + 1);

    if (!body)
        return;
    memset(body, 'x', c->large);
    xmpp_send_raw_string(c->conn, "<message to='%s' type='chat'><body>", c->jid);
    xmpp_send_raw(c->conn, body, c->large);
    send_xml(c, "</body></message>");
    free(body);
}

static void answered(struct client *c)
{
    if (++c->answers != AWAITED)
        return;
    puts("talked");
    fflush(stdout);
    if (c->large)
        send_large(c);
    else if (!c->stay)
        xmpp_disconnect(c->conn);
}

static int on_answer(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *arg)
{
    (void)conn;
    (void)stanza;
    answered(arg);
    return 0;
}

static int on_message(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *arg)
{
    (void)conn;
    if (xmpp_stanza_get_child_by_name(stanza, "body"))
        answered(arg);
    return 1;
}

static void talk(struct client *c)
{
    char *bare = xmpp_jid_bare(xmpp_conn_get_context(c->conn), c->jid);

    xmpp_id_handler_add(c->conn, on_answer, "roster1", c);
    xmpp_id_handler_add(c->conn, on_answer, "ping1", c);
    xmpp_handler_add(c->conn, on_message, NULL, "message", NULL, c);
    send_xml(c, "<iq type='get' id='roster1'><query xmlns='jabber:iq:roster'/></iq>");
    send_xml(c, "<presence><status>here</status></presence>");
    xmpp_send_raw_string(c->conn, "<message to='%s' type='chat' id='note1'>"
                         "<body>Gr\xc3\xbc\xc3\x9f""e</body></message>", bare);
    send_xml(c, "<iq type='get' id='ping1'><ping xmlns='urn:xmpp:ping'/></iq>");
    xmpp_free(xmpp_conn_get_context(c->conn), bare);
}

static void on_connection(xmpp_conn_t *conn, xmpp_conn_event_t event, int error,
                          xmpp_stream_error_t *stream_error, void *arg)
{
    struct client *c = arg;

    (void)conn;
    if (event == XMPP_CONN_CONNECT) {
        talk(c);
        return;
    }
    if (stream_error)
        c->error = stream_error->text ? stream_error->text : "stream error";
    else if (error)
        c->error = strerror(error);
    c->over = true;
}

/* libstrophe trusts the system's CAs besides CA; it asks here about everything else. */
static int on_bad_certificate(const xmpp_tlscert_t *cert, const char *error)
{
    (void)cert;
    printf("certificate: %s\n", error);
    return 0;
}

static bool read_option(struct client *c, const char *option)
{
    for (size_t i = 0; i < sizeof flag_options / sizeof *flag_options; i++)
        if (strcmp(option, flag_options[i].name) == 0) {
            c->flags |= flag_options[i].flag;
            return true;
        }
    if (strncmp(option, "large=", 6) == 0)
        c->large = strtoul(option + 6, NULL, 10);
    else if (strcmp(option, "stay") == 0)
        c->stay = true;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    struct client c = {0};
    xmpp_ctx_t *ctx;

    for (int i = 6; i < argc; i++)
        if (!read_option(&c, argv[i]))
            return 2;
    if (argc < 6)
        return 2;
    c.jid = argv[1];
    alarm(LIMIT_S);
    xmpp_initialize();
    ctx = xmpp_ctx_new(NULL, getenv("VERBOSE") ? xmpp_get_default_logger(XMPP_LEVEL_DEBUG) : NULL);
    c.conn = xmpp_conn_new(ctx);
    xmpp_conn_set_flags(c.conn, c.flags);
    xmpp_conn_set_jid(c.conn, c.jid);
    xmpp_conn_set_pass(c.conn, argv[2]);
    xmpp_conn_set_cafile(c.conn, argv[5]);
    xmpp_conn_set_certfail_handler(c.conn, on_bad_certificate);
    if (xmpp_connect_client(c.conn, argv[3], (unsigned short)atoi(argv[4]), on_connection, &c)) {
        puts("cannot connect");
        return 1;
    }
    while (!c.over)
        xmpp_run_once(ctx, 100);
    printf("%s%s%s\n", c.answers < AWAITED ? "not logged in" : "logged in", c.error ? ": " : "",
           c.error ? c.error : "");
    xmpp_conn_release(c.conn);
    xmpp_ctx_free(ctx);
    xmpp_shutdown();
    return c.answers < AWAITED || c.error;
}

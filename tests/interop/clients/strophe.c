/* strophe.c: a libstrophe client that logs in, talks and logs out.
 *
 *   strophe JID PASSWORD HOST PORT CA [OPTION...]
 *
 * Options: no-tls, direct-tls (XEP-0368), legacy-auth, no-sm, large=BYTES (a message of that
 * size before the logout), stay (no logout: wait for the end of the connection); contact=JID (the
 * roster has it, it comes online, it is sent the message, and answers), card=NAME (the own vCard is
 * changed, and read back), card-is=NAME (it must be that one). Trusts CA alone. Prints `talked` once
 * all answers are there, and last what happened; exit status 0 if it logged in and out.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <strophe.h>

#define LIMIT_S  30

/* What is said, in this order; each is over when its answer has come. */
enum step { ROSTER, CONTACT, NOTE, PING, CARD, SET_CARD, NEW_CARD, STEPS };

struct client {
    xmpp_conn_t *conn;
    const char *jid;
    const char *contact, *card;
    bool wanted[STEPS], happened[STEPS];
    int step;
    size_t large;
    int flags;
    bool stay;
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

static const char ids[][8] = {
    [ROSTER] = "roster1", [PING] = "ping1", [CARD] = "card1", [SET_CARD] = "card2",
    [NEW_CARD] = "card3",
};

static bool talked(const struct client *c)
{
    return c->step >= STEPS;
}

static void say_note(struct client *c)
{
    char *bare = xmpp_jid_bare(xmpp_conn_get_context(c->conn), c->jid);

    xmpp_send_raw_string(c->conn, "<message to='%s' type='chat' id='note1'>"
                         "<body>Gr\xc3\xbc\xc3\x9f""e</body></message>",
                         c->contact ? c->contact : bare);
    xmpp_free(xmpp_conn_get_context(c->conn), bare);
}

static void say(struct client *c, enum step step)
{
    switch (step) {
    case ROSTER:
        send_xml(c, "<iq type='get' id='roster1'><query xmlns='jabber:iq:roster'/></iq>");
        break;
    case NOTE:
        say_note(c);
        break;
    case PING:
        send_xml(c, "<iq type='get' id='ping1'><ping xmlns='urn:xmpp:ping'/></iq>");
        break;
    case CARD:
    case NEW_CARD:
        xmpp_send_raw_string(c->conn, "<iq type='get' id='%s'><vCard xmlns='vcard-temp'/></iq>",
                             ids[step]);
        break;
    case SET_CARD:
        xmpp_send_raw_string(c->conn, "<iq type='set' id='card2'><vCard xmlns='vcard-temp'>"
                             "<FN>%s</FN></vCard></iq>", c->card);
        break;
    case CONTACT:
    case STEPS:
        break;
    }
}

static void log_out(struct client *c)
{
    puts("talked");
    fflush(stdout);
    if (c->large)
        send_large(c);
    else if (!c->stay)
        xmpp_disconnect(c->conn);
}

static void happens(struct client *c, enum step step)
{
    c->happened[step] = true;
    while (!talked(c) && (!c->wanted[c->step] || c->happened[c->step])) {
        if (c->step == ROSTER)
            send_xml(c, "<presence><status>here</status></presence>");
        if (++c->step == STEPS)
            log_out(c);
        else if (c->wanted[c->step])
            say(c, c->step);
    }
}

static void fails(struct client *c, const char *why)
{
    c->error = why;
    xmpp_disconnect(c->conn);
}

static bool has_contact(xmpp_stanza_t *answer, const char *contact)
{
    xmpp_stanza_t *query = xmpp_stanza_get_child_by_name(answer, "query");
    xmpp_stanza_t *item = query ? xmpp_stanza_get_children(query) : NULL;

    for (; item; item = xmpp_stanza_get_next(item)) {
        const char *jid = xmpp_stanza_get_attribute(item, "jid");
        if (jid && strcmp(jid, contact) == 0)
            return true;
    }
    return false;
}

static bool has_name(xmpp_stanza_t *answer, const char *name)
{
    xmpp_stanza_t *card = xmpp_stanza_get_child_by_name(answer, "vCard");
    xmpp_stanza_t *child = card ? xmpp_stanza_get_child_by_name(card, "FN") : NULL;
    char *text = child ? xmpp_stanza_get_text(child) : NULL;
    bool has = text && strcmp(text, name) == 0;

    if (text)
        xmpp_free(xmpp_stanza_get_context(child), text);
    return has;
}

static int on_iq(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *arg)
{
    struct client *c = arg;
    const char *id = xmpp_stanza_get_id(stanza);
    int step = ROSTER;

    (void)conn;
    while (step < STEPS && (!id || strcmp(id, ids[step]) != 0))
        step++;
    if (step == STEPS)
        return 1;
    if (strcmp(xmpp_stanza_get_type(stanza), "result") != 0 && step != CARD)
        fails(c, "an error as answer");
    else if (step == ROSTER && c->contact && !has_contact(stanza, c->contact))
        fails(c, "the contact is not in the roster");
    else if ((step == NEW_CARD || (step == CARD && !c->wanted[NEW_CARD])) &&
             !has_name(stanza, c->card))
        fails(c, "the vCard is another");
    else
        happens(c, step);
    return 1;
}

static int on_presence(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *arg)
{
    struct client *c = arg;
    const char *from = xmpp_stanza_get_from(stanza);

    (void)conn;
    if (from && c->contact && !xmpp_stanza_get_type(stanza) &&
        strncmp(from, c->contact, strlen(c->contact)) == 0)
        happens(c, CONTACT);
    return 1;
}

static int on_message(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *arg)
{
    (void)conn;
    if (xmpp_stanza_get_child_by_name(stanza, "body"))
        happens(arg, NOTE);
    return 1;
}

static void talk(struct client *c)
{
    xmpp_handler_add(c->conn, on_iq, NULL, "iq", NULL, c);
    xmpp_handler_add(c->conn, on_presence, NULL, "presence", NULL, c);
    xmpp_handler_add(c->conn, on_message, NULL, "message", NULL, c);
    say(c, ROSTER);
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
    else if (strncmp(option, "contact=", 8) == 0)
        c->contact = option + 8;
    else if (strncmp(option, "card=", 5) == 0)
        c->card = option + 5, c->wanted[SET_CARD] = c->wanted[NEW_CARD] = true;
    else if (strncmp(option, "card-is=", 8) == 0)
        c->card = option + 8;
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
    c.wanted[ROSTER] = c.wanted[NOTE] = c.wanted[PING] = true;
    c.wanted[CONTACT] = c.contact;
    c.wanted[CARD] = c.card;
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
    printf("%s%s%s\n", talked(&c) ? "logged in" : "not logged in", c.error ? ": " : "",
           c.error ? c.error : "");
    xmpp_conn_release(c.conn);
    xmpp_ctx_free(ctx);
    xmpp_shutdown();
    return !talked(&c) || c.error;
}

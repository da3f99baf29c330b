#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static SSL_CTX *context;
static uint16_t port;
static bool starttls;

void client_prepare(const struct options *options)
{
    context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) || !options->ca ||
        !SSL_CTX_load_verify_locations(context, options->ca, NULL)) {
        fputs("load: clients need --ca FILE\n", stderr);
        exit(1);
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    // A peer that closes without close_notify is its affair, and no failure of ours.
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    port = options->port;
    starttls = options->starttls;
}

static void set_state(struct client *client, enum client_state state)
{
    client->state = state;
    client->changed(client);
}

void client_fail(struct client *client, const char *why)
{
    if (client->state == CLIENT_FAILED || client->state == CLIENT_CLOSED)
        return;
    client->failure = why;
    set_state(client, CLIENT_FAILED);
}

static void say(struct client *client, const char *text)
{
    if (!conn_say(client->conn, text))
        client_fail(client, "write");
}

static void begin(struct client *client, const struct step *step)
{
    client->step = step;
    say(client, step->say);
}

static void shake_hands(struct client *client)
{
    enum conn_io io = conn_handshake(client->conn);

    if (io == CONN_OK)
        begin(client, client_tls);
    else if (io != CONN_AGAIN)
        client_fail(client, "handshake");
}

static void start_tls(struct client *client)
{
    client->step = client_tls;
    if (conn_start_tls(client->conn, context, false))
        shake_hands(client);
    else
        client_fail(client, "memory");
}

// What was waited for has come.
static void advance(struct client *client)
{
    bool then_tls = client->step->then_tls;

    client->conn->in_len = 0;
    client->step++;
    if (then_tls) {
        start_tls(client);
    } else if (client->step->say) {
        say(client, client->step->say);
    } else {
        client->bound_us = now_us();
        set_state(client, CLIENT_BOUND);
    }
}

static void read_login(struct client *client)
{
    enum conn_io io = conn_fill(client->conn);

    if (io == CONN_CLOSED || io == CONN_FAILED)
        client_fail(client, io == CONN_CLOSED ? "closed in the login" : "reset in the login");
    else if (io == CONN_OK && strstr(client->conn->in, client->step->until))
        advance(client);
}

// What still comes is read up to the server's closing tag, then up to its end.
static void read_closing(struct client *client)
{
    struct conn *conn = client->conn;
    enum conn_io io;

    while ((io = conn_fill(conn)) == CONN_OK) {
        bool closed = strstr(conn->in, closing_tag);
        size_t kept = strlen(closing_tag) - 1;
        if (closed || conn->in_len <= kept)
            continue;
        // The last bytes may be the tag's first.
        memmove(conn->in, conn->in + conn->in_len - kept, kept + 1);
        conn->in_len = kept;
    }
    if (io == CONN_CLOSED && strstr(conn->in, closing_tag)) {
        conn_finish(conn);
        set_state(client, CLIENT_CLOSED);
    } else if (io != CONN_AGAIN) {
        client_fail(client, "no clean close");
    }
}

static void ready(struct conn *conn)
{
    struct client *client = conn->owner;

    if (client->state == CLIENT_LOGIN && !client->step) {
        // Connected, or not: what is sent first tells.
        conn_want_write(conn, false);
        if (starttls)
            begin(client, client_clear);
        else
            start_tls(client);
    } else if (client->state == CLIENT_LOGIN && conn->handshaking)
        shake_hands(client);
    else if (client->state == CLIENT_LOGIN)
        read_login(client);
    else if (client->state == CLIENT_BOUND)
        client->changed(client);
    else if (client->state == CLIENT_CLOSING)
        read_closing(client);
}

bool client_start(struct client *client, void (*changed)(struct client *client), void *owner)
{
    int fd = connect_to(port);

    *client = (struct client){.changed = changed, .owner = owner, .began_us = now_us()};
    if (fd >= 0)
        client->conn = conn_new(fd, ready, client);
    if (client->conn)
        conn_want_write(client->conn, true);
    else
        client_fail(client, "connect");
    return client->conn;
}

void client_close(struct client *client)
{
    client->conn->in_len = 0;
    client->conn->in[0] = '\0';
    client->state = CLIENT_CLOSING;
    conn_want_write(client->conn, false);
    say(client, closing_tag);
}

void client_free(struct client *client)
{
    conn_free(client->conn);
    client->conn = NULL;
}

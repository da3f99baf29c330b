// The server's end: answers any number of logins, then pings; takes messages or pours them where it
// is asked to. It ends when its standard input does.
#include "load.h"
#include "pour.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct peer {
    struct conn *conn;
    const struct step *step; // NULL: logged in
    bool sinking, pouring, closing, failed;
    struct sink sink;
    struct pour pour;
};

static SSL_CTX *context;
static bool ended;
static unsigned held; // sessions

static void peer_free(struct peer *peer)
{
    held--;
    conn_free(peer->conn);
    free(peer);
}

static SSL_CTX *server_context(const struct options *options)
{
    SSL_CTX *made = SSL_CTX_new(TLS_server_method());

    if (!made || !options->cert || !options->key ||
        !SSL_CTX_set_min_proto_version(made, TLS1_3_VERSION) ||
        SSL_CTX_use_certificate_chain_file(made, options->cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(made, options->key, SSL_FILETYPE_PEM) != 1) {
        fputs("load: the server needs --cert FILE and --key FILE\n", stderr);
        exit(1);
    }
    SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(made, SSL_OP_IGNORE_UNEXPECTED_EOF);
    // Proxies may resume their sessions with us.
    SSL_CTX_set_session_id_context(made, (const unsigned char *)"bench", 5);
    return made;
}

// Forgets what was understood: everything up to `end`.
static void consume(struct conn *conn, const char *end)
{
    size_t used = (size_t)(end - conn->in);

    memmove(conn->in, end, conn->in_len - used + 1);
    conn->in_len -= used;
}

static bool login_step(struct peer *peer)
{
    const char *found = strstr(peer->conn->in, peer->step->until);
    bool then_tls = peer->step->then_tls;

    if (!found)
        return false;
    consume(peer->conn, found + strlen(peer->step->until));
    if (!conn_say(peer->conn, peer->step->say) ||
        (then_tls && !conn_start_tls(peer->conn, context, true)))
        peer->failed = true;
    peer->step = then_tls ? server_tls : peer->step + 1;
    if (!peer->step->say)
        peer->step = NULL;
    return !peer->failed;
}

// `<use kind= bytes= count=>`: from here on the session is a sink, or is poured into.
static bool use(struct peer *peer)
{
    char kind[8];
    size_t size;
    unsigned long long count;
    const char *found = strstr(peer->conn->in, "<use ");

    if (!found || sscanf(found, "<use xmlns='urn:example:bench' kind='%7[a-z]' bytes='%zu' count='%llu'",
                         kind, &size, &count) != 3)
        return false;
    if (strcmp(kind, "sink") == 0) {
        peer->sinking = true;
        sink_start(&peer->sink, size);
    } else {
        peer->pouring = true;
        pour_prepare(size, 16384);
        peer->pour = (struct pour){.end = count * size};
        conn_want_write(peer->conn, true);
    }
    return conn_say(peer->conn, use_answer);
}

static bool answer_ping(struct peer *peer)
{
    char id[32], answer[256];
    const char *found = strstr(peer->conn->in, "id='");

    if (!found || sscanf(found, "id='%31[^']'", id) != 1)
        return false;
    snprintf(answer, sizeof answer, ping_answer, id);
    return conn_say(peer->conn, answer);
}

// One whole element of a session that is logged in.
static bool session_step(struct peer *peer)
{
    struct conn *conn = peer->conn;
    const char *iq = strstr(conn->in, "</iq>");
    const char *closing = strstr(conn->in, closing_tag);

    if (iq) {
        peer->failed = !use(peer) && !answer_ping(peer);
        consume(conn, iq + strlen("</iq>"));
    } else if (closing) {
        peer->closing = true;
        peer->pouring = false;
        conn_want_write(conn, false);
        consume(conn, closing + strlen(closing_tag));
        conn_say(conn, closing_tag);
        conn_finish(conn);
    }
    return iq && !peer->failed;
}

static enum conn_io fill_sink(struct peer *peer)
{
    static char bytes[65536];
    struct conn *conn = peer->conn;
    enum conn_io io = CONN_OK;

    // A record is 16 KiB at most; a fair share of them, so that pings are answered in between.
    for (int records = 0; records < 16 && peer->sinking; records++) {
        size_t length, taken;
        io = conn_read(conn, bytes, sizeof bytes, &length);
        if (io != CONN_OK)
            return io;
        taken = sink_take(&peer->sink, bytes, length);
        if (taken == length)
            continue;
        peer->sinking = false;
        conn->in_len = (size_t)snprintf(conn->in, sizeof conn->in, "<%.*s",
                                        (int)(length - taken), bytes + taken);
    }
    return io;
}

static void peer_ready(struct conn *conn)
{
    struct peer *peer = conn->owner;
    enum conn_io io = conn_handshake(conn);

    if (io == CONN_OK && peer->pouring) {
        enum conn_io poured = pour_some(&peer->pour, conn);
        if (poured == CONN_CLOSED || poured == CONN_FAILED) {
            peer->pouring = false;
            conn_want_write(conn, false);
        }
    }
    if (io == CONN_OK)
        io = peer->sinking ? fill_sink(peer) : conn_fill(conn);
    while (io == CONN_OK && !peer->closing && !peer->sinking && !conn->handshaking &&
           (peer->step ? login_step(peer) : session_step(peer)))
        ;
    // Behind the closing tag comes the client's end, and nothing that is to be answered.
    if (peer->closing)
        conn->in_len = 0;
    if (io == CONN_CLOSED || io == CONN_FAILED || peer->failed)
        peer_free(peer);
}

static void accept_peers(struct conn *listener, const struct step *step, SSL_CTX *tls)
{
    int fd;

    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *peer = calloc(1, sizeof *peer);
        if (!peer || !(peer->conn = conn_new(fd, peer_ready, peer))) {
            free(peer);
            continue;
        }
        held++;
        peer->step = step;
        if (tls && !conn_start_tls(peer->conn, tls, true))
            peer_free(peer);
    }
}

static void accept_direct(struct conn *listener)
{
    accept_peers(listener, server_tls, context);
}

static void accept_clear(struct conn *listener)
{
    accept_peers(listener, server_clear, NULL);
}

// Whoever sends a line is told the counts.
static void control_ready(struct conn *conn)
{
    char line[128];
    enum conn_io io = conn_fill(conn);

    if (io == CONN_OK) {
        conn->in_len = 0;
        snprintf(line, sizeof line, "%llu %llu %llu %u\n",
                 (unsigned long long)sink_sums.messages, (unsigned long long)sink_sums.bytes,
                 (unsigned long long)sink_sums.holes, held);
        conn_say(conn, line);
    } else if (io != CONN_AGAIN) {
        conn_free(conn);
    }
}

static void accept_control(struct conn *listener)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0)
        conn_new(fd, control_ready, NULL);
}

static void input_ready(struct conn *conn)
{
    char byte;

    ended = read(conn->fd, &byte, 1) <= 0;
}

int run_server(const struct options *options)
{
    uint16_t direct = options->port, clear = options->clear, control = options->control;
    int direct_fd = listen_on(&direct), clear_fd = listen_on(&clear);
    int control_fd = listen_on(&control);

    context = server_context(options);
    if (direct_fd < 0 || clear_fd < 0 || control_fd < 0 ||
        !conn_new(direct_fd, accept_direct, NULL) || !conn_new(clear_fd, accept_clear, NULL) ||
        !conn_new(control_fd, accept_control, NULL) ||
        !conn_new(STDIN_FILENO, input_ready, NULL)) {
        perror("load: server");
        return 1;
    }
    printf("direct=%u clear=%u control=%u\n", direct, clear, control);
    fflush(stdout);
    while (!ended)
        loop_turn(-1);
    return 0;
}

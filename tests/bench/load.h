// The load generator: what its commands take, and the ends of a session that they have in common.
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "conn.h"
#include "script.h"

struct options {
    uint16_t port;      // clients: where they connect; server: where TLS comes first
    uint16_t clear;     // server: where STARTTLS does
    uint16_t control;   // server: where it is asked for its counts; clients: the server's
    bool starttls;      // clients: STARTTLS, else TLS from the first byte
    const char *ca;     // clients: whose certificates they trust (PEM)
    const char *cert;   // server: its certificate (PEM)
    const char *key;    // and its key
    unsigned sessions;  // at a time
    unsigned count;     // how often, in all; 0: until the time is over
    double seconds;     // for so long at most
    double limit;       // of one login with its close: then it has failed
    double gap;         // milliseconds between a ping's answer and the next one
    size_t size;        // bytes of a message
    size_t chunk;       // bytes of a write
    bool from_server;   // messages go the other way
    bool wait;          // stream: says `bound=N` when all are logged in, and waits for a line
};

// Each runs until it is done; returns the exit status. A client's prints one line `key=value ...`.
int run_server(const struct options *options);
int run_logins(const struct options *options);
int run_stream(const struct options *options);
int run_ping(const struct options *options);
int run_idle(const struct options *options);

// ---- a client's session ----

enum client_state { CLIENT_LOGIN, CLIENT_BOUND, CLIENT_CLOSING, CLIENT_CLOSED, CLIENT_FAILED };

struct client {
    struct conn *conn;
    const struct step *step;
    enum client_state state;
    int64_t began_us; // connect()
    int64_t bound_us; // the login's last answer
    const char *failure;
    // Called at each change of `state`, and when there is something to read or room to write in a
    // session that is bound. May not free the client.
    void (*changed)(struct client *client);
    void *owner;
};

// The clients' TLS: 1.3, the server's certificate checked. Ends the process where it cannot be.
void client_prepare(const struct options *options);
// Connects; false where that fails at once (`state` says so, too).
bool client_start(struct client *client, void (*changed)(struct client *client), void *owner);
// Ends the stream, and waits for the server's end.
void client_close(struct client *client);
void client_fail(struct client *client, const char *why);
void client_free(struct client *client);

#endif

/* scene.h: a proxy, one hostile pair of peers in front of and behind it, and beside them a
 * session that pings and must not notice.
 *
 * scene_start() is a test's first line, scene_stop() its last but box_done(). They fail the
 * running test: main thread only.
 */
#ifndef XMPPTAP_E2E_SCENE_H
#define XMPPTAP_E2E_SCENE_H

#include "login.h"
#include "run.h"

#define SCENE_PEAK_KIB  (150 * 1024) /* the program's memory, at its most */
#define SCENE_PING_MS   3000         /* the longest a ping may take */
#define SCENE_HANDSHAKE "3"          /* --handshake-timeout of the scene's proxy, seconds */

/* Sends from a thread of its own, in pieces, counting. */
struct sender {
    pthread_t thread;
    struct peer *peer;  /* borrowed; the thread's until sender_join() */
    struct bytes bytes; /* borrowed likewise */
    bool started;
    atomic_size_t sent;
    int result;
};

struct scene {
    struct box *box;
    struct run *proxy;
    int listener, port; /* the server's */
    SSL_CTX *client_ctx, *server_ctx;
    struct peer client, server;
    struct sender sender;
    /* The session beside: */
    pthread_t pinger, answerer;
    struct peer ping_client, ping_server;
    long ping_limit_ms; /* SCENE_PING_MS, unless the test has a reason */
    bool pinging;
    atomic_bool stop, ping_failed;
    atomic_int pings;
    atomic_long slowest_ms;
};

struct scene *scene_start(struct box *b); /* the box owns it */
/* A hostile client connects. */
void scene_connect(struct scene *s);
/* And its server: what the client has sent must have made the proxy dial. */
void scene_accept(struct scene *s);
/* Connects and logs in without TLS; both peers are then free. */
void scene_login(struct scene *s);
/* Connects and plays the stream as far as the offer of STARTTLS. */
void scene_open(struct scene *s);
/* The server says <proceed/>, TLS begins on its side, the client reads <proceed/>. */
void scene_proceed(struct scene *s);
/* Both go on with TLS and log in. The client has sent <starttls/>; the server has read it, and
 * has said nothing yet. */
void scene_secure(struct scene *s);

/* The pinging session gets on, `times` more pings at least. */
void scene_keeps_pace(struct scene *s, int times);
/* Alive, within its memory, pings in time; then SIGTERM. The peers are closed. */
void scene_stop(struct scene *s);

/* Memory is bounded: looked at while something presses on it. */
void scene_memory(struct scene *s);

/* The scene owns it: one at a time. */
struct sender *sender_start(struct scene *s, struct peer *p, const struct bytes *bytes);
int sender_join(struct sender *s); /* the result of its peer_send()s */

#endif

// `ping`: one session asks, and asks again when it has its answer.
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 1000000 };

static struct {
    unsigned sent, answered;
    int64_t sent_ns, next_us;
    bool waiting, closed;
    uint32_t *times_ns;
} run;

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void ask(struct client *client)
{
    char request[128];

    snprintf(request, sizeof request, ping_request, ++run.sent);
    client->conn->in_len = 0;
    run.waiting = true;
    run.sent_ns = now_ns();
    if (!conn_say(client->conn, request))
        client_fail(client, "write");
}

static void read_answer(struct client *client)
{
    struct conn *conn = client->conn;
    enum conn_io io = conn_fill(conn);

    if (io == CONN_CLOSED || io == CONN_FAILED)
        client_fail(client, "closed");
    else if (io == CONN_OK && run.waiting && strstr(conn->in, "/>")) {
        run.times_ns[run.answered++] = (uint32_t)(now_ns() - run.sent_ns);
        run.waiting = false;
    }
}

static void ping_changed(struct client *client)
{
    if (client->state == CLIENT_FAILED || client->state == CLIENT_CLOSED)
        run.closed = true;
    else if (run.sent)
        read_answer(client);
}

static int by_value(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return (left > right) - (left < right);
}

static void report(const struct client *client)
{
    unsigned count = run.answered;

    qsort(run.times_ns, count, sizeof *run.times_ns, by_value);
    printf("count=%u p50_us=%.1f p99_us=%.1f max_us=%.1f failure=%s\n", count,
           count ? run.times_ns[count / 2] / 1e3 : 0.0,
           count ? run.times_ns[count - 1 - count / 100] / 1e3 : 0.0,
           count ? run.times_ns[count - 1] / 1e3 : 0.0, client->failure ? client->failure : "none");
}

static void exchange(struct client *client, const struct options *options)
{
    unsigned count = options->count && options->count < MOST ? options->count : MOST;
    int64_t until_us = now_us() + (int64_t)(options->seconds * 1e6);
    int64_t gap_us = (int64_t)(options->gap * 1e3);

    while (!run.closed && run.answered < count && now_us() < until_us) {
        if (!run.waiting && now_us() >= run.next_us) {
            ask(client);
            run.next_us = now_us() + gap_us;
        }
        loop_turn(run.waiting ? 1000 : 1);
    }
}

int run_ping(const struct options *options)
{
    struct client client;
    int64_t deadline = now_us() + 10000000;

    run.times_ns = calloc(MOST, sizeof *run.times_ns);
    if (!run.times_ns)
        return 1;
    client_prepare(options);
    client_start(&client, ping_changed, NULL);
    while (client.state == CLIENT_LOGIN && now_us() < deadline)
        loop_turn(100);
    if (client.state == CLIENT_BOUND) {
        exchange(&client, options);
        deadline = now_us() + 10000000;
        if (!run.closed)
            client_close(&client);
        while (!run.closed && now_us() < deadline)
            loop_turn(100);
    }
    report(&client);
    client_free(&client);
    free(run.times_ns);
    return client.state == CLIENT_CLOSED ? 0 : 1;
}

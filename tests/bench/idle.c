// `idle`: sessions that are logged in and say nothing, until standard input ends.
#include "load.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
    unsigned bound, failed, closed;
    const char *failure;
} run;

static void idle_changed(struct client *client)
{
    if (client->state == CLIENT_BOUND && client->step) {
        client->step = NULL; // once
        run.bound++;
    } else if (client->state == CLIENT_BOUND) {
        client_fail(client, "not left alone"); // nobody has a word for it
    } else if (client->state == CLIENT_FAILED) {
        run.failed++;
        run.failure = client->failure;
        conn_free(client->conn);
        client->conn = NULL;
    } else if (client->state == CLIENT_CLOSED) {
        run.closed++;
    }
}

static bool input_ended(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte;

    return poll(&input, 1, 0) == 1 && read(STDIN_FILENO, &byte, 1) <= 0;
}

int run_idle(const struct options *options)
{
    unsigned count = options->sessions, begun = 0;
    struct client *clients = calloc(count, sizeof *clients);
    int64_t deadline = now_us() + (int64_t)(options->seconds * 1e6);

    if (!clients)
        return 1;
    client_prepare(options);
    while (run.bound + run.failed < count && now_us() < deadline) {
        while (begun < count && begun - run.bound - run.failed < 8)
            client_start(&clients[begun++], idle_changed, NULL);
        loop_turn(100);
    }
    printf("held=%u failed=%u failure=%s\n", run.bound, run.failed,
           run.failure ? run.failure : "none");
    fflush(stdout);
    while (!input_ended() && now_us() < deadline)
        loop_turn(50);
    for (unsigned i = 0; i < begun; i++)
        if (clients[i].state == CLIENT_BOUND)
            client_close(&clients[i]);
    deadline = now_us() + 30000000;
    while (run.closed + run.failed < begun && now_us() < deadline)
        loop_turn(100);
    printf("closed=%u failed=%u\n", run.closed, run.failed);
    for (unsigned i = 0; i < begun; i++)
        client_free(&clients[i]);
    free(clients);
    return run.closed == count ? 0 : 1;
}

// `logins`: so many logins, so many at a time, each a connection of its own, closed in order before
// the next one begins.
#include "load.h"

#include <stdio.h>
#include <stdlib.h>

static struct {
    unsigned begun, done, failed, unclean, active; // `unclean`: done, but not closed in order
    int64_t until_us, limit_us;
    unsigned count;
    const char *failure;
    uint32_t *times_us; // of those that went well, up to the answer to the session's request
} run;

static bool more(void)
{
    return now_us() < run.until_us && run.begun < run.count;
}

static void login_changed(struct client *client)
{
    if (client->state == CLIENT_BOUND)
        client_close(client);
    // What is over is freed by sweep(): here its socket is still being handled.
}

static void begin(struct client *client)
{
    if (!more())
        return;
    run.begun++;
    run.active++;
    client_start(client, login_changed, NULL);
}

static void sweep(struct client *client)
{
    bool late = client->conn && now_us() - client->began_us > run.limit_us;

    if (client->state != CLIENT_CLOSED && client->state != CLIENT_FAILED && !late)
        return;
    if (client->state != CLIENT_CLOSED)
        run.failure = client->failure ? client->failure : client->bound_us ? "close stalls" : "login stalls";
    if (client->bound_us) {
        run.times_us[run.done++] = (uint32_t)(client->bound_us - client->began_us);
        run.unclean += client->state != CLIENT_CLOSED;
    } else {
        run.failed++;
    }
    run.active--;
    client_free(client);
    client->state = CLIENT_LOGIN;
    begin(client);
}

static int by_value(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return (left > right) - (left < right);
}

static void report(int64_t took_us)
{
    qsort(run.times_us, run.done, sizeof *run.times_us, by_value);
    printf("ok=%u failed=%u unclean=%u seconds=%.4f rate=%.1f p50_ms=%.2f max_ms=%.2f failure=%s\n", run.done,
           run.failed, run.unclean, (double)took_us / 1e6, run.done / ((double)took_us / 1e6),
           run.done ? run.times_us[run.done / 2] / 1e3 : 0.0,
           run.done ? run.times_us[run.done - 1] / 1e3 : 0.0, run.failure ? run.failure : "none");
}

int run_logins(const struct options *options)
{
    struct client *clients = calloc(options->sessions, sizeof *clients);
    int64_t began_us = now_us();

    run.count = options->count ? options->count : 1000000;
    run.until_us = began_us + (int64_t)(options->seconds * 1e6);
    run.limit_us = (int64_t)(options->limit * 1e6);
    run.times_us = calloc(run.count, sizeof *run.times_us);
    if (!clients || !run.times_us)
        return 1;
    client_prepare(options);
    for (unsigned i = 0; i < options->sessions; i++)
        begin(&clients[i]);
    while (run.active) {
        loop_turn(100);
        for (unsigned i = 0; i < options->sessions; i++)
            sweep(&clients[i]);
    }
    report(now_us() - began_us);
    free(clients);
    free(run.times_us);
    return 0;
}

// `stream`: sessions that pour numbered messages, to the server or from it, for a time or a number
// of them; the rate is counted where they arrive.
#include "load.h"
#include "pour.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOGIN_LIMIT_US = 60000000, CLOSE_LIMIT_US = 120000000 };

struct stream {
    struct client client;
    bool flowing;
    struct pour pour;
    struct sink sink;
};

static struct {
    const struct options *options;
    unsigned bound, over, failed;
    const char *failure;
    int control;
} run;

struct counts {
    unsigned long long messages, bytes, holes;
    int64_t at_us;
};

// The far end's; ends the process where it does not answer.
static struct counts ask(void)
{
    struct counts counts = {.at_us = now_us()};
    struct pollfd readable = {.fd = run.control, .events = POLLIN};
    char line[128] = "";
    ssize_t got = -1;

    if (run.options->from_server)
        return (struct counts){sink_sums.messages, sink_sums.bytes, sink_sums.holes, now_us()};
    if (write(run.control, "?", 1) == 1 && poll(&readable, 1, 10000) == 1)
        got = read(run.control, line, sizeof line - 1);
    if (got <= 0 ||
        sscanf(line, "%llu %llu %llu", &counts.messages, &counts.bytes, &counts.holes) != 3) {
        fputs("load: the server does not tell its counts\n", stderr);
        exit(1);
    }
    // In the middle of question and answer.
    counts.at_us += (now_us() - counts.at_us) / 2;
    return counts;
}

static void ask_use(struct client *client)
{
    const struct options *options = run.options;
    unsigned long long count = options->count ? options->count : 1000000000000ull / options->size;
    char request[256];

    snprintf(request, sizeof request, use_request, options->from_server ? "source" : "sink",
             options->size, count);
    client->conn->in_len = 0;
    if (!conn_say(client->conn, request))
        client_fail(client, "write");
}

static void start_flow(struct stream *stream)
{
    const struct options *options = run.options;
    uint64_t count = options->count ? options->count : 1000000000000ull / options->size;

    stream->flowing = true;
    stream->pour = (struct pour){.end = count * options->size};
    sink_start(&stream->sink, options->size);
    conn_want_write(stream->client.conn, !options->from_server);
}

static void read_use(struct stream *stream)
{
    struct conn *conn = stream->client.conn;
    enum conn_io io = conn_fill(conn);
    char *answer = strstr(conn->in, use_answer);

    if (io == CONN_CLOSED || io == CONN_FAILED) {
        client_fail(&stream->client, "closed");
    } else if (answer) {
        start_flow(stream);
        answer += strlen(use_answer);
        sink_take(&stream->sink, answer, conn->in_len - (size_t)(answer - conn->in));
    }
}

static void drain(struct stream *stream)
{
    static char bytes[65536];

    for (int records = 0; records < 16; records++) {
        size_t length;
        enum conn_io io = conn_read(stream->client.conn, bytes, sizeof bytes, &length);
        if (io == CONN_CLOSED || io == CONN_FAILED)
            client_fail(&stream->client, "closed");
        if (io != CONN_OK)
            return;
        sink_take(&stream->sink, bytes, length);
    }
    if (run.options->count && sink_sums.messages >= (uint64_t)run.options->count * run.bound)
        client_close(&stream->client);
}

static void pour_or_close(struct stream *stream)
{
    enum conn_io io = pour_some(&stream->pour, stream->client.conn);

    if (io == CONN_FAILED)
        client_fail(&stream->client, "closed");
    else if (io == CONN_CLOSED)
        client_close(&stream->client);
}

static void stream_changed(struct client *client)
{
    struct stream *stream = client->owner;

    if (client->state == CLIENT_FAILED || client->state == CLIENT_CLOSED) {
        run.over++;
        run.failed += client->state == CLIENT_FAILED;
        if (client->failure)
            run.failure = client->failure;
        conn_want_write(client->conn, false);
    } else if (client->bound_us && !stream->flowing && client->step) {
        client->step = NULL; // once
        run.bound++;
    } else if (!stream->flowing) {
        read_use(stream);
    } else if (run.options->from_server) {
        drain(stream);
    } else {
        pour_or_close(stream);
    }
}

static bool log_in(struct stream *streams, unsigned count)
{
    int64_t deadline = now_us() + LOGIN_LIMIT_US;
    unsigned begun = 0;

    while (run.bound + run.over < count && now_us() < deadline) {
        // Few at a time, so that none waits long.
        while (begun < count && begun - run.bound - run.over < 16) {
            client_start(&streams[begun].client, stream_changed, &streams[begun]);
            begun++;
        }
        loop_turn(100);
    }
    return run.bound == count;
}

static void turn_until(int64_t until_us)
{
    for (int64_t left; run.over < run.options->sessions && (left = until_us - now_us()) > 0;)
        loop_turn((int)(left / 1000) + 1);
}

static void stop(struct stream *streams)
{
    for (unsigned i = 0; i < run.options->sessions; i++) {
        struct stream *stream = &streams[i];
        if (stream->client.state != CLIENT_BOUND)
            continue;
        if (run.options->from_server)
            client_close(&stream->client);
        else
            pour_stop(&stream->pour);
    }
}

static void report(struct counts first, struct counts warm, struct counts last, struct counts all)
{
    double seconds = (double)(last.at_us - warm.at_us) / 1e6;
    double rate = (double)(last.messages - warm.messages) / seconds;

    printf("rate=%.1f mb_s=%.3f messages=%llu holes=%llu failed=%u seconds=%.4f failure=%s\n", rate,
           (double)(last.bytes - warm.bytes) / 1e6 / seconds, all.messages - first.messages,
           all.holes - first.holes, run.failed, (double)(all.at_us - first.at_us) / 1e6,
           run.failure ? run.failure : "none");
}

static int measure(struct stream *streams)
{
    const struct options *options = run.options;
    struct counts first, warm, last;

    first = ask();
    for (unsigned i = 0; i < options->sessions; i++)
        ask_use(&streams[i].client);
    turn_until(first.at_us + (int64_t)(options->warm_up * 1e6));
    warm = options->count ? first : ask();
    turn_until(first.at_us + (int64_t)(options->seconds * 1e6));
    last = ask();
    stop(streams);
    turn_until(now_us() + CLOSE_LIMIT_US);
    report(first, warm, last, ask());
    return run.over == options->sessions && run.failed == 0 ? 0 : 1;
}

int run_stream(const struct options *options)
{
    struct stream *streams = calloc(options->sessions, sizeof *streams);
    int status = 1;

    run.options = options;
    run.control = options->from_server ? -1 : connect_to(options->control);
    if (!streams)
        return 1;
    client_prepare(options);
    pour_prepare(options->size, options->chunk);
    if (log_in(streams, options->sessions))
        status = measure(streams);
    else
        fprintf(stderr, "load: %u of %u sessions: %s\n", run.bound, options->sessions,
                run.failure ? run.failure : "they stall");
    for (unsigned i = 0; i < options->sessions; i++)
        client_free(&streams[i].client);
    free(streams);
    return status;
}

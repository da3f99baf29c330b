// The load of `make bench`: a server's end and clients, on loopback, bounded in number and time.
//
//   load server --cert FILE --key FILE [--port N] [--clear N] [--control N]
//   load logins|stream|ping|idle --ca FILE --port N [OPTION VALUE...]
#include "load.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct options options = {
    .sessions = 1, .seconds = 5, .limit = 10, .size = 300, .chunk = 16384,
};

enum kind { PORT, FLAG, FILE_NAME, NUMBER, SECONDS, BYTES };

static const struct {
    const char *name;
    enum kind kind;
    void *value;
} table[] = {
    {"--port", PORT, &options.port},
    {"--clear", PORT, &options.clear},
    {"--control", PORT, &options.control},
    {"--starttls", FLAG, &options.starttls},
    {"--from-server", FLAG, &options.from_server},
    {"--wait", FLAG, &options.wait},
    {"--ca", FILE_NAME, &options.ca},
    {"--cert", FILE_NAME, &options.cert},
    {"--key", FILE_NAME, &options.key},
    {"--sessions", NUMBER, &options.sessions},
    {"--count", NUMBER, &options.count},
    {"--seconds", SECONDS, &options.seconds},
    {"--limit", SECONDS, &options.limit},
    {"--gap-ms", SECONDS, &options.gap},
    {"--size", BYTES, &options.size},
    {"--chunk", BYTES, &options.chunk},
};

static const struct {
    const char *name;
    int (*run)(const struct options *options);
} commands[] = {
    {"server", run_server}, {"logins", run_logins}, {"stream", run_stream},
    {"ping", run_ping},     {"idle", run_idle},
};

static void set(enum kind kind, void *value, const char *text)
{
    switch (kind) {
    case PORT:
        *(uint16_t *)value = (uint16_t)strtoul(text, NULL, 10);
        break;
    case FLAG:
        *(bool *)value = true;
        break;
    case FILE_NAME:
        *(const char **)value = text;
        break;
    case NUMBER:
        *(unsigned *)value = (unsigned)strtoul(text, NULL, 10);
        break;
    case SECONDS:
        *(double *)value = strtod(text, NULL);
        break;
    case BYTES:
        *(size_t *)value = strtoul(text, NULL, 10);
        break;
    }
}

// How many words it took; 0: there is no such option.
static int read_option(char **words)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(words[0], table[i].name) != 0)
            continue;
        if (table[i].kind != FLAG && !words[1])
            return 0;
        set(table[i].kind, table[i].value, words[1]);
        return table[i].kind == FLAG ? 1 : 2;
    }
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 2, taken; i < argc; i += taken) {
        taken = read_option(argv + i);
        if (!taken) {
            fprintf(stderr, "load: %s?\n", argv[i]);
            return 2;
        }
    }
    // One TLS record a write; see pour.c.
    if (options.chunk == 0 || options.chunk > 16384)
        options.chunk = 16384;
    signal(SIGPIPE, SIG_IGN);
    raise_fd_limit();
    loop_open();
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(&options);
    fputs("load: server, logins, stream, ping or idle\n", stderr);
    return 2;
}

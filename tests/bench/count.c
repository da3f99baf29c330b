// Counts an archive's messages: `count FILE...` prints how many there are, how many sessions they
// are of, and how many numbers (the messages' own, and the records' `n`) are not the next one.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { LINE_BYTES = 16 << 20, SESSIONS = 1 << 15, ID_BYTES = 64 };

struct session {
    char id[ID_BYTES];
    unsigned long long records, messages;
};

static struct session sessions[SESSIONS]; // by their id's hash
static unsigned long long messages, holes, seen;

static struct session *find(const char *id)
{
    unsigned hash = 5381;

    for (const char *at = id; *at; at++)
        hash = hash * 33 + (unsigned char)*at;
    for (unsigned i = 0; i < SESSIONS; i++) {
        struct session *session = &sessions[(hash + i) % SESSIONS];
        if (!*session->id) {
            strcpy(session->id, id);
            seen++;
        }
        if (strcmp(session->id, id) == 0)
            return session;
    }
    fputs("count: too many sessions\n", stderr);
    exit(1);
}

static void take_line(const char *line)
{
    const char *field = strstr(line, "\"session\":\"");
    const char *number = strstr(line, "\"n\":");
    const char *message = strstr(line, "<message id='");
    char id[ID_BYTES];

    if (!field || !number || sscanf(field, "\"session\":\"%63[^\"]", id) != 1) {
        holes++;
        return;
    }
    struct session *session = find(id);
    holes += strtoull(number + strlen("\"n\":"), NULL, 10) != ++session->records;
    if (message) {
        messages++;
        holes += strtoull(message + strlen("<message id='"), NULL, 10) != ++session->messages;
    }
}

static int take_file(const char *name, char *line)
{
    gzFile file = gzopen(name, "rb");

    if (!file)
        return -1;
    gzbuffer(file, 1 << 20);
    while (gzgets(file, line, LINE_BYTES))
        take_line(line);
    return gzclose(file) == Z_OK ? 0 : -1;
}

int main(int argc, char **argv)
{
    char *line = malloc(LINE_BYTES);
    int status = line ? 0 : 1;

    for (int i = 1; i < argc && status == 0; i++)
        if (take_file(argv[i], line)) {
            fprintf(stderr, "count: %s: cannot be read to its end\n", argv[i]);
            status = 1;
        }
    printf("messages=%llu sessions=%llu holes=%llu\n", messages, seen, holes);
    free(line);
    return status;
}

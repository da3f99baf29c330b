// Numbered messages of one size, poured into a session as fast as it takes them, and the end that
// counts them. Both ends of a session can be either.
#ifndef BENCH_POUR_H
#define BENCH_POUR_H

#include "conn.h"

// The smallest message: its head, its tail and a word.
enum { POUR_MIN_BYTES = 96 };

// The messages of a size: bodies of varied words, more of them than a deflate window holds. Ends
// the process without memory. Borrowed until the process ends; one size a process.
void pour_prepare(size_t size, size_t chunk);

struct pour {
    uint64_t offset; // bytes poured
    uint64_t end;    // bytes to be poured
    bool blocked;    // the chunk at `offset` is OpenSSL's already
};

// Pours until the socket is full or a fair share has gone. CONN_OK: there is more to pour;
// CONN_CLOSED: all of it has been poured.
enum conn_io pour_some(struct pour *pour, struct conn *conn);
// Stops behind the message that has begun.
void pour_stop(struct pour *pour);

enum { SINK_HEAD_BYTES = 23 }; // up to the number's last digit

struct sink {
    size_t size;
    size_t at; // in the message
    uint64_t next;
    char head[SINK_HEAD_BYTES];
};

// All sinks of the process together.
struct sink_sums {
    uint64_t messages;
    uint64_t bytes;
    uint64_t holes; // messages whose number was not the next one
};
extern struct sink_sums sink_sums;

void sink_start(struct sink *sink, size_t size);
// Takes bytes; returns how many of them are messages'. Fewer than `length` where another element
// begins: its `<` has been taken, what follows it stands from there on.
size_t sink_take(struct sink *sink, const char *bytes, size_t length);

#endif

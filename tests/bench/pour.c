#include "pour.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The number has ten digits, always.
#define HEAD "<message id='"
#define MID  "' to='peer@" BENCH_DOMAIN "' type='chat'><body>"
#define TAIL "</body></message>"

enum {
    DIGITS = 10,
    POOL_BYTES = 4 << 20,
    SHARE_BYTES = 256 << 10, // of a turn, so that sessions take turns
};

static char *pool;
static size_t pool_size, message_size, chunk_size;

struct sink_sums sink_sums;

static const char *const words[] = {
    "the",     "of",     "and",    "to",      "in",      "that",    "was",      "his",
    "he",      "it",     "with",   "is",      "for",     "as",      "had",      "you",
    "not",     "be",     "her",    "on",      "at",      "by",      "which",    "have",
    "or",      "from",   "this",   "him",     "but",     "all",     "she",      "they",
    "were",    "my",     "are",    "me",      "one",     "their",   "so",       "an",
    "said",    "them",   "we",     "who",     "would",   "been",    "will",     "no",
    "when",    "there",  "if",     "more",    "out",     "up",      "into",     "do",
    "any",     "your",   "what",   "has",     "man",     "could",   "other",    "than",
    "our",     "some",   "very",   "time",    "upon",    "about",   "may",      "its",
    "only",    "now",    "like",   "little",  "then",    "can",     "should",   "made",
    "did",     "us",     "such",   "great",   "before",  "must",    "two",      "these",
    "see",     "know",   "over",   "much",    "down",    "after",   "first",    "good",
    "men",     "own",    "never",  "most",    "old",     "shall",   "day",      "where",
    "those",   "came",   "come",   "himself", "way",     "work",    "life",     "without",
    "go",      "make",   "well",   "through", "being",   "long",    "say",      "might",
    "how",     "am",     "too",    "even",    "again",   "many",    "back",     "here",
    "think",   "every",  "people", "went",    "same",    "last",    "thought",  "away",
    "under",   "take",   "found",  "hand",    "still",   "eyes",    "place",    "while",
    "just",    "also",   "young",  "yet",     "though",  "against", "things",   "get",
    "ever",    "give",   "years",  "off",     "face",    "nothing", "right",    "once",
    "another", "left",   "part",   "saw",     "house",   "world",   "head",     "three",
    "took",    "new",    "love",   "always",  "mrs",     "put",     "night",    "each",
    "king",    "between","tell",   "mind",    "heart",   "few",     "because",  "thing",
    "whom",    "far",    "seemed", "looked",  "called",  "whole",   "set",      "both",
    "got",     "find",   "done",   "heard",   "look",    "name",    "days",     "told",
    "let",     "lord",   "country","asked",   "going",   "seen",    "better",   "having",
    "home",    "knew",   "side",   "something","moment","father",  "among",    "course",
    "hands",   "woman",  "enough", "words",   "mother",  "soon",    "full",     "end",
    "gave",    "room",   "almost", "small",   "thou",    "cannot",  "water",    "want",
    "however", "light",  "quite",  "brought", "nor",     "word",    "whose",    "given",
    "door",    "best",   "turned", "taken",   "does",    "use",     "morning",  "myself",
};

// xorshift32: the same words in every run.
static unsigned next_random(void)
{
    static unsigned state = 2463534242u;

    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static void fill_body(char *body, size_t length)
{
    size_t at = 0;

    while (at < length) {
        const char *word = words[next_random() % (sizeof words / sizeof *words)];
        size_t take = strlen(word);
        if (take > length - at)
            take = length - at;
        memcpy(body + at, word, take);
        at += take;
        if (at < length)
            body[at++] = ' ';
    }
}

static void fill_message(char *at)
{
    size_t fixed = strlen(HEAD) + DIGITS + strlen(MID) + strlen(TAIL);

    at = mempcpy(at, HEAD, strlen(HEAD));
    memset(at, '0', DIGITS);
    at = mempcpy(at + DIGITS, MID, strlen(MID));
    fill_body(at, message_size - fixed);
    memcpy(at + (message_size - fixed), TAIL, strlen(TAIL));
}

void pour_prepare(size_t size, size_t chunk)
{
    size_t count = POOL_BYTES / size;

    message_size = size;
    chunk_size = chunk;
    pool_size = (count ? count : 1) * size;
    // What stands in the first chunk stands again behind the last: a chunk is always in one piece.
    pool = malloc(pool_size + chunk);
    if (!pool || size < POUR_MIN_BYTES) {
        fputs("load: no messages of that size\n", stderr);
        exit(1);
    }
    for (size_t at = 0; at < pool_size; at += size)
        fill_message(pool + at);
    for (size_t at = 0; at < chunk; at++)
        pool[pool_size + at] = pool[at];
}

static void put_number(char *digits, uint64_t number)
{
    for (int i = DIGITS - 1; i >= 0; i--, number /= 10)
        digits[i] = (char)('0' + number % 10);
}

// Writes the numbers, from 1, of the messages that lie, or begin, in the chunk at `offset`. The
// digits of one that is cut are written in both chunks, for other sessions write here, too.
static void number_chunk(char *chunk, uint64_t offset, size_t length)
{
    uint64_t message = offset / message_size;
    int64_t at = -(int64_t)(offset % message_size) + (int64_t)strlen(HEAD);

    for (; at < (int64_t)length; at += (int64_t)message_size, message++) {
        char digits[DIGITS];
        put_number(digits, message + 1);
        for (int i = 0; i < DIGITS; i++)
            if (at + i >= 0 && at + i < (int64_t)length)
                chunk[at + i] = digits[i];
    }
}

enum conn_io pour_some(struct pour *pour, struct conn *conn)
{
    for (size_t share = 0; share < SHARE_BYTES; share += chunk_size) {
        uint64_t left = pour->end - pour->offset;
        size_t length = left < chunk_size ? (size_t)left : chunk_size;
        char *chunk = pool + pour->offset % pool_size;

        if (left == 0)
            return CONN_CLOSED;
        if (!pour->blocked)
            number_chunk(chunk, pour->offset, length);
        enum conn_io io = conn_write(conn, chunk, length);
        pour->blocked = io == CONN_AGAIN;
        if (io != CONN_OK)
            return io;
        pour->offset += length;
    }
    return pour->offset == pour->end ? CONN_CLOSED : CONN_OK;
}

void pour_stop(struct pour *pour)
{
    // The chunk that OpenSSL has goes, too.
    uint64_t begun = pour->offset + (pour->blocked ? chunk_size : 0);
    uint64_t end = (begun + message_size - 1) / message_size * message_size;

    if (end < pour->end)
        pour->end = end;
}

void sink_start(struct sink *sink, size_t size)
{
    *sink = (struct sink){.size = size, .next = 1};
}

static void count_message(struct sink *sink)
{
    uint64_t number = 0;

    for (size_t i = strlen(HEAD); i < SINK_HEAD_BYTES; i++)
        number = number * 10 + (uint64_t)(sink->head[i] - '0');
    if (number != sink->next || memcmp(sink->head, HEAD, strlen(HEAD)) != 0)
        sink_sums.holes++;
    sink->next = number + 1;
    sink_sums.messages++;
}

size_t sink_take(struct sink *sink, const char *bytes, size_t length)
{
    size_t at = 0;

    while (at < length) {
        // `<` is in `head` by then, wherever the bytes are cut.
        if (sink->at == 1 && bytes[at] != HEAD[1])
            break;
        bool in_head = sink->at < SINK_HEAD_BYTES;
        size_t take = sink->at == 0 ? 1 : (in_head ? SINK_HEAD_BYTES : sink->size) - sink->at;
        if (take > length - at)
            take = length - at;
        if (in_head)
            memcpy(sink->head + sink->at, bytes + at, take);
        at += take;
        sink->at += take;
        if (in_head && sink->at == SINK_HEAD_BYTES)
            count_message(sink);
        if (sink->at == sink->size)
            sink->at = 0;
    }
    sink_sums.bytes += at;
    return at;
}

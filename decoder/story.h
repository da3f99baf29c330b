/* story.h: what a session's events have shown, as named values that verdicts are given from.
 *
 * One session's, in one thread: the recorder's while it is live, the command's when an archive is
 * read; both see the same events, so both give the same verdict. What is learnt from which event
 * is a table in story.c; the keys are listed there. Bounded: a value is at most STORY_VALUE_MAX
 * bytes, there are as many values as keys.
 */
#ifndef XMPPTAP_STORY_H
#define XMPPTAP_STORY_H

#include "../logs/event.h"

#define STORY_VALUE_MAX 384 /* our own words about a failure are this long at most */
#define STORY_FACT_MAX  200 /* what a peer said is cut to this, and ends in "..." then */
#define STORY_LABEL_MAX 64

struct story_value {
    const char *key; /* static */
    char *value;     /* owned */
};

struct story {
    struct story_value *values; /* owned */
    unsigned n, cap;
    int64_t begin_us, login_us, last_us;
    uint64_t login_n;           /* the event that made it a login; 0: none did */
    enum dir last_dir;
    char last[STORY_LABEL_MAX]; /* label of the last wire item that is no end or error of a stream, or "" */
    uint64_t last_n;            /* its number */
    bool tls_client, secured;   /* the client's TLS stands; something came inside it */
};

void story_init(struct story *s);
void story_free(struct story *s);

/* Takes in what `ev` says. Without memory a value is not known. */
void story_event(struct story *s, const struct event *ev);

/* NULL where nothing is known. Borrowed until the next event. */
const char *story_get(const struct story *s, const char *key);
/* The same; `key` has `n` bytes. */
const char *story_find(const struct story *s, const char *key, size_t n);

/* Makes `key` (which must live as long as the story) known; an empty or NULL value is none. */
void story_set(struct story *s, const char *key, const char *value);

/* The label that rule `i` is about, NULL behind the last; `looked_at`: its first letter is among those
 * that are looked at. */
const char *story_rule_label(size_t i, bool *looked_at);

/* Every key that an event can make known, NULL behind the last; some come more than once. */
const char *story_key(size_t i);

#endif

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

#define STORY_VALUE_MAX 384
#define STORY_LABEL_MAX 64

struct story_value {
    const char *key; /* static */
    char *value;     /* owned */
};

struct story {
    struct story_value *values; /* owned */
    unsigned n, cap;
    int64_t begin_us, login_us, last_us;
    enum dir last_dir;
    char last[STORY_LABEL_MAX]; /* label of the last wire item, "" before one */
    uint64_t items;
};

void story_init(struct story *s);
void story_free(struct story *s);

/* Takes in what `ev` says. Without memory a value is not known. */
void story_event(struct story *s, const struct event *ev);

/* NULL where nothing is known. Borrowed until the next event. */
const char *story_get(const struct story *s, const char *key);

#endif

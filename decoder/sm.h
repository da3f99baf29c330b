/* sm.h: stream management (XEP-0198): what was really sent, against the counters that are said.
 *
 * One session's `struct sm`, embedded; the recorder's thread. `struct sm_table` is that thread's:
 * it knows the streams that can be resumed, so that a session is tied to the one it resumes. The
 * counters are the stream's, not the session's: they are held only while stream management is on,
 * or the stream is in the table, and go over to the session that resumes it.
 */
#ifndef XMPPTAP_SM_H
#define XMPPTAP_SM_H

#include "fact_list.h"
#include "reader.h"

#define SM_SESSION_MAX 40   /* a session's id with its NUL */
#define SM_STREAMS_MAX 1024 /* in the table; the one longest unused is forgotten */
#define SM_ID_MAX      512  /* a stream with a longer id is not entered */

struct sm_holders; /* sm_holders.h */
struct sm_table;
struct sm_stream; /* counters; held by sessions and by the table */

enum sm_state { SM_OFF, SM_ENABLING, SM_ON };

struct sm {
    struct sm_table *table;     /* borrowed; NULL: none */
    const char *session;        /* borrowed */
    struct sm_stream *stream;   /* NULL while off */
    struct sm_stream *resuming; /* what <resume/> named, until it is answered; NULL if unknown */
    enum sm_state state;
    bool resume_asked, resume_counted;
    uint32_t resume_h;            /* what <resume/> said, if resume_counted */
    char resumes[SM_SESSION_MAX]; /* the session that this one resumed, "" */
};

struct sm_table *sm_table_new(void);    /* returns owned, NULL without memory */
void sm_table_free(struct sm_table *t); /* not while a session that borrows it is used */
/* Sessions of other threads' tables may resume streams of this one's, and the other way. Borrows. */
void sm_table_share(struct sm_table *t, struct sm_holders *holders);

/* Borrows `session` and `t` until sm_free(). */
void sm_init(struct sm *s, const char *session, struct sm_table *t);
/* The session is over: a stream that can be resumed stays in the table as it was left. */
void sm_free(struct sm *s);

/* Every item of either direction, in the order of the wire: counts stanzas, reads what stream
 * management says, adds facts and remarks. `domain`: the stream's, "" while unknown. True if the
 * session goes on from here with an earlier session's stream. */
bool sm_item(struct sm *s, const struct item *it, enum dir dir, const char *domain,
             struct fact_list *facts, struct fact_list *remarks);

/* Items of `dir` were not read: nothing can be said about their number, until a resumption. */
void sm_missed(struct sm *s, enum dir dir);

#endif

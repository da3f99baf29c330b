/* sm.h: stream management (XEP-0198): what was really sent, against the counters that are said.
 *
 * One session's `struct sm`, embedded; the recorder's thread. `struct sm_table` is that thread's:
 * it knows the streams that can be resumed, so that a session is tied to the one it resumes.
 */
#ifndef XMPPTAP_SM_H
#define XMPPTAP_SM_H

#include "fact_list.h"
#include "reader.h"

#define SM_SESSION_MAX 40 /* a session's id with its NUL */

struct sm_table; /* bounded: the one longest unused is forgotten */

struct sm {
    struct sm_table *table;          /* borrowed; NULL: none */
    char session[SM_SESSION_MAX];
    char resumes[SM_SESSION_MAX];    /* the session that this one resumed, "" */
};

struct sm_table *sm_table_new(void); /* returns owned, NULL without memory */
void sm_table_free(struct sm_table *t);

void sm_init(struct sm *s, const char *session, struct sm_table *t);
void sm_free(struct sm *s);

/* Every item of either direction, in the order of the wire: counts stanzas, reads what stream
 * management says, adds facts and remarks. */
void sm_item(struct sm *s, const struct item *it, enum dir dir, struct fact_list *facts,
             struct fact_list *remarks);

/* The session is over: what it counted is kept for a session that resumes it. */
void sm_end(struct sm *s);

#endif

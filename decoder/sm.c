#include "sm.h"

#include <stdio.h>
#include <stdlib.h>

struct sm_table {
    unsigned used;
};

struct sm_table *sm_table_new(void)
{
    return calloc(1, sizeof(struct sm_table));
}

void sm_table_free(struct sm_table *t)
{
    free(t);
}

void sm_init(struct sm *s, const char *session, struct sm_table *t)
{
    *s = (struct sm){.table = t};
    snprintf(s->session, sizeof s->session, "%s", session);
}

void sm_free(struct sm *s)
{
    (void)s;
}

void sm_item(struct sm *s, const struct item *it, enum dir dir, struct fact_list *facts,
             struct fact_list *remarks)
{
    (void)s;
    (void)it;
    (void)dir;
    (void)facts;
    (void)remarks;
}

void sm_end(struct sm *s)
{
    (void)s;
}

/* privacy_iq.c: privacy lists as iqs (XEP-0016). */
#include <string.h>

#include "answers.h"
#include "ns.h"
#include "world.h"

void answer_privacy_get(struct ask *q)
{
    int list = item_find(q->it, 3, NS_PRIVACY, "list");
    const char *name;

    if (list < 0) {
        if (q->c->world->profile->holds)
            q->effects |= ASK_HOLDS;
        ask_result(q, "<query xmlns=\"" NS_PRIVACY "\"><list name=\"blocked\"/>"
                      "<default name=\"blocked\"/><active name=\"blocked\"/></query>");
        return;
    }
    q->effects |= ASK_RELEASES;
    name = item_attr(q->it, (unsigned)list, "name");
    if (name && strcmp(name, "blocked") == 0)
        ask_result(q, "<query xmlns=\"" NS_PRIVACY "\"><list name=\"blocked\">"
                      "<item action=\"allow\" order=\"100\"/></list></query>");
    else
        ask_error(q, "item-not-found");
}

void answer_privacy_set(struct ask *q)
{
    ask_result(q, NULL);
}

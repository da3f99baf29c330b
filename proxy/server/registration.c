/* registration.c: accounts that clients make, change and end (XEP-0077). */
#include "answers.h"

#include <string.h>

#include "ns.h"
#include "server.h"
#include "session.h"
#include "world.h"

void answer_register_get(struct ask *q)
{
    static const char open_form[] =
        "<query xmlns=\"" NS_REG "\"><instructions>Any user name and any password will do."
        "</instructions><username/><password/></query>";
    static const char form[] =
        "<query xmlns=\"" NS_REG "\"><instructions>Choose a user name and a password."
        "</instructions><username/><password/></query>";
    static const char registered[] =
        "<query xmlns=\"" NS_REG "\"><registered/><username>$L</username><password/></query>";

    if (!session_refuses(q, FEATURE_REGISTER))
        ask_result(q, q->c->bound ? registered : q->c->world->closed ? form : open_form);
}

/* A new account. NULL, or the error's condition. */
static const char *enrol(struct ask *q, const char *local, const char *password)
{
    struct world *w = q->c->world;
    struct error e = {0};
    struct user *u;

    if (world_user(w, local, q->c->domain))
        return "conflict";
    u = world_make(w, local, q->c->domain);
    if (!u)
        return "resource-constraint";
    if (!credentials_set(&u->credentials, password, &e))
        return NULL;
    world_remove(w, u);
    return e.code == ERR_USAGE ? "not-acceptable" : "resource-constraint";
}

/* Another password for the client's own account (§3.3). */
static const char *change(struct ask *q, const char *local, const char *password)
{
    struct user *u = q->c->user;
    struct error e = {0};

    if (strcmp(u->local, local) != 0)
        return "not-allowed";
    if (!credentials_set(&u->credentials, password, &e))
        return NULL;
    return e.code == ERR_USAGE ? "not-acceptable" : "resource-constraint";
}

static const char *submit(struct ask *q)
{
    int name = item_find(q->it, 3, NS_REG, "username");
    int password = item_find(q->it, 3, NS_REG, "password");
    const struct node *node = q->it->node;
    char local[JID_PART_MAX + 1];

    if (name < 0 || password < 0)
        return q->c->user ? "bad-request" : "not-acceptable"; /* §3.3, §3.1 */
    if (node[name].text_cut || !prep_local(node[name].text, node[name].text_len, local) ||
        node[password].text_cut || node[password].text_len == 0)
        return "not-acceptable";
    return q->c->user ? change(q, local, node[password].text)
                      : enrol(q, local, node[password].text);
}

/* The account's streams end (§3.2); it stays until its last client is gone: only then is it
 * nobody's. */
static const char *unregister(struct ask *q)
{
    struct user *u = q->c->user;
    unsigned others = 0;

    for (unsigned i = 0; i < q->it->nodes; i++)
        others += q->it->node[i].depth == 3;
    if (others > 1)
        return "bad-request";
    if (!u)
        return "registration-required";
    u->temporary = true;
    for (struct client *c = u->clients, *next; c; c = next) {
        next = c->next;
        if (c->server && c != q->c)
            server_end(c->server, "not-authorized");
        else if (!c->server)
            world_forget(c->world, c);
    }
    q->stream_error = "not-authorized";
    return NULL;
}

void answer_register_set(struct ask *q)
{
    const char *condition;

    if (session_refuses(q, FEATURE_REGISTER))
        return;
    condition = item_find(q->it, 3, NS_REG, "remove") >= 0 ? unregister(q) : submit(q);
    if (condition)
        ask_error(q, condition);
    else
        ask_result(q, NULL);
}

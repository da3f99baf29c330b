/* session.c: a client becomes a resource: bind, and the older ways in (RFC 6120 §7, XEP-0078,
 * XEP-0077). */
#include "answers.h"

#include <string.h>

#include "ns.h"
#include "server.h"
#include "world.h"

/* The text of `node`, prepared; -1 or empty: a random one. False: it is no resource. */
static bool resource_of(struct ask *q, int node, char out[JID_PART_MAX + 1])
{
    const struct node *n = node < 0 ? NULL : &q->it->node[node];

    if (!n || n->text_len == 0) {
        q->err = client_random(out);
        return true;
    }
    return !n->text_cut && prep_resource(n->text, n->text_len, out);
}

/* Binds; where the account has that resource already the profile says what becomes of it (RFC 6120
 * §7.7.2.2). NULL, or the error's condition. */
static const char *bind(struct ask *q, char resource[JID_PART_MAX + 1])
{
    struct client *old = client_find(q->c->user, resource);

    if (old && q->c->world->profile->conflict == CONFLICT_REFUSE)
        return "conflict";
    if (old && q->c->world->profile->conflict == CONFLICT_RENAME)
        q->err = client_random(resource);
    else if (old)
        client_replace(old);
    return client_bind(q->c, resource) ? NULL : "resource-constraint";
}

void answer_bind(struct ask *q)
{
    char resource[JID_PART_MAX + 1];
    const char *condition = "bad-request";

    if (resource_of(q, item_find(q->it, 3, NS_BIND, "resource"), resource))
        condition = bind(q, resource);
    if (condition)
        ask_error(q, condition);
    else
        ask_put(q, "<iq xmlns=\"" NS_CLIENT "\" type=\"result\" id=\"$I\" to=\"$F\">"
                   "<bind xmlns=\"" NS_BIND "\"><jid>$F</jid></bind></iq>");
}

void answer_bind_again(struct ask *q)
{
    ask_error(q, "not-allowed");
}

/* ---- XEP-0078 §3, with the plain password ---- */

void answer_auth(struct ask *q)
{
    int user = item_find(q->it, 3, NS_AUTH, "username");
    int password = item_find(q->it, 3, NS_AUTH, "password");
    int resource = item_find(q->it, 3, NS_AUTH, "resource");
    const struct node *node = q->it->node;
    char name[JID_PART_MAX + 1];
    const char *condition = NULL;
    struct user *u = NULL;

    if (user < 0 || password < 0 || resource < 0)
        condition = "not-acceptable";
    else if (!node[user].text_cut && resource_of(q, resource, name))
        u = client_account(q->c, node[user].text, node[user].text_len);
    if (!condition && (!u || node[password].text_cut ||
                       !credentials_allow(&u->credentials, node[password].text)))
        condition = "not-authorized";
    if (!condition) {
        client_login(q->c, u);
        condition = bind(q, name);
    }
    if (condition)
        ask_error(q, condition);
    else
        ask_result(q, NULL);
}

/* ---- XEP-0077 ---- */

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

    ask_result(q, q->c->bound ? registered : q->c->world->closed ? form : open_form);
}

/* A new account, or another password for the client's own. */
static const char *enrol(struct ask *q, const struct node *name, const struct node *password)
{
    struct world *w = q->c->world;
    char local[JID_PART_MAX + 1];
    struct user *u = q->c->user;

    if (name->text_cut || !prep_local(name->text, name->text_len, local) || password->text_cut ||
        password->text_len == 0)
        return "not-acceptable";
    if (u && strcmp(u->local, local) != 0)
        return "not-allowed";
    if (!u && world_user(w, local, q->c->domain))
        return "conflict";
    if (!u)
        u = world_make(w, local, q->c->domain);
    if (!u || credentials_set(&u->credentials, password->text, NULL))
        return "resource-constraint";
    return NULL;
}

/* It stays until its client is gone: only then is it nobody's. */
static const char *unregister(struct ask *q)
{
    if (!q->c->user)
        return "registration-required";
    q->c->user->temporary = true;
    q->stream_error = "not-authorized"; /* XEP-0077 §3.2 */
    return NULL;
}

void answer_register_set(struct ask *q)
{
    int name = item_find(q->it, 3, NS_REG, "username");
    int password = item_find(q->it, 3, NS_REG, "password");
    const char *condition;

    if (item_find(q->it, 3, NS_REG, "remove") >= 0)
        condition = unregister(q);
    else if (name < 0 || password < 0)
        condition = "bad-request";
    else
        condition = enrol(q, &q->it->node[name], &q->it->node[password]);
    if (condition)
        ask_error(q, condition);
    else
        ask_result(q, NULL);
}

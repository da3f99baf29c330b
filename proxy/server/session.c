/* session.c: a client becomes a resource: bind, and the way in before SASL (RFC 6120 §7, XEP-0078). */
#include "answers.h"

#include <string.h>

#include "ns.h"
#include "server.h"
#include "session.h"
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

const char *session_bind(struct client *c, char resource[JID_PART_MAX + 1], int *err)
{
    struct client *old = client_find(c->user, resource);

    if (old && c->world->profile->conflict == CONFLICT_REFUSE)
        return "conflict";
    if (old && c->world->profile->conflict == CONFLICT_RENAME)
        *err = client_random(resource);
    else if (old)
        client_replace(old);
    return client_bind(c, resource) ? NULL : "resource-constraint";
}

void answer_bind(struct ask *q)
{
    char resource[JID_PART_MAX + 1];
    const char *condition = "bad-request";

    if (resource_of(q, item_find(q->it, 3, NS_BIND, "resource"), resource))
        condition = session_bind(q->c, resource, &q->err);
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

bool session_refuses(struct ask *q, enum feature f)
{
    const struct profile *p = q->c->world->profile;
    bool has = profile_has(p, f);
    const char *own = !p->failure_text ? ""
                      : has            ? "<text xmlns=\"" NS_STANZAS "\" xml:lang=\"en\">not before STARTTLS</text>"
                                       : "<text xmlns=\"" NS_STANZAS "\" xml:lang=\"en\">this server does not offer it</text>";

    if (has && (!p->starttls_required || server_has_tls(q->c->server)))
        return false;
    ask_error_with(q, has ? "not-authorized" : "service-unavailable", own);
    return true;
}

/* ---- XEP-0078 §3, with the plain password: of it alone keys are kept, which no digest fits ---- */

void answer_auth_get(struct ask *q)
{
    if (!session_refuses(q, FEATURE_IQ_AUTH))
        ask_result(q, "<query xmlns=\"" NS_AUTH "\"><username/><password/><resource/></query>");
}

void answer_auth(struct ask *q)
{
    int user = item_find(q->it, 3, NS_AUTH, "username");
    int password = item_find(q->it, 3, NS_AUTH, "password");
    int resource = item_find(q->it, 3, NS_AUTH, "resource");
    const struct node *node = q->it->node;
    char name[JID_PART_MAX + 1];
    const char *condition = NULL;
    struct user *u = NULL;

    if (session_refuses(q, FEATURE_IQ_AUTH))
        return;
    if (user < 0 || password < 0 || resource < 0)
        condition = "not-acceptable";
    else if (!node[user].text_cut && resource_of(q, resource, name))
        u = client_account(q->c, node[user].text, node[user].text_len);
    if (!condition && (!u || node[password].text_cut ||
                       !credentials_allow(&u->credentials, node[password].text)))
        condition = "not-authorized";
    if (!condition) {
        client_login(q->c, u);
        condition = session_bind(q->c, name, &q->err);
    }
    if (condition)
        ask_error(q, condition);
    else
        ask_result(q, NULL);
}

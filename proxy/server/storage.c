/* storage.c: what a client keeps with the server: private XML and its vCard (XEP-0049, XEP-0054). */
#include "answers.h"
#include "ns.h"
#include "world.h"

/* Stores element `node`; false if it does not fit. */
static bool store(struct ask *q, unsigned node)
{
    int err = q->err ? 0 : stash_put(&q->c->user->stash, q->it, node, q->root);

    if (err && err != ERR_CAP)
        q->err = err;
    return err != ERR_CAP;
}

/* Appends what is stored under the name of `node`; false if nothing is. */
static bool put_stored(struct ask *q, const struct user *u, unsigned node)
{
    const struct buf *xml = stash_get(&u->stash, q->it, node);

    if (xml)
        ask_put_raw(q, xml->p, xml->len);
    return xml != NULL;
}

/* What was never stored comes back empty, as the client asked for it. */
void answer_private_get(struct ask *q)
{
    int node = item_find(q->it, 3, NULL, NULL);

    if (node < 0 || q->it->node[node].ns[0] == '\0') {
        ask_error(q, "bad-request");
        return;
    }
    ask_head(q, "result");
    ask_put(q, "><query xmlns=\"" NS_PRIVATE "\">");
    if (!put_stored(q, q->c->user, (unsigned)node))
        ask_put_element(q, (unsigned)node);
    ask_put(q, "</query></iq>");
}

void answer_private_set(struct ask *q)
{
    bool fits = true;
    unsigned n = 0;

    for (unsigned i = 0; i < q->it->nodes && fits; i++) {
        if (q->it->node[i].depth != 3 || q->it->node[i].ns[0] == '\0')
            continue;
        n++;
        fits = store(q, i);
    }
    if (!fits)
        ask_error(q, "resource-constraint");
    else if (n == 0)
        ask_error(q, "bad-request");
    else
        ask_result(q, NULL);
}

/* The profile's vCard is of whoever is asked about. */
static void put_vcard(struct ask *q, const char *template)
{
    struct client of = {.user = q->user}, *asker = q->c;

    ask_put(q, "<vCard xmlns=\"" NS_VCARD "\">");
    q->c = &of;
    ask_put(q, template);
    q->c = asker;
    ask_put(q, "</vCard>");
}

void answer_vcard_get(struct ask *q)
{
    const char *template = q->c->world->profile->vcard;

    ask_head(q, "result");
    ask_put(q, ">");
    if (!put_stored(q, q->user, 1)) {
        if (template)
            put_vcard(q, template);
        else
            ask_put(q, "<vCard xmlns=\"" NS_VCARD "\"/>");
    }
    ask_put(q, "</iq>");
}

void answer_vcard_set(struct ask *q)
{
    if (store(q, 1))
        ask_result(q, NULL);
    else
        ask_error(q, "resource-constraint");
}

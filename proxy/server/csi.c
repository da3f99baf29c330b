#include "csi.h"

#include <string.h>

#include "../../decoder/reader.h"
#include "client.h"
#include "ns.h"
#include "world.h"

void csi_init(struct csi *s)
{
    *s = (struct csi){.inactive = false};
    buf_init(&s->held, CSI_BYTES);
}

void csi_free(struct csi *s)
{
    buf_free(&s->held);
}

/* ---- what can wait ---- */

/* The children of the message whose elements are at `depth`: is there one that can wait, and none
 * that cannot? */
static bool is_slight(const struct item *it, unsigned depth)
{
    static const struct {
        const char *ns;
        bool reason; /* to hold it back; the others only do no harm */
    } rows[] = {
        {NS_CHATSTATES, true}, {NS_PUBSUB_EVENT, true}, {NS_HINTS, false},
        {NS_DELAY, false},     {NS_SID, false},
    };
    bool reason = false;

    for (unsigned i = 0; i < it->nodes; i++) {
        size_t row = 0;

        if (it->node[i].depth != depth || item_is(it, i, NS_CLIENT, "thread"))
            continue;
        while (row < sizeof rows / sizeof rows[0] && !item_is(it, i, rows[row].ns, NULL))
            row++;
        if (row == sizeof rows / sizeof rows[0])
            return false;
        reason |= rows[row].reason;
    }
    return reason && !it->lacks;
}

/* What the stanza replaces, and is replaced by, into `key`: of presence its sender's, of chat
 * states, too; of all else nothing. False: it cannot wait. */
static bool can_wait(const struct item *it, struct buf *key)
{
    const char *type = item_attr(it, 0, "type"), *from = item_attr(it, 0, "from");
    bool states = item_find(it, 2, NS_CHATSTATES, NULL) >= 0;

    if (item_is(it, 0, NS_CLIENT, "presence"))
        return (!type || strcmp(type, "unavailable") == 0) &&
               !buf_printf(key, "p%s", from ? from : "");
    if (!item_is(it, 0, NS_CLIENT, "message") || (type && strcmp(type, "error") == 0))
        return false;
    if (item_find(it, 2, NS_CARBONS, NULL) >= 0)
        return is_slight(it, 5); /* of the message that was copied */
    return is_slight(it, 2) && (!states || !buf_printf(key, "m%s", from ? from : ""));
}

/* ---- what is held ---- */

static void forget(struct buf *held, const char *key)
{
    size_t at = 0;

    while (at < held->len) {
        const char *p = held->p + at;
        size_t n = strlen(p) + 1;

        n += strlen(p + n) + 1;
        if (strcmp(p, key) == 0) {
            memmove(held->p + at, held->p + at + n, held->len - at - n);
            held->len -= n;
            return;
        }
        at += n;
    }
}

/* False: it does not fit. */
static bool hold(struct buf *held, const struct buf *key, const char *p, size_t n)
{
    if (buf_reserve(held, key->len + n + 2))
        return false;
    return !buf_add(held, key->p, key->len) && !buf_add(held, "", 1) && !buf_add(held, p, n) &&
           !buf_add(held, "", 1);
}

bool csi_holds(struct client *c, const char *p, size_t n)
{
    const struct item *it = c->csi.inactive ? world_read(c->world, p, n) : NULL;
    struct buf key;
    bool held;

    buf_init(&key, 2 * JID_MAX);
    held = it && can_wait(it, &key) && !buf_reserve(&key, 1);
    if (held) {
        key.p[key.len] = '\0';
        if (key.len)
            forget(&c->csi.held, key.p);
        held = hold(&c->csi.held, &key, p, n);
    }
    buf_free(&key);
    if (!held)
        csi_flush(c);
    return held;
}

void csi_flush(struct client *c)
{
    struct buf held = c->csi.held;

    buf_init(&c->csi.held, CSI_BYTES);
    for (size_t at = 0; at < held.len; at += strlen(held.p + at) + 1) {
        at += strlen(held.p + at) + 1;
        client_pass(c, held.p + at, strlen(held.p + at));
    }
    buf_free(&held);
}

void csi_active(struct client *c)
{
    c->csi.inactive = false;
    csi_flush(c);
}

bool csi_take(struct client *c, const struct item *it)
{
    if (item_is(it, 0, NS_CSI, "active"))
        csi_active(c);
    else if (item_is(it, 0, NS_CSI, "inactive"))
        c->csi.inactive = c->bound;
    else
        return false;
    return true;
}

#include "sasl1.h"

#include <string.h>

#include "client.h"
#include "markup.h"
#include "ns.h"
#include "world.h"

int sasl1_put_text(const struct login *l, struct buf *out)
{
    int err;

    if (!l->c->world->profile->failure_text)
        return 0;
    err = buf_str(out, "<text xml:lang=\"en\">");
    if (!err)
        err = markup_escape(out, l->text);
    return err ? err : buf_str(out, "</text>");
}

static int put_failure(const struct login *l, struct buf *out)
{
    int err = buf_printf(out, "<failure xmlns=\"" NS_SASL "\"><%s/>", l->condition);

    if (!err)
        err = sasl1_put_text(l, out);
    return err ? err : buf_str(out, "</failure>");
}

/* Without data the element is empty: in <challenge/> and <success/> that says the same. */
static int put_data(struct buf *out, const char *name, const struct buf *data)
{
    int err = buf_printf(
        out, data->len ? "<%s xmlns=\"" NS_SASL "\">" : "<%s xmlns=\"" NS_SASL "\"/>", name);

    if (err || !data->len)
        return err;
    err = buf_base64(out, data->p, data->len);
    return err ? err : buf_printf(out, "</%s>", name);
}

enum login_result sasl1_message(struct login *l, const struct item *it, unsigned node,
                                struct buf *data)
{
    const struct node *n = &it->node[node];
    bool inside = node + 1 < it->nodes && it->node[node + 1].depth > n->depth;

    if (l->mechanism && strcmp(l->ns, it->node[0].ns) != 0)
        return login_fail(l, "malformed-request", "the login began with elements of %s", l->ns);
    if (inside || n->text_cut)
        return login_fail(l, "malformed-request",
                          inside ? "elements stand in the client's message"
                                 : "the client's message is too long");
    return login_message(l, n->text, strcmp(n->text, "=") == 0 ? 0 : n->text_len, data);
}

static enum login_result take(struct login *l, const struct stream_state *st, const struct item *it,
                              struct buf *data)
{
    const struct node *n = &it->node[0];

    if (item_is(it, 0, NS_SASL, "abort"))
        return login_fail(l, "aborted", "the client aborted its login");
    if (item_is(it, 0, NS_SASL, "auth")) {
        enum login_result begun = login_begin(l, st, item_attr(it, 0, "mechanism"));

        l->ns = NS_SASL;
        /* Without an initial response it waits to be asked (RFC 6120 §6.4.2). */
        if (begun != LOGIN_MORE || (n->inner == n->inner_end && !login_needs_none(l)))
            return begun;
    }
    return sasl1_message(l, it, 0, data);
}

int sasl1_take(struct login *l, const struct stream_state *st, const struct item *it,
               struct buf *out, enum login_result *result)
{
    struct buf data;
    int err;

    buf_init(&data, SCRAM_MESSAGE_MAX);
    *result = take(l, st, it, &data);
    err = *result == LOGIN_FAILED
              ? put_failure(l, out)
              : put_data(out, *result == LOGIN_DONE ? "success" : "challenge", &data);
    buf_wipe(&data);
    return err;
}

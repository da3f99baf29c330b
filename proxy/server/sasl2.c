#include "sasl2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "client.h"
#include "markup.h"
#include "ns.h"
#include "part.h"
#include "sasl1.h"
#include "server.h"
#include "session.h"
#include "stream_management.h"
#include "world.h"

#define SUFFIX_BYTES  4
#define ELEMENT_BYTES 4096

void sasl2_init(struct sasl2 *x)
{
    *x = (struct sasl2){.binds = false};
    buf_init(&x->resume, ELEMENT_BYTES);
    buf_init(&x->enable, ELEMENT_BYTES);
    buf_init(&x->resumed, 2 * SM_BYTES);
}

void sasl2_free(struct sasl2 *x)
{
    free(x->resource);
    buf_free(&x->resume);
    buf_free(&x->enable);
    buf_free(&x->resumed);
    sasl2_init(x);
}

/* ---- the resource (XEP-0386 §4) ---- */

/* A device that says which it is gets the same one each time, so that its new connection takes the
 * place of one that hangs. Others get another each time. */
static bool suffix_of(const struct world *w, const char *device, char out[2 * SUFFIX_BYTES + 1])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    char random[RANDOM_SIZE];

    if (!device || !*device) {
        if (client_random(random))
            return false;
        snprintf(out, 2 * SUFFIX_BYTES + 1, "%.*s", 2 * SUFFIX_BYTES, random);
        return true;
    }
    if (!HMAC(EVP_sha256(), w->secret, sizeof w->secret, (const unsigned char *)device,
              strlen(device), mac, NULL))
        return false;
    for (int i = 0; i < SUFFIX_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", mac[i]);
    return true;
}

/* What the client calls itself, and what tells it from its like. */
static bool name_resource(struct sasl2 *x, const struct world *w, const struct item *it)
{
    int tag = item_find(it, 3, NS_BIND2, "tag"), agent = item_find(it, 2, NS_SASL2, "user-agent");
    char suffix[2 * SUFFIX_BYTES + 1], resource[JID_PART_MAX + 1], text[JID_PART_MAX + 1];
    int n;

    if (!suffix_of(w, agent < 0 ? NULL : item_attr(it, (unsigned)agent, "id"), suffix))
        return false;
    n = tag < 0 || it->node[tag].text_cut || !it->node[tag].text_len
            ? snprintf(text, sizeof text, "%s", suffix)
            : snprintf(text, sizeof text, "%s.%s", it->node[tag].text, suffix);
    if (n >= (int)sizeof text || !prep_resource(text, (size_t)n, resource))
        strcpy(resource, suffix); /* the tag is a wish */
    x->resource = strdup(resource);
    return x->resource;
}

/* ---- elements ---- */

static int put_failure(const struct login *l, struct buf *out)
{
    int err = buf_printf(out, "<failure xmlns=\"" NS_SASL2 "\"><%s xmlns=\"" NS_SASL "\"/>",
                         l->condition);

    if (!err)
        err = sasl1_put_text(l, out);
    return err ? err : buf_str(out, "</failure>");
}

static int put_text(struct buf *out, const char *name, const struct buf *data)
{
    int err = buf_printf(out, "<%s>", name);

    if (!err)
        err = buf_base64(out, data->p, data->len);
    return err ? err : buf_printf(out, "</%s>", name);
}

static int put_challenge(struct buf *out, const struct buf *data)
{
    int err = buf_str(out, "<challenge xmlns=\"" NS_SASL2 "\">");

    if (!err && data->len)
        err = buf_base64(out, data->p, data->len);
    return err ? err : buf_str(out, "</challenge>");
}

/* Stream management's answers: to coming back, and to what begins with the bind. */
struct answers {
    struct buf resume, enable;
    bool resumed;
};

static int put_success(const struct client *c, struct buf *out, const struct buf *data,
                       const struct answers *a)
{
    bool bound = c->bound && !a->resumed;
    int err = buf_str(out, "<success xmlns=\"" NS_SASL2 "\">");

    if (!err && data->len)
        err = put_text(out, "additional-data", data);
    if (!err)
        err = buf_str(out, "<authorization-identifier>");
    if (!err)
        err = c->bound ? client_put_jid(c, out) : markup_escape(out, c->user->bare);
    if (!err)
        err = buf_str(out, "</authorization-identifier>");
    if (!err)
        err = buf_add(out, a->resume.p, a->resume.len);
    if (!err && bound)
        err = buf_str(out, a->enable.len ? "<bound xmlns=\"" NS_BIND2 "\">"
                                         : "<bound xmlns=\"" NS_BIND2 "\"/>");
    if (!err)
        err = buf_add(out, a->enable.p, a->enable.len);
    if (!err && a->enable.len)
        err = buf_str(out, "</bound>");
    return err ? err : buf_str(out, "</success>");
}

/* ---- what else it asks for at once ---- */

/* An element is kept until the login is over. */
static int keep(struct buf *to, const struct item *it, int node, const struct buf *root)
{
    int err;

    if (node < 0)
        return 0;
    err = markup_open(to, it, (unsigned)node);
    if (!err)
        err = markup_rest(to, it, (unsigned)node, root, false);
    return err ? err : buf_add(to, "", 1);
}

static int keep_wishes(struct sasl2 *x, const struct profile *p, const struct item *it,
                       const struct buf *root)
{
    bool sm = profile_has(p, FEATURE_SM);
    int err = sm ? keep(&x->resume, it, item_find(it, 2, NS_SM, "resume"), root) : 0;

    if (!x->binds)
        return err;
    if (!err && sm)
        err = keep(&x->enable, it, item_find(it, 3, NS_SM, "enable"), root);
    x->carbons = profile_says(p, NS_CARBONS) && item_find(it, 3, NS_CARBONS, "enable") >= 0;
    x->inactive = profile_has(p, FEATURE_CSI) && item_find(it, 3, NS_CSI, "inactive") >= 0;
    return err;
}

/* Gives it to stream management. */
static int manage(struct login *l, const struct buf *element, struct buf *out)
{
    const struct item *it;
    bool ends = false;
    int err = part_text(l->c->world->part, element->p, &it);

    if (!err)
        err = managed_take(l->c, it, out, &ends);
    if (err || !ends)
        return err;
    out->len = 0; /* no stream is begun yet that could end by it */
    return buf_str(out,
                   "<failed xmlns=\"" NS_SM "\"><bad-request xmlns=\"" NS_STANZAS "\"/></failed>");
}

/* The login's client is the resumed one then. */
static int resume(struct sasl2 *x, struct login *l, struct answers *a)
{
    struct server *s = l->c->server;
    int err = manage(l, &x->resume, &a->resume);
    size_t n;

    l->c = server_client(s);
    a->resumed = !err && l->c->bound;
    if (!a->resumed)
        return err;
    n = (size_t)((char *)memchr(a->resume.p, '>', a->resume.len) + 1 - a->resume.p);
    err = buf_add(&x->resumed, a->resume.p + n, a->resume.len - n);
    a->resume.len = n;
    return err;
}

/* One that cannot be bound may still ask as others do (RFC 6120 §7). */
static int bind(struct sasl2 *x, struct login *l, struct answers *a)
{
    char resource[JID_PART_MAX + 1];
    int err = 0;

    strcpy(resource, x->resource);
    session_bind(l->c, resource, &err);
    if (err || !l->c->bound)
        return err;
    l->c->carbons = x->carbons;
    l->c->csi.inactive = x->inactive;
    return x->enable.len ? manage(l, &x->enable, &a->enable) : 0;
}

static int settle(struct sasl2 *x, struct login *l, struct buf *out, const struct buf *data)
{
    struct answers a = {.resumed = false};
    int err = 0;

    buf_init(&a.resume, 2 * SM_BYTES);
    buf_init(&a.enable, ELEMENT_BYTES);
    if (x->resume.len)
        err = resume(x, l, &a);
    if (!err && !a.resumed && x->binds)
        err = bind(x, l, &a);
    if (!err)
        err = put_success(l->c, out, data, &a);
    buf_free(&a.resume);
    buf_free(&a.enable);
    return err;
}

/* ---- messages ---- */

static enum login_result begin(struct sasl2 *x, struct login *l, const struct stream_state *st,
                               const struct item *it, const struct buf *root, struct buf *data)
{
    int initial = item_find(it, 2, NS_SASL2, "initial-response");
    enum login_result begun;

    sasl2_free(x);
    if (!st->tls && profile_has(l->c->world->profile, FEATURE_STARTTLS))
        return login_fail(l, "encryption-required", "SASL2 is for behind STARTTLS (XEP-0388)");
    begun = login_begin(l, st, item_attr(it, 0, "mechanism"));
    if (begun != LOGIN_MORE)
        return begun;
    l->ns = NS_SASL2;
    x->binds = item_find(it, 2, NS_BIND2, "bind") >= 0;
    if ((x->binds && !name_resource(x, l->c->world, it)) ||
        keep_wishes(x, l->c->world->profile, it, root))
        return login_fail(l, "temporary-auth-failure", "no memory, or no random bytes");
    if (initial >= 0)
        return sasl1_message(l, it, (unsigned)initial, data);
    return login_needs_none(l) ? login_message(l, "", 0, data) : LOGIN_MORE;
}

static enum login_result take(struct sasl2 *x, struct login *l, const struct stream_state *st,
                              const struct item *it, const struct buf *root, struct buf *data)
{
    if (item_is(it, 0, NS_SASL2, "abort"))
        return login_fail(l, "aborted", "the client aborted its login");
    return item_is(it, 0, NS_SASL2, "authenticate") ? begin(x, l, st, it, root, data)
                                                    : sasl1_message(l, it, 0, data);
}

int sasl2_take(struct sasl2 *x, struct login *l, const struct stream_state *st,
               const struct item *it, const struct buf *root, struct buf *out,
               enum login_result *result)
{
    struct buf data;
    int err;

    buf_init(&data, SCRAM_MESSAGE_MAX);
    *result = take(x, l, st, it, root, &data);
    err = *result == LOGIN_FAILED ? put_failure(l, out)
          : *result == LOGIN_DONE ? settle(x, l, out, &data)
                                  : put_challenge(out, &data);
    if (*result == LOGIN_FAILED)
        sasl2_free(x);
    buf_wipe(&data);
    return err;
}

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

#define SUFFIX_BYTES     4
#define SM_REQUEST_BYTES 4096

void sasl2_init(struct sasl2 *x)
{
    *x = (struct sasl2){.binds = false};
    buf_init(&x->sm, SM_REQUEST_BYTES);
    buf_init(&x->resumed, 2 * SM_BYTES);
}

void sasl2_free(struct sasl2 *x)
{
    free(x->resource);
    buf_free(&x->sm);
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

/* `sm`: stream management's answer. */
static int put_success(const struct client *c, struct buf *out, const struct buf *data,
                       const struct buf *sm, bool resumed)
{
    bool bound = c->bound && !resumed;
    int err = buf_str(out, "<success xmlns=\"" NS_SASL2 "\">");

    if (!err && data->len)
        err = put_text(out, "additional-data", data);
    if (!err)
        err = buf_str(out, "<authorization-identifier>");
    if (!err)
        err = c->bound ? client_put_jid(c, out) : markup_escape(out, c->user->bare);
    if (!err)
        err = buf_str(out, "</authorization-identifier>");
    if (!err && bound)
        err = buf_str(out, sm->len ? "<bound xmlns=\"" NS_BIND2 "\">" : "<bound xmlns=\"" NS_BIND2 "\"/>");
    if (!err && sm->len)
        err = buf_add(out, sm->p, sm->len);
    if (!err && bound && sm->len)
        err = buf_str(out, "</bound>");
    return err ? err : buf_str(out, "</success>");
}

/* ---- stream management (XEP-0198 §6) ---- */

/* It is kept until the login is over. */
static int keep_sm(struct sasl2 *x, const struct login *l, const struct item *it,
                   const struct buf *root)
{
    int node = item_find(it, 2, NS_SM, "resume"), err;

    x->resumes = node >= 0;
    if (node < 0 && x->binds)
        node = item_find(it, 3, NS_SM, "enable");
    if (!profile_has(l->c->world->profile, FEATURE_SM))
        node = -1;
    x->resumes &= node >= 0;
    if (node < 0)
        return 0;
    err = markup_open(&x->sm, it, (unsigned)node);
    if (!err)
        err = markup_rest(&x->sm, it, (unsigned)node, root, false);
    return err ? err : buf_add(&x->sm, "", 1);
}

/* Does it; its answer to `out`. The login's client is the resumed one then. */
static int do_sm(struct sasl2 *x, struct login *l, struct buf *out, bool *resumed)
{
    struct server *s = l->c->server;
    const struct item *it;
    const char *end;
    bool ends = false;
    int err = part_text(l->c->world->part, x->sm.p, &it);

    if (!err)
        err = managed_take(l->c, it, out, &ends);
    if (err)
        return err;
    if (ends) { /* no stream is begun yet that could end by it */
        out->len = 0;
        return buf_str(out, "<failed xmlns=\"" NS_SM "\"><bad-request xmlns=\"" NS_STANZAS "\"/></failed>");
    }
    l->c = server_client(s);
    *resumed = x->resumes && l->c->bound;
    end = *resumed ? memchr(out->p, '>', out->len) : NULL;
    if (!end)
        return 0;
    end++;
    err = buf_add(&x->resumed, end, out->len - (size_t)(end - out->p));
    out->len = (size_t)(end - out->p);
    return err;
}

/* What it asked for with its login: to come back, else to be bound. One that cannot be bound may still
 * ask as others do (RFC 6120 §7). */
static int settle(struct sasl2 *x, struct login *l, struct buf *out, const struct buf *data)
{
    bool resumed = false;
    struct buf sm;
    int err = 0;

    buf_init(&sm, 2 * SM_BYTES);
    if (x->resumes)
        err = do_sm(x, l, &sm, &resumed);
    if (!err && !resumed && x->binds) {
        char resource[JID_PART_MAX + 1];

        strcpy(resource, x->resource);
        session_bind(l->c, resource, &err);
        l->c->carbons |= x->carbons && l->c->bound;
        l->c->csi.inactive |= x->inactive && l->c->bound;
        if (!err && x->sm.len && !x->resumes && l->c->bound)
            err = do_sm(x, l, &sm, &resumed);
    }
    if (!err)
        err = put_success(l->c, out, data, &sm, resumed);
    buf_free(&sm);
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
    x->carbons = x->binds && item_find(it, 3, NS_CARBONS, "enable") >= 0 &&
                 profile_says(l->c->world->profile, NS_CARBONS);
    x->inactive = x->binds && item_find(it, 3, NS_CSI, "inactive") >= 0 &&
                  profile_has(l->c->world->profile, FEATURE_CSI);
    if ((x->binds && !name_resource(x, l->c->world, it)) || keep_sm(x, l, it, root))
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

int sasl2_take(struct sasl2 *x, struct login *l, const struct stream_state *st, const struct item *it,
               const struct buf *root, struct buf *out, enum login_result *result)
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

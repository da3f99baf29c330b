#include "stream_management.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../decoder/reader.h"
#include "client.h"
#include "markup.h"
#include "ns.h"
#include "route.h"
#include "server.h"
#include "world.h"

#define ASK_STANZAS 8 /* we ask at the latest behind so many */
#define ASK_BYTES   (16u << 10)

void managed_init(struct managed *m)
{
    *m = (struct managed){.on = false};
    buf_init(&m->queue, SM_BYTES);
}

void managed_free(struct managed *m)
{
    buf_free(&m->queue);
    managed_init(m);
}

/* ---- what is kept ---- */

/* One message is worth a question: if the client is lost, nobody should get it twice. */
static bool must_ask(const struct managed *m, const char *p, size_t n)
{
    if (m->asked)
        return false;
    return m->since >= ASK_STANZAS || m->since_bytes >= ASK_BYTES ||
           (n > 8 && memcmp(p, "<message", 8) == 0);
}

static void lose(struct managed *m)
{
    m->lost = true;
    m->id[0] = '\0';
    buf_free(&m->queue);
}

bool managed_sent(struct client *c, const char *p, size_t n)
{
    struct managed *m = &c->sm;

    if (!m->on)
        return false;
    m->out++;
    m->since++;
    m->since_bytes += n;
    if (!m->lost && (m->out - m->acked > SM_STANZAS || buf_reserve(&m->queue, n + 1)))
        lose(m);
    else if (!m->lost && (buf_add(&m->queue, p, n) || buf_add(&m->queue, "", 1)))
        lose(m);
    if (!c->server || !must_ask(m, p, n))
        return false;
    m->asked = true;
    m->since = 0;
    m->since_bytes = 0;
    return true;
}

/* `h` of them are acknowledged. False: more than were sent. */
static bool acknowledge(struct managed *m, uint32_t h)
{
    uint32_t n = h - m->acked;
    size_t at = 0;

    if (n > m->out - m->acked)
        return false;
    m->acked = h;
    if (m->lost)
        return true;
    for (; n; n--)
        at += strlen(m->queue.p + at) + 1;
    buf_drop(&m->queue, at);
    if (m->queue.len == 0)
        buf_free(&m->queue);
    return true;
}

bool managed_waits(const struct client *c)
{
    return c->bound && c->sm.id[0] && !c->user->temporary;
}

void managed_give_up(struct client *c)
{
    struct buf queue = c->sm.queue;

    if (c->sm.id[0]) {
        strcpy(c->user->sm_id, c->sm.id);
        c->user->sm_in = c->sm.in;
    }
    managed_init(&c->sm);
    for (size_t at = 0; at < queue.len; at += strlen(queue.p + at) + 1)
        route_again(c, queue.p + at, strlen(queue.p + at));
    buf_free(&queue);
}

/* ---- the elements ---- */

static int failed(struct buf *out, const char *condition)
{
    return buf_printf(out, "<failed xmlns=\"" NS_SM "\"><%s xmlns=\"" NS_STANZAS "\"/></failed>",
                      condition);
}

static int bad_count(struct buf *out)
{
    return buf_str(out, "<stream:error><bad-format xmlns=\"" NS_STREAMS "\"/></stream:error>");
}

static int too_high(struct buf *out, uint32_t h, uint32_t sent)
{
    return buf_printf(out,
                      "<stream:error><undefined-condition xmlns=\"" NS_STREAMS
                      "\"/><handled-count-too-high xmlns=\"" NS_SM "\" h=\"%" PRIu32
                      "\" send-count=\"%" PRIu32 "\"/></stream:error>",
                      h, sent);
}

/* The attribute `h`. */
static bool read_count(const struct item *it, uint32_t *h)
{
    const char *value = item_attr(it, 0, "h");
    unsigned long long n;
    char *end;

    if (!value || *value < '0' || *value > '9')
        return false;
    n = strtoull(value, &end, 10);
    *h = (uint32_t)n;
    return *end == '\0' && n <= UINT32_MAX;
}

static int take_enable(struct client *c, const struct item *it, struct buf *out)
{
    const char *resume = item_attr(it, 0, "resume");
    unsigned max = c->world->profile->sm_max_s;
    int err;

    if (!c->bound || c->sm.on)
        return failed(out, "unexpected-request");
    c->sm.on = true;
    if (!resume || (strcmp(resume, "true") != 0 && strcmp(resume, "1") != 0) || max == 0 ||
        c->user->temporary)
        return buf_str(out, "<enabled xmlns=\"" NS_SM "\"/>");
    err = client_random(c->sm.id);
    return err ? err
               : buf_printf(out,
                            "<enabled xmlns=\"" NS_SM "\" id=\"%s\" resume=\"true\" max=\"%u\"/>",
                            c->sm.id, max);
}

static struct client *find(const struct user *u, const char *id)
{
    struct client *c = *id ? u->clients : NULL;

    while (c && strcmp(c->sm.id, id) != 0)
        c = c->next;
    return c;
}

/* That session is over; how much of it was handled may still be known. */
static int not_found(const struct user *u, const char *id, struct buf *out)
{
    if (!*id || strcmp(u->sm_id, id) != 0)
        return failed(out, "item-not-found");
    return buf_printf(out,
                      "<failed xmlns=\"" NS_SM "\" h=\"%" PRIu32
                      "\"><item-not-found xmlns=\"" NS_STANZAS "\"/></failed>",
                      u->sm_in);
}

static int put_resumed(struct managed *m, struct buf *out)
{
    int err = buf_printf(out, "<resumed xmlns=\"" NS_SM "\" previd=\"%s\" h=\"%" PRIu32 "\"/>",
                         m->id, m->in);

    for (size_t at = 0; at < m->queue.len && !err; at += strlen(m->queue.p + at) + 1)
        err = buf_str(out, m->queue.p + at);
    m->asked = m->queue.len > 0;
    m->since = 0;
    m->since_bytes = 0;
    return err || !m->asked ? err : buf_str(out, SM_REQUEST);
}

static int take_resume(struct client *c, const struct item *it, struct buf *out, bool *ends)
{
    const char *id = item_attr(it, 0, "previd");
    struct client *old;
    uint32_t h;

    if (!c->user || c->bound)
        return failed(out, "unexpected-request");
    *ends = !id || !read_count(it, &h);
    if (*ends)
        return bad_count(out);
    old = find(c->user, id);
    if (!old)
        return not_found(c->user, id, out);
    csi_active(old); /* the next connection begins so */
    if (old->sm.lost)
        return failed(out, "item-not-found");
    *ends = !acknowledge(&old->sm, h);
    if (*ends)
        return too_high(out, h, old->sm.out);
    server_adopt(c->server, old); /* `c` is gone, or its other connection's */
    return put_resumed(&old->sm, out);
}

static int take_answer(struct client *c, const struct item *it, struct buf *out, bool *ends)
{
    struct managed *m = &c->sm;
    uint32_t h;

    *ends = !read_count(it, &h);
    if (*ends)
        return bad_count(out);
    *ends = !acknowledge(m, h);
    if (*ends)
        return too_high(out, h, m->out);
    m->asked = m->asked && m->out != m->acked && m->since > 0;
    if (!m->asked)
        return 0;
    m->since = 0;
    m->since_bytes = 0;
    return buf_str(out, SM_REQUEST);
}

int managed_take(struct client *c, const struct item *it, struct buf *out, bool *ends)
{
    const char *name = it->node[0].name;

    *ends = false;
    if (strcmp(name, "enable") == 0)
        return take_enable(c, it, out);
    if (strcmp(name, "resume") == 0)
        return take_resume(c, it, out, ends);
    if (!c->sm.on)
        return failed(out, "unexpected-request");
    if (strcmp(name, "r") == 0)
        return buf_printf(out, "<a xmlns=\"" NS_SM "\" h=\"%" PRIu32 "\"/>", c->sm.in);
    if (strcmp(name, "a") == 0)
        return take_answer(c, it, out, ends);
    *ends = true;
    return buf_str(out, "<stream:error><unsupported-stanza-type xmlns=\"" NS_STREAMS
                        "\"/></stream:error>");
}

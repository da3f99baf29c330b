#include "arrival.h"

#include <stdio.h>
#include <string.h>

#include "address.h"
#include "proxy_protocol.h"
#include "transparent.h"

#define HELD_MAX (256u << 10) /* a header's begin and one read */

static bool trusted(const struct proxy_options *o, const struct sockaddr_storage *peer)
{
    for (unsigned i = 0; i < o->balancers; i++)
        if (cidr_has(&o->balancer[i], peer))
            return true;
    return false;
}

bool arrival_init(struct arrival *a, const struct proxy_options *o, int fd)
{
    socklen_t peer_len = sizeof a->peer, entry_len = sizeof a->entry;

    *a = (struct arrival){.options = o};
    buf_init(&a->held, HELD_MAX);
    if (getpeername(fd, (struct sockaddr *)&a->peer, &peer_len) ||
        getsockname(fd, (struct sockaddr *)&a->entry, &entry_len))
        return false;
    a->to = a->entry;
    if (o->transparent == TRANSPARENT_REDIRECT)
        transparent_original(fd, &a->to);
    address_unmap(&a->peer);
    address_unmap(&a->entry);
    address_unmap(&a->to);
    a->client = a->peer;
    a->due = trusted(o, &a->peer);
    return true;
}

void arrival_free(struct arrival *a)
{
    buf_free(&a->held);
}

/* ---- the header ---- */

static int refuse(const struct arrival *a, const struct error *bad, struct error *e)
{
    char peer[ADDRESS_TEXT];

    address_host(&a->peer, peer, sizeof peer);
    if (!a->due)
        return error_set(e, ERR_PROXY_HEADER, "a PROXY protocol header came from %s, which no "
                         "--accept-proxy-protocol covers; if that is your load balancer, give "
                         "--accept-proxy-protocol %s", peer, peer);
    return error_set(e, ERR_PROXY_HEADER, "%s came from %s, which --accept-proxy-protocol covers: "
                     "it must begin with a PROXY protocol header; make it send one (HAProxy: "
                     "send-proxy-v2), or give a narrower CIDR",
                     bad->code ? bad->detail : "something else than a header", peer);
}

static void learn(struct arrival *a, const struct proxy_header *h)
{
    if (!h->known)
        return;
    a->client = h->from;
    a->entry = a->to = h->to;
    address_unmap(&a->client);
    address_unmap(&a->entry);
    address_unmap(&a->to);
}

static enum arrival_state over(struct arrival *a, const char **p, size_t *n, size_t header)
{
    a->over = true;
    *p += header;
    *n -= header;
    return ARRIVAL_OVER;
}

enum arrival_state arrival_take(struct arrival *a, const char **p, size_t *n, bool ended,
                                struct error *e)
{
    struct error bad = {0};
    struct proxy_header h;

    if (a->over) {
        buf_free(&a->held);
        return ARRIVAL_OVER;
    }
    if (a->held.len) {
        if (buf_add(&a->held, *p, *n)) {
            error_set(e, ERR_NOMEM, "%s", "");
            return ARRIVAL_REFUSED;
        }
        *p = a->held.p;
        *n = a->held.len;
    }
    switch (proxy_header_read(*p, *n, &h, &bad)) {
    case PROXY_HEADER_WHOLE:
        if (!a->due)
            break;
        learn(a, &h);
        return over(a, p, n, h.size);
    case PROXY_HEADER_NONE:
        if (a->due)
            break;
        return over(a, p, n, 0);
    case PROXY_HEADER_MORE:
        if (ended && !a->due)
            return over(a, p, n, 0);
        if (ended && *n) {
            error_set(&bad, ERR_PROXY_HEADER, "a header that is cut off");
            break;
        }
        if (ended || a->held.len || !buf_add(&a->held, *p, *n))
            return ARRIVAL_WAITS;
        error_set(e, ERR_NOMEM, "%s", "");
        return ARRIVAL_REFUSED;
    case PROXY_HEADER_BAD:
        break;
    }
    refuse(a, &bad, e);
    return ARRIVAL_REFUSED;
}

/* ---- where it goes ---- */

const struct upstream *arrival_upstream(struct arrival *a)
{
    char text[ADDRESS_TEXT];

    if (a->options->upstream.kind != UPSTREAM_ASKED || !a->options->transparent)
        return &a->options->upstream;
    snprintf(a->original_text, sizeof a->original_text, "tcp://%s",
             address_text(&a->to, text, sizeof text));
    a->original = (struct upstream){.text = a->original_text, .kind = UPSTREAM_ADDRESS,
                                    .address = a->to};
    address_host(&a->to, a->original.host, sizeof a->original.host);
    return &a->original;
}

struct sockaddr_storage arrival_source(const struct arrival *a)
{
    struct sockaddr_storage source = {.ss_family = AF_UNSPEC};

    if (a->options->transparent != TRANSPARENT_TPROXY_SPOOF)
        return source;
    source = a->client;
    address_set_port(&source, 0);
    return source;
}

size_t arrival_header(const struct arrival *a, char *out)
{
    if (!a->options->send_header)
        return 0;
    return proxy_header_write((enum proxy_header_version)(a->options->send_header - 1), &a->client,
                              &a->to, out);
}

#include "dial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facts.h"

#define SHOWN 90 /* of a name, in a sentence that must not be cut */
#define SHARE 3  /* of the whole limit, for what must not use it up */

enum { XMPPS, XMPP, SETS };

static const char *const services[SETS] = {"_xmpps-client._tcp.", "_xmpp-client._tcp."};

struct dial {
    uv_loop_t *loop;
    struct resolver *resolver;
    const struct dial_user *user;
    void *arg;
    struct race_socket socket;
    enum dial_tls tls;
    unsigned share_ms;
    char domain[SRV_NAME];           /* whose SRV records are asked for; "" without */
    struct question *asked[SETS];
    bool refused[SETS];
    const char *unanswered;          /* why one of them has no answer; static */
    struct srv *srv;                 /* owned: the targets, in order */
    size_t n, next;
    struct race *race;               /* owned; NULL unless one is under way */
    struct sockaddr_storage address; /* of the only target; AF_UNSPEC: look its host up */
    struct dial_target target;
    char tried[DIAL_TRIED_MAX];      /* the targets that failed */
    uv_timer_t timer;                /* a target's or the look-ups' share; or: fail in a moment */
    struct error failure;            /* for that */
    const char *cure;                /* static */
};

static void next_target(struct dial *d);

/* ---- words ---- */

/* Joins, and says with "..." that it was cut. */
static void add(char out[DIAL_TRIED_MAX], const char *text)
{
    static const char cut[] = "...";
    size_t n = strlen(out), room = DIAL_TRIED_MAX - n;

    if (n >= DIAL_TRIED_MAX - sizeof cut - 2)
        return;
    if ((size_t)snprintf(out + n, room, "%s%s", n ? ", " : "", text) >= room)
        memcpy(out + DIAL_TRIED_MAX - sizeof cut, cut, sizeof cut);
}

bool dial_by_name(const struct dial *d)
{
    struct sockaddr_storage a;

    return d->address.ss_family == AF_UNSPEC &&
           uv_ip6_addr(d->target.host, 1, (struct sockaddr_in6 *)&a) != 0 &&
           uv_ip4_addr(d->target.host, 1, (struct sockaddr_in *)&a) != 0;
}

/* "HOST:PORT (`why`)"; of an address only what is said of it. */
static void add_target(const struct dial *d, char out[DIAL_TRIED_MAX], const char *why)
{
    char text[SRV_NAME + DIAL_TRIED_MAX + 16];

    if (dial_by_name(d))
        snprintf(text, sizeof text, "%s:%u (%s)", d->target.host, d->target.port, why);
    else
        snprintf(text, sizeof text, "%s", why);
    add(out, text);
}

const char *dial_tried(const struct dial *d, char out[DIAL_TRIED_MAX])
{
    char why[DIAL_TRIED_MAX];

    memcpy(out, d->tried, DIAL_TRIED_MAX);
    if (d->asked[XMPPS] || d->asked[XMPP])
        add(out, "the resolver has not answered what its SRV records are");
    if (d->race)
        add_target(d, out, race_tried(d->race, why, sizeof why));
    return out;
}

static void fail(struct dial *d, enum error_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void on_fail(uv_timer_t *timer)
{
    struct dial *d = timer->data;

    d->user->failed(d->arg, &d->failure);
}

/* In a moment: not inside the call that began it. */
static void fail(struct dial *d, enum error_code code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    d->failure.code = code;
    vsnprintf(d->failure.detail, sizeof d->failure.detail, fmt, ap);
    va_end(ap);
    uv_timer_start(&d->timer, on_fail, 0, 0);
}

/* ---- the targets, one after the other ---- */

static void end_race(struct dial *d, const char *why)
{
    char text[DIAL_TRIED_MAX];

    add_target(d, d->tried, why ? why : race_tried(d->race, text, sizeof text));
    race_free(d->race);
    d->race = NULL;
    uv_timer_stop(&d->timer);
}

static void on_share_used(uv_timer_t *timer)
{
    struct dial *d = timer->data;

    end_race(d, NULL);
    next_target(d);
}

static void on_won(void *arg, uv_tcp_t *handle)
{
    struct dial *d = arg;
    struct sockaddr_storage a = {0};
    int len = sizeof a;

    race_free(d->race);
    d->race = NULL;
    uv_timer_stop(&d->timer);
    uv_tcp_getpeername(handle, (struct sockaddr *)&a, &len);
    address_text(&a, d->target.address, sizeof d->target.address);
    d->user->connected(d->arg, handle);
}

static void on_lost(void *arg, enum race_end end)
{
    struct dial *d = arg;
    bool domains_own = *d->domain && strcmp(d->domain, d->target.host) == 0;

    end_race(d, NULL);
    if (end == RACE_LOOP)
        fail(d, ERR_LOOP, "%s; this would be a loop to xmpptap itself; give another UPSTREAM",
             d->tried);
    else if (end == RACE_NO_NAME && domains_own && d->n == 1)
        fail(d, ERR_UNREACHABLE, "the domain %.*s does not exist; is its name right?", SHOWN,
             d->domain);
    else
        next_target(d);
}

static void next_target(struct dial *d)
{
    static const struct race_user user = {on_won, on_lost};
    const struct srv *s = &d->srv[d->next];

    if (d->next == d->n) {
        fail(d, ERR_UNREACHABLE, "%s; %s", d->tried, d->cure);
        return;
    }
    d->next++;
    d->target = (struct dial_target){.port = s->port, .direct_tls = s->direct_tls};
    snprintf(d->target.host, sizeof d->target.host, "%s", s->host);
    d->race = race_start(d->loop, d->resolver, &d->socket,
                         d->address.ss_family == AF_UNSPEC ? NULL : &d->address, s->host, s->port,
                         &user, d);
    if (!d->race)
        fail(d, ERR_NOMEM, "out of memory");
    else if (d->next < d->n)
        uv_timer_start(&d->timer, on_share_used, d->share_ms, 0);
}

bool dial_again(struct dial *d, const char *why)
{
    if (d->race || (why && d->next == d->n))
        return false;
    if (why)
        add_target(d, d->tried, why);
    else
        d->next--;
    next_target(d);
    return true;
}

/* ---- which they are ---- */

static uint32_t random_number(void *arg, uint32_t most)
{
    uint32_t x = 0;

    (void)arg;
    uv_random(NULL, NULL, &x, sizeof x, 0, NULL);
    return (uint32_t)(((uint64_t)x * ((uint64_t)most + 1)) >> 32);
}

static bool add_targets(struct dial *d, const struct srv *s, size_t n)
{
    struct srv *all = realloc(d->srv, (d->n + n + 1) * sizeof *all);

    if (!all)
        return false;
    d->srv = all;
    memcpy(all + d->n, s, n * sizeof *s);
    d->n += n;
    return true;
}

static bool add_host(struct dial *d, const char *host, uint16_t port, bool direct_tls)
{
    struct srv s = {.port = port, .direct_tls = direct_tls};

    if (strlen(host) >= sizeof s.host)
        host = ""; /* nothing is found then */
    memcpy(s.host, host, strlen(host) + 1);
    return add_targets(d, &s, 1);
}

static void begin(struct dial *d)
{
    bool direct = d->tls == DIAL_DIRECT;

    uv_timer_stop(&d->timer);
    srv_order(d->srv, d->n, random_number, NULL);
    if (d->n == 0 && d->refused[direct ? XMPPS : XMPP]) {
        fail(d, ERR_UNREACHABLE, "the domain %.*s offers no XMPP client service%s, its SRV record "
             "says (the target is \".\"); give another UPSTREAM, such as %s://HOST:PORT", SHOWN,
             d->domain, direct ? " with direct TLS" : "", direct ? "tls" : "tcp");
        return;
    }
    if (d->n == 0 && d->unanswered) {
        char why[DIAL_TRIED_MAX];

        snprintf(why, sizeof why, "no SRV records: %s", d->unanswered);
        add(d->tried, why);
    }
    if (d->n == 0 && !add_host(d, d->domain, direct ? UPSTREAM_TLS_PORT : UPSTREAM_PORT, direct))
        fail(d, ERR_NOMEM, "out of memory");
    else
        next_target(d);
}

static void on_srv(struct dial *d, int set, const struct answer *a)
{
    struct srv s[RESOLVER_RECORDS];
    size_t n;

    d->asked[set] = NULL;
    if (a->kind == ANSWER_FAILED)
        d->unanswered = a->why;
    if (a->kind == ANSWER_FOUND) {
        d->refused[set] = srv_refused(a->srv, a->n);
        memcpy(s, a->srv, a->n * sizeof *s);
        n = srv_usable(s, a->n);
        if (!add_targets(d, s, n)) {
            fail(d, ERR_NOMEM, "out of memory");
            return;
        }
    }
    if (!d->asked[XMPPS] && !d->asked[XMPP])
        begin(d);
}

static void on_xmpps(void *arg, const struct answer *a)
{
    on_srv(arg, XMPPS, a);
}

static void on_xmpp(void *arg, const struct answer *a)
{
    on_srv(arg, XMPP, a);
}

/* RFC 6120 §3.2.1: without an answer the domain's own addresses are tried. */
static void on_no_srv(uv_timer_t *timer)
{
    struct dial *d = timer->data;

    for (int i = 0; i < SETS; i++) {
        if (d->asked[i])
            d->unanswered = "the resolver does not answer";
        question_drop(d->asked[i]);
        d->asked[i] = NULL;
    }
    begin(d);
}

static bool is_wanted(const struct dial *d, int set)
{
    return d->tls == DIAL_BOTH || (d->tls == DIAL_DIRECT) == (set == XMPPS);
}

static bool ask_srv(struct dial *d)
{
    static question_answered *const told[SETS] = {on_xmpps, on_xmpp};
    char name[SRV_NAME + 32];

    for (int i = 0; i < SETS; i++) {
        if (!is_wanted(d, i))
            continue;
        snprintf(name, sizeof name, "%s%s", services[i], d->domain);
        d->asked[i] = resolver_srv(d->resolver, name, i == XMPPS, told[i], d);
        if (!d->asked[i])
            return false;
    }
    uv_timer_start(&d->timer, on_no_srv, d->share_ms, 0);
    return true;
}

static bool ask_domain(struct dial *d, const char *domain)
{
    struct sockaddr_storage a;
    char ascii[1024];
    size_t n = strlen(tls_domain(domain, ascii, sizeof ascii));

    if (n && ascii[n - 1] == '.')
        ascii[--n] = '\0';
    if (n == 0 || n >= sizeof d->domain - 32) { /* the service's name stands before it */
        fail(d, ERR_UNREACHABLE, "%.*s is no domain that can be looked up; give UPSTREAM", SHOWN,
             domain);
        return true;
    }
    memcpy(d->domain, ascii, n + 1);
    if (uv_ip6_addr(ascii, 1, (struct sockaddr_in6 *)&a) == 0 ||
        uv_ip4_addr(ascii, 1, (struct sockaddr_in *)&a) == 0) {
        begin(d); /* an address has no SRV records (RFC 6120 §3.1) */
        return true;
    }
    return ask_srv(d);
}

static bool plan(struct dial *d, const struct dial_options *o)
{
    const struct upstream *u = o->upstream;
    char name[1024];

    switch (u->kind) {
    case UPSTREAM_ASKED:
        return ask_domain(d, o->domain);
    case UPSTREAM_DOMAIN:
        return ask_domain(d, u->host);
    case UPSTREAM_TCP:
    case UPSTREAM_TLS:
        if (!add_host(d, tls_domain(u->host, name, sizeof name), u->port, u->kind == UPSTREAM_TLS))
            return false;
        break;
    case UPSTREAM_ADDRESS:
        d->address = u->address;
        address_host(&u->address, name, sizeof name);
        if (!add_host(d, name, (uint16_t)address_port(&u->address), false))
            return false;
        break;
    case UPSTREAM_BUILTIN:
        return false;
    }
    next_target(d);
    return true;
}

static const char *const cures[] = {
    [UPSTREAM_ASKED] = "is it running? UPSTREAM can say where else it is",
    [UPSTREAM_DOMAIN] = "is it running, and is UPSTREAM right?",
    [UPSTREAM_TCP] = "is it running, and is UPSTREAM right?",
    [UPSTREAM_TLS] = "is it running, and is UPSTREAM right?",
    [UPSTREAM_BUILTIN] = "",
    [UPSTREAM_ADDRESS] = "is it running, and can this machine reach it?",
};

const char *dial_cure(const struct dial *d)
{
    return d->cure;
}

struct dial *dial_start(uv_loop_t *loop, const struct dial_options *o,
                        const struct dial_user *user, void *arg)
{
    struct dial *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->loop = loop;
    d->resolver = o->resolver;
    d->user = user;
    d->arg = arg;
    d->socket = o->socket;
    d->tls = o->tls;
    d->share_ms = o->limit_ms / SHARE;
    d->cure = cures[o->upstream->kind];
    uv_timer_init(loop, &d->timer);
    d->timer.data = d;
    if (!plan(d, o)) {
        dial_free(d);
        return NULL;
    }
    return d;
}

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

void dial_free(struct dial *d)
{
    if (!d)
        return;
    for (int i = 0; i < SETS; i++)
        question_drop(d->asked[i]);
    race_free(d->race);
    free(d->srv);
    uv_close((uv_handle_t *)&d->timer, on_closed);
}

const struct dial_target *dial_target(const struct dial *d)
{
    return &d->target;
}

#include "names.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "../../decoder/jid.h"

const struct names names_even = {
    .bare = "{account}@{domain}",
    .full = "{account}@{domain}/{resource}",
    .domain = "{domain}",
};

void names_set(struct names *n, const char *jid)
{
    size_t bare = strcspn(jid, "/");
    const char *at = memchr(jid, '@', bare);

    if (strlen(jid) > NAMES_JID_MAX || !bare)
        return;
    snprintf(n->bare, sizeof n->bare, "%.*s", (int)bare, jid);
    snprintf(n->domain, sizeof n->domain, "%s", at ? n->bare + (at - jid) + 1 : n->bare);
    snprintf(n->full, sizeof n->full, "%s", jid[bare] ? jid : "");
}

/* ---- one JID ---- */

struct parts {
    const char *local, *domain, *resource; /* NULL: there is none */
    size_t local_len, domain_len;
};

static bool split(const char *value, struct parts *p)
{
    size_t bare = strcspn(value, "/");
    const char *at = memchr(value, '@', bare);

    *p = (struct parts){.domain = at ? at + 1 : value};
    p->local = at ? value : NULL;
    p->local_len = at ? (size_t)(at - value) : 0;
    p->domain_len = bare - (size_t)(p->domain - value);
    p->resource = value[bare] ? value + bare + 1 : NULL;
    return p->domain_len && (!at || at > value) && strlen(value) <= NAMES_JID_MAX &&
           !memchr(p->domain, '@', p->domain_len) && strcspn(value, " \t\r\n<>") >= bare;
}

/* How much of the domain stands before `domain`; -1: it is no part of that. */
static long below(const struct parts *p, const char *domain)
{
    size_t n = strlen(domain);

    if (!n || p->domain_len < n || strncasecmp(p->domain + p->domain_len - n, domain, n) != 0)
        return -1;
    if (p->domain_len > n && p->domain[p->domain_len - n - 1] != '.')
        return -1;
    return (long)(p->domain_len - n);
}

static bool is_account(const struct names *n, const char *value)
{
    char bare[NAMES_JID_MAX + 1];

    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(value, "/"), value);
    return *n->bare && strchr(n->bare, '@') && jid_same(bare, n->bare);
}

static int put_account(const struct names *from, const struct names *to, bool any_resource,
                       const char *value, const struct parts *p, struct buf *out)
{
    bool ours = p->resource && (any_resource || (*from->full && jid_same(value, from->full)));

    if (ours && *to->full)
        return buf_str(out, to->full);
    if (!p->resource)
        return buf_str(out, to->bare);
    return buf_printf(out, "%s/%s", to->bare, p->resource);
}

bool names_translate(const struct names *from, const struct names *to, bool any_resource,
                     const char *value, struct buf *out)
{
    size_t len = out->len;
    struct parts p;
    long before;
    int err;

    if (!split(value, &p))
        return false;
    before = below(&p, from->domain);
    if (is_account(from, value))
        err = put_account(from, to, any_resource, value, &p, out);
    else if (before >= 0)
        err = buf_printf(out, "%.*s%s%.*s%s%s%s", (int)p.local_len, p.local ? p.local : "",
                         p.local ? "@" : "", (int)before, p.domain, to->domain,
                         p.resource ? "/" : "", p.resource ? p.resource : "");
    else
        return false;
    if (err)
        out->len = len;
    return !err;
}

bool names_own(const struct names *n, const char *jid)
{
    return is_account(n, jid) || (*n->domain && jid_same(jid, n->domain));
}

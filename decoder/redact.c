#include "redact.h"

#include <string.h>

#define NS_SASL  "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL2 "urn:xmpp:sasl:2"

/* Elements whose whole content is a secret. SASL exchanges carry passwords, or what lets them be
 * guessed (SCRAM proofs, DIGEST-MD5 responses): they are masked whole. */
static const struct {
    const char *ns, *name;
} inner[] = {
    {NS_SASL, "auth"},
    {NS_SASL, "challenge"},
    {NS_SASL, "response"},
    {NS_SASL, "success"},
    {NS_SASL2, "initial-response"},
    {NS_SASL2, "challenge"},
    {NS_SASL2, "response"},
    {NS_SASL2, "additional-data"},
    {"jabber:iq:auth", "password"},
    {"jabber:iq:auth", "digest"},
    {"jabber:iq:register", "password"},
    {"http://jabber.org/protocol/muc", "password"},
    {"http://jabber.org/protocol/muc#user", "password"},
    {"storage:bookmarks", "password"},
    {"urn:xmpp:bookmarks:1", "password"},
};

static const struct {
    const char *ns, *name, *attr;
} attrs_secret[] = {
    {"urn:xmpp:fast:0", "token", "token"},
    {"jabber:x:conference", "x", "password"},
    {"urn:xmpp:extdisco:1", "service", "password"},
    {"urn:xmpp:extdisco:2", "service", "password"},
};

static const char *attr_value(const char *const *attrs, const char *name)
{
    for (; attrs && attrs[0]; attrs += 2)
        if (strcmp(attrs[0], name) == 0)
            return attrs[1];
    return "";
}

bool redact_inner(const char *ns, const char *name, const char *const *attrs)
{
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
        if (strcmp(inner[i].ns, ns) == 0 && strcmp(inner[i].name, name) == 0)
            return true;
    /* A form's password field (XEP-0004 §3.3, XEP-0077 §5). */
    return strcmp(ns, "jabber:x:data") == 0 && strcmp(name, "field") == 0 &&
           (strcmp(attr_value(attrs, "type"), "text-private") == 0 ||
            strcmp(attr_value(attrs, "var"), "password") == 0);
}

const char *redact_attr(const char *ns, const char *name)
{
    for (size_t i = 0; i < sizeof attrs_secret / sizeof *attrs_secret; i++)
        if (strcmp(attrs_secret[i].ns, ns) == 0 && strcmp(attrs_secret[i].name, name) == 0)
            return attrs_secret[i].attr;
    return NULL;
}

void secrets_init(struct secrets *s)
{
    *s = (struct secrets){0};
}

void secrets_free(struct secrets *s)
{
    (void)s;
}

int redact_item(const struct item *it, const struct secrets *s, struct buf *out)
{
    size_t at = 0;
    int err = 0;

    (void)s;
    if (it->secrets == 0)
        return 0;
    for (unsigned i = 0; i < it->secrets && !err; i++) {
        err = buf_add(out, it->p + at, it->secret[i].from - at);
        if (!err)
            err = buf_str(out, REDACTED);
        at = it->secret[i].to;
    }
    return err ? err : buf_add(out, it->p + at, it->len - at);
}

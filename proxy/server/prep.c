#include "prep.h"

#include <stdio.h>
#include <string.h>

#include <stringprep.h>

/* What XML cannot hold, though a profile may let it pass: the two non-characters. */
static bool is_xml(const char *p)
{
    return !strstr(p, "\xef\xbf\xbe") && !strstr(p, "\xef\xbf\xbf");
}

static bool prep(const char *p, size_t n, const Stringprep_profile *profile, char *out)
{
    char text[4 * JID_PART_MAX]; /* a profile may make it longer, or shorter */

    *out = '\0';
    if (n == 0 || n > JID_PART_MAX || memchr(p, '\0', n))
        return false;
    memcpy(text, p, n);
    text[n] = '\0';
    if (stringprep(text, sizeof text, (Stringprep_profile_flags)0, profile) != STRINGPREP_OK)
        return false;
    n = strlen(text);
    if (n == 0 || n > JID_PART_MAX || !is_xml(text))
        return false;
    memcpy(out, text, n + 1);
    return true;
}

bool prep_local(const char *p, size_t n, char out[JID_PART_MAX + 1])
{
    return prep(p, n, stringprep_xmpp_nodeprep, out);
}

bool prep_resource(const char *p, size_t n, char out[JID_PART_MAX + 1])
{
    return prep(p, n, stringprep_xmpp_resourceprep, out);
}

bool prep_domain(const char *p, size_t n, char out[JID_PART_MAX + 1])
{
    if (!prep(p, n, stringprep_nameprep, out))
        return false;
    if (!strpbrk(out, "@/ \t\r\n\"'<>&"))
        return true;
    *out = '\0';
    return false;
}

bool prep_jid(const char *text, struct jid *out)
{
    const char *slash = strchrnul(text, '/'), *at = memchr(text, '@', (size_t)(slash - text));
    const char *domain = at ? at + 1 : text;

    *out = (struct jid){.local = ""};
    return (!at || prep_local(text, (size_t)(at - text), out->local)) &&
           prep_domain(domain, (size_t)(slash - domain), out->domain) &&
           (!*slash || prep_resource(slash + 1, strlen(slash + 1), out->resource));
}

const char *prep_bare(const struct jid *j, char out[JID_MAX + 1])
{
    snprintf(out, JID_MAX + 1, "%s%s%s", j->local, *j->local ? "@" : "", j->domain);
    return out;
}

#include "gate_item.h"

#define NS_STREAMS "http://etherx.jabber.org/streams"
#define NS_TLS     "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL    "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL2   "urn:xmpp:sasl:2"

static const struct {
    const char *ns, *name;
    enum item_kind kind;
} kinds[] = {
    {NS_STREAMS, "features", ITEM_FEATURES},
    {NS_TLS, "starttls", ITEM_STARTTLS},
    {NS_TLS, "proceed", ITEM_PROCEED},
    {NS_TLS, "failure", ITEM_TLS_FAILURE},
    {NS_SASL, "auth", ITEM_SASL_SAYS},
    {NS_SASL, "response", ITEM_SASL_SAYS},
    {NS_SASL, "abort", ITEM_SASL_SAYS},
    {NS_SASL, "challenge", ITEM_SASL_ASKS},
    {NS_SASL, "failure", ITEM_SASL_FAILURE},
    {NS_SASL, "success", ITEM_SUCCESS},
    {NS_SASL2, "authenticate", ITEM_SASL_SAYS},
    {NS_SASL2, "response", ITEM_SASL_SAYS},
    {NS_SASL2, "next", ITEM_SASL_SAYS},
    {NS_SASL2, "abort", ITEM_SASL_SAYS},
    {NS_SASL2, "challenge", ITEM_SASL_ASKS},
    {NS_SASL2, "continue", ITEM_SASL_ASKS},
    {NS_SASL2, "failure", ITEM_SASL_FAILURE},
    {NS_SASL2, "success", ITEM_SUCCESS2},
    {"jabber:client", "presence", ITEM_STANZA},
    {"jabber:client", "message", ITEM_STANZA},
    {"http://jabber.org/protocol/compress", "compressed", ITEM_COMPRESSED},
};

static const struct {
    const char *ns, *name;
} negotiable[] = {
    {NS_TLS, "starttls"},
    {NS_SASL, "mechanisms"},
    {NS_SASL2, "authentication"},
    {"http://jabber.org/features/iq-auth", "auth"},
    {"http://jabber.org/features/iq-register", "register"},
};

enum item_kind gate_item_kind(const struct item *it)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (item_is(it, 0, kinds[i].ns, kinds[i].name))
            return kinds[i].kind;
    if (item_is(it, 0, "jabber:client", "iq") && item_find(it, 2, "jabber:iq:auth", "query") >= 0)
        return ITEM_LEGACY_LOGIN;
    return ITEM_OTHER;
}

bool gate_item_negotiable(const struct item *it)
{
    for (size_t i = 0; i < sizeof negotiable / sizeof *negotiable; i++)
        if (item_find(it, 2, negotiable[i].ns, negotiable[i].name) >= 0)
            return true;
    return false;
}

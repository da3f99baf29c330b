#include "script.h"

#define HEADER_ENDS "version='1.0'>"
#define CLIENT_HEADER                                                                              \
    "<?xml version='1.0'?><stream:stream to='" BENCH_DOMAIN "' xmlns='jabber:client' "             \
    "xmlns:stream='http://etherx.jabber.org/streams' " HEADER_ENDS
#define SERVER_HEADER                                                                              \
    "<?xml version='1.0'?><stream:stream from='" BENCH_DOMAIN "' id='3f2a9c1e' xml:lang='en' "     \
    "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' " HEADER_ENDS
#define SASL "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
#define TLS  "xmlns='urn:ietf:params:xml:ns:xmpp-tls'"

// The example of RFC 5802 section 5.
#define SCRAM_FIRST "biwsbj11c2VyLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdM"
#define SCRAM_CHALLENGE                                                                            \
    "cj1meWtvK2QybGJiRmdPTlJ2OXFreGRhd0wzcmZjTkhZSlkxWlZ2V1ZzN2oscz1RU1hDUitRNnNlazhiZjkyLGk9NDA5" \
    "Ng=="
#define SCRAM_FINAL                                                                                \
    "Yz1iaXdzLHI9ZnlrbytkMmxiYkZnT05Sdjlxa3hkYXdMM3JmY05IWUpZMVpWdldWczdqLHA9djBYOHYzQnoyVDBDSkdi" \
    "SlF5RjBYK0hJNFRzPQ=="
#define SCRAM_SUCCESS "dj1ybUY5cHFWOFM3c3VBb1pXamE0ZEpSa0ZzS1E9"

const char closing_tag[] = "</stream:stream>";
const char ping_request[] = "<iq type='get' id='p%u'><ping xmlns='urn:xmpp:ping'/></iq>";
const char ping_answer[] =
    "<iq type='result' id='%s' from='" BENCH_DOMAIN "' to='user@" BENCH_DOMAIN "/bench'/>";
const char use_request[] = "<iq type='set' id='use'><use xmlns='urn:example:bench' kind='%s' "
                           "bytes='%zu' count='%llu'/></iq>";
const char use_answer[] = "<iq type='result' id='use'/>";

const struct step client_clear[] = {
    {CLIENT_HEADER, "</stream:features>", false},
    {"<starttls " TLS "/>", "<proceed " TLS "/>", true},
    {0},
};

const struct step client_tls[] = {
    {CLIENT_HEADER, "</stream:features>", false},
    {"<auth " SASL " mechanism='SCRAM-SHA-1'>" SCRAM_FIRST "</auth>", "</challenge>", false},
    {"<response " SASL ">" SCRAM_FINAL "</response>", "</success>", false},
    {CLIENT_HEADER, "</stream:features>", false},
    {"<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
     "<resource>bench</resource></bind></iq>",
     "</iq>", false},
    {"<iq type='set' id='s1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>",
     "<iq type='result' id='s1'/>", false},
    {0},
};

const struct step server_clear[] = {
    {SERVER_HEADER "<stream:features><starttls " TLS "><required/></starttls></stream:features>",
     HEADER_ENDS, false},
    {"<proceed " TLS "/>", "<starttls " TLS "/>", true},
    {0},
};

const struct step server_tls[] = {
    {SERVER_HEADER "<stream:features><mechanisms " SASL "><mechanism>SCRAM-SHA-1</mechanism>"
                   "<mechanism>PLAIN</mechanism></mechanisms></stream:features>",
     HEADER_ENDS, false},
    {"<challenge " SASL ">" SCRAM_CHALLENGE "</challenge>", "</auth>", false},
    {"<success " SASL ">" SCRAM_SUCCESS "</success>", "</response>", false},
    {SERVER_HEADER "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
                   "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>"
                   "</stream:features>",
     HEADER_ENDS, false},
    {"<iq type='result' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
     "<jid>user@" BENCH_DOMAIN "/bench</jid></bind></iq>",
     "</iq>", false},
    {"<iq type='result' id='s1'/>", "</iq>", false},
    {0},
};

// gloox.cpp: a gloox client that logs in, talks and logs out.
//
//   gloox JID PASSWORD HOST PORT CA [OPTION...]
//
// Options: no-tls, direct-tls (XEP-0368), zlib, legacy-auth (no SASL), no-plus (no channel binding),
// mechanism=NAME (that one alone), large=BYTES (a message of that size before the logout), stay (no
// logout: wait for the end of the connection), ignore-certificate; contact=JID (the roster has it, it
// comes online, it is sent the message, and answers), card=NAME (the own vCard is changed, and read
// back), card-is=NAME (it must be that one). Debian's gloox goes up to TLS 1.2. Prints `talked` once
// all answers are there, and last what happened; exit status 0 if it logged in and out.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <unistd.h>

#include <gloox/client.h>
#include <gloox/connectionlistener.h>
#include <gloox/connectiontcpclient.h>
#include <gloox/connectiontls.h>
#include <gloox/event.h>
#include <gloox/eventhandler.h>
#include <gloox/loghandler.h>
#include <gloox/message.h>
#include <gloox/messagehandler.h>
#include <gloox/presence.h>
#include <gloox/rostermanager.h>
#include <gloox/tlsdefault.h>
#include <gloox/vcard.h>
#include <gloox/vcardhandler.h>
#include <gloox/vcardmanager.h>

using namespace gloox;

static const unsigned limit_s = 30;

// What is said, in this order; each is over when its answer has come.
enum Step { RosterStep, ContactStep, NoteStep, PingStep, CardStep, SetCardStep, NewCardStep, Steps };

static const struct {
    const char *name;
    int bit;
} mechanisms[] = {
    {"SCRAM-SHA-1-PLUS", SaslMechScramSha1Plus}, {"SCRAM-SHA-1", SaslMechScramSha1},
    {"DIGEST-MD5", SaslMechDigestMd5},           {"PLAIN", SaslMechPlain},
    {"ANONYMOUS", SaslMechAnonymous},            {"EXTERNAL", SaslMechExternal},
};

// gloox 1.0.24 does not hand on the CAs that Client and ConnectionTLS are given.
class TrustingTLS : public TLSDefault {
  public:
    TrustingTLS(TLSHandler *handler, const std::string &domain, const std::string &ca)
        : TLSDefault(handler, domain), ca(ca)
    {
    }

    bool init(const std::string &key, const std::string &certs, const StringList &) override
    {
        if (!TLSDefault::init(key, certs, StringList(1, ca)))
            return false;
        setCACerts(StringList(1, ca));
        return true;
    }

  private:
    const std::string ca;
};

// TLS from the first byte. Its certificate must be good: nobody else asks.
class DirectTLS : public ConnectionTLS {
  public:
    DirectTLS(Client *client, ConnectionBase *tcp, const std::string &domain, const char *ca)
        : ConnectionTLS(client, tcp, client->logInstance()), domain(domain), ca(ca)
    {
    }

    void handleHandshakeResult(const TLSBase *base, bool success, CertInfo &info) override
    {
        if (success && info.status != CertOk)
            printf("certificate: status %d\n", info.status);
        ConnectionTLS::handleHandshakeResult(base, success && info.status == CertOk, info);
    }

  protected:
    TLSBase *getTLSBase(TLSHandler *handler, const std::string) override
    {
        return new TrustingTLS(handler, domain, ca);
    }

  private:
    const std::string domain, ca;
};

class Talk : public ConnectionListener,
             public EventHandler,
             public MessageHandler,
             public RosterListener,
             public VCardHandler,
             public LogHandler {
  public:
    Talk(const JID &jid, const std::string &password, const char *host, int port, const char *ca)
        : client(jid, password, port), cards(&client), host(host), port(port), ca(ca)
    {
        // Not setServer(): its name is the one gloox looks for in the certificate.
        client.setConnectionImpl(tcp());
        client.setTls(TLSRequired);
        client.setCompression(false);
        TLSBase *tls = new TrustingTLS(&client, jid.server(), ca);
        tls->init("", "", StringList());
        client.setEncryptionImpl(tls);
        client.registerConnectionListener(this);
        client.registerMessageHandler(this);
        client.rosterManager()->registerRosterListener(this);
        if (getenv("VERBOSE"))
            client.logInstance().registerLogHandler(LogLevelDebug, LogAreaAll, this);
    }

    bool option(const std::string &o)
    {
        if (o == "no-tls")
            client.setTls(TLSDisabled);
        else if (o == "direct-tls")
            direct_tls();
        else if (o == "zlib")
            client.setCompression(true);
        else if (o == "legacy-auth")
            client.setSasl(false);
        else if (o == "no-plus")
            client.setSASLMechanisms(SaslMechAll & ~SaslMechScramSha1Plus);
        else if (o == "stay")
            stay = true;
        else if (o == "ignore-certificate")
            any_certificate = true;
        else if (o.compare(0, 6, "large=") == 0)
            large = strtoul(o.c_str() + 6, nullptr, 10);
        else if (o.compare(0, 10, "mechanism=") == 0)
            return mechanism(o.c_str() + 10);
        else
            return talk_option(o);
        return true;
    }

    int run()
    {
        client.connect(true);
        printf("%s: %s%s\n", step < Steps ? "not logged in" : "logged in", reason.c_str(),
               client.streamErrorText().empty() ? "" : (": " + client.streamErrorText()).c_str());
        return step < Steps || failed;
    }

  private:
    Client client;
    VCardManager cards;
    const char *host;
    int port;
    const char *ca;
    std::string reason;
    size_t large = 0;
    bool stay = false, any_certificate = false, failed = false;
    std::set<int> wanted = {RosterStep, NoteStep, PingStep}, happened;
    int step = RosterStep;
    std::string contact, card;

    bool talk_option(const std::string &o)
    {
        if (o.compare(0, 8, "contact=") == 0) {
            contact = o.substr(8);
            wanted.insert(ContactStep);
        } else if (o.compare(0, 5, "card=") == 0) {
            card = o.substr(5);
            wanted.insert({CardStep, SetCardStep, NewCardStep});
        } else if (o.compare(0, 8, "card-is=") == 0) {
            card = o.substr(8);
            wanted.insert(CardStep);
        } else {
            return false;
        }
        return true;
    }

    ConnectionBase *tcp()
    {
        return new ConnectionTCPClient(&client, client.logInstance(), host, port);
    }

    void direct_tls()
    {
        client.setConnectionImpl(new DirectTLS(&client, tcp(), client.jid().server(), ca));
        client.setTls(TLSDisabled);
    }

    bool mechanism(const char *name)
    {
        for (const auto &m : mechanisms)
            if (strcmp(m.name, name) == 0) {
                client.setSASLMechanisms(m.bit);
                return true;
            }
        return false;
    }

    // gloox asks for the roster itself.
    void onConnect() override {}

    void say()
    {
        const JID self(client.jid().bare()), server(client.jid().server());

        if (step == NoteStep) {
            client.send(Message(Message::Chat, contact.empty() ? self : JID(contact),
                                "Gr\xc3\xbc\xc3\x9f" "e"));
        } else if (step == PingStep) {
            client.xmppPing(server, this);
        } else if (step == CardStep || step == NewCardStep) {
            cards.fetchVCard(self, this);
        } else if (step == SetCardStep) {
            VCard *mine = new VCard;
            mine->setFormattedname(card);
            cards.storeVCard(mine, this);
        }
    }

    void happens(Step what)
    {
        happened.insert(what);
        while (step < Steps && (!wanted.count(step) || happened.count(step))) {
            if (++step == Steps)
                log_out();
            else if (wanted.count(step))
                say();
        }
    }

    void fails(const std::string &why)
    {
        printf("%s\n", why.c_str());
        failed = true;
        client.disconnect();
    }

    void onDisconnect(ConnectionError e) override
    {
        reason = "gloox error " + std::to_string(e);
        if (e == ConnStreamError)
            reason += ", stream error " + std::to_string(client.streamError());
        if (e == ConnAuthenticationFailed)
            reason += ", authentication error " + std::to_string(client.authError());
        failed |= e != ConnUserDisconnected;
    }

    bool onTLSConnect(const CertInfo &info) override
    {
        if (info.status != CertOk)
            printf("certificate: status %d\n", info.status);
        return info.status == CertOk || any_certificate;
    }

    void log_out()
    {
        puts("talked");
        fflush(stdout);
        if (large)
            client.send(Message(Message::Chat, client.jid(), std::string(large, 'x')));
        else if (!stay)
            client.disconnect();
    }

    void handleMessage(const Message &m, MessageSession *) override
    {
        if (!m.body().empty())
            happens(NoteStep);
    }

    void handleEvent(const Event &) override { happens(PingStep); }

    void handleRoster(const Roster &roster) override
    {
        if (!contact.empty() && !roster.count(contact))
            fails(contact + " is not in the roster");
        else
            happens(RosterStep);
    }

    void handleRosterPresence(const RosterItem &item, const std::string &, Presence::PresenceType p,
                              const std::string &) override
    {
        if (item.jidJID().bare() == contact && p == Presence::Available)
            happens(ContactStep);
    }

    void handleVCard(const JID &, const VCard *found) override
    {
        if (step == CardStep && wanted.count(SetCardStep))
            happens(CardStep);
        else if (!found || found->formattedname() != card)
            fails("the vCard is another");
        else
            happens(static_cast<Step>(step));
    }

    void handleVCardResult(VCardContext context, const JID &, StanzaError error) override
    {
        if (error == StanzaErrorUndefined)
            happens(SetCardStep);
        else if (context == FetchVCard && step == CardStep && wanted.count(SetCardStep))
            happens(CardStep); // there was none
        else
            fails("the vCard: stanza error " + std::to_string(error));
    }

    void handleLog(LogLevel, LogArea area, const std::string &text) override
    {
        fprintf(stderr, "%x %s\n", (unsigned)area, text.c_str());
    }

    void handleItemAdded(const JID &) override {}
    void handleItemSubscribed(const JID &) override {}
    void handleItemRemoved(const JID &) override {}
    void handleItemUpdated(const JID &) override {}
    void handleItemUnsubscribed(const JID &) override {}
    void handleSelfPresence(const RosterItem &, const std::string &, Presence::PresenceType,
                            const std::string &) override {}
    bool handleSubscriptionRequest(const JID &, const std::string &) override { return false; }
    bool handleUnsubscriptionRequest(const JID &, const std::string &) override { return false; }
    void handleNonrosterPresence(const Presence &) override {}
    void handleRosterError(const IQ &) override {}
};

int main(int argc, char **argv)
{
    if (argc < 6)
        return 2;
    alarm(limit_s);
    Talk talk(JID(argv[1]), argv[2], argv[3], atoi(argv[4]), argv[5]);
    for (int i = 6; i < argc; i++)
        if (!talk.option(argv[i]))
            return 2;
    return talk.run();
}

/* cmd_proxy.c: `xmpptap proxy` and `xmpptap serve`. */
#include <string.h>

#include "activation.h"
#include "bridge_options.h"
#include "capture.h"
#include "entry.h"
#include "fault.h"
#include "../logs/message.h"
#include "../logs/only.h"
#include "listen.h"
#include "serving.h"

#define AT(field) offsetof(struct capture_options, field)

static const struct option_row rows[] = {
    {'l', "listen", "ADDR:PORT", OPTION_STRINGS, AT(proxy.listen),
     "listen there; repeatable (default 127.0.0.1:5222)"},
    {0, "transparent", "redirect|tproxy|tproxy-spoof", OPTION_OPTIONAL, AT(proxy.transparent),
     "clients that a firewall sends here (default redirect); without UPSTREAM, each goes on to "
     "where it was going"},
    {0, "client-tls", "auto|off|required", OPTION_CHOICE, AT(proxy.client_tls),
     "offer the client TLS as the server does, never, or refuse it without (default auto)"},
    {0, "server-tls", "auto|starttls|direct|off", OPTION_CHOICE, AT(proxy.server_tls),
     "how to speak TLS to the server (default auto: as UPSTREAM says, and as the client does)"},
    {0, "accept-proxy-protocol", "CIDR", OPTION_STRINGS, AT(balancers),
     "load balancers there say whose connection it is; repeatable"},
    {0, "send-proxy-protocol", "v2|v1", OPTION_OPTIONAL, AT(proxy.send_header),
     "say it to the server, too (default v2)"},
    {'d', "archive-dir", "DIR", OPTION_STRING, AT(archive_dir),
     "keep sessions there (default $XDG_STATE_HOME/xmpptap)"},
    {0, "no-archive", NULL, OPTION_FLAG, AT(no_archive), "keep no sessions"},
    {0, "ca-dir", "DIR", OPTION_STRING, AT(ca_dir),
     "where the CA is (default $XDG_DATA_HOME/xmpptap)"},
    {0, "resolver", "ADDR:PORT", OPTION_STRING, AT(proxy.resolver),
     "ask this DNS server (default: as the system is configured)"},
    {0, "upstream-ca", "FILE", OPTION_STRING, AT(proxy.upstream_ca),
     "trust these CAs (PEM) for the server (default: the system's)"},
    {0, "insecure", NULL, OPTION_FLAG, AT(proxy.insecure),
     "go on when the server's certificate is not valid, and say why it is not"},
    {0, "server-cert", "FILE", OPTION_STRING, AT(proxy.server_cert),
     "show clients this certificate (PEM, its chain behind it), the server's own; forge none"},
    {0, "server-key", "FILE", OPTION_STRING, AT(proxy.server_key),
     "its key (PEM; default: in the same file)"},
    {0, "client-cert", "FILE", OPTION_STRING, AT(proxy.client_cert),
     "show this certificate (PEM) to a server that asks for a client's"},
    {0, "client-key", "FILE", OPTION_STRING, AT(proxy.client_key),
     "its key (PEM; default: in the same file)"},
    {0, "channel-binding", "auto|strip|pass|bridge", OPTION_CHOICE, AT(proxy.channel_binding),
     "-PLUS mechanisms, which cannot pass a man in the middle: taken out where TLS ends here, "
     "taken out always, left as they are, or the proxy logs in for the client (default auto)"},
    {0, "compression", "pass|strip", OPTION_CHOICE, AT(proxy.strip_compression),
     "XEP-0138 in the features: left as it is, or taken out (default pass)"},
    {0, "no-tls-resumption", NULL, OPTION_FLAG, AT(proxy.full_handshakes),
     "every TLS handshake in full, with certificates, on both sides"},
    {0, "keylog", "FILE", OPTION_STRING, AT(proxy.keylog),
     "append TLS secrets of both sides, for Wireshark"},
    {0, "fault", "PHASE=ACTION", OPTION_STRINGS, AT(fault),
     "do that to what is labelled PHASE: delay:MS, drop, close, reset, error:CONDITION, malformed or "
     "silent; @N behind it: only the Nth of a session; repeatable"},
    {0, "only", "JID|DOMAIN|ADDR", OPTION_STRINGS, AT(only),
     "record only sessions of that account, domain or client's address; repeatable"},
    {0, "labels", "documented|zh|en", OPTION_CHOICE, AT(labels),
     "the labels' language (default documented)"},
    {0, "secrets", "redact|keep", OPTION_CHOICE, AT(secrets),
     "passwords and what lets them be guessed (default redact)"},
    {0, "decoder", "quick|strict", OPTION_CHOICE, AT(decoder),
     "read plain stanzas with a quick reader, or all with expat; both find the same (default quick)"},
    {'o', "output", "FILE", OPTION_STRING, AT(output),
     "write the transcript there (default standard output)"},
    {'q', "quiet", NULL, OPTION_FLAG, AT(quiet), "no transcript"},
    {'v', "verbose", NULL, OPTION_FLAG, AT(verbose),
     "comment lines: time, direction, size, wait, TLS facts"},
    {0, "account", "JID", OPTION_STRING, AT(account),
     "bridge: log in to this account; the client must know its password"},
    {0, "password-file", "FILE", OPTION_STRING, AT(password_file),
     "bridge: the password of --account is its first line; yours alone (mode 600)"},
    {0, "when-full", "wait|gap", OPTION_CHOICE, AT(when_full),
     "when recording falls behind: pause the sessions, or record a gap (default wait)"},
    {0, "profile", "documented|modern|FILE", OPTION_STRING, AT(serving.profile),
     "embedded server: how it answers (default documented; docs/serve.md)"},
    {0, "accounts", "FILE", OPTION_STRING, AT(serving.accounts),
     "embedded server: its accounts and their passwords; without, whoever comes is let in"},
    {0, "mechanisms", "LIST", OPTION_STRING, AT(serving.mechanisms),
     "embedded server: the SASL mechanisms it offers, in their order, parted by commas"},
    {0, "modern", NULL, OPTION_FLAG, AT(serving.modern),
     "embedded server: offer SASL2 (XEP-0388) and Bind 2 (XEP-0386), too"},
    {0, "replay", "FILE[#SESSION]", OPTION_STRING, AT(serving.replay),
     "embedded server: be the server of that captured session, as far as its client asks again"},
    {0, "speed", "max|N", OPTION_STRING, AT(serving.speed),
     "--replay: at once, or N times as fast as it was captured (default max)"},
    {0, "connect-timeout", "SECONDS", OPTION_SECONDS, AT(proxy.connect_s),
     "for reaching the server (default 10)"},
    {0, "handshake-timeout", "SECONDS", OPTION_SECONDS, AT(proxy.handshake_s),
     "for each TLS handshake (default 15)"},
    {0, "negotiation-timeout", "SECONDS", OPTION_SECONDS, AT(proxy.negotiation_s),
     "for the whole login, people's typing included (default 300)"},
    {0, "idle-timeout", "SECONDS", OPTION_SECONDS, AT(proxy.idle_s),
     "end a session in which nobody says anything for so long (default: none)"},
    {0, "close-timeout", "SECONDS", OPTION_SECONDS, AT(proxy.close_s),
     "for one side to end when the other has (default 30)"},
    {0, "wait-bytes", "SIZE", OPTION_BYTES, AT(proxy.wait_bytes),
     "what may wait for the server or an answer of its, then the source does (default 64k)"},
    {0, "item-bytes", "SIZE", OPTION_BYTES, AT(proxy.item_bytes),
     "the longest item that is read before it is sent on, in a login (default 256k)"},
    {0, "only-bytes", "SIZE", OPTION_BYTES, AT(only_bytes),
     "--only: what of a session may wait until it is known whose it is, then it is recorded (default 1m)"},
    {0, "workers", "N", OPTION_COUNT, AT(workers),
     "loop threads, each with a recorder and an archive file of its own (default 1)"},
    {0, "queue-bytes", "SIZE", OPTION_BYTES, AT(queue_bytes),
     "what may wait to be recorded (default 32m)"},
    {0}};

/* UPSTREAM may say already how TLS with the server begins. 0, or 2 with that said. */
static int check_server_tls(const struct command *c, const struct proxy_options *o)
{
    bool plain = o->server_tls == SERVER_TLS_OFF || o->server_tls == SERVER_TLS_STARTTLS;

    if (o->upstream.kind == UPSTREAM_TLS && plain)
        return usage_error(c, "tls:// is TLS from the first byte, which --server-tls %s is not; give "
                              "tcp://HOST:PORT with it",
                           o->server_tls == SERVER_TLS_OFF ? "off" : "starttls");
    if (o->upstream.kind == UPSTREAM_BUILTIN && o->server_tls != SERVER_TLS_AUTO)
        return usage_error(c, "--server-tls is for a server elsewhere; builtin: needs no TLS");
    return 0;
}

static int run_proxy(const struct command *c, struct capture_options *o, const char *upstream)
{
    static struct capture cap; /* too large for a stack */
    struct sockaddr_storage address;
    struct error e;
    int status;

    if (upstream_parse(upstream, &o->proxy.upstream, &e) ||
        (o->proxy.resolver && resolver_parse(o->proxy.resolver, &address, &e)))
        return usage_error(c, "%s", e.detail);
    if (o->proxy.upstream.kind == UPSTREAM_BUILTIN && o->proxy.send_header)
        return usage_error(c, "--send-proxy-protocol is for a server elsewhere; builtin: takes "
                              "none");
    if (check_server_tls(c, &o->proxy))
        return 2;
    status = serving_begin(c, o);
    if (!status)
        status = bridge_run(c, o, &cap);
    serving_end(o);
    return status;
}

static int parse_balancers(const struct command *c, struct capture_options *o)
{
    for (int i = 0; o->balancers[i]; i++, o->proxy.balancers++)
        if (!cidr_parse(o->balancers[i], &o->proxy.balancer[i]))
            return usage_error(c, "--accept-proxy-protocol %s is no CIDR; give one such as "
                                  "192.0.2.0/24, 2001:db8::/32 or 127.0.0.1", o->balancers[i]);
    return 0;
}

static int parse_faults(const struct command *c, struct capture_options *o)
{
    static struct fault fault[OPTION_STRINGS_MAX];
    struct error e;

    _Static_assert(OPTION_STRINGS_MAX <= FAULTS_MAX, "as many as can be given");
    for (int i = 0; o->fault[i]; i++, o->proxy.faults++)
        if (fault_parse(o->fault[i], &fault[i], &e))
            return usage_error(c, "%s", e.detail);
    o->proxy.fault = fault;
    return 0;
}

static int check_only(const struct command *c, const struct capture_options *o)
{
    struct error e;

    for (int i = 0; o->only[i]; i++)
        if (only_check(o->only[i], &e))
            return usage_error(c, "%s", e.detail);
    return 0;
}

/* Where -l and whoever started the program say, else the default. */
static int choose_listeners(const struct command *c, struct capture_options *o)
{
    struct sockaddr_storage address;
    struct error e;

    for (int i = 0; o->proxy.listen[i]; i++)
        if (listen_parse(o->proxy.listen[i], &address, &e))
            return usage_error(c, "%s", e.detail);
    if (activation_take(&o->proxy.inherited, LISTENERS_MAX, &e)) {
        message(LEVEL_ERROR, PAIRS("reason", error_name(e.code)), "%s", e.detail);
        return 1;
    }
    if (!o->proxy.listen[0] && !o->proxy.inherited)
        o->proxy.listen[0] = "127.0.0.1:5222";
    return 0;
}

/* A key alone is a mistake. 0, or 2 with that said. */
static int check_keys(const struct command *c, const struct proxy_options *o)
{
    if (o->server_key && !o->server_cert)
        return usage_error(c, "--server-key needs --server-cert FILE, whose key it is");
    if (o->client_key && !o->client_cert)
        return usage_error(c, "--client-key needs --client-cert FILE, whose key it is");
    return 0;
}

static int run(int argc, char **argv, const struct command *c)
{
    struct capture_options o = {.proxy = {PROXY_DEFAULTS}};
    int rest, status;

    status = options_parse(c, argc, argv, &o, &rest);
    if (status != OPTIONS_OK)
        return status;
    status = check_keys(c, &o.proxy);
    if (!status)
        status = parse_balancers(c, &o);
    if (!status)
        status = parse_faults(c, &o);
    if (!status)
        status = check_only(c, &o);
    if (!status)
        status = choose_listeners(c, &o);
    if (status)
        return status;
    if (c == &cmd_serve && rest < argc)
        return usage_error(c, "serve is the server itself and takes no %s", argv[rest]);
    if (c == &cmd_serve)
        return run_proxy(c, &o, "builtin:");
    if (rest + 1 < argc)
        return usage_error(c, "one UPSTREAM is enough, %s is too much", argv[rest + 1]);
    return run_proxy(c, &o, rest < argc ? argv[rest] : NULL);
}

const struct command cmd_proxy = {
    "proxy", "[OPTIONS] [DOMAIN|tcp://HOST:PORT|tls://HOST:PORT|builtin:]",
    "stand between clients and a server: UPSTREAM's, or that of the domain a client asks for",
    rows, run,
};

const struct command cmd_serve = {
    "serve", "[OPTIONS]",
    "be the server: the same as `proxy builtin:`", rows, run,
};

/* cmd_demo.c: `xmpptap demo`: a whole captured login on this machine.
 *
 * The embedded server, the proxy, and a client that speaks the documented exchange
 * (docs/transcript.md), over real loopback sockets and real TLS, in one loop.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../certs/verify.h"
#include "../logs/message.h"
#include "address.h"
#include "capture.h"
#include "leg.h"
#include "serving.h"

#define DOMAIN    "xumatomacbook-pro.local"
#define BARE      "guanfei@" DOMAIN
#define STREAM_ID "675c6847-c13d-4710-9844-d9339e4df087"
#define LIMIT_MS  10000
#define HEARD_MAX (64u << 10)

#define HEADER                                                                                     \
    "<?xml version=\"1.0\"?>\n<stream:stream "                                                     \
    "xmlns:stream=\"http://etherx.jabber.org/streams\" version=\"1.0\" xmlns=\"jabber:client\" "   \
    "to=\"" DOMAIN "\" xml:lang=\"en\" xmlns:xml=\"http://www.w3.org/XML/1998/namespace\">"
#define FEATURES_END "</stream:features>"

/* What the client says, and what it then waits for; `tls`: TLS begins behind that. */
static const struct step {
    const char *say, *wait_for;
    bool tls;
} steps[] = {
    {HEADER, FEATURES_END, false},
    {"<starttls xmlns=\"urn:ietf:params:xml:ns:xmpp-tls\"/>", "<proceed", true},
    {HEADER, FEATURES_END, false},
    {"<auth xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\" mechanism=\"PLAIN\">"
     "AGd1YW5mZWkAZ3VhbmZlaQ==</auth>",
     "<success", false},
    {HEADER, FEATURES_END, false},
    {"<iq type=\"set\" id=\"bind_1\"><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\">"
     "<resource>Psi+</resource></bind></iq>",
     "</iq>", false},
    {"<iq type=\"set\" id=\"ab46a\"><session xmlns=\"urn:ietf:params:xml:ns:xmpp-session\"/></iq>",
     "ab46a", false},
    {"<iq type=\"get\" id=\"ab47a\"><query xmlns=\"jabber:iq:roster\"/></iq>", "</iq>", false},
    {"<presence><priority>50</priority><c xmlns=\"http://jabber.org/protocol/caps\" "
     "node=\"http://psi-dev.googlecode.com/caps\" ver=\"0.16\" "
     "ext=\"ca cs e-time ep-notify-2 html last-act mr sxe whiteboard\"/></presence>"
     "<iq type=\"get\" id=\"ab49a\"><query xmlns=\"jabber:iq:privacy\"/></iq>"
     "<iq type=\"get\" id=\"ab4aa\"><query xmlns=\"jabber:iq:private\">"
     "<storage xmlns=\"storage:bookmarks\"/></query></iq>"
     "<iq type=\"get\" to=\"" BARE "\" id=\"ab4ba\"><vCard xmlns=\"vcard-temp\"/></iq>"
     "<iq type=\"get\" to=\"" DOMAIN "\" id=\"ab4ca\">"
     "<query xmlns=\"http://jabber.org/protocol/disco#info\"/></iq>",
     "</iq>", false},
    {"<iq type=\"get\" id=\"ab4da\"><query xmlns=\"jabber:iq:privacy\"><list name=\"blocked\"/>"
     "</query></iq>",
     "</list></query></iq>", false},
    {"<presence type=\"unavailable\"><status>Logged out</status></presence>", NULL, false},
};

#define STEPS (sizeof steps / sizeof *steps)

struct demo {
    struct capture *cap;
    struct leg leg;
    uv_timer_t limit;
    SSL_CTX *tls;     /* owned: trusts the CA, as a client that was told to would */
    struct buf heard; /* since the last step */
    size_t step;
    bool failed;
};

static void give_up(struct demo *d, const char *why)
{
    if (!d->failed)
        message(LEVEL_ERROR, PAIRS("side", "client"), "the demo's client cannot go on at step %zu: "
                "%s", d->step + 1, why);
    d->failed = true;
    leg_close(&d->leg);
}

static void say(struct demo *d)
{
    const char *text = steps[d->step].say;

    d->heard.len = 0;
    if (leg_send(&d->leg, text, strlen(text)))
        give_up(d, "sending failed");
    leg_flush(&d->leg);
    if (!steps[d->step].wait_for)
        leg_shut(&d->leg);
}

static void start_tls(struct demo *d)
{
    SSL *ssl = SSL_new(d->tls);

    if (!ssl || SSL_set_tlsext_host_name(ssl, DOMAIN) != 1) {
        SSL_free(ssl);
        give_up(d, "no memory for TLS");
        return;
    }
    SSL_set_connect_state(ssl);
    if (leg_push_tls(&d->leg, ssl))
        give_up(d, "no memory for TLS");
}

static void on_up(void *arg, struct leg *l)
{
    leg_read(l, true);
    say(arg);
}

static void on_secured(void *arg, struct leg *l)
{
    struct demo *d = arg;
    struct error e;

    if (verify_peer(leg_ssl(l), DOMAIN, &e)) {
        give_up(d, e.detail);
        return;
    }
    d->step++;
    say(d);
}

static void on_data(void *arg, struct leg *l, const char *p, size_t n)
{
    struct demo *d = arg;
    const char *wanted = steps[d->step].wait_for;

    (void)l;
    if (buf_add(&d->heard, p, n)) {
        give_up(d, "the server says too much");
        return;
    }
    if (!wanted || !memmem(d->heard.p, d->heard.len, wanted, strlen(wanted)))
        return;
    if (d->heard.p[d->heard.len - 1] != '>')
        return; /* the rest of the answer is still to come */
    if (steps[d->step].tls) {
        start_tls(d);
        return;
    }
    d->step++;
    say(d);
}

static void on_eof(void *arg, struct leg *l)
{
    struct demo *d = arg;

    if (d->step + 1 < STEPS)
        give_up(d, "the server closed the connection");
    leg_close(l);
}

static void on_failed(void *arg, struct leg *l, const struct error *e)
{
    (void)l;
    give_up(arg, e->detail);
}

static void on_nothing(void *arg, struct leg *l)
{
    (void)arg;
    (void)l;
}

static void on_closed(void *arg, struct leg *l)
{
    struct demo *d = arg;

    (void)l;
    uv_close((uv_handle_t *)&d->limit, NULL);
    proxy_stop(&d->cap->worker->proxy);
}

static void on_limit(uv_timer_t *timer)
{
    give_up(timer->data, "it took too long");
}

static const struct leg_user leg_events = {
    .up = on_up,
    .data = on_data,
    .secured = on_secured,
    .drained = on_nothing,
    .eof = on_eof,
    .sent = on_nothing,
    .failed = on_failed,
    .closed = on_closed,
};

static int begin(void *arg, struct capture *cap)
{
    struct demo *d = arg;
    char address[64];
    struct upstream u = {.kind = UPSTREAM_ADDRESS};
    const struct dial_options dial = {.upstream = &u};
    struct error e;

    d->cap = cap;
    buf_init(&d->heard, HEARD_MAX);
    proxy_address(&cap->worker->proxy, address, sizeof address);
    d->tls = verify_context(ca_path(cap->ca), &e);
    if (!d->tls || !address_parse(address, &u.address))
        return 1;
    message(LEVEL_INFO, NULL, "the account is the demo's own, so its password is shown; elsewhere "
                              "secrets are redacted unless --secrets keep is given");
    leg_init(&d->leg, &cap->worker->loop, &leg_events, d);
    uv_timer_init(&cap->worker->loop, &d->limit);
    d->limit.data = d;
    uv_timer_start(&d->limit, on_limit, LIMIT_MS, 0);
    if (leg_dial(&d->leg, &dial))
        give_up(d, "no memory to connect");
    return 0;
}

#define AT(field) offsetof(struct capture_options, field)

static const struct option_row rows[] = {
    {'d', "archive-dir", "DIR", OPTION_STRING, AT(archive_dir),
     "keep the session there (default $XDG_STATE_HOME/xmpptap)"},
    {0, "no-archive", NULL, OPTION_FLAG, AT(no_archive), "do not keep the session"},
    {0, "ca-dir", "DIR", OPTION_STRING, AT(ca_dir),
     "where the CA is (default $XDG_DATA_HOME/xmpptap)"},
    {0, "labels", "documented|zh|en", OPTION_CHOICE, AT(labels),
     "the labels' language (default documented)"},
    {'v', "verbose", NULL, OPTION_FLAG, AT(verbose),
     "comment lines: time, direction, size, wait, TLS facts"},
    {0}};

static int run(int argc, char **argv, const struct command *c)
{
    static struct capture cap; /* too large for a stack */
    struct capture_options o = {
        .proxy = {.listen = {"127.0.0.1:0"}, PROXY_DEFAULTS,
                  .stream_id = STREAM_ID},
        .secrets = 1,
    };
    struct demo d = {0};
    struct error e;
    int rest, status;

    status = options_parse(c, argc, argv, &o, &rest);
    if (status != OPTIONS_OK)
        return status;
    if (rest < argc)
        return usage_error(c, "%s is too much", argv[rest]);
    if (upstream_parse("builtin:", &o.proxy.upstream, &e))
        return 1;
    status = serving_begin(c, &o);
    if (!status)
        status = capture_run(&o, begin, &d, &cap);
    serving_end(&o);
    SSL_CTX_free(d.tls);
    buf_free(&d.heard);
    if (status == 0 && *cap.archive_file)
        fprintf(stderr, "\nThe session is kept in %s\nShow it again:  %s show %s\n",
                cap.archive_file, program_invocation_name, cap.archive_file);
    return status || d.failed ? 1 : 0;
}

const struct command cmd_demo = {
    "demo", "[OPTIONS]",
    "a whole captured login on this machine, no network, no set-up", rows, run,
};

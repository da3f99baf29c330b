/* cmd_replay.c: `xmpptap replay`: a captured client's side, played against a server. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "../logs/message.h"
#include "proxy.h"
#include "reading.h"
#include "replay/report.h"
#include "replaying.h"

struct replay_options {
    struct reading_options reading;
    const char *to, *account, *password_file;
    struct replaying_options run;
    struct report_options report;
};

#define AT(field) offsetof(struct replay_options, field)

static const struct option_row rows[] = {
    {0, "to", "UPSTREAM", OPTION_STRING, AT(to),
     "the server: DOMAIN, tcp://HOST:PORT or tls://HOST:PORT, as `proxy` takes it"},
    {0, "account", "JID", OPTION_STRING, AT(account), "log in to this account"},
    {0, "password-file", "FILE", OPTION_STRING, AT(password_file),
     "its password is the first line; yours alone (mode 600)"},
    {0, "wait", "SECONDS", OPTION_SECONDS, AT(run.replay.wait_s),
     "for answers that the captured client had before it went on (default 5)"},
    {0, "json", NULL, OPTION_FLAG, AT(report.json), "a JSON object a line"},
    {'d', "archive-dir", "DIR", OPTION_STRING, AT(reading.archive_dir),
     "the sessions kept there (default $XDG_STATE_HOME/xmpptap)"},
    {0, "upstream-ca", "FILE", OPTION_STRING, AT(run.upstream_ca),
     "trust these CAs (PEM) for the server (default: the system's)"},
    {0, "insecure", NULL, OPTION_FLAG, AT(run.insecure),
     "go on when the server's certificate is not valid, and say why it is not"},
    {0, "resolver", "ADDR:PORT", OPTION_STRING, AT(run.resolver),
     "ask this DNS server (default: as the system is configured)"},
    {0, "connect-timeout", "SECONDS", OPTION_SECONDS, AT(run.connect_s),
     "for reaching the server (default 10)"},
    {0}};

static int on_event(void *arg, const struct event *ev)
{
    return plan_event(arg, ev);
}

/* Reads it. 0, or 1 with the error said. */
static int read_plan(struct plan *p, const struct replay_options *o, char *arg)
{
    struct store_session *s;
    struct error e = {0};
    struct store st;
    int err = 0;

    store_init(&st);
    s = reading_one(&st, &o->reading, arg);
    if (s)
        err = store_read(&st, &s, 1, on_event, p, &e);
    if (s && !err && !s->ended)
        message(LEVEL_WARN, PAIRS("session", s->id),
                "this session was cut off: it is played as far as it was recorded, and what came "
                "behind that differs");
    if (err)
        fprintf(stderr, "xmpptap: %s\n", *e.detail ? e.detail : error_text((enum error_code)err));
    store_free(&st);
    return !s || err;
}

/* ---- playing ---- */

static int complain(const struct error *e)
{
    message(LEVEL_ERROR, PAIRS("reason", error_name(e->code)), "%s", e->detail);
    return 1;
}

/* What came of it, 0 where both sessions are the same. What broke off before the login has nothing
 * to report. */
static int report(const struct replay_options *o, const struct replayer *r)
{
    struct report counts;
    int err;

    if (r->error.code && !r->logged_in)
        return complain(&r->error);
    err = report_write(r, &o->report, stdout, &counts);
    if (err && !reading_is_over())
        fprintf(stderr, "xmpptap: %s\n", error_text((enum error_code)err));
    if (r->error.code)
        complain(&r->error);
    return err || r->error.code || !report_all_same(&counts);
}

static int play(const struct command *c, struct replay_options *o, char *arg)
{
    static struct replayer r; /* too large for a stack */
    struct account *account;
    struct error e = {0};
    struct plan plan;
    int status = 1;

    account = account_open(o->account, o->password_file, &e);
    if (!account)
        return e.code == ERR_USAGE ? usage_error(c, "%s", e.detail) : complain(&e);
    o->run.replay.reader = reader_new();
    o->run.replay.account = account;
    o->run.replay.plan = &plan;
    plan_init(&plan, o->run.replay.reader);
    if (!o->run.replay.reader) {
        fputs("xmpptap: no memory to start\n", stderr);
    } else if (read_plan(&plan, o, arg) == 0) {
        if (replaying_run(&o->run, &r, &e)) {
            status = complain(&e);
        } else {
            status = report(o, &r);
            replayer_free(&r);
        }
    }
    o->run.replay.plan = NULL;
    plan_free(&plan);
    reader_free(o->run.replay.reader);
    account_free(account);
    return status;
}

static int run(int argc, char **argv, const struct command *c)
{
    struct replay_options o = {.run = {.connect_s = 10, .replay = {.wait_s = 5}}};
    struct sockaddr_storage address;
    struct error e;
    int rest, status = options_parse(c, argc, argv, &o, &rest);

    if (status != OPTIONS_OK)
        return status;
    if (rest + 1 != argc)
        return rest < argc
                   ? usage_error(c, "one session is enough, %s is too much", argv[rest + 1])
                   : usage_error(c, "give the session to play: FILE, FILE#SESSION, or its id");
    if (!o.to || !o.account || !o.password_file)
        return usage_error(c, "give --to UPSTREAM, --account JID and --password-file FILE");
    if (upstream_parse(o.to, &o.run.upstream, &e) ||
        (o.run.resolver && resolver_parse(o.run.resolver, &address, &e)))
        return usage_error(c, "%s", e.detail);
    if (o.run.upstream.kind == UPSTREAM_BUILTIN)
        return usage_error(c, "--to is for a server elsewhere; for the built-in one start `xmpptap "
                              "serve` and give its address");
    o.report.target = o.to;
    prctl(PR_SET_DUMPABLE, 0); /* a password is in memory: no core is left */
    return play(c, &o, argv[rest]);
}

const struct command cmd_replay = {
    "replay", "--to UPSTREAM --account JID --password-file FILE [OPTIONS] FILE[#SESSION]|SESSION",
    "play a captured client's side against a server, and say where the answers differ", rows, run,
};

#include "serving.h"

#include <stdio.h>
#include <string.h>

#include "../logs/message.h"
#include "entry.h"
#include "served.h"
#include "server/accounts.h"
#include "server/script.h"
#include "server/world.h"

static int failed(const struct command *c, const struct error *e)
{
    if (e->code == ERR_USAGE)
        return usage_error(c, "%s", e->detail);
    message(LEVEL_ERROR, PAIRS("reason", error_name(e->code)), "%s", e->detail);
    return 1;
}

/* What is for the embedded server alone. 0, or 2 with that said. */
static int check(const struct command *c, const struct capture_options *o)
{
    bool ours = o->proxy.upstream.kind == UPSTREAM_BUILTIN;
    const struct serving_options *s = &o->serving;

    if (!ours && (s->profile || s->accounts || s->mechanisms || s->modern || s->replay))
        return usage_error(c, "--profile, --accounts, --mechanisms, --modern and --replay are for the "
                              "embedded server; give builtin: as UPSTREAM");
    if (s->replay && s->profile)
        return usage_error(c, "--replay answers as the captured server did, and --profile as a file "
                              "says; give one of them");
    if (s->speed && !s->replay)
        return usage_error(c, "--speed is for --replay FILE");
    if (ours && o->workers > 1)
        return usage_error(c, "--workers is for a server elsewhere: those who talk to each other here "
                              "are one loop's");
    return 0;
}

/* Whoever takes any password knows none, so SCRAM cannot be offered. 0, or 2 where nothing is left. */
static int check_mechanisms(const struct command *c, const struct world *w)
{
    const char *const *m = (const char *const *)w->profile->mechanism;
    char left[256] = "";
    bool lost = false;

    for (int i = 0; m[i] && !w->closed; i++) {
        if (strncmp(m[i], "SCRAM-", 6) == 0)
            lost = true;
        else
            snprintf(left + strlen(left), sizeof left - strlen(left), "%s%s", *left ? ", " : "", m[i]);
    }
    if (lost && !*left)
        return usage_error(c, "SCRAM needs passwords that are known; give --accounts FILE, or add PLAIN "
                              "to --mechanisms");
    if (lost)
        message(LEVEL_INFO, PAIRS("mechanisms", left),
                "whoever comes is let in with any password, so SCRAM is not offered; --accounts FILE "
                "has passwords checked");
    return 0;
}

/* 2 where nobody can log in. */
static int check_way_in(const struct command *c, const struct capture_options *o)
{
    const struct world *w = o->proxy.world;
    const struct profile *p = w->profile;
    bool shown = profile_has(p, FEATURE_MECHANISMS) || profile_has(p, FEATURE_SASL2);

    if (p->starttls_required && o->proxy.client_tls == CLIENT_TLS_OFF)
        message(LEVEL_WARN, NULL,
                "this server requires TLS and --client-tls off keeps STARTTLS from clients: only those "
                "with direct TLS can log in; leave it out, or give a profile with `starttls = "
                "optional`");
    if (w->script || (shown && p->mechanism[0]) || profile_has(p, FEATURE_IQ_AUTH))
        return check_mechanisms(c, w);
    return usage_error(c, "with this profile nobody can log in; give it mechanisms, such as `mechanisms = "
                          "PLAIN`, and name `mechanisms` in its features");
}

int serving_begin(const struct command *c, struct capture_options *o)
{
    struct serving_options *s = &o->serving;
    struct script *script = NULL;
    struct profile *p;
    struct error e = {.code = ERR_NOMEM, .detail = "no memory to start"};
    int err = check(c, o);

    if (err || o->proxy.upstream.kind != UPSTREAM_BUILTIN)
        return err;
    err = s->replay ? served_open(c, o, &script) : 0;
    if (err)
        return err;
    p = profile_open(s->profile ? s->profile : "documented", &e);
    o->proxy.world = p ? world_new(p) : NULL;
    if (!o->proxy.world) {
        profile_free(p);
        script_free(script);
        return failed(c, &e);
    }
    o->proxy.world->script = script;
    if (script)
        err = script_profile(script, p, !s->accounts, &e);
    if (!err && s->mechanisms)
        err = profile_mechanisms(p, s->mechanisms, &e);
    if (!err && s->accounts)
        err = accounts_load(o->proxy.world, s->accounts, &e);
    /* What is shown to a client that asks for no name. */
    snprintf(o->proxy.upstream.host, sizeof o->proxy.upstream.host, "%.*s", SRV_NAME - 1,
             o->proxy.world->domain);
    if (s->modern)
        profile_add(p, FEATURE_SASL2);
    return err ? failed(c, &e) : check_way_in(c, o);
}

void serving_end(struct capture_options *o)
{
    struct world *w = o->proxy.world;
    struct profile *p = w ? (struct profile *)w->profile : NULL;

    if (w)
        script_free((struct script *)w->script);
    world_free(w);
    profile_free(p);
    o->proxy.world = NULL;
}

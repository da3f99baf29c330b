#include "editing.h"

#include "../logs/message.h"

/* Does the client see the certificate that the server has? Then the channel binding to that (RFC 5929
 * §4) holds, the only one that outlives a man in the middle. */
static bool same_certificate(const struct session *s)
{
    SSL *client = leg_ssl(&s->leg[SIDE_CLIENT]), *server = leg_ssl(&s->leg[SIDE_SERVER]);
    X509 *shown = client ? SSL_get_certificate(client) : NULL;
    X509 *seen = server ? SSL_get0_peer_certificate(server) : NULL;

    return shown && seen && X509_cmp(shown, seen) == 0;
}

static unsigned bindings(const struct session *s)
{
    const struct proxy_options *o = s->proxy->options;
    /* The embedded server knows what the client's TLS is bound by. */
    bool ours = (leg_ssl(&s->leg[SIDE_CLIENT]) && !leg_is_embedded(&s->leg[SIDE_SERVER])) ||
                leg_ssl(&s->leg[SIDE_SERVER]);

    switch ((enum channel_binding)o->channel_binding) {
    case CHANNEL_BINDING_AUTO:
        if (!ours)
            return 0;
        return FEATURES_NO_BINDING | (same_certificate(s) ? FEATURES_END_POINT : 0);
    case CHANNEL_BINDING_STRIP:
        return FEATURES_NO_BINDING;
    case CHANNEL_BINDING_PASS:
    case CHANNEL_BINDING_BRIDGE: /* the bridge makes the list */
        return 0;
    }
    return 0;
}

static unsigned wishes(const struct session *s)
{
    const struct proxy_options *o = s->proxy->options;

    return s->gate.wishes | bindings(s) | (o->strip_compression ? FEATURES_NO_COMPRESSION : 0);
}

bool editing_features(void *arg, struct reader_stream *st, const char *p, size_t n,
                      struct features_edit *fe)
{
    const struct session *s = arg;
    unsigned wanted = wishes(s);
    const struct item *it;
    struct error e = {0};
    int err;

    if (!wanted)
        return false;
    err = reader_item_deep(s->proxy->reader, st, p, n, &it, &e);
    if (!err)
        err = features_edit(fe, it, wanted);
    if (err)
        message(LEVEL_WARN,
                PAIRS("session", s->id, "side", "server", "phase", gate_phase_name(&s->gate),
                      "reason", error_name((enum error_code)err)),
                "the server's features hold more than can be edited, so they go on as they are; a "
                "login with a -PLUS mechanism will fail: choose another in the client");
    return !err && fe->changed;
}

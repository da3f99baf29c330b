#include "stream_features.h"

#include <string.h>

#include "../channel_binding.h"
#include "markup.h"
#include "ns.h"

/* When a feature is shown. */
enum { BEFORE_TLS = 1, BEFORE_LOGIN = 2, BEHIND_LOGIN = 4 };

static int put_names(struct buf *out, const struct profile *p, const struct stream_state *s)
{
    int err = 0;

    for (int i = 0; p->mechanism[i] && !err; i++)
        if (stream_features_offers(p, s, p->mechanism[i]))
            err = buf_printf(out, "<mechanism>%s</mechanism>", p->mechanism[i]);
    return err;
}

static int put_mechanisms(struct buf *out, const struct profile *p, const struct stream_state *s)
{
    int err = buf_str(out, "<mechanisms xmlns=\"" NS_SASL "\">");

    if (!err)
        err = put_names(out, p, s);
    return err ? err : buf_str(out, "</mechanisms>");
}

/* XEP-0386 §3 */
static int put_bind2(struct buf *out, const struct profile *p)
{
    const struct {
        const char *ns;
        bool has;
    } rows[] = {
        {NS_SM, profile_has(p, FEATURE_SM)},
        {NS_CSI, profile_has(p, FEATURE_CSI)},
        {NS_CARBONS, profile_says(p, NS_CARBONS)},
    };
    int err = buf_str(out, "<bind xmlns=\"" NS_BIND2 "\"><inline>");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !err; i++)
        if (rows[i].has)
            err = buf_printf(out, "<feature var=\"%s\"/>", rows[i].ns);
    return err ? err : buf_str(out, "</inline></bind>");
}

/* XEP-0388 §2.3, with what can be done in the same breath. */
static int put_sasl2(struct buf *out, const struct profile *p, const struct stream_state *s)
{
    int err = buf_str(out, "<authentication xmlns=\"" NS_SASL2 "\">");

    if (!err)
        err = put_names(out, p, s);
    if (!err)
        err = buf_str(out, profile_has(p, FEATURE_SM) ? "<inline><sm xmlns=\"" NS_SM "\"/>" : "<inline>");
    if (!err)
        err = put_bind2(out, p);
    return err ? err : buf_str(out, "</inline></authentication>");
}

static int put_bindings(struct buf *out, const struct profile *p, const struct stream_state *s)
{
    int err = 0;

    (void)p;
    if (!s->bindings || !s->accounts)
        return 0;
    err = buf_str(out, "<sasl-channel-binding xmlns=\"" NS_SASL_CB "\">");
    for (int t = 0; t < CB_TYPES && !err; t++)
        if (s->bindings & 1u << t)
            err = buf_printf(out, "<channel-binding type=\"%s\"/>", cb_name((enum cb_type)t));
    return err ? err : buf_str(out, "</sasl-channel-binding>");
}

static int put_starttls(struct buf *out, const struct profile *p, const struct stream_state *s)
{
    (void)s;
    return buf_str(out, p->starttls_required ? "<starttls xmlns=\"" NS_TLS "\"><required/></starttls>"
                                             : "<starttls xmlns=\"" NS_TLS "\"/>");
}

static int put_compression(struct buf *out, const struct profile *p, const struct stream_state *s)
{
    (void)p;
    return s->compressed ? 0
                         : buf_str(out, "<compression xmlns=\"" NS_COMPRESS_FEATURE
                                        "\"><method>zlib</method></compression>");
}

static const struct {
    const char *xml;
    unsigned when;
    int (*put)(struct buf *out, const struct profile *p, const struct stream_state *s);
} rows[FEATURES] = {
    [FEATURE_ROSTERVER] = {"<ver xmlns=\"" NS_ROSTERVER "\"/>",
                           BEFORE_TLS | BEFORE_LOGIN | BEHIND_LOGIN, NULL},
    [FEATURE_PREAPPROVAL] = {"<sub xmlns=\"" NS_PREAPPROVAL "\"/>", BEHIND_LOGIN, NULL},
    [FEATURE_STARTTLS] = {NULL, BEFORE_TLS, put_starttls},
    [FEATURE_MECHANISMS] = {NULL, BEFORE_TLS | BEFORE_LOGIN, put_mechanisms},
    [FEATURE_CHANNEL_BINDING] = {NULL, BEFORE_LOGIN, put_bindings},
    [FEATURE_SASL2] = {NULL, BEFORE_LOGIN, put_sasl2},
    [FEATURE_REGISTER] = {"<register xmlns=\"http://jabber.org/features/iq-register\"/>",
                          BEFORE_TLS | BEFORE_LOGIN | BEHIND_LOGIN, NULL},
    [FEATURE_IQ_AUTH] = {"<auth xmlns=\"http://jabber.org/features/iq-auth\"/>",
                         BEFORE_TLS | BEFORE_LOGIN, NULL},
    [FEATURE_SESSION] = {"<session xmlns=\"" NS_SESSION "\"/>", BEHIND_LOGIN, NULL},
    [FEATURE_BIND] = {"<bind xmlns=\"" NS_BIND "\"/>", BEHIND_LOGIN, NULL},
    [FEATURE_SM] = {"<sm xmlns=\"" NS_SM "\"/>", BEHIND_LOGIN, NULL},
    [FEATURE_CSI] = {"<csi xmlns=\"" NS_CSI "\"/>", BEHIND_LOGIN, NULL},
    [FEATURE_COMPRESSION] = {NULL, BEHIND_LOGIN, put_compression},
};

static unsigned now(const struct profile *p, const struct stream_state *s)
{
    unsigned when = s->authenticated ? BEHIND_LOGIN : s->tls ? BEFORE_LOGIN : BEFORE_TLS;

    return when == BEFORE_TLS && !profile_has(p, FEATURE_STARTTLS) ? BEFORE_LOGIN : when;
}

/* Where TLS must come first nothing else is offered (RFC 6120 §5.3.1). */
static bool is_shown(const struct profile *p, enum feature f, unsigned when, bool bound)
{
    if (when == BEFORE_TLS && p->starttls_required && f != FEATURE_STARTTLS)
        return false;
    if (bound && (f == FEATURE_BIND || f == FEATURE_SESSION))
        return false;
    return rows[f].when & when;
}

int stream_features_put_one(struct buf *out, enum feature f, const struct profile *p,
                            const struct stream_state *s)
{
    return rows[f].put ? rows[f].put(out, p, s) : buf_str(out, rows[f].xml);
}

int stream_features_put(struct buf *out, const struct profile *p, const struct stream_state *s)
{
    unsigned when = now(p, s);
    int err = buf_str(out, "<stream:features>");

    for (unsigned i = 0; i < p->features && !err; i++) {
        enum feature f = p->feature[i];

        if (is_shown(p, f, when, s->bound))
            err = stream_features_put_one(out, f, p, s);
    }
    return err ? err : buf_str(out, "</stream:features>");
}

bool stream_features_offers(const struct profile *p, const struct stream_state *s,
                            const char *mechanism)
{
    bool scram = strncmp(mechanism, "SCRAM-", 6) == 0, known = false;
    size_t n = strlen(mechanism);

    for (int i = 0; p->mechanism[i] && !known; i++)
        known = strcmp(p->mechanism[i], mechanism) == 0;
    if (!known || (p->starttls_required && !s->tls))
        return false;
    if (scram && !s->accounts)
        return false;
    return !scram || strcmp(mechanism + n - 5, "-PLUS") != 0 || s->bindings;
}

int stream_header_put(struct buf *out, const char *domain, const char *id)
{
    int err = buf_str(out, "<?xml version='1.0'?><stream:stream xmlns='" NS_CLIENT "' "
                           "xmlns:stream='" NS_STREAM "' from='");

    if (!err)
        err = markup_escape(out, domain);
    if (!err)
        err = buf_str(out, "' id='");
    if (!err)
        err = markup_escape(out, id);
    return err ? err : buf_str(out, "' version='1.0' xml:lang='en'>");
}

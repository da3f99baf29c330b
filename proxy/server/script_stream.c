/* script_stream.c: the captured server's stream header and features, for a live stream (script.h).
 */
#include "script.h"

#include <stdio.h>
#include <string.h>

#include "login.h"
#include "markup.h"
#include "ns.h"
#include "profile.h"
#include "stream_features.h"

/* ---- the header ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* An attribute at `p`, before `end`: its name's length, its value, and what is behind it. */
struct header_attr {
    const char *name, *value, *next;
    size_t name_len, value_len;
};

static bool next_attr(const char *p, const char *end, struct header_attr *a)
{
    while (p < end && is_space(*p))
        p++;
    a->name = p;
    while (p < end && !is_space(*p) && !strchr("=/>", *p))
        p++;
    a->name_len = (size_t)(p - a->name);
    while (p < end && (is_space(*p) || *p == '='))
        p++;
    if (!a->name_len || p == end || !strchr("'\"", *p))
        return false;
    a->value = p + 1;
    p = memchr(a->value, *p, (size_t)(end - a->value));
    if (!p)
        return false;
    a->value_len = (size_t)(p - a->value);
    a->next = p + 1;
    return true;
}

static bool is(const struct header_attr *a, const char *name)
{
    return a->name_len == strlen(name) && memcmp(a->name, name, a->name_len) == 0;
}

/* The attribute as it is sent: the live id, addresses and language stay the server's own words. */
static int put_attr(const struct header_attr *a, const struct names *live, const char *id,
                    struct buf *out)
{
    const char *value = is(a, "id")     ? id
                        : is(a, "from") ? live->domain
                        : is(a, "to")   ? live->bare
                                        : NULL;
    int err;

    if (!value)
        err = buf_printf(out, " %.*s", (int)(a->next - a->name), a->name);
    else if (!*value) /* it is not known yet who the client is */
        return 0;
    else
        err = buf_printf(out, " %.*s='", (int)a->name_len, a->name);
    if (value && !err)
        err = markup_escape(out, value);
    return value && !err ? buf_str(out, "'") : err;
}

int script_put_header(const struct script *s, const struct names *live, const char *id,
                      struct buf *out)
{
    const char *p = s->plan.header.p, *end = p + s->plan.header.len, *q = p;
    struct header_attr a;
    int err;

    while (q + 1 < end && !(*q == '<' && q[1] != '?')) /* behind the XML declaration */
        q++;
    while (q < end && !is_space(*q) && *q != '>')
        q++;
    err = buf_add(out, p, (size_t)(q - p));
    for (; !err && next_attr(q, end, &a); q = a.next)
        err = put_attr(&a, live, id, out);
    return err ? err : buf_str(out, ">");
}

/* ---- the features ---- */

/* What is not as it was; all the rest is. */
static const struct {
    const char *ns, *name;
    bool kept;
    enum script_feature_kind kind;
} rows[] = {
    {NS_SASL, "mechanisms", true, PLAYED_MECHANISMS},
    {NS_TLS, "starttls", true, PLAYED_TLS},
    {NS_BIND, "bind", true, PLAYED_BIND},
    {NS_SASL2, "authentication", true, PLAYED_SASL2},
    {NS_SASL_CB, "sasl-channel-binding", false, PLAYED_AS_IS},
    {NS_COMPRESS_FEATURE, "compression", false, PLAYED_AS_IS},
};

static void add_child(struct script_features *f, const struct item *it, unsigned node, size_t at)
{
    enum script_feature_kind kind = PLAYED_AS_IS;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (item_is(it, node, rows[i].ns, rows[i].name)) {
            if (!rows[i].kept)
                return;
            kind = rows[i].kind;
        }
    if (f->children == SCRIPT_FEATURES)
        return;
    f->child[f->children].at = at + it->node[node].start;
    f->child[f->children].len = it->node[node].end - it->node[node].start;
    f->child[f->children++].kind = kind;
}

static bool is_plus(const char *mechanism)
{
    size_t n = strlen(mechanism);

    return n > 5 && strcmp(mechanism + n - 5, "-PLUS") == 0;
}

/* Those that bind a channel could not pass a man in the middle: they are offered where the captured
 * client used one alone. */
static void add_mechanism(struct script *s, const char *name)
{
    char *list = s->mechanisms, word[80];
    size_t n = strlen(list);

    snprintf(word, sizeof word, " %s ", name);
    if (!login_knows(name) || (is_plus(name) && !is_plus(s->plan.mechanism)) ||
        n + strlen(word) > sizeof s->mechanisms || strstr(list, word))
        return;
    snprintf(list + n, sizeof s->mechanisms - n, "%s", n ? word + 1 : word);
}

static int read_stage(struct script *s, enum plan_stage stage)
{
    const struct plan_bytes *b = &s->plan.features[stage];
    struct script_features *f = &s->features[stage];
    const char *p = s->plan.bytes.p + b->at;
    const struct item *it;
    struct error e;

    if (!b->len)
        return 0;
    if (reader_item_deep(s->reader, &s->plan.stream[DIR_S2C], p, b->len, &it, &e))
        return e.code == ERR_NOMEM ? ERR_NOMEM : 0;
    f->open = b->at;
    f->open_len = it->node[0].inner < it->node[0].end ? it->node[0].inner : 0;
    for (unsigned i = 1; i < it->nodes; i++) {
        if (it->node[i].depth == 2)
            add_child(f, it, i, b->at);
        else if (item_is(it, i, NS_SASL, "mechanism") || item_is(it, i, NS_SASL2, "mechanism"))
            add_mechanism(s, it->node[i].text);
    }
    return 0;
}

int script_read_features(struct script *s)
{
    int err = 0;

    add_mechanism(s, s->plan.mechanism);
    for (int stage = STAGE_LOGIN; stage >= STAGE_OPEN && !err; stage--)
        err = read_stage(s, (enum plan_stage)stage);
    return err ? err : read_stage(s, STAGE_BOUND);
}

/* The stage that a capture without TLS, or without a stream before TLS, has not is made of the
 * other. */
static const struct script_features *features_of(const struct script *s,
                                                 const struct stream_state *state)
{
    enum plan_stage stage = state->authenticated ? STAGE_BOUND
                            : state->tls         ? STAGE_LOGIN
                                                 : STAGE_OPEN;

    if (stage != STAGE_BOUND && !s->plan.features[stage].len)
        stage = stage == STAGE_LOGIN ? STAGE_OPEN : STAGE_LOGIN;
    return &s->features[stage];
}

static bool has(const struct script_features *f, enum script_feature_kind kind)
{
    for (unsigned i = 0; i < f->children; i++)
        if (f->child[i].kind == kind)
            return true;
    return false;
}

static int put_child(const struct script *s, const struct script_features *f, unsigned i,
                     const struct profile *p, const struct stream_state *state, struct buf *out)
{
    enum script_feature_kind kind = f->child[i].kind;
    bool ours = kind == PLAYED_MECHANISMS || kind == PLAYED_SASL2;

    if (ours && state->authenticated)
        return 0;
    if (ours)
        return stream_features_put_one(
            out, kind == PLAYED_SASL2 ? FEATURE_SASL2 : FEATURE_MECHANISMS, p, state);
    if ((kind == PLAYED_TLS && state->tls) || (kind == PLAYED_BIND && state->bound))
        return 0;
    return buf_add(out, s->plan.bytes.p + f->child[i].at, f->child[i].len);
}

/* What a client cannot do without, where the capture had it in another way: SASL2 instead of SASL,
 * with the request for a resource in it; TLS from the first byte. */
static int put_missing(const struct script *s, const struct script_features *f,
                       const struct profile *p, const struct stream_state *state, struct buf *out)
{
    int err = 0;

    if (s->plan.secured && !state->authenticated && !state->tls && !has(f, PLAYED_TLS))
        err = buf_str(out, "<starttls xmlns='" NS_TLS "'/>");
    if (!err && !state->authenticated && (state->tls || !p->starttls_required) &&
        !has(f, PLAYED_MECHANISMS))
        err = stream_features_put_one(out, FEATURE_MECHANISMS, p, state);
    if (!err && state->authenticated && !state->bound && !has(f, PLAYED_BIND))
        err = buf_str(out, "<bind xmlns='" NS_BIND "'/>");
    return err;
}

int script_put_features(const struct script *s, const struct profile *p,
                        const struct stream_state *state, struct buf *out)
{
    const struct script_features *f = features_of(s, state);
    int err = f->open_len ? buf_add(out, s->plan.bytes.p + f->open, f->open_len)
                          : buf_str(out, "<stream:features>");
    const char *name = s->plan.bytes.p + f->open + 1;

    for (unsigned i = 0; i < f->children && !err; i++)
        err = put_child(s, f, i, p, state, out);
    if (!err)
        err = put_missing(s, f, p, state, out);
    if (err || !f->open_len)
        return err ? err : buf_str(out, "</stream:features>");
    return buf_printf(out, "</%.*s>", (int)strcspn(name, " \t\r\n/>"), name);
}

/* ---- the profile ---- */

/* TLS was required where nothing else was offered before it, too. */
static bool requires_tls(const struct script *s)
{
    const struct script_features *f = &s->features[STAGE_OPEN];

    return f->children && !has(f, PLAYED_MECHANISMS);
}

int script_profile(const struct script *s, struct profile *p, bool open, struct error *e)
{
    char list[sizeof s->mechanisms + 8];

    snprintf(list, sizeof list, "%s%s", s->mechanisms,
             (open || !*s->mechanisms) && !strstr(s->mechanisms, " PLAIN ") ? " PLAIN" : "");
    p->starttls_required = requires_tls(s);
    p->ask_caps = p->holds = false;
    if (has(&s->features[STAGE_LOGIN], PLAYED_SASL2) || has(&s->features[STAGE_OPEN], PLAYED_SASL2))
        profile_add(p, FEATURE_SASL2);
    return profile_mechanisms(p, list, e);
}

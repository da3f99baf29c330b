#include "redact.h"

#include <string.h>
#include <strings.h>

#define NS_SASL     "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL2    "urn:xmpp:sasl:2"
#define NS_AUTH     "jabber:iq:auth"
#define NS_REGISTER "jabber:iq:register"
#define ANY         NULL

/* clang-format off */
/* Elements whose whole content is a secret; the first row that fits counts. */
#define INNER(ROW) \
    ROW(NS_SASL, "auth", SECRET_SASL) \
    ROW(NS_SASL, "challenge", SECRET_SASL) \
    ROW(NS_SASL, "response", SECRET_SASL) \
    ROW(NS_SASL, "success", SECRET_SASL) \
    ROW(NS_SASL2, "initial-response", SECRET_SASL) \
    ROW(NS_SASL2, "challenge", SECRET_SASL) \
    ROW(NS_SASL2, "response", SECRET_SASL) \
    ROW(NS_SASL2, "additional-data", SECRET_SASL) \
    ROW(NS_SASL2, "task-data", SECRET_SASL) /* a task may ask for a one-time password */ \
    ROW(NS_SASL2, "next", SECRET_SASL) \
    ROW(NS_AUTH, "password", SECRET_LOGIN) \
    ROW(NS_AUTH, "digest", SECRET_ONCE) \
    ROW(NS_AUTH, "hash", SECRET_ONCE) \
    ROW(NS_REGISTER, "password", SECRET_LOGIN) \
    /* Rooms' and bookmarks' (XEP-0045, XEP-0048, XEP-0402), and whoever else calls it so. */ \
    ROW(ANY, "password", SECRET_TEXT) \
    ROW(ANY, "passwd", SECRET_TEXT)

#define IN_ATTRS(ROW) \
    ROW("urn:xmpp:fast:0", "token", "token", SECRET_LOGIN) /* XEP-0484 */ \
    ROW("urn:xmpp:isr:0", ANY, "token", SECRET_LOGIN) /* XEP-0397 */ \
    ROW("urn:xmpp:pars:0", "preauth", "token", SECRET_LOGIN) /* XEP-0445: opens an account */ \
    /* Invitations (XEP-0249), external services (XEP-0215), and whoever else calls it so. */ \
    ROW(ANY, ANY, "password", SECRET_TEXT)
/* clang-format on */

#define INNER_ROW(ns, name, kind) {ns, name, kind},
static const struct {
    const char *ns, *name;
    enum secret_kind kind;
} inner[] = {INNER(INNER_ROW)};

#define ATTR_ROW(ns, name, attr, kind) {ns, name, attr, kind},
static const struct {
    const char *ns, *name, *attr;
    enum secret_kind kind;
} in_attrs[] = {IN_ATTRS(ATTR_ROW)};

/* How the names of forms' fields end that hold secrets, whatever stands before it:
 * muc#roomconfig_roomsecret, password-verify (XEP-0133), secret (XEP-0357). */
static const char *const field_ends[] = {
    "password", "password-verify", "passwd", "passphrase", "secret",
};

/* Headers of an HTTP upload (XEP-0363) that let one in. */
static const char *const headers[] = {"authorization", "cookie"};

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

/* What stands in or near all that the tables above name: in bytes that nobody can read as items,
 * one of these, in either case, is reason enough to keep none. */
static const char *const words[] = {
    "passw", "passphrase", "secret", "token", "authorization", "cookie",
    "xmpp-sasl", "xmpp:sasl", "iq:auth", "scram-upgrade",
};

bool redact_names(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < COUNT(words); k++)
            if ((p[i] | 0x20) == *words[k] && n - i >= strlen(words[k]) &&
                strncasecmp(p + i, words[k], strlen(words[k])) == 0)
                return true;
    return false;
}

static const char *attr_value(const char *const *attrs, const char *name)
{
    for (; attrs && attrs[0]; attrs += 2)
        if (strcmp(attrs[0], name) == 0)
            return attrs[1];
    return "";
}

static bool is_name(const char *row, const char *name, size_t n)
{
    return row != ANY && *row == *name && strncmp(row, name, n) == 0 && row[n] == '\0';
}

/* A bit of length and first letter. The compiler makes one constant of a table's: nearly all names
 * that stanzas hold differ there already (a 300-byte message is read in 5,500 instructions, not in
 * 6,600). */
#define MARK(first, len)                (UINT64_C(1) << (((unsigned char)(first) * 5u + (len)) % 64))
#define NAME_MARK(name)                 | MARK((name)[0], sizeof(name) - 1)
#define INNER_MARK(ns, name, kind)      NAME_MARK(name)
#define ATTR_MARK(ns, name, attr, kind) NAME_MARK(attr)

bool redact_may_inner(const char *name, size_t n)
{
    static const char *const others[] = {"field", "header", "hash"};
    const uint64_t marks = 0 INNER(INNER_MARK) NAME_MARK("field") NAME_MARK("header")
        NAME_MARK("hash");

    if (!(marks & MARK(*name, n)))
        return false;
    for (size_t i = 0; i < COUNT(inner); i++)
        if (is_name(inner[i].name, name, n))
            return true;
    for (size_t i = 0; i < COUNT(others); i++)
        if (is_name(others[i], name, n))
            return true;
    return false;
}

bool redact_may_attr(const char *attr, size_t n)
{
    const uint64_t marks = 0 IN_ATTRS(ATTR_MARK);

    if (!(marks & MARK(*attr, n)))
        return false;
    for (size_t i = 0; i < COUNT(in_attrs); i++)
        if (is_name(in_attrs[i].attr, attr, n))
            return true;
    return false;
}

static bool fits(const char *row, const char *name)
{
    return row == ANY || strcmp(row, name) == 0;
}

/* XEP-0004 §3.3: the server says that a field is private, the client's answer only names it. */
static bool is_secret_field(const char *const *attrs)
{
    const char *var = attr_value(attrs, "var");
    size_t n = strlen(var);

    for (size_t i = 0; i < COUNT(field_ends); i++) {
        size_t len = strlen(field_ends[i]);

        if (n >= len && strcasecmp(var + n - len, field_ends[i]) == 0)
            return true;
    }
    return strcmp(attr_value(attrs, "type"), "text-private") == 0;
}

static bool is_secret_header(const char *const *attrs)
{
    for (size_t i = 0; i < COUNT(headers); i++)
        if (strcasecmp(attr_value(attrs, "name"), headers[i]) == 0)
            return true;
    return false;
}

enum secret_kind redact_inner(const char *ns, const char *name, const char *const *attrs)
{
    for (size_t i = 0; i < COUNT(inner); i++)
        if (fits(inner[i].name, name) && fits(inner[i].ns, ns))
            return inner[i].kind;
    if (strcmp(name, "field") == 0 && strcmp(ns, "jabber:x:data") == 0)
        return is_secret_field(attrs) ? SECRET_FORM : SECRET_NONE;
    if (strcmp(name, "header") == 0 && strncmp(ns, "urn:xmpp:http:upload", 20) == 0)
        return is_secret_header(attrs) ? SECRET_TEXT : SECRET_NONE;
    if (strcmp(name, "hash") == 0 && strcmp(ns, "urn:xmpp:scram-upgrade:0") == 0)
        return SECRET_ONCE; /* XEP-0480: SCRAM's salted password */
    return SECRET_NONE;
}

enum secret_kind redact_attr(const char *ns, const char *name, const char *attr)
{
    for (size_t i = 0; i < COUNT(in_attrs); i++)
        if (fits(in_attrs[i].attr, attr) && fits(in_attrs[i].ns, ns) &&
            fits(in_attrs[i].name, name))
            return in_attrs[i].kind;
    return SECRET_NONE;
}

/* ---- learning ---- */

/* A run of text between two tags of a range, as it is meant; of a longer one the end. */
struct run {
    char text[4 * SECRET_MAX];
    size_t n;
    bool value; /* behind a tag <value>, with any prefix */
};

static bool opens_value(const char *tag, size_t n)
{
    size_t len = 1;

    while (len < n && !strchr(" \t\r\n/>", tag[len]))
        len++;
    return len >= 6 && memcmp(tag + len - 5, "value", 5) == 0 && tag[1] != '/';
}

/* Where the tag at `p` ends. */
static size_t tag_length(const char *p, size_t n)
{
    char quote = '\0';

    for (size_t i = 0; i < n; i++) {
        if (quote)
            quote = p[i] == quote ? '\0' : quote;
        else if (p[i] == '"' || p[i] == '\'')
            quote = p[i];
        else if (p[i] == '>')
            return i + 1;
    }
    return n;
}

static void run_add(struct run *r, const char *p, size_t n)
{
    if (n > sizeof r->text - r->n) {
        memmove(r->text, r->text + r->n - SECRET_MAX, SECRET_MAX);
        r->n = SECRET_MAX;
    }
    memcpy(r->text + r->n, p, n);
    r->n += n;
}

/* The text from *at on, up to a tag, behind which *at then stands. */
static void next_run(struct run *r, const char *p, size_t *at, size_t to)
{
    bool cdata = false;
    size_t i = *at, used, len;
    char c[4];

    r->n = 0;
    while (i < to && (cdata || p[i] != '<' || (to - i > 9 && memcmp(p + i, "<![CDATA[", 9) == 0))) {
        if (!cdata && p[i] == '<') {
            cdata = true;
            i += 9;
        } else if (cdata && to - i >= 3 && memcmp(p + i, "]]>", 3) == 0) {
            cdata = false;
            i += 3;
        } else if (!cdata && (used = secrets_reference(p + i, to - i, c, &len)) > 0) {
            run_add(r, c, len);
            i += used;
        } else {
            run_add(r, p + i++, 1);
        }
    }
    *at = i;
}

static void learn_range(const char *p, const struct secret_range *range, struct secrets *s)
{
    bool form = range->kind == SECRET_FORM;
    struct run r = {.value = false};

    for (size_t at = range->from; at < range->to;) {
        next_run(&r, p, &at, range->to);
        if (r.value || !form)
            secrets_learn(s, r.text, r.n, range->kind != SECRET_TEXT);
        if (at < range->to) {
            size_t tag = tag_length(p + at, range->to - at);

            r.value = opens_value(p + at, tag);
            at += tag;
        }
    }
    explicit_bzero(&r, sizeof r);
}

/* Legacy auth and registration name the user beside the password. */
static void learn_name(const struct item *it, struct secrets *s)
{
    int i = item_find(it, 3, NULL, "username");

    if (i >= 0)
        secrets_name(s, it->node[i].text, it->node[i].text_len);
}

void redact_learn(const struct item *it, struct secrets *s)
{
    if (it->secrets)
        learn_name(it, s);
    for (unsigned i = 0; i < it->secrets; i++) {
        enum secret_kind kind = it->secret[i].kind;

        if (kind == SECRET_TEXT || kind == SECRET_LOGIN || kind == SECRET_FORM)
            learn_range(it->p, &it->secret[i], s);
    }
}

/* ---- masking ---- */

/* Masks what is known in [from, to). `*at`: up to where `p` has been appended. */
static int mask_known(const struct secrets *s, struct secrets_walk *w, const char *p, size_t from,
                      size_t to, size_t *at, struct buf *out)
{
    struct secrets_found found;
    int err = 0;

    while (!err && secrets_find(s, w, p, from, to, &found)) {
        err = buf_add(out, p + *at, found.from - *at);
        if (!err)
            err = buf_str(out, REDACTED);
        if (!err && found.cdata != w->cdata) /* the mark stood inside what is masked */
            err = buf_str(out, found.cdata ? "]]>" : "<![CDATA[");
        *at = from = found.to;
    }
    return err ? err : secrets_lost(w) ? ERR_CAP : 0;
}

static bool is_shown(const struct secrets *s, const struct secret_range *r)
{
    return r->kind == SECRET_SASL && s->shown.to > 0 && r->from == s->shown.from &&
           r->to == s->shown.to;
}

int redact_item(const struct item *it, const struct secrets *s, struct buf *out)
{
    struct secrets_walk w = {.raw = false};
    size_t at = 0, from = 0;
    int err = 0;

    if (it->secrets == 0 && !secrets_may_hold(s, it->p, it->len, it->plain))
        return 0;
    for (unsigned i = 0; i < it->secrets && !err; i++) {
        const struct secret_range *r = &it->secret[i];

        if (is_shown(s, r))
            continue;
        err = mask_known(s, &w, it->p, from, r->from, &at, out);
        if (!err)
            err = buf_add(out, it->p + at, r->from - at);
        if (!err)
            err = buf_str(out, REDACTED);
        at = from = r->to;
    }
    if (!err)
        err = mask_known(s, &w, it->p, from, it->len, &at, out);
    if (err || at == 0)
        return err;
    return buf_add(out, it->p + at, it->len - at);
}

int redact_bytes(const char *p, size_t n, const struct secrets *s, struct buf *out)
{
    struct secrets_walk w = {.raw = true};
    size_t at = 0;
    int err = secrets_may_hold(s, p, n, false) ? mask_known(s, &w, p, 0, n, &at, out) : 0;

    return err || at == 0 ? err : buf_add(out, p + at, n - at);
}

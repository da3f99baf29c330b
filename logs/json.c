#include "json.h"

#include <string.h>

#include "plain.h"

#define US_PER_S 1000000
#define S_PER_DAY 86400
/* The seconds since 1970 at which those years begin; RFC 3339 has none but these and what lies
 * between them. */
#define YEAR_0     (-719528ll * S_PER_DAY)
#define YEAR_10000 (2932897ll * S_PER_DAY)

/* A line being written. After the first failure nothing is added any more. */
struct line {
    struct buf *b;
    char *at, *end; /* where the next byte goes, and what the buffer has room for */
    int err;
};

/* A string constant and its length. */
#define TEXT(s) s, sizeof s - 1
/* The key of a further member, the same way. */
#define KEY(name) TEXT(",\"" name "\":")

static size_t length(const struct line *l)
{
    return (size_t)(l->at - l->b->p);
}

static void fail(struct line *l, int err)
{
    l->err = l->err ? l->err : err;
    l->end = l->at; /* nothing finds room any more */
}

/* Goes on behind what the buffer holds. */
static void to_buffer(struct line *l)
{
    size_t room = l->b->cap < l->b->max ? l->b->cap : l->b->max;

    l->at = l->b->p + l->b->len;
    l->end = l->b->p + room;
}

/* Makes room for `n` more; false: there is none. */
static bool grow(struct line *l, size_t n)
{
    if (l->err)
        return false;
    l->b->len = length(l);
    l->err = buf_reserve(l->b, n);
    if (l->err)
        fail(l, l->err);
    else
        to_buffer(l);
    return !l->err;
}

static inline void put(struct line *l, const char *p, size_t n)
{
    if (n > (size_t)(l->end - l->at) && !grow(l, n))
        return;
    memcpy(l->at, p, n);
    l->at += n;
}

/* Length of the UTF-8 character at `p` (RFC 3629 §4), 0 if there is none. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t len, i;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len > n)
        return 0;
    if (p[0] == 0xe0)
        low = 0xa0; /* not overlong */
    else if (p[0] == 0xed)
        high = 0x9f; /* no surrogates */
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f; /* not beyond U+10FFFF */
    if (p[1] < low || p[1] > high)
        return 0;
    for (i = 2; i < len; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return len;
}

static void put_escape(struct line *l, unsigned c)
{
    static const char hex[] = "0123456789abcdef";
    char u[] = {'\\', 'u', hex[c >> 12 & 15], hex[c >> 8 & 15], hex[c >> 4 & 15], hex[c & 15]};

    if (c == '"')
        put(l, "\\\"", 2);
    else if (c == '\\')
        put(l, "\\\\", 2);
    else if (c == '\n')
        put(l, "\\n", 2);
    else if (c == '\r')
        put(l, "\\r", 2);
    else if (c == '\t')
        put(l, "\\t", 2);
    else
        put(l, u, sizeof u);
}

/* A string in quotes. What is not UTF-8 becomes U+FFFD if `replace`, else ends it: false. Control
 * characters are escaped, C1 too: archives are read with zcat on terminals. */
static bool put_string(struct line *l, const char *s, size_t n, bool replace)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t from = 0, i = 0, k;
    unsigned c;

    put(l, TEXT("\""));
    for (;;) {
        /* Behind a character that is not ASCII there is often another. */
        if (i < n && p[i] < 0x80)
            i += plain_run(s + i, n - i, PLAIN_JSON);
        if (i == n)
            break;
        k = utf8_length(p + i, n - i);
        if (k > 1 && !(k == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0)) {
            i += k;
            continue;
        }
        if (k == 0 && !replace)
            return false;
        c = k == 0 ? 0xfffd : p[i + k - 1]; /* U+0080 to U+009F end in their own number */
        put(l, s + from, i - from);
        put_escape(l, c);
        i += k ? k : 1;
        from = i;
    }
    put(l, s + from, n - from);
    put(l, TEXT("\""));
    return true;
}

static void put_base64(struct line *l, const char *s, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)s;
    uint32_t v;
    char *out;

    if (!grow(l, (n + 2) / 3 * 4))
        return;
    out = l->at;
    for (; n > 0; p += 3, n -= n < 3 ? n : 3) {
        v = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);
        *out++ = digit[v >> 18];
        *out++ = digit[v >> 12 & 63];
        *out++ = n > 1 ? digit[v >> 6 & 63] : '=';
        *out++ = n > 2 ? digit[v & 63] : '=';
    }
    l->at = out;
}

/* Empty texts are left out of a record. */
static void put_text(struct line *l, const char *key, size_t key_len, const char *s)
{
    if (!s || !*s)
        return;
    put(l, key, key_len);
    put_string(l, s, strlen(s), true);
}

/* Of ours: it needs no look. */
static void put_word(struct line *l, const char *key, size_t key_len, const char *s)
{
    put(l, key, key_len);
    put(l, TEXT("\""));
    put(l, s, strlen(s));
    put(l, TEXT("\""));
}

static void put_number(struct line *l, uint64_t v)
{
    char s[20], *p = s + sizeof s;

    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    put(l, p, (size_t)(s + sizeof s - p));
}

static void put_count(struct line *l, const char *key, size_t key_len, uint64_t v)
{
    put(l, key, key_len);
    put_number(l, v);
}

static void put_us(struct line *l, const char *key, size_t key_len, int64_t v)
{
    put(l, key, key_len);
    if (v < 0)
        put(l, TEXT("-"));
    put_number(l, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

/* Bytes as they came: text under `key` if they are UTF-8, else base64 under `key64`. */
static void put_bytes(struct line *l, const char *key, size_t key_len, const char *key64,
                      size_t key64_len, const char *p, size_t n)
{
    size_t mark = length(l);

    put(l, key, key_len);
    if (put_string(l, n ? p : "", n, false))
        return;
    if (!l->err)
        l->at = l->b->p + mark;
    put(l, key64, key64_len);
    put(l, TEXT("\""));
    put_base64(l, p, n);
    put(l, TEXT("\""));
}

static char *digits(char *p, unsigned v, unsigned n, char end)
{
    unsigned i;

    for (i = n; i-- > 0; v /= 10)
        p[i] = (char)('0' + v % 10);
    p[n] = end;
    return p + n + 1;
}

/* The date of a day since 1970, which is not before the year 0. Years are counted from March on, so
 * that a leap day is their last, and in the 400 years after which the calendar repeats itself. */
static char *date(char *p, int64_t day)
{
    unsigned since = (unsigned)(day + 719468 + 146097); /* since 1 March of the year -400 */
    unsigned era = since / 146097, of_era = since % 146097;
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153; /* 0: March */

    p = digits(p, year + 400 * era - 400 + (month > 9), 4, '-');
    p = digits(p, month < 10 ? month + 3 : month - 9, 2, '-');
    return digits(p, of_year - (153 * month + 2) / 5 + 1, 2, 'T');
}

/* RFC 3339. gmtime_r() would take the time zone's lock for it. */
static void put_time(struct line *l, int64_t us)
{
    int64_t s = us / US_PER_S, frac = us % US_PER_S, day;
    char t[32], *p = t;
    unsigned of_day;

    if (frac < 0) {
        frac += US_PER_S;
        s--;
    }
    if (s < YEAR_0 || s >= YEAR_10000) {
        fail(l, ERR_FORMAT);
        return;
    }
    day = (s - YEAR_0) / S_PER_DAY + YEAR_0 / S_PER_DAY;
    of_day = (unsigned)(s - day * S_PER_DAY);
    p = date(p, day);
    p = digits(p, of_day / 3600, 2, ':');
    p = digits(p, of_day / 60 % 60, 2, ':');
    p = digits(p, of_day % 60, 2, '.');
    p = digits(p, (unsigned)frac, 6, 'Z');
    put(l, t, (size_t)(p - t));
}

/* Facts or remarks: an object of strings. */
static void put_facts(struct line *l, const char *key, size_t key_len,
                      const struct event_fact *fact, unsigned n)
{
    if (n == 0)
        return;
    put(l, key, key_len);
    put(l, TEXT("{"));
    for (unsigned i = 0; i < n; i++) {
        if (i)
            put(l, TEXT(","));
        put_string(l, fact[i].name, strlen(fact[i].name), true);
        put(l, TEXT(":"));
        put_string(l, fact[i].value, strlen(fact[i].value), true);
    }
    put(l, TEXT("}"));
}

static void put_wire(struct line *l, const struct event *ev)
{
    put_word(l, KEY("dir"), dir_name(ev->dir));
    put_text(l, KEY("label"), ev->label);
    if (ev->re) {
        put_count(l, KEY("re"), ev->re);
        put_us(l, KEY("wait_us"), ev->wait_us);
    }
    put_text(l, KEY("type"), ev->type);
    put_text(l, KEY("ns"), ev->ns);
    put_facts(l, KEY("facts"), ev->fact, ev->facts);
    put_facts(l, KEY("remarks"), ev->remark, ev->remarks);
    if (ev->closing)
        put(l, TEXT(",\"closing\":true"));
    if (ev->kind == EVENT_VIOLATION) {
        put_word(l, KEY("code"), error_name(ev->u.violation.code));
        put_count(l, KEY("offset"), ev->u.violation.offset);
        if (ev->u.violation.more)
            put(l, TEXT(",\"more\":true"));
        put_text(l, KEY("detail"), ev->u.violation.detail);
    }
    if (ev->withheld)
        put_count(l, KEY("withheld"), ev->withheld);
    if (ev->len)
        put_bytes(l, KEY("xml"), KEY("b64"), ev->data, ev->len);
}

static void put_tls(struct line *l, const struct event_tls *t)
{
    put_word(l, KEY("side"), side_name(t->side));
    if (t->ok)
        put(l, TEXT(",\"ok\":true"));
    else
        put(l, TEXT(",\"ok\":false"));
    put_text(l, KEY("version"), t->version);
    put_text(l, KEY("cipher"), t->cipher);
    put_text(l, KEY("group"), t->group);
    put_text(l, KEY("sni"), t->sni);
    put_text(l, KEY("cert"), t->cert);
    put_text(l, KEY("cert_key"), t->cert_key);
    put_text(l, KEY("cert_sha256"), t->cert_sha256);
    put_text(l, KEY("signature"), t->signature);
    put_text(l, KEY("alpn"), t->alpn);
    if (t->resumed)
        put(l, TEXT(",\"resumed\":true"));
    if (t->client_asked)
        put(l, TEXT(",\"client_asked\":true"));
    put_text(l, KEY("client_cert"), t->client_cert);
    put_text(l, KEY("client_jid"), t->client_jid);
    put_text(l, KEY("verify"), t->verify);
    put_text(l, KEY("error"), t->error);
    put_text(l, KEY("kind"), t->kind);
}

static void put_requests(struct line *l, const char *key, size_t key_len, const char *time,
                         size_t time_len, const struct event_request *r, unsigned n)
{
    if (n == 0)
        return;
    put(l, key, key_len);
    for (unsigned i = 0; i < n; i++) {
        put(l, i ? "," : "[", 1);
        put(l, TEXT("{\"n\":"));
        put_number(l, r[i].n);
        put_text(l, KEY("label"), r[i].label);
        put_us(l, time, time_len, r[i].us);
        put(l, TEXT("}"));
    }
    put(l, TEXT("]"));
}

static void put_end(struct line *l, const struct event_end *end)
{
    const struct event_count *c;
    int dir;

    put_word(l, KEY("by"), side_name(end->by));
    put_word(l, KEY("reason"), error_name(end->code));
    put_text(l, KEY("phase"), end->phase);
    put_text(l, KEY("detail"), end->detail);
    put_text(l, KEY("account"), end->account);
    put_text(l, KEY("server"), end->server);
    put_text(l, KEY("server_name"), end->server_name);
    put_us(l, KEY("duration_us"), end->duration_us);
    put_text(l, KEY("verdict"), end->verdict);
    put_text(l, KEY("sentence"), end->sentence);
    put_text(l, KEY("mechanism"), end->mechanism);
    put_text(l, KEY("resumes"), end->resumes);
    if (end->unanswered)
        put_count(l, KEY("unanswered"), end->unanswered);
    put_requests(l, KEY("open"), KEY("us"), end->open, end->opens);
    put_requests(l, KEY("slow"), KEY("wait_us"), end->slow, end->slows);
    for (dir = DIR_C2S; dir <= DIR_S2C; dir++) {
        c = &end->count[dir];
        put(l, TEXT(",\""));
        put(l, dir_name((enum dir)dir), 3);
        put(l, TEXT("\":{\"bytes\":"));
        put_number(l, c->bytes);
        put_text(l, KEY("sha256"), c->sha256);
        put_count(l, KEY("stanzas"), end->stanzas[dir]);
        if (c->compressed)
            put_count(l, KEY("compressed"), c->compressed);
        if (c->edited) {
            put_count(l, KEY("sent_bytes"), c->sent_bytes);
            put_text(l, KEY("sent_sha256"), c->sent_sha256);
        }
        put(l, TEXT("}"));
    }
}

static void put_kind(struct line *l, const struct event *ev)
{
    switch (ev->kind) {
    case EVENT_SESSION:
        put_text(l, KEY("client"), ev->u.session_facts.client);
        put_text(l, KEY("listen"), ev->u.session_facts.listen);
        put_text(l, KEY("upstream"), ev->u.session_facts.upstream);
        put_text(l, KEY("secrets"), ev->u.session_facts.secrets);
        put_text(l, KEY("program"), ev->u.session_facts.program);
        break;
    case EVENT_TLS:
        put_tls(l, &ev->u.tls);
        break;
    case EVENT_STREAM:
    case EVENT_STANZA:
    case EVENT_SPACE:
    case EVENT_VIOLATION:
        put_wire(l, ev);
        break;
    case EVENT_EDIT:
        put_word(l, KEY("dir"), dir_name(ev->dir));
        if (ev->u.edit.of)
            put_count(l, KEY("of"), ev->u.edit.of);
        put_bytes(l, KEY("sent"), KEY("sent_b64"), ev->u.edit.sent, ev->u.edit.sent_len);
        put_text(l, KEY("reason"), ev->u.edit.reason);
        put_facts(l, KEY("facts"), ev->fact, ev->facts);
        break;
    case EVENT_GAP:
        put_word(l, KEY("dir"), dir_name(ev->dir));
        put_count(l, KEY("bytes"), ev->u.gap.bytes);
        break;
    case EVENT_END:
        put_end(l, &ev->u.end);
        break;
    case EVENT_KINDS:
        break;
    }
}

/* Begins behind what the buffer holds. */
static struct line begin(struct buf *b)
{
    struct line l = {.b = b, .err = b->p ? 0 : buf_reserve(b, 1)};

    if (!l.err)
        to_buffer(&l);
    return l;
}

/* Ends it, or takes back what there is of it. */
static int finish(struct line *l, size_t mark)
{
    l->b->len = l->err ? mark : length(l);
    return l->err;
}

int json_event_write(struct buf *b, const struct event *ev)
{
    struct line l = begin(b);
    size_t mark = b->len;

    if (l.err)
        return l.err;
    put(&l, TEXT("{\"v\":1"));
    put_word(&l, KEY("event"), event_name(ev->kind));
    put(&l, KEY("t"));
    put(&l, TEXT("\""));
    put_time(&l, ev->time_us);
    put(&l, TEXT("\""));
    put_text(&l, KEY("session"), ev->session);
    put_count(&l, KEY("n"), ev->n);
    put_kind(&l, ev);
    put(&l, TEXT("}\n"));
    return finish(&l, mark);
}

int json_string_write(struct buf *b, const char *p, size_t n)
{
    struct line l = begin(b);
    size_t mark = b->len;

    if (l.err)
        return l.err;
    put_string(&l, p, n, true);
    return finish(&l, mark);
}

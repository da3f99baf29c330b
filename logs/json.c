#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define US_PER_S 1000000

/* A line being written. After the first failure nothing is added any more. */
struct line {
    struct buf *b;
    int err;
};

static void put(struct line *l, const char *p, size_t n)
{
    struct buf *b = l->b;

    /* Called some forty times a record: buf_add() only where it must grow, or fail. */
    if (n > b->cap - b->len || n > b->max - b->len || n == 0) {
        if (!l->err)
            l->err = buf_add(b, p, n);
    } else if (!l->err) {
        memcpy(b->p + b->len, p, n);
        b->len += n;
    }
}

static void put_str(struct line *l, const char *s)
{
    put(l, s, strlen(s));
}

/* How many bytes from `p` on are ASCII that stands in a JSON string as it is. DEL is left out: it
 * is escaped like the other control characters. */
static size_t plain_run(const unsigned char *p, size_t n)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    size_t i = 0;
    uint64_t w;

    /* Eight at a time; the top bit of a byte marks one that needs a look. */
    for (; n - i >= sizeof w; i += sizeof w) {
        memcpy(&w, p + i, sizeof w);
        if ((w | (w - ones * 0x20) | (w + ones) | ((w ^ ones * '"') - ones) |
             ((w ^ ones * '\\') - ones)) &
            ones * 0x80)
            break;
    }
    while (i < n && p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"' && p[i] != '\\')
        i++;
    return i;
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
    size_t from = 0, i, k;
    unsigned c;

    put(l, "\"", 1);
    for (i = plain_run(p, n); i < n; i += plain_run(p + i, n - i)) {
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
    put(l, "\"", 1);
    return true;
}

static void put_base64(struct line *l, const char *s, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)s;
    uint32_t v;
    char *out;

    if (!l->err)
        l->err = buf_reserve(l->b, (n + 2) / 3 * 4);
    if (l->err)
        return;
    out = l->b->p + l->b->len;
    for (; n > 0; p += 3, n -= n < 3 ? n : 3) {
        v = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);
        *out++ = digit[v >> 18];
        *out++ = digit[v >> 12 & 63];
        *out++ = n > 1 ? digit[v >> 6 & 63] : '=';
        *out++ = n > 2 ? digit[v & 63] : '=';
    }
    l->b->len = (size_t)(out - l->b->p);
}

static void put_key(struct line *l, const char *name)
{
    put(l, ",\"", 2);
    put_str(l, name);
    put(l, "\":", 2);
}

/* Empty texts are left out of a record. */
static void put_text(struct line *l, const char *name, const char *s)
{
    if (!s || !*s)
        return;
    put_key(l, name);
    put_string(l, s, strlen(s), true);
}

static void put_count(struct line *l, const char *name, uint64_t v)
{
    char s[24];

    put_key(l, name);
    put(l, s, (size_t)snprintf(s, sizeof s, "%" PRIu64, v));
}

static void put_us(struct line *l, const char *name, int64_t v)
{
    char s[24];

    put_key(l, name);
    put(l, s, (size_t)snprintf(s, sizeof s, "%" PRId64, v));
}

/* Bytes as they came: text under `name` if they are UTF-8, else base64 under `name64`. */
static void put_bytes(struct line *l, const char *name, const char *name64, const char *p, size_t n)
{
    size_t mark = l->b->len;

    put_key(l, name);
    if (put_string(l, n ? p : "", n, false))
        return;
    if (!l->err)
        l->b->len = mark;
    put_key(l, name64);
    put(l, "\"", 1);
    put_base64(l, p, n);
    put(l, "\"", 1);
}

static char *digits(char *p, int v, unsigned n, char end)
{
    unsigned i;

    for (i = n; i-- > 0; v /= 10)
        p[i] = (char)('0' + v % 10);
    p[n] = end;
    return p + n + 1;
}

static void put_time(struct line *l, int64_t us)
{
    time_t s = (time_t)(us / US_PER_S);
    int frac = (int)(us % US_PER_S);
    char t[32], *p = t;
    struct tm tm;

    if (frac < 0) {
        frac += US_PER_S;
        s--;
    }
    if (!gmtime_r(&s, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) {
        l->err = l->err ? l->err : ERR_FORMAT;
        return;
    }
    p = digits(p, tm.tm_year + 1900, 4, '-');
    p = digits(p, tm.tm_mon + 1, 2, '-');
    p = digits(p, tm.tm_mday, 2, 'T');
    p = digits(p, tm.tm_hour, 2, ':');
    p = digits(p, tm.tm_min, 2, ':');
    p = digits(p, tm.tm_sec, 2, '.');
    p = digits(p, frac, 6, 'Z');
    put(l, t, (size_t)(p - t));
}

/* Facts or remarks: an object of strings. */
static void put_facts(struct line *l, const char *name, const struct event_fact *fact, unsigned n)
{
    if (n == 0)
        return;
    put_key(l, name);
    put(l, "{", 1);
    for (unsigned i = 0; i < n; i++) {
        if (i)
            put(l, ",", 1);
        put_string(l, fact[i].name, strlen(fact[i].name), true);
        put(l, ":", 1);
        put_string(l, fact[i].value, strlen(fact[i].value), true);
    }
    put(l, "}", 1);
}

static void put_wire(struct line *l, const struct event *ev)
{
    put_text(l, "dir", dir_name(ev->dir));
    put_text(l, "label", ev->label);
    if (ev->re) {
        put_count(l, "re", ev->re);
        put_us(l, "wait_us", ev->wait_us);
    }
    put_text(l, "type", ev->type);
    put_text(l, "ns", ev->ns);
    put_facts(l, "facts", ev->fact, ev->facts);
    put_facts(l, "remarks", ev->remark, ev->remarks);
    if (ev->closing)
        put_str(l, ",\"closing\":true");
    if (ev->kind == EVENT_VIOLATION) {
        put_text(l, "code", error_name(ev->u.violation.code));
        put_count(l, "offset", ev->u.violation.offset);
        if (ev->u.violation.more)
            put_str(l, ",\"more\":true");
        put_text(l, "detail", ev->u.violation.detail);
    }
    if (ev->withheld)
        put_count(l, "withheld", ev->withheld);
    if (ev->len)
        put_bytes(l, "xml", "b64", ev->data, ev->len);
}

static void put_tls(struct line *l, const struct event_tls *t)
{
    put_text(l, "side", side_name(t->side));
    put_key(l, "ok");
    put_str(l, t->ok ? "true" : "false");
    put_text(l, "version", t->version);
    put_text(l, "cipher", t->cipher);
    put_text(l, "group", t->group);
    put_text(l, "sni", t->sni);
    put_text(l, "cert", t->cert);
    put_text(l, "cert_key", t->cert_key);
    put_text(l, "cert_sha256", t->cert_sha256);
    put_text(l, "signature", t->signature);
    put_text(l, "alpn", t->alpn);
    if (t->resumed)
        put_str(l, ",\"resumed\":true");
    if (t->client_asked)
        put_str(l, ",\"client_asked\":true");
    put_text(l, "client_cert", t->client_cert);
    put_text(l, "client_jid", t->client_jid);
    put_text(l, "verify", t->verify);
    put_text(l, "error", t->error);
    put_text(l, "kind", t->kind);
}

static void put_requests(struct line *l, const char *name, const char *time,
                         const struct event_request *r, unsigned n)
{
    if (n == 0)
        return;
    put_key(l, name);
    for (unsigned i = 0; i < n; i++) {
        put(l, i ? "," : "[", 1);
        put_str(l, "{\"n\":");
        l->err = l->err ? l->err : buf_printf(l->b, "%" PRIu64, r[i].n);
        put_text(l, "label", r[i].label);
        put_us(l, time, r[i].us);
        put(l, "}", 1);
    }
    put(l, "]", 1);
}

static void put_end(struct line *l, const struct event_end *end)
{
    const struct event_count *c;
    int dir;

    put_text(l, "by", side_name(end->by));
    put_text(l, "reason", error_name(end->code));
    put_text(l, "phase", end->phase);
    put_text(l, "detail", end->detail);
    put_text(l, "account", end->account);
    put_text(l, "server", end->server);
    put_text(l, "server_name", end->server_name);
    put_us(l, "duration_us", end->duration_us);
    put_text(l, "verdict", end->verdict);
    put_text(l, "sentence", end->sentence);
    put_text(l, "mechanism", end->mechanism);
    put_text(l, "resumes", end->resumes);
    if (end->unanswered)
        put_count(l, "unanswered", end->unanswered);
    put_requests(l, "open", "us", end->open, end->opens);
    put_requests(l, "slow", "wait_us", end->slow, end->slows);
    for (dir = DIR_C2S; dir <= DIR_S2C; dir++) {
        c = &end->count[dir];
        put_key(l, dir_name((enum dir)dir));
        put_str(l, "{\"bytes\":");
        l->err = l->err ? l->err : buf_printf(l->b, "%" PRIu64, c->bytes);
        put_text(l, "sha256", c->sha256);
        put_count(l, "stanzas", end->stanzas[dir]);
        if (c->compressed)
            put_count(l, "compressed", c->compressed);
        if (c->edited) {
            put_count(l, "sent_bytes", c->sent_bytes);
            put_text(l, "sent_sha256", c->sent_sha256);
        }
        put(l, "}", 1);
    }
}

static void put_kind(struct line *l, const struct event *ev)
{
    switch (ev->kind) {
    case EVENT_SESSION:
        put_text(l, "client", ev->u.session_facts.client);
        put_text(l, "listen", ev->u.session_facts.listen);
        put_text(l, "upstream", ev->u.session_facts.upstream);
        put_text(l, "secrets", ev->u.session_facts.secrets);
        put_text(l, "program", ev->u.session_facts.program);
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
        put_text(l, "dir", dir_name(ev->dir));
        if (ev->u.edit.of)
            put_count(l, "of", ev->u.edit.of);
        put_bytes(l, "sent", "sent_b64", ev->u.edit.sent, ev->u.edit.sent_len);
        put_text(l, "reason", ev->u.edit.reason);
        put_facts(l, "facts", ev->fact, ev->facts);
        break;
    case EVENT_GAP:
        put_text(l, "dir", dir_name(ev->dir));
        put_count(l, "bytes", ev->u.gap.bytes);
        break;
    case EVENT_END:
        put_end(l, &ev->u.end);
        break;
    case EVENT_KINDS:
        break;
    }
}

int json_event_write(struct buf *b, const struct event *ev)
{
    struct line l = {.b = b};
    size_t mark = b->len;

    put_str(&l, "{\"v\":1");
    put_text(&l, "event", event_name(ev->kind));
    put_str(&l, ",\"t\":\"");
    put_time(&l, ev->time_us);
    put(&l, "\"", 1);
    put_text(&l, "session", ev->session);
    put_count(&l, "n", ev->n);
    put_kind(&l, ev);
    put(&l, "}\n", 2);
    if (l.err)
        b->len = mark;
    return l.err;
}

int json_string_write(struct buf *b, const char *p, size_t n)
{
    struct line l = {.b = b};
    size_t mark = b->len;

    put_string(&l, p, n, true);
    if (l.err)
        b->len = mark;
    return l.err;
}

#include "secrets.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "redact.h"

#define ALIGNMENTS 3
#define FORMS      (1 + ALIGNMENTS + 2) /* in clear, base64, hexadecimal in both cases */
#define PAIR_BITS  4096
#define EARLY_MAX  12
#define STEPS_MAX  (4u << 20) /* for one search: beyond it, the bytes are made to cost too much */

/* A way to write a secret. */
struct form {
    const char *p;
    size_t n;
    bool before, after; /* the digits around it hold some of its bits, too */
};

struct secret {
    char *bytes; /* owned: its forms, one behind the other */
    size_t size;
    bool login;
    struct form form[FORMS];
};

struct known {
    unsigned n;
    struct secret secret[SECRETS_MAX];
    unsigned char pairs[PAIR_BITS / 8]; /* of two bytes: does a form begin with such? (hashed) */
    unsigned char early[PAIR_BITS / 8]; /* does one hold such in its first `shortest` bytes? */
    size_t shortest;                    /* of the forms, at most EARLY_MAX */
};

void secrets_init(struct secrets *s)
{
    *s = (struct secrets){0};
}

static void forget(struct secret *x)
{
    explicit_bzero(x->bytes, x->size);
    free(x->bytes);
}

void secrets_free(struct secrets *s)
{
    for (unsigned i = 0; s->known && i < s->known->n; i++)
        forget(&s->known->secret[i]);
    free(s->known);
    secrets_init(s);
}

/* ---- forms ---- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Of the base64 of `skip` unknown bytes and the secret, the digits that the secret alone makes. */
static size_t put_base64(char *out, const char *p, size_t n, unsigned skip, struct form *f)
{
    size_t first = (8 * skip + 5) / 6, end = 8 * (skip + n) / 6;

    *f = (struct form){.p = out, .n = end - first, .before = skip > 0, .after = (skip + n) % 3};
    for (size_t i = first; i < end; i++) {
        size_t byte = i * 6 / 8 - skip, bit = i * 6 % 8;
        unsigned two = (unsigned)(unsigned char)p[byte] << 8;

        if (byte + 1 < n)
            two |= (unsigned char)p[byte + 1];
        *out++ = base64_digits[two >> (10 - bit) & 63];
    }
    return f->n;
}

static size_t put_hex(char *out, const char *p, size_t n, const char *digits, struct form *f)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[(unsigned char)p[i] >> 4];
        out[2 * i + 1] = digits[(unsigned char)p[i] & 15];
    }
    *f = (struct form){.p = out, .n = 2 * n};
    return 2 * n;
}

/* Returns false without memory. */
static bool make_forms(struct secret *x, const char *p, size_t n, bool login)
{
    char *at;

    *x = (struct secret){.size = n + ALIGNMENTS * ((n + 4) / 3 * 4) + 2 * 2 * n, .login = login};
    x->bytes = at = malloc(x->size);
    if (!at)
        return false;
    memcpy(at, p, n);
    x->form[0] = (struct form){.p = at, .n = n};
    at += n;
    for (unsigned i = 0; i < ALIGNMENTS; i++)
        at += put_base64(at, p, n, i, &x->form[1 + i]);
    at += put_hex(at, p, n, "0123456789abcdef", &x->form[1 + ALIGNMENTS]);
    put_hex(at, p, n, "0123456789ABCDEF", &x->form[2 + ALIGNMENTS]);
    return true;
}

static unsigned pair_of(unsigned char a, unsigned char b)
{
    return (a * 31u + b) % PAIR_BITS;
}

static void set_pair(unsigned char *pairs, char a, char b)
{
    unsigned pair = pair_of((unsigned char)a, (unsigned char)b);

    pairs[pair / 8] |= (unsigned char)(1u << pair % 8);
}

static bool has_pair(const unsigned char *pairs, const char *p)
{
    unsigned pair = pair_of((unsigned char)p[0], (unsigned char)p[1]);

    return pairs[pair / 8] >> pair % 8 & 1;
}

static void set_early(struct known *k)
{
    memset(k->early, 0, sizeof k->early);
    k->shortest = EARLY_MAX;
    for (unsigned i = 0; i < k->n; i++)
        for (unsigned j = 0; j < FORMS; j++)
            if (k->secret[i].form[j].n < k->shortest)
                k->shortest = k->secret[i].form[j].n;
    for (unsigned i = 0; i < k->n; i++)
        for (unsigned j = 0; j < FORMS; j++)
            for (size_t at = 0; at + 1 < k->shortest; at++)
                set_pair(k->early, k->secret[i].form[j].p[at], k->secret[i].form[j].p[at + 1]);
}

static void set_pairs(struct known *k)
{
    static const char marks[] = "&<]"; /* a reference, CDATA's begin and end */

    memset(k->pairs, 0, sizeof k->pairs);
    for (unsigned i = 0; i < k->n; i++)
        for (unsigned j = 0; j < FORMS; j++) {
            const char *p = k->secret[i].form[j].p;

            set_pair(k->pairs, p[0], p[1]);
            for (const char *m = marks; *m; m++)
                set_pair(k->pairs, p[0], *m);
        }
    set_early(k);
}

/* ---- learning ---- */

static bool is_blank(const char *p, size_t n)
{
    while (n && isspace((unsigned char)p[n - 1]))
        n--;
    return n == 0;
}

static bool is_known(const struct known *k, const char *p, size_t n)
{
    for (unsigned i = 0; i < k->n; i++)
        if (k->secret[i].form[0].n == n && memcmp(k->secret[i].form[0].p, p, n) == 0)
            return true;
    return false;
}

static bool is_name(const struct secrets *s, const char *p, size_t n)
{
    return strlen(s->name) == n && memcmp(s->name, p, n) == 0;
}

void secrets_name(struct secrets *s, const char *p, size_t n)
{
    const char *at = memchr(p, '@', n);
    struct known *k = s ? s->known : NULL;

    n = at ? (size_t)(at - p) : n;
    if (!s || n == 0 || n >= sizeof s->name)
        return;
    memcpy(s->name, p, n);
    s->name[n] = '\0';
    for (unsigned i = 0; k && i < k->n; i++)
        if (is_name(s, k->secret[i].form[0].p, k->secret[i].form[0].n)) {
            forget(&k->secret[i]);
            k->secret[i] = k->secret[--k->n];
            set_pairs(k);
            break;
        }
}

/* Room for a new one; NULL if there is none. */
static struct secret *place(struct known *k, bool login)
{
    if (k->n < SECRETS_MAX)
        return &k->secret[k->n++];
    for (unsigned i = SECRETS_MAX; login && i-- > 0;)
        if (!k->secret[i].login) {
            forget(&k->secret[i]);
            return &k->secret[i];
        }
    return NULL;
}

void secrets_learn(struct secrets *s, const char *p, size_t n, bool login)
{
    struct secret new, *at;

    if (!s || n < SECRET_MIN || is_blank(p, n) || is_name(s, p, n))
        return;
    if (n > SECRET_MAX) {
        p += n - SECRET_MAX;
        n = SECRET_MAX;
    }
    if (!s->known)
        s->known = calloc(1, sizeof *s->known);
    if (!s->known || is_known(s->known, p, n) || !make_forms(&new, p, n, login))
        return;
    at = place(s->known, login);
    if (at)
        *at = new;
    else
        forget(&new);
    set_pairs(s->known);
}

/* ---- finding ---- */

static bool begins(const char *p, size_t n, const char *word)
{
    size_t len = strlen(word);

    return n >= len && memcmp(p, word, len) == 0;
}

static size_t utf8(unsigned long c, char out[4])
{
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    if (c == 0 || c > 0x10ffff)
        return 0;
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n == 1 ? 0 : n] | c);
    return n;
}

size_t secrets_reference(const char *p, size_t n, char out[4], size_t *out_n)
{
    static const struct {
        const char *name;
        char c;
    } entities[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''},
    };
    unsigned long c = 0;
    size_t i = 2, first;
    bool hex;

    if (n < 4 || p[0] != '&')
        return 0;
    for (size_t k = 0; k < sizeof entities / sizeof *entities; k++)
        if (begins(p, n, entities[k].name)) {
            out[0] = entities[k].c;
            *out_n = 1;
            return strlen(entities[k].name);
        }
    if (p[1] != '#')
        return 0;
    hex = p[i] == 'x';
    i += hex;
    for (first = i; i < n && (hex ? isxdigit((unsigned char)p[i]) : isdigit((unsigned char)p[i]));
         i++) {
        c = c * (hex ? 16 : 10) + (unsigned long)(isdigit((unsigned char)p[i]) ? p[i] - '0'
                                                                              : (p[i] | 32) - 87);
        c = c > 0x10ffff ? 0x110000 : c;
    }
    if (i == first || i == n || p[i] != ';')
        return 0;
    *out_n = utf8(c, out);
    return *out_n ? i + 1 : 0;
}

/* May the bytes be the beginning of a mark or a reference that goes on behind them? */
static bool is_cut(const char *p, size_t n, bool mark)
{
    if (mark && ((n < 9 && memcmp(p, "<![CDATA[", n) == 0) || (n < 3 && memcmp(p, "]]>", n) == 0)))
        return true;
    return n < 12 && *p == '&' && !memchr(p, ';', n);
}

/* Where CDATA begins or ends: its mark's length. */
static size_t mark_length(const char *p, size_t n)
{
    return begins(p, n, "<![CDATA[") ? 9 : begins(p, n, "]]>") ? 3 : 0;
}

/* How many bytes at `p` are the form, with references and (in a text, where `marks`) CDATA's marks
 * in it; 0: they are not. `*begun`: they are its beginning, and end before it does. Each byte
 * looked at is one of `*steps`. */
static size_t match_xml(const struct form *f, const char *p, size_t n, bool marks, bool *begun,
                        unsigned *steps)
{
    size_t i = 0, k = 0;

    *begun = false;
    while (k < f->n) {
        char c[4];
        size_t len, used;

        ++*steps;
        for (; k && marks && (len = mark_length(p + i, n - i)) > 0; i += len)
            ++*steps; /* one section may follow another */
        if (i == n || is_cut(p + i, n - i, k > 0)) {
            *begun = true;
            if (i == n)
                return 0;
        }
        used = secrets_reference(p + i, n - i, c, &len);
        if (!used) {
            c[0] = p[i];
            len = used = 1;
        }
        if (f->n - k < len || memcmp(f->p + k, c, len) != 0)
            return 0;
        k += len;
        i += used;
    }
    return i;
}

static bool is_digit64(char c)
{
    return c && memchr(base64_digits, c, sizeof base64_digits - 1);
}

/* The same where nothing but the form's own bytes can stand, which is soon told. */
static size_t match_form(const struct form *f, const char *p, size_t n, bool marks, bool *begun,
                         unsigned *steps)
{
    size_t len = n < f->n ? n : f->n;
    bool same;

    *begun = false;
    if (*p != *f->p && *p != '&')
        return 0;
    same = memcmp(p, f->p, len) == 0;
    *begun = same && n < f->n;
    if (same)
        return n < f->n ? 0 : f->n;
    if (!memchr(p, '&', len) && !memchr(p, '<', len) && !memchr(p, ']', len)) {
        *steps += len / 64;
        return 0;
    }
    return match_xml(f, p, n, marks, begun, steps);
}

/* Does a form stand at `at`? */
static bool match(const struct known *k, const char *p, size_t from, size_t at, size_t to,
                  bool marks, struct secrets_found *found, unsigned *steps)
{
    for (unsigned i = 0; i < k->n; i++)
        for (unsigned j = 0; j < FORMS; j++) {
            const struct form *f = &k->secret[i].form[j];
            bool begun;
            size_t n = match_form(f, p + at, to - at, marks, &begun, steps);

            if (!n)
                continue;
            *found = (struct secrets_found){.from = at, .to = at + n};
            if (f->before && at > from && is_digit64(p[at - 1]))
                found->from--;
            if (f->after && found->to < to && is_digit64(p[found->to]))
                found->to++;
            return true;
        }
    return false;
}

/* Goes over the bytes at `p` that belong together (a mark, or one byte); `*open`: they are text, or
 * of an attribute's value. */
static size_t step(struct secrets_walk *w, const char *p, size_t n, bool *open)
{
    *open = true;
    if (w->raw)
        return 1;
    if (w->cdata) {
        w->cdata = !begins(p, n, "]]>");
        *open = w->cdata;
        return w->cdata ? 1 : 3;
    }
    if (w->tag) {
        *open = w->quote && *p != w->quote;
        if (w->quote)
            w->quote = *open ? w->quote : '\0';
        else if (*p == '"' || *p == '\'')
            w->quote = *p;
        else if (*p == '>')
            w->tag = false;
        return 1;
    }
    *open = *p != '<';
    w->cdata = begins(p, n, "<![CDATA[");
    w->tag = !*open && !w->cdata;
    return w->cdata ? 9 : 1;
}

/* Goes on to `to`, unless a text or value ends before it: then false, and the walk stays. */
static bool walk_to(struct secrets_walk *w, const char *p, size_t from, size_t to)
{
    struct secrets_walk on = *w;
    bool open;

    while (from < to) {
        from += step(&on, p + from, to - from, &open);
        if (on.tag && !on.quote)
            return false;
    }
    *w = on;
    return true;
}

bool secrets_find(const struct secrets *s, struct secrets_walk *w, const char *p, size_t from,
                  size_t to, struct secrets_found *found)
{
    const struct known *k = s->known;
    bool open;

    for (size_t i = from; k && i < to && w->steps < STEPS_MAX;) {
        unsigned pair = pair_of((unsigned char)p[i], i + 1 < to ? (unsigned char)p[i + 1] : 0);
        struct secrets_walk next = *w;
        size_t used = step(&next, p + i, to - i, &open);

        if (open && (p[i] == '&' || k->pairs[pair / 8] >> pair % 8 & 1) &&
            match(k, p, from, i, to, !w->tag, found, &w->steps)) {
            found->cdata = w->cdata;
            if (walk_to(w, p, i, found->to))
                return true;
        }
        next.steps = w->steps;
        *w = next;
        i += used;
    }
    return false;
}

/* Does a form stand at one of [first, last], as far as the step count lets one see? */
static bool may_begin(const struct known *k, const char *p, size_t first, size_t last, size_t n,
                      unsigned *steps)
{
    struct secrets_found found;

    for (size_t i = first; i <= last; i++)
        if ((p[i] == '&' || (i + 1 < n ? has_pair(k->pairs, p + i)
                                       : has_pair(k->pairs, (char[]){p[i], '\0'}))) &&
            (match(k, p, 0, i, n, true, &found, steps) || /* in a text or in a value */
             match(k, p, 0, i, n, false, &found, steps) || *steps >= STEPS_MAX))
            return true;
    return false;
}

/* Of a form that stands as it is, one of every `shortest` - 1 pairs is among its first ones, so the
 * others need not be looked at (Wu and Manber): a fifth of the bytes for the shortest password. */
bool secrets_may_hold(const struct secrets *s, const char *p, size_t n, bool plain)
{
    const struct known *k = s->known;
    size_t step = k && k->n ? k->shortest - 1 : 0;
    unsigned steps = 0;

    if (!k || k->n == 0 || n == 0)
        return false;
    if (!plain)
        return may_begin(k, p, 0, n - 1, n, &steps);
    for (size_t i = 0; i + 1 < n; i += step)
        if (has_pair(k->early, p + i) &&
            may_begin(k, p, i < step ? 0 : i - step + 1, i, n, &steps))
            return true;
    return false;
}

bool secrets_lost(const struct secrets_walk *w)
{
    return w->steps >= STEPS_MAX;
}

size_t secrets_begun(const struct secrets *s, const char *p, size_t from, size_t to)
{
    const struct known *k = s->known;
    unsigned steps = 0;
    size_t at = to - from > SECRET_WRITTEN_MAX ? to - SECRET_WRITTEN_MAX : from;

    for (size_t first = at; k && at < to; at++)
        for (unsigned i = 0; i < k->n; i++)
            for (unsigned j = 0; j < FORMS; j++) {
                const struct form *f = &k->secret[i].form[j];
                bool begun;

                if (match_form(f, p + at, to - at, true, &begun, &steps) == 0 && begun)
                    return at;
                if (steps >= STEPS_MAX / 4)
                    return first;
            }
    return to;
}

bool secrets_hold(const struct secrets *s, const char *p, size_t n)
{
    struct secrets_walk w = {.raw = true};
    struct secrets_found found;

    return s && secrets_may_hold(s, p, n, false) &&
           (secrets_find(s, &w, p, 0, n, &found) || secrets_lost(&w));
}

/* A value that was cut may have been cut within a secret. */
static bool ends_in_secret(const struct secrets *s, const char *value, size_t n)
{
    static const char dots[] = "...";
    size_t tail = sizeof dots - 1;

    if (n < FACT_VALUE_MAX - 4)
        return false;
    if (memcmp(value + n - tail, dots, tail) == 0)
        n -= tail;
    return secrets_begun(s, value, 0, n) < n;
}

void secrets_hide(const struct secrets *s, struct fact_list *l)
{
    for (unsigned i = 0; s->known && i < l->n; i++)
        if (secrets_hold(s, l->fact[i].value, strlen(l->fact[i].value)) ||
            ends_in_secret(s, l->fact[i].value, strlen(l->fact[i].value)))
            l->fact[i].value = REDACTED;
}

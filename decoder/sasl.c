#include "sasl.h"

#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX 3072

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *d = c ? memchr(digits, c, sizeof digits - 1) : NULL;

    return d ? (int)(d - digits) : -1;
}

long sasl_base64(const char *text, size_t n, char *out, size_t size)
{
    unsigned acc = 0, bits = 0;
    size_t len = 0;

    if (n % 4)
        return -1;
    for (size_t i = 0; i < n; i++) {
        int d = base64_digit(text[i]);

        if (d < 0) {
            if (text[i] != '=' || n - i > 2 || (n - i == 2 && text[i + 1] != '='))
                return -1;
            break;
        }
        acc = (acc << 6 | (unsigned)d) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            if (len == size)
                return -1;
            out[len++] = (char)(acc >> bits & 0xff);
        }
    }
    return (long)len;
}

static int copy(const char *p, size_t n, char *out, size_t size)
{
    if (n == 0 || n >= size || memchr(p, '\0', n))
        return -1;
    memcpy(out, p, n);
    out[n] = '\0';
    return 0;
}

/* authzid NUL authcid NUL passwd */
static int plain_username(const char *m, size_t n, char *out, size_t size)
{
    const char *first = memchr(m, '\0', n), *second;

    if (!first)
        return -1;
    first++;
    second = memchr(first, '\0', n - (size_t)(first - m));
    return second ? copy(first, (size_t)(second - first), out, size) : -1;
}

/* gs2-header "n=" saslname ",r=" ... ; =2C and =3D stand for `,` and `=` */
static int scram_username(const char *m, size_t n, char *out, size_t size)
{
    const char *end = m + n, *p = m;
    size_t len = 0;

    for (int commas = 0; commas < 2; p++) {
        if (p == end)
            return -1;
        commas += *p == ',';
    }
    if (end - p < 3 || p[0] != 'n' || p[1] != '=')
        return -1;
    for (p += 2; p < end && *p != ',' && len + 1 < size; p++) {
        if (end - p >= 3 && (memcmp(p, "=2C", 3) == 0 || memcmp(p, "=3D", 3) == 0)) {
            out[len++] = p[1] == '2' ? ',' : '=';
            p += 2;
        } else {
            out[len++] = *p;
        }
    }
    out[len] = '\0';
    return len && strlen(out) == len ? 0 : -1;
}

int sasl_username(const char *mechanism, const char *text, size_t n, char *out, size_t size)
{
    char m[MESSAGE_MAX];
    long len = sasl_base64(text, n, m, sizeof m);

    if (len <= 0)
        return -1;
    if (strcmp(mechanism, "PLAIN") == 0)
        return plain_username(m, (size_t)len, out, size);
    if (strncmp(mechanism, "SCRAM-", 6) == 0)
        return scram_username(m, (size_t)len, out, size);
    return -1;
}

void sasl_init(struct sasl *s)
{
    *s = (struct sasl){0};
}

void sasl_item(struct sasl *s, const struct item *it, enum dir dir, struct fact_list *facts,
               struct secrets *secrets)
{
    const struct node *top = &it->node[0];
    const char *mechanism = item_attr(it, 0, "mechanism");

    (void)secrets;
    if (dir != DIR_C2S || !mechanism || !item_is(it, 0, "urn:ietf:params:xml:ns:xmpp-sasl", "auth"))
        return;
    snprintf(s->mechanism, sizeof s->mechanism, "%s", mechanism);
    fact_add(facts, "mechanism", mechanism);
    if (sasl_username(mechanism, top->text, top->text_len, s->user, sizeof s->user) == 0)
        fact_add(facts, "user", s->user);
}

#include "hello.h"

#include <string.h>

#define RECORD_HANDSHAKE 0x16
#define CLIENT_HELLO     1
#define EXTENSION_SNI    0
#define EXTENSION_ALPN   16
#define RECORD_HEADER    5
#define HANDSHAKE_HEADER 4

/* A run of bytes that is read from its front; what is not there makes it `bad`. */
struct run {
    const unsigned char *p;
    size_t n;
    bool bad;
};

static size_t number(struct run *r, unsigned bytes)
{
    size_t value = 0;

    if (r->n < bytes) {
        r->bad = true;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | r->p[i];
    r->p += bytes;
    r->n -= bytes;
    return value;
}

static struct run part(struct run *r, size_t n)
{
    struct run out = {r->p, n, false};

    if (r->n < n) {
        r->bad = true;
        return (struct run){.bad = true};
    }
    r->p += n;
    r->n -= n;
    return out;
}

/* A part behind its own length, which takes `bytes`. */
static struct run vector(struct run *r, unsigned bytes)
{
    size_t n = number(r, bytes);

    return part(r, n);
}

/* The first host_name; one with a NUL or too long to be a host's is none. */
static void read_sni(struct run r, struct hello *hello)
{
    struct run list = vector(&r, 2);

    while (list.n && !list.bad) {
        size_t type = number(&list, 1);
        struct run name = vector(&list, 2);

        if (type != 0 || name.bad || name.n >= sizeof hello->name ||
            (name.n && memchr(name.p, '\0', name.n)))
            continue;
        if (name.n)
            memcpy(hello->name, name.p, name.n);
        hello->name[name.n] = '\0';
        return;
    }
}

static void read_alpn(struct run r, struct hello *hello)
{
    struct run list = vector(&r, 2);

    if (list.bad || list.n > sizeof hello->alpn)
        return;
    for (struct run rest = list; rest.n;) {
        struct run name = vector(&rest, 1);

        if (name.bad || name.n == 0)
            return;
    }
    hello->alpn_len = list.n;
    if (list.n)
        memcpy(hello->alpn, list.p, list.n);
}

static bool read_body(struct run r, struct hello *hello)
{
    struct run extensions;

    part(&r, 2 + 32); /* version, random */
    vector(&r, 1);    /* session id */
    vector(&r, 2);    /* cipher suites */
    vector(&r, 1);    /* compression methods */
    if (r.bad)
        return false;
    if (r.n == 0)
        return true;
    extensions = vector(&r, 2);
    while (extensions.n && !extensions.bad) {
        size_t type = number(&extensions, 2);
        struct run body = vector(&extensions, 2);

        if (body.bad)
            return false;
        if (type == EXTENSION_SNI)
            read_sni(body, hello);
        else if (type == EXTENSION_ALPN)
            read_alpn(body, hello);
    }
    return !r.bad;
}

static enum hello_state read_hello(const void *bytes, size_t n, struct hello *hello)
{
    unsigned char message[HELLO_MAX];
    struct run in = {bytes, n, false};
    size_t len = 0, whole = HANDSHAKE_HEADER;

    *hello = (struct hello){0};
    while (len < whole) { /* over as many records as it takes (RFC 8446 §5.1) */
        struct run fragment = {0};
        size_t size;

        if ((in.n > 0 && in.p[0] != RECORD_HANDSHAKE) || (in.n > 1 && in.p[1] != 3))
            return HELLO_BAD;
        if (in.n < RECORD_HEADER)
            return HELLO_MORE;
        size = (size_t)in.p[3] << 8 | in.p[4];
        if (size == 0 || len + size > sizeof message)
            return HELLO_BAD;
        part(&in, RECORD_HEADER);
        fragment = part(&in, in.n < size ? in.n : size);
        if (fragment.n)
            memcpy(message + len, fragment.p, fragment.n);
        len += fragment.n;
        if (len > 0 && message[0] != CLIENT_HELLO)
            return HELLO_BAD;
        if (len >= HANDSHAKE_HEADER)
            whole = HANDSHAKE_HEADER +
                    ((size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3]);
        if (whole > sizeof message)
            return HELLO_BAD;
        if (fragment.n < size && len < whole)
            return HELLO_MORE;
    }
    return read_body((struct run){message + HANDSHAKE_HEADER, whole - HANDSHAKE_HEADER, false},
                     hello)
               ? HELLO_WHOLE
               : HELLO_BAD;
}

enum hello_state hello_read(const void *p, size_t n, struct hello *hello)
{
    enum hello_state is = read_hello(p, n, hello);

    return is == HELLO_MORE && n > HELLO_MAX ? HELLO_BAD : is;
}

bool hello_offers(const struct hello *h, const char *protocol)
{
    size_t len = strlen(protocol);

    for (size_t at = 0; at < h->alpn_len; at += 1u + h->alpn[at])
        if (h->alpn[at] == len && memcmp(h->alpn + at + 1, protocol, len) == 0)
            return true;
    return false;
}

#include "proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"

#define V1_BEGIN     "PROXY "
#define V1_BEGIN_LEN 6
#define V1_MAX       107 /* with its CRLF, section 2.1 */
#define V2_BEGIN     "\r\n\r\n\0\r\nQUIT\n"
#define V2_BEGIN_LEN 12
#define V2_FIXED     16  /* signature, version and command, family, length */

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };                         /* section 2.2 */
enum { V2_UNSPEC = 0x00, V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_UNIX = 0x31 };

static enum proxy_header_state bad(struct error *e, const char *why)
{
    error_set(e, ERR_PROXY_HEADER, "%s", why);
    return PROXY_HEADER_BAD;
}

/* ---- version 1 ---- */

/* The next word of a line without its CRLF, copied; words are parted by one space each. */
static bool next_word(const char **p, const char *end, char *word, size_t size)
{
    const char *from = *p, *space = memchr(from, ' ', (size_t)(end - from));
    const char *to = space ? space : end;

    if (to == from || (size_t)(to - from) >= size || memchr(from, '\0', (size_t)(to - from)))
        return false;
    memcpy(word, from, (size_t)(to - from));
    word[to - from] = '\0';
    *p = space ? space + 1 : end;
    return true;
}

static bool set_address(struct sockaddr_storage *a, int family, const char *host)
{
    void *at = family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)a)->sin6_addr
                                  : (void *)&((struct sockaddr_in *)a)->sin_addr;

    *a = (struct sockaddr_storage){.ss_family = (sa_family_t)family};
    return inet_pton(family, host, at) == 1;
}

/* Decimal, no sign, no leading zero. */
static bool set_port(struct sockaddr_storage *a, const char *text)
{
    unsigned long n = strtoul(text, NULL, 10);

    if (strspn(text, "0123456789") != strlen(text) || (*text == '0' && text[1]) || n > 65535)
        return false;
    address_set_port(a, (unsigned)n);
    return true;
}

static bool v1_addresses(const char *p, const char *end, struct proxy_header *h)
{
    char family[8], from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN], from_port[8], to_port[8];
    int af;

    if (!next_word(&p, end, family, sizeof family))
        return false;
    if (strcmp(family, "UNKNOWN") == 0)
        return true; /* the rest of the line is to be ignored */
    af = strcmp(family, "TCP4") == 0 ? AF_INET : strcmp(family, "TCP6") == 0 ? AF_INET6 : -1;
    h->known = true;
    return af >= 0 && next_word(&p, end, from, sizeof from) && next_word(&p, end, to, sizeof to) &&
           next_word(&p, end, from_port, sizeof from_port) &&
           next_word(&p, end, to_port, sizeof to_port) && p == end && end[-1] != ' ' &&
           set_address(&h->from, af, from) && set_address(&h->to, af, to) &&
           set_port(&h->from, from_port) && set_port(&h->to, to_port);
}

static enum proxy_header_state read_v1(const char *p, size_t n, struct proxy_header *h,
                                       struct error *e)
{
    size_t seen = n < V1_MAX ? n : V1_MAX;
    const char *end = memchr(p, '\n', seen);

    if (!end)
        return n < V1_MAX ? PROXY_HEADER_MORE
                          : bad(e, "a version 1 header that does not end within 107 bytes");
    if (end[-1] != '\r')
        return bad(e, "a version 1 header whose line does not end with CR LF");
    h->size = (size_t)(end + 1 - p);
    if (!v1_addresses(p + V1_BEGIN_LEN, end - 1, h))
        return bad(e, "a version 1 header that is not TCP4, TCP6 or UNKNOWN with two addresses "
                      "and two ports");
    return PROXY_HEADER_WHOLE;
}

/* ---- version 2 ---- */

static const struct family {
    unsigned char code;
    int family;
    size_t address; /* bytes of one */
} families[] = {
    {V2_TCP4, AF_INET, 4},
    {V2_TCP6, AF_INET6, 16},
    {V2_UNSPEC, AF_UNSPEC, 0},
    {V2_UNIX, AF_UNSPEC, 0}, /* a socket's path is nobody's address */
};

static const struct family *find_family(unsigned char code)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (families[i].code == code)
            return &families[i];
    return NULL;
}

static void *address_bytes(struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)a)->sin6_addr
                                    : (void *)&((struct sockaddr_in *)a)->sin_addr;
}

static unsigned number16(const unsigned char *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static void v2_addresses(const unsigned char *p, const struct family *f, struct proxy_header *h)
{
    h->known = true;
    h->from.ss_family = h->to.ss_family = (sa_family_t)f->family;
    memcpy(address_bytes(&h->from), p, f->address);
    memcpy(address_bytes(&h->to), p + f->address, f->address);
    address_set_port(&h->from, number16(p + 2 * f->address));
    address_set_port(&h->to, number16(p + 2 * f->address + 2));
}

static enum proxy_header_state read_v2(const char *text, size_t n, struct proxy_header *h,
                                       struct error *e)
{
    const unsigned char *p = (const unsigned char *)text;
    const struct family *f;
    size_t len;

    if (n > V2_BEGIN_LEN && p[V2_BEGIN_LEN] != V2_LOCAL && p[V2_BEGIN_LEN] != V2_PROXY)
        return bad(e, "a version 2 header whose version or command is unknown");
    if (n < V2_FIXED)
        return PROXY_HEADER_MORE;
    len = number16(p + 14);
    f = find_family(p[13]);
    if (V2_FIXED + len > PROXY_HEADER_MAX)
        return bad(e, "a version 2 header of more than 4096 bytes");
    if (p[V2_BEGIN_LEN] == V2_PROXY && !f)
        return bad(e, "a version 2 header of a connection that is not TCP");
    if (p[V2_BEGIN_LEN] == V2_PROXY && f->address && len < 2 * f->address + 4)
        return bad(e, "a version 2 header too short for its addresses");
    if (n < V2_FIXED + len)
        return PROXY_HEADER_MORE;
    h->size = V2_FIXED + len;
    if (p[V2_BEGIN_LEN] == V2_PROXY && f->address)
        v2_addresses(p + V2_FIXED, f, h);
    return PROXY_HEADER_WHOLE; /* TLVs (section 2.2.1) are skipped with it */
}

static bool may_begin(const char *p, size_t n, const char *begin, size_t len)
{
    return memcmp(p, begin, n < len ? n : len) == 0;
}

enum proxy_header_state proxy_header_read(const char *p, size_t n, struct proxy_header *h,
                                          struct error *e)
{
    *h = (struct proxy_header){0};
    if (n == 0)
        return PROXY_HEADER_MORE;
    if (may_begin(p, n, V1_BEGIN, V1_BEGIN_LEN))
        return n < V1_BEGIN_LEN ? PROXY_HEADER_MORE : read_v1(p, n, h, e);
    if (may_begin(p, n, V2_BEGIN, V2_BEGIN_LEN))
        return n < V2_BEGIN_LEN ? PROXY_HEADER_MORE : read_v2(p, n, h, e);
    return PROXY_HEADER_NONE;
}

/* ---- writing ---- */

static bool is_ip(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET || a->ss_family == AF_INET6;
}

/* `a` as `f` has it: IPv4 where IPv6 is wanted becomes a mapped address. */
static void put_address(unsigned char *out, const struct family *f,
                        const struct sockaddr_storage *a)
{
    struct sockaddr_storage copy = *a;
    size_t own = a->ss_family == AF_INET6 ? 16 : 4;

    if (own < f->address)
        memcpy(out, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
    memcpy(out + f->address - own, address_bytes(&copy), own);
}

static size_t write_v2(const struct family *f, const struct sockaddr_storage *from,
                       const struct sockaddr_storage *to, unsigned char *out)
{
    size_t len = f->address ? 2 * f->address + 4 : 0;
    unsigned char *ports = out + V2_FIXED + 2 * f->address;

    memcpy(out, V2_BEGIN, V2_BEGIN_LEN);
    out[V2_BEGIN_LEN] = V2_PROXY;
    out[V2_BEGIN_LEN + 1] = f->code;
    out[14] = 0;
    out[15] = (unsigned char)len;
    if (!len)
        return V2_FIXED;
    put_address(out + V2_FIXED, f, from);
    put_address(out + V2_FIXED + f->address, f, to);
    ports[0] = (unsigned char)(address_port(from) >> 8);
    ports[1] = (unsigned char)address_port(from);
    ports[2] = (unsigned char)(address_port(to) >> 8);
    ports[3] = (unsigned char)address_port(to);
    return V2_FIXED + len;
}

static size_t write_v1(const struct family *f, const struct sockaddr_storage *from,
                       const struct sockaddr_storage *to, char *out)
{
    unsigned char bytes[2][16];
    char host[2][INET6_ADDRSTRLEN];

    if (!f->address)
        return (size_t)snprintf(out, PROXY_HEADER_OUT, "PROXY UNKNOWN\r\n");
    put_address(bytes[0], f, from);
    put_address(bytes[1], f, to);
    for (int i = 0; i < 2; i++)
        inet_ntop(f->family, bytes[i], host[i], sizeof host[i]);
    return (size_t)snprintf(out, PROXY_HEADER_OUT, "PROXY TCP%d %s %s %u %u\r\n",
                            f->family == AF_INET ? 4 : 6, host[0], host[1], address_port(from),
                            address_port(to));
}

size_t proxy_header_write(enum proxy_header_version version, const struct sockaddr_storage *from,
                          const struct sockaddr_storage *to, char out[PROXY_HEADER_OUT])
{
    bool known = is_ip(from) && is_ip(to);
    bool v4 = known && from->ss_family == AF_INET && to->ss_family == AF_INET;
    const struct family *f = find_family(!known ? V2_UNSPEC : v4 ? V2_TCP4 : V2_TCP6);

    if (version == PROXY_HEADER_V1)
        return write_v1(f, from, to, out);
    return write_v2(f, from, to, (unsigned char *)out);
}

/* archive_member.h: the header of a gzip member of the archive, shared by writer and reader.
 *
 * RFC 1952 §2.3: ten fixed bytes, XLEN, then one subfield "XT" (§2.3.1.1). All integers are little
 * endian. Internal to logs/archive_*.c.
 */
#ifndef XMPPTAP_ARCHIVE_MEMBER_H
#define XMPPTAP_ARCHIVE_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MEMBER_FIXED   10
#define MEMBER_XT      20 /* bytes of data in the subfield */
#define MEMBER_HEADER  (MEMBER_FIXED + 2 + 4 + MEMBER_XT)
#define MEMBER_TRAILER 8  /* CRC-32 and ISIZE */
#define MEMBER_MARK    16 /* bytes that tell such a header */

/* No line of an archive is longer: the writer drops such a record, the reader such a line. */
#define ARCHIVE_LINE_BYTES (64u << 20)

struct archive_member {
    uint32_t size;    /* compressed, from the first header byte to the last trailer byte */
    uint32_t text;    /* bytes of text */
    int64_t first_us; /* time of the first record */
    uint32_t records;
};

static inline unsigned char *member_put(unsigned char *p, uint64_t v, unsigned bytes)
{
    while (bytes--) {
        *p++ = (unsigned char)v;
        v >>= 8;
    }
    return p;
}

static inline void member_header(unsigned char h[MEMBER_HEADER], const struct archive_member *m)
{
    static const unsigned char magic[] = {0x1f, 0x8b, 8 /* deflate */, 4 /* FEXTRA */};
    unsigned char *p = h + sizeof magic;

    memcpy(h, magic, sizeof magic);
    p = member_put(p, (uint64_t)(m->first_us / 1000000), 4); /* MTIME */
    p = member_put(p, 4 /* fastest */ | 3 << 8 /* Unix */, 2);
    p = member_put(p, 4 + MEMBER_XT, 2);
    *p++ = 'X';
    *p++ = 'T';
    p = member_put(p, MEMBER_XT, 2);
    p = member_put(p, m->size, 4);
    p = member_put(p, m->text, 4);
    p = member_put(p, (uint64_t)m->first_us, 8);
    member_put(p, m->records, 4);
}

static inline uint64_t member_get(const unsigned char *p, unsigned bytes)
{
    uint64_t v = 0;

    while (bytes--)
        v = v << 8 | p[bytes];
    return v;
}

/* What the header says of the sizes; it may lie. */
static inline void member_sizes(const unsigned char h[MEMBER_HEADER], struct archive_member *m)
{
    m->size = (uint32_t)member_get(h + 16, 4);
    m->text = (uint32_t)member_get(h + 20, 4);
}

/* Do these MEMBER_MARK bytes begin a member as member_header() makes it? */
static inline bool member_begins(const unsigned char p[MEMBER_MARK])
{
    return p[0] == 0x1f && p[1] == 0x8b && p[2] == 8 && p[3] == 4 && p[12] == 'X' && p[13] == 'T';
}

#endif

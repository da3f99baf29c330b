#include "part.h"

#include <stdlib.h>

#include "markup.h"
#include "ns.h"

#define PART_BYTES (512u << 10) /* an item, and what it inherits */

struct part {
    struct reader *reader;
    struct reader_stream stream;
    struct buf bytes;
};

/* What markup_rest() takes for declared. */
static int read_header(struct part *p)
{
    static const char header[] =
        "<stream:stream xmlns='" NS_CLIENT "' xmlns:stream='" NS_STREAM "'>";
    const struct item *it;
    struct error e;

    return reader_header(p->reader, &p->stream, header, sizeof header - 1, &it, &e);
}

struct part *part_new(void)
{
    struct part *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    buf_init(&p->bytes, PART_BYTES);
    reader_stream_init(&p->stream);
    p->reader = reader_new();
    if (!p->reader || read_header(p)) {
        part_free(p);
        return NULL;
    }
    return p;
}

void part_free(struct part *p)
{
    if (!p)
        return;
    reader_stream_free(&p->stream);
    if (p->reader)
        reader_free(p->reader);
    buf_free(&p->bytes);
    free(p);
}

static int read_bytes(struct part *p, const struct item **out)
{
    struct error e;

    return reader_item_deep(p->reader, &p->stream, p->bytes.p, p->bytes.len, out, &e);
}

int part_read(struct part *p, const struct item *it, unsigned node, const struct buf *root,
              const struct item **out)
{
    static const struct buf none;
    int err;

    buf_free(&p->bytes);
    err = markup_open(&p->bytes, it, node);
    if (!err)
        err = markup_rest(&p->bytes, it, node, root ? root : &none, false);
    return err ? err : read_bytes(p, out);
}

int part_text(struct part *p, const char *xml, const struct item **out)
{
    int err;

    buf_free(&p->bytes);
    err = buf_str(&p->bytes, xml);
    return err ? err : read_bytes(p, out);
}

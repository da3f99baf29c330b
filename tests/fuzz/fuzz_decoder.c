/* fuzz_decoder: any bytes, in any pieces, with restarts between: every byte is recorded once and in
 * order, and whole or in pieces the items are the same.
 *
 * Input: the first byte chooses the pieces' size, 0xff bytes inside restart the stream.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../decoder/decoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct buf bytes; /* of all wire items, joined */
    uint64_t items, n;
    uint64_t digest; /* of the items' labels and lengths */
};

static void check(int ok)
{
    if (!ok)
        abort();
}

static void on_event(void *arg, struct event *ev)
{
    struct seen *s = arg;

    check(ev->n == ++s->n);
    if (ev->data && ev->kind != EVENT_EDIT)
        check(buf_add(&s->bytes, ev->data, ev->len) == 0);
    if (ev->kind != EVENT_STANZA && ev->kind != EVENT_STREAM)
        return;
    check(ev->label && ev->len > 0);
    s->items++;
    for (const char *p = ev->label; *p; p++)
        s->digest = s->digest * 31 + (unsigned char)*p;
    s->digest = s->digest * 31 + ev->len;
}

static void run(const char *p, size_t n, size_t piece, struct seen *s)
{
    struct decoder_options o = {.limits = {.tag_bytes = 300, .item_bytes = 2000, .depth = 8}};
    struct mark restart = {.kind = MARK_RESTART, .phase = PHASE_BOUND};
    struct mark end = {.kind = MARK_END, .u.end = {.phase = "", .detail = "", .account = ""}};
    struct reader *r = reader_new();
    struct decoder *d = decoder_new("fuzz-1", &o, r, on_event, s);

    check(d != NULL);
    while (n) {
        const char *mark = memchr(p, '\xff', n);
        size_t len = mark ? (size_t)(mark - p) : n;

        for (size_t at = 0; at < len; at += piece)
            decoder_data(d, DIR_C2S, 1, p + at, len - at < piece ? len - at : piece);
        if (mark)
            decoder_mark(d, 1, &restart);
        p += len + (mark != NULL);
        n -= len + (mark != NULL);
    }
    decoder_mark(d, 1, &end);
    decoder_free(d);
    reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data + 1;
    struct seen whole = {0}, pieces = {0};
    size_t at = 0;

    if (size < 2)
        return 0;
    buf_init(&whole.bytes, 1u << 20);
    buf_init(&pieces.bytes, 1u << 20);
    run(p, size - 1, size, &whole);
    run(p, size - 1, 1u + data[0] % 16, &pieces);
    for (size_t i = 0; i < size - 1; i++)
        if (p[i] != '\xff') {
            check(at < whole.bytes.len && whole.bytes.p[at] == p[i]);
            at++;
        }
    check(whole.bytes.len == at && pieces.bytes.len == at);
    check(at == 0 || memcmp(whole.bytes.p, pieces.bytes.p, at) == 0);
    check(whole.items == pieces.items && whole.digest == pieces.digest);
    buf_free(&whole.bytes);
    buf_free(&pieces.bytes);
    return 0;
}

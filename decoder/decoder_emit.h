/* decoder_emit.h: what a decoder is made of, and how it emits its events.
 *
 * For decoder.c alone, which reads; here is what becomes of white space and edits, whose places among
 * the other events must be kept. The decoder's thread.
 */
#ifndef XMPPTAP_DECODER_EMIT_H
#define XMPPTAP_DECODER_EMIT_H

#include "decoder.h"
#include "meaning.h"

#define SPACE_MAX 64

/* One direction. */
struct way {
    struct scan scan;
    struct reader_stream stream;
    struct inflate *inflate;  /* owned; NULL: the stream is not compressed */
    struct buf item;          /* the unfinished item's bytes */
    size_t likely;            /* what an item may have: in fewer bytes there is hardly a whole one */
    bool flawed;              /* its beginning has been recorded as a violation */
    bool raw;                 /* no stream any more: all bytes are recorded as a violation */
    bool raw_told;            /* the first of them have been */
    enum error_code raw_code; /* why */
    char raw_detail[ERROR_DETAIL_MAX];
    uint64_t raw_offset;
    uint64_t compressed;      /* bytes that came compressed */
    unsigned char space_len;  /* white space not yet recorded */
    char space[SPACE_MAX];
    int64_t space_us;
    char *edit_reason;        /* owned; the edit of what comes next, or NULL */
    uint64_t edit_left;       /* bytes that the edit still covers */
    struct buf edit_sent;
};

struct decoder {
    char *session; /* owned */
    struct reader *reader;
    decoder_emit *emit;
    void *arg;
    struct decoder_options options;
    struct way way[2];
    struct meaning meaning;
    bool compressed;          /* <compressed/> was said (XEP-0138): no marks come from there on */
    bool restarts;            /* the item at hand begins new streams, when all is done with it */
    uint64_t n;
    int64_t now_us;
};

/* An event of a wire item, with nothing in its union, which is most of its kilobyte and of no use to
 * such a one. */
void emit_begin(struct event *ev, enum event_kind kind, enum dir dir, const char *p, size_t n);

/* Numbered and given to the receiver, behind the white space that came before it. */
void emit_event(struct decoder *d, struct event *ev);

/* The same of a wire item that was `received` bytes long (before redaction). */
void emit_wire(struct decoder *d, struct event *ev, size_t received);

/* `bytes` of `dir` were not recorded. */
void emit_gap(struct decoder *d, enum dir dir, uint64_t bytes);

/* Bytes that cannot be read as an item; where a password may stand in them only their length is
 * kept. */
void emit_violation(struct decoder *d, enum dir dir, enum error_code code, uint64_t offset,
                    bool more, const char *detail, const char *p, size_t n);

/* The announced edit, behind the items it covers; `of`: the last of them, 0 if there is none. */
void emit_edit(struct decoder *d, enum dir dir, uint64_t of);

/* White space between items is gathered, and is an event when more of it does not come. */
void emit_add_space(struct decoder *d, enum dir dir, const char *p, size_t n);
void emit_space(struct decoder *d, enum dir dir);
void emit_space_first(struct decoder *d); /* of both directions, in its order */

#endif

/* agree.h: scanner and reader against expat in one piece (whole.h), and the quick reader against
 * expat behind the same interface. The contract:
 *
 * A stream is a row of tokens: header, items, close, and white space between them, which expat does
 * not tell and which is left out here. As long as neither side finds fault both find the same
 * tokens, with the same ends, elements, attributes, text and byte ranges, whatever the pieces.
 *
 * 1. Where expat has an error at a byte, the token that holds this byte is a violation to us, too:
 *    the reader refuses it with the same offset, or the scanner calls it flawed or bad, or it is
 *    unfinished when the bytes end (which is recorded as incomplete). No token before it is one.
 *    What the scanner frames behind an error cannot be compared.
 * 2. XMPP forbids what XML allows. A comment or an instruction makes its item flawed (between items
 *    it is an item), framing goes on and stays equal. These end the stream, the scanner is bad: a
 *    DTD; text, references or CDATA between items; a root that is empty; a comment, a second
 *    instruction or anything else before the root; anything but white space behind its end.
 * 3. Where we find a violation, expat has an error, or one of these, in the same token. Only what
 *    is over a cap of ours is nothing to expat; ends stay equal then.
 * 4. An item that the quick reader takes (reader_next(), which frames it too, and reader_item(),
 *    reader_item_deep()) is in every field what a strict reader makes of it, and ends where the
 *    scanner finds its end; what a strict reader refuses the other refuses with the same words.
 * 5. Bad may come earlier than expat's word, by as much as expat waits for the rest of the bytes.
 *
 * Kept differences: white space before the XML declaration, which expat refuses, is a token of its
 * own (a keepalive may precede a new stream's header). UTF-16, which expat would read, is bad. The
 * declared encoding is ignored on both sides, bytes are read as UTF-8.
 */
#ifndef XMPPTAP_AGREE_H
#define XMPPTAP_AGREE_H

#include "../../decoder/reader.h"
#include "../../decoder/scan.h"
#include "whole.h"

struct agree {
    const char *p; /* the stream, borrowed */
    size_t n;
    struct whole whole;
    struct reader *reader; /* borrowed */
    struct reader_stream stream;
    struct reader *expat; /* owned: a strict one */
    struct reader_stream expat_stream;
    struct scan scan;
    size_t at;       /* bytes fed */
    size_t token;    /* where the token begins that is now read */
    size_t quick;    /* items that the quick reader took */
    size_t met;      /* tokens of `whole` that were found again */
    bool headerless; /* the header was over a cap: nobody can read the items */
    bool over;       /* both found the same violation, or the scanner was first (5) */
    char why[256];   /* the disagreement, "" while there is none */
};

void agree_begin(struct agree *a, struct reader *r, const struct scan_limits *limits, const char *p,
                 size_t n);
void agree_end(struct agree *a);

/* Feeds up to `piece` bytes more; once all are fed, checks the end. False: they disagree, `why`. */
bool agree_feed(struct agree *a, size_t piece);

/* Is the header or item that begins at byte `base` what `w` found as its token `i`? Else `why`. */
bool agree_item(const struct item *it, const struct whole *w, size_t i, size_t base, char *why,
                size_t why_len);

#endif

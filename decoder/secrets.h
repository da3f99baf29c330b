/* secrets.h: the passwords and tokens that one session has shown, found wherever they stand again.
 *
 * One session's, embedded; the recorder's thread. At most SECRETS_MAX of them; memory is allocated
 * when the first is learnt and wiped when it is given back. Found in clear, with any of XML's
 * references and CDATA marks in it, in base64 (RFC 4648 §4, at each of the three alignments) and in
 * hexadecimal. Where no secret is known nothing is looked for.
 */
#ifndef XMPPTAP_SECRETS_H
#define XMPPTAP_SECRETS_H

#include <stdbool.h>
#include <stddef.h>

#include "fact_list.h"
#include "reader.h"

#define SECRETS_MAX 8
#define SECRET_MIN  6   /* shorter ones are masked only in their own places */
#define SECRET_MAX  256 /* of a longer one its end, without which it is worth nothing */
#define SECRET_WRITTEN_MAX (16u * SECRET_MAX) /* the longest way to write one that is looked for */

#define SECRETS_NAME_MAX 64

struct known; /* owned by its secrets */

struct secrets {
    struct known *known; /* NULL while there are none */
    struct range shown;  /* of the item at hand: a SASL message that may stand as it was sent */
    char name[SECRETS_NAME_MAX]; /* who logs in, without domain; "" while unknown */
};

void secrets_init(struct secrets *s);
void secrets_free(struct secrets *s); /* can be used again */

/* Remembers the secret `p`, unless it is the user's own name. When there are too many, a login's
 * takes the place of one that is no login's, else it is not learnt; nor is it without memory. `s`
 * may be NULL: nothing is learnt. */
void secrets_learn(struct secrets *s, const char *p, size_t n, bool login);

/* The name (or bare address) of who logs in. It is no secret: a password that is the same is masked
 * in its own places only, for elsewhere the mask would tell what it is. `s` may be NULL. */
void secrets_name(struct secrets *s, const char *p, size_t n);

/* Where in an item's XML a search stands: only texts and attributes' values are searched, so that
 * masking leaves well-formed what is. */
struct secrets_walk {
    bool raw;   /* these bytes are no XML: all of them are searched */
    bool tag, cdata;
    char quote; /* in a tag: the open attribute's quote, or 0 */
    unsigned steps; /* what the search has cost so far */
};

struct secrets_found {
    size_t from, to;
    bool cdata; /* it begins in a CDATA section */
};

/* The first known secret in [from, to) of `p`. The walk goes on behind it, or to `to`. */
bool secrets_find(const struct secrets *s, struct secrets_walk *w, const char *p, size_t from,
                  size_t to, struct secrets_found *found);

/* The search was given up: bytes made to look like secrets cost too much. What is behind its last
 * find is not searched, and must not be shown. */
bool secrets_lost(const struct secrets_walk *w);

/* Where at the end of [from, to) a known secret may have begun whose rest would come next; `to` if
 * nowhere. */
size_t secrets_begun(const struct secrets *s, const char *p, size_t from, size_t to);

/* A quick no, where false: no known secret can be found in these bytes, wherever texts and values
 * are in them. `plain`: they hold no reference and no CDATA section, so that a secret can only stand
 * as it is. */
bool secrets_may_hold(const struct secrets *s, const char *p, size_t n, bool plain);

/* Does a known secret stand in these bytes? */
bool secrets_hold(const struct secrets *s, const char *p, size_t n);

/* The reference (XML 1.0 §4.1, §4.6) at `p`: what it stands for in UTF-8; returns its length, or 0
 * if there is none that needs no declaration. */
size_t secrets_reference(const char *p, size_t n, char out[4], size_t *out_n);

/* Values that hold a known secret become REDACTED. */
void secrets_hide(const struct secrets *s, struct fact_list *l);

#endif

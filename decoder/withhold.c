#include "withhold.h"

#include <string.h>

#include "redact.h"

#define TAIL_MAX SECRET_WRITTEN_MAX
#define CHANCE   2 /* so many bytes like a secret's first ones are no sign of it: they may be shown */

void withhold_init(struct withhold *w)
{
    *w = (struct withhold){.suspect = false};
    buf_init(&w->tail, TAIL_MAX);
}

void withhold_free(struct withhold *w)
{
    if (w->tail.p)
        explicit_bzero(w->tail.p, w->tail.cap);
    buf_free(&w->tail);
    withhold_init(w);
}

bool withhold_suspects(const struct secrets *s, const char *p, size_t n)
{
    return redact_names(p, n) || secrets_hold(s, p, n);
}

/* Masks what is known in `all`, whose first `old` bytes were dealt with before, and what may be the
 * beginning of a known secret at its end. Returns 0 or an error. */
static int mask(struct withhold *w, const struct secrets *s, const struct buf *all, size_t old,
                struct buf *out)
{
    struct secrets_walk walk = {.raw = true};
    struct secrets_found found;
    size_t at = old, from = old - w->masked, begun;
    int err = 0;

    while (!err && secrets_find(s, &walk, all->p, from, all->len, &found)) {
        if (found.from > at)
            err = buf_add(out, all->p + at, found.from - at);
        if (!err && found.to > old)
            err = buf_str(out, REDACTED);
        from = found.to;
        at = from > at ? from : at;
    }
    if (!err && secrets_lost(&walk))
        err = ERR_CAP;
    begun = secrets_begun(s, all->p, from, all->len);
    w->masked = all->len - begun;
    if (all->len - begun <= CHANCE)
        begun = all->len;
    if (!err && begun > at)
        err = buf_add(out, all->p + at, begun - at);
    if (!err && begun < all->len)
        err = buf_str(out, REDACTED);
    return err;
}

/* Keeps the end of `all`: what is masked of it, and where the word may begin. */
static int keep_tail(struct withhold *w, const struct buf *all)
{
    size_t n = w->masked > REDACT_NAME_MAX ? w->masked : REDACT_NAME_MAX;

    n = n < all->len ? n : all->len;
    w->tail.len = 0;
    return buf_add(&w->tail, all->p + all->len - n, n);
}

bool withhold_bytes(struct withhold *w, const struct secrets *s, bool more, const char *p, size_t n,
                    struct buf *out)
{
    struct buf all;
    size_t old;
    int err;

    if (!more)
        withhold_free(w);
    old = w->tail.len;
    buf_init(&all, old + n);
    err = buf_add(&all, w->tail.p, old);
    if (!err)
        err = buf_add(&all, p, n);
    if (!err && redact_names(all.p, all.len))
        w->suspect = true;
    if (!err && all.len && !w->suspect)
        err = mask(w, s, &all, old, out);
    if (!err && all.len && !w->suspect)
        err = keep_tail(w, &all);
    if (err)
        w->suspect = true; /* what is missing might have named one */
    if (all.p)
        explicit_bzero(all.p, all.len);
    buf_free(&all);
    return !w->suspect;
}

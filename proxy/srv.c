#include "srv.h"

#include <string.h>

static bool is_none(const struct srv *s)
{
    return s->host[0] == '\0' || strcmp(s->host, ".") == 0;
}

bool srv_refused(const struct srv *s, size_t n)
{
    return n == 1 && is_none(s);
}

size_t srv_usable(struct srv *s, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (!is_none(&s[i]) && s[i].port)
            s[kept++] = s[i];
    return kept;
}

/* The record moves to the front, those before it keep their order. */
static void to_front(struct srv *s, size_t at)
{
    struct srv chosen = s[at];

    memmove(s + 1, s, at * sizeof *s);
    s[0] = chosen;
}

/* RFC 2782, "Weight": a running sum over the records that are left, those of weight 0 first, and a
 * number up to the sum picks the next one. Those of weight 0 are picked when it is 0, or alone. */
static size_t pick(const struct srv *s, size_t n, srv_random *rnd, void *arg)
{
    uint32_t sum = 0, at;

    for (size_t i = 0; i < n; i++)
        sum += s[i].weight;
    at = rnd(arg, sum);
    sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += s[i].weight;
        if (sum >= at)
            return i;
    }
    return n - 1;
}

static void weigh(struct srv *s, size_t n, srv_random *rnd, void *arg)
{
    size_t zeros = 0;

    for (size_t i = 0; i < n; i++)
        if (s[i].weight == 0) {
            to_front(s + zeros, i - zeros);
            zeros++;
        }
    for (; n > 1; s++, n--)
        to_front(s, pick(s, n, rnd, arg));
}

void srv_order(struct srv *s, size_t n, srv_random *rnd, void *arg)
{
    size_t begin = 0;

    /* Insertion keeps equals in their order; a set has a handful of records. */
    for (size_t i = 1; i < n; i++) {
        size_t to = i;

        while (to > 0 && s[to - 1].priority > s[i].priority)
            to--;
        to_front(s + to, i - to);
    }
    for (size_t i = 1; i <= n; i++)
        if (i == n || s[i].priority != s[begin].priority) {
            weigh(s + begin, i - begin, rnd, arg);
            begin = i;
        }
}

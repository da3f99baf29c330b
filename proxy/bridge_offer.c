#include "bridge_offer.h"

#include <string.h>

#include "../decoder/scan.h"

#define NS_SASL  "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL2 "urn:xmpp:sasl:2"
#define NS_CB    "urn:xmpp:sasl-cb:0"

static const struct {
    const char *name;
    bool scram, plus;
    enum scram_hash hash;
} mechanisms[] = {
    [MECHANISM_SHA_512_PLUS] = {"SCRAM-SHA-512-PLUS", true, true, SCRAM_SHA_512},
    [MECHANISM_SHA_256_PLUS] = {"SCRAM-SHA-256-PLUS", true, true, SCRAM_SHA_256},
    [MECHANISM_SHA_1_PLUS] = {"SCRAM-SHA-1-PLUS", true, true, SCRAM_SHA_1},
    [MECHANISM_SHA_512] = {"SCRAM-SHA-512", true, false, SCRAM_SHA_512},
    [MECHANISM_SHA_256] = {"SCRAM-SHA-256", true, false, SCRAM_SHA_256},
    [MECHANISM_SHA_1] = {"SCRAM-SHA-1", true, false, SCRAM_SHA_1},
    [MECHANISM_PLAIN] = {"PLAIN", false, false, SCRAM_SHA_1},
};

const char *mechanism_name(enum mechanism m)
{
    return mechanisms[m].name;
}

enum mechanism mechanism_by_name(const char *name)
{
    int i = 0;

    while (i < MECHANISMS && strcmp(mechanisms[i].name, name) != 0)
        i++;
    return (enum mechanism)i;
}

bool mechanism_is_plus(enum mechanism m)
{
    return mechanisms[m].plus;
}

bool mechanism_hash(enum mechanism m, enum scram_hash *hash)
{
    *hash = mechanisms[m].hash;
    return mechanisms[m].scram;
}

bool offer_has(const struct offer *o, enum mechanism m)
{
    for (unsigned i = 0; i < o->count; i++)
        if (o->list[i] == m)
            return true;
    return false;
}

bool offer_has_plus(const struct offer *o)
{
    for (unsigned i = 0; i < o->count; i++)
        if (mechanisms[o->list[i]].plus)
            return true;
    return false;
}

/* ---- the features, child by child ---- */

/* A server may offer more than the reader describes of one item, so each feature is read alone: to
 * the scanner <features> is the header of a stream. */
struct children {
    struct scan scan;
    struct reader *reader;
    struct reader_stream *st;
    const char *p, *end;
};

enum child_kind { CHILD_NONE, CHILD_OTHER, CHILD_MECHANISMS, CHILD_TYPES, CHILD_SASL2 };

static const struct {
    const char *ns, *name;
    enum child_kind kind;
} kinds[] = {
    {NS_SASL, "mechanisms", CHILD_MECHANISMS},
    {NS_CB, "sasl-channel-binding", CHILD_TYPES},
    {NS_SASL2, "authentication", CHILD_SASL2},
};

struct child {
    enum child_kind kind;
    const char *p;
    size_t n;
    const struct item *it; /* not of CHILD_OTHER and CHILD_NONE */
};

static void children_begin(struct children *c, struct reader *reader, struct reader_stream *st,
                           const char *p, size_t n)
{
    *c = (struct children){.reader = reader, .st = st, .p = p, .end = p + n};
    scan_init(&c->scan, NULL);
}

/* The next piece of the features: a feature we know, or anything else. CHILD_NONE: it was the last.
 * A feature that cannot be read alone (its prefix is declared on <features>) is none of ours. */
static int children_next(struct children *c, struct child *child)
{
    enum scan_what what;
    int err;

    *child = (struct child){.p = c->p};
    if (c->p == c->end)
        return 0;
    what = scan_next(&c->scan, c->p, (size_t)(c->end - c->p), &child->n);
    if (what == SCAN_MORE || what == SCAN_BAD)
        child->n = (size_t)(c->end - c->p);
    c->p += child->n;
    child->kind = CHILD_OTHER;
    if (what != SCAN_ITEM)
        return 0;
    err = reader_item(c->reader, c->st, child->p, child->n, &child->it, NULL);
    if (err)
        return err == ERR_NOMEM ? err : 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (item_is(child->it, 0, kinds[i].ns, kinds[i].name))
            child->kind = kinds[i].kind;
    return 0;
}

/* ---- reading ---- */

static void read_mechanisms(struct offer *o, const struct item *it)
{
    for (unsigned i = 1; i < it->nodes; i++) {
        enum mechanism m = it->node[i].depth == 2 && item_is(it, i, NS_SASL, "mechanism")
                               ? mechanism_by_name(it->node[i].text)
                               : MECHANISMS;

        if (m < MECHANISMS && !offer_has(o, m))
            o->list[o->count++] = m;
    }
    o->any = true;
}

static void read_types(struct offer *o, const struct item *it)
{
    for (unsigned i = 1; i < it->nodes; i++) {
        const char *name = item_attr(it, i, "type");
        enum cb_type type = name ? cb_by_name(name) : CB_TYPES;

        if (type < CB_TYPES)
            o->types[type] = true;
    }
    o->types_told = true;
}

int offer_read(struct offer *o, struct reader *reader, struct reader_stream *st, const char *p,
               size_t n)
{
    struct children c;
    struct child child;
    int err;

    *o = (struct offer){0};
    children_begin(&c, reader, st, p, n);
    while ((err = children_next(&c, &child)) == 0 && child.kind != CHILD_NONE) {
        if (child.kind == CHILD_MECHANISMS)
            read_mechanisms(o, child.it);
        else if (child.kind == CHILD_TYPES)
            read_types(o, child.it);
    }
    return err;
}

/* ---- writing ---- */

static int write_mechanisms(const struct offer *o, struct buf *out)
{
    int err = o->count ? buf_str(out, "<mechanisms xmlns='" NS_SASL "'>") : 0;

    for (unsigned i = 0; i < o->count && !err; i++)
        err = buf_printf(out, "<mechanism>%s</mechanism>", mechanisms[o->list[i]].name);
    if (!err && o->count)
        err = buf_str(out, "</mechanisms>");
    return err;
}

static int write_types(const struct offer *o, struct buf *out)
{
    bool open = false;
    int err = 0;

    for (int t = 0; t < CB_TYPES && !err; t++) {
        if (!o->types[t])
            continue;
        if (!open)
            err = buf_str(out, "<sasl-channel-binding xmlns='" NS_CB "'>");
        open = true;
        if (!err)
            err = buf_printf(out, "<channel-binding type='%s'/>", cb_name((enum cb_type)t));
    }
    if (!err && open)
        err = buf_str(out, "</sasl-channel-binding>");
    return err;
}

int offer_write(const struct offer *o, struct reader *reader, struct reader_stream *st,
                const char *p, size_t n, struct buf *out)
{
    struct children c;
    struct child child;
    int err;

    children_begin(&c, reader, st, p, n);
    while ((err = children_next(&c, &child)) == 0 && child.kind != CHILD_NONE) {
        switch (child.kind) {
        case CHILD_MECHANISMS:
            err = write_mechanisms(o, out);
            break;
        case CHILD_TYPES:
            err = write_types(o, out);
            break;
        case CHILD_OTHER:
            err = buf_add(out, child.p, child.n);
            break;
        case CHILD_SASL2:
        case CHILD_NONE:
            break;
        }
        if (err)
            return err;
    }
    return err;
}

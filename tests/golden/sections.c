#include "sections.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../logs/explain.h"
#include "../../logs/transcript.h"
#include "case.h"

/* ---- transcript ---- */

struct sink *section_transcript(int *fd)
{
    struct transcript_options o = {.language = LABELS_EN};
    struct out *out;

    *fd = memfd_create("transcript", MFD_CLOEXEC);
    out = *fd < 0 ? NULL : out_new(*fd, false, OUT_WAIT, 0);
    return out ? transcript_new(out, &o, 0) : NULL;
}

int section_transcript_end(struct sink *s, int fd, struct buf *out)
{
    int err = s->close(s);
    off_t size = lseek(fd, 0, SEEK_END);

    if (!err)
        err = buf_reserve(out, (size_t)size);
    if (!err && pread(fd, out->p + out->len, (size_t)size, 0) != size)
        err = ERR_IO;
    if (!err)
        out->len += (size_t)size;
    close(fd);
    return err;
}

static int write_transcript(struct buf *out, const struct event *ev, size_t n)
{
    int fd, err = 0;
    struct sink *s = section_transcript(&fd);

    if (!s)
        return ERR_NOMEM;
    for (size_t i = 0; i < n && !err; i++)
        err = s->event(s, &ev[i]);
    return err ? err : section_transcript_end(s, fd, out);
}

/* ---- events: a line each, fields parted by tabs ---- */

/* A line under way; the first failure stays. */
struct row {
    struct buf *b;
    int err;
};

static void put_bytes(struct row *r, const char *before, const char *name, const char *p, size_t n)
{
    if (!r->err)
        r->err = buf_printf(r->b, "\t%s%s=", before, name);
    if (!r->err)
        r->err = case_escape(r->b, p, n);
}

/* Empty ones are left out. */
static void put_text(struct row *r, const char *name, const char *s)
{
    if (s && *s)
        put_bytes(r, "", name, s, strlen(s));
}

static void put_count(struct row *r, const char *name, uint64_t n)
{
    if (n && !r->err)
        r->err = buf_printf(r->b, "\t%s=%" PRIu64, name, n);
}

static void put_facts(struct row *r, const char *before, const struct event_fact *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        put_bytes(r, before, f[i].name, f[i].value, strlen(f[i].value));
}

static void put_wire(struct row *r, const struct event *ev)
{
    if (!r->err)
        r->err = buf_printf(r->b, "\t%s\t%s", dir_name(ev->dir), ev->label ? ev->label : "-");
    put_count(r, "re", ev->re);
    put_text(r, "type", ev->type);
    put_text(r, "ns", ev->ns);
    if (ev->kind == EVENT_VIOLATION) {
        put_text(r, "code", error_name(ev->u.violation.code));
        put_count(r, "offset", ev->u.violation.offset);
        put_count(r, "more", ev->u.violation.more);
        put_text(r, "detail", ev->u.violation.detail);
    }
    if (ev->kind == EVENT_VIOLATION || ev->kind == EVENT_SPACE)
        put_count(r, "bytes", ev->len);
    put_count(r, "withheld", ev->withheld);
    put_facts(r, "", ev->fact, ev->facts);
    put_facts(r, "!", ev->remark, ev->remarks);
}

static void put_session(struct row *r, const struct event_session *s)
{
    put_text(r, "client", s->client);
    put_text(r, "listen", s->listen);
    put_text(r, "upstream", s->upstream);
}

static void put_tls(struct row *r, const struct event_tls *t)
{
    put_text(r, "side", side_name(t->side));
    put_text(r, "ok", t->ok ? "true" : "false");
    put_text(r, "version", t->version);
    put_text(r, "sni", t->sni);
    put_text(r, "verify", t->verify);
    put_text(r, "error", t->error);
    put_text(r, "kind", t->kind);
}

static void put_edit(struct row *r, const struct event *ev)
{
    put_text(r, "dir", dir_name(ev->dir));
    put_count(r, "of", ev->u.edit.of);
    put_text(r, "reason", ev->u.edit.reason);
    put_bytes(r, "", "sent", ev->u.edit.sent, ev->u.edit.sent_len);
    put_facts(r, "", ev->fact, ev->facts);
}

static void put_requests(struct row *r, const char *name, const struct event_request *q, unsigned n)
{
    for (unsigned i = 0; i < n && !r->err; i++) {
        if (i == 0)
            r->err = buf_printf(r->b, "\t%s=%" PRIu64, name, q[i].n);
        else
            r->err = buf_printf(r->b, ",%" PRIu64, q[i].n);
    }
}

static void put_end(struct row *r, const struct event_end *e)
{
    put_text(r, "by", side_name(e->by));
    put_text(r, "reason", error_name(e->code));
    put_text(r, "phase", e->phase);
    put_text(r, "detail", e->detail);
    put_text(r, "verdict", e->verdict);
    put_text(r, "account", e->account);
    put_text(r, "mechanism", e->mechanism);
    put_text(r, "resumes", e->resumes);
    put_count(r, "unanswered", e->unanswered);
    put_requests(r, "open", e->open, e->opens);
    put_requests(r, "slow", e->slow, e->slows);
    for (int i = 0; i < 2 && !r->err; i++)
        r->err = buf_printf(r->b, "\t%s=%" PRIu64 " bytes, %" PRIu64 " stanzas",
                            dir_name((enum dir)i), e->count[i].bytes, e->stanzas[i]);
}

static void put_kind(struct row *r, const struct event *ev)
{
    switch (ev->kind) {
    case EVENT_SESSION:
        put_session(r, &ev->u.session_facts);
        break;
    case EVENT_TLS:
        put_tls(r, &ev->u.tls);
        break;
    case EVENT_STREAM:
    case EVENT_STANZA:
    case EVENT_SPACE:
    case EVENT_VIOLATION:
        put_wire(r, ev);
        break;
    case EVENT_EDIT:
        put_edit(r, ev);
        break;
    case EVENT_GAP:
        put_text(r, "dir", dir_name(ev->dir));
        put_count(r, "bytes", ev->u.gap.bytes);
        break;
    case EVENT_END:
        put_end(r, &ev->u.end);
        break;
    case EVENT_KINDS:
        break;
    }
}

static int write_events(struct buf *out, const struct event *ev, size_t n)
{
    struct row r = {out, 0};

    for (size_t i = 0; i < n && !r.err; i++) {
        r.err = buf_printf(out, "%" PRIu64 "\t%s", ev[i].n, event_name(ev[i].kind));
        put_kind(&r, &ev[i]);
        if (!r.err)
            r.err = buf_str(out, "\n");
    }
    return r.err;
}

/* ---- the table ---- */

/* ---- explain ---- */

static int add_text(void *arg, const char *p, size_t n)
{
    return buf_add(arg, p, n);
}

static int write_explain(struct buf *out, const struct event *ev, size_t n)
{
    struct sink *s = explain_new(LABELS_EN, add_text, out);
    int err = 0;

    if (!s)
        return ERR_NOMEM;
    for (size_t i = 0; i < n && !err; i++)
        err = s->event(s, &ev[i]);
    return err ? err : s->close(s);
}

const struct section sections[] = {
    {"transcript", write_transcript},
    {"events", write_events},
    {"explain", write_explain},
    {NULL, NULL},
};

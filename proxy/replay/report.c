#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../decoder/labels.h"
#include "../../logs/json.h"
#include "../../logs/xml_lines.h"
#include "even.h"
#include "report_writing.h"

#define LINE_BYTES  (256u << 20) /* an item, each byte six in JSON; twice */
#define INDENT      "         "
#define NUMBERS_MAX 12 /* of skipped items that are named */

/* ---- one entry ---- */

void report_add(struct writing *w, int err)
{
    if (err && !w->err)
        w->err = err;
}

static void add_text(struct writing *w, const char *s)
{
    report_add(w, buf_str(&w->line, s));
}

static void add_json(struct writing *w, const char *name, const char *p, size_t n)
{
    report_add(w, buf_printf(&w->line, "%s\"%s\":", w->line.len > 1 ? "," : "", name));
    report_add(w, json_string_write(&w->line, p, n));
}

static void add_json_text(struct writing *w, const char *name, const char *s)
{
    if (s && *s)
        add_json(w, name, s, strlen(s));
}

static void end_line(struct writing *w)
{
    add_text(w, "\n");
    if (!w->err && fwrite(w->line.p, 1, w->line.len, w->to) != w->line.len)
        w->err = ERR_IO;
    w->line.len = 0;
}

static void add_json_lines(struct writing *w, const char *lines, size_t n, bool *first)
{
    for (const char *p = lines, *end = lines + n; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline ? newline : end;

        add_text(w, *first ? ",\"differences\":[" : ",");
        *first = false;
        report_add(w, json_string_write(&w->line, p, (size_t)(stop - p)));
        p = stop + 1;
    }
}

static void write_json(struct writing *w, const struct entry *e)
{
    bool first = true;

    add_text(w, "{");
    add_json_text(w, "what", e->what);
    add_json_text(w, "verdict", e->verdict);
    if (e->n)
        report_add(w, buf_printf(&w->line, ",\"n\":%" PRIu64, e->n));
    add_json_text(w, "label", e->label);
    add_json_text(w, "name", e->name);
    add_json_text(w, "words", e->words);
    if (e->diff)
        add_json_lines(w, e->diff->lines.p ? e->diff->lines.p : "", e->diff->lines.len, &first);
    if (e->more)
        add_json_lines(w, e->more, strlen(e->more), &first);
    if (!first)
        add_text(w, "]");
    if (e->captured_len)
        add_json(w, "captured", e->captured, e->captured_len);
    if (e->live_len)
        add_json(w, "live", e->live, e->live_len);
    add_text(w, "}");
    end_line(w);
}

static void add_lines(struct writing *w, const char *lines, size_t n)
{
    for (const char *p = lines, *end = lines + n; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline ? newline : end;

        add_text(w, INDENT);
        report_add(w, buf_add(&w->line, p, (size_t)(stop - p)));
        end_line(w);
        p = stop + 1;
    }
}

static void write_words(struct writing *w, const struct entry *e)
{
    report_add(w, buf_printf(&w->line, "%-8s ", e->verdict));
    if (e->n)
        report_add(w, buf_printf(&w->line, "#%" PRIu64 " ", e->n));
    report_add(w, xml_lines_inline(&w->line, e->name, strlen(e->name)));
    if (e->words && *e->words)
        report_add(w, buf_printf(&w->line, ": %s", e->words));
    end_line(w);
    if (e->diff && e->diff->lines.len)
        add_lines(w, e->diff->lines.p, e->diff->lines.len);
    if (e->more)
        add_lines(w, e->more, strlen(e->more));
}

void report_entry(struct writing *w, const struct entry *e)
{
    if (w->o->json)
        write_json(w, e);
    else
        write_words(w, e);
}

/* ---- comparing ---- */

/* Both as trees, evened out. False: one cannot be read. */
bool report_read(struct writing *w, const char *captured, size_t captured_len, const char *live,
                 size_t live_len)
{
    const struct buf *a = &w->plan->header, *b = &w->r->header;
    int err = captured ? tree_read(&w->captured, a->p, a->len, captured, captured_len) : 0;

    if (!err && live)
        err = tree_read(&w->live, b->p, b->len, live, live_len);
    if (err == ERR_NOMEM)
        report_add(w, err);
    if (err)
        return false;
    if (captured)
        even_tree(&w->captured, &w->plan->names);
    if (live)
        even_tree(&w->live, &w->r->names);
    return true;
}

/* Compares the entry's two items and writes it. True: they are the same. */
bool report_compared(struct writing *w, const struct entry *about)
{
    struct entry e = *about;
    struct diff d;
    bool same;

    diff_init(&d);
    e.diff = &d;
    if (!report_read(w, e.captured, e.captured_len, e.live, e.live_len)) {
        same = e.captured_len == e.live_len && memcmp(e.captured, e.live, e.live_len) == 0;
        e.more = same ? "" : "one of them cannot be read\n";
    } else {
        report_add(w, diff_items(&w->captured, &w->live, &d));
        same = d.count == 0;
    }
    e.verdict = same ? "same" : "differs";
    report_entry(w, &e);
    diff_free(&d);
    return same;
}

static void count(struct writing *w, bool same)
{
    if (same)
        w->counts->same++;
    else
        w->counts->differ++;
}

/* ---- the head, the features, the login ---- */

/* Nothing where it is not known. */
static void add_captured(struct writing *w, const char *before, const char *s)
{
    if (!*s)
        return;
    add_text(w, before);
    report_add(w, xml_lines_inline(&w->line, s, strlen(s)));
}

static void write_head(struct writing *w)
{
    const struct plan *p = w->plan;
    time_t t = (time_t)(p->begin_us / 1000000);
    char when[40] = "";
    struct tm tm;

    if (w->o->json)
        return;
    if (gmtime_r(&t, &tm))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    add_text(w, "replay of ");
    report_add(w, xml_lines_inline(&w->line, p->session, strlen(p->session)));
    report_add(w, buf_printf(&w->line, ", captured %s", when));
    add_captured(w, " at ", p->upstream);
    add_captured(w, " as ", p->names.bare);
    report_add(w, buf_printf(&w->line, ", against %s", w->o->target));
    add_captured(w, " as ", w->r->names.bare);
    end_line(w);
}

static const char *const stages[STAGES] = {
    [STAGE_OPEN] = "features before TLS",
    [STAGE_LOGIN] = "features before the login",
    [STAGE_BOUND] = "features behind the login",
};

/* Where TLS stands from the first byte nothing is offered before it: that is UPSTREAM's choice, and
 * no answer that differs. */
static void write_features(struct writing *w, enum plan_stage stage)
{
    const struct plan_bytes *a = &w->plan->features[stage], *b = &w->r->features[stage];
    struct entry e = {.what = "features",
                      .name = stages[stage],
                      .n = a->n,
                      .captured = a->len ? w->plan->bytes.p + a->at : NULL,
                      .captured_len = a->len,
                      .live = b->len ? w->r->kept.p + b->at : NULL,
                      .live_len = b->len};

    if (a->len && b->len) {
        count(w, report_compared(w, &e));
        return;
    }
    if (stage == STAGE_OPEN || (!a->len && !b->len) ||
        (stage == STAGE_BOUND && !w->plan->logged_in))
        return;
    e.verdict = b->len ? "differs" : "missing";
    e.more = b->len ? "captured: none\n" : "live: none\n";
    if (b->len)
        w->counts->differ++;
    else
        w->counts->missing++;
    report_entry(w, &e);
}

/* How each came in is its own matter; that it did is not. */
static void write_login(struct writing *w)
{
    const struct plan *p = w->plan;
    const char *mechanism = *p->mechanism ? p->mechanism : "nothing";
    struct entry e = {.what = "login", .name = "the login"};
    struct buf words;

    buf_init(&words, 4096);
    report_add(w, buf_str(&words, "captured "));
    report_add(w, xml_lines_inline(&words, mechanism, strlen(mechanism)));
    if (!p->logged_in) {
        report_add(w, buf_str(&words, *p->failure ? ", refused: " : ", not finished"));
        report_add(w, xml_lines_inline(&words, p->failure, strlen(p->failure)));
    }
    report_add(w, buf_printf(&words, ", live %s", w->r->mechanism));
    report_add(w, buf_add(&words, "", 1));
    e.words = words.p;
    e.verdict = p->logged_in ? "same" : "differs";
    w->counts->differ += !p->logged_in;
    report_entry(w, &e);
    buf_free(&words);
}

/* ---- answers ---- */

/* What the item is called, to `out`. */
const char *report_name(struct writing *w, const struct plan_item *x, char *out, size_t size)
{
    const struct label *l = x->label ? label_by_id(x->label) : NULL;
    const char *type = NULL, *ns = NULL;
    struct tree t;
    uint32_t payload;

    snprintf(out, size, "%s", l ? label_text(l, LABELS_EN) : "item");
    if (!l || !label_is_other(l))
        return out;
    tree_init(&t);
    if (tree_read(&t, NULL, 0, w->plan->bytes.p + x->at, x->len) == 0) {
        payload = tree_find(&t, 0, NULL, NULL);
        type = tree_value(&t, 0, "type");
        ns = payload == TREE_NONE ? NULL : t.node[payload].ns;
    }
    label_other_text(l, x->dir, type, ns, LABELS_EN, out, size);
    tree_free(&t);
    return out;
}

/* "result": the answer in short; "no answer" where there is none. */
static void add_answer(struct writing *w, struct buf *out, const struct tree *t)
{
    report_add(w, t->nodes ? diff_name_answer(t, out) : buf_str(out, "no answer"));
}

/* Only one side has it. */
static void write_one_sided(struct writing *w, struct entry *e, const struct replay_outcome *o)
{
    struct buf more;

    buf_init(&more, 4096);
    tree_free(&w->captured);
    tree_free(&w->live);
    report_read(w, e->captured, e->captured_len, e->live, e->live_len);
    report_add(w, buf_str(&more, "captured "));
    add_answer(w, &more, &w->captured);
    report_add(w, buf_str(&more, ", live "));
    if (!o->sent)
        report_add(w, buf_str(&more, "not asked: the session ended before"));
    else
        add_answer(w, &more, &w->live);
    if (o->sent && o->late)
        report_add(w, buf_printf(&more, " within %u s", w->r->o->wait_s));
    report_add(w, buf_add(&more, "\n", 2)); /* with its NUL */
    e->more = more.p ? more.p : "";
    report_entry(w, e);
    buf_free(&more);
}

static void write_answer(struct writing *w, size_t i)
{
    const struct plan_item *x = &w->plan->item[i];
    const struct replay_outcome *o = &w->r->outcome[i];
    const struct plan_item *a = x->answer == PLAN_NONE ? NULL : &w->plan->item[x->answer];
    char name[300];
    struct entry e = {.what = "answer", .n = x->n, .label = x->label};

    e.name = report_name(w, x, name, sizeof name);
    if (a) {
        e.captured = w->plan->bytes.p + a->at;
        e.captured_len = a->len;
    }
    if (o->answer.len) {
        e.live = w->r->kept.p + o->answer.at;
        e.live_len = o->answer.len;
    }
    if (e.captured_len && e.live_len) {
        count(w, report_compared(w, &e));
    } else if (e.captured_len) {
        e.verdict = "missing";
        w->counts->missing++;
        write_one_sided(w, &e, o);
    } else if (e.live_len) {
        e.verdict = "differs";
        w->counts->differ++;
        write_one_sided(w, &e, o);
    }
}

static void write_answers(struct writing *w)
{
    for (size_t i = 0; i < w->plan->items && !w->err; i++) {
        const struct plan_item *x = &w->plan->item[i];

        if (x->dir == DIR_C2S && x->kind == PLAN_REQUEST && !x->skip)
            write_answer(w, i);
    }
}

/* ---- what was not played ---- */

static const char *why_not(const struct writing *w, size_t i)
{
    const struct plan_item *x = &w->plan->item[i];

    if (x->dir == DIR_S2C)
        return NULL;
    return x->skip ? plan_skip_words(x->skip) : w->r->outcome[i].why;
}

/* All that were not played because of `why`, in one line. */
static void write_skipped(struct writing *w, const char *why)
{
    struct entry e = {.verdict = "skipped", .what = "item", .words = why};
    struct buf numbers;
    size_t n = 0;

    buf_init(&numbers, 4096);
    for (size_t i = 0; i < w->plan->items; i++) {
        if (why_not(w, i) != why)
            continue;
        if (n++ < NUMBERS_MAX)
            report_add(w,
                       buf_printf(&numbers, "%s#%" PRIu64, n > 1 ? ", " : "", w->plan->item[i].n));
    }
    if (n > NUMBERS_MAX)
        report_add(w, buf_printf(&numbers, " and %zu more", n - NUMBERS_MAX));
    report_add(w, buf_add(&numbers, "", 1));
    w->counts->skipped += n;
    e.name = numbers.p ? numbers.p : "";
    report_entry(w, &e);
    buf_free(&numbers);
}

/* Reasons are static and few: each is told once. */
static void write_all_skipped(struct writing *w)
{
    const char *told[SKIPS + 1] = {NULL};
    size_t n = 0;

    for (size_t i = 0; i < w->plan->items && !w->err && n <= SKIPS; i++) {
        const char *why = why_not(w, i);
        size_t k = 0;

        while (k < n && told[k] != why)
            k++;
        if (!why || k < n)
            continue;
        told[n++] = why;
        write_skipped(w, why);
    }
}

/* ---- the summary ---- */

static void write_summary(struct writing *w)
{
    const struct report *c = w->counts;

    if (w->o->json) {
        report_add(w,
                   buf_printf(&w->line,
                              "{\"what\":\"summary\",\"same\":%zu,\"differ\":%zu,\"missing\":%zu,"
                              "\"skipped\":%zu,\"pushes_same\":%zu,\"pushes_differ\":%zu,"
                              "\"only_captured\":%zu,\"only_live\":%zu}",
                              c->same, c->differ, c->missing, c->skipped, c->pushes_same,
                              c->pushes_differ, c->only_captured, c->only_live));
        end_line(w);
        return;
    }
    if (w->plan->gap) {
        add_text(
            w,
            "note     bytes are missing in the capture (a gap): what stood in them was not played");
        end_line(w);
    }
    report_add(w, buf_printf(&w->line, "%zu answers the same, %zu differ, %zu missing", c->same,
                             c->differ, c->missing));
    if (c->pushes_same + c->pushes_differ + c->only_captured + c->only_live)
        report_add(w, buf_printf(&w->line,
                                 "; unasked: %zu the same, %zu differ, %zu only captured, %zu only "
                                 "live",
                                 c->pushes_same, c->pushes_differ, c->only_captured, c->only_live));
    if (c->skipped)
        report_add(w, buf_printf(&w->line, "; %zu skipped", c->skipped));
    end_line(w);
}

int report_write(const struct replayer *r, const struct report_options *o, FILE *to,
                 struct report *counts)
{
    struct writing w = {.r = r, .plan = r->o->plan, .o = o, .counts = counts, .to = to};

    *counts = (struct report){0};
    buf_init(&w.line, LINE_BYTES);
    tree_init(&w.captured);
    tree_init(&w.live);
    write_head(&w);
    write_features(&w, STAGE_OPEN);
    write_features(&w, STAGE_LOGIN);
    write_login(&w);
    write_features(&w, STAGE_BOUND);
    write_answers(&w);
    report_pushes(&w);
    write_all_skipped(&w);
    write_summary(&w);
    if (!w.err && fflush(to))
        w.err = ERR_IO;
    tree_free(&w.captured);
    tree_free(&w.live);
    buf_free(&w.line);
    return w.err;
}

bool report_all_same(const struct report *c)
{
    return !c->differ && !c->missing && !c->pushes_differ && !c->only_captured && !c->only_live;
}

/* script_tests.h: sessions as text, decoded, and what became of their items, as text again.
 * Included by one test file at a time.
 *
 * A script has a line for each thing that happens, which begins with the number of the session
 * (1 to 4) and what it is: `c` or `s`, what the client or the server sends; `t` or `b`, a new
 * stream behind TLS or behind the login; `g` or `h`, bytes of the client or the server were lost;
 * `e`, the end. `+` and a number: so many microseconds go by; with every other line it is 10.
 */
#ifndef XMPPTAP_SCRIPT_TESTS_H
#define XMPPTAP_SCRIPT_TESTS_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../decoder/decoder.h"
#include "../../decoder/sm.h"

#define SCRIPT_SESSIONS 4

struct script {
    struct reader *reader;
    struct sm_table *table;
    struct decoder *decoder[SCRIPT_SESSIONS + 1];
    bool opened[SCRIPT_SESSIONS + 1]; /* its streams are */
    bool quiet;                       /* nothing is logged */
    int64_t now_us;
    bool facts;     /* are shown, too */
    struct buf log; /* a line an event */
};

static inline void script_add(struct script *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline void script_add(struct script *s, const char *fmt, ...)
{
    char text[4096];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    assert_int_equal(buf_str(&s->log, text), 0);
}

static inline void script_item(struct script *s, const struct event *ev)
{
    script_add(s, " %s %s", dir_name(ev->dir), ev->label);
    if (ev->re)
        script_add(s, " re %d +%d", (int)ev->re, (int)ev->wait_us);
    for (unsigned i = 0; s->facts && i < ev->facts; i++)
        script_add(s, " %s=%s", ev->fact[i].name, ev->fact[i].value);
    for (unsigned i = 0; i < ev->remarks; i++)
        script_add(s, " ! %s: %s", ev->remark[i].name, ev->remark[i].value);
}

static inline void script_end(struct script *s, const struct event_end *end)
{
    if (*end->resumes)
        script_add(s, " resumes %s", end->resumes);
    script_add(s, " unanswered %d:", (int)end->unanswered);
    for (unsigned i = 0; i < end->opens; i++)
        script_add(s, " %d+%d", (int)end->open[i].n, (int)end->open[i].us);
    script_add(s, " slow:");
    for (unsigned i = 0; i < end->slows; i++)
        script_add(s, " %d+%d", (int)end->slow[i].n, (int)end->slow[i].us);
}

static inline void script_event(void *arg, struct event *ev)
{
    struct script *s = arg;

    if (s->quiet)
        return;
    script_add(s, "%s#%d", ev->session, (int)ev->n);
    if (ev->kind == EVENT_END)
        script_end(s, &ev->u.end);
    else if (ev->kind == EVENT_GAP || ev->kind == EVENT_VIOLATION)
        script_add(s, " %s %s", dir_name(ev->dir), event_name(ev->kind));
    else
        script_item(s, ev);
    script_add(s, "\n");
}

static inline void script_begin(struct script *s, bool facts)
{
    *s = (struct script){.facts = facts, .now_us = 1000000};
    buf_init(&s->log, 16 << 20);
    s->reader = reader_new();
    s->table = sm_table_new();
    assert_non_null(s->reader);
    assert_non_null(s->table);
}

static inline struct decoder *script_decoder(struct script *s, int session)
{
    struct decoder_options o = {.limits = scan_default_limits, .resumptions = s->table};
    char id[8];

    assert_in_range(session, 1, SCRIPT_SESSIONS);
    snprintf(id, sizeof id, "s%d", session);
    if (!s->decoder[session])
        s->decoder[session] = decoder_new(id, &o, s->reader, script_event, s);
    assert_non_null(s->decoder[session]);
    return s->decoder[session];
}

static inline void script_stop(struct script *s, int session)
{
    struct mark end = {.kind = MARK_END, .u.end = {.code = ERR_CLOSED, .phase = "", .detail = ""}};

    decoder_mark(script_decoder(s, session), s->now_us, &end);
    decoder_free(s->decoder[session]);
    s->decoder[session] = NULL;
    s->opened[session] = false;
}

/* Both streams, where the script has no headers: to example.org, and not in the log. */
static inline void script_open(struct script *s, int session, const char *p, size_t n)
{
    static const char header[] = "<stream:stream xmlns='jabber:client' version='1.0' "
                                 "to='example.org' "
                                 "xmlns:stream='http://etherx.jabber.org/streams'>";

    if (s->opened[session])
        return;
    s->opened[session] = true;
    if (n > 14 && memcmp(p, "<stream:stream", 14) == 0)
        return;
    s->quiet = true;
    decoder_data(script_decoder(s, session), DIR_C2S, s->now_us, header, sizeof header - 1);
    decoder_data(script_decoder(s, session), DIR_S2C, s->now_us, header, sizeof header - 1);
    s->quiet = false;
}

/* `step`: bytes given at a time, 0: all. */
static inline void script_data(struct script *s, int session, enum dir dir, const char *p, size_t n,
                               size_t step)
{
    struct decoder *d = script_decoder(s, session);

    script_open(s, session, p, n);
    for (size_t at = 0; at < n; at += step) {
        step = step && step < n - at ? step : n - at;
        decoder_data(d, dir, s->now_us, p + at, step);
    }
}

static inline void script_line(struct script *s, const char *line, size_t n, size_t step)
{
    struct mark restart = {.kind = MARK_RESTART, .phase = line[1] == 't' ? PHASE_TLS : PHASE_BOUND};
    struct mark gap = {.kind = MARK_GAP, .bytes = 9, .dir = line[1] == 'g' ? DIR_C2S : DIR_S2C};
    int session = line[0] - '0';

    s->now_us += 10;
    if (line[0] == '+') {
        s->now_us += atoi(line + 1) - 10;
    } else if (line[1] == 'e') {
        script_stop(s, session);
    } else if (line[1] == 't' || line[1] == 'b') {
        s->opened[session] = false;
        decoder_mark(script_decoder(s, session), s->now_us, &restart);
    } else if (line[1] == 'g' || line[1] == 'h') {
        decoder_mark(script_decoder(s, session), s->now_us, &gap);
    } else {
        script_data(s, session, line[1] == 'c' ? DIR_C2S : DIR_S2C, line + 3, n - 3, step);
    }
}

static inline void script_play(struct script *s, const char *script, size_t step)
{
    while (*script) {
        size_t n = strcspn(script, "\n");

        script_line(s, script, n, step);
        script += n + (script[n] == '\n');
    }
}

/* All that was logged; what comes next begins a new log. Borrowed until then. */
static inline const char *script_log(struct script *s)
{
    assert_int_equal(buf_add(&s->log, "", 1), 0);
    s->log.len = 0;
    return s->log.p;
}

static inline void script_finish(struct script *s)
{
    for (int i = 1; i <= SCRIPT_SESSIONS; i++)
        decoder_free(s->decoder[i]);
    sm_table_free(s->table);
    reader_free(s->reader);
    buf_free(&s->log);
}

struct script_row {
    const char *script, *log;
};

/* Each whole, and byte by byte: the same log. */
static inline void script_rows(const struct script_row *rows, size_t n, bool facts)
{
    for (size_t i = 0; i < n; i++)
        for (size_t step = 0; step < 2; step++) {
            struct script s;

            script_begin(&s, facts);
            script_play(&s, rows[i].script, step);
            assert_string_equal(script_log(&s), rows[i].log);
            script_finish(&s);
        }
}

#endif

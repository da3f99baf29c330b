/* The box of run.h: folders, texts and the end of every test. */
#include "run.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int box_setup(void **state)
{
    struct box *b = calloc(1, sizeof(*b));
    const char *tmp = getenv("TMPDIR");
    signal(SIGPIPE, SIG_IGN);
    assert_non_null(b);
    b->row = *state;
    snprintf(b->root, sizeof(b->root), "%s/xmpptap-e2e-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(b->root));
    snprintf(b->archive, sizeof(b->archive), "%s/archive", b->root);
    snprintf(b->ca, sizeof(b->ca), "%s/ca", b->root);
    snprintf(b->upstream_ca, sizeof(b->upstream_ca), "%s/upstream.pem", b->root);
    assert_int_equal(mkdir(box_text(b, "%s/home", b->root), 0700), 0);
    pki_init(&b->pki);
    pki_save_ca(&b->pki, b->upstream_ca);
    *state = b;
    return 0;
}

const char *box_text(struct box *b, const char *fmt, ...)
{
    char *s;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&s, fmt, args);
    va_end(args);
    assert_true(n >= 0);
    assert_true(b->texts < BOX_TEXTS);
    b->text[b->texts++] = s;
    return s;
}

void box_at_end(struct box *b, void (*end)(void *arg), void *arg)
{
    assert_true(b->ends < BOX_ENDS);
    b->end[b->ends].call = end;
    b->end[b->ends++].arg = arg;
}

void box_done(struct box *b)
{
    for (int i = 0; i < b->runs; i++)
        assert_false(run_lives(&b->run[i]));
    b->done = true;
}

/* ---- listing and removing ---- */

static struct bytes *listing; /* nftw() has no argument for its callback */

static int list_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    char line[1100];
    (void)flag;
    (void)ftw;
    snprintf(line, sizeof(line), "%s %o\n", path, (unsigned)st->st_mode);
    bytes_str(listing, line);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void box_listing(const struct box *b, struct bytes *list)
{
    struct bytes raw = {0};
    listing = &raw;
    assert_int_equal(nftw(b->root, list_one, 16, FTW_PHYS), 0);
    size_t n = bytes_lines(&raw), i = 0;
    char **line = calloc(n + 1, sizeof(*line));
    assert_non_null(line);
    for (char *save, *s = strtok_r(raw.p, "\n", &save); s; s = strtok_r(NULL, "\n", &save))
        line[i++] = s;
    qsort(line, i, sizeof(*line), compare_lines);
    for (size_t k = 0; k < i; k++) {
        bytes_str(list, line[k]);
        bytes_str(list, "\n");
    }
    free(line);
    bytes_free(&raw);
}

/* ---- the end ---- */

#define SHOWN_BYTES 6000 /* of each output of a failed test's programs */

static void print_output(const char *what, const struct bytes *text)
{
    if (!text->len)
        return;
    size_t from = text->len > SHOWN_BYTES ? text->len - SHOWN_BYTES : 0;
    fprintf(stderr, "---- %s%s\n", what, from ? " (its end)" : "");
    fwrite(text->p + from, 1, text->len - from, stderr);
    fprintf(stderr, "----\n");
}

static void end_run(struct run *r, bool print)
{
    if (run_lives(r)) {
        kill(r->pid, SIGKILL);
        run_wait(r, RUN_STOP_MS);
    }
    if (r->out.started) {
        pthread_join(r->out.thread, NULL);
        close(r->out.fd);
    }
    if (r->err.started) {
        pthread_join(r->err.thread, NULL);
        close(r->err.fd);
    }
    if (print)
        print_output("standard error of the program", &r->err.text);
    bytes_free(&r->out.text);
    bytes_free(&r->err.text);
}

int box_teardown(void **state)
{
    struct box *b = *state;
    for (int i = 0; i < b->runs; i++)
        end_run(&b->run[i], !b->done);
    while (b->ends-- > 0)
        b->end[b->ends].call(b->end[b->ends].arg);
    nftw(b->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    for (int i = 0; i < b->texts; i++)
        free(b->text[i]);
    pki_free(&b->pki);
    free(b);
    return 0;
}

const char *box_ca_pem(struct box *b)
{
    struct run *r = run_program(b, "ca", "export", "--ca-dir", b->ca, NULL);
    assert_int_equal(r->status, 0);
    return box_text(b, "%s", r->out.text.p);
}

#include "packer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "deflater.h"

struct packer {
    /* Whose turn it is says the state: the thread's while it is working. */
    struct deflater *deflater;
    struct buf text; /* the member's; its memory is the next one's */
    struct buf out;  /* the member as it goes to disk */
    struct archive_member member;

    pthread_t thread;
    bool threaded;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    enum packer_state state;
    bool over;
};

static void shrink(struct buf *b)
{
    if (b->cap > 4 * ARCHIVE_MEMBER_TEXT)
        buf_free(b);
}

static int make(struct packer *p)
{
    unsigned char header[MEMBER_HEADER], trailer[MEMBER_TRAILER];
    uint32_t crc = deflater_crc32(p->deflater, p->text.p, p->member.text);
    int err;

    memset(header, 0, sizeof header);
    member_put(member_put(trailer, crc, 4), p->member.text, 4);
    p->out.len = 0;
    err = buf_add(&p->out, header, sizeof header);
    if (!err)
        err = deflater_add(p->deflater, &p->out, p->text.p, p->member.text);
    if (!err)
        err = buf_add(&p->out, trailer, sizeof trailer);
    if (err)
        return err;
    p->member.size = (uint32_t)p->out.len;
    member_header(header, &p->member);
    memcpy(p->out.p, header, sizeof header);
    return 0;
}

static enum packer_state made(struct packer *p)
{
    return make(p) ? PACKER_FAILED : PACKER_PACKED;
}

/* ---- the thread ---- */

static void *run(void *arg)
{
    struct packer *p = arg;
    enum packer_state state;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->state != PACKER_WORKING && !p->over)
            pthread_cond_wait(&p->changed, &p->lock);
        if (p->over)
            break;
        pthread_mutex_unlock(&p->lock);
        state = made(p);
        pthread_mutex_lock(&p->lock);
        p->state = state;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Its signals are blocked as the recorder's are, whose thread makes it. */
static bool has_thread(struct packer *p)
{
    if (!p->threaded)
        p->threaded = pthread_create(&p->thread, NULL, run, p) == 0;
    return p->threaded;
}

static void set_state(struct packer *p, enum packer_state state)
{
    pthread_mutex_lock(&p->lock);
    p->state = state;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

/* ---- the archive's side ---- */

struct packer *packer_new(bool zlib)
{
    struct packer *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    buf_init(&p->out, 2 * ARCHIVE_LINE_BYTES);
    p->deflater = deflater_new(zlib);
    if (p->deflater)
        return p;
    packer_free(p);
    return NULL;
}

void packer_free(struct packer *p)
{
    if (!p)
        return;
    if (p->threaded) {
        pthread_mutex_lock(&p->lock);
        p->over = true;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
        pthread_join(p->thread, NULL);
    }
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    deflater_free(p->deflater);
    buf_free(&p->text);
    buf_free(&p->out);
    free(p);
}

int packer_give(struct packer *p, struct buf *text, const struct archive_member *m, bool now)
{
    struct buf rest = p->text;
    int err;

    rest.max = text->max;
    rest.len = 0;
    err = buf_add(&rest, text->p + m->text, text->len - m->text);
    if (err) {
        p->text = rest;
        return err;
    }
    p->text = *text;
    p->text.len = m->text;
    *text = rest;
    p->member = *m;
    set_state(p, now || !has_thread(p) ? made(p) : PACKER_WORKING);
    return 0;
}

enum packer_state packer_state(struct packer *p, bool wait)
{
    enum packer_state state;

    pthread_mutex_lock(&p->lock);
    while (wait && p->state == PACKER_WORKING)
        pthread_cond_wait(&p->changed, &p->lock);
    state = p->state;
    pthread_mutex_unlock(&p->lock);
    return state;
}

size_t packer_text(const struct packer *p)
{
    return p->text.len; /* the thread does not change it */
}

const struct buf *packer_bytes(const struct packer *p)
{
    return &p->out;
}

const struct archive_member *packer_member(const struct packer *p)
{
    return &p->member;
}

void packer_empty(struct packer *p)
{
    p->text.len = p->out.len = 0;
    shrink(&p->text);
    shrink(&p->out);
    set_state(p, PACKER_EMPTY);
}

int packer_retry(struct packer *p)
{
    int err = make(p);

    if (!err)
        set_state(p, PACKER_PACKED);
    return err;
}

#include "tally.h"

#include "../decoder/hex.h"

void tally_init(struct tally *t)
{
    *t = (struct tally){0};
    for (int i = 0; i < 2; i++) {
        t->got[i] = EVP_MD_CTX_new();
        if (t->got[i] && EVP_DigestInit_ex(t->got[i], EVP_sha256(), NULL) != 1) {
            EVP_MD_CTX_free(t->got[i]);
            t->got[i] = NULL;
        }
    }
}

void tally_free(struct tally *t)
{
    for (int i = 0; i < 2; i++) {
        EVP_MD_CTX_free(t->got[i]);
        EVP_MD_CTX_free(t->sent[i]);
    }
}

static void update(EVP_MD_CTX *ctx, const char *p, size_t n)
{
    if (ctx && n)
        EVP_DigestUpdate(ctx, p, n);
}

/* From the first edit on, what was sent is counted apart. */
static void part_sent(struct tally *t, enum dir dir)
{
    if (t->sent[dir] || !t->got[dir])
        return;
    t->sent[dir] = EVP_MD_CTX_new();
    if (t->sent[dir] && EVP_MD_CTX_copy_ex(t->sent[dir], t->got[dir]) != 1) {
        EVP_MD_CTX_free(t->sent[dir]);
        t->sent[dir] = NULL;
    }
    t->sent_bytes[dir] = t->got_bytes[dir];
}

static void hex_digest(EVP_MD_CTX *ctx, char out[65])
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    out[0] = '\0';
    if (ctx && EVP_DigestFinal_ex(ctx, md, &n) == 1 && n <= 32)
        hex_write(out, md, n);
}

static void wire(struct tally *t, const struct event *ev)
{
    if (ev->edited)
        part_sent(t, ev->dir);
    else if (t->sent[ev->dir]) {
        update(t->sent[ev->dir], ev->data, ev->len);
        t->sent_bytes[ev->dir] += ev->len;
    }
    update(t->got[ev->dir], ev->data, ev->len);
    t->got_bytes[ev->dir] += ev->len;
}

static void end(struct tally *t, struct event_end *e)
{
    for (int i = 0; i < 2; i++) {
        e->count[i].bytes = t->got_bytes[i];
        hex_digest(t->got[i], e->count[i].sha256);
        e->count[i].edited = t->sent[i] != NULL;
        e->count[i].sent_bytes = t->sent_bytes[i];
        hex_digest(t->sent[i], e->count[i].sent_sha256);
    }
}

void tally_event(struct tally *t, struct event *ev)
{
    switch (ev->kind) {
    case EVENT_STREAM:
    case EVENT_STANZA:
    case EVENT_SPACE:
    case EVENT_VIOLATION:
        wire(t, ev);
        break;
    case EVENT_EDIT:
        part_sent(t, ev->dir);
        update(t->sent[ev->dir], ev->u.edit.sent, ev->u.edit.sent_len);
        t->sent_bytes[ev->dir] += ev->u.edit.sent_len;
        break;
    case EVENT_END:
        end(t, &ev->u.end);
        break;
    case EVENT_SESSION:
    case EVENT_TLS:
    case EVENT_GAP:
    case EVENT_KINDS:
        break;
    }
}

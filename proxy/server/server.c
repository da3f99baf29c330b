#include "inside.h"

#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "presence.h"
#include "world.h"

#define KEEP_BYTES 4096 /* a buffer that has grown larger is given back when it is empty */

static void give_back(struct buf *b)
{
    if (b->len == 0 && b->cap > KEEP_BYTES)
        buf_free(b);
}

/* What a call ends with: output over its cap is the end, but no error of the caller's. */
static int settle(struct server *s, int err)
{
    s->text.len = 0;
    give_back(&s->text);
    give_back(&s->in);
    if (err)
        s->done = true;
    s->full |= err == ERR_CAP;
    return err == ERR_CAP ? 0 : err;
}

static void enlist(struct server *s, struct world *w)
{
    s->next = w->servers;
    s->at = &w->servers;
    if (s->next)
        s->next->at = &s->next;
    w->servers = s;
}

/* The first of the list keeps the world's time: there must be another. */
static void unlist(struct server *s)
{
    struct world *w = s->options.world;

    *s->at = s->next;
    if (s->next)
        s->next->at = s->at;
    if (w->waiting && w->servers)
        server_wake(w->servers);
}

static void let_go(struct client *c, bool ended)
{
    csi_active(c); /* to what is not acknowledged */
    if (!ended && managed_waits(c))
        world_wait(c->world, c);
    else
        client_gone(c);
}

struct server *server_new(const struct server_options *o)
{
    struct server *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->reader = o->reader ? o->reader : reader_new();
    s->own_reader = !o->reader;
    s->options = *o;
    s->options.stream_id = o->stream_id ? strdup(o->stream_id) : NULL;
    s->hold_until_us = -1;
    buf_init(&s->in, ITEM_BYTES);
    buf_init(&s->out, o->world->script ? SCRIPT_BYTES : OUTPUT_BYTES);
    buf_init(&s->text, s->out.max);
    buf_init(&s->held, HELD_BYTES);
    s->client = client_new(o->world, s);
    enlist(s, o->world);
    login_init(&s->login, s->client);
    sasl2_init(&s->sasl2);
    s->login.binding = o->binding;
    s->login.binding_arg = o->binding_arg;
    reader_stream_init(&s->root);
    server_expect_stream(s);
    if (o->world->script && s->client)
        s->scripted = scripted_new(&(struct scripted_options){o->world->script, s->client,
                                                              o->unanswered, o->unanswered_arg});
    if (!s->client || !s->reader || (o->stream_id && !s->options.stream_id) ||
        (o->world->script && !s->scripted)) {
        server_free(s);
        return NULL;
    }
    return s;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    scripted_free(s->scripted);
    unlist(s);
    if (s->client)
        let_go(s->client, s->ended);
    if (s->own_reader)
        reader_free(s->reader);
    free((char *)s->options.stream_id);
    login_reset(&s->login);
    sasl2_free(&s->sasl2);
    reader_stream_free(&s->root);
    compression_free(s->compression);
    buf_free(&s->in);
    buf_free(&s->out);
    buf_free(&s->text);
    buf_free(&s->held);
    free(s);
}

/* Only white space may stand between <starttls/> and TLS (RFC 6120 §5.3.1). */
static bool is_blank(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] == '\0' || !strchr(" \t\r\n", p[i]))
            return false;
    return true;
}

/* Up to the end, or to where TLS or compression begins: `*n` bytes are left then. */
static int take_text(struct server *s, const char **p, size_t *n)
{
    const struct compression *before = s->compression;
    int err = 0;

    while (!err && *n && !s->done && s->compression == before) {
        enum scan_what what;
        size_t used;

        if (s->wants_tls) {
            s->done = !is_blank(*p, *n);
            s->wants_tls = !s->done;
            *n = 0;
            break;
        }
        what = scan_next(&s->scan, *p, *n, &used);
        *p += used;
        *n -= used;
        err = server_take(s, what, *p - used, used);
    }
    return err;
}

/* As much of what waits as goes in one call. */
static int take_compressed(struct server *s)
{
    char text[4096];
    size_t n, all = 0;
    int err = 0;

    do {
        const char *p = text;

        err = compression_get(s->compression, text, sizeof text, &n);
        if (err)
            return server_unreadable(s, (enum error_code)err);
        all += n;
        if (n)
            err = take_text(s, &p, &(size_t){n});
    } while (!err && n && !s->done && all < COMPRESSION_CALL);
    return err;
}

int server_input(struct server *s, const char *p, size_t n, int64_t now_us)
{
    int err = server_tick(s, now_us);

    if (!err && !s->compression)
        err = take_text(s, &p, &n);
    if (err || !n || s->done)
        return settle(s, err);
    err = compression_put(s->compression, p, n);
    if (err)
        err = server_unreadable(s, (enum error_code)err);
    else
        err = take_compressed(s);
    return settle(s, err);
}

const char *server_output(struct server *s, size_t *n)
{
    const char *p = s->out.p;

    *n = s->out.len;
    if (s->compression && compression_output(s->compression, &s->out, &p, n))
        s->done = true;
    return p;
}

void server_sent(struct server *s, size_t n)
{
    if (s->compression)
        compression_sent(s->compression, n);
    else
        buf_drop(&s->out, n);
    if (s->scripted && server_play(s))
        s->done = true;
    give_back(&s->text);
    give_back(&s->out);
}

bool server_wants_tls(const struct server *s)
{
    return s->wants_tls;
}

void server_tls(struct server *s)
{
    s->wants_tls = false;
    s->tls = true;
    s->in.len = 0;
    server_expect_stream(s);
}

bool server_is_full(const struct server *s)
{
    return s->full;
}

bool server_done(const struct server *s)
{
    return s->done;
}

static int64_t own_due_us(const struct server *s)
{
    if (s->done)
        return -1;
    if (s->compression && compression_waits(s->compression))
        return s->now_us;
    if (s->scripted) /* more goes out when there is room */
        return s->out.len < SCRIPT_ROOM ? scripted_due_us(s->scripted) : -1;
    return s->hold_until_us >= 0 ? s->hold_until_us : s->client->contacts_due_us;
}

/* Its own, and the world's if that is for it to see to. */
int64_t server_due_us(const struct server *s)
{
    const struct world *w = s->options.world;
    int64_t due = own_due_us(s), worlds = w->servers == s ? world_due_us(w) : -1;

    return due < 0 || (worlds >= 0 && worlds < due) ? worlds : due;
}

int server_tick(struct server *s, int64_t now_us)
{
    int64_t due;
    int err = 0;

    s->now_us = now_us;
    world_tick(s->options.world, now_us);
    due = own_due_us(s);
    if (due < 0 || now_us < due)
        return 0;
    if (s->compression && compression_waits(s->compression))
        err = take_compressed(s);
    else if (s->scripted)
        err = server_play(s);
    else if (s->hold_until_us >= 0)
        err = server_release(s);
    else
        presence_contacts(s->client);
    return settle(s, err);
}

/* ---- what others send ---- */

struct client *server_client(const struct server *s)
{
    return s->client;
}

bool server_has_tls(const struct server *s)
{
    return s->tls;
}

int64_t server_now_us(const struct server *s)
{
    return s->now_us;
}

void server_send(struct server *s, const char *p, size_t n)
{
    int err;

    if (s->done)
        return;
    err = server_send_out(s, p, n);
    s->done = err;
    s->full |= err == ERR_CAP;
    server_wake(s);
}

void server_wake(struct server *s)
{
    if (s->options.wake)
        s->options.wake(s->options.wake_arg);
}

void server_end(struct server *s, const char *condition)
{
    if (s->done)
        return;
    settle(s, server_stream_error(s, condition));
    server_wake(s);
}

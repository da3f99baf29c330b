#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "markup.h"
#include "presence.h"
#include "server.h"
#include "world.h"

#define PRESENCE_BYTES (64u << 10)

struct client *client_new(struct world *w, struct server *s)
{
    struct client *c = malloc(sizeof *c);

    if (!c)
        return NULL;
    *c = (struct client){.world = w, .server = s, .contacts_due_us = -1};
    buf_init(&c->presence, PRESENCE_BYTES);
    managed_init(&c->sm);
    csi_init(&c->csi);
    strcpy(c->domain, w->domain);
    return c;
}

static void unlist(struct client *c)
{
    struct client **at = &c->user->clients;

    while (*at && *at != c)
        at = &(*at)->next;
    if (*at)
        *at = c->next;
}

static void leave(struct client *c)
{
    unlist(c);
    c->user->left_s = world_now_s(c->world);
    client_login(c, NULL);
}

void client_free(struct client *c)
{
    if (c->user)
        leave(c);
    for (int i = 0; i < CLIENT_DIRECTED; i++)
        free(c->directed[i]);
    buf_free(&c->presence);
    free(c->active_list);
    caps_free(&c->caps);
    managed_free(&c->sm);
    csi_free(&c->csi);
    free(c);
}

/* What is bound no longer is. */
static void unbind(struct client *c)
{
    if (!c->bound)
        return;
    presence_gone(c);
    unlist(c);
    c->bound = false;
    managed_give_up(c);
}

void client_gone(struct client *c)
{
    unbind(c);
    client_free(c);
}

bool client_domain(struct client *c, const char *to)
{
    char domain[JID_PART_MAX + 1];

    if (!prep_domain(to, strlen(to), domain) || !world_serves(c->world, domain))
        return false;
    strcpy(c->domain, domain);
    return true;
}

struct user *client_account(const struct client *c, const char *name, size_t n)
{
    const char *at = memchr(name, '@', n);
    char local[JID_PART_MAX + 1], domain[JID_PART_MAX + 1];
    struct user *u;

    if (at && (!prep_domain(at + 1, n - (size_t)(at + 1 - name), domain) ||
               strcmp(domain, c->domain) != 0))
        return NULL;
    if (!prep_local(name, at ? (size_t)(at - name) : n, local))
        return NULL;
    u = world_user(c->world, local, c->domain);
    return u || c->world->closed ? u : world_make(c->world, local, c->domain);
}

void client_login(struct client *c, struct user *u)
{
    struct user *old = c->user;

    c->user = u;
    if (u)
        u->holders++;
    if (old && --old->holders == 0 && old->temporary)
        world_remove(c->world, old);
}

struct client *client_find(const struct user *u, const char *resource)
{
    struct client *c = u->clients;

    while (c && strcmp(c->resource, resource) != 0)
        c = c->next;
    return c;
}

bool client_use_list(struct client *c, const char *name)
{
    char *copy = name ? strdup(name) : NULL;

    if (name && !copy)
        return false;
    free(c->active_list);
    c->active_list = copy;
    return true;
}

bool client_bind(struct client *c, const char *resource)
{
    struct client *waiting = NULL; /* the longest there */
    unsigned n = 0;

    for (struct client *o = c->user->clients; o; o = o->next) {
        n++;
        waiting = o->server ? waiting : o;
    }
    if (n >= USER_CLIENTS && !waiting)
        return false;
    if (n >= USER_CLIENTS)
        world_forget(c->world, waiting);
    if (c->world->profile->active_list &&
        privacy_find(&c->user->privacy, c->world->profile->active_list) &&
        !client_use_list(c, c->world->profile->active_list))
        return false;
    strcpy(c->resource, resource);
    c->next = c->user->clients;
    c->user->clients = c;
    c->bound = true;
    return true;
}

void client_replace(struct client *c)
{
    if (!c->server) {
        world_forget(c->world, c);
        return;
    }
    unbind(c);
    server_end(c->server, "conflict");
}

void client_send(struct client *c, const char *p, size_t n)
{
    if (!csi_holds(c, p, n))
        client_pass(c, p, n);
}

void client_pass(struct client *c, const char *p, size_t n)
{
    bool asks = managed_sent(c, p, n);

    if (!c->server) {
        if (c->sm.lost)
            world_hurry(c->world, c);
        return;
    }
    server_send(c->server, p, n);
    if (asks)
        server_send(c->server, SM_REQUEST, strlen(SM_REQUEST));
}

int client_put_jid(const struct client *c, struct buf *out)
{
    int err = markup_escape(out, c->user->bare);

    if (!err)
        err = buf_str(out, "/");
    return err ? err : markup_escape(out, c->resource);
}

int client_random(char out[RANDOM_SIZE])
{
    unsigned char r[16];

    if (getrandom(r, sizeof r, 0) != sizeof r)
        return ERR_IO;
    r[6] = (r[6] & 0x0f) | 0x40; /* RFC 9562 §5.4 */
    r[8] = (r[8] & 0x3f) | 0x80;
    snprintf(out, RANDOM_SIZE,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1],
             r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14],
             r[15]);
    return 0;
}

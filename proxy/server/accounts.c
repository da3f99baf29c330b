#include "accounts.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "settings.h"

struct loading {
    struct world *world;
    struct user *user; /* whose section it is */
};

static int no_memory(struct error *e)
{
    return error_set(e, ERR_NOMEM, "no memory to start");
}

static int begin(struct loading *l, const char *jid, struct error *e)
{
    struct jid j;

    if (!prep_jid(jid, &j) || !*j.local || *j.resource)
        return error_set(e, ERR_USAGE, "[%.100s] is no account; give [LOCALPART@DOMAIN]", jid);
    if (world_user(l->world, j.local, j.domain))
        return error_set(e, ERR_USAGE, "[%.100s] stands there twice", jid);
    if (l->world->users == 0)
        strcpy(l->world->domain, j.domain);
    l->user = world_make(l->world, j.local, j.domain);
    return l->user ? 0 : error_set(e, ERR_NOMEM, "no memory, or more than %d accounts", WORLD_USERS);
}

static int take_password(struct loading *l, char *value, struct error *e)
{
    int err = credentials_set(&l->user->credentials, value, e);

    OPENSSL_cleanse(value, strlen(value));
    return err;
}

/* JID SUBSCRIPTION [NAME [GROUP]...] */
static int take_roster(struct loading *l, char *value, struct error *e)
{
    static const char *const states[] = {"none", "to", "from", "both"};
    const char *jid = settings_word(&value), *state = settings_word(&value);
    const char *name = settings_word(&value), *group[ROSTER_GROUPS];
    unsigned n = 0, s = 0;
    char bare[JID_MAX + 1];
    struct roster_item *i;
    struct jid j;

    while (n < ROSTER_GROUPS && (group[n] = settings_word(&value)))
        n++;
    while (s < 4 && state && strcmp(state, states[s]) != 0)
        s++;
    if (!jid || !state || s == 4 || !prep_jid(jid, &j))
        return error_set(e, ERR_USAGE, "a roster's entry is `JID none|to|from|both [NAME [GROUP]...]`");
    i = roster_make(&l->user->roster, prep_bare(&j, bare));
    if (!i || !roster_name(i, name, group, n))
        return no_memory(e);
    i->subscription = s;
    i->listed = true;
    roster_touch(&l->user->roster, i);
    return 0;
}

static int take(void *arg, const struct setting *s, struct error *e)
{
    static const struct {
        const char *key;
        int (*take)(struct loading *l, char *value, struct error *e);
    } rows[] = {{"password", take_password}, {"roster", take_roster}};
    struct loading *l = arg;

    if (!s->key)
        return begin(l, s->section, e);
    if (!l->user)
        return error_set(e, ERR_USAGE, "whose %.40s is this? give [LOCALPART@DOMAIN] above it", s->key);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(s->key, rows[i].key) == 0)
            return rows[i].take(l, s->value, e);
    return error_set(e, ERR_USAGE, "an account has no setting %.40s; give password or roster", s->key);
}

int accounts_load(struct world *w, const char *file, struct error *e)
{
    struct loading l = {.world = w};
    char *text = settings_load(file, e);
    int err;

    if (!text)
        return (int)e->code;
    err = settings_read(text, file, take, &l, e);
    free(text);
    w->closed = true;
    if (!err && w->users == 0)
        err = error_set(e, ERR_USAGE, "%.100s has no accounts; give [LOCALPART@DOMAIN] and password = "
                        "...", file);
    return err;
}

#include "user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFLINE_BYTES (256u << 10)

struct user *user_new(const char *local, const char *domain)
{
    struct user *u = calloc(1, sizeof *u);

    if (!u)
        return NULL;
    buf_init(&u->offline, OFFLINE_BYTES);
    u->local = strdup(local);
    if (asprintf(&u->bare, "%s@%s", local, domain) < 0)
        u->bare = NULL;
    if (!u->local || !u->bare) {
        user_free(u);
        return NULL;
    }
    u->domain = u->bare + strlen(local) + 1;
    return u;
}

void user_free(struct user *u)
{
    if (!u)
        return;
    credentials_wipe(&u->credentials);
    roster_free(&u->roster);
    privacy_free(&u->privacy);
    stash_free(&u->stash);
    pep_free(&u->pep);
    buf_free(&u->offline);
    free(u->local);
    free(u->bare);
    free(u);
}

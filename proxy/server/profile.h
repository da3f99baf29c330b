/* profile.h: how the embedded server answers: its names, its features and their order, what an
 * account has at the start. A plain file (docs/serve.md); two are built in.
 *
 * Made at the start, then only read, by any thread. Texts are XML in which `$` and a letter stand
 * for what changes (ask.h).
 */
#ifndef XMPPTAP_PROFILE_H
#define XMPPTAP_PROFILE_H

#include <stdbool.h>

#include "../../decoder/buf.h"
#include "user.h"

struct part;

#define PROFILE_CONTACTS   16
#define PROFILE_MECHANISMS 16
#define PROFILE_FEATURES   24

/* Elements of the stream features; features.def says when each is shown. */
enum feature {
#define FEATURE(name, id, ns) FEATURE_##id,
#include "features.def"
#undef FEATURE
    FEATURES
};

/* Needed: once there is a node that the client may be told of. */
enum profile_caps { CAPS_NEVER, CAPS_NEEDED, CAPS_ALWAYS };

enum profile_conflict { CONFLICT_REPLACE, CONFLICT_REFUSE, CONFLICT_RENAME };

/* A contact that is in every account's roster and, if it has a presence, always online. */
struct profile_contact {
    char *jid, *name;      /* owned: a template; what it is called */
    unsigned subscription; /* enum subscription */
    char *resource;        /* owned; NULL: offline */
    char *presence;        /* owned: the payload of its presence */
};

struct profile {
    char *name, *version, *os;     /* owned: jabber:iq:version, `name` in disco#info too */
    bool starttls_required;
    enum profile_caps ask_caps;    /* when clients are asked what they can (XEP-0163 §4.3.2) */
    bool failure_text;             /* a failed login says in a sentence why */
    unsigned sm_max_s;             /* how long a broken connection can be resumed (XEP-0198); 0: not */
    bool holds;                    /* as the documented server held answers back: server.c */
    enum profile_conflict conflict; /* a resource that is there already (RFC 6120 §7.7.2.2) */
    char *mechanism[PROFILE_MECHANISMS]; /* owned, NULL-ended */
    enum feature feature[PROFILE_FEATURES]; /* in their order */
    unsigned features;
    struct buf domain_info, account_info; /* children of a disco#info result */
    char *vcard;                   /* owned: an account's, until it sets one; NULL: none */
    struct profile_contact contact[PROFILE_CONTACTS];
    unsigned contacts;
    char *lists;                   /* owned: privacy lists at the start, <list name='..'>..</list>, one
                                    * behind the other; NULL: none */
    char *default_list, *active_list; /* owned: their names, or NULL; active in each client at once */
};

/* A built-in one by its name ("documented", "modern"), else a file. NULL with `e` filled: ERR_USAGE,
 * ERR_IO, ERR_NOMEM. */
struct profile *profile_open(const char *name, struct error *e);
void profile_free(struct profile *p);

/* Other mechanisms, blank or comma between them (cut up). ERR_USAGE, ERR_NOMEM. */
int profile_mechanisms(struct profile *p, char *list, struct error *e) MUST_CHECK;

/* One more feature, behind the others, if it is not there yet. */
void profile_add(struct profile *p, enum feature f);
bool profile_has(const struct profile *p, enum feature f);

/* Does its disco#info of the domain say this feature? */
bool profile_says(const struct profile *p, const char *feature);

/* What a new account has: the contacts, privacy lists. ERR_NOMEM, ERR_USAGE: a list is none. */
int profile_begin(const struct profile *p, struct user *u, struct part *part) MUST_CHECK;

/* A contact's bare JID for the account, prepared. Returns `out`; "" if it is no JID. */
const char *profile_contact_jid(const struct profile_contact *c, const struct user *u,
                                char out[JID_MAX + 1]);

#endif

#include "profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../decoder/reader.h"
#include "login.h"
#include "ns.h"
#include "part.h"
#include "settings.h"

#define INFO_BYTES (64u << 10)

/* The files in profiles/, as they are. */
#define BUILT_IN(id, name)                                                                         \
    __asm__(".section .rodata\n.global profile_" #id "\nprofile_" #id ":\n.incbin "                \
            "\"proxy/server/profiles/" name ".profile\"\n.byte 0\n.previous\n");                   \
    extern const char profile_##id[]
BUILT_IN(documented, "documented");
BUILT_IN(modern, "modern");

static const struct {
    const char *name, *text;
} built_in[] = {{"documented", profile_documented}, {"modern", profile_modern}};

/* ---- the settings ---- */

struct loading {
    struct profile *p;
    struct reader *reader; /* every piece of XML is read once */
    struct part *part;
    struct privacy tried; /* its lists */
};

static int no_memory(struct error *e)
{
    return error_set(e, ERR_NOMEM, "no memory to start");
}

static int copy(char **to, const char *value, struct error *e)
{
    free(*to);
    *to = strdup(value);
    return *to ? 0 : no_memory(e);
}

/* Is it well-formed, as the content of an element of jabber:client? */
static int check_xml(struct loading *l, const char *xml, struct error *e)
{
    struct reader_stream st;
    const struct item *it;
    struct error why = {0};
    struct buf all;
    int err;

    reader_stream_init(&st);
    buf_init(&all, INFO_BYTES);
    err = buf_printf(&all, "<x>%s</x>", xml);
    if (!err)
        err = reader_item(l->reader, &st, all.p, all.len, &it, &why);
    buf_free(&all);
    reader_stream_free(&st);
    return err ? error_set(e, ERR_USAGE, "no well-formed XML: %.100s", xml) : 0;
}

static int take_xml(struct loading *l, char **to, const char *value, struct error *e)
{
    int err = check_xml(l, value, e);

    return err ? err : copy(to, value, e);
}

static int add_info(struct loading *l, struct buf *info, const char *value, struct error *e)
{
    int err = check_xml(l, value, e);

    if (!err && buf_str(info, value))
        err = no_memory(e);
    return err;
}

static int take_name(struct loading *l, char *value, struct error *e)
{
    return copy(&l->p->name, value, e);
}

static int take_version(struct loading *l, char *value, struct error *e)
{
    return copy(&l->p->version, strcmp(value, "$V") == 0 ? XMPPTAP_VERSION : value, e);
}

static int take_os(struct loading *l, char *value, struct error *e)
{
    return copy(&l->p->os, value, e);
}

/* The index of `value` in the NULL-ended `names`. */
static int take_choice(const char *const *names, const char *value, int *to, struct error *e)
{
    for (int i = 0; names[i]; i++) {
        if (strcmp(value, names[i]) == 0) {
            *to = i;
            return 0;
        }
    }
    return error_set(e, ERR_USAGE, "%.40s is not one of its values, which are %s, %s%s%s", value,
                     names[0], names[1], names[2] ? ", " : "", names[2] ? names[2] : "");
}

static int take_flag(char *value, bool *to, struct error *e)
{
    static const char *const names[] = {"no", "yes", NULL};
    int i = 0, err = take_choice(names, value, &i, e);

    *to = i;
    return err;
}

static int take_starttls(struct loading *l, char *value, struct error *e)
{
    static const char *const names[] = {"optional", "required", NULL};
    int i = 0, err = take_choice(names, value, &i, e);

    l->p->starttls_required = i;
    return err;
}

static int take_conflict(struct loading *l, char *value, struct error *e)
{
    static const char *const names[] = {"replace", "refuse", "rename", NULL};
    int i = 0, err = take_choice(names, value, &i, e);

    l->p->conflict = (enum profile_conflict)i;
    return err;
}

static int take_ask_caps(struct loading *l, char *value, struct error *e)
{
    static const char *const names[] = {"no", "needed", "yes", NULL};
    int i = 0, err = take_choice(names, value, &i, e);

    l->p->ask_caps = (enum profile_caps)i;
    return err;
}

static int take_failure_text(struct loading *l, char *value, struct error *e)
{
    return take_flag(value, &l->p->failure_text, e);
}

static int take_holds(struct loading *l, char *value, struct error *e)
{
    return take_flag(value, &l->p->holds, e);
}

/* Seconds, up to a day. */
static int take_sm_max(struct loading *l, char *value, struct error *e)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (end == value || *end || n > 86400)
        return error_set(e, ERR_USAGE, "%.40s is not 0 to 86400 seconds", value);
    l->p->sm_max_s = (unsigned)n;
    return 0;
}

static int take_mechanisms(struct loading *l, char *value, struct error *e)
{
    return profile_mechanisms(l->p, value, e);
}

static const char *const feature_names[] = {
#define FEATURE(name, id, ns) [FEATURE_##id] = name,
#include "features.def"
#undef FEATURE
};

static int take_features(struct loading *l, char *value, struct error *e)
{
    struct profile *p = l->p;
    const char *word;

    for (p->features = 0; (word = settings_word(&value));) {
        int f = 0;

        while (f < FEATURES && strcmp(word, feature_names[f]) != 0)
            f++;
        if (f == FEATURES || p->features == PROFILE_FEATURES)
            return error_set(e, ERR_USAGE, "%.40s is no feature of this server; docs/serve.md lists "
                             "them", word);
        p->feature[p->features++] = (enum feature)f;
    }
    return 0;
}

static int take_domain_info(struct loading *l, char *value, struct error *e)
{
    return add_info(l, &l->p->domain_info, value, e);
}

static int take_account_info(struct loading *l, char *value, struct error *e)
{
    return add_info(l, &l->p->account_info, value, e);
}

static int take_vcard(struct loading *l, char *value, struct error *e)
{
    return take_xml(l, &l->p->vcard, value, e);
}

/* `xml`: <list/>s. ERR_USAGE: one of them is none. */
static int put_lists(struct privacy *to, const char *xml, struct part *part)
{
    const struct item *it;
    char *all;
    int err;

    if (asprintf(&all, "<query xmlns='" NS_PRIVACY "'>%s</query>", xml) < 0)
        return ERR_NOMEM;
    err = part_text(part, all, &it);
    for (unsigned i = 1; !err && i < it->nodes; i++)
        if (it->node[i].depth == 2 &&
            (!item_is(it, i, NS_PRIVACY, "list") || privacy_put(to, it, i)))
            err = ERR_USAGE;
    free(all);
    return err;
}

static int take_privacy_list(struct loading *l, char *value, struct error *e)
{
    char *all;
    int err;

    if (asprintf(&all, "%s%s", l->p->lists ? l->p->lists : "", value) < 0)
        return no_memory(e);
    err = take_xml(l, &l->p->lists, all, e);
    free(all);
    if (!err && put_lists(&l->tried, l->p->lists, l->part))
        err = error_set(e, ERR_USAGE, "no privacy list with items (XEP-0016): %.100s", value);
    return err;
}

static int check_list(struct loading *l, const char *file, const char *key, const char *name,
                      struct error *e)
{
    if (!name || privacy_find(&l->tried, name))
        return 0;
    return error_set(e, ERR_USAGE, "%.100s: no privacy-list has the name of %s, %.100s", file, key,
                     name);
}

static int take_privacy_default(struct loading *l, char *value, struct error *e)
{
    return copy(&l->p->default_list, value, e);
}

static int take_privacy_active(struct loading *l, char *value, struct error *e)
{
    return copy(&l->p->active_list, value, e);
}

/* JID SUBSCRIPTION [NAME] */
static int take_contact(struct loading *l, char *value, struct error *e)
{
    static const char *const states[] = {"none", "to", "from", "both", NULL};
    struct profile *p = l->p;
    const char *jid = settings_word(&value), *state = settings_word(&value);
    const char *name = settings_word(&value);
    struct profile_contact *c = &p->contact[p->contacts];
    int i = 0, err;

    if (p->contacts == PROFILE_CONTACTS || !state)
        return error_set(e, ERR_USAGE, "a contact is `JID SUBSCRIPTION [NAME]`, and there are at "
                         "most %d", PROFILE_CONTACTS);
    for (; states[i] && strcmp(state, states[i]) != 0; i++)
        ;
    if (!states[i])
        return error_set(e, ERR_USAGE, "%.40s is no subscription; give none, to, from or both",
                         state);
    p->contacts++;
    c->subscription = (unsigned)i;
    err = copy(&c->jid, jid, e);
    return !err && name ? copy(&c->name, name, e) : err;
}

static struct profile_contact *last_contact(struct profile *p)
{
    return p->contacts ? &p->contact[p->contacts - 1] : NULL;
}

static int take_resource(struct loading *l, char *value, struct error *e)
{
    struct profile_contact *c = last_contact(l->p);

    return c ? copy(&c->resource, value, e)
             : error_set(e, ERR_USAGE, "no contact stands above it");
}

static int take_presence(struct loading *l, char *value, struct error *e)
{
    struct profile_contact *c = last_contact(l->p);

    return c ? take_xml(l, &c->presence, value, e)
             : error_set(e, ERR_USAGE, "no contact stands above it");
}

static int take_setting(void *arg, const struct setting *s, struct error *e)
{
    /* clang-format off */
    static const struct {
        const char *key;
        int (*take)(struct loading *l, char *value, struct error *e);
    } rows[] = {
        {"name", take_name}, {"version", take_version}, {"os", take_os},
        {"starttls", take_starttls}, {"mechanisms", take_mechanisms}, {"features", take_features},
        {"conflict", take_conflict}, {"ask-caps", take_ask_caps}, {"holds", take_holds},
        {"failure-text", take_failure_text},
        {"sm-max", take_sm_max},
        {"domain-info", take_domain_info}, {"account-info", take_account_info},
        {"vcard", take_vcard}, {"privacy-list", take_privacy_list},
        {"privacy-default", take_privacy_default}, {"privacy-active", take_privacy_active},
        {"contact", take_contact},
        {"contact-resource", take_resource}, {"contact-presence", take_presence},
    };
    /* clang-format on */

    for (size_t i = 0; s->key && i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(s->key, rows[i].key) == 0)
            return rows[i].take(arg, s->value, e);
    return error_set(e, ERR_USAGE, "a profile has no %s %.40s; docs/serve.md lists its settings",
                     s->key ? "setting" : "section", s->key ? s->key : s->section);
}

/* ---- the interface ---- */

static char *text_of(const char *name, struct error *e)
{
    char *text;

    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++) {
        if (strcmp(name, built_in[i].name) == 0) {
            text = strdup(built_in[i].text);
            if (!text)
                no_memory(e);
            return text;
        }
    }
    text = settings_load(name, e);
    if (!text && e->code == ERR_IO && !strchr(name, '/') && access(name, F_OK) != 0)
        error_set(e, ERR_IO, "there is no profile %.40s and no file of that name; give documented, "
                  "modern or a file", name);
    return text;
}

struct profile *profile_open(const char *name, struct error *e)
{
    struct loading l = {.p = calloc(1, sizeof *l.p), .reader = reader_new(), .part = part_new()};
    char *text = text_of(name, e);
    int err = text ? 0 : (int)e->code;

    if (!err && (!l.p || !l.reader || !l.part))
        err = no_memory(e);
    if (!err) {
        l.p->sm_max_s = 300;
        buf_init(&l.p->domain_info, INFO_BYTES);
        buf_init(&l.p->account_info, INFO_BYTES);
        err = settings_read(text, name, take_setting, &l, e);
    }
    if (!err)
        err = check_list(&l, name, "privacy-default", l.p->default_list, e);
    if (!err)
        err = check_list(&l, name, "privacy-active", l.p->active_list, e);
    privacy_free(&l.tried);
    part_free(l.part);
    reader_free(l.reader);
    free(text);
    if (!err)
        return l.p;
    profile_free(l.p);
    return NULL;
}

static void free_mechanisms(struct profile *p)
{
    for (int i = 0; i < PROFILE_MECHANISMS; i++) {
        free(p->mechanism[i]);
        p->mechanism[i] = NULL;
    }
}

void profile_free(struct profile *p)
{
    if (!p)
        return;
    free_mechanisms(p);
    for (unsigned i = 0; i < p->contacts; i++) {
        free(p->contact[i].jid);
        free(p->contact[i].name);
        free(p->contact[i].resource);
        free(p->contact[i].presence);
    }
    free(p->name);
    free(p->version);
    free(p->os);
    free(p->vcard);
    free(p->lists);
    free(p->default_list);
    free(p->active_list);
    buf_free(&p->domain_info);
    buf_free(&p->account_info);
    free(p);
}

static int unknown_mechanism(const char *word, struct error *e)
{
    char known[200] = "";

    for (unsigned i = 0; login_mechanism(i); i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "",
                 login_mechanism(i));
    return error_set(e, ERR_USAGE, "%.40s is no mechanism of this server, which knows %s", word, known);
}

int profile_mechanisms(struct profile *p, char *list, struct error *e)
{
    unsigned n = 0;
    char *word;

    free_mechanisms(p);
    for (char *c = list; *c; c++)
        if (*c == ',')
            *c = ' ';
    while ((word = settings_word(&list))) {
        if (n == PROFILE_MECHANISMS - 1)
            return error_set(e, ERR_USAGE, "these are more than %d mechanisms",
                             PROFILE_MECHANISMS - 1);
        if (!login_knows(word))
            return unknown_mechanism(word, e);
        p->mechanism[n] = strdup(word);
        if (!p->mechanism[n++])
            return no_memory(e);
    }
    return n ? 0 : error_set(e, ERR_USAGE, "give one mechanism at least, such as PLAIN");
}

void profile_add(struct profile *p, enum feature f)
{
    if (!profile_has(p, f) && p->features < PROFILE_FEATURES)
        p->feature[p->features++] = f;
}

bool profile_has(const struct profile *p, enum feature f)
{
    for (unsigned i = 0; i < p->features; i++)
        if (p->feature[i] == f)
            return true;
    return false;
}

bool profile_says(const struct profile *p, const char *feature)
{
    const struct buf *info = &p->domain_info;
    size_t n = strlen(feature);
    const char *at = info->p, *end = info->p + info->len;

    while (at && (at = memmem(at, (size_t)(end - at), feature, n))) {
        if (at > info->p && at + n < end && strchr("'\"", at[-1]) && at[n] == at[-1])
            return true;
        at += n;
    }
    return false;
}

const char *profile_contact_jid(const struct profile_contact *c, const struct user *u,
                                char out[JID_MAX + 1])
{
    struct jid j;
    char text[JID_MAX + 1] = "";
    size_t n = 0;

    for (const char *p = c->jid; *p && n < JID_MAX; p++) {
        const char *value = p[0] != '$' ? NULL : p[1] == 'L' ? u->local
                                             : p[1] == 'D'   ? u->domain
                                                             : NULL;
        size_t len = value ? strlen(value) : 1;

        if (len > JID_MAX - n)
            break;
        memcpy(text + n, value ? value : p, len);
        n += len;
        p += value != NULL;
    }
    text[n] = '\0';
    if (!prep_jid(text, &j)) {
        *out = '\0';
        return out;
    }
    return prep_bare(&j, out);
}

static int begin_contacts(const struct profile *p, struct user *u)
{
    char jid[JID_MAX + 1];

    for (unsigned i = 0; i < p->contacts; i++) {
        const struct profile_contact *c = &p->contact[i];
        struct roster_item *item;

        if (!*profile_contact_jid(c, u, jid))
            continue;
        item = roster_make(&u->roster, jid);
        if (!item || !roster_name(item, c->name, NULL, 0))
            return ERR_NOMEM;
        item->subscription = c->subscription;
        item->listed = true;
        roster_touch(&u->roster, item);
    }
    return 0;
}

int profile_begin(const struct profile *p, struct user *u, struct part *part)
{
    int err = begin_contacts(p, u);

    if (!err && p->lists)
        err = put_lists(&u->privacy, p->lists, part);
    return err || privacy_prefer(&u->privacy, p->default_list) ? err : ERR_NOMEM;
}

#include "resume.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cert.h"

struct kept {
    SSL_SESSION *session; /* owned */
    time_t from, until;   /* the full handshake it came from; what its certificates allow */
};

struct entry {
    char *key; /* owned; NULL: free */
    uint64_t used;
    bool shunned; /* a handshake with one broke: none is offered, or kept, any more */
    struct kept kept[RESUME_SESSIONS]; /* the newest last */
    int n;
};

struct resume {
    uint64_t clock; /* counts uses, for the least recently used entry */
    struct entry entry[RESUME_KEYS];
};

/* What an SSL is told of this; it goes with that. */
struct offer {
    struct resume *cache;
    time_t from, until;
    bool offered, keep;
    char key[];
};

/* ---- the cache ---- */

static void forget(struct entry *it)
{
    while (it->n)
        SSL_SESSION_free(it->kept[--it->n].session);
}

static struct entry *find(struct resume *r, const char *key)
{
    for (int i = 0; i < RESUME_KEYS; i++)
        if (r->entry[i].key && strcmp(r->entry[i].key, key) == 0) {
            r->entry[i].used = ++r->clock;
            return &r->entry[i];
        }
    return NULL;
}

/* The entry of this key, maybe a new one; NULL without memory. */
static struct entry *find_or_make(struct resume *r, const char *key)
{
    struct entry *it = find(r, key);
    char *copy;

    if (it)
        return it;
    copy = strdup(key);
    if (!copy)
        return NULL;
    it = &r->entry[0];
    for (int i = 1; i < RESUME_KEYS; i++)
        if (r->entry[i].used < it->used)
            it = &r->entry[i];
    forget(it);
    free(it->key);
    *it = (struct entry){.key = copy, .used = ++r->clock};
    return it;
}

/* `from` in the future: somebody has set the clock. OpenSSL marks those whose connection ended in a
 * failure. */
static bool is_good(const struct kept *k, time_t now)
{
    return k->from <= now && now < k->until && now - k->from < RESUME_MAX_S &&
           SSL_SESSION_is_resumable(k->session);
}

/* Takes `session`, or says that it does not. */
static bool put(struct resume *r, const char *key, const struct kept *k)
{
    time_t now = time(NULL);
    struct entry *it = is_good(k, now) ? find_or_make(r, key) : NULL;

    if (!it || it->shunned)
        return false;
    if (it->n == RESUME_SESSIONS) {
        SSL_SESSION_free(it->kept[0].session);
        memmove(it->kept, it->kept + 1, (size_t)--it->n * sizeof *it->kept);
    }
    it->kept[it->n++] = *k;
    return true;
}

/* The newest that is still good. `k` gets a reference. */
static bool take(struct resume *r, const char *key, struct kept *k)
{
    struct entry *it = find(r, key);
    time_t now = time(NULL);

    if (!it || it->shunned)
        return false;
    while (it->n) {
        *k = it->kept[it->n - 1];
        if (!is_good(k, now)) {
            SSL_SESSION_free(it->kept[--it->n].session);
            continue;
        }
        if (SSL_SESSION_get_protocol_version(k->session) < TLS1_3_VERSION)
            SSL_SESSION_up_ref(k->session);
        else
            it->n--; /* a ticket serves once */
        return true;
    }
    return false;
}

/* ---- what an SSL knows ---- */

static void free_offer(void *parent, void *p, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    free(p);
}

static int index_made; /* once, for the life of the program */

static void make_index(void)
{
    index_made = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_offer);
}

static int offer_index(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_index);
    return index_made;
}

static struct offer *offer_of(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, offer_index());
}

/* When the first certificate of the chain ends, the root's included; 0 where that is not known. */
static time_t chain_end(const SSL *ssl)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    time_t end = 0;

    for (int i = 0; i < sk_X509_num(chain); i++) {
        time_t t = cert_time(X509_get0_notAfter(sk_X509_value(chain, i)));

        end = i == 0 || t < end ? t : end;
    }
    return end;
}

/* TLS 1.3 gives tickets behind the handshake, as many as it likes, and TLS 1.2 its session in the
 * middle of it, before the certificate was looked at: resume_keep() fetches that. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct offer *o = offer_of(ssl);
    const struct kept k = {session, o ? o->from : 0, o ? o->until : 0};

    return o && o->keep && SSL_version(ssl) >= TLS1_3_VERSION && put(o->cache, o->key, &k);
}

/* ---- the interface ---- */

struct resume *resume_new(SSL_CTX *upstream)
{
    struct resume *r = calloc(1, sizeof *r);

    if (!r || offer_index() < 0) {
        free(r);
        return NULL;
    }
    SSL_CTX_set_session_cache_mode(upstream, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(upstream, on_session);
    return r;
}

void resume_free(struct resume *r)
{
    if (!r)
        return;
    for (int i = 0; i < RESUME_KEYS; i++) {
        forget(&r->entry[i]);
        free(r->entry[i].key);
    }
    free(r);
}

void resume_offer(struct resume *r, SSL *ssl, const char *key)
{
    size_t size = strlen(key) + 1;
    struct offer *o = r ? malloc(sizeof *o + size) : NULL;
    struct kept k;

    if (!o)
        return;
    *o = (struct offer){.cache = r};
    memcpy(o->key, key, size);
    if (!SSL_set_ex_data(ssl, offer_index(), o)) {
        free(o);
        return;
    }
    if (!take(r, key, &k))
        return;
    o->offered = SSL_set_session(ssl, k.session) == 1;
    o->from = k.from;
    o->until = k.until;
    SSL_SESSION_free(k.session);
}

void resume_keep(SSL *ssl, bool asked)
{
    struct offer *o = offer_of(ssl);

    if (!o || asked)
        return;
    if (!SSL_session_reused(ssl)) {
        o->from = time(NULL);
        o->until = chain_end(ssl);
    }
    o->keep = true;
    if (SSL_version(ssl) < TLS1_3_VERSION && !SSL_session_reused(ssl) &&
        SSL_get_extms_support(ssl) == 1) {
        const struct kept k = {SSL_get1_session(ssl), o->from, o->until};

        if (k.session && !put(o->cache, o->key, &k))
            SSL_SESSION_free(k.session);
    }
}

bool resume_broke(SSL *ssl)
{
    const struct offer *o = offer_of(ssl);
    struct entry *it = o && o->offered ? find_or_make(o->cache, o->key) : NULL;

    if (it) {
        forget(it);
        it->shunned = true;
    }
    return it;
}

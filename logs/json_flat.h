/* json_flat.h: the fields of one record's line, by name.
 *
 * Our records are flat: names and texts, numbers, true and false, and two objects of texts. Such a
 * line is read in one pass straight into its fields; whatever else is JSON, or none, is left to
 * jansson, and json_flat_tree() makes the same fields of its tree. Pure; any thread. Internal to
 * logs/json_read.c and its tests.
 */
#ifndef XMPPTAP_JSON_FLAT_H
#define XMPPTAP_JSON_FLAT_H

#include <jansson.h>

#include "event.h"

/* Commas and brackets outside of strings that a line may have. Ours have under 40; without a limit
 * a line of empty arrays would cost fifty times its size as a tree. */
#define JSON_PARTS_MAX 1024

/* Every field that a record of any kind can have (docs/archive.md), shortest first. */
#define JSON_FIELDS(X)                                                                             \
    X(t) X(n) X(re) X(ns) X(of) X(by) X(ok) X(us)                                                   \
    X(dir) X(xml) X(b64) X(sni) X(c2s) X(s2c)                                                      \
    X(type) X(more) X(code) X(side) X(cert) X(alpn) X(kind) X(sent) X(open) X(slow)                \
    X(event) X(label) X(facts) X(bytes) X(group) X(error) X(phase)                                 \
    X(client) X(listen) X(offset) X(detail) X(reason) X(cipher) X(verify) X(server) X(sha256)      \
    X(session) X(wait_us) X(remarks) X(closing) X(secrets) X(program) X(version) X(resumed)        \
    X(account) X(verdict) X(resumes) X(stanzas)                                                    \
    X(upstream) X(withheld) X(sent_b64) X(cert_key) X(sentence)                                    \
    X(signature) X(mechanism)                                                                      \
    X(client_jid) X(unanswered) X(compressed) X(sent_bytes)                                        \
    X(cert_sha256) X(client_cert) X(server_name) X(duration_us) X(sent_sha256)                     \
    X(client_asked)

#define JSON_FIELD(name) JSON_##name,
enum json_field { JSON_FIELDS(JSON_FIELD) JSON_FIELD_COUNT };
#undef JSON_FIELD

enum json_is {
    JSON_IS_ABSENT,
    JSON_IS_TEXT,   /* `text`, `n` bytes and a NUL behind them */
    JSON_IS_NUMBER, /* `number`: a whole one */
    JSON_IS_TRUE,
    JSON_IS_FALSE,
    JSON_IS_PAIRS,  /* an object of texts with distinct names: `n` of `pair` */
    JSON_IS_TREE    /* anything else: `tree` */
};

struct json_value {
    size_t n;
    union {
        const char *text;
        int64_t number;
        const struct event_fact *pair;
        const json_t *tree;
    } u;
};

struct json_flat {
    unsigned char is[JSON_FIELD_COUNT]; /* enum json_is */
    struct json_value value[JSON_FIELD_COUNT];
};

/* Where json_flat_line() puts what the fields point to. */
struct json_room {
    char *text; /* as many bytes as the line has */
    struct event_fact *fact, *remark; /* EVENT_FACTS_MAX, EVENT_REMARKS_MAX */
};

/* False: the line is not as ours are; jansson may know what it is. */
bool json_flat_line(struct json_flat *flat, const char *line, size_t n,
                    const struct json_room *room);

/* The same of an object, borrowed as long as the fields are. */
void json_flat_tree(struct json_flat *flat, const json_t *object);

const char *json_field_name(enum json_field field);

#endif

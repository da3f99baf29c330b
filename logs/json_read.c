#include "json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../decoder/sasl.h"

/* Commas and brackets outside of strings that a line may have. Ours have under 40; without a limit
 * a line of empty arrays would cost fifty times its size as a tree. */
#define JSON_PARTS_MAX 1024

#define US_PER_S 1000000

/* The fields of one object. After the first failure all read as empty. */
struct fields {
    const json_t *o;
    struct error *e;
    int err;
};

static const json_t *field(struct fields *f, const char *name, json_type type, const char *what)
{
    const json_t *v = f->err ? NULL : json_object_get(f->o, name);

    if (v && json_typeof(v) != type) {
        f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" is not %s", name, what);
        v = NULL;
    }
    return v;
}

/* NULL if there is no such field. */
static const char *text_or_null(struct fields *f, const char *name)
{
    return json_string_value(field(f, name, JSON_STRING, "a string"));
}

static const char *text(struct fields *f, const char *name)
{
    const char *s = text_or_null(f, name);

    return s ? s : "";
}

static int64_t number(struct fields *f, const char *name)
{
    return json_integer_value(field(f, name, JSON_INTEGER, "a whole number"));
}

static uint64_t count(struct fields *f, const char *name)
{
    int64_t v = number(f, name);

    if (v < 0) {
        f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" is negative", name);
        v = 0;
    }
    return (uint64_t)v;
}

static bool flag(struct fields *f, const char *name)
{
    const json_t *v = f->err ? NULL : json_object_get(f->o, name);

    if (v && !json_is_boolean(v))
        f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" is not true or false", name);
    return json_is_true(v);
}

static void need(struct fields *f, const char *name)
{
    if (!f->err && !json_object_get(f->o, name))
        f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" is missing", name);
}

static enum dir dir_field(struct fields *f)
{
    const char *s = text(f, "dir");

    if (!strcmp(s, "s2c"))
        return DIR_S2C;
    if (strcmp(s, "c2s") && !f->err)
        f->err = error_set(f->e, ERR_FORMAT, "the field \"dir\" is neither c2s nor s2c");
    return DIR_C2S;
}

static enum side side_field(struct fields *f, const char *name)
{
    const char *s = text(f, name);
    int side;

    for (side = SIDE_CLIENT; side <= SIDE_PROXY; side++)
        if (!strcmp(s, side_name((enum side)side)))
            return (enum side)side;
    if (!f->err)
        f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" names no side", name);
    return SIDE_CLIENT;
}

static int64_t time_field(struct fields *f)
{
    const char *s = text(f, "t"), *p;
    int64_t unit = US_PER_S, frac = 0;
    struct tm tm = {0};

    p = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
    if (p && *p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++)
            frac += (*p - '0') * (unit /= 10);
    if (p && !strcmp(p, "Z"))
        return (int64_t)timegm(&tm) * US_PER_S + frac;
    if (!f->err)
        f->err = error_set(f->e, ERR_FORMAT, "the field \"t\" is no time in UTC (RFC 3339)");
    return 0;
}

static void bytes(struct fields *f, const char *name, const char *name64, struct json_record *rec,
                  const char **p, size_t *n)
{
    const json_t *v = field(f, name, JSON_STRING, "a string");
    size_t size;
    long len;

    *p = "";
    *n = 0;
    if (v) {
        *p = json_string_value(v);
        *n = json_string_length(v);
        return;
    }
    v = field(f, name64, JSON_STRING, "a string");
    if (!v)
        return;
    size = json_string_length(v) / 4 * 3 + 1;
    rec->bytes = malloc(size);
    if (!rec->bytes) {
        f->err = error_set(f->e, ERR_NOMEM, "no memory for the field \"%s\"", name64);
        return;
    }
    len = sasl_base64(json_string_value(v), json_string_length(v), rec->bytes, size - 1);
    if (len < 0) {
        f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" is no base64", name64);
        return;
    }
    rec->bytes[len] = 0;
    *p = rec->bytes;
    *n = (size_t)len;
}

/* An object of strings; returns how many. */
static unsigned read_pairs(struct fields *f, const char *name, struct event_fact *out, unsigned max)
{
    const json_t *o = field(f, name, JSON_OBJECT, "an object");
    const char *key;
    json_t *value;
    unsigned n = 0;

    json_object_foreach((json_t *)(uintptr_t)o, key, value) {
        if (!json_is_string(value) && !f->err)
            f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" holds what is not a string", name);
        if (f->err || n == max)
            break;
        out[n++] = (struct event_fact){key, json_string_value(value)};
    }
    return n;
}

static void read_wire(struct fields *f, struct json_record *rec)
{
    struct event *ev = &rec->event;

    ev->dir = dir_field(f);
    ev->label = text_or_null(f, "label");
    ev->re = count(f, "re");
    ev->wait_us = number(f, "wait_us");
    ev->type = text_or_null(f, "type");
    ev->ns = text_or_null(f, "ns");
    ev->fact = rec->fact;
    ev->facts = read_pairs(f, "facts", rec->fact, EVENT_FACTS_MAX);
    ev->remark = rec->remark;
    ev->remarks = read_pairs(f, "remarks", rec->remark, EVENT_REMARKS_MAX);
    ev->closing = flag(f, "closing");
    ev->withheld = count(f, "withheld");
    bytes(f, "xml", "b64", rec, &ev->data, &ev->len);
    if (ev->kind == EVENT_VIOLATION) {
        ev->u.violation.code = error_by_name(text(f, "code"));
        ev->u.violation.offset = count(f, "offset");
        ev->u.violation.more = flag(f, "more");
        ev->u.violation.detail = text(f, "detail");
    }
}

static void read_tls(struct fields *f, struct event_tls *t)
{
    t->side = side_field(f, "side");
    t->ok = flag(f, "ok");
    t->version = text(f, "version");
    t->cipher = text(f, "cipher");
    t->group = text(f, "group");
    t->sni = text(f, "sni");
    t->cert = text(f, "cert");
    t->cert_key = text(f, "cert_key");
    t->cert_sha256 = text(f, "cert_sha256");
    t->signature = text(f, "signature");
    t->alpn = text(f, "alpn");
    t->resumed = flag(f, "resumed");
    t->client_asked = flag(f, "client_asked");
    t->client_cert = text(f, "client_cert");
    t->client_jid = text(f, "client_jid");
    t->verify = text(f, "verify");
    t->error = text(f, "error");
    t->kind = text(f, "kind");
}

static void read_digest(struct fields *f, const char *name, char out[65])
{
    const char *s = text(f, name);
    size_t n = strlen(s);

    if (n > 64 && !f->err)
        f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" is no SHA-256", name);
    if (n <= 64)
        memcpy(out, s, n + 1);
}

static unsigned read_requests(struct fields *f, const char *name, const char *time,
                              struct event_request *out, unsigned max)
{
    const json_t *list = field(f, name, JSON_ARRAY, "an array");
    unsigned n = 0;

    for (size_t i = 0; i < json_array_size(list) && n < max; i++) {
        struct fields in = {.o = json_array_get(list, i), .e = f->e, .err = f->err};

        out[n++] = (struct event_request){count(&in, "n"), number(&in, time),
                                          text_or_null(&in, "label")};
        f->err = in.err;
    }
    return n;
}

static void read_counts(struct fields *f, enum dir dir, struct event_count *c, uint64_t *stanzas)
{
    struct fields in = *f;

    in.o = field(f, dir_name(dir), JSON_OBJECT, "an object");
    in.err = f->err;
    if (!in.o)
        return;
    c->bytes = count(&in, "bytes");
    *stanzas = count(&in, "stanzas");
    c->compressed = count(&in, "compressed");
    read_digest(&in, "sha256", c->sha256);
    c->edited = json_object_get(in.o, "sent_bytes") != NULL;
    c->sent_bytes = count(&in, "sent_bytes");
    read_digest(&in, "sent_sha256", c->sent_sha256);
    f->err = in.err;
}

static void read_end(struct fields *f, struct event_end *end)
{
    end->by = side_field(f, "by");
    end->code = error_by_name(text(f, "reason"));
    end->phase = text(f, "phase");
    end->detail = text(f, "detail");
    end->account = text(f, "account");
    end->server = text(f, "server");
    end->server_name = text(f, "server_name");
    end->duration_us = number(f, "duration_us");
    end->verdict = text(f, "verdict");
    end->sentence = text(f, "sentence");
    end->mechanism = text(f, "mechanism");
    end->resumes = text(f, "resumes");
    end->unanswered = count(f, "unanswered");
    end->opens = read_requests(f, "open", "us", end->open, EVENT_OPEN_MAX);
    end->slows = read_requests(f, "slow", "wait_us", end->slow, EVENT_SLOW_MAX);
    for (int dir = 0; dir < 2; dir++)
        read_counts(f, (enum dir)dir, &end->count[dir], &end->stanzas[dir]);
}

static void read_facts(struct fields *f, struct json_record *rec)
{
    struct event *ev = &rec->event;

    switch (ev->kind) {
    case EVENT_SESSION:
        ev->u.session_facts = (struct event_session){
            .client = text(f, "client"),
            .listen = text(f, "listen"),
            .upstream = text(f, "upstream"),
            .secrets = text(f, "secrets"),
            .program = text(f, "program"),
        };
        break;
    case EVENT_TLS:
        read_tls(f, &ev->u.tls);
        break;
    case EVENT_STREAM:
    case EVENT_STANZA:
    case EVENT_SPACE:
    case EVENT_VIOLATION:
        read_wire(f, rec);
        break;
    case EVENT_EDIT:
        ev->dir = dir_field(f);
        ev->u.edit.of = count(f, "of");
        bytes(f, "sent", "sent_b64", rec, &ev->u.edit.sent, &ev->u.edit.sent_len);
        ev->u.edit.reason = text(f, "reason");
        ev->fact = rec->fact;
        ev->facts = read_pairs(f, "facts", rec->fact, EVENT_FACTS_MAX);
        break;
    case EVENT_GAP:
        ev->dir = dir_field(f);
        ev->u.gap.bytes = count(f, "bytes");
        break;
    case EVENT_END:
        read_end(f, &ev->u.end);
        break;
    case EVENT_KINDS:
        break;
    }
}

static enum event_kind kind_by_name(const char *name)
{
    int kind = 0;

    while (kind < EVENT_KINDS && strcmp(name, event_name((enum event_kind)kind)) != 0)
        kind++;
    return (enum event_kind)kind;
}

/* Few enough parts to be made a tree? */
static bool plausible(const char *p, size_t n)
{
    unsigned parts = 0;
    bool in_string = false;
    size_t i;

    for (i = 0; i < n; i++) {
        if (p[i] == '"')
            in_string = !in_string;
        else if (in_string)
            i += p[i] == '\\';
        else
            parts += p[i] == ',' || p[i] == '[' || p[i] == '{';
    }
    return parts <= JSON_PARTS_MAX;
}

int json_event_read(struct json_record *rec, const char *line, size_t n, struct error *e)
{
    struct fields f = {.e = e};
    json_error_t why;

    json_record_free(rec);
    if (!plausible(line, n))
        return error_set(e, ERR_FORMAT, "more than %d fields", JSON_PARTS_MAX);
    rec->root = json_loadb(line, n, JSON_ALLOW_NUL, &why);
    if (!rec->root && json_error_code(&why) == json_error_out_of_memory)
        return error_set(e, ERR_NOMEM, "no memory for a line of %zu bytes", n);
    if (!rec->root)
        return error_set(e, ERR_FORMAT, "not JSON: %s", why.text);
    if (!json_is_object(rec->root))
        return error_set(e, ERR_FORMAT, "not a JSON object");
    f.o = rec->root;
    need(&f, "event");
    rec->event.kind = kind_by_name(text(&f, "event"));
    if (f.err || rec->event.kind == EVENT_KINDS)
        return f.err;
    need(&f, "session");
    need(&f, "n");
    rec->event.time_us = time_field(&f);
    rec->event.session = text(&f, "session");
    rec->event.n = count(&f, "n");
    rec->event.data = "";
    read_facts(&f, rec);
    return f.err;
}

void json_record_free(struct json_record *rec)
{
    json_decref(rec->root);
    free(rec->bytes);
    *rec = (struct json_record){0};
}

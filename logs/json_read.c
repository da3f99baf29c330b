#include "json.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../decoder/sasl.h"
#include "json_flat.h"

#define ROOM_KEPT (1u << 20) /* memory kept from one line to the next */
#define ROOM_FIRST 4096

#define US_PER_S 1000000

/* The fields of a record, or of an object in one. After the first failure all read as empty. */
struct fields {
    const struct json_flat *flat;
    struct error *e;
    int err;
};

/* The field if it is there and `is` what it must be, else NULL. */
static const struct json_value *field(struct fields *f, enum json_field name, enum json_is is,
                                      const char *what)
{
    if (f->err || f->flat->is[name] == JSON_IS_ABSENT)
        return NULL;
    if (f->flat->is[name] == is)
        return &f->flat->value[name];
    f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" is not %s", json_field_name(name), what);
    return NULL;
}

/* NULL if there is no such field. */
static const char *text_or_null(struct fields *f, enum json_field name)
{
    const struct json_value *v = field(f, name, JSON_IS_TEXT, "a string");

    return v ? v->u.text : NULL;
}

static const char *text(struct fields *f, enum json_field name)
{
    const char *s = text_or_null(f, name);

    return s ? s : "";
}

static int64_t number(struct fields *f, enum json_field name)
{
    const struct json_value *v = field(f, name, JSON_IS_NUMBER, "a whole number");

    return v ? v->u.number : 0;
}

static uint64_t count(struct fields *f, enum json_field name)
{
    int64_t v = number(f, name);

    if (v < 0) {
        f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" is negative", json_field_name(name));
        v = 0;
    }
    return (uint64_t)v;
}

static bool flag(struct fields *f, enum json_field name)
{
    if (f->err || f->flat->is[name] == JSON_IS_FALSE)
        return false;
    return field(f, name, JSON_IS_TRUE, "true or false") != NULL;
}

static void need(struct fields *f, enum json_field name)
{
    if (!f->err && f->flat->is[name] == JSON_IS_ABSENT)
        f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" is missing", json_field_name(name));
}

static enum dir dir_field(struct fields *f)
{
    const char *s = text(f, JSON_dir);

    if (!strcmp(s, "s2c"))
        return DIR_S2C;
    if (strcmp(s, "c2s") && !f->err)
        f->err = error_set(f->e, ERR_FORMAT, "the field \"dir\" is neither c2s nor s2c");
    return DIR_C2S;
}

static enum side side_field(struct fields *f, enum json_field name)
{
    const char *s = text(f, name);
    int side;

    for (side = SIDE_CLIENT; side <= SIDE_PROXY; side++)
        if (!strcmp(s, side_name((enum side)side)))
            return (enum side)side;
    if (!f->err)
        f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" names no side", json_field_name(name));
    return SIDE_CLIENT;
}

/* Records of the same second come one behind the other: it is worked out once. */
static int64_t time_field(struct fields *f, struct json_record *rec)
{
    const char *s = text(f, JSON_t), *p;
    int64_t unit = US_PER_S, frac = 0;
    struct tm tm = {0};

    if (*rec->second && strncmp(s, rec->second, JSON_SECOND_CHARS) == 0) {
        p = s + JSON_SECOND_CHARS;
    } else {
        p = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
        rec->second_us = p ? (int64_t)timegm(&tm) * US_PER_S : 0;
        *rec->second = '\0';
        if (p && p - s == JSON_SECOND_CHARS)
            memcpy(rec->second, s, JSON_SECOND_CHARS);
    }
    if (p && *p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++)
            frac += (*p - '0') * (unit /= 10);
    if (p && !strcmp(p, "Z"))
        return rec->second_us + frac;
    if (!f->err)
        f->err = error_set(f->e, ERR_FORMAT, "the field \"t\" is no time in UTC (RFC 3339)");
    return 0;
}

static void bytes(struct fields *f, enum json_field name, enum json_field name64,
                  struct json_record *rec, const char **p, size_t *n)
{
    const struct json_value *v = field(f, name, JSON_IS_TEXT, "a string");
    size_t size;
    long len;

    *p = v ? v->u.text : "";
    *n = v ? v->n : 0;
    if (v)
        return;
    v = field(f, name64, JSON_IS_TEXT, "a string");
    if (!v)
        return;
    size = v->n / 4 * 3 + 1;
    rec->bytes = malloc(size);
    if (!rec->bytes) {
        f->err = error_set(f->e, ERR_NOMEM, "no memory for the field \"%s\"",
                           json_field_name(name64));
        return;
    }
    len = sasl_base64(v->u.text, v->n, rec->bytes, size - 1);
    if (len < 0) {
        f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" is no base64",
                           json_field_name(name64));
        return;
    }
    rec->bytes[len] = 0;
    *p = rec->bytes;
    *n = (size_t)len;
}

/* What jansson made a tree of; NULL if there is no such field. */
static const json_t *tree(struct fields *f, enum json_field name, json_type type, const char *what)
{
    const struct json_value *v = field(f, name, JSON_IS_TREE, what);

    if (!v || json_typeof(v->u.tree) == type)
        return v ? v->u.tree : NULL;
    f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" is not %s", json_field_name(name), what);
    return NULL;
}

/* An object of strings; returns how many. */
static unsigned read_pairs(struct fields *f, enum json_field name, struct event_fact *out,
                           unsigned max)
{
    const json_t *o;
    const char *key;
    json_t *value;
    unsigned n = 0;

    if (!f->err && f->flat->is[name] == JSON_IS_PAIRS) /* they are in `out` */
        return (unsigned)f->flat->value[name].n;
    o = tree(f, name, JSON_OBJECT, "an object");
    json_object_foreach((json_t *)(uintptr_t)o, key, value) {
        if (!json_is_string(value) && !f->err)
            f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" holds what is not a string",
                               json_field_name(name));
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
    ev->label = text_or_null(f, JSON_label);
    ev->re = count(f, JSON_re);
    ev->wait_us = number(f, JSON_wait_us);
    ev->type = text_or_null(f, JSON_type);
    ev->ns = text_or_null(f, JSON_ns);
    ev->fact = rec->fact;
    ev->facts = read_pairs(f, JSON_facts, rec->fact, EVENT_FACTS_MAX);
    ev->remark = rec->remark;
    ev->remarks = read_pairs(f, JSON_remarks, rec->remark, EVENT_REMARKS_MAX);
    ev->closing = flag(f, JSON_closing);
    ev->withheld = count(f, JSON_withheld);
    bytes(f, JSON_xml, JSON_b64, rec, &ev->data, &ev->len);
    if (ev->kind == EVENT_VIOLATION) {
        ev->u.violation.code = error_by_name(text(f, JSON_code));
        ev->u.violation.offset = count(f, JSON_offset);
        ev->u.violation.more = flag(f, JSON_more);
        ev->u.violation.detail = text(f, JSON_detail);
    }
}

static void read_tls(struct fields *f, struct event_tls *t)
{
    t->side = side_field(f, JSON_side);
    t->ok = flag(f, JSON_ok);
    t->version = text(f, JSON_version);
    t->cipher = text(f, JSON_cipher);
    t->group = text(f, JSON_group);
    t->sni = text(f, JSON_sni);
    t->cert = text(f, JSON_cert);
    t->cert_key = text(f, JSON_cert_key);
    t->cert_sha256 = text(f, JSON_cert_sha256);
    t->signature = text(f, JSON_signature);
    t->alpn = text(f, JSON_alpn);
    t->resumed = flag(f, JSON_resumed);
    t->client_asked = flag(f, JSON_client_asked);
    t->client_cert = text(f, JSON_client_cert);
    t->client_jid = text(f, JSON_client_jid);
    t->verify = text(f, JSON_verify);
    t->error = text(f, JSON_error);
    t->kind = text(f, JSON_kind);
}

static void read_digest(struct fields *f, enum json_field name, char out[65])
{
    const char *s = text(f, name);
    size_t n = strlen(s);

    if (n > 64 && !f->err)
        f->err = error_set(f->e, ERR_FORMAT, "the field \"%s\" is no SHA-256",
                           json_field_name(name));
    if (n <= 64)
        memcpy(out, s, n + 1);
}

static unsigned read_requests(struct fields *f, enum json_field name, enum json_field time,
                              struct event_request *out, unsigned max)
{
    const json_t *list = tree(f, name, JSON_ARRAY, "an array");
    struct json_flat flat;
    unsigned n = 0;

    for (size_t i = 0; i < json_array_size(list) && n < max; i++) {
        struct fields in = {.flat = &flat, .e = f->e, .err = f->err};

        json_flat_tree(&flat, json_array_get(list, i));
        out[n++] = (struct event_request){count(&in, JSON_n), number(&in, time),
                                          text_or_null(&in, JSON_label)};
        f->err = in.err;
    }
    return n;
}

static void read_counts(struct fields *f, enum json_field dir, struct event_count *c,
                        uint64_t *stanzas)
{
    const json_t *o = tree(f, dir, JSON_OBJECT, "an object");
    struct json_flat flat;
    struct fields in = {.flat = &flat, .e = f->e, .err = f->err};

    if (!o)
        return;
    json_flat_tree(&flat, o);
    c->bytes = count(&in, JSON_bytes);
    *stanzas = count(&in, JSON_stanzas);
    c->compressed = count(&in, JSON_compressed);
    read_digest(&in, JSON_sha256, c->sha256);
    c->edited = flat.is[JSON_sent_bytes] != JSON_IS_ABSENT;
    c->sent_bytes = count(&in, JSON_sent_bytes);
    read_digest(&in, JSON_sent_sha256, c->sent_sha256);
    f->err = in.err;
}

static void read_end(struct fields *f, struct event_end *end)
{
    end->by = side_field(f, JSON_by);
    end->code = error_by_name(text(f, JSON_reason));
    end->phase = text(f, JSON_phase);
    end->detail = text(f, JSON_detail);
    end->account = text(f, JSON_account);
    end->server = text(f, JSON_server);
    end->server_name = text(f, JSON_server_name);
    end->duration_us = number(f, JSON_duration_us);
    end->verdict = text(f, JSON_verdict);
    end->sentence = text(f, JSON_sentence);
    end->mechanism = text(f, JSON_mechanism);
    end->resumes = text(f, JSON_resumes);
    end->unanswered = count(f, JSON_unanswered);
    end->opens = read_requests(f, JSON_open, JSON_us, end->open, EVENT_OPEN_MAX);
    end->slows = read_requests(f, JSON_slow, JSON_wait_us, end->slow, EVENT_SLOW_MAX);
    read_counts(f, JSON_c2s, &end->count[DIR_C2S], &end->stanzas[DIR_C2S]);
    read_counts(f, JSON_s2c, &end->count[DIR_S2C], &end->stanzas[DIR_S2C]);
}

static void read_facts(struct fields *f, struct json_record *rec)
{
    struct event *ev = &rec->event;

    switch (ev->kind) {
    case EVENT_SESSION:
        ev->u.session_facts = (struct event_session){
            .client = text(f, JSON_client),
            .listen = text(f, JSON_listen),
            .upstream = text(f, JSON_upstream),
            .secrets = text(f, JSON_secrets),
            .program = text(f, JSON_program),
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
        ev->u.edit.of = count(f, JSON_of);
        bytes(f, JSON_sent, JSON_sent_b64, rec, &ev->u.edit.sent, &ev->u.edit.sent_len);
        ev->u.edit.reason = text(f, JSON_reason);
        ev->fact = rec->fact;
        ev->facts = read_pairs(f, JSON_facts, rec->fact, EVENT_FACTS_MAX);
        break;
    case EVENT_GAP:
        ev->dir = dir_field(f);
        ev->u.gap.bytes = count(f, JSON_bytes);
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

/* Through jansson, which knows all of JSON and says what is wrong with what is none. */
static int read_tree(struct json_record *rec, const char *line, size_t n, struct json_flat *flat,
                     struct error *e)
{
    json_error_t why;

    if (!plausible(line, n))
        return error_set(e, ERR_FORMAT, "more than %d fields", JSON_PARTS_MAX);
    rec->root = json_loadb(line, n, JSON_ALLOW_NUL, &why);
    if (!rec->root && json_error_code(&why) == json_error_out_of_memory)
        return error_set(e, ERR_NOMEM, "no memory for a line of %zu bytes", n);
    if (!rec->root)
        return error_set(e, ERR_FORMAT, "not JSON: %s", why.text);
    if (!json_is_object(rec->root))
        return error_set(e, ERR_FORMAT, "not a JSON object");
    json_flat_tree(flat, rec->root);
    return 0;
}

/* Lets go of what the last line left; its room is kept if it is of a usual size. */
static int make_room(struct json_record *rec, size_t n, struct error *e)
{
    json_decref(rec->root);
    rec->root = NULL;
    free(rec->bytes);
    rec->bytes = NULL;
    rec->event = (struct event){0};
    if (n <= rec->room && (rec->room <= ROOM_KEPT || n > ROOM_KEPT))
        return 0;
    free(rec->text);
    rec->room = n < ROOM_FIRST ? ROOM_FIRST : n;
    rec->text = malloc(rec->room);
    if (rec->text)
        return 0;
    rec->room = 0;
    return error_set(e, ERR_NOMEM, "no memory for a line of %zu bytes", n);
}

int json_event_read(struct json_record *rec, const char *line, size_t n, struct error *e)
{
    struct json_room room = {.fact = rec->fact, .remark = rec->remark};
    struct json_flat flat;
    struct fields f = {.flat = &flat, .e = e};

    f.err = make_room(rec, n, e);
    room.text = rec->text;
    if (!f.err && !json_flat_line(&flat, line, n, &room))
        f.err = read_tree(rec, line, n, &flat, e);
    if (f.err)
        return f.err;
    need(&f, JSON_event);
    rec->event.kind = kind_by_name(text(&f, JSON_event));
    if (f.err || rec->event.kind == EVENT_KINDS)
        return f.err;
    need(&f, JSON_session);
    need(&f, JSON_n);
    rec->event.time_us = time_field(&f, rec);
    rec->event.session = text(&f, JSON_session);
    rec->event.n = count(&f, JSON_n);
    rec->event.data = "";
    read_facts(&f, rec);
    return f.err;
}

void json_record_free(struct json_record *rec)
{
    json_decref(rec->root);
    free(rec->bytes);
    free(rec->text);
    *rec = (struct json_record){0};
}

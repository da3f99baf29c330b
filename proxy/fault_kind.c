#include "fault_kind.h"

#include <string.h>

/* How the ids of phases begin that are no stanzas'. */
static const struct {
    const char *begins;
    enum fault_kind kind;
} kinds[] = {
    {"stream.", FAULT_KIND_STREAM},
    {"features.", FAULT_KIND_STREAM},
    {"tls.", FAULT_KIND_TLS},
    {"sasl.", FAULT_KIND_SASL},
    {"sasl2.", FAULT_KIND_SASL2},
    {"compression.", FAULT_KIND_COMPRESSION},
    {"sm.", FAULT_KIND_SM},
    {"csi.", FAULT_KIND_STREAM},
    {"nonza.", FAULT_KIND_STREAM},
};

#define STANZA(name, type) {name, type},
#define SASL(name)
#define STREAM(name)
#define COMPRESSION(name)
static const struct fault_condition stanza[] = {
#include "fault_conditions.def"
    {NULL, NULL}};

#define STANZA(name, type)
#define SASL(name) {name, NULL},
#define STREAM(name)
#define COMPRESSION(name)
static const struct fault_condition sasl[] = {
#include "fault_conditions.def"
    {NULL, NULL}};

#define STANZA(name, type)
#define SASL(name)
#define STREAM(name) {name, NULL},
#define COMPRESSION(name)
static const struct fault_condition stream[] = {
#include "fault_conditions.def"
    {NULL, NULL}};

#define STANZA(name, type)
#define SASL(name)
#define STREAM(name)
#define COMPRESSION(name) {name, NULL},
static const struct fault_condition compression[] = {
#include "fault_conditions.def"
    {NULL, NULL}};

static const struct {
    const struct fault_condition *conditions;
    const char *source;
} table[] = {
    [FAULT_KIND_STANZA] = {stanza, "RFC 6120 section 8.3.3"},
    [FAULT_KIND_SASL] = {sasl, "RFC 6120 section 6.5"},
    [FAULT_KIND_SASL2] = {sasl, "RFC 6120 section 6.5"},
    [FAULT_KIND_TLS] = {stream, "RFC 6120 section 4.9.3"},
    [FAULT_KIND_STREAM] = {stream, "RFC 6120 section 4.9.3"},
    [FAULT_KIND_SM] = {stanza, "RFC 6120 section 8.3.3"},
    [FAULT_KIND_COMPRESSION] = {compression, "XEP-0138 section 3"},
};

enum fault_kind fault_kind_of(const char *label)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(label, kinds[i].begins, strlen(kinds[i].begins)) == 0)
            return kinds[i].kind;
    return FAULT_KIND_STANZA;
}

const struct fault_condition *fault_condition_at(enum fault_kind kind, size_t i)
{
    const struct fault_condition *c = table[kind].conditions;

    while (i-- && c->name)
        c++;
    return c->name ? c : NULL;
}

const struct fault_condition *fault_condition(enum fault_kind kind, const char *name)
{
    for (const struct fault_condition *c = table[kind].conditions; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

const char *fault_kind_source(enum fault_kind kind)
{
    return table[kind].source;
}

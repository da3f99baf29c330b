/* fault_kind.h: what carries the errors of a phase, and which conditions it knows. Read-only data.
 */
#ifndef XMPPTAP_FAULT_KIND_H
#define XMPPTAP_FAULT_KIND_H

#include <stddef.h>

/* What an error of a phase is said in. */
enum fault_kind {
    FAULT_KIND_STANZA,
    FAULT_KIND_SASL,
    FAULT_KIND_SASL2,
    FAULT_KIND_TLS,    /* knows no conditions; the stream's are taken, and not sent */
    FAULT_KIND_STREAM,
    FAULT_KIND_SM,
    FAULT_KIND_COMPRESSION
};

struct fault_condition {
    const char *name;
    const char *type; /* a stanza error's, else NULL */
};

enum fault_kind fault_kind_of(const char *label);

/* The condition, NULL if `kind` has none of that name. */
const struct fault_condition *fault_condition(enum fault_kind kind, const char *name);
/* Every one of `kind`, NULL behind the last. */
const struct fault_condition *fault_condition_at(enum fault_kind kind, size_t i);
/* Where they are listed: "RFC 6120 section 8.3.3", ... */
const char *fault_kind_source(enum fault_kind kind);

#endif

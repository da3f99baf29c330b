/* redact.h: which parts of an item are secrets, and how they are masked.
 *
 * The reader asks while expat walks an item; nobody else decides what a secret is. Pure functions,
 * any thread.
 */
#ifndef XMPPTAP_REDACT_H
#define XMPPTAP_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "reader.h"

#define REDACTED "[redacted]"

/* Is all that stands inside element {ns}name a secret? `attrs`: expat's name, value, ... NULL. */
bool redact_inner(const char *ns, const char *name, const char *const *attrs);

/* The attribute of {ns}name whose value is a secret, or NULL. */
const char *redact_attr(const char *ns, const char *name);

/* Secrets that one session has shown (passwords, tokens), so that they are masked wherever they
 * stand again. Bounded; embedded. */
struct secrets {
    unsigned n;
};

void secrets_init(struct secrets *s);
void secrets_free(struct secrets *s);

/* Appends the item with its secrets masked; nothing where it has none. Errors: ERR_NOMEM,
 * ERR_CAP. */
int redact_item(const struct item *it, const struct secrets *s, struct buf *out) MUST_CHECK;

#endif

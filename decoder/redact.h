/* redact.h: which parts of an item are secrets, and how they are masked.
 *
 * The reader asks while expat walks an item, sasl_item() says which SASL messages hold none, and
 * secrets.h knows those that were seen; nobody else decides what a secret is. One session's calls
 * come from one thread.
 */
#ifndef XMPPTAP_REDACT_H
#define XMPPTAP_REDACT_H

#include "buf.h"
#include "reader.h"
#include "secrets.h"

#define REDACTED "[redacted]"

/* Is all that stands inside element {ns}name a secret, and of what kind? `attrs`: expat's name,
 * value, ... NULL. */
enum secret_kind redact_inner(const char *ns, const char *name, const char *const *attrs);

/* Is the value of this attribute (name without prefix) of {ns}name a secret? */
enum secret_kind redact_attr(const char *ns, const char *name, const char *attr);

/* May redact_inner() of an element with this name, and redact_attr() of an attribute with it, be
 * any but SECRET_NONE? Names without prefix, not NUL-ended. */
bool redact_may_inner(const char *name, size_t n);
bool redact_may_attr(const char *attr, size_t n);

/* Learns what the item shows in clear, so that it is masked here and later. */
void redact_learn(const struct item *it, struct secrets *s);

/* Do these bytes, read as none of XML, name a place where secrets stand? */
bool redact_names(const char *p, size_t n);
#define REDACT_NAME_MAX 16 /* no such name is longer */

/* Appends the item with its secrets and the known ones masked; nothing where it has none. Errors:
 * ERR_NOMEM, ERR_CAP. */
int redact_item(const struct item *it, const struct secrets *s, struct buf *out) MUST_CHECK;

/* The same of bytes that are no item: known secrets alone are masked. */
int redact_bytes(const char *p, size_t n, const struct secrets *s, struct buf *out) MUST_CHECK;

#endif
